"""Predicting for a list of inputs: a row for each, whatever becomes of it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from boneage.errors import RadiographError, UnreadableError
from boneage.inference.inputs import InputFile
from boneage.inference.predictor import Prediction, Predictor, Query
from boneage.inference.rows import Row, Status
from boneage.radiographs.radiograph import Sex

__all__ = ["SexTable", "predict_files", "predict_rows", "row_of"]


class SexTable(Protocol):
    """What is needed of a label table."""

    def sex_of(self, id: str, /) -> Sex | None:  # noqa: A002
        """Sex of the child on a radiograph, or None if the table does not say."""


def predict_rows(
    predictor: Predictor,
    files: Sequence[InputFile],
    *,
    sex: Sex | None = None,
    labels: SexTable | None = None,
) -> Iterator[Row]:
    """Predict for every input.

    Args:
        predictor: The model.
        files: The inputs.
        sex: Sex of every child; it goes before the label table and what a file says.
        labels: Where to look the sex up by id. It goes before what a file says.

    Yields:
        A row for each input, in the same order.
    """
    for row, _ in predict_files(predictor, files, sex=sex, labels=labels):
        yield row


def predict_files(
    predictor: Predictor,
    files: Sequence[InputFile],
    *,
    sex: Sex | None = None,
    labels: SexTable | None = None,
) -> Iterator[tuple[Row, Prediction | None]]:
    """Predict for every input and keep all that a prediction holds.

    Args:
        predictor: The model.
        files: The inputs.
        sex: As for :func:`predict_rows`.
        labels: As for :func:`predict_rows`.

    Yields:
        For each input, in the same order, its row and, if that is ``ok``, its prediction.
    """
    sexes = [sex or (labels.sex_of(file.id) if labels else None) for file in files]
    readable = [at for at, file in enumerate(files) if not file.problem]
    answers = predictor.predict_many(Query(files[at].path, sexes[at]) for at in readable)
    for file, known in zip(files, sexes, strict=True):
        if file.problem:
            yield _row_of_error(file, "failed", known, file.problem), None
            continue
        answer = next(answers)
        if isinstance(answer, Prediction):
            yield _row_of_prediction(file, answer, labels), answer
        else:
            yield row_of(file, answer, known), None


def row_of(file: InputFile, answer: Prediction | RadiographError, sex: Sex | None = None) -> Row:
    """The row that stands for an answer.

    Args:
        file: The input.
        answer: What became of it.
        sex: The sex that was given, for the row of an error.
    """
    if isinstance(answer, Prediction):
        return _row_of_prediction(file, answer, None)
    status: Status = "failed" if isinstance(answer, UnreadableError) else "refused"
    return _row_of_error(file, status, sex, str(answer))


def _row_of_prediction(file: InputFile, answer: Prediction, labels: SexTable | None) -> Row:
    warnings = list(answer.warnings)
    labelled = labels.sex_of(file.id) if labels else None
    if labelled not in (None, answer.sex):
        warnings.insert(0, f"--sex says {answer.sex}, but --labels says {labelled}: --sex was used")
    return Row(
        path=file.path,
        id=file.id,
        status="ok",
        sex=answer.sex.value,
        bone_age_months=answer.bone_age_months,
        lower_months=answer.lower_months,
        upper_months=answer.upper_months,
        message="; ".join(warnings),
    )


def _row_of_error(file: InputFile, status: Status, sex: Sex | None, message: str) -> Row:
    known = None if sex is None else sex.value
    return Row(path=file.path, id=file.id, status=status, sex=known, message=message)

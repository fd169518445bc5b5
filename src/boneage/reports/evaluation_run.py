"""Evaluating a bundle on labelled radiographs: predict them all, measure, draw."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boneage import __version__
from boneage.dataset.data import Data
from boneage.dataset.records import Discard, Reason, Record, write_discarded
from boneage.dataset.splits import read_split
from boneage.errors import (
    MissingExtraError,
    NoInputError,
    RunExistsError,
    SettingsError,
    UnreadableError,
)
from boneage.evaluation.metrics import Metrics, evaluate
from boneage.files import make_folder, write_csv, write_json
from boneage.inference.predictor import Prediction, Predictor, Query

__all__ = ["Evaluated", "choose_part", "claim_folder", "evaluate_bundle"]

_FILES = frozenset({"config.json", "discarded.csv", "metrics.json", "plots", "predictions.csv"})

_PART_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}

Outcome = tuple[Record, Any]
Watch = Callable[[Iterable[Outcome], int], Iterable[Outcome]]


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation gave.

    Attributes:
        metrics: The figures.
        discarded: Everything that was left out, with the reason.
        plots: The plots that were drawn.
        notes: What a reader should know, such as plots that could not be drawn.
    """

    metrics: Metrics
    discarded: tuple[Discard, ...]
    plots: tuple[Path, ...]
    notes: tuple[str, ...]


def choose_part(
    data: Data, split: str | os.PathLike[str] | None = None, part: str | None = None
) -> tuple[Data, str]:
    """The part of the data to evaluate, and its name.

    Args:
        data: All of it.
        split: A table ``id,split``, or None for the parts of the folder itself.
        part: ``train``, ``validation`` (or ``val``) or ``test``; None for ``validation`` of a
            split, else for the folder's ``test`` if it has one, else for everything.

    Raises:
        SettingsError: There is no such part.
        InputError: The split cannot be used.
    """
    word = None if part is None else _PART_WORDS.get(part.lower())
    if part is not None and word is None:
        raise SettingsError(f"--part must be train, validation or test, not {part!r}.")
    if split is not None:
        wanted = word or "validation"
        parts = read_split(split)
        ids = [record.id for record in data.records if parts.get(record.id) == wanted]
        if not ids:
            raise SettingsError(f"--part {wanted}: {os.fspath(split)} puts no radiograph in it.")
        return data.subset(ids), wanted
    if data.test is not None:
        if word == "validation":
            raise SettingsError("--part validation: the folder has train and test; use --split.")
        return (data, "train") if word == "train" else (data.test, "test")
    if word is not None:
        raise SettingsError(
            f"--part {word}: the folder is not divided into parts. Give --split CSV, or leave "
            "--part out to evaluate everything."
        )
    return data, "everything"


def claim_folder(folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Make the folder of an evaluation, or empty that of an earlier one.

    Args:
        folder: The folder.
        overwrite: Whether the results of an earlier evaluation there may go.

    Returns:
        The folder.

    Raises:
        RunExistsError: Something is there that may not go.
        OutputError: It cannot be written to.
    """
    out = make_folder(folder)
    found = {entry.name for entry in out.iterdir()}
    if found - _FILES:
        raise RunExistsError(
            f"{out} holds other files than those of an evaluation, as "
            f"{min(found - _FILES)}. Choose another folder."
        )
    if found and not overwrite:
        raise RunExistsError(
            f"{out} holds an evaluation already. Choose another folder, or say --overwrite."
        )
    for name in found - {"plots"}:
        (out / name).unlink()
    for plot in (out / "plots").glob("*.png"):
        plot.unlink()
    return out


def evaluate_bundle(
    predictor: Predictor,
    records: Sequence[Record],
    out: Path,
    *,
    discarded: Sequence[Discard] = (),
    about: dict[str, Any] | None = None,
    plot_note: str | None = None,
    watch: Watch = lambda outcomes, _: outcomes,
) -> Evaluated:
    """Predict labelled radiographs and write the figures.

    Writes ``config.json``, ``predictions.csv``, ``metrics.json``, ``discarded.csv`` and, if
    matplotlib is installed, ``plots/*.png``; among them ``heat_maps.png`` if the model gives any.

    Args:
        predictor: The model.
        records: The radiographs with their labels.
        out: An empty folder, from :func:`claim_folder`.
        discarded: What was left out before, to be listed along.
        about: What was asked for, for ``config.json``: any JSON object.
        plot_note: Small print for every plot, or None.
        watch: Passes the outcomes on as they come, for a progress bar; gets their number as well.

    Returns:
        The figures and where the plots are.

    Raises:
        NoInputError: Not one radiograph could be predicted.
        OutputError: The system refused to write.
    """
    answers = predictor.predict_many(Query(record.path, record.sex) for record in records)
    predicted: list[tuple[Record, Prediction]] = []
    left_out = list(discarded)
    for record, answer in watch(zip(records, answers, strict=True), len(records)):
        if isinstance(answer, Prediction):
            predicted.append((record, answer))
        else:
            failed = isinstance(answer, UnreadableError)
            reason = Reason.UNREADABLE if failed else Reason.UNSUITABLE
            left_out.append(Discard(record.id, str(record.path), reason, str(answer)))
    write_discarded(out / "discarded.csv", left_out)
    if not predicted:
        raise NoInputError(
            f"Not one of the {len(records):,} radiographs could be predicted; "
            f"{out / 'discarded.csv'} says why."
        )
    metrics = evaluate(
        [record.bone_age_months for record, _ in predicted],
        [answer.bone_age_months for _, answer in predicted],
        [record.sex for record, _ in predicted],
    )
    card = predictor.card
    model = {"name": card.name, "version": card.version, "created": card.created}
    write_json(
        out / "config.json", {"boneage_version": __version__, "model": model, **(about or {})}
    )
    write_csv(
        out / "predictions.csv",
        ("id", "sex", "true_months", "predicted_months"),
        (
            (item.id, item.sex.value, f"{item.bone_age_months:g}", f"{answer.bone_age_months:.2f}")
            for item, answer in predicted
        ),
    )
    write_json(out / "metrics.json", metrics.to_dict())
    plots, notes = _draw(out, plot_note, predicted)
    return Evaluated(metrics, tuple(left_out), plots, notes)


def _draw(
    out: Path, note: str | None, predicted: Sequence[tuple[Record, Prediction]]
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    from boneage.reports.heat_maps import draw_heat_maps
    from boneage.reports.run_plots import draw_run_plots

    try:
        plots = draw_run_plots(out, note)
        panel = draw_heat_maps(out / "plots" / "heat_maps.png", predicted, note)
    except MissingExtraError as error:
        return (), (f"No plots were drawn. {error}",)
    return (*plots, *([] if panel is None else [panel])), ()

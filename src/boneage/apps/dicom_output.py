"""``boneage predict --dicom-out``: a structured report and a sheet for each DICOM input."""

import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boneage.errors import SettingsError

if TYPE_CHECKING:
    from boneage.dataset.labels import LabelTable
    from boneage.inference.inputs import InputFile
    from boneage.inference.prediction import Prediction
    from boneage.inference.predictor import Predictor
    from boneage.inference.rows import Row
    from boneage.radiographs.radiograph import Radiograph
    from boneage.reports.child_request import Facts, ReportRequest
    from boneage.reports.dicom_results import Deidentify

__all__ = [
    "KEY_VARIABLE",
    "DeidentifyOption",
    "DicomOut",
    "DicomOutput",
    "dicom_output",
    "facts_by_id",
]

KEY_VARIABLE = "BONEAGE_DEIDENTIFY_KEY"
"""Environment variable with the secret of ``--deidentify``. Command lines are seen by others."""

_RANDOM_KEY_BYTES = 32

DicomOut = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Also write, for each DICOM input, a structured report and a report sheet as DICOM "
        "files into this folder.",
    ),
]

DeidentifyOption = Annotated[
    bool,
    typer.Option(
        "--deidentify",
        help="With --dicom-out: take the identity of patient and study out of the results. "
        f"{KEY_VARIABLE} holds the secret that makes their UIDs the same each time.",
    ),
]


@dataclass(frozen=True)
class DicomOutput:
    """What ``--dicom-out`` asks for.

    Attributes:
        folder: Where the results go.
        deidentify: How they lose their identity, or None.
    """

    folder: Path
    deidentify: "Deidentify | None" = None

    def written(
        self,
        outcomes: "Iterable[tuple[Row, Prediction | None]]",
        predictor: "Predictor",
        facts: "dict[str, Facts]",
        request: "ReportRequest | None" = None,
    ) -> "Iterator[tuple[Row, Prediction | None]]":
        """Write the results of what comes by, and pass it on.

        An input that can get none, as it is no DICOM file, gets a note on standard error; its row
        is the same.

        Args:
            outcomes: Rows and their predictions.
            predictor: What made them.
            facts: What tables and options say of the children, by id.
            request: The report for whose norm the results go as well.

        Yields:
            The outcomes.
        """
        from boneage.apps.screen import note
        from boneage.errors import UnreadableError
        from boneage.growth.sds import Norm
        from boneage.reports.dicom_results import write_dicom_results

        count = 0
        for row, answer in outcomes:
            radiograph, known = _read_again(row, facts)
            try:
                done = write_dicom_results(
                    Path(row.path),
                    row,
                    answer,
                    predictor.card,
                    self.folder,
                    level=predictor.level,
                    facts=known,
                    norm=Norm.BRUSH if request is None else request.norm,
                    now=datetime.now(UTC),
                    deidentify=self.deidentify,
                    radiograph=radiograph,
                )
                count += 1 + (done.capture is not None)
            except UnreadableError as error:
                note(f"note: no DICOM results: {error}")
            yield row, answer
        note(f"{count} DICOM results written to {self.folder}")


def dicom_output(folder: Path | None, deidentify: bool) -> DicomOutput | None:
    """Check what the command line asks for before any radiograph is read.

    Args:
        folder: ``--dicom-out``; None for no DICOM results.
        deidentify: ``--deidentify``.

    Returns:
        What to do, or None.

    Raises:
        SettingsError: ``--deidentify`` stands alone, or its key is too short.
        MissingExtraError: The extra ``dicom`` is missing.
        OutputError: Nothing can be written there.
    """
    if folder is None:
        if deidentify:
            raise SettingsError("--deidentify is for DICOM results: add --dicom-out DIR.")
        return None
    from boneage.files import make_folder
    from boneage.reports.dicom_results import Deidentify, require_dicom

    require_dicom()
    method = None
    if deidentify:
        given = os.environ.get(KEY_VARIABLE, "").encode(errors="surrogateescape")
        if not given:
            from boneage.apps.screen import note

            note(
                f"note: {KEY_VARIABLE} is not set: the UIDs of the results are made with a random "
                "secret, and another run will give others."
            )
        method = Deidentify(given or secrets.token_bytes(_RANDOM_KEY_BYTES))
    return DicomOutput(make_folder(folder), method)


def facts_by_id(
    files: "Iterable[InputFile]", labels: "LabelTable | None", request: "ReportRequest | None"
) -> "dict[str, Facts]":
    """What the report's options or the label table say of each child."""
    from boneage.dataset.visits import read_visits
    from boneage.reports.child_request import Facts

    if request is not None:
        return dict(request.facts)
    visits = {} if labels is None else read_visits(labels.path, {file.id for file in files})
    return {name: Facts(visit.age_months, visit.height_cm) for name, visit in visits.items()}


def _read_again(row: "Row", facts: "dict[str, Facts]") -> "tuple[Radiograph | None, Facts]":
    """The radiograph, and what is known of the child; the file says the age if nothing else does.

    Read again: keeping all pixels until their batch is done would cost memory without bound.
    """
    from boneage.errors import RadiographError
    from boneage.radiographs.readers import read_radiograph
    from boneage.reports.child_request import Facts

    known = facts.get(row.id, Facts())
    if row.status == "failed":
        return None, known
    try:
        radiograph = read_radiograph(row.path)
    except RadiographError:
        return None, known  # gone or changed since; its results then do without the picture
    if known.age_months is None:
        known = replace(known, age_months=radiograph.chronological_age_months)
    return radiograph, known

"""From the answer to one DICOM radiograph to the files that a PACS takes."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from boneage.errors import RadiographError, require_extra
from boneage.files import atomic_path
from boneage.growth.sds import Norm
from boneage.inference.card import Card
from boneage.inference.prediction import Prediction
from boneage.inference.rows import Row
from boneage.radiographs.radiograph import Radiograph
from boneage.radiographs.readers import read_radiograph
from boneage.reports.child import assess
from boneage.reports.child_request import Facts

if TYPE_CHECKING:
    from highdicom.base import SOPClass
    from pydicom.dataset import Dataset

    from boneage.reports.dicom_results.deidentify import Deidentify

__all__ = ["DicomResults", "require_dicom", "write_dicom_results"]

_HIDDEN = (
    "The radiograph is left out: its file does not say that it is free of burned-in text "
    "(Burned In Annotation, 0028,0301)."
)


@dataclass(frozen=True)
class DicomResults:
    """The files of one answer.

    Attributes:
        sr: The structured report.
        capture: The sheet; None if there is nothing to show, as the radiograph is unreadable.
    """

    sr: Path
    capture: Path | None


def require_dicom() -> None:
    """Raise unless all is installed that results need.

    Raises:
        MissingExtraError: The extra ``dicom`` is missing, or OpenCV is older than release 5.
    """
    require_extra("dicom", "pydicom", "highdicom")
    from boneage.reports.dicom_results.canvas import require_fonts

    require_fonts()


def write_dicom_results(
    source: Path,
    row: Row,
    answer: Prediction | None,
    card: Card,
    out: Path,
    *,
    level: float | None,
    facts: Facts,
    norm: Norm,
    now: datetime,
    deidentify: "Deidentify | None" = None,
    radiograph: Radiograph | None = None,
) -> DicomResults:
    """Write a structured report and a report sheet on one radiograph.

    Both are of the study and the patient of the radiograph, each in a series of its own. The same
    source, model, settings and answer give the same SOP Instance UIDs, and the files are named
    after these: nothing but the same result is ever replaced.

    A radiograph that was refused or cannot be read gets a report that says so and holds no number;
    one that cannot be read gets no sheet.

    Args:
        source: The DICOM file of the radiograph.
        row: Its row.
        answer: The prediction behind the row, for the heat map; None if there is none.
        card: Card of the model.
        out: The folder to write to; it is made if it does not exist.
        level: Level of the row's interval; None if the model has none.
        facts: What is known of the child.
        norm: Whose spread counts as normal.
        now: Time of the content. With a time zone it is turned into that of the source, or of this
            machine if the source does not say; without, it stays as it is.
        deidentify: How the results lose their identity; None to keep it.
        radiograph: The pixels, if they have been read already.

    Returns:
        The paths of the files.

    Raises:
        UnreadableError: The source is no DICOM file, or results cannot refer to it.
        MissingExtraError: The extra ``dicom`` is missing, or OpenCV is older than release 5.
        OutputError: The system refused to write.
    """
    require_dicom()
    from boneage.reports.dicom_results.capture import secondary_capture
    from boneage.reports.dicom_results.deidentify import PLACEHOLDER
    from boneage.reports.dicom_results.document import structured_report
    from boneage.reports.dicom_results.header import read_header
    from boneage.reports.dicom_results.identity import Outcome
    from boneage.reports.dicom_results.sheet import draw_sheet

    original = read_header(source)
    message = _without_name(row.message, source)
    if deidentify is not None:
        message = deidentify.clean(message, original)
    header = original if deidentify is None else deidentify.header(original)
    when = _local(now, header) if deidentify is None else PLACEHOLDER
    outcome = Outcome(replace(row, message=message), card, level, facts, norm)
    visit = assess(outcome.row, facts, norm, level)
    report = structured_report(header, outcome, visit, when)
    sr = _write(report, header, out, "sr")
    pixels = _pixels(source, row, radiograph)
    if pixels is None:
        return DicomResults(sr, None)
    shown = deidentify is None or header.get("BurnedInAnnotation") == "NO"
    sheet = draw_sheet(
        outcome,
        visit,
        pixels if shown else None,
        None if answer is None else answer.heat_map,
        hidden="" if shown else _HIDDEN,
    )
    capture = secondary_capture(header, outcome, sheet, when, shows_radiograph=shown)
    return DicomResults(sr, _write(capture, header, out, "sheet"))


def _pixels(source: Path, row: Row, radiograph: Radiograph | None) -> Radiograph | None:
    """The radiograph; None if it cannot be read, which its row says if it is so for good."""
    if radiograph is not None or row.status == "failed":
        return radiograph
    try:
        return read_radiograph(source)
    except RadiographError:
        return None


def _write(result: "SOPClass", header: "Dataset", out: Path, kind: str) -> Path:
    from boneage.reports.dicom_results.header import copy_patient_and_study, quiet_pydicom

    copy_patient_and_study(header, result)
    _set_clock(result)
    path = out / f"bone-age-{kind}-{result.SOPInstanceUID}.dcm"
    with atomic_path(path) as temporary, quiet_pydicom():
        result.save_as(temporary, enforce_file_format=True)
    return path


def _set_clock(result: "SOPClass") -> None:
    """Put the content's time wherever highdicom has put that of this machine."""
    day, time = result.ContentDate, result.ContentTime
    result.InstanceCreationDate, result.InstanceCreationTime = day, time
    for item in result.get("ContributingEquipmentSequence", []):
        item.ContributionDateTime = datetime.combine(day, time)


def _without_name(message: str, source: Path) -> str:
    """A row's message without the file's name, which often is the name of a child."""
    for name in sorted({str(source), source.name, source.stem}, key=len, reverse=True):
        message = re.sub(rf"(^|; ){re.escape(name)}: ", r"\1", message)
        message = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "this file", message)
    return message[:1].upper() + message[1:]


def _local(now: datetime, header: "Dataset") -> datetime:
    """The time as the source's dates and times are given (PS3.3 C.12.1.1.8)."""
    if now.tzinfo is None:
        return now
    offset = re.fullmatch(r"([+-])(\d\d)(\d\d)", str(header.get("TimezoneOffsetFromUTC") or ""))
    if offset is None:
        return now.astimezone().replace(tzinfo=None)
    minutes = int(offset[2]) * 60 + int(offset[3])
    zone = timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    return now.astimezone(zone).replace(tzinfo=None)

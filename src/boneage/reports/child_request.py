"""What a report on one child was asked for, checked before any radiograph is read."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from boneage.dataset.labels import LabelTable
from boneage.dataset.visits import Visit, read_visits
from boneage.errors import InputError, LabelsError, SettingsError
from boneage.growth.adult_height import require_height
from boneage.growth.references import require_age
from boneage.growth.sds import Norm
from boneage.inference.inputs import InputFile
from boneage.radiographs.readers import age_months_in_file

__all__ = ["Facts", "ReportRequest", "report_request"]

_SUFFIXES = (".html", ".htm")
_SHOWN = 3


@dataclass(frozen=True)
class Facts:
    """What is known of the child beside the radiograph.

    Attributes:
        age_months: Chronological age when the radiograph was taken, 0 to 300 months; None if
            not known.
        height_cm: Height at the same time, 40 to 230 cm; None if not known.
    """

    age_months: float | None = None
    height_cm: float | None = None


@dataclass(frozen=True)
class ReportRequest:
    """A report to write, once the radiographs have been estimated.

    Attributes:
        path: The HTML file.
        title: Whom it is about: the child where the label table says, else the radiograph's id.
        norm: Whose spread counts as normal.
        facts: What is known, by id of the radiograph.
    """

    path: Path
    title: str
    norm: Norm = Norm.BRUSH
    facts: Mapping[str, Facts] = field(default_factory=dict)


def report_request(
    path: str | os.PathLike[str] | None,
    files: Sequence[InputFile],
    *,
    labels: LabelTable | None = None,
    out: str | os.PathLike[str] | None = None,
    age_months: float | None = None,
    height_cm: float | None = None,
    norm: str | None = None,
) -> ReportRequest | None:
    """Check what the command line asks of a report.

    Args:
        path: ``--report``; None for no report.
        files: The inputs, one or more.
        labels: The label table; beside the sex it may give the child, the age and the height. Where
            neither it nor ``age_months`` gives an age, that in the header of a DICOM file is taken.
        out: Where the rows go.
        age_months: ``--age-months``; goes before the table.
        height_cm: ``--height-cm``; goes before the table.
        norm: ``--norm``; None for Brush.

    Returns:
        The request, or None without ``path``.

    Raises:
        SettingsError: An option is out of its range, or stands without what it needs.
        InputError: The inputs are not one radiograph, or several of one child.
        LabelsError: The table cannot be used for this.
    """
    options = {"--age-months": age_months, "--height-cm": height_cm, "--norm": norm}
    given = [name for name, value in options.items() if value is not None]
    if path is None:
        if given:
            raise SettingsError(f"{given[0]} is for the report: add --report FILE.html.")
        return None
    _check_place(Path(path), files, labels, out)
    _check_range(age_months, "--age-months", height_cm, "--height-cm")
    chosen = Norm.BRUSH if norm is None else Norm.parse(norm)
    visits = {} if labels is None else read_visits(labels.path, {file.id for file in files})
    for visit in visits.values():
        names = f"{visit.where}: the chronological age", f"{visit.where}: height_cm"
        _check_range(visit.age_months, names[0], visit.height_cm, names[1])
    if len(files) > 1:
        return _of_several(Path(path), files, labels, visits, chosen, given)
    (file,) = files
    visit = visits.get(file.id) or Visit(file.id, "", None, None, "")
    age_months = _age_of(file, visit) if age_months is None else age_months
    if height_cm is not None and age_months is None:
        raise SettingsError("--height-cm needs --age-months: adult height goes by both.")
    height_cm = visit.height_cm if height_cm is None else height_cm
    facts = {file.id: Facts(age_months, height_cm)}
    return ReportRequest(Path(path), visit.child or file.id, chosen, facts)


def _of_several(
    path: Path,
    files: Sequence[InputFile],
    labels: LabelTable | None,
    visits: Mapping[str, Visit],
    norm: Norm,
    given: Sequence[str],
) -> ReportRequest:
    """The report on several visits of one child."""
    for option in ("--age-months", "--height-cm"):
        if option in given:
            raise SettingsError(
                f"{option} is for one radiograph, and there are {len(files)}: give --labels with "
                "the columns child, age_months and height_cm."
            )
    if labels is None:
        raise InputError(
            f"--report is about one child, and there are {len(files)} radiographs: name one, or "
            "give --labels with the columns child and age_months."
        )
    unknown = [file.id for file in files if file.id not in visits or not visits[file.id].child]
    if unknown:
        raise LabelsError(
            f"{labels.path} does not say whose radiograph {_some(unknown)} is: --report is about "
            "one child, and needs the column child for several radiographs."
        )
    children = sorted({visit.child for visit in visits.values()})
    if len(children) > 1:
        raise InputError(
            f"--report is about one child, and these are of {len(children)}: {_some(children)}. "
            "Name the radiographs of one of them."
        )
    ages = {file.id: _age_of(file, visits[file.id]) for file in files}
    ageless = [name for name, age in ages.items() if age is None]
    if ageless:
        raise LabelsError(
            f"{labels.path} gives no chronological age for {_some(ageless)}: --report needs the "
            "column age_months for several radiographs of a child, unless DICOM headers give it."
        )
    sexes = {labels.sex_of(file.id) for file in files} - {None}
    if len(sexes) > 1:
        raise LabelsError(f"{labels.path} gives the child {children[0]} two sexes: correct it.")
    facts = {name: Facts(age, visits[name].height_cm) for name, age in ages.items()}
    return ReportRequest(path, children[0], norm, facts)


def _age_of(file: InputFile, visit: Visit) -> float | None:
    """The age in the table, else the one in the header of a DICOM file."""
    return age_months_in_file(file.path) if visit.age_months is None else visit.age_months


def _check_place(
    path: Path,
    files: Sequence[InputFile],
    labels: LabelTable | None,
    out: str | os.PathLike[str] | None,
) -> None:
    """Refuse a place for the page where it would be no page, or replace something else."""
    if path.suffix.lower() not in _SUFFIXES:
        raise SettingsError(f"--report {path}: the name must end in .html.")
    others = [file.path for file in files]
    others += [] if labels is None else [os.fspath(labels.path)]
    others += [] if out is None else [os.fspath(out)]
    if os.path.realpath(path) in {os.path.realpath(other) for other in others}:
        raise SettingsError(
            f"--report {path} is the place of an input or of --out: choose another."
        )


def _check_range(
    age_months: float | None, age_name: str, height_cm: float | None, height_name: str
) -> None:
    if age_months is not None:
        require_age(age_months, age_name)
    if height_cm is not None:
        require_height(height_cm, height_name)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

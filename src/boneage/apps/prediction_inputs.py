"""What the verbs that predict start from: the radiographs, and where each child's sex is from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from boneage.dataset.labels import LabelTable
    from boneage.inference.inputs import InputFile
    from boneage.radiographs.radiograph import Sex

__all__ = [
    "Given",
    "Inputs",
    "Intake",
    "LabelTableOption",
    "ModelOption",
    "SexOption",
    "read_given",
]

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Radiographs: files, folders (searched with their subfolders), globs, a DICOMDIR.",
    ),
]

LabelTableOption = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="Table that gives the sex by id, the file name without its suffix. Columns: id "
        "and male (True/False) or sex (F/M).",
    ),
]

ModelOption = Annotated[
    Path | None,
    typer.Option(
        metavar="BUNDLE",
        help="Model: a bundle folder or zip. Without it the one in $BONEAGE_MODEL, else the "
        "one that comes with boneage.",
    ),
]

SexOption = Annotated[
    str | None,
    typer.Option(
        metavar="female|male",
        help="Sex of every child. Goes before --labels, and both before the header of a DICOM "
        "file; where they disagree the row says so. The sex is never assumed.",
    ),
]

Intake = Annotated[
    bool,
    typer.Option(
        "--intake/--no-intake",
        help="Refuse what is not one hand and turn hands upright first (default), or take "
        "every image for an upright hand.",
    ),
]


class Given(NamedTuple):
    """What is to be predicted.

    Attributes:
        files: The radiographs, one or more.
        sex: Sex of every child, if it was given for all.
        labels: The label table, or None.
    """

    files: "tuple[InputFile, ...]"
    sex: "Sex | None"
    labels: "LabelTable | None"


def read_given(inputs: list[str], labels: Path | None, sex: str | None) -> Given:
    """Read the label table and find the radiographs; say on standard error what is odd.

    Raises:
        InputError: The sex is no sex, or an input is not there.
        LabelsError: The table cannot be used.
        NoInputError: There is no radiograph among the inputs.
    """
    from boneage.apps.screen import note
    from boneage.dataset.labels import read_labels
    from boneage.dataset.records import describe_discards
    from boneage.errors import NoInputError
    from boneage.inference.inputs import find_inputs
    from boneage.radiographs.radiograph import Sex

    known = None if sex is None else Sex.parse(sex)
    table = None if labels is None else read_labels(labels, need_bone_age=False)
    if table is not None and table.discarded:
        note(f"note: {labels}: {describe_discards(table.discarded)}")
    found = find_inputs(inputs)
    for text in found.notes:
        note(f"note: {text}")
    if not found.files:
        raise NoInputError("There is no radiograph among the inputs.")
    return Given(tuple(found.files), known, table)

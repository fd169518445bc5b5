"""``boneage explain``: a picture of what decided for each radiograph, and its row."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boneage.errors import NoInputError, SettingsError

if TYPE_CHECKING:
    from boneage.inference.prediction import Prediction
    from boneage.inference.rows import Row

__all__ = ["explain"]

_EXIT_SOME_NOT_OK = 1
_TABLE = "rows.csv"


def explain(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Radiographs: files, folders (searched with their subfolders) and globs.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where to write a PNG for each radiograph and rows.csv. The folder must be new or "
            "empty.",
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Table that gives the sex by id, as for predict."),
    ] = None,
    sex: Annotated[
        str | None,
        typer.Option(
            metavar="female|male", help="Sex of every child. Goes before --labels. Never assumed."
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Model: a bundle folder or zip that gives heat maps. Without it the one in "
            "$BONEAGE_MODEL, else the one that comes with boneage.",
        ),
    ] = None,
    opacity: Annotated[
        float,
        typer.Option(metavar="SHARE", help="How much the strongest colour covers, above 0 to 1."),
    ] = 0.45,
    intake: Annotated[
        bool,
        typer.Option(
            "--intake/--no-intake",
            help="Refuse what is not one hand and turn hands upright first (default), or take "
            "every image for an upright hand.",
        ),
    ] = True,
) -> None:
    """Draw what decided on a bone age: a heat map over each radiograph.

    Orange makes the child older, blue younger; the legend is in months. Each PNG has the name of
    its input; of inputs with the same name, the later ones get a number. rows.csv has the rows of
    "boneage predict". Exit code: 0 if every input is ok, 1 if some were refused or failed, 2 if
    the command line is wrong or there is no input.
    """
    from boneage.apps.screen import counted, note, with_progress
    from boneage.dataset.labels import read_labels
    from boneage.dataset.records import describe_discards
    from boneage.inference.inputs import find_inputs
    from boneage.inference.predictor import load
    from boneage.inference.rows import open_table
    from boneage.inference.run import predict_files
    from boneage.radiographs.radiograph import Sex
    from boneage.reports.prepared_images import claim_image_folder

    if not 0 < opacity <= 1:
        raise SettingsError(f"--opacity must be above 0 to 1, not {opacity!r}.")
    known = None if sex is None else Sex.parse(sex)
    table = None if labels is None else read_labels(labels, need_bone_age=False)
    if table is not None and table.discarded:
        note(f"note: {labels}: {describe_discards(table.discarded)}")
    found = find_inputs(inputs)
    for text in found.notes:
        note(f"note: {text}")
    if not found.files:
        raise NoInputError("There is no radiograph among the inputs.")
    predictor = load(model, intake=intake)
    if not predictor.gives_heat_map:
        raise SettingsError(
            f"--model: {predictor.card.name} gives no heat map. Use an EfficientNet that this "
            "release has exported (boneage train --architecture efficientnet)."
        )
    folder = claim_image_folder(out)
    answers = predict_files(predictor, found.files, sex=known, labels=table)
    names = _names([file.id for file in found.files])
    statuses: list[str] = []
    with open_table(folder / _TABLE) as write:
        for (row, answer), name in zip(
            with_progress(answers, len(found.files), "Explaining"), names, strict=True
        ):
            drawn = row if answer is None else _draw(row, answer, folder / name, opacity)
            write(drawn)
            statuses.append(drawn.status)
    note(f"{counted(statuses)}. Written to {folder}")
    if set(statuses) != {"ok"}:
        raise typer.Exit(_EXIT_SOME_NOT_OK)


def _draw(row: "Row", prediction: "Prediction", path: Path, opacity: float) -> "Row":
    """Write the picture of one prediction; the row says so if its file is gone by now."""
    from boneage.errors import RadiographError
    from boneage.inference.overlay import draw_overlay, write_overlay
    from boneage.inference.rows import Row
    from boneage.radiographs.readers import read_radiograph

    try:
        # Read again: keeping all pixels until their batch is done would cost memory without bound.
        radiograph = read_radiograph(row.path)
    except RadiographError as error:
        return Row(row.path, row.id, "failed", row.sex, message=str(error))
    write_overlay(path, draw_overlay(radiograph, prediction, opacity=opacity))
    return row


def _names(ids: list[str]) -> Iterator[str]:
    """A file name for each id; what is taken already gets a number."""
    taken: set[str] = set()
    for name in ids:
        number, free = 1, name
        while free.lower() in taken:  # file systems may not tell 1A.png from 1a.png
            number += 1
            free = f"{name}-{number}"
        taken.add(free.lower())
        yield f"{free}.png"

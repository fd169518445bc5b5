"""``boneage explain``: a picture of what decided for each radiograph, and its row."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boneage.apps.exits import EXIT_SOME_NOT_OK
from boneage.apps.prediction_inputs import (
    Inputs,
    Intake,
    LabelTableOption,
    SexOption,
    read_given,
)
from boneage.errors import SettingsError

if TYPE_CHECKING:
    from boneage.inference.prediction import Prediction
    from boneage.inference.rows import Row

__all__ = ["explain"]

_TABLE = "rows.csv"


def explain(
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where to write a PNG for each radiograph and rows.csv. The folder must be new or "
            "empty.",
        ),
    ],
    labels: LabelTableOption = None,
    sex: SexOption = None,
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
    intake: Intake = True,
) -> None:
    """Draw what decided on a bone age: a heat map over each radiograph.

    Orange makes the child older, blue younger; the legend is in months. Each PNG has the name of
    its input; of inputs with the same name, the later ones get a number. rows.csv has the rows of
    "boneage predict". Exit code: 0 if every input is ok, 1 if some were refused or failed, 2 if
    the command line is wrong or there is no input.
    """
    from boneage.apps.screen import counted, note, with_progress
    from boneage.inference.predictor import load
    from boneage.inference.rows import open_table
    from boneage.inference.run import predict_files
    from boneage.reports.prepared_images import claim_image_folder

    if not 0 < opacity <= 1:
        raise SettingsError(f"--opacity must be above 0 to 1, not {opacity!r}.")
    files, known, table = read_given(inputs, labels, sex)
    predictor = load(model, intake=intake)
    if not predictor.gives_heat_map:
        raise SettingsError(
            f"--model: {predictor.card.name} gives no heat map. Use an EfficientNet that this "
            "release has exported (boneage train --architecture efficientnet)."
        )
    folder = claim_image_folder(out)
    answers = predict_files(predictor, files, sex=known, labels=table)
    names = _names([file.id for file in files])
    statuses: list[str] = []
    with open_table(folder / _TABLE) as write:
        for (row, answer), name in zip(
            with_progress(answers, len(files), "Explaining"), names, strict=True
        ):
            drawn = row if answer is None else _draw(row, answer, folder / name, opacity)
            write(drawn)
            statuses.append(drawn.status)
    note(f"{counted(statuses)}. Written to {folder}")
    if set(statuses) != {"ok"}:
        raise typer.Exit(EXIT_SOME_NOT_OK)


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

"""Options that the training verbs share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "BatchSize",
    "Cache",
    "Device",
    "Devices",
    "Epochs",
    "ImagesFolder",
    "LabelTable",
    "Nodes",
    "Overwrite",
    "Threads",
    "Workers",
]

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Remove the run in --out and start anew.")
]

ImagesFolder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The images folder, if DATA leaves a choice.")
]

LabelTable = Annotated[
    Path | None, typer.Option(metavar="CSV", help="The label table, if DATA leaves a choice.")
]

Epochs = Annotated[
    int | None, typer.Option(metavar="N", help="Passes over the training radiographs.")
]

BatchSize = Annotated[
    int | None,
    typer.Option(metavar="N", help="Radiographs in a step of all devices together, 1 to 4096."),
]

Device = Annotated[
    str | None,
    typer.Option(
        metavar="auto|cpu|cuda|mps", help="Where to compute [auto: a GPU where there is one]."
    ),
]

Devices = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="GPUs of each machine that train one network together, or processes on the CPU; "
        "0: all GPUs [1].",
    ),
]

Nodes = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Machines that train together; torchrun or srun starts boneage there [1]."
    ),
]

Threads = Annotated[
    int | None, typer.Option(metavar="N", help="CPU threads of each process; 0: all cores [0].")
]

Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder for prepared images. Default: $BONEAGE_CACHE, else the user's.",
    ),
]

Workers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Processes that prepare images. Default: all cores."),
]

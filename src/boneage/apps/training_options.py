"""Options that the training verbs share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Architecture",
    "BatchSize",
    "Cache",
    "Config",
    "DataFolder",
    "Device",
    "Devices",
    "Epochs",
    "ImagesFolder",
    "LabelTable",
    "LearningRate",
    "Loss",
    "Nodes",
    "Overwrite",
    "Patience",
    "Precision",
    "Preprocessing",
    "Pretrained",
    "RunFolder",
    "Seed",
    "Size",
    "SplitTable",
    "Threads",
    "ValidationFraction",
    "WeightDecay",
    "Width",
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

Architecture = Annotated[
    str | None,
    typer.Option(
        metavar="residual|hypermodel|efficientnet",
        help="residual (default); hypermodel, the one that a hyperparameter search goes over; "
        "or efficientnet, EfficientNet-Lite0.",
    ),
]

Size = Annotated[
    int | None,
    typer.Option(metavar="PX", help="Side of the prepared image, 32 to 2048 [256]."),
]

Width = Annotated[
    int | None,
    typer.Option(metavar="N", help="Residual: channels of the first stage, 8 to 512."),
]

Pretrained = Annotated[
    bool | None,
    typer.Option(
        "--pretrained/--no-pretrained", help="EfficientNet: start from ImageNet weights [no]."
    ),
]

LearningRate = Annotated[
    float | None, typer.Option(metavar="RATE", help="Peak learning rate, above 0 to 1.")
]

WeightDecay = Annotated[
    float | None, typer.Option(metavar="X", help="Weight decay of AdamW, 0 to 10.")
]

Loss = Annotated[
    str | None,
    typer.Option(metavar="l1|smooth_l1|mse|distribution", help="Loss function [l1]."),
]

Patience = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Stop after so many epochs without a better validation MAE; 0: never."
    ),
]

ValidationFraction = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE", help="Without --split: share that validates, above 0 to 0.5 [0.1]."
    ),
]

Seed = Annotated[
    int | None,
    typer.Option(metavar="N", help="Fixes weights, order, augmentation and dropout [0]."),
]

Precision = Annotated[
    str | None,
    typer.Option(
        metavar="auto|bf16|float32",
        help="auto is bf16 where the processor computes in it, else float32 [auto].",
    ),
]

Preprocessing = Annotated[
    bool,
    typer.Option(
        "--preprocessing/--no-preprocessing",
        help="Standardise the images (default), or take them as they are: square, all of the "
        "size that --size says.",
    ),
]

Config = Annotated[
    Path | None,
    typer.Option(
        metavar="JSON",
        help="Settings to start from: a recipe, the config.json of a run, or the settings in "
        "it. The options below go before it.",
    ),
]

SplitTable = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="Table id,split that says who trains and who validates (train, val). Without it "
        "a share is set aside for validation, drawn over sexes and ages.",
    ),
]

DataFolder = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A folder with one images folder and one label table (columns id, boneage in "
        "months, and male or sex), or with Training/, Test/, training.csv and test.csv.",
    ),
]

RunFolder = Annotated[Path, typer.Option(metavar="RUN", help="Run folder to make.")]

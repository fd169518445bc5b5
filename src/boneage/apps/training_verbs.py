"""The verbs that train: ``boneage train`` and ``boneage demo``.

They stand apart from :mod:`boneage.apps.cli` because of their many options; like there, a verb
reads its options, calls what does the work, and shows the result.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from boneage.apps.training_options import (
    Architecture,
    BatchSize,
    Cache,
    Config,
    DataFolder,
    Device,
    Devices,
    Epochs,
    ImagesFolder,
    LabelTable,
    LearningRate,
    Loss,
    Nodes,
    Overwrite,
    Patience,
    Precision,
    Preprocessing,
    Pretrained,
    RunFolder,
    Seed,
    Size,
    SplitTable,
    Threads,
    ValidationFraction,
    WeightDecay,
    Width,
    Workers,
)

__all__ = ["demo", "train"]


def train(
    data: DataFolder,
    out: RunFolder,
    split: SplitTable = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, from its last epoch.")
    ] = False,
    overwrite: Overwrite = False,
    images: ImagesFolder = None,
    labels: LabelTable = None,
    config: Config = None,
    preprocessing: Preprocessing = True,
    architecture: Architecture = None,
    size: Size = None,
    conv_layers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Hypermodel: convolutional layers, usually 3 to 5 [4]."),
    ] = None,
    conv_filters: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Hypermodel: filters of the first layer; each further one doubles [16].",
        ),
    ] = None,
    dense_depth: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Hypermodel: dense layers after joining the sex, usually 1 to 3 [1]."
        ),
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Dropout, 0 to below 1 [0.2].")
    ] = None,
    width: Width = None,
    pretrained: Pretrained = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    weight_decay: WeightDecay = None,
    loss: Loss = None,
    patience: Patience = None,
    validation_fraction: ValidationFraction = None,
    seed: Seed = None,
    device: Device = None,
    devices: Devices = None,
    nodes: Nodes = None,
    precision: Precision = None,
    threads: Threads = None,
    cache: Cache = None,
    workers: Workers = None,
) -> None:
    """Train a network on a folder of labelled radiographs.

    Pairs images with labels, prepares them (once; a cache keeps them), trains, chooses the epoch
    with the smallest validation error, and fills RUN: config.json, metrics.csv (a row an epoch),
    metrics.json, predictions.csv, discarded.csv, plots/ and bundle/, the model that
    "boneage predict --model RUN/bundle" takes. A run that was stopped goes on with the same
    command and --resume.
    """
    from boneage.errors import require_extra

    require_extra("train", "torch", "pytorch_lightning", "onnx", "matplotlib")
    from boneage.apps.training_inputs import read_inputs

    given: dict[str, Any] = {
        "architecture": architecture,
        "size_px": size,
        "conv_layers": conv_layers,
        "conv_filters": conv_filters,
        "dense_depth": dense_depth,
        "dropout": dropout,
        "width": width,
        "pretrained": pretrained,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "loss": loss,
        "patience": patience,
        "validation_fraction": validation_fraction,
        "seed": seed,
        "device": device,
        "devices": devices,
        "nodes": nodes,
        "precision": precision,
        "threads": threads,
    }
    settings, found, _, speaks = read_inputs(
        data,
        given,
        config=config,
        preprocessing=preprocessing,
        images=images,
        labels=labels,
        cache=cache,
    )
    # Not before: this takes seconds, and what was said wrong is told without it.
    from boneage.reports.run_plots import draw_run_plots
    from boneage.training.run import train_run

    run = train_run(
        found,
        settings,
        out,
        split=split,
        resume=resume,
        overwrite=overwrite,
        workers=workers,
    )
    if not speaks:
        return
    draw_run_plots(out)
    print("\n".join(run.summary))
    print(run.metrics.summary())
    print(f"Written to {out}; the model is {run.bundle}")


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for everything.")] = Path("demo"),
    count: Annotated[
        int, typer.Option(metavar="N", help="Synthetic radiographs to train on, 100 to 100000.")
    ] = 1200,
    epochs: Annotated[int, typer.Option(metavar="N", help="Passes over them, 1 to 10000.")] = 15,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, other hands.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier demo in --out.")
    ] = False,
) -> None:
    """Show the whole of it without any data.

    Draws synthetic hand radiographs, trains a small network on them, evaluates it on others that
    it has not seen, and writes plots and a report. Its figures are about synthetic radiographs and
    say nothing about children.
    """
    from boneage.apps.screen import note
    from boneage.errors import require_extra

    require_extra("train", "torch", "pytorch_lightning", "onnx", "matplotlib")
    from boneage.reports.demo_run import run_demo

    done = run_demo(out, count=count, epochs=epochs, seed=seed, overwrite=overwrite, tell=note)
    print("Synthetic radiographs: these figures say nothing about children.")
    print(done.metrics.summary())
    print(f"Took {done.seconds:.0f} s. Open {done.report}")

"""``boneage search``: hyperparameters that suit the data, found by trying."""

from typing import Annotated, Any

import typer

from boneage.apps.search_options import (
    ConvFilters,
    ConvLayers,
    DenseDepth,
    Dropouts,
    Fraction,
    Pruning,
    SpaceFile,
    Trials,
    space_from,
)
from boneage.apps.training_options import (
    BatchSize,
    Cache,
    Config,
    DataFolder,
    Device,
    Epochs,
    ImagesFolder,
    LabelTable,
    LearningRate,
    Loss,
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

__all__ = ["search"]


def search(
    data: DataFolder,
    out: RunFolder,
    conv_layers: ConvLayers = None,
    conv_filters: ConvFilters = None,
    dense_depth: DenseDepth = None,
    dropout: Dropouts = None,
    space: SpaceFile = None,
    fraction: Fraction = None,
    trials: Trials = None,
    pruning: Pruning = True,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Where the study is kept: journal:PATH, or "
            "postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE. Default: a journal in RUN.",
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its name there. Default: the name of RUN.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the search in --out, or begin it. Several processes may do so at once "
            "and share the trials.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove the search in --out and start anew.")
    ] = False,
    split: SplitTable = None,
    images: ImagesFolder = None,
    labels: LabelTable = None,
    config: Config = None,
    preprocessing: Preprocessing = True,
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="residual|hypermodel|efficientnet",
            help="hypermodel, unless --config says otherwise. The others need --space.",
        ),
    ] = None,
    size: Size = None,
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
    precision: Precision = None,
    threads: Threads = None,
    cache: Cache = None,
    workers: Workers = None,
) -> None:
    """Search hyperparameters: try combinations, learn from each, keep the best.

    Tries a share of all combinations of the hypermodel's layers, filters, dense layers and dropout,
    and of whatever --space adds. Each trial trains on the training part; the validation part
    chooses the epoch and the best trial. RUN gets trials.csv, plots/ and best.json, which
    "boneage train --config RUN/best.json" takes.
    """
    from boneage.errors import require_extra

    require_extra("train", "torch", "pytorch_lightning", "onnx", "matplotlib", "optuna")
    from boneage.apps.screen import note
    from boneage.apps.training_inputs import read_inputs

    if architecture is None and config is None:
        architecture = "hypermodel"
    given: dict[str, Any] = {
        "architecture": architecture,
        "size_px": size,
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
        "precision": precision,
        "threads": threads,
    }
    settings, found, _, _ = read_inputs(
        data,
        given,
        config=config,
        preprocessing=preprocessing,
        images=images,
        labels=labels,
        cache=cache,
    )
    # Not before: this takes seconds, and what was said wrong is told without it.
    from boneage.reports.search_plots import draw_search_plots
    from boneage.training.search.run import search_run

    done = search_run(
        found,
        settings,
        space_from(
            settings,
            space,
            conv_layers=conv_layers,
            conv_filters=conv_filters,
            dense_depth=dense_depth,
            dropout=dropout,
        ),
        out,
        trials=trials,
        fraction=fraction,
        split=split,
        storage=storage,
        study=study,
        pruning=pruning,
        resume=resume,
        overwrite=overwrite,
        workers=workers,
        tell=note,
    )
    for text in draw_search_plots(out).left_out:
        note(f"note: {text}")
    print(done.summary())
    print(f"Written to {out}; train with: boneage train {data} --config {out / 'best.json'} ...")

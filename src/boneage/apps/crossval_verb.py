"""``boneage crossval``: a network a fold, out-of-fold figures, and the model they give."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boneage.apps.search_options import (
    ConvFilters,
    ConvLayers,
    DenseDepth,
    Dropouts,
    Fraction,
    SpaceFile,
    Trials,
    space_from,
)
from boneage.apps.training_inputs import read_inputs
from boneage.apps.training_options import (
    Architecture,
    BatchSize,
    Cache,
    Device,
    Devices,
    Epochs,
    ImagesFolder,
    LabelTable,
    Overwrite,
    Threads,
    Workers,
)

if TYPE_CHECKING:
    from boneage.dataset.data import Data
    from boneage.training.folds import Choose
    from boneage.training.settings import TrainingSettings

__all__ = ["crossval"]


def crossval(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="A folder with one images folder and one label table."),
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Run folder to make.")],
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            help="How to train: a recipe, or the config.json of a run. Without it the defaults of "
            '"boneage train" hold.',
        ),
    ] = None,
    folds: Annotated[int, typer.Option(metavar="N", help="Number of folds, 2 to 50.")] = 5,
    fold: Annotated[
        list[int] | None,
        typer.Option(
            metavar="K",
            help="Train this fold only (from 1; may be given again for more). Several processes "
            "can share the work so; the last one combines the folds.",
        ),
    ] = None,
    result: Annotated[
        str,
        typer.Option(
            metavar="ensemble|refit",
            help="The finished model: the ensemble of the folds' networks, or one network that is "
            "trained once more, on all the radiographs of the folds.",
        ),
    ] = "ensemble",
    test: Annotated[
        bool,
        typer.Option(
            "--test",
            help="Score the test set of DATA (Test/ and test.csv) once, with the finished model.",
        ),
    ] = False,
    split: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Table id,split: only the part train is dealt into folds. The others are held "
            "out, and the finished model is measured on them once, at the end.",
        ),
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Train on: each fold from its own network in the run folder or the ensemble of an "
            "earlier cross-validation over the same folds.",
        ),
    ] = None,
    search: Annotated[
        bool,
        typer.Option(
            "--search",
            help="Search the settings of each fold, within what it learns from; the options that "
            "follow say what over. See boneage search.",
        ),
    ] = False,
    conv_layers: ConvLayers = None,
    conv_filters: ConvFilters = None,
    dense_depth: DenseDepth = None,
    dropout: Dropouts = None,
    space: SpaceFile = None,
    fraction: Fraction = None,
    trials: Trials = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the run in --out: finished folds are kept as they are."
        ),
    ] = False,
    overwrite: Overwrite = False,
    images: ImagesFolder = None,
    labels: LabelTable = None,
    architecture: Architecture = None,
    size: Annotated[
        int | None,
        typer.Option(metavar="PX", help="Side of the prepared image, 32 to 2048."),
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Fixes folds, weights, order, augmentation and dropout."),
    ] = None,
    device: Device = None,
    devices: Devices = None,
    threads: Threads = None,
    cache: Cache = None,
    workers: Workers = None,
) -> None:
    """Cross-validate: train a network on all folds but one, for each fold, and combine them.

    The folds are stratified by sex and bone age. RUN gets a folder a fold, predictions.csv and
    metrics.json with the out-of-fold figures, and bundle/, the finished model with an interval
    from the out-of-fold errors. A run that was stopped goes on with the same
    command and --resume; a finished fold is never trained again.
    """
    from boneage.errors import SettingsError, require_extra

    require_extra("train", "torch", "pytorch_lightning", "onnx", "matplotlib")

    if search and architecture is None and config is None:
        architecture = "hypermodel"
    given: dict[str, Any] = {
        "architecture": architecture,
        "size_px": size,
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed,
        "device": device,
        "devices": devices,
        "threads": threads,
    }
    of_a_search: dict[str, Any] = {
        "conv_layers": conv_layers,
        "conv_filters": conv_filters,
        "dense_depth": dense_depth,
        "dropout": dropout,
        "space": space,
        "fraction": fraction,
        "trials": trials,
    }
    if not search and (named := [name for name, value in of_a_search.items() if value is not None]):
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in named)
        raise SettingsError(f"{flags} is for a search: say --search as well.")
    settings, found, recipe, _ = read_inputs(
        data,
        given,
        config=config,
        preprocessing=True,
        images=images,
        labels=labels,
        cache=cache,
    )
    choose = _chooser(settings, workers, **of_a_search) if search else None
    # Not before: this takes seconds, and what was said wrong is told without it.
    from boneage.reports.run_plots import draw_run_plots
    from boneage.training.crossval import crossval_run

    done = crossval_run(
        found,
        settings,
        out,
        folds=folds,
        only=tuple(fold or ()),
        result=result,
        test=test,
        split=split,
        card=dict(recipe.card),
        before=recipe.stages_before(given),
        start_from=start_from,
        choose=choose,
        resume=resume,
        overwrite=overwrite,
        workers=workers,
    )
    combined = done.combined
    if combined is None:
        print(f"{len(done.finished)} of {done.folds} folds are finished in {out}.")
        return
    draw_run_plots(out)
    print("Out of fold, each radiograph by the one network that did not learn from it:")
    print(combined.out_of_fold.summary())
    print(combined.summary())
    for title, metrics in (
        ("Held out from every fold, by the finished model:", combined.held_out),
        ("The test set, by the finished model:", combined.test),
    ):
        if metrics is not None:
            print(title)
            print(metrics.summary())
    print(f"Written to {out}; the model ({result}) is {combined.bundle}")


def _chooser(
    settings: "TrainingSettings",
    workers: int | None,
    *,
    space: Path | None,
    fraction: float | None,
    trials: int | None,
    **lists: Any,
) -> "Choose":
    """A search that finds a fold's settings from what the fold learns from.

    Raises:
        SettingsError: The space cannot be searched.
    """
    from boneage.apps.screen import note
    from boneage.training.search.run import search_run

    searched = space_from(settings, space, **lists)
    searched.check(settings)
    searched.trials_for(trials=trials, fraction=fraction)

    def choose(training: "Data", begin: "TrainingSettings", folder: Path) -> "TrainingSettings":
        found = search_run(
            training,
            begin,
            searched,
            folder,
            trials=trials,
            fraction=fraction,
            resume=True,
            workers=workers,
            tell=lambda text: note(f"{folder.name}, {text}"),
        )
        return found.best_settings

    return choose

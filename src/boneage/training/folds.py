"""One network of a cross-validation: its settings, its stages, and whether it is finished.

A fold lies in a folder of its own. One that is finished is kept and never trained again; one that
was interrupted goes on from its last epoch.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from boneage.dataset.data import Data
from boneage.errors import BundleError, SettingsError
from boneage.files import make_folder, write_csv
from boneage.inference.bundle import read_card
from boneage.training.recipe import read_recipe
from boneage.training.run import train_run
from boneage.training.run_folder import CONFIG_FILE, METRICS_FILE, fold_folder, stage_folder
from boneage.training.settings import TrainingSettings
from boneage.training.start import Start, read_start

__all__ = ["Choose", "chosen_settings", "is_finished", "settings_of", "train_fold", "train_stages"]

Choose = Callable[[Data, TrainingSettings, Path], TrainingSettings]
"""Finds settings, as a search does: from radiographs to learn from, the settings to begin with and
a folder of its own. It is called again with the same folder where it was interrupted."""


def is_finished(folder: Path) -> bool:
    """Whether a network is complete: its figures are written last, after its bundle."""
    if not (folder / METRICS_FILE).is_file():
        return False
    try:
        read_card(folder / "bundle")
    except BundleError:
        return False
    return True


def settings_of(folder: Path) -> TrainingSettings:
    """The settings that a run folder was begun with.

    Raises:
        SettingsError: Its ``config.json`` cannot be read.
    """
    return read_recipe(folder / CONFIG_FILE).settings


def chosen_settings(
    choose: Choose | None,
    training: Data,
    settings: TrainingSettings,
    folder: Path,
    search: Path,
) -> TrainingSettings:
    """The settings of one network: those given, or those that ``choose`` finds.

    Args:
        choose: Finds settings; None to take them as they are.
        training: What the network learns from, and nothing that it is measured on.
        settings: The settings to begin with.
        folder: The network's run folder; if it has begun, what was chosen stands in its
            ``config.json`` and is not chosen again.
        search: Folder for the choice.

    Returns:
        The settings, with the device and the threads of ``settings``.

    Raises:
        SettingsError: The choice is of another size than the images are prepared at.
    """
    if choose is None:
        return settings
    begun = (folder / CONFIG_FILE).is_file()
    chosen = settings_of(folder) if begun else choose(training, settings, search)
    if chosen.size_px != settings.size_px:
        raise SettingsError(
            f"The search chose --size {chosen.size_px}, but the images are prepared at "
            f"{settings.size_px} px. Leave the size out of the search."
        )
    return chosen.updated(seed=settings.seed, device=settings.device, threads=settings.threads)


def train_fold(
    training: Data,
    stages: Sequence[TrainingSettings],
    out: Path,
    fold: int,
    fold_of: Mapping[str, int],
    *,
    choose: Choose | None = None,
    start_from: Path | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Train the network of one fold, unless it is finished.

    Args:
        training: The radiographs of all folds.
        stages: Settings of the stages, the last one last, whose ``seed + fold`` seeds each.
        out: Run folder of the cross-validation.
        fold: The fold that is kept from training, from 1.
        fold_of: Fold by id.
        choose: Finds the settings of the last stage.
        start_from: The run of an earlier cross-validation, or its ensemble, to train on from.
        workers: Processes that prepare images; all cores by default.
        progress: Show progress bars where there is a terminal.

    Raises:
        BoneAgeError: See :func:`boneage.training.run.train_run`.
    """
    folder = fold_folder(out, fold)
    if is_finished(folder):
        return
    table = out / "splits" / f"fold-{fold}.csv"
    make_folder(table.parent)
    parts = {name: "val" if own == fold else "train" for name, own in fold_of.items()}
    write_csv(table, ("id", "split"), list(parts.items()))
    learned = training.subset(name for name, part in parts.items() if part == "train")

    def train(stage: TrainingSettings, folder: Path, start: Start | None, last: bool) -> None:
        settings = stage.updated(seed=(stages[-1].seed + fold) % 2**32)
        if last:
            search = fold_folder(out / "search", fold)
            settings = chosen_settings(choose, learned, settings, folder, search)
        train_run(
            training.at_size(settings.size_px),
            settings,
            folder,
            split=table,
            name=f"{out.name} fold {fold}",
            start=start,
            resume=True,
            workers=workers,
            progress=progress,
        )

    start = None if start_from is None else read_start(start_from, fold)
    train_stages(stages, out, lambda run: fold_folder(run, fold), start, train)


def train_stages(
    stages: Sequence[TrainingSettings],
    out: Path,
    folder_in: Callable[[Path], Path],
    start: Start | None,
    train: Callable[[TrainingSettings, Path, Start | None, bool], None],
) -> None:
    """Train one network stage by stage, each from the weights that the one before it left.

    Args:
        stages: Settings of the stages, the last one last.
        out: Run folder of the cross-validation; the earlier stages have folders of their own in it.
        folder_in: The network's folder in the run folder of a stage.
        start: Weights that the first stage starts from.
        train: Trains a stage: its settings, the network's folder, the weights to start from, and
            whether it is the last one. It is not called for an earlier stage that is finished.
    """
    for at, stage in enumerate(stages, start=1):
        last = at == len(stages)
        folder = folder_in(out if last else stage_folder(out, at))
        if last or not is_finished(folder):
            train(stage, folder, start, last)
        start = None if last else read_start(folder)

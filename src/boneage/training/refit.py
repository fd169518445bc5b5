"""The refit: one network on all the radiographs that a cross-validation has dealt into folds.

It is trained as the folds were and nothing is chosen on what it learns from, so it needs no
validation part: it keeps its last epoch, and where the folds kept their best one it trains for
as many epochs as those were at in the middle.
"""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from boneage import __version__
from boneage.dataset.data import Data
from boneage.dataset.records import write_discarded
from boneage.errors import InputError
from boneage.files import write_json
from boneage.inference.card import Card
from boneage.training.export import export_bundle, to_onnx
from boneage.training.fit import fit
from boneage.training.folds import Choose, chosen_settings, is_finished, train_stages
from boneage.training.measuring import card_facts, learned_from
from boneage.training.run_folder import (
    METRICS_FILE,
    REFIT,
    data_facts,
    fold_folder,
    open_run,
)
from boneage.training.settings import TrainingSettings
from boneage.training.start import Start, read_start

__all__ = ["check_refit_start", "refit_network"]


def check_refit_start(start_from: Path) -> None:
    """Refuse to train a refit on from a cross-validation that has none.

    Raises:
        InputError: There is no refit in ``start_from``.
    """
    if not is_finished(start_from / REFIT):
        raise InputError(
            f"--start-from {start_from} holds no finished refit, and the networks of its folds "
            "have not learned from all radiographs. Give the run folder of a crossval with "
            "--result refit, or leave --result refit out."
        )


def refit_network(
    training: Data,
    stages: Sequence[TrainingSettings],
    out: Path,
    folds: int,
    *,
    choose: Choose | None = None,
    start_from: Path | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Train one network on all radiographs, unless it is finished.

    Args:
        training: The radiographs of all folds.
        stages: Settings of the stages, the last one's last.
        out: Run folder of the cross-validation, with every fold finished.
        folds: Number of folds.
        choose: Finds the settings of the last stage, as it did for each fold.
        start_from: Run folder of an earlier cross-validation with a refit to train on from.
        workers: Processes that prepare images; all cores by default.
        progress: Show progress bars where there is a terminal.

    Returns:
        The folder of the refit.

    Raises:
        BoneAgeError: See :func:`boneage.training.run.train_run`.
    """
    folder = out / REFIT
    if is_finished(folder):
        return folder

    def train(stage: TrainingSettings, folder: Path, start: Start | None, last: bool) -> None:
        settings = stage
        if last:
            settings = chosen_settings(choose, training, stage, folder, out / "search" / REFIT)
        epochs = _epochs(settings, folder.parent, folds)
        settings = settings.updated(keep="last", epochs=epochs, seed=stages[-1].seed)
        at_its_size = training.at_size(settings.size_px)
        _train_on_all(at_its_size, settings, folder, f"{out.name} refit", start, workers, progress)

    start = None if start_from is None else read_start(start_from / REFIT)
    train_stages(stages, out, lambda run: run / REFIT, start, train)
    return folder


def _epochs(settings: TrainingSettings, run: Path, folds: int) -> int:
    """Epochs of the settings, or the middle one of the folds' best epochs."""
    if settings.keep == "last":
        return settings.epochs
    files = [fold_folder(run, fold) / METRICS_FILE for fold in range(1, folds + 1)]
    best = [int(json.loads(file.read_text(encoding="utf-8"))["best_epoch"]) for file in files]
    return round(statistics.median(best))


def _train_on_all(
    training: Data,
    settings: TrainingSettings,
    folder: Path,
    name: str,
    start: Start | None,
    workers: int | None,
    progress: bool,
) -> None:
    config = {
        "boneage_version": __version__,
        "settings": settings.to_dict(),
        "data": data_facts(training, train=training.records),
        **({} if start is None else {"start_sha256": start.sha256}),
    }
    run = open_run(folder, config, resume=True)
    prepared = training.prepare(workers=workers, progress=progress)
    write_discarded(folder / "discarded.csv", prepared.discarded)
    result = fit(settings, prepared, None, folder, start=start, resume=run.resumed)
    card = Card(
        **card_facts(name, training.preparation, settings.size_px, prepared),
        trained_on={**learned_from(prepared), "settings": settings.to_dict()},
    )
    graph = to_onnx(result.network, settings.size_px)
    export_bundle(folder / "bundle", result.network, graph, card)
    write_json(
        folder / METRICS_FILE,
        {
            "count": len(prepared),
            "epochs_run": result.epochs_run,
            "note": "It learned from every radiograph of the folds, so there are no figures of it "
            "on them.",
        },
    )

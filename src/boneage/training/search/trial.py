"""One trial: train with a combination, and let go of it where it is poor."""

import csv
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from optuna import TrialPruned

from boneage import __version__
from boneage.dataset.prepared import PreparedData
from boneage.errors import RunExistsError, SettingsError, TrainingError
from boneage.files import output_errors
from boneage.training.checkpoints import check_readable
from boneage.training.fit import CHECKPOINT_FOLDER, fit
from boneage.training.run_folder import open_run
from boneage.training.search.queue import Queue, Taken, TakenOver
from boneage.training.settings import TrainingSettings

__all__ = ["TRIALS_FOLDER", "run_trial"]

TRIALS_FOLDER = "trials"


def run_trial(
    queue: Queue,
    taken: Taken,
    settings: TrainingSettings,
    parts: Mapping[str, PreparedData],
    out: Path,
    data_facts: Mapping[str, Any],
    tell: Callable[[str], None],
) -> str | None:
    """Run a trial that was taken, and put what it gave into the queue's study.

    Args:
        queue: Where it was taken from.
        taken: The trial.
        settings: How to train.
        parts: The parts ``train`` and ``validation``.
        out: Run folder of the search.
        data_facts: What the trial's ``config.json`` says of the data.
        tell: Is told how it went, in a line.

    Returns:
        Why the trial failed, or None if it did not.

    Raises:
        OutputError: Its folder cannot be written, or the storage no longer be used.
    """
    folder = out / TRIALS_FOLDER / taken.folder
    config = {
        "boneage_version": __version__,
        "settings": settings.to_dict(),
        "data": dict(data_facts),
    }
    _open_folder(folder, config)
    failure = None
    try:
        facts, complete = _train(queue, taken, settings, parts, folder)
        mae_months = facts["validation_mae_months"]
        queue.finish(taken, facts, mae_months if complete else None)
        given_up = "" if complete else f"given up after epoch {facts['epochs']}, "
        tell(f"{given_up}validation MAE {mae_months:.2f} months")
    except TakenOver:
        tell("taken over by another worker")
        return None
    except (TrainingError, MemoryError, RuntimeError) as error:
        # RuntimeError is how PyTorch says that memory does not suffice.
        failure = " ".join(str(error).split()) or type(error).__name__
    if failure is not None:
        queue.fail(taken, failure)
        tell(f"failed: {failure}")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    # A finished trial is never gone on with, and many checkpoints fill a disk.
    shutil.rmtree(folder / CHECKPOINT_FOLDER, ignore_errors=True)
    return failure


def _train(
    queue: Queue,
    taken: Taken,
    settings: TrainingSettings,
    parts: Mapping[str, PreparedData],
    folder: Path,
) -> tuple[dict[str, Any], bool]:
    """Train as far as it is worth it: how it went, and whether it came to its end."""

    def report(epoch: int, mae_months: float) -> None:
        queue.report(taken, epoch, mae_months, last=epoch == settings.epochs)

    train, validation = parts["train"], parts["validation"]
    try:
        result = fit(settings, train, validation, folder, resume=True, on_epoch=report)
    except TrialPruned:
        return _course(folder), False
    kept = {
        "validation_mae_months": result.best_mae_months,
        "best_epoch": result.best_epoch,
    }
    return _course(folder) | kept, True


def _open_folder(folder: Path, config: Mapping[str, Any]) -> None:
    """Go on with a trial where its folder is whole and of the same settings; else begin anew."""
    last = folder / CHECKPOINT_FOLDER / "last.ckpt"
    try:
        open_run(folder, config, resume=True)
        if last.exists():
            check_readable(last)
    except (RunExistsError, SettingsError, TrainingError):
        with output_errors(folder):
            shutil.rmtree(folder)
        open_run(folder, config)


def _course(folder: Path) -> dict[str, Any]:
    """How a trial went, earlier workers included, from its ``metrics.csv``."""
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    errors = [float(row["validation_mae_months"]) for row in rows]
    return {
        "validation_mae_months": min(errors),
        "best_epoch": errors.index(min(errors)) + 1,
        "epochs": len(rows),
        "seconds": sum(float(row["seconds"]) for row in rows),
    }

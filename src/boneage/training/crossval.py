"""Cross-validation: a network a fold, out-of-fold figures, and the ensemble of the folds.

Everything lies in the run folder, a fold in a folder of its own. A fold that is finished is kept
and never trained again; one that was interrupted goes on from its last epoch. Folds can be trained
by several processes at once, each told which are its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boneage import __version__
from boneage.dataset.data import Data
from boneage.dataset.splits import read_split, stratified_folds
from boneage.errors import BundleError, LabelsError, SettingsError
from boneage.files import make_folder, write_csv
from boneage.inference.bundle import read_card
from boneage.radiographs.preparation import PREPARATION_VERSION
from boneage.training.combine import Combined, combine_folds
from boneage.training.run import check_size, train_run
from boneage.training.run_folder import (
    FOLDS_FILE,
    METRICS_FILE,
    fold_folder,
    open_run,
    part_facts,
    stage_folder,
)
from boneage.training.settings import TrainingSettings
from boneage.training.start import check_same_folds, read_start

__all__ = ["CrossvalRun", "crossval_run"]

LARGEST_FOLDS = 50


@dataclass(frozen=True, eq=False)
class CrossvalRun:
    """What a cross-validation left.

    Attributes:
        path: The run folder.
        finished: Folds that are finished, from 1.
        folds: Number of folds.
        combined: Figures and the model of all folds, or None while folds are missing.
    """

    path: Path
    finished: tuple[int, ...]
    folds: int
    combined: Combined | None


def crossval_run(
    data: Data,
    settings: TrainingSettings,
    out: Path,
    *,
    folds: int = 5,
    only: Sequence[int] = (),
    split: Path | None = None,
    card: dict[str, Any] | None = None,
    before: Sequence[TrainingSettings] = (),
    start_from: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> CrossvalRun:
    """Train a network on all folds but one, for each fold, and combine them.

    Args:
        data: Radiographs with labels.
        settings: How to train; fold k is seeded with ``seed + k``.
        out: Run folder.
        folds: Number of folds, 2 to 50. They are stratified by sex and bone age.
        only: Train these folds (from 1) and no others; combine only if all are there.
        split: CSV that says who trains. Whoever it gives another part is held out: no fold sees
            them, and the ensemble is measured on them once, at the end.
        card: What the card of the ensemble is to say; see ``CARD_TEXTS``.
        before: Stages of training that each fold goes through first, every one from the weights
            that the one before it left.
        start_from: The run folder of an earlier cross-validation over the same folds, or its
            ensemble: each fold trains on from its own network there, without ``before``.
        resume: Go on with the run in ``out``.
        overwrite: Replace the run in ``out``.
        workers: Processes that prepare images; all cores by default.
        progress: Show progress bars where there is a terminal.

    Returns:
        What is there now.

    Raises:
        SettingsError: A setting does not fit the data, or the run was begun with others.
        RunExistsError: ``out`` is in use.
        LabelsError: The split leaves nobody to train on.
        OutputError: ``out`` or the cache cannot be written.
        TrainingError: The training cannot go on, or ``start_from`` is of another network.
        InputError: ``start_from`` is of other folds or cannot be trained on from.
    """
    check_size(data, settings)
    if not 2 <= folds <= LARGEST_FOLDS:
        raise SettingsError(f"--folds must be within 2 to {LARGEST_FOLDS}, not {folds}.")
    if strange := sorted(fold for fold in only if not 1 <= fold <= folds):
        raise SettingsError(f"--fold must be within 1 to {folds}, not {strange[0]}.")
    training, held_out = _set_apart(data, split)
    fold_of = {
        name: fold + 1
        for name, fold in stratified_folds(training.records, folds, settings.seed).items()
    }
    if start_from is not None:
        check_same_folds(start_from, fold_of)
    stages = [*before, settings] if start_from is None else [settings]
    earlier = [stage.to_dict() for stage in stages[:-1]]
    config = {
        "boneage_version": __version__,
        "settings": settings.to_dict(),
        "folds": folds,
        "data": {
            "preparation": None if data.preparation is None else data.preparation.to_dict(),
            "preparation_version": PREPARATION_VERSION,
            "train": part_facts(training.records),
            "held_out": part_facts(() if held_out is None else held_out.records),
        },
        **({"before": earlier} if earlier else {}),
        **({} if start_from is None else {"starts_from_trained": True}),
    }
    open_run(out, config, resume=resume, overwrite=overwrite)
    write_csv(out / FOLDS_FILE, ("id", "fold"), list(fold_of.items()))
    for fold in only or range(1, folds + 1):
        folder = fold_folder(out, fold)
        if not _is_finished(folder):
            table = out / "splits" / f"fold-{fold}.csv"
            make_folder(table.parent)
            _write_split(table, fold_of, fold)
            start = None if start_from is None else read_start(start_from, fold)
            for at, stage in enumerate(stages, start=1):
                last = at == len(stages)
                place = folder if last else fold_folder(stage_folder(out, at), fold)
                if last or not _is_finished(place):
                    train_run(
                        training,
                        stage.updated(seed=(settings.seed + fold) % 2**32),
                        place,
                        split=table,
                        name=f"{out.name} fold {fold}",
                        start=start,
                        resume=True,
                        workers=workers,
                        progress=progress,
                    )
                start = None if last else read_start(place)
    finished = tuple(fold for fold in range(1, folds + 1) if _is_finished(fold_folder(out, fold)))
    combined = None
    if len(finished) == folds:
        prepared = data.prepare(workers=workers, progress=progress)
        combined = combine_folds(
            out,
            settings,
            data.preparation,
            prepared,
            fold_of,
            () if held_out is None else tuple(record.id for record in held_out.records),
            card or {},
        )
    return CrossvalRun(out, finished, folds, combined)


def _set_apart(data: Data, split: Path | None) -> tuple[Data, Data | None]:
    """Who is dealt into folds, and who is held out."""
    if split is None:
        return data, None
    parts = read_split(split)
    train = [record.id for record in data.records if parts.get(record.id) == "train"]
    others = [record.id for record in data.records if parts.get(record.id, "train") != "train"]
    if not train:
        raise LabelsError(
            f"{split} leaves nobody to train on: none of the {len(data):,} radiographs is in its "
            "part train."
        )
    return data.subset(train), data.subset(others) if others else None


def _is_finished(folder: Path) -> bool:
    """Whether a fold is complete: its figures are written last, after its bundle."""
    if not (folder / METRICS_FILE).is_file():
        return False
    try:
        read_card(folder / "bundle")
    except BundleError:
        return False
    return True


def _write_split(path: Path, fold_of: dict[str, int], fold: int) -> None:
    rows = [(name, "val" if own == fold else "train") for name, own in fold_of.items()]
    write_csv(path, ("id", "split"), rows)

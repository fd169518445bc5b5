"""Cross-validation: a network a fold, out-of-fold figures, and the model that comes of it.

That is the ensemble of the folds' networks, or one network that is trained once more on all of
them. Everything lies in the run folder, a fold in a folder of its own. Folds can be trained by
several processes at once, each told which are its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boneage import __version__
from boneage.dataset.data import Data
from boneage.dataset.splits import read_split, stratified_folds
from boneage.errors import LabelsError, SettingsError
from boneage.files import write_csv
from boneage.training.combine import Combined, combine_folds
from boneage.training.folds import Choose, is_finished, train_fold
from boneage.training.processes import find_place
from boneage.training.refit import check_refit_start, refit_network
from boneage.training.run import check_size
from boneage.training.run_folder import FOLDS_FILE, data_facts, fold_folder, open_run
from boneage.training.settings import TrainingSettings
from boneage.training.start import check_same_folds

__all__ = ["RESULTS", "CrossvalRun", "crossval_run"]

LARGEST_FOLDS = 50
RESULTS = ("ensemble", "refit")


@dataclass(frozen=True, eq=False)
class CrossvalRun:
    """What a cross-validation left.

    Attributes:
        path: The run folder.
        finished: Folds that are finished, from 1.
        folds: Number of folds.
        combined: Figures and the finished model, or None while folds are missing.
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
    result: str = "ensemble",
    choose: Choose | None = None,
    test: bool = False,
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
        result: ``ensemble`` of the folds' networks, or ``refit``: one network that learns from all
            folds when they are done. It may be asked for of a run that was begun without.
        choose: Finds the settings of each network from what that network learns from, as a search
            does; the folder is ``search/fold-k`` or ``search/refit``. What it found for a network
            that has begun is kept.
        test: Score the test set of ``data`` (four-part layout) once, with the finished model.
        split: CSV that says who trains. Whoever it gives another part is held out: no fold sees
            them, and the finished model is measured on them once, at the end.
        card: What the card of the finished model is to say; see ``CARD_TEXTS``.
        before: Stages of training that each fold goes through first, every one from the weights
            that the one before it left. A stage of another size learns from the same radiographs,
            prepared at its own.
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
    _check(data, settings, folds, only, result, test)
    stages = _stages(settings, before, choose, start_from)
    _check_sizes(data, stages)
    if start_from is not None and result == "refit":
        check_refit_start(start_from)
    training, held_out = _set_apart(data, split)
    fold_of = {
        name: fold + 1
        for name, fold in stratified_folds(training.records, folds, settings.seed).items()
    }
    if start_from is not None:
        check_same_folds(start_from, fold_of)
    earlier = [stage.to_dict() for stage in stages[:-1]]
    config = {
        "boneage_version": __version__,
        "settings": settings.to_dict(),
        "folds": folds,
        "data": data_facts(
            data,
            train=training.records,
            held_out=() if held_out is None else held_out.records,
        ),
        **({"before": earlier} if earlier else {}),
        **({} if start_from is None else {"starts_from_trained": True}),
        **({} if choose is None else {"searched": True}),
    }
    open_run(out, config, resume=resume, overwrite=overwrite)
    write_csv(out / FOLDS_FILE, ("id", "fold"), list(fold_of.items()))
    how: dict[str, Any] = {
        "choose": choose,
        "start_from": start_from,
        "workers": workers,
        "progress": progress,
    }
    for fold in only or range(1, folds + 1):
        train_fold(training, stages, out, fold, fold_of, **how)
    finished = tuple(fold for fold in range(1, folds + 1) if is_finished(fold_folder(out, fold)))
    combined = None
    if len(finished) == folds:
        refit = None
        if result == "refit":
            refit = refit_network(training, stages, out, folds, **how)
        prepared = data.prepare(workers=workers, progress=progress)
        combined = combine_folds(
            out,
            settings,
            data.preparation,
            prepared,
            fold_of,
            () if held_out is None else tuple(record.id for record in held_out.records),
            card or {},
            refit=refit,
            test=data.test.prepare(workers=workers, progress=progress)
            if test and data.test is not None
            else None,
        )
    return CrossvalRun(out, finished, folds, combined)


def _check(
    data: Data, settings: TrainingSettings, folds: int, only: Sequence[int], result: str, test: bool
) -> None:
    """Refuse what cannot be before anything is written.

    Raises:
        SettingsError: An option is out of its range, or two contradict each other.
    """
    check_size(data, settings)
    if find_place(settings).count > 1:
        raise SettingsError(
            "torchrun and srun start one training, and a cross-validation is several. Start it as "
            "one process with --devices, or share the folds among machines with --fold."
        )
    if not 2 <= folds <= LARGEST_FOLDS:
        raise SettingsError(f"--folds must be within 2 to {LARGEST_FOLDS}, not {folds}.")
    if strange := sorted(fold for fold in only if not 1 <= fold <= folds):
        raise SettingsError(f"--fold must be within 1 to {folds}, not {strange[0]}.")
    if result not in RESULTS:
        raise SettingsError(f"--result must be one of {', '.join(RESULTS)}, not {result!r}.")
    if only and result == "refit":
        raise SettingsError(
            "--fold trains some of the folds, and --result refit needs all of them to be finished. "
            "Train the folds without --result first; then give the same command with --resume "
            "--result refit and without --fold."
        )
    if test and data.test is None:
        raise SettingsError(
            "--test: the data has no test set. It is looked for in a folder that holds Training/, "
            "Test/, training.csv and test.csv. With --split, what does not train is measured "
            "without --test."
        )


def _stages(
    settings: TrainingSettings,
    before: Sequence[TrainingSettings],
    choose: Choose | None,
    start_from: Path | None,
) -> list[TrainingSettings]:
    """The stages of training, the last one last.

    Raises:
        SettingsError: A search is to choose the shape of a network that has weights already.
    """
    if choose is not None and (before or start_from is not None):
        raise SettingsError(
            "--search chooses the shape of each network, so there are no earlier weights that it "
            'could train on from: leave out --start-from, and "before" in the recipe.'
        )
    return [*before, settings] if start_from is None else [settings]


def _check_sizes(data: Data, stages: Sequence[TrainingSettings]) -> None:
    """Refuse stages of several sizes where the images are taken as they are.

    Raises:
        SettingsError: They are not prepared, so they have one size only.
    """
    sizes = {stage.size_px for stage in stages}
    if data.preparation is None and len(sizes) > 1:
        raise SettingsError(
            f"The stages are of {' and '.join(map(str, sorted(sizes)))} px, and images that are "
            "not prepared have one size. Give all stages the same size, or let the images be "
            "prepared."
        )
    for size in sizes:
        data.at_size(size)  # raises for a size that the preparation cannot be at


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

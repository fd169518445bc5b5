"""A search from start to end: one worker of it, of any number at once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from optuna.pruners import MedianPruner, NopPruner

from boneage import __version__
from boneage.dataset.data import Data
from boneage.dataset.records import write_discarded
from boneage.errors import SettingsError, TrainingError
from boneage.training.run import check_size
from boneage.training.run_folder import data_facts
from boneage.training.search.begin import agree, begin
from boneage.training.search.queue import Queue, Taken, finished
from boneage.training.search.results import SearchRun, nothing_complete, read_trials, write_result
from boneage.training.search.sampling import SpaceSampler
from boneage.training.search.space import Space, combine_spaces
from boneage.training.search.stores import open_store, quiet_optuna
from boneage.training.search.trial import run_trial
from boneage.training.settings import TrainingSettings

__all__ = ["DEFAULT_FRACTION", "search_run"]

DEFAULT_FRACTION = 0.25

_MOST_FAILURES_IN_A_ROW = 5


def search_run(
    data: Data,
    settings: TrainingSettings,
    space: Space | Mapping[str, Any] | None,
    out: Path,
    *,
    trials: int | None = None,
    fraction: float | None = None,
    split: Path | None = None,
    storage: str | None = None,
    study: str | None = None,
    pruning: bool = True,
    resume: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    progress: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> SearchRun:
    """Try combinations of settings, learning from each, and keep the best one.

    Several processes can work on one search: give each the same arguments and ``resume``. A trial
    learns from the training part; the validation part chooses its epoch and the best trial. A test
    part is not touched.

    Args:
        data: Radiographs with labels.
        settings: Settings that are not searched.
        space: What is searched; see :meth:`Space.from_dict`. None is the hypermodel's four lists.
        out: Run folder.
        trials: Trials to finish in all, those of earlier calls and other workers included. Trials
            that were given up as poor count, failed ones do not.
        fraction: The same as a share of all combinations, rounded up. Without either, what an
            earlier call said, else 0.25.
        split: CSV that says who trains and who validates; otherwise a stratified share is drawn.
        storage: Where the study is kept; see :func:`open_store`.
        study: Its name there; the run folder's name by default.
        pruning: Give up trials that are poorer than the median of the others at the same epoch.
        resume: Go on with the search in ``out``, or begin it. A finished one is returned at once.
        overwrite: Replace the search in ``out``.
        workers: Processes that prepare images; all cores by default.
        progress: Show progress bars where there is a terminal.
        tell: Is told how each trial went, in a line.

    Returns:
        The finished search.

    Raises:
        SettingsError: The space cannot be searched, the storage not be reached, or the search was
            begun with other settings, another space or other data.
        RunExistsError: ``out`` or the study is in use.
        LabelsError: The split leaves a part empty.
        OutputError: ``out`` or the cache cannot be written, or the storage no longer be used.
        TrainingError: Training fails again and again.
    """
    check_size(data, settings)
    if space is None:
        space = combine_spaces(settings, {}, {})
    elif not isinstance(space, Space):
        space = Space.from_dict(space)
    space.check(settings)
    asked = space.trials_for(trials=trials, fraction=fraction)
    finite = space.size is not None
    default = space.trials_for(trials=None, fraction=DEFAULT_FRACTION) if finite else None
    if asked is None and default is None and not resume:
        raise SettingsError("The space has a continuous range: say how many --trials.")
    train, validation = data.split(split, fraction=settings.validation_fraction, seed=settings.seed)
    facts = data_facts(data, train=train.records, validation=validation.records)
    config = {
        "boneage_version": __version__,
        "settings": _not_searched(settings, space),
        "space": space.to_dict(),
        "pruning": pruning,
        "data": facts,
    }
    with quiet_optuna(), open_store(storage, out, study) as store:
        opened = begin(
            store, out, config, shared=storage is not None, resume=resume, overwrite=overwrite
        )
        wanted = agree(store, opened, asked=asked, default=default)
        opened.pruner = _pruner(settings) if pruning else NopPruner()
        opened.sampler = SpaceSampler(space, seed=settings.seed, startup=_startup(wanted))

        def write() -> SearchRun | None:
            # In turn, so that an older table never replaces a newer one.
            with store.errors(), store.exclusive():
                return write_result(out, opened, space, settings, facts["preparation"], wanted)

        if len(finished(opened.get_trials(deepcopy=False))) < wanted:
            prepared = data.prepare(workers=workers, progress=progress)
            write_discarded(out / "discarded.csv", prepared.discarded)
            parts = {
                "train": prepared.subset(record.id for record in train.records),
                "validation": prepared.subset(record.id for record in validation.records),
            }
            queue = Queue(store, opened, space, wanted=wanted, retry_failed=resume, tell=tell)

            def run(taken: Taken) -> str | None:
                values = space.values_of(taken.trial.params)
                words = ", ".join(f"{name}={value}" for name, value in values.items())
                return run_trial(
                    queue,
                    taken,
                    settings.updated(**values),
                    parts,
                    out,
                    facts,
                    lambda text: tell(f"trial {taken.number} ({words}): {text}"),
                )

            _work(queue, run, write)
        result = write()
        if result is None:
            raise nothing_complete(read_trials(opened, space))
        return result


def _not_searched(settings: TrainingSettings, space: Space) -> dict[str, Any]:
    """The settings that decide the result beside the space: what it searches is of no account."""

    def keep(values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: keep(value) if isinstance(value, dict) else value
            for name, value in values.items()
            if name not in space.axes
        }

    return keep(settings.to_dict())


def _work(
    queue: Queue, run: Callable[[Taken], str | None], write: Callable[[], SearchRun | None]
) -> None:
    """Run trials until none is left to take."""
    failures = 0
    while True:
        with queue.taken() as taken:
            if taken is None:
                return
            failure = run(taken)
        write()
        failures = failures + 1 if failure else 0
        if failures == _MOST_FAILURES_IN_A_ROW:
            raise TrainingError(f"{failures} trials failed in a row, the last one: {failure}")


def _pruner(settings: TrainingSettings) -> MedianPruner:
    """While the learning rate is high, a third of the way, errors say little of the end."""
    return MedianPruner(n_startup_trials=4, n_warmup_steps=1 + settings.epochs // 3)


def _startup(wanted: int) -> int:
    """Random trials before the draw learns from them: a third, 3 to 10."""
    return max(3, min(10, wanted // 3))

"""The queue of trials that all workers of a search share: who runs which, and what came out.

A worker takes the next trial while all others wait, so that no combination is run by two and no
trial is run too many. What a dead worker left behind is put into the queue again by whoever comes
next.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import optuna
from optuna import Study
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from boneage.training.search.sampling import tried
from boneage.training.search.space import Space
from boneage.training.search.stores import Store

__all__ = ["ERROR", "FOLDER", "Queue", "Taken", "TakenOver", "finished"]

# What a trial in the storage says beside its settings.
WORKER = "worker"
FOLDER = "folder"
ERROR = "error"
_AGAIN_OF = "again_of"
_INTERRUPTIONS = "interruptions"
_FAILED_BEFORE = "failed_before"

_MOST_INTERRUPTIONS = 5
"""A trial that ended so many workers, as for want of memory, is not started again."""

_POLL_SECONDS = 1.0


class TakenOver(Exception):  # noqa: N818 (no fault: another worker took this one for dead)
    """Another worker has taken this trial over, so what this one finds does not count."""


@dataclass(frozen=True)
class Taken:
    """A trial that this worker runs.

    Attributes:
        trial: The trial.
        folder: Name of its folder under ``RUN/trials``. A trial that is started again has the
            folder of the first one.
        reported: Epochs whose error an earlier worker has reported.
    """

    trial: Trial
    folder: str
    reported: frozenset[int]

    @property
    def number(self) -> int:
        """Its number in the study, from 0."""
        return int(self.trial.number)


class Queue:
    """The trials of one study.

    Args:
        store: Where the study is kept.
        study: The study.
        space: What is searched.
        wanted: Trials to finish, of all workers and earlier calls together.
        retry_failed: Start trials again, once, that failed in an earlier call.
        tell: Is told when this worker has to wait.
    """

    def __init__(
        self,
        store: Store,
        study: Study,
        space: Space,
        *,
        wanted: int,
        retry_failed: bool,
        tell: Callable[[str], None],
    ) -> None:
        self._store = store
        self._study = study
        self._space = space
        self._wanted = wanted
        self._retry_failed = retry_failed
        self._tell = tell

    @contextmanager
    def taken(self) -> Iterator[Taken | None]:
        """Take the next trial for as long as the block lasts; None when all are finished.

        While the last ones are run by others it waits: should their worker die, they are free.

        Raises:
            OutputError: The storage can no longer be used.
        """
        with ExitStack() as stack:
            taken = self._next(stack)
            try:
                yield taken
            except BaseException:
                # Whoever comes next starts it again without waiting for signs of life.
                if taken is not None:
                    with suppress(Exception):
                        self._study.tell(taken.trial, state=TrialState.FAIL, skip_if_finished=True)
                raise

    def _next(self, stack: ExitStack) -> Taken | None:
        """Take a trial and show that it is alive until the stack is closed."""
        told = False
        while True:
            with self._store.errors(), self._store.exclusive():
                self._revive()
                ready, others = self._state()
                if ready:
                    trial = self._study.ask(self._space.distributions())
                    stack.enter_context(self._store.alive(trial))
                    return self._sign(trial)
            if not others:
                return None
            if not told:
                self._tell(f"Waiting for {others} of other workers to finish.")
                told = True
            time.sleep(_POLL_SECONDS)

    def _sign(self, trial: Trial) -> Taken:
        """Write the worker's name on a trial."""
        folder = trial.user_attrs.get(FOLDER, f"{trial.number:03d}")
        trial.set_user_attr(FOLDER, folder)
        trial.set_user_attr(WORKER, f"{platform.node()}:{os.getpid()}")
        (kept,) = (t for t in self._study.get_trials(deepcopy=False) if t.number == trial.number)
        return Taken(trial, folder, frozenset(kept.intermediate_values))

    def report(self, taken: Taken, epoch: int, mae_months: float, *, last: bool) -> None:
        """Tell how a trial is going.

        Args:
            taken: The trial.
            epoch: The epoch, from 1.
            mae_months: Its validation MAE in months.
            last: Whether it is the last one: a trial that has come so far is not given up.

        Raises:
            optuna.TrialPruned: It is not worth going on.
            TakenOver: Another worker has it.
            OutputError: The storage can no longer be used.
        """
        with self._store.errors(), _taken_over():
            # An epoch that was lost with an earlier worker is run again, to the same value.
            if epoch not in taken.reported:
                taken.trial.report(mae_months, epoch)
            if not last and taken.trial.should_prune():
                raise optuna.TrialPruned

    def finish(self, taken: Taken, facts: dict[str, Any], mae_months: float | None) -> None:
        """Keep what a trial gave.

        Args:
            taken: The trial.
            facts: What is known of it beside its error.
            mae_months: Its validation MAE; None for one that was given up.

        Raises:
            TakenOver: Another worker has it.
            OutputError: The storage can no longer be used.
        """
        state = TrialState.PRUNED if mae_months is None else TrialState.COMPLETE
        with self._store.errors(), _taken_over():
            for name, value in facts.items():
                taken.trial.set_user_attr(name, value)
            told = self._study.tell(taken.trial, mae_months, state, skip_if_finished=True)
        if told.state != state:
            raise TakenOver

    def fail(self, taken: Taken, message: str) -> None:
        """Keep why a trial failed. It is not started again in this call."""
        with self._store.errors(), suppress(UpdateFinishedTrialError):
            taken.trial.set_user_attr(ERROR, message)
            self._study.tell(taken.trial, state=TrialState.FAIL, skip_if_finished=True)

    def _revive(self) -> None:
        """Put what dead workers left into the queue again, and once what failed."""
        self._store.fail_dead(self._study)
        trials = self._study.get_trials(deepcopy=False)
        for trial in trials:
            # A trial is taken and signed while all others wait, as now: its worker died between.
            if trial.state == TrialState.RUNNING and WORKER not in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        trials = self._study.get_trials(deepcopy=False)
        if len(finished(trials)) >= self._wanted:
            return
        again = {trial.user_attrs.get(_AGAIN_OF) for trial in trials}
        for trial in trials:
            if trial.state == TrialState.FAIL and trial.number not in again:
                self._put_again(trial)
        self._retry_failed = False

    def _put_again(self, trial: FrozenTrial) -> None:
        facts = trial.user_attrs
        interruptions, failed = facts.get(_INTERRUPTIONS, 0), facts.get(_FAILED_BEFORE, False)
        if trial.params.keys() != self._space.axes.keys():
            return  # it had not begun
        if ERROR in facts:
            if failed or not self._retry_failed:
                return
            failed = True
        else:
            interruptions += 1
            if interruptions >= _MOST_INTERRUPTIONS:
                return
        self._study.add_trial(
            optuna.create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                intermediate_values=None if ERROR in facts else trial.intermediate_values,
                user_attrs={
                    FOLDER: facts.get(FOLDER, f"{trial.number:03d}"),
                    _AGAIN_OF: trial.number,
                    _INTERRUPTIONS: interruptions,
                    _FAILED_BEFORE: failed,
                },
            )
        )

    def _state(self) -> tuple[bool, int]:
        """Whether there is a trial to take, and how many others run."""
        trials = self._study.get_trials(deepcopy=False)
        done, running = len(finished(trials)), _count(trials, TrialState.RUNNING)
        if done >= self._wanted:
            return False, 0
        free = done + running < self._wanted
        size = self._space.size
        left = (
            size is None
            or _count(trials, TrialState.WAITING) > 0
            or len(tried(trials, list(self._space.axes))) < size
        )
        return free and left, running


def finished(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that count: complete, or given up because they were poor."""
    return [item for item in trials if item.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def _count(trials: list[FrozenTrial], state: TrialState) -> int:
    return sum(trial.state == state for trial in trials)


@contextmanager
def _taken_over() -> Iterator[None]:
    try:
        yield
    except UpdateFinishedTrialError as error:
        raise TakenOver from error

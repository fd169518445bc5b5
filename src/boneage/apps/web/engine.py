"""The queue before the worker processes, for every request of a server."""

import logging
import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from boneage.apps.web.jobs import Inspect, Job, Ready
from boneage.apps.web.lane import Lane, StoppingError, Task
from boneage.apps.web.metrics import Metrics
from boneage.apps.web.settings import ServeSettings
from boneage.apps.web.turns import Turns
from boneage.errors import BoneAgeError

__all__ = ["BusyError", "Engine", "StoppingError"]

_LOG = logging.getLogger("boneage.web")

_LOOK_SECONDS = 0.2
"""How often it is looked whether a worker takes too long."""

_FIRST_GUESS_S = 0.1
_WEIGHT_OF_NEW = 0.1


class BusyError(BoneAgeError):
    """More radiographs wait than may.

    Attributes:
        retry_after_s: Whole seconds after which there should be room, 1 or more.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many radiographs are waiting. Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class Engine:
    """Answers radiographs with as many worker processes as it was told.

    Attributes:
        settings: Those of the server.
        metrics: What is counted.
        model: What the workers have loaded.
    """

    def __init__(self, settings: ServeSettings) -> None:
        """Start the workers and wait until each has loaded the model.

        Raises:
            WorkerError: They cannot be started; what is wrong with the model is told.
        """
        self.settings = settings
        self.metrics = Metrics()
        self.metrics.watch(self)
        self._changed = threading.Condition()
        self._waiting = Turns(self._changed)
        self._open = True
        self._closed = False
        self._work_s = _FIRST_GUESS_S
        self._lanes = [Lane(self, settings, number) for number in range(settings.workers)]
        try:
            self.model: Ready = [lane.started.result() for lane in self._lanes][-1]
        except BaseException:
            self.close()
            raise
        self._watch = threading.Thread(target=self._look, name="watch", daemon=True)
        self._watch.start()

    def submit(self, jobs: Sequence[Job | Inspect]) -> "list[Future[Any]]":
        """Queue jobs, all or none of them.

        Requests take turns; the jobs of one are begun in order. Cancelling a future drops its job
        if it has not begun.

        Args:
            jobs: One or more.

        Returns:
            The promise of an :class:`Answer` for each job, of a :class:`ChildInFile` for each
            :class:`Inspect`. It raises :class:`StoppingError` if the server ends before.

        Raises:
            BusyError: They do not all fit.
            StoppingError: The server is ending, or no worker can be started.
        """
        tasks = [Task(job) for job in jobs]
        with self._changed:
            if not self._open:
                raise StoppingError("The server is ending.")
            if self._all_broken():
                raise StoppingError("No worker can be started.")
            waiting = len(self._waiting)
            if waiting and waiting + len(tasks) > self.settings.limits.waiting:
                raise BusyError(self._retry_after_s(waiting))
            self._waiting.add(tasks)
            self._changed.notify(len(tasks))
        return [task.future for task in tasks]

    @property
    def waiting(self) -> int:
        """Radiographs that wait for a worker."""
        with self._changed:
            return len(self._waiting)

    @property
    def problems(self) -> list[str]:
        """What is wrong, a few words each; empty if all is well."""
        broken = sum(lane.broken for lane in self._lanes)
        found = [] if self._open else ["ending"]
        if broken:
            found.append(f"{broken} of {len(self._lanes)} workers cannot be started")
        return found

    def stop_taking(self) -> None:
        """Take no more; what waits is still worked on."""
        with self._changed:
            self._open = False

    def close(self) -> None:
        """End every worker now; what was not answered raises :class:`StoppingError`."""
        self.stop_taking()
        self._drop_waiting("The server is ending.")
        for lane in self._lanes:
            lane.kill()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for lane in self._lanes:
            lane.join()

    def next(self, seconds: float) -> Task | None:
        """The next task whose caller still waits; None if there is none for so long. For lanes."""
        with self._changed:
            task = self._waiting.take()
            if task is None and not self._closed:
                self._changed.wait(seconds)
                task = self._waiting.take()
        if task is not None:
            self.metrics.waiting_seconds.observe(time.monotonic() - task.since)
        return task

    def took(self, seconds: float) -> None:
        """Note how long a radiograph took, for the estimate of when there is room. For lanes."""
        self.metrics.work_seconds.observe(seconds)
        self._work_s += _WEIGHT_OF_NEW * (seconds - self._work_s)

    def died(self) -> None:
        """Note that a worker is gone before its time. For lanes."""
        self.metrics.deaths.inc()
        _LOG.error("a worker process died or took too long: another takes its place")

    def broke(self) -> None:
        """Note that a worker cannot be replaced for now. For lanes."""
        if self._all_broken():
            self._drop_waiting("No worker can be started.")

    def _all_broken(self) -> bool:
        return all(lane.broken for lane in self._lanes)

    def _drop_waiting(self, reason: str) -> None:
        with self._changed:
            left = self._waiting.take_all()
        for task in left:
            task.future.set_exception(StoppingError(reason))

    def _retry_after_s(self, waiting: int) -> int:
        return max(1, math.ceil(waiting * self._work_s / len(self._lanes)))

    def _look(self) -> None:
        while not self._closed:
            time.sleep(_LOOK_SECONDS)
            for lane in self._lanes:
                try:
                    lane.kill_if_late()
                except Exception as error:  # without the watch a radiograph could take for ever
                    _LOG.error("unexpected %s while a worker was ended", type(error).__name__)

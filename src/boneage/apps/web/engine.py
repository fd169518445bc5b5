"""The worker processes and the queue before them, for every request of a server."""

import collections
import contextlib
import math
import multiprocessing
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from boneage.apps.web.jobs import Answer, Broken, ChildInFile, Inspect, Job, Ready
from boneage.apps.web.metrics import Metrics
from boneage.apps.web.settings import ServeSettings
from boneage.apps.web.worker import failed_answer, work
from boneage.errors import BoneAgeError, WorkerError

__all__ = ["BusyError", "Engine", "StoppingError"]

_START_SECONDS = 120
"""How long loading the model may take."""

_LOOK_SECONDS = 0.2
"""How often it is looked whether a worker takes too long."""

_MOST_FAILED_STARTS = 5
_FIRST_GUESS_S = 0.1
_WEIGHT_OF_NEW = 0.1

Result = Answer | ChildInFile


class BusyError(BoneAgeError):
    """More radiographs wait than may.

    Attributes:
        retry_after_s: Whole seconds after which there should be room, 1 or more.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many radiographs are waiting. Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class StoppingError(BoneAgeError):
    """The server is ending and takes no more."""


@dataclass(frozen=True, eq=False)
class _Task:
    """A job with the promise of its answer."""

    job: Job | Inspect
    future: "Future[Any]" = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


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
        self._waiting: collections.deque[_Task] = collections.deque()
        self._changed = threading.Condition()
        self._open = True
        self._closed = False
        self._work_s = _FIRST_GUESS_S
        self._lanes = [_Lane(self, number) for number in range(settings.workers)]
        try:
            self.model: Ready = [lane.started.result() for lane in self._lanes][-1]
        except BaseException:
            self.close()
            raise
        self._watch = threading.Thread(target=self._look, name="watch", daemon=True)
        self._watch.start()

    def submit(self, jobs: Sequence[Job | Inspect]) -> "list[Future[Any]]":
        """Queue jobs, all or none of them.

        Cancelling a future takes its job out of the queue if it has not begun.

        Args:
            jobs: One or more.

        Returns:
            The promise of an :class:`Answer` for each job, of a :class:`ChildInFile` for each
            :class:`Inspect`. It raises :class:`StoppingError` if the server ends before.

        Raises:
            BusyError: They do not all fit.
            StoppingError: The server is ending.
        """
        tasks = [_Task(job) for job in jobs]
        with self._changed:
            if not self._open:
                raise StoppingError("The server is ending.")
            waiting = self._waiting_now()
            if waiting and waiting + len(tasks) > self.settings.limits.waiting:
                raise BusyError(self._retry_after_s(waiting))
            self._waiting.extend(tasks)
            self._changed.notify(len(tasks))
        return [task.future for task in tasks]

    @property
    def waiting(self) -> int:
        """Radiographs that wait for a worker."""
        with self._changed:
            return self._waiting_now()

    @property
    def problems(self) -> list[str]:
        """What is wrong, a few words each; empty if all is well."""
        found = []
        if not self._open:
            found.append("ending")
        dead = sum(not lane.alive for lane in self._lanes)
        if dead:
            found.append(f"{dead} of {len(self._lanes)} workers cannot be started")
        return found

    def stop_taking(self) -> None:
        """Take no more; what waits is still worked on."""
        with self._changed:
            self._open = False

    def close(self) -> None:
        """End every worker now; what was not answered raises :class:`StoppingError`."""
        with self._changed:
            self._open, self._closed = False, True
            left, self._waiting = list(self._waiting), collections.deque()
            self._changed.notify_all()
        for task in left:
            if task.future.set_running_or_notify_cancel():
                task.future.set_exception(StoppingError("The server is ending."))
        for lane in self._lanes:
            lane.kill()
        for lane in self._lanes:
            lane.join()

    def _waiting_now(self) -> int:
        return sum(not task.future.cancelled() for task in self._waiting)

    def _retry_after_s(self, waiting: int) -> int:
        return max(1, math.ceil(waiting * self._work_s / len(self._lanes)))

    def next(self) -> _Task | None:
        """The next task whose caller still waits; None when the engine is closed. For lanes."""
        with self._changed:
            while not self._closed:
                while self._waiting:
                    task = self._waiting.popleft()
                    if task.future.set_running_or_notify_cancel():
                        self.metrics.waiting_seconds.observe(time.monotonic() - task.since)
                        return task
                self._changed.wait()
        return None

    def took(self, seconds: float) -> None:
        """Note how long a radiograph took, for the estimate of when there is room. For lanes."""
        self.metrics.work_seconds.observe(seconds)
        self._work_s += _WEIGHT_OF_NEW * (seconds - self._work_s)

    def _look(self) -> None:
        while not self._closed:
            time.sleep(_LOOK_SECONDS)
            for lane in self._lanes:
                lane.kill_if_late()


class _Lane:
    """A thread with a worker process, which is started anew whenever it dies."""

    def __init__(self, engine: Engine, number: int) -> None:
        self._engine = engine
        self._limit_s = engine.settings.limits.work_s
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._ended = False
        self._deadline = math.inf
        self._late = False
        self.started: Future[Ready] = Future()
        self._thread = threading.Thread(target=self._run, name=f"lane-{number}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it works, or is about to."""
        return self._thread.is_alive()

    def kill(self) -> None:
        """End the process, and start no other."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()

    def kill_if_late(self) -> None:
        """End the process if its radiograph takes too long."""
        with self._lock:
            if time.monotonic() > self._deadline and self._process is not None:
                self._late, self._deadline = True, math.inf
                self._process.kill()

    def join(self) -> None:
        """Wait for the end of the thread after :meth:`kill`."""
        self._thread.join()

    def _run(self) -> None:
        try:
            connection, ready = self._start()
            self.started.set_result(ready)
            while (task := self._engine.next()) is not None:
                result = self._ask(connection, task)
                if result is not None:
                    task.future.set_result(result)
                    continue
                self._engine.metrics.deaths.inc()
                task.future.set_result(self._given_up(task.job))
                connection.close()
                connection, _ = self._start()
        except WorkerError as error:
            if not self.started.done():
                self.started.set_exception(error)
        finally:
            self._end_process()

    def _ask(self, connection: Connection, task: _Task) -> Result | None:
        """The answer; None if the process is gone."""
        begun = time.monotonic()
        with self._lock:
            self._late, self._deadline = False, begun + self._limit_s
        try:
            connection.send(task.job)
            result: Result = connection.recv()
        except (EOFError, OSError):
            return None
        finally:
            with self._lock:
                self._deadline = math.inf
        self._engine.took(time.monotonic() - begun)
        return result

    def _given_up(self, job: Job | Inspect) -> Result:
        if isinstance(job, Inspect):
            return ChildInFile()
        if self._late:
            return failed_answer(job, f"it took longer than {self._limit_s:g} s, the limit here.")
        return failed_answer(
            job, "the process that worked on it died. If that happens again, the file is damaged."
        )

    def _start(self) -> tuple[Connection, Ready]:
        """A process that has loaded its model.

        Raises:
            WorkerError: It cannot be started; what is wrong with the model is told.
        """
        context = multiprocessing.get_context("spawn")
        for _ in range(_MOST_FAILED_STARTS):
            self._end_process()
            own, other = context.Pipe()
            process = context.Process(
                target=work, args=(other, self._engine.settings), name="boneage-worker", daemon=True
            )
            with self._lock:
                if self._ended:
                    raise WorkerError("The server is ending.")
                process.start()
                self._process = process
            other.close()
            with contextlib.suppress(EOFError, OSError):
                answer = own.recv() if own.poll(_START_SECONDS) else None
                if isinstance(answer, Ready):
                    return own, answer
                if isinstance(answer, Broken):
                    raise WorkerError(answer.reason)
            own.close()
        raise WorkerError(
            f"The process that predicts died {_MOST_FAILED_STARTS} times before it had loaded its "
            "model. See whether boneage predict works here, and whether memory is short."
        )

    def _end_process(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
            process.close()

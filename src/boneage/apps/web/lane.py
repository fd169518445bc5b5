"""A worker process and the thread that feeds it, watches it and replaces it."""

import contextlib
import logging
import math
import multiprocessing
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from boneage.apps.groups import end_group
from boneage.apps.web.jobs import Answer, Begun, Broken, ChildInFile, Inspect, Job, Ready
from boneage.apps.web.settings import ServeSettings
from boneage.apps.web.worker import failed_answer, work
from boneage.errors import BoneAgeError, WorkerError

__all__ = ["Desk", "Lane", "StoppingError", "Task"]

_LOG = logging.getLogger("boneage.web")

_START_SECONDS = 120
"""How long loading the model may take."""

_MOST_FAILED_STARTS = 5
_MOST_TRIES = 3
"""How many processes a job is given to that die before they take it up."""

_PAUSE_SECONDS = 5
"""How long is waited before it is tried again to replace a worker that cannot be started."""

_IDLE_SECONDS = 1
"""How often a lane without work looks whether its worker is still there."""

_NONE = "No worker can be started."

Result = Answer | ChildInFile


class StoppingError(BoneAgeError):
    """No answer will come: the server is ending, or no worker can be started."""


@dataclass(frozen=True, eq=False)
class Task:
    """A job with the promise of its answer.

    Attributes:
        job: What is to be done.
        future: The promise.
        since: Since when it waits, as ``time.monotonic`` counts.
    """

    job: Job | Inspect
    future: "Future[Any]" = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class Desk(Protocol):
    """Where lanes get tasks, and tell what they see."""

    def next(self, seconds: float) -> Task | None:
        """The next task, waited for; None if there is none for so long."""

    def took(self, seconds: float) -> None:
        """A radiograph was worked on for so long."""

    def died(self) -> None:
        """A worker is gone before its time."""

    def broke(self) -> None:
        """A worker cannot be replaced for now."""


class Lane:
    """A thread with a worker process, which is started anew whenever it dies.

    Attributes:
        started: What the first process has loaded, or why it could not.
        broken: Whether there is no process, and none can be started for now.
    """

    def __init__(self, desk: Desk, settings: ServeSettings, number: int) -> None:
        self._desk, self._settings = desk, settings
        self._limit_s = settings.limits.work_s
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._ended = threading.Event()
        self._deadline = math.inf
        self._late = self._begun = False
        self.started: Future[Ready] = Future()
        self.broken = False
        self._thread = threading.Thread(target=self._run, name=f"lane-{number}", daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """End the process, and start no other."""
        with self._lock:
            self._ended.set()
            self._kill()

    def kill_if_late(self) -> None:
        """End the process if its radiograph takes too long."""
        with self._lock:
            if time.monotonic() > self._deadline:
                self._late, self._deadline = True, math.inf
                self._kill()

    def join(self) -> None:
        """Wait for the end of the thread after :meth:`kill`."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self.started.set_result(self._start())
        except Exception as error:
            self.started.set_exception(error)
        else:
            while not self._ended.is_set():
                self._turn()
        finally:
            self._end_process()

    def _turn(self) -> None:
        """See to the process, and to a task if there is one; no fault ends the lane."""
        task = None
        try:
            if not self._is_running():
                self._replace()
            task = self._desk.next(_IDLE_SECONDS)
            if task is not None:
                self._do(task)
        except Exception as error:
            if task is not None and not task.future.done():
                task.future.set_exception(StoppingError(_NONE))
            if self._ended.is_set():
                return
            if not isinstance(error, WorkerError):  # whose text may not be for everybody
                error = WorkerError(f"Unexpected {type(error).__name__} beside a worker process.")
            self._break(error)

    def _break(self, error: Exception) -> None:
        """Be without a process for a while; others take what waits."""
        _LOG.error("%s", error)
        self.broken = True
        self._desk.broke()
        self._end_process()
        self._ended.wait(_PAUSE_SECONDS)

    def _do(self, task: Task) -> None:
        """Answer a task, whatever becomes of the process.

        Raises:
            WorkerError: The process died before it took the task up, and cannot be replaced.
        """
        result = None
        for _ in range(_MOST_TRIES):
            if not self._is_running():  # it died between two tasks, as for lack of memory
                self._replace()
            self._begun = False
            result = self._ask(task.job)
            if result is not None or self._begun or self._late or self._ended.is_set():
                break
        if result is not None:
            task.future.set_result(result)
        elif self._ended.is_set():
            task.future.set_exception(StoppingError("The server is ending."))
        else:
            task.future.set_result(self._given_up(task.job))

    def _ask(self, job: Job | Inspect) -> Result | None:
        """The answer; None if the process is gone."""
        if self._connection is None:
            return None
        begun = time.monotonic()
        with self._lock:
            self._late, self._deadline = False, begun + self._limit_s
        try:
            self._connection.send(job)
            self._begun = isinstance(self._connection.recv(), Begun)
            result: Result = self._connection.recv()
        except (EOFError, OSError):
            with self._lock:
                self._kill()  # its pipe may close a little before it is gone
            return None
        finally:
            with self._lock:
                self._deadline = math.inf
        self._desk.took(time.monotonic() - begun)
        return result

    def _given_up(self, job: Job | Inspect) -> Result:
        if isinstance(job, Inspect):
            return ChildInFile()
        if self._late:
            return failed_answer(job, f"it took longer than {self._limit_s:g} s, the limit here.")
        return failed_answer(
            job, "the process that worked on it died. If that happens again, the file is damaged."
        )

    def _is_running(self) -> bool:
        with self._lock:
            return self._process is not None and self._process.is_alive()

    def _replace(self) -> None:
        """Start another process.

        Raises:
            WorkerError: It cannot be started.
        """
        if not self.broken and not self._ended.is_set():
            self._desk.died()
        self._start()
        self.broken = False

    def _start(self) -> Ready:
        """Start a process and wait until it has loaded its model.

        Raises:
            WorkerError: It cannot be started; what is wrong with the model is told.
        """
        for _ in range(_MOST_FAILED_STARTS):
            self._end_process()
            own = self._new_process()
            with contextlib.suppress(EOFError, OSError):
                if not own.poll(_START_SECONDS):
                    raise WorkerError(f"A worker did not load its model within {_START_SECONDS} s.")
                answer = own.recv()
                if isinstance(answer, Ready):
                    return answer
                if isinstance(answer, Broken):
                    raise WorkerError(answer.reason)
        raise WorkerError(
            f"The process that predicts died {_MOST_FAILED_STARTS} times before it had loaded its "
            "model. See whether boneage predict works here, and whether memory is short."
        )

    def _new_process(self) -> Connection:
        """Start a process; the end of its pipe."""
        context = multiprocessing.get_context("spawn")
        with self._lock, contextlib.ExitStack() as stack:
            if self._ended.is_set():
                raise WorkerError("The server is ending.")
            try:
                own, other = context.Pipe()
                stack.callback(own.close)
                with other:
                    process = context.Process(
                        target=work,
                        args=(other, self._settings),
                        name="boneage-worker",
                        daemon=True,
                    )
                    process.start()
            except OSError as error:
                raise WorkerError(
                    f"No process can be started: {error.strerror or error}."
                ) from error
            stack.pop_all()
            self._process, self._connection = process, own
        return own

    def _end_process(self) -> None:
        with self._lock:
            self._kill()
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _kill(self) -> None:
        """End the process, if there is one; the lock is held."""
        process, self._process = self._process, None
        if process is not None and process.pid is not None:
            end_group(process.pid)
            process.kill()
            process.join()
            process.close()

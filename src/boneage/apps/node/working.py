"""Working the queue off: a process that judges, and the thread that feeds and watches it."""

import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from typing import Any

from boneage.apps.groups import end_group
from boneage.apps.node.counters import Counters
from boneage.apps.node.queue import Job, Queue
from boneage.apps.node.settings import NodeSettings
from boneage.apps.node.threads import NodeThread
from boneage.errors import OutputError, WorkerError

__all__ = ["Worker"]

_LOG = logging.getLogger("boneage.node")

_START_SECONDS = 120
"""How long loading the model may take."""

_LOOK_SECONDS = 0.2
"""How often a worker without work looks for some."""

_MOST_FAILED_STARTS = 5


class Worker(NodeThread):
    """One process that judges, started anew whenever it dies."""

    def __init__(
        self,
        settings: NodeSettings,
        waiting: Queue,
        counters: Counters,
        answered: threading.Event,
        stop: threading.Event,
    ) -> None:
        """Start it.

        Args:
            settings: The node's.
            waiting: The queue.
            counters: Where the outcomes are counted.
            answered: Is set when there is something to send.
            stop: When this is set, the work in hand goes back to the queue.
        """
        self._settings, self._queue, self._counters = settings, waiting, counters
        self._answered = answered
        self._process: _Process | None = None
        self.ready = threading.Event()
        super().__init__("working", stop)

    def _ended(self) -> None:
        self.ready.set()
        if self._process is not None:
            self._process.kill()

    def _run(self) -> None:
        process = self._start()
        self.ready.set()
        while not self._stop.is_set():
            try:
                job = self._queue.claim()
                if job is None:
                    self._stop.wait(_LOOK_SECONDS)
                    continue
                answer = process.ask(job, self._settings.retries.work_s, self._stop)
                if answer is None and not self._stop.is_set():
                    # Before it is noted, which a full disk may hinder.
                    process.kill()
                    process = self._start()
                self._note(job, answer)
            except OutputError as error:
                self._counters.add("disk_errors")
                _LOG.error("%s", error)
                self._stop.wait(self._settings.retries.pause_s(3))

    def _start(self) -> "_Process":
        """A process that has loaded its model.

        Raises:
            WorkerError: It cannot be started; what is wrong with the model is told.
        """
        for _ in range(_MOST_FAILED_STARTS):
            self._process = process = _Process(self._settings)
            answer = process.answer(_START_SECONDS, self._stop)
            if answer is _STOPPED or (answer and answer["status"] == "ready"):
                return process
            process.kill()
            if answer:
                raise WorkerError(answer["reason"])
        raise WorkerError(
            f"The process that predicts died {_MOST_FAILED_STARTS} times before it had loaded its "
            "model. See whether boneage predict works here, and whether memory is short."
        )

    def _note(self, job: Job, answer: dict[str, Any] | None) -> None:
        """Note what became of a job; no answer means that its process is gone."""
        short = job.key[:12]
        if answer is _STOPPED or (answer is None and self._stop.is_set()):
            self._queue.release(job)
            return
        if answer is None:
            self._counters.add("worker_deaths")
            given_up = self._queue.died(job)
            _LOG.error("%s: its worker process died%s", short, ", given up" if given_up else "")
            if given_up:
                self._counters.add("judged_failed")
            return
        status = answer["status"]
        if status == "ok":
            self._queue.finish(job, answer["own"])
            self._counters.add("answered")
            self._answered.set()
            if answer["refused"]:
                self._counters.add("judged_refused")
                _LOG.warning("%s: refused, which its results say: %s", short, answer["refused"])
        elif status == "disk":
            self._queue.set_aside(job, self._settings.retries.most_s)
            raise OutputError(f"Cannot write results to {self._queue.files.folder}.")
        else:
            self._queue.fail(job, answer["reason"])
            self._counters.add("judged_failed")
            _LOG.warning("%s: failed: %s", short, answer["reason"])


_STOPPED: dict[str, Any] = {"status": "stopped"}
"""Stands for an answer that is not waited for any longer, because the node ends."""


class _Process:
    """The process, its questions and its answers."""

    def __init__(self, settings: NodeSettings) -> None:
        command = [sys.executable, "-m", "boneage.apps.node.worker"]
        model = [] if settings.model is None else [str(settings.model)]
        # Libraries print what they do not like, values of patients included.
        quiet = (
            None if os.environ.get("BONEAGE_DEBUG", "0") not in ("", "0") else subprocess.DEVNULL
        )
        self._process = subprocess.Popen(
            [*command, *model],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=quiet,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Control-C is for the node alone, which then ends this one
        )
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True, name="answers").start()

    def ask(self, job: Job, seconds: float, stop: threading.Event) -> dict[str, Any] | None:
        """Give a job; its answer, or None if the process died or took too long."""
        assert self._process.stdin is not None
        try:
            request = {"path": str(job.source), "out": str(job.out)}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:
            return None
        return self.answer(seconds, stop)

    def answer(self, seconds: float, stop: threading.Event) -> dict[str, Any] | None:
        """The next answer; None if none comes, ``_STOPPED`` if the node ends first."""
        rest = seconds
        while rest > 0:
            try:
                return self._answers.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                rest -= _LOOK_SECONDS
                if stop.is_set():
                    return _STOPPED
        return None

    def kill(self) -> None:
        """End the process, and what decodes a frame for it, and wait until it has ended."""
        if self._process.returncode is None:  # else its number may be another's
            end_group(self._process.pid)
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # what was not yet written has no reader any more
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self._answers.put(json.loads(line))
        self._answers.put(None)

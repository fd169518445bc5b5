"""The order in which tasks that wait are begun."""

import collections
import functools
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from boneage.apps.web.lane import Task

__all__ = ["Turns"]


class Turns:
    """Requests take turns, task by task; the tasks of one keep their order.

    So somebody who sends one radiograph does not wait for a hundred of another. A task whose
    future is cancelled is dropped at once, with the file that it holds.
    """

    def __init__(self, lock: threading.Condition) -> None:
        """Make an empty order.

        Args:
            lock: Is held by whoever calls, and taken when a future is cancelled.
        """
        self._lock = lock
        self._requests: collections.deque[collections.deque[Task]] = collections.deque()

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._requests))

    def add(self, tasks: Sequence[Task]) -> None:
        """Let the tasks of a request wait."""
        request = collections.deque(tasks)
        self._requests.append(request)
        forget = functools.partial(self._forget, request)
        for task in tasks:
            task.future.add_done_callback(forget)

    def take(self) -> Task | None:
        """The next task, begun; None if there is none."""
        while self._requests:
            request = self._requests.popleft()
            task = request.popleft()
            if request:
                self._requests.append(request)
            if task.future.set_running_or_notify_cancel():
                return task
        return None

    def take_all(self) -> list[Task]:
        """All tasks, begun."""
        taken = []
        while (task := self.take()) is not None:
            taken.append(task)
        return taken

    def _forget(self, request: "collections.deque[Task]", future: "Future[Any]") -> None:
        if not future.cancelled():
            return
        with self._lock:
            # The callback knows no task: a cycle would keep its file until it is collected.
            task = next((one for one in request if one.future is future), None)
            if task is not None:
                request.remove(task)
                if not request:
                    self._requests.remove(request)

"""Ending a worker process together with the processes that it has started."""

import contextlib
import os
import signal

__all__ = ["end_group"]


def end_group(pid: int) -> None:
    """Kill a process and those that it has started, such as one that decodes a frame.

    Args:
        pid: The number of a process that leads a group. Nothing is done if it leads none.
    """
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

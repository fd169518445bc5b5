"""Starting Ray, or joining a cluster, and leaving it again, without a word of Ray's own.

Needs the extra ``cluster``.
"""

import contextlib
import logging
import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from boneage.errors import SettingsError, WorkerError
from boneage.inference.session import available_cpus

__all__ = ["ClusterSettings", "last_line", "ray_session"]

_EXIT_TERMINATED = 128 + signal.SIGTERM  # as shells do it

_STARTS = 3

_STORE_BYTES = 256 * 2**20
"""Size of the object store of a cluster of our own, beside the model: it holds names and rows."""

_LONGEST_FOLDER = 42
"""Bytes that Ray's folder may have in its path, so that its sockets stay below 108 (unix(7))."""

# Read when Ray starts. It would otherwise report usage over the network, warn of its own future,
# and write lines of its own between ours; what matters of them becomes an error of ours.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


@dataclass(frozen=True)
class ClusterSettings:
    """Where to predict.

    Attributes:
        workers: Worker processes, 1 or more, of one core each; None for every core.
        address: A running cluster, as ``auto`` for the one that this machine belongs to, or
            ``host:6379``; None to start one on this machine for the run.
    """

    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise SettingsError(f"--workers must be 1 or more, not {self.workers}.")
        if self.address is not None and not self.address.strip():
            raise SettingsError("--ray-address must name a cluster: auto, or host:port.")


@contextlib.contextmanager
def ray_session(settings: ClusterSettings, model_bytes: int) -> Iterator[Any]:
    """Connect to Ray and leave it again; a cluster that was started here ends with that.

    Args:
        settings: Where Ray runs, or how it is to be started.
        model_bytes: Size of the model that is going to be sent, in bytes.

    Yields:
        The module ``ray``, with ``ray.data``.

    Raises:
        SettingsError: There is no cluster at the address.
        WorkerError: Ray cannot be started on this machine.
        SystemExit: The process was told to end by SIGTERM.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if settings.address is None:
        _make_token()
    import ray
    import ray.data

    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if settings.address is None:
            options |= {
                "address": "local",
                "num_cpus": settings.workers or available_cpus(),
                "object_store_memory": _STORE_BYTES + 2 * model_bytes,
                "include_dashboard": False,
                "_temp_dir": stack.enter_context(_short_folder()),
            }
        else:
            options["address"] = settings.address
        stack.enter_context(_nothing_printed(ray))
        stack.callback(ray.shutdown)
        stack.enter_context(_own_sigterm())
        _connect(ray, options)
        _end_on_sigterm()
        _quieten(ray)
        yield ray


def _make_token() -> None:
    """Let only this process into the cluster that it starts, without a token in the user's home.

    Ray reads it when it is imported, so every cluster that the process starts has the same; where
    Ray was imported before, it does as it is used to.
    """
    if "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _connect(ray: Any, options: Mapping[str, Any]) -> None:
    """``ray.init``, more than once: it waits 30 s for its own processes, too short for busy cores.

    Raises:
        SettingsError: There is no cluster at the address.
        WorkerError: Ray cannot be started on this machine.
    """
    address = options["address"]
    for left in reversed(range(_STARTS)):
        try:
            with _muted():
                ray.init(**options)
            return
        except Exception as error:  # some of what it raises has no other type
            ray.shutdown()
            if address != "local":
                raise SettingsError(
                    f"--ray-address {address}: {last_line(error)}. Is a cluster running there? If "
                    "it asks for a token, Ray must be told where that is: RAY_AUTH_MODE=token."
                ) from error
            if not left:
                raise WorkerError(
                    f"Ray cannot be started on this machine: {last_line(error)}"
                ) from error


def _short_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder for Ray's sockets and logs that is gone after the run."""
    prefix = "boneage-ray-"
    folder = tempfile.gettempdir()
    if len(os.fsencode(os.path.join(folder, prefix))) + 8 > _LONGEST_FOLDER:
        folder = "/tmp"
    # Ray's processes may still write a last line while the folder is removed.
    return tempfile.TemporaryDirectory(prefix=prefix, dir=folder, ignore_cleanup_errors=True)


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Put the handler of SIGTERM back that Ray replaces."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _end_on_sigterm() -> None:
    """Let SIGTERM unwind what runs; Ray's handler prints its stack and kills the process."""

    def end(*_: object) -> None:
        raise SystemExit(_EXIT_TERMINATED)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Drop what goes to standard error: Ray's native part says there how much it will say."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _nothing_printed(ray: Any) -> Iterator[None]:
    """Keep Ray's reports of lost workers from standard output; ``log_to_driver`` lets them pass."""
    worker = ray._private.worker
    before = getattr(worker, "_worker_logs_enabled", True)
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before


def _quieten(ray: Any) -> None:
    """No progress bars and log lines of Ray Data."""
    logging.getLogger("ray.data").setLevel(logging.CRITICAL + 1)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


def last_line(error: Exception) -> str:
    """The last line of an error's text: in Ray's, what it is about."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__

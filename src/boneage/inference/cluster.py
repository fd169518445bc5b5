"""Predicting part by part with Ray Data, on this machine or on a cluster.

Ray runs a pool of worker processes, each on one core with a loaded model, and gives a part to
whichever is free. A worker that is killed is started again and its part is begun anew, so no row is
lost or comes twice. Needs the extra ``cluster``.
"""

import contextlib
import functools
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boneage.errors import SettingsError, WorkerError, require_extra
from boneage.inference.bundle import Bundle
from boneage.inference.part_worker import (
    Attempts,
    PartResult,
    PartWorker,
    WorkerTask,
    packed_part,
)
from boneage.inference.parts import Part
from boneage.inference.run import SexTable
from boneage.inference.session import available_cpus

__all__ = ["ClusterSettings", "predict_parts"]

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


def predict_parts(
    bundle: Bundle,
    parts: Sequence[Part],
    *,
    task: WorkerTask,
    labels: SexTable | None = None,
    settings: ClusterSettings | None = None,
) -> Generator[PartResult]:
    """Predict parts in the processes of a cluster.

    Args:
        bundle: The model; the machines of the cluster get it from here.
        parts: What is to be predicted.
        task: What is the same for every part.
        labels: Where to look the sex up by id.
        settings: Where to predict; by default on every core of this machine.

    Yields:
        What became of each part, as they are finished.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingsError: There is no cluster at the address.
        WorkerError: Parts are missing, because their workers were lost again and again.
        BoneAgeError: A worker met an error that is not one of a single file.
        SystemExit: The process was told to end by SIGTERM.
    """
    require_extra("cluster", "ray", "pyarrow")
    if not parts:
        return
    settings = settings or ClusterSettings()
    missing = {part.index: part for part in parts}
    with _cluster(settings, len(bundle.onnx_bytes)) as ray:
        _quieten(ray)
        attempts = ray.remote(num_cpus=0)(Attempts).remote()
        items = [packed_part(part, labels) for part in parts]
        results = ray.data.from_items(items, override_num_blocks=len(items)).map(
            PartWorker,
            fn_constructor_args=(
                task,
                functools.partial(ray.get, ray.put(bundle)),
                lambda part: ray.get(attempts.begin.remote(part)),
            ),
            # One part at a time: a second one in its queue would wait while others are idle.
            compute=ray.data.ActorPoolStrategy(
                size=min(_workers(settings, ray), len(parts)), max_tasks_in_flight_per_actor=1
            ),
            num_cpus=1,
        )
        del items
        try:
            for block in results.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            ):
                for row in block.to_pylist():
                    result = PartResult.unpacked(row)
                    if result is not None:
                        del missing[result.index]
                        yield result
        except ray.exceptions.RayError as error:
            raise WorkerError(_lost(missing, _last_line(error))) from error
    if missing:
        raise WorkerError(_lost(missing, "their workers died each time, often for want of memory"))


@contextlib.contextmanager
def _cluster(settings: ClusterSettings, model_bytes: int) -> Iterator[Any]:
    """Connect to Ray and leave it again; a cluster that was started here ends with that."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
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
        stack.callback(ray.shutdown)
        _connect(ray, options)
        stack.enter_context(_ending_on_sigterm())
        yield ray


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
                    f"--ray-address {address}: Ray cannot connect: {_last_line(error)}"
                ) from error
            if not left:
                raise WorkerError(
                    f"Ray cannot be started on this machine: {_last_line(error)}"
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
def _ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind what runs; Ray's own handler prints its stack and kills the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise SystemExit(_EXIT_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


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


def _quieten(ray: Any) -> None:
    """No progress bars and log lines of Ray Data."""
    logging.getLogger("ray.data").setLevel(logging.CRITICAL + 1)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


def _workers(settings: ClusterSettings, ray: Any) -> int:
    return settings.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))


def _lost(missing: dict[int, Part], why: str) -> str:
    names = [part.name for part in missing.values()]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    first = next(iter(missing.values())).files[0].path
    return (
        f"{len(names)} of the parts could not be finished ({why}): {shown}, the first beginning "
        f"with {first}. The finished ones are kept, and the same command goes on with the others; "
        "fewer --workers need less memory."
    )


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__

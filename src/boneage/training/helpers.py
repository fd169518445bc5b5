"""Helper processes on this machine: every device but the first has one.

They are started with the path of a job rather than by running the caller's script again, so that a
script needs no main guard and the command line may do other things before and after. A helper
whose first process is gone ends by itself; if a helper is gone, the first process says so.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boneage.dataset.prepared import PreparedData, PreparedImages
from boneage.errors import BoneAgeError, TrainingError
from boneage.files import write_json
from boneage.training.processes import Place
from boneage.training.settings import TrainingSettings

__all__ = ["Job", "error_file", "helpers", "place_in", "ready_file"]

# How long the first process may stay in a step that a helper will never finish.
_GRACE_S = 60.0


@dataclass(frozen=True, eq=False)
class Job:
    """What a helper is to do; the weights come from the first process.

    Attributes:
        settings: How to train.
        train: What to learn from.
        validation: What to validate on, or None.
        run: The run folder; only read, for its checkpoint.
        resume: Whether a run that was begun earlier goes on.
    """

    settings: TrainingSettings
    train: PreparedData
    validation: PreparedData | None
    run: Path
    resume: bool

    def write(self, folder: Path) -> None:
        """Write the job into a folder of its own: JSON and arrays, nothing that runs on load."""
        parts = {"train": self.train, "validation": self.validation}
        write_json(
            folder / "job.json",
            {
                "settings": self.settings.to_dict(),
                "run": os.fspath(self.run.absolute()),
                "resume": self.resume,
                "images": {
                    name: None if part is None else _write_part(folder, name, part)
                    for name, part in parts.items()
                },
            },
        )

    @classmethod
    def read(cls, folder: Path) -> "Job":
        """Read what :meth:`write` wrote."""
        values: dict[str, Any] = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        images = values["images"]
        train = _read_part(folder, "train", images["train"])
        validation = None
        if images["validation"] is not None:
            validation = _read_part(folder, "validation", images["validation"])
        settings = TrainingSettings.from_dict(values["settings"])
        return cls(settings, train, validation, Path(values["run"]), values["resume"])


def _write_part(folder: Path, name: str, part: PreparedData) -> str:
    """Write labels and rows; return where the images are."""
    images = part.images
    if isinstance(images, PreparedImages):
        place, rows = images.path.absolute(), images.rows
    else:
        place, rows = folder / f"{name}-images.npy", np.arange(len(images))
        np.save(place, images)
    np.savez(folder / f"{name}.npz", rows=rows, sexes=part.sexes, months=part.bone_ages_months)
    return os.fspath(place)


def _read_part(folder: Path, name: str, images: str) -> PreparedData:
    with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        return PreparedData(
            images=PreparedImages(images, arrays["rows"]),
            ids=tuple(map(str, range(len(arrays["rows"])))),  # who they are does not matter here
            sexes=arrays["sexes"],
            bone_ages_months=arrays["months"],
        )


def place_in(folder: Path, rank: int, count: int) -> Place:
    """The place of a process of a job in ``folder``."""
    return Place(rank, rank, 0, count, (folder / "meeting").absolute().as_uri())


def ready_file(folder: Path, rank: int) -> Path:
    """What a helper makes when it is about to join."""
    return folder / f"ready-{rank}"


def error_file(folder: Path, rank: int) -> Path:
    """Where a helper leaves the message of its error."""
    return folder / f"error-{rank}"


@contextmanager
def helpers(job: Job, count: int, *, grace_s: float = _GRACE_S) -> Iterator[Place]:
    """Start the helpers, and end them with the block.

    Args:
        job: What they are to do.
        count: Number of processes, this one included.
        grace_s: Seconds after a helper is gone until this process, if it has not noticed by
            itself, is ended.

    Yields:
        The place of this process, the first one.

    Raises:
        TrainingError: A helper has failed or was killed.
    """
    with tempfile.TemporaryDirectory(prefix="boneage-") as scratch:
        folder = Path(scratch)
        job.write(folder)
        started = [_start(folder, rank, count) for rank in range(1, count)]
        over = threading.Event()
        watch = threading.Thread(target=_watch, args=(started, folder, over, grace_s), daemon=True)
        try:
            _await_ready(started, folder)
            watch.start()
            yield place_in(folder, 0, count)
        except BoneAgeError as error:
            # A helper that failed by itself knows more than who lost the connection to it.
            if isinstance(error.__cause__, RuntimeError) and (why := _gone(started, folder, 10)):
                raise TrainingError(why) from error
            raise
        finally:
            over.set()
            _end(started)


def _start(folder: Path, rank: int, count: int) -> subprocess.Popen[bytes]:
    source = os.fspath(Path(__file__).resolve().parents[2])
    paths = [source, os.environ.get("PYTHONPATH", "")]
    with (folder / f"log-{rank}").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "boneage.training.helper", folder, str(rank), str(count)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.PIPE,  # its end tells the helper that this process is gone
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the helper
        )


def _await_ready(started: Sequence[subprocess.Popen[bytes]], folder: Path) -> None:
    """Wait until all helpers are about to join: joining itself waits for hours."""
    waiting = set(range(1, len(started) + 1))
    while waiting:
        if why := _gone(started, folder, 0):
            raise TrainingError(why)
        waiting = {rank for rank in waiting if not ready_file(folder, rank).exists()}
        time.sleep(0.05)


def _gone(started: Sequence[subprocess.Popen[bytes]], folder: Path, wait_s: float) -> str:
    """Why the first helper that failed is gone; empty if none is."""
    end = time.monotonic() + wait_s
    while True:
        for rank, process in enumerate(started, start=1):
            if process.poll():
                return _reason(folder, rank, len(started) + 1, process.returncode)
        if time.monotonic() >= end:
            return ""
        time.sleep(0.05)


def _reason(folder: Path, rank: int, count: int, code: int) -> str:
    message = error_file(folder, rank)
    if message.is_file():
        return message.read_text(encoding="utf-8")
    if code < 0:
        why = f"was killed by signal {-code} ({signal.Signals(-code).name})"
        if -code == signal.SIGKILL:
            why += ", as the system does where memory is short"
    else:
        lines = (folder / f"log-{rank}").read_text(encoding="utf-8", errors="replace").split("\n")
        why = (
            f"failed: {next((line for line in reversed(lines) if line.strip()), f'status {code}')}"
        )
    return (
        f"Process {rank + 1} of {count} of the training {why}. The run goes on from its last epoch "
        "with the same command and --resume."
    )


def _watch(
    started: Sequence[subprocess.Popen[bytes]], folder: Path, over: threading.Event, grace_s: float
) -> None:
    """End this process if it waits for a helper that is gone: on a GPU it cannot be interrupted."""
    while not over.wait(0.5):
        if (why := _gone(started, folder, 0)) and not over.wait(grace_s):
            print(f"error: {why}", file=sys.stderr, flush=True)
            _end(started)
            os._exit(TrainingError.exit_code)


def _end(started: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in started:
        if process.stdin is not None:
            process.stdin.close()
    for process in started:
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

"""Preparing images in processes of their own, one a core.

The workers are plain interpreters that are given work through a pipe. ``multiprocessing`` is not
used, because each of its ways to start a process fails somewhere: a fork of a process that runs
torch's threads can hang, and the others import the caller's main module again, which a notebook
or a script on standard input does not have, and which would run an unguarded script twice.
A worker whose parent dies reads the end of its pipe and ends.

Workers write finished images into the file themselves, by position. Writing to a memory map
instead would kill the process when the disk is full, and would make it look as large as the file.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from boneage.dataset.records import Reason
from boneage.errors import InputError, OutputError, RadiographError, UnreadableError
from boneage.files import output_errors
from boneage.radiographs.preparation import Preparation, PreparationSettings
from boneage.radiographs.readers import read_radiograph

__all__ = ["Outcome", "Task", "as_is", "prepare_in_processes", "prepare_items", "serve"]

#: (row, path): an image to prepare and the row of the array that it is for.
Item = tuple[int, str]
#: (row, reason, detail): the reason is empty when the image is in its row.
Outcome = tuple[int, str, str]

# Small enough that the cores finish together and the progress bar moves, large enough that the
# talk through the pipe costs nothing beside reading 32 images.
_CHUNK = 32
# -P keeps the working folder off the path: a json.py lying there must not be imported.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from boneage.dataset.workers import serve; serve()"
)
_AS_IS_NEEDS = (
    "With preparation off, all images must be square and of one size: switch preparation on, or "
    "prepare them so."
)


@dataclass(frozen=True)
class Task:
    """What is the same for all images of a build.

    Attributes:
        array_path: The ``.npy`` file that is being filled.
        offset_bytes: Where in the file row 0 begins.
        size_px: Side of a prepared image.
        settings: Preparation settings as a dictionary, or None to take images as they are.
    """

    array_path: str
    offset_bytes: int
    size_px: int
    settings: dict[str, Any] | None


def as_is(path: str) -> NDArray[np.float32]:
    """Read an image that somebody has prepared already.

    Returns:
        Values in 0..1, square, float32: integers divided by the maximum of their type.

    Raises:
        UnreadableError: It cannot be read.
        InputError: It is not square, or its floats are outside 0..1.
    """
    pixels = read_radiograph(path).pixels
    if pixels.shape[0] != pixels.shape[1]:
        raise InputError(
            f"{path} is {pixels.shape[1]} px wide and {pixels.shape[0]} px high. {_AS_IS_NEEDS}"
        )
    if pixels.dtype.kind == "u":
        return (pixels / np.float32(np.iinfo(pixels.dtype).max)).astype(np.float32)
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise InputError(
            f"{path} holds floating-point values outside 0..1. With preparation off, values must "
            "be within 0..1: switch preparation on, or scale them."
        )
    return pixels.astype(np.float32)


def prepare_items(task: Task, items: Sequence[Item]) -> list[Outcome]:
    """Prepare images and write them into their rows.

    Raises:
        InputError: With preparation off, an image is not as it must be.
        OutputError: The array cannot be written.
    """
    settings = task.settings
    prepare = None if settings is None else Preparation(PreparationSettings.from_dict(settings))
    outcomes: list[Outcome] = []
    finished: list[tuple[int, NDArray[np.uint8]]] = []
    for row, path in items:
        try:
            image = as_is(path) if prepare is None else prepare(read_radiograph(path)).image
        except RadiographError as error:
            unreadable = isinstance(error, UnreadableError)
            reason = Reason.UNREADABLE if unreadable else Reason.UNSUITABLE
            outcomes.append((row, reason.value, str(error)))
            continue
        if image.shape != (task.size_px, task.size_px):
            raise InputError(
                f"{path} is {image.shape[1]} px wide, others are {task.size_px} px. {_AS_IS_NEEDS}"
            )
        finished.append((row, np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)))
        outcomes.append((row, "", ""))
    with output_errors(task.array_path), open(task.array_path, "r+b") as array:
        for row, values in finished:
            array.seek(task.offset_bytes + row * values.size)
            array.write(values.tobytes())
    return outcomes


def prepare_in_processes(
    task: Task, items: Sequence[Item], workers: int
) -> Iterator[list[Outcome]]:
    """Prepare images in ``workers`` processes.

    Yields:
        Outcomes, a chunk at a time, in no particular order.

    Raises:
        InputError: With preparation off, an image is not as it must be.
        OutputError: The array cannot be written, or a worker was killed.
    """
    chunks: queue.SimpleQueue[Sequence[Item]] = queue.SimpleQueue()
    size = max(1, min(_CHUNK, len(items) // (4 * workers)))
    for start in range(0, len(items), size):
        chunks.put(items[start : start + size])
    results: queue.SimpleQueue[list[Outcome] | BaseException | None] = queue.SimpleQueue()
    with contextlib.ExitStack() as stack:
        for _ in range(workers):
            worker = stack.enter_context(_Worker(task))
            thread = threading.Thread(target=_drive, args=(worker, chunks, results), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(worker.kill)  # runs before join, and lets the thread end
        running = workers
        while running:
            result = results.get()
            if result is None:
                running -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                yield result


def _drive(
    worker: "_Worker",
    chunks: "queue.SimpleQueue[Sequence[Item]]",
    results: "queue.SimpleQueue[list[Outcome] | BaseException | None]",
) -> None:
    """Give one worker chunks until there are none."""
    try:
        while True:
            try:
                chunk = chunks.get_nowait()
            except queue.Empty:
                break
            results.put(worker.prepare(chunk))
    except BaseException as error:
        results.put(error)
    finally:
        results.put(None)


class _Worker:
    """One process that prepares what it is sent."""

    def __init__(self, task: Task) -> None:
        # One thread each: the cores are shared out already, and pools of threads cost memory.
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **single},
            text=True,
            encoding="utf-8",
        )
        self._send(sys.path)
        self._send(asdict(task))

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was still to be sent has no receiver
                    pipe.close()

    def kill(self) -> None:
        """End the process; images in work are lost, finished ones stay."""
        self._process.kill()

    def prepare(self, chunk: Sequence[Item]) -> list[Outcome]:
        """Send a chunk and wait for its outcomes."""
        self._send(chunk)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            code = self._process.wait()
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            raise OutputError(
                f"A process that prepares images {how}, at one of {chunk[0][1]} to "
                f"{chunk[-1][1]}; signal 9 is often a lack of memory. Run it again: it goes on "
                "where it stopped; with fewer workers it needs less memory."
            )
        answer = json.loads(line)
        if "outcomes" in answer:
            return [(row, reason, detail) for row, reason, detail in answer["outcomes"]]
        if "input" in answer:
            raise InputError(answer["input"])
        if "output" in answer:
            raise OutputError(answer["output"])
        raise RuntimeError(f"A process that prepares images failed.\n{answer['bug']}")

    def _send(self, value: Any) -> None:
        """Write one line of JSON; a worker that is gone is noticed when its answer is read."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()


def serve() -> None:
    """Be a worker: read a task and then chunks from standard input, answer on standard output."""
    import cv2

    cv2.setNumThreads(1)
    # Control-C reaches every process of a terminal; the parent decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    task = Task(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        _answer(answers, task, [(row, path) for row, path in json.loads(line)])


def _answer(answers: IO[str], task: Task, items: list[Item]) -> None:
    """Prepare a chunk and answer with its outcomes, or with what went wrong."""
    try:
        answer: dict[str, Any] = {"outcomes": prepare_items(task, items)}
    except InputError as error:
        answer = {"input": str(error)}
    except OutputError as error:
        answer = {"output": str(error)}
    except Exception:
        answer = {"bug": traceback.format_exc()}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()

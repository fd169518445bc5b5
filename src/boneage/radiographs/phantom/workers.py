"""Drawing the images of a data set, in processes of their own when there are many.

The workers are plain interpreters that read their share from standard input. Threads would wait
for each other, since a phantom is hundreds of small array operations; ``multiprocessing`` would
import the caller's main module again, which a notebook does not have.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from boneage.errors import OutputError
from boneage.files import atomic_path
from boneage.radiographs.phantom.rendering import draw_phantom
from boneage.radiographs.radiograph import Sex

__all__ = ["Share", "draw_child", "draw_in_processes", "draw_share", "image_path", "serve"]

# Starting an interpreter with OpenCV costs about as much as drawing this many images.
_WORTH_A_PROCESS = 40
_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
# -P keeps the working folder off the path: a json.py lying there must not be imported.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from boneage.radiographs.phantom.workers import serve; serve()"
)


@dataclass(frozen=True)
class Share:
    """The images that one process draws.

    Attributes:
        folder: Where the images go.
        first_id: Id of image number 0.
        seed: Seed of the data set.
        height_px: Height of the images.
        months: Youngest and oldest bone age, whole months.
        start: Its first number.
        stop: One more than the last number of the data set.
        step: Distance between its numbers.
    """

    folder: str
    first_id: int
    seed: int
    height_px: int
    months: tuple[int, int]
    start: int
    stop: int
    step: int


def image_path(folder: str | Path, identity: int) -> Path:
    """Where the image with this id is."""
    return Path(folder) / f"{identity}.png"


def draw_child(
    seed: int, number: int, months: tuple[int, int]
) -> tuple[int, Sex, np.random.Generator]:
    """Bone age and sex of one image of a data set, and the generator that draws the rest."""
    rng = np.random.default_rng([seed, number])
    age = int(rng.integers(months[0], months[1] + 1))
    sex = Sex.FEMALE if rng.random() < 0.5 else Sex.MALE
    return age, sex, rng


def draw_share(share: Share) -> None:
    """Draw the images of a share and write them.

    Raises:
        OutputError: An image cannot be written.
    """
    for number in range(share.start, share.stop, share.step):
        months, sex, rng = draw_child(share.seed, number, share.months)
        radiograph = draw_phantom(months, sex, rng=rng, height_px=share.height_px)
        png = cv2.imencode(".png", radiograph.pixels, _FAST_PNG)[1]
        with atomic_path(image_path(share.folder, share.first_id + number)) as temporary:
            temporary.write_bytes(png.tobytes())


def draw_in_processes(share: Share, workers: int | None) -> None:
    """Draw a whole data set.

    Args:
        share: All of it: ``step`` is 1.
        workers: Processes at most; None for one a core. Few images are drawn in this one.

    Raises:
        OutputError: An image cannot be written, or a process was killed.
    """
    count = share.stop - share.start
    processes = min(workers or _cores(), max(1, count // _WORTH_A_PROCESS))
    if processes == 1:
        draw_share(share)
        return
    with contextlib.ExitStack() as stack:
        running = []
        for offset in range(processes):
            task = {**asdict(share), "start": share.start + offset, "step": processes}
            running.append(stack.enter_context(_worker(task)))
        for process in running:
            answer, _ = process.communicate()
            if process.returncode == 0:
                continue
            lines = answer.splitlines()
            raise OutputError(
                json.loads(lines[-1])["output"]
                if lines
                else f"A process that draws phantoms ended with code {process.returncode}; -9 is "
                "often a lack of memory. Run it again with fewer workers."
            )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _worker(task: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A process that draws one share; it is ended if the block is left before it is done."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", _BOOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # One thread each: the cores are shared out already.
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it ended: its exit code says so
                process.stdin.write(f"{json.dumps(sys.path)}\n{json.dumps(task)}\n")
                process.stdin.flush()
            yield process
        except BaseException:
            process.kill()
            raise


def serve() -> None:
    """Be a worker: read a share from standard input and draw it; errors go to standard output."""
    cv2.setNumThreads(1)
    # Control-C reaches every process of a terminal; the parent decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task = json.loads(sys.stdin.readline())
    try:
        draw_share(Share(**{**task, "months": tuple(task["months"])}))
    except OutputError as error:
        print(json.dumps({"output": str(error)}))
        sys.exit(1)

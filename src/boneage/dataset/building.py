"""Building the cache of prepared images.

A build goes on in a folder beside the finished ones, under a lock, and is moved into place when it
is complete. A second process that wants the same images waits for the first. What is finished is
noted on the way, so a build that was stopped goes on where it was.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from boneage.dataset.cache import (
    IMAGES_NAME,
    INDEX_NAME,
    CachedImages,
    cache_key,
    open_finished,
)
from boneage.dataset.locks import locked
from boneage.dataset.records import Record
from boneage.dataset.workers import Outcome, Task, as_is, prepare_in_processes, prepare_items
from boneage.errors import NoInputError, OutputError, UnreadableError
from boneage.files import make_folder, output_errors, write_json
from boneage.radiographs.preparation import PREPARATION_VERSION, PreparationSettings

__all__ = ["build_or_open"]

#: What a build notes its progress in.
_NOTES_NAME = "done.jsonl"
_NOTE_SECONDS = 3.0
#: Below this many images the start of processes costs more than it saves.
_MIN_FOR_PROCESSES = 64
#: Images that are prepared between two steps of the bar when no processes are started.
_STEP = 8


def build_or_open(
    root: Path,
    records: Sequence[Record],
    settings: PreparationSettings | None,
    *,
    workers: int,
    progress: bool,
) -> CachedImages:
    """Open the cache of some images; build it first if it is not there.

    Args:
        root: As from :func:`cache_folder`.
        records: The images.
        settings: How to prepare them; None takes them as they are.
        workers: Number of processes.
        progress: Whether to show a bar, if the output is a terminal.

    Raises:
        InputError: ``settings`` is None and an image is not square and of the others' size.
        NoInputError: Not one of the images could be prepared.
        OutputError: The cache cannot be written, or a worker was killed.
    """
    key = cache_key(records, settings)
    found = open_finished(root, key, records)
    if found is None:
        make_folder(root)
        with _building(root, key, progress) as folder:
            found = open_finished(root, key, records)  # another process may have made it by now
            if found is None:
                build = _Build(folder, key, records, settings)
                build.run(workers, progress)
                _move_into_place(folder, root / key)
                found = open_finished(root, key, records)
    if found is None:
        raise OutputError(
            f"The prepared images in {root / key} vanished or changed while they were in use. "
            "Run it again."
        )
    return found


@contextmanager
def _building(root: Path, key: str, progress: bool) -> Iterator[Path]:
    """A folder to build in that no other process builds in.

    Where files cannot be locked (some network drives) each process builds in a folder of its own,
    and a stopped build starts anew.
    """
    with locked(root / f"{key}.lock", progress) as exclusive:
        if exclusive:
            yield root / f"{key}.partial"
            return
    with output_errors(root):
        folder = Path(tempfile.mkdtemp(prefix=f"{key}.", suffix=".partial", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_into_place(folder: Path, final: Path) -> None:
    """Give a complete build its final name; a damaged cache of that name goes."""
    with output_errors(final):
        try:
            folder.rename(final)
        except OSError:
            damaged = Path(
                tempfile.mkdtemp(prefix=f"{final.name}.", suffix=".old", dir=final.parent)
            )
            with suppress(FileNotFoundError):
                final.rename(damaged / "cache")
            shutil.rmtree(damaged, ignore_errors=True)
            folder.rename(final)
    with suppress(OSError):
        (final / _NOTES_NAME).unlink()


class _Build:
    """One build, from an empty or a half-finished folder to a complete one."""

    def __init__(
        self,
        folder: Path,
        key: str,
        records: Sequence[Record],
        settings: PreparationSettings | None,
    ) -> None:
        self.folder = folder
        self.key = key
        self.records = records
        self.settings = settings
        self.done: dict[int, Outcome] = {}

    def run(self, workers: int, progress: bool) -> None:
        """Prepare what is not prepared yet, and write the index."""
        size_px = self.settings.size_px if self.settings else _common_size(self.records)
        task = self._resume(size_px) or self._start(size_px)
        todo = [
            (row, str(record.path))
            for row, record in enumerate(self.records)
            if row not in self.done
        ]
        with (
            _progress_bar(len(self.records), len(self.done), progress) as advance,
            self._notebook() as note,
        ):
            for outcomes in _prepare(task, todo, workers):
                note(outcomes)
                advance(len(outcomes))
        empty = [list(outcome) for _, outcome in sorted(self.done.items()) if outcome[1]]
        if len(empty) == len(self.records):
            # Not kept: a drive that was away for a moment must not leave an empty cache behind.
            shutil.rmtree(self.folder, ignore_errors=True)
            raise NoInputError(
                f"Not one of the {len(empty):,} images could be prepared; the first: {empty[0][2]}"
            )
        index = {
            "key": self.key,
            "preparation": None if self.settings is None else self.settings.to_dict(),
            "preparation_version": PREPARATION_VERSION,
            "size_px": size_px,
            "ids": [record.id for record in self.records],
            "empty": empty,
        }
        write_json(self.folder / INDEX_NAME, index)

    def _task(self, size_px: int, offset_bytes: int) -> Task:
        settings = None if self.settings is None else self.settings.to_dict()
        return Task(str(self.folder / IMAGES_NAME), offset_bytes, size_px, settings)

    def _resume(self, size_px: int) -> Task | None:
        """Take up a build that was stopped; None if there is none, or it does not fit."""
        shape = (len(self.records), size_px, size_px)
        try:
            array = np.load(self.folder / IMAGES_NAME, mmap_mode="r", allow_pickle=False)
            if array.shape != shape or array.dtype != np.uint8:
                return None
            for line in (self.folder / _NOTES_NAME).read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, TypeError):  # the last line may have been cut off
                    row, reason, detail = json.loads(line)
                    if reason == "":  # what could not be read gets another try
                        self.done[int(row)] = (int(row), reason, detail)
        except (OSError, ValueError, EOFError):
            self.done.clear()
            return None
        return self._task(size_px, array.offset)

    def _start(self, size_px: int) -> Task:
        """Make an array of the full size, so that a full disk is known before the work."""
        path = self.folder / IMAGES_NAME
        shape = (len(self.records), size_px, size_px)
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            with output_errors(path):
                self.folder.mkdir(parents=True)
                array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
                offset = int(array.offset)
                if hasattr(os, "posix_fallocate"):
                    with path.open("r+b") as file:
                        os.posix_fallocate(file.fileno(), 0, offset + array.nbytes)
        except OutputError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self._task(size_px, offset)

    @contextmanager
    def _notebook(self) -> Iterator[Callable[[Iterable[Outcome]], None]]:
        """Note finished images every few seconds, never before they are on the disk."""
        pending: list[Outcome] = []
        last = time.monotonic()

        def flush() -> None:
            if not pending:
                return
            with output_errors(self.folder), (self.folder / IMAGES_NAME).open("r+b") as images:
                os.fsync(images.fileno())
                with (self.folder / _NOTES_NAME).open("a", encoding="utf-8") as notes:
                    notes.writelines(json.dumps(outcome) + "\n" for outcome in pending)
            pending.clear()

        def note(outcomes: Iterable[Outcome]) -> None:
            nonlocal last
            for outcome in outcomes:
                self.done[outcome[0]] = outcome
                pending.append(outcome)
            if time.monotonic() - last > _NOTE_SECONDS:
                flush()
                last = time.monotonic()

        try:
            yield note
        finally:
            flush()


def _prepare(task: Task, todo: Sequence[tuple[int, str]], workers: int) -> Iterator[list[Outcome]]:
    """Prepare images here or in other processes, whichever is quicker."""
    workers = min(workers, len(todo))
    if workers > 1 and len(todo) >= _MIN_FOR_PROCESSES and sys.executable:
        yield from prepare_in_processes(task, todo, workers)
    else:
        for start in range(0, len(todo), _STEP):
            yield prepare_items(task, todo[start : start + _STEP])


def _common_size(records: Sequence[Record]) -> int:
    """Side of the first readable image; the others are compared with it when their turn comes."""
    first = ""
    for record in records:
        try:
            return int(as_is(str(record.path)).shape[0])
        except UnreadableError as error:
            first = first or str(error)
    raise NoInputError(
        f"Not one of the {len(records):,} images could be prepared; the first: {first}"
    )


@contextmanager
def _progress_bar(total: int, done: int, wanted: bool) -> Iterator[Callable[[int], Any]]:
    """A bar on standard error, if that is a terminal."""
    if not wanted or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("Preparing radiographs", total=total, completed=done)
        yield lambda count: bar.advance(task, count)

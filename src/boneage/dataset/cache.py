"""The cache of prepared images: what it is called, when it is good, how it is built.

A finished cache is a folder named by its key, with ``images.npy`` (one row an image) and
``index.json`` (the ids, and which rows are empty and why). The key is a hash of the images' names,
sizes and times and of how they are prepared, so a cache is never out of date: it is found or not.

A build goes on in a folder beside it, under a lock, and is moved into place when complete. A second
process that wants the same images waits for the first. What is finished is noted on the way, so a
build that was stopped goes on where it was.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boneage.dataset.locks import locked
from boneage.dataset.records import Discard, Reason, Record
from boneage.dataset.workers import Outcome, Task, as_is, prepare_in_processes, prepare_items
from boneage.errors import NoInputError, OutputError, UnreadableError
from boneage.files import make_folder, output_errors, write_json
from boneage.radiographs.preparation import PREPARATION_VERSION, PreparationSettings

__all__ = ["CachedImages", "build_or_open", "cache_folder", "cache_key", "open_finished"]

_FORMAT = 1
_NOTE_SECONDS = 3.0
#: Below this many images the start of processes costs more than it saves.
_MIN_FOR_PROCESSES = 64
_SPOT_CHECKS = 16
_SPOT_BYTES = 65_536
_IMAGES, _INDEX, _DONE = "images.npy", "index.json", "done.jsonl"


@dataclass(frozen=True)
class CachedImages:
    """A finished cache.

    Attributes:
        path: The ``.npy`` file of shape (M, S, S), dtype uint8.
        row_by_id: Row of each prepared image.
        discarded: Images that could not be read or prepared.
    """

    path: Path
    row_by_id: dict[str, int]
    discarded: tuple[Discard, ...]


def cache_folder(chosen: str | os.PathLike[str] | None = None) -> Path:
    """Folder of prepared images.

    Args:
        chosen: The folder to use; without it ``$BONEAGE_CACHE``, else the user's cache folder
            (``$XDG_CACHE_HOME/boneage`` or ``~/.cache/boneage``).
    """
    if chosen is None:
        user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        chosen = os.environ.get("BONEAGE_CACHE") or user / "boneage"
    return Path(os.path.abspath(chosen)) / "prepared"


def cache_key(records: Sequence[Record], settings: PreparationSettings | None) -> str:
    """Name of the cache of some images prepared in some way: 32 hexadecimal digits.

    The images count by file name, size and time of change, not by folder, so a data folder may be
    moved. Where times were reset and sizes say little (uncompressed files), samples from the
    middle of a few files keep different data sets apart.
    """
    how = None if settings is None else settings.to_dict()
    digest = hashlib.sha256(
        json.dumps([_FORMAT, PREPARATION_VERSION, how], sort_keys=True).encode()
    )
    for record in records:
        digest.update(os.fsencode(f"{record.path.name}\0{_stamp(record.path)}\n"))
    step = max(1, len(records) // _SPOT_CHECKS)
    for record in records[::step]:
        digest.update(hashlib.sha256(_sample(record.path)).digest())
    return digest.hexdigest()[:32]


def _stamp(path: Path) -> str:
    """Size, time of change and readability: a file that becomes readable counts as changed."""
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns} {os.access(path, os.R_OK)}"


def _sample(path: Path) -> bytes:
    """Bytes from the middle of a file; nothing if it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, (path.stat().st_size - _SPOT_BYTES) // 2))
            return file.read(_SPOT_BYTES)
    except OSError:
        return b""


def open_finished(root: Path, key: str, records: Sequence[Record]) -> CachedImages | None:
    """Open a finished cache; None if there is none, or it is damaged."""
    folder = root / key
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        array = np.load(folder / _IMAGES, mmap_mode="r", allow_pickle=False)
        empty = {int(row): (Reason(why), str(detail)) for row, why, detail in index["empty"]}
        good = (
            index["key"] == key
            and index["ids"] == [record.id for record in records]
            and array.dtype == np.uint8
            and array.ndim == 3
            and len(array) == len(records)
            and (folder / _IMAGES).stat().st_size == array.offset + array.nbytes
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    if not good:
        return None
    return CachedImages(
        folder / _IMAGES,
        {record.id: row for row, record in enumerate(records) if row not in empty},
        tuple(
            Discard(records[row].id, str(records[row].path), *empty[row]) for row in sorted(empty)
        ),
    )


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
        (final / _DONE).unlink()


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
            "format": _FORMAT,
            "key": self.key,
            "preparation": None if self.settings is None else self.settings.to_dict(),
            "preparation_version": PREPARATION_VERSION,
            "size_px": size_px,
            "ids": [record.id for record in self.records],
            "empty": empty,
        }
        write_json(self.folder / _INDEX, index)

    def _task(self, size_px: int, offset_bytes: int) -> Task:
        settings = None if self.settings is None else self.settings.to_dict()
        return Task(str(self.folder / _IMAGES), offset_bytes, size_px, settings)

    def _resume(self, size_px: int) -> Task | None:
        """Take up a build that was stopped; None if there is none, or it does not fit."""
        shape = (len(self.records), size_px, size_px)
        try:
            array = np.load(self.folder / _IMAGES, mmap_mode="r", allow_pickle=False)
            if array.shape != shape or array.dtype != np.uint8:
                return None
            for line in (self.folder / _DONE).read_text(encoding="utf-8").splitlines():
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
        path = self.folder / _IMAGES
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
            with output_errors(self.folder), (self.folder / _IMAGES).open("r+b") as images:
                os.fsync(images.fileno())
                with (self.folder / _DONE).open("a", encoding="utf-8") as notes:
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
        for start in range(0, len(todo), 8):
            yield prepare_items(task, todo[start : start + 8])


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

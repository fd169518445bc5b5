"""The cache of prepared images: what it is called and when it is good.

A finished cache is a folder named by its key, with ``images.npy`` (one row an image) and
``index.json`` (the ids, and which rows are empty and why). The key is a hash of the images' names,
sizes and times and of how they are prepared, so a cache is never out of date: it is found or not.
How one is made is in :mod:`boneage.dataset.building`.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boneage.dataset.records import Discard, Reason, Record
from boneage.radiographs.preparation import PREPARATION_VERSION, PreparationSettings

__all__ = [
    "IMAGES_NAME",
    "INDEX_NAME",
    "CachedImages",
    "cache_folder",
    "cache_key",
    "open_finished",
]

#: Names of the two files of a finished cache.
IMAGES_NAME = "images.npy"
INDEX_NAME = "index.json"

# Part of the key: raise it when the files of a cache change their meaning.
_FORMAT = 1
_SPOT_CHECKS = 16
_SPOT_BYTES = 65_536


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
        index = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
        array = np.load(folder / IMAGES_NAME, mmap_mode="r", allow_pickle=False)
        empty = {int(row): (Reason(why), str(detail)) for row, why, detail in index["empty"]}
        good = (
            index["key"] == key
            and index["ids"] == [record.id for record in records]
            and array.dtype == np.uint8
            and array.ndim == 3
            and len(array) == len(records)
            and (folder / IMAGES_NAME).stat().st_size == array.offset + array.nbytes
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    if not good:
        return None
    return CachedImages(
        folder / IMAGES_NAME,
        {record.id: row for row, record in enumerate(records) if row not in empty},
        tuple(
            Discard(records[row].id, str(records[row].path), *empty[row]) for row in sorted(empty)
        ),
    )

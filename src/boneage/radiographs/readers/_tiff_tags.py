"""The tags of a TIFF structure (TIFF 6.0, section 2): TIFF files, and Exif in JPEG and PNG."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.errors import UnreadableError

__all__ = ["Directory", "exif_orientation", "read_directories"]

_DAMAGED = "Copy or export it again"
_ORIENTATION = 274

# Number of a field type: its NumPy type without byte order. Rationals (5 and 10) are not needed.
_FIELD_TYPES = {
    1: "u1", 2: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4",
    11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
_MAX_DIRECTORIES = 1000


@dataclass(frozen=True)
class Directory:
    """One image file directory: what is known of one page.

    Attributes:
        byte_order: ``<`` or ``>``, of the whole file.
        tags: Values of each tag that has a known field type.
    """

    byte_order: str
    tags: dict[int, NDArray[Any]]

    def number(self, tag: int, default: int | None = None) -> int:
        """Give the first value of a tag.

        Args:
            tag: Number of the tag.
            default: Value if the tag is absent; None if it is required.

        Raises:
            UnreadableError: A required tag is absent, or it holds no whole number.
        """
        values = self.tags.get(tag)
        if values is None and default is not None:
            return default
        if values is None or values.size == 0 or values.dtype.kind not in "ui":
            raise UnreadableError(f"the TIFF lacks a proper tag {tag}. {_DAMAGED}")
        return int(values.flat[0])

    def numbers(self, tag: int) -> list[int]:
        """Give every value of a required tag.

        Raises:
            UnreadableError: The tag is absent or does not hold whole numbers.
        """
        values = self.tags.get(tag)
        if values is None or values.dtype.kind not in "ui":
            raise UnreadableError(f"the TIFF lacks a proper tag {tag}. {_DAMAGED}")
        return [int(value) for value in values.flat]


def exif_orientation(exif: bytes) -> int:
    """Find the orientation in Exif metadata.

    Args:
        exif: The metadata, with or without the ``Exif`` label before it; may be empty.

    Returns:
        The orientation, 1 to 8; 1 (as stored) if there is none, or if the metadata is malformed,
        which says nothing against the picture.
    """
    try:
        directory = read_directories(exif.removeprefix(b"Exif\0\0"), most=1)[0]
        orientation = directory.number(_ORIENTATION, 1)
    except UnreadableError:
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def read_directories(data: bytes, most: int = _MAX_DIRECTORIES) -> list[Directory]:
    """Read the chain of directories of a TIFF structure, BigTIFF too.

    Args:
        data: The structure, from its byte-order mark on.
        most: Stop after as many.

    Returns:
        At least one directory.

    Raises:
        UnreadableError: The structure is damaged or incomplete.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    version = _integer(data, 2, 2, order or "<")
    if order is None or version not in (42, 43):
        raise UnreadableError(f"the TIFF has no proper header. {_DAMAGED}")
    big = version == 43
    at = _integer(data, 8, 8, order) if big else _integer(data, 4, 4, order)
    directories: list[Directory] = []
    seen: set[int] = set()
    while at and len(directories) < most:
        if at in seen:
            raise UnreadableError(f"the TIFF is damaged: its pages form a circle. {_DAMAGED}")
        seen.add(at)
        directory, at = _directory(data, at, order, big)
        directories.append(directory)
    if not directories:
        raise UnreadableError(f"the TIFF holds no picture. {_DAMAGED}")
    return directories


def _directory(data: bytes, at: int, order: str, big: bool) -> tuple[Directory, int]:
    """Read one directory; give it and the position of the next, or 0."""
    count_bytes, entry_bytes, value_bytes = (8, 20, 8) if big else (2, 12, 4)
    count = _integer(data, at, count_bytes, order)
    at += count_bytes
    if at + count * entry_bytes > len(data):
        raise _cut_short(data)
    tags: dict[int, NDArray[Any]] = {}
    for entry in range(at, at + count * entry_bytes, entry_bytes):
        tag = _integer(data, entry, 2, order)
        field_type = _FIELD_TYPES.get(_integer(data, entry + 2, 2, order))
        values = _integer(data, entry + 4, value_bytes, order)
        if field_type is None:
            continue
        dtype = np.dtype(order + field_type)
        where = entry + 4 + value_bytes
        if values * dtype.itemsize > value_bytes:
            where = _integer(data, where, value_bytes, order)
        if where + values * dtype.itemsize > len(data):
            raise _cut_short(data)
        tags[tag] = np.frombuffer(data, dtype, values, where)
    following = _integer(data, at + count * entry_bytes, value_bytes, order)
    return Directory(order, tags), following


def _integer(data: bytes, at: int, size: int, order: str) -> int:
    if at + size > len(data):
        raise _cut_short(data)
    return int.from_bytes(data[at : at + size], "little" if order == "<" else "big")


def _cut_short(data: bytes) -> UnreadableError:
    return UnreadableError(f"the TIFF is cut short at {len(data):,} bytes. {_DAMAGED}")

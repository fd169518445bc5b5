"""Which files of a folder are worth trying, and what a file's id is."""

import os
import re
from pathlib import Path

__all__ = [
    "IMAGE_SUFFIXES",
    "file_id",
    "holds_dicom",
    "is_dicom",
    "looks_like_image",
]

IMAGE_SUFFIXES: frozenset[str] = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
"""Suffixes, in lower case, of files that are worth trying when a folder is searched."""

_DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
_PERHAPS_DICOM = frozenset({"", ".ima"})  # what scanners leave without a suffix; disk images end so

HEAD_BYTES = 132
"""The preamble of a DICOM file and the letters DICM (PS3.10, 7.1)."""

# A file without a preamble begins with one of these: file meta information, or the group length,
# character set, image type, dates and SOP class that come first in a data set.
_FIRST_ELEMENTS = frozenset(
    {(2, 0), (2, 1), (2, 2), (8, 0), (8, 1), (8, 5), (8, 8), (8, 0x12), (8, 0x16)}
)
_FIRST_VRS = frozenset({b"UL", b"OB", b"UI", b"CS", b"DA", b"LO"})


def is_dicom(head: bytes) -> bool:
    """Tell a DICOM file by its first 132 bytes or more.

    Without the preamble two elements in a row must make sense, so that no text, and no other kind
    of file, is taken for one.
    """
    if head[128:132] == b"DICM":
        return True
    first = _element(head, 0)
    if first is None or first[:2] not in _FIRST_ELEMENTS:
        return False
    second = _element(head, first[2])
    return second is not None and second[0] in (2, 8) and second[:2] > first[:2]


def _element(head: bytes, at: int) -> tuple[int, int, int] | None:
    """Group, number and end of a little-endian data element (PS3.5, 7.1), if it is a short one."""
    if at + 8 > len(head):
        return None
    group = int.from_bytes(head[at : at + 2], "little")
    number = int.from_bytes(head[at + 2 : at + 4], "little")
    kind = head[at + 4 : at + 6]
    begin = at + 8
    if kind == b"OB":
        size, begin = int.from_bytes(head[at + 8 : at + 12], "little"), at + 12
    elif kind in _FIRST_VRS or re.fullmatch(rb"[A-Z]{2}", kind):
        size = int.from_bytes(head[at + 6 : at + 8], "little")
    else:
        size = int.from_bytes(head[at + 4 : at + 8], "little")
    return (group, number, begin + size) if size <= HEAD_BYTES else None


def holds_dicom(path: str | os.PathLike[str]) -> bool:
    """Look at the first bytes of a file; what cannot be read is no DICOM file."""
    try:
        with open(path, "rb") as file:
            return is_dicom(file.read(HEAD_BYTES))
    except OSError:
        return False


def looks_like_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file in a folder is to be tried.

    By its suffix, so that a damaged radiograph is tried and told of; a file that has none, or .ima,
    by its first bytes. The number that a name such as 1.2.840.5 ends in is no suffix. Only regular
    files are looked into: a pipe would wait for ever.
    """
    suffix = _suffix(path)
    if suffix in IMAGE_SUFFIXES | _DICOM_SUFFIXES:
        return True
    return suffix in _PERHAPS_DICOM and os.path.isfile(path) and holds_dicom(path)


def file_id(path: str | os.PathLike[str]) -> str:
    """The name of a file without its suffix; a number is none (names of DICOM files are UIDs)."""
    return Path(path).stem if _suffix(path) else Path(path).name


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    return "" if suffix[1:].isdecimal() else suffix

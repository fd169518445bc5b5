"""DICOMDIR: the file on a disc that lists the others (PS3.10, 8.6; PS3.3, annex F)."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from boneage.errors import UnreadableError, require_extra
from boneage.radiographs.readers._dicom_header import quiet_pydicom, whole
from boneage.radiographs.readers.recognise import holds_dicom

__all__ = ["DicomDir", "is_dicomdir", "read_dicomdir"]

_RECORDS, _RECORD_TYPE, _FILE_ID = 0x00041220, 0x00041430, 0x00041500


@dataclass(frozen=True)
class DicomDir:
    """What a DICOMDIR lists, each file once.

    Attributes:
        images: Paths of the images, in its order, whether or not they are there.
        others: Paths of what is no image: reports, presentation states and the like.
    """

    images: tuple[str, ...]
    others: tuple[str, ...]


def is_dicomdir(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a DICOMDIR: the standard lets it have no other name."""
    name = os.path.basename(os.fspath(path))
    return name.upper() == "DICOMDIR" and os.path.isfile(path) and holds_dicom(path)


def read_dicomdir(path: str | os.PathLike[str]) -> DicomDir:
    """Read which files a DICOMDIR lists.

    Args:
        path: The DICOMDIR. The files lie in its folder and below.

    Returns:
        Paths that begin with its folder.

    Raises:
        MissingExtraError: The extra ``dicom`` is not installed.
        UnreadableError: It is damaged, cannot be opened, or lists no files.
    """
    require_extra("dicom", "pydicom")
    import pydicom

    folder = os.path.dirname(os.fspath(path))
    with quiet_pydicom():
        with open(path, "rb") as file:
            content = io.BytesIO(file.read())
        found = pydicom.dcmread(content, specific_tags=[_RECORDS])
        records: list[Any] = []
        if _RECORDS in found:
            whole(found.get_item(_RECORDS))
            records = list(found[_RECORDS].value)
        files = [
            (kind, os.path.join(folder, *parts)) for kind, parts in map(_file_of, records) if parts
        ]
    if not files:
        raise UnreadableError("the DICOMDIR lists no files. Name the folder or its files instead")
    images = dict.fromkeys(_as_on_disk(folder, name) for kind, name in files if kind == "IMAGE")
    others = dict.fromkeys(_as_on_disk(folder, name) for kind, name in files if kind != "IMAGE")
    return DicomDir(tuple(images), tuple(name for name in others if name not in images))


def _file_of(record: Any) -> tuple[str, list[str]]:
    """Type of a directory record, and the parts of the path it refers to."""
    if _RECORD_TYPE not in record or _FILE_ID not in record:
        return "", []
    kind, file_id = (whole(record.get_item(tag)) for tag in (_RECORD_TYPE, _FILE_ID))
    if not file_id.value:
        return "", []
    parts = [part.strip(" \0") for part in _text(file_id.value).split("\\")]
    if any(part in ("", ".", "..") or set(part) & set("/\0:") for part in parts):
        raise UnreadableError(
            "the DICOMDIR lists a file outside its folder. Name the folder or its files instead"
        )
    return _text(kind.value).strip(" \0"), parts


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _as_on_disk(folder: str, path: str) -> str:
    """The path as it is written on this disk: copied from a CD, names may be in lower case."""
    if os.path.lexists(path):
        return path
    found = folder
    for part in _parts_below(folder, path):
        try:
            names = os.listdir(found or ".")
        except OSError:
            return path
        same = [name for name in names if name.partition(";")[0].lower() == part.lower()]
        if len(same) != 1:
            return path
        found = os.path.join(found, same[0])
    return found


def _parts_below(folder: str, path: str) -> Iterator[str]:
    yield from os.path.relpath(path, folder or ".").split(os.sep)

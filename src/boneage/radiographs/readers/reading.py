"""The way in: from a path to a radiograph, or to an error that says what to do."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from boneage.errors import UnreadableError
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.radiographs.readers import jpeg, png, tiff
from boneage.radiographs.readers.limits import ReadLimits

__all__ = ["IMAGE_SUFFIXES", "read_radiograph"]

IMAGE_SUFFIXES: frozenset[str] = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
"""Suffixes, in lower case, of files that are worth trying when a folder is searched."""

_Decoder = Callable[[bytes, ReadLimits], NDArray[Any]]

_DECODERS: tuple[tuple[bytes, _Decoder], ...] = (
    (b"\x89PNG\r\n\x1a\n", png.decode),
    (b"\xff\xd8\xff", jpeg.decode),
    (b"II*\x00", tiff.decode),
    (b"MM\x00*", tiff.decode),
    (b"II+\x00", tiff.decode),
    (b"MM\x00+", tiff.decode),
)


def read_radiograph(
    path: str | os.PathLike[str],
    *,
    sex: Sex | str | None = None,
    limits: ReadLimits | None = None,
) -> Radiograph:
    """Read one PNG, JPEG or TIFF file; the format is told by content, not by suffix.

    Pixels keep the depth of the file: 1- to 8-bit grey gives uint8 (fewer than 8 bits are
    stretched to 0..255), 9- to 16-bit grey uint16 as stored (12 bits in 16 stay 0..4095), and
    signed, longer and floating-point TIFF float32. Colour becomes grey by ITU-R BT.601
    luminance. The orientation tag is applied. A TIFF in which white is zero is inverted, so that
    larger is always brighter.

    Alpha is ignored: the stored values are what was measured, and to blend them with a background
    would mean to invent one. A picture that is transparent throughout is refused, because every
    viewer shows it empty.

    ``spacing_mm`` is always None: the resolutions in these formats (PNG pHYs, JFIF density, TIFF
    XResolution) are print sizes, most often a program's default of 72, 96 or 300 dpi, and nothing
    in the file tells those from a measured pixel spacing.

    Args:
        path: The file.
        sex: Sex of the child if known; a word that ``Sex.parse`` understands will do.
        limits: Largest file and picture to read, ``ReadLimits()`` if None.

    Returns:
        The radiograph; ``source`` is the file's name.

    Raises:
        UnreadableError: The file cannot be opened, is none of these formats, is damaged or
            incomplete, has several pages, or exceeds the limits. A picture is given whole or not
            at all. The message names the file and says what to do.
        InputError: ``sex`` is not understood.
    """
    path = Path(path)
    name = path.name or str(path)
    limits = ReadLimits() if limits is None else limits
    known_sex = None if sex is None else Sex.parse(sex)
    try:
        data = _read_bytes(path, limits)
        pixels = _decoder_for(data)(data, limits)
    except UnreadableError as error:
        raise UnreadableError(f"Cannot read {name}: {error}.") from error
    except MemoryError as error:
        raise UnreadableError(
            f"Cannot read {name}: there is not enough memory for it. Scale it down first."
        ) from error
    return Radiograph(pixels=pixels, sex=known_sex, source=name)


def _read_bytes(path: Path, limits: ReadLimits) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UnreadableError("it is a folder. Name a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("it is a device or a pipe. Save it to a file first")
        if status.st_size > limits.max_file_bytes:
            raise UnreadableError(
                f"it is {status.st_size:,} bytes, beyond the limit of "
                f"{limits.max_file_bytes:,}. Is it a radiograph?"
            )
        with path.open("rb") as file:
            return file.read(status.st_size)
    except FileNotFoundError as error:
        raise UnreadableError("there is no such file. Check the path") from error
    except PermissionError as error:
        raise UnreadableError("permission denied. Make it readable for you") from error
    except OSError as error:
        raise UnreadableError(f"{error.strerror or error}. Check the path and the disk") from error
    except ValueError as error:  # a NUL character in the path
        raise UnreadableError(f"the path is not valid ({error}). Check it") from error


def _decoder_for(data: bytes) -> _Decoder:
    if not data:
        raise UnreadableError("it is empty (0 bytes). Copy or export it again")
    for signature, decoder in _DECODERS:
        if data.startswith(signature):
            return decoder
    if data[128:132] == b"DICM":
        raise UnreadableError("it is a DICOM file. Export it as PNG or TIFF")
    raise UnreadableError("it is not a PNG, JPEG or TIFF image. Export it as one of these")

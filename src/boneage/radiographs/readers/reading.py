"""The way in: from a path to a radiograph, or to an error that says what to do."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from boneage.errors import MissingExtraError, UnreadableError, UnsuitableError
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.radiographs.readers import dicom, jpeg, png, tiff
from boneage.radiographs.readers._dicom_patient import ChildInFile
from boneage.radiographs.readers.limits import ReadLimits
from boneage.radiographs.readers.recognise import is_dicom

__all__ = ["age_months_in_file", "child_in_bytes", "read_radiograph", "read_radiograph_bytes"]

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
    """Read one PNG, JPEG, TIFF or DICOM file; the format is told by content, not by suffix.

    Pixels keep the depth of the file: 1- to 8-bit grey gives uint8 (fewer than 8 bits are
    stretched to 0..255), 9- to 16-bit grey uint16 as stored (12 bits in 16 stay 0..4095), and
    signed, longer and floating-point TIFF float32. Colour becomes grey by ITU-R BT.601
    luminance. The orientation tag is applied. A TIFF in which white is zero is inverted, so that
    larger is always brighter.

    Alpha is ignored: the stored values are what was measured, and to blend them with a background
    would mean to invent one. A picture that is transparent throughout is refused, because every
    viewer shows it empty.

    DICOM gives what a viewer shows by default: after rescale or Modality LUT and the first VOI LUT
    or window, MONOCHROME1 inverted, padding black. Without any of these, stored values stay as they
    are: uint8 up to 8 bits, uint16 above, float32 if they are signed. Sex, age, spacing, body part,
    side and view come from the header; what it lacks, or says without sense, is None. It needs the
    extra ``dicom``.

    In the other formats ``spacing_mm`` is always None: their resolutions (PNG pHYs, JFIF density,
    TIFF XResolution) are print sizes, most often a program's default of 72, 96 or 300 dpi, and
    nothing in the file tells those from a measured pixel spacing.

    Args:
        path: The file.
        sex: Sex of the child if known; a word that ``Sex.parse`` understands will do. It goes
            before what a file says.
        limits: Largest file and picture to read, ``ReadLimits()`` if None.

    Returns:
        The radiograph; ``source`` is the file's name.

    Raises:
        UnreadableError: The file cannot be opened, is none of these formats, is damaged or
            incomplete, has several pages, exceeds the limits, or needs a decoder that is not
            there. A picture is given whole or not at all. The message names the file and says
            what to do.
        UnsuitableError: A DICOM file that holds no picture, several frames, colour, or another
            part of the body than a hand.
        InputError: ``sex`` is not understood.
    """
    path = Path(path)
    name = path.name or str(path)
    limits = ReadLimits() if limits is None else limits
    return _named(name, lambda: _read_bytes(path, limits), sex, limits)


def read_radiograph_bytes(
    data: bytes,
    name: str,
    *,
    sex: Sex | str | None = None,
    limits: ReadLimits | None = None,
) -> Radiograph:
    """Read the content of one file, as :func:`read_radiograph` reads the file itself.

    Args:
        data: All bytes of the file.
        name: Name of the file, for messages and as ``source``.
        sex: Sex of the child if known; a word that ``Sex.parse`` understands will do.
        limits: Largest file and picture to read, ``ReadLimits()`` if None.

    Returns:
        The radiograph.

    Raises:
        UnreadableError: As for :func:`read_radiograph`.
        UnsuitableError: Likewise.
        InputError: ``sex`` is not understood.
    """
    limits = ReadLimits() if limits is None else limits

    def content() -> bytes:
        _check_bytes(len(data), limits)
        return data

    return _named(name, content, sex, limits)


def _named(
    name: str, content: Callable[[], bytes], sex: Sex | str | None, limits: ReadLimits
) -> Radiograph:
    """The radiograph of this content; its name stands in every error."""
    known_sex = None if sex is None else Sex.parse(sex)
    try:
        radiograph = _radiograph(content(), limits)
    except UnreadableError as error:
        raise UnreadableError(f"Cannot read {name}: {error}.") from error
    except UnsuitableError as error:
        raise UnsuitableError(f"{name}: {error}.") from error
    except MissingExtraError as error:
        # It concerns this file only; others can be read without.
        raise UnreadableError(f"Cannot read {name}: it is a DICOM file. {error}") from error
    except MemoryError as error:
        raise UnreadableError(
            f"Cannot read {name}: there is not enough memory for it. Scale it down first."
        ) from error
    return replace(radiograph, sex=known_sex or radiograph.sex, source=name)


def age_months_in_file(path: str | os.PathLike[str]) -> float | None:
    """Chronological age that a DICOM file gives in its header.

    Returns:
        Months, 0 to 300; None if it gives none, or is no DICOM file that can be read: reading the
        radiograph itself will tell why.
    """
    try:
        return child_in_bytes(_read_bytes(Path(path), ReadLimits())).age_months
    except (UnreadableError, MemoryError):
        return None


def child_in_bytes(data: bytes, limits: ReadLimits | None = None) -> ChildInFile:
    """What the header of a DICOM file says of the child; its pixels are not decoded.

    Args:
        data: All bytes of the file, of any format.
        limits: How much is read; None for the usual limits.

    Returns:
        What it says; nothing where it says nothing, or is no DICOM file that can be read.
    """
    try:
        return dicom.child_in(data, limits or ReadLimits()) if is_dicom(data) else ChildInFile()
    except (UnreadableError, MissingExtraError, MemoryError):
        return ChildInFile()


def _radiograph(data: bytes, limits: ReadLimits) -> Radiograph:
    if is_dicom(data):
        return dicom.read(data, limits)
    return Radiograph(pixels=_decoder_for(data)(data, limits))


def _read_bytes(path: Path, limits: ReadLimits) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UnreadableError("it is a folder. Name a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("it is a device or a pipe. Save it to a file first")
        _check_bytes(status.st_size, limits)
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


def _check_bytes(count: int, limits: ReadLimits) -> None:
    if count > limits.max_file_bytes:
        raise UnreadableError(
            f"it is {count:,} bytes, beyond the limit of {limits.max_file_bytes:,}. "
            "Is it a radiograph?"
        )


def _decoder_for(data: bytes) -> _Decoder:
    if not data:
        raise UnreadableError("it is empty (0 bytes). Copy or export it again")
    for signature, decoder in _DECODERS:
        if data.startswith(signature):
            return decoder
    raise UnreadableError("it is not a PNG, JPEG, TIFF or DICOM image. Export it as one of these")

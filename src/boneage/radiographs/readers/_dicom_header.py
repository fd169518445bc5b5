"""What a DICOM file says beside its pixels, as bytes: only the attributes that are needed.

pydicom parses the structure (PS3.5, 7). It is told which attributes to keep, so the name of a
patient is never even decoded, and none can get into a message or a log. Values are read here from
their bytes, because pydicom warns of odd values by quoting them.
"""

import contextlib
import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from boneage.errors import UnreadableError, require_extra
from boneage.radiographs.readers.limits import ReadLimits

__all__ = [
    "EXPLICIT_BIG_ENDIAN",
    "EXPLICIT_LITTLE_ENDIAN",
    "IMPLICIT_LITTLE_ENDIAN",
    "Header",
    "PixelElement",
    "quiet_pydicom",
    "read_header",
    "whole",
]

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"

_DAMAGED = "Copy or export it again"
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA = 0x7FE00010
_SEQUENCES = frozenset({0x00082218, 0x00283000, 0x00283010})
# The float pixel data of PS3.3 C.7.6.24 are kept to be told from no pixel data at all.
_WANTED = (
    0x00041200, 0x00080005, 0x00080016, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x0008002A,
    0x00082218, 0x00100030, 0x00100040, 0x00101010, 0x00180015, 0x00181114, 0x00181164,
    0x00182010, 0x00185101, 0x00200060, 0x00200062, 0x00280002, 0x00280004, 0x00280006, 0x00280008,
    0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120,
    0x00280121, 0x00280A02, 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281056, 0x00283000,
    0x00283010, 0x7FE00008, 0x7FE00009, _PIXEL_DATA,
)  # fmt: skip
_ENDED_EARLY = " in file <no filename>"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")  # PS3.5 table 6.2-1, DS

# pydicom tells of oddities by warnings, and what decides on those belongs to the whole process.
_LOCK = threading.Lock()


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Let pydicom work without warnings: they would quote values on standard error.

    Raises:
        UnreadableError: Whatever pydicom met in a damaged file. Its text may quote a value as well,
            the name of its type does not.
    """
    try:
        with _LOCK, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield
        # pydicom drops the whole data set where the file ends early, and only warns of it.
        if any(str(item.message).endswith(_ENDED_EARLY) for item in said):
            raise UnreadableError(f"the DICOM file is cut short. {_DAMAGED}")
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:
        raise UnreadableError(
            f"the structure of the DICOM file is damaged ({type(error).__name__}). {_DAMAGED}"
        ) from error


@dataclass(frozen=True)
class PixelElement:
    """Pixel Data (7FE0,0010) as it is in the file.

    Attributes:
        value: The bytes: pixels, or items that hold a compressed frame.
        encapsulated: Whether they are items.
        words: Whether they are stored as 16-bit words (VR OW).
    """

    value: bytes
    encapsulated: bool
    words: bool


@dataclass(frozen=True)
class Header:
    """Attributes by tag.

    Attributes:
        values: Bytes of the attributes that are there and not empty.
        little_endian: Byte order of binary numbers.
        sequences: Items of the sequences that are needed.
        transfer_syntax: UID; empty in the item of a sequence.
        pixels: The pixel data, or None.
        has_float_pixels: Whether there are floating-point pixels, which no radiograph has.
    """

    values: Mapping[int, bytes]
    little_endian: bool = True
    sequences: Mapping[int, "tuple[Header, ...]"] = field(default_factory=dict)
    transfer_syntax: str = ""
    pixels: PixelElement | None = None
    has_float_pixels: bool = False

    def texts(self, tag: int) -> list[str]:
        """The values of a text attribute, without padding."""
        value = self.values.get(tag, b"").decode("ascii", "replace")
        return [part.strip(" \0") for part in value.split("\\")] if value else []

    def text(self, tag: int) -> str:
        """The first value of a text attribute; empty if it is absent."""
        return next(iter(self.texts(tag)), "")

    def decimals(self, tag: int) -> list[float]:
        """The values of a decimal attribute (DS, IS); empty if any is no number."""
        texts = self.texts(tag)
        return [float(text) for text in texts] if all(map(_NUMBER.fullmatch, texts)) else []

    def integers(self, tag: int, *, signed: bool = False) -> list[int]:
        """The values of an attribute of 16-bit integers (US, SS, OW)."""
        value = self.values.get(tag, b"")
        count = len(value) // 2
        order, kind = "<" if self.little_endian else ">", "h" if signed else "H"
        return list(struct.unpack(f"{order}{count}{kind}", value[: 2 * count]))

    def integer(self, tag: int, default: int | None = None, *, signed: bool = False) -> int:
        """The first value of such an attribute.

        Raises:
            UnreadableError: It is absent, and there is no default.
        """
        found = self.integers(tag, signed=signed)
        if found:
            return found[0]
        if default is None:
            raise UnreadableError(
                f"the DICOM file lacks ({tag >> 16:04X},{tag & 0xFFFF:04X}), without which its "
                f"pixels mean nothing. {_DAMAGED}"
            )
        return default


def read_header(data: bytes, limits: ReadLimits) -> Header:
    """Read the attributes that are needed.

    Args:
        data: The whole file, with or without a preamble.
        limits: How far a deflated file may be inflated.

    Returns:
        The header.

    Raises:
        MissingExtraError: pydicom is not installed.
        UnreadableError: The structure is damaged, or the file ends before its time.
    """
    require_extra("dicom", "pydicom")
    syntax, begin = _file_meta(data)
    if syntax == _DEFLATED:
        data = _with_plain_meta(_inflate(data[begin:], limits))
    import pydicom

    with quiet_pydicom():
        found = pydicom.dcmread(
            io.BytesIO(data), force=data[128:132] != b"DICM", specific_tags=list(_WANTED)
        )
        if not syntax:  # no file meta information: pydicom has found out by looking
            implicit, little = found.original_encoding
            explicit = EXPLICIT_LITTLE_ENDIAN if little else EXPLICIT_BIG_ENDIAN
            syntax = IMPLICIT_LITTLE_ENDIAN if implicit else explicit
        return _header(found, syntax)


def _file_meta(data: bytes) -> tuple[str, int]:
    """Transfer syntax UID and where the data set begins (PS3.10, 7.1); empty without either."""
    at = 132 if data[128:132] == b"DICM" else 0
    syntax = ""
    while data[at : at + 2] == b"\x02\x00":
        long = data[at + 4 : at + 6] in (b"OB", b"OW", b"UN", b"SQ", b"UT")
        size = data[at + 8 : at + 12] if long else data[at + 6 : at + 8]
        begin = at + (12 if long else 8)
        end = begin + int.from_bytes(size, "little")
        if end > len(data):
            raise UnreadableError(f"the DICOM file is cut short in its header. {_DAMAGED}")
        if data[at + 2 : at + 4] == b"\x10\x00":
            syntax = data[begin:end].rstrip(b"\0 ").decode("ascii", "replace")
        at = end
    if syntax and not re.fullmatch(r"[0-9.]{1,64}", syntax):
        raise UnreadableError(f"the DICOM file names no proper transfer syntax. {_DAMAGED}")
    return syntax, at


def _inflate(packed: bytes, limits: ReadLimits) -> bytes:
    """Inflate a deflated data set (PS3.5, A.5), which a few bytes could blow up without bound."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(packed, limits.max_file_bytes + 1)
    except zlib.error as error:
        raise UnreadableError(f"the deflated DICOM file is damaged. {_DAMAGED}") from error
    if len(plain) > limits.max_file_bytes:
        raise UnreadableError(
            f"the deflated DICOM file is beyond the limit of {limits.max_file_bytes:,} bytes once "
            "it is inflated. Is it a radiograph?"
        )
    # The format pads with a zero to an even length. Some writers leave the trailer of gzip there
    # (RFC 1952, 2.3.1), a checksum and the length; all else is a stream that ended too early.
    rest = inflater.unused_data
    trailer = struct.pack("<II", zlib.crc32(plain), len(plain) & 0xFFFFFFFF)
    if not inflater.eof or (rest.strip(b"\0") and rest[:8] != trailer):
        raise UnreadableError(f"the deflated DICOM file is damaged or cut short. {_DAMAGED}")
    return plain


def _with_plain_meta(dataset: bytes) -> bytes:
    uid = EXPLICIT_LITTLE_ENDIAN.encode() + b"\0"
    element = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
    return bytes(128) + b"DICM" + element + dataset


def _header(found: Any, syntax: str) -> Header:
    """Take over raw values, and the items of sequences, while pydicom's warnings are off."""
    values: dict[int, bytes] = {}
    little = syntax != EXPLICIT_BIG_ENDIAN
    for tag in [int(tag) for tag in found.keys()]:  # noqa: SIM118 (a data set is no mapping)
        if tag in _SEQUENCES:
            continue
        raw = whole(found.get_item(tag))
        if tag < _PIXEL_DATA & 0xFFFF0000 and isinstance(raw.value, bytes):
            values[tag] = raw.value
    sequences = {}
    for tag in _SEQUENCES & {int(tag) for tag in found.keys()}:  # noqa: SIM118
        whole(found.get_item(tag))
        sequences[tag] = tuple(_item(item) for item in found[tag].value)
    pixels = None
    if _PIXEL_DATA in found:
        raw = whole(found.get_item(_PIXEL_DATA))
        pixels = PixelElement(
            raw.value or b"", raw.length == _UNDEFINED_LENGTH, (raw.VR or "OW") == "OW"
        )
    has_floats = 0x7FE00008 in found or 0x7FE00009 in found
    return Header(values, little, sequences, syntax, pixels, has_floats)


def whole(raw: Any) -> Any:
    """The element, unless the file ends in it: pydicom then gives what is left of its value.

    Raises:
        UnreadableError: It does.
    """
    announced = getattr(raw, "length", _UNDEFINED_LENGTH)
    if announced not in (_UNDEFINED_LENGTH, len(raw.value or b"")):
        raise UnreadableError(f"the DICOM file is cut short. {_DAMAGED}")
    return raw


def _item(dataset: Any) -> Header:
    values: dict[int, bytes] = {}
    little = True
    for tag in [int(tag) for tag in dataset.keys()]:  # noqa: SIM118
        raw = whole(dataset.get_item(tag))
        if isinstance(raw.value, bytes):
            values[tag] = raw.value
            little = bool(getattr(raw, "is_little_endian", little))
    return Header(values, little)

"""JPEG (ITU-T T.81, JFIF, Exif): markers checked here, decoded by OpenCV.

JPEG has no checksum, and libjpeg fills what it cannot decode with grey and only mentions it on
standard error. So the markers are followed from start to end here, and whatever libjpeg says while
it decodes makes the file unreadable: also the harmless-looking (a few stray bytes), because it
mentions the first fault only.
"""

import re
from dataclasses import dataclass
from typing import Any

import cv2
from numpy.typing import NDArray

from boneage.errors import UnreadableError
from boneage.radiographs.readers._pixels import decode_with_opencv, upright
from boneage.radiographs.readers._stderr import hear_stderr
from boneage.radiographs.readers._tiff_tags import exif_orientation
from boneage.radiographs.readers.limits import ReadLimits

__all__ = ["WARNINGS", "decode"]

_DAMAGED = "Copy or export it again"

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APP1, _APP14 = 0xE1, 0xEE
# Start-of-frame markers, C0 to CF but for C4 (DHT), C8 (reserved) and CC (DAC); table B.1.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended, progressive, and the last two with arithmetic coding.
_DECODABLE_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
# Inside a scan, FF 00 is a stuffed byte and FF D0 to FF D7 are restart markers (B.1.1.5).
_MARKER_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# Every scan of a progressive picture is a pass over all its pixels; encoders write about ten.
_MAX_SCANS = 100

# How the warnings of libjpeg-turbo begin (jerror.h, JWRN_*), and OpenCV's log lines.
WARNINGS = (
    b"Application transferred too many scanlines",
    b"Corrupt JPEG data",
    b"Inconsistent progression sequence",
    b"Invalid SOS parameters",
    b"Premature end of JPEG file",
    b"Unknown Adobe color transform code",
    b"Warning: unknown JFIF revision number",
    b"[ WARN:",
    b"[ERROR:",
)


@dataclass(frozen=True)
class _Parsed:
    """A JPEG without what does not concern its pixels.

    Attributes:
        data: From SOI to EOI, no comments and no application data but JFIF and Adobe; without
            Exif, OpenCV does not apply the orientation a second time.
        width_px: Width in the frame header.
        height_px: Height in the frame header.
        orientation: Exif orientation, 1 if none is given.
    """

    data: bytes
    width_px: int
    height_px: int
    orientation: int


def decode(data: bytes, limits: ReadLimits) -> NDArray[Any]:
    """Decode a grey or colour JPEG, baseline or progressive.

    Args:
        data: The whole file. What comes after the end marker is ignored (cameras put previews
            there).
        limits: Largest picture to decode.

    Returns:
        Grey pixels, upright, shape (height, width), uint8. From colour, the luminance that JPEG
        itself stores is taken (JFIF uses that of ITU-R BT.601).

    Raises:
        UnreadableError: Damaged, incomplete, too large, CMYK, or of a kind OpenCV cannot decode.
    """
    parsed = _parse(data, limits)
    with hear_stderr(WARNINGS) as warnings:
        pixels = decode_with_opencv(parsed.data, cv2.IMREAD_GRAYSCALE)
    if warnings:
        raise UnreadableError(f"the JPEG is damaged ({warnings[0]}). {_DAMAGED}")
    if pixels is None or pixels.shape != (parsed.height_px, parsed.width_px):
        raise UnreadableError(f"OpenCV cannot decode this JPEG. {_DAMAGED}")
    return upright(pixels, parsed.orientation)


def _parse(data: bytes, limits: ReadLimits) -> _Parsed:
    kept = [data[:2]]
    size: tuple[int, int] | None = None
    orientation = 1
    scans = 0
    at = 2
    while True:
        marker, at = _marker(data, at)
        if marker == _EOI:
            break
        length = int.from_bytes(data[at : at + 2], "big")
        end = at + length
        if length < 2:
            raise UnreadableError(f"the JPEG is damaged near byte {at:,}. {_DAMAGED}")
        if end > len(data):
            raise _cut_short(data)
        body = data[at + 2 : end]
        if marker in _FRAMES:
            size = _frame_size(marker, body)
            limits.check_size(*size)
        elif marker == _SOS:
            scans += 1
            if size is None or scans > _MAX_SCANS:
                raise UnreadableError(f"the JPEG is damaged near byte {at:,}. {_DAMAGED}")
            following = _MARKER_AFTER_SCAN.search(data, end)
            if following is None:
                raise _cut_short(data)
            end = following.start()
        elif marker == _APP1 and body.startswith(b"Exif\0\0"):
            orientation = exif_orientation(body)
        # APP0 (JFIF) and APP14 (Adobe) say how colour is coded.
        if not (_APP1 <= marker < _APP14 or marker in (0xEF, _COM)):
            kept += (bytes((0xFF, marker)), data[at:end])
        at = end
    if size is None or scans == 0:
        raise UnreadableError(f"the JPEG holds no picture. {_DAMAGED}")
    kept.append(b"\xff\xd9")
    return _Parsed(b"".join(kept), size[0], size[1], orientation)


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """Read the marker at ``at`` (B.1.1.2); give it and the position after it."""
    start = at
    while data[at : at + 1] == b"\xff":
        at += 1
    if at >= len(data):
        raise _cut_short(data)
    marker = data[at]
    if at == start or marker <= 0x01 or 0xD0 <= marker <= _SOI:
        raise UnreadableError(f"the JPEG is damaged near byte {start:,}. {_DAMAGED}")
    return marker, at + 1


def _frame_size(marker: int, body: bytes) -> tuple[int, int]:
    """Read width and height from a frame header (B.2.2), and refuse what cannot be decoded."""
    if len(body) < 6:
        raise UnreadableError(f"the JPEG has no proper header. {_DAMAGED}")
    precision, channels = body[0], body[5]
    if marker not in _DECODABLE_FRAMES or precision != 8:
        raise UnreadableError(
            f"it is a lossless, hierarchical or {precision}-bit JPEG, which few programs read. "
            "Export it as 8- or 16-bit PNG"
        )
    if channels == 4:
        raise UnreadableError("it is a CMYK JPEG, made for printing. Export it as grey or RGB")
    return int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")


def _cut_short(data: bytes) -> UnreadableError:
    return UnreadableError(f"the JPEG is cut short at {len(data):,} bytes. {_DAMAGED}")

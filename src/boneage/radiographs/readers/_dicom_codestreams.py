"""The header of a compressed frame, and whether the frame is all there.

The markers of JPEG (ITU-T T.81, annex B), JPEG-LS (T.87, annex C) and JPEG 2000 (T.800, annex A)
are followed from the first to the last, because decoders fill what is missing with grey.
"""

import re
import struct

from boneage.errors import UnreadableError
from boneage.radiographs.readers._dicom_gdcm import FrameShape

__all__ = ["jpeg_2000_shape", "jpeg_shape"]

_SOI, _EOI, _SOS, _SOF_LS = 0xD8, 0xD9, 0xDA, 0xF7
# Baseline, extended, progressive and lossless with Huffman coding (T.81, table B.1).
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, _SOF_LS)
# In a scan FF 00 is a stuffed byte and D0 to D7 are restart markers; in JPEG-LS a bit is stuffed.
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_AFTER_SCAN_LS = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_PADDING = b"\0\xff"  # either fills a frame up to an even length
_MAX_SCANS = 100
_MAX_TILE_PARTS = 65_535


def jpeg_shape(frame: bytes) -> FrameShape:
    """Follow the markers of a JPEG or JPEG-LS frame.

    Raises:
        UnreadableError: It is cut short, or no such frame.
    """
    if frame[:2] != b"\xff\xd8":
        raise _damaged()
    shape, scans, at, after_scan = None, 0, 2, _AFTER_SCAN
    while True:
        marker, at = _marker(frame, at)
        if marker == _EOI:
            break
        end = at + int.from_bytes(frame[at : at + 2], "big")
        if end < at + 2 or end > len(frame):
            raise _damaged()
        if marker in _FRAMES:
            if shape is not None or end - at < 8:
                raise _damaged()
            bits, height_px, width_px, channels = struct.unpack(">BHHB", frame[at + 2 : at + 8])
            shape = FrameShape(width_px, height_px, channels, bits)
            after_scan = _AFTER_SCAN_LS if marker == _SOF_LS else _AFTER_SCAN
        elif marker == _SOS:
            scans += 1
            following = after_scan.search(frame, end)
            if shape is None or scans > _MAX_SCANS or following is None:
                raise _damaged()
            end = following.start()
        at = end
    if shape is None or scans == 0 or frame[at:].strip(_PADDING):
        raise _damaged()
    return shape


def _marker(frame: bytes, at: int) -> tuple[int, int]:
    start = at
    while frame[at : at + 1] == b"\xff":
        at += 1
    if at == start or at >= len(frame) or frame[at] <= 0x01 or 0xD0 <= frame[at] <= _SOI:
        raise _damaged()
    return frame[at], at + 1


def jpeg_2000_shape(frame: bytes) -> FrameShape:
    """Follow the main header and the tile-parts of a JPEG 2000 codestream.

    Raises:
        UnreadableError: It is cut short, lacks a tile, or is no codestream.
    """
    if frame[:4] != b"\xff\x4f\xff\x51" or len(frame) < 48:  # SOC, SIZ
        raise _damaged()
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, channels = (
        struct.unpack(">8IH", frame[8:42])
    )
    depth = frame[42]
    if tile_width == 0 or tile_height == 0 or right <= left or bottom <= top:
        raise _damaged()
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    at = 2
    while frame[at : at + 2] != b"\xff\x90":  # SOT
        if frame[at : at + 1] != b"\xff" or at + 4 > len(frame):
            raise _damaged()
        at += 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    found = _tiles(frame, at)
    if tiles > _MAX_TILE_PARTS or found != set(range(tiles)):
        raise _damaged()
    return FrameShape(right - left, bottom - top, channels, (depth & 0x7F) + 1, depth >= 0x80)


def _tiles(frame: bytes, at: int) -> set[int]:
    """Numbers of the tiles whose parts lie from ``at`` to the end marker without a gap (A.4.2)."""
    found: set[int] = set()
    while frame[at : at + 2] == b"\xff\x90":
        if at + 12 > len(frame):
            raise _damaged()
        tile, length = struct.unpack(">HI", frame[at + 4 : at + 10])
        found.add(tile)
        end = len(frame.rstrip(_PADDING)) - 2 if length == 0 else at + length
        if end < at + 12 or end > len(frame):
            raise _damaged()
        at = end
    if frame[at : at + 2] != b"\xff\xd9" or frame[at + 2 :].strip(_PADDING):
        raise _damaged()
    return found


def _damaged() -> UnreadableError:
    return UnreadableError(
        "its compressed pixels are damaged or cut short. Copy or export it again"
    )

"""PNG (ISO/IEC 15948, PNG specification third edition): checked here, decoded by OpenCV.

libpng, inside OpenCV, writes its warnings to standard error, where the caller cannot get at them.
So it never meets a file that it could object to: chunks are checked against their CRC, the pixel
stream is unpacked here to exactly the size that the header implies, its checksum verified, and
OpenCV is given a fresh PNG of it that holds nothing else. That also makes bombs harmless and keeps
profiles, gamma and text out of the decoding. Measured on 14 full-size radiographs (3 megapixels,
8 bits), one thread: 22 ms a file, against 18 ms for ``cv2.imread`` alone.
"""

import re
import zlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.errors import UnreadableError
from boneage.radiographs.readers._pixels import (
    decode_with_opencv,
    luminance,
    refuse_transparent,
    upright,
)
from boneage.radiographs.readers._tiff_tags import exif_orientation
from boneage.radiographs.readers.limits import ReadLimits

__all__ = ["decode"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DAMAGED = "Copy or export it again"

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
# Colour type: channels, and the bit depths allowed with it (table 11.1).
_COLOUR_TYPES = {
    _GREY: (1, (1, 2, 4, 8, 16)),
    _RGB: (3, (8, 16)),
    _PALETTE: (1, (1, 2, 4, 8)),
    _GREY_ALPHA: (2, (8, 16)),
    _RGBA: (4, (8, 16)),
}
# Adam7 interlacing: first column, first row, column step, row step of each pass (section 8.1).
_ADAM7 = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
    (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip

# Bodies of the chunks of each kind, in the order of the file.
_Chunks = dict[bytes, list[memoryview | bytes]]


@dataclass(frozen=True)
class _Header:
    """The IHDR chunk (section 11.2.1)."""

    width_px: int
    height_px: int
    depth: int
    colour_type: int
    interlaced: bool
    chunk: bytes

    @property
    def bits_per_pixel(self) -> int:
        return _COLOUR_TYPES[self.colour_type][0] * self.depth

    def passes(self) -> list[tuple[int, int]]:
        """Rows, and bytes a row with its filter byte, of each part of the pixel stream."""
        grids = _ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        sizes = [
            (-(-(self.width_px - x) // step_x), -(-(self.height_px - y) // step_y))
            for x, y, step_x, step_y in grids
        ]
        return [
            (height, 1 + (width * self.bits_per_pixel + 7) // 8)
            for width, height in sizes
            if width > 0 and height > 0
        ]


def decode(data: bytes, limits: ReadLimits) -> NDArray[Any]:
    """Decode a PNG of any colour type, bit depth and interlacing.

    Transparency by colour (tRNS), gamma and colour profiles are ignored.

    Args:
        data: The whole file.
        limits: Largest picture to decode.

    Returns:
        Grey pixels, upright, shape (height, width), uint8 or, from 16 bits, uint16.

    Raises:
        UnreadableError: Damaged, incomplete, animated, too large, or transparent throughout.
    """
    chunks = _chunks(data)
    header = _header(chunks)
    limits.check_size(header.width_px, header.height_px, header.bits_per_pixel / 8)
    frames = chunks.get(b"acTL", [b""])[0][:4]
    if int.from_bytes(frames, "big") > 1:
        raise UnreadableError("it is an animation. Save the one picture that matters")
    stream = _unpack(b"".join(chunks.get(b"IDAT", [])), header)
    pixels = _decode_stream(stream, header)
    if header.colour_type == _PALETTE:
        pixels = _apply_palette(pixels, chunks.get(b"PLTE", [b""])[0], header.depth)
    return upright(pixels, exif_orientation(bytes(chunks.get(b"eXIf", [b""])[0])))


def _chunks(data: bytes) -> _Chunks:
    """Sort the file's chunks up to IEND by kind, each checked against its CRC."""
    view = memoryview(data)
    chunks: _Chunks = {}
    at = len(_SIGNATURE)
    while True:
        length = int.from_bytes(view[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data):
            raise UnreadableError(f"the PNG is cut short at {len(data):,} bytes. {_DAMAGED}")
        kind = bytes(view[at + 4 : at + 8])
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise UnreadableError(
                f"the PNG is damaged: a checksum is wrong near byte {at:,}. {_DAMAGED}"
            )
        if not re.fullmatch(rb"[A-Za-z]{4}", kind):
            raise UnreadableError(f"the PNG is damaged near byte {at:,}. {_DAMAGED}")
        # A capital first letter says that the picture cannot be shown without the chunk (5.4).
        if kind[:1].isupper() and kind not in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            raise UnreadableError(
                f"it is no standard PNG: it needs the extension {kind.decode()}. "
                "Export it as a plain PNG"
            )
        chunks.setdefault(kind, []).append(view[at + 8 : end])
        if kind == b"IEND":
            return chunks
        at = end + 4


def _header(chunks: _Chunks) -> _Header:
    kind, bodies = next(iter(chunks.items()))
    body = bodies[0]
    if kind != b"IHDR" or len(bodies) > 1 or len(body) != 13:
        raise UnreadableError(f"the PNG has no proper header. {_DAMAGED}")
    depth, colour_type, compression, filtering, interlacing = body[8:]
    known = colour_type in _COLOUR_TYPES and depth in _COLOUR_TYPES[colour_type][1]
    if not known or compression or filtering or interlacing > 1:
        raise UnreadableError(f"the PNG is of no kind that the standard knows. {_DAMAGED}")
    return _Header(
        width_px=int.from_bytes(body[:4], "big"),
        height_px=int.from_bytes(body[4:8], "big"),
        depth=depth,
        colour_type=colour_type,
        interlaced=interlacing == 1,
        chunk=bytes(body),
    )


def _unpack(packed: bytes, header: _Header) -> bytes:
    """Inflate the pixel stream, which must have exactly the size that the header implies."""
    passes = header.passes()
    expected = sum(rows * row_bytes for rows, row_bytes in passes)
    inflater = zlib.decompressobj()
    try:
        # One byte more than expected, so that a longer stream shows and its end is verified.
        stream = inflater.decompress(packed, expected + 1)
    except zlib.error as error:
        raise UnreadableError(f"the PNG is damaged: {error}. {_DAMAGED}") from error
    if len(stream) > expected:
        raise UnreadableError(f"the PNG holds more pixels than its header says. {_DAMAGED}")
    if len(stream) < expected or not inflater.eof:
        raise UnreadableError(f"the PNG holds fewer pixels than its header says. {_DAMAGED}")
    at = 0
    for rows, row_bytes in passes:
        filters = np.frombuffer(stream, np.uint8, rows * row_bytes, at)[::row_bytes]
        if filters.max() > 4:
            raise UnreadableError(f"the PNG is damaged: a row has an unknown filter. {_DAMAGED}")
        at += rows * row_bytes
    return stream


def _decode_stream(stream: bytes, header: _Header) -> NDArray[Any]:
    """Let OpenCV undo the row filters and the interlacing; give grey, or palette indices.

    Palette indices are decoded as if they were grey values, and come stretched to 0..255.
    """
    chunk = bytearray(header.chunk)
    chunk[9] = _GREY if header.colour_type == _PALETTE else header.colour_type
    png = b"".join(
        (
            _SIGNATURE,
            *_chunk(b"IHDR", bytes(chunk)),
            *_chunk(b"IDAT", zlib.compress(stream, level=0)),
            *_chunk(b"IEND", b""),
        )
    )
    pixels = decode_with_opencv(png, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (header.height_px, header.width_px):
        raise UnreadableError(f"OpenCV cannot decode this PNG. {_DAMAGED}")
    if header.colour_type in (_GREY_ALPHA, _RGBA):
        refuse_transparent(pixels[..., 3])
    if header.colour_type == _GREY_ALPHA:  # OpenCV repeats the grey value three times
        return np.ascontiguousarray(pixels[..., 0])
    if header.colour_type in (_RGB, _RGBA):
        return luminance(pixels[..., :3])
    return pixels


def _chunk(kind: bytes, body: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    crc = zlib.crc32(body, zlib.crc32(kind))
    return len(body).to_bytes(4, "big"), kind, body, crc.to_bytes(4, "big")


def _apply_palette(
    stretched: NDArray[Any], palette: memoryview | bytes, depth: int
) -> NDArray[Any]:
    """Replace indices (stretched to 0..255 by the decoder) by the luminance of their colours."""
    if not palette or len(palette) % 3 or len(palette) > 3 * 256:
        raise UnreadableError(f"the PNG has no proper palette. {_DAMAGED}")
    colours = np.frombuffer(palette, np.uint8).reshape(1, -1, 3)
    step = 255 // (2**depth - 1)
    if int(stretched.max()) // step >= colours.shape[1]:
        raise UnreadableError(f"the PNG uses a colour that its palette lacks. {_DAMAGED}")
    table = np.zeros(256, np.uint8)
    grey = luminance(np.ascontiguousarray(colours[..., ::-1]))[0]
    table[: step * grey.size : step] = grey
    return np.ascontiguousarray(table[stretched])

"""Unpacking the compressed strips and tiles of a TIFF, never further than the size they must have.

Deflate goes through zlib. PackBits (TIFF 6.0, section 9) and LZW (section 13) are unpacked here,
because OpenCV's TIFF reader gives a partial picture, and no error, where such data is damaged. LZW
of a 3-megapixel radiograph takes 0.13 s in 8 bits and 0.29 s in 16 (OpenCV: 0.02 s).
"""

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from boneage.errors import UnreadableError
from boneage.radiographs.readers._packbits import unpack_packbits

__all__ = ["unpack"]

_DAMAGED = "Copy or export it again"
_CLEAR, _END, _FIRST_ENTRY = 256, 257, 258
# The most codes between two clear codes: the table is full at 4096 entries.
_RUN = 4096 - _FIRST_ENTRY + 2


def unpack(data: bytes, compression: int, size: int, most: int) -> bytes:
    """Unpack one strip or tile.

    Args:
        data: The packed bytes.
        compression: Value of tag 259.
        size: Bytes that there must be at least.
        most: Bytes that there may be: some programs fill up the last strip.

    Returns:
        The first ``size`` bytes.

    Raises:
        UnreadableError: Damaged or incomplete, or the compression is not one that is read here.
    """
    unpacker = _UNPACKERS.get(compression)
    if unpacker is None:
        raise UnreadableError(
            f"it is a TIFF with a compression that is not read here (number {compression}). "
            "Save it uncompressed, with LZW or with Deflate"
        )
    unpacked = unpacker(data, size, most)
    if len(unpacked) < size:
        raise UnreadableError(f"the TIFF is incomplete: a part of it ends early. {_DAMAGED}")
    return unpacked[:size]


def _plain(data: bytes, size: int, most: int) -> bytes:  # noqa: ARG001
    return data


def _deflate(data: bytes, size: int, most: int) -> bytes:  # noqa: ARG001
    inflater = zlib.decompressobj()
    try:
        # One byte more than allowed, so that the end and its checksum are reached.
        unpacked = inflater.decompress(data, most + 1)
    except zlib.error as error:
        raise UnreadableError(f"the TIFF is damaged: {error}. {_DAMAGED}") from error
    if not inflater.eof:
        raise UnreadableError(f"the TIFF is damaged: a part is too long or short. {_DAMAGED}")
    return unpacked


def _packbits(data: bytes, size: int, most: int) -> bytes:  # noqa: ARG001
    return unpack_packbits(data, size)[0]


def _lzw(data: bytes, size: int, most: int) -> bytes:  # noqa: ARG001
    """Unpack LZW, all the codes between two clear codes at a time.

    The n-th code after a clear code has a width that depends on n alone, so a whole run of codes
    can be cut out of the bits at once.
    """
    if data[:1] == b"\0" and data[1:2] and data[1] & 1:
        raise UnreadableError("it is a TIFF with the LZW of before 1990. Save it uncompressed")
    widths, starts = _code_widths()
    padded = np.frombuffer(data + b"\0\0\0", np.uint8).astype(np.int32)
    bit_count = 8 * len(data)
    parts: list[bytes] = []
    unpacked, bit, ended = 0, 0, False
    while unpacked < size and not ended:
        at = starts + bit
        fitting = int(np.count_nonzero(at + widths <= bit_count))
        at, width = at[:fitting], widths[:fitting]
        first = at >> 3
        window = (padded[first] << 16) | (padded[first + 1] << 8) | padded[first + 2]
        codes = (window >> (24 - (at & 7) - width)) & ((1 << width) - 1)
        stops = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        if stops.size == 0:
            if fitting == _RUN:
                raise UnreadableError(f"the TIFF is damaged: bad LZW data. {_DAMAGED}")
            run, ended = fitting, True
        else:
            run = int(stops[0])
            ended = bool(codes[run] == _END)
            bit = int(at[run] + width[run])
        if run:
            parts.append(_expand(codes[:run]))
            unpacked += len(parts[-1])
    return b"".join(parts)


def _code_widths() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Width of the n-th code after a clear code, and the bits of all the codes before it."""
    table_size = _FIRST_ENTRY - 1 + np.arange(_RUN, dtype=np.int64)
    # TIFF widens its codes one entry early: at 511, 1023 and 2047.
    widths = 9 + (table_size >= 511) + (table_size >= 1023) + (table_size >= 2047)
    widths = widths.astype(np.int64)
    return widths, np.cumsum(widths) - widths


def _expand(codes: NDArray[np.int64]) -> bytes:
    """Expand the codes of one run.

    Entry 258 + p of the table is what code p of the run stands for, and the first byte of what the
    next one stands for: a stretch of the output itself. So every byte of the output either is
    a literal or has a source further left, and the sources are followed by pointer doubling.
    """
    order = np.arange(codes.size)
    literal = codes < _CLEAR
    parent = np.where(literal, order, codes - _FIRST_ENTRY)
    if np.any(~literal & (parent >= order)):
        raise UnreadableError(f"the TIFF is damaged: bad LZW data. {_DAMAGED}")
    length = 1 + _chain_lengths(parent, literal)
    start = np.cumsum(length) - length
    owner = np.repeat(order, length)
    source = np.arange(owner.size) + (start[parent] - start)[owner]
    while not np.array_equal(source, further := source[source]):
        source = further
    return bytes(codes[owner[source]].astype(np.uint8))


def _chain_lengths(parent: NDArray[np.int64], literal: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the steps from each code along its parents to a literal."""
    steps = (~literal).astype(np.int64)
    while not np.array_equal(parent, further := parent[parent]):
        steps = steps + steps[parent]
        parent = further
    return steps


_UNPACKERS: dict[int, Callable[[bytes, int, int], bytes]] = {
    1: _plain,
    5: _lzw,
    8: _deflate,
    32773: _packbits,
    32946: _deflate,
}

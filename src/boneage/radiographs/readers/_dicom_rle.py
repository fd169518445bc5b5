"""DICOM's run-length encoding (PS3.5, annex G): byte planes, each packed as in PackBits."""

import itertools
import struct

import numpy as np
from numpy.typing import NDArray

from boneage.errors import UnreadableError
from boneage.radiographs.readers._packbits import unpack_packbits

__all__ = ["unpack_rle"]

_DAMAGED = "Copy or export it again"
_HEADER_BYTES = 64


def unpack_rle(frame: bytes, pixels: int, channels: int, sample_bytes: int) -> NDArray[np.uint8]:
    """Unpack a frame.

    Args:
        frame: The frame with its header.
        pixels: Number of pixels.
        channels: Samples of a pixel.
        sample_bytes: Bytes of a sample.

    Returns:
        Shape (pixels, channels, sample_bytes), the most significant byte first.

    Raises:
        UnreadableError: It is damaged or does not hold exactly that much.
    """
    planes = channels * sample_bytes
    if len(frame) < _HEADER_BYTES:
        raise UnreadableError(f"its run-length encoded pixels are cut short. {_DAMAGED}")
    count, *offsets = struct.unpack("<16I", frame[:_HEADER_BYTES])
    if count != planes:
        raise UnreadableError(
            f"its run-length encoded pixels have {count} planes where {planes} belong. {_DAMAGED}"
        )
    limits = [*offsets[:count], len(frame)]
    if limits[0] != _HEADER_BYTES or limits != sorted(limits) or any(offsets[count:]):
        raise UnreadableError(f"its run-length encoded pixels have no proper header. {_DAMAGED}")
    unpacked = np.empty((planes, pixels), np.uint8)
    for plane, (begin, end) in enumerate(itertools.pairwise(limits)):
        unpacked[plane] = np.frombuffer(_unpack(frame[begin:end], pixels), np.uint8)
    return unpacked.reshape(channels, sample_bytes, pixels).transpose(2, 0, 1)


def _unpack(packed: bytes, size: int) -> bytes:
    """Unpack one plane (G.3.2), which must give exactly ``size`` bytes."""
    unpacked, at = unpack_packbits(packed, size)
    # A plane has even length, so one byte may be left over; some encoders leave more zeros.
    if len(unpacked) != size or at > len(packed) or packed[at:].strip(b"\0"):
        raise UnreadableError(f"its run-length encoded pixels are damaged. {_DAMAGED}")
    return unpacked

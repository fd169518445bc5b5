"""The meaning of stored values, read from a header."""

import math

import numpy as np

from boneage.errors import UnreadableError
from boneage.radiographs.readers._dicom_frames import StoredPixels
from boneage.radiographs.readers._dicom_grey import GreyScale, Lut, Window
from boneage.radiographs.readers._dicom_header import Header

__all__ = ["grey_scale_of"]

_PADDING, _PADDING_LIMIT = 0x00280120, 0x00280121
_INTERCEPT, _SLOPE, _MODALITY_LUT = 0x00281052, 0x00281053, 0x00283000
_CENTER, _WIDTH, _FUNCTION, _VOI_LUT = 0x00281050, 0x00281051, 0x00281056, 0x00283010
_DESCRIPTOR, _DATA = 0x00283002, 0x00283006
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def grey_scale_of(header: Header, stored: StoredPixels) -> GreyScale:
    """Read modality stage, VOI stage, polarity and padding.

    The polarity is that of the Photometric Interpretation. Presentation LUT Shape (2050,0020) says
    the same once more (PS3.3, C.8.11.3.1.2) and is not looked at.

    Args:
        header: The header.
        stored: How the pixels are stored.

    Raises:
        UnreadableError: A table is damaged.
    """
    slope, intercept = header.decimals(_SLOPE)[:1], header.decimals(_INTERCEPT)[:1]
    if not all(map(math.isfinite, slope + intercept)) or slope == [0.0]:
        slope, intercept = [], []
    modality = next(
        (_lut(item, signed=stored.signed) for item in header.sequences.get(_MODALITY_LUT, ())), None
    )
    # The first entry is signed where the values that go in may be negative (PS3.3, C.11.2.1.1).
    negative = modality is None and (stored.signed or sum(intercept) < 0)
    voi: Lut | Window | None = next(
        (_lut(item, signed=negative) for item in header.sequences.get(_VOI_LUT, ())), None
    )
    return GreyScale(
        bits=stored.bits,
        signed=stored.signed,
        white_is_low=stored.photometric == "MONOCHROME1",
        slope=slope[0] if slope else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        modality=modality,
        voi=voi or _window(header),
        padding=_padding(header, stored),
    )


def _window(header: Header) -> Window | None:
    """The first window; None if there is none, or it is none that the standard allows."""
    center, width = header.decimals(_CENTER), header.decimals(_WIDTH)
    if not center or not width or not math.isfinite(center[0]) or not math.isfinite(width[0]):
        return None
    function = header.text(_FUNCTION).upper()
    function = function if function in _FUNCTIONS else "LINEAR"
    if width[0] < (1 if function == "LINEAR" else 1e-6):
        return None
    return Window(center[0], width[0], function)


def _lut(item: Header, *, signed: bool) -> Lut:
    descriptor = item.integers(_DESCRIPTOR)
    data = item.values.get(_DATA, b"")
    if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
        raise UnreadableError(
            "a lookup table in its header has no proper descriptor. Copy or export it again"
        )
    count = descriptor[0] or 65_536  # 0 stands for what 16 bits cannot hold
    first = item.integers(_DESCRIPTOR, signed=signed)[1]
    if descriptor[2] == 8 and count <= len(data) <= count + 1:  # two entries in a word
        if not item.little_endian:
            data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
        entries = np.frombuffer(data, np.uint8)
    else:
        entries = np.array(item.integers(_DATA), np.int64)
    if len(entries) < count:
        raise UnreadableError(
            f"a lookup table in its header has {len(entries)} entries where {count} are announced. "
            "Copy or export it again"
        )
    return Lut(first, entries[:count].astype(np.int64), descriptor[2])


def _padding(header: Header, stored: StoredPixels) -> tuple[int, int] | None:
    ends = [
        *header.integers(_PADDING, signed=stored.signed)[:1],
        *header.integers(_PADDING_LIMIT, signed=stored.signed)[:1],
    ]
    return (min(ends), max(ends)) if _PADDING in header.values and ends else None

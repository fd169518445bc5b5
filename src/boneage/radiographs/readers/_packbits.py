"""PackBits, which TIFF (6.0, section 9) and DICOM (PS3.5, G.3.2) share."""

__all__ = ["unpack_packbits"]


def unpack_packbits(packed: bytes, size: int) -> tuple[bytes, int]:
    """Unpack until there is enough or nothing is left.

    Args:
        packed: The packed bytes.
        size: How many bytes are wanted; the last run may give more, damaged data fewer.

    Returns:
        The bytes, and where in ``packed`` it stopped, which is beyond its end if a run is cut off.
    """
    unpacked = bytearray()
    at = 0
    while len(unpacked) < size and at < len(packed):
        control = packed[at]
        if control < 128:
            unpacked += packed[at + 1 : at + 2 + control]
            at += 2 + control
        else:
            if control > 128:  # 128 does nothing
                unpacked += packed[at + 1 : at + 2] * (257 - control)
                at += 1
            at += 1
    return bytes(unpacked), at

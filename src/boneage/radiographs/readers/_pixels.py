"""What every format needs once it has pixels: to grey, upright, and not transparent."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.errors import UnreadableError

__all__ = ["decode_with_opencv", "luminance", "refuse_transparent", "upright"]


def decode_with_opencv(data: bytes, flags: int) -> NDArray[Any] | None:
    """Decode an image file that lies in memory.

    Args:
        data: The whole file.
        flags: ``cv2.IMREAD_*``.

    Returns:
        What OpenCV made of it (colour in the order blue, green, red), or None.

    Raises:
        UnreadableError: OpenCV refused; usually one of its own limits was set too low.
    """
    try:
        return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error as error:
        reason = " ".join(str(error.err).split()) or "no reason given"
        raise UnreadableError(
            f"OpenCV refused it ({reason}). If an environment variable OPENCV_IO_MAX_IMAGE_* is "
            "set here, unset it; else export the file again"
        ) from error


def luminance(blue_green_red: NDArray[Any]) -> NDArray[Any]:
    """Turn colour into grey: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601-7, 2.5.1).

    Args:
        blue_green_red: Shape (height, width, 3), dtype uint8, uint16 or float32.

    Returns:
        Shape (height, width), same dtype. A grey pixel stored as colour keeps its value.
    """
    return np.ascontiguousarray(cv2.cvtColor(blue_green_red, cv2.COLOR_BGR2GRAY))


def refuse_transparent(alpha: NDArray[Any]) -> None:
    """Raise if no pixel can be seen.

    Args:
        alpha: Opacity of each pixel, 0 for transparent.

    Raises:
        UnreadableError: It is 0 throughout.
    """
    if not alpha.any():
        raise UnreadableError(
            "it is transparent throughout, so nothing of it can be seen. "
            "Export it without an alpha channel"
        )


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply an orientation tag (TIFF 6.0 tag 274, Exif 2.3 section 4.6.4 A).

    Args:
        pixels: Stored pixels, shape (height, width).
        orientation: 1 to 8; 1, and any value that the standard does not define, changes nothing,
            as in every viewer.

    Returns:
        The picture as it is to be seen, C-contiguous; 5 to 8 swap height and width.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.T
    # After the transposition, 5..8 are mirrored like 1, 2, 3 and 4 here.
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)

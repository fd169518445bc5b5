"""Squaring and resizing: how a picture of any shape becomes the square that the network takes."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.errors import SettingsError

__all__ = [
    "MAX_SIZE_PX",
    "MIN_SIZE_PX",
    "REDUCTIONS",
    "PadResult",
    "pad_to_square",
    "reduce_to",
    "require_unit",
    "resize",
]

REDUCTIONS = ("means", "samples")
"""How larger radiographs can be reduced; see :func:`reduce_to`."""

FINER = 9
"""To how many times the wanted size ``samples`` is antialiased.

Odd, so that samples are in the middle of what they stand for. The fewer, the older the shipped
model takes a full-resolution file to be.
"""

MIN_SIZE_PX = 16
MAX_SIZE_PX = 4096


@dataclass(frozen=True, eq=False)
class PadResult:
    """A square picture and where the original lies in it.

    Attributes:
        image: Shape (side, side), float32.
        left_px: Columns of zeros on the left of the original.
        top_px: Rows of zeros above the original.
    """

    image: NDArray[np.float32]
    left_px: int
    top_px: int


def require_unit(image: NDArray[Any], *, what: str) -> None:
    """Refuse what is not a grey float32 picture: the one form that the steps hand on.

    Args:
        image: What was given.
        what: Name of the step, for the message.

    Raises:
        SettingsError: Not two-dimensional, empty, or not float32.
    """
    if not isinstance(image, np.ndarray) or image.ndim != 2 or image.size == 0:
        shape = getattr(image, "shape", type(image).__name__)
        raise SettingsError(f"{what}: needs a grey image of shape (height, width), not {shape}.")
    if image.dtype != np.float32:
        raise SettingsError(
            f"{what}: needs float32 values in 0..1, not {image.dtype}. Call normalise() first."
        )


def square_padding(height_px: int, width_px: int) -> tuple[int, int, int]:
    """Side of the square around a picture, and the padding on its left and top, in pixels."""
    side = max(height_px, width_px)
    return side, (side - width_px) // 2, (side - height_px) // 2


def pad_to_square(image: NDArray[np.float32]) -> PadResult:
    """Centre a picture in the smallest square that holds it; what is added is 0 (background).

    Args:
        image: Shape (height, width), float32. It is not changed.

    Returns:
        The square. An odd remainder goes to the right or the bottom.

    Raises:
        SettingsError: The image is not a grey float32 picture.
    """
    require_unit(image, what="pad_to_square")
    height, width = image.shape
    side, left, top = square_padding(height, width)
    square = np.zeros((side, side), np.float32)
    square[top : top + height, left : left + width] = image
    return PadResult(square, left, top)


def reduce_to(pixels: NDArray[Any], short_side_px: int, *, method: str = "means") -> NDArray[Any]:
    """Reduce a picture whose short side is longer than wanted; others stay as they are.

    Args:
        pixels: Grey values, shape (height, width), uint8, uint16 or float32. Not changed.
        short_side_px: Wanted short side in pixels; 0 leaves every picture as it is.
        method: ``means`` (means over areas: antialiased) or ``samples``: means over areas to nine
            times the wanted size, of which a square grid of samples is taken and stretched back to
            the aspect. Image collections for learning are often reduced without antialiasing, and
            a network that has only seen those takes a smooth picture for another one.

    Returns:
        The reduced picture of the same type, the aspect kept to the nearest pixel; or ``pixels``.

    Raises:
        SettingsError: There is no such method.
    """
    if method not in REDUCTIONS:
        raise SettingsError(f"reduce_by must be one of {', '.join(REDUCTIONS)}, not {method!r}.")
    height, width = pixels.shape
    short = min(height, width)
    if not 0 < short_side_px < short:
        return pixels
    factor = short_side_px / short
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if method == "means":
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), pixels.dtype)
    finer = reduce_to(pixels, FINER * short_side_px)
    rows, columns = (
        ((np.arange(short_side_px) + 0.5) * side / short_side_px).astype(int)
        for side in finer.shape
    )
    grid = np.ascontiguousarray(finer[np.ix_(rows, columns)])
    return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC), pixels.dtype)


def resample(image: NDArray[np.float32], size_px: int) -> NDArray[np.float32]:
    """Resize to (size_px, size_px) without clipping: area means down, bicubic up.

    Bicubic keeps the edges of bones that the network looks at; area means is the only one of
    OpenCV's methods that is antialiased at every factor.
    """
    height, width = image.shape
    if (height, width) == (size_px, size_px):
        return image.copy()
    method = cv2.INTER_AREA if max(height, width) > size_px else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size_px, size_px), interpolation=method), np.float32)


def resize(image: NDArray[np.float32], size_px: int = 256) -> NDArray[np.float32]:
    """Resize a square picture, antialiased.

    A picture that is not square is stretched: square it first with :func:`pad_to_square`.

    Args:
        image: Shape (height, width), float32 in 0..1. It is not changed.
        size_px: Side of the result in pixels, 16 to 4096.

    Returns:
        Shape (size_px, size_px), float32 in 0..1: what bicubic interpolation overshoots is
        clipped.

    Raises:
        SettingsError: The size is out of its range, or the image is not a grey float32 picture.
    """
    require_unit(image, what="resize")
    check_size(size_px)
    return np.clip(resample(image, size_px), 0.0, 1.0)


def check_size(size_px: int) -> None:
    """Refuse a size that no prepared image has.

    Raises:
        SettingsError: Not a whole number within 16 to 4096.
    """
    whole = isinstance(size_px, int) and not isinstance(size_px, bool)
    if not whole or not MIN_SIZE_PX <= size_px <= MAX_SIZE_PX:
        raise SettingsError(
            f"--size must be a whole number of pixels within {MIN_SIZE_PX} to {MAX_SIZE_PX}, "
            f"not {size_px!r}."
        )

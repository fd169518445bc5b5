"""How single bones look to X-rays: tubes and shells, seen from the front.

A bone is painted as the thickness of bone substance that a ray meets, in millimetres. A shaft is a
tube: the ray through its rim meets much cortex, the ray through its middle meets two thin walls
and a little spongy bone. That is all that is needed to make cortices, end plates and growth plates
look right, and it costs two square roots a pixel.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Placement", "Tile", "Tube", "blob_thickness", "paste", "tube_thickness"]

Floats = NDArray[np.float32]

#: Spongy bone attenuates as if this share of it were solid.
SPONGY = 0.34


@dataclass(frozen=True)
class Placement:
    """Where a bone lies in the hand.

    Attributes:
        x_mm: Its origin across.
        y_mm: Its origin, towards the fingertips.
        degrees: Direction of its axis, from y towards the thumb.
    """

    x_mm: float
    y_mm: float
    degrees: float

    def along(self, along_mm: float, across_mm: float = 0.0) -> tuple[float, float]:
        """The point in the hand that lies there in the bone's own frame."""
        angle = math.radians(self.degrees)
        sin, cos = math.sin(angle), math.cos(angle)
        return (
            self.x_mm + along_mm * sin + across_mm * cos,
            self.y_mm + along_mm * cos - across_mm * sin,
        )


@dataclass(frozen=True, eq=False)
class Tile:
    """The pixels of one bone in its own frame.

    Attributes:
        along: Distance along the axis of each row, in mm, shape (rows, 1).
        across: Distance across of each column, in mm, shape (1, columns).
        scale: Pixels a millimetre.
    """

    along: Floats
    across: Floats
    scale: float

    @classmethod
    def spanning(cls, low_mm: float, high_mm: float, half_mm: float, scale: float) -> "Tile":
        """A tile from ``low_mm`` to ``high_mm`` along and ``half_mm`` to each side, plus a rim."""
        rows = int(np.ceil((high_mm - low_mm) * scale)) + 5
        half = int(np.ceil(half_mm * scale)) + 2
        along = low_mm + (np.arange(rows, dtype=np.float32) - 2) / np.float32(scale)
        across = np.arange(-half, half + 1, dtype=np.float32) / np.float32(scale)
        return cls(along.astype(np.float32)[:, None], across[None, :], scale)


@dataclass(frozen=True)
class Tube:
    """A stretch of a long bone.

    Attributes:
        low_mm: Where it begins along the axis.
        high_mm: Where it ends.
        low_round_mm: Length over which its beginning is rounded.
        high_round_mm: Length over which its end is rounded.
        plate_mm: Thickness of the bone that closes its ends.
    """

    low_mm: float
    high_mm: float
    low_round_mm: float
    high_round_mm: float
    plate_mm: float = 0.8


def _cap(distance: Floats, round_mm: float) -> Floats:
    """Share of the full width at a distance from the end: a quarter of a superellipse."""
    missing = 1 - np.clip(distance / np.float32(max(round_mm, 0.2)), 0, 1)
    share: Floats = np.sqrt(np.maximum(1 - missing**2.4, 0))
    return share


def tube_thickness(
    tile: Tile, tube: Tube, half_width_mm: Floats, cortex_mm: Floats, bend_mm: float = 0.0
) -> Floats:
    """Thickness of bone along the rays through a tube.

    Args:
        tile: Where to paint.
        tube: The stretch.
        half_width_mm: Half the width in each row, shape (rows, 1), before the ends are rounded.
        cortex_mm: Thickness of the wall in each row, shape (rows, 1).
        bend_mm: How far the middle of the bone bows to the thumb side.

    Returns:
        Millimetres of bone, shape (rows, columns).
    """
    s = tile.along
    outer = half_width_mm * (
        _cap(s - tube.low_mm, tube.low_round_mm) * _cap(tube.high_mm - s, tube.high_round_mm)
    )
    inner = (half_width_mm - cortex_mm) * (
        _cap(s - tube.low_mm - tube.plate_mm, tube.low_round_mm)
        * _cap(tube.high_mm - tube.plate_mm - s, tube.high_round_mm)
    )
    middle = (tube.low_mm + tube.high_mm) / 2
    reach = max(tube.high_mm - tube.low_mm, 1e-3) / 2
    across = tile.across - bend_mm * (1 - ((s - middle) / reach) ** 2)
    square = across * across
    whole = np.sqrt(np.maximum(outer * outer - square, 0))
    hollow = np.sqrt(np.maximum(inner * np.abs(inner) - square, 0))
    thickness: Floats = whole - np.float32(1 - SPONGY) * hollow
    return thickness


def blob_thickness(square: Floats, depth_mm: float, shell: float) -> Floats:
    """Thickness of bone along the rays through a rounded bone with a thin shell.

    Args:
        square: Square of the distance from the centre as a share of that to the outline (1 at
            the outline).
        depth_mm: Half its depth.
        shell: Thickness of the shell as a share of the half width (0 to 1).

    Returns:
        Millimetres of bone, same shape.
    """
    whole = np.sqrt(np.maximum(1 - square, 0))
    hollow = np.sqrt(np.maximum((1 - shell) ** 2 - square, 0))
    thickness: Floats = np.float32(depth_mm) * (whole - np.float32(1 - SPONGY) * hollow)
    return thickness


def paste(
    canvas: Floats,
    thickness: Floats,
    tile: Tile,
    placement: Placement,
    to_pixels: Callable[[tuple[float, float]], tuple[float, float]],
) -> None:
    """Add a tile to the canvas, turned and moved to its place.

    Args:
        canvas: What is added to, in place, shape (height_px, width_px).
        thickness: Pixels of the tile.
        tile: Their frame.
        placement: Where the tile's frame lies in the hand.
        to_pixels: Maps a point of the hand in mm to (column, row) of the canvas.
    """
    s0, u0 = float(tile.along[0, 0]), float(tile.across[0, 0])
    rows, columns = thickness.shape
    # Plain numbers: arrays of two would take longer than the warp itself.
    x0, y0 = to_pixels(placement.along(s0, u0))
    x1, y1 = to_pixels(placement.along(s0, u0 + columns / tile.scale))
    x2, y2 = to_pixels(placement.along(s0 + rows / tile.scale, u0))
    x_ends, y_ends = (x0, x1, x2, x1 + x2 - x0), (y0, y1, y2, y1 + y2 - y0)
    height, width = canvas.shape
    left, right = max(math.floor(min(x_ends)) - 1, 0), min(math.ceil(max(x_ends)) + 2, width)
    top, bottom = max(math.floor(min(y_ends)) - 1, 0), min(math.ceil(max(y_ends)) + 2, height)
    if left >= right or top >= bottom:
        return
    matrix = np.array(
        [
            [(x1 - x0) / columns, (x2 - x0) / rows, x0 - left],
            [(y1 - y0) / columns, (y2 - y0) / rows, y0 - top],
        ]
    )
    canvas[top:bottom, left:right] += cv2.warpAffine(
        thickness, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR
    )

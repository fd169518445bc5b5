"""Turning a radiograph: by quarter turns exactly, by a tilt with one interpolation.

Turns are counter-clockwise as seen in the picture, like ``numpy.rot90``; a tilt says by how much
the hand leans counter-clockwise, and taking it out turns the picture clockwise.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.errors import SettingsError
from boneage.radiographs.radiograph import Radiograph

__all__ = ["MAX_TILT_DEG", "TurnGeometry", "turn"]

MAX_TILT_DEG = 45.0
"""What remains of any angle after the best quarter turn."""

_RIM_PERCENTILE = 30.0
"""The background lies below the hand and the letters that reach the rim of a film."""

_STRIP = 0.08
"""Breadth of the strip along the rim that is looked at, as a share of the side."""


@dataclass(frozen=True)
class TurnGeometry:
    """How pixels of a radiograph and of its turned copy correspond.

    Positions are (x, y) with pixel centres at whole numbers, as in OpenCV and matplotlib.

    Attributes:
        height_px: Rows of the original, 1 or more.
        width_px: Columns of the original, 1 or more.
        quarter_turns: Counter-clockwise quarter turns, 0 to 3.
        tilt_deg: Clockwise turn after these, -45 to 45 degrees.
    """

    height_px: int
    width_px: int
    quarter_turns: int = 0
    tilt_deg: float = 0.0

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px) < 1:
            raise SettingsError(f"{self}: a picture has at least one row and one column.")
        if self.quarter_turns not in (0, 1, 2, 3):
            raise SettingsError(f"quarter_turns must be 0, 1, 2 or 3, not {self.quarter_turns!r}.")
        if not abs(self.tilt_deg) <= MAX_TILT_DEG:  # also refuses NaN
            raise SettingsError(f"tilt_deg must be within -45 to 45, not {self.tilt_deg!r}.")

    @property
    def turned_shape(self) -> tuple[int, int]:
        """Height and width of the turned copy: a tilt enlarges the canvas, nothing is cut off."""
        height, width = self._quarter_shape
        if self.tilt_deg == 0:
            return height, width
        sine, cosine = self._sine_cosine
        sine = abs(sine)
        # Whole pixels that hold all of the tilted picture; an exact fit must not gain a pixel.
        return (
            math.ceil(height * cosine + width * sine - 1e-9),
            math.ceil(width * cosine + height * sine - 1e-9),
        )

    def to_turned(self, x: float, y: float) -> tuple[float, float]:
        """Position in the turned copy of a position in the original."""
        right, down = x - (self.width_px - 1) / 2, y - (self.height_px - 1) / 2
        for _ in range(self.quarter_turns):
            right, down = down, -right
        sine, cosine = self._sine_cosine
        right, down = cosine * right - sine * down, sine * right + cosine * down
        height, width = self.turned_shape
        return right + (width - 1) / 2, down + (height - 1) / 2

    def to_original(self, x: float, y: float) -> tuple[float, float]:
        """Position in the original of a position in the turned copy."""
        height, width = self.turned_shape
        right, down = x - (width - 1) / 2, y - (height - 1) / 2
        sine, cosine = self._sine_cosine
        right, down = cosine * right + sine * down, cosine * down - sine * right
        for _ in range(self.quarter_turns):
            right, down = -down, right
        return right + (self.width_px - 1) / 2, down + (self.height_px - 1) / 2

    def matrix(self) -> NDArray[np.float64]:
        """Affine matrix (2, 3) from the picture after its quarter turns to the turned copy."""
        height, width = self._quarter_shape
        turned_height, turned_width = self.turned_shape
        sine, cosine = self._sine_cosine
        x, y = (width - 1) / 2, (height - 1) / 2
        return np.array(
            [
                [cosine, -sine, (turned_width - 1) / 2 - cosine * x + sine * y],
                [sine, cosine, (turned_height - 1) / 2 - sine * x - cosine * y],
            ]
        )

    @property
    def _quarter_shape(self) -> tuple[int, int]:
        odd = self.quarter_turns % 2
        return (self.width_px, self.height_px) if odd else (self.height_px, self.width_px)

    @property
    def _sine_cosine(self) -> tuple[float, float]:
        angle = math.radians(self.tilt_deg)
        return math.sin(angle), math.cos(angle)


def turn(radiograph: Radiograph, quarter_turns: int, tilt_deg: float = 0.0) -> Radiograph:
    """Turn a radiograph counter-clockwise by quarter turns, then take out a tilt.

    Quarter turns move pixels and change none. A tilt costs one interpolation: linear, because a
    cubic one would ring around marker letters. What it adds at the corners has the grey value of
    the radiograph's own rim, so that no edge appears.

    Args:
        radiograph: Any radiograph; it is not changed.
        quarter_turns: Quarter turns counter-clockwise, 0 to 3, as ``numpy.rot90`` counts them.
        tilt_deg: How far the picture then leans counter-clockwise; it is turned clockwise by as
            much. -45 to 45 degrees.

    Returns:
        The turned radiograph, its pixels of the same type. Its spacing is swapped by odd turns;
        a tilt keeps it only where both spacings are equal, because no other picture has one
        spacing down and one across when it is tilted.

    Raises:
        SettingsError: A number is out of its range.
    """
    geometry = TurnGeometry(radiograph.height_px, radiograph.width_px, quarter_turns, tilt_deg)
    spacing = radiograph.spacing_mm
    if spacing is not None and quarter_turns % 2:
        spacing = (spacing[1], spacing[0])
    pixels = np.ascontiguousarray(np.rot90(radiograph.pixels, quarter_turns))
    if tilt_deg != 0:
        if spacing is not None and not math.isclose(*spacing, rel_tol=1e-3):
            spacing = None
        pixels = _tilted(pixels, geometry)
    return dataclasses.replace(radiograph, pixels=pixels, spacing_mm=spacing)


def _tilted(pixels: NDArray[Any], geometry: TurnGeometry) -> NDArray[Any]:
    height, width = geometry.turned_shape
    return np.asarray(
        cv2.warpAffine(
            pixels,
            geometry.matrix(),
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=_background(pixels),
        )
    )


def _background(pixels: NDArray[Any]) -> float:
    """Grey value of the film around the hand.

    On a film of inverted polarity the background is bright: the strip's value that is nearer to
    the one which most of it shares is the right one either way.
    """
    height, width = pixels.shape
    # A strip, not the outermost pixels alone: those are often a white or black frame.
    rows, columns = (max(1, round(_STRIP * side)) for side in (height, width))
    strip = np.concatenate([
        part.ravel()
        for part in (
            pixels[:rows], pixels[-rows:], pixels[:, :columns], pixels[:, -columns:],
        )
    ])  # fmt: skip
    low, middle, high = np.percentile(
        strip.astype(np.float64), (_RIM_PERCENTILE, 50.0, 100.0 - _RIM_PERCENTILE)
    )
    value = low if middle - low <= high - middle else high
    return float(value) if pixels.dtype == np.float32 else float(round(value))

"""A heat map drawn over its radiograph, with a legend in months."""

import math
import os
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.errors import SettingsError
from boneage.files import atomic_path
from boneage.inference.heatmap import HeatMap
from boneage.inference.prediction import Prediction
from boneage.radiographs.radiograph import Radiograph

__all__ = [
    "OPACITY",
    "SCALE_STOPS",
    "blend",
    "colour_of",
    "draw_overlay",
    "scale_colours",
    "scale_of",
    "screen_grey",
    "write_overlay",
]

OPACITY = 0.45

# Blue to orange: the palette of Okabe and Ito (Color Universal Design, 2008), which stays distinct
# under the common colour blindnesses. Red, green and blue, from younger to older.
_TABLE = ((0, 114, 178), (86, 180, 233), (255, 255, 255), (230, 159, 0), (213, 94, 0))

SCALE_STOPS = 2 * len(_TABLE) - 1
"""Colours between which a scale may be drawn linearly: those of the table and one between each."""

_LEAST_WIDTH_PX = 400
_MID_GREY = 110
_WINDOW_PERCENTILES = (0.5, 99.5)
_STEPS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)

Colours = NDArray[np.uint8]


def draw_overlay(
    radiograph: Radiograph, prediction: Prediction, *, opacity: float = OPACITY
) -> Colours:
    """Draw where the bone age comes from.

    Args:
        radiograph: The radiograph that was predicted.
        prediction: Its prediction, with a heat map.
        opacity: How much the strongest colour covers, above 0 to 1.

    Returns:
        Shape (rows, columns, 3), uint8, blue first as OpenCV has it. The radiograph stands on top,
        pixel for pixel, or, if it is narrower than 400 px, enlarged by a whole number; the legend
        is below it.

    Raises:
        SettingsError: The opacity is out of range, or the prediction has no heat map.
    """
    if not 0 < opacity <= 1:
        raise SettingsError(f"--opacity must be above 0 to 1, not {opacity!r}.")
    if prediction.heat_map is None:
        raise SettingsError(f"{prediction.source}: its prediction has no heat map.")
    limit = scale_of(prediction.heat_map.values_months)
    picture = blend(radiograph, prediction.heat_map, limit, opacity=opacity)
    times = math.ceil(_LEAST_WIDTH_PX / radiograph.width_px)
    picture = picture.repeat(times, axis=0).repeat(times, axis=1)
    return np.vstack([picture, _legend(picture.shape[1], prediction, limit, opacity)])


def blend(
    radiograph: Radiograph, heat_map: HeatMap, limit_months: float, *, opacity: float = OPACITY
) -> Colours:
    """The radiograph in the colours of its heat map, without a legend.

    Args:
        radiograph: The radiograph that was predicted.
        heat_map: Its heat map.
        limit_months: What the strongest colour stands for, above 0.
        opacity: How much the strongest colour covers, above 0 to 1.

    Returns:
        Shape (height_px, width_px, 3) of the radiograph, uint8, blue first.
    """
    share = heat_map.on_radiograph() / np.float32(limit_months)
    return _blended(screen_grey(radiograph.pixels), share, opacity)


def write_overlay(path: str | os.PathLike[str], overlay: Colours) -> None:
    """Write an overlay as PNG, all of it or nothing.

    Raises:
        OutputError: The system refused to write.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", overlay)[1].tobytes())


def scale_of(values_months: NDArray[np.float32]) -> float:
    """Months that the strongest colour stands for: one digit times a power of ten."""
    largest = float(np.abs(values_months).max())
    if not 1e-6 < largest < math.inf:
        return 1e-6
    unit = 10.0 ** math.floor(math.log10(largest))
    return next(step * unit for step in _STEPS if step * unit >= largest * (1 - 1e-9))


def screen_grey(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values for a screen: 8 bits as they are, others windowed as viewers do it.

    Args:
        pixels: Grey values, shape (height, width), of any unit.

    Returns:
        The same shape: the darkest and the brightest 0.5 % are 0 and 255.
    """
    if pixels.dtype == np.uint8:
        return pixels
    finite = np.nan_to_num(pixels.astype(np.float32))
    dark, bright = np.percentile(finite, _WINDOW_PERCENTILES)
    scaled = (finite - dark) * (255.0 / max(float(bright - dark), 1e-6))
    return np.asarray(np.clip(scaled, 0, 255), dtype=np.uint8)


def colour_of(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour of values that are divided by the scale.

    Args:
        share: Any shape; -1 and below is bluest (younger), 1 and above most orange (older).

    Returns:
        The same shape with three channels, 0 to 255, blue first.
    """
    places = np.linspace(-1, 1, len(_TABLE))
    red, green, blue = (np.interp(share, places, channel) for channel in zip(*_TABLE, strict=True))
    return np.stack([blue, green, red], axis=-1).astype(np.float32)


def scale_colours(count: int = SCALE_STOPS, *, opacity: float = OPACITY) -> Colours:
    """The colours over mid-grey, as they lie on a radiograph, for a scale beside it.

    Args:
        count: How many, evenly spaced from the bluest to the most orange.
        opacity: How much the strongest colour covers, above 0 to 1.

    Returns:
        Shape (count, 3), uint8, blue first.
    """
    share = np.linspace(-1, 1, count, dtype=np.float32)
    return _blended(np.full(share.shape, _MID_GREY, np.uint8), share, opacity)


def _blended(grey: NDArray[np.uint8], share: NDArray[np.float32], opacity: float) -> Colours:
    """Colour over grey; where nothing is added, the radiograph is as it was."""
    cover = (opacity * np.minimum(np.abs(share), 1))[..., np.newaxis]
    mixed = (1 - cover) * grey[..., np.newaxis] + cover * colour_of(share)
    return np.rint(mixed).astype(np.uint8)


def _legend(width: int, prediction: Prediction, limit: float, opacity: float) -> Colours:
    """A bar of the colours over mid-grey, the months at its ends, and the bone age."""
    factor = min(max(width / 600, 0.38), 2.5)
    line, margin = math.ceil(28 * factor), math.ceil(10 * factor)
    legend = np.zeros((4 * line + margin, width, 3), np.uint8)
    top, high = math.ceil(1.5 * line), line // 2
    bar = scale_colours(width - 2 * margin, opacity=opacity)
    legend[top : top + high, margin : width - margin] = bar
    age = f"bone age {prediction.bone_age_months:.1f} months"
    _write(legend, age, (margin, line), factor)
    below = top + high + line
    for text, place in ((f"-{limit:g}", 0.0), ("0", 0.5), (f"+{limit:g}", 1.0)):
        _write(legend, text, (margin, below), factor, place)
    for text, place in (("younger", 0.0), ("months a cell", 0.5), ("older", 1.0)):
        _write(legend, text, (margin, below + line), factor, place)
    return legend


def _write(
    sheet: Colours, text: str, corner: tuple[int, int], factor: float, place: float = 0.0
) -> None:
    """Write a line; ``place`` is 0 at the left margin, 0.5 in the middle, 1 at the right margin."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.75 * factor
    thickness = max(1, round(1.5 * factor))
    (wide, _), _ = cv2.getTextSize(text, font, scale, thickness)
    left = corner[0] + round(place * (sheet.shape[1] - 2 * corner[0] - wide))
    white = (235, 235, 235)
    cv2.putText(sheet, text, (left, corner[1]), font, scale, white, thickness, cv2.LINE_AA)

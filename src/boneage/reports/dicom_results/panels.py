"""The pictures on the sheet: the radiograph, and the same in the colours of its heat map."""

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.inference.heatmap import HeatMap
from boneage.inference.overlay import SCALE_STOPS, blend, scale_colours, scale_of, screen_grey
from boneage.radiographs.radiograph import Radiograph
from boneage.reports.child_words import OVERLAY_CAPTION
from boneage.reports.dicom_results.canvas import TextStyle, draw_text, height_px, wrapped

__all__ = ["panels"]

_TALLEST = 660
_WIDEST = 460
_NARROWEST = 300
_MOST_ENLARGED = 4.0
_BAR = 16
_SPACE = 12
_CAPTION = TextStyle(19, (168, 168, 168))
_SCALE = TextStyle(19, (236, 236, 236))

Picture = NDArray[np.uint8]


def panels(radiograph: Radiograph, heat_map: HeatMap | None) -> list[Picture]:
    """Draw the pictures with their captions on black.

    Args:
        radiograph: The radiograph.
        heat_map: What moved the estimate; None for the radiograph alone.

    Returns:
        One picture or two, shape (rows, columns, 3), uint8, red first; at most 460 px wide.
    """
    grey = screen_grey(radiograph.pixels)
    factor = min(_TALLEST / radiograph.height_px, _WIDEST / radiograph.width_px, _MOST_ENLARGED)
    found = [_panel(_resized(np.dstack([grey] * 3), factor), _size_words(factor))]
    if heat_map is not None:
        limit = scale_of(heat_map.values_months)
        coloured = np.ascontiguousarray(blend(radiograph, heat_map, limit)[..., ::-1])
        found.append(_panel(_resized(coloured, factor), OVERLAY_CAPTION, limit))
    return found


def _size_words(factor: float) -> str:
    if factor < 1:
        return "As in the file, reduced. Not for reading."
    enlarged = "" if factor == 1 else f", enlarged {round(factor, 1):g} times"
    return f"As in the file{enlarged}. Not for reading."


def _resized(picture: Picture, factor: float) -> Picture:
    height, width = picture.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _panel(picture: Picture, caption: str, limit_months: float | None = None) -> Picture:
    """A picture, the scale of its colours if it has one, and its caption below."""
    height, width = picture.shape[:2]
    wide = max(width, _NARROWEST)
    lines = wrapped(caption, _CAPTION, wide)
    scale = 0 if limit_months is None else _SPACE + _BAR + _SCALE.line_px
    panel = np.zeros((height + scale + _SPACE + height_px(lines, _CAPTION), wide, 3), np.uint8)
    panel[:height, :width] = picture
    if limit_months is not None:
        _draw_scale(panel, height + _SPACE, limit_months)
    draw_text(panel, lines, 0, height + scale + _SPACE, _CAPTION)
    return panel


def _draw_scale(panel: Picture, top: int, limit_months: float) -> None:
    """The bar of the colours, with what its ends and its middle stand for."""
    row = np.ascontiguousarray(scale_colours()[np.newaxis, :, ::-1])
    wide = panel.shape[1]
    # Pixel centres of the bar among those of the colours, the first and last of them at its ends.
    at = np.linspace(0, SCALE_STOPS - 1, wide, dtype=np.float32)[np.newaxis]
    bar = cv2.remap(row, at, np.zeros_like(at), cv2.INTER_LINEAR)
    panel[top : top + _BAR] = bar
    below = top + _BAR + 2
    for words, place in (
        (f"−{limit_months:g} younger", 0.0),
        ("0", 0.5),
        (f"+{limit_months:g} older", 1.0),
    ):
        left = round(place * (wide - _SCALE.width_px(words)))
        draw_text(panel, [words], left, below, _SCALE)

"""Pictures for the page: the radiograph with its full grey depth, and the heat map as a layer.

A browser decodes PNG into 8 bits a channel, so 16 bits of grey go into two channels: the high byte
in red, the low byte in green. The viewer puts them together again and applies window and level to
all of them. The heat map is a layer of its own with transparency, so that its opacity can be
changed without asking the server again.
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.apps.web.jobs import Overlay, Picture
from boneage.inference.heatmap import HeatMap
from boneage.inference.overlay import OPACITY, SCALE_STOPS, colour_of, scale_of
from boneage.radiographs.radiograph import Radiograph
from boneage.reports.pages import jpeg_uri

__all__ = ["LONGEST_PX", "overlay_of", "picture_of", "plain_pictures", "scale_stops"]

LONGEST_PX = 2000
"""Longer side of a picture for the page: finer than a screen, and 8 MB of grey values at most."""

_PLAIN_PX = 700
_LAYER_PX = 512  # a heat map has some ten cells on a side and is smooth between their centres
_TOP = 65535
_WINDOW_PERCENTILES = (0.5, 99.5)
# Speed over size: whoever waits for the picture sits beside the server, or nearly so.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


def picture_of(radiograph: Radiograph) -> Picture:
    """Make the picture of a radiograph, as it lies in the file.

    Args:
        radiograph: Any; one that is longer than :data:`LONGEST_PX` is averaged down.

    Returns:
        The picture. Grey of 16 bits is kept as it is, that of 8 bits is spread (white is 65535),
        and so are other values from the lowest to the highest. The first window is what
        :func:`boneage.inference.overlay.screen_grey` shows.
    """
    pixels = _reduced(radiograph.pixels)
    if pixels.dtype == np.uint8:
        grey, first, last = pixels.astype(np.uint16) * np.uint16(257), 0.0, 255.0
        low, high = 0, _TOP
        darkest, brightest = 0, _TOP
    else:
        grey, first, last = _sixteen_bits(pixels)
        low, high = (round(float(at)) for at in np.percentile(grey, _WINDOW_PERCENTILES))
        darkest, brightest = int(grey.min()), int(grey.max())
    channels = [np.zeros(grey.shape, np.uint8), _byte(grey & 255), _byte(grey // 256)]
    return Picture(
        png=_png(np.dstack(channels)),
        width_px=radiograph.width_px,
        height_px=radiograph.height_px,
        low=low,
        high=max(high, low + 1),
        darkest=darkest,
        brightest=brightest,
        first=first,
        last=last,
    )


def overlay_of(radiograph: Radiograph, heat_map: HeatMap) -> Overlay:
    """Make the layer of a heat map: its colours, opaque where they are strongest.

    Args:
        radiograph: The radiograph that it is laid over, edge to edge.
        heat_map: What each cell adds to the bone age.
    """
    limit = scale_of(heat_map.values_months)
    months = heat_map.on_radiograph()
    assert months.shape == radiograph.pixels.shape
    share = np.asarray(_reduced(months, _LAYER_PX) / limit, np.float32)
    cover = 255 * np.minimum(np.abs(share), 1)
    layer = np.dstack([colour_of(share), cover])
    return Overlay(_png(np.rint(layer).astype(np.uint8)), limit)


def plain_pictures(picture: Picture, overlay: Overlay | None) -> list[str]:
    """The radiograph in its first window, and with its heat map, for a page without a viewer.

    Returns:
        One or two data URIs of JPEG files.
    """
    channels = cv2.imdecode(np.frombuffer(picture.png, np.uint8), cv2.IMREAD_COLOR)
    assert channels is not None
    grey = channels[..., 2].astype(np.float32) * 256 + channels[..., 1]
    shown = np.clip((grey - picture.low) * (255 / (picture.high - picture.low)), 0, 255)
    shown = _reduced(shown, _PLAIN_PX)
    uris = [jpeg_uri(np.rint(shown).astype(np.uint8), _PLAIN_PX)]
    if overlay is not None:
        layer = cv2.imdecode(np.frombuffer(overlay.png, np.uint8), cv2.IMREAD_UNCHANGED)
        assert layer is not None
        layer = cv2.resize(layer, shown.shape[::-1]).astype(np.float32)
        cover = layer[..., 3:] * (OPACITY / 255)
        mixed = (1 - cover) * shown[..., np.newaxis] + cover * layer[..., :3]
        uris.append(jpeg_uri(np.rint(mixed).astype(np.uint8), _PLAIN_PX))
    return uris


def scale_stops() -> list[tuple[str, str, str]]:
    """Place, colour and opacity of each stop of the scale, for a gradient of SVG over grey."""
    share = np.linspace(-1, 1, SCALE_STOPS, dtype=np.float32)
    colours = np.rint(colour_of(share)).astype(int).tolist()
    return [
        (f"{50 + 50 * at:g}%", f"#{red:02x}{green:02x}{blue:02x}", f"{abs(at):g}")
        for at, (blue, green, red) in zip(share.tolist(), colours, strict=True)
    ]


def _reduced(values: NDArray[Any], longest_px: int = LONGEST_PX) -> NDArray[Any]:
    height, width = values.shape
    scale = longest_px / max(height, width)
    if scale >= 1:
        return values
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))


def _sixteen_bits(values: NDArray[Any]) -> tuple[NDArray[np.uint16], float, float]:
    """Grey of 16 bits, and the values that its ends stand for."""
    if values.dtype == np.uint16:
        return values, 0.0, float(_TOP)
    finite = np.nan_to_num(values.astype(np.float64))
    first, last = float(finite.min()), float(finite.max())
    if not 0 < last - first < math.inf:
        return np.zeros(values.shape, np.uint16), first, first + 1
    grey = (finite - first) * (_TOP / (last - first))
    return np.rint(grey).astype(np.uint16), first, last


def _byte(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(values, np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", pixels, _PNG)[1].tobytes()

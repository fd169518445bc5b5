"""The pictures that the pages show."""

import cv2
import numpy as np

from boneage.apps.web.jobs import Overlay, Picture
from boneage.inference.heatmap import HeatMap
from boneage.inference.overlay import colour_of, scale_of, screen_grey
from boneage.radiographs.radiograph import Radiograph

__all__ = ["overlay_of", "picture_of"]


def picture_of(radiograph: Radiograph) -> Picture:
    """The radiograph for the viewer."""
    grey = screen_grey(radiograph.pixels)
    picture = np.dstack([np.zeros_like(grey), np.zeros_like(grey), grey])
    png = cv2.imencode(".png", picture)[1].tobytes()
    return Picture(png, radiograph.width_px, radiograph.height_px, 0, 65535)


def overlay_of(radiograph: Radiograph, heat_map: HeatMap) -> Overlay:  # noqa: ARG001
    """The heat map to lay over it."""
    limit = scale_of(heat_map.values_months)
    share = heat_map.on_radiograph() / np.float32(limit)
    alpha = np.minimum(np.abs(share), 1)[..., np.newaxis] * 255
    picture = np.rint(np.concatenate([colour_of(share), alpha], axis=-1)).astype(np.uint8)
    return Overlay(cv2.imencode(".png", picture)[1].tobytes(), limit)

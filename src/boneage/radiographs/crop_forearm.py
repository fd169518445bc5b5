"""Cutting the forearm off a hand's mask, a little beyond the wrist."""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["without_forearm"]

REACH = 2.3
"""Where the forearm is cut: distance from the palm's centre in radii of the palm's circle."""


def without_forearm(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut the forearm off.

    The palm is the largest circle inside the mask; the forearm is what remains, beyond that
    circle, of the mask once everything thinner than a wrist (the fingers) is taken away.

    Args:
        mask: Shape (height, width), 1 inside the hand.

    Returns:
        The mask without the forearm, or as it was if no forearm is seen.
    """
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    _, radius, _, (cx, cy) = cv2.minMaxLoc(depth)
    if radius < 3:
        return mask
    side = 2 * round(0.5 * radius) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    thick = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel, borderValue=0)
    y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
    away = np.hypot(x - cx, y - cy)
    beyond = ((thick > 0) & (away > 1.5 * radius)).astype(np.uint8)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(beyond)
    if count < 2:
        return mask
    label = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    dx, dy = centres[label][0] - cx, centres[label][1] - cy
    length = float(np.hypot(dx, dy))
    along = ((x - cx) * dx + (y - cy) * dy) / length
    kept = np.where(along > REACH * radius, 0, mask).astype(np.uint8)
    return kept if kept.any() else mask

"""Cutting the forearm off a hand's mask, a little beyond the wrist."""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["without_forearm"]

Mask = NDArray[np.uint8]

REACH = 2.3
"""Where the forearm is cut: distance from the palm's centre in radii of the palm's circle."""

WRIST = 0.5
"""Fingers are thinner than this share of the palm's radius, wrist and forearm are thicker."""

LINE = 0.06
"""Half the width of what is shaved off first (edges of frames), in radii of the palm."""


def without_forearm(mask: Mask) -> Mask:
    """Cut the forearm off.

    The palm is the largest circle inside the mask; the forearm is what remains of the mask beyond
    that circle, on the side away from the fingers, once everything thinner than a wrist is taken
    away.

    Args:
        mask: Shape (height, width), 1 inside the hand.

    Returns:
        The mask without the forearm, or as it was if no forearm is seen.
    """
    left, top, width, height = cv2.boundingRect(mask)
    here = slice(top, top + height), slice(left, left + width)
    kept = np.zeros_like(mask)
    kept[here] = _without_forearm(np.ascontiguousarray(mask[here]))  # half the work
    return kept


def _without_forearm(mask: Mask) -> Mask:
    depth = _depth(mask)
    radius = float(depth.max())
    if radius < 3:
        return mask
    mask = _shaved(mask, LINE * radius)
    thick = _opened(mask, WRIST * radius)
    fingers = _opened(mask & (1 - thick), 1.0)
    y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
    if fingers.sum() < 0.02 * mask.sum():
        return mask
    towards = np.array(
        [x[fingers > 0].mean() - x[thick > 0].mean(), y[fingers > 0].mean() - y[thick > 0].mean()]
    )
    towards /= max(float(np.hypot(*towards)), 1e-6)
    cx, cy, radius = _palm(_depth(mask), towards)
    along = (x - cx) * towards[0] + (y - cy) * towards[1]
    beyond = (thick > 0) & (np.hypot(x - cx, y - cy) > 1.5 * radius) & (along < 0)
    count, _, stats, centres = cv2.connectedComponentsWithStats(beyond.astype(np.uint8))
    if count < 2:
        return mask
    label = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    dx, dy = centres[label][0] - cx, centres[label][1] - cy
    outward = ((x - cx) * dx + (y - cy) * dy) / float(np.hypot(dx, dy))
    kept = np.where(outward > REACH * radius, 0, mask).astype(np.uint8)
    return kept if kept.any() else mask


def _palm(depth: NDArray[np.float32], towards: NDArray[np.float64]) -> tuple[float, float, float]:
    """Centre and radius of the palm: of all wide places, the one nearest to the fingers."""
    wide = (depth > 0.8 * depth.max()).astype(np.uint8)
    count, labels, _, centres = cv2.connectedComponentsWithStats(wide)
    label = 1 + int(np.argmax(centres[1:count] @ towards))
    here = np.where(labels == label, depth, 0)
    row, column = np.unravel_index(int(np.argmax(here)), here.shape)
    return float(column), float(row), float(here[row, column])


def _depth(mask: Mask) -> NDArray[np.float32]:
    """Distance of every pixel to the nearest one outside; the picture's rim counts as outside."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.asarray(depth, np.float32)


def _opened(mask: Mask, radius: float) -> Mask:
    """Without everything thinner than twice the radius."""
    side = 2 * round(radius) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel, borderValue=0), np.uint8)


def _shaved(mask: Mask, radius: float) -> Mask:
    """The largest part that remains without thin lines."""
    opened = _opened(mask, radius)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return mask
    label = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    side = 2 * round(3 * radius) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    grown = np.asarray(cv2.dilate((labels == label).astype(np.uint8), kernel), np.uint8)
    return grown & mask

"""Candidates for the hand: connected bright parts at many thresholds, scored by their shape.

No single threshold suits every film: the background may be black, grey, or lighter outside the
collimated field than in it. So the picture is cut at many levels, and of all the connected parts
the one is taken that looks most like a hand: large, with a steep outline, neither rectangular nor
ragged, and not running along the rims of the film or of the field. The limits below were chosen
by ``benchmarks/crop.py`` on the even ids of the annotated RSNA radiographs.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.radiographs.crop_lines import straight_edges

__all__ = ["Mask", "best_candidate"]

Mask = NDArray[np.uint8]

LEVELS = 32
"""Thresholds tried. With 24, 1 % fewer of the annotated hands are found."""

MIN_AREA, MAX_AREA = 0.03, 0.90
"""Shares of the picture that a hand may fill."""

CONTRAST_POWER, AREA_POWER = 0.7, 0.5
"""The larger AREA_POWER, the more soft tissue is in the mask; the bones alone have the steeper
outline."""

MOST_CONTACT = 0.5
"""Share of its outline that a hand may have on the rims of the film or of the field."""

MIN_SHAPE = 0.3
"""Below this, nothing is taken for a hand. Of 968 RSNA radiographs, the least had 0.46."""

MIN_CLARITY = 1.8
"""How much steeper than the picture's median a hand's outline is. Of 968 RSNA radiographs, the
least had 2.7; noise has 1.0."""


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A part of the picture that may be the hand.

    Attributes:
        mask: Shape of the working copy, 1 inside (holes filled).
        score: The higher, the more like a hand; comparable within one picture only.
        shape: How hand-like its shape is, 0 to 1.
        contrast: Gradient that 70 % of its outline exceeds, per working pixel.
    """

    mask: Mask
    score: float
    shape: float
    contrast: float


def best_candidate(image: NDArray[np.float32]) -> tuple[Mask | None, str]:
    """Find the most hand-like part of a working copy.

    Args:
        image: Working copy, shape (height, width), float32.

    Returns:
        Its mask and an empty text, or None and why nothing was found.
    """
    best, steepness = _search(image)
    if best is None:
        return None, "nothing in the image has the size and shape of a hand"
    if best.shape < MIN_SHAPE:
        return None, "nothing in the image has the shape of a hand"
    if best.contrast < MIN_CLARITY * float(np.median(steepness)):
        return None, "no outline stands out from the noise"
    return best.mask, ""


def _thresholds(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Levels to cut at: half evenly spaced in grey value, half in area."""
    shares = np.concatenate([(2, 97), np.linspace(12, 94, LEVELS // 2)])
    low, high, *ranked = np.percentile(image, shares)
    even = np.linspace(low, high, LEVELS // 2 + 2)[1:-1]
    return np.unique(np.concatenate([even, ranked]))


def _search(image: NDArray[np.float32]) -> tuple[_Candidate | None, NDArray[np.float32]]:
    """The best candidate, and the steepness of the picture without its pixel noise."""
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.8), np.float32)
    gx = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125), np.float32)
    gy = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125), np.float32)
    steepness = np.asarray(cv2.magnitude(gx, gy), np.float32)
    lines = straight_edges(gx, gy)
    rim = np.asarray(cv2.dilate(lines, np.ones((5, 5), np.uint8)), np.uint8)
    rim[:2] = rim[-2:] = 1
    rim[:, :2] = rim[:, -2:] = 1
    least, most = MIN_AREA * smooth.size, MAX_AREA * smooth.size
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    free = 1 - lines
    # A gradient is never below 0: this stands for places on a rim.
    free_steepness = np.where(rim > 0, np.float32(-1), steepness).ravel()
    best: _Candidate | None = None
    for level in _thresholds(smooth):
        bright = (smooth > level).astype(np.uint8)
        # Without the cut too: a straight edge may be a finger's, falsely taken for a rim.
        for binary in (bright & free, bright) if lines.any() else (bright,):
            opened = np.asarray(
                cv2.morphologyEx(binary, cv2.MORPH_OPEN, kernel, borderValue=0), np.uint8
            )
            outlines, tree = cv2.findContours(opened, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            for number, outline in enumerate(outlines):
                is_hole = tree[0][number][3] >= 0
                if not is_hole and least <= cv2.contourArea(outline) <= most:
                    best = _better(best, np.asarray(outline), opened, free_steepness)
    return best, steepness


def _better(
    best: _Candidate | None,
    outline: NDArray[Any],
    binary: Mask,
    free_steepness: NDArray[np.float32],
) -> _Candidate | None:
    """The part inside an outline if its score is above that of the best so far, which else stays.

    Every factor of a score is at most 1, so that most outlines are done with before the dear ones.
    """
    above = 0.0 if best is None else best.score
    x, y = outline[:, 0, 0], outline[:, 0, 1]
    steep = free_steepness[y * binary.shape[1] + x]
    steep = steep[steep >= 0]
    contact = 1 - len(steep) / len(x)
    if contact >= MOST_CONTACT:
        return best
    place = int(0.3 * len(steep))
    contrast = float(np.partition(steep, place)[place])
    area = cv2.contourArea(outline) + len(x) / 2 + 1
    share = area / binary.size
    weight = contrast**CONTRAST_POWER * share**AREA_POWER
    shape = _ramp(contact, MOST_CONTACT, 0.15) * _ramp(share, 0.02, 0.10)
    if shape * weight <= above:
        return best
    hull = cv2.convexHull(outline)
    solidity = area / (cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1)
    (_, _), (long, short), _ = cv2.minAreaRect(hull)
    extent = area / ((long + 1) * (short + 1))
    # Of masks that fit annotated hands, 95 % have an extent below 0.66, a solidity below 0.81.
    shape *= _ramp(extent, 0.88, 0.70) * _ramp(solidity, 0.95, 0.87) * _ramp(solidity, 0.30, 0.50)
    if shape * weight <= above:
        return best
    filled = np.zeros_like(binary)
    cv2.drawContours(filled, [outline], -1, 1, -1)
    shape *= _ramp(cv2.countNonZero(filled & binary) / cv2.countNonZero(filled), 0.70, 0.95)
    score = shape * weight
    return _Candidate(filled, score, shape, contrast) if score > above else best


def _ramp(value: float, zero: float, one: float) -> float:
    """0 at ``zero``, 1 at ``one``, straight in between, whichever of them is larger."""
    return min(1.0, max(0.0, (value - zero) / (one - zero)))

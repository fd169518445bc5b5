"""Candidates for the hand: connected bright parts at many thresholds, scored by their shape."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.radiographs.crop_lines import straight_edges

__all__ = ["Mask", "best_candidate", "candidates"]

Mask = NDArray[np.uint8]

LEVELS = 32
MIN_AREA = 0.03
MAX_AREA = 0.90
CONTRAST_POWER = 0.7
AREA_POWER = 0.5
MOST_CONTACT = 0.5
MIN_SCORE = 0.0005


@dataclass(frozen=True, eq=False)
class Candidate:
    """A part of the picture that may be the hand.

    Attributes:
        mask: Shape of the working copy, 1 inside.
        score: The higher, the more like a hand; 0 or more.
        note: The parts of the score, for those who tune it.
    """

    mask: Mask
    score: float
    note: str = ""


def best_candidate(image: NDArray[np.float32]) -> Mask | None:
    """The most hand-like part of a working copy, or None if there is none."""
    found = candidates(image)
    if not found:
        return None
    best = max(found, key=lambda candidate: candidate.score)
    return best.mask if best.score >= MIN_SCORE else None


def thresholds(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Levels to cut at: half evenly spaced in grey value, half in area."""
    low, high = np.percentile(image, (2, 97))
    even = np.linspace(low, high, LEVELS // 2 + 2)[1:-1]
    ranked = np.percentile(image, np.linspace(12, 94, LEVELS // 2))
    return np.unique(np.concatenate([even, ranked]))


def candidates(image: NDArray[np.float32]) -> list[Candidate]:
    """Every sizeable connected part at every threshold, with its score.

    Args:
        image: Working copy, shape (height, width), float32.

    Returns:
        The candidates, darkest threshold first.
    """
    smooth = cv2.GaussianBlur(image, (0, 0), 0.8)
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125)
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
    gradient = cv2.magnitude(gx, gy)
    lines = straight_edges(gx, gy)
    free = 1 - lines
    rim = cv2.dilate(lines, np.ones((5, 5), np.uint8))
    rim[:2] = rim[-2:] = 1
    rim[:, :2] = rim[:, -2:] = 1
    least, most = MIN_AREA * image.size, MAX_AREA * image.size
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    found = []
    for level in thresholds(smooth):
        bright = (smooth > level).astype(np.uint8)
        for binary in (bright & free, bright) if lines.any() else (bright,):
            opened = cv2.morphologyEx(binary, cv2.MORPH_OPEN, kernel, borderValue=0)
            outlines, tree = cv2.findContours(opened, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            for number, outline in enumerate(outlines):
                is_hole = tree[0][number][3] >= 0
                if not is_hole and least <= cv2.contourArea(outline) <= most:
                    candidate = _score(outline, opened, gradient, rim)
                    if candidate is not None:
                        found.append(candidate)
    return found


def _score(
    outline: NDArray[np.int32], binary: Mask, gradient: NDArray[np.float32], rim: Mask
) -> Candidate | None:
    """Fill an outline and score it; None where the score is sure to be 0."""
    x, y = outline[:, 0, 0], outline[:, 0, 1]
    steep = np.sort(gradient[y, x][rim[y, x] == 0])
    contact = 1 - len(steep) / len(x)
    if contact >= MOST_CONTACT:
        return None
    contrast = float(steep[int(0.3 * len(steep))])
    hull = cv2.convexHull(outline)
    area = cv2.contourArea(outline) + len(x) / 2 + 1
    solidity = area / (cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1)
    (_, _), (long, short), _ = cv2.minAreaRect(hull)
    extent = area / ((long + 1) * (short + 1))
    score = contrast**CONTRAST_POWER * (area / binary.size) ** AREA_POWER
    score *= ramp(extent, 0.88, 0.70) * ramp(solidity, 0.95, 0.87) * ramp(solidity, 0.30, 0.5)
    score *= ramp(contact, MOST_CONTACT, 0.15) * ramp(area / binary.size, 0.02, 0.10)
    if score <= 0:
        return None
    filled = np.zeros_like(binary)
    cv2.drawContours(filled, [outline], -1, 1, -1)
    whole = cv2.countNonZero(filled & binary) / cv2.countNonZero(filled)
    score *= ramp(whole, 0.7, 0.95)
    note = (
        f"c{contrast:.5f} e{extent:.4f} s{solidity:.4f} w{whole:.4f} t{contact:.4f} "
        f"a{area / binary.size:.4f}"
    )
    return Candidate(filled, score, note)


def ramp(value: float, zero: float, one: float) -> float:
    """0 at ``zero``, 1 at ``one``, straight in between, whichever of them is larger."""
    return float(min(1.0, max(0.0, (value - zero) / (one - zero))))

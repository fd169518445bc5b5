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
POWER = 0.7
AREAPOWER = 0.7
MIN_SCORE = 0.05


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
        binary = (smooth > level).astype(np.uint8) & free
        if not least <= int(binary.sum()):
            continue
        binary = cv2.morphologyEx(binary, cv2.MORPH_OPEN, kernel, borderValue=0)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=4)
        for label in range(1, len(stats)):
            if least <= stats[label, cv2.CC_STAT_AREA] <= most:
                found.append(_score((labels == label).astype(np.uint8), gradient, rim))
    return found


def _score(part: Mask, gradient: NDArray[np.float32], rim: Mask) -> Candidate:
    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)
    filled = np.zeros_like(part)
    cv2.drawContours(filled, [outline], -1, 1, -1)
    area, filled_area = float(part.sum()), float(filled.sum())
    whole = area / filled_area
    hull = cv2.convexHull(outline)
    solidity = filled_area / max(filled_area, cv2.contourArea(hull))
    (_, _), (long, short), _ = cv2.minAreaRect(outline)
    extent = filled_area / max(filled_area, (long + 1) * (short + 1))
    x, y = outline[:, 0, 0], outline[:, 0, 1]
    inside = rim[y, x] == 0
    contrast = float(np.percentile(gradient[y[inside], x[inside]], 30)) if inside.any() else 0.0
    contact = 1 - float(inside.mean())
    share = filled_area / part.size
    shape = ramp(extent, 0.97, 0.80) * ramp(solidity, 0.98, 0.90) * ramp(solidity, 0.30, 0.5)
    score = contrast**POWER * share**AREAPOWER * shape
    score *= ramp(whole, 0.7, 0.95) * ramp(contact, 0.5, 0.15) * ramp(share, 0.02, 0.10)
    note = f"c{contrast:.3f} e{extent:.2f} s{solidity:.2f} w{whole:.2f} t{contact:.2f} a{share:.2f}"
    return Candidate(filled, score * 100, note)


def ramp(value: float, zero: float, one: float) -> float:
    """0 at ``zero``, 1 at ``one``, straight in between, whichever of them is larger."""
    return float(min(1.0, max(0.0, (value - zero) / (one - zero))))

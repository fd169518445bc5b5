"""Long straight edges: the rims of collimated fields, of frames and of film, at any angle."""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["straight_edges"]

ANGLES = 180
"""Bins of the edge's direction over a full turn: 2 degrees each."""

MIN_LENGTH = 0.52
"""Edge pixels that make a line, as a share of the picture's shorter side."""

STRONG = 75
"""Percentile of the gradient above which a pixel is an edge."""

CENTRE = 0.10
"""Lines nearer than this to the centre, in shorter sides, are bones, not rims."""

MIN_SOLID = 0.6
"""Share of a line's length that edge pixels must cover; a forearm may lie across."""

BESIDE = 5
"""Pixels within this distance of a line belong to it or to its twin on a frame's other side."""

MAX_OUTSIDE = 0.05
"""Share of the picture's edge pixels that may lie beyond a rim: markers, but no finger."""

MAX_LINES = 12


def straight_edges(gx: NDArray[np.float32], gy: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Find long straight edges.

    A Hough transform in which every edge pixel votes for the one line that its gradient allows
    (Ballard 1981, doi:10.1016/0031-3203(81)90009-1), so that bones, whose two sides have opposite
    gradients and which are nowhere straight for long, gather few votes.

    Args:
        gx: Gradient across, shape (height, width).
        gy: Gradient down.

    Returns:
        Shape (height, width), 1 on the lines (3 px wide), else 0.
    """
    height, width = gx.shape
    short = min(height, width)
    strength = cv2.magnitude(gx, gy)
    edge = strength > max(float(np.percentile(strength, STRONG)), 1e-6)
    edge[[0, -1]] = False
    edge[:, [0, -1]] = False
    y, x = np.nonzero(edge)
    xc, yc = x - (width - 1) / 2, y - (height - 1) / 2
    turn = np.arctan2(gy[y, x], gx[y, x])
    bins = np.rint(turn * ANGLES / (2 * np.pi)).astype(int)
    reach = int(np.hypot(height, width) / 2) + 3
    votes = np.zeros((ANGLES, 2 * reach), np.float32)
    for shift in (-1, 0, 1):
        angles = (bins + shift) * (2 * np.pi / ANGLES)
        rhos = np.rint(xc * np.cos(angles) + yc * np.sin(angles)).astype(int) + reach
        flat = ((bins + shift) % ANGLES) * (2 * reach) + rhos
        votes += np.bincount(flat, minlength=votes.size).reshape(votes.shape)
    votes = votes + np.roll(votes, 1, axis=1)
    found: list[tuple[float, float]] = []
    for _ in range(MAX_LINES):
        row, column = divmod(int(np.argmax(votes)), votes.shape[1])
        if votes[row, column] < MIN_LENGTH * short:
            break
        angle, rho = row * (2 * np.pi / ANGLES), column - reach - 0.5
        if abs(rho) > CENTRE * short and _is_solid(xc, yc, bins - row, angle, rho, short):
            found.append((angle, rho))
        rows = np.arange(row - 3, row + 4) % ANGLES
        votes[rows, max(0, column - 3) : column + 4] = 0
    lines = np.zeros((height, width), np.uint8)
    left = np.ones(len(xc), bool)
    for angle, rho in sorted(found, key=_distance, reverse=True):
        outward = (xc * np.cos(angle) + yc * np.sin(angle) - rho) * (1 if rho > 0 else -1)
        if int((left & (outward > BESIDE)).sum()) <= MAX_OUTSIDE * int(left.sum()):
            _draw(lines, angle, rho)
            left &= np.abs(outward) > BESIDE
    return lines


def _is_solid(
    xc: NDArray[np.float64],
    yc: NDArray[np.float64],
    turn: NDArray[np.int_],
    angle: float,
    rho: float,
    short: int,
) -> bool:
    """Whether the edge pixels of a line follow each other with few gaps."""
    turn = (turn + ANGLES // 2) % ANGLES - ANGLES // 2
    near = (np.abs(xc * np.cos(angle) + yc * np.sin(angle) - rho) <= 1.5) & (np.abs(turn) <= 2)
    along = np.unique(np.rint(yc[near] * np.cos(angle) - xc[near] * np.sin(angle)).astype(int))
    if len(along) < MIN_LENGTH * short:
        return False
    first, last = np.percentile(along, (5, 95))
    return bool(0.9 * len(along) >= MIN_SOLID * (last - first + 1))


def _draw(lines: NDArray[np.uint8], angle: float, rho: float) -> None:
    height, width = lines.shape
    normal = np.array([np.cos(angle), np.sin(angle)])
    foot = np.array([(width - 1) / 2, (height - 1) / 2]) + rho * normal
    along = np.array([-normal[1], normal[0]]) * (height + width)
    ends = [tuple(int(v) for v in np.rint(foot + sign * along)) for sign in (-1, 1)]
    cv2.line(lines, ends[0], ends[1], 1, thickness=3)


def _distance(line: tuple[float, float]) -> float:
    """Distance of a line (angle, rho) from the picture's centre."""
    return abs(line[1])

"""Finding the hand: not the frame of the film, nor the collimator's edge, nor the marker letter."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boneage.errors import SettingsError
from boneage.radiographs.crop_candidates import best_candidate
from boneage.radiographs.crop_forearm import without_forearm
from boneage.radiographs.geometry import require_unit
from boneage.radiographs.intensity import small_copy

__all__ = ["MARGIN", "Box", "CropResult", "crop", "find_hand"]

WORK_PX = 160
"""The hand is sought on a copy with this longer side, whatever the size of the original."""

MIN_PX, MAX_ASPECT = 8, 6
"""Pictures smaller or narrower than this are not searched."""

MARGIN = 0.04
"""Default margin, as a share of the longer side of the hand's box."""


@dataclass(frozen=True)
class Box:
    """A rectangle in a picture, in whole pixels.

    Attributes:
        left_px: First column.
        top_px: First row.
        width_px: Number of columns, at least 1.
        height_px: Number of rows, at least 1.
    """

    left_px: int
    top_px: int
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        if min(self.left_px, self.top_px) < 0 or min(self.width_px, self.height_px) < 1:
            raise SettingsError(f"{self} is no box: it must start at 0 or more and hold a pixel.")

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index a picture with."""
        return (
            slice(self.top_px, self.top_px + self.height_px),
            slice(self.left_px, self.left_px + self.width_px),
        )


@dataclass(frozen=True, eq=False)
class CropResult:
    """The part of a picture that holds the hand.

    Attributes:
        image: Shape (box.height_px, box.width_px), float32.
        box: Where it was taken from.
        fallback: No hand was found with confidence, and this is the whole picture.
        reason: Why it fell back; empty otherwise.
    """

    image: NDArray[np.float32]
    box: Box
    fallback: bool
    reason: str


SEEN_ABOVE = 0.05
"""Pixels that are darker than this are background, and none of them counts for the tone."""

MIDDLE_GREY = 0.35
"""Where the median of the others is brought to. Of 0.3 to 0.6 it holds the crop best under gamma 2
without losing a hand (``docs/experiments.md``)."""

POWERS = (0.3, 1.5)
"""Exponents that this may take: a film without a hand is not to be torn apart."""


def crop(
    image: NDArray[np.float32], margin: float = MARGIN, *, level_tone: bool = False
) -> CropResult:
    """Cut out the hand with its wrist.

    Args:
        image: Shape (height, width), float32 in 0..1, bones bright: what ``normalise`` gives.
            It is not changed.
        margin: Added on every side, as a share of the longer side of the hand's box, 0 to 0.5.
        level_tone: Look for the hand on a copy of middling tone, so that a dark or a light print
            of the same film is cut out alike.

    Returns:
        The hand (a copy), or the whole picture with ``fallback`` set and the reason.

    Raises:
        SettingsError: The margin is out of range, or the image is not a grey float32 picture.
    """
    require_unit(image, what="crop")
    check_margin(margin)
    box, reason = find_hand(image, margin, level_tone=level_tone)
    return CropResult(image[box.slices].copy(), box, bool(reason), reason)


def check_margin(margin: float) -> None:
    """Refuse a margin outside 0 to 0.5.

    Raises:
        SettingsError: The margin is out of range.
    """
    if not 0 <= margin <= 0.5:
        raise SettingsError(f"--crop-margin must be within 0 to 0.5, not {margin!r}.")


def find_hand(
    image: NDArray[np.float32], margin: float, *, level_tone: bool = False
) -> tuple[Box, str]:
    """Box of the hand with its margin, and why it is the whole picture (empty if it is not)."""
    height, width = image.shape
    whole = Box(0, 0, width, height)
    if min(height, width) < MIN_PX or max(height, width) > MAX_ASPECT * min(height, width):
        return whole, "the image is too small or too narrow to look for a hand"
    small = small_copy(image, WORK_PX)
    hand, reason = best_candidate(_of_middling_tone(small) if level_tone else small)
    if hand is None:
        return whole, reason
    mask = without_forearm(hand)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    down, across = height / mask.shape[0], width / mask.shape[1]
    top, bottom = rows[0] * down, (rows[-1] + 1) * down
    left, right = columns[0] * across, (columns[-1] + 1) * across
    extra = margin * max(bottom - top, right - left)
    first_row, first_column = max(0, math.floor(top - extra)), max(0, math.floor(left - extra))
    last_row = min(height, math.ceil(bottom + extra))
    last_column = min(width, math.ceil(right + extra))
    return Box(first_column, first_row, last_column - first_column, last_row - first_row), ""


def _of_middling_tone(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Raise the grey values to the power that makes the median of what is not black a middle grey.

    A gamma curve, which scanners and viewers put on a film, is a power as well, so that this takes
    most of it back.
    """
    seen = image[image > SEEN_ABOVE]
    median = min(float(np.median(seen)), 1 - SEEN_ABOVE) if seen.size else MIDDLE_GREY
    power = min(max(math.log(MIDDLE_GREY) / math.log(median), POWERS[0]), POWERS[1])
    return np.power(image, np.float32(power), dtype=np.float32)

"""From a radiograph to the picture that the network takes, with everything that was done to it."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.errors import UnsuitableError
from boneage.radiographs.crop import Box, find_hand
from boneage.radiographs.geometry import (
    FINER,
    pad_to_square,
    reduce_to,
    resize,
    square_padding,
)
from boneage.radiographs.intensity import (
    NormaliseResult,
    normalise,
    rescale,
    sample,
    stretch_scale,
)
from boneage.radiographs.preparation_settings import MIN_SIDE_PX, PreparationSettings
from boneage.radiographs.radiograph import Radiograph

__all__ = [
    "MIN_SIDE_PX",
    "PREPARATION_VERSION",
    "CropInfo",
    "NormaliseInfo",
    "Preparation",
    "PreparationSettings",
    "PreparedGeometry",
    "PreparedImage",
]

PREPARATION_VERSION = 1
"""Raised whenever the same radiograph and settings would give another picture."""


@dataclass(frozen=True)
class NormaliseInfo:
    """What ``normalise`` did; see :class:`~boneage.radiographs.intensity.NormaliseResult`.

    Attributes:
        black: Grey value of the radiograph that became 0.
        white: Grey value of the radiograph that became 1.
        inverted: Dark bones on a white background were put right.
        bright_background: The background is grey rather than black.
    """

    black: float
    white: float
    inverted: bool
    bright_background: bool


@dataclass(frozen=True)
class CropInfo:
    """What ``crop`` did; see :class:`~boneage.radiographs.crop.CropResult`.

    Attributes:
        box: Where the hand lies in the radiograph.
        fallback: No hand was found with confidence, and the whole radiograph was taken.
        reason: Why it fell back; empty otherwise.
    """

    box: Box
    fallback: bool
    reason: str


@dataclass(frozen=True)
class PreparedGeometry:
    """How pixels of the prepared image and of the radiograph correspond.

    Positions are (x, y) with pixel centres at whole numbers, as in OpenCV and matplotlib.

    Attributes:
        left_px: Column of the radiograph where the prepared image's left edge lies; negative
            where it was padded.
        top_px: Row of the radiograph where the prepared image's top edge lies.
        scale: Columns of the radiograph in one prepared pixel.
        stretch_down: Rows of the radiograph in one prepared pixel, divided by ``scale``: not quite
            1 where the radiograph was reduced to whole pixels first.
    """

    left_px: float
    top_px: float
    scale: float
    stretch_down: float = 1.0

    def to_original(self, x: float, y: float) -> tuple[float, float]:
        """Position in the radiograph of a position in the prepared image."""
        return (
            (x + 0.5) * self.scale - 0.5 + self.left_px,
            (y + 0.5) * self.scale * self.stretch_down - 0.5 + self.top_px,
        )

    def to_prepared(self, x: float, y: float) -> tuple[float, float]:
        """Position in the prepared image of a position in the radiograph."""
        return (
            (x - self.left_px + 0.5) / self.scale - 0.5,
            (y - self.top_px + 0.5) / (self.scale * self.stretch_down) - 0.5,
        )


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """What the network takes, and how it came about.

    Attributes:
        image: Shape (size_px, size_px), float32 in 0..1.
        normalised: What was done to the grey values.
        crop: Where the hand was found.
        geometry: How its pixels and those of the radiograph correspond.
        warnings: What a reader should know, in words; empty if all went well.
    """

    image: NDArray[np.float32]
    normalised: NormaliseInfo
    crop: CropInfo
    geometry: PreparedGeometry
    warnings: tuple[str, ...] = ()


class Preparation:
    """Prepares radiographs: reduce, normalise, crop, stretch, pad to a square, resize.

    It holds no state but its settings, so that one can serve many threads or be pickled.

    Attributes:
        settings: How it prepares.
    """

    def __init__(self, settings: PreparationSettings | None = None) -> None:
        self.settings = settings if settings is not None else PreparationSettings()

    def __call__(
        self, radiograph: Radiograph, *, short_side_px: int | None = None
    ) -> PreparedImage:
        """Prepare one radiograph.

        Args:
            radiograph: Any radiograph; it is not changed.
            short_side_px: Short side to reduce to if it is another than the settings', as for a
                picture that a tilt has made larger: 1 or more.

        Returns:
            The prepared image with its geometry and warnings.

        Raises:
            UnsuitableError: It is smaller than 32 px, constant, or holds values that are not
                finite.
        """
        if min(radiograph.pixels.shape) < MIN_SIDE_PX:
            raise UnsuitableError(
                f"{radiograph.source}: {radiograph.width_px} x {radiograph.height_px} pixels are "
                f"too few to see bones; at least {MIN_SIDE_PX} each way are needed."
            )
        pixels = self.reduce(radiograph.pixels, short_side_px)
        try:
            normalised = normalise(pixels)
        except UnsuitableError as error:
            raise UnsuitableError(f"{radiograph.source}: {error}") from error
        if normalised.black == normalised.white:
            raise UnsuitableError(
                f"{radiograph.source}: the image is empty (all pixels are {normalised.black:g}): "
                "export it anew."
            )
        prepared = self._finish(normalised)
        if pixels.shape == radiograph.pixels.shape:
            return prepared
        return _in_pixels_of(radiograph, pixels.shape, prepared)

    def reduce(self, pixels: NDArray[Any], short_side_px: int | None = None) -> NDArray[Any]:
        """The first step alone: pixels on the scale that the settings, or the caller, ask for."""
        wanted = self.settings.short_side_px if short_side_px is None else short_side_px
        return reduce_to(pixels, wanted, method=self.settings.reduce_by)

    def reduce_for_turning(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Pixels reduced to where turning them by any angle still costs nothing that is kept."""
        return reduce_to(pixels, FINER * self.settings.short_side_px)

    def _finish(self, normalised: NormaliseResult) -> PreparedImage:
        """What follows normalising; the same as the pure functions one after the other."""
        height, width = normalised.image.shape
        info = CropInfo(Box(0, 0, width, height), False, "")
        if self.settings.crop:
            box, reason = find_hand(
                normalised.image, self.settings.margin, level_tone=self.settings.level_tone
            )
            info = CropInfo(box, bool(reason), reason)
        hand = normalised.image[info.box.slices]
        if self.settings.stretch:
            black, white = stretch_scale(sample(hand))
            hand = rescale(hand, black, white)
        image = resize(pad_to_square(hand).image, self.settings.size_px)
        side, left, top = square_padding(info.box.height_px, info.box.width_px)
        geometry = PreparedGeometry(
            info.box.left_px - left, info.box.top_px - top, side / self.settings.size_px
        )
        warnings = []
        if normalised.inverted:
            warnings.append("inverted polarity put right")
        if info.fallback:
            warnings.append(f"crop fell back to the whole image: {info.reason}")
        return PreparedImage(
            image,
            NormaliseInfo(
                normalised.black,
                normalised.white,
                normalised.inverted,
                normalised.bright_background,
            ),
            info,
            geometry,
            tuple(warnings),
        )


def _in_pixels_of(
    radiograph: Radiograph, reduced: tuple[int, ...], prepared: PreparedImage
) -> PreparedImage:
    """Say where things lie in the radiograph rather than in its reduced copy."""
    down, across = radiograph.height_px / reduced[0], radiograph.width_px / reduced[1]
    box, geometry = prepared.crop.box, prepared.geometry
    left, top = math.floor(box.left_px * across), math.floor(box.top_px * down)
    right = min(radiograph.width_px, math.ceil((box.left_px + box.width_px) * across))
    bottom = min(radiograph.height_px, math.ceil((box.top_px + box.height_px) * down))
    return dataclasses.replace(
        prepared,
        crop=dataclasses.replace(prepared.crop, box=Box(left, top, right - left, bottom - top)),
        geometry=PreparedGeometry(
            geometry.left_px * across,
            geometry.top_px * down,
            geometry.scale * across,
            down / across,
        ),
    )

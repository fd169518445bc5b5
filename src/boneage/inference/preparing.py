"""Preparing radiographs the way that a model was trained on, once they have passed the intake."""

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from boneage.errors import BoneAgeError, BundleError, UnsuitableError
from boneage.inference.bundle import CARD_FILE, Bundle
from boneage.inference.intake import Intake
from boneage.radiographs.placement import Placement
from boneage.radiographs.preparation import (
    MIN_SIDE_PX,
    PREPARATION_VERSION,
    Preparation,
    PreparationSettings,
    PreparedGeometry,
)
from boneage.radiographs.preparation_settings import ADDED_LATER
from boneage.radiographs.radiograph import Radiograph
from boneage.radiographs.turning import TurnGeometry, turn

__all__ = ["TILT_DEG", "ModelImage", "ModelPreparation"]

TILT_DEG = 15.0
"""Hands that lean further than this, in degrees, are put upright; networks cope with less.

Turning by a tilt interpolates, which costs a radiograph of 100 px more than a small tilt does. Of
1,000 such radiographs (validation) 8 lean further, and are off by 13.9 instead of 18.7 months with
it; with 10 or 20 degrees all are off by as much or more (``docs/experiments.md``).
"""


class ModelImage(NamedTuple):
    """What a model takes of a radiograph.

    Attributes:
        image: Shape (S, S), float32 in 0..1.
        warnings: What a reader should know.
        placement: Where the image lies in the radiograph.
    """

    image: NDArray[np.float32]
    warnings: tuple[str, ...]
    placement: Placement


class ModelPreparation:
    """The preparation of one model. Safe to use from several threads."""

    def __init__(self, bundle: Bundle, *, intake: bool = True) -> None:
        """Check that this release can still prepare what the model takes.

        Args:
            bundle: The opened bundle.
            intake: Refuse what is not one hand, and turn hands upright.

        Raises:
            BundleError: It cannot; the message says what to do.
        """
        settings = _settings_of(bundle)
        self._intake = Intake.load() if intake and settings is not None else None
        self._preparation = None if settings is None else Preparation(settings)
        self._size_px = bundle.card.size_px

    def __call__(self, radiograph: Radiograph) -> ModelImage:
        """Prepare one radiograph.

        Returns:
            The image, and how it came about.

        Raises:
            UnsuitableError: It is not one hand, or it cannot be prepared.
        """
        height, width = radiograph.pixels.shape
        if self._preparation is None:
            image = _as_it_is(radiograph, self._size_px)
            unmoved = TurnGeometry(height, width), PreparedGeometry(0, 0, 1)
            return ModelImage(image, (), Placement(height, width, *unmoved, self._size_px))
        upright, turned, short_side_px, warnings = self._take_in(radiograph, self._preparation)
        prepared = self._preparation(upright, short_side_px=short_side_px)
        placement = Placement(height, width, turned, prepared.geometry, self._size_px)
        return ModelImage(prepared.image, (*warnings, *prepared.warnings), placement)

    def _take_in(self, radiograph: Radiograph, preparation: Preparation) -> "_TakenIn":
        """The radiograph with the fingers up, and what was done to it."""
        if self._intake is None or min(radiograph.pixels.shape) < MIN_SIDE_PX:
            return _TakenIn(radiograph, TurnGeometry(radiograph.height_px, radiograph.width_px))
        # Reduced first: a warp of the full picture costs more than all else.
        small = dataclasses.replace(radiograph, pixels=preparation.reduce(radiograph.pixels))
        found = self._intake(small)
        if found.reason:
            raise UnsuitableError(f"{radiograph.source}: {found.reason}")
        quarters = found.quarter_turns
        if abs(found.tilt_deg) <= TILT_DEG:
            turned = TurnGeometry(small.height_px, small.width_px, quarters)
            if not quarters:
                return _TakenIn(small, turned)
            return _TakenIn(turn(small, quarters), turned, None, _turned_by(90 * quarters))
        # A tilt interpolates, so it is taken out while the picture is still fine. The picture grows
        # with it, and the hand must not shrink for that.
        fine = dataclasses.replace(
            radiograph, pixels=preparation.reduce_for_turning(radiograph.pixels)
        )
        upright = turn(fine, quarters, found.tilt_deg)
        share = min(small.pixels.shape) / min(fine.pixels.shape)
        return _TakenIn(
            upright,
            TurnGeometry(fine.height_px, fine.width_px, quarters, found.tilt_deg),
            round(share * min(upright.pixels.shape)),
            _turned_by(90 * quarters - found.tilt_deg),
        )


class _TakenIn(NamedTuple):
    """A radiograph that has passed the intake."""

    upright: Radiograph
    turned: TurnGeometry
    short_side_px: int | None = None
    warnings: tuple[str, ...] = ()


def _turned_by(degrees: float) -> tuple[str, ...]:
    """The warning; counter-clockwise is positive, and a hand that leans that way is turned back."""
    whole = (round(degrees) + 180) % 360 - 180 or -180
    side = "counter-clockwise" if whole > 0 else "clockwise"
    return (f"turned by {abs(whole)} degrees {side}",)


def _settings_of(bundle: Bundle) -> PreparationSettings | None:
    """The preparation that the model was trained with, if this release can still do it."""
    card = bundle.card
    if card.preparation is None:
        return None
    where = f"{bundle.path}: {CARD_FILE}"
    if card.preparation_version != PREPARATION_VERSION:
        raise BundleError(
            f"{where}: the model was trained on images prepared by version "
            f"{card.preparation_version} of the preparation, and this release has version "
            f"{PREPARATION_VERSION}, so its bone ages would be wrong. Use boneage "
            f"{card.boneage_version}, or train the model again."
        )
    try:
        settings = PreparationSettings.from_dict(dict(card.preparation))
    except BoneAgeError as error:
        raise BundleError(f"{where}: preparation.settings cannot be used: {error}") from error
    if missing := set(settings.to_dict()) - set(card.preparation) - ADDED_LATER:
        raise BundleError(
            f"{where}: preparation.settings lacks {', '.join(sorted(missing))}, and what a "
            "release takes for it may not be what the model was trained on. Get the model again."
        )
    if settings.size_px != card.size_px:
        raise BundleError(
            f"{where} contradicts itself: images are prepared to {settings.size_px} px, but the "
            f"network takes {card.size_px} px."
        )
    return settings


def _as_it_is(radiograph: Radiograph, size_px: int) -> NDArray[np.float32]:
    """Pixels scaled by their type alone, for a model that was trained with preparation off."""
    if radiograph.pixels.shape != (size_px, size_px):
        raise UnsuitableError(
            f"{radiograph.source}: this model was trained with preparation off and takes images "
            f"of {size_px} x {size_px} px, not {radiograph.width_px} x {radiograph.height_px}."
        )
    if radiograph.pixels.dtype == np.float32:
        pixels = radiograph.pixels
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise UnsuitableError(
                f"{radiograph.source}: this model was trained with preparation off and takes "
                "values within 0 to 1."
            )
        return pixels
    scale = np.float32(np.iinfo(radiograph.pixels.dtype).max)
    return (radiograph.pixels / scale).astype(np.float32)

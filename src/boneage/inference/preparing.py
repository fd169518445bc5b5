"""Preparing radiographs the way that a model was trained on, once they have passed the intake."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from boneage.errors import BoneAgeError, BundleError, UnsuitableError
from boneage.inference.bundle import CARD_FILE, Bundle
from boneage.inference.intake import Intake
from boneage.radiographs.preparation import (
    MIN_SIDE_PX,
    PREPARATION_VERSION,
    Preparation,
    PreparationSettings,
)
from boneage.radiographs.radiograph import Radiograph
from boneage.radiographs.turning import turn

__all__ = ["TILT_DEG", "ModelPreparation"]

TILT_DEG = 30.0
"""Hands that lean further than this, in degrees, are put upright; networks cope with less.

Turning by a tilt interpolates, which costs a radiograph of 100 px more than a small tilt does: on
150 of them, tilted by 15 degrees, it made no difference; from 30 degrees on it helped by a month.
"""


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

    def __call__(self, radiograph: Radiograph) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Prepare one radiograph.

        Returns:
            The image, shape (S, S), float32 in 0..1, and what a reader should know.

        Raises:
            UnsuitableError: It is not one hand, or it cannot be prepared.
        """
        if self._preparation is None:
            return _as_it_is(radiograph, self._size_px), ()
        upright, warnings = self._take_in(radiograph, self._preparation)
        prepared = self._preparation(upright)
        return prepared.image, (*warnings, *prepared.warnings)

    def _take_in(
        self, radiograph: Radiograph, preparation: Preparation
    ) -> tuple[Radiograph, tuple[str, ...]]:
        """The radiograph with the fingers up, and what was done to it."""
        if self._intake is None or min(radiograph.pixels.shape) < MIN_SIDE_PX:
            return radiograph, ()
        # Reduced first: a warp of the full picture costs more than all else.
        small = dataclasses.replace(radiograph, pixels=preparation.reduce(radiograph.pixels))
        found = self._intake(small)
        if found.reason:
            raise UnsuitableError(f"{radiograph.source}: {found.reason}")
        tilt_deg = found.tilt_deg if abs(found.tilt_deg) > TILT_DEG else 0.0
        if not found.quarter_turns and not tilt_deg:
            return small, ()
        # Counter-clockwise is positive; a hand that leans that way is turned back.
        degrees = round(90 * found.quarter_turns - tilt_deg)
        degrees = (degrees + 180) % 360 - 180 or -180
        side = "counter-clockwise" if degrees > 0 else "clockwise"
        return turn(small, found.quarter_turns, tilt_deg), (
            f"turned by {abs(degrees)} degrees {side}",
        )


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
    if missing := set(settings.to_dict()) - set(card.preparation):
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

"""How children, poses and exposures vary: the dice behind a phantom."""

import numpy as np

from boneage.radiographs.phantom.anatomy import OLDEST_MONTHS
from boneage.radiographs.phantom.parameters import (
    PhantomChild,
    PhantomFilm,
    PhantomMarker,
    PhantomParameters,
    PhantomPose,
    check_range,
)
from boneage.radiographs.radiograph import Sex

__all__ = ["draw_parameters"]

_INITIALS = "ABCDEFGHJKLMNPRSTVW"


def _normal(rng: np.random.Generator, mean: float, sd: float, limit: float = 2.5) -> float:
    """A normal number cut off at ``limit`` standard deviations."""
    return mean + sd * float(np.clip(rng.standard_normal(), -limit, limit))


def draw_parameters(
    bone_age_months: float, sex: Sex, rng: np.random.Generator
) -> PhantomParameters:
    """Draw a child, a pose and an exposure.

    Args:
        bone_age_months: Bone age, 0 to 228 months.
        sex: Sex of the child.
        rng: Where the numbers come from.

    Returns:
        The parameters.

    Raises:
        SettingsError: The age is out of its range.
    """
    check_range("bone_age_months", bone_age_months, 0, OLDEST_MONTHS)
    return PhantomParameters(
        _draw_child(bone_age_months, sex, rng),
        _draw_pose(bone_age_months, rng),
        _draw_film(rng),
    )


def _draw_child(months: float, sex: Sex, rng: np.random.Generator) -> PhantomChild:
    # Readers of the atlas disagree by some months over one hand, less over an infant's.
    sd_months = min(4.0, 0.3 + months / 30)
    return PhantomChild(
        bone_age_months=months,
        sex=sex,
        finger_advance_months=_normal(rng, 0, sd_months),
        carpal_advance_months=_normal(rng, 0, 1.4 * sd_months),
        size=_normal(rng, 1, 0.05),
        stoutness=_normal(rng, 1, 0.05),
        padding=_normal(rng, 1, 0.07),
        mineral=_normal(rng, 1, 0.08),
        texture_seed=int(rng.integers(2**31)),
    )


def _draw_pose(months: float, rng: np.random.Generator) -> PhantomPose:
    infancy = max(0.0, 1 - months / 60)
    turned = rng.random() < 0.12  # some lie across the plate
    return PhantomPose(
        rotation_degrees=_normal(rng, 0, 16 if turned else 4.5),
        spread=float(rng.uniform(0.2, 2.4)),
        thumb_degrees=float(rng.uniform(-12, 12)),
        wrist_degrees=_normal(rng, 0, 5),
        finger_degrees=tuple(_normal(rng, 0, 1.6) for _ in range(5)),
        forearm_mm=float(rng.uniform(25, 60)),
        fill=float(rng.uniform(0.82 - 0.22 * infancy, 0.97 - 0.10 * infancy)),
        shift_x=float(rng.uniform(-0.8, 0.8)),
        shift_y=float(rng.uniform(-0.3 + 0.7 * infancy, 1)),
        aspect=float(rng.uniform(0.70, 0.92)),
        mirrored=bool(rng.random() < 0.06),
    )


def _draw_film(rng: np.random.Generator) -> PhantomFilm:
    washed_out = rng.random() < 0.12
    collimated = bool(rng.random() < 0.35)
    left, top, right, bottom = (float(v) for v in rng.uniform(0.01, 0.10, 4))
    return PhantomFilm(
        gain=float(rng.uniform(0.75, 1.35)),
        gamma=float(rng.uniform(0.8, 1.25)),
        background=float(rng.uniform(0.2, 0.4) if washed_out else rng.uniform(0, 0.07)),
        contrast=float(rng.uniform(0.45, 0.7) if washed_out else rng.uniform(0.8, 1)),
        tilt_x=_normal(rng, 0, 0.015),
        tilt_y=_normal(rng, 0, 0.015),
        noise=float(rng.uniform(0.004, 0.016)),
        blur=float(rng.uniform(0.0004, 0.0016)),
        collimated=collimated,
        margins=(left, top, right, bottom),
        outside=float(rng.uniform(0, 0.06) if rng.random() < 0.7 else rng.uniform(0.15, 0.35)),
        scatter=float(rng.uniform(0, 0.12)),
        edge=float(max(0.0, rng.uniform(-0.15, 0.25))),
        collimator_degrees=_normal(rng, 0, 3),
        marker=_draw_marker(rng) if rng.random() < 0.85 else None,
        noise_seed=int(rng.integers(2**31)),
    )


def _draw_marker(rng: np.random.Generator) -> PhantomMarker:
    # Markers lie in the corners, where the hand is not.
    left, high = rng.random() < 0.7, rng.random() < 0.5
    across, down = rng.uniform(0.06, 0.17), rng.uniform(0.06, 0.2)
    initials = "".join(rng.choice(list(_INITIALS), size=int(rng.integers(2, 4))))
    return PhantomMarker(
        x=float(across if left else 1 - across),
        y=float(down if high else 0.97 - 1.5 * down),
        degrees=_normal(rng, 0, 14),
        height=float(rng.uniform(0.035, 0.065)),
        initials=initials if rng.random() < 0.5 else "",
        plate=bool(rng.random() < 0.5),
    )

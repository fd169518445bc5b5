"""What a bone looks like at a bone age: the step from the tables to shapes."""

from dataclasses import dataclass

import numpy as np

from boneage.radiographs.phantom.anatomy import (
    CARPALS,
    DIGITS,
    FOREARM,
    GROWTH,
    INFANCY,
    MATURE_CARPALS,
    Carpal,
    LongBone,
    Timing,
)
from boneage.radiographs.radiograph import Sex

__all__ = [
    "Epiphysis",
    "carpal_size",
    "epiphysis",
    "hand_growth",
    "infancy",
    "open_growth_plates",
    "visible_carpals",
    "visible_epiphyses",
]

#: Share of its mature size at which a centre is first seen.
_DOT = 0.14


@dataclass(frozen=True)
class Epiphysis:
    """An epiphysis at a bone age.

    Attributes:
        width: Its width as a share of the metaphysis' (0: not ossified yet; over 1: capping).
        height: Its height as a share of the room between growth plate and joint (0 to 1).
        cap: How far its rim hangs over the metaphysis (0 to 1).
        fusion: How much of the growth plate is bone (0: open, 1: gone).
        scar: How well the line of the former growth plate shows (0 to 1).
    """

    width: float
    height: float
    cap: float
    fusion: float
    scar: float


def hand_growth(months: float, sex: Sex) -> float:
    """Length of the hand as a share of the adult length of the same sex (0.3 to 1)."""
    ages = [row[0] for row in GROWTH]
    shares = [row[1 if sex is Sex.FEMALE else 2] for row in GROWTH]
    return float(np.interp(months, ages, shares))


def infancy(months: float, sex: Sex) -> float:
    """How much of the hand is still cartilage and fat: 1 in newborns, 0 from puberty."""
    ages = [0.0, *(age.of(sex) for age in INFANCY)]
    return float(np.interp(months, ages, [1.0, 0.7, 0.0]))


def epiphysis(timing: Timing, months: float, sex: Sex) -> Epiphysis:
    """The state of an epiphysis.

    Args:
        timing: Its ages.
        months: Bone age.
        sex: Sex of the child.

    Returns:
        The state; ``width`` is 0 before the centre appears.
    """
    appears, matches, caps, fuses, fused = (
        ages.of(sex)
        for ages in (timing.appears, timing.matches, timing.caps, timing.fuses, timing.fused)
    )
    if months < appears:
        return Epiphysis(0.0, 0.0, 0.0, 0.0, 0.0)
    # Centres widen fast at first: half the width is reached in a quarter of the time.
    early = max(0.0, min(1.0, (months - appears) / (matches - appears))) ** 0.5
    late = float(np.interp(months, [matches, caps], [0.0, 1.0]))
    fusion = float(np.interp(months, [fuses, fused], [0.0, 1.0]))
    scar = float(np.interp(months, [fuses, fused, fused + 36], [0.0, 1.0, 0.25]))
    return Epiphysis(
        width=_DOT + (0.97 - _DOT) * early + 0.09 * late,
        height=0.32 + 0.40 * early + 0.28 * late,
        cap=late,
        fusion=fusion,
        scar=scar,
    )


def carpal_size(carpal: Carpal, months: float, sex: Sex) -> float:
    """Size of a carpal as a share of its mature size (0 before its centre appears, then to 1)."""
    appears = carpal.appears.of(sex)
    if months < appears:
        return 0.0
    progress = min(1.0, (months - appears) / (MATURE_CARPALS.of(sex) - appears))
    return float(_DOT + (1 - _DOT) * progress**0.55)


def _long_bones() -> tuple[LongBone, ...]:
    return tuple(bone for digit in DIGITS for bone in digit.bones) + FOREARM


def visible_carpals(months: float, sex: Sex) -> tuple[str, ...]:
    """Names of the carpals whose centres can be seen; the sesamoid is not one of them."""
    return tuple(c.name for c in CARPALS if carpal_size(c, months, sex) > 0)


def visible_epiphyses(months: float, sex: Sex) -> int:
    """How many of the 21 epiphyses have ossified, those that have fused included."""
    return sum(epiphysis(b.timing, months, sex).width > 0 for b in _long_bones())


def open_growth_plates(months: float, sex: Sex) -> int:
    """How many of the 21 growth plates are not fully bridged, unossified epiphyses included."""
    return sum(epiphysis(b.timing, months, sex).fusion < 1 for b in _long_bones())

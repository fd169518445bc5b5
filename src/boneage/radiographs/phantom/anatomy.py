"""When the bones of the hand ossify and fuse, and how long they are: the phantom's tables.

Ages of appearance follow the medians of Garn SM, Rohmann CG, Silverman FN, "Radiographic
standards for postnatal ossification and tooth calcification", Med Radiogr Photogr 1967;43:45-66.
Ages at which an epiphysis becomes as wide as its metaphysis, caps it and fuses follow the
description of the plates in Greulich WW, Pyle SI, *Radiographic Atlas of Skeletal Development of
the Hand and Wrist*, 2nd ed., Stanford 1959, and in Gilsanz V, Ratib O, *Hand Bone Age: A Digital
Atlas of Skeletal Maturity*, Springer 2005.

All numbers are rounded and approximate. They give the right order of events and about the right
pace for each sex, which is enough to teach, to demonstrate and to test. They are no reference
standard: nothing about a child may be read from them.

Lengths are those of an adult man's hand; :mod:`~boneage.radiographs.phantom.maturity` scales them.
The hand lies as in a postero-anterior view of the left hand: x grows towards the thumb, y towards
the fingertips, and the origin is the middle of the wrist joint.
"""

from dataclasses import dataclass
from enum import StrEnum

from boneage.radiographs.radiograph import Sex

__all__ = [
    "CARPALS",
    "DIGITS",
    "FOREARM",
    "GROWTH",
    "INFANCY",
    "MATURE_CARPALS",
    "OLDEST_MONTHS",
    "SESAMOID",
    "Ages",
    "Carpal",
    "Digit",
    "Kind",
    "LongBone",
    "Timing",
]

#: The oldest plate of the atlas (male, 19 years), in months.
OLDEST_MONTHS = 228


@dataclass(frozen=True)
class Ages:
    """The bone age of one event in months, for each sex.

    Attributes:
        female: In girls.
        male: In boys.
    """

    female: float
    male: float

    def of(self, sex: Sex) -> float:
        """The age for one sex."""
        return self.female if sex is Sex.FEMALE else self.male


@dataclass(frozen=True)
class Timing:
    """The life of an epiphysis.

    Attributes:
        appears: Its ossification centre is first seen.
        matches: It is as wide as the metaphysis.
        caps: It overlaps the metaphysis like a cap.
        fuses: Bone begins to bridge the growth plate.
        fused: The growth plate is gone.
    """

    appears: Ages
    matches: Ages
    caps: Ages
    fuses: Ages
    fused: Ages


class Kind(StrEnum):
    """Which outline a long bone has."""

    METACARPAL = "metacarpal"
    PROXIMAL = "proximal phalanx"
    MIDDLE = "middle phalanx"
    DISTAL = "distal phalanx"
    RADIUS = "radius"
    ULNA = "ulna"


@dataclass(frozen=True)
class LongBone:
    """A bone with one growth plate.

    Attributes:
        kind: Its outline.
        length_mm: Length with the epiphysis, in an adult man.
        width_mm: Width at its widest.
        timing: The life of its epiphysis.
        plate_distal: The epiphysis is at the far end (metacarpals 2 to 5, radius, ulna), not at
            the near one (phalanges, first metacarpal).
    """

    kind: Kind
    length_mm: float
    width_mm: float
    timing: Timing
    plate_distal: bool = False


@dataclass(frozen=True)
class Digit:
    """A ray: the metacarpal and its phalanges.

    Attributes:
        base_mm: Where the metacarpal begins (x, y).
        metacarpal_degrees: Direction of the metacarpal, from y towards the thumb.
        finger_degrees: How much further the phalanges turn that way at an ordinary spread.
        bones: From the metacarpal to the tip.
    """

    base_mm: tuple[float, float]
    metacarpal_degrees: float
    finger_degrees: float
    bones: tuple[LongBone, ...]


@dataclass(frozen=True)
class Carpal:
    """A bone of the wrist, or another that ossifies from one centre.

    Attributes:
        name: Its anatomical name.
        centre_mm: Centre (x, y).
        half_mm: Half axes along and across ``axis_degrees`` when mature.
        axis_degrees: Direction of the first half axis, from y towards the thumb.
        corners: Amplitudes of the 2nd, 3rd and 4th harmonic that shape the mature outline.
        phases_degrees: Their phases.
        appears: Bone age at which its centre is first seen.
    """

    name: str
    centre_mm: tuple[float, float]
    half_mm: tuple[float, float]
    axis_degrees: float
    corners: tuple[float, float, float]
    phases_degrees: tuple[float, float, float]
    appears: Ages


def _timing(kind: Kind, female: float, male: float) -> Timing:
    """Timing from the age of appearance; the rest is common to the bones of a kind.

    Distal phalanges fuse first, the radius last, and girls about two years before boys.
    """
    matches, caps, fuses, fused = {
        Kind.DISTAL: (Ages(84, 108), Ages(132, 156), Ages(150, 174), Ages(164, 188)),
        Kind.PROXIMAL: (Ages(88, 114), Ages(136, 160), Ages(158, 182), Ages(174, 198)),
        Kind.MIDDLE: (Ages(92, 118), Ages(138, 162), Ages(160, 184), Ages(176, 200)),
        Kind.METACARPAL: (Ages(96, 122), Ages(142, 166), Ages(162, 186), Ages(180, 204)),
        Kind.ULNA: (Ages(118, 142), Ages(150, 172), Ages(174, 198), Ages(194, 217)),
        Kind.RADIUS: (Ages(90, 112), Ages(140, 164), Ages(180, 204), Ages(204, 226)),
    }[kind]
    return Timing(Ages(female, male), matches, caps, fuses, fused)


def _digit(
    base_mm: tuple[float, float],
    degrees: tuple[float, float],
    kinds: tuple[Kind, ...],
    lengths_mm: tuple[float, ...],
    widths_mm: tuple[float, ...],
    appears: tuple[tuple[float, float], ...],
) -> Digit:
    thumb = Kind.MIDDLE not in kinds
    bones = tuple(
        LongBone(kind, length, width, _timing(kind, *ages), kind is Kind.METACARPAL and not thumb)
        for kind, length, width, ages in zip(kinds, lengths_mm, widths_mm, appears, strict=True)
    )
    return Digit(base_mm, *degrees, bones)


_FINGER = (Kind.METACARPAL, Kind.PROXIMAL, Kind.MIDDLE, Kind.DISTAL)
_THUMB = (Kind.METACARPAL, Kind.PROXIMAL, Kind.DISTAL)

#: Thumb to little finger. Ages: (female, male) of each epiphysis, metacarpal to tip.
DIGITS: tuple[Digit, ...] = (
    _digit((22.5, 28.0), (41.0, -6.0), _THUMB, (46.0, 33.0, 23.5), (15.5, 14.5, 14.0),
           ((19, 31), (20, 36), (12, 19))),
    _digit((10.5, 35.5), (9.0, 4.0), _FINGER, (69.0, 41.5, 24.5, 18.5), (16.5, 16.0, 14.0, 11.5),
           ((13, 19), (11, 17), (16, 26), (22, 38))),
    _digit((0.5, 34.0), (0.0, 0.5), _FINGER, (66.5, 46.0, 29.5, 19.5), (16.0, 16.5, 15.0, 12.0),
           ((14, 21), (10, 16), (15, 24), (18, 29))),
    _digit((-8.5, 31.5), (-8.5, -3.0), _FINGER, (59.5, 43.0, 28.0, 19.5), (14.0, 15.5, 14.0, 11.5),
           ((15, 24), (11, 18), (15, 25), (18, 29))),
    _digit((-17.0, 27.0), (-17.0, -7.0), _FINGER, (54.5, 34.0, 19.5, 17.5), (15, 14, 12, 10),
           ((16, 26), (14, 22), (22, 41), (24, 39))),
)  # fmt: skip

#: Radius and ulna, from somewhere in the forearm to the wrist.
FOREARM: tuple[LongBone, LongBone] = (
    LongBone(Kind.RADIUS, 150.0, 28.0, _timing(Kind.RADIUS, 10, 13), plate_distal=True),
    LongBone(Kind.ULNA, 146.0, 15.0, _timing(Kind.ULNA, 64, 85), plate_distal=True),
)

#: The bones of the wrist.
CARPALS: tuple[Carpal, ...] = (
    Carpal("capitate", (0.5, 21.5), (12.4, 8.2), 3, (0.04, 0.05, 0.05), (90, 60, 45), Ages(2, 3)),
    Carpal("hamate", (-10.5, 20.5), (10.8, 8.4), -18, (0.02, 0.11, 0.03), (0, 0, 0), Ages(3, 4)),
    Carpal("triquetrum", (-16.0, 10.0), (7.9, 6.8), 50, (0.02, 0.07, 0.03), (0, 60, 0),
           Ages(21, 29)),
    Carpal("lunate", (-4.5, 7.2), (8.8, 7.1), 80, (0.03, 0.08, 0.03), (0, 90, 0), Ages(31, 49)),
    Carpal("trapezium", (18.8, 21.0), (8.8, 7.2), 60, (0.03, 0.05, 0.06), (0, 40, 45),
           Ages(49, 68)),
    Carpal("scaphoid", (9.8, 10.0), (12.2, 7.2), 48, (0.06, 0.05, 0.02), (40, 20, 0),
           Ages(50, 70)),
    Carpal("trapezoid", (10.2, 26.0), (7.4, 6.6), 20, (0.02, 0.06, 0.05), (0, 20, 45),
           Ages(53, 74)),
    Carpal("pisiform", (-17.0, 12.0), (5.4, 4.6), 20, (0.02, 0.02, 0.0), (0, 0, 0),
           Ages(112, 134)),
)  # fmt: skip

#: The adductor sesamoid, beside the head of the first metacarpal: a sign of puberty. Its centre
#: is given in the frame of that bone: across towards the index finger, and along from its base.
SESAMOID = Carpal(
    "adductor sesamoid", (-7.2, 41.5), (3.0, 2.5), 0, (0.0, 0.0, 0.0), (0, 0, 0), Ages(129, 153)
)

#: Bone age at which the carpals have their mature shape.
MATURE_CARPALS = Ages(162, 186)

#: Bone ages at which an infant's proportions are seven tenths there, and gone: the stout fingers,
#: the wide room between the shafts. Girls lose them earlier, as they do everything.
INFANCY: tuple[Ages, Ages] = (Ages(19, 24), Ages(118, 144))

#: Hand length as a share of the adult length of the same sex: (months, female, male).
GROWTH: tuple[tuple[float, float, float], ...] = (
    (0, 0.34, 0.32),
    (6, 0.41, 0.39),
    (12, 0.46, 0.43),
    (24, 0.54, 0.50),
    (48, 0.64, 0.60),
    (72, 0.72, 0.67),
    (96, 0.79, 0.74),
    (120, 0.86, 0.80),
    (144, 0.94, 0.86),
    (168, 0.985, 0.94),
    (192, 1.0, 0.985),
    (216, 1.0, 1.0),
    (228, 1.0, 1.0),
)

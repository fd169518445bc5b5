"""Everything that is random about a phantom, drawn before anything is painted.

:func:`~boneage.radiographs.phantom.draws.draw_parameters` draws, and
:func:`~boneage.radiographs.phantom.rendering.render` paints what was drawn and rolls no dice of
its own. The same parameters give the same radiograph, so a draw can be
kept, looked at, changed with :func:`dataclasses.replace` and painted again.
"""

from dataclasses import dataclass

from boneage.errors import SettingsError
from boneage.radiographs.phantom.anatomy import OLDEST_MONTHS
from boneage.radiographs.radiograph import Sex

__all__ = [
    "PhantomChild",
    "PhantomFilm",
    "PhantomMarker",
    "PhantomParameters",
    "PhantomPose",
    "check_range",
]


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise ``SettingsError`` unless ``value`` is within ``low`` to ``high``."""
    if not low <= value <= high:
        raise SettingsError(f"{name} must be within {low:g} to {high:g}, not {value}.")


@dataclass(frozen=True)
class PhantomChild:
    """Whose hand it is.

    Attributes:
        bone_age_months: Bone age, 0 to 228 months: the label.
        sex: Sex, which sets the pace of every bone.
        finger_advance_months: How far the fingers and forearm are ahead of the label (-30 to 30).
        carpal_advance_months: How far the carpals are ahead of the label (-30 to 30). Two bones
            of one hand rarely agree exactly.
        size: Hand length over that of the average child (0.7 to 1.4).
        stoutness: Bone width over that of the average child (0.7 to 1.4).
        padding: Soft tissue over that of the average child (0.6 to 1.6).
        mineral: Bone density over that of the average child (0.5 to 1.5).
        texture_seed: Which trabecular texture.
    """

    bone_age_months: float
    sex: Sex
    finger_advance_months: float = 0.0
    carpal_advance_months: float = 0.0
    size: float = 1.0
    stoutness: float = 1.0
    padding: float = 1.0
    mineral: float = 1.0
    texture_seed: int = 0

    def __post_init__(self) -> None:
        check_range("bone_age_months", self.bone_age_months, 0, OLDEST_MONTHS)
        check_range("finger_advance_months", self.finger_advance_months, -30, 30)
        check_range("carpal_advance_months", self.carpal_advance_months, -30, 30)
        check_range("size", self.size, 0.7, 1.4)
        check_range("stoutness", self.stoutness, 0.7, 1.4)
        check_range("padding", self.padding, 0.6, 1.6)
        check_range("mineral", self.mineral, 0.5, 1.5)
        if not isinstance(self.sex, Sex):
            raise SettingsError(f"sex must be Sex.FEMALE or Sex.MALE, not {self.sex!r}.")

    @property
    def finger_months(self) -> float:
        """Bone age of the fingers and the forearm, 0 to 228 months."""
        return self._months(self.finger_advance_months)

    @property
    def carpal_months(self) -> float:
        """Bone age of the carpals, 0 to 228 months."""
        return self._months(self.carpal_advance_months)

    def _months(self, advance: float) -> float:
        # Everyone ends mature: the differences between bones go out over the last two years.
        room = min(1.0, (OLDEST_MONTHS - self.bone_age_months) / 24)
        return min(max(self.bone_age_months + advance * room, 0.0), float(OLDEST_MONTHS))


@dataclass(frozen=True)
class PhantomPose:
    """How the hand lies on the detector.

    Attributes:
        rotation_degrees: Turn of the whole hand, clockwise (-180 to 180).
        spread: How far the fingers are fanned; 1 is ordinary (-0.5 to 4).
        thumb_degrees: How far the thumb is abducted beyond its ordinary angle (-40 to 40).
        wrist_degrees: Turn of the forearm against the hand (-40 to 40).
        finger_degrees: A turn of each digit's phalanges, thumb to little finger (-25 to 25).
        forearm_mm: How much of the forearm is meant to be in view, in adult size (10 to 120).
        fill: Share of the picture that the hand fills, in the tighter direction (0.3 to 1.1).
        shift_x: Place in the free room across, -1 (left) to 1 (right).
        shift_y: Place in the free room down, -1 (top) to 1 (bottom).
        aspect: Width over height of the picture (0.5 to 1.5).
        mirrored: A right hand.
    """

    rotation_degrees: float = 0.0
    spread: float = 1.0
    thumb_degrees: float = 0.0
    wrist_degrees: float = 0.0
    finger_degrees: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    forearm_mm: float = 45.0
    fill: float = 0.9
    shift_x: float = 0.0
    shift_y: float = 0.0
    aspect: float = 0.78
    mirrored: bool = False

    def __post_init__(self) -> None:
        check_range("rotation_degrees", self.rotation_degrees, -180, 180)
        check_range("spread", self.spread, -0.5, 4)
        check_range("thumb_degrees", self.thumb_degrees, -40, 40)
        check_range("wrist_degrees", self.wrist_degrees, -40, 40)
        if len(self.finger_degrees) != 5:
            raise SettingsError(
                f"finger_degrees must have 5 values, not {len(self.finger_degrees)}."
            )
        for value in self.finger_degrees:
            check_range("finger_degrees", value, -25, 25)
        check_range("forearm_mm", self.forearm_mm, 10, 120)
        check_range("fill", self.fill, 0.3, 1.1)
        check_range("shift_x", self.shift_x, -1, 1)
        check_range("shift_y", self.shift_y, -1, 1)
        check_range("aspect", self.aspect, 0.5, 1.5)


@dataclass(frozen=True)
class PhantomMarker:
    """The lead letter that tells the side; which letter follows from the pose.

    Attributes:
        x: Its centre across, as a share of the width (0 to 1).
        y: Its centre down, as a share of the height (0 to 1).
        degrees: Its turn (-180 to 180).
        height: Height of the letter as a share of the picture's (0.02 to 0.2).
        initials: The radiographer's initials below it; may be empty.
        plate: Whether its plastic holder shows.
    """

    x: float
    y: float
    degrees: float = 0.0
    height: float = 0.06
    initials: str = ""
    plate: bool = False

    def __post_init__(self) -> None:
        check_range("x", self.x, 0, 1)
        check_range("y", self.y, 0, 1)
        check_range("degrees", self.degrees, -180, 180)
        check_range("height", self.height, 0.02, 0.2)


@dataclass(frozen=True)
class PhantomFilm:
    """How the picture was exposed and what else is on it.

    Attributes:
        gain: Exposure: more is brighter (0.3 to 3).
        gamma: Exponent of the tone curve (0.4 to 2.5).
        background: Brightness of air (0 to 0.6).
        contrast: Share of the grey scale that is used (0.2 to 1).
        tilt_x: Brightness that rises from left to right (-0.3 to 0.3).
        tilt_y: Brightness that rises from top to bottom (-0.3 to 0.3).
        noise: Standard deviation of the quantum noise at full brightness (0 to 0.1).
        blur: Standard deviation of the blur as a share of the height (0 to 0.02).
        collimated: Whether a collimator's edges show.
        margins: Room between hand and collimator as a share of the picture's height: left, top,
            right, bottom (0 to 0.5).
        outside: Brightness outside the collimator (0 to 0.6).
        scatter: Brightness that is added to air inside the collimator (0 to 0.5).
        edge: Brightness of the collimator's edge above the inside (0 to 0.6).
        collimator_degrees: Turn of the collimator against the hand (-30 to 30).
        marker: The side marker, or None.
        noise_seed: Which noise.
    """

    gain: float = 1.0
    gamma: float = 1.0
    background: float = 0.02
    contrast: float = 1.0
    tilt_x: float = 0.0
    tilt_y: float = 0.0
    noise: float = 0.01
    blur: float = 0.001
    collimated: bool = False
    margins: tuple[float, float, float, float] = (0.05, 0.05, 0.05, 0.05)
    outside: float = 0.0
    scatter: float = 0.0
    edge: float = 0.0
    collimator_degrees: float = 0.0
    marker: PhantomMarker | None = None
    noise_seed: int = 0

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0.3, 3)
        check_range("gamma", self.gamma, 0.4, 2.5)
        check_range("background", self.background, 0, 0.6)
        check_range("contrast", self.contrast, 0.2, 1)
        check_range("tilt_x", self.tilt_x, -0.3, 0.3)
        check_range("tilt_y", self.tilt_y, -0.3, 0.3)
        check_range("noise", self.noise, 0, 0.1)
        check_range("blur", self.blur, 0, 0.02)
        if len(self.margins) != 4:
            raise SettingsError(f"margins must have 4 values, not {len(self.margins)}.")
        for value in self.margins:
            check_range("margins", value, 0, 0.5)
        check_range("outside", self.outside, 0, 0.6)
        check_range("scatter", self.scatter, 0, 0.5)
        check_range("edge", self.edge, 0, 0.6)
        check_range("collimator_degrees", self.collimator_degrees, -30, 30)


@dataclass(frozen=True)
class PhantomParameters:
    """One phantom, ready to be painted.

    Attributes:
        child: Whose hand it is.
        pose: How it lies.
        film: How it was exposed.
    """

    child: PhantomChild
    pose: PhantomPose = PhantomPose()
    film: PhantomFilm = PhantomFilm()

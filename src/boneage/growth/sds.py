"""Standard deviation score: how far the bone age is ahead of the chronological age, or behind.

The score is (bone age - chronological age) / SD, where SD is the standard deviation of skeletal age
among healthy children of that chronological age and sex (Greulich and Pyle 1959), interpolated
linearly between the ages of the table. Within 2 SD is commonly called normal.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from boneage.errors import SettingsError
from boneage.growth.references import Curve, require_age, table_rows
from boneage.radiographs.radiograph import Sex

__all__ = ["NORMAL_SD", "SD_LIMITS", "Norm", "SDScore", "sd_curve", "sd_score"]

NORMAL_SD = 2.0
"""Half of the normal range in standard deviations, as it is reported in practice."""

SD_LIMITS = (
    "The spread is that of healthy American children of the first half of the 20th century; for "
    "other populations and for children of today it is an approximation. The score takes the "
    "chronological age for the mean, as the atlas does."
)
"""What belongs beside a score."""


class Norm(StrEnum):
    """The sample of children whose spread counts as normal."""

    BRUSH = "brush"
    STANFORD = "stanford"

    @classmethod
    def parse(cls, value: object) -> "Norm":
        """Read a norm from its name in any case.

        Raises:
            SettingsError: There is no such norm.
        """
        word = str(value).strip().lower()
        if word not in list(cls):
            raise SettingsError(f"--norm must be brush or stanford, not {str(value)!r}.")
        return cls(word)

    @property
    def sample(self) -> str:
        """The sample and its tables, for people."""
        if self is Norm.BRUSH:
            return "Brush Foundation children (Greulich and Pyle 1959, tables III and IV)"
        return "Stanford children (Greulich and Pyle 1959, tables V and VI)"


@dataclass(frozen=True)
class SDScore:
    """A bone age on the scale of healthy children of the same age and sex.

    Attributes:
        score: Standard deviations that the bone age is ahead; behind is negative.
        lower_score: The score of the bone age's lower limit; None if it has no interval.
        upper_score: The score of its upper limit; None likewise.
        sd_months: The standard deviation at this chronological age, in months.
        normal_months: The bone ages within 2 SD of the chronological age, lowest and highest.
        norm: Whose spread it is.
    """

    score: float
    lower_score: float | None
    upper_score: float | None
    sd_months: float
    normal_months: tuple[float, float]
    norm: Norm

    @property
    def verdict(self) -> str:
        """``within``, ``ahead of`` or ``behind`` the normal range, by the estimate alone."""
        if abs(self.score) <= NORMAL_SD:
            return "within"
        return "ahead of" if self.score > 0 else "behind"

    @property
    def certain(self) -> bool:
        """Whether the whole interval lies on the estimate's side of the limits."""
        if self.lower_score is None or self.upper_score is None:
            return False
        if self.verdict == "within":
            return self.lower_score >= -NORMAL_SD and self.upper_score <= NORMAL_SD
        return self.lower_score > NORMAL_SD or self.upper_score < -NORMAL_SD


@cache
def sd_curve(sex: Sex, norm: Norm) -> Curve:
    """Standard deviation of skeletal age, in months, by chronological age."""
    points = tuple(
        (float(row["chronological_age_months"]), float(row["sd_months"]))
        for row in table_rows("skeletal_age_sd.csv")
        if (row["reference"], row["sex"]) == (norm, sex)
    )
    name = f"The {norm.capitalize()} table of skeletal ages ({sex})"
    return Curve(name, "chronological age", points)


def sd_score(
    bone_age_months: float,
    chronological_age_months: float,
    sex: Sex | str,
    *,
    norm: Norm | str = Norm.BRUSH,
    interval_months: tuple[float, float] | None = None,
) -> SDScore:
    """Score a bone age against the chronological age.

    Args:
        bone_age_months: Bone age after Greulich and Pyle, 0 to 300 months.
        chronological_age_months: Age when the radiograph was taken, in months. Brush reaches from
            3 to 204 (boys) or 192 months (girls), Stanford from 12 to 204 or 180.
        sex: Sex of the child.
        norm: ``brush`` or ``stanford``.
        interval_months: Lower and upper limit of the bone age, around it.

    Returns:
        The score with its normal range.

    Raises:
        OutsideTableError: The chronological age is outside the table.
        InputError: ``sex``, ``norm`` or an age is not possible.
    """
    sex, norm = Sex.parse(sex), Norm.parse(norm)
    require_age(bone_age_months, "bone_age_months")
    require_age(chronological_age_months, "chronological_age_months")
    lower, upper = interval_months or (None, None)
    if lower is not None and upper is not None and not lower <= bone_age_months <= upper:
        raise SettingsError("interval_months must hold the bone age between its limits.")
    sd_months = sd_curve(sex, norm).at(chronological_age_months)

    def score(months: float) -> float:
        return (months - chronological_age_months) / sd_months

    reach = NORMAL_SD * sd_months
    return SDScore(
        score=score(bone_age_months),
        lower_score=None if lower is None else score(lower),
        upper_score=None if upper is None else score(upper),
        sd_months=sd_months,
        normal_months=(chronological_age_months - reach, chronological_age_months + reach),
        norm=norm,
    )

r"""Adult height after Bayley and Pinneau (1952), from the height now and the bone age.

A table gives the percentage of the mature height that is reached at a bone age; there is one for
each sex and for children whose bone age is average, accelerated or retarded (a year or more ahead
of or behind the chronological age). The prediction is height / (percentage / 100).

The interval has two parts, which are joined as independent errors are, by the root of the sum of
their squares, above and below the prediction by itself:

- the method's own error at this chronological age, from the paper's tables IV and V: a normal
  error of :math:`\sqrt{mean^2 + SD^2}`, so that the mean error widens the interval;
- the lowest and highest prediction of all bone ages within the bone age's interval, each by the
  table that it would call for.

Nobody ends smaller than now, so the height now bounds the interval from below.
"""

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

from boneage.errors import OutsideTableError, SettingsError
from boneage.growth.references import Curve, require_age, table_rows
from boneage.radiographs.radiograph import Sex

__all__ = [
    "HEIGHT_LIMITS",
    "AdultHeight",
    "maturity_of",
    "percentage_curve",
    "predict_adult_height",
    "require_height",
]

MATURITY_MONTHS = 12.0
"""From this much ahead or behind on a child is accelerated or retarded (Bayley and Pinneau)."""

MIN_HEIGHT_CM, MAX_HEIGHT_CM = 40.0, 230.0
_CM_PER_INCH = 2.54

HEIGHT_LIMITS = (
    "Made from 192 children of Berkeley in the 1930s and 1940s; the parents' heights are not used. "
    "Against growth charts of today it comes out too high with an average bone age, more so with "
    "an advanced one, and too low with a delayed one (Tarım 2013). For healthy children only: "
    "disease and treatment change the course."
)
"""What belongs beside a prediction.

Tarım Ö. Height predictions by Bayley-Pinneau method may misguide pediatric endocrinologists. Turk J
Pediatr 2013;55(5):485-492. It compares with heights projected on growth charts, not with final
heights.
"""


@dataclass(frozen=True)
class AdultHeight:
    """A predicted adult height and what belongs to it.

    Attributes:
        height_cm: The prediction in cm.
        lower_cm: Lower limit in cm.
        upper_cm: Upper limit in cm.
        level: Share of children for whom the interval is meant to hold, as 0.9.
        percentage: Share of the mature height that is reached, in percent.
        maturity: ``average``, ``accelerated`` or ``retarded``: the table that was used.
        mean_error_cm: What the method was off on average at this age in the paper's own check,
            predicted minus actual, in cm. It is not subtracted.
        sd_error_cm: Standard deviation of that error in cm.
        with_bone_age_interval: Whether the bone age's interval went into this one.
    """

    height_cm: float
    lower_cm: float
    upper_cm: float
    level: float
    percentage: float
    maturity: str
    mean_error_cm: float
    sd_error_cm: float
    with_bone_age_interval: bool


def maturity_of(bone_age_months: float, chronological_age_months: float) -> str:
    """Which tables a child belongs to: ``average``, ``accelerated`` or ``retarded``."""
    ahead = bone_age_months - chronological_age_months
    if abs(ahead) < MATURITY_MONTHS:
        return "average"
    return "accelerated" if ahead > 0 else "retarded"


@cache
def percentage_curve(sex: Sex, maturity: str) -> Curve:
    """Percentage of the mature height by bone age in months."""
    points = tuple(
        (float(row["skeletal_age_months"]), float(row["percent_of_mature_height"]))
        for row in table_rows("bayley_pinneau.csv")
        if (row["sex"], row["maturity"]) == (sex, maturity)
    )
    return Curve(f"The Bayley-Pinneau table ({sex}, {maturity})", "bone age", points)


@cache
def _error_curve(sex: Sex, column: str) -> Curve:
    points = tuple(
        (float(row["age_months"]), float(row[column]) * _CM_PER_INCH)
        for row in table_rows("bayley_pinneau_errors.csv")
        if row["sex"] == sex
    )
    return Curve(f"The Bayley-Pinneau table of errors ({sex})", "chronological age", points)


def predict_adult_height(
    height_cm: float,
    bone_age_months: float,
    chronological_age_months: float,
    sex: Sex | str,
    *,
    interval_months: tuple[float, float] | None = None,
    level: float = 0.9,
) -> AdultHeight:
    """Predict the adult height.

    Args:
        height_cm: Height when the radiograph was taken, 40 to 230 cm.
        bone_age_months: Bone age after Greulich and Pyle.
        chronological_age_months: Age when the radiograph was taken, in months; the paper gives
            errors from 96 to 216.
        sex: Sex of the child.
        interval_months: Lower and upper limit of the bone age, at ``level``.
        level: Level of the interval, above 0 and below 1.

    Returns:
        The prediction with its interval.

    Raises:
        OutsideTableError: A table does not reach the bone age, the younger end of its interval, or
            the chronological age.
        InputError: ``sex``, the height, an age or the level is not possible.
    """
    sex = Sex.parse(sex)
    require_height(height_cm, "height_cm")
    require_age(bone_age_months, "bone_age_months")
    require_age(chronological_age_months, "chronological_age_months")
    if not 0 < level < 1:
        raise SettingsError(f"level must be above 0 and below 1, not {level:g}.")
    mean_error_cm = _error_curve(sex, "mean_error_inches").at(chronological_age_months)
    sd_error_cm = _error_curve(sex, "sd_error_inches").at(chronological_age_months)
    maturity = maturity_of(bone_age_months, chronological_age_months)
    percentage = percentage_curve(sex, maturity).at(bone_age_months)
    predicted_cm = height_cm / (percentage / 100)
    lowest, highest = percentage, percentage
    if interval_months is not None:
        if not interval_months[0] <= bone_age_months <= interval_months[1]:
            raise SettingsError("interval_months must hold the bone age between its limits.")
        reached = _percentages(sex, interval_months, chronological_age_months)
        lowest, highest = min([*reached, percentage]), max([*reached, percentage])
    error_cm = NormalDist().inv_cdf((1 + level) / 2) * math.hypot(mean_error_cm, sd_error_cm)
    below_cm = math.hypot(error_cm, predicted_cm - height_cm / (highest / 100))
    above_cm = math.hypot(error_cm, height_cm / (lowest / 100) - predicted_cm)
    return AdultHeight(
        height_cm=predicted_cm,
        lower_cm=max(predicted_cm - below_cm, height_cm),
        upper_cm=predicted_cm + above_cm,
        level=level,
        percentage=percentage,
        maturity=maturity,
        mean_error_cm=mean_error_cm,
        sd_error_cm=sd_error_cm,
        with_bone_age_interval=interval_months is not None,
    )


def require_height(height_cm: float, name: str) -> None:
    """Refuse what is no child's height.

    Raises:
        SettingsError: It is not within 40 to 230 cm; the message names it ``name``.
    """
    if not MIN_HEIGHT_CM <= height_cm <= MAX_HEIGHT_CM:
        raise SettingsError(
            f"{name} must be within {MIN_HEIGHT_CM:g} to {MAX_HEIGHT_CM:g} cm, not {height_cm:g}."
        )


def _percentages(
    sex: Sex, interval_months: tuple[float, float], chronological_age_months: float
) -> list[float]:
    """Percentages at every bone age of an interval where the lowest or the highest can lie.

    Within one table they rise with bone age, so the ends of each table's part of the interval
    suffice. A bone age older than its table counts as 100 %: the height now is the bound there.
    """
    lower, upper = interval_months
    late = chronological_age_months - MATURITY_MONTHS
    early = chronological_age_months + MATURITY_MONTHS
    parts = {
        "retarded": (lower, min(upper, late)),
        "average": (max(lower, late), min(upper, early)),
        "accelerated": (max(lower, early), upper),
    }
    found = []
    for maturity, (first, last) in parts.items():
        if first > last:
            continue
        curve = percentage_curve(sex, maturity)
        youngest, oldest = curve.range_months
        if first < youngest:
            raise OutsideTableError(
                f"{curve.name} begins at a bone age of {youngest:g} months, and the bone age's "
                f"interval reaches down to {lower:.1f}: there is no upper limit for the height."
            )
        found += [100.0 if end > oldest else curve.at(end) for end in (first, last)]
    return found

"""The bone age with its interval on a scale of years, over the normal range for the child's age.

One line that a reader takes in at a glance: grey is what healthy children of this age and sex
have, the bar is what the model allows for, the dot is its estimate. The drawing has no colours of
its own (a strict policy forbids styles in it); ``style.css`` gives them by class.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from boneage.growth.sds import NORMAL_SD
from boneage.reports.child import ChildVisit
from boneage.reports.pages import escape
from boneage.reports.words import interval_text, signed, years_and_months

__all__ = ["age_scale_svg"]

_WIDTH, _HEIGHT, _EDGE = 360, 96, 12
_HEIGHT_WITHOUT_AGE = 74
_BONE_LABEL, _WHISKER, _BAND, _AXIS, _TICKS, _AGE_LABEL = 12, 25, 36, 56, 69, 92
_MARGIN_MONTHS = 6.0
_LEAST_MONTHS = 48.0
_MOST_TICKS = 10
_LETTER = 5.6  # half of it on either side is what a centred letter of 11 units takes


@dataclass(frozen=True)
class _Axis:
    """From months to the drawing's units."""

    first_months: float
    last_months: float

    @classmethod
    def around(cls, months: list[float]) -> "_Axis":
        """Whole years that hold all of them with a margin, four years at least."""
        low, high = min(months) - _MARGIN_MONTHS, max(months) + _MARGIN_MONTHS
        more = max(0.0, _LEAST_MONTHS - (high - low)) / 2
        first = max(0, math.floor((low - more) / 12))
        return cls(12.0 * first, 12.0 * max(math.ceil((high + more) / 12), first + 4))

    def x(self, months: float) -> float:
        share = (months - self.first_months) / (self.last_months - self.first_months)
        return _EDGE + min(max(share, 0.0), 1.0) * (_WIDTH - 2 * _EDGE)

    def ticks(self) -> range:
        """Years that get a number."""
        first, last = round(self.first_months / 12), round(self.last_months / 12)
        return range(first, last + 1, math.ceil((last - first) / _MOST_TICKS))


def age_scale_svg(visit: ChildVisit) -> str:
    """Draw the scale.

    Args:
        visit: The answer with what is known of the child.

    Returns:
        An ``svg`` element whose label says what it shows; empty without a bone age.
    """
    months, age_months = visit.row.bone_age_months, visit.facts.age_months
    if months is None:
        return ""
    limits = visit.interval_months
    normal = visit.score.normal_months if visit.score else None
    shown = [months, *(limits or ()), *(normal or ())]
    height = _HEIGHT_WITHOUT_AGE if age_months is None else _HEIGHT
    axis = _Axis.around(shown if age_months is None else [*shown, age_months])
    return "\n".join(
        [
            f'<svg class="age-scale" viewBox="0 0 {_WIDTH} {height}" role="img" '
            f'aria-label="Bone age on a scale of years. {escape(_in_words(visit))}">',
            *_normal_range(axis, visit),
            *_years(axis),
            *_chronological_age(axis, age_months),
            *_bone_age(axis, months, limits),
            "</svg>",
        ]
    )


def _in_words(visit: ChildVisit) -> str:
    months, age_months = visit.row.bone_age_months or 0.0, visit.facts.age_months
    words = [f"The bone age is {years_and_months(months)}"]
    if visit.interval_months is not None:
        low, high = visit.interval_months
        words[0] += f", its interval {years_and_months(low)} to {years_and_months(high)}"
    if age_months is not None:
        words.append(f"The chronological age is {years_and_months(age_months)}")
    if visit.score is not None:
        normal = interval_text(visit.score.normal_months)
        words.append(
            f"The normal range is {normal} months; the SD score is {signed(visit.score.score)}"
        )
    return ". ".join(words) + "."


def _normal_range(axis: _Axis, visit: ChildVisit) -> Iterator[str]:
    """Two standard deviations about the chronological age, and one."""
    score, age_months = visit.score, visit.facts.age_months
    if score is None or age_months is None:
        return
    for reach, name in ((NORMAL_SD, "band"), (1.0, "one-sd")):
        low = axis.x(age_months - reach * score.sd_months)
        high = axis.x(age_months + reach * score.sd_months)
        yield (
            f'<rect class="{name}" x="{low:.1f}" y="{_BAND}" width="{high - low:.1f}" '
            f'height="{_AXIS - _BAND}"/>'
        )


def _years(axis: _Axis) -> Iterator[str]:
    left, right = axis.x(axis.first_months), axis.x(axis.last_months)
    yield f'<path class="axis" d="M{left:.1f},{_AXIS}H{right:.1f}"/>'
    for year in axis.ticks():
        x = f"{axis.x(12 * year):.1f}"
        yield f'<path class="axis" d="M{x},{_AXIS}v3"/>'
        yield f'<text class="muted" x="{x}" y="{_TICKS}" text-anchor="middle">{year}</text>'


def _chronological_age(axis: _Axis, age_months: float | None) -> Iterator[str]:
    if age_months is None:
        return
    x = axis.x(age_months)
    yield f'<path class="age" d="M{x:.1f},{_BAND - 3}V{_AXIS}"/>'
    yield _label(f"age {years_and_months(age_months)}", x, _AGE_LABEL, "muted")


def _bone_age(axis: _Axis, months: float, limits: tuple[float, float] | None) -> Iterator[str]:
    x = axis.x(months)
    if limits is not None:
        low, high = axis.x(limits[0]), axis.x(limits[1])
        yield (f'<path class="whisker" d="M{low:.1f},{_WHISKER - 4}v8m0,-4H{high:.1f}m0,-4v8"/>')
    yield f'<path class="estimate" d="M{x:.1f},{_WHISKER}V{_AXIS}"/>'
    yield f'<circle class="point" cx="{x:.1f}" cy="{_WHISKER}" r="4.5"/>'
    yield _label(f"bone age {years_and_months(months)}", x, _BONE_LABEL, "strong")


def _label(text: str, x: float, y: float, name: str) -> str:
    """A centred text that stays inside the drawing."""
    half = len(text) * _LETTER / 2
    x = min(max(x, half + 1), _WIDTH - half - 1)
    return f'<text class="{name}" x="{x:.1f}" y="{y}" text-anchor="middle">{escape(text)}</text>'

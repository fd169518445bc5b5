"""The chart of bone age against chronological age with the normal band, as inline SVG.

Written by hand: a page for one child is made in the light installation, which has no matplotlib.
The chart follows the page's colours in the dark and in print, and can be heard: its title and
description say what it shows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from boneage.errors import SettingsError
from boneage.growth.references import Curve
from boneage.growth.sds import NORMAL_SD, Norm, sd_curve
from boneage.radiographs.radiograph import Sex
from boneage.reports.pages import escape

__all__ = ["CHART_STYLE", "ChartPoint", "growth_chart_svg"]

CHART_STYLE = """
.chart { display: block; width: 100%; height: auto; }
.chart text { fill: var(--ink); font-size: 10px; }
.chart .muted { fill: var(--muted); }
.chart .band { fill: var(--ink); fill-opacity: .1; }
.chart .one-sd { fill: var(--ink); fill-opacity: .08; }
.chart .grid { stroke: var(--line); stroke-width: .5; }
.chart .axis, .chart .equal { stroke: var(--ink); stroke-width: .8; fill: none; }
.chart .equal { stroke-dasharray: 4 3; }
.chart .course { stroke: var(--accent); stroke-width: 1.2; fill: none; }
.chart .whisker { stroke: var(--accent); stroke-width: 1.6; }
.chart .point { fill: var(--paper); stroke: var(--accent); stroke-width: 1.6; }
.chart .last { fill: var(--accent); }
"""

_WIDTH, _HEIGHT = 380, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 22, 8, 34
_TICK_MONTHS = 24
_AGES_MONTHS, _BONE_AGES_MONTHS = 216.0, 240.0


@dataclass(frozen=True)
class ChartPoint:
    """One radiograph on the chart.

    Attributes:
        age_months: Chronological age, 0 to 300.
        bone_age_months: Bone age, 0 or more.
        lower_months: Lower limit of the bone age, or None.
        upper_months: Upper limit of the bone age, or None.
    """

    age_months: float
    bone_age_months: float
    lower_months: float | None = None
    upper_months: float | None = None


@dataclass(frozen=True)
class _Scale:
    """From months to the drawing's units."""

    ages_months: float
    bone_ages_months: float

    @classmethod
    def around(cls, points: Sequence[ChartPoint]) -> "_Scale":
        """The usual ranges, or wider ones where a point or an interval lies outside."""
        ages = max([_AGES_MONTHS, *(point.age_months for point in points)])
        tops = [point.upper_months or point.bone_age_months for point in points]
        bone_ages = max([_BONE_AGES_MONTHS, *tops])
        return cls(*(math.ceil(end / _TICK_MONTHS) * _TICK_MONTHS for end in (ages, bone_ages)))

    def x(self, months: float) -> float:
        return _LEFT + months / self.ages_months * (_WIDTH - _LEFT - _RIGHT)

    def y(self, months: float) -> float:
        return _HEIGHT - _BOTTOM - months / self.bone_ages_months * (_HEIGHT - _TOP - _BOTTOM)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """The ``points`` attribute of a line through pairs of age and bone age."""
        return " ".join(f"{self.x(age):.1f},{self.y(bone_age):.1f}" for age, bone_age in points)


def growth_chart_svg(points: Sequence[ChartPoint], sex: Sex, norm: Norm) -> str:
    """Draw bone ages against chronological ages on the normal band.

    Args:
        points: The radiographs by chronological age, one or more; the last is filled.
        sex: Sex of the child.
        norm: Whose spread is drawn.

    Returns:
        An ``svg`` element; its colours are the page's, and :data:`CHART_STYLE` belongs to it.

    Raises:
        SettingsError: There is no point, or they do not ascend.
    """
    ages = [point.age_months for point in points]
    if not points or ages != sorted(ages):
        raise SettingsError("A chart needs one point or more, in the order of their ages.")
    scale = _Scale.around(points)
    curve = sd_curve(sex, norm)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-labelledby="chart-title chart-text">',
        '<title id="chart-title">Bone age against chronological age</title>',
        f'<desc id="chart-text">{escape(_in_words(points, curve, norm))}</desc>',
        *_frame(scale),
        *_band(scale, curve),
        *_points(scale, points),
        "</svg>",
    ]
    return "\n".join(parts)


def _in_words(points: Sequence[ChartPoint], curve: Curve, norm: Norm) -> str:
    sentences = [
        "The grey band is within 2 standard deviations "
        f"({norm.capitalize()}) of the dashed line, on which both ages are equal."
    ]
    for point in points:
        text = f"At {point.age_months / 12:.1f} years the bone age is "
        text += f"{point.bone_age_months / 12:.1f} years"
        if point.lower_months is not None and point.upper_months is not None:
            text += f" ({point.lower_months / 12:.1f} to {point.upper_months / 12:.1f})"
        if curve.covers(point.age_months):
            reach = NORMAL_SD * curve.at(point.age_months)
            inside = abs(point.bone_age_months - point.age_months) <= reach
            text += ", inside the band" if inside else ", outside the band"
        sentences.append(f"{text}.")
    return " ".join(sentences)


def _frame(scale: _Scale) -> Iterator[str]:
    """Grid, axes, numbers in years and the names of the axes."""
    left, right = scale.x(0), scale.x(scale.ages_months)
    bottom, top = scale.y(0), scale.y(scale.bone_ages_months)
    for months in range(0, int(scale.ages_months) + 1, _TICK_MONTHS):
        x = f"{scale.x(months):.1f}"
        yield f'<line class="grid" x1="{x}" y1="{top:.1f}" x2="{x}" y2="{bottom:.1f}"/>'
        yield f'<text x="{x}" y="{bottom + 13:.1f}" text-anchor="middle">{months // 12}</text>'
    for months in range(0, int(scale.bone_ages_months) + 1, _TICK_MONTHS):
        y = scale.y(months)
        yield (
            f'<line class="grid" x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>'
            f'<text x="{left - 5:.1f}" y="{y + 3.5:.1f}" text-anchor="end">{months // 12}</text>'
        )
    yield f'<path class="axis" d="M{left:.1f},{top:.1f}V{bottom:.1f}H{right:.1f}"/>'
    middle = (left + right) / 2
    yield (
        f'<text x="{middle:.1f}" y="{_HEIGHT - 5}" text-anchor="middle">'
        "Chronological age, years</text>"
    )
    yield (
        f'<text transform="translate(11 {(top + bottom) / 2:.1f}) rotate(-90)" '
        'text-anchor="middle">Bone age, years</text>'
    )


def _band(scale: _Scale, curve: Curve) -> Iterator[str]:
    """Two standard deviations, one, and the line on which both ages are equal."""
    for reach, name in ((NORMAL_SD, "band"), (1.0, "one-sd")):
        above = [(age, age + reach * sd) for age, sd in curve.points]
        below = [(age, age - reach * sd) for age, sd in reversed(curve.points)]
        yield f'<polygon class="{name}" points="{scale.path([*above, *below])}"/>'
    first, last = curve.range_months
    yield f'<polyline class="equal" points="{scale.path([(first, first), (last, last)])}"/>'
    sd = curve.at(last)
    for reach, label in ((NORMAL_SD, "+2 SD"), (-NORMAL_SD, "−2 SD")):
        x, y = scale.x(last) + 2, scale.y(last + reach * sd) + 3.5
        yield f'<text class="muted" x="{x:.1f}" y="{y:.1f}">{label}</text>'


def _points(scale: _Scale, points: Sequence[ChartPoint]) -> Iterator[str]:
    """The course of the bone age, the intervals and the estimates."""
    if len(points) > 1:
        course = scale.path([(point.age_months, point.bone_age_months) for point in points])
        yield f'<polyline class="course" points="{course}"/>'
    for point in points:
        if point.lower_months is not None and point.upper_months is not None:
            x = f"{scale.x(point.age_months):.1f}"
            low, high = scale.y(point.lower_months), scale.y(point.upper_months)
            yield f'<line class="whisker" x1="{x}" y1="{low:.1f}" x2="{x}" y2="{high:.1f}"/>'
    for point in points:
        last = " last" if point is points[-1] else ""
        centre = f'cx="{scale.x(point.age_months):.1f}" cy="{scale.y(point.bone_age_months):.1f}"'
        yield f'<circle class="point{last}" {centre} r="3.6"/>'

"""Who is in the data: bone age and sex of the cases, part by part."""

from typing import TYPE_CHECKING

import numpy as np

from boneage.radiographs.radiograph import Sex
from boneage.reports.run_files import Population
from boneage.reports.style import (
    DOUBLE_COLUMN_MM,
    SEX_STYLES,
    SINGLE_COLUMN_MM,
    add_years_axis,
    month_range,
    new_figure,
    set_month_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_population"]

_TITLES = {"train": "Training", "validation": "Validation", "test": "Test"}
_BIN_MONTHS = 12


def draw_population(population: Population, note: str | None = None) -> "Figure":
    """Draw a population pyramid for each part of the data.

    Args:
        population: At least one case.
        note: Small print, or None.

    Returns:
        A figure with one column a part; girls to the left, boys to the right, by year of bone age.
    """
    parts = _ordered(population.parts)
    columns = min(len(parts), 3)
    rows = -(-len(parts) // columns)
    width = (SINGLE_COLUMN_MM, 0.8 * DOUBLE_COLUMN_MM, DOUBLE_COLUMN_MM)[columns - 1]
    figure = new_figure(width, 80 * rows, note)
    ages = population.bone_ages_months
    span = month_range(float(ages.min()), float(ages.max()))
    for place, part in enumerate(parts, start=1):
        axes = figure.add_subplot(rows, columns, place)
        inside = np.array([case == part for case in population.parts])
        _draw_pyramid(axes, population, inside, span)
        axes.set_title(f"{_TITLES.get(part, part)}, n = {inside.sum():,}", loc="center")
        if place % columns == 1 or columns == 1:
            axes.set_ylabel("Bone age (months)")
        add_years_axis(axes, "right")
    return figure


def _draw_pyramid(
    axes: "Axes", population: Population, inside: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
    span: tuple[float, float],
) -> None:  # fmt: skip
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    edges = np.linspace(*span, max(1, min(60, round((span[1] - span[0]) / _BIN_MONTHS))) + 1)
    largest = 1
    for sex, side in ((Sex.FEMALE, -1), (Sex.MALE, 1)):
        style = SEX_STYLES[sex]
        cases = inside & np.array([case is sex for case in population.sexes])
        counts, _ = np.histogram(population.bone_ages_months[cases], edges)
        largest = max(largest, int(counts.max()))
        axes.barh(
            edges[:-1], side * counts, height=np.diff(edges), align="edge",
            color=style.colour, edgecolor="white", linewidth=0.4,
        )  # fmt: skip
        axes.text(
            0.5 + side * 0.48, 0.99, f"{style.label}\nn = {cases.sum():,}", color=style.colour,
            transform=axes.transAxes, ha="left" if side < 0 else "right", va="top",
        )  # fmt: skip
    axes.axvline(0, color="white", lw=0.8)
    axes.set_xlim(-1.12 * largest, 1.12 * largest)
    # Air above the oldest, where the names of the sexes stand.
    axes.set_ylim(span[0], span[1] + 0.14 * (span[1] - span[0]))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, symmetric=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    axes.set_xlabel("Cases per year of bone age")
    set_month_ticks(axes.yaxis)


def _ordered(parts: tuple[str, ...]) -> list[str]:
    """The parts that occur: the usual ones in their usual order, then any others."""
    present = set(parts)
    return [part for part in _TITLES if part in present] + sorted(present - set(_TITLES))

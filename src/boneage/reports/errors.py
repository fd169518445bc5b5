"""Where the errors are: their distribution by sex and by band of bone age."""

from typing import TYPE_CHECKING

import numpy as np

from boneage.evaluation import AGE_BANDS_MONTHS, Metrics, evaluate
from boneage.radiographs.radiograph import Sex
from boneage.reports.run_files import Floats, Predictions
from boneage.reports.style import DOUBLE_COLUMN_MM, INK, MUTED, SEX_STYLES, new_figure
from boneage.reports.words import interval_text, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_error_distribution"]

# Quartiles of fewer cases say less than the cases themselves.
_FEWEST_FOR_A_BOX = 10


def draw_error_distribution(predictions: Predictions, note: str | None = None) -> "Figure":
    """Draw the distribution of predicted - true bone age.

    Args:
        predictions: At least one case.
        note: Small print, or None.

    Returns:
        A figure of double column width: a histogram by sex on the left, boxes by sex and age band
        on the right.
    """
    errors = predictions.predicted_months - predictions.true_months
    metrics = evaluate(predictions.true_months, predictions.predicted_months, predictions.sexes)
    figure = new_figure(DOUBLE_COLUMN_MM, 88, note)
    grid = figure.add_gridspec(1, 2, width_ratios=(1, 1.55))
    _draw_histogram(figure.add_subplot(grid[0]), predictions, errors, metrics)
    _draw_boxes(figure.add_subplot(grid[1]), predictions, errors, metrics)
    return figure


def _draw_histogram(
    axes: "Axes", predictions: Predictions, errors: Floats, metrics: Metrics
) -> None:
    edges, width, beyond = _bins(errors)
    for sex in Sex:
        cases = predictions.of(sex)
        if not cases.any():
            continue
        style, group = SEX_STYLES[sex], metrics.by_sex[sex.value]
        share, _ = np.histogram(errors[cases], edges)
        label = f"{style.label} (n = {group.count:,})\nMAE {group.mae_months:.1f}"
        if group.mae_ci95_months is not None:
            label += f" (95 % CI {interval_text(group.mae_ci95_months)})"
        axes.stairs(
            100 * share / cases.sum(), edges, color=style.colour, ls=style.line, lw=1.2, label=label
        )
    axes.set_ylim(0, axes.get_ylim()[1] * 1.5)  # room for the legend
    axes.axvline(0, ymax=0.66, color=INK, lw=0.6, ls=":")
    axes.legend(loc="upper left", borderaxespad=0.2, labelspacing=0.7)
    if beyond:
        axes.text(
            0.99, 0.62, f"beyond ±{edges[-1]:g}:\n{beyond:,} of {len(errors):,} cases",
            transform=axes.transAxes, ha="right", va="top", fontsize=6, color=MUTED,
        )  # fmt: skip
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("Predicted − true bone age (months)")
    per = "month" if width == 1 else f"{width:g} months"
    axes.set_ylabel(f"Share of cases (%) per {per}")
    axes.set_title("a   By sex")


def _bins(errors: Floats) -> tuple[Floats, float, int]:
    """Edges of 13 to 40 bins with one centred on 0, their width, and the cases beyond them.

    A few gross errors would press the rest into one bar, so the bins reach to the 99th percentile
    of the absolute errors unless the largest is not far from it.
    """
    absolute = np.abs(errors)
    largest = max(float(absolute.max()), 1.0)
    usual = max(float(np.quantile(absolute, 0.99)), 1.0)
    reach = largest if largest < 1.3 * usual else usual
    most = min(max(0.8 * len(errors) ** 0.5, 6.0), 18.0)  # bins on either side of 0
    width = next((w for w in (1.0, 2.0, 4.0, 6.0, 12.0, 24.0) if reach / w <= most), reach / most)
    half = np.ceil(reach / width + 0.5) - 0.5
    edges = np.arange(-half, half + 1) * width
    return edges, width, int((absolute > edges[-1]).sum())


def _draw_boxes(axes: "Axes", predictions: Predictions, errors: Floats, metrics: Metrics) -> None:
    bands = [band for band in AGE_BANDS_MONTHS if metrics.by_age_band[band.name].count]
    axes.axhline(0, color=INK, lw=0.6, ls=":", zorder=0)
    for place, band in enumerate(bands):
        inside = band.contains(predictions.true_months)
        for sex, offset in ((Sex.FEMALE, -0.19), (Sex.MALE, 0.19)):
            values = errors[inside & predictions.of(sex)]
            if len(values):
                _draw_group(axes, place + offset, values, sex)
    groups = [metrics.by_age_band[band.name] for band in bands]
    axes.set_xticks(
        range(len(bands)),
        labels=[
            "\n".join(
                [
                    band.label,
                    f"{group.count:,}",
                    f"{group.mae_months:.1f}",
                    signed(group.bias_months or 0.0),
                ]
            )
            for band, group in zip(bands, groups, strict=True)
        ],
        linespacing=1.45,
    )
    axes.annotate(
        "months\nn\nMAE\nbias", (0, 0), xycoords="axes fraction", xytext=(-4, -3.5),
        textcoords="offset points", ha="right", va="top", fontsize=7, linespacing=1.45, color=MUTED,
    )  # fmt: skip
    axes.set_xlim(-0.5, len(bands) - 0.5)
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("True bone age")
    axes.set_ylabel("Predicted − true bone age (months)")
    axes.set_title("b   By age band")
    axes.annotate(
        f"box: quartiles; whiskers: 5 to 95 %; points where n < {_FEWEST_FOR_A_BOX}",
        (1, 1), xycoords="axes fraction", xytext=(0, 2), textcoords="offset points",
        ha="right", va="bottom", fontsize=6, color=MUTED,
    )  # fmt: skip


def _draw_group(axes: "Axes", place: float, values: Floats, sex: Sex) -> None:
    style = SEX_STYLES[sex]
    if len(values) < _FEWEST_FOR_A_BOX:
        axes.plot(
            np.full(len(values), place), values, style.marker, ms=3, color=style.colour, mew=0
        )
        return
    line = {"color": style.colour, "linewidth": 0.9}
    axes.boxplot(
        values, positions=[place], widths=0.3, whis=(5, 95), showfliers=False, manage_ticks=False,
        patch_artist=True,
        boxprops={"facecolor": style.fill, "edgecolor": style.colour, "linewidth": 0.9},
        medianprops={**line, "linewidth": 1.6}, whiskerprops=line, capprops=line,
    )  # fmt: skip

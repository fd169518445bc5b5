"""Predicted against true bone age, and the same cases after Bland and Altman.

Bland and Altman, Lancet 1986;327:307-310, and Stat Methods Med Res 1999;8:135-160. The mean of
both readings is on the x axis, as they advise: against the true age alone, errors seem to depend
on it even where they do not.
"""

from typing import TYPE_CHECKING

from boneage.evaluation import Agreement, Metrics, evaluate, limits_of_agreement
from boneage.radiographs.radiograph import Sex
from boneage.reports.run_files import Floats, Predictions
from boneage.reports.style import (
    INK,
    MIDDLE_COLUMN_MM,
    MUTED,
    SEX_STYLES,
    SHADE,
    add_years_axis,
    month_range,
    new_figure,
    set_month_ticks,
)
from boneage.reports.words import interval_text, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_bland_altman", "draw_predicted_against_true"]

# Height of three lines of text as a part of the axes.
_TEXT_GAP = 0.17


def draw_predicted_against_true(predictions: Predictions, note: str | None = None) -> "Figure":
    """Draw every case at its true and predicted bone age, with the line of identity.

    Args:
        predictions: At least one case.
        note: Small print, or None.

    Returns:
        A square figure with n, MAE, bias, R² and the share within 12 months written in.
    """
    true, predicted = predictions.true_months, predictions.predicted_months
    figure = new_figure(MIDDLE_COLUMN_MM, MIDDLE_COLUMN_MM, note)
    axes = figure.add_subplot()
    low, high = month_range(
        min(true.min(), predicted.min()), max(true.max(), predicted.max())
    )  # fmt: skip
    ends = (low, high)
    metrics = evaluate(true, predicted, predictions.sexes)
    axes.fill_between(
        ends, (low - 12, high - 12), (low + 12, high + 12), color=SHADE, lw=0,
        label=f"Within 12 months ({100 * metrics.within_12_months:.0f} % of cases)",
    )  # fmt: skip
    axes.plot(ends, ends, color=INK, lw=0.8, label="Identity")
    _draw_cases(axes, predictions, true, predicted)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.set_xlabel("True bone age (months)")
    axes.set_ylabel("Predicted bone age (months)")
    set_month_ticks(axes.xaxis)
    set_month_ticks(axes.yaxis)
    add_years_axis(axes, "top")
    add_years_axis(axes, "right")
    axes.text(
        0.025, 0.98, _figures(metrics), transform=axes.transAxes, va="top", linespacing=1.45,
        bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1},
    )  # fmt: skip
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[2:] + handles[:2], labels[2:] + labels[:2], loc="lower right")
    return figure


def draw_bland_altman(predictions: Predictions, note: str | None = None) -> "Figure":
    """Draw the difference of predicted and true bone age against their mean.

    Args:
        predictions: At least two cases.
        note: Small print, or None.

    Returns:
        A figure with bias and 95 % limits of agreement, each with its 95 % bootstrap interval as
        a shaded band.
    """
    true, predicted = predictions.true_months, predictions.predicted_months
    agreement = limits_of_agreement(true, predicted)
    mean, difference = (true + predicted) / 2, predicted - true
    figure = new_figure(MIDDLE_COLUMN_MM, 95, note)
    axes = figure.add_subplot()
    _draw_cases(axes, predictions, mean, difference)
    axes.set_xlim(month_range(mean.min(), mean.max()))
    axes.axhline(0, color=MUTED, lw=0.5, ls=":", zorder=0)
    _draw_limits(axes, agreement)
    axes.set_xlabel("Mean of true and predicted bone age (months)")
    axes.set_ylabel("Predicted − true bone age (months)")
    set_month_ticks(axes.xaxis)
    add_years_axis(axes, "top")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3)
    return figure


def _draw_limits(axes: "Axes", agreement: Agreement) -> None:
    """Draw bias and limits with their intervals, and write them to the right of the axes."""
    lines = (
        ("Bias − 1.96 SD", agreement.lower_limit_months, agreement.lower_limit_ci95_months, "--"),
        ("Bias", agreement.bias_months, agreement.bias_ci95_months, "-"),
        ("Bias + 1.96 SD", agreement.upper_limit_months, agreement.upper_limit_ci95_months, "--"),
    )
    low, high = axes.get_ylim()
    low, high = min(low, lines[0][2][0]), max(high, lines[2][2][1])
    axes.set_ylim(low, high)
    # Few outliers can press the lines together; the texts keep their distance all the same.
    heights = [(value - low) / (high - low) for _, value, _, _ in lines]
    heights[0] = min(heights[0], heights[1] - _TEXT_GAP)
    heights[2] = max(heights[2], heights[1] + _TEXT_GAP)
    for (name, value, interval, line), height in zip(lines, heights, strict=True):
        label = "95 % CI" if name == "Bias" else None
        axes.axhspan(*interval, color=SHADE, lw=0, zorder=0, label=label)
        axes.axhline(value, color=INK, lw=0.9, ls=line)
        axes.annotate(
            f"{name}\n{signed(value)}\n({interval_text(interval, plus=True)})",
            (1, height), xycoords="axes fraction", xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=6.5, linespacing=1.3,
        )  # fmt: skip


def _draw_cases(axes: "Axes", predictions: Predictions, x: Floats, y: Floats) -> None:
    """Draw one point a case, fainter and smaller the more there are."""
    count = len(x)
    size = 14 if count <= 200 else 7 if count <= 2000 else 3
    opacity = 0.8 if count <= 200 else 0.55 if count <= 2000 else 0.35
    for sex in Sex:
        cases = predictions.of(sex)
        if cases.any():
            style = SEX_STYLES[sex]
            axes.scatter(
                x[cases], y[cases], s=size, marker=style.marker, color=style.colour,
                alpha=opacity, linewidths=0, label=f"{style.label} (n = {cases.sum():,})",
            )  # fmt: skip


def _figures(metrics: Metrics) -> str:
    r2 = "" if metrics.r2 is None else f",  R² = {signed(metrics.r2, plus=False, digits=2)}"
    return "\n".join(
        [
            f"n = {metrics.count:,}{r2}",
            f"MAE {metrics.mae_months:.1f} months" + _bracketed(metrics.mae_ci95_months),
            f"Bias {signed(metrics.bias_months)} months"
            + _bracketed(metrics.bias_ci95_months, plus=True),
        ]
    )


def _bracketed(interval: tuple[float, float] | None, *, plus: bool = False) -> str:
    return "" if interval is None else f" (95 % CI {interval_text(interval, plus=plus)})"

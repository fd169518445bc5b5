"""Learning curves: MAE, loss and learning rate over the epochs."""

from typing import TYPE_CHECKING

import numpy as np

from boneage.reports.run_files import Floats, LearningCurve
from boneage.reports.style import DOUBLE_COLUMN_MM, INK, MUTED, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["draw_learning_curves"]

# Neither colour of a sex: these lines are parts of the data.
_TRAIN = "#777777"
_VALIDATION = "#009E73"


def draw_learning_curves(curve: LearningCurve, note: str | None = None) -> "Figure":
    """Draw how a training went.

    Args:
        curve: One value an epoch, at least one epoch.
        note: Small print, or None.

    Returns:
        A figure of double column width: MAE on the left; loss and learning rate on the right.
    """
    figure = new_figure(DOUBLE_COLUMN_MM, 80, note)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.7, 1), height_ratios=(1.4, 1))
    mae = figure.add_subplot(grid[:, 0])
    loss = figure.add_subplot(grid[0, 1], sharex=mae)
    rate = figure.add_subplot(grid[1, 1], sharex=mae)
    _draw_mae(mae, curve)
    _draw_line(loss, curve.epoch, curve.train_loss, _TRAIN)
    loss.set_ylabel("Training loss")
    loss.tick_params(labelbottom=False)
    _draw_line(rate, curve.epoch, curve.learning_rate, INK)
    rate.set_ylabel("Learning rate")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
    rate.yaxis.get_offset_text().set_fontsize(6.5)
    rate.set_xlabel("Epoch")
    rate.set_ylim(bottom=0)
    _set_epoch_ticks(mae, curve.epoch)
    figure.align_ylabels([loss, rate])
    return figure


def _draw_mae(axes: "Axes", curve: LearningCurve) -> None:
    _draw_line(axes, curve.epoch, curve.train_mae_months, _TRAIN, "--", "Training")
    _draw_line(axes, curve.epoch, curve.validation_mae_months, _VALIDATION, "-", "Validation")
    shown = np.concatenate([curve.train_mae_months, curve.validation_mae_months])
    shown = shown[np.isfinite(shown)]
    # The first epochs of a network that knows nothing would flatten the rest.
    if len(shown) and shown.min() > 0 and shown.max() > 4 * shown.min():
        axes.set_yscale("log")
        _set_plain_log_ticks(axes.yaxis)
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Mean absolute error (months)")
    _mark_best(axes, curve)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right")


def _mark_best(axes: "Axes", curve: LearningCurve) -> None:
    mae = curve.validation_mae_months
    if not np.isfinite(mae).any():
        return
    best = int(np.nanargmin(mae))
    epoch, value = curve.epoch[best], mae[best]
    axes.plot(
        epoch, value, "o", ms=5, mfc="white", mec=_VALIDATION, mew=1.2, zorder=5, clip_on=False,
        label=f"Lowest: {value:.1f} months, epoch {epoch:.0f}",
    )  # fmt: skip


def _draw_line(
    axes: "Axes", epoch: Floats, values: Floats, colour: str, line: str = "-", label: str = ""
) -> None:
    measured = np.isfinite(values)
    if not measured.any():
        if not label:
            axes.text(
                0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=MUTED
            )  # fmt: skip
        return
    # Few points show where they are measured; many would only thicken the line.
    marker = "." if measured.sum() <= 15 else ""
    # Without a label matplotlib makes one up that begins with an underscore and is not listed.
    axes.plot(
        epoch[measured], values[measured], line, color=colour, marker=marker, label=label or None
    )


def _set_epoch_ticks(axes: "Axes", epoch: Floats) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    air = max(0.5, 0.02 * float(np.ptp(epoch)))
    axes.set_xlim(float(epoch.min()) - air, float(epoch.max()) + air)


def _set_plain_log_ticks(axis: "Axis") -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 3, 5, 7)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())

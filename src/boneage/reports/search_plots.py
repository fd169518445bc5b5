"""Plots of a search: how its trials went, and which settings made the difference."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from boneage.errors import InputError, NoInputError
from boneage.reports.style import (
    DOUBLE_COLUMN_MM,
    INK,
    MUTED,
    SINGLE_COLUMN_MM,
    house_style,
    new_figure,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SearchPlots", "draw_search_plots"]

# As the validation part in the learning curves.
_VALIDATION = "#009E73"


@dataclass(frozen=True)
class SearchPlots:
    """What was drawn.

    Attributes:
        files: The plots.
        left_out: Why others could not be drawn, one sentence each.
    """

    files: tuple[Path, ...]
    left_out: tuple[str, ...]


def draw_search_plots(run: Path, note: str | None = None) -> SearchPlots:
    """Draw what the tables of a search allow, into ``run/plots``.

    ``trials.csv`` gives ``search_history.png``, ``importance.csv`` gives ``importance.png``.

    Args:
        run: The run folder of a search.
        note: Small print for every plot, or None.

    Raises:
        NoInputError: There is no such table.
        InputError: A table is damaged.
        MissingExtraError: matplotlib is not installed.
        OutputError: A plot cannot be written.
    """
    trials = [row for row in _read(run / "trials.csv") if row["state"] in ("complete", "pruned")]
    shares = _read(run / "importance.csv") if (run / "importance.csv").exists() else []
    drawings: dict[str, tuple[bool, Callable[[], Figure], str]] = {
        "search_history": (
            bool(trials),
            lambda: _draw_history(trials, note),
            "no trial is finished",
        ),
        "importance": (
            bool(shares),
            lambda: _draw_importance(shares, note),
            "it takes at least 4 complete trials, and settings that tell the better half",
        ),
    }
    with house_style():
        files = tuple(
            save_figure(draw(), run / "plots" / f"{name}.png")
            for name, (there, draw, _) in drawings.items()
            if there
        )
    left_out = tuple(
        f"plots/{name}.png is left out: {why}."
        for name, (there, _, why) in drawings.items()
        if not there
    )
    return SearchPlots(files, left_out)


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise NoInputError(f"{path} is not there: give the RUN folder of a search.") from error
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def _draw_history(trials: list[dict[str, str]], note: str | None) -> "Figure":
    """Each trial's error by its number, and the best so far."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(DOUBLE_COLUMN_MM, 75, note)
    axes = figure.add_subplot()
    for state, fill, label in (
        ("complete", _VALIDATION, "Complete"),
        ("pruned", "white", "Given up"),
    ):
        chosen = [row for row in trials if row["state"] == state]
        axes.plot(
            [int(row["number"]) for row in chosen],
            [float(row["validation_mae_months"]) for row in chosen],
            "o", ms=4, mfc=fill, mec=_VALIDATION, mew=1, label=label if chosen else None,
        )  # fmt: skip
    numbers: list[int] = []
    best: list[float] = []
    for row in trials:
        if row["state"] == "complete":
            numbers.append(int(row["number"]))
            best.append(min([float(row["validation_mae_months"]), *best[-1:]]))
    if best:
        numbers.append(max(int(row["number"]) for row in trials))
        best.append(best[-1])
        axes.step(numbers, best, where="post", color=INK, label=f"Best: {best[-1]:.1f} months")
    axes.set_xlabel("Trial")
    axes.set_ylabel("Validation MAE (months)")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    axes.legend(loc="upper right")
    return figure


def _draw_importance(shares: list[dict[str, str]], note: str | None) -> "Figure":
    """A bar a setting, the largest on top."""
    figure = new_figure(SINGLE_COLUMN_MM, 18 + 7 * len(shares), note)
    axes = figure.add_subplot()
    names = [row["setting"] for row in shares][::-1]
    values = [float(row["importance"]) for row in shares][::-1]
    bars = axes.barh(names, values, height=0.6, color=_VALIDATION)
    axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=2, fontsize=6.5, color=MUTED)
    axes.set_xlim(0, max([*values, 1e-9]) * 1.15)
    axes.set_xlabel("Importance for the better half (share)")
    return figure

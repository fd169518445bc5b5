"""All plots of a RUN folder."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from boneage.errors import NoInputError
from boneage.reports.agreement import draw_bland_altman, draw_predicted_against_true
from boneage.reports.errors import draw_error_distribution
from boneage.reports.learning_curves import draw_learning_curves
from boneage.reports.population import draw_population
from boneage.reports.run_files import read_learning_curve, read_population, read_predictions
from boneage.reports.style import house_style, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_run_plots"]


def draw_run_plots(run: Path, note: str | None = None) -> list[Path]:
    """Draw what the tables of a run allow, into ``run/plots``.

    ``metrics.csv`` gives ``learning_curves.png``; ``predictions.csv`` gives
    ``predicted_against_true.png``, ``error_distribution.png`` and, from two cases on,
    ``bland_altman.png``; ``data.csv`` gives ``population.png``. A table that is missing or has no
    row yet, as in a run that was stopped, costs its own plots only.

    Args:
        run: The RUN folder.
        note: Small print for every plot, such as ``synthetic radiographs``, or None.

    Returns:
        The files written, in the order above; empty when there is nothing to draw.

    Raises:
        NoInputError: There is no such folder.
        InputError: A table is damaged. All are read before the first plot is drawn.
        MissingExtraError: matplotlib is not installed.
        OutputError: A plot cannot be written.
    """
    run = Path(run)
    if not run.is_dir():
        raise NoInputError(f"{run} is not a folder: give the RUN folder that a training wrote.")
    with house_style():
        return [
            save_figure(draw(), run / "plots" / f"{name}.png") for name, draw in _plots(run, note)
        ]


def _plots(run: Path, note: str | None) -> "Iterator[tuple[str, Callable[[], Figure]]]":
    """Name every plot that can be drawn, and how."""
    curve = read_learning_curve(run / "metrics.csv")
    predictions = read_predictions(run / "predictions.csv")
    population = read_population(run / "data.csv")
    if curve is not None:
        yield "learning_curves", lambda: draw_learning_curves(curve, note)
    if predictions is not None:
        yield "predicted_against_true", lambda: draw_predicted_against_true(predictions, note)
        yield "error_distribution", lambda: draw_error_distribution(predictions, note)
        if len(predictions.ids) > 1:
            yield "bland_altman", lambda: draw_bland_altman(predictions, note)
    if population is not None:
        yield "population", lambda: draw_population(population, note)

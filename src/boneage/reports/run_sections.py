"""Parts of a page about a run: its figures, its plots, its time and its settings."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from boneage.errors import InputError, NoInputError
from boneage.evaluation.screen import figure, group_rows
from boneage.reports.pages import figure_html, png_uri, section_html, table_html
from boneage.reports.run_files import read_learning_curve
from boneage.reports.words import duration

__all__ = [
    "of_metrics",
    "plots_html",
    "read_json",
    "read_metrics",
    "results_html",
    "settings_html",
    "time_html",
]

# File name, what a reader who cannot see the plot needs to know, caption, CSS class.
_PLOTS = (
    (
        "predicted_against_true",
        "Scatter plot of predicted against true bone age, with the line of identity.",
        "Predicted against true bone age. On the line both agree; in the grey band they differ "
        "by at most 12 months.",
        "narrow",
    ),
    (
        "bland_altman",
        "Bland–Altman plot: predicted minus true bone age against the mean of both.",
        "Agreement after Bland and Altman (1986): bias and 95 % limits of agreement, each with "
        "its 95 % bootstrap interval in grey.",
        "narrow",
    ),
    (
        "error_distribution",
        "Histogram of the errors by sex, and box plots of the errors by age band and sex.",
        "Errors by sex and by band of true bone age.",
        "",
    ),
    (
        "heat_maps",
        "Ten radiographs with their heat maps: the smallest errors above, the largest below.",
        "What moved the estimate: orange made the bone age older, blue younger. A hint at what the "
        "network looked at, not a finding.",
        "",
    ),
    (
        "learning_curves",
        "Line plots over the epochs: mean absolute error, loss and learning rate.",
        "The course of the training.",
        "",
    ),
    (
        "population",
        "Population pyramids: number of cases by bone age and sex for each part of the data.",
        "The radiographs that were drawn, by bone age and sex.",
        "",
    ),
)


def read_metrics(folder: Path) -> Mapping[str, Any]:
    """Read ``metrics.json``, without which there is nothing to report.

    Raises:
        NoInputError: The folder has none.
        InputError: It is damaged.
    """
    metrics = read_json(folder / "metrics.json")
    if metrics is None:
        raise NoInputError(
            f"{folder} has no metrics.json: the report needs a run that was trained and evaluated."
        )
    return metrics


@contextmanager
def of_metrics(folder: Path) -> Iterator[None]:
    """Turn what goes wrong with figures of ``metrics.json`` into one error.

    Raises:
        InputError: A figure is missing or of another kind.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{folder / 'metrics.json'} is damaged ({error!r}). Make the run again (--overwrite)."
        ) from error


def results_html(metrics: Mapping[str, Any], heading: str = "Results") -> str:
    """Make the section with figures of ``metrics.json``."""
    r2 = metrics["r2"]
    overall = [
        ("Mean absolute error", f"{figure(metrics, 'mae')} months"),
        ("Root mean squared error", f"{figure(metrics, 'rmse')} months"),
        ("Bias (predicted − true)", f"{figure(metrics, 'bias', signed=True)} months"),
        ("Median absolute error", f"{metrics['median_absolute_error_months']:.1f} months"),
        ("R²", "undefined" if r2 is None else f"{r2:.3f}"),
        *(
            (f"Within {months} months", f"{100 * metrics[f'within_{months}_months']:.1f} %")
            for months in (6, 12, 24)
        ),
    ]
    groups = [
        ("Female" if row[0] == "female" else "Male" if row[0] == "male" else row[0], *row[1:])
        for row in group_rows(metrics)
    ]
    return section_html(
        heading,
        table_html(
            f"All {metrics['count']:,} cases; 95 % bootstrap intervals in brackets",
            ("Figure", "Value"),
            [(name, value.replace("-", "−")) for name, value in overall],
        ),
        table_html(
            "By sex and by true bone age, in months; 95 % bootstrap intervals in brackets "
            "(too narrow where n is below about 20)",
            ("Group", "n", "MAE", "Bias", "Within 12 months"),
            [(_dash(row[0]), *(cell.replace("-", "−") for cell in row[1:])) for row in groups],
        ),
    )


def _dash(name: str) -> str:
    return name.replace("-", "–")


def plots_html(folder: Path) -> str:
    """Make the section with the plots of a run; empty if it has none.

    Raises:
        InputError: A plot cannot be read.
    """
    figures = []
    for name, alt, caption, css_class in _PLOTS:
        content = _read_bytes(folder / "plots" / f"{name}.png")
        if content is not None:
            figures.append(figure_html(png_uri(content), alt, caption, css_class))
    if not figures:
        return ""
    return section_html("Plots", '<div class="plots">', *figures, "</div>")


def time_html(folder: Path, also: Sequence[tuple[str, str]] = ()) -> str:
    """Make the section with the time that a training took; empty if nothing is known.

    Args:
        folder: The RUN folder.
        also: Further steps and their times.

    Raises:
        InputError: ``metrics.csv`` is damaged.
    """
    times = list(also)
    curve = read_learning_curve(folder / "metrics.csv")
    if curve is not None:
        spent = float(np.nansum(curve.seconds))
        times.insert(0, (f"Training, {len(curve.epoch)} epochs", duration(spent)))
    return section_html("Time", table_html("Time used", ("Step", "Time"), times)) if times else ""


def settings_html(folder: Path) -> str:
    """Make the section with all of ``config.json``; empty if there is none.

    Raises:
        InputError: The file is damaged.
    """
    config = read_json(folder / "config.json")
    if not config:
        return ""
    rows = list(_flat(config))
    return section_html(
        "Settings", table_html("As in config.json", ("Setting", "Value"), rows, "settings")
    )


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Lay nested settings out as ``training.epochs`` and their values."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{prefix}{name}", text


def read_json(path: Path) -> Mapping[str, Any] | None:
    """Read a JSON object of a run; None if there is no such file.

    Raises:
        InputError: It is damaged.
    """
    content = _read_bytes(path)
    if content is None:
        return None
    try:
        value = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is damaged: {error}. Make the run again (--overwrite)."
        ) from error
    if not isinstance(value, Mapping):
        raise InputError(f"{path} is damaged: no object. Make the run again (--overwrite).")
    return value


def _read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error

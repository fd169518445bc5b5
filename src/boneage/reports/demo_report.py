"""The page that ``boneage demo`` leaves behind: what was done, and how well it went."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage import __version__
from boneage.errors import InputError, NoInputError, SettingsError
from boneage.evaluation.screen import figure, group_rows
from boneage.files import write_text
from boneage.radiographs.radiograph import Sex
from boneage.reports.pages import (
    escape,
    figure_html,
    image_uri,
    page_html,
    png_uri,
    section_html,
    table_html,
)
from boneage.reports.run_files import read_learning_curve
from boneage.reports.words import duration, signed

__all__ = ["Example", "write_demo_report"]

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


@dataclass(frozen=True, eq=False)
class Example:
    """One radiograph to show, with what the model said about it.

    Attributes:
        image: Grey values, shape (height, width), uint8.
        true_months: True bone age in months.
        predicted_months: Predicted bone age in months.
        sex: Sex of the child.
    """

    image: NDArray[np.uint8]
    true_months: float
    predicted_months: float
    sex: Sex

    def __post_init__(self) -> None:
        if self.image.ndim != 2 or self.image.size == 0 or self.image.dtype != np.uint8:
            raise SettingsError(
                "image must be a grey uint8 picture of shape (height, width), "
                f"not {self.image.dtype} of shape {self.image.shape}."
            )
        if not np.isfinite([self.true_months, self.predicted_months]).all():
            raise SettingsError("true_months and predicted_months must be finite numbers.")


def write_demo_report(
    folder: Path, *, examples: Sequence[Example] = (), seconds: float | None = None
) -> Path:
    """Write ``report.html``, a single file with everything in it, into a RUN folder.

    The page needs ``metrics.json``; ``config.json``, ``metrics.csv`` and the plots (see
    :func:`boneage.reports.run_plots.draw_run_plots`) are shown as far as they are there.

    Args:
        folder: The RUN folder of the demo.
        examples: Radiographs to show with their true and predicted bone ages.
        seconds: Time that the whole demo took, or None to leave it out.

    Returns:
        Path of the page.

    Raises:
        NoInputError: The folder has no ``metrics.json``.
        InputError: A file of the run is damaged.
        OutputError: The page cannot be written.
    """
    folder = Path(folder)
    metrics = _read_json(folder / "metrics.json")
    if metrics is None:
        raise NoInputError(
            f"{folder} has no metrics.json: the report needs a run that was trained and evaluated."
        )
    try:
        headline, results = _headline(metrics), _results(metrics)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{folder / 'metrics.json'} is damaged ({error!r}). Make the run again (--overwrite)."
        ) from error
    path = folder / "report.html"
    parts = _parts(folder, headline, results, examples, seconds)
    write_text(path, page_html("boneage demo", parts))
    return path


def _parts(
    folder: Path, headline: str, results: str, examples: Sequence[Example], seconds: float | None
) -> Iterator[str]:
    yield "<header>"
    yield "<h1>boneage demo</h1>"
    yield (
        '<div class="notice" role="note"><p><strong>The radiographs on this page are synthetic.'
        "</strong> boneage drew them with a random generator; no child was examined. The figures "
        "show that the software works, not how well it reads real radiographs. Research software, "
        "not a medical device.</p></div>"
    )
    yield f"<p>{escape(headline)}</p>"
    yield "</header>"
    yield "<main>"
    yield results
    if examples:
        yield _examples(examples)
    plots = list(_plots(folder / "plots"))
    if plots:
        yield section_html("Plots", '<div class="plots">', *plots, "</div>")
    yield from _how_it_was_made(folder, seconds)
    yield "</main>"
    yield (
        f"<footer>Made by boneage {escape(__version__)}. Synthetic radiographs. "
        "Research software, not a medical device: not for diagnosis.</footer>"
    )


def _headline(metrics: Mapping[str, Any]) -> str:
    note = f" {metrics['note']}" if metrics.get("note") else ""
    return (
        f"On {metrics['count']:,} synthetic radiographs that it was not trained on, the model's "
        f"bone age was {metrics['mae_months']:.1f} months off on average, and within 12 months "
        f"for {100 * metrics['within_12_months']:.0f} %.{note}"
    )


def _results(metrics: Mapping[str, Any]) -> str:
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
        "Results",
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


def _examples(examples: Sequence[Example]) -> str:
    items = []
    for example in examples:
        error = example.predicted_months - example.true_months
        caption = (
            f"{example.sex.value.capitalize()}, true {example.true_months:.0f}, predicted "
            f"{example.predicted_months:.0f} months ({signed(error, digits=0)})"
        )
        alt = (
            f"Synthetic hand radiograph, {example.sex.value}, "
            f"true bone age {example.true_months:.0f} months"
        )
        items.append(f"<li>{figure_html(image_uri(example.image), alt, caption)}</li>")
    return section_html("Examples", '<ul class="strip">', *items, "</ul>")


def _plots(plots: Path) -> Iterator[str]:
    for name, alt, caption, css_class in _PLOTS:
        content = _read_bytes(plots / f"{name}.png")
        if content is not None:
            yield figure_html(png_uri(content), alt, caption, css_class)


def _how_it_was_made(folder: Path, seconds: float | None) -> Iterator[str]:
    times = [] if seconds is None else [("Whole demo", duration(seconds))]
    curve = read_learning_curve(folder / "metrics.csv")
    if curve is not None:
        spent = float(np.nansum(curve.seconds))
        times.insert(0, (f"Training, {len(curve.epoch)} epochs", duration(spent)))
    if times:
        yield section_html("Time", table_html("Time used", ("Step", "Time"), times))
    config = _read_json(folder / "config.json")
    if config:
        rows = list(_flat(config))
        yield section_html(
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


def _read_json(path: Path) -> Mapping[str, Any] | None:
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

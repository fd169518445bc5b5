"""The page that ``boneage demo`` leaves behind: what was done, and how well it went."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage import __version__
from boneage.errors import SettingsError
from boneage.files import write_text
from boneage.radiographs.radiograph import Sex
from boneage.reports.pages import (
    escape,
    figure_html,
    image_uri,
    page_html,
    section_html,
)
from boneage.reports.run_sections import (
    of_metrics,
    plots_html,
    read_metrics,
    results_html,
    settings_html,
    time_html,
)
from boneage.reports.words import duration, signed

__all__ = ["Example", "write_demo_report"]


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
    metrics = read_metrics(folder)
    with of_metrics(folder):
        headline, results = _headline(metrics), results_html(metrics)
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
    yield plots_html(folder)
    yield time_html(folder, [] if seconds is None else [("Whole demo", duration(seconds))])
    yield settings_html(folder)
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

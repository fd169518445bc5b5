"""The report on a run: one page with its figures, plots, heat maps, model and settings."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boneage import __version__
from boneage.dataset.records import Record
from boneage.errors import BundleError, MissingExtraError, NoInputError
from boneage.files import write_text
from boneage.inference.bundle import read_card
from boneage.inference.card import Card
from boneage.inference.prediction import Prediction, Query
from boneage.inference.predictor import Predictor
from boneage.reports.child_words import NO_DECISION, RESEARCH_ONLY, model_facts
from boneage.reports.heat_maps import draw_heat_maps, most_and_least
from boneage.reports.pages import definitions_html, escape, page_html, section_html, table_html
from boneage.reports.run_files import count_discarded, read_predictions
from boneage.reports.run_sections import (
    of_metrics,
    plots_html,
    read_metrics,
    results_html,
    settings_html,
    time_html,
)
from boneage.reports.words import interval_text

__all__ = ["REPORT_FILE", "draw_run_heat_maps", "write_run_report"]

REPORT_FILE = "report.html"
_HELD_OUT = "held-out.csv"


def draw_run_heat_maps(
    run: Path, predictor: Predictor, records: Sequence[Record]
) -> tuple[Path | None, str]:
    """Draw the heat maps of a run's smallest and largest errors into its ``plots/``.

    They are those of the model's own answers, predicted anew. For a cross-validation with
    radiographs that were held out from all folds, these are taken: the ensemble has learned from
    the others.

    Args:
        run: The RUN folder.
        predictor: The model of the run.
        records: The radiographs that the run was measured on, and any others.

    Returns:
        The plot, or None and the reason why there is none.

    Raises:
        NoInputError: None of the run's cases is among ``records``.
        InputError: A table of the run is damaged.
        OutputError: The plot cannot be written.
    """
    if not predictor.gives_heat_map:
        return None, f"{predictor.card.name} gives no heat map"
    cases = read_predictions(run / _HELD_OUT) or read_predictions(run / "predictions.csv")
    if cases is None:
        return None, "the run has no predictions"
    known = {record.id: record for record in records}
    found = [
        (abs(float(predicted - true)), known[name])
        for name, true, predicted in zip(
            cases.ids, cases.true_months, cases.predicted_months, strict=True
        )
        if name in known
    ]
    if not found:
        raise NoInputError(
            f"None of the {len(cases.ids):,} cases of {run} is among the {len(records):,} "
            "radiographs of --data: name the data that the run was measured on."
        )
    least, most = most_and_least(found, key=lambda case: case[0])
    chosen = [record for _, record in (*least, *most)]
    answers = predictor.predict_many(Query(record.path, record.sex) for record in chosen)
    drawn = [
        (record, answer)
        for record, answer in zip(chosen, answers, strict=True)
        if isinstance(answer, Prediction)
    ]
    try:
        path = draw_heat_maps(run / "plots" / "heat_maps.png", drawn)
    except MissingExtraError as error:
        return None, str(error)
    return path, "" if path else "none of the radiographs could be predicted"


def write_run_report(run: Path, out: Path | None = None) -> Path:
    """Write the report, a single file with everything in it.

    The page needs ``metrics.json`` of a training, a cross-validation or an evaluation. The plots,
    the card of ``bundle/``, ``discarded.csv``, ``metrics.csv`` and ``config.json`` are shown as
    far as they are there.

    Args:
        run: The RUN folder.
        out: The page; ``report.html`` in the folder by default. An earlier one is replaced.

    Returns:
        Path of the page.

    Raises:
        NoInputError: The folder has no ``metrics.json``.
        InputError: A file of the run is damaged.
        OutputError: The page cannot be written.
    """
    run = Path(run)
    metrics = read_metrics(run)
    with of_metrics(run):
        sections = [results_html(metrics), *_held_out(metrics)]
        headline = _headline(metrics)
    path = run / REPORT_FILE if out is None else Path(out)
    write_text(path, page_html(f"boneage: {run.resolve().name}", _parts(run, headline, sections)))
    return path


def _parts(run: Path, headline: str, sections: Sequence[str]) -> Iterator[str]:
    yield f"<header><h1>{escape(run.resolve().name)}</h1>"
    yield (
        f'<p class="notice" role="note"><strong>{escape(RESEARCH_ONLY)}</strong> '
        f"{escape(NO_DECISION)}</p>"
    )
    yield f"<p>{escape(headline)}</p></header>"
    yield "<main>"
    yield from sections
    yield plots_html(run)
    card = _card(run)
    if card is not None:
        yield section_html("The model", definitions_html(model_facts(card)))
    yield _discarded(run)
    yield time_html(run)
    yield settings_html(run)
    yield "</main>"
    yield f"<footer>Made by boneage {escape(__version__)}.</footer>"


def _headline(metrics: Mapping[str, Any]) -> str:
    interval = metrics["mae_ci95_months"]
    text = f"On {metrics['count']:,} radiographs the bone age was {metrics['mae_months']:.1f}"
    if interval is not None:
        text += f" (95 % interval {interval_text(interval)})"
    text += (
        " months off on average, and within 12 months for "
        f"{100 * metrics['within_12_months']:.0f} %."
    )
    return f"{text} {metrics['note']}" if metrics.get("note") else text


def _held_out(metrics: Mapping[str, Any]) -> Iterator[str]:
    """The figures of a cross-validation beside those over its folds."""
    folds = metrics.get("mae_months_of_folds")
    if folds:
        rows = [(f"Fold {at}", f"{mae:.2f}") for at, mae in enumerate(folds, start=1)]
        rows.append(("Mean ± SD", f"{np.mean(folds):.2f} ± {np.std(folds, ddof=1):.2f}"))
        yield section_html("Folds", table_html("MAE in months", ("Fold", "MAE"), rows))
    for key, name in (("held_out", "Held out from all folds"), ("test", "Test set")):
        if metrics.get(key):
            yield results_html(metrics[key], name)


def _card(run: Path) -> Card | None:
    """The card of the run's model; None if the run has none, as that of an evaluation."""
    try:
        return read_card(run / "bundle")
    except BundleError:
        return None


def _discarded(run: Path) -> str:
    counts = count_discarded(run / "discarded.csv")
    if not counts:
        return ""
    rows = [(reason, f"{count:,}") for reason, count in counts.items()]
    table = table_html("Left out; discarded.csv has each of them", ("Reason", "Count"), rows)
    return section_html("Discarded", table)

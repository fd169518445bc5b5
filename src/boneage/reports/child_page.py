"""The page on one child: radiograph, bone age, growth references, how sure, and the model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from boneage import __version__
from boneage.growth.sds import Norm
from boneage.inference.card import Card
from boneage.inference.overlay import scale_colours
from boneage.radiographs.radiograph import Sex
from boneage.reports.child import ChildVisit
from boneage.reports.child_style import CHILD_STYLE
from boneage.reports.child_words import (
    NO_DECISION,
    OVERLAY_CAPTION,
    RESEARCH_ONLY,
    facts_of,
    how_sure,
    limits_of,
    model_facts,
)
from boneage.reports.growth_chart import CHART_STYLE, ChartPoint, growth_chart_svg
from boneage.reports.pages import (
    definitions_html,
    escape,
    figure_html,
    page_html,
    section_html,
    table_html,
)
from boneage.reports.words import interval_text, percent, signed, years_and_months

__all__ = ["ChildPage", "Overlay", "child_page_html"]


@dataclass(frozen=True)
class Overlay:
    """The radiograph in the colours of its heat map.

    Attributes:
        uri: The picture as a data URI.
        limit_months: What the strongest colour stands for, in months a cell.
    """

    uri: str
    limit_months: float


@dataclass(frozen=True)
class ChildPage:
    """All that goes onto the page.

    Attributes:
        title: Whom it is about.
        visits: The visits by chronological age, one or more.
        main: The visit that is shown large.
        norm: Whose spread counts as normal.
        card: The card of the model.
        level: Level of the intervals, or None if the model has none.
        made: Day on which the page was made.
        radiograph_uri: The radiograph of the main visit as a data URI; None if unreadable.
        overlay: The same with what moved the bone age; None if the model does not say.
    """

    title: str
    visits: Sequence[ChildVisit]
    main: ChildVisit
    norm: Norm
    card: Card
    level: float | None
    made: date
    radiograph_uri: str | None = None
    overlay: Overlay | None = None


def child_page_html(page: ChildPage) -> str:
    """Make the whole document, self-contained and without a script."""
    return page_html(f"Bone age: {page.title}", _body(page), CHILD_STYLE + CHART_STYLE)


def _body(page: ChildPage) -> Iterator[str]:
    row = page.main.row
    about = [row.sex or "sex not known"]
    if page.title != row.id:
        about.insert(0, f"radiograph {row.id}")
    words = ", ".join(about)
    yield (
        f"<header><h1>Bone age: {escape(page.title)}</h1>"
        f"<p>{escape(words[0].upper() + words[1:])}. Made on {page.made.isoformat()} by "
        f"boneage {escape(__version__)}.</p>"
        f'<p class="notice" role="note"><strong>{escape(RESEARCH_ONLY)}</strong> '
        f"{escape(NO_DECISION)}</p></header>"
    )
    yield "<main>"
    yield _result(page)
    chart = _chart(page)
    limits = definitions_html(limits_of(page.main, page.norm), "small")
    if len(page.visits) > 1:
        beside = f"<div>{_visits(page)}{limits}</div>"
        yield section_html("Visits", '<div class="pair">', chart, beside, "</div>")
    elif chart or limits:
        beside = f"<div>{limits}</div>" if limits else ""
        heading = "Growth references" if limits else "Bone age against age"
        yield section_html(
            heading, '<div class="pair">' if chart else "<div>", chart, beside, "</div>"
        )
    yield section_html("The model", definitions_html(model_facts(page.card), "small"))
    yield "</main>"


def _result(page: ChildPage) -> str:
    row = page.main.row
    months, sure = row.bone_age_months, ""
    if months is None:
        found = [
            '<p class="age"><strong>No bone age</strong></p>',
            f"<p><strong>{escape(row.status.capitalize())}:</strong> {escape(row.message)}</p>",
        ]
    else:
        found = [
            f'<p class="age"><strong>{escape(years_and_months(months))}</strong> '
            f"({months:.1f} months)</p>",
            definitions_html(facts_of(page.main, page.level)),
        ]
        if row.message:
            warning = f"<strong>Warning:</strong> {escape(row.message)}"
            found.append(f'<p class="warning">{warning}</p>')
        sure = f'<div class="sure"><h3>How sure</h3>{_list(how_sure(page.main, page.card))}</div>'
    return "\n".join(
        [
            f'<section class="result{" wide" if page.overlay else ""}">',
            "<h2>Result</h2>",
            '<div class="pictures">',
            *_pictures(page),
            "</div>",
            "<div>",
            *found,
            "</div>",
            sure,
            "</section>",
        ]
    )


def _pictures(page: ChildPage) -> Iterator[str]:
    row = page.main.row
    if page.radiograph_uri is None:
        yield "<p>The radiograph cannot be shown.</p>"
    else:
        alt = f"Radiograph {row.id}, as in the file"
        yield figure_html(page.radiograph_uri, alt, "As in the file, reduced. Not for reading.")
    if page.overlay is not None:
        alt = f"Radiograph {row.id} with the places that moved the bone age in colour"
        yield figure_html(page.overlay.uri, alt, OVERLAY_CAPTION, below=_scale(page.overlay))


def _scale(overlay: Overlay) -> str:
    """The colours with their months."""
    limit = f"{overlay.limit_months:g}"
    colours = [f"#{red:02x}{green:02x}{blue:02x}" for blue, green, red in scale_colours().tolist()]
    return (
        f'<div class="scale"><span>−{limit}</span><span class="bar" style="background: '
        f'linear-gradient(to right, {", ".join(colours)})"></span>'
        f"<span>+{limit}</span></div>"
    )


def _chart(page: ChildPage) -> str:
    points = [
        ChartPoint(
            visit.facts.age_months,
            visit.row.bone_age_months,
            visit.row.lower_months,
            visit.row.upper_months,
        )
        for visit in page.visits
        if visit.facts.age_months is not None and visit.row.bone_age_months is not None
    ]
    sex = page.main.row.sex
    if not points or sex is None:
        return ""
    caption = f"Grey: within 1 and 2 SD of the chronological age, {page.norm.capitalize()} ({sex})."
    if page.level is not None:
        caption += f" Bars: {percent(page.level)} intervals."
    return (
        f"<figure>{growth_chart_svg(points, Sex(sex), page.norm)}"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _visits(page: ChildPage) -> str:
    rows = []
    for visit in page.visits:
        row, score = visit.row, visit.score
        answer = [row.status, "", ""]
        if row.bone_age_months is not None:
            limits = visit.interval_months
            answer = [
                f"{row.bone_age_months:.1f}",
                "" if limits is None else interval_text(limits),
                "none" if score is None else signed(score.score),
            ]
        rows.append((row.id, f"{visit.facts.age_months:.1f}", *answer))
    table = table_html(
        "Months, by chronological age",
        ("Radiograph", "Age", "Bone age", "Interval", "SD score"),
        rows,
    )
    notes = [f"{visit.row.id}: {visit.row.message}" for visit in page.visits if visit.row.message]
    notes += [f"{visit.row.id}: {visit.score_note}" for visit in page.visits if visit.score_note]
    return f"{table}{_list(notes)}"


def _list(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""

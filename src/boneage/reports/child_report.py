"""The report on one child: from the rows of its radiographs to a single HTML file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from boneage.errors import NoInputError, RadiographError
from boneage.files import write_text
from boneage.growth.sds import Norm
from boneage.inference.card import Card
from boneage.inference.overlay import blend, scale_of, screen_grey
from boneage.inference.prediction import Prediction
from boneage.inference.rows import Row
from boneage.radiographs.radiograph import Radiograph
from boneage.radiographs.readers import read_radiograph
from boneage.reports.child import ChildVisit, assess
from boneage.reports.child_page import ChildPage, Overlay, child_page_html
from boneage.reports.child_request import Facts, ReportRequest
from boneage.reports.pages import jpeg_uri

__all__ = ["child_report_html", "write_child_report"]

_LONGEST_PX = 800  # 82 mm in print at 250 dots per inch


def write_child_report(
    request: ReportRequest,
    rows: Sequence[Row],
    card: Card,
    *,
    level: float | None,
    answers: Sequence[Prediction | None] = (),
) -> Path:
    """Write the report.

    The latest radiograph that has a bone age is shown large; if none has one, the latest with the
    reason.

    Args:
        request: What was asked for.
        rows: A row for each radiograph of the child, one or more.
        card: Card of the model that made them.
        level: Level of their intervals; None if the model has none.
        answers: The prediction behind each row, or None, for the heat map of the radiograph that
            is shown large; empty for the radiograph alone.

    Returns:
        Path of the page.

    Raises:
        NoInputError: There is no row.
        OutputError: The page cannot be written.
    """
    if not rows:
        raise NoInputError("A report needs one radiograph or more.")
    visits = [assess(row, request.facts.get(row.id, Facts()), request.norm, level) for row in rows]
    visits.sort(key=lambda visit: visit.facts.age_months or 0.0)
    main = next((visit for visit in reversed(visits) if visit.row.status == "ok"), visits[-1])
    answer = dict(zip((row.path for row in rows), answers, strict=False)).get(main.row.path)
    html = child_report_html(
        request.title,
        visits,
        main,
        request.norm,
        card,
        level=level,
        radiograph=_radiograph(main.row),
        answer=answer,
    )
    write_text(request.path, html)
    return request.path


def child_report_html(
    title: str,
    visits: Sequence[ChildVisit],
    main: ChildVisit,
    norm: Norm,
    card: Card,
    *,
    level: float | None,
    radiograph: Radiograph | None = None,
    answer: Prediction | None = None,
) -> str:
    """Make the report of radiographs that have been read.

    Args:
        title: Whom it is about.
        visits: The visits by chronological age, one or more.
        main: The visit that is shown large.
        norm: Whose spread counts as normal.
        card: Card of the model.
        level: Level of the intervals; None if the model has none.
        radiograph: The radiograph of the main visit; None if it cannot be shown.
        answer: Its prediction, for the heat map; None for the radiograph alone.

    Returns:
        The whole page, self-contained.
    """
    radiograph_uri, overlay = _pictures(radiograph, answer)
    page = ChildPage(
        title=title,
        visits=visits,
        main=main,
        norm=norm,
        card=card,
        level=level,
        made=datetime.now(UTC).date(),
        radiograph_uri=radiograph_uri,
        overlay=overlay,
    )
    # A file name that is no valid text (it comes as lone surrogates) must not stop the page.
    return child_page_html(page).encode("utf-8", errors="replace").decode("utf-8")


def _radiograph(row: Row) -> Radiograph | None:
    """The radiograph as it is in the file; None if it cannot be read, and its row says why."""
    if row.status == "failed":
        return None
    try:
        return read_radiograph(row.path)
    except RadiographError:
        return None


def _pictures(
    radiograph: Radiograph | None, answer: Prediction | None
) -> tuple[str | None, Overlay | None]:
    """The radiograph, and what moved its bone age, as far as there is any."""
    if radiograph is None:
        return None, None
    uri = jpeg_uri(screen_grey(radiograph.pixels), _LONGEST_PX)
    if answer is None or answer.heat_map is None:
        return uri, None
    limit = scale_of(answer.heat_map.values_months)
    picture = blend(radiograph, answer.heat_map, limit)
    return uri, Overlay(jpeg_uri(picture, _LONGEST_PX), limit)

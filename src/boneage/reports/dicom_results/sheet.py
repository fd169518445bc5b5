"""The report sheet: one picture with the radiograph, what moved the estimate, and the figures.

It says what the page on a child says, in the same words, and holds nothing that names the child.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from boneage import __version__
from boneage.inference.heatmap import HeatMap
from boneage.radiographs.radiograph import Radiograph
from boneage.reports.child import ChildVisit
from boneage.reports.child_words import (
    NO_DECISION,
    RESEARCH_ONLY,
    facts_of,
    how_sure,
    limits_of,
    model_facts,
)
from boneage.reports.dicom_results.canvas import TextStyle, draw_text, height_px, wrapped
from boneage.reports.dicom_results.identity import Outcome
from boneage.reports.dicom_results.panels import panels
from boneage.reports.words import years_and_months

__all__ = ["draw_sheet"]

_WIDTH = 1600
_MARGIN = 48
_GAP = 32
_INK, _MUTED, _AMBER = (236, 236, 236), (168, 168, 168), (255, 196, 77)
_HUGE = TextStyle(54, _INK, 600)
_HEADING = TextStyle(26, _INK, 600)
_BODY = TextStyle(24, _INK)
_NAME = TextStyle(20, _MUTED)
_NOTICE = TextStyle(26, _AMBER, 600)
_WARNING = TextStyle(24, _AMBER)
_SPACE: "Block" = ([""], TextStyle(12, _MUTED))

Picture = NDArray[np.uint8]
Block = tuple[list[str], TextStyle]


def draw_sheet(
    outcome: Outcome,
    visit: ChildVisit,
    radiograph: Radiograph | None,
    heat_map: HeatMap | None = None,
    *,
    hidden: str = "",
) -> Picture:
    """Draw the sheet.

    Args:
        outcome: The answer.
        visit: The same on the growth references.
        radiograph: The radiograph; None to leave it out.
        heat_map: What moved the estimate; None if the model does not say.
        hidden: Why the radiograph is left out.

    Returns:
        Shape (rows, 1600, 3), uint8, red first, on black, as a white sheet blinds in a reading
        room. The height grows with what is to be said.
    """
    pictures = [] if radiograph is None else panels(radiograph, heat_map)
    left = _MARGIN + sum(picture.shape[1] + _GAP for picture in pictures)
    full = _WIDTH - 2 * _MARGIN
    notice = [(wrapped(f"{RESEARCH_ONLY} {NO_DECISION}", _NOTICE, full), _NOTICE)]
    beside = list(_result(outcome, visit, hidden, _WIDTH - _MARGIN - left))
    below = list(_background(outcome, visit, full))
    top = _MARGIN + _height(notice) + _GAP // 2
    middle = max([_height(beside), *(picture.shape[0] for picture in pictures)])
    height = top + middle + _GAP + _height(below) + _MARGIN
    sheet = np.zeros((height, _WIDTH, 3), np.uint8)
    _draw(sheet, notice, _MARGIN, _MARGIN)
    place = _MARGIN
    for picture in pictures:
        rows, columns = picture.shape[:2]
        sheet[top : top + rows, place : place + columns] = picture
        place += columns + _GAP
    _draw(sheet, beside, left, top)
    _draw(sheet, below, _MARGIN, top + middle + _GAP)
    return sheet


def _result(outcome: Outcome, visit: ChildVisit, hidden: str, width: int) -> Iterator[Block]:
    """The figures, beside the pictures."""
    row = visit.row
    if row.bone_age_months is None:
        yield wrapped("No bone age", _HUGE, width), _HUGE
        yield wrapped(f"{row.status.capitalize()}: {row.message}", _WARNING, width), _WARNING
    else:
        yield wrapped("Bone age", _NAME, width), _NAME
        yield wrapped(years_and_months(row.bone_age_months), _HUGE, width), _HUGE
        months = f"{row.bone_age_months:.1f} months, {row.sex}"
        yield wrapped(months, _HEADING, width), _HEADING
        yield _SPACE
        for name, value in facts_of(visit, outcome.level):
            yield wrapped(name, _NAME, width), _NAME
            yield wrapped(value, _BODY, width), _BODY
        if row.message:
            yield _SPACE
            yield wrapped(f"Warning: {row.message}", _WARNING, width), _WARNING
    if hidden:
        yield _SPACE
        yield wrapped(hidden, _NAME, width), _NAME


def _background(outcome: Outcome, visit: ChildVisit, width: int) -> Iterator[Block]:
    """How sure, and what the model is, below."""
    if visit.row.bone_age_months is not None:
        yield ["How sure"], _HEADING
        for sentence in how_sure(visit, outcome.card):
            yield wrapped(sentence, _BODY, width), _BODY
        yield _SPACE
    limits = list(limits_of(visit, outcome.norm))
    if limits:
        yield ["Growth references"], _HEADING
        yield from _named(limits, width)
        yield _SPACE
    yield ["The model"], _HEADING
    yield from _named([("Software", f"boneage {__version__}"), *model_facts(outcome.card)], width)


def _named(pairs: Iterable[tuple[str, str]], width: int) -> Iterator[Block]:
    for name, value in pairs:
        yield wrapped(f"{name}: {value}", _NAME, width), _NAME


def _height(blocks: list[Block]) -> int:
    return sum(height_px(lines, style) for lines, style in blocks)


def _draw(sheet: Picture, blocks: list[Block], left: int, top: int) -> None:
    for lines, style in blocks:
        top = draw_text(sheet, lines, left, top, style)

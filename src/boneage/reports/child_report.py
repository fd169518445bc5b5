"""The report on one child: from the rows of its radiographs to a single HTML file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.errors import NoInputError, RadiographError, SettingsError
from boneage.files import write_text
from boneage.inference.card import Card
from boneage.inference.rows import Row
from boneage.radiographs.readers import read_radiograph
from boneage.reports.child import assess
from boneage.reports.child_page import ChildPage, child_page_html
from boneage.reports.child_request import Facts, ReportRequest
from boneage.reports.pages import jpeg_uri

__all__ = ["write_child_report"]

_LONGEST_PX = 800  # 82 mm in print at 250 dots per inch
_DARKEST, _BRIGHTEST = 0.5, 99.5


def write_child_report(
    request: ReportRequest,
    rows: Sequence[Row],
    card: Card,
    *,
    level: float | None,
    overlay_png: bytes | None = None,
) -> Path:
    """Write the report.

    The latest radiograph that has a bone age is shown large; if none has one, the latest with the
    reason.

    Args:
        request: What was asked for.
        rows: A row for each radiograph of the child, one or more.
        card: Card of the model that made them.
        level: Level of their intervals; None if the model has none.
        overlay_png: The radiograph that is shown large with what decided its bone age in colour,
            as the content of a PNG file; None for the radiograph alone.

    Returns:
        Path of the page.

    Raises:
        NoInputError: There is no row.
        SettingsError: ``overlay_png`` is no image.
        OutputError: The page cannot be written.
    """
    if not rows:
        raise NoInputError("A report needs one radiograph or more.")
    visits = [assess(row, request.facts.get(row.id, Facts()), request.norm, level) for row in rows]
    visits.sort(key=lambda visit: visit.facts.age_months or 0.0)
    main = next((visit for visit in reversed(visits) if visit.row.status == "ok"), visits[-1])
    page = ChildPage(
        title=request.title,
        visits=visits,
        main=main,
        norm=request.norm,
        card=card,
        level=level,
        made=datetime.now(UTC).date(),
        radiograph_uri=_radiograph_uri(main.row),
        overlay_uri=None if overlay_png is None else _overlay_uri(overlay_png),
    )
    # A file name that is no valid text (it comes as lone surrogates) must not stop the page.
    html = child_page_html(page).encode("utf-8", errors="replace").decode("utf-8")
    write_text(request.path, html)
    return request.path


def _radiograph_uri(row: Row) -> str | None:
    """The radiograph as it is in the file; None if it cannot be read, which its row then says."""
    if row.status == "failed":
        return None
    try:
        pixels = read_radiograph(row.path).pixels
    except RadiographError:
        return None
    return jpeg_uri(_grey(pixels), _LONGEST_PX)


def _grey(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values for a screen; those of more than 8 bits are windowed as viewers do it."""
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.uint8)
    finite = np.nan_to_num(pixels.astype(np.float32))
    dark, bright = np.percentile(finite, [_DARKEST, _BRIGHTEST])
    scaled = (finite - dark) * (255.0 / max(float(bright - dark), 1e-6))
    return np.asarray(np.clip(scaled, 0, 255), dtype=np.uint8)


def _overlay_uri(png: bytes) -> str:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise SettingsError("overlay_png is no image.")
    return jpeg_uri(np.asarray(image, dtype=np.uint8), _LONGEST_PX)

"""What people fill in on the pages, read into jobs: every mistake is said in their words."""

import json
import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from boneage.apps.web.forming import jobs_of_form, wrong_field
from boneage.apps.web.jobs import Facts, Job, Wants
from boneage.apps.web.uploads import Form
from boneage.errors import SettingsError
from boneage.growth.adult_height import require_height
from boneage.growth.references import require_age
from boneage.inference.rows import COLUMNS, Row
from boneage.radiographs.radiograph import Sex

__all__ = ["jobs_of", "rows_of"]

_MOST_ROWS = 10_000


def jobs_of(form: Form, wants: Wants, *, again: bool = False) -> list[Job]:
    """A job for each file of a form; what is said of the child holds for all of them.

    Args:
        form: Fields ``sex``, ``age_years`` with ``age_more_months``, or ``birth_date`` with
            ``taken_date`` (ISO 8601 dates), and ``height_cm``; all may be empty. ``age_source`` is
            ``file`` if the age is what the header of the file says.
        wants: What the answers are to hold.
        again: They are asked for once more, for a picture or a report.

    Returns:
        The jobs in order, one or more.

    Raises:
        ProblemError: 422 with what is wrong.
    """
    fields = form.fields
    source = fields.get("age_source", "")
    if source not in ("", "file"):
        raise wrong_field("age_source", "The source of the age must be file or nothing.")
    said = Job(
        sex=_sex(fields),
        facts=Facts(_age_months(fields), _height(fields)),
        age_from_file=source == "file",
        birth_date=_day(fields, "birth_date"),
        taken=_day(fields, "taken_date"),
        wants=wants,
        again=again,
    )
    return jobs_of_form(form, said)


def rows_of(text: str) -> list[Row]:
    """The rows of a table that a page sends back, as :meth:`Row.values` wrote them.

    Raises:
        ProblemError: 422: they are no such rows.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, list) or len(values) > _MOST_ROWS:
            raise ValueError
        return [_row(item) for item in values]
    except (ValueError, TypeError, KeyError, SettingsError, RecursionError) as error:
        raise wrong_field("rows", "These are no rows of a table.") from error


def _row(values: Mapping[str, Any]) -> Row:
    json.dumps(values, ensure_ascii=False).encode()  # a lone surrogate fits into no file
    cells = {name: "" if values[name] is None else str(values[name]) for name in COLUMNS}
    row = Row.from_cells(cells)
    if row.sex is not None:
        Sex(row.sex)
    numbers = (row.bone_age_months, row.lower_months, row.upper_months)
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise ValueError
    return row


def _sex(fields: Mapping[str, str]) -> Sex | None:
    word = fields.get("sex", "")
    if word not in ("", *Sex):
        raise wrong_field("sex", "The sex must be female or male.")
    return Sex(word) if word else None


def _age_months(fields: Mapping[str, str]) -> float | None:
    years, months = (
        _number(fields, "age_years", "years"),
        _number(fields, "age_more_months", "months"),
    )
    if years is None and months is None:
        return None
    age_months = 12 * (years or 0.0) + (months or 0.0)
    try:
        require_age(age_months, "The age")
    except SettingsError as error:
        raise wrong_field("age_years", str(error)) from error
    return age_months


def _height(fields: Mapping[str, str]) -> float | None:
    height_cm = _number(fields, "height_cm", "height")
    if height_cm is None:
        return None
    try:
        require_height(height_cm, "The height")
    except SettingsError as error:
        raise wrong_field("height_cm", str(error)) from error
    return height_cm


def _number(fields: Mapping[str, str], name: str, spoken: str) -> float | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError as error:
        raise wrong_field(name, f"The {spoken} must be a number.") from error
    if not math.isfinite(number) or number < 0:
        raise wrong_field(name, f"The {spoken} must be a number of 0 or more.")
    return number


def _day(fields: Mapping[str, str], name: str) -> date | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise wrong_field(name, "A date must be written as 2017-05-31.") from error

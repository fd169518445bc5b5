"""Visits: whose radiograph it is, the age when it was taken and the height, from a label table.

These columns stand beside those of :mod:`boneage.dataset.labels`, and any of them may be missing.
"""

import math
import os
from collections.abc import Collection
from dataclasses import dataclass

from boneage.dataset.tables import ID_KEYS, NOTHING, Table, clean_id, read_table
from boneage.errors import LabelsError

__all__ = ["Visit", "read_visits"]

_CHILD_KEYS = frozenset({"child", "childid", "patient", "patientid"})
# No plain "age": a column of that name may hold years.
_AGE_KEYS = frozenset({"agemonths", "ageinmonths", "chronologicalage", "chronologicalagemonths"})
_HEIGHT_KEYS = frozenset({"heightcm", "heightincm"})


@dataclass(frozen=True)
class Visit:
    """What a table says of the visit on which one radiograph was taken.

    Attributes:
        id: Id of the radiograph.
        child: Who it is; empty if the table does not say.
        age_months: Chronological age in months, any finite number; None if the table does not say.
        height_cm: Height in cm, any finite number; None likewise.
        where: The table and the line, for messages.
    """

    id: str
    child: str
    age_months: float | None
    height_cm: float | None
    where: str


def read_visits(path: str | os.PathLike[str], ids: Collection[str]) -> dict[str, Visit]:
    """Read the visits of some radiographs; other lines of the table do not matter.

    Columns, in any order and case: the id as in a label table; ``child`` or ``patient``;
    ``age_months`` or ``chronological_age``, in months; ``height_cm``.

    Args:
        path: The table.
        ids: Ids of the radiographs.

    Returns:
        The visits by id, as far as the table has them.

    Raises:
        LabelsError: The file cannot be read, has a column twice, gives one id two visits, or holds
            a word where a number belongs.
    """
    table = read_table(path)
    id_column = table.find(ID_KEYS)
    if id_column is None:
        raise LabelsError(f"{table.path} lacks an id ('id', 'Case ID' or 'Image ID').")
    child = table.find(_CHILD_KEYS)
    age, height = table.find(_AGE_KEYS), table.find(_HEIGHT_KEYS)
    wanted = {clean_id(name): name for name in ids}
    visits: dict[str, Visit] = {}
    for (line, cells), row_id in zip(table.rows, table.ids(id_column), strict=True):
        name = wanted.get(row_id)
        if name is None:
            continue
        where = f"{table.path}, line {line}"
        visit = Visit(
            id=name,
            child="" if child is None else clean_id(cells[child]),
            age_months=_number(table, cells, age, where),
            height_cm=_number(table, cells, height, where),
            where=where,
        )
        earlier = visits.setdefault(name, visit)
        if _facts(earlier) != _facts(visit):
            raise LabelsError(
                f"{where}, says something else about {name} than {earlier.where}. Keep the right "
                "line and remove the other."
            )
    return visits


def _number(table: Table, cells: tuple[str, ...], column: int | None, where: str) -> float | None:
    if column is None or cells[column].lower() in NOTHING:
        return None
    text = cells[column]
    try:
        number = float(text.replace(",", ".") if table.delimiter != "," else text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise LabelsError(f"{where}: {table.header[column]} is {text!r}, not a number.")
    return number


def _facts(visit: Visit) -> tuple[str, float | None, float | None]:
    return visit.child, visit.age_months, visit.height_cm

"""Label tables: id, bone age and sex, under the column names that are in use.

What an id is, is said in :mod:`boneage.dataset.tables`.

A value that is missing or impossible costs its own row, which is listed among the discards. Two
different labels for one id are an error, because no one but the table's owner knows which is right.
"""

import math
import os
from dataclasses import dataclass, field
from pathlib import Path

from boneage.dataset.records import MAX_BONE_AGE_MONTHS, Discard, Reason
from boneage.dataset.tables import (
    ID_KEYS,
    NOTHING,
    Table,
    clean_id,
    column_key,
    read_header,
    read_table,
)
from boneage.errors import InputError, LabelsError
from boneage.radiographs.radiograph import Sex

__all__ = ["LabelRow", "LabelTable", "is_label_table", "read_labels"]

# RSNA 2017: training `id,boneage,male`, validation `Image ID,male,Bone Age (months)`, test
# `Case ID,Sex`.
_AGE_KEYS = frozenset({"boneage", "boneagemonths", "boneageinmonths"})
_MALE_KEYS = frozenset({"male"})
_SEX_KEYS = frozenset({"sex", "gender"})

# "f" and "m" mean the same whether they abbreviate False and (is) male, or female and male.
_MALE_WORDS = {
    "true": True, "t": True, "1": True, "1.0": True, "yes": True, "y": True,
    "false": False, "0": False, "0.0": False, "no": False, "n": False,
}  # fmt: skip
_SHOWN_CONFLICTS = 3


@dataclass(frozen=True)
class LabelRow:
    """One usable line of a label table.

    Attributes:
        id: Id of the radiograph.
        sex: Sex of the child.
        bone_age_months: Bone age, above 0 and up to 240 months; None if it was not asked for.
        line: Number of the line in the file, from 1.
    """

    id: str
    sex: Sex
    bone_age_months: float | None
    line: int


@dataclass(frozen=True)
class LabelTable:
    """A label table that does not contradict itself.

    Attributes:
        path: Where it was read.
        rows: Usable lines in the table's order; no id comes twice.
        discarded: Lines that were left out, with the reason.
    """

    path: Path
    rows: tuple[LabelRow, ...]
    discarded: tuple[Discard, ...] = ()
    _by_id: dict[str, LabelRow] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {row.id: row for row in self.rows})

    def __len__(self) -> int:
        return len(self.rows)

    def get(self, id: str) -> LabelRow | None:  # noqa: A002
        """The label of one radiograph, or None if the table has none."""
        return self._by_id.get(clean_id(id))

    def sex_of(self, id: str) -> Sex | None:  # noqa: A002
        """Sex of the child on one radiograph, or None if the table does not say."""
        row = self.get(id)
        return row.sex if row else None


@dataclass(frozen=True)
class _Columns:
    """Positions of the columns that matter."""

    id: int
    sex: int
    sex_is_male_flag: bool
    age: int | None


def is_label_table(path: Path) -> bool:
    """Whether a file's header has an id, a bone age and a sex; reads only the beginning."""
    keys = {column_key(name) for name in read_header(path)}
    return all(keys & role for role in (ID_KEYS, _AGE_KEYS, _MALE_KEYS | _SEX_KEYS))


def read_labels(path: str | os.PathLike[str], *, need_bone_age: bool = True) -> LabelTable:
    """Read a label table (CSV, semicolon or tab separated).

    Columns, in any order and case: the id as ``id``, ``Case ID`` or ``Image ID``; the bone age in
    months as ``boneage`` or ``Bone Age (months)``; the sex as ``male`` (True/False, 1/0, yes/no)
    or ``sex`` or ``gender`` (F/M, female/male). Others are ignored.

    Args:
        path: The table.
        need_bone_age: Whether rows must have a bone age. If not, the column is not read at all.

    Returns:
        The usable rows, and those left out with the reason.

    Raises:
        LabelsError: The file cannot be read, lacks a column, or gives one id two labels.
    """
    table = read_table(path)
    columns = _find_columns(table, need_bone_age)
    ids = table.ids(columns.id)
    rows: dict[str, LabelRow] = {}
    discarded: list[Discard] = []
    conflicts: list[str] = []
    for (line, cells), row_id in zip(table.rows, ids, strict=True):
        row = _read_row(table, columns, line, cells, row_id)
        if isinstance(row, Discard):
            discarded.append(row)
            continue
        earlier = rows.setdefault(row.id, row)
        if earlier is row:
            continue
        if (earlier.sex, earlier.bone_age_months) == (row.sex, row.bone_age_months):
            detail = f"line {line} repeats line {earlier.line}"
            discarded.append(Discard(row.id, "", Reason.DUPLICATE_ID, detail))
        else:
            conflicts.append(f"{row.id}: {_words(earlier)}, but {_words(row)}")
    if conflicts:
        _refuse_conflicts(table.path, conflicts)
    return LabelTable(table.path, tuple(rows.values()), tuple(discarded))


def _find_columns(table: Table, need_bone_age: bool) -> _Columns:
    """Find the columns by their names."""
    id_column = table.find(ID_KEYS)
    sex_column = table.find(_MALE_KEYS | _SEX_KEYS)
    age_column = table.find(_AGE_KEYS) if need_bone_age else None
    missing = []
    if id_column is None:
        missing.append("an id ('id', 'Case ID' or 'Image ID')")
    if need_bone_age and age_column is None:
        missing.append("a bone age in months ('boneage' or 'Bone Age (months)')")
    if sex_column is None:
        missing.append("a sex ('male' with True/False, or 'sex' with F/M)")
    if id_column is None or sex_column is None or missing:
        found = ", ".join(repr(name) for name in table.header)
        raise LabelsError(
            f"{table.path} lacks {' and '.join(missing)}. Its columns are {found}: "
            "rename or add what is missing."
        )
    is_flag = column_key(table.header[sex_column]) in _MALE_KEYS
    return _Columns(id_column, sex_column, is_flag, age_column)


def _read_row(
    table: Table, columns: _Columns, line: int, cells: tuple[str, ...], row_id: str
) -> LabelRow | Discard:
    """Read one line: a usable row, or the reason why it is none."""
    if not row_id:
        return Discard("", "", Reason.MISSING_ID, f"line {line}")
    sex_text = cells[columns.sex]
    if sex_text.lower() in NOTHING:
        return Discard(row_id, "", Reason.MISSING_SEX, f"line {line}")
    sex = _parse_sex(sex_text, is_flag=columns.sex_is_male_flag)
    if sex is None:
        name = table.header[columns.sex]
        return Discard(row_id, "", Reason.UNKNOWN_SEX, f"line {line}: {name} is {sex_text!r}")
    if columns.age is None:
        return LabelRow(row_id, sex, None, line)
    age_text = cells[columns.age]
    if age_text.lower() in NOTHING:
        return Discard(row_id, "", Reason.MISSING_AGE, f"line {line}")
    age = _parse_age(age_text, decimal_comma=table.delimiter != ",")
    if age is None:
        detail = (
            f"line {line}: {age_text!r} is not a number of months above 0 and up to "
            f"{MAX_BONE_AGE_MONTHS:g}"
        )
        return Discard(row_id, "", Reason.IMPOSSIBLE_AGE, detail)
    return LabelRow(row_id, sex, age, line)


def _parse_sex(text: str, *, is_flag: bool) -> Sex | None:
    """Read a sex from a ``male`` column (``is_flag``) or from a word."""
    if is_flag and (male := _MALE_WORDS.get(text.lower())) is not None:
        return Sex.MALE if male else Sex.FEMALE
    try:
        return Sex.parse(text)
    except InputError:
        return None


def _parse_age(text: str, *, decimal_comma: bool) -> float | None:
    """Read a bone age in months; None if it is no possible one.

    Zero is refused: databases write it for "not known", and a newborn whose bone age is exactly 0
    is the rarer case. The row is listed, so its owner can see it.
    """
    try:
        age = float(text.replace(",", ".") if decimal_comma else text)
    except ValueError:
        return None
    return age if math.isfinite(age) and 0 < age <= MAX_BONE_AGE_MONTHS else None


def _words(row: LabelRow) -> str:
    """A row's label for a message."""
    age = "" if row.bone_age_months is None else f"{row.bone_age_months:g} months, "
    return f"{age}{row.sex} (line {row.line})"


def _refuse_conflicts(path: Path, conflicts: list[str]) -> None:
    """Raise for ids with two different labels."""
    more = len(conflicts) - _SHOWN_CONFLICTS
    tail = f"; and {more:,} more" if more > 0 else ""
    raise LabelsError(
        f"{path} gives two different labels for one id. {'; '.join(conflicts[:_SHOWN_CONFLICTS])}"
        f"{tail}. Keep the right line of each and remove the other."
    )

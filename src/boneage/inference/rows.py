r"""The table that ``boneage predict`` writes: one row for each input, as CSV or JSON.

CSV is UTF-8 with a header and ``\n`` line ends; a field without a value is empty. JSON is a list
of objects with the same names, where null stands for no value. Months have one decimal.
"""

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from boneage.errors import SettingsError
from boneage.files import atomic_path

__all__ = [
    "COLUMNS",
    "TABLE_SUFFIXES",
    "Row",
    "Status",
    "check_table_path",
    "csv_bytes",
    "csv_rows",
    "json_rows",
    "open_table",
    "read_rows",
]

COLUMNS = (
    "path",
    "id",
    "status",
    "sex",
    "bone_age_months",
    "lower_months",
    "upper_months",
    "message",
)
"""Names and order of the columns. Scripts rely on both."""

TABLE_SUFFIXES = (".csv", ".json")

Status = Literal["ok", "refused", "failed"]


@dataclass(frozen=True)
class Row:
    """The answer to one input.

    Attributes:
        path: The file, as it was named or found.
        id: The name of the file without its suffix.
        status: ``ok``; ``refused`` if it is readable but no bone age should be put on it;
            ``failed`` if it cannot be read.
        sex: ``female`` or ``male``, or None if not known.
        bone_age_months: The estimate, 0 or more; None unless ``ok``.
        lower_months: Lower end of the interval; None unless ``ok`` and the model has an interval.
        upper_months: Upper end of the interval; None likewise.
        message: What went wrong, or what a reader should know. Empty if all is well.
    """

    path: str
    id: str
    status: Status
    sex: str | None = None
    bone_age_months: float | None = None
    lower_months: float | None = None
    upper_months: float | None = None
    message: str = ""

    def __post_init__(self) -> None:
        if (self.bone_age_months is not None) != (self.status == "ok"):
            raise SettingsError(f"{self.path}: a bone age belongs to status ok, and only to it.")

    def values(self) -> dict[str, Any]:
        """The row by column, months rounded to one decimal."""
        values = {name: getattr(self, name) for name in COLUMNS}
        for name, value in values.items():
            if isinstance(value, float):
                values[name] = round(value, 1)
        return values

    @classmethod
    def from_cells(cls, cells: Mapping[str, str]) -> "Row":
        """The row whose CSV form has these cells by column; months have the decimal they got.

        Raises:
            KeyError: A column is missing.
            ValueError: A month is no number, or the status is unknown.
            SettingsError: The status and the bone age contradict each other.
        """
        if cells["status"] not in ("ok", "refused", "failed"):
            raise ValueError(f"{cells['status']!r} is no status")
        texts = {name: cells[name] for name in COLUMNS}
        months = {
            name: float(text) if text else None
            for name, text in texts.items()
            if name.endswith("_months")
        }
        values: dict[str, Any] = {**texts, **months, "sex": texts["sex"] or None}
        return cls(**values)


def check_table_path(
    path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None
) -> None:
    """Refuse a place for the table before any work is done.

    Args:
        path: Where the table is to be written.
        labels: The label table, which is not to be replaced.

    Raises:
        SettingsError: The suffix is not ``.csv`` or ``.json``, or it is the label table's place.
    """
    if Path(path).suffix.lower() not in TABLE_SUFFIXES:
        raise SettingsError(f"--out {os.fspath(path)}: the name must end in .csv or .json.")
    if labels is not None and os.path.realpath(path) == os.path.realpath(labels):
        raise SettingsError(f"--out {os.fspath(path)} would replace the label table: rename it.")


def csv_rows(stream: TextIO) -> Callable[[Row], None]:
    """Write the header of the CSV form and return what writes a row."""

    def write_line(values: Iterable[Any]) -> None:
        # The writer quotes what its line end consists of, and a lone "\r" in a file name needs
        # quotes as well; so it ends lines with both, and one is taken off again.
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow(values)
        stream.write(line.getvalue().removesuffix("\r\n") + "\n")

    write_line(COLUMNS)
    return lambda row: write_line("" if value is None else value for value in row.values().values())


def csv_bytes(rows: Iterable[Row]) -> bytes:
    """The whole table in its CSV form, as a file holds it."""
    stream = io.StringIO()
    write = csv_rows(stream)
    for row in rows:
        write(row)
    return stream.getvalue().encode("utf-8", "surrogateescape")


@contextlib.contextmanager
def json_rows(stream: TextIO) -> Iterator[Callable[[Row], None]]:
    """Write the JSON form; it is whole when the block ends.

    Yields:
        What writes a row.
    """
    separator = "[\n"

    def write(row: Row) -> None:
        nonlocal separator
        stream.write(separator + json.dumps(row.values(), ensure_ascii=False))
        separator = ",\n"

    yield write
    stream.write("\n]\n" if separator == ",\n" else "[]\n")


@contextlib.contextmanager
def open_table(path: str | os.PathLike[str]) -> Iterator[Callable[[Row], None]]:
    """Write a table row by row; it appears at ``path`` when the block ends without an error.

    Args:
        path: Where to write. The suffix decides: ``.csv`` or ``.json``.

    Yields:
        What writes a row.

    Raises:
        SettingsError: The suffix is another.
        OutputError: The system refused to write.
    """
    check_table_path(path)
    suffix = Path(path).suffix.lower()
    # File names may hold bytes that are no UTF-8. The CSV gets them back as they are; in JSON the
    # escape \\udcXX is what Python's json and others read back as the same name.
    errors = "surrogateescape" if suffix == ".csv" else "backslashreplace"
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors=errors, newline="") as stream,
    ):
        if suffix == ".csv":
            yield csv_rows(stream)
        else:
            with json_rows(stream) as write:
                yield write


def read_rows(path: str | os.PathLike[str]) -> Iterator[Row]:
    """Read a table in its CSV form, a row at a time.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no such table.
    """
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{os.fspath(path)} has other columns than {', '.join(COLUMNS)}")
        try:
            for cells in reader:
                yield Row.from_cells(cells)
        except (csv.Error, TypeError, SettingsError) as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from error

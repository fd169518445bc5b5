"""Delimited text as people send it: any separator, any of the usual encodings, blank lines.

Ids are strings and are compared as they stand, so ``007`` is not ``7``. Spaces around an id are
dropped. A column of whole numbers that a spreadsheet or data frame has turned into decimals
(``7.0``, ``12.0``, every one of them) is read as ``7``, ``12``; if only some ids end in ``.0``
they are taken literally.
"""

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boneage.errors import LabelsError

__all__ = [
    "ID_KEYS",
    "NOTHING",
    "Table",
    "clean_id",
    "column_key",
    "read_header",
    "read_table",
]

#: Names of the column of ids, as by :func:`column_key`.
ID_KEYS = frozenset({"id", "caseid", "imageid"})

#: What a cell without a value holds, in lower case.
NOTHING = frozenset({"", "nan", "none", "null", "na", "n/a"})

_WHOLE_DECIMAL = re.compile(r"(\d+)\.0+")
_DELIMITERS = (",", ";", "\t")
_HEAD_BYTES = 65_536


@dataclass(frozen=True)
class Table:
    """A table of text cells.

    Attributes:
        path: Where it was read.
        header: Names of the columns, trimmed.
        rows: Number of the line in the file (from 1) and its cells, trimmed, one a column.
        delimiter: What separates the cells: comma, semicolon or tab.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    delimiter: str

    def ids(self, column: int) -> list[str]:
        """Ids in one column, empty where a row has none."""
        ids = [clean_id(cells[column]) for _, cells in self.rows]
        if not all(_WHOLE_DECIMAL.fullmatch(value) for value in ids if value):
            return ids
        return [value.partition(".")[0] for value in ids]

    def find(self, keys: frozenset[str]) -> int | None:
        """Position of the one column whose name, by :func:`column_key`, is among ``keys``.

        Raises:
            LabelsError: There are several.
        """
        found = [at for at, name in enumerate(self.header) if column_key(name) in keys]
        if len(found) > 1:
            names = " and ".join(repr(self.header[at]) for at in found)
            raise LabelsError(
                f"{self.path} has the columns {names}, and only one of them can be meant: "
                "remove or rename the others."
            )
        return found[0] if found else None


def clean_id(text: str) -> str:
    """Bring an id to the form in which ids are compared.

    Ids are strings: ``007`` and ``7`` differ, and so do ``a`` and ``A``. Only what cannot be seen
    is evened out: spaces around, and the two ways in which Unicode writes an accented letter
    (file names on macOS use the one, spreadsheets the other).
    """
    return unicodedata.normalize("NFC", text.strip())


def column_key(name: str) -> str:
    """A column's name without what varies between sources: case, spaces, punctuation."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def read_header(path: Path) -> tuple[str, ...]:
    """Names of the columns of a table, reading only its beginning.

    Returns:
        The names; empty when the file cannot be read, or is no table.
    """
    try:
        with path.open("rb") as file:
            text = _decode(path, file.read(_HEAD_BYTES))
        return next((tuple(cells) for _, cells in _parse(path, text, _delimiter(text))), ())
    except (OSError, LabelsError):
        return ()


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a CSV or tab-separated file.

    UTF-8 and UTF-16 (with their marks) and, failing these, Latin-1 are understood; the separator
    is the one that splits the first line into most columns; blank lines are skipped.

    Raises:
        LabelsError: The file is missing, is no text table, or is empty.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise LabelsError(f"Cannot read the table {path}: {reason}. Check the path.") from error
    text = _decode(path, data)
    delimiter = _delimiter(text)
    lines = _parse(path, text, delimiter)
    header = next(lines, None)
    if header is None:
        raise LabelsError(f"{path} is empty: a table with a header line is needed.")
    width = len(header[1])
    rows = tuple((line, tuple((cells + [""] * width)[:width])) for line, cells in lines)
    return Table(path, tuple(header[1]), rows, delimiter)


def _decode(path: Path, data: bytes) -> str:
    """Text of a file's bytes."""
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise LabelsError(f"{path} is a workbook, not a text table: save it as CSV.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            # Latin-1 decodes anything. A truncated character at the end of a read-ahead lands
            # here too, which costs nothing: only the first line of a read-ahead is used.
            text = data.decode("latin-1").removeprefix("\xef\xbb\xbf")
    if "\x00" in text:
        raise LabelsError(f"{path} is not a text table: save it as CSV.")
    return text


def _delimiter(text: str) -> str:
    """The separator that splits the first line into most columns; the comma where none does."""
    first = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    return max(_DELIMITERS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))


def _parse(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and trimmed cells of every line that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            trimmed = [cell.strip() for cell in cells]
            if any(trimmed):
                yield reader.line_num, trimmed
    except csv.Error as error:
        raise LabelsError(
            f"{path}, line {reader.line_num}: {error}. Check the quotes on that line."
        ) from error

"""What the command line shows: a table on a terminal, plain CSV in a pipe, progress on stderr."""

import contextlib
import io
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO, TypeVar

from boneage.files import output_errors
from boneage.inference.rows import Row

__all__ = [
    "BulkProgress",
    "abandon_standard_output",
    "counted",
    "note",
    "show_rows",
    "standard_output",
    "with_progress",
]

T = TypeVar("T")


def note(text: str) -> None:
    """Say something beside the result: one line on standard error."""
    print(text, file=sys.stderr)


@contextlib.contextmanager
def standard_output() -> Iterator[TextIO]:
    """Standard output as UTF-8 with plain line ends, whatever the locale.

    Raises:
        OutputError: It cannot be written, as on a full disk.
        BrokenPipeError: The reader at the other end of the pipe has gone.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    broken: BrokenPipeError | None = None
    with output_errors("to standard output"):
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError as error:
            broken = error
    if broken is not None:
        raise broken


def abandon_standard_output() -> None:
    """Drop what could not be written, so that Python does not try again when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def with_progress(items: Iterable[T], count: int, what: str) -> Iterator[T]:
    """Pass items on and show how far it is, if standard error is a terminal.

    Args:
        items: What is worked through.
        count: How many there are.
        what: What is done, as ``Predicting``.

    Yields:
        The items.
    """
    if not sys.stderr.isatty() or count < 2:
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total=count, description=what)


class BulkProgress:
    """How far a run in parts is, if standard error is a terminal: count, rate, time left."""

    def __init__(self, count: int, statuses: Mapping[str, int]) -> None:
        """Begin with what an earlier run has finished.

        Args:
            count: How many inputs there are.
            statuses: How often which status came up to now.
        """
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeLeft())
        self._progress = Progress(
            *columns,
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._before = sum(statuses.values())
        self._start = time.monotonic()
        self._task = self._progress.add_task("starting", total=count, completed=self._before)

    def __enter__(self) -> "BulkProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, statuses: Mapping[str, int]) -> None:
        """Show that so many of each status have come."""
        done = sum(statuses.values())
        rate = (done - self._before) / (time.monotonic() - self._start)
        words = f"{rate:.1f} a second, {done - statuses['ok']:,} not ok"
        self._progress.update(self._task, completed=done, description=words)


def show_rows(rows: Sequence[Row]) -> None:
    """Show predictions as a table for reading."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    folder = _common_folder([row.path for row in rows])
    table = Table(
        header_style="bold", caption=counted([row.status for row in rows]), caption_justify="left"
    )
    if folder:
        table.title, table.title_justify = Text(f"in {folder}"), "left"
    table.add_column("file", overflow="fold")
    table.add_column("sex")
    table.add_column("bone age", justify="right")
    table.add_column("months", justify="right")
    table.add_column("interval, months", justify="right")
    table.add_column("message", overflow="fold")
    for row in rows:
        message = row.message if row.status == "ok" else f"{row.status}: {row.message}"
        # Text, not str: a file name may look like markup.
        name = os.path.relpath(row.path, folder) if folder else row.path
        cells = [name, row.sex or "", *_ages(row), message]
        table.add_row(*map(Text, cells), style="" if row.status == "ok" else "yellow")
    Console().print(table)


def _common_folder(paths: Sequence[str]) -> str:
    """The folder that all paths are in, so that it need not be shown again and again."""
    if len(paths) < 2 or len({os.path.isabs(path) for path in paths}) > 1:
        return ""
    return os.path.commonpath([os.path.dirname(path) for path in paths])


def _ages(row: Row) -> tuple[str, str, str]:
    """Bone age in years and months, in months, and its interval in months."""
    values = row.values()
    months, lower = values["bone_age_months"], values["lower_months"]
    if months is None:
        return "", "", ""
    years, rest = divmod(round(months), 12)
    interval = "" if lower is None else f"{lower} to {values['upper_months']}"
    return f"{years} y {rest} m", f"{months}", interval


def counted(statuses: Iterable[str] | Mapping[str, int]) -> str:
    """How often which status came, in a line: ``5 inputs: 3 ok, 2 failed``."""
    counts = Counter(statuses)
    plural = "input" if counts.total() == 1 else "inputs"
    parts = ", ".join(
        f"{counts[name]} {name}" for name in ("ok", "refused", "failed") if counts[name]
    )
    return f"{counts.total()} {plural}: {parts}"

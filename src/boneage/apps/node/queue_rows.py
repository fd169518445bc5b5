"""The rows of the queue: an SQLite database with what is known of each instance."""

import contextlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from boneage.errors import OutputError
from boneage.files import output_errors

__all__ = ["Arrival", "QueueRows", "written"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    begun INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0,
    since REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS by_state ON instances (state, due, number);
CREATE TABLE IF NOT EXISTS own (key TEXT PRIMARY KEY, since REAL NOT NULL);
CREATE TABLE IF NOT EXISTS secret (value BLOB NOT NULL);
"""


class Arrival(StrEnum):
    """What an instance that arrives is to the queue."""

    NEW = "new"
    KNOWN = "known"
    OTHER = "other"  # another content under a UID that is known
    OWN = "own"  # a result of this node that was sent back to it


class QueueRows:
    """The database of a queue. It is the caller's to let one thread at a time use it."""

    def __init__(self, path: Path) -> None:
        """Open the database, or make it.

        Args:
            path: Its file.
        """
        path.touch(mode=0o600)  # the log beside it gets the same mode
        self._rows = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._rows.execute("PRAGMA journal_mode=WAL")
        self._rows.execute("PRAGMA synchronous=FULL")
        self._rows.executescript(_SCHEMA)
        row = self.one("SELECT value FROM secret")
        if row is None:
            row = (secrets.token_bytes(32),)
            self.run("INSERT INTO secret VALUES (?)", *row)
        self._secret = bytes(row[0])

    def close(self) -> None:
        """Close the database."""
        self._rows.close()

    def all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row that a query gives."""
        return self._rows.execute(query, values).fetchall()

    def one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        """The first row that a query gives, if there is one."""
        row: tuple[Any, ...] | None = self._rows.execute(query, values).fetchone()
        return row

    def run(self, statement: str, *values: object) -> None:
        """Run a statement; when this returns it is on the disk, or part of the transaction."""
        self._rows.execute(statement, values)

    def change(self, key: str, what: str, *values: object) -> None:
        """Change the row of an instance."""
        self.run(f"UPDATE instances SET {what} WHERE key = ?", *values, key)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Make what runs in the block one transaction: all of it or nothing."""
        with self._rows:
            self.run("BEGIN")
            yield

    def known(self, key: str, digest: str) -> Arrival | None:
        """What an instance with this content is to the queue; None if it is new."""
        row = self.one("SELECT digest FROM instances WHERE key = ?", key)
        if row is not None:
            return Arrival.KNOWN if row[0] == digest else Arrival.OTHER
        return Arrival.OWN if self.one("SELECT 1 FROM own WHERE key = ?", key) else None

    def hashed(self, content: bytes) -> str:
        """The keyed hash by which a UID or a content is known here."""
        return hmac.digest(self._secret, content, "sha256").hex()


@contextlib.contextmanager
def written(folder: Path) -> Iterator[None]:
    """Turn what the disk or the database refuses into an ``OutputError``.

    Raises:
        OutputError: The message names the folder of the queue.
    """
    try:
        with output_errors(folder):
            yield
    except sqlite3.Error as error:
        raise OutputError(f"Cannot write the queue {folder}: {error}.") from error

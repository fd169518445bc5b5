"""The queue on disk: what was received, what is answered, what is sent.

States are rows of an SQLite database, pixels are files beside it. Files and renames alone would do
for the states, too; but a state has numbers to it (how often begun, when to try again), which would
have to go into names, and the many small renames of a thousand instances in a folder are no cheaper
than a row in a write-ahead log. SQLite with ``synchronous=FULL`` has a row on the disk when the
statement returns (https://www.sqlite.org/pragma.html#pragma_synchronous).

A file is always on the disk before the row that speaks of it, and removed after the row that says
that it is done with. So whatever moment a node is killed at: a file without a row was never
acknowledged and is removed at the next start, and a row without its outcome is worked on again.

::

    received -> answered -> sent      results written; taken by the archive
             -> failed                no result; with the reason

An instance is known by a keyed hash of its SOP Instance UID, whose key is made for each queue. No
UID and nothing of a patient stands in the database.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from boneage.apps.node.queue_files import QueueFiles
from boneage.apps.node.queue_rows import Arrival, QueueRows, written

__all__ = ["MOST_BEGUN", "MOST_DEATHS", "Arrival", "Delivery", "Job", "Queue"]

MOST_DEATHS = 2
"""Worker processes that an instance may take down before it is given up."""

MOST_BEGUN = 10
"""How often the work on an instance is begun without any outcome, as if it took down the node."""


@dataclass(frozen=True)
class Job:
    """Work on one instance.

    Attributes:
        key: The instance.
        source: Its file.
        out: An empty folder for the results.
    """

    key: str
    source: Path
    out: Path


@dataclass(frozen=True)
class Delivery:
    """Results of one instance that are to be sent.

    Attributes:
        key: The instance.
        files: The results, one or more.
        tries: How often sending them has failed.
    """

    key: str
    files: tuple[Path, ...]
    tries: int


class Queue:
    """A queue that is open. Safe to use from several threads; one process at a time.

    Every method that changes something has it on the disk when it returns, and raises
    ``OutputError`` and changes nothing if the disk does not take it.
    """

    def __init__(
        self, folder: Path, *, keep_days: float = 0, now: Callable[[], float] = time.time
    ) -> None:
        """Open a queue, or make it.

        Args:
            folder: Its folder.
            keep_days: Days that files are kept after their instance is done with.
            now: The clock, seconds since 1970.

        Raises:
            OutputError: The folder cannot be written, or its database is damaged.
        """
        self._now, self._keep_s = now, keep_days * 86400
        self._lock = threading.RLock()
        self._in_hand: set[str] = set()
        with written(folder):
            self.files = QueueFiles(folder)
            self._rows = QueueRows(folder / "queue.sqlite")
            # A new start is a new chance: nobody waits for a pause that began before it.
            self._rows.run("UPDATE instances SET due = 0 WHERE due > 0")
            self.tidy()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._rows.close()

    def put(self, uid: str, head: bytes, dataset: bytes) -> Arrival:
        """Take an instance. When this returns, it is on the disk.

        Args:
            uid: Its SOP Instance UID.
            head: What comes before the data set in its file: preamble and file meta information.
            dataset: The encoded data set.

        Returns:
            What it was. Only what is new is kept: of two contents under one UID, the first.

        Raises:
            OutputError: The disk does not take it; nothing of it stays.
        """
        key, digest = self._rows.hashed(uid.encode()), self._rows.hashed(dataset)
        with written(self.files.folder):
            with self._lock:
                if (arrival := self._rows.known(key, digest)) is not None:
                    return arrival
            temporary = self.files.receive([head, dataset])
            try:
                with self._lock:
                    # Again: another association may have brought the same meanwhile.
                    if (arrival := self._rows.known(key, digest)) is not None:
                        return arrival
                    self.files.keep_source(temporary, key)
                    try:
                        self._rows.run(
                            "INSERT INTO instances (key, digest, state, since) VALUES (?, ?, ?, ?)",
                            *(key, digest, "received", self._now()),
                        )
                    except BaseException:
                        self.files.remove(key)
                        raise
            finally:
                temporary.unlink(missing_ok=True)
        return Arrival.NEW

    def claim(self) -> Job | None:
        """Take the oldest instance that waits for work, or None if there is none."""
        with self._lock, written(self.files.folder):
            rows = self._rows.all(
                "SELECT key, begun FROM instances WHERE state = 'received' AND due <= ? "
                "ORDER BY number LIMIT ?",
                self._now(),
                len(self._in_hand) + 1,
            )
            for key, begun in rows:
                if key in self._in_hand:
                    continue
                if begun >= MOST_BEGUN:
                    self._done(key, "failed", f"begun {begun} times without an outcome")
                    return self.claim()
                out = self.files.begin_work(key)
                self._rows.change(key, "begun = begun + 1")
                self._in_hand.add(key)
                return Job(key, self.files.source(key), out)
            return None

    def release(self, job: Job) -> None:
        """Give work back unfinished, because the node ends: it counts as not begun."""
        with self._ending(job):
            self._rows.change(job.key, "begun = MAX(begun - 1, 0)")

    def set_aside(self, job: Job, seconds: float) -> None:
        """Give work back for a while, for a reason that is none of the instance's."""
        with self._ending(job):
            self._rows.change(job.key, "begun = MAX(begun - 1, 0), due = ?", self._now() + seconds)

    def died(self, job: Job) -> bool:
        """Note that the worker process died over this; True if the instance is given up."""
        with self._ending(job):
            self._rows.change(job.key, "deaths = deaths + 1")
            row = self._rows.one("SELECT deaths FROM instances WHERE key = ?", job.key)
            deaths = 0 if row is None else row[0]
            if deaths < MOST_DEATHS:
                return False
            self._done(job.key, "failed", f"its worker process died {deaths} times")
            return True

    def fail(self, job: Job, reason: str) -> None:
        """Note that there is no result, and why. The reason must name no patient."""
        with self._ending(job):
            self._done(job.key, "failed", reason)

    def finish(self, job: Job, own: Sequence[str]) -> None:
        """Keep the results that were written to ``job.out``.

        Args:
            job: The work.
            own: SOP Instance UIDs of the results: if an archive sends them back, they are known.
        """
        with self._ending(job):
            self.files.keep_results(job.out, job.key)
            now = self._now()
            with self._rows.together():
                for uid in own:
                    hashed = self._rows.hashed(uid.encode())
                    self._rows.run("INSERT OR REPLACE INTO own VALUES (?, ?)", hashed, now)
                self._rows.change(job.key, "state = 'answered', due = 0, since = ?", now)

    def due(self, most: int = 50) -> list[Delivery]:
        """What is to be sent now, the oldest first."""
        found = []
        with self._lock, written(self.files.folder):
            rows = self._rows.all(
                "SELECT key, tries FROM instances WHERE state = 'answered' AND due <= ? "
                "ORDER BY due, number LIMIT ?",
                self._now(),
                most,
            )
            for key, tries in rows:
                if files := self.files.results(key):
                    found.append(Delivery(key, tuple(files), tries))
                else:  # someone removed them: they are made again
                    self._rows.change(key, "state = 'received'")
        return found

    def sent(self, delivery: Delivery) -> None:
        """Note that the archive has taken the results."""
        with self._lock, written(self.files.folder):
            self._done(delivery.key, "sent", "")

    def postpone(self, delivery: Delivery, seconds: float) -> None:
        """Note that the archive did not take the results, and when to try again."""
        with self._lock, written(self.files.folder):
            self._rows.change(delivery.key, "tries = tries + 1, due = ?", self._now() + seconds)

    def tidy(self, remember_days: float = 3650) -> None:
        """Remove the files that need not be kept any longer, and forget what is long done."""
        now = self._now()
        done = "state IN ('sent', 'failed')"
        with self._lock, written(self.files.folder):
            wanted = self._rows.all(
                f"SELECT key FROM instances WHERE NOT ({done}) OR since > ?", now - self._keep_s
            )
            self.files.sweep({key for (key,) in wanted}.__contains__)
            old = now - max(remember_days * 86400, self._keep_s)
            self._rows.run(f"DELETE FROM instances WHERE {done} AND since < ?", old)
            self._rows.run("DELETE FROM own WHERE since < ?", old)

    def counts(self) -> dict[str, int]:
        """How many instances are in which state."""
        with self._lock, written(self.files.folder):
            return dict(self._rows.all("SELECT state, COUNT(*) FROM instances GROUP BY state"))

    def waiting(self) -> int:
        """How many instances wait for their answer, or for its delivery."""
        with self._lock, written(self.files.folder):
            row = self._rows.one(
                "SELECT COUNT(*) FROM instances WHERE state IN ('received', 'answered')"
            )
        return 0 if row is None else int(row[0])

    def reasons(self) -> list[str]:
        """Why there is no result of those that have none, the oldest first."""
        with self._lock, written(self.files.folder):
            rows = self._rows.all(
                "SELECT reason FROM instances WHERE state = 'failed' ORDER BY number"
            )
        return [reason for (reason,) in rows]

    @contextlib.contextmanager
    def _ending(self, job: Job) -> Iterator[None]:
        """End the work on an instance: what the block notes, and nothing in its hands after it."""
        with self._lock:
            try:
                with written(self.files.folder):
                    yield
            finally:
                # Also if the disk did not take the note: then the work is begun again.
                self._in_hand.discard(job.key)
                with contextlib.suppress(OSError):
                    self.files.end_work(job.out)

    def _done(self, key: str, state: str, reason: str) -> None:
        self._rows.change(key, "state = ?, reason = ?, since = ?", state, reason, self._now())
        if not self._keep_s:
            with contextlib.suppress(OSError):  # what is left is removed by the next tidying
                self.files.remove(key)

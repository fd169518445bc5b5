"""A study in a journal file, shared by processes on one machine or one shared disk.

Locks are flock(2): the system lets go of them when their process ends, however it ends. A trial
holds a lock file of its own while it is run, so one whose lock is free has lost its worker.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna import Study
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import Trial, TrialState

from boneage.errors import OutputError, SettingsError
from boneage.files import make_folder, output_errors
from boneage.training.search.stores import Store

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["JournalStore"]


class JournalStore(Store):
    """A study in a journal file.

    Args:
        path: The file; its locks lie in a folder beside it.
        study_name: Name of the study.
        make_folder: Whether the file's folder may be made. A shared disk that is not there is an
            error instead.
    """

    kind = "journal"

    def __init__(self, path: Path, study_name: str, *, make_folder: bool) -> None:
        self.study_name = study_name
        self.where = f"journal:{path}"
        self._path = path
        self._locks = path.with_name(f"{path.name}.locks")
        self._make_folder = make_folder
        self._storage: BaseStorage | None = None

    def connect(self) -> BaseStorage:
        """Open the journal; make it where there is none."""
        if self._storage is not None:
            return self._storage
        if fcntl is None:
            raise SettingsError(
                "A journal needs file locks as Linux and macOS have them: give --storage the URL "
                "of a PostgreSQL database."
            )
        if not self._make_folder and not self._path.parent.is_dir():
            raise SettingsError(
                f"--storage {self.where} cannot be reached: there is no folder {self._path.parent}."
            )
        try:
            with output_errors(self._path):
                _check_first_line(self._path)
                make_folder(self._locks)
                backend = JournalFileBackend(str(self._path), _JournalLock(self._path, self._locks))
                self._storage = JournalStorage(backend)
        except (ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"--storage {self.where} is no journal of a search, or is damaged: {error}."
            ) from error
        return self._storage

    def close(self) -> None:
        """Nothing stays open between two accesses."""
        self._storage = None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock of the study."""
        self.connect()
        with _held(self._lock_file("study")):
            yield

    @contextmanager
    def alive(self, trial: Trial) -> Iterator[None]:
        """Hold the lock of the trial."""
        with _held(self._lock_file(str(trial.number))):
            yield

    def fail_dead(self, study: Study) -> None:
        """A running trial whose lock is free has no worker."""
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not _is_held(self._lock_file(str(trial.number))):
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Say which journal cannot be written."""
        with output_errors(self._path):
            try:
                yield
            except json.JSONDecodeError as error:
                raise OutputError(f"{self.where} is damaged: {error}.") from error

    def _lock_file(self, what: str) -> Path:
        safe = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in self.study_name)
        return self._locks / f"{safe}-{what}"


class _JournalLock(JournalFileOpenLock):
    """Lets one process at a time write to the journal.

    Optuna's own locks outlive a process that was killed, by 30 s. And a machine that lost its power
    may leave half a line, after which no other could be read: it is cut off.
    """

    def __init__(self, journal: Path, locks: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal
        self._file = locks / "journal"
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._handle = _open_locked(self._file)
        with self._journal.open("rb+") as file:
            content_end = file.seek(0, os.SEEK_END)
            if content_end and (file.seek(content_end - 1), file.read(1))[1] != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        """Let go of it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _check_first_line(path: Path) -> None:
    """Raise if a file is something else, so that nothing is written to it."""
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            first = file.readline()
        # Half a line is that of a machine that lost its power, and is cut off.
        if first.endswith(b"\n") or not first.startswith(b"{"):
            dict(json.loads(first))["op_code"]


def _open_locked(path: Path, *, wait: bool = True) -> int:
    """Open a lock file and lock it.

    Raises:
        BlockingIOError: Another process holds it, and ``wait`` is off.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextmanager
def _held(path: Path) -> Iterator[None]:
    handle = _open_locked(path)
    try:
        yield
    finally:
        os.close(handle)


def _is_held(path: Path) -> bool:
    """Whether another process holds a lock."""
    try:
        os.close(_open_locked(path, wait=False))
    except BlockingIOError:
        return True
    return False

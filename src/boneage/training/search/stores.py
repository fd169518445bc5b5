"""Where a study is kept: a journal file or a PostgreSQL database, shared by all workers.

Both know which worker is alive. A trial whose worker has died is marked failed by whoever sees it
first.
"""

import abc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

import optuna
from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import Trial

from boneage.errors import SettingsError

__all__ = ["JOURNAL_FILE", "Store", "open_store"]

JOURNAL_FILE = "journal.log"


class Store(abc.ABC):
    """A study in a storage; a context that closes what it has opened.

    Attributes:
        study_name: The study's name in it.
        where: The storage for messages, without a password.
        kind: ``journal`` or ``postgresql``.
    """

    study_name: str
    where: str
    kind: str

    @abc.abstractmethod
    def connect(self) -> BaseStorage:
        """Open the storage; again is nothing.

        Raises:
            SettingsError: It cannot be reached, or is none.
        """

    @abc.abstractmethod
    def exclusive(self) -> AbstractContextManager[None]:
        """Keep all other workers of this study waiting; it ends with the process."""

    @abc.abstractmethod
    def alive(self, trial: Trial) -> AbstractContextManager[None]:
        """Show the other workers that a trial is being run; it ends with the process."""

    @abc.abstractmethod
    def fail_dead(self, study: Study) -> None:
        """Mark running trials failed whose worker has died. Call it within ``exclusive``."""

    @abc.abstractmethod
    def errors(self) -> AbstractContextManager[None]:
        """Turn what the storage raises inside into an error that says what to do.

        Raises:
            OutputError: The storage can no longer be used.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of all connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self) -> Study | None:
        """The study, or None where there is none yet."""
        storage = self.connect()
        with self.errors():
            try:
                return optuna.load_study(study_name=self.study_name, storage=storage)
            except KeyError:
                return None

    def create(self) -> Study:
        """Make the study, or open the one that another worker made a moment ago."""
        return optuna.create_study(
            study_name=self.study_name, storage=self.connect(), load_if_exists=True
        )

    def delete(self) -> None:
        """Remove the study with all its trials, if it is there."""
        storage = self.connect()
        if self.load() is not None:
            with self.errors():
                optuna.delete_study(study_name=self.study_name, storage=storage)


def open_store(storage: str | None, run: Path, study: str | None = None) -> Store:
    """Choose where a study is kept; nothing is connected or written yet.

    Args:
        storage: ``journal:PATH`` or the URL of a PostgreSQL database; None is a journal in the run
            folder.
        run: The run folder.
        study: Name of the study; the run folder's name by default.

    Raises:
        SettingsError: ``storage`` is neither.
        MissingExtraError: The database's driver is not installed.
    """
    name = study or run.absolute().name
    if storage is None or storage.startswith("journal:"):
        from boneage.training.search.journal import JournalStore

        own = storage is None
        path = run / JOURNAL_FILE if storage is None else Path(storage.removeprefix("journal:"))
        return JournalStore(path, name, make_folder=own)
    if storage.startswith("postgres"):
        from boneage.training.search.database import DatabaseStore

        return DatabaseStore(storage, name)
    raise SettingsError(
        "--storage must be journal:PATH or postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE, "
        f"not {storage.partition(':')[0]}:..."
    )


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from saying each step, and from calling what is used here experimental."""
    import warnings

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage is supposed")
        try:
            yield
        finally:
            optuna.logging.set_verbosity(verbosity)

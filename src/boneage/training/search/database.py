"""A study in a PostgreSQL database, shared by machines.

A running trial sends a heartbeat by the clock of the server; one whose heartbeat has stopped has
lost its worker.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import optuna
import sqlalchemy
from optuna import Study
from optuna.storages import RDBStorage
from optuna.trial import Trial
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from boneage.errors import MissingExtraError, OutputError, SettingsError
from boneage.training.search.stores import Store

__all__ = ["DatabaseStore"]

HEARTBEAT_SECONDS = 3
GRACE_SECONDS = 15
"""Without a heartbeat for so long a worker is taken for dead."""

_CONNECT_SECONDS = 10
# A worker that loses the network while it holds the lock must not keep the others for ever.
_LONGEST_EXCLUSIVE = "60s"


class DatabaseStore(Store):
    """A study in a PostgreSQL database.

    Args:
        url: URL of the database.
        study_name: Name of the study.

    Raises:
        SettingsError: The URL is none.
        MissingExtraError: The driver is not installed.
    """

    kind = "postgresql"

    def __init__(self, url: str, study_name: str) -> None:
        self.study_name = study_name
        self._url = _parsed(url)
        self.where = self._url.render_as_string(hide_password=True)
        # Names of other studies in the same database lead to other keys.
        digest = hashlib.sha256(f"boneage search {study_name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], signed=True)
        self._options = {
            "connect_args": {"connect_timeout": _CONNECT_SECONDS},
            "pool_pre_ping": True,
        }
        self._engine: Engine | None = None
        self._storage: RDBStorage | None = None

    def connect(self) -> RDBStorage:
        """Connect, and make Optuna's tables where there are none."""
        if self._storage is not None:
            return self._storage
        try:
            self._engine = sqlalchemy.create_engine(self._url, **self._options)
            # Workers that start together must not make the tables at the same time.
            with self._locked(0):
                self._storage = RDBStorage(
                    self._url.render_as_string(hide_password=False),
                    engine_kwargs=self._options,
                    heartbeat_interval=HEARTBEAT_SECONDS,
                    grace_period=GRACE_SECONDS,
                )
        except ImportError as error:
            raise MissingExtraError(
                "--storage needs the driver psycopg, which is not installed: "
                "pip install 'psycopg[binary]'"
            ) from error
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            raise SettingsError(
                f"--storage {self.where} cannot be reached: {self._reason(error)}. Check host, "
                "port, database, user and password, and that the server runs."
            ) from error
        except RuntimeError as error:
            raise SettingsError(
                f"--storage {self.where} was made by another version of Optuna: {error}"
            ) from error
        return self._storage

    def close(self) -> None:
        """Give the connections back: a server has a hundred of them."""
        if self._storage is not None:
            self._storage.remove_session()
            self._storage.engine.dispose()
        if self._engine is not None:
            self._engine.dispose()
        self._storage = self._engine = None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold an advisory lock of the server, named after the study."""
        self.connect()
        with self._locked(self._key):
            yield

    @contextmanager
    def _locked(self, key: int) -> Iterator[None]:
        assert self._engine is not None
        with self._engine.begin() as connection:
            limit = f"SET LOCAL idle_in_transaction_session_timeout = '{_LONGEST_EXCLUSIVE}'"
            connection.execute(sqlalchemy.text(limit))
            connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(key)))
            yield

    @contextmanager
    def alive(self, trial: Trial) -> Iterator[None]:
        """Send heartbeats from a thread of their own."""
        storage, identity = self.connect(), trial._trial_id
        storage.record_heartbeat(identity)
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(HEARTBEAT_SECONDS):
                # A server that is away for a moment misses a beat, not the trial.
                with suppress(SQLAlchemyError, optuna.exceptions.StorageInternalError):
                    storage.record_heartbeat(identity)

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def fail_dead(self, study: Study) -> None:
        """Optuna compares the heartbeats with the clock of the server."""
        optuna.storages.fail_stale_trials(study)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Say which database has gone, without the password."""
        try:
            yield
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            raise OutputError(
                f"The storage {self.where} can no longer be used: {self._reason(error)}. The "
                "finished trials are kept there; go on with --resume when it is back."
            ) from error

    def _reason(self, error: Exception) -> str:
        """The first line of what the driver says, without the password."""
        cause: BaseException = error
        if isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__:
            cause = error.__cause__
        text = str(getattr(cause, "orig", None) or cause).strip().split("\n")[0].rstrip(".")
        password = self._url.password
        return text.replace(str(password), "***") if password else text


def _parsed(text: str) -> URL:
    """The URL with the one driver that is used here."""
    try:
        url = sqlalchemy.make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() not in ("postgresql", "postgres") or not url.database:
        # Not the text itself: it may hold a password.
        raise SettingsError(
            "--storage is no URL of a PostgreSQL database: write "
            "postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE."
        )
    return url.set(drivername="postgresql+psycopg")

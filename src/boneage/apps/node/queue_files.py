"""The files of the queue: owner-only, on the disk before anybody is told, moved into place whole.

::

    queue.sqlite      states; see queue.py
    lock              held by the node that works here
    incoming/         being received; removed at the start
    sources/KEY.dcm   received
    work/KEY.../      results that are being written; removed at the start
    results/KEY/      results that are to be sent
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["QueueFiles"]

_OWNER_ONLY = 0o700


class QueueFiles:
    """The folder of a queue. What the system refuses comes out as ``OSError``."""

    def __init__(self, folder: Path) -> None:
        """Make the folders that are missing, and remove what was half done.

        Args:
            folder: The folder of the queue.
        """
        self.folder = folder
        self._incoming = folder / "incoming"
        self._sources = folder / "sources"
        self._work = folder / "work"
        self._results = folder / "results"
        folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        folder.chmod(_OWNER_ONLY)
        for part in (self._incoming, self._work):
            _remove(part)
        for part in (self._incoming, self._sources, self._work, self._results):
            part.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        sync_folder(folder)
        with contextlib.suppress(PermissionError):  # then it was made by someone else, before
            sync_folder(folder.parent)

    def free_bytes(self) -> int:
        """Space that is left on the disk."""
        return shutil.disk_usage(self.folder).free

    def receive(self, parts: Sequence[bytes]) -> Path:
        """Write the parts of an instance to a temporary file and bring it to the disk."""
        handle, name = tempfile.mkstemp(dir=self._incoming)  # owner-only
        try:
            with os.fdopen(handle, "wb") as stream:
                for part in parts:
                    stream.write(part)
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            os.unlink(name)
            raise
        return Path(name)

    def keep_source(self, temporary: Path, key: str) -> None:
        """Move a received file into place for good."""
        os.replace(temporary, self.source(key))
        sync_folder(self._sources)

    def keep_results(self, work: Path, key: str) -> None:
        """Move a folder of results into place for good.

        One that is there already is of a node that ended before it had noted it: the same results.
        """
        for file in work.iterdir():
            with open(file, "rb") as stream:
                os.fsync(stream.fileno())
        sync_folder(work)
        _remove(self._results / key)
        os.replace(work, self._results / key)
        sync_folder(self._results)

    def source(self, key: str) -> Path:
        """Where the received file of an instance is."""
        return self._sources / f"{key}.dcm"

    def results(self, key: str) -> list[Path]:
        """The results of an instance in the order of their names; none if there are none."""
        with contextlib.suppress(FileNotFoundError):
            return sorted((self._results / key).iterdir())
        return []

    def begin_work(self, key: str) -> Path:
        """An empty folder for results in the making.

        No name comes twice: a worker that outlives its node for a moment must find nothing of the
        next one's to write to.
        """
        return Path(tempfile.mkdtemp(prefix=f"{key}.", dir=self._work))

    def end_work(self, work: Path) -> None:
        """Remove what the work on an instance has left."""
        _remove(work)

    def remove(self, key: str) -> None:
        """Remove the files of an instance."""
        self.source(key).unlink(missing_ok=True)
        _remove(self._results / key)

    def sweep(self, wanted: Callable[[str], bool]) -> None:
        """Remove the files of every instance that is not wanted any more."""
        keys = {path.stem for path in self._sources.iterdir()}
        for key in keys | {path.name for path in self._results.iterdir()}:
            if not wanted(key):
                self.remove(key)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, without which a new file may be lost."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)

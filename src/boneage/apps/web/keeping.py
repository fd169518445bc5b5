"""What is kept with ``--keep``: each upload beside its row, for the eyes of the server's user."""

import logging
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from boneage.apps.web.jobs import Answer, Job
from boneage.apps.web.metrics import Metrics
from boneage.errors import OutputError
from boneage.files import atomic_path, make_folder, output_errors, write_json

__all__ = ["Keeper"]

_LOG = logging.getLogger("boneage.web")

_ROW = "row.json"


class Keeper:
    """Writes uploads and rows into a folder.

    Attributes:
        problem: Why the last one could not be written; empty if it was.
    """

    def __init__(self, folder: Path, metrics: Metrics) -> None:
        """Make the folder.

        Args:
            folder: Where to keep.
            metrics: Where failures are counted.

        Raises:
            OutputError: Nothing can be written there.
        """
        self._folder = make_folder(folder)
        self._metrics = metrics
        self.problem = ""

    def keep(self, jobs: Sequence[Job], answers: Sequence[Answer]) -> None:
        """Write each upload and its row.

        The answer is not held up by a full disk: that is logged, counted, and told by /health.
        """
        for job, answer in zip(jobs, answers, strict=True):
            try:
                self._write(job, answer)
                self.problem = ""
            except OutputError as error:
                self._metrics.keep_errors.inc()
                # The error itself names the file, and so perhaps a patient.
                reason = getattr(error.__cause__, "strerror", None) or "it cannot be written"
                _LOG.error("Cannot keep an upload in %s: %s.", self._folder, reason)
                self.problem = "what is uploaded cannot be kept"

    def _write(self, job: Job, answer: Answer) -> None:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        folder = self._folder / f"{moment}-{secrets.token_hex(4)}"
        # The name of an upload could be that of the row; a folder of its own keeps them apart.
        upload, row = folder / "upload" / _file_name(job.name), folder / _ROW
        with output_errors(folder):
            for each in (folder, upload.parent):
                each.mkdir(mode=0o700)
        with atomic_path(upload) as temporary:
            temporary.write_bytes(job.data)
        # Last, so that a row stands for a whole upload.
        write_json(row, answer.row.values())
        with output_errors(folder):
            for file in (upload, row):
                file.chmod(0o600)


def _file_name(name: str) -> str:
    """A name that any file system takes: at most 100 bytes, and not hidden."""
    short = name.encode("utf-8", "replace")[-100:].decode("utf-8", "ignore")
    return f"_{short}" if short.startswith(".") else short

"""What a server is told: where it listens, who may ask, and how much it takes."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from boneage.apps.checking import is_loopback, require_within
from boneage.apps.exits import DEBUG_VARIABLE
from boneage.errors import InputError, SettingsError
from boneage.inference.session import available_cpus
from boneage.radiographs.readers import ReadLimits

__all__ = ["MEGABYTE", "Limits", "ServeSettings", "debugging", "read_token"]

MEGABYTE = 1_000_000
"""Bytes."""

_LEAST_TOKEN = 16
_LEAST_DIFFERENT = 8  # of 64 random hexadecimal digits nearly all 16 occur
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1, b64token
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True)
class Limits:
    """How much a server takes. What is over is refused before it is decoded.

    Attributes:
        file_mb: Largest file in MB, 1 to 2000.
        request_mb: Largest request in MB, all of its files together, 1 to 4000.
        held_mb: Most MB of uploads that all requests together may hold in memory, at least
            ``request_mb``, up to 64000; requests that find no room are told to come again.
        files: Most files in one request, 1 to 10,000.
        pixels: Most pixels of a picture, 1 to 250 million.
        waiting: Most radiographs that wait for a worker, 1 to 100,000. A request that finds none
            waiting is taken even if it alone has more.
        upload_s: Seconds that the upload of one request may take, 1 to 3600.
        work_s: Seconds that one radiograph may take in a worker, 1 to 3600.
        connections: Most connections at once, 1 to 10,000.
    """

    file_mb: int = 64
    request_mb: int = 256
    held_mb: int = 1024
    files: int = 100
    pixels: int = 50_000_000
    waiting: int = 64
    upload_s: float = 120
    work_s: float = 60
    connections: int = 512

    def __post_init__(self) -> None:
        require_within("--max-mb", self.file_mb, 1, 2000)
        require_within("--max-request-mb", self.request_mb, 1, 4000)
        require_within("--max-held-mb", self.held_mb, self.request_mb, 64_000)
        require_within("--max-files", self.files, 1, 10_000)
        require_within("--max-pixels", self.pixels, 1, 250_000_000)
        require_within("--max-waiting", self.waiting, 1, 100_000)
        require_within("--upload-timeout", self.upload_s, 1, 3600)
        require_within("--work-timeout", self.work_s, 1, 3600)
        require_within("--max-connections", self.connections, 1, 10_000)

    @property
    def file_bytes(self) -> int:
        """Largest file in bytes."""
        return self.file_mb * MEGABYTE

    @property
    def request_bytes(self) -> int:
        """Largest request in bytes."""
        return self.request_mb * MEGABYTE

    @property
    def held_bytes(self) -> int:
        """Most bytes that all requests together may hold."""
        return self.held_mb * MEGABYTE

    @property
    def reading(self) -> ReadLimits:
        """What the readers of files are told."""
        return ReadLimits(max_pixels=self.pixels, max_file_bytes=self.file_bytes)


@dataclass(frozen=True)
class ServeSettings:
    """All of a server.

    Attributes:
        host: Address to listen on. Every other than loopback needs ``token``.
        port: TCP port, 0 to 65535; 0 takes a free one.
        workers: Processes that predict, 1 to 64, of a core each.
        model: Bundle to predict with; None for the default one.
        level: Level of the intervals, such as 0.8; None for the one on the model's card.
        token: What everybody must show who asks for more than ``/health``; None for nobody. At
            least 16 characters of those in a bearer token (RFC 6750), 8 of them different.
        allow_host: Names that requests may call the server by, beside loopback's and ``host``, and
            any IP address where ``host`` is not loopback. A page elsewhere whose name is made to
            lead to this server is refused by it.
        keep: Folder that uploads and their rows are kept in; None keeps nothing.
        limits: How much is taken.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = field(default_factory=lambda: min(available_cpus(), 64))
    model: Path | None = None
    level: float | None = None
    token: str | None = field(default=None, repr=False)
    allow_host: tuple[str, ...] = ()
    keep: Path | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        require_within("--port", self.port, 0, 65535)
        require_within("--workers", self.workers, 1, 64)
        if self.level is not None and not 0 < self.level < 1:
            raise SettingsError(f"--level must be above 0 and below 1, not {self.level:g}.")
        for name in self.allow_host:
            if not _HOST.fullmatch(name):
                raise SettingsError(
                    f"--allow-host {name!r} is no host name: write it without a port, as in "
                    "boneage.example.org."
                )
        if self.token is not None and not (
            len(self.token) >= _LEAST_TOKEN and _TOKEN.fullmatch(self.token)
        ):
            raise SettingsError(
                f"The token in --token-file or $BONEAGE_TOKEN must have {_LEAST_TOKEN} characters "
                "or more, letters, digits and ._~+/- alone; openssl rand -hex 32 makes one."
            )
        if self.token is not None and len(set(self.token)) < _LEAST_DIFFERENT:
            raise SettingsError(
                "The token in --token-file or $BONEAGE_TOKEN is easily guessed: it has fewer than "
                f"{_LEAST_DIFFERENT} different characters; openssl rand -hex 32 makes one."
            )
        if self.token is None and not is_loopback(self.host):
            raise SettingsError(
                f"--host {self.host} can be reached from other machines: give a token with "
                "--token-file or $BONEAGE_TOKEN."
            )


def read_token(path: Path | None, variable: str | None) -> str | None:
    """The token of a file, else that of the environment, which ``ps`` does not show.

    Args:
        path: ``--token-file``, whose only line it is.
        variable: The content of ``$BONEAGE_TOKEN``.

    Returns:
        The token; None without either.

    Raises:
        InputError: The file cannot be read.
    """
    if path is None:
        return variable or None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"--token-file {path} cannot be read: {reason}.") from error


def debugging() -> bool:
    """Whether ``BONEAGE_DEBUG`` asks for what may quote a file or name a patient."""
    return os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")

"""What a node is told: who it is, where results go, and how much it takes."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from boneage.apps.checking import is_loopback, require_within
from boneage.errors import SettingsError

__all__ = ["Limits", "NodeSettings", "Peer", "Retries", "check_ae_title", "default_queue"]

_MEGABYTE = 1_000_000

# PS3.5 section 6.2, VR AE: at most 16 characters of the default repertoire without backslash and
# control characters; spaces at the ends do not count, so none are taken there.
_AE_TITLE = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")


def check_ae_title(text: str, option: str) -> str:
    """The AE title if it is one.

    Raises:
        SettingsError: It is none; the message names the option.
    """
    if not _AE_TITLE.fullmatch(text):
        raise SettingsError(
            f"{option} {text!r} is no AE title: 1 to 16 characters of ASCII, no backslash."
        )
    return text


def default_queue() -> Path:
    """The folder of the queue unless one is named: below the user's state folder."""
    named = os.environ.get("XDG_STATE_HOME")
    state = Path(named) if named else Path.home() / ".local" / "state"
    return state / "boneage" / "node"


@dataclass(frozen=True)
class Peer:
    """An application entity that is reached over the network.

    Attributes:
        host: Name or address.
        port: TCP port, 1 to 65535.
        ae_title: Its AE title.
    """

    host: str
    port: int
    ae_title: str

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """Read ``HOST:PORT:AET``; an IPv6 address stands in brackets.

        Raises:
            SettingsError: It is not of that form.
        """
        parts = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\s\[\]]+):(\d{1,5}):(.+)", text)
        if parts is None or not 1 <= int(parts[2]) <= 65535:
            raise SettingsError(
                f"--send-to {text!r}: write HOST:PORT:AET, as in pacs.example.org:104:ARCHIVE."
            )
        return cls(parts[1].strip("[]"), int(parts[2]), check_ae_title(parts[3], "--send-to"))

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


@dataclass(frozen=True)
class Limits:
    """How much a node takes. What is over is refused with C-STORE status 0xA700.

    Attributes:
        instance_mb: Largest instance in MB, 1 to 2000. It bounds memory, too: an association holds
            at most one instance that is being received and one that is being stored.
        waiting: Most instances that wait for their answer or its delivery, 1 to 10 million.
        per_minute: Most instances in a minute from one peer, 1 or more; None for no limit.
        associations: Most associations at once, 1 to 256; more are rejected.
        pdu_bytes: Largest PDU that peers may send, 4096 to 1 MiB (PS3.8 annex D.1).
        timeout_s: Seconds that a silent peer is waited for, 1 to 3600.
        reserve_mb: Space on the disk that receiving leaves free in MB, 0 or more, so that results
            can be written and states be changed.
    """

    instance_mb: int = 100
    waiting: int = 10_000
    per_minute: int | None = None
    associations: int = 16
    pdu_bytes: int = 131_072
    timeout_s: float = 60
    reserve_mb: int = 200

    def __post_init__(self) -> None:
        require_within("--max-mb", self.instance_mb, 1, 2000)
        require_within("--max-waiting", self.waiting, 1, 10_000_000)
        require_within("--max-associations", self.associations, 1, 256)
        require_within("--max-pdu", self.pdu_bytes, 4096, 1_048_576)
        require_within("--timeout", self.timeout_s, 1, 3600)
        require_within("--reserve-mb", self.reserve_mb, 0, 10_000_000)
        if self.per_minute is not None:
            require_within("--max-per-minute", self.per_minute, 1, 10_000_000)

    @property
    def instance_bytes(self) -> int:
        """Largest instance in bytes."""
        return self.instance_mb * _MEGABYTE

    @property
    def reserve_bytes(self) -> int:
        """Space that is left free in bytes."""
        return self.reserve_mb * _MEGABYTE


@dataclass(frozen=True)
class Retries:
    """When something is tried again.

    Attributes:
        first_s: Seconds before the first new try, above 0 to 3600; each further pause is twice as
            long.
        most_s: Longest pause in seconds, at least ``first_s``, up to a day.
        work_s: Seconds that one radiograph may take before its worker process is ended, 1 to
            86400.
    """

    first_s: float = 1
    most_s: float = 300
    work_s: float = 300

    def __post_init__(self) -> None:
        require_within("--retry-first", self.first_s, 0.01, 3600)
        require_within("--retry-most", self.most_s, self.first_s, 86400)
        require_within("--work-timeout", self.work_s, 1, 86400)

    def pause_s(self, tries: int) -> float:
        """Seconds to wait after so many tries in a row, 1 or more, have failed."""
        return min(self.first_s * 2.0 ** min(tries - 1, 40), self.most_s)


@dataclass(frozen=True)
class NodeSettings:
    """All of a node.

    Attributes:
        send_to: Where results go.
        ae_title: AE title that the node answers to, and calls itself.
        host: Address to listen on. Every other than loopback needs ``allow``.
        port: TCP port; 0 takes a free one.
        allow: AE titles that may call; empty for everybody.
        queue: Folder of the queue.
        model: Bundle to predict with; None for the default one.
        workers: Processes that predict, 1 to 64.
        keep_days: Days that files are kept after they were answered, 0 to 3650; 0 removes them at
            once.
        remember_days: Days that it is remembered that an instance was answered, 1 to 3650.
        health_port: Port for health and counters on loopback, 0 for a free one; None for none.
        limits: How much is taken.
        retries: When something is tried again.
    """

    send_to: Peer
    ae_title: str = "BONEAGE"
    host: str = "127.0.0.1"
    port: int = 11112
    allow: tuple[str, ...] = ()
    queue: Path = field(default_factory=default_queue)
    model: Path | None = None
    workers: int = 1
    keep_days: float = 0
    remember_days: float = 90
    health_port: int | None = None
    limits: Limits = field(default_factory=Limits)
    retries: Retries = field(default_factory=Retries)

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title, "--ae-title")
        for title in self.allow:
            check_ae_title(title, "--allow")
        require_within("--port", self.port, 0, 65535)
        require_within("--workers", self.workers, 1, 64)
        require_within("--keep-days", self.keep_days, 0, 3650)
        require_within("--remember-days", self.remember_days, 1, 3650)
        if self.health_port is not None:
            require_within("--health-port", self.health_port, 0, 65535)
        if not self.allow and not is_loopback(self.host):
            raise SettingsError(
                f"--host {self.host} can be reached from other machines: say with --allow AET "
                "which AE titles may call."
            )

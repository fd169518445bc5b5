"""A server from start to end: model, port, requests, and a bounded end."""

import asyncio
import contextlib
import ctypes
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any, NoReturn

import uvicorn

from boneage.apps.web.app import create_app
from boneage.apps.web.connections import KEEP_ALIVE_SECONDS, connection_class
from boneage.apps.web.engine import Engine
from boneage.apps.web.settings import ServeSettings
from boneage.errors import OutputError

__all__ = ["run_server"]

_LOG = logging.getLogger("boneage.web")

_ANSWER_SECONDS = 6
"""How long what waits is still answered after SIGTERM; what is left then gets 503."""

_GRACE_SECONDS = 8
"""How long open connections may take to finish: less than the 10 s after which Docker kills."""

_BACKLOG = 512

_M_MMAP_THRESHOLD = -3  # malloc.h of glibc
_LARGE_BYTES = 1_000_000


def run_server(settings: ServeSettings) -> None:
    """Serve until SIGTERM or Control-C.

    Prints the address when it answers.

    Args:
        settings: What to do.

    Raises:
        OutputError: The port cannot be used.
        WorkerError: No process that predicts can be kept alive, or the model cannot be loaded.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    _quiet_libraries()
    _give_memory_back()
    if settings.allow_host and settings.token is None:
        _LOG.warning(
            "--allow-host without a token: whoever reaches the proxy before this server may do "
            "everything. Give one with --token-file or $BONEAGE_TOKEN."
        )
    with _ended_by_signal(), _listening(settings) as listener, closing(Engine(settings)) as engine:
        config = uvicorn.Config(
            create_app(settings, engine),
            http=connection_class(settings.limits),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        _Server(config, engine, _address(listener)).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says where it listens, and lets what waits be answered before it ends."""

    def __init__(self, config: uvicorn.Config, engine: Engine, address: str) -> None:
        super().__init__(config)
        self._engine, self._address = engine, address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        print(f"Serving on {self._address}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, answer what waits, end."""
        self._engine.stop_taking()
        loop = asyncio.get_running_loop()
        late = loop.call_later(
            _ANSWER_SECONDS, lambda: loop.run_in_executor(None, self._engine.close)
        )
        await super().shutdown(sockets)
        late.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End; a second Control-C ends at once."""
        # The base class would raise the signal again in the end, which is no clean end.
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@contextmanager
def _listening(settings: ServeSettings) -> Iterator[socket.socket]:
    """The port, opened before the model is loaded, so that a mistake is told at once."""
    try:
        (family, *_, address), *_ = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.create_server(address, family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OutputError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror or error}. "
            "Choose another --host or --port."
        ) from error
    with listener:
        # asyncio does this for sockets of its own alone: without it an answer to a connection that
        # is kept waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Let SIGTERM and Control-C end cleanly while the model is loaded, too."""

    def end(*_: Any) -> NoReturn:
        raise SystemExit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _give_memory_back() -> None:
    """Let the memory of uploads and answers go back to the system as soon as it is free.

    glibc raises the size from which it does so to that of the largest block that was ever freed,
    and what is smaller leaves holes among others (mallopt(3), M_MMAP_THRESHOLD).
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # not in every C library
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _quiet_libraries() -> None:
    """Keep the libraries from logging: they quote what was sent."""
    for name in ("python_multipart", "uvicorn", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False

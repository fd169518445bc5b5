"""Connections below the app: how many there may be, and how long one may say or take nothing."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from boneage.apps.web.problems import PROBLEM_TYPE, ProblemError, problem_response
from boneage.apps.web.security import SECURITY_HEADERS
from boneage.apps.web.settings import Limits

__all__ = ["KEEP_ALIVE_SECONDS", "Patience", "connection_class"]

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than the 60 s after which nginx lets one go, so
that no request of a proxy meets a connection that is just being closed."""


@dataclass(frozen=True)
class Patience:
    """How long a caller is waited for.

    Attributes:
        head_s: Seconds for the head of a request, as Apache's mod_reqtimeout waits for its first
            byte.
        rest_s: Seconds in which the rest of a body is read and dropped after an answer that did
            not wait for it. Closing at once would reset the connection, and the answer could be
            lost (RFC 9112, 9.6).
        stalled_s: Seconds in which some of an answer must go out, as nginx's send_timeout.
    """

    head_s: float = 20
    rest_s: float = 2
    stalled_s: float = 60


def connection_class(limits: Limits, patience: Patience | None = None) -> type[asyncio.Protocol]:
    """The connections of a server.

    Args:
        limits: How many there may be.
        patience: How long their callers are waited for; None for the usual.

    Returns:
        A class as uvicorn takes it.
    """
    times = Patience() if patience is None else patience

    class Connection(H11Protocol):
        """Closes what does not send its headers, and refuses what is too much."""

        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Take a connection, or refuse it."""
            self._app, self.app = self.app, self._served
            outlet: Any = _Outlet(transport, self.loop, self._has_rest, times)
            super().connection_made(outlet)
            if len(self.connections) > limits.connections:
                self._refuse(
                    ProblemError(
                        503,
                        "There are too many connections. Try again in 2 s.",
                        headers={"Retry-After": "2"},
                    )
                )
            else:
                self._wait_for_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            """Forget it."""
            self._have_headers()
            outlet: Any = self.transport
            outlet.forget()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Take bytes."""
            if self.transport.is_closing():  # the rest of a body that nobody wants
                return
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:
                self._wait_for_headers()
            else:
                self._have_headers()

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002
            """Answer what is no HTTP."""
            self._refuse(ProblemError(400, "This is no proper HTTP request."))

        async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
            """The app, whose answer is the last where the next request cannot be told apart."""

            async def send_last(message: Message) -> None:
                names = {name for name, _ in scope["headers"]}
                # Both at once is how requests are smuggled past a proxy (RFC 9112, 6.1).
                doubtful = {b"content-length", b"transfer-encoding"} <= names
                if message["type"] == "http.response.start" and (doubtful or self._has_rest()):
                    others = [
                        header for header in message["headers"] if header[0] != CLOSE_HEADER[0]
                    ]
                    message["headers"] = [*others, CLOSE_HEADER]
                await send(message)

            app: Any = self._app
            await app(scope, receive, send_last)

        def _has_rest(self) -> bool:
            """Whether some of a request's body is still to come."""
            return self.conn.their_state is h11.SEND_BODY

        def _wait_for_headers(self) -> None:
            if self._head is None:
                self._head = self.loop.call_later(times.head_s, self.transport.close)

        def _have_headers(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

        def _refuse(self, problem: ProblemError) -> None:
            """Answer without the app, and close."""
            body = bytes(problem_response(problem).body)
            headers = {
                "Content-Type": PROBLEM_TYPE,
                "Content-Length": str(len(body)),
                "Connection": "close",
                **problem.headers,
                **SECURITY_HEADERS,
            }
            lines = [f"HTTP/1.1 {problem.status} {problem.title}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
            self.transport.close()

    made: Any = Connection
    return made  # type: ignore[no-any-return]


class _Outlet:
    """A transport that ends in bounded time, whatever its caller does not send or read."""

    def __init__(
        self,
        inner: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        has_rest: Callable[[], bool],
        times: Patience,
    ) -> None:
        self._inner, self._loop = inner, loop
        self._has_rest, self._times = has_rest, times
        self._closing = False
        self._written = 0
        self._end: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's."""
        return getattr(self._inner, name)

    def write(self, data: bytes) -> None:
        """Send; what the caller does not take for too long breaks the connection off."""
        self._inner.write(data)
        self._written += len(data)
        if self._look is None and self._inner.get_write_buffer_size():
            self._look_later()

    def close(self) -> None:
        """Close, after the rest of the body if there is one."""
        if self._closing:
            return
        self._closing = True
        if self._inner.is_closing() or not self._has_rest():
            self._inner.close()
            return
        self._inner.resume_reading()
        with contextlib.suppress(OSError):  # the caller has broken the connection off
            self._inner.write_eof()
        self._end = self._loop.call_later(self._times.rest_s, self._inner.close)

    def is_closing(self) -> bool:
        """Whether nothing more is read or written."""
        return self._closing or self._inner.is_closing()

    def forget(self) -> None:
        """The connection is gone."""
        for timer in (self._end, self._look):
            if timer is not None:
                timer.cancel()

    def _look_later(self) -> None:
        sent = self._written - self._inner.get_write_buffer_size()
        self._look = self._loop.call_later(self._times.stalled_s, self._look_at, sent)

    def _look_at(self, sent: int) -> None:
        self._look = None
        left = self._inner.get_write_buffer_size()
        if left and self._written - left <= sent:
            self._inner.abort()
        elif left:
            self._look_later()

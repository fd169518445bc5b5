"""Connections below the app: how many there may be, and how long one may say nothing."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from boneage.apps.web.problems import PROBLEM_TYPE, ProblemError, problem_response
from boneage.apps.web.security import SECURITY_HEADERS
from boneage.apps.web.settings import Limits

__all__ = ["KEEP_ALIVE_SECONDS", "connection_class"]

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than the 60 s after which nginx lets one go, so
that no request of a proxy meets a connection that is just being closed."""

_HEADER_SECONDS = 20  # as Apache's mod_reqtimeout waits for the first byte


def connection_class(limits: Limits) -> type[asyncio.Protocol]:
    """The connections of a server.

    Args:
        limits: How many there may be.

    Returns:
        A class as uvicorn takes it.
    """

    class Connection(H11Protocol):
        """Closes what does not send its headers, and refuses what is too much."""

        _patience: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Take a connection, or refuse it."""
            super().connection_made(transport)
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
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Take bytes."""
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:
                self._wait_for_headers()
            else:
                self._have_headers()

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002
            """Answer what is no HTTP."""
            self._refuse(ProblemError(400, "This is no proper HTTP request."))

        def _wait_for_headers(self) -> None:
            if self._patience is None:
                self._patience = self.loop.call_later(_HEADER_SECONDS, self.transport.close)

        def _have_headers(self) -> None:
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

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

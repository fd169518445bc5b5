"""The outermost layer: headers on all that goes out, a count of it, and an end to every error."""

import logging

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boneage.apps.web.metrics import Metrics
from boneage.apps.web.problems import ProblemError, problem_response
from boneage.apps.web.security import SECURITY_HEADERS
from boneage.apps.web.settings import debugging

__all__ = ["Edge"]

_LOG = logging.getLogger("boneage.web")


class Edge:
    """Wraps an ASGI app."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # as GET; the server below sends no body (RFC 9110, 9.3.2)
            scope = {**scope, "method": "GET"}
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                message["headers"] = headers.raw
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            # Its text may quote what was sent.
            _LOG.error("unexpected %s in a request", type(error).__name__, exc_info=debugging())
            if not status:
                problem = ProblemError(500, "This is a fault of boneage. Please report it.")
                await problem_response(problem)(scope, receive, send_with_headers)
        finally:
            self._metrics.requests.labels(_route(scope), str(status)).inc()


def _route(scope: Scope) -> str:
    """The pattern of the route, so that no address that somebody made up becomes a label."""
    route = scope.get("route")
    return str(getattr(route, "path", "")) or "other"

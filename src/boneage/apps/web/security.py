"""Who may ask, and what browsers may do with what they get."""

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from boneage.apps.checking import is_loopback
from boneage.apps.web.problems import ProblemError, problem_response
from boneage.apps.web.sessions import Sessions, cookie_in
from boneage.apps.web.settings import ServeSettings

__all__ = ["CSP", "SECURITY_HEADERS", "Guard"]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content Security Policy (W3C CSP level 3): nothing from elsewhere, nothing inline."""

SECURITY_HEADERS = {
    "Content-Security-Policy": CSP,
    # OWASP, HTTP Security Response Headers Cheat Sheet.
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With "no-referrer" browsers send forms with "Origin: null", which tells nothing.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    # What was answered is about a child (RFC 9111, 5.2.2.5).
    "Cache-Control": "no-store",
}
"""What every response has, unless it has its own."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS = frozenset({"/health", "/sign-in"})
_STATIC = "/static/"
_HOST_HEADER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::\d{1,5})?")


class Guard:
    """Refuses what may not come in."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, sessions: Sessions | None) -> None:
        self._app, self._sessions = app, sessions
        names = {settings.host, *settings.allow_host}
        if is_loopback(settings.host) or settings.host in ("0.0.0.0", "::"):
            names |= {"localhost", "127.0.0.1", "::1"}
        self._names = {name.lower().strip("[]") for name in names}
        # A page elsewhere can lead a name here, not an address; those who look after a service
        # call it by its address.
        self._any_address = not is_loopback(settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        """What a request gets that may not come in."""
        headers = Headers(scope=scope)
        if not self._is_known(headers.get("host", "")):
            return problem_response(
                ProblemError(
                    421, "The server does not go by this name: start it with --allow-host."
                )
            )
        if scope["method"] not in _SAFE_METHODS and _is_cross_site(headers):
            return problem_response(
                ProblemError(403, "Another site may not ask on somebody's behalf.")
            )
        path: str = scope["path"]
        if self._sessions is None or path in _OPEN_PATHS or path.startswith(_STATIC):
            return None
        return None if self._is_let_in(headers, self._sessions) else _ask_for_token(headers)

    def _is_known(self, host: str) -> bool:
        """Whether a Host header names this server (against DNS rebinding)."""
        match = _HOST_HEADER.fullmatch(host)
        if match is None:
            return False
        name = match[1].lower().strip("[]").rstrip(".")
        return name in self._names or (self._any_address and _is_address(name))

    def _is_let_in(self, headers: Headers, sessions: Sessions) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and sessions.is_token(token.strip()):
            return True
        return sessions.holds(cookie_in(headers))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_cross_site(headers: Headers) -> bool:
    """Whether a page of another origin sends this (OWASP, CSRF Prevention: Fetch Metadata).

    Programs send neither header.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _ask_for_token(headers: Headers) -> Response:
    # The page's own requests fill a part of it, which must not become the sign-in page.
    if "text/html" in headers.get("accept", "") and "hx-request" not in headers:
        return RedirectResponse("/sign-in", 303)
    return problem_response(
        ProblemError(
            401,
            "Show the token: Authorization: Bearer TOKEN.",
            headers={"WWW-Authenticate": 'Bearer realm="boneage"'},
        )
    )

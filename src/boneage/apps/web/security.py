"""Who may ask, and what browsers may do with what they get."""

import hashlib
import hmac
import ipaddress
import re
import secrets
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from boneage.apps.web.problems import ProblemError, problem_response
from boneage.apps.web.settings import ServeSettings, is_loopback

__all__ = ["COOKIE", "CSP", "SECURITY_HEADERS", "SESSION_S", "Guard", "Sessions"]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content Security Policy (W3C CSP level 3): nothing from elsewhere, nothing inline."""

COOKIE = "boneage_session"

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
SESSION_S = 12 * 3600
"""Seconds after which somebody has to sign in again."""


class Sessions:
    """Cookies of those who have shown the token: a day and time, signed with the token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        # So that a restart with the same token ends no session, the key is the token's alone.
        self._key = hashlib.sha256(b"boneage session:" + self._token).digest()

    def is_token(self, text: str) -> bool:
        """Whether it is the token; the time taken does not tell how much of it is right."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._token)

    def issue(self) -> str:
        """A new cookie's value."""
        head = f"{int(time.time()) + SESSION_S}.{secrets.token_urlsafe(12)}"
        return f"{head}.{self._sign(head)}"

    def holds(self, cookie: str) -> bool:
        """Whether a cookie was issued here and has not run out."""
        head, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(head).encode()):
            return False
        return int(head.partition(".")[0]) > time.time()

    def _sign(self, head: str) -> str:
        return hmac.new(self._key, head.encode("utf-8", "replace"), "sha256").hexdigest()


class Guard:
    """Refuses what may not come in."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._sessions = None if settings.token is None else Sessions(settings.token)
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
        return None if self._is_let_in(headers, self._sessions) else _ask_for_token(scope, headers)

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
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        return cookie is not None and sessions.holds(cookie)


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


def _ask_for_token(scope: Scope, headers: Headers) -> Response:
    if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
        return RedirectResponse("/sign-in", 303)
    return problem_response(
        ProblemError(
            401,
            "Show the token: Authorization: Bearer TOKEN.",
            headers={"WWW-Authenticate": 'Bearer realm="boneage"'},
        )
    )

"""Signing in with the token: a small page, and a cookie that stands for the token."""

from collections.abc import Callable
from urllib.parse import parse_qs

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from boneage.apps.web.security import COOKIE, Sessions
from boneage.apps.web.settings import ServeSettings
from boneage.apps.web.uploads import open_body

__all__ = ["SignIn"]

_MOST_BYTES = 10_000
_WRONG = "This is not the token. Whoever started the server knows it."


class SignIn:
    """The routes of signing in and out."""

    def __init__(self, settings: ServeSettings, render: Callable[..., str]) -> None:
        """Make them for a server with a token.

        Args:
            settings: What the server was told.
            render: What makes a page of a template's name and its variables.
        """
        assert settings.token is not None
        self._sessions = Sessions(settings.token)
        self._limits, self._render = settings.limits, render

    async def page(self, request: Request) -> Response:  # noqa: ARG002
        """Ask for the token."""
        return HTMLResponse(self._render("sign_in.html", wrong=""))

    async def enter(self, request: Request) -> Response:
        """Give a cookie to who knows the token."""
        async with open_body(request, self._limits, _MOST_BYTES) as body:
            fields = parse_qs(body.decode("utf-8", "replace"))
        if not self._sessions.is_token(fields.get("token", [""])[0].strip()):
            return HTMLResponse(self._render("sign_in.html", wrong=_WRONG), 401)
        response = RedirectResponse("./", 303)
        # OWASP, Session Management Cheat Sheet. Not `secure`: loopback has no TLS.
        response.set_cookie(
            COOKIE,
            self._sessions.issue(),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def leave(self, request: Request) -> Response:  # noqa: ARG002
        """Take the cookie away."""
        response = RedirectResponse("sign-in", 303)
        response.delete_cookie(COOKIE)
        return response

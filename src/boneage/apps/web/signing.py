"""The page on which people show the token, and get a cookie for it."""

import asyncio

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from boneage.apps.web.rendering import renderer
from boneage.apps.web.sessions import COOKIE, SESSION_S, Sessions, cookie_in
from boneage.apps.web.settings import ServeSettings
from boneage.apps.web.uploads import fields_in, open_body

__all__ = ["add_sign_in"]

_FORM_BYTES = 4096

_WRONG = "This is not the token. Whoever started the server knows it."


def add_sign_in(app: FastAPI, settings: ServeSettings, sessions: Sessions | None) -> None:
    """Put the page into an app; without a token it leads on to the first page."""
    render = renderer()

    @app.get("/sign-in", include_in_schema=False)
    async def sign_in_page() -> Response:
        if sessions is None:
            return RedirectResponse("/", 303)
        return HTMLResponse(render("sign_in.html", wrong=""))

    @app.post("/sign-in", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        async with open_body(request, settings.limits, _FORM_BYTES) as body:
            token = fields_in(body).get("token", "").strip()
        if sessions is None:
            return RedirectResponse("/", 303)
        if pause_s := sessions.signs_in(token):
            await asyncio.sleep(pause_s)
            return HTMLResponse(render("sign_in.html", wrong=_WRONG), 403)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            sessions.issue(),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    @app.post("/sign-out", include_in_schema=False)
    async def sign_out(request: Request) -> Response:
        if sessions is not None:
            sessions.end(cookie_in(request.headers))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

"""The page on which people show the token, and get a cookie for it."""

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from boneage.apps.web.rendering import renderer
from boneage.apps.web.security import COOKIE, SESSION_S, Sessions
from boneage.apps.web.settings import ServeSettings
from boneage.apps.web.uploads import fields_in, open_body

__all__ = ["add_sign_in"]

_FORM_BYTES = 4096

_WRONG = "This is not the token. Whoever started the server knows it."


def add_sign_in(app: FastAPI, settings: ServeSettings) -> None:
    """Put the page into an app; without a token it leads on to the first page."""
    render = renderer()
    sessions = None if settings.token is None else Sessions(settings.token)

    @app.get("/sign-in", include_in_schema=False)
    async def sign_in_page() -> Response:
        if sessions is None:
            return RedirectResponse("/", 303)
        return HTMLResponse(render("sign_in.html", wrong=""))

    @app.post("/sign-in", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        async with open_body(request, settings.limits, _FORM_BYTES) as body:
            token = fields_in(body).get("token", "").strip()
        if sessions is None or not sessions.is_token(token):
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
    async def sign_out() -> Response:
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

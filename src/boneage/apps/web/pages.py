"""The routes for people."""

from fastapi import FastAPI
from starlette.responses import HTMLResponse

from boneage.apps.web.engine import Engine
from boneage.apps.web.settings import ServeSettings

__all__ = ["add_pages"]


def add_pages(app: FastAPI, engine: Engine, settings: ServeSettings) -> None:  # noqa: ARG001
    """Put the pages into an app."""

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse("<!DOCTYPE html><html lang=en><title>boneage</title><h1>Bone age</h1>")

"""The app: routes for programs and for people behind one guard."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from boneage import __version__
from boneage.apps.web.api import add_api
from boneage.apps.web.engine import Engine
from boneage.apps.web.pages import add_pages
from boneage.apps.web.problems import add_problems
from boneage.apps.web.security import Guard
from boneage.apps.web.settings import ServeSettings
from boneage.apps.web.uploads import Held

__all__ = ["create_app"]

_STATIC = Path(__file__).parent / "static"


def create_app(settings: ServeSettings, engine: Engine) -> FastAPI:
    """Make the app.

    Args:
        settings: What the server was told.
        engine: Who predicts.

    Returns:
        An ASGI app. It keeps nothing between requests.
    """
    app = FastAPI(
        title="boneage",
        version=__version__,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.held = Held(settings.limits)
    add_problems(app)
    add_api(app, engine, settings)
    add_pages(app, engine, settings)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.add_middleware(Guard, settings=settings)
    return app

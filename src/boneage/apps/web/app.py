"""The app: routes for programs and for people behind one guard."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from boneage import __version__
from boneage.apps.web.api import add_api
from boneage.apps.web.edge import Edge
from boneage.apps.web.engine import Engine
from boneage.apps.web.keeping import Keeper
from boneage.apps.web.openapi import describe
from boneage.apps.web.pages import add_pages
from boneage.apps.web.problems import add_problems
from boneage.apps.web.security import Guard
from boneage.apps.web.sessions import Sessions
from boneage.apps.web.settings import ServeSettings
from boneage.apps.web.signing import add_sign_in
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

    Raises:
        OutputError: The folder of ``--keep`` cannot be written to.
    """
    app = FastAPI(
        title="boneage",
        version=__version__,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.held = Held(settings.limits)
    app.state.keeper = None if settings.keep is None else Keeper(settings.keep, engine.metrics)
    add_problems(app)
    add_api(app, engine, settings)
    sessions = None if settings.token is None else Sessions(settings.token)
    add_sign_in(app, settings, sessions)
    add_pages(app, engine, settings)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    made = app.openapi()
    app.openapi_schema = describe(made, with_token=settings.token is not None)
    app.add_middleware(Guard, settings=settings, sessions=sessions)
    app.add_middleware(Edge, metrics=engine.metrics)
    return app

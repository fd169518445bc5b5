"""The routes for programs."""

from fastapi import APIRouter, FastAPI
from starlette.responses import JSONResponse

from boneage.apps.web.engine import Engine
from boneage.apps.web.settings import ServeSettings

__all__ = ["add_api"]


def add_api(app: FastAPI, engine: Engine, settings: ServeSettings) -> None:  # noqa: ARG001
    """Put the routes into an app."""
    router = APIRouter()

    @router.get("/health", tags=["operation"])
    async def health() -> JSONResponse:
        """Whether all is well."""
        problems = engine.problems
        status = "unhealthy" if problems else "ok"
        return JSONResponse({"status": status, "problems": problems}, 503 if problems else 200)

    app.include_router(router)

"""The routes for programs."""

from collections.abc import Mapping

from fastapi import APIRouter, FastAPI, Request
from pydantic import ValidationError
from starlette.responses import Response

from boneage.apps.web.asking import ask
from boneage.apps.web.engine import Engine
from boneage.apps.web.forming import jobs_of_form
from boneage.apps.web.jobs import Facts, Job, Wants
from boneage.apps.web.metrics import METRICS_TYPE
from boneage.apps.web.openapi import PREDICTIONS, problems_of
from boneage.apps.web.problems import ProblemError
from boneage.apps.web.schema import (
    Health,
    ModelFacts,
    ModelName,
    PredictionFields,
    PredictionRow,
    Predictions,
)
from boneage.apps.web.settings import ServeSettings
from boneage.apps.web.uploads import open_form
from boneage.growth.sds import Norm
from boneage.inference.rows import csv_bytes
from boneage.radiographs.radiograph import Sex

__all__ = ["CSV_TYPE", "add_api"]

CSV_TYPE = "text/csv; charset=utf-8"


def add_api(app: FastAPI, engine: Engine, settings: ServeSettings) -> None:
    """Put the routes into an app."""
    router = APIRouter()
    card = engine.model.card
    model = ModelName(name=card.name, version=card.version)
    facts = ModelFacts.of(engine.model).model_dump_json()

    @router.post("/api/v1/predictions", **PREDICTIONS)
    async def predictions(request: Request) -> Response:
        async with open_form(request, settings.limits) as form:
            jobs = jobs_of_form(form, _said_in(_fields_of(form.fields)))
            answers = await ask(request, engine, jobs)
        if _wants_csv(request):
            return Response(csv_bytes(answer.row for answer in answers), media_type=CSV_TYPE)
        rows = [PredictionRow.of(answer) for answer in answers]
        body = Predictions(model=model, rows=rows).model_dump_json()
        return Response(body, media_type="application/json")

    @router.get(
        "/api/v1/model",
        tags=["predicting"],
        summary="The model",
        response_model=ModelFacts,
        responses=problems_of(401),
    )
    async def model_facts() -> Response:
        """What is known of the model: who it is for, how well it does, and its terms."""
        return Response(facts, media_type="application/json")

    @router.get(
        "/health",
        tags=["operation"],
        summary="Health",
        response_model=Health,
        responses={503: {"model": Health, "description": "Something is wrong."}},
    )
    async def health(request: Request) -> Response:
        """Whether the server can work; it needs no token."""
        keeper = request.app.state.keeper
        problems = engine.problems + ([keeper.problem] if keeper and keeper.problem else [])
        state = Health(status="unhealthy" if problems else "ok", problems=problems)
        return Response(
            state.model_dump_json(), 503 if problems else 200, media_type="application/json"
        )

    @router.get(
        "/metrics",
        tags=["operation"],
        summary="Counters",
        response_class=Response,
        responses={
            200: {"content": {METRICS_TYPE: {"schema": {"type": "string"}}}},
            **problems_of(401),
        },
    )
    async def metrics() -> Response:
        """Counters in the format of Prometheus."""
        return Response(engine.metrics.text(), headers={"Content-Type": METRICS_TYPE})

    app.include_router(router)


def _fields_of(fields: Mapping[str, str]) -> PredictionFields:
    """What was said of the child, checked."""
    try:
        return PredictionFields.model_validate(fields)
    except ValidationError as error:
        errors = [
            {"field": str(item["loc"][0]) if item["loc"] else "", "detail": item["msg"]}
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise ProblemError(422, "Some fields are not as they must be.", errors=errors) from error


def _said_in(fields: PredictionFields) -> Job:
    return Job(
        sex=None if fields.sex is None else Sex(fields.sex),
        facts=Facts(fields.age_months, fields.height_cm),
        birth_date=fields.birth_date,
        taken=fields.taken_date,
        norm=Norm(fields.norm),
        wants=Wants(heat_map=fields.heat_map),
    )


def _wants_csv(request: Request) -> bool:
    """Whether CSV comes before JSON in what the caller accepts (RFC 9110, 12.5.1)."""
    weights: dict[str, float] = {}
    for part in request.headers.get("accept", "").split(","):
        kind, _, options = part.partition(";")
        weight = options.strip().removeprefix("q=") if options else "1"
        try:
            weights[kind.strip().lower()] = float(weight)
        except ValueError:
            weights[kind.strip().lower()] = 1.0
    csv = weights.get("text/csv", 0.0)
    others = max(weights.get("application/json", 0.0), weights.get("application/*", 0.0))
    return csv > 0 and csv >= others

"""The routes for people: one page, the fragments that fill it, reports and tables.

The server keeps nothing between requests, so the page sends a radiograph again for each thing that
it wants to know of it: its header, its answer, its pictures, its report.
"""

import base64
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, Response

from boneage.apps.web.api import CSV_TYPE
from boneage.apps.web.asking import ask
from boneage.apps.web.engine import Engine
from boneage.apps.web.jobs import Answer, Inspect, Wants
from boneage.apps.web.page_forms import jobs_of, rows_of
from boneage.apps.web.page_words import words_of
from boneage.apps.web.problems import ProblemError, ProblemPage
from boneage.apps.web.rendering import Render, renderer
from boneage.apps.web.settings import ServeSettings
from boneage.apps.web.uploads import fields_in, open_body, open_form
from boneage.apps.web.viewing import plain_pictures, scale_stops
from boneage.inference.rows import Row, csv_bytes, json_rows
from boneage.reports.child_words import OVERLAY_CAPTION
from boneage.reports.words import percent

__all__ = ["add_pages"]

_MOST_AT_ONCE = 4  # of the six connections that a browser has for one server
_MOST_PICTURES = 12  # on a page without a viewer, of some 0.2 MB each
_TABLE_BYTES = 3_000_000  # some thousand rows

REPORT_CSP = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Policy of a report, which is one file: its style is in it, and so are its pictures as data."""


def add_pages(app: FastAPI, engine: Engine, settings: ServeSettings) -> None:
    """Put the pages into an app.

    Args:
        app: The app; its errors become pages for browsers, too.
        engine: Who predicts.
        settings: What the server was told.
    """
    render = renderer()
    pages = _Pages(engine, settings, render)
    _add(app, "/", pages.index, "GET")
    for name in ("inspect", "view", "results", "report", "table"):
        _add(app, f"/{name}", getattr(pages, name), "POST")
    app.state.problem_page = _ProblemPage(render)


def _add(app: FastAPI, path: str, route: Callable[..., Any], method: str) -> None:
    app.add_api_route(path, route, methods=[method], include_in_schema=False, response_model=None)


class _ProblemPage(ProblemPage):
    """An error as a page, for who sent a form without JavaScript or opened a report."""

    def __init__(self, render: Render) -> None:
        self._render = render

    def __call__(self, request: Request, problem: ProblemError) -> Response:  # noqa: ARG002
        html = self._render("message.html", title=problem.title, detail=problem.detail)
        return HTMLResponse(html, problem.status, problem.headers)


class _Pages:
    """The routes."""

    def __init__(self, engine: Engine, settings: ServeSettings, render: Render) -> None:
        self._engine, self._settings, self._render = engine, settings, render

    async def index(self, request: Request) -> Response:  # noqa: ARG002
        """The page."""
        settings, model = self._settings, self._engine.model
        html = self._render(
            "index.html",
            model=model.card,
            level=None if model.level is None else percent(model.level),
            explains=model.gives_heat_map,
            limits=settings.limits,
            keeps=settings.keep is not None,
            signed_in=settings.token is not None,
            concurrent=min(settings.workers + 1, _MOST_AT_ONCE),
        )
        return HTMLResponse(html)

    async def inspect(self, request: Request) -> Response:
        """What the header of a file says of the child."""
        async with open_form(request, self._settings.limits) as form:
            if len(form.files) != 1:
                raise ProblemError(422, "Send one file.")
            file = form.files[0]
            (found,) = await ask(request, self._engine, [Inspect(file.name, file.data)])
        taken = None if found.taken is None else found.taken.isoformat()
        return JSONResponse({"sex": found.sex, "age_months": found.age_months, "taken": taken})

    async def view(self, request: Request) -> Response:
        """The pictures of a radiograph for the viewer."""
        async with open_form(request, self._settings.limits) as form:
            wants = Wants(picture=True, heat_map=form.fields.get("heat") == "yes")
            answer = (await ask(request, self._engine, jobs_of(form, wants, again=True)))[0]
        html = await run_in_threadpool(self._view, answer)
        return HTMLResponse(html)

    def _view(self, answer: Answer) -> str:
        overlay = answer.overlay
        return self._render(
            "_view.html",
            picture=answer.picture,
            png=answer.picture and base64.b64encode(answer.picture.png).decode(),
            reason=answer.row.message,
            overlay=overlay,
            heat_png=overlay and base64.b64encode(overlay.png).decode(),
            limit=overlay and f"{overlay.limit_months:g}",
            stops=scale_stops(),
            caption=OVERLAY_CAPTION,
        )

    async def results(self, request: Request) -> Response:
        """The answers: a fragment for the list, or without JavaScript a page."""
        fragment = "hx-request" in request.headers
        async with open_form(request, self._settings.limits) as form:
            pictures = not fragment and len(form.files) <= _MOST_PICTURES
            jobs = jobs_of(form, Wants(picture=pictures, heat_map=pictures))
            answers = await ask(request, self._engine, jobs)
        words = [words_of(answer, self._engine.model) for answer in answers]
        if fragment:
            return HTMLResponse("".join(self._render("_answer.html", **item) for item in words))
        html = await run_in_threadpool(self._results_page, answers, words)
        return HTMLResponse(html)

    def _results_page(self, answers: list[Answer], words: list[dict[str, Any]]) -> str:
        for answer, item in zip(answers, words, strict=True):
            item["finding_html"] = self._render("_finding.html", **item)
            item["pictures"] = []
            if answer.picture is not None:
                uris = plain_pictures(answer.picture, answer.overlay)
                alts = (f"Radiograph {answer.row.id}", "The same with its heat map in colour")
                item["pictures"] = list(zip(uris, alts, strict=False))
        rows = json.dumps([answer.row.values() for answer in answers], ensure_ascii=False)
        model = self._engine.model.card
        return self._render("results.html", answers=words, rows_json=rows, model=model)

    async def report(self, request: Request) -> Response:
        """The report on one radiograph, a page that needs nothing beside it."""
        async with open_form(request, self._settings.limits) as form:
            if len(form.files) > 1:
                raise ProblemError(422, "A report is about one radiograph. Choose one file.")
            jobs = jobs_of(form, Wants(report=True), again=True)
            (answer,) = await ask(request, self._engine, jobs)
        if answer.report is None:  # its worker died on it
            raise ProblemError(422, answer.row.message)
        kind = "attachment" if form.fields.get("save") else "inline"
        headers = {
            "Content-Security-Policy": REPORT_CSP,
            "Content-Disposition": _disposition(kind, f"bone-age-{answer.row.id}.html"),
        }
        # A name that is no valid text (it comes as lone surrogates) must not stop the page.
        return HTMLResponse(answer.report.encode("utf-8", "replace"), headers=headers)

    async def table(self, request: Request) -> Response:
        """Rows that the page has got, as ``boneage predict`` writes them into a file."""
        limits = self._settings.limits
        async with open_body(request, limits, _TABLE_BYTES) as body:
            return await run_in_threadpool(self._table, body)

    def _table(self, body: bytes) -> Response:
        fields = fields_in(body)
        rows = rows_of(fields.get("rows", ""))
        suffix = fields.get("format", "")
        if suffix not in ("csv", "json"):
            raise ProblemError(422, "The format must be csv or json.")
        headers = {"Content-Disposition": _disposition("attachment", f"bone-ages.{suffix}")}
        if suffix == "csv":
            return Response(csv_bytes(rows), media_type=CSV_TYPE, headers=headers)
        return Response(_json_text(rows), media_type="application/json", headers=headers)


def _json_text(rows: list[Row]) -> bytes:
    """The table that ``boneage predict`` writes."""
    stream = io.StringIO()
    with json_rows(stream) as write:
        for row in rows:
            write(row)
    return stream.getvalue().encode()


def _disposition(kind: str, name: str) -> str:
    """The header of a file to open or to save (RFC 6266), whatever characters its name has."""
    return f"{kind}; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"

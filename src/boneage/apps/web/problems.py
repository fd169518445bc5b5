"""Errors of the HTTP API as RFC 9457 has them: ``application/problem+json``, never a traceback."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

__all__ = [
    "CLIENT_GONE",
    "PROBLEM_TYPE",
    "ProblemError",
    "ProblemPage",
    "add_problems",
    "problem_response",
]

PROBLEM_TYPE = "application/problem+json"

CLIENT_GONE = 499
"""Status in the counters of a request whose caller went away; nobody ever gets it."""

# Names of RFC 9110, which older releases of Python do not have.
_OWN_PHRASES = {
    413: "Content Too Large",
    422: "Unprocessable Content",
    CLIENT_GONE: "Client Closed Request",
}


class ProblemError(Exception):
    """A request that cannot be answered.

    Attributes:
        status: Status code, 400 to 599.
        detail: What is wrong, and what to do about it.
        headers: Further headers of the response.
        errors: Which fields are wrong, each with ``field`` and ``detail``.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = dict(headers or {})
        self.errors = tuple(errors)

    @property
    def title(self) -> str:
        """Name of the status code."""
        return _OWN_PHRASES.get(self.status) or HTTPStatus(self.status).phrase


class ProblemPage:
    """Makes a problem a page for people; a subclass gives the HTML."""

    def __call__(self, request: Request, problem: ProblemError) -> Response:
        """The page."""
        raise NotImplementedError


def problem_response(problem: ProblemError) -> Response:
    """The problem as JSON."""
    # "about:blank" says that the status code is all there is to the kind (RFC 9457, 4.2.1).
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = list(problem.errors)
    return Response(
        json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
        problem.status,
        headers=problem.headers,
        media_type=PROBLEM_TYPE,
    )


def add_problems(app: FastAPI) -> None:
    """Let every error of the app be a problem.

    People get a page instead where ``app.state.problem_page`` makes one: outside ``/api/``, if
    their browser asks for HTML.
    """

    def answer(request: Request, problem: ProblemError) -> Response:
        page: ProblemPage | None = getattr(app.state, "problem_page", None)
        wants_page = "text/html" in request.headers.get("accept", "")
        if page is not None and wants_page and not request.url.path.startswith("/api/"):
            return page(request, problem)
        return problem_response(problem)

    def own(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return answer(request, error)

    def of_starlette(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        details = {404: "There is nothing at this address.", 405: "Not with this method."}
        detail = details.get(error.status_code, error.detail)
        return answer(request, ProblemError(error.status_code, detail, headers=error.headers))

    def of_fastapi(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [
            {"field": ".".join(map(str, item["loc"][1:])), "detail": item["msg"]}
            for item in error.errors()
        ]
        return answer(
            request, ProblemError(422, "The request is not as it must be.", errors=errors)
        )

    app.add_exception_handler(ProblemError, own)
    app.add_exception_handler(HTTPException, of_starlette)
    app.add_exception_handler(RequestValidationError, of_fastapi)

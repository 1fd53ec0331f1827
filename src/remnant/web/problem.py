"""What an error looks like: one shape in the API, one page in HTML.

{"error": {"status": 404, "what": "...", "where": null, "got": null, "expected": null,
           "hint": null}}
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from remnant.errors import (
    AccessError,
    CaseChanged,
    CaseError,
    NoData,
    RemnantError,
    StoreBusy,
    StoreError,
    printable,
)
from remnant.web.access.audit import audit_failure
from remnant.web.frame import render_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RESPONSES", "Error", "Problem", "install", "wants_html"]

_LOG: Final = logging.getLogger(__name__)
_ECHOED: Final = 200


class Problem(BaseModel):
    """What failed, where, what was there, what was expected, what to do next."""

    status: int
    what: str
    where: str | None = None
    got: str | None = None
    expected: str | None = None
    hint: str | None = None


class Error(BaseModel):
    """The body of every answer that is an error."""

    error: Problem


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    code: {"model": Error, "description": words}
    for code, words in (
        (400, "The request cannot be read."),
        (401, "Nobody is signed in, or the token is not valid."),
        (403, "This account may not do that."),
        (404, "There is no such thing, or no data yet."),
        (409, "It cannot be done in the present state."),
        (413, "The request is too large."),
        (422, "A parameter is not valid."),
        (429, "Too many attempts."),
        (503, "Another process writes to the store."),
    )
}
"""For ``responses=`` of every route."""


def wants_html(request: Request) -> bool:
    """Return whether a person asks, with a browser, for a page."""
    path = request.url.path
    return not path.endswith((".json", ".csv")) and "text/html" in request.headers.get("accept", "")


def answer(
    request: Request, problem: Problem, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error as who asks can read it."""
    if wants_html(request):
        return render_problem(request, problem, headers)
    body = Error(error=problem).model_dump()
    return JSONResponse(body, status_code=problem.status, headers=dict(headers or {}))


def install(app: FastAPI, always: Mapping[str, str]) -> None:
    """Let every error of an application have the one shape.

    Args:
        app: the application.
        always: headers of every answer. That of an error nobody foresaw is written outside of all
            layers that would add them.
    """

    @app.exception_handler(RemnantError)
    def _known(request: Request, error: RemnantError) -> Response:
        status = 404 if isinstance(error, NoData) else 422
        if isinstance(error, StoreError):
            status = 503 if isinstance(error, StoreBusy) else 500
        elif isinstance(error, CaseChanged):
            status = 409
        elif isinstance(error, CaseError | AccessError) and error.what.startswith("there is no"):
            status = 404
        problem = Problem(
            status=status,
            what=error.what,
            where=error.where,
            got=error.got,
            expected=error.expected,
            hint=error.hint,
        )
        audit_failure(request, status, error.what)
        return answer(request, problem)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        problem = Problem(status=error.status_code, what=str(error.detail))
        audit_failure(request, problem.status, problem.what)
        return answer(request, problem, error.headers)

    @app.exception_handler(RequestValidationError)
    def _parameter(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        problem = Problem(
            status=422,
            what="a parameter is not valid",
            where=printable(".".join(str(part) for part in first.get("loc", ()))),
            # A text that was refused for its length is not sent back at that length.
            got=printable(str(first.get("input", ""))[:_ECHOED]),
            expected=str(first.get("msg", "")),
        )
        audit_failure(request, problem.status, f"{problem.what}: {problem.where}")
        return answer(request, problem)

    @app.exception_handler(Exception)
    def _unknown(request: Request, error: Exception) -> Response:
        _LOG.error("%s: %s", printable(request.url.path), type(error).__name__, exc_info=error)
        audit_failure(request, 500, "the server failed")
        problem = Problem(status=500, what="the server failed", hint="its log has the reason")
        return answer(request, problem, {**always, "cache-control": "no-store"})

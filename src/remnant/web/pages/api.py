"""The API's documentation: made from the OpenAPI document, loading nothing from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANYBODY
from remnant.web.frame import render
from remnant.web.problem import RESPONSES
from remnant.web.reference import Reference, reference
from remnant.web.site import AskedBy

__all__ = ["router"]

router = APIRouter(tags=["api"])


class Errors(BaseModel):
    """The statuses that are errors everywhere, and what they mean."""

    status: int
    meaning: str


class ApiPage(BaseModel):
    """What the page shows."""

    api: Reference
    errors: list[Errors]


@router.get("/api", include_in_schema=False)
@admits(ANYBODY)
def api(asked: AskedBy) -> Response:
    """Show every operation with its parameters, shapes, roles and an example."""
    errors = [
        Errors(status=int(status), meaning=told["description"])
        for status, told in RESPONSES.items()
    ]
    shown = ApiPage(api=reference(asked.request.app), errors=errors)
    return render(asked, "api", "API", shown)

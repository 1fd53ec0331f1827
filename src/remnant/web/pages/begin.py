"""Beginning a case. Not below ``/cases``, where a case may have any name."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict

from remnant.web.access.audit import Action
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS
from remnant.web.editing.sheet import Edit, act, begun
from remnant.web.page import page
from remnant.web.pages.edit import Fields, answered, fields
from remnant.web.site import AskedBy

__all__ = ["router"]

router = APIRouter(tags=["editing"])


class Beginning(BaseModel):
    """State of the page: the way in which the case is written."""

    model_config = ConfigDict(extra="forbid")

    tab: Literal["form", "text", "import"] = "form"


@page(router, "/new", title="New case", roles=ANALYSTS, template="edit", kept=False)
def begin(asked: AskedBy, query: Annotated[Beginning, Query()]) -> Edit:
    """Return an empty case, as the form begins with it."""
    del asked
    return begun(query.tab)


@router.post("/new", include_in_schema=False)
@admits(ANALYSTS, records=Action.CASE_MADE)
def begin_sent(asked: AskedBy, sent: Annotated[Fields, Depends(fields)]) -> Response:
    """Check a new case, or store it."""
    return answered(asked, act(asked, None, sent.given, sent.upload), Action.CASE_MADE)

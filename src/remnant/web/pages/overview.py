"""One takedown: the verdict, the curves, how sure we are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from remnant.web.access.viewer import EVERYONE
from remnant.web.page import page
from remnant.web.pages.about import About, about
from remnant.web.site import AskedBy

__all__ = ["router"]

router = APIRouter(tags=["case"])


class Overview(BaseModel):
    """A case at a glance."""

    about: About
    verdict: dict[str, Any] | None


@page(router, "/cases/{case}", title="Overview", roles=EVERYONE)
def overview(asked: AskedBy, case: str) -> Overview:
    """Return the verdict of a case."""
    found = asked.site.results.get(case, "verdict", internal=asked.viewer.is_internal)
    return Overview(about=about(asked, case), verdict=found.value)

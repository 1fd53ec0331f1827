"""All takedowns: what became of each."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import BaseModel

from remnant.web.access.viewer import EVERYONE
from remnant.web.page import page
from remnant.web.site import AskedBy

if TYPE_CHECKING:
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["cases"])


class CaseRow(BaseModel):
    """One takedown."""

    name: str
    title: str
    takedown: datetime | None
    state: str | None
    sentence: str | None


class Cases(BaseModel):
    """All stored cases, in order of their names."""

    cases: list[CaseRow]


@page(router, "/cases", title="Cases", roles=EVERYONE, table="cases")
def cases(asked: AskedBy) -> Cases:
    """Every stored case with its verdict."""
    return Cases(cases=[_row(asked, name) for name in asked.site.library.names()])


def _row(asked: Asked, name: str) -> CaseRow:
    case = asked.case(name)
    verdict = asked.site.results.get(name, "verdict", internal=asked.viewer.is_internal).value
    return CaseRow(
        name=name,
        title=case.title,
        takedown=case.takedown,
        state=verdict and verdict["state"],
        sentence=verdict and verdict["sentence"],
    )

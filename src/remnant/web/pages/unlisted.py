"""What was asked for beside the list: it counts in no number of the case, and may be news."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from remnant.web.access.viewer import ANALYSTS
from remnant.web.page import page
from remnant.web.pages.about import About, about
from remnant.web.pages.names import Freshness, Listing, tables_of
from remnant.web.site import AskedBy

__all__ = ["router"]

router = APIRouter(tags=["names"])


class UnlistedQuery(Listing):
    """Which of these names."""

    kind: Literal["unlisted", "outside"] | None = None


class UnlistedRow(BaseModel):
    """One name: ``unlisted`` in a seized zone, or generated and asked for outside of its dates."""

    name: str
    kind: str
    zone: str | None
    queries: int
    clients: int
    first: datetime
    last: datetime
    vantage: str
    unit: str


class Unlisted(BaseModel):
    """A page of names beside the list, of each kind those with most queries first."""

    about: About
    fresh: Freshness
    servers: dict[str, Any] | None
    watched: int | None
    unlisted: dict[str, Any]
    total: int
    rows: list[UnlistedRow]
    after: str | None
    before: str | None
    query: UnlistedQuery


@page(router, "/cases/{case}/unlisted", title="Beside the list", roles=ANALYSTS, table="rows")
def unlisted(asked: AskedBy, case: str, query: Annotated[UnlistedQuery, Query()]) -> Unlisted:
    """Names in seized zones that are not listed, and generated names outside of their dates."""
    head = about(asked, case)
    result, tables = tables_of(asked, case)
    told: dict[str, Any] = result.value or {}
    rows: list[UnlistedRow] = []
    total, after, before = 0, None, None
    if tables is not None:
        part = tables.unlisted(
            kind=query.kind,
            text=query.q.strip(),
            limit=query.limit,
            after=query.after,
            before=query.before,
        )
        rows = [UnlistedRow(**{k: row[k] for k in UnlistedRow.model_fields}) for row in part.rows]
        total, after, before = part.total, part.after, part.before
    return Unlisted(
        about=head,
        fresh=Freshness.of(result),
        servers=told.get("servers"),
        watched=told.get("watched"),
        unlisted=told.get("unlisted", {}),
        total=total,
        rows=rows,
        after=after,
        before=before,
        query=query,
    )

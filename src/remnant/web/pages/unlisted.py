"""What was asked for beside the list: it counts in no number of the case, and may be news."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from remnant.web.access.viewer import ANALYSTS
from remnant.web.page import page
from remnant.web.pages.names import Listed, Listing, read_list
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


class Unlisted(Listed):
    """A page of names beside the list, of each kind those with most queries first."""

    rows: list[UnlistedRow]
    query: UnlistedQuery


@page(router, "/cases/{case}/unlisted", title="Beside the list", roles=ANALYSTS, table="rows")
def unlisted(asked: AskedBy, case: str, query: Annotated[UnlistedQuery, Query()]) -> Unlisted:
    """Names in seized zones that are not listed, and generated names outside of their dates."""
    _, found, listed = read_list(
        asked,
        case,
        lambda tables, _: tables.unlisted(
            kind=query.kind,
            text=query.q.strip(),
            limit=query.limit,
            after=query.after,
            before=query.before,
        ),
    )
    rows = [UnlistedRow(**{key: row[key] for key in UnlistedRow.model_fields}) for row in found]
    return Unlisted(**listed, rows=rows, query=query)

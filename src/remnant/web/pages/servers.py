"""The servers behind a case: what still lives, since when, and whom to ask to shut it down."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from remnant.web.access.viewer import ANALYSTS
from remnant.web.page import page
from remnant.web.pages.names import Listed, Listing, Now, read_list
from remnant.web.site import AskedBy

__all__ = ["router"]

router = APIRouter(tags=["names"])


class ServersQuery(Listing):
    """Which servers."""

    kind: Literal["address", "name_server", "name", "any"] | None = Field(
        None, description="Default: addresses and name servers."
    )
    state: Now | None = None
    alive: bool | None = Field(None, description="Only what must be acted on, or only the rest.")


class ServerRow(BaseModel):
    """One server, as ``remnant servers --format json`` tells it, flat.

    Lives: a name of the case was resolved to it within the last days of the window; nothing was
    connected to. ``other_names`` are names of others there: they would feel a shutdown.
    """

    kind: str
    value: str
    serves: str | None
    state: str
    whose: str | None
    alive: bool
    since: str | None
    last_seen: str | None
    names: int
    examples: list[str]
    other_names: int | None
    prefix: str | None
    asn: int | None
    as_name: str | None
    country: str | None
    note: str | None
    evidence: list[str]
    ask_kind: str
    ask_name: str | None
    ask_contact: str | None
    ask_registry: str | None
    ask_where: str | None
    ask_as_of: str | None
    ask_redacted: bool


class Servers(Listed):
    """A page of servers: first whom to ask about most that lives."""

    rows: list[ServerRow]
    query: ServersQuery


@page(router, "/cases/{case}/servers", title="Servers", roles=ANALYSTS, table="rows")
def servers(asked: AskedBy, case: str, query: Annotated[ServersQuery, Query()]) -> Servers:
    """Addresses and name servers that the names of a case lead to, and whom to ask."""
    kinds: tuple[str, ...] = ("address", "name_server")
    if query.kind is not None:
        kinds = () if query.kind == "any" else (query.kind,)
    told, rows, listed = read_list(
        asked,
        case,
        lambda tables, _: tables.servers(
            kinds=kinds,
            state=query.state,
            alive=query.alive,
            text=query.q.strip(),
            limit=query.limit,
            after=query.after,
            before=query.before,
        ),
    )
    if told.get("problem") is not None:
        listed["fresh"] = listed["fresh"].model_copy(update={"problem": told["problem"]})
    return Servers(**listed, rows=[_row(row) for row in rows], query=query)


def _row(plain: dict[str, Any]) -> ServerRow:
    flat = plain | {f"ask_{key}": value for key, value in plain["ask"].items()}
    return ServerRow(**{name: flat[name] for name in ServerRow.model_fields})

"""What is watched and what was asked for: state, custody and traffic of each name."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from remnant.web.access.viewer import ANALYSTS
from remnant.web.name_tables import Chosen, Part, Tables
from remnant.web.page import page
from remnant.web.pages.about import About, Freshness, about
from remnant.web.paging import MOST_CURSOR
from remnant.web.site import AskedBy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remnant.store import View
    from remnant.web.results.results import Result
    from remnant.web.site import Asked

__all__ = ["Listed", "Listing", "pulses", "read_list", "router", "tables_of"]

router = APIRouter(tags=["names"])

_POINTS: Final = 60
"""Days of a small curve; a longer window is told by its last days."""

Role = Literal["c2", "download", "dga", "fastflux", "nameserver"]
CaseState = Literal["seized", "suspended", "live", "lost", "unknown", "none"]
Now = Literal[
    "resolving",
    "reregistered",
    "parked",
    "sinkholed",
    "suspended",
    "expired",
    "unregistered",
    "absent",
    "unknown",
]
Sort = Literal["queries", "clients", "first", "last", "name", "role", "state", "now"]
Vantage = Literal[
    "resolver", "sinkhole_http", "sinkhole_tcp", "sinkhole_dns", "authority", "flow", "report"
]


class Listing(BaseModel):
    """Which part of a long list."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field("", max_length=255, description="What stands in it.")
    limit: int = Field(50, ge=1, le=500, description="Rows of a page.")
    after: str | None = Field(None, max_length=MOST_CURSOR, description="Cursor of a page.")
    before: str | None = Field(None, max_length=MOST_CURSOR, description="Cursor, backwards.")

    @model_validator(mode="before")
    @classmethod
    def _chosen(cls, given: Any) -> Any:
        """Leave out what a form sends of fields that nobody filled in."""
        if isinstance(given, dict):
            return {key: value for key, value in given.items() if value != ""}
        return given


class NamesQuery(Listing):
    """Which names, in which order."""

    role: Role | None = None
    state: CaseState | None = Field(None, description="What the case says; none: nothing.")
    now: Now | None = Field(None, description="What the records say.")
    kind: Literal["exact", "below", "seen"] | None = None
    asked: bool | None = Field(None, description="Only names that were asked for, or not.")
    vantage: Vantage | None = None
    sort: Sort = "queries"
    reverse: bool = False


class Curve(BaseModel):
    """Queries a day, oldest first; null in a gap."""

    first: datetime
    values: list[int | None]


class NameRow(BaseModel):
    """One name or ``*.`` rule.

    ``state`` is what the case says, ``now`` what the records say at the end of their window;
    ``since``/``until`` are custody as the case file tells it, ``watched_since`` when the name came
    into the case (UTC). ``queries`` and distinct ``clients`` are counted over the whole window at
    one vantage; a ``below`` row counts all names that its rule hit, so rows do not add up.
    """

    name: str
    kind: str
    rule: str | None
    role: str | None
    state: str | None
    now: str | None
    whose: str | None
    now_since: datetime | None
    last_dns: datetime | None
    since: datetime | None
    until: datetime | None
    watched_since: datetime | None
    valid_from: datetime | None
    valid_until: datetime | None
    source: str | None
    queries: int
    clients: int
    unit: str | None
    first: datetime | None
    last: datetime | None


class Listed(BaseModel):
    """What every list has that is read from the tables of names.

    ``watched`` counts the names that the case watches, ``unlisted`` and ``servers`` tell of the
    other lists; ``after`` and ``before`` are the cursors of the pages beside this one.
    """

    about: About
    fresh: Freshness
    watched: int | None
    unlisted: dict[str, Any]
    servers: dict[str, Any] | None
    total: int
    after: str | None
    before: str | None


class Names(Listed):
    """A page of names."""

    vantage: str | None
    vantages: list[str]
    window: list[datetime] | None
    seen: int | None
    counts: dict[str, dict[str, int]]
    states_problem: str | None
    rows: list[NameRow]
    curves: dict[str, Curve]
    query: NamesQuery


@page(router, "/cases/{case}/names", title="Names and servers", roles=ANALYSTS, table="rows")
def names(asked: AskedBy, case: str, query: Annotated[NamesQuery, Query()]) -> Names:
    """Every name that a case watches or that was asked for: state, custody, traffic.

    Sorted and cut on the server, by pages; ``after`` and ``before`` are the cursors of an answer.
    """
    chosen = Chosen(
        text=query.q.strip(),
        role=query.role,
        state=query.state,
        now=query.now,
        kind=query.kind,
        asked=query.asked,
        sort=query.sort,
        reverse=query.reverse,
    )

    def vantage_of(told: dict[str, Any]) -> Vantage | None:
        vantages: list[Vantage] = told.get("vantages", [])
        return query.vantage if query.vantage in vantages else next(iter(vantages), None)

    told, found, listed = read_list(
        asked,
        case,
        lambda tables, told: tables.names(
            vantage_of(told), chosen, limit=query.limit, after=query.after, before=query.before
        ),
    )
    vantage = vantage_of(told)
    rows = [name_row(row) for row in found]
    curves: dict[str, Curve] = {}
    if vantage is not None and rows:
        plain = [row.name for row in rows if row.kind != "below" and row.queries]
        with asked.site.snapshots.view(case) as view:
            curves = pulses(view, vantage, plain)
    return Names(
        **listed,
        vantage=vantage,
        vantages=told.get("vantages", []),
        window=told.get("window"),
        seen=told.get("seen", {}).get(vantage),
        counts=told.get("counts", {}),
        states_problem=told.get("problem"),
        rows=rows,
        curves=curves,
        query=query,
    )


def read_list(
    asked: Asked, case: str, read: Callable[[Tables, dict[str, Any]], Part]
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Read a page of a list from the tables of names; before they were made it is empty.

    Args:
        asked: the request.
        case: name of the case.
        read: what reads the page, of the tables and what is told of them.

    Returns:
        What is told of the tables, the rows, and the fields of ``Listed``.

    Raises:
        CaseError: there is no case of that name.
    """
    head = about(asked, case)
    result, tables = tables_of(asked, case)
    told: dict[str, Any] = result.value or {}
    part = Part([], 0, None, None) if tables is None else read(tables, told)
    listed = {
        "about": head,
        "fresh": Freshness.of(result),
        "watched": told.get("watched"),
        "unlisted": told.get("unlisted", {}),
        "servers": told.get("servers"),
        "total": part.total,
        "after": part.after,
        "before": part.before,
    }
    return told, part.rows, listed


def tables_of(asked: Asked, case: str) -> tuple[Result, Tables | None]:
    """Return what is told of the names of a case, and the tables; none before they were made."""
    result = asked.site.results.get(case, "names", internal=True)
    if result.value is None:
        return result, None
    return result, Tables(asked.site.settings, case, result.value["folder"])


def name_row(row: dict[str, Any]) -> NameRow:
    """Return a row of the tables as the page tells it."""
    return NameRow(name=row["text"], **{k: v for k, v in row.items() if k in NameRow.model_fields})


def pulses(view: View, vantage: str, names: Sequence[str]) -> dict[str, Curve]:
    """Return queries a day of some names, from the roll-ups, over the last days of the data.

    A day without a sighting of the name is 0 where a sensor delivered, else null.
    """
    import ibis

    from remnant import schema
    from remnant.estimate.coverage import by_step, default_window
    from remnant.windows import Window, floor

    if not names:
        return {}
    window = default_window(view)
    start = max(
        floor(window.since, "day"), floor(window.until, "day") - timedelta(days=_POINTS - 1)
    )
    days = by_step(view, Window(start, window.until), "day", vantage).to_pylist()
    table = view.table(schema.ACTIVITY)
    rows = (
        table.filter(
            table.grain == "name",
            table.vantage == vantage,
            table.start >= ibis.literal(start, type="timestamp('UTC', 6)"),
            table.name.isin(list(names)),
        )
        .select("start", "name", "queries")
        .to_pyarrow()
        .to_pylist()
    )
    place = {day["start"]: index for index, day in enumerate(days)}
    blank = [0 if day["coverage"] else None for day in days]
    found: dict[str, list[int | None]] = {name: list(blank) for name in names}
    for row in rows:
        index = place.get(row["start"])
        if index is not None:
            found[row["name"]][index] = (found[row["name"]][index] or 0) + row["queries"]
    return {name: Curve(first=start, values=values) for name, values in found.items()}

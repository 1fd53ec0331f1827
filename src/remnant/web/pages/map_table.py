"""The map as tables: every thing and every relation, found, sorted and paged on the server."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from remnant.web.access.viewer import ANALYSTS
from remnant.web.page import page
from remnant.web.pages.about import About, about
from remnant.web.pages.map import map_of
from remnant.web.results.mapped import whole
from remnant.web.site import AskedBy

if TYPE_CHECKING:
    import pyarrow as pa

    from remnant.infrastructure.graph import Graph

__all__ = ["router"]

router = APIRouter(tags=["map"])

_NODES: Final = (
    ("kind", "Kind"),
    ("value", "Thing"),
    ("label", "Called"),
    ("role", "Role"),
    ("state", "State"),
    ("hub", "Joins nothing"),
    ("degree", "Neighbours"),
    ("time_first", "First seen"),
    ("time_last", "Last seen"),
    ("asn", "AS"),
    ("country", "Country"),
)
_LINKS: Final = (
    ("tail", "From"),
    ("type", "Relation"),
    ("head", "To"),
    ("time_first", "First seen"),
    ("time_last", "Last seen"),
    ("count", "Seen"),
    ("clients", "Clients"),
)
_NUMBERS: Final = frozenset({"degree", "asn", "count", "clients"})


class Rows(BaseModel):
    """Which rows: of things or of links, found by text, sorted, after a row."""

    model_config = ConfigDict(extra="forbid")

    of: Literal["things", "links"] = "things"
    find: Annotated[str, Field(max_length=255)] = ""
    kind: Annotated[str, Field(max_length=20, pattern=r"^[a-z_]*$")] = ""
    sort: Annotated[str, Field(max_length=20, pattern=r"^-?[a-z_]+$")] | None = None
    after: Annotated[int, Field(ge=0, le=2**31)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class Thing(BaseModel):
    """A thing on the map; times are UTC, null where not dated."""

    number: int
    kind: str
    value: str
    label: str | None
    seed: bool
    role: str | None
    state: str | None
    hub: str | None
    degree: int
    time_first: datetime | None
    time_last: datetime | None
    asn: int | None
    country: str | None


class Link(BaseModel):
    """A relation between two things while it was observed; times are UTC, null where not dated."""

    number: int
    tail_kind: str
    tail: str
    type: str
    head_kind: str
    head: str
    time_first: datetime | None
    time_last: datetime | None
    count: int | None
    clients: int | None


class Column(BaseModel):
    """A column of the table and what sorts by it next."""

    key: str
    title: str
    numeric: bool
    sorted: Literal["ascending", "descending", "none"]
    next: str


class MapTable(BaseModel):
    """Some rows of the map; ``after`` asks for those that follow, null at the end."""

    about: About
    state: Literal["ready", "working"]
    of: Literal["things", "links"]
    find: str
    kind: str
    sort: str
    choices: list[str]
    columns: list[Column]
    found: int
    total: int
    rows: list[Thing] | list[Link]
    after: int | None


@page(router, "/cases/{case}/map/table", title="Map as tables", roles=ANALYSTS, table="rows")
def map_table(asked: AskedBy, case: str, query: Annotated[Rows, Query()]) -> MapTable:
    """Return things or links of the whole map, nothing folded."""
    head = about(asked, case)
    value = map_of(asked, case).value
    shown = _LINKS if query.of == "links" else _NODES
    keys = [key for key, _ in shown]
    sort = query.sort or ("tail" if query.of == "links" else "value")
    if sort.removeprefix("-") not in keys:
        raise HTTPException(422, f"sort takes one of {', '.join(keys)}, with - for downwards")
    columns = [_column(key, title, sort) for key, title in shown]
    asked_for: dict[str, Any] = {
        "about": head,
        "of": query.of,
        "find": query.find,
        "kind": query.kind,
        "sort": sort,
        "columns": columns,
    }
    if value is None:
        nothing: dict[str, Any] = {"choices": [], "found": 0, "total": 0, "rows": []}
        return MapTable(state="working", after=None, **asked_for, **nothing)
    graph = whole(value)
    table = _links(graph) if query.of == "links" else graph.nodes
    chosen = _chosen(table, query)
    order = chosen[_order(table.take(chosen), sort)]
    start = 0
    if query.after is not None:
        place = np.flatnonzero(order == query.after)
        start = int(place[0]) + 1 if place.size else int(order.size)
    page_ = order[start : start + query.limit]
    rows = [
        row | {"number": number}
        for number, row in zip(page_.tolist(), table.take(page_).to_pylist(), strict=True)
    ]
    told: list[Any]
    if query.of == "links":
        told = [Link.model_validate(row) for row in rows]
    else:
        told = [Thing.model_validate(row) for row in rows]
    return MapTable(
        state="ready",
        choices=sorted(set(_texts(table["type" if query.of == "links" else "kind"]).to_pylist())),
        found=int(order.size),
        total=table.num_rows,
        rows=told,
        after=int(page_[-1]) if start + query.limit < order.size else None,
        **asked_for,
    )


def _texts(column: Any) -> Any:
    """Return a column of words as plain text."""
    import pyarrow as pa

    return column.cast(pa.string())


def _column(key: str, title: str, sort: str) -> Column:
    downwards = f"-{key}"
    state: Any = {key: "ascending", downwards: "descending"}.get(sort, "none")
    # Numbers and times are asked for from the top.
    first = downwards if key in _NUMBERS or key.startswith("time") else key
    other = key if first == downwards else downwards
    return Column(
        key=key,
        title=title,
        numeric=key in _NUMBERS,
        sorted=state,
        next=other if sort == first else first,
    )


def _links(graph: Graph) -> pa.Table:
    """Return the relations with their ends by kind and value."""
    import pyarrow as pa

    kinds, values = _texts(graph.nodes["kind"]), graph.nodes["value"]
    edges = graph.edges
    columns: dict[str, Any] = {
        "tail_kind": kinds.take(edges["tail"]),
        "tail": values.take(edges["tail"]),
        "type": _texts(edges["type"]),
        "head_kind": kinds.take(edges["head"]),
        "head": values.take(edges["head"]),
    }
    columns |= {name: edges[name] for name in ("time_first", "time_last", "count", "clients")}
    return pa.table(columns)


def _chosen(table: pa.Table, query: Rows) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the rows that hold the text and are of the kind."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kept = np.ones(table.num_rows, np.bool_)
    if query.kind:
        of = "type" if query.of == "links" else "kind"
        same: Any = pc.equal(_texts(table[of]), pa.scalar(query.kind))
        kept &= np.asarray(same.to_numpy(), np.bool_)
    if query.find:
        hit = np.zeros(table.num_rows, np.bool_)
        for name in ("tail", "head") if query.of == "links" else ("value", "label"):
            found: Any = pc.match_substring(table[name], query.find, ignore_case=True)
            found = pc.fill_null(found, pa.scalar(value=False))
            hit |= np.asarray(found.to_numpy(), np.bool_)
        kept &= hit
    return np.flatnonzero(kept)


def _order(table: pa.Table, sort: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the order of rows: what is not known last, equal ones as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    key = sort.removeprefix("-")
    column: Any = table[key]
    if pa.types.is_dictionary(column.type):
        column = _texts(column)
    how: Any = "descending" if sort.startswith("-") else "ascending"
    keys: dict[str, Any] = {key: column, "row": pa.array(np.arange(table.num_rows))}
    rows = pa.table(keys)
    found: Any = pc.sort_indices(rows, sort_keys=[(key, how), ("row", "ascending")])
    return np.asarray(found.to_numpy(), np.int64)

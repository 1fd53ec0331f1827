"""Data of a case as CSV, written while it is sent: all rows of the reading commands."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from remnant.errors import NoData
from remnant.store import Store
from remnant.web.access.audit import Action, audit
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS
from remnant.web.making.work import window_of
from remnant.web.pages.about import there
from remnant.web.pages.names import Vantage
from remnant.web.problem import RESPONSES
from remnant.web.site import AskedBy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from remnant.store import View
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["exports"])

_AT_ONCE: Final = threading.BoundedSemaphore(3)
"""Each export has an engine of its own, so only a few are written at a time."""

_CSV: Final[dict[int | str, dict[str, Any]]] = RESPONSES | {200: {"content": {"text/csv": {}}}}

_TRAFFIC: Final = {
    "name": ("name",),
    "network": ("asn", "as_name", "country"),
    "country": ("country",),
    "sensor": ("sensor",),
}
_COUNTS: Final = ("queries", "clients", "vantage", "unit")
_UNLISTED: Final = (
    *("name", "kind", "zone", "queries", "clients", "first", "last", "vantage", "unit"),
)
_CLIENTS: Final = (
    *("address", "first", "last", "queries", "client_port", "proof", "role", "asn", "country"),
    *("as_name", "unit", "vantage"),
)
_SERVERS: Final = (
    *("ask_kind", "ask_contact", "ask_name", "ask_registry", "ask_where", "kind", "value", "state"),
    *("whose", "since", "last_seen", "alive", "names", "other_names", "network", "evidence"),
    *("prefix", "asn", "country", "note"),
)


class Bounds(BaseModel):
    """Which part of the data; both bounds are a date or a time with a zone."""

    model_config = ConfigDict(extra="forbid")

    since: str = Field("", max_length=40)
    until: str = Field("", max_length=40, description="Exclusive.")
    vantage: Vantage | None = None


class TrafficBounds(Bounds):
    """And what to count by."""

    by: Literal["hour", "day", "week", "name", "network", "country", "sensor"] = "day"


@router.get(
    "/cases/{case}/exports/traffic.csv",
    operation_id="export_traffic",
    response_class=Response,
    summary="Queries and distinct clients, by time or key",
    responses=_CSV,
)
@admits(ANALYSTS)
def traffic_csv(asked: AskedBy, case: str, query: Annotated[TrafficBounds, Query()]) -> Response:
    """All rows of ``remnant traffic``."""
    columns = (*_TRAFFIC[query.by], *_COUNTS) if query.by in _TRAFFIC else (
        "start", "queries", "clients", "coverage", "vantage", "unit",
    )  # fmt: skip

    def rows(view: View) -> Iterator[dict[str, Any]]:
        from remnant.estimate.traffic import by_time, iter_key

        window = window_of(view, query.since, query.until)
        by: Any = query.by
        if query.by in _TRAFFIC:
            yield from iter_key(view, by, window=window, vantage=query.vantage)
        else:
            yield from by_time(view, by, window=window, vantage=query.vantage)

    return _sent(asked, case, f"traffic-by-{query.by}", columns, rows)


@router.get(
    "/cases/{case}/exports/unlisted.csv",
    operation_id="export_unlisted",
    response_class=Response,
    summary="Names that were asked for beside the list",
    responses=_CSV,
)
@admits(ANALYSTS)
def unlisted_csv(asked: AskedBy, case: str) -> Response:
    """All rows of ``remnant traffic --by name --unlisted``."""

    def rows(view: View) -> Iterator[dict[str, Any]]:
        from remnant.estimate.traffic import unlisted

        yield from unlisted(view)

    return _sent(asked, case, "unlisted", _UNLISTED, rows)


@router.get(
    "/cases/{case}/exports/clients.csv",
    operation_id="export_clients",
    response_class=Response,
    summary="Addresses that were seen",
    responses=_CSV,
)
@admits(ANALYSTS)
def clients_csv(asked: AskedBy, case: str, query: Annotated[Bounds, Query()]) -> Response:
    """All rows of ``remnant clients``: personal data, so it is recorded who took them."""
    asked.case(case)
    audit(asked.request, Action.CLIENTS_EXPORTED, case)

    def rows(view: View) -> Iterator[dict[str, Any]]:
        from remnant.enrich.clients import iter_clients
        from remnant.estimate.coverage import choose_vantage

        yield from iter_clients(
            view,
            network=None,
            window=window_of(view, query.since, query.until),
            vantage=choose_vantage(view, query.vantage),
            limit=None,
        )

    return _sent(asked, case, "clients", _CLIENTS, rows)


@router.get(
    "/cases/{case}/exports/servers.csv",
    operation_id="export_servers",
    response_class=Response,
    summary="Servers, with whom to ask",
    responses=_CSV,
)
@admits(ANALYSTS)
def servers_csv(asked: AskedBy, case: str) -> Response:
    """All rows of ``remnant servers``, as the page of servers has them."""
    from remnant.report.text import stream
    from remnant.web.pages.names import tables_of

    asked.case(case)
    result, tables = tables_of(asked, case)
    there(result, "list of servers")
    assert tables is not None  # they are there with the result
    rows = (_flat(row) for row in tables.all_servers())
    return _response(case, "servers", stream(rows, _SERVERS, "csv"))


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat = row | {f"ask_{key}": value for key, value in row["ask"].items()}
    return flat | {"evidence": "; ".join(row["evidence"])}


def _sent(
    asked: Asked,
    case: str,
    name: str,
    columns: Sequence[str],
    rows: Callable[[View], Iterator[dict[str, Any]]],
) -> Response:
    """Send rows from a store of its own; what is wrong is said before the first byte."""
    asked.case(case)
    if not _AT_ONCE.acquire(timeout=5):
        raise HTTPException(503, "other exports are being written; try again soon")
    parts = _written(asked, case, columns, rows)
    first = next(parts, "")
    return _response(case, name, _chained(first, parts))


def _written(
    asked: Asked,
    case: str,
    columns: Sequence[str],
    rows: Callable[[View], Iterator[dict[str, Any]]],
) -> Iterator[str]:
    from remnant.report.text import stream

    try:
        with Store.open(asked.site.settings) as store:
            view = store.view(case)
            if not view.sources:
                raise NoData(
                    "nothing was ingested for this case yet",
                    where=case,
                    hint=f"remnant ingest {case} PATH...",
                )
            yield from stream(rows(view), columns, "csv")
    finally:
        _AT_ONCE.release()


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _response(case: str, name: str, parts: Iterator[str]) -> Response:
    return StreamingResponse(
        parts,
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{case}-{name}.csv"'},
    )

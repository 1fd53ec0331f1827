"""The prefixes of a network, its clients by day, and the names that they ask for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import BaseModel

from remnant import schema
from remnant.web.places.prefixes import subnet
from remnant.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.store import View
    from remnant.web.places.seen import Scope

__all__ = ["NameAsked", "PrefixRow", "by_day", "by_prefix", "names_asked", "totals"]

_DAY: Final = timedelta(days=1)
_DAY_US: Final = 86_400_000_000
_MOST_READ: Final = 3_000_000
"""Requests that a page reads at most to say which names are asked for."""


class PrefixRow(BaseModel):
    """One /24 or IPv6 /48 with its distinct clients and requests in the window, counted."""

    prefix: str
    clients: int
    queries: int
    days: int
    first: datetime
    last: datetime


class NameAsked(BaseModel):
    """One watched name that clients of a network ask for."""

    name: str
    queries: int
    clients: int


def by_prefix(rows: Any, limit: int) -> tuple[list[PrefixRow], int]:
    """Return the /24s and /48s with most clients, and how many there are.

    Args:
        rows: of ``clients.client_rows``.
        limit: rows at most.
    """
    import ibis  # noqa: PLC0415 - heavy

    hextets = rows.address.split("::")[0].split(":")
    long = ibis.literal(":").join([_filled(hextets[place], "0") for place in range(3)]) + "::/48"
    short = rows.address.re_extract(r"^(\d+\.\d+\.\d+)\.", 1) + ".0/24"
    marked = rows.filter(rows.address.notnull()).mutate(
        part=ibis.ifelse(rows.unit == schema.UNITS[1], long, short),
        day=rows.first_time.epoch_seconds() // 86_400,
    )
    found = marked.group_by("part").aggregate(
        clients=marked.client.nunique(),
        queries=marked.queries.sum(),
        days=marked.day.nunique(),
        first=marked.first_time.min(),
        last=marked.last_time.max(),
    )
    total = int(found.count().to_pyarrow().as_py())
    top = found.order_by(ibis.desc("clients"), ibis.desc("queries"), "part").limit(limit)
    return [
        PrefixRow(prefix=subnet(row["part"]), **{k: v for k, v in row.items() if k != "part"})
        for row in top.to_pyarrow().to_pylist()
    ], total


def _filled(part: Any, blank: str) -> Any:  # noqa: ANN401 - ibis is untyped
    return part.nullif("").fill_null(blank)


def totals(rows: Any) -> dict[str, Any]:
    """Return distinct clients, requests, and first and last time of some rows of ``clients``."""
    found = rows.aggregate(
        clients=rows.client.nunique(),
        queries=rows.queries.sum(),
        first=rows.first_time.min(),
        last=rows.last_time.max(),
    )
    row: dict[str, Any] = found.to_pyarrow().to_pylist()[0]
    return row | {"queries": row["queries"] or 0}


def by_day(rows: Any, of: Scope) -> NDArray[np.float64]:
    """Return the distinct clients of each day of the window."""
    marked = rows.mutate(day=rows.first_time.epoch_seconds() // 86_400)
    found = marked.group_by("day").aggregate(clients=marked.client.nunique()).to_pyarrow()
    first = round(of.window.since.timestamp()) // 86_400
    values = np.zeros(len(of.days))
    values[found["day"].to_numpy().astype(np.int64) - first] = found["clients"].to_numpy()
    return values


def names_asked(
    view: View, of: Scope, asn: int, limit: int
) -> tuple[list[NameAsked], Window | None]:
    """Return the names that a network asks for most, over the last days, and which those are.

    So many days are read, at least one, that it takes no longer than a page may.
    """
    import ibis  # noqa: PLC0415 - heavy

    from remnant.estimate.traffic import sightings  # noqa: PLC0415 - rooms load when used

    window = _recent(view, of)
    if window is None:
        return [], None
    seen = sightings(view, window, of.vantage)
    seen = seen.filter(seen.asn == asn)
    found = (
        seen.group_by("name")
        .aggregate(queries=seen.weight.sum(), clients=seen.client.nunique())
        .order_by(ibis.desc("clients"), ibis.desc("queries"), "name")
        .limit(limit)
    )
    return [NameAsked(**row) for row in found.to_pyarrow().to_pylist()], window


def _recent(view: View, of: Scope) -> Window | None:
    """Return the last days of the window with a bounded number of requests."""
    key = ("recent days", of.window, of.vantage)
    return view.known(key, lambda: _last_days(view, of))


def _last_days(view: View, of: Scope) -> Window | None:
    table = view.table(schema.ACTIVITY)
    table = table.filter(
        table.grain == "day", table.sensor.isnull(), table.vantage == of.vantage
    ).select("start", "queries")
    sizes = {
        row["start"].timestamp(): row["queries"] for row in table.to_pyarrow().to_pylist()
    }
    read, since = 0, None
    for day in reversed(of.days):
        size = sizes.get(day.timestamp(), 0)
        if since is not None and read + size > _MOST_READ:
            break
        read, since = read + size, day if size or since is not None else None
    if since is None:
        return None
    return Window(since, of.window.until)

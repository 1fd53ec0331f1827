"""The prefixes of a network, its clients by day, and the names that they ask for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from remnant import schema
from remnant.web.places.contacts import FIELDS
from remnant.web.places.prefixes import subnet
from remnant.windows import Window

if TYPE_CHECKING:
    from remnant.store import View
    from remnant.web.places.seen import Scope

__all__ = [
    "MOST_CLIENT_ROWS",
    "NameAsked",
    "Parts",
    "PrefixRow",
    "by_prefix",
    "inside_prefix",
    "names_asked",
    "recent",
]

MOST_CLIENT_ROWS: Final = 500_000
"""Rows of ``clients`` that a page reads at most, in whole days."""
MOST_SIGHTINGS: Final = 2_000_000
"""Sightings that a page reads at most, in whole days."""


class PrefixRow(BaseModel):
    """One /24 or IPv6 /48 with its distinct clients and requests in the window, counted."""

    prefix: str
    clients: int
    queries: int
    days: int
    first: datetime
    last: datetime
    contact: str | None = None
    contact_name: str | None = None
    contact_source: str | None = None
    contact_as_of: str | None = None


class NameAsked(BaseModel):
    """One watched name that clients of a network ask for."""

    name: str
    queries: int
    clients: int


def recent(view: View, of: Scope, table: schema.Table, most: int) -> Scope:
    """Return the last days of a window, at least one, that hold no more rows than a page reads.

    The days of the window itself where they all may be read.
    """
    rows = view.rows_by_day(table)
    read, since = 0, None
    for day in reversed(of.days):
        size = rows.get(f"{day:%Y-%m-%d}", 0)
        if since is not None and read and read + size > most:
            break
        read, since = read + size, day
    return of if since is None else replace(of, window=Window(since, of.window.until))


def by_prefix(rows: Any, limit: int) -> tuple[list[PrefixRow], int]:
    """Return the /24s and /48s with most clients, and how many there are.

    Args:
        rows: of ``clients.client_rows``.
        limit: rows at most.
    """
    import ibis

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
    found = found.mutate(total=ibis._.count().over(ibis.window()))
    top = found.order_by(ibis.desc("clients"), ibis.desc("queries"), "part").limit(limit)
    told = top.to_pyarrow().to_pylist()
    fields = set(PrefixRow.model_fields) - {"prefix", *FIELDS}
    made = [
        PrefixRow(prefix=subnet(row["part"]), **{name: row[name] for name in fields})
        for row in told
    ]
    return made, told[0]["total"] if told else 0


def _filled(part: Any, blank: str) -> Any:
    return part.nullif("").fill_null(blank)


def names_asked(view: View, of: Scope, asn: int, limit: int) -> tuple[list[NameAsked], Window]:
    """Return the names that a network asks for most, over the last days, and which those are."""
    import ibis

    window = recent(view, of, schema.SIGHTINGS, MOST_SIGHTINGS).window
    seen = view.of_days(schema.SIGHTINGS, window.since.date(), window.until.date())
    seen = seen.filter(seen.vantage == of.vantage, seen.asn == asn)
    found = (
        seen.group_by("name")
        .aggregate(queries=seen.weight.sum(), clients=seen.client.nunique())
        .order_by(ibis.desc("clients"), ibis.desc("queries"), "name")
        .limit(limit)
    )
    return [NameAsked(**row) for row in found.to_pyarrow().to_pylist()], window


class Parts(BaseModel):
    """What lies in a prefix, of the days that were read: see ``PrefixAnswer``."""

    clients: int
    queries: int
    first: datetime | None
    last: datetime | None
    asns: list[tuple[int | None, str | None, str | None, int]]
    daily: dict[int, int]
    prefixes: list[PrefixRow]
    prefixes_total: int


def inside_prefix(rows: Any, limit: int) -> Parts:
    """Return what lies in a prefix: one reading of the rows, everything else from it.

    Args:
        rows: of ``clients.client_rows``, a bounded number.
        limit: rows of each list at most.
    """
    wanted = ("client", "address", "asn", "as_name", "country", "queries")
    found = rows.select(
        *wanted,
        "first_time",
        "last_time",
        day=rows.first_time.epoch_seconds() // 86_400,
    ).to_pyarrow()
    client, queries = found["client"], found["queries"]
    origins = _distinct(found, ["asn", "country"], [("as_name", "max")])
    origins.sort(key=lambda row: (-row["clients"], row["asn"] or 0, row["country"] or ""))
    days = _distinct(found, ["day"], [])
    known = found.filter(pc.is_valid(found["address"]))
    addresses = known["address"].combine_chunks().dictionary_encode()
    # Few addresses stand for many rows.
    texts = pa.array([_part(text) for text in addresses.dictionary.to_pylist()], pa.string())
    known = known.append_column("part", texts.take(addresses.indices))
    ways = [("queries", "sum"), ("first_time", "min"), ("last_time", "max")]
    made = [
        PrefixRow(
            prefix=subnet(row["part"]),
            clients=row["clients"],
            queries=row["queries_sum"],
            days=row["day_count_distinct"],
            first=row["first_time_min"],
            last=row["last_time_max"],
        )
        for row in _distinct(known, ["part"], [*ways, ("day", "count_distinct")])
    ]
    made.sort(key=lambda row: (-row.clients, -row.queries, row.prefix))
    return Parts(
        clients=pc.count_distinct(client).as_py(),
        queries=pc.sum(queries).as_py() or 0,
        first=pc.min(found["first_time"]).as_py(),
        last=pc.max(found["last_time"]).as_py(),
        asns=[
            (row["asn"], row["as_name_max"], row["country"], row["clients"])
            for row in origins[:limit]
        ],
        daily={row["day"]: row["clients"] for row in days},
        prefixes=made[:limit],
        prefixes_total=len(made),
    )


def _distinct(rows: Any, keys: list[str], ways: list[Any]) -> list[dict[str, Any]]:
    """Return the distinct clients of each group, and what else is asked for."""
    found = rows.group_by(keys).aggregate([("client", "count_distinct"), *ways]).to_pylist()
    return [row | {"clients": row["client_count_distinct"]} for row in found]


def _part(address: str) -> str:
    """Return the /24 of an IPv4 address, the /48 of a /64."""
    if ":" in address:
        hextets = address.partition("::")[0].split(":")
        return ":".join((*hextets, "0", "0", "0")[:3]) + "::/48"
    return address.rpartition(".")[0] + ".0/24"

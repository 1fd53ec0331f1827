"""Exact roll-ups of sightings: queries and distinct clients by hour, day, network and name.

They are Ibis expressions without any engine's own SQL, for days that are not rolled up yet and for
engines on many machines; ``rollup`` makes the same rows for the store of one machine. Hours and
days come from one table with a row per hour and client, which is small where clients ask often;
networks and names, whose clients are many, count distinct values directly. Measured, this mixture
is faster than either way alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import ibis

from remnant.schema import ACTIVITY, UNITS
from remnant.store.engine import activity_schema

if TYPE_CHECKING:
    from ibis.expr.types import Table, Value

__all__ = ["rollups"]


def rollups(sightings: Table) -> Table:
    """Return rows of ``schema.ACTIVITY`` for these sightings.

    Sightings must hold whole days: a distinct client of half a day counts again in the other half.
    """
    # Whether a client is a /64, as a number: short keys make the grouping faster.
    sightings = sightings.mutate(wide=(sightings.unit == UNITS[1]).cast("int8"))
    hours = _clients(sightings, _start(sightings.time, "h"), sightings.weight, "sensor")
    days = _clients(hours, _start(hours.start, "D"), hours.queries, "sensor")
    return ibis.union(
        _rollup("hour", _counted(hours, "sensor")),
        _rollup("hour", _counted(_clients(hours, hours.start, hours.queries))),
        _rollup("day", _counted(days, "sensor")),
        _rollup("day", _counted(_clients(days, days.start, days.queries))),
        _rollup("network", _distinct(sightings, "asn", "country")),
        _rollup("name", _distinct(sightings, "name")),
    )


def _start(time: Value, step: Literal["h", "D"]) -> Value:
    return time.truncate(step).cast("timestamp('UTC', 6)")


def _clients(rows: Table, start: Value, queries: Value, *keys: str) -> Table:
    """Return one row per start, vantage, key and client, with its queries."""
    return (
        rows.mutate(start=start, queries=queries)
        .group_by(["start", "vantage", *keys, "client", "wide"])
        .agg(queries=lambda t: t.queries.sum().cast("int64"))
    )


def _counted(clients: Table, *keys: str) -> Table:
    """Count rows of ``_clients``: one row per start, vantage and key."""
    return clients.group_by(["start", "vantage", *keys]).agg(
        queries=lambda t: t.queries.sum(),
        clients=lambda t: t.count(),
        least=lambda t: t.wide.min(),
        most=lambda t: t.wide.max(),
    )


def _distinct(sightings: Table, *keys: str) -> Table:
    """Count the sightings of each day: one row per day, vantage and key."""
    return (
        sightings.mutate(start=_start(sightings.time, "D"))
        .group_by(["start", "vantage", *keys])
        .agg(
            queries=lambda t: t.weight.sum(),
            clients=lambda t: t.client.nunique(),
            least=lambda t: t.wide.min(),
            most=lambda t: t.wide.max(),
        )
    )


def _rollup(grain: str, counted: Table) -> Table:
    """Return counts as rows of the table."""
    one = ibis.ifelse(counted.most == 0, UNITS[0], UNITS[1])
    values = {
        "grain": ibis.literal(grain),
        "unit": ibis.ifelse(counted.least == counted.most, one, "mixed"),
    }
    types = activity_schema()
    columns = {
        name: values.get(name, counted[name] if name in counted.columns else ibis.null())
        for name in ACTIVITY.names
    }
    return counted.select(**{name: column.cast(types[name]) for name, column in columns.items()})

"""Exact roll-ups of sightings: queries and distinct clients by hour, day, network and name.

They are Ibis expressions without any engine's own SQL. Distinct clients are counted in two steps,
first one row per client and then rows: that spills to disk where a count of distinct values would
have to stay in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import ibis

from remnant.schema import ACTIVITY, SIGHTINGS
from remnant.store.engine import activity_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from ibis.expr.types import Table, Value

    from remnant.store.store import Store

__all__ = ["days_of_work", "rollups", "settle_activity"]

_CHUNK_ROWS: Final = 5_000_000
"""Sightings of a piece of work; a day is never split."""


def rollups(sightings: Table) -> Table:
    """Return rows of ``schema.ACTIVITY`` for these sightings.

    Sightings must hold whole days: a distinct client of half a day counts again in the other half.
    """
    hours = _clients(sightings, _start(sightings.time, "h"), sightings.weight, "sensor")
    days = _clients(hours, _start(hours.start, "D"), hours.queries, "sensor")
    day = _start(sightings.time, "D")
    return ibis.union(
        _rollup("hour", hours, "sensor"),
        _rollup("hour", _clients(hours, hours.start, hours.queries)),
        _rollup("day", days, "sensor"),
        _rollup("day", _clients(days, days.start, days.queries)),
        _rollup(
            "network",
            _clients(sightings, day, sightings.weight, "asn", "country"),
            "asn",
            "country",
        ),
        _rollup("name", _clients(sightings, day, sightings.weight, "name"), "name"),
    )


def _start(time: Value, step: Literal["h", "D"]) -> Value:
    return time.truncate(step).cast("timestamp('UTC', 6)")


def _clients(rows: Table, start: Value, queries: Value, *keys: str) -> Table:
    """Return one row per start, vantage, key and client, with its queries."""
    return (
        rows.mutate(start=start, queries=queries)
        .group_by(["start", "vantage", *keys, "client", "unit"])
        .agg(queries=lambda t: t.queries.sum().cast("int64"))
    )


def _rollup(grain: str, clients: Table, *keys: str) -> Table:
    """Return one row per start, vantage and key, with queries and the number of clients."""
    counted = clients.group_by(["start", "vantage", *keys]).agg(
        queries=lambda t: t.queries.sum(),
        clients=lambda t: t.count(),
        least=lambda t: t.unit.min(),
        most=lambda t: t.unit.max(),
    )
    unit = ibis.ifelse(counted.least == counted.most, counted.least, "mixed")
    values = {"grain": ibis.literal(grain), "unit": unit}
    columns = {
        name: values.get(name, counted[name] if name in counted.columns else ibis.null())
        for name in ACTIVITY.names
    }
    types = activity_schema()
    return counted.select(**{name: column.cast(types[name]) for name, column in columns.items()})


def days_of_work(rows: dict[str, int]) -> Iterator[list[str]]:
    """Yield the days in groups of a bounded number of rows, at least one day each."""
    group: list[str] = []
    size = 0
    for day in sorted(rows):
        if group and size + rows[day] > _CHUNK_ROWS:
            yield group
            group, size = [], 0
        group.append(day)
        size += rows[day]
    if group:
        yield group


def settle_activity(store: Store, case: str) -> int:
    """Make the roll-ups of every day that needs it; return how many days that were."""
    with store.ledger.reading() as connection:
        dirty = store.ledger.dirty_days(connection, case)
        files = store.ledger.files(connection, case, SIGHTINGS.name, days=dirty)
    rows = dict.fromkeys(dirty, 0)
    for file in files:
        rows[file.day or ""] += file.rows
    for days in days_of_work(rows):
        _settle_days(store, case, days)
    return len(dirty)


def _settle_days(store: Store, case: str, days: list[str]) -> None:
    with store.ledger.reading() as connection:
        files = store.ledger.files(connection, case, SIGHTINGS.name, days=days)
        old = store.ledger.files(connection, case, ACTIVITY.name, days=days)
    with store.change() as change, store.engine() as engine:
        change.replace(old)
        if files:
            expression = rollups(engine.table(SIGHTINGS, files))
            for piece in engine.pieces(expression):
                for day, part in _by_day(piece):
                    change.write(ACTIVITY, case, day, part, ())
        change.mark_clean(case, days)
        change.commit()


def _by_day(data: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    import pyarrow.compute as pc  # noqa: PLC0415 - Arrow is not needed to state the expressions

    day = pc.strftime(data["start"], format="%Y-%m-%d")
    for value in pc.unique(day):
        part = data.filter(pc.equal(day, value))
        yield str(value), part.sort_by([("grain", "ascending"), ("start", "ascending")])

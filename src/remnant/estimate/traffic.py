"""How much traffic: queries and distinct clients, over time and by key, as observed.

Distinct clients do not add up: not over hours, days, networks or sensors. Whole hours and days come
from the exact roll-ups; anything else is counted anew from the sightings of its window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from remnant import schema
from remnant.estimate.client_days import by_day
from remnant.estimate.coverage import (
    by_step,
    choose_vantage,
    default_window,
    sensors,
    vantages,
)
from remnant.estimate.distinct import distinct_clients
from remnant.watchlist import OUTSIDE, UNLISTED
from remnant.windows import STEPS, Step, Window, ceil, floor, iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.store import View

__all__ = [
    "Count",
    "Key",
    "by_key",
    "by_time",
    "clients_by_name",
    "count",
    "count_unlisted",
    "iter_key",
    "sightings",
    "unit_of",
    "unlisted",
    "vantages",
]

Key = Literal["name", "network", "country", "sensor"]

_COLUMNS: Final[dict[Key, tuple[str, ...]]] = {
    "name": ("name",),
    "network": ("asn", "country"),
    "country": ("country",),
    "sensor": ("sensor",),
}

_MONDAY_S: Final = 4 * 86_400
"""1970-01-05, the first Monday, in seconds since 1970-01-01."""


@dataclass(frozen=True, slots=True)
class Count:
    """What was seen: query messages (weighted), distinct clients, and what one client is."""

    queries: int
    clients: int
    unit: str


def by_time(
    view: View, step: Step, window: Window | None = None, vantage: str | None = None
) -> list[dict[str, object]]:
    """Return queries and distinct clients of every hour, day or week that overlaps the window.

    Returns:
        Rows in time order: ``start`` (ISO 8601, of the whole interval, of which only what lies in
        the window is counted), ``queries`` and ``clients`` (null in a gap, 0 only where a sensor
        delivered), ``coverage``, ``vantage``, ``unit``.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    vantage = choose_vantage(view, vantage)
    window = window or default_window(view)
    seen = _counts(view, step, window, vantage)
    usual = _merge_units({count.unit for count in seen.values()})
    rows: list[dict[str, object]] = []
    for interval in by_step(view, window, step, vantage).select(["start", "coverage"]).to_pylist():
        found = seen.get(interval["start"].astimezone(UTC))
        blank = 0 if interval["coverage"] else None
        rows.append(
            {
                "start": iso(interval["start"]),
                "queries": found.queries if found else blank,
                "clients": found.clients if found else blank,
                "coverage": interval["coverage"],
                "vantage": vantage,
                "unit": found.unit if found else usual,
            }
        )
    return rows


def by_key(
    view: View,
    key: Key,
    window: Window | None = None,
    vantage: str | None = None,
    *,
    limit: int | None = None,
) -> list[dict[str, object]]:
    """Return the rows of ``iter_key`` as a list: all are held at once."""
    return list(iter_key(view, key, window, vantage, limit=limit))


def iter_key(
    view: View,
    key: Key,
    window: Window | None = None,
    vantage: str | None = None,
    *,
    limit: int | None = None,
) -> Iterator[dict[str, object]]:
    """Yield queries and distinct clients of the window by name, network, country or sensor.

    Under a watched ``*.`` name anybody can make up as many names as they like, so the rows come
    one by one and only a bounded number of them is held.

    Networks are one row per AS and country, with the AS's name. A sensor that delivered in the
    window without a sighting has a row of zeros.

    Args:
        view: the case.
        key: what to count by.
        window: default: the first to the last covered hour.
        vantage: default: the first of ``vantages(view)``.
        limit: at most so many rows, the largest; null for all.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    import ibis  # noqa: PLC0415 - heavy

    from remnant.store.engine import rows_of  # noqa: PLC0415 - loads the query engine

    vantage = choose_vantage(view, vantage)
    window = window or default_window(view)
    columns = _COLUMNS[key]
    found = _keyed(view, key, window, vantage)
    if key == "network":
        known = view.table(schema.CLIENTS)
        named = known.filter(known.as_name.notnull()).group_by("asn")
        found = found.left_join(named.aggregate(as_name=known.as_name.max()), "asn")
        found = found.drop("asn_right") if "asn_right" in found.columns else found
    found = found.order_by(ibis.desc("queries"), ibis.desc("clients"), *columns)
    if limit is not None:
        found = found.limit(limit)
    rows = (_row(row, key, vantage) for row in rows_of(found))
    if key != "sensor":
        yield from rows
        return
    seen = list(rows)
    silent = _silent_sensors(view, window, vantage, seen)
    yield from seen
    yield from silent[: None if limit is None else limit - len(seen)]


def unlisted(
    view: View, window: Window | None = None, *, limit: int | None = None
) -> Iterator[dict[str, object]]:
    """Yield what was asked for and is kept beside the list, by kind and name.

    These are no sightings of the case, and no other number counts them. Of kind ``unlisted`` are
    names in seized zones that are not on the list: crawlers guess names, and new siblings of the
    seized ones are news. Of kind ``outside`` are generated names outside of their dates: clocks are
    wrong, old lists are asked for again, and some are names of somebody else
    (``estimate.collisions`` tells which).

    Args:
        view: the case.
        window: default: all that there is.
        limit: at most so many rows of each kind, the largest; null for all.

    Yields:
        Rows with ``name``, ``kind``, ``zone`` (null for ``outside``), ``queries``, ``clients``,
        ``first``, ``last`` (ISO 8601), ``vantage``, ``unit``; first the kind ``unlisted``, then
        ``outside``, of each those with most queries first.
    """
    import ibis  # noqa: PLC0415 - heavy

    from remnant.store.engine import rows_of  # noqa: PLC0415 - loads the query engine

    table = view.table(schema.UNLISTED)
    if window is not None:
        table = table.filter(table.time >= _at(window.since), table.time < _at(window.until))
    found = table.group_by("name", "indicator", "vantage").aggregate(
        queries=table.weight.sum(),
        clients=table.client.nunique(),
        first=table.time.min(),
        last=table.time.max(),
        **_units(table),
    )
    outside = found.indicator.startswith(OUTSIDE)
    for kind, mine in (("unlisted", ~outside), ("outside", outside)):
        rows = found.filter(mine).order_by(ibis.desc("queries"), "name", "vantage")
        for row in rows_of(rows if limit is None else rows.limit(limit)):
            zone = row["indicator"].removeprefix(UNLISTED) if kind == "unlisted" else None
            yield {
                "name": row["name"],
                "kind": kind,
                "zone": zone,
                "queries": row["queries"],
                "clients": row["clients"],
                "first": iso(row["first"]),
                "last": iso(row["last"]),
                "vantage": row["vantage"],
                "unit": _unit(row),
            }


def count_unlisted(
    view: View, window: Window | None = None, *, outside: bool = False
) -> tuple[int, int]:
    """Return how many queries there were for names beside the list, and how many names.

    Args:
        view: the case.
        window: default: all that there is.
        outside: count generated names outside of their dates, not names that are not listed.
    """
    if not view.has(schema.UNLISTED):
        return 0, 0
    table = view.table(schema.UNLISTED)
    theirs = table.indicator.startswith(OUTSIDE)
    table = table.filter(theirs if outside else ~theirs)
    if window is not None:
        table = table.filter(table.time >= _at(window.since), table.time < _at(window.until))
    row = table.aggregate(queries=table.weight.sum(), names=table.name.nunique()).to_pyarrow()
    found = row.to_pylist()[0]
    return int(found["queries"] or 0), int(found["names"] or 0)


def count(view: View, window: Window, vantage: str) -> Count:
    """Return the queries and distinct clients of a whole window."""
    each = _of_clients(_placed(view, window, vantage, again=False))
    row = each.aggregate(**_counted(each)).to_pyarrow().to_pylist()[0]
    return Count(row["queries"] or 0, row["clients"] or 0, _unit(row))


def unit_of(view: View, vantage: str) -> str:
    """Return what one client is at a vantage: ``ipv4``, ``ipv6_64`` or ``mixed``."""
    return view.known(("unit", vantage), lambda: _unit_of(view, vantage))


def _unit_of(view: View, vantage: str) -> str:
    table = view.table(schema.ACTIVITY)
    rows = table.filter(table.vantage == vantage).select("unit").distinct().to_pyarrow()
    return _merge_units(set(rows["unit"].to_pylist()))


def sightings(view: View, window: Window, vantage: str) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the sightings of a window at one vantage, as an Ibis table."""
    table = view.table(schema.SIGHTINGS)
    return table.filter(
        table.vantage == vantage, table.time >= _at(window.since), table.time < _at(window.until)
    )


def _counts(view: View, step: Step, window: Window, vantage: str) -> dict[datetime, Count]:
    """Return what was seen, by start of interval; intervals without a sighting are absent."""
    first, last = ceil(window.since, step), floor(window.until, step)
    if step == "week" or first >= last:
        return _bucketed(view, window, vantage, step)
    table = view.table(schema.ACTIVITY)
    whole = table.filter(
        table.grain == step,
        table.sensor.isnull(),
        table.vantage == vantage,
        table.start >= _at(first),
        table.start < _at(last),
    ).select("start", "queries", "clients", "unit")
    seen = {
        row["start"].astimezone(UTC): Count(row["queries"], row["clients"], row["unit"])
        for row in whole.to_pyarrow().to_pylist()
    }
    for edge in ((window.since, first), (last, window.until)):
        if edge[0] < edge[1]:
            seen |= _bucketed(view, Window(*edge), vantage, step)
    return seen


def _bucketed(view: View, window: Window, vantage: str, step: Step) -> dict[datetime, Count]:
    width = int(STEPS[step].total_seconds())
    if step == "hour":
        table = sightings(view, window, vantage)
        table = table.select(
            "client", queries="weight", long=_is_long(table), seconds=table.time.epoch_seconds()
        )
    else:
        table = by_day(view, window, vantage)
        table = table.mutate(seconds=table.day * 86_400)
    each = _of_clients(table.mutate(bucket=(table.seconds - _MONDAY_S) // width), "bucket")
    rows = each.group_by("bucket").aggregate(**_counted(each)).to_pyarrow().to_pylist()
    return {
        datetime.fromtimestamp(row["bucket"] * width + _MONDAY_S, tz=UTC): Count(
            row["queries"], row["clients"], _unit(row)
        )
        for row in rows
    }


def _keyed(view: View, key: Key, window: Window, vantage: str) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return queries, clients and units by key.

    The roll-ups by name and network are by day: distinct clients of one whole day can be read from
    them, those of several days cannot.
    """
    columns = _COLUMNS[key]
    one_day = floor(window.since, "day") == window.since and window.seconds == 86_400
    if one_day and key in {"name", "network"}:
        table = _rolled_up(view, key, window, vantage)
        return table.group_by(*columns).aggregate(
            queries=table.queries.sum(), clients=table.clients.sum(), **_units(table)
        )
    if key == "name":
        return _by_name(view, window, vantage)
    # A client is of one network, so this is a small table, and both keys begin with it.
    table = by_day(view, window, vantage) if key == "sensor" else _placed(view, window, vantage)
    each = _of_clients(table, *columns)
    return each.group_by(*columns).aggregate(**_counted(each))


def _by_name(view: View, window: Window, vantage: str) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return queries, clients and units by name; only clients need the sightings of whole days."""
    import ibis  # noqa: PLC0415 - heavy

    first, last = ceil(window.since, "day"), floor(window.until, "day")
    edges = (
        [(window.since, first), (last, window.until)]
        if first < last
        else [(window.since, window.until)]
    )
    parts = [
        seen.select("name", "unit", queries="weight")
        for edge in edges
        if edge[0] < edge[1]
        for seen in [sightings(view, Window(*edge), vantage)]
    ]
    if first < last:
        whole = _rolled_up(view, "name", Window(first, last), vantage)
        parts.append(whole.select("name", "unit", "queries"))
    table = parts[0] if len(parts) == 1 else ibis.union(*parts)
    sums = table.group_by("name").aggregate(queries=table.queries.sum(), **_units(table))
    clients = clients_by_name(view, window, vantage)
    return sums.join(clients, "name").select("name", "queries", "clients", "unit_low", "unit_high")


def clients_by_name(view: View, window: Window, vantage: str) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return each name with its distinct clients in a window (``name``, ``clients``), kept."""
    seen = sightings(view, window, vantage)
    return view.kept(
        ("clients by name", window, vantage),
        lambda: distinct_clients(view, window, vantage, seen, "name"),
    )


def _rolled_up(view: View, grain: str, window: Window, vantage: str) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the roll-ups of whole days."""
    table = view.table(schema.ACTIVITY)
    return table.filter(
        table.grain == grain,
        table.vantage == vantage,
        table.start >= _at(window.since),
        table.start < _at(window.until),
    )


def _placed(view: View, window: Window, vantage: str, *, again: bool = True) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return one row per client and place, with its queries.

    Computed once for each window where it is asked for ``again``.
    """
    key = (window, vantage)
    if not again and not view.is_kept(key):
        return by_day(view, window, vantage)
    return view.kept(key, lambda: _grouped(by_day(view, window, vantage)))


def _grouped(table: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    # Grouping by a flag is faster than by a word.
    return table.group_by("client", "asn", "country", "long").aggregate(queries=table.queries.sum())


def _of_clients(table: Any, *columns: str) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return one row for each client of a group: its queries, and what it is."""
    return table.group_by(*columns, "client").aggregate(
        queries=table.queries.sum(), all_long=table.long.all(), any_long=table.long.any()
    )


def _counted(each: Any) -> dict[str, Any]:  # noqa: ANN401 - ibis is untyped
    """Return queries, clients and units of groups of ``_of_clients``."""
    import ibis  # noqa: PLC0415 - heavy

    short, long = schema.UNITS
    return {
        "queries": each.queries.sum(),
        "clients": each.count(),
        "unit_low": ibis.ifelse(each.all_long.all(), long, short),
        "unit_high": ibis.ifelse(each.any_long.any(), long, short),
    }


def _is_long(table: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    return table.unit == schema.UNITS[1]


def _row(row: dict[str, Any], key: Key, vantage: str) -> dict[str, object]:
    head: dict[str, object] = {column: row[column] for column in _COLUMNS[key]}
    if key == "network":
        head = {"asn": row["asn"], "as_name": row["as_name"], "country": row["country"]}
    return head | {
        "queries": row["queries"],
        "clients": row["clients"],
        "vantage": vantage,
        "unit": _unit(row),
    }


def _silent_sensors(
    view: View, window: Window, vantage: str, rows: list[dict[str, object]]
) -> list[dict[str, object]]:
    """Return a row of zeros for each sensor that looked in the window and saw nothing."""
    seen = {row["sensor"] for row in rows}
    usual = _merge_units({str(row["unit"]) for row in rows})
    return [
        {"sensor": span.sensor, "queries": 0, "clients": 0, "vantage": vantage, "unit": usual}
        for span in sensors(view, vantage, window)
        if span.sensor not in seen
    ]


def _units(table: Any) -> dict[str, Any]:  # noqa: ANN401 - ibis is untyped
    return {"unit_low": table.unit.min(), "unit_high": table.unit.max()}


def _unit(row: dict[str, Any]) -> str:
    return _merge_units({row["unit_low"], row["unit_high"]})


def _merge_units(units: set[Any]) -> str:
    """Return the one unit there is, ``mixed`` for several, ``ipv4`` where nothing was counted."""
    known = sorted(str(unit) for unit in units if unit is not None)
    if not known:
        return "ipv4"
    return known[0] if len(known) == 1 else "mixed"


def _at(time: datetime) -> Any:  # noqa: ANN401 - ibis is untyped
    import ibis  # noqa: PLC0415 - heavy

    return ibis.literal(time, type="timestamp('UTC', 6)")

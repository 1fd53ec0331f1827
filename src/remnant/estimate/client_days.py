"""What each client did on each day, without reading its sightings where that is not needed.

``schema.CLIENTS`` is a hundredth of the sightings and holds the same sums: queries, first and last
time of a client, day, sensor and vantage. It is believed for the days on which its queries by
network are exactly those of the roll-ups; all other days, and those that a window cuts, are counted
from the sightings. So the numbers are the same, whatever is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from remnant import schema
from remnant.windows import Window, ceil, floor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.store import View

__all__ = ["Days", "by_day", "day_of", "second_of", "split", "visits"]

_DAY_S: Final = 86_400
_LONG: Final = schema.UNITS[1]


@dataclass(frozen=True, slots=True)
class Days:
    """A window, split by where its days are read.

    Attributes:
        told: days of which the sums by client are stored, as days since 1970-01-01, ascending.
        rest: what is left of the window, in order.
    """

    told: tuple[int, ...]
    rest: tuple[Window, ...]


def split(view: View, window: Window, vantage: str, *, rows: bool = False) -> Days:
    """Return which days of a window are read from the sums by client.

    Args:
        view: the case.
        window: what is asked for.
        vantage: where it was seen.
        rows: days on which a sighting stands for several events are none of them: the sums are of
            events.
    """
    first, last = (_number(end) for end in (ceil(window.since, "day"), floor(window.until, "day")))
    known = view.known(("days told", vantage), lambda: _told(view, vantage))
    if rows:
        known = known & view.known("days of single events", lambda: _single(view))
    told = tuple(sorted(day for day in known if first <= day < last))
    rest, at = [], window.since
    for start, end in _runs(told):
        if at < start:
            rest.append(Window(at, start))
        at = end
    if at < window.until:
        rest.append(Window(at, window.until))
    return Days(told, tuple(rest))


def by_day(view: View, window: Window, vantage: str) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return rows of clients and days, whose queries add up (an Ibis table).

    Columns: ``client``, ``sensor``, ``asn``, ``country``, ``long`` (whether it is an IPv6 prefix),
    ``day`` (since 1970-01-01) and ``queries``. A client may have several rows of one day.
    """
    days = split(view, window, vantage)
    parts = []
    if days.told:
        rows = _clients_of(view, days.told, vantage)
        parts.append(
            rows.select(
                "client",
                "sensor",
                "asn",
                "country",
                "queries",
                long=rows.unit == _LONG,
                day=day_of(rows.first_time),
            )
        )
    if days.rest or not parts:
        rows = _sightings(view, days.rest, vantage)
        rows = rows.mutate(long=rows.unit == _LONG, day=day_of(rows.time))
        parts.append(
            rows.group_by("client", "sensor", "asn", "country", "long", "day").aggregate(
                queries=rows.weight.sum()
            )
        )
    return _together(parts)


def visits(view: View, window: Window, vantage: str) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return one row for each client and day (an Ibis table).

    Columns: ``client``, ``day`` (since 1970-01-01), ``n`` (sightings, not their weights), ``first``
    and ``last`` (whole seconds since 1970).
    """
    days = split(view, window, vantage, rows=True)
    parts = []
    if days.told:
        rows = _clients_of(view, days.told, vantage)
        parts.append(
            rows.select(
                "client",
                day=day_of(rows.first_time),
                n=rows.queries,
                first=second_of(rows.first_time),
                last=second_of(rows.last_time),
            )
        )
    if days.rest or not parts:
        rows = _sightings(view, days.rest, vantage)
        rows = rows.mutate(day=day_of(rows.time), at=second_of(rows.time))
        parts.append(
            rows.group_by("client", "day").aggregate(
                n=rows.count(), first=rows["at"].min(), last=rows["at"].max()
            )
        )
    whole = _together(parts)
    # A client has a row for each sensor and source.
    return whole.group_by("client", "day").aggregate(
        n=whole.n.sum().cast("int64"), first=whole["first"].min(), last=whole["last"].max()
    )


def _clients_of(view: View, days: Sequence[int], vantage: str) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the rows of ``schema.CLIENTS`` of some days, given since 1970-01-01."""
    rows = view.table(schema.CLIENTS)
    spans = [Window(start, end) for start, end in _runs(days)]
    return rows.filter(rows.vantage == vantage, _time_in(rows.first_time, spans))


def _time_in(time: Any, spans: Sequence[Window]) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return whether a time lies in any of some windows."""
    import ibis  # noqa: PLC0415 - heavy

    found = ibis.literal(value=False)
    for number, span in enumerate(spans):
        inside = (time >= _at(span.since)) & (time < _at(span.until))
        found = found | inside if number else inside
    return found


def day_of(time: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the day of a time, as days since 1970-01-01."""
    return (time.epoch_seconds() // _DAY_S).cast("int64")


def _sightings(view: View, spans: Sequence[Window], vantage: str) -> Any:  # noqa: ANN401 - ibis is untyped
    table = view.table(schema.SIGHTINGS)
    return table.filter(table.vantage == vantage, _time_in(table.time, spans))


def _told(view: View, vantage: str) -> frozenset[int]:
    """Return the days on which the sums by client are those of the sightings, by network."""
    import ibis  # noqa: PLC0415 - heavy

    clients = view.table(schema.CLIENTS)
    clients = clients.filter(clients.vantage == vantage)
    sums = clients.select("asn", "queries", day=day_of(clients.first_time), country=_text(clients))
    made = view.table(schema.ACTIVITY)
    made = made.filter(made.grain == "network", made.vantage == vantage)
    made = made.select("asn", day=day_of(made.start), country=_text(made), queries=-made.queries)
    both = ibis.union(sums, made.select(*sums.columns))
    each = both.group_by("day", "asn", "country").aggregate(off=both.queries.sum())
    rows = each.group_by("day").aggregate(other=(each.off != 0).sum()).to_pyarrow()
    return frozenset(row["day"] for row in rows.to_pylist() if not row["other"])


def _single(view: View) -> frozenset[int]:
    """Return the days on which each sighting stands for one event."""
    made = view.table(schema.ACTIVITY)
    made = made.filter(made.grain == "day", made.sensor.isnull())
    sums = made.group_by(day=day_of(made.start)).aggregate(n=made.queries.sum()).to_pyarrow()
    stored = view.rows_by_day(schema.SIGHTINGS)
    return frozenset(
        row["day"]
        for row in sums.to_pylist()
        if stored.get(_start(row["day"]).date().isoformat()) == row["n"]
    )


def _runs(days: Sequence[int]) -> list[tuple[datetime, datetime]]:
    """Return begin and end of each run of days that follow one another."""
    found: list[list[int]] = []
    for day in days:
        if found and found[-1][1] == day:
            found[-1][1] = day + 1
        else:
            found.append([day, day + 1])
    return [(_start(first), _start(end)) for first, end in found]


def _together(parts: list[Any]) -> Any:  # noqa: ANN401 - ibis is untyped
    import ibis  # noqa: PLC0415 - heavy

    if len(parts) == 1:
        return parts[0]
    return ibis.union(*(part.select(*parts[0].columns) for part in parts))


def _text(table: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    return table.country.cast("string").fill_null("")


def second_of(time: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return a time as whole seconds since 1970."""
    # An engine may keep the fraction of a second, and a cast would round it.
    return (time.epoch_seconds() // 1).cast("int64")


def _number(time: datetime) -> int:
    return int(time.timestamp()) // _DAY_S


def _start(day: int) -> datetime:
    return datetime.fromtimestamp(day * _DAY_S, tz=UTC)


def _at(time: datetime) -> Any:  # noqa: ANN401 - ibis is untyped
    import ibis  # noqa: PLC0415 - heavy

    return ibis.literal(time, type="timestamp('UTC', 6)")

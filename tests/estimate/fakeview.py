"""A view of made-up tables, and made-up traffic that fills them consistently."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from remnant import schema

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
START = datetime(2015, 4, 8, tzinfo=UTC)


@dataclass
class FakeView:
    """Answers as ``store.View`` does.

    Tables are made once: replace a list of rows to change one that was asked for already.
    """

    rows: dict[str, list[dict[str, Any]]]
    case: str = "test"
    retired: dict[str, datetime] = field(default_factory=dict)
    sources: list[Any] = field(default_factory=list)
    simulated: bool = False
    _kept: dict[Any, Any] = field(default_factory=dict)
    _tables: dict[str, tuple[list[dict[str, Any]], int, Any]] = field(default_factory=dict)

    def kept(self, key: object, make: Callable[[], Any]) -> Any:
        state = self._state(key)
        if state not in self._kept:
            self._kept[state] = ibis.memtable(make().to_pyarrow())
        return self._kept[state]

    def known(self, _: object, make: Callable[[], Any]) -> Any:
        return make()

    def is_kept(self, key: object) -> bool:
        return self._state(key) in self._kept

    def rows_by_day(self, table: schema.Table) -> dict[str, int]:
        times = [row["time"] for row in self.rows.get(table.name, [])]
        return dict(Counter(f"{time:%Y-%m-%d}" for time in times))

    def _state(self, key: object) -> tuple[Any, ...]:
        return (key, *((name, id(rows), len(rows)) for name, rows in sorted(self.rows.items())))

    def table(self, table: schema.Table) -> Any:
        rows = self.rows.setdefault(table.name, [])
        known = self._tables.get(table.name)
        if known is None or known[0] is not rows or known[1] != len(rows):
            plain = pa.schema(
                [
                    (f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type)
                    for f in table.arrow
                ]
            )
            made = ibis.memtable(pa.Table.from_pylist(rows, schema=plain))
            known = self._tables[table.name] = (rows, len(rows), made)
        return known[2]


def coverage_row(
    hour: datetime | None,
    sensor: str = "a",
    vantage: str = "resolver",
    messages: int = 100,
    **more: Any,
) -> dict[str, Any]:
    return {
        "source": "s1",
        "sensor": sensor,
        "vantage": vantage,
        "hour": hour,
        "messages": messages,
        "matched": 0,
        "malformed": 0,
        "skipped": 0,
        "lost": 0,
        "first_time": hour,
        "last_time": hour,
        "clock_faults": 0,
        "basis": None,
    } | more


def hit_row(hour: datetime | None, sensor: str = "r", **more: Any) -> dict[str, Any]:
    """A row of a source that holds hits only."""
    return coverage_row(hour, sensor, "report", **{"basis": "hits", **more})


def sighting(
    time: datetime, client: int, sensor: str = "a", vantage: str = "resolver", **more: Any
) -> dict[str, Any]:
    return {
        "time": time,
        "sensor": sensor,
        "vantage": vantage,
        "client": client,
        "unit": "ipv4",
        "ecs": None,
        "asn": None,
        "country": None,
        "client_port": 5353,
        "service_port": 53,
        "transport": "udp",
        "name": "evil.example",
        "case_bits": None,
        "qtype": 1,
        "rcode": 0,
        "indicator": "evil.example",
        "proof": "dns_udp",
        "weight": 1,
        "detail": None,
        "limited": False,
        "source": "s1",
    } | more


def roll_up(sightings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return ACTIVITY as plain Python computes it from sightings."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in sightings:
        hour = row["time"].replace(minute=0, second=0, microsecond=0)
        day = hour.replace(hour=0)
        for grain, start in (("hour", hour), ("day", day)):
            for sensor in (None, row["sensor"]):
                groups[grain, start, row["vantage"], sensor, None, None, None].append(row)
        groups["network", day, row["vantage"], None, row["asn"], row["country"], None].append(row)
        groups["name", day, row["vantage"], None, None, None, row["name"]].append(row)
    rows = []
    for (grain, start, vantage, sensor, asn, country, name), members in groups.items():
        units = {m["unit"] for m in members}
        rows.append(
            {
                "grain": grain,
                "start": start,
                "vantage": vantage,
                "unit": units.pop() if len(units) == 1 else "mixed",
                "sensor": sensor,
                "asn": asn,
                "country": country,
                "name": name,
                "queries": sum(m["weight"] for m in members),
                "clients": len({m["client"] for m in members}),
            }
        )
    return rows


def view_of(
    sightings: list[dict[str, Any]],
    coverage: list[dict[str, Any]],
    clients: list[dict[str, Any]] | None = None,
    **more: Any,
) -> Any:
    """Return the view of explicit sightings and coverage, rolled up by plain Python."""
    return FakeView(
        {
            "sightings": sightings,
            "coverage": coverage,
            "clients": clients or [],
            "activity": roll_up(sightings),
        },
        **more,
    )


def hourly_view(
    counts: Callable[[str, int], int | None],
    days: int,
    sensors: tuple[str, ...] = ("a",),
    vantage: str = "resolver",
    start: datetime = START,
    **more: Any,
) -> Any:
    """Return a view with so many distinct clients per sensor and hour (null: nothing delivered).

    Sensors see different clients. Sightings are not made: only roll-ups and coverage are.
    """
    activity, coverage = [], []
    for index in range(days * 24):
        hour = start + index * HOUR
        total = 0
        for sensor in sensors:
            clients = counts(sensor, index)
            if clients is None:
                continue
            coverage.append(
                coverage_row(hour, sensor, vantage, 10_000 + 2 * clients, matched=clients)
            )
            if clients:
                activity.append(_activity(hour, sensor, vantage, clients))
                total += clients
        if total:
            activity.append(_activity(hour, None, vantage, total))
    return FakeView({"activity": activity, "coverage": coverage}, **more)


def _activity(hour: datetime, sensor: str | None, vantage: str, clients: int) -> dict[str, Any]:
    return {
        "grain": "hour",
        "start": hour,
        "vantage": vantage,
        "unit": "ipv4",
        "sensor": sensor,
        "asn": None,
        "country": None,
        "name": None,
        "queries": 3 * clients,
        "clients": clients,
    }


def settings(**judge: Any) -> Any:
    return SimpleNamespace(
        home=Path("no-such-home"),
        estimate=SimpleNamespace(level=0.95),
        reference=SimpleNamespace(visitors=None),
        judge=SimpleNamespace(
            slowest_half_life_days=judge.get("slowest_half_life_days", 180.0),
            minimum_days=judge.get("minimum_days", 14),
        ),
    )

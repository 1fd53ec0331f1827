"""A view of made-up sightings, rolled up by plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from estimate.fakeview import FakeView
from remnant.cases.model import Case, Event, Watch

if TYPE_CHECKING:
    from pathlib import Path


HOUR = timedelta(hours=1)
START = datetime(2015, 4, 8, tzinfo=UTC)
PLACES = ((64500, "IR"), (64501, "IR"), (64502, "PE"), (None, None))


def make_view(
    days: int,
    *,
    clients: int = 24,
    dead: tuple[int, ...] = (),
    name: str = "ns1.evil.example",
    as_name: str = "Example Net",
    small: int = 3,
) -> FakeView:
    """Each client asks once an hour of every day; ``dead`` days deliver nothing.

    Of the clients, ``small`` are in Peru, one has no known network, the rest are in Iran.
    """
    sightings, coverage = [], []
    for hour in range(days * 24):
        time = START + hour * HOUR
        if hour // 24 in dead:
            continue
        coverage.append(_coverage(time, clients))
        for client in range(clients):
            asn, country = PLACES[3 if client == 0 else 2 if client <= small else client % 2]
            sightings.append(_sighting(time, client, asn, country, name))
    known = [
        _client(client, asn, as_name) for client, (asn, _) in enumerate(PLACES) if asn is not None
    ]
    return FakeView(
        {
            "sightings": sightings,
            "coverage": coverage,
            "clients": known,
            "activity": roll_up(sightings),
            "quarantine": [{"source": "s", "offset": 1, "reason": "truncated", "head": b"\0"}] * 2,
        },
        sources=[
            SimpleNamespace(
                id="s", path="/secret/path/a.dnstap", format="dnstap", sensor=None,
                vantage="resolver", watchlist="old", digest="0" * 32, bytes=1000, records=9,
                first=START, last=START + days * 24 * HOUR, read_at=START + days * 24 * HOUR,
                simulated=False, messages=1000, query_messages=500,
            )
        ],
    )  # fmt: skip


def make_case(**changes: Any) -> Case:
    values: dict[str, Any] = {
        "name": "test",
        "title": "Test",
        "takedown": START,
        "watches": (Watch(names=("*.evil.example",), state="seized"),),
        "events": (Event(START + 5 * HOUR, "other", "sinkholed"), Event(START + 40 * HOUR)),
    }
    return Case(**(values | changes))


def make_settings(home: Path, minimum_count: int = 10) -> Any:
    return SimpleNamespace(
        home=home,
        estimate=SimpleNamespace(level=0.95),
        reference=SimpleNamespace(visitors=None),
        judge=SimpleNamespace(slowest_half_life_days=180.0, minimum_days=14),
        report=SimpleNamespace(minimum_count=minimum_count),
    )


def _coverage(hour: datetime, matched: int) -> dict[str, Any]:
    return {
        "source": "s", "sensor": "a", "vantage": "resolver", "hour": hour, "messages": 1000,
        "matched": matched, "malformed": 1, "skipped": 0, "lost": 0, "first_time": hour,
        "last_time": hour, "clock_faults": 0,
    }  # fmt: skip


def _sighting(
    time: datetime, client: int, asn: int | None, country: str | None, name: str
) -> dict[str, Any]:
    return {
        "time": time, "sensor": "a", "vantage": "resolver", "client": client, "unit": "ipv4",
        "ecs": None, "asn": asn, "country": country, "client_port": 5353, "service_port": 53,
        "transport": "udp", "name": name, "case_bits": None, "qtype": 1, "rcode": 0,
        "indicator": "*.evil.example", "proof": "dns_udp", "weight": 1, "detail": None,
        "limited": False, "source": "s",
    }  # fmt: skip


def _client(client: int, asn: int | None, as_name: str) -> dict[str, Any]:
    return {
        "client": client, "unit": "ipv4", "address": "192.0.2.1", "prefix": "192.0.2.0/24",
        "asn": asn, "as_name": as_name, "country": "IR", "role": None, "first_time": START,
        "last_time": START, "queries": 1, "as_of": "2015-04-01", "source": "s",
    }  # fmt: skip


def roll_up(sightings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in sightings:
        hour = row["time"]
        day = hour.replace(hour=0)
        for grain, start in (("hour", hour), ("day", day)):
            for sensor in (None, row["sensor"]):
                groups[grain, start, sensor, None, None, None].append(row)
        groups["network", day, None, row["asn"], row["country"], None].append(row)
        groups["name", day, None, None, None, row["name"]].append(row)
    return [
        {
            "grain": grain, "start": start, "vantage": "resolver", "unit": "ipv4",
            "sensor": sensor, "asn": asn, "country": country, "name": name,
            "queries": len(members), "clients": len({m["client"] for m in members}),
        }
        for (grain, start, sensor, asn, country, name), members in groups.items()
    ]  # fmt: skip

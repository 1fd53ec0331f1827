"""What is read from the sums of a day is what its sightings say, whatever is stored."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collate.made_up import OPTIONS, ingest, line, settings_in, watching
from estimate import fakeview
from estimate.fakeview import DAY, HOUR, START, coverage_row, sighting, view_of
from remnant.cases.model import Case
from remnant.estimate import client_days, features, traffic
from remnant.estimate.basis import Basis
from remnant.store import Store
from remnant.windows import Window

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.store import View

DAYS = 6
FIRST_DAY = int(START.timestamp()) // 86_400
MINUTES = st.integers(0, 60 * 24 * DAYS - 1)
ASKED = st.tuples(
    MINUTES,
    st.integers(-2, 3),  # client
    st.sampled_from("abc"),  # sensor
    st.sampled_from(["resolver", "resolver", "resolver", "authority"]),
    st.integers(0, 9),  # name
    st.sampled_from([1, 1, 1, 1, 1, 1, 3]),  # weight
    st.sampled_from(["s1", "s2"]),
)


def rows_of(asked: list[Any]) -> list[dict[str, Any]]:
    """Return sightings; a client changes its network now and then, and one has none."""
    return [
        sighting(
            START + timedelta(minutes=minute),
            client,
            sensor,
            vantage,
            name=f"n{name}.example",
            indicator=f"n{name % 9}.example",
            weight=weight,
            source=source,
            asn=(None, 64500, 64501)[(client + minute // 4320) % 3],
            country=(None, "IR", "PE")[client % 3],
            unit="ipv6_64" if client < 0 else "ipv4",
        )
        for minute, client, sensor, vantage, name, weight, source in asked
    ]


def sums_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of ``schema.CLIENTS`` as an ingest makes them."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        same = ("client", "unit", "asn", "country", "sensor", "vantage", "source")
        groups[(row["time"].date(), *(row[name] for name in same))].append(row)
    return [
        {
            **{name: part[0][name] for name in ("client", "unit", "asn", "country", "sensor")},
            **{name: part[0][name] for name in ("vantage", "source")},
            "first_time": min(row["time"] for row in part),
            "last_time": max(row["time"] for row in part),
            "queries": sum(row["weight"] for row in part),
        }
        for part in groups.values()
    ]


def stored(asked: list[Any], lost: int) -> tuple[Any, list[dict[str, Any]]]:
    """Return a view whose sums of some days are not whole, and its sightings."""
    rows = rows_of(asked)
    kept = [row for number, row in enumerate(sums_of(rows)) if not lost or number % 7 != lost]
    hours = [coverage_row(START + h * HOUR, s) for h in range(24 * DAYS) for s in "ab"]
    hours += [coverage_row(START + h * HOUR, "c") for h in range(12)]  # it retired
    hours += [coverage_row(START + h * HOUR, vantage="authority") for h in range(24 * DAYS)]
    return view_of(rows, hours, kept), rows


def seen_in(rows: list[dict[str, Any]], window: Window) -> list[dict[str, Any]]:
    return [row for row in rows if row["vantage"] == "resolver" and row["time"] in window]


def unit_of(rows: list[dict[str, Any]]) -> str:
    units = {row["unit"] for row in rows}
    return units.pop() if len(units) == 1 else "mixed" if units else "ipv4"


def counted(rows: list[dict[str, Any]], *columns: str) -> dict[Any, tuple[int, int, str]]:
    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in columns)].append(row)
    return {
        key: (sum(r["weight"] for r in part), len({r["client"] for r in part}), unit_of(part))
        for key, part in groups.items()
    }


@given(st.lists(ASKED, max_size=60), st.integers(0, 4), MINUTES, st.integers(60, 60 * 24 * 7))
@settings(max_examples=15, deadline=None)
def test_counts_by_key_and_week_are_plain_counts(
    asked: list[Any], lost: int, since: int, length: int
) -> None:
    view, rows = stored(asked, lost)
    begin = START + timedelta(minutes=since // 2)
    window = Window(begin, begin + timedelta(minutes=length))
    mine = seen_in(rows, window)

    whole = traffic.count(view, window, "resolver")
    found = {
        key: {
            tuple(row[name] for name in columns): (row["queries"], row["clients"], row["unit"])
            for row in traffic.by_key(view, key, window, "resolver")
            if row["queries"]
        }
        for key, columns in traffic._COLUMNS.items()
    }
    weeks = traffic.by_time(view, "week", window, "resolver")
    days = traffic.by_time(view, "day", window, "resolver")

    every = counted(mine).get((), (0, 0, "ipv4"))
    assert (whole.queries, whole.clients, whole.unit) == every
    for key, columns in traffic._COLUMNS.items():
        assert found[key] == counted(mine, *columns)
    for told in (weeks, days):
        assert sum(int(str(row["queries"] or 0)) for row in told) == every[0]
    clients: dict[int, set[int]] = defaultdict(set)
    for row in mine:
        clients[(row["time"] - START + 2 * DAY).days // 7].add(row["client"])  # it is a Wednesday
    assert [row["clients"] for row in weeks if row["queries"]] == [
        len(clients[week]) for week in sorted(clients)
    ]


@given(st.lists(ASKED, max_size=60), st.integers(0, 4), MINUTES)
@settings(max_examples=15, deadline=None)
def test_visits_are_those_of_the_sightings(asked: list[Any], lost: int, since: int) -> None:
    view, rows = stored(asked, lost)
    window = Window(START + timedelta(minutes=since // 2), START + DAYS * DAY)
    days: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in seen_in(rows, window):
        second = int(row["time"].timestamp())
        days[row["client"], second // 86_400].append(second)

    found = client_days.visits(view, window, "resolver").to_pyarrow().to_pylist()

    assert len(found) == len(days)
    assert {
        (row["client"], row["day"]): (row["n"], row["first"], row["last"]) for row in found
    } == {key: (len(times), min(times), max(times)) for key, times in days.items()}


@given(st.lists(ASKED, max_size=120), st.integers(0, 4))
@settings(max_examples=15, deadline=None)
def test_who_sweeps_or_bursts_is_told_by_a_plain_count(asked: list[Any], lost: int) -> None:
    # Somebody asks for all names, and for one of them thrice.
    asked = [*asked, *((n, 3, "a", "resolver", n % 9, 1, "s1") for n in range(18))]
    view, rows = stored(asked, lost)
    window = Window(START, START + DAYS * DAY)
    basis = Basis(view, Case("test", "Test", START), fakeview.settings(), window, "resolver")
    mine = seen_in(rows, window)
    names = len({row["indicator"] for row in mine})
    least = max(features.LEAST_NAMES, -(-8 * names // 10))
    by_day: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    often: dict[tuple[int, str], int] = defaultdict(int)
    for row in mine:
        by_day[row["client"], row["time"].toordinal()].append(row)
        often[row["client"], row["name"]] += 1
    expected = {}
    for client in {row["client"] for row in mine}:
        came = {day: part for (who, day), part in by_day.items() if who == client}
        most = max(n for (who, _), n in often.items() if who == client)
        sweep = any(len({r["indicator"] for r in part}) >= least for part in came.values())
        longest = max(
            (max(r["time"] for r in part) - min(r["time"] for r in part)).total_seconds()
            for part in came.values()
        )
        span = max(came) - min(came) + 1
        bursts = len(came) > 1 and span >= 4 * len(came) and longest <= features.BURST_S
        expected[client] = (sweep, sweep and most <= features.MOST_ASKED, bursts)

    found = features.features(basis).to_pyarrow().to_pylist()

    assert any(sweep for sweep, _, _ in expected.values())
    assert {r["client"]: (r["sweep"], r["once"], r["bursts"]) for r in found} == expected


@pytest.mark.parametrize("at_once", [8_000_000, 300])
def test_gaps_are_the_same_however_many_clients_are_read_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_ROWS_AT_ONCE", at_once)
    rows = [
        sighting(START + timedelta(seconds=n * 3600 + (n * n * client) % 1700), client)
        for client in range(12)
        for n in range(24 * 8)
    ]
    view = view_of(rows, [coverage_row(START + h * HOUR) for h in range(24 * 8)])
    window = Window(START, START + 8 * DAY)
    basis = Basis(view, Case("test", "Test", START), fakeview.settings(), window, "resolver")
    expected = set()
    for client in range(12):
        times = sorted(int(r["time"].timestamp()) for r in rows if r["client"] == client)
        gaps = [late - early for early, late in pairwise(times) if late > early]
        middle = round(median(gaps))
        near = sum(50 * abs(gap - middle) <= middle or abs(gap - middle) <= 2 for gap in gaps)
        if 100 * near >= features.REGULAR * len(gaps):
            expected.add(client)

    found = features.regular(basis).to_pyarrow()["client"].to_pylist()

    assert sorted(found) == sorted(expected) == [0]


def test_days_with_weights_are_told_by_queries_but_not_by_sightings() -> None:
    asked = [(60 * h, h % 4, "a", "resolver", 0, 1 + (h == 30), "s1") for h in range(72)]
    view, _ = stored(asked, 0)
    window = Window(START, START + 3 * DAY)

    every = client_days.split(view, window, "resolver")
    single = client_days.split(view, window, "resolver", rows=True)

    assert (every.told, every.rest) == (tuple(range(FIRST_DAY, FIRST_DAY + 3)), ())
    assert single.told == (FIRST_DAY, FIRST_DAY + 2)
    assert single.rest == (Window(START + DAY, START + 2 * DAY),)


def ingested(store: Store) -> None:
    text = b"".join(
        line(h * 1800.0, f"192.0.2.{h % 5}", "evil.example", f"s{h % 2}") for h in range(96)
    )
    ingest(store, text, watchlist=watching("evil.example"), options=OPTIONS)
    ingest(store, line(90_000.0, "192.0.2.9"), watchlist=watching("evil.example"), path="late")


def told_of(view: View, window: Window) -> tuple[int, ...]:
    return client_days.split(view, window, "resolver", rows=True).told


def test_no_sighting_of_an_ingested_day_is_read_for_its_clients(tmp_path: Path) -> None:
    window = Window(START + HOUR, START + 2 * DAY)
    with Store.open(settings_in(tmp_path), write=True) as store:
        ingested(store)
        fresh = told_of(store.view("demo"), window)
    with Store.open(settings_in(tmp_path)) as store:
        view = store.view("demo")
        settled = told_of(view, window)
        counts = traffic.count(view, Window(START, START + 2 * DAY), "resolver")

    assert fresh == settled == (FIRST_DAY + 1,)
    assert (counts.queries, counts.clients) == (97, 6)

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimate.fakeview import DAY, HOUR, START, coverage_row, hit_row, sighting, view_of
from remnant.estimate import traffic
from remnant.windows import STEPS, Step, Window, iso

V6 = {"unit": "ipv6_64"}


def covered(sightings: list[dict[str, Any]], hours: range, **more: Any) -> Any:
    return view_of(sightings, [coverage_row(START + h * HOUR) for h in hours], **more)


def test_days_of_the_window_with_gap_zero_and_count() -> None:
    rows = [coverage_row(START + h * HOUR) for h in (*range(48), *range(72, 80))]
    view = view_of([sighting(START + HOUR, 1), sighting(START + 2 * HOUR, 1, weight=5)], rows)

    found = traffic.by_time(view, "day")

    assert found == [
        {
            "start": iso(START + day * DAY),
            "queries": queries,
            "clients": clients,
            "coverage": share,
            "vantage": "resolver",
            "unit": "ipv4",
        }
        for day, queries, clients, share in (
            (0, 6, 1, 1.0),
            (1, 0, 0, 1.0),
            (2, None, None, 0.0),
            (3, 0, 0, 1.0),
        )
    ]


def test_a_day_cut_by_the_window_counts_only_what_is_inside() -> None:
    sightings = [sighting(START + h * HOUR, h % 5) for h in range(48)]
    window = Window(START + timedelta(hours=22, minutes=30), START + timedelta(hours=26))

    found = traffic.by_time(covered(sightings, range(48)), "day", window)

    assert [(row["queries"], row["clients"]) for row in found] == [(1, 1), (2, 2)]


def test_distinct_clients_of_a_week_are_not_the_sum_of_its_days() -> None:
    sightings = [sighting(START + day * DAY, 7) for day in range(5)]

    found = traffic.by_time(covered(sightings, range(120)), "week")

    # START is a Wednesday: the fifth day is a Sunday.
    assert [(row["start"], row["queries"], row["clients"]) for row in found] == [
        ("2015-04-06T00:00:00Z", 5, 1)
    ]


def test_both_kinds_of_client_make_a_mixed_unit() -> None:
    sightings = [sighting(START, 1), sighting(START, 2, **V6), sighting(START + DAY, 2, **V6)]
    view = covered(sightings, range(72))

    for step in ("day", "hour"):
        rows = traffic.by_time(view, step)
        units = {row["start"]: row["unit"] for row in rows}
        assert units[iso(START)] == "mixed"
        assert units[iso(START + DAY)] == "ipv6_64"
        assert units[iso(START + 2 * DAY)] == "mixed"
    assert traffic.unit_of(view, "resolver") == "mixed"


def test_hits_without_a_stated_period_are_shown_and_their_absence_is_a_gap() -> None:
    view = view_of(
        [sighting(START, 1, "r", "report")],
        [hit_row(START + h * HOUR) for h in (0, 2)],
    )

    found = traffic.by_time(view, "hour")

    assert [(row["queries"], row["coverage"]) for row in found] == [
        (1, None),
        (None, None),
        (None, None),
    ]


def test_vantages_are_never_added() -> None:
    sightings = [sighting(START, 1), sighting(START, 1, "s", "sinkhole_dns")]
    rows = [coverage_row(START), coverage_row(START, "s", "sinkhole_dns")]
    view = view_of(sightings, rows)

    assert [row["queries"] for row in traffic.by_time(view, "day")] == [1]
    assert [row["vantage"] for row in traffic.by_key(view, "sensor")] == ["resolver"]
    assert traffic.count(view, Window(START, START + DAY), "sinkhole_dns").queries == 1


def test_networks_are_one_row_per_as_and_country_with_their_name() -> None:
    sightings = [
        sighting(START, 1, asn=64500, country="IR"),
        sighting(START + DAY, 1, asn=64500, country="IR"),
        sighting(START, 2, asn=64500, country="PE"),
        sighting(START, 3),
    ]
    clients = [{"client": 1, "asn": 64500, "as_name": "Net", "unit": "ipv4"}]
    view = covered(sightings, range(48), clients=clients)

    found = traffic.by_key(view, "network")

    assert [
        (row["asn"], row["as_name"], row["country"], row["queries"], row["clients"])
        for row in found
    ] == [(64500, "Net", "IR", 2, 1), (64500, "Net", "PE", 1, 1), (None, None, None, 1, 1)]
    assert list(found[0]) == ["asn", "as_name", "country", "queries", "clients", "vantage", "unit"]


@pytest.mark.parametrize(
    ("key", "columns"),
    [("name", ("name",)), ("network", ("asn", "country")), ("country", ("country",))],
)
def test_one_whole_day_is_the_same_from_roll_ups_and_sightings(
    key: traffic.Key, columns: tuple[str, ...]
) -> None:
    sightings = [
        sighting(START + h * HOUR, h % 7, name=f"n{h % 3}.example", asn=h % 2, country="IR")
        for h in range(24)
    ]
    view = covered(sightings, range(24))
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row in sightings:
        groups.setdefault(tuple(row[name] for name in columns), []).append(row["client"])

    rolled = traffic.by_key(view, key, Window(START, START + DAY))
    counted = traffic.by_key(view, key, Window(START - HOUR, START + DAY))

    assert rolled == counted
    assert {
        tuple(row[name] for name in columns): (row["queries"], row["clients"]) for row in rolled
    } == {group: (len(asked), len(set(asked))) for group, asked in groups.items()}


def test_silent_sensor_has_a_row_of_zeros_where_it_delivered() -> None:
    rows = [coverage_row(START), coverage_row(START, "b"), coverage_row(START + 9 * DAY, "c")]
    view = view_of([sighting(START, 1)], rows)

    found = traffic.by_key(view, "sensor", Window(START, START + DAY))

    assert [(row["sensor"], row["queries"], row["clients"]) for row in found] == [
        ("a", 1, 1),
        ("b", 0, 0),
    ]


def test_limit_keeps_the_largest() -> None:
    names = [f"n{i}.example" for i in range(9) for _ in range(i + 1)]
    view = covered([sighting(START, 1, name=name) for name in names], range(1))

    found = traffic.by_key(view, "name", limit=2)

    assert [row["name"] for row in found] == ["n8.example", "n7.example"]


MINUTES = st.integers(0, 60 * 24 * 9)


@given(
    st.lists(st.tuples(MINUTES, st.integers(0, 4)), max_size=25),
    MINUTES,
    st.integers(1, 60 * 24 * 9),
    st.sampled_from(["hour", "day", "week"]),
)
@settings(max_examples=12, deadline=None)
def test_counts_equal_plain_counting(
    seen: list[tuple[int, int]], since: int, length: int, step: Step
) -> None:
    sightings = [sighting(START + timedelta(minutes=m), client) for m, client in seen]
    view = covered(sightings, range(24 * 9 + 1))
    window = Window(START + timedelta(minutes=since), START + timedelta(minutes=since + length))

    found = traffic.by_time(view, step, window)

    assert [row["start"] for row in found] == [iso(start) for start in window.starts(step)]
    for row in found:
        start = datetime.fromisoformat(str(row["start"]))
        inside = [
            s for s in sightings if s["time"] in window and start <= s["time"] < start + STEPS[step]
        ]
        if row["queries"] is None:
            assert not inside
            assert not row["coverage"]
        else:
            assert row["queries"] == len(inside)
            assert row["clients"] == len({s["client"] for s in inside})


def test_a_sensor_that_did_not_look_in_the_window_has_no_row_of_zeros() -> None:
    rows = [coverage_row(START + h * HOUR, s) for h in range(72) for s in "ab"]
    rows = [row for row in rows if row["sensor"] == "a" or not 24 <= _hour(row) < 48]
    view = view_of([sighting(START + 30 * HOUR, 1)], rows)

    inside = traffic.by_key(view, "sensor", Window(START + DAY, START + 2 * DAY))
    longer = traffic.by_key(view, "sensor", Window(START + DAY, START + 2 * DAY + HOUR))

    assert [row["sensor"] for row in inside] == ["a"]
    assert [(row["sensor"], row["queries"]) for row in longer] == [("a", 1), ("b", 0)]


def test_reports_without_a_hit_are_no_zero() -> None:
    view = view_of([sighting(START, 1, "r", "report")], [hit_row(START)])

    assert traffic.by_key(view, "sensor", Window(START + HOUR / 2, START + HOUR)) == []


def _hour(row: dict[str, Any]) -> int:
    return int((row["hour"] - START) / HOUR)


def test_counting_is_the_same_from_what_a_view_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    sightings = [
        sighting(START + h * HOUR, h % 3, asn=h % 2, weight=2, **(V6 if h % 3 == 2 else {}))
        for h in range(12)
    ]
    view = covered(sightings, range(24))
    window = Window(START, START + 10 * HOUR)
    plain = traffic.count(view, window, "resolver")

    monkeypatch.setattr(view, "is_kept", lambda _: True)

    assert plain == traffic.Count(20, 3, "mixed")
    assert traffic.count(view, window, "resolver") == plain

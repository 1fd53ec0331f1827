from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from estimate.fakeview import DAY, HOUR, START, hourly_view, sighting
from remnant.cases.model import Case, Event, Watch
from remnant.cases.rules import compile_rules
from remnant.estimate.online import series
from remnant.judge import guards
from remnant.judge.guards import GUARDS, Ground, Guard, check
from remnant.watchlist import Watchlist

CASE = Case("test", "Test botnet", START)
DIGEST = Watchlist.compile(compile_rules(CASE)).digest(CASE.name)


def checked(view: Any, case: Case = CASE, vantage: str | None = None) -> dict[str, Guard]:
    made = series(view, None, vantage).since(case.takedown)
    kept = made.on(made.complete)
    trend = kept.trend()
    assert trend is not None
    return {guard.id: guard for guard in check(Ground(view, case, kept, trend, 0.00385))}


def flat(days: int = 30, **more: Any) -> Any:
    return hourly_view(lambda _, i: 100 + i % 7, days, **more)


def states(found: dict[str, Guard]) -> dict[str, str]:
    return {guard.id: guard.state for guard in found.values()}


def test_steady_data_pass_what_can_be_checked() -> None:
    found = states(checked(flat()))

    assert list(found) == list(GUARDS)
    assert {name for name, state in found.items() if state == "passed"} == {
        "coverage", "sensors", "watchlist", "other_traffic", "loss",
    }  # fmt: skip
    assert "failed" not in found.values()


def test_without_a_trend_nothing_is_checked() -> None:
    assert {guard.state for guard in check(None)} == {"unavailable"}


def test_changed_coverage_fails() -> None:
    view = hourly_view(lambda _, i: None if i > 360 and i % 24 == 3 else 100, 30)

    found = checked(view)["coverage"]

    assert found.state == "failed"
    assert found.facts == {"first_half": 1.0, "second_half": pytest.approx(23 / 24)}


def test_sensor_that_appears_fails() -> None:
    view = hourly_view(lambda s, i: None if s == "b" and i < 360 else 100, 30, ("a", "b"))

    found = checked(view)["sensors"]

    assert found.state == "failed"
    assert found.clear_from == START + 15 * DAY
    assert "b (50 % of the clients in its hours) appeared on 2015-04-23" in found.sentence


def test_sensor_that_is_retired_fails() -> None:
    view = hourly_view(
        lambda s, i: None if s == "b" and i >= 360 else 100,
        30,
        ("a", "b"),
        retired={"b": START + 15 * DAY},
    )

    assert checked(view)["sensors"].state == "failed"


def test_sensor_that_dies_leaves_gaps_and_no_change() -> None:
    view = hourly_view(lambda s, i: None if s == "b" and i >= 600 else 100, 40, ("a", "b"))

    found = checked(view)

    assert found["sensors"].state == "passed"
    assert found["coverage"].state == "passed"


def test_sensor_that_comes_and_goes_fails_where_coverage_hides_it() -> None:
    """One of twenty sensors sees most clients; its absence costs 2.5 % of the sensor-hours."""
    sensors = tuple("abcdefghijklmnopqrst")

    def counts(sensor: str, index: int) -> int | None:
        if sensor != "a":
            return 1
        return None if index > 360 and index % 2 else 1000

    found = checked(hourly_view(counts, 30, sensors))["sensors"]

    assert found.state == "failed"
    assert "delivered in 100 % of the hours before 2015-04-23 and 50" in found.sentence


def test_sensor_that_sees_nearly_nobody_may_come_and_go() -> None:
    view = hourly_view(
        lambda s, i: 1000 if s == "a" else (None if i < 360 else 1), 30, ("a", "tiny")
    )

    assert checked(view)["sensors"].state == "passed"


def change(**more: Any) -> Case:
    return Case("test", "Test botnet", START, **more)


@pytest.mark.parametrize(
    "case",
    [
        change(events=(Event(START + 9 * DAY, "names_added"),)),
        change(events=(Event(START + 9 * DAY, "names_lost"),)),
        change(watches=(Watch(names=("evil.example",), since=START + 9 * DAY),)),
        change(watches=(Watch(names=("evil.example",), until=START + 9 * DAY),)),
        change(watches=(Watch(dga="newgoz", until=START + 9 * DAY),)),
    ],
)
def test_watchlist_that_changes_inside_fails(case: Case) -> None:
    found = checked(flat(), case)["watchlist"]

    assert found.state == "failed"
    assert found.clear_from == START + 9 * DAY
    assert "2015-04-17" in found.sentence


@pytest.mark.parametrize("when", [START - DAY, START, START + 30 * DAY])
def test_changes_outside_the_fitted_days_pass(when: datetime) -> None:
    case = change(
        watches=(Watch(names=("evil.example",), since=when, until=when),),
        events=(Event(when, "names_added"), Event(START + 9 * DAY, "notice")),
    )

    assert checked(flat(), case)["watchlist"].state == "passed"


def source(digest: str, first: datetime, last: datetime) -> Any:
    return SimpleNamespace(
        id="s1",
        watchlist=digest,
        first=first,
        last=last,
        read_at=last,
        messages=20,
        query_messages=10,
    )


def test_sources_read_with_different_watchlists_fail_if_they_are_in_the_fit() -> None:
    old = source("1" * 32, START - 9 * DAY, START - DAY)
    early = source("1" * 32, START, START + 5 * DAY)
    late = source(DIGEST, START + 5 * DAY, START + 30 * DAY)

    found = checked(flat(sources=[early, late]))["watchlist"]
    assert found.state == "failed"
    assert "1 of 2 sources were read with an older watchlist" in found.sentence
    assert checked(flat(sources=[old, late]))["watchlist"].state == "passed"


def test_one_outdated_watchlist_for_all_sources_fails() -> None:
    """A name that was added since is in none of the numbers."""
    outdated = source("1" * 32, START, START + 30 * DAY)

    found = checked(flat(sources=[outdated]))["watchlist"]

    assert (found.state, found.clear_from) == ("failed", None)
    assert found.facts["older_sources"] == 1


def test_hostile_names_are_escaped() -> None:
    case = change(watches=(Watch(names=("\x1b[2J.example",), since=START + 9 * DAY),))

    assert "\x1b" not in checked(flat(), case)["watchlist"].sentence


def answered(codes: Any) -> Any:
    view = flat()
    view.rows["sightings"] = [
        sighting(START + h * HOUR, 1, rcode=codes(h)) for h in range(0, 24 * 30, 2)
    ]
    return view


def test_changed_mix_of_answers_fails() -> None:
    assert checked(answered(lambda h: 0 if h < 360 else 3))["answers"].state == "failed"
    assert checked(answered(lambda h: h % 3))["answers"].state == "passed"
    assert checked(answered(lambda _: None))["answers"].state == "unavailable"
    assert checked(answered(lambda h: 0 if h < 360 else None))["answers"].state == "unavailable"


def with_other_traffic(messages: Any) -> Any:
    view = flat()
    for row in view.rows["coverage"]:
        row["messages"] = messages((row["hour"] - START) // DAY) + 2 * row["matched"]
    return view


def test_other_traffic_that_falls_as_well_fails() -> None:
    falling = checked(with_other_traffic(lambda day: round(1e6 * 0.98**day)))["other_traffic"]

    assert falling.state == "failed"
    assert "fell too, by 2.0" in falling.sentence
    assert checked(with_other_traffic(lambda _: 10**6))["other_traffic"].state == "passed"


def test_other_traffic_is_no_control_where_there_is_little() -> None:
    assert checked(with_other_traffic(lambda _: 100))["other_traffic"].state == "unavailable"


def test_reported_loss_that_changes_fails() -> None:
    view = flat()
    assert checked(view)["loss"].state == "passed"
    view.rows["coverage"] = [
        row | {"lost": 500 if row["hour"] > START + 15 * DAY else 0}
        for row in view.rows["coverage"]
    ]

    assert checked(view)["loss"].state == "failed"


@pytest.mark.parametrize(("rate", "state"), [(0.0, "passed"), (0.05, "failed")])
def test_second_vantage_must_agree(rate: float, state: str) -> None:
    view = flat()
    other = hourly_view(
        lambda _, i: round(5000 * (1 - rate) ** (i // 24)), 30, ("s",), "sinkhole_tcp"
    )
    for name in ("activity", "coverage"):
        view.rows[name] += other.rows[name]

    assert checked(view, vantage="resolver")["vantages"].state == state


def test_second_vantage_of_few_days_says_nothing() -> None:
    view = flat()
    other = hourly_view(lambda _, __: 9, 6, ("s",), "sinkhole_tcp")
    for name in ("activity", "coverage"):
        view.rows[name] += other.rows[name]

    assert checked(view, vantage="resolver")["vantages"].state == "unavailable"


def test_long_lists_are_cut() -> None:
    events = tuple(Event(START + 9 * DAY + timedelta(hours=i), "names_added") for i in range(50))

    assert "45 more" in checked(flat(), change(events=events))["watchlist"].sentence
    assert guards._few(["a"]) == ["a"]


def test_other_traffic_counts_one_message_a_lookup_where_there_are_no_responses() -> None:
    """With responses assumed, all traffic but the watched names would seem to be less."""
    view = flat(sources=[read("s1", 10, 10)])
    for row in view.rows["coverage"]:
        row["matched"] = 1000
        row["messages"] = 11_000
    assert checked(view)["other_traffic"].state == "passed"

    view = flat(sources=[read("s1", 20, 10)])
    for row in view.rows["coverage"]:
        row["matched"] = 1000
        row["messages"] = 11_000
    assert checked(view)["other_traffic"].state == "unavailable"


def read(source_id: str, messages: int, queries: int) -> Any:
    made = source(DIGEST, START, START + 30 * DAY)
    made.id, made.messages, made.query_messages = source_id, messages, queries
    return made


@pytest.mark.parametrize(("messages", "queries", "share"), [(9, 0, 1.0), (30, 10, 2.0)])
def test_a_lookup_is_one_or_two_messages(messages: int, queries: int, share: float) -> None:
    view = flat(sources=[read("s1", messages, queries)])
    made = series(view).since(CASE.takedown)
    kept = made.on(made.complete)
    trend = kept.trend()
    assert trend is not None

    found = Ground(view, CASE, kept, trend, 0.00385).read_by_day

    assert found["own"].tolist() == (found["matched"] * share).tolist()

from __future__ import annotations

from datetime import datetime
from typing import Any

from estimate.fakeview import DAY, HOUR, START, hourly_view, sighting
from remnant.cases.model import Case
from remnant.estimate.online import series
from remnant.judge.confounders import CONFOUNDERS, check_confounders
from remnant.judge.guards import Ground, Guard

CASE = Case("test", "Test botnet", START)


def checked(view: Any, vantage: str | None = None) -> dict[str, Guard]:
    kept = series(view, None, vantage)
    kept = kept.on(kept.complete)
    trend = kept.trend()
    assert trend is not None
    return {found.id: found for found in check_confounders(Ground(view, CASE, kept, trend, 0.004))}


def falling(rate: float = 0.02, days: int = 30, **more: Any) -> Any:
    return hourly_view(lambda _, i: round(2000 * (1 - rate) ** (i / 24)), days, **more)


def with_days(view: Any, queries: Any, days: int = 30) -> Any:
    """Add the roll-ups of whole days: clients fall by 2 % a day, queries as told."""
    hours = [row for row in view.rows["activity"] if row["sensor"] is None]
    view.rows["activity"] = view.rows["activity"] + [
        hours[0]
        | {
            "grain": "day",
            "start": START + day * DAY,
            "clients": round(5000 * 0.98**day),
            "queries": round(queries(day)),
        }
        for day in range(days)
    ]
    return view


def test_without_a_trend_nothing_is_checked() -> None:
    found = check_confounders(None)

    assert [guard.id for guard in found] == list(CONFOUNDERS)
    assert {guard.state for guard in found} == {"unavailable"}


def test_queries_that_do_not_fall_with_their_clients_fail() -> None:
    found = checked(with_days(falling(), lambda _: 90_000))["merged_addresses"]

    assert found.state == "failed"
    assert "share an address" in found.sentence


def test_queries_that_fall_with_their_clients_pass() -> None:
    found = checked(with_days(falling(), lambda day: 90_000 * 0.98**day))["merged_addresses"]

    assert found.state == "passed"


def test_resolvers_say_nothing_about_shared_addresses() -> None:
    view = falling(vantage="sinkhole_dns")

    assert checked(view)["merged_addresses"].state == "unavailable"


def both_sides(rate: float) -> Any:
    lookups, hosts = falling(0.005), falling(rate, vantage="sinkhole_tcp")
    for name in ("activity", "coverage"):
        lookups.rows[name] = lookups.rows[name] + hosts.rows[name]
    return lookups


def test_sinkhole_that_loses_the_hosts_that_still_ask_fails() -> None:
    found = checked(both_sides(0.02))["two_sides"]

    assert found.state == "failed"
    assert "blocked" in found.sentence
    assert (found.facts["lookups"], found.facts["hosts"]) == ("resolver", "sinkhole_tcp")


def test_sides_that_fall_alike_pass_and_one_side_is_no_check() -> None:
    assert checked(both_sides(0.005))["two_sides"].state == "passed"
    assert checked(falling())["two_sides"].state == "unavailable"


def answered(rcode: Any) -> Any:
    view = falling()
    view.rows["sightings"] = [
        sighting(START + day * DAY + hour * HOUR, hour, rcode=rcode(day, hour))
        for day in range(30)
        for hour in range(24)
    ]
    return view


def test_names_that_come_to_be_blocked_fail() -> None:
    found = checked(answered(lambda day, hour: 3 if day >= 20 and hour % 3 == 0 else 0))

    assert found["blocking_resolvers"].state == "failed"


def test_same_answers_pass_and_unknown_ones_are_no_check() -> None:
    steady = checked(answered(lambda _, hour: 3 if hour == 0 else 0))["blocking_resolvers"]
    unknown = checked(answered(lambda *_: None))["blocking_resolvers"]

    assert steady.state == "passed"
    assert unknown.state == "unavailable"


def test_short_series_and_holidays_are_told() -> None:
    winter = START.replace(month=11, day=25)
    assert isinstance(winter, datetime)

    assert checked(falling(days=15))["calendar"].state == "info"
    assert checked(falling(days=30))["calendar"].state == "passed"
    found = checked(falling(days=36, start=winter))["calendar"]
    assert found.state == "info"
    assert "among the last ones" in found.sentence

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from estimate.fakeview import DAY, START, hourly_view, settings
from remnant.cases.model import Case, Event
from remnant.estimate.online import series
from remnant.judge import breaks
from remnant.judge.breaks import causes, check_breaks, check_step, find_breaks
from remnant.judge.guards import Ground, Guard
from remnant.judge.verdict import judge

CASE = Case("test", "Test botnet", START)
STEP = 20


def stepped(size: float = 0.5, days: int = 44, rate: float = 0.0, **more: Any) -> Any:
    noise = np.exp(0.03 * np.random.default_rng(2).normal(size=days) - rate * np.arange(days))

    def clients(_: str, hour: int) -> int:
        day = hour // 24
        return round(float(1000 * noise[day] * (1.0 if day < STEP else 1.0 - size)))

    return hourly_view(clients, days, **more)


def ground(view: Any, case: Case = CASE) -> tuple[Ground, Any]:
    after = series(view).since(case.takedown)
    kept = after.on(after.complete)
    trend = kept.trend()
    assert trend is not None
    return Ground(view, case, kept, trend, 0.00385), after


def breaks_of(base: Ground | None, after: Any) -> Guard:
    return check_breaks(base, find_breaks(base, after))


def step_of(base: Ground | None, after: Any) -> Guard:
    return check_step(base, find_breaks(base, after))


def lost(kind: Any = "names_lost") -> Case:
    event = Event(START + STEP * DAY, kind, "ns1.example")
    return Case("test", "Test botnet", START, events=(event,))


def test_fall_that_is_one_step_keeps_the_verdict_open() -> None:
    alone = step_of(*ground(stepped()))
    found = step_of(*ground(stepped(), lost()))

    assert alone.state == found.state == "failed"
    assert "nothing is on record for it" in alone.sentence
    assert "put the notice on record" in alone.sentence
    assert "names lost on 2015-04-28 (ns1.example)" in found.sentence
    assert found.clear_from is not None
    assert START + STEP * DAY < found.clear_from < START + (STEP + 5) * DAY
    assert judge(stepped(), CASE, settings()).rule == "guard_failed"


def test_fall_that_is_mostly_a_slope_is_not_one_of_its_step() -> None:
    found = step_of(*ground(stepped(0.15, days=60, rate=0.03)))

    assert found.state == "passed"
    assert found.sentence.startswith("The steps of the curve carry little of the fall; the largest")
    assert found.facts["share"] == pytest.approx(0.162 / (0.162 + 59 * 0.03), rel=0.3)


def test_step_of_a_third_keeps_the_verdict_open_though_the_slope_is_clear() -> None:
    found = step_of(*ground(stepped(0.4, days=60, rate=0.02)))

    assert found.state == "failed"
    assert found.facts["share"] == pytest.approx(0.51 / (0.51 + 59 * 0.02), rel=0.2)
    assert " % of the fall is one step, -" in found.sentence
    assert "moved to names that the case does not watch" in found.sentence


def test_too_slow_a_fall_between_the_steps_is_not_called_fast_enough() -> None:
    base, after = ground(stepped(0.15, days=60, rate=0.003))
    found = step_of(base, after)

    assert base.trend.low > base.r_min
    assert found.state == "failed"
    assert found.sentence.startswith("That clean-up is fast enough rests on a step, -15.")


def test_a_dip_is_no_fall_and_a_step_up_none_either() -> None:
    assert step_of(*ground(stepped(-0.5))).state == "passed"


def test_info_says_on_how_many_days_the_time_since_stands() -> None:
    found = breaks_of(*ground(stepped(), lost()))
    short = breaks_of(*ground(stepped(days=34), lost()))

    assert "The 23 days since then change by" in found.sentence
    assert found.facts["days_since"] == 23
    assert found.facts["rate_since"] is not None
    assert short.state == "info"
    assert "stands on 13 days, and 14 are needed: cannot tell yet" in short.sentence


def test_check_says_which_test_found_it() -> None:
    alone = breaks_of(*ground(stepped()))
    on_record = breaks_of(*ground(stepped(), lost()))

    assert "found by the search over all days:" in alone.sentence
    assert "found by the search over all days and by the test at dates on record" in (
        on_record.sentence
    )
    assert on_record.facts["breaks"][0]["found_by"] == "both"  # type: ignore[index]


def test_step_a_week_before_the_end_is_found_by_its_date_alone() -> None:
    found = breaks_of(*ground(stepped(days=29), lost()))

    assert "found by the test at dates on record" in found.sentence
    assert "found by the search" not in found.sentence
    assert "cannot tell yet" in found.sentence


def test_check_says_what_the_verdicts_line_would_be_without_the_step() -> None:
    found = breaks_of(*ground(stepped()))

    assert "has the step in it; before the step it is" in found.sentence


def other_view(
    monkeypatch: pytest.MonkeyPatch, vantage: str, size: float, **more: Any
) -> tuple[Ground, Any]:
    """A stepped series at the resolver, and another vantage with a step of this size."""
    own, other = stepped(**more), stepped(size, **more)

    def one_of(view: Any, window: Any, which: str) -> Any:
        return replace(series(view if which == "resolver" else other, window), vantage=which)

    monkeypatch.setattr(breaks, "series", one_of)
    monkeypatch.setattr(breaks, "vantages", lambda _: ["resolver", vantage])
    base, after = ground(own)
    kept = replace(base.kept, vantage="resolver")
    return replace(base, kept=kept), after


def test_lookups_and_arrivals_that_step_together_have_left_the_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = breaks_of(*other_view(monkeypatch, "sinkhole_http", 0.5))

    assert "On the same date, clients that sent HTTP requests to the sinkhole step by" in (
        found.sentence
    )
    assert "hosts stopped asking for the watched names" in found.sentence
    assert "moved to names that the case does not watch" in found.sentence


def test_arrivals_that_stay_as_they_are_contradict_a_step_of_the_lookups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = breaks_of(*other_view(monkeypatch, "sinkhole_http", 0.0))

    assert "In clients that sent HTTP requests to the sinkhole there is no such step" in (
        found.sentence
    )
    assert "Hosts still arrive" in found.sentence
    assert "moved to names" not in found.sentence


def test_a_second_view_of_the_lookups_alone_says_nothing_of_where_hosts_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = breaks_of(*other_view(monkeypatch, "sinkhole_dns", 0.5))

    assert "On the same date, clients, usually resolvers, that asked the sinkhole" in found.sentence
    assert "moved to names" not in found.sentence


def test_step_that_a_notice_explains_is_told_and_not_judged() -> None:
    found = breaks_of(*ground(stepped(), lost("notice")))

    assert found.state == "info"
    assert "notice on 2015-04-28" in found.sentence
    assert step_of(*ground(stepped(), lost("notice"))).state == "passed"


def test_step_that_nothing_explains_says_so() -> None:
    found = breaks_of(*ground(stepped()))

    assert found.state == "info"
    assert "unexplained" in found.sentence


def test_steady_series_passes_and_a_short_one_is_not_looked_at() -> None:
    assert breaks_of(*ground(stepped(0.0))).state == "passed"
    assert breaks_of(*ground(stepped(days=24))).state == "unavailable"
    assert breaks_of(None, ground(stepped(0.0))[1]).state == "unavailable"
    assert step_of(*ground(stepped(0.0))).state == "passed"
    assert step_of(*ground(stepped(days=24))).state == "unavailable"


def test_sensors_and_gaps_are_causes() -> None:
    view = hourly_view(
        lambda s, i: None if (s == "b" and i < 240) or 600 <= i < 648 else 50, 40, ("a", "b")
    )

    found = causes(*ground(view), [("new.example", START + 15 * DAY)])

    told = {cause.kind: cause.text for cause in found}
    assert told["sensor"] == "sensor b appeared on 2015-04-18"
    assert told["watchlist"] == "new.example added to the case on 2015-04-23"
    assert told["coverage"] == "2 days without full coverage from 2015-05-03"


def test_verdict_lists_breaks_and_confounders_as_evidence() -> None:
    told = judge(stepped(), lost(), settings()).to_json()["evidence"]
    assert isinstance(told, list)
    states = {item["id"]: item["state"] for item in told}

    assert states["step"] == "failed"
    assert states["breaks"] == "info"
    assert {"merged_addresses", "two_sides", "blocking_resolvers", "calendar"} <= set(states)

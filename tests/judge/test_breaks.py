from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from estimate.fakeview import DAY, START, hourly_view, settings
from remnant.cases.model import Case, Event
from remnant.estimate.changepoints import Changepoint
from remnant.estimate.online import series
from remnant.judge.breaks import causes, check_breaks, rests_on
from remnant.judge.guards import Ground
from remnant.judge.verdict import judge

CASE = Case("test", "Test botnet", START)
STEP = 20


def stepped(size: float = 0.5, days: int = 44, **more: Any) -> Any:
    noise = np.exp(0.03 * np.random.default_rng(2).normal(size=days))

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


def lost(kind: Any = "names_lost") -> Case:
    event = Event(START + STEP * DAY, kind, "ns1.example")
    return Case("test", "Test botnet", START, events=(event,))


def test_fall_that_is_one_step_with_a_lost_name_fails() -> None:
    found = check_breaks(*ground(stepped(), lost()))

    assert found.state == "failed"
    assert "Most of the fall is one step" in found.sentence
    assert "names lost on 2015-04-28 (ns1.example)" in found.sentence
    assert found.clear_from is not None
    assert found.clear_from > START + STEP * DAY


def test_step_that_a_notice_explains_is_told_and_not_judged() -> None:
    found = check_breaks(*ground(stepped(), lost("notice")))

    assert found.state == "info"
    assert "notice on 2015-04-28" in found.sentence


def test_step_that_nothing_explains_says_so() -> None:
    found = check_breaks(*ground(stepped()))

    assert found.state == "info"
    assert "unexplained" in found.sentence


def test_steady_series_passes_and_a_short_one_is_not_looked_at() -> None:
    assert check_breaks(*ground(stepped(0.0))).state == "passed"
    assert check_breaks(*ground(stepped(days=24))).state == "unavailable"
    assert check_breaks(None, ground(stepped(0.0))[1]).state == "unavailable"


def test_sensors_and_gaps_are_causes() -> None:
    view = hourly_view(
        lambda s, i: None if (s == "b" and i < 240) or 600 <= i < 648 else 50, 40, ("a", "b")
    )

    found = causes(*ground(view), [("new.example", START + 15 * DAY)])

    told = {cause.kind: cause.text for cause in found}
    assert told["sensor"] == "sensor b appeared on 2015-04-18"
    assert told["watchlist"] == "new.example added to the case on 2015-04-23"
    assert told["coverage"] == "2 days without full coverage from 2015-05-03"


@pytest.mark.parametrize(
    ("jump", "rate", "rests"), [(-0.5, 0.001, True), (-0.1, 0.01, False), (0.4, 0.0, False)]
)
def test_step_must_be_half_of_the_fall(jump: float, rate: float, rests: bool) -> None:
    at = START + 20 * DAY
    one = Changepoint(at, at, at, jump, rate, rate, 0.01)
    first = 16_533

    assert (rests_on([one], first, first + 39) is one) is rests


def test_verdict_lists_breaks_and_confounders_as_evidence() -> None:
    told = judge(stepped(), lost(), settings()).to_json()["evidence"]
    assert isinstance(told, list)
    states = {item["id"]: item["state"] for item in told}

    assert states["breaks"] == "failed"
    assert {"merged_addresses", "two_sides", "blocking_resolvers", "calendar"} <= set(states)

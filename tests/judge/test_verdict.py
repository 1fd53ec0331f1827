from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from estimate.fakeview import (
    DAY,
    HOUR,
    START,
    hit_row,
    hourly_view,
    settings,
    sighting,
    view_of,
)
from remnant.cases.model import Case, Event
from remnant.errors import NoData
from remnant.judge.verdict import Verdict, judge
from remnant.windows import Window

CASE = Case("test", "Test botnet", START)


def simulated(
    half_life: float, days: int, *, sigma: float = 0.05, seed: int = 1, **more: Any
) -> Any:
    """A diurnal series with daily noise that halves every so many days."""
    noise = np.exp(sigma * np.random.default_rng(seed).normal(size=days))

    def counts(_: str, hour: int) -> int:
        shape = 1 + 0.5 * math.sin(hour / 24 * 2 * math.pi)
        return round(float(3000 * shape * 0.5 ** (hour / 24 / half_life) * noise[hour // 24]))

    return hourly_view(counts, days, **more)


def verdict(view: Any, case: Case = CASE, **more: Any) -> Verdict:
    return judge(view, case, settings(), **more)


@pytest.mark.parametrize(
    ("half_life", "days", "state"),
    [
        (30, 7, "cannot_tell"),
        (30, 28, "effective"),
        (30, 84, "effective"),
        (340, 7, "cannot_tell"),
        (340, 84, "no_effective_cleanup"),
        (math.inf, 84, "no_effective_cleanup"),
        (-100, 84, "growing"),
        (170, 56, "working"),
    ],
)
def test_states(half_life: float, days: int, state: str) -> None:
    found = verdict(simulated(half_life, days))

    assert found.state == state


def test_json_has_the_keys_of_the_contract_and_is_strict() -> None:
    found = verdict(simulated(340, 84)).to_json()

    text = json.dumps(found, allow_nan=False)
    assert list(found)[:7] == [
        "state", "sentence", "series", "rate_per_day", "half_life_days", "can_tell_by", "evidence",
    ]  # fmt: skip
    rates, lives = found["rate_per_day"], found["half_life_days"]
    assert isinstance(rates, dict)
    assert isinstance(lives, dict)
    assert rates["low"] < rates["value"] < rates["high"]
    assert lives["low"] == pytest.approx(math.log(2) / rates["high"])
    assert "NaN" not in text


def test_evidence_lists_everything_with_a_sentence() -> None:
    found = verdict(simulated(340, 84, simulated=True)).to_json()["evidence"]

    assert isinstance(found, list)
    ids = [item["id"] for item in found]
    assert ids[:6] == ["simulated", "rule", "vantage", "window", "values", "noise"]
    assert ids[-3:] == ["canary", "few_clients", "step"]
    assert all(item["sentence"].endswith(".") for item in found)
    assert {item["state"] for item in found} <= {"info", "passed", "failed", "unavailable"}


@pytest.mark.parametrize("half_life", [30, 340, math.inf, -100, 170])
def test_sentence_has_interval_window_and_unit_and_claims_no_infection(half_life: float) -> None:
    sentence = verdict(simulated(half_life, 56 if half_life == 170 else 84)).sentence

    assert "Test botnet" in sentence
    assert "95 % interval" in sentence
    assert "from 8 April to " in sentence
    assert "IPv4 addresses" in sentence
    assert "infected" not in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_slow_fall_is_called_too_slow() -> None:
    assert "is falling, but too slowly" in verdict(simulated(340, 84)).sentence
    assert "no clear fall" in verdict(simulated(math.inf, 84)).sentence


def test_resolvers_are_called_resolvers() -> None:
    found = verdict(simulated(340, 84, vantage="sinkhole_dns"))

    assert "usually resolvers" in found.sentence
    assert found.vantage == "sinkhole_dns"


def test_few_days_say_by_when_it_can_be_told() -> None:
    found = verdict(simulated(30, 7))

    assert "7 complete days" in found.sentence
    assert found.can_tell_by is not None
    assert found.can_tell_by.isoformat() == "2015-05-15"
    assert found.to_json()["can_tell_by"] == "2015-05-15"


def test_days_before_the_takedown_do_not_count() -> None:
    case = Case("test", "Test botnet", START + 50 * DAY + HOUR)

    found = verdict(simulated(30, 60), case)

    assert found.state == "cannot_tell"
    assert found.trend is not None
    assert found.trend.n == 9
    assert "9 complete days" in found.sentence


def test_takedown_after_the_data() -> None:
    found = verdict(simulated(30, 60), Case("test", "Test botnet", START + 100 * DAY))

    assert (found.state, found.trend) == ("cannot_tell", None)
    assert "no complete day of data after the takedown" in found.sentence
    assert found.can_tell_by is None
    assert found.to_json()["half_life_days"] == {"value": None, "low": None, "high": None}


def test_window_chooses_the_days() -> None:
    found = verdict(simulated(30, 60), window=Window(START + 10 * DAY, START + 40 * DAY))

    assert found.trend is not None
    assert found.trend.n == 30


def test_dead_sensor_is_not_a_clean_up() -> None:
    """One of two sensors dies three quarters through a flat series."""
    for seed in range(3):
        noise = np.exp(0.05 * np.random.default_rng(seed).normal(size=80))

        def counts(sensor: str, hour: int, noise: Any = noise) -> int | None:
            return None if sensor == "b" and hour >= 60 * 24 else round(1000 * noise[hour // 24])

        found = verdict(hourly_view(counts, 80, ("a", "b")))

        assert found.state not in {"working", "effective"}
        gaps = next(item for item in found.evidence if item["id"] == "gaps")
        assert gaps["gaps"] == 20


def test_retired_sensor_is_not_a_clean_up_either() -> None:
    view = hourly_view(
        lambda s, h: None if s == "b" and h >= 60 * 24 else 1000,
        80,
        ("a", "b"),
        retired={"b": START + 60 * DAY},
    )

    found = verdict(view)

    assert found.rule == "guard_failed"
    assert "the set of sensors changed" in found.sentence


def test_sensor_that_appears_is_not_growth() -> None:
    view = hourly_view(lambda s, h: None if s == "b" and h < 40 * 24 else 1000, 80, ("a", "b"))

    found = verdict(view)

    assert found.state == "cannot_tell"
    assert found.can_tell_by is not None


def test_added_name_is_not_growth() -> None:
    case = Case("test", "Test botnet", START, events=(Event(START + 40 * DAY, "names_added"),))
    view = hourly_view(lambda _, h: 1000 if h < 40 * 24 else 1500, 80)

    assert verdict(view, case).state == "cannot_tell"


@pytest.mark.parametrize("step", [1.5, 0.67])
def test_a_step_without_a_known_cause_is_not_a_trend(step: float) -> None:
    noise = np.exp(0.02 * np.random.default_rng(3).normal(size=80))
    view = hourly_view(lambda _, h: round((1000 if h < 960 else 1000 * step) * noise[h // 24]), 80)

    assert verdict(view).state not in {"growing", "effective"}


def test_covered_days_without_a_client() -> None:
    found = verdict(hourly_view(lambda _, __: 0, 20))

    assert (found.state, found.rule) == ("cannot_tell", "no_trend")
    assert "there were no clients" in found.sentence


def test_reports_that_state_no_period() -> None:
    rows = [hit_row(START + h * HOUR) for h in range(24 * 40)]
    found = verdict(view_of([sighting(START, 1, "r", "report")], rows))

    assert (found.state, found.rule, found.can_tell_by) == ("cannot_tell", "no_period", None)
    assert "hold hits only" in found.sentence
    assert "--period FROM/UNTIL" in found.sentence


def test_case_without_traffic_says_what_to_do() -> None:
    with pytest.raises(NoData, match="remnant ingest test"):
        verdict(view_of([], []))


def test_hostile_title_is_escaped() -> None:
    found = verdict(simulated(340, 84), Case("test", "\x1b[2J" + "x" * 500, START))

    assert "\x1b" not in found.sentence
    assert len(found.sentence) < 600


def test_sentence_of_simulated_traffic_says_so_once() -> None:
    view = replace(simulated(340, 84), simulated=True)
    found = verdict(view, Case("test", "Test (SIMULATED: made up)", START))

    assert found.sentence.startswith("In simulated traffic, clean-up of Test has not been")
    assert found.sentence.lower().count("simulated") == 1
    assert "simulated" not in verdict(simulated(340, 84)).sentence.lower()


def test_window_beside_the_data_tells_nothing() -> None:
    view = simulated(30, 30)

    for since in (START - 90 * DAY, START + 90 * DAY):
        found = verdict(view, window=Window(since, since + 20 * DAY))
        assert (found.state, found.trend) == ("cannot_tell", None)
        json.dumps(found.to_json(), allow_nan=False)


def stated_reports(days: int, left: float) -> Any:
    """Reports that are stated to be complete; the share ``left`` of 40 clients an hour stays."""
    view = hourly_view(lambda _, h: round(40 * left ** (h / 24 / days)), days, vantage="report")
    for row in view.rows["coverage"]:
        row["basis"] = "stated"
    return view


def test_reports_with_a_stated_period_are_judged_like_any_sensor() -> None:
    found = verdict(stated_reports(60, 0.05))

    assert (found.state, found.vantage) == ("effective", "report")
    # That the reports are complete is somebody's word, and said.
    (item,) = [item for item in found.evidence if item["id"] == "stated"]
    assert "--period" in str(item["sentence"])
    assert not [i for i in verdict(simulated(10, 60)).evidence if i["id"] == "stated"]


def test_stated_hours_without_a_hit_are_hours_with_a_look() -> None:
    view = stated_reports(60, 0.05)
    view.rows["activity"] = [row for row in view.rows["activity"] if row["start"].hour % 3]
    for row in view.rows["coverage"]:
        if row["hour"].hour % 3 == 0:
            row["messages"] = row["matched"] = 0

    assert verdict(view).state == "effective"

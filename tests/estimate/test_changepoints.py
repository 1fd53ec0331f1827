from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from remnant.estimate.changepoints import SIGNIFICANT, Cause, annotate, find
from remnant.estimate.online import day_start

FIRST = 16_533
DAY = timedelta(days=1)


def series(
    step: float, seed: int = 1, sigma: float = 0.04, at: int = 30, takes: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    time = np.arange(60)
    noise = np.random.default_rng(seed).normal(size=60)
    reached = np.clip((time - at + 1) / takes, 0, 1)
    return FIRST + time, 2000 * np.exp(-step * reached + sigma * noise)


def test_step_is_found_and_what_lies_there_explains_it() -> None:
    at = day_start(FIRST + 30)
    causes = [
        Cause(at + timedelta(hours=3), "watchlist", "a name was lost"),
        Cause(at - 9 * DAY, "notice", "notices were sent"),
    ]

    found = min(annotate(find(*series(0.4)), causes), key=lambda one: one.jump)

    assert found.low <= at <= found.high
    assert found.jump == pytest.approx(-0.4, abs=0.1)
    assert found.jump_low <= -0.4 <= found.jump_high
    assert found.chance <= SIGNIFICANT
    assert found.found_by == "search"
    assert found.explanation == "a name was lost"


def test_what_is_not_on_record_is_unexplained() -> None:
    found = annotate(find(*series(0.4)), [])

    assert {one.explanation for one in found} == {"unexplained"}


def test_noise_alone_breaks_seldom() -> None:
    assert sum(bool(find(*series(0.0, seed))) for seed in range(12)) <= 1


def test_nothing_to_see_breaks_nowhere() -> None:
    assert find(np.arange(FIRST, FIRST + 40), np.zeros(40)) == []


def test_step_is_found_through_a_long_memory_of_the_noise() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=90)
    for day in range(1, 90):
        noise[day] = 0.7 * noise[day - 1] + np.sqrt(1 - 0.49) * noise[day]
    time = np.arange(90)
    values = 300 * np.exp(-0.008 * time - 0.4 * np.clip((time - 60) / 5, 0, 1) + 0.03 * noise)

    (found,) = find(FIRST + time, values)

    assert abs((found.day - day_start(FIRST + 61)) / DAY) <= 3
    assert found.jump_low <= -0.4 <= found.jump_high
    assert found.rate_before == pytest.approx(0.008, abs=0.003)


def test_a_date_on_record_sees_a_step_that_the_search_does_not() -> None:
    at = day_start(FIRST + 30) + timedelta(hours=9)
    days, values = series(0.13, seed=1)

    assert find(days, values) == []
    (found,) = find(days, values, None, [at, at - 12 * DAY])
    assert found.found_by == "date"
    assert found.low == found.high == found.day
    assert found.day - at < DAY


def test_a_date_near_the_end_needs_a_week_only() -> None:
    days, values = series(0.4, at=51)

    assert find(days, values) == []
    (found,) = find(days, values, None, [day_start(FIRST + 51)])
    assert found.found_by == "date"
    assert found.jump == pytest.approx(-0.4, abs=0.12)


def test_both_tests_may_find_the_same_step() -> None:
    found = find(*series(0.4), None, [day_start(FIRST + 30)])

    assert [one.found_by for one in found] == ["both"]


def test_dates_on_record_are_no_breaks_by_themselves() -> None:
    dates = [day_start(FIRST + day) for day in (10, 22, 30, 41)]

    assert sum(bool(find(*series(0.0, seed), None, dates)) for seed in range(12)) <= 1


def test_dates_outside_the_days_or_too_near_an_end_are_left_out() -> None:
    days, values = series(0.0)

    assert find(days, values, None, [day_start(FIRST + day) for day in (-40, 2, 58, 900)]) == []


def test_two_steps_are_two_breaks() -> None:
    days, values = series(0.5, at=20)
    values = values * np.exp(-0.5 * (np.arange(60) >= 42))

    found = find(days, values)

    assert [round((one.day - day_start(FIRST)) / DAY) for one in found] == [20, 42]


@pytest.mark.parametrize("phi", [0.0, 0.8])
def test_a_step_down_and_back_up_is_two_breaks(phi: float) -> None:
    time = np.arange(90)
    noise = np.random.default_rng(3).normal(size=90)
    for day in range(1, 90):
        noise[day] = phi * noise[day - 1] + np.sqrt(1 - phi**2) * noise[day]
    away = (time >= 30) & (time < 50)

    down, up = find(FIRST + time, 2000 * np.exp(-0.4 * away + 0.05 * noise))

    assert down.low <= day_start(FIRST + 30) <= down.high
    assert up.low <= day_start(FIRST + 50) <= up.high
    assert down.jump == pytest.approx(-0.4, abs=0.15)
    assert up.jump == pytest.approx(0.4, abs=0.15)
    assert down.found_by == up.found_by == "search"

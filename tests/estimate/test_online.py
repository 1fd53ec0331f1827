from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from estimate.fakeview import DAY, HOUR, START, hourly_view
from remnant.estimate import online
from remnant.windows import Window


def shape(index: int) -> float:
    """A day that is three times as busy at its peak as at its low."""
    return 1.0 + 0.5 * math.sin(2 * math.pi * index / 24)


def test_value_is_the_mean_of_hourly_distinct_clients() -> None:
    made = online.series(hourly_view(lambda _, i: 10 * (i % 24), 3))

    assert made.values == pytest.approx([115.0] * 3)
    assert made.complete.all()
    assert (made.vantage, made.unit) == ("resolver", "ipv4")


def test_covered_hours_without_clients_are_zeros() -> None:
    made = online.series(hourly_view(lambda _, i: 24 if i % 24 == 0 else 0, 2))

    assert made.values == pytest.approx([1.0, 1.0])


def test_day_with_one_missing_hour_counts_and_two_are_a_gap() -> None:
    missing = {30, 60, 61}
    made = online.series(hourly_view(lambda _, i: None if i in missing else 100, 4))

    assert made.complete.tolist() == [True, True, False, True]
    assert made.values[1] == 100
    assert math.isnan(made.values[2])
    assert made.coverage[:3] == pytest.approx([1, 23 / 24, 22 / 24])


def test_missing_peak_hour_is_not_a_fall() -> None:
    peak = 24 + 6
    view = hourly_view(lambda _, i: None if i == peak else round(10_000 * shape(i)), 3)

    made = online.series(view)

    assert made.values[1] < 0.98 * made.values[0]
    assert made.values / made.exposure == pytest.approx([10_000] * 3, rel=1e-3)


def test_days_at_the_edges_of_the_window_are_not_complete() -> None:
    view = hourly_view(lambda _, __: 5, 4)
    window = Window(START + timedelta(minutes=1), START + 3 * DAY + HOUR)

    made = online.series(view, window)

    assert made.complete.tolist() == [False, True, True, False]
    assert len(made.days) == 4


def test_half_of_two_sensors_is_a_gap_not_a_fall() -> None:
    made = online.series(
        hourly_view(lambda s, i: None if s == "b" and i >= 48 else 50, 4, ("a", "b"))
    )

    assert made.values[:2] == pytest.approx([100, 100])
    assert np.isnan(made.values[2:]).all()


def test_half_a_day_covered_by_half_the_sensors_is_no_day() -> None:
    """Ten sensors, one away for twelve hours: 95 % of the sensor-hours, but half of the hours."""
    sensors = tuple("abcdefghij")
    view = hourly_view(lambda s, i: None if s == "j" and 24 <= i < 36 else 5, 2, sensors)

    made = online.series(view)

    assert made.coverage[1] == pytest.approx(0.95)
    assert made.complete.tolist() == [True, False]


def test_since_drops_the_day_of_the_takedown_itself() -> None:
    made = online.series(hourly_view(lambda _, __: 5, 4))

    assert len(made.since(START).days) == 4
    assert len(made.since(START + HOUR).days) == 3


def test_headline_is_the_mean_of_the_last_seven_complete_days() -> None:
    view = hourly_view(lambda _, i: None if i >= 29 * 24 and i % 24 < 5 else 100 + i // 24, 31)

    found = online.headline(online.series(view))

    assert found is not None
    assert found.value == pytest.approx(100 + np.arange(22, 29).mean())
    assert (found.since, found.until) == (START + 22 * DAY, START + 29 * DAY)
    assert (found.n, found.noise_days) == (7, 28)


def test_headline_interval_is_wider_with_more_noise() -> None:
    def width(sigma: float) -> float:
        noise = np.exp(sigma * np.random.default_rng(5).normal(size=40))
        view = hourly_view(lambda _, i: round(10_000 * noise[i // 24]), 40)
        found = online.headline(online.series(view))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
        return found.high - found.low

    assert width(0.1) > 1.5 * width(0.05)


def test_headline_of_few_days_has_no_limits() -> None:
    found = online.headline(online.series(hourly_view(lambda _, __: 9, 5)))

    assert found is not None
    assert (found.value, found.low, found.high, found.n) == (9, None, None, 5)


def test_headline_without_a_complete_day() -> None:
    made = online.series(hourly_view(lambda _, i: 9 if i % 2 else None, 5))

    assert online.headline(made) is None
    assert made.trend() is None


def test_window_beside_the_data_has_no_day() -> None:
    view = hourly_view(lambda _, __: 5, 3)

    for since in (START - 9 * DAY, START + 9 * DAY):
        made = online.series(view, Window(since, since + 2 * DAY))
        assert len(made.days) == 0
        assert online.headline(made) is None
        assert made.trend() is None


def test_window_around_the_data_has_the_days_of_the_data() -> None:
    made = online.series(
        hourly_view(lambda _, __: 5, 3), Window(START - 900 * DAY, START + 900 * DAY)
    )

    assert made.complete.tolist() == [True] * 3

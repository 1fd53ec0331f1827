from __future__ import annotations

import itertools

import numpy as np
import pytest

from remnant.estimate.loglinear import LogSeries, prepare
from remnant.estimate.segments import _cut, costs_of, segment

FIRST = 16_533


def made(log_mean: np.ndarray, sigma: float = 0.04, seed: int = 1) -> LogSeries:
    rng = np.random.default_rng(seed)
    days = np.arange(FIRST, FIRST + len(log_mean))
    ready = prepare(days, 3000 * np.exp(log_mean + sigma * rng.normal(size=len(days))))
    assert ready is not None
    return ready


def test_cuts_are_the_best_of_all() -> None:
    rng = np.random.default_rng(5)
    costs = np.triu(rng.uniform(1, 9, size=(9, 9)))
    costs[np.tril_indices(9, -1)] = np.inf

    for count, (total, cuts) in enumerate(_cut(costs, 3)):
        every = [
            sum(costs[a, b - 1] for a, b in itertools.pairwise((0, *chosen, 9)))
            for chosen in itertools.combinations(range(1, 9), count)
        ]
        assert total == pytest.approx(min(every))
        assert total == pytest.approx(
            sum(costs[a, b - 1] for a, b in itertools.pairwise((0, *cuts, 9)))
        )


def test_step_is_found_with_its_size() -> None:
    time = np.arange(80)

    found = segment(made(-0.004 * time - 0.5 * (time >= 45))).breaks

    assert len(found) == 1
    assert found[0].low <= FIRST + 45 <= found[0].high
    assert found[0].jump == pytest.approx(-0.5, abs=0.1)
    assert sum(weight for _, weight in found[0].places) == pytest.approx(1.0, abs=0.05)


def test_bend_is_found_with_both_slopes() -> None:
    time = np.arange(120)

    found = segment(made(-0.04 * np.minimum(time, 50), sigma=0.02)).breaks

    assert len(found) == 1
    assert found[0].low - 2 <= FIRST + 50 <= found[0].high + 2
    assert found[0].slope_before == pytest.approx(0.04, abs=0.004)
    assert found[0].slope_after == pytest.approx(0.0, abs=0.004)


def test_head_of_the_costs_is_the_costs_of_the_head() -> None:
    time = np.arange(90)
    whole = made(-0.3 * (time >= 40) - 0.3 * (time >= 70))

    by_costs = segment(whole, costs=costs_of(whole), stop=62)

    assert by_costs == segment(whole.head(62))
    assert len(by_costs.breaks) == 1


def test_piece_shorter_than_two_weeks_is_none() -> None:
    time = np.arange(60)

    breaks = segment(made(-0.6 * ((time >= 30) & (time < 37)))).breaks

    edges = [FIRST, *(one.day for one in breaks), FIRST + 60]
    assert min(np.diff(edges)) >= 14


def test_short_series_is_one_piece() -> None:
    assert segment(made(np.zeros(20))).breaks == ()


def test_long_series_stays_cheap() -> None:
    time = np.arange(900)

    found = segment(made(-0.001 * time - 0.7 * (time >= 600)))

    assert len(found.breaks) == 1
    assert found.breaks[0].low <= FIRST + 600 <= found.breaks[0].high

"""Clockwork, several caches, and TTLs that somebody changes."""

from __future__ import annotations

import numpy as np
import pytest

from campaigns.cache_events import let_through, visible_times
from remnant.estimate.cache_checks import beacon, regularity, two_arms
from remnant.estimate.cache_farm import close_pairs, farm, pairs_before


def beacons(bots: int, period: float, ttl: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rounds = int(200_000 / period)
    times = rng.uniform(0, period, (bots, 1)) + period * np.arange(rounds)
    times = (times + rng.uniform(0, 1, times.shape)).ravel()
    return let_through(np.zeros(times.size, dtype=np.int64), times, ttl)[1]


@pytest.mark.parametrize(
    ("bots", "period", "ttl"), [(20, 1000, 900), (50, 1000, 300), (1, 1000, 300)]
)
def test_lockstep_with_the_cache_is_refused(bots: int, period: float, ttl: float) -> None:
    assert all(beacon(beacons(bots, period, ttl, seed), ttl).refused for seed in range(10))


def test_a_ttl_of_a_tenth_of_the_period_is_accepted_and_the_period_found() -> None:
    found = beacon(beacons(5, 3600, 60, 1), 60)

    assert found.fixed
    assert not found.refused
    assert found.period == pytest.approx(3600, abs=2)


def test_a_period_that_is_known_decides() -> None:
    assert beacon([], 60, period=300).refused
    assert not beacon([], 30, period=300).refused


def test_independent_lookups_are_not_clockwork() -> None:
    rng = np.random.default_rng(7)
    for load in (0.1, 1, 10):
        refused = [
            beacon(times, 3600).refused
            for times in visible_times(rng, load / 3600, 604_800, 3600, 100)
        ]
        assert np.mean(refused) <= 0.02


def test_even_waits_are_told_from_exponential_ones() -> None:
    rng = np.random.default_rng(8)
    even, random = rng.normal(100, 5, 50), rng.exponential(100, 50)

    assert regularity(50, even.mean(), np.log(even).mean()) < 1e-6
    assert regularity(50, random.mean(), np.log(random).mean()) > 0.01


def test_one_cache_is_never_two() -> None:
    times = visible_times(np.random.default_rng(9), 0.01, 100_000, 300, 1)[0]

    found = farm(times.size, 100_000, 300, [close_pairs(times, 300)])

    assert not found.proven
    assert found.caches == 1
    assert found.rate.low < 0.01 < found.rate.high


@pytest.mark.parametrize("caches", [2, 4, 10])
def test_the_number_of_caches_shows_in_the_close_pairs(caches: int) -> None:
    rng = np.random.default_rng(caches)
    times = np.sort(rng.uniform(0, 400_000, rng.poisson(0.01 * 400_000)))
    shown = np.sort(let_through(rng.integers(0, caches, times.size), times, 300.0)[1])
    part = np.bincount((shown // 50_000).astype(np.int64), pairs_before(shown, 300.0), 8)

    found = farm(shown.size, 400_000, 300, part)

    assert found.proven
    assert found.low <= caches <= found.high
    assert found.lower < 0.01
    assert found.rate.low <= 0.01 <= found.rate.high


def test_a_raised_ttl_shows_and_a_kept_one_does_not() -> None:
    rng = np.random.default_rng(10)
    waits = rng.exponential(50, (2, 400))
    kept = two_arms([[400, 400]], [waits.sum(1)])
    raised = two_arms([[400, 400]], [[waits[0].sum() + 400 * 140, waits[1].sum()]])

    assert kept is not None
    assert raised is not None
    assert kept.low < 1 < kept.high
    assert kept.p_value > 0.01
    assert raised.high < 1
    assert raised.p_value < 1e-6
    assert two_arms([[5, 0]], [[10.0, 10.0]]) is None

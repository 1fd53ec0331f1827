"""Rates behind caches: sums done by hand, and caches as events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.cache_events import let_through, visible_times
from remnant.estimate.diurnal_rate import daily_shape, fitted_rate
from remnant.estimate.exposure import Exposure, binned, exposure, rate, total_rate


def test_uncached_time_is_what_is_left_of_the_gaps_and_the_end() -> None:
    # A miss in the first TTL only says what is cached then: until 105 of the 100 to 1000.
    found = exposure([5, 300, 520, 990], 100, [[0, 1000]])

    assert found == Exposure(3, (300 - 105) + (520 - 400) + (990 - 620), 900, 0)


def test_a_gap_in_the_data_costs_a_ttl_and_no_more() -> None:
    found = exposure([300, 700], 100, [[0, 500], [600, 1000]])

    assert found.observed == 400 + 300
    assert found.misses == 2
    assert found.uncached == (500 - 100 - 100) + (1000 - 700 - 100)


def test_a_ttl_that_changes_holds_for_its_own_answer() -> None:
    assert exposure([400, 600], [50, 150], [[0, 1000]]).uncached == (1000 - 150) - 50 - 150


def test_misses_within_a_ttl_are_counted_as_early() -> None:
    assert exposure([200, 250, 400], 100, [[0, 1000]]).early == 1


def test_a_cache_that_was_never_empty_has_no_uncached_time_below_zero() -> None:
    times = [6.0, 205.0, 404.0, 603.0, 801.4189846850815]

    assert exposure(times, 199.0267031816656, [[0, 1000]]).uncached >= 0


@given(
    st.lists(st.floats(0, 999), max_size=30),
    st.floats(0.5, 200),
    st.lists(st.floats(1, 999), max_size=6),
)
@settings(max_examples=100, deadline=None)
def test_bins_add_up_to_the_whole(times: list[float], ttl: float, cuts: list[float]) -> None:
    moments, edges = np.sort(times), np.unique([0.0, *cuts, 1000.0])

    counts, at_risk = binned(moments, ttl, [[0, 1000]], edges)
    whole = exposure(moments, ttl, [[0, 1000]])

    assert counts.sum() == whole.misses
    assert at_risk.sum() == pytest.approx(whole.uncached, abs=1e-6)
    assert 0 <= whole.uncached <= whole.observed


@pytest.mark.parametrize("load", [0.1, 1, 10, 100])
def test_the_rate_is_not_biased_and_its_interval_holds_it(load: float) -> None:
    each = load / 3600
    rng = np.random.default_rng(11)
    found = [
        rate(exposure(times, 3600, [[0, 604_800]]))
        for times in visible_times(rng, each, 604_800, 3600, 200 if load < 50 else 60)
    ]

    errors = np.array([one.value for one in found]) / each - 1
    held = np.mean([one.low <= each <= one.high for one in found])
    assert abs(errors.mean()) < 3.5 * errors.std() / np.sqrt(errors.size)
    assert held >= 0.88


def test_a_cache_that_never_was_empty_says_nothing() -> None:
    found = rate(Exposure(5, 0.0, 100.0, 0))

    assert np.isnan(found.value)
    assert found.high == np.inf


def test_the_sum_of_one_item_is_that_item() -> None:
    seen = Exposure(20, 1000.0, 1600.0, 0)
    one, total = rate(seen), total_rate([20], [1000.0], [seen.cached_share])

    assert total.value == pytest.approx(one.value)
    assert total.low == pytest.approx(one.low)
    assert total.high == pytest.approx(one.high)


def test_a_daily_rhythm_does_not_lower_the_rate() -> None:
    rng = np.random.default_rng(4)
    length, ttl, each = 14 * 86_400, 900.0, 0.01
    fitted, flat = [], []
    for _ in range(10):
        times = rng.uniform(0, length, rng.poisson(1.8 * each * length))
        level = 1 + 0.8 * np.sin(2 * np.pi * times / 86_400)
        times = np.sort(times[rng.uniform(0, 1.8, times.size) < level])
        _, shown = let_through(np.zeros(times.size, dtype=np.int64), times, ttl)
        bins = binned(shown, ttl, [[0, length]], np.arange(0, length + 1, 3600))
        fitted.append(fitted_rate(*bins, 0.0).value)
        flat.append(rate(exposure(shown, ttl, [[0, length]])).value)

    assert np.mean(flat) < 0.9 * each
    assert np.mean(fitted) == pytest.approx(each, rel=0.06)


def test_items_share_one_daily_shape() -> None:
    rng = np.random.default_rng(6)
    shape = np.repeat([0.5, 1.5], 12)
    rates = np.array([0.02, 0.1, 0.3])
    observed = np.full(24, 7 * 3600.0)
    item, hour = np.repeat(np.arange(3), 24), np.tile(np.arange(24), 3)
    cached = rng.uniform(0.1, 0.9, 72) * observed[hour]
    misses = rng.poisson(rates[item] * shape[hour] * (observed[hour] - cached))

    found = daily_shape(item, hour, misses, cached, observed)

    assert found.rates == pytest.approx(rates, rel=0.1)
    assert found.hours == pytest.approx(shape, rel=0.1)
    assert 1 <= found.dispersion < 1.5

"""Bots from lookups that caches let through."""

from __future__ import annotations

import math

import numpy as np
import pytest

from campaigns.campaign import Outcomes
from campaigns.dga_bots import campaign
from remnant.estimate.barrels import Round
from remnant.estimate.dga_population import Seen, by_coverage, in_bursts, of_unit, over_epochs

DAY = 86_400.0


@pytest.mark.parametrize("index", [0, 12, 21])
def test_bots_behind_a_cache_are_found(index: int) -> None:
    cell = campaign().cells[index]
    found = cell.simulate(np.random.default_rng(1), 40)
    assert isinstance(found, Outcomes)

    error = (found.value - found.truth) / found.truth
    assert found.low is not None
    assert found.high is not None
    assert abs(error.mean()) < 4 * error.std() / math.sqrt(error.size)
    assert ((found.low <= found.truth) & (found.truth <= found.high)).mean() > 0.8


def test_without_a_cache_the_bots_are_the_lookups_by_lookups_of_a_bot() -> None:
    made = Round.of("uniform", 100, 40)
    found = of_unit(Seen(40 * 7, 40 * DAY, 40 * DAY), made, DAY)

    assert found.value == pytest.approx(7)
    assert found.low == pytest.approx(7)


def test_for_one_order_a_visible_activation_counts_like_a_miss_of_one_cache() -> None:
    # Ten visible activations, each cached for 7200 s.
    made, cached = Round.of("uniform", 100, 40), 10 * 7200 / DAY
    found = of_unit(Seen(400, 40 * (DAY - 72_000), 40 * DAY), made, DAY)

    assert found.value == pytest.approx((10 - cached) * DAY / (DAY - 72_000))


def test_an_epoch_that_never_was_visible_says_nothing() -> None:
    assert math.isnan(of_unit(Seen(0, 0, 0), Round.of("uniform", 5, 5), DAY).value)


def test_a_burst_at_midnight_is_counted_hour_by_hour() -> None:
    made = Round.of("random_cut", 1000, 100)
    full = 100 * 3600.0
    # 50 bots at once, half of whose names are cached, then a quiet day.
    hours = [Seen(2500, full / 2, full)] + [Seen(0, full, full)] * 23

    assert in_bursts(hours, made, DAY).value == pytest.approx(50, rel=0.05)
    assert of_unit(Seen(2500, 23.5 * full, 24 * full), made, DAY).value < 30


def test_epochs_are_resampled_within_resolvers() -> None:
    rng = np.random.default_rng(2)
    values = np.array([[5.0], [500.0]]) + rng.normal(0, 2, (2, 10))

    found = over_epochs(values, np.ones_like(values))
    few = over_epochs(values[:, :2], np.ones((2, 2)))

    assert found.value == pytest.approx(values.mean(1).sum())
    # The difference between the resolvers is no error.
    assert found.high - found.low < 8
    assert few.low < few.value < few.high
    assert math.isnan(over_epochs([[math.nan]], [[1.0]]).value)


def test_distinct_names_speak_for_bots_whatever_the_ttl() -> None:
    made = Round.of("sampling", 50_000, 500)
    rng = np.random.default_rng(3)
    found = [
        by_coverage(
            np.unique([rng.choice(50_000, 500, replace=False) for _ in range(40)]).size, made
        )
        for _ in range(10)
    ]

    assert np.mean([one.value for one in found]) == pytest.approx(40, rel=0.01)
    assert all(one.low < 41 and one.high > 39 for one in found)
    assert by_coverage(1000, Round.of("uniform", 1000, 1000)).high == math.inf

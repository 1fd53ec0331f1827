from __future__ import annotations

import math

import numpy as np
import pytest

from remnant.estimate.churn_mean import Rated, alike, error_of, mean_rate


def rated(rate: float, error: float, **more: float) -> Rated:
    return Rated(
        more.get("weight", 10.0), rate, error, more.get("most", 10.0), more.get("days", 1e6)
    )


def test_a_sure_network_keeps_its_rate_and_an_unsure_one_is_drawn_to_the_others() -> None:
    sure = [rated(rate, 0.05) for rate in (0.1, 0.11, 0.09, 0.1)]

    value, low, high = mean_rate([*sure, rated(2.0, 2.0)])

    assert value < 0.2
    assert low < 0.1 < high


def test_fixed_ages_are_added_as_they_are() -> None:
    assert mean_rate([rated(1.0, 0.0), rated(0.5, 0.0)]) == (0.75, 0.75, 0.75)
    value, low, high = mean_rate([rated(1.0, 0.0), rated(0.5, 0.01)])
    assert value == pytest.approx(0.75, rel=0.01)
    assert low < value < high


def test_no_rate_is_known_better_than_by_counting_its_changes() -> None:
    few = mean_rate([rated(0.02, 0.01, days=100.0)])
    many = mean_rate([rated(0.02, 0.01, days=1e6)])

    assert few[2] - few[0] > 10 * (many[2] - many[0])


def test_limits_hold_the_mean_of_networks_that_differ() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(100):
        logs = rng.normal(-2.0, 1.0, 8)
        errors = rng.uniform(0.1, 0.6, 8)
        made = np.exp(logs + errors * rng.normal(size=8))
        _, low, high = mean_rate(
            [rated(float(rate), float(error)) for rate, error in zip(made, errors, strict=True)]
        )
        held += bool(low <= np.exp(logs).mean() <= high)

    # Three standard errors below 95 of 100.
    assert held >= 88


def test_rates_differ_where_chance_does_not_make_it() -> None:
    assert alike([rated(0.1, 0.3), rated(0.15, 0.3), rated(0.08, 0.3)])
    assert not alike([rated(0.1, 0.1), rated(0.3, 0.1)])
    assert not alike([rated(0.1, 0.1)])


def test_the_error_is_that_of_the_lower_limit() -> None:
    assert error_of(1.0, math.exp(-2.0), 1.5, 2.0) == pytest.approx(1.0)
    assert error_of(0.002, 0.0, 0.006, 2.0) == pytest.approx(math.log(3) / 2)
    assert error_of(0.002, 0.0, 0.002, 2.0) > 1

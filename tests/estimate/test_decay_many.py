from __future__ import annotations

import numpy as np
import pytest

from remnant.estimate.decay import fit
from remnant.estimate.decay_many import fit_many

FIRST = 16_533


@pytest.mark.parametrize(("n", "mean"), [(7, 900.0), (30, 900.0), (60, 4.0)])
def test_every_series_is_fitted_as_by_itself(n: int, mean: float) -> None:
    rng = np.random.default_rng(3)
    days = np.delete(np.arange(FIRST, FIRST + n + 2), [2, 5])
    values = rng.poisson(mean * np.exp(-0.01 * (days - FIRST)), size=(5, n)).astype(np.float64)

    found = fit_many(days, values, level=0.9)

    for i in range(5):
        one = fit(days, values[i], level=0.9)
        assert one is not None
        assert found.rate[i] == pytest.approx(one.rate, abs=1e-9)
        assert found.low[i] == pytest.approx(one.low, abs=1e-9)
        assert found.high[i] == pytest.approx(one.high, abs=1e-9)
        assert found.sigma[i] == pytest.approx(one.sigma)
        assert found.phi[i] == pytest.approx(one.phi)


def test_series_that_cannot_be_fitted_leave_the_others_alone() -> None:
    days = np.arange(FIRST, FIRST + 20)
    values = np.vstack([np.zeros(20), 100 * np.exp(-0.02 * np.arange(20))])

    found = fit_many(days, values)

    assert np.isnan(found.rate[0])
    assert found.rate[1] == pytest.approx(0.02, abs=1e-6)


def test_too_few_days_fit_nothing() -> None:
    assert np.isnan(fit_many(np.arange(FIRST, FIRST + 4), np.ones((2, 4))).rate).all()


def test_exposure_is_divided_out() -> None:
    days = np.arange(FIRST, FIRST + 30)
    exposure = np.where(np.arange(30) % 4, 1.0, 0.9)
    values = 500 * exposure * np.exp(-0.03 * np.arange(30))

    assert fit_many(days, values[None], exposure).rate[0] == pytest.approx(0.03, abs=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        [4, 3, 2, 1, 3, 2, 4, 4, 2, 2, 1, 1, 1, 1, 1] + [0] * 51 + [1] + [0] * 16 + [1] + [0] * 5,
        [4, 1, 1, 3, 1, 0, 1, 2, 1, 2, 2] + [1] * 6 + [0] * 70 + [1, 0],
    ],
    ids=["two late ones", "one at the end"],
)
def test_a_network_of_which_next_to_nothing_is_left_has_a_rate_of_this_world(
    values: list[int],
) -> None:
    days = np.arange(15_000, 15_000 + len(values))
    beside = np.full(len(values), 50.0)
    many = fit_many(days, np.array([values, beside], dtype=float))
    one = fit(days, np.array(values, dtype=float))
    assert one is not None
    # It falls to nothing within some weeks: not by billions a day, and not in a moment.
    assert 0.01 < one.rate < 0.3
    assert many.rate[0] == pytest.approx(one.rate, rel=1e-6)
    assert abs(many.rate[1]) < 0.01

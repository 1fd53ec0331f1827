from __future__ import annotations

import numpy as np
import pytest

from remnant.estimate.loglinear import fresh_noise, prepare, whitened

FIRST = 16_533


def test_weekdays_are_taken_out() -> None:
    days = np.arange(FIRST, FIRST + 70)
    dip = np.where((days + 3) % 7 >= 5, 0.6, 1.0)

    made = prepare(days, 800 * dip * np.exp(-0.01 * np.arange(70)))

    assert made is not None
    assert made.lost == 6
    assert np.diff(made.response) == pytest.approx(np.full(69, -0.01), abs=2e-3)


def test_zeros_and_small_counts_stay_finite_and_weigh_less() -> None:
    days = np.arange(FIRST, FIRST + 60)
    values = np.random.default_rng(1).poisson(40 * np.exp(-0.08 * np.arange(60)))

    made = prepare(days, values.astype(np.float64))

    assert made is not None
    assert (values == 0).any()
    assert np.isfinite(made.response).all()
    assert made.weight[:10].mean() > 5 * made.weight[-10:].mean()
    assert made.weight.mean() == pytest.approx(1.0)


def test_nothing_to_see_is_nothing() -> None:
    assert prepare(np.arange(FIRST, FIRST + 20), np.zeros(20)) is None
    assert prepare(np.arange(FIRST, FIRST + 4), np.ones(4)) is None


def test_whitening_is_that_of_the_correlation_matrix() -> None:
    days = np.array([0, 1, 2, 5, 6, 13])
    phi = 0.6
    rows = np.random.default_rng(2).normal(size=(2, 6))
    covariance = phi ** np.abs(np.subtract.outer(days, days))

    white = whitened(rows.copy(), days, phi)

    assert white @ white.T == pytest.approx(rows @ np.linalg.inv(covariance) @ rows.T)
    assert np.log(fresh_noise(days, phi)).sum() == pytest.approx(
        np.linalg.slogdet(covariance).logabsdet
    )

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.estimate import decay

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST = 16533


def days(n: int) -> NDArray[np.int64]:
    return np.arange(FIRST, FIRST + n, dtype=np.int64)


def fitted(when: NDArray[np.int64], values: Any, *more: Any, **named: Any) -> decay.Trend:
    trend = decay.fit(when, np.asarray(values, dtype=np.float64), *more, **named)
    assert trend is not None
    return trend


def noise(n: int, seed: int = 1, sigma: float = 0.05, phi: float = 0.0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    u = np.empty(n)
    u[0] = rng.normal()
    for t in range(1, n):
        u[t] = phi * u[t - 1] + math.sqrt(1 - phi**2) * rng.normal()
    return np.asarray(np.exp(sigma * u))


@pytest.mark.parametrize("rate", [0.0231, 0.0, -0.01])
def test_noiseless_series_gives_its_rate_and_no_width(rate: float) -> None:
    trend = fitted(days(40), 1000 * np.exp(-rate * np.arange(40)))

    assert trend.rate == pytest.approx(rate, abs=1e-6)
    assert trend.high - trend.low < 1e-5
    assert trend.low <= trend.rate <= trend.high


def test_weekday_dip_does_not_bend_the_trend() -> None:
    when = days(60)
    dip = np.where((when + 3) % 7 >= 5, 0.7, 1.0)

    trend = fitted(when, 500 * dip * np.exp(-0.005 * np.arange(60)))

    assert trend.weekdays
    assert trend.rate == pytest.approx(0.005, abs=1e-6)


def test_under_three_weeks_no_weekdays_are_fitted() -> None:
    assert not fitted(days(20), 500 * noise(20)).weekdays
    assert fitted(days(21), 500 * noise(21)).weekdays


def test_gaps_keep_their_length() -> None:
    when = days(80)
    kept = np.r_[0:20, 50:80]
    values = 800 * np.exp(-0.01 * np.arange(80))

    assert fitted(when[kept], values[kept]).rate == pytest.approx(0.01, abs=1e-6)


def test_exposure_is_divided_out() -> None:
    exposure = np.where(np.arange(50) % 3 == 0, 0.9, 1.0)

    trend = fitted(days(50), 700 * exposure * np.exp(-0.02 * np.arange(50)), exposure)

    assert trend.rate == pytest.approx(0.02, abs=1e-6)


def test_quasi_likelihood_equals_a_negative_binomial_glm() -> None:
    """The first step is statsmodels' NB2 GLM with the dispersion that moments give."""
    import statsmodels.api as sm

    rng = np.random.default_rng(7)
    when = days(90)
    mean = 40 * np.exp(-0.015 * np.arange(90))
    values = rng.negative_binomial(12, 12 / (12 + mean)).astype(np.float64)
    design, _ = decay.design_of(when, float(when.mean()))

    ours, dispersion = decay.quasi_likelihood(design, values, np.zeros(90))
    family = sm.families.NegativeBinomial(alpha=dispersion)
    theirs = sm.GLM(values, design, family=family).fit()

    assert ours == pytest.approx(theirs.fittedvalues, rel=1e-6)
    assert theirs.pearson_chi2 == pytest.approx(theirs.df_resid, rel=1e-6)


def test_without_memory_the_interval_is_that_of_the_glm() -> None:
    """Given phi = 0, slope and error are those of the weighted fit with an estimated scale."""
    import statsmodels.api as sm

    when = days(100)
    values = 300 * noise(100, 3) * np.exp(-0.004 * np.arange(100))
    design, _ = decay.design_of(when, float(when.mean()))
    mean, dispersion = decay.quasi_likelihood(design, values, np.zeros(100))
    weight = 1 / (1 / mean + dispersion)
    working = np.log(mean) + (values - mean) / mean

    mixture = decay._integrate_memory(design, working, weight, when)
    theirs = sm.WLS(working, design, weights=weight).fit()

    assert mixture.slopes[0] == pytest.approx(theirs.params[-1], rel=1e-6)
    assert mixture.errors[0] == pytest.approx(theirs.bse[-1], rel=1e-4)


def test_with_memory_slope_and_error_are_those_of_generalised_least_squares() -> None:
    import statsmodels.api as sm

    when = days(70)[np.r_[0:30, 33:70]]
    values = 300 * noise(67, 3, phi=0.6)
    design, _ = decay.design_of(when, float(when.mean()))
    weight = np.linspace(0.5, 2, 67)
    working = np.log(values)
    place = 17
    phi = float(decay.PHI[place])
    apart = np.abs(np.subtract.outer(when, when))
    covariance = phi**apart / np.sqrt(np.outer(weight, weight))

    mixture = decay._integrate_memory(design, working, weight, when)
    theirs = sm.GLS(working, design, sigma=covariance).fit()

    assert mixture.slopes[place] == pytest.approx(theirs.params[-1], rel=1e-6)
    assert mixture.errors[place] == pytest.approx(theirs.bse[-1], rel=1e-4)


def test_quantiles_leave_the_right_probability_outside() -> None:
    from scipy.special import stdtr

    when = days(60)
    values = 100 * noise(60, 5, phi=0.5)
    design, _ = decay.design_of(when, float(when.mean()))
    mixture = decay._integrate_memory(design, np.log(values), np.ones(60), when)

    for probability in (0.001, 0.025, 0.5, 0.975):
        at = decay._quantile(mixture, probability)
        z = (at - mixture.slopes) / mixture.errors
        assert float(mixture.weights @ stdtr(mixture.freedom, z)) == pytest.approx(probability)


def test_memory_widens_the_interval_and_is_found() -> None:
    calm = fitted(days(120), 1000 * noise(120, 11))
    slow = fitted(days(120), 1000 * noise(120, 11, phi=0.8))

    assert calm.phi < 0.3 < slow.phi
    assert slow.high - slow.low > 2 * (calm.high - calm.low)


def test_higher_level_is_wider() -> None:
    values = 1000 * noise(60, 2)

    narrow, wide = (fitted(days(60), values, level=level) for level in (0.8, 0.99))

    assert wide.low < narrow.low < narrow.high < wide.high


def test_zeros_are_data() -> None:
    rng = np.random.default_rng(4)
    values = rng.poisson(2 * np.exp(-0.03 * np.arange(90)))

    trend = fitted(days(90), values)

    assert (values == 0).any()
    assert trend.low < 0.03 < trend.high


@pytest.mark.parametrize("values", [[3.0] * 4, [0.0] * 30, [0.0] * 29 + [5.0]])
def test_nothing_to_fit(values: list[float]) -> None:
    assert decay.fit(days(len(values)), np.array(values)) is None


@given(
    st.lists(st.sampled_from([0.0, 1e-9, 0.5, 1.0, 7.0, 1e4, 1e12]), min_size=1, max_size=60),
    st.integers(1, 50),
)
@settings(max_examples=50, deadline=None)
def test_any_series_is_fitted_or_refused(values: list[float], spacing: int) -> None:
    trend = decay.fit(days(len(values)) * spacing, np.array(values))

    if trend is not None:
        assert math.isfinite(trend.rate)
        assert trend.low <= trend.high
        assert trend.memory.sum() == pytest.approx(1.0)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e6), st.integers(-400, 400))
@settings(max_examples=25, deadline=None)
def test_unit_and_origin_do_not_matter(seed: int, scale: float, weeks: int) -> None:
    values = 50 * noise(40, seed)

    base = fitted(days(40), values)
    moved = fitted(days(40) + 7 * weeks, values * scale)

    # The scale decides how much of the noise is Poisson, so weights differ a little.
    assert moved.rate == pytest.approx(base.rate, abs=0.1 * (base.high - base.low))


def test_band_holds_the_fitted_curve() -> None:
    trend = fitted(days(60), 1000 * noise(60, 9) * np.exp(-0.01 * np.arange(60)))

    middle, low, high = trend.band(days(60))

    assert (low < middle).all()
    assert (middle < high).all()
    assert np.diff(np.log(middle)) == pytest.approx(-trend.rate)
    # The band is narrowest in the middle of the data.
    assert (high / low).argmin() == pytest.approx(30, abs=10)


def test_error_of_a_mean_grows_with_memory() -> None:
    calm = fitted(days(120), 1000 * noise(120, 11))
    slow = fitted(days(120), 1000 * noise(120, 11, phi=0.8))
    week = days(7)

    assert calm.error_of_mean(week) < 0.05 * 0.7
    assert slow.error_of_mean(week) > calm.error_of_mean(week) * 1.5


@pytest.mark.parametrize(
    ("n", "percent"), [(7, 4.6), (14, 1.6), (28, 0.57), (56, 0.20), (90, 0.10), (180, 0.03)]
)
def test_detectable_rates(n: int, percent: float) -> None:
    assert 100 * decay.detectable(n, 0.05, 0.5) == pytest.approx(percent, rel=0.06, abs=0.006)


@given(st.floats(1e-5, 0.5), st.floats(0.001, 1.0), st.floats(0.0, 0.95))
@settings(max_examples=30, deadline=None)
def test_days_needed_is_the_smallest_number(rate: float, sigma: float, phi: float) -> None:
    needed = decay.days_needed(rate, sigma, phi)

    assert decay.detectable(needed, sigma, phi) <= rate
    assert needed == 2 or decay.detectable(needed - 1, sigma, phi) > rate


def test_half_life() -> None:
    assert decay.half_life(math.log(2) / 30) == pytest.approx(30)
    assert decay.half_life(0.0) is None
    assert decay.half_life(-0.1) is None
    assert decay.half_life(None) is None

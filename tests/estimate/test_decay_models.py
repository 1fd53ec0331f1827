from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from remnant.estimate.decay_models import MODELS, choose, fit_model, forecast_errors
from remnant.estimate.loglinear import LogSeries, prepare

FIRST = 16_533


def made(log_mean: np.ndarray, sigma: float = 0.03, seed: int = 1) -> LogSeries:
    rng = np.random.default_rng(seed)
    days = np.arange(FIRST, FIRST + len(log_mean))
    ready = prepare(days, 5000 * np.exp(log_mean + sigma * rng.normal(size=len(days))))
    assert ready is not None
    return ready


def test_line_keeps_the_line() -> None:
    found = choose(made(-0.006 * np.arange(84)))

    assert found.fitted.model == "M0"
    assert set(found.errors) == set(MODELS)
    low, high = found.rate_interval(0.95)
    assert low <= 0.006 <= high


def test_floor_is_seen_and_forecast() -> None:
    time = np.arange(112)
    series = made(np.log(0.3 + 0.7 * np.exp(-0.06 * time)))

    fitted = fit_model(series, "M1")

    assert fitted.floor is not None
    low, high = fitted.floor.interval(0.95)
    assert low <= np.log(1500) <= high
    assert high - low < 0.1
    low, high = fitted.later.interval(0.95)
    assert low <= np.log(1500) <= high
    assert choose(series).fitted.model != "M0"


@pytest.mark.parametrize("model", ["M0", "M1", "M2", "mixture", "M3", "M4"])
def test_each_model_knows_its_own_rate(model: str) -> None:
    time = np.arange(100)
    two = 0.6 * np.exp(-0.1 * time), 0.4 * np.exp(-0.01 * time)
    log_mean, rate = {
        "M0": (-0.01 * time, 0.01),
        "M1": (np.log(0.4 + 0.6 * np.exp(-0.05 * time)), 0.05 * 0.6 / (0.6 + 0.4 * np.exp(4.95))),
        "M2": (
            np.log(two[0] + two[1]),
            (0.1 * two[0][-1] + 0.01 * two[1][-1]) / (two[0][-1] + two[1][-1]),
        ),
        "mixture": (-1.5 * np.log1p(time / 30), 1.5 / 129),
        "M3": (-0.015 * time - np.log1p(np.exp(-0.2 * (time - 15))), 0.015),
        "M4": (-0.03 * np.maximum(time - 50, 0), 0.03),
    }[model]

    low, high = fit_model(made(log_mean, 0.02, 3), model).rate.interval(0.99)

    assert low <= rate <= high
    assert high - low < 0.02


def test_forecasts_do_not_see_what_comes_after_them() -> None:
    """The last week is judged by the last origin's longer forecast alone."""
    series = made(-0.01 * np.arange(84))
    bent = series.response.copy()
    bent[-7:] -= 1.0

    errors, other = forecast_errors(series), forecast_errors(replace(series, response=bent))

    for model in MODELS:
        assert other[model][:-2] == pytest.approx(errors[model][:-2])
        assert other[model][-1] > errors[model][-1] + 0.1


def test_few_weeks_compare_nothing() -> None:
    found = choose(made(-0.01 * np.arange(30)))

    assert found.errors == {}
    assert found.fitted.model == "M0"


def test_late_break_makes_the_interval_wide_and_not_wrong() -> None:
    time = np.arange(84)
    found = choose(made(-0.002 * time - 0.02 * np.maximum(time - 55, 0)))

    low, high = found.rate_interval(0.95)

    assert low <= 0.022 <= high

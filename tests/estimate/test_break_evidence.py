from __future__ import annotations

import numpy as np
import pytest

from remnant.estimate import break_evidence
from remnant.estimate.break_evidence import (
    MEMORIES,
    NULL_MEMORIES,
    WIDTHS,
    chance_of,
    evidence_of,
    lines_at,
    pooled,
)
from remnant.estimate.loglinear import LogSeries


def made(
    response: np.ndarray, days: np.ndarray | None = None, weight: np.ndarray | None = None
) -> LogSeries:
    n = len(response)
    days = np.arange(n) if days is None else days
    weight = np.ones(n) if weight is None else weight
    time = (days - days[0]).astype(np.float64)
    return LogSeries(days, time, response, weight, 1.0, 1.0, 0)


def noise(rng: np.random.Generator, repeats: int, n: int, phi: float) -> np.ndarray:
    found = rng.normal(size=(repeats, n))
    for day in range(1, n):
        found[:, day] = phi * found[:, day - 1] + np.sqrt(1 - phi**2) * found[:, day]
    return found


def by_hand(series: LogSeries, place: int, width: int) -> float:
    """Log B by generalised least squares with the whole correlation matrix."""
    n = len(series.days)
    root = np.sqrt(series.weight)
    apart = np.abs(np.subtract.outer(series.days, series.days)).astype(np.float64)
    since = (series.days - series.days[place]).astype(np.float64)
    rows = np.arange(n) - place
    one = np.stack([root, root * since], axis=1)
    reached = np.clip((rows + 1) / width, 0, 1)
    two = np.column_stack([one, root * reached, root * (rows >= 0) * since])
    response = root * (series.response - series.response.mean())
    alone, both = [], []
    for phi in MEMORIES:
        shared = np.power(phi, apart)
        inverse = np.linalg.inv(shared)

        def left(design: np.ndarray, inverse: np.ndarray = inverse) -> tuple[float, float]:
            information = design.T @ inverse @ design
            rest = response - design @ np.linalg.solve(information, design.T @ inverse @ response)
            return float(rest @ inverse @ rest), float(np.linalg.slogdet(information)[1])

        squares, size = left(one)
        share = left(two)[0] / squares
        likelihood = -0.5 * np.linalg.slogdet(shared)[1] - 0.5 * size
        alone.append(likelihood - 0.5 * (n - 2) * np.log(squares))
        gain = (n - 4) * np.log1p(n) - (n - 2) * np.log1p(n * share)
        both.append(alone[-1] + 0.5 * gain)
    return float(np.logaddexp.reduce(both) - np.logaddexp.reduce(alone))


def test_running_sums_give_what_whole_matrices_give_with_gaps_and_weights() -> None:
    rng = np.random.default_rng(3)
    days = np.cumsum(rng.integers(1, 4, 40))
    weight = rng.uniform(0.4, 1.6, 40)
    response = rng.normal(size=40) - 2.5 * (np.arange(40) >= 22)
    series = made(response, days, weight / weight.mean())
    places = np.array([9, 15, 22, 27])

    found = evidence_of(series, places)

    wanted = [[by_hand(series, place, width) for width in WIDTHS] for place in places.tolist()]
    assert found.log_odds == pytest.approx(pooled(np.array(wanted)), abs=1e-8)
    assert found.weights.argmax() == 2


def test_a_real_step_does_not_pass_for_memory() -> None:
    rng = np.random.default_rng(4)
    response = 0.05 * noise(rng, 1, 90, 0.3)[0] - 0.37 * (np.arange(90) >= 61)

    lines = lines_at(made(response), 61)

    assert lines.jump.quantile(0.5) == pytest.approx(-0.37, abs=0.06)
    assert lines.sigma == pytest.approx(0.05, abs=0.015)
    assert lines.phi < 0.6


def test_a_change_that_takes_five_days_is_told_from_a_sudden_one() -> None:
    rng = np.random.default_rng(5)
    time = np.arange(80)
    slow = -0.5 * np.clip((time - 39) / 5, 0, 1) + 0.02 * rng.normal(size=80)
    sudden = -0.5 * (time >= 40) + 0.02 * rng.normal(size=80)

    widths = [int(evidence_of(made(one), np.array([40])).widths[0]) for one in (slow, sudden)]

    assert widths == [5, 1]


@pytest.mark.parametrize("phi", NULL_MEMORIES)
def test_chance_is_held_for_every_memory(phi: float) -> None:
    places = np.arange(14, 47)
    series = [made(row) for row in noise(np.random.default_rng(6), 250, 60, phi)]

    chances = np.array([chance_of(one, places, evidence_of(one, places).total) for one in series])

    # 250 series: three standard errors above 10 % are 15.7 %.
    assert (chances <= 0.1).mean() <= 0.157


def test_counting_noise_raises_the_chance() -> None:
    places = np.arange(14, 77)
    plain = made(np.zeros(90))
    counted = LogSeries(plain.days, plain.time, plain.response, plain.weight, 0.6, 1.0, 0)

    assert chance_of(counted, places, 1.0) > chance_of(plain, places, 1.0)


def test_some_places_of_an_evidence_are_as_if_asked_alone() -> None:
    series = made(np.random.default_rng(7).normal(size=50))
    whole = evidence_of(series, np.arange(10, 40))

    some = whole.at(np.array([12, 30]))

    assert some.log_odds == pytest.approx(evidence_of(series, np.array([12, 30])).log_odds)
    assert some.total == pytest.approx(float(pooled(some.log_odds)))


def test_a_series_without_noise_is_no_error() -> None:
    flat = evidence_of(made(np.zeros(40)), np.arange(14, 27))
    step = evidence_of(made(-1.0 * (np.arange(40) >= 20)), np.arange(14, 27))

    assert np.isfinite(flat.total)
    assert step.places[step.log_odds.argmax()] == 20


def test_made_up_series_are_the_same_each_time() -> None:
    places = np.arange(14, 31)
    series = made(np.zeros(45))
    first = chance_of(series, places, -0.5)
    break_evidence._null.cache_clear()

    assert chance_of(series, places, -0.5) == first

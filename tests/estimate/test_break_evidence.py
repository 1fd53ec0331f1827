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
    pairs_of,
    pooled,
    with_pairs,
)
from remnant.estimate.decay import FLOOR
from remnant.estimate.loglinear import LogSeries, fresh_noise, whitened


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


def test_two_steps_that_cancel_are_weighed_as_the_formula_says() -> None:
    rng = np.random.default_rng(11)
    days = np.delete(np.arange(44), [17, 18, 30])
    series = made(rng.normal(size=41), days, rng.uniform(0.5, 1.5, 41))
    found = pairs_of(series, np.array([9, 14, 23, 31]))
    assert found is not None

    def weighed(first: int, after: int, width: int) -> float:
        rows = np.arange(41)
        box = np.clip((rows - first + 1) / width, 0, 1) - np.clip((rows - after + 1) / width, 0, 1)
        root = np.sqrt(series.weight)
        line = root * np.stack([np.ones(41), series.time])
        alone, both = [], []
        for phi in MEMORIES.tolist():
            white = whitened(
                np.vstack([line, root * box, root * (series.response - series.response.mean())]),
                series.days,
                phi,
            )
            information = white[:2] @ white[:2].T
            least = [
                float(np.linalg.lstsq(white[:k].T, white[3], rcond=None)[1][0]) for k in (2, 3)
            ]
            squares = least[0] + FLOOR**2 * 41
            likely = (
                -0.5 * np.log(fresh_noise(series.days, phi)).sum()
                - 0.5 * np.linalg.slogdet(information)[1]
                - 0.5 * 39 * np.log(squares)
            )
            alone.append(likely)
            left = 1 - (least[0] - least[1]) / squares
            both.append(likely + 0.5 * (38 * np.log1p(41) - 39 * np.log1p(41 * left)))
        return float(np.logaddexp.reduce(both) - np.logaddexp.reduce(alone))

    assert list(zip(found.first.tolist(), found.after.tolist(), strict=True)) == [
        (9, 23), (9, 31), (14, 23), (14, 31), (23, 31),
    ]  # fmt: skip
    wanted = [
        [weighed(first, after, width) for width in WIDTHS]
        for first, after in zip(found.first.tolist(), found.after.tolist(), strict=True)
    ]
    assert found.log_odds == pytest.approx(pooled(np.array(wanted)), abs=1e-6)


def test_ends_that_are_near_each_other_are_no_pair() -> None:
    assert pairs_of(made(np.zeros(40)), np.array([14, 17, 20])) is None


def test_chance_is_held_for_two_steps_that_cancel_as_well() -> None:
    places = np.arange(14, 47)
    chances = []
    for row in noise(np.random.default_rng(12), 200, 60, 0.8):
        one = made(row)
        pairs = pairs_of(one, places)
        assert pairs is not None
        total = with_pairs(evidence_of(one, places).total, pairs.total)
        chances.append(chance_of(one, places, total, places))

    # 200 series: three standard errors above 10 % are 16.4 %.
    assert (np.array(chances) <= 0.1).mean() <= 0.164


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

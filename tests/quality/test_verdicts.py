"""Verdicts over many simulated botnets of known half-life: how often are they wrong?

Print the table with ``python -m pytest tests/quality -q -s``.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from remnant.estimate.decay import fit
from remnant.judge.rules import Facts, decide

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPEATS: Final = 150
R_MIN: Final = math.log(2) / 180
FIRST_DAY: Final = 16_533


def noise(rng: np.random.Generator, days: int, phi: float) -> NDArray[np.float64]:
    """Stationary AR(1) noise of unit variance, one row per repeat."""
    made = rng.normal(size=(REPEATS, days))
    for day in range(1, days):
        made[:, day] = phi * made[:, day - 1] + math.sqrt(1 - phi**2) * made[:, day]
    return np.asarray(made)


@cache
def verdicts(half_life: float, days: int, phi: float) -> Counter[str]:
    """The states of so many series with 5 % daily noise, and print them."""
    rng = np.random.default_rng([int(min(half_life, 1e6)), days, int(100 * phi)])
    when = np.arange(FIRST_DAY, FIRST_DAY + days)
    mean = 2000 * 0.5 ** (np.arange(days) / half_life)
    states: Counter[str] = Counter()
    for made in noise(rng, days, phi):
        trend = fit(when, np.round(mean * np.exp(0.05 * made), 2))
        assert trend is not None
        states[decide(Facts(days, 14, (), trend.low, trend.high, R_MIN)).outcome] += 1
    shares = ", ".join(f"{state} {count / REPEATS:.1%}" for state, count in states.most_common())
    print(f"\nhalf-life {half_life:>5g} d, {days:>3} days, phi {phi}: {shares}", end="")  # noqa: T201 - the table for -s
    return states


PHI = pytest.mark.parametrize("phi", [0.0, 0.5])


@PHI
@pytest.mark.parametrize("half_life", [30, 340])
def test_a_week_tells_nothing(half_life: float, phi: float) -> None:
    assert verdicts(half_life, 7, phi) == {"cannot_tell": REPEATS}


@PHI
def test_slow_clean_up_after_four_weeks(phi: float) -> None:
    found = verdicts(340, 28, phi)

    assert found["effective"] == found["growing"] == 0


@PHI
def test_slow_clean_up_after_twelve_weeks(phi: float) -> None:
    found = verdicts(340, 84, phi)

    assert found["effective"] + found["growing"] <= 0.05 * REPEATS
    assert found["no_effective_cleanup"] + found["cannot_tell"] >= 0.95 * REPEATS
    assert found["no_effective_cleanup"] >= 0.8 * REPEATS


@PHI
@pytest.mark.parametrize("days", [28, 84])
def test_fast_clean_up(days: int, phi: float) -> None:
    assert verdicts(30, days, phi)["effective"] >= 0.9 * REPEATS


@PHI
def test_no_clean_up_is_not_called_one(phi: float) -> None:
    found = verdicts(math.inf, 56, phi)

    assert found["effective"] + found["working"] <= 0.05 * REPEATS
    assert found["growing"] <= 0.05 * REPEATS


@PHI
def test_clean_up_at_the_limit_is_not_called_ineffective_or_effective(phi: float) -> None:
    found = verdicts(180, 84, phi)

    assert found["effective"] <= 0.05 * REPEATS
    assert found["no_effective_cleanup"] <= 0.05 * REPEATS
    assert found["growing"] == 0

"""Interval coverage of the decay rate; the full table is bench/decay_coverage.py."""

from __future__ import annotations

import math

import numpy as np
import pytest

from remnant.estimate.decay import fit

REPEATS = 150
RATE = math.log(2) / 340


@pytest.mark.parametrize("phi", [0.0, 0.5])
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_interval_holds_the_rate_as_often_as_it_says(phi: float, missing: float) -> None:
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(REPEATS):
        u = rng.normal(size=56)
        for day in range(1, 56):
            u[day] = phi * u[day - 1] + math.sqrt(1 - phi**2) * u[day]
        values = 2000 * np.exp(-RATE * np.arange(56) + 0.05 * u)
        kept = np.sort(rng.choice(56, round(56 * (1 - missing)), replace=False))
        trend = fit(16_533 + kept, values[kept])
        assert trend is not None
        held += trend.low <= RATE <= trend.high

    # Three standard errors below 95 % at 150 repeats are 90 %.
    print(f"\nphi {phi}, {missing:.0%} missing: {held / REPEATS:.1%} of intervals hold", end="")  # noqa: T201 - the table for -s
    assert held / REPEATS >= 0.9

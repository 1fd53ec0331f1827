"""The ratio of two levels, and how sure it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from remnant.web.curves.ratio import MINIMUM_DAYS, Measured, level, ratio

START = datetime(2015, 4, 8, tzinfo=UTC)


def _days(values: list[float]) -> list[tuple[datetime, float]]:
    return [(START + timedelta(days=n), value) for n, value in enumerate(values)]


def test_few_days_have_a_level_and_no_interval() -> None:
    found = level(_days([10.0] * (MINIMUM_DAYS - 1)), confidence=0.95)
    assert found.value == 10
    assert found.low is None
    assert ratio(found, Measured(5.0)).value == 2


def test_nothing_gives_no_level_and_no_ratio() -> None:
    nothing = level([], confidence=0.95)
    assert nothing.value is None
    assert ratio(Measured(4.0), nothing).value is None
    assert ratio(Measured(4.0), Measured(0.0)).value is None


def test_the_interval_of_the_ratio_holds_the_truth() -> None:
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(60):
        sides = [
            level(_days((size * np.exp(rng.normal(0, 0.05, 42))).tolist()), confidence=0.95)
            for size in (400.0, 600.0)
        ]
        found = ratio(sides[1], sides[0])
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 1.5 <= found.high
    assert inside >= 52


def test_both_sides_make_the_interval_wider() -> None:
    rng = np.random.default_rng(8)
    first, second = (
        level(_days((500 * np.exp(rng.normal(0, 0.1, 30))).tolist()), confidence=0.95)
        for _ in range(2)
    )
    found = ratio(first, second)
    assert found.half is not None
    assert found.half == pytest.approx(np.hypot(first.half or 0, second.half or 0))

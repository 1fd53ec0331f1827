from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from remnant.estimate.changepoints import SIGNIFICANT, Cause, annotate, find
from remnant.estimate.online import day_start

FIRST = 16_533
DAY = timedelta(days=1)


def series(step: float, seed: int = 1, sigma: float = 0.04) -> tuple[np.ndarray, np.ndarray]:
    time = np.arange(60)
    noise = np.random.default_rng(seed).normal(size=60)
    return FIRST + time, 2000 * np.exp(-step * (time >= 30) + sigma * noise)


def test_step_is_found_and_what_lies_there_explains_it() -> None:
    at = day_start(FIRST + 30)
    causes = [
        Cause(at + timedelta(hours=3), "watchlist", "a name was lost"),
        Cause(at - 9 * DAY, "notice", "notices were sent"),
    ]

    found = min(annotate(find(*series(0.4)), causes), key=lambda one: one.jump)

    assert found.low <= at <= found.high
    assert found.jump == pytest.approx(-0.4, abs=0.1)
    assert found.chance <= SIGNIFICANT
    assert found.explanation == "a name was lost"


def test_what_is_not_on_record_is_unexplained() -> None:
    found = annotate(find(*series(0.4)), [])

    assert {one.explanation for one in found} == {"unexplained"}


def test_noise_alone_breaks_seldom() -> None:
    assert sum(bool(find(*series(0.0, seed))) for seed in range(12)) <= 1


def test_nothing_to_see_breaks_nowhere() -> None:
    assert find(np.arange(FIRST, FIRST + 40), np.zeros(40)) == []

"""Whole verdicts, from coverage and roll-ups, over flat botnets whose sensors come and go."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from estimate.fakeview import DAY, START, hourly_view, settings
from remnant.cases.model import Case
from remnant.judge.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable

CASE = Case("test", "Test botnet", START)
DAYS = 48


def states(alive: Callable[[str, int], bool], **more: Any) -> Counter[str]:
    """The states of six flat series of two sensors, and print them."""
    found: Counter[str] = Counter()
    for seed in range(6):
        noise = np.exp(0.05 * np.random.default_rng(seed).normal(size=DAYS))

        def counts(sensor: str, hour: int, noise: Any = noise) -> int | None:
            return round(float(800 * noise[hour // 24])) if alive(sensor, hour // 24) else None

        found[judge(hourly_view(counts, DAYS, ("a", "b"), **more), CASE, settings()).state] += 1
    print(f"\n{dict(found)}", end="")  # noqa: T201 - the table for -s
    return found


def test_sensor_that_dies_three_quarters_through_is_no_clean_up() -> None:
    found = states(lambda sensor, day: sensor == "a" or day < 36)

    assert found["working"] == found["effective"] == 0
    assert found["no_effective_cleanup"] > 0


def test_sensor_that_is_retired_is_no_clean_up() -> None:
    found = states(lambda sensor, day: sensor == "a" or day < 36, retired={"b": START + 36 * DAY})

    assert found == {"cannot_tell": 6}


def test_sensor_that_appears_is_no_growth() -> None:
    assert states(lambda sensor, day: sensor == "a" or day >= 24) == {"cannot_tell": 6}

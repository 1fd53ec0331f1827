"""The level of each of two series, and their ratio, with intervals that know of memory.

Each side's noise and its memory are those around its own trend (``estimate.decay``); the level is
the mean of its complete days. The two are taken as independent. Where they are not (the same days
move both), the interval of the ratio is rather too wide than too narrow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.decay import fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.web.curves.sides import Side

__all__ = ["MINIMUM_DAYS", "Measured", "both_known", "level", "ratio"]

MINIMUM_DAYS: Final = 14
"""Fewer days tell no noise and no memory, so no interval."""

_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Measured:
    """A value with its interval.

    Attributes:
        value: null where it cannot be computed.
        low: lower limit; null where none can be given.
        high: upper limit, likewise.
        n: days that it rests on.
        half: half the width of the interval on the log scale; null where none can be given.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    half: float | None = None


def level(known: Sequence[tuple[datetime, float]], *, confidence: float) -> Measured:
    """Return the mean of complete days, with the interval of the level around which they vary."""
    if not known:
        return Measured(None)
    values = np.array([value for _, value in known])
    days = np.array([(day - _EPOCH) // _DAY for day, _ in known], dtype=np.int64)
    mean = float(values.mean())
    trend = fit(days, values, level=confidence) if len(known) >= MINIMUM_DAYS else None
    if trend is None or mean <= 0:
        return Measured(mean, n=len(known))
    half = trend.quantile * trend.error_of_mean(days)
    return Measured(mean, mean * math.exp(-half), mean * math.exp(half), len(known), half)


def ratio(above: Measured, below: Measured) -> Measured:
    """Return one level as a multiple of another."""
    n = min(above.n, below.n)
    if above.value is None or below.value is None or below.value <= 0:
        return Measured(None, n=n)
    value = above.value / below.value
    if above.half is None or below.half is None or value <= 0:
        return Measured(value, n=n)
    half = math.hypot(above.half, below.half)
    return Measured(value, value * math.exp(-half), value * math.exp(half), n, half)


def both_known(
    first: Side, second: Side
) -> tuple[list[tuple[datetime, float]], list[tuple[datetime, float]]]:
    """Return the complete days of two sides that are complete on both."""
    shared = {day for day, _ in first.known} & {day for day, _ in second.known}
    return (
        [pair for pair in first.known if pair[0] in shared],
        [pair for pair in second.known if pair[0] in shared],
    )

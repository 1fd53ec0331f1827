"""Dates on which the curve breaks, each with what is known to have happened then.

A break is found by ``segments`` and kept only where chance seldom finds one as good: the same
search is run on made-up series without a break, whose noise and memory are drawn from what the data
say about them. Each break has an interval of dates; whatever is on record inside it stands beside
it, and where nothing is, the break is unexplained. A break is never called a clean-up here.

References:
    Davies, Biometrika 74 (1987), 33-43 (a break's place is undefined without one, so the usual
    tests do not hold; simulation does).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from remnant.estimate.decay import PHI, Trend, fit
from remnant.estimate.loglinear import prepare
from remnant.estimate.online import day_start
from remnant.estimate.segments import Break, costs_of, segment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from numpy.typing import NDArray

    from remnant.estimate.loglinear import LogSeries

    Floats = NDArray[np.float64]
    Days = NDArray[np.int64]

__all__ = ["Cause", "Changepoint", "annotate", "chance", "find"]

CauseKind = Literal["event", "notice", "sensor", "watchlist", "coverage", "outage"]

SIGNIFICANT: Final = 0.02
"""A break is kept if at most this share of made-up series without one has as good a break."""

_REPEATS: Final = 49
_SEED: Final = 20150408
_MOST_CAUSES: Final = 20


@dataclass(frozen=True, slots=True)
class Cause:
    """Something on record that may bend the curve.

    Attributes:
        time: when (UTC).
        kind: what sort of thing.
        text: what happened, for people.
    """

    time: datetime
    kind: CauseKind
    text: str


@dataclass(frozen=True, slots=True)
class Changepoint:
    """A break of the curve and what is on record for its dates.

    Attributes:
        day: first day of the new piece, the most likely one (UTC midnight).
        low: first day of the 95 % interval.
        high: last day of it.
        jump: change of the level there on the log scale; a fall is negative.
        rate_before: fall per day before it, on the log scale.
        rate_after: fall per day after it.
        chance: share of made-up series without a break that have as good a one.
        causes: what lies inside the interval, or the day before it; empty if unexplained.
    """

    day: datetime
    low: datetime
    high: datetime
    jump: float
    rate_before: float
    rate_after: float
    chance: float
    causes: tuple[Cause, ...] = ()

    @property
    def explanation(self) -> str:
        """What is on record, in words; ``unexplained`` where nothing is."""
        return "; ".join(cause.text for cause in self.causes) or "unexplained"


def find(
    days: Days, values: Floats, exposure: Floats | None = None, trend: Trend | None = None
) -> list[Changepoint]:
    """Return the breaks of a daily series, in order, without causes.

    Args:
        days: days since 1970-01-01 UTC, strictly increasing; days left out are gaps.
        values: the series, zero or more each.
        exposure: share of a whole day's signal that each value had the chance to see.
        trend: ``decay.fit`` of the same series, where it is known.
    """
    ready = prepare(days, values, exposure)
    trend = trend or fit(days, values, exposure)
    if ready is None or trend is None:
        return []
    found = segment(ready)
    if not found.breaks:
        return []
    luck = chance(ready, trend, found.gain)
    if luck > SIGNIFICANT:
        return []
    return [_changepoint(one, luck) for one in found.breaks]


def chance(series: LogSeries, trend: Trend, gain: float, *, repeats: int = _REPEATS) -> float:
    """Return the share of series without a break whose best breaks gain as much.

    Each has its own phi, drawn from what the trend's fit says about it, so a memory that cannot be
    told from few days is not taken for small. The seed is fixed. The search stops early where the
    share is above ``SIGNIFICANT`` for certain.
    """
    rng = np.random.default_rng(_SEED)
    shares = np.asarray(trend.memory)
    hits = 0
    for _ in range(repeats):
        phi = float(rng.choice(PHI, p=shares / shares.sum()))
        noise = _noise(rng, series.days, phi) * trend.sigma / np.sqrt(series.weight)
        made = replace(series, response=noise)
        hits += segment(made, costs=costs_of(made)).gain >= gain
        if (1 + hits) / (1 + repeats) > SIGNIFICANT:
            return 1.0
    return (1 + hits) / (1 + repeats)


def annotate(found: Iterable[Changepoint], causes: Iterable[Cause]) -> list[Changepoint]:
    """Return the breaks with the causes that lie in their intervals, in order of time.

    A cause late on the day before the interval shows first on the day itself, so that day counts.
    """
    known = sorted(causes, key=lambda cause: cause.time)
    day = timedelta(days=1)
    return [
        replace(
            one,
            causes=tuple(cause for cause in known if one.low - day <= cause.time < one.high + day)[
                :_MOST_CAUSES
            ],
        )
        for one in found
    ]


def _changepoint(one: Break, luck: float) -> Changepoint:
    return Changepoint(
        day=day_start(one.day),
        low=day_start(one.low),
        high=day_start(one.high),
        jump=one.jump,
        rate_before=one.slope_before,
        rate_after=one.slope_after,
        chance=luck,
    )


def _noise(rng: np.random.Generator, days: Days, phi: float) -> Floats:
    """Return stationary AR(1) noise of unit variance on these days."""
    made = rng.normal(size=len(days))
    for place, gap in enumerate(np.diff(days).tolist()):
        shared = phi**gap
        made[place + 1] = shared * made[place] + math.sqrt(1.0 - shared**2) * made[place + 1]
    return made

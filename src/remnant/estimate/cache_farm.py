"""Several caches behind one address: how many, and what that does to the rate.

One cache cannot miss the same name twice within a TTL. Where that happens there are at least two.
With k equal caches the misses are ``rate / (1 + rate * TTL / k)``, so the same misses mean more
lookups the fewer caches there are: no cache (k endless) is the lower bound, one the upper.

How many there are shows in the pairs of misses closer than a TTL: a miss is followed by those of
the k - 1 *other* caches only, so there are (k - 1) / k of the pairs that chance would make.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from remnant.estimate.exposure import Rate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Farm", "close_pairs", "farm", "pairs_before"]


@dataclass(frozen=True, slots=True)
class Farm:
    """The caches behind one address.

    Attributes:
        caches: estimate of k; infinite where more cannot be told from no cache at all.
        low, high: limits of k; at least 2 where two are proven.
        proven: at least two caches are proven.
        rate: lookups per second at the estimate of k, with limits at those of k and of the misses.
        lower: bound of the rate where nothing is known about k: the visible misses.
        upper: the same for a single cache; infinite where one cannot have made the misses.
    """

    caches: float
    low: float
    high: float
    proven: bool
    rate: Rate
    lower: float
    upper: float


def pairs_before(times: ArrayLike, ttl: float) -> Ints:
    """Return for each miss how many came before it within less than the TTL; int64[n].

    Args:
        times: of the misses, in seconds, ascending.
        ttl: seconds.
    """
    moments = np.asarray(times, dtype=np.float64)
    first = np.searchsorted(moments, moments - ttl, side="right")
    return np.arange(moments.size) - first


def close_pairs(times: ArrayLike, ttl: float) -> int:
    """Return the pairs of misses that are closer than the TTL."""
    return int(pairs_before(times, ttl).sum())


def farm(
    misses: int,
    observed: float,
    ttl: float,
    pairs: ArrayLike,
    *,
    level: float = 0.95,
) -> Farm:
    """Return how many equal caches there are, and the rate of lookups at all of them.

    With g the pairs over those of chance, 1 / k = 1 - g, and the rate is ``m / (1 - m * TTL / k)``
    with m the visible rate. Assumes lookups that come independently, go to the caches at random,
    and do not change in rate: a daily rhythm makes more pairs and looks like more caches.

    Args:
        misses: visible misses.
        observed: seconds in which they were all seen.
        ttl: seconds, the same for all.
        pairs: for each of some parts of the time (days, say), the pairs closer than the TTL;
            their spread gives the limits; one part: as if pairs were independent.
        level: of the intervals.
    """
    from scipy.special import chdtri  # noqa: PLC0415 - heavy
    from scipy.stats import norm, t  # noqa: PLC0415 - heavy

    parts = np.asarray(pairs, dtype=np.float64).reshape(-1)
    found = float(parts.sum())
    visible = misses / observed if observed > 0 else math.nan
    tail = (1 - level) / 2
    few = float(chdtri(2 * misses, 1 - tail)) / 2 / observed if misses else 0.0
    many = float(chdtri(2 * misses + 2, tail)) / 2 / observed
    upper = _hidden(visible, visible * ttl)
    chance = misses * visible * ttl
    if not chance > 0:
        return Farm(1.0, 1.0, math.inf, False, Rate(visible, few, many, misses), visible, upper)
    g = found / chance
    # Pairs come in bunches where misses do: their own variance, and at least that of a Poisson law.
    error = math.sqrt(max(found, 1.0))
    z = float(norm.isf(tail))
    if parts.size > 2:
        spread = math.sqrt(float(parts.var(ddof=1)) * parts.size)
        error, z = max(error, spread), float(t.isf(tail, parts.size - 1))
    # What chance would make is itself known from the misses, twice as badly as these.
    relative = math.hypot(error / chance, g / math.sqrt(misses))
    g_low, g_high = max(g - z * relative, 0.0), min(g + z * relative, 1.0)
    k, low, high = (
        1 / (1 - part) if part < 1 else math.inf for part in (min(g, 1.0), g_low, g_high)
    )
    proven = found > 0
    low = max(low, 2.0) if proven else low
    k, high = max(k, low), max(high, low)
    value = _hidden(visible, visible * ttl / k)
    limits = (_hidden(few, few * ttl / high), _hidden(many, many * ttl / low))
    return Farm(k, low, high, proven, Rate(value, *limits, misses), visible, upper)


def _hidden(visible: float, share: float) -> float:
    """Return the rate of lookups from that of misses and the share of time that is cached."""
    return visible / (1 - share) if share < 1 else math.inf

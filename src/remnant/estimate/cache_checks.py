"""Checks of what stands behind a rate: no fixed period, and TTLs that resolvers leave alone.

Bots that beacon with a fixed period P fall into step with a cache whose TTL is near P: each answer
expires at the same moment of the period and the same bot is always the one that is seen. Nothing in
the misses says how many others there are. So where misses repeat with a period, a rate is refused
unless the TTL is at most a tenth of the period.

Where answers get one of two TTLs at random, the rate after both must be the same. A resolver that
raises short TTLs or cuts long ones breaks that.

References:
    Bartlett, Properties of Sufficiency and Statistical Tests, 1937; Moran, 1951 (the test of
    exponential gaps against gamma ones).
    Greenland, Robins, Estimation of a Common Effect Parameter from Sparse Follow-up Data,
    Biometrics 1985 (the stratified rate ratio).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["TTL_SHARE", "Arms", "Beacon", "beacon", "regularity", "two_arms"]

TTL_SHARE: Final = 0.1
"""Largest TTL, as a share of a fixed period, at which a rate can be told."""

_ROOM: Final = 1.001
_CLOSE: Final = 0.02
_CERTAIN: Final = 1e-3
_AGREEING: Final = 0.98
_MINIMUM: Final = 8
_MOST: Final = 2000


@dataclass(frozen=True, slots=True)
class Beacon:
    """Whether misses of one cached item come from clockwork.

    Attributes:
        fixed: they repeat with a period.
        period: the shortest period in seconds that the misses allow; null where none was found.
        p_value: chance that independent lookups would look as regular.
        refused: no rate can be told from them.
    """

    fixed: bool
    period: float | None
    p_value: float
    refused: bool


@dataclass(frozen=True, slots=True)
class Arms:
    """The rates after two TTLs, compared.

    Attributes:
        ratio: rate after the short TTL / rate after the long one; 1 where TTLs are kept.
        low, high: limits.
        p_value: of "the ratio is 1"; two-sided.
        n: misses that ended an answer of either arm.
    """

    ratio: float
    low: float
    high: float
    p_value: float
    n: int


def regularity(count: int, mean: float, mean_log: float) -> float:
    """Return P(independent lookups wait as evenly after expiry), from three sums alone.

    Small for waits that are too even, near 1 for waits in bursts.

    Args:
        count: waits from the expiry of an answer to the next miss.
        mean: of the waits, seconds.
        mean_log: mean of their logarithms.
    """
    from scipy.stats import chi2  # noqa: PLC0415 - heavy

    if count < 2 or not mean > 0:
        return 1.0
    statistic = 2 * count * (math.log(mean) - mean_log) / (1 + (count + 1) / (6 * count))
    return float(chi2.cdf(max(statistic, 0.0), count - 1))


def beacon(
    times: ArrayLike, ttl: float, *, tolerance: float = 2.0, period: float | None = None
) -> Beacon:
    """Return whether misses of one item come from bots with a fixed period.

    Two signs: waits after expiry that are far more even than independent lookups make (a single
    machine, or few), and waits that repeat each other closely (many machines in lockstep). The
    period is then the shortest that agrees with the misses: at its multiples after each miss there
    is another miss, or the answer was still cached.

    Args:
        times: of the misses, in seconds, ascending; the last 2000 are looked at.
        ttl: seconds.
        tolerance: seconds by which a beacon may be off.
        period: seconds, where it is known; null to look for one.
    """
    moments = np.asarray(times, dtype=np.float64)[-_MOST:]
    if period is not None:
        return Beacon(True, period, 0.0, ttl > _ROOM * TTL_SHARE * period)
    waits = np.diff(moments) - ttl
    waits = waits[waits > 0]
    if waits.size < _MINIMUM:
        return Beacon(False, None, 1.0, False)
    even = regularity(waits.size, float(waits.mean()), float(np.log(waits).mean()))
    p_value = min(1.0, 2 * min(even, _repeated(waits)))
    if p_value >= _CERTAIN:
        return Beacon(False, None, p_value, False)
    found = _period(moments, ttl, tolerance)
    return Beacon(True, found, p_value, found is None or ttl > _ROOM * TTL_SHARE * found)


def two_arms(misses: ArrayLike, uncached: ArrayLike, *, level: float = 0.95) -> Arms | None:
    """Return the ratio of the rates after two TTLs; null where an arm has no miss or no time.

    Items are strata: a busy cache weighs more, but in both arms alike (Mantel-Haenszel). With one
    item the interval is exact (F distribution).

    Args:
        misses: that ended an answer of the short and of the long TTL; int64[items, 2].
        uncached: seconds from the expiry of such answers to the next miss, or the end;
            float64[items, 2].
        level: of the interval.
    """
    from scipy.stats import f, norm  # noqa: PLC0415 - heavy

    n = np.asarray(misses, dtype=np.float64).reshape(-1, 2)
    time = np.asarray(uncached, dtype=np.float64).reshape(-1, 2)
    both = time.sum(1)
    n, time, both = n[both > 0], time[both > 0], both[both > 0]
    above, below = (
        float((n[:, 0] * time[:, 1] / both).sum()),
        float((n[:, 1] * time[:, 0] / both).sum()),
    )
    if not (above > 0 and below > 0):
        return None
    ratio, total, tail = above / below, int(n.sum()), (1 - level) / 2
    if len(n) == 1:
        a, b = 2 * n[0]
        low, high = ratio / f.isf(tail, a, b), ratio * f.isf(tail, b, a)
        beyond = min(float(f.cdf(ratio, a, b)), float(f.sf(ratio, a, b)))
        return Arms(ratio, float(low), float(high), min(1.0, 2 * beyond), total)
    variance = float((n.sum(1) * time[:, 0] * time[:, 1] / both**2).sum()) / (above * below)
    error = math.sqrt(variance)
    width = math.exp(float(norm.isf(tail)) * error)
    p_value = 2 * float(norm.sf(abs(math.log(ratio)) / error))
    return Arms(ratio, ratio / width, ratio * width, p_value, total)


def _repeated(waits: Floats) -> float:
    """Return P(independent waits lie as close to each other): normalised spacings are exponential.

    Counts spacings of the sorted waits under a fiftieth of their mean.
    """
    from scipy.stats import binom  # noqa: PLC0415 - heavy

    ordered = np.sort(waits)
    spacings = np.diff(ordered, prepend=0.0) * np.arange(ordered.size, 0, -1)
    close = int((spacings[1:] < _CLOSE * float(waits.mean())).sum())
    return float(binom.sf(close - 1, spacings.size - 1, -math.expm1(-_CLOSE)))


def _period(times: Floats, ttl: float, tolerance: float) -> float | None:
    """Return the shortest period that agrees with the misses, or null."""
    # After how many misses does the pattern come again? Then that span is a multiple of the period.
    for step in range(1, min(200, times.size // 2)):
        spans = times[step:] - times[:-step]
        span = float(np.median(spans))
        if float((np.abs(spans - span) <= tolerance).mean()) < 0.9:
            continue
        for parts in range(max(1, int(span // max(ttl * 0.2, tolerance * 4))), 0, -1):
            if _agrees(times, ttl, span / parts, tolerance, parts):
                return span / parts
    return None


def _agrees(times: Floats, ttl: float, period: float, tolerance: float, parts: int) -> bool:
    """Return whether each multiple of a period after a miss met a miss or a cached answer."""
    for multiple in range(1, parts + 1):
        due = times + multiple * period
        due = due[due < times[-1] - tolerance]
        if not due.size:
            return multiple > 1
        last = np.searchsorted(times, due + tolerance, side="right") - 1
        # A miss within the tolerance on either side, or an answer that had not expired.
        if float((due - times[last] < ttl + tolerance).mean()) <= _AGREEING:
            return False
    return True

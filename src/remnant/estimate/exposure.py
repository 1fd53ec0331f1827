"""How often is asked behind a cache: visible misses divided by the time the cache was empty.

While a cache holds an answer nothing is seen, whatever the rate. So the time in which it holds one
is taken out: n misses in an uncached time X give the rate n / X. The relative error is
1 / sqrt(n), however many lookups the cache hid; and a cache shows at most one miss per TTL, so the
TTL bounds what can be learnt.

Assumes lookups that come independently (Poisson) with a rate that holds in the window, one cache,
and TTLs as stated. ``diurnal`` drops the constant rate, ``cache_farm`` the one cache, and
``cache_checks`` looks for fixed periods and changed TTLs.

References:
    Jung, Berger, Balakrishnan, Modeling TTL-based Internet Caches, INFOCOM 2003.
    Aalen, Nonparametric Inference for a Family of Counting Processes, Ann. Statist. 1978 (the
    at-risk indicator).
    Fay, Feuer, Confidence intervals for directly standardized rates, Stat. Med. 1997.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Exposure", "Rate", "binned", "exposure", "rate", "total_rate"]


@dataclass(frozen=True, slots=True)
class Exposure:
    """What one cached item showed.

    Attributes:
        misses: visible misses at times when the state of the cache was known.
        uncached: seconds, of those times, in which the cache was empty.
        observed: seconds of those times.
        early: misses that came before the answer of the one before had expired: where there are
            more than retries explain, one cache cannot have made them.
    """

    misses: int
    uncached: float
    observed: float
    early: int

    @property
    def cached_share(self) -> float:
        """Share of the observed time in which the cache held an answer, 0 to 1."""
        return 1 - self.uncached / self.observed if self.observed > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate per second with its interval; NaN and infinite where nothing was observed.

    Attributes:
        value: nearly unbiased, see ``rate``.
        low, high: limits.
        n: misses that it rests on.
    """

    value: float
    low: float
    high: float
    n: int


def exposure(times: ArrayLike, ttl: ArrayLike, covered: ArrayLike) -> Exposure:
    """Return misses and uncached time of one cached item.

    At the start of each covered span it is not known whether the cache holds an answer. One TTL
    later it is, so counting starts there; the misses before only say what is cached then. The
    uncached time after the last miss counts (a censored end).

    Args:
        times: when the misses were, in seconds, ascending; float64[n].
        ttl: seconds that each answer may be kept; one number, or float64[n].
        covered: spans in which every miss was seen, [start, end) in seconds, ascending, apart;
            float64[spans, 2].
    """
    moments = np.asarray(times, dtype=np.float64)
    kept = np.broadcast_to(np.asarray(ttl, dtype=np.float64), moments.shape)
    lead = float(kept.max()) if moments.size else float(np.max(ttl, initial=0.0))
    misses = early = 0
    uncached = observed = 0.0
    for start, end in np.asarray(covered, dtype=np.float64).reshape(-1, 2):
        here = (moments >= start) & (moments < end)
        begin = start + lead
        if begin >= end:
            continue
        since, until = _cached(moments[here], kept[here], end)
        inside = moments[here] >= begin
        misses += int(inside.sum())
        early += int((np.diff(moments[here]) < kept[here][:-1])[inside[1:]].sum())
        observed += end - begin
        cached = float(np.maximum(until - np.maximum(since, begin), 0).sum())
        # A sum of parts may round to a little more than the whole.
        uncached += max(0.0, end - begin - cached)
    return Exposure(misses, uncached, observed, early)


def binned(
    times: ArrayLike, ttl: ArrayLike, covered: ArrayLike, edges: ArrayLike
) -> tuple[Ints, Floats]:
    """Return misses and uncached seconds of every bin: an at-risk indicator, integrated.

    Args:
        times: as in ``exposure``.
        ttl: as in ``exposure``.
        covered: as in ``exposure``.
        edges: of the bins, in seconds, ascending; float64[bins + 1].

    Returns:
        int64[bins] and float64[bins].
    """
    moments = np.asarray(times, dtype=np.float64)
    kept = np.broadcast_to(np.asarray(ttl, dtype=np.float64), moments.shape)
    lead = float(kept.max()) if moments.size else float(np.max(ttl, initial=0.0))
    bounds = np.asarray(edges, dtype=np.float64)
    counts = np.zeros(bounds.size - 1, dtype=np.int64)
    at_risk = np.zeros(bounds.size - 1)
    for start, end in np.asarray(covered, dtype=np.float64).reshape(-1, 2):
        begin = start + lead
        if begin >= end:
            continue
        here = (moments >= start) & (moments < end)
        since, until = _cached(moments[here], kept[here], end)
        since, until = np.clip(since, begin, end), np.clip(until, begin, end)
        corners = np.ravel(np.column_stack([since, until]))
        held = np.concatenate([[0.0], np.cumsum(until - since)])
        # Held up to each corner: flat outside the cached spans, rising by one inside.
        heights = np.ravel(np.column_stack([held[:-1], held[1:]]))
        at_edges = np.clip(bounds, begin, end)
        total = np.interp(at_edges, corners, heights) if corners.size else np.zeros(bounds.size)
        at_risk += np.diff(at_edges) - np.diff(total)
        inside = moments[here]
        counts += np.histogram(inside[inside >= begin], bounds)[0]
    return counts, np.maximum(at_risk, 0.0)


def rate(seen: Exposure, *, level: float = 0.95) -> Rate:
    """Return the rate of lookups behind the cache, per second.

    The value is (n - s) / X with s the share of time in which the cache was full. n / X is too
    large by the relative amount s / n: n and X come from one window, and a miss more takes a TTL
    from X. For an empty cache this is n / X, for a full one (n - 1) / X, which are unbiased there.
    The limits are those of a Poisson count in a given time (exact), a little wide otherwise.

    >>> week = Exposure(misses=153, uncached=61_200.0, observed=604_800.0, early=0)
    >>> found = rate(week)
    >>> print(f"{found.value * 3600:.2f} ({found.low * 3600:.2f} to {found.high * 3600:.2f})")
    8.95 (7.63 to 10.54)
    """
    if not seen.uncached > 0:
        return Rate(math.nan, 0.0, math.inf, seen.misses)
    low, high = _limits(seen.misses, level)
    value = max(seen.misses - seen.cached_share, 0.0) / seen.uncached
    return Rate(value, low / seen.uncached, high / seen.uncached, seen.misses)


def total_rate(
    misses: ArrayLike,
    uncached: ArrayLike,
    cached_share: ArrayLike,
    *,
    dispersion: float = 1.0,
    level: float = 0.95,
) -> Rate:
    """Return the sum of the rates of many cached items, per second.

    Args:
        misses: of each item; int64[items].
        uncached: seconds of each item; float64[items]; items without any are left out.
        cached_share: of each item, 0 to 1; float64[items].
        dispersion: variance of a count over its mean, at least 1.
        level: of the interval: a gamma interval for a weighted sum of Poisson counts (Fay and
            Feuer 1997).
    """
    from scipy.special import chdtri  # noqa: PLC0415 - heavy

    n, time = np.asarray(misses, dtype=np.float64), np.asarray(uncached, dtype=np.float64)
    usable = time > 0
    weight = 1 / time[usable]
    n = n[usable]
    total, square = float((n * weight).sum()), float((n * weight**2).sum()) * dispersion
    value = float((np.maximum(n - np.asarray(cached_share)[usable], 0) * weight).sum())
    if not weight.size:
        return Rate(math.nan, 0.0, math.inf, 0)
    # One event more, in the item where it would weigh most among those seen.
    step = float(weight[n > 0].max(initial=0.0)) or float(weight.max())
    tail = (1 - level) / 2
    low = 0.0
    if total > 0:
        df = 2 * total**2 / square
        low = square / (2 * total) * float(chdtri(df, 1 - tail))
    upper, upper_square = total + step, square + step**2 * dispersion
    df = 2 * upper**2 / upper_square
    high = upper_square / (2 * upper) * float(chdtri(df, tail))
    return Rate(value, low, high, int(n.sum()))


def _cached(times: Floats, ttl: Floats, end: float) -> tuple[Floats, Floats]:
    """Return start and end of what each answer adds to the cached time, apart from each other."""
    if not times.size:
        return times, times
    following = np.append(times[1:], end)
    return times, np.minimum(times + ttl, following)


def _limits(n: int, level: float) -> tuple[float, float]:
    """Return the exact limits of a Poisson mean from one count (Garwood 1936)."""
    from scipy.special import chdtri  # noqa: PLC0415 - heavy

    tail = (1 - level) / 2
    low = float(chdtri(2 * n, 1 - tail)) / 2 if n else 0.0
    return low, float(chdtri(2 * n + 2, tail)) / 2

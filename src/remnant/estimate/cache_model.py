"""What a cache lets through: hit ratio and miss rate, for one cache, several, and trees.

A miss fills the cache for one TTL; the lookups in that time are hits. With m(T) the renewal
function (lookups expected within T of a lookup), one miss brings m(T) hits, so the hit ratio is
m / (1 + m) and the miss rate is rate / (1 + m). For Poisson arrivals m(T) = rate * T.

References:
    Jung, Berger, Balakrishnan, Modeling TTL-based Internet Caches, INFOCOM 2003.
    Fofack, Alouf, Modeling modern DNS caches, ValueTools 2013 (misses of a cache as the arrivals
    of the next; within 1 % for one cache and 5 % for trees of real traces).
    Xie, On the solution of renewal-type integral equations, Commun. Statist. 1989.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.errors import RemnantError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "CacheModelError",
    "Cached",
    "Stream",
    "behind",
    "deterministic",
    "farm_miss_rate",
    "gamma",
    "merged",
    "poisson",
    "shared_tree",
    "through",
    "uniform",
]

_POINTS: Final = 3001
_TAIL: Final = 1e-6


class CacheModelError(RemnantError):
    """A rate or a time that describes no cache."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Arrivals whose gaps are independent and alike (a renewal process).

    Attributes:
        rate: arrivals per second.
        cdf: P(gap <= t) for t in seconds, any array of times >= 0.
        reach: seconds after which a gap ends but for one in a million.
    """

    rate: float
    cdf: Callable[[Floats], Floats]
    reach: float


@dataclass(frozen=True, slots=True)
class Cached:
    """What a cache does with a stream.

    Attributes:
        hit_ratio: share of the lookups that the cache answers.
        miss_rate: lookups per second that it passes on.
    """

    hit_ratio: float
    miss_rate: float


def poisson(rate: float) -> Stream:
    """Return independent arrivals, ``rate`` per second."""
    _positive(rate)
    return Stream(rate, lambda t: -np.expm1(-rate * t), -math.log(_TAIL) / rate)


def gamma(rate: float, shape: float) -> Stream:
    """Return gamma gaps: a shape over 1 is more regular than Poisson, under 1 more bursty."""
    from scipy.special import gammainc, gammaincinv  # noqa: PLC0415 - heavy

    _positive(rate, shape)
    scale = 1 / (rate * shape)
    reach = float(gammaincinv(shape, 1 - _TAIL)) * scale
    return Stream(rate, lambda t: np.asarray(gammainc(shape, t / scale)), reach)


def uniform(shortest: float, longest: float) -> Stream:
    """Return gaps that are uniform between two times in seconds."""
    _positive(longest)
    if not 0 <= shortest < longest:
        raise CacheModelError("gaps need a shortest below the longest", got=f"{shortest:g}")
    width = longest - shortest
    return Stream(
        2 / (shortest + longest), lambda t: np.clip((t - shortest) / width, 0, 1), longest
    )


def deterministic(period: float) -> Stream:
    """Return one machine's beacon: a gap of exactly ``period`` seconds.

    A gap that is equal to the TTL counts as a miss: the answer has expired.
    """
    _positive(period)
    return Stream(1 / period, lambda t: (t >= period * (1 + 1e-12)).astype(np.float64), period)


def behind(stream: Stream, ttl: float) -> Cached:
    """Return what one cache with a TTL (seconds, >= 0) does with a stream.

    >>> f"{behind(poisson(0.01), 900).hit_ratio:.3f}"
    '0.900'
    """
    if not ttl >= 0:
        raise CacheModelError("a TTL is not negative", got=f"{ttl:g}", expected="seconds")
    hits = _renewals(stream, ttl)[-1] if ttl else 0.0
    return Cached(round(float(hits / (1 + hits)), 12), stream.rate / (1 + float(hits)))


def through(stream: Stream, ttl: float) -> Stream:
    """Return the misses of one cache, as the arrivals of the next.

    The gap between misses is the TTL and the wait from there to the next lookup.
    """
    passed = behind(stream, ttl)
    if not ttl:
        return stream
    reach = ttl + stream.reach
    grid = np.linspace(0, ttl, _grid(stream, ttl))
    hits = np.diff(_renewals(stream, ttl), prepend=0.0)
    # The last lookup before expiry lies u before it (or is the miss itself): then t - u to wait.
    ages = np.append(ttl, ttl - (grid[1:] + grid[:-1]) / 2)
    weights = np.append(1.0, hits[1:])
    waits = np.linspace(0, stream.reach, _POINTS)
    left = np.zeros_like(waits)
    for start in range(0, ages.size, 256):
        some = slice(start, start + 256)
        left += weights[some] @ (1 - stream.cdf(ages[some][:, None] + waits))
    # Numerical errors of a step or two must not make a chance fall or leave 0 to 1.
    chances = np.maximum.accumulate(np.clip(1 - left, 0, 1))
    return Stream(
        passed.miss_rate,
        lambda t: np.interp(t - ttl, waits, chances, left=0.0, right=1.0),
        reach,
    )


def merged(streams: Sequence[Stream]) -> Stream:
    """Return several independent streams together.

    Exact for the gap after a random arrival; that the gaps of the sum are independent of each other
    is an approximation (good for many streams, or where none dominates).
    """
    if not streams:
        raise CacheModelError("there is no stream to merge")
    total = sum(stream.rate for stream in streams)
    reach = min(stream.reach for stream in streams)
    grid = np.linspace(0, reach, _POINTS)
    survivals = np.array([1 - stream.cdf(grid) for stream in streams])
    rates = np.array([stream.rate for stream in streams])
    # P(no arrival of a stream within t of a random time): its rate times what is left of a gap.
    step = grid[1]
    gone = np.concatenate(
        [np.zeros((len(streams), 1)), np.cumsum((survivals[:, 1:] + survivals[:, :-1]) / 2, 1)], 1
    )
    quiet = np.clip(1 - rates[:, None] * gone * step, 1e-300, 1)
    together = np.exp(np.log(quiet).sum(0))
    left = (rates[:, None] / total * survivals / quiet).sum(0) * together
    chances = np.maximum.accumulate(np.clip(1 - left, 0, 1))
    return Stream(total, lambda t: np.interp(t, grid, chances, right=1.0), reach)


def farm_miss_rate(rate: float, ttl: float, caches: float) -> float:
    """Return the misses per second of k equal caches that share Poisson lookups at random."""
    _positive(rate, caches)
    return rate / (1 + rate * ttl / caches)


def shared_tree(rates: Sequence[float], ttl: float) -> tuple[Cached, Floats]:
    """Return what a parent and its children do with Poisson lookups, where the TTL counts down.

    A child that asks the parent gets the rest of the TTL, so all caches of the tree expire at the
    same moment. The next lookup, wherever it comes, fills the parent. Exact.

    Args:
        rates: lookups per second at each child.
        ttl: seconds, as the authority gives it.

    Returns:
        The parent's answer to *all* lookups of the tree, and the miss rate of each child
        (lookups per second that reach the parent; float64[children]).
    """
    arrivals = np.asarray(rates, dtype=np.float64)
    total = float(arrivals.sum())
    root = behind(poisson(total), ttl)
    first = arrivals / total
    # One miss a round for the child that begins it, and for each other that asks before its end.
    once = first + (1 - first) * -np.expm1(-arrivals * ttl)
    return root, once * root.miss_rate


def _renewals(stream: Stream, ttl: float) -> Floats:
    """Return m(t) on an even grid from 0 to the TTL (midpoint rule of Xie 1989)."""
    points = _grid(stream, ttl)
    step = ttl / (points - 1)
    at: Floats = stream.cdf(step * np.arange(points, dtype=np.float64))
    half: Floats = stream.cdf(step * (np.arange(points - 1, dtype=np.float64) + 0.5))
    m = np.zeros(points)
    rises = np.zeros(points)
    for i in range(1, points):
        # half[i-1] .. half[1] meet the rises of m in steps 1 .. i-1.
        known = float(half[i - 1 : 0 : -1] @ rises[1:i])
        m[i] = (at[i] + known - half[0] * m[i - 1]) / (1 - half[0])
        rises[i] = m[i] - m[i - 1]
    return m


def _grid(stream: Stream, ttl: float) -> int:
    """Return grid points from 0 to the TTL: at least 20 to a mean gap, within bounds."""
    return int(np.clip(math.ceil(20 * ttl * stream.rate), 500, 6000)) + 1


def _positive(*numbers: float) -> None:
    if not all(0 < number < math.inf for number in numbers):
        raise CacheModelError(
            "rates, shapes, periods and numbers of caches are positive",
            got=", ".join(f"{number:g}" for number in numbers),
        )

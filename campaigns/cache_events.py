"""Caches as events: which lookups of a made-up botnet get past them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["let_through", "visible_times"]


def let_through(items: Ints, times: Floats, ttl: float) -> tuple[Ints, Floats]:
    """Return the lookups that caches pass on, in order of item and time.

    Args:
        items: the cached item (cache and name) of each lookup, int64[n], not negative.
        times: seconds, not negative, float64[n].
        ttl: for which an answer is kept, seconds.
    """
    order = np.lexsort((times, items))
    items, times = items[order], times[order]
    if not items.size:
        return items, times
    # One number that sorts like (item, time): items lie further apart than all times and a TTL.
    apart = float(times.max()) + 2 * ttl + 1
    keys = items * apart + times
    at = np.flatnonzero(np.diff(items, prepend=-1))
    shown = np.zeros(items.size, dtype=np.bool_)
    while at.size:
        shown[at] = True
        following = np.searchsorted(keys, keys[at] + ttl)
        inside = following < items.size
        at, following = at[inside], following[inside]
        at = following[items[following] == items[at]]
    return items[shown], times[shown]


def visible_times(
    rng: np.random.Generator, rate: float, length: float, ttl: float, repeats: int
) -> list[Floats]:
    """Return the visible misses of Poisson lookups at one cache, for each of some repeats."""
    numbers = rng.poisson(rate * length, repeats)
    items = np.repeat(np.arange(repeats), numbers)
    shown, times = let_through(items, rng.uniform(0, length, items.size), ttl)
    return np.split(times, np.searchsorted(shown, np.arange(1, repeats)))

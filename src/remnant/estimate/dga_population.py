"""Bots of a domain generation algorithm, from lookups that caches let through.

One formula serves all barrels. Behind one resolver in one epoch of length E, name j is asked for by
N p_j activations, and seen only while the resolver holds no (negative) answer for it, for the time
x_j. So with v_j lookups seen

    N = E * sum v_j / sum p_j x_j

Names nobody was seen to ask for belong in the second sum, with x_j = E. Names of one activation
come together, so the error depends on the activations, not on the names.

References:
    Wang et al., BotMeter, ICDCS 2016 (the problem, and what barrels are).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.barrels import asked, lookups_made

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from remnant.estimate.barrels import Round

    Floats = NDArray[np.float64]

__all__ = ["MINIMUM_EPOCHS", "Bots", "Seen", "by_coverage", "in_bursts", "of_unit", "over_epochs"]

MINIMUM_EPOCHS: Final = 7
"""Fewer epochs than these are not resampled: their spread says too little."""

_RESAMPLES: Final = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """What one resolver showed in one epoch, or in one hour of it.

    Attributes:
        lookups: visible lookups of all names together (sum of v_j).
        exposure: sum of p_j x_j in seconds, over all names that could be seen.
        full: the same if nothing had been cached (sum of p_j times the time observed).
    """

    lookups: float
    exposure: float
    full: float

    @property
    def uncached(self) -> float:
        """Chance that a lookup is visible, averaged over the epoch, 0 to 1."""
        return self.exposure / self.full if self.full > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Bots:
    """Activations in an epoch: bots, where each has one.

    Attributes:
        value: the estimate; NaN where nothing could be seen.
        variance: of its error, so far as caches and the choice of names make one.
        low, high: limits.
    """

    value: float
    variance: float
    low: float
    high: float


def of_unit(seen: Seen, made: Round, epoch: float, *, level: float = 0.95) -> Bots:
    """Return the bots behind one resolver in one epoch.

    The plain formula is too large by the relative amount ``Cov(v, x) / x^2``: an activation that is
    seen takes from the exposure that follows. That part is taken off. For the uniform barrel, whose
    names are cached all together, n visible activations become n - s, with s the share of time in
    which they were cached: the correction of ``exposure.rate``, (n - 1) / x for a long TTL.

    The variance takes what an activation shows as random: how many names it asks for, and which of
    these are cached. The interval is that of a gamma law with this variance (and one activation
    more for the upper limit).

    Args:
        seen: lookups and exposure.
        made: the round of this epoch.
        epoch: seconds that were observed.
        level: of the interval.
    """
    if not seen.exposure > 0:
        return Bots(math.nan, math.inf, 0.0, math.inf)
    u = min(1.0, seen.uncached)
    per_activation = seen.full / epoch
    mean, square = lookups_made(made)
    # E[v^2] / E[v]^2 of what one activation shows.
    ratio = square / mean**2 * _together(made, u) / u**2
    lookups = max(0.0, seen.lookups - (1 - u) * per_activation * ratio * u)
    value = epoch * lookups / seen.exposure
    # The bots of this epoch are meant, not a mean of epochs: hence - 1. Where only some names can
    # be seen, an activation shows few of them or none, as a Poisson number would.
    part = per_activation / mean
    per_bot = max(ratio - 1, 0.0) if part > 1 - 1e-9 else ratio - 1 + 1 / (per_activation * u)
    return _limited(value, value * per_bot, (per_bot, 1 / u), level)


def in_bursts(hours: list[Seen], made: Round, epoch: float, *, level: float = 0.95) -> Bots:
    """Return the bots behind one resolver in one epoch whose activations come in bursts.

    Bots that start together at midnight UTC meet empty caches. The formula is applied hour by hour
    and added up, so the rate may differ from hour to hour.

    Args:
        hours: what was seen in each part of the epoch (equal parts).
        made: the round of this epoch.
        epoch: seconds of all parts together.
        level: of the interval.
    """
    part = epoch / len(hours)
    found = [of_unit(seen, made, part, level=level) for seen in hours if seen.exposure > 0]
    if not found:
        return Bots(math.nan, math.inf, 0.0, math.inf)
    # Parts in which nothing could be seen are taken as the others.
    scale = len(hours) / len(found)
    value = scale * sum(bots.value for bots in found)
    variance = scale**2 * sum(bots.variance for bots in found)
    uncached = sum(seen.exposure for seen in hours) / max(sum(seen.full for seen in hours), 1e-300)
    one = variance / value if value else 1 / uncached
    return _limited(value, variance, (one, 1 / uncached), level)


def over_epochs(
    values: ArrayLike,
    variances: ArrayLike,
    *,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> Bots:
    """Return the bots per epoch behind all resolvers, the mean over epochs.

    With at least ``MINIMUM_EPOCHS`` epochs the (resolver, epoch) units are resampled, the epochs of
    each resolver apart (resolvers differ in size and are all there, so they are no sample). With
    fewer, the errors of the units are added up, which leaves out how the botnet itself varied.

    Args:
        values: bots of each resolver and epoch; float64[resolvers, epochs]; NaN where nothing could
            be seen, which is taken as the mean of the resolver's other epochs.
        variances: of their errors; float64[resolvers, epochs].
        level: of the interval.
        rng: for the resampling; null for a fixed seed.
    """
    units = np.atleast_2d(np.asarray(values, dtype=np.float64))
    errors = np.atleast_2d(np.asarray(variances, dtype=np.float64))
    known = np.isfinite(units)
    units, errors, known = (part[known.any(1)] for part in (units, errors, known))
    if not units.size:
        return Bots(math.nan, math.inf, 0.0, math.inf)
    number = known.sum(1)
    means = np.where(known, units, 0).sum(1) / number
    value = float(means.sum())
    variance = float((np.where(known, errors, 0).sum(1) / number**2).sum())
    epochs = units.shape[1]
    if epochs < MINIMUM_EPOCHS:
        return _limited(value, variance, (variance / value if value else 1.0,) * 2, level)
    filled = np.where(known, units, means[:, None])
    rng = rng or np.random.default_rng(0)
    totals = np.zeros(_RESAMPLES)
    for row in filled:
        totals += row[rng.integers(0, epochs, (_RESAMPLES, epochs))].mean(1)
    # A resample has (n - 1) / n of the variance, and few epochs the tails of Student's t.
    spread = float(totals.var()) * epochs / (epochs - 1)
    from scipy.stats import t  # noqa: PLC0415 - heavy

    half = float(t.isf((1 - level) / 2, epochs - 1)) * math.sqrt(spread)
    return Bots(value, spread, max(0.0, value - half), value + half)


def by_coverage(
    distinct: int, made: Round, visible: ArrayLike | None = None, *, level: float = 0.95
) -> Bots:
    """Return the bots that the number of distinct names speaks for, whatever the TTL.

    Solves ``sum (1 - (1 - p_j)^N) = distinct``: a cache hides repetitions, and these do not count
    here. Says nothing (infinite) where all names, or the names of every bot, are the same.

    Args:
        distinct: distinct names asked for in the epoch.
        made: the round.
        visible: positions of the names that could be seen; null for all.
        level: of the interval, from the variance of the distinct names as if names were asked for
            independently, times the names of an activation.
    """
    from scipy.optimize import brentq  # noqa: PLC0415 - heavy
    from scipy.stats import norm  # noqa: PLC0415 - heavy

    chances = asked(made)
    if visible is not None:
        chances = chances[np.asarray(visible, dtype=np.int64)]
    chances = chances[chances > 0]
    if not chances.size or distinct <= 0:
        return Bots(0.0, 0.0, 0.0, math.inf)
    missed = np.log1p(-np.minimum(chances, 1 - 1e-15))

    def expected(number: float) -> float:
        return float(-np.expm1(number * missed).sum())

    def solve(names: float) -> float:
        if names <= 0:
            return 0.0
        if names >= chances.size - 0.5 or expected(1e9) <= names:
            return math.inf
        return float(brentq(lambda number: expected(number) - names, 0, 1e9, xtol=1e-6))

    value = solve(float(distinct))
    mean, square = lookups_made(made)
    if not math.isfinite(value):
        return Bots(math.inf, math.inf, solve(distinct - 1.0), math.inf)
    unseen = np.exp(value * missed)
    independent = float((unseen * (1 - unseen)).sum())
    # Names of one activation come together: new ones of it count as one.
    clustered = max(1.0, square / mean / mean * float(unseen.mean()) * mean)
    half = float(norm.isf((1 - level) / 2)) * math.sqrt(independent * min(clustered, mean))
    low, high = solve(distinct - half), solve(distinct + half)
    slope = max(float((-missed * unseen).sum()), 1e-300)
    return Bots(value, independent * min(clustered, mean) / slope**2, low, high)


def _together(made: Round, u: float) -> float:
    """Return E[U^2], U the share of an activation's names that are not cached, E[U] = u.

    Two names that are always asked for together are free together (chance u), two that never are
    are so independently (u^2), and between them the exponent goes evenly. Runs of q names whose
    starts lie z q apart share 1 - z of their names.
    """
    if made.barrel == "uniform":
        return u
    if made.barrel == "random_cut":
        c = -math.log(u)
        # Series below 0.01, where the closed form cancels.
        inner = 0.5 - c / 6 if c < 0.01 else 1 / c - -math.expm1(-c) / c**2
        return u * 2 * inner
    mean, square = lookups_made(made)
    return float(u ** (2 - square / (mean * made.names)))


def _limited(value: float, variance: float, one: tuple[float, float], level: float) -> Bots:
    """Return the gamma interval of a value with a variance.

    ``one`` is the variance per bot, and the bots that a single visible activation stands for.
    """
    from scipy.stats import gamma  # noqa: PLC0415 - heavy

    per_bot, step = one
    tail = (1 - level) / 2
    low = 0.0
    if value > 0:
        low = (
            float(gamma.ppf(tail, value**2 / variance, scale=variance / value))
            if (variance > 0)
            else value
        )
    upper = value + (step if per_bot >= 1 or not value else 0.0)
    spread = variance + (upper - value) * max(per_bot, step if not value else 0.0)
    high = upper
    if spread > 0:
        high = float(gamma.isf(tail, upper**2 / spread, scale=spread / upper))
    return Bots(value, variance, low, high)

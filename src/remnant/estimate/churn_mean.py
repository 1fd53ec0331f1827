"""The mean rate of address changes over networks, those that say little of themselves among them.

A small network hardly tells its own rate, but networks resemble each other. The logarithms of their
rates are taken as normal around a common one; how much they spread is integrated out, so that few
networks give a wide interval and not a lucky one. A network that tells little is drawn towards the
others, one that tells much keeps its rate. No rate is known better than by counting the changes
themselves, which are a Poisson number: that is the least error of each.

References:
    DerSimonian, Laird, Controlled Clinical Trials 7 (1986), 177-188 (the model).
    Gelman, Bayesian Analysis 1 (2006), 515-533 (the spread integrated out, flat on its own scale).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

__all__ = ["Rated", "alike", "error_of", "mean_rate"]

_SPREADS: Final = np.linspace(0.0, 2.5, 26)
"""Standard deviations of the logarithms over networks: at 2.5 they differ by thousands of times."""

_DRAWS: Final = 4_000
_SEED: Final = 20150408
_LEAST: Final = 1e-4
_WORST: Final = 5.0
_ALIKE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Rated:
    """One network.

    Attributes:
        weight: hosts active in a day.
        rate: changes per host and day, over 0.
        error: standard error of its logarithm; 0 for a fixed age, which is drawn nowhere.
        most: no rate above this fits its addresses.
        host_days: days over which its hosts could change addresses, together.
    """

    weight: float
    rate: float
    error: float
    most: float
    host_days: float


def mean_rate(parts: list[Rated], *, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean rate weighted by active hosts, and its limits.

    Args:
        parts: the networks, at least one.
        level: of the interval.

    >>> alike = [Rated(10.0, rate, 0.5, 2.0, 300.0) for rate in (0.01, 0.02, 0.04, 0.08)]
    >>> [round(number, 2) for number in mean_rate(alike)]
    [0.03, 0.02, 0.06]
    """
    total = sum(part.weight for part in parts)
    loose = [part for part in parts if part.error > 0]
    sure = sum(part.weight * part.rate for part in parts if part.error <= 0)
    if not loose:
        return sure / total, sure / total, sure / total
    weight, most = np.array([(one.weight, one.most) for one in loose]).T
    rate, variance = _least_errors(loose)
    drawn = _drawn(np.log(rate), variance)
    rates = np.minimum(np.exp(np.minimum(drawn, 50.0)), np.maximum(most, rate))
    means = (rates @ weight + sure) / total
    tail = (1 - level) / 2
    low, value, high = np.quantile(means, [tail, 0.5, 1 - tail]).tolist()
    return value, low, high


def _drawn(logs: Floats, variance: Floats) -> Floats:
    """Return logarithms of the rates as the model and the data leave them, float64[draws, n]."""
    whole = variance + _SPREADS[:, None] ** 2
    shares = 1.0 / whole
    middle = (shares @ logs) / shares.sum(axis=1)
    squares = (shares * (logs - middle[:, None]) ** 2).sum(axis=1)
    likely = -0.5 * (np.log(whole).sum(axis=1) + np.log(shares.sum(axis=1)) + squares)
    chance = np.exp(likely - likely.max())
    # As many draws of each spread as it is likely: no chance in that.
    edges = np.rint(np.cumsum(chance) / chance.sum() * _DRAWS).astype(np.int64)
    spread = np.repeat(np.arange(len(_SPREADS)), np.diff(edges, prepend=0))
    rng = np.random.default_rng(_SEED)
    common = middle[spread] + rng.normal(size=len(spread)) / np.sqrt(shares.sum(axis=1))[spread]
    kept = (_SPREADS[:, None] ** 2 / whole)[spread]
    error = np.sqrt(kept * variance)
    found: Floats = (
        common[:, None] + kept * (logs - common[:, None]) + error * rng.normal(size=kept.shape)
    )
    return found


def error_of(value: float, low: float, high: float, quantile: float) -> float:
    """Return the error of a logarithm from limits that lie alike around it; the lower one counts.

    The upper one may have been cut off where addresses allow no more.
    """
    if low > 0:
        return min(_WORST, math.log(value / low) / quantile)
    return min(_WORST, math.log(high / value) / quantile) if high > value > 0 else _WORST


def alike(parts: list[Rated]) -> bool:
    """Return whether the rates differ by no more than chance makes them (Cochran's Q, p > 0.01)."""
    from scipy.stats import chi2  # noqa: PLC0415 - heavy

    if len(parts) < 2:
        return False
    rate, variance = _least_errors(parts)
    logs, weight = np.log(rate), 1.0 / variance
    squares = float(weight @ (logs - weight @ logs / weight.sum()) ** 2)
    return bool(chi2.sf(squares, len(parts) - 1) > _ALIKE)


def _least_errors(parts: list[Rated]) -> tuple[Floats, Floats]:
    """Return the rates and the variances of their logarithms, none below that of the changes."""
    rate, error, days = np.array([(one.rate, one.error, one.host_days) for one in parts]).T
    rate, days = np.maximum(rate, _LEAST), np.maximum(days, _LEAST)
    # What all have in common bounds the error of a network in which hardly a change was seen.
    usual = float(rate @ days / days.sum())
    return rate, np.maximum(error**2, 1.0 / (np.maximum(rate, usual) * days))

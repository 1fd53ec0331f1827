"""How many hosts are infected: those online in an hour, and those alive over four weeks.

Addresses are taken for hosts only after what churn adds is taken off, and hosts that were off are
added only as far as the addresses that came back prove them. What cannot be identified stays a
lower bound, and the estimate says which share of it is bounds.

References:
    Chapman, Some Properties of the Hypergeometric Distribution, Univ. California Publ. Stat. 1951
    (two samples).
    Krein, Nudelman, The Markov Moment Problem and Extremal Problems, AMS 1977 (the smallest
    population with given moments is a mixture of two kinds).
    Bock, Levin, Padmanabhan, Doerr, Mühlhäuser, CARDCount, NDSS 2023 (counting over weeks).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.churn import churn, quantile, variance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis
    from remnant.estimate.churn import Churn
    from remnant.estimate.recapture import Recaptures

    Floats = NDArray[np.float64]

__all__ = ["QUANTITIES", "Hosts", "by_network", "estimates", "population"]

QUANTITIES: Final[dict[str, str]] = {
    "infected_online": "infected hosts online in an hour, mean of the last seven complete days",
    "infected_population": "infected hosts alive, on or off, mean of the last 28 complete days",
}
"""Every quantity that ``estimates`` returns, in order."""

_RARELY: Final = 0.15
_FASTEST: Final = 1.6


@dataclass(frozen=True, slots=True)
class Hosts:
    """The infected hosts of one network.

    Attributes:
        value: how many; where ``bound`` says so, at least so many.
        low, high: limits; ``high`` is infinite for a bound.
        active: hosts seen on a day, without what churn adds.
        spread: variance of log(value); 0 for a bound.
        bound: why the value is a lower bound only; null where it is an estimate.
    """

    value: float
    low: float
    high: float
    active: float
    spread: float
    bound: str | None = None


def population(seen: Recaptures, rate: Churn, *, level: float = 0.95) -> Hosts:
    """Return the infected hosts of one network alive over the days looked at.

    Three numbers are taken from the counts, all without the churn: hosts active on a day, the
    chance that an active one is active again k days later, and that one active on both ends of 2k
    days is active in the middle. The smallest population with these three is made of hosts that are
    on every day and of hosts that are on with one chance x; its size is the estimate.
    """
    complete = seen.complete
    daily = seen.left_out(seen.daily)[:, complete].mean(axis=1)
    if rate.refusal or rate.period is not None or rate.rate > _FASTEST:
        why = rate.refusal or "addresses change too often to be met again on another day"
        return _at_least(seen, rate, why, level)
    width = seen.left_out(seen.spans)[:, complete].mean(axis=1) / daily
    rho = rate.replicates
    changed = np.minimum(rho * width, 0.9)
    again, middle = _activity(seen, rate)
    # Of an address's day the share (1 - changed) is a host's first; see the page of this estimator.
    apart = changed / (1.0 - changed)
    again = again * np.exp(-apart) * (1.0 + apart)
    x = np.clip(again * (1 - middle) / np.maximum(1 - again, 1e-9), 1e-9, 1.0)
    part_time = np.clip((1 - again) / np.maximum(1 - x, 1e-9), 0.0, 1.0)
    hosts = (1.0 - changed) * (1.0 + part_time * (1 / x - 1))
    if not np.isfinite(hosts).all() or x[0] < _RARELY:
        why = "most part-time hosts do not come back with their address"
        return _at_least(seen, rate, why, level)
    value = float(daily[0] * hosts[0])
    spread = variance(hosts) + _daily_noise(seen)
    half = quantile(level, len(hosts) - 2) * math.sqrt(spread)
    return Hosts(
        value,
        value * math.exp(-half),
        value * math.exp(half),
        float(daily[0] * (1 - changed[0])),
        spread,
    )


def _activity(seen: Recaptures, rate: Churn) -> tuple[Floats, Floats]:
    """Return how likely an active host is active again, and one active twice is in between.

    float64[1 + groups] each. The first is extrapolated to no days apart by the rate.
    """
    matches, later, count = seen.day_pairs()
    lags = np.flatnonzero((count > 0) & (later[0] > 0))
    # One lag for each weekday; where addresses fall fast, those that can still be seen.
    lags = lags[(lags >= 2) & (lags <= 8)] if rate.rate < 0.4 else lags[lags <= 3]
    daily = seen.daily.sum(axis=0)
    pairs = np.array([(daily[k:] * daily[:-k]).sum() for k in lags])
    share = (matches[:, lags] - rate.chance * pairs * later[:, lags] / later[0, lags]) / later[
        :, lags
    ]
    fall = np.exp(-np.outer(rate.replicates, lags))
    again = (share * fall * count[lags]).sum(axis=1) / (fall**2 * count[lags]).sum(axis=1)
    triples = seen.left_out(seen.triples)
    both = seen.left_out(_ends(seen))
    met = both[:, 1:].sum(axis=1)
    middle = np.where(met > 0, triples[:, 1:].sum(axis=1) / np.maximum(met, 1.0), np.nan)
    return np.clip(again, 1e-9, 1.0), np.clip(middle, 0.0, 1.0)


def _ends(seen: Recaptures) -> Floats:
    """Return clients seen on two days 2i apart with a day looked at in between, at i: [groups, 8].

    Where days were lost it is the share of such pairs of days that is taken.
    """
    day = seen.complete.astype(np.float64)
    ends = np.zeros_like(seen.triples)
    for i in range(1, ends.shape[1]):
        if 2 * i < len(day):
            pairs = float((day[2 * i :] * day[: -2 * i]).sum())
            whole = float((day[2 * i :] * day[i:-i] * day[: -2 * i]).sum())
            ends[:, i] = seen.pairs[:, 2 * i] * (whole / max(pairs, 1.0))
    return ends


def _daily_noise(seen: Recaptures) -> float:
    """Return the variance of log(mean clients a day) that chance alone gives: at most Poisson's."""
    total = float(seen.daily.sum())
    return 1.0 / total if total else 0.0


def _at_least(seen: Recaptures, rate: Churn, why: str, level: float) -> Hosts:
    """Return how many hosts there must be: those of the busiest hour of the day, or of a day.

    The most that changes can add is taken off.
    """
    whole = seen.covered.all(axis=1)
    days = whole if whole.any() else seen.complete
    hourly = seen.hourly.sum(axis=0)[days]
    most = min(24.0, rate.most if rate.period is None else 24.0 / rate.period)
    if not rate.refusal and rate.period is None:
        most = min(most, rate.high)
    busiest = int(hourly.mean(axis=0).argmax())
    online = hourly[:, busiest] / (1 + most / 24.0)
    daily = seen.daily.sum(axis=0)[days] - most * seen.spans.sum(axis=0)[days]
    chosen = online if online.mean() >= daily.mean() else daily
    value = float(chosen.mean())
    noise = float(chosen.std(ddof=1)) / math.sqrt(len(chosen)) if len(chosen) > 1 else value
    low = max(0.0, value - quantile(level, max(1, len(chosen) - 1)) * noise)
    return Hosts(value, low, math.inf, max(value, 0.0), 0.0, why)

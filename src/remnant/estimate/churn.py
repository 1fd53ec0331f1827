"""How often addresses change: the rate per host and day, from which addresses come back.

A client seen today is seen again k days later if its host is on again and kept its address. With
rho changes per host and day the share that comes back falls as exp(-rho k); how often hosts are on
stays in the factor before it. Where addresses last for days, days are compared; where they last
for hours, hours are, in pairs of lags that lie alike around 24 h (see ``docs/explanation/churn``).
Where an address lives for a fixed time, nothing falls exponentially, and that is found.

References:
    Moura, Gañán, Lone, Poursaied, Asghari, van Eeten, How Dynamic is the ISPs Address Space?, IFIP
    Networking 2015 (churn rates per ISP).
    Padmanabhan, Dhamdhere, Aben, claffy, Spring, Reasons Dynamic Addresses Change, IMC 2016 (20
    ISPs renumber at fixed periods, mostly multiples of 24 h).
    Golub, Pereyra, The Differentiation of Pseudo-Inverses, SIAM J. Numer. Anal. 1973 (variable
    projection: only the rate is searched for).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.recapture import GROUPS, hosts_hidden, read, span_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis
    from remnant.estimate.recapture import Recaptures
    from remnant.windows import Window

    Floats = NDArray[np.float64]
    Network = tuple[Recaptures, "Churn"]

__all__ = [
    "QUANTITIES",
    "RATES",
    "Churn",
    "by_network",
    "churn",
    "estimates",
    "grouped",
    "jackknife",
    "networks",
    "online_mean",
    "quantile",
    "variance",
    "who",
]

QUANTITIES: Final[dict[str, str]] = {
    "churn_rate": "address changes per host and day, mean over networks weighted by active hosts",
}
"""Every quantity that ``estimates`` returns, in order."""

MINIMUM_DAYS: Final = 8
"""With fewer complete days no weekday is seen twice, and nothing is said."""

_MINIMUM_MATCHES: Final = 30.0
_HOURLY_ABOVE: Final = 0.9
RATES: Final = np.geomspace(0.002, 16.0, 96)
"""Rates that are tried, changes per host and day."""

_FIRST_LAG, _LAST_LAG = 12, 47
_TINY: Final = 1e-300
_FADED: Final = 6.5
_WIDEST: Final = 0.75
_FULL: Final = 1.25
_CLEARLY: Final = 0.7
_GONE: Final = 3.0
_MIDNIGHT_BELOW: Final = 0.5
_AGREES: Final = 1.3

_TWO_KINDS: Final = (
    "addresses do not change at random times at one rate: two kinds of hosts in one network, or a "
    "fixed age of several days"
)


@dataclass(frozen=True, slots=True, eq=False)
class Churn:
    """How often the addresses of one network change.

    Attributes:
        rate: changes per host and day; NaN where it is refused.
        low, high: limits of the rate; NaN where it is refused.
        replicates: float64[1 + groups], the rate from all clients, then without each group.
        method: what was compared: days, hours, or period.
        period: hours after which each address is changed, where that is fixed; null otherwise.
        most: no rate above this fits how many addresses stay from hour to hour.
        chance: float64[1 + groups], as ``replicates``: 1 / addresses in the pool, from matches long
            after; 0 where none can be told.
        matches: addresses that came back, which the rate rests on.
        refusal: why there is no rate.
        rough: value, low and high of a rate that is refused only for its wide interval: it says
            nothing of its network, but something of the mean over many.
    """

    rate: float
    low: float
    high: float
    replicates: Floats
    method: str
    period: float | None
    most: float
    chance: Floats
    matches: float
    refusal: str | None = None
    rough: tuple[float, float, float] | None = None


def churn(seen: Recaptures, *, level: float = 0.95) -> Churn:
    """Return the rate of address changes of one network, or why there is none.

    Args:
        seen: who came back after how long.
        level: confidence level of the limits.
    """
    days = int(seen.complete.sum())
    matches, later, count = seen.day_pairs()
    met, hourly, by_chance = seen.hour_pairs()
    most = _short(met, hourly)
    total = float(met[0].sum())
    if days < MINIMUM_DAYS:
        why = f"only {days} complete days; {MINIMUM_DAYS} are needed"
        return _none(most, total, why)
    if total < _MINIMUM_MATCHES or not (later[0] > 0).any():
        # Or all came on one day: no later day on which any could have come back.
        return _none(most, total, "too few addresses came back")
    period = _period(met, hourly, most)
    if period is not None:
        rate = 24.0 / period
        flat = np.full(1 + GROUPS, rate)
        return Churn(
            rate,
            24 / (period + 1),
            24 / (period - 1),
            flat,
            "period",
            period,
            most,
            0.0 * flat,
            total,
        )
    rates, chance, mixed = _by_days(matches, later, count, seen)
    if mixed:
        return _none(most, total, mixed)
    method = "days"
    if rates[0] > _HOURLY_ABOVE:
        method = "hours"
        rates = _by_hours(met - chance[:, None] * by_chance, hourly)
    rate, low, high = jackknife(rates, level)
    if rate > _AGREES * most:
        return _none(most, total, "addresses last from hour to hour and not over days: no one rate")
    if rate < 2 * RATES[0]:
        # Hardly any address changed at all: no rate can be told from none.
        low, high = 0.0, max(high, 3 * float(RATES[0]))
    if (high - low) / 2 > max(_WIDEST * rate, 0.02):
        why = "too few addresses came back for an interval that says anything"
        high = max(rate, min(high, most))
        return replace(_none(most, total, why), rough=(rate, low, high))
    return Churn(rate, low, high, rates, method, None, most, chance, total)


def jackknife(replicates: Floats, level: float) -> tuple[float, float, float]:
    """Return value, low and high of a positive quantity, on the log scale.

    Args:
        replicates: float64[1 + groups], from all clients, then without each group.
        level: confidence level; quantiles are those of Student's t.
    """
    value = float(replicates[0])
    half = quantile(level, len(replicates) - 2) * math.sqrt(variance(replicates))
    return value, value * math.exp(-half), value * math.exp(half)


def variance(replicates: Floats) -> float:
    """Return the jackknife variance of the logarithm of a positive quantity."""
    logs = np.log(np.maximum(replicates[1:], 1e-300))
    groups = len(logs)
    return float((groups - 1) / groups * ((logs - logs.mean()) ** 2).sum())


@lru_cache(maxsize=8)
def quantile(level: float, freedom: int) -> float:
    """Return the two-sided quantile of Student's t."""
    from scipy import stats  # noqa: PLC0415 - heavy

    return float(stats.t.ppf(0.5 + level / 2, freedom))


def networks(basis: Basis) -> tuple[Window, list[Network]] | str:
    """Return the days looked at, and the networks with their churn; or why there are none.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    hidden = hosts_hidden(basis.vantage)
    if hidden is not None:
        return hidden
    key = ("churn", basis.window, basis.scored, basis.vantage, basis.level)
    return basis.view.known(key, lambda: _networks(basis))


def _networks(basis: Basis) -> tuple[Window, list[Network]] | str:
    span = span_of(basis)
    if span is None:
        return "no day in the window is complete (24 hours, 95 % of the expected sensor-hours)"
    found = [(seen, churn(seen, level=basis.level)) for seen in read(basis, span)]
    return span.window, found


def estimates(basis: Basis) -> list[Estimate]:
    """Return the churn rate over all networks, weighted by hosts active in a day.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    from remnant.estimate.churn_networks import combined  # noqa: PLC0415 - it uses this module

    found = networks(basis)
    if isinstance(found, str):
        return [basis.refused("churn_rate", found, unit="changes a day", population=who(basis))]
    window, parts = found
    return [combined(basis, window, parts)]


def by_network(basis: Basis) -> list[Estimate]:
    """Return the churn rate of each of the largest networks, largest first.

    Networks without a known AS, and those behind the largest, are left out here.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    from remnant.estimate.churn_networks import combined  # noqa: PLC0415 - it uses this module

    found = networks(basis)
    if isinstance(found, str):
        return []
    window, parts = found
    return [
        combined(basis, window, group, asn=asn, country=country)
        for (asn, country), group in grouped(parts).items()
    ]


def grouped(parts: list[Network]) -> dict[tuple[int, str | None], list[Network]]:
    """Return the parts of each AS and country: its units. The pooled rest is left out."""
    groups: dict[tuple[int, str | None], list[Network]] = {}
    for seen, rate in parts:
        if seen.asn is not None:
            groups.setdefault((seen.asn, seen.country), []).append((seen, rate))
    return groups


def online_mean(seen: Recaptures) -> float:
    """Return distinct clients an hour, mean over the covered hours."""
    return float(seen.hourly.sum() / max(1, int(seen.covered.sum())))


def who(basis: Basis) -> str:
    """Return whose addresses are counted."""
    return f"addresses of infected hosts (vantage {basis.vantage})"


def _none(most: float, matches: float, why: str) -> Churn:
    empty = np.full(1 + GROUPS, np.nan)
    return Churn(math.nan, math.nan, math.nan, empty, "none", None, most, 0.0 * empty, matches, why)


def _short(met: Floats, hourly: Floats) -> float:
    """Return the most changes a day that the loss from lag 1 h to lag 6 h can be.

    Hosts that are switched off are in that loss too, so the rate of changes is smaller.
    """
    share = met[0, [1, 6]] / np.maximum(hourly[0, [1, 6]], 1.0)
    if not (share > 0).all():
        return math.inf
    return max(0.0, 24.0 / 5.0 * math.log(share[0] / share[1]))


def _period(met: Floats, hourly: Floats, most: float) -> float | None:
    """Return the hours that every address lives, 24, if that is fixed; else null.

    Hosts are on alike 24 - d and 24 + d hours later, so under random changes at no more than
    ``most`` a day at least exp(-most * 2 d / 24) of the matches remain. Fewer than a quarter of
    that says that changes are no random events: addresses end at a fixed age.
    """
    if not math.isfinite(most):
        return None
    share = met / np.maximum(hourly, 1.0)
    apart = np.arange(1, 13)
    expected = float((share[0, 24 - apart] * np.exp(-most * apart / 12.0)).sum())
    found = share[:, 24 + apart].sum(axis=1)
    n = len(found) - 1
    error = math.sqrt((n - 1) / n * float(((found[1:] - found[1:].mean()) ** 2).sum()))
    if expected <= 0 or found[0] + 2 * error > 0.5 * expected or found[0] > 0.25 * expected:
        return None
    if float(met[0, 1:25].sum()) < _MINIMUM_MATCHES:
        return None
    alive = np.flatnonzero(share[0, 1:] > 0.03 * share[0, 1]) + 1
    last = int(alive[-1]) + 1
    # Published periods are multiples of 24 h; near the end hardly an address is left to be seen.
    return 24.0 if 19 <= last <= 26 else None


def _by_days(
    matches: Floats, later: Floats, count: Floats, seen: Recaptures
) -> tuple[Floats, Floats, str | None]:
    """Return the rate from clients seen on two days, the chance to meet an address, and a refusal.

    Lag 1 is left out where there are enough others: who is on at midnight is seen on both days.
    """
    lags = np.flatnonzero((count > 0) & (later[0] > 0))
    share = matches[:, lags] / np.maximum(later[:, lags], 1.0)
    daily = seen.daily.sum(axis=0)
    pairs = np.array([(daily[k:] * daily[:-k]).sum() for k in lags])
    rates, floor = _fit_days(share, lags, count[lags])
    faded = lags * rates[0] > _FADED
    # All clients of the earlier day may be met, by the later clients of all groups but one.
    may_meet = pairs * later[:, lags] / later[0, lags]
    chance = np.zeros(len(share))
    if floor > 0:
        chance = floor * later[:, lags].sum(axis=1) / np.maximum(may_meet.sum(axis=1), _TINY)
        # A pool cannot be smaller than what was seen of it.
        if chance[0] * float(seen.clients.sum()) > _FULL:
            why = _TWO_KINDS
            return rates, 0.0 * chance, why
    elif faded.any():
        met = matches[:, lags][:, faded].sum(axis=1)
        chance = met / np.maximum(may_meet[:, faded].sum(axis=1), _TINY)
    if chance.any():
        met = matches[:, lags] - chance[:, None] * may_meet
        rates, _ = _fit_days(met / np.maximum(later[:, lags], 1.0), lags, count[lags], flat=False)
    return rates, chance, None


def _fit_days(
    share: Floats, lags: NDArray[np.int64], count: Floats, *, flat: bool = True
) -> tuple[Floats, float]:
    """Return the rates, and the level that remains for ever where one clearly does, else zero."""
    # Seven days later it is the same weekday: lags alike modulo a week share a factor.
    week = np.minimum(lags % 7, 7 - lags % 7)
    classes = tuple(week.tolist()) if lags[-1] >= 14 else (0,) * len(lags)
    told = (tuple(lags.astype(float).tolist()), tuple(count.tolist()), classes)
    rates, squares = _search(share, *told)
    if flat:
        other, less = _search(share[:1], *told, flat=True)
        if less[0] < _CLEARLY * squares[0] and other[0] * lags[-1] > _GONE:
            level = _level(share[0], float(other[0]), *told)
            if level > 0:
                return _search(share, *told, flat=True)[0], level
    late = lags >= 2
    if rates[0] < _MIDNIGHT_BELOW and late.sum() >= MINIMUM_DAYS:
        told = tuple(tuple(np.array(part)[late].tolist()) for part in told)  # type: ignore[assignment]
        rates, _ = _search(share[:, late], *told)
    return rates, 0.0


def _by_hours(met: Floats, hourly: Floats) -> Floats:
    """Return the rate from clients seen in two hours, 12 to 47 apart.

    Habits repeat daily, so hosts are on together as often 24 - d as 24 + d hours later: such lags
    share a factor, and what differs between them is the change of addresses.
    """
    lags = np.arange(_FIRST_LAG, _LAST_LAG + 1)
    lags = lags[hourly[0, lags] > 0]
    share = met[:, lags] / np.maximum(hourly[:, lags], 1.0)
    mirror = np.minimum(lags % 24, 24 - lags % 24)
    told = (tuple((lags / 24.0).tolist()), (1.0,) * len(lags), tuple(mirror.tolist()))
    return _search(share, *told)[0]


def _level(
    share: Floats,
    rate: float,
    lags: tuple[float, ...],
    weights: tuple[float, ...],
    classes: tuple[int, ...],
) -> float:
    """Return the level that does not fall, at a rate."""
    member = np.array(classes)[:, None] == np.unique(classes)
    design = np.column_stack([np.exp(-rate * np.array(lags))[:, None] * member, np.ones(len(lags))])
    root = np.sqrt(np.array(weights))
    return float(np.linalg.lstsq(design * root[:, None], share * root, rcond=None)[0][-1])


def _search(
    share: Floats,
    lags: tuple[float, ...],
    weights: tuple[float, ...],
    classes: tuple[int, ...],
    *,
    flat: bool = False,
) -> tuple[Floats, Floats]:
    """Return the rates r that minimise sum w (share - a[class] exp(-r lag))^2, and that sum.

    One for each row of ``share``. With ``flat`` a level that does not fall is fitted as well.
    """
    basis = _basis(lags, weights, classes, flat)
    scaled = share * np.sqrt(np.array(weights))
    explained = (scaled @ basis).reshape(len(share), len(RATES), -1)
    squares = (scaled**2).sum(axis=1)[:, None] - (explained**2).sum(axis=2)
    at = np.clip(squares.argmin(axis=1), 1, len(RATES) - 2)
    rows = np.arange(len(at))
    before, here, after = (squares[rows, at + step] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.where(bend > 0, (before - after) / np.where(bend > 0, 2 * bend, 1.0), 0.0)
    step = math.log(RATES[1] / RATES[0])
    rates: Floats = RATES[at] * np.exp(step * np.clip(shift, -1.0, 1.0))
    return rates, here


@lru_cache(maxsize=64)
def _basis(
    lags: tuple[float, ...], weights: tuple[float, ...], classes: tuple[int, ...], flat: bool
) -> Floats:
    """Return orthonormal columns of the design at every rate: float64[lags, rates * columns]."""
    fall = np.exp(-np.outer(RATES, lags))
    member = np.array(classes)[:, None] == np.unique(classes)
    root = np.sqrt(np.array(weights))
    design = fall[:, :, None] * member * root[None, :, None]
    norm = np.sqrt((design**2).sum(axis=1, keepdims=True))
    # Columns of different classes share no lag, so they are orthogonal.
    design = design / np.where(norm > 0, norm, 1.0)
    if flat:
        level = np.broadcast_to(root, fall.shape)[:, :, None]
        level = level - design @ (design.transpose(0, 2, 1) @ level)
        norm = np.sqrt((level**2).sum(axis=1, keepdims=True))
        design = np.concatenate([design, level / np.where(norm > 1e-9, norm, np.inf)], axis=2)
    return np.ascontiguousarray(design.transpose(1, 0, 2).reshape(len(lags), -1))

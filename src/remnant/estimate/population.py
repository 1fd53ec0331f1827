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

from remnant.estimate.churn import grouped, networks, quantile, variance
from remnant.estimate.online import Series, day_start, exposure_of, headline
from remnant.windows import Window, to_us

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis
    from remnant.estimate.churn import Churn
    from remnant.estimate.online import Level
    from remnant.estimate.recapture import Recaptures

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Network = tuple[Recaptures, Churn]

__all__ = [
    "QUANTITIES",
    "Hosts",
    "Online",
    "by_network",
    "estimates",
    "online",
    "population",
    "rare_beacons",
]

QUANTITIES: Final[dict[str, str]] = {
    "infected_online": "infected hosts online in an hour, mean of the last seven complete days",
    "infected_population": "infected hosts alive, on or off, mean of the last 28 complete days",
}
"""Every quantity that ``estimates`` returns, in order."""

_RARELY: Final = 0.15
_FASTEST: Final = 1.6
_SLOW: Final = 0.4
_REUSED: Final = 0.02
_SELDOM: Final = 0.5

_DAY_US: Final = 86_400_000_000
_SHARED: Final = "hosts behind one address (NAT) count once, so the number of hosts may be larger"
_VIEW: Final = "only what these sensors saw: infected hosts that use others are not in it"
_HOURLY: Final = "beacons leave at even intervals, at least one an hour from each online host"
_STAYED: Final = (
    "a host seen in the hours before and after was online in the hour between: those not seen then "
    "are added; the lower limit does not rest on it"
)
_AR1: Final = "day-to-day noise on the log scale is an AR(1) process around a straight line"
_ONE_RATE: Final = "within a network addresses change at random times, at one rate for all hosts"
_ACTIVITY: Final = (
    "the smallest population whose activity fits: more hosts that are rarely on would not be seen"
)
_DUAL: Final = "a host that uses IPv4 and IPv6 counts in both"


@dataclass(frozen=True, slots=True)
class Online:
    """The infected hosts online in an hour.

    Attributes:
        value: how many, those behind one address as one.
        low, high: limits; null with fewer than 14 complete days.
        seen: distinct clients an hour, before the correction.
        unknown: share of the clients in networks whose churn is not known.
        rate: mean churn of the others, changes per host and day.
        unnoticed: hosts online in an hour and not seen, for each client that was: in ``value``, not
            in ``low``.
    """

    value: float
    low: float | None
    high: float | None
    seen: Level
    unknown: float
    rate: float
    unnoticed: float = 0.0


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
    if not _lags(*seen.day_pairs()[1:], rate).size:
        return _at_least(seen, rate, "no client was seen two days or more after the first", level)
    spans = seen.left_out(seen.spans)[:, complete].mean(axis=1)
    # Every change inside a host's day adds an address, and the parts' spans add up to the host's.
    active = daily - rate.replicates * spans
    if not (active > 0).all():
        return _at_least(seen, rate, "changes add more addresses than were seen", level)
    part = _part_time(seen, rate, active, spans)
    x = np.clip(part.again * (1 - part.middle) / np.maximum(1 - part.again, 1e-9), 1e-9, 1.0)
    rarely = np.clip((1 - part.again) / np.maximum(1 - x, 1e-9), 0.0, 1.0)
    hosts = part.always + (active - part.always) * (1.0 + rarely * (1 / x - 1))
    if not np.isfinite(hosts).all() or x[0] < _RARELY:
        why = "most part-time hosts do not come back with their address"
        return _at_least(seen, rate, why, level)
    value = float(hosts[0])
    spread = max(variance(hosts / daily), variance(part.plain / daily)) + _daily_noise(seen)
    half = quantile(level, len(hosts) - 2) * math.sqrt(spread)
    # What a third sighting added to what two told: a fourth may add as much again.
    more = max(0.0, float(hosts[0] - part.plain[0]))
    low, high = value * math.exp(-half), value * math.exp(half) + more
    return Hosts(value, low, high, float(active[0]), spread)


def estimates(basis: Basis) -> list[Estimate]:
    """Return the hosts online and the hosts alive, in the order of ``QUANTITIES``.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    found = networks(basis)
    if isinstance(found, str):
        who = _who(basis)
        return [
            basis.refused(quantity, found, unit="hosts", population=who) for quantity in QUANTITIES
        ]
    window, parts = found
    return [_online(basis, window, parts), _alive(basis, window, parts)]


def by_network(basis: Basis) -> list[Estimate]:
    """Return the hosts alive of each of the largest networks, largest first.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    found = networks(basis)
    if isinstance(found, str):
        return []
    window, parts = found
    return [
        _alive(basis, window, group, asn=asn, country=country)
        for (asn, country), group in grouped(parts).items()
    ]


def _online(basis: Basis, window: Window, parts: list[Network]) -> Estimate:
    population = _who(basis)
    made = online(parts, to_us(window.since) // _DAY_US, level=basis.level)
    if made is None:
        why = "no client was seen on a complete day"
        return basis.refused("infected_online", why, unit="hosts", population=population)
    said = [_HOURLY, _SHARED, _VIEW, _DUAL, _AR1]
    if made.unnoticed:
        said.insert(0, _STAYED)
    if made.unknown:
        said.insert(0, f"churn is not known for {made.unknown:.0%} of the clients")
    low, high, why_not = made.low, made.high, None
    if low is None:
        why_not = "fewer than 14 complete days: the noise is not known"
    elif rare_beacons(parts):
        high, why_not = None, "hosts ask less than once an hour: those that did not are not counted"
    high, why_not = _bound(high, why_not)
    return basis.concluded(
        "infected_online",
        made.value,
        (low, high),
        unit="hosts",
        population=population,
        n=made.seen.n,
        method=f"{made.seen.value:.1f} distinct clients an hour / (1 + (1 - 1/n) rho/24) in each "
        f"network, n beacons an hour, rho {made.rate:.2g} a day on average"
        + (f", {made.unnoticed:.1%} more not seen between two hours" if made.unnoticed else ""),
        assumptions=tuple(said),
        window=Window(made.seen.since, made.seen.until),
        refusal=why_not,
    )


def _alive(
    basis: Basis,
    window: Window,
    parts: list[Network],
    *,
    asn: int | None = None,
    country: str | None = None,
) -> Estimate:
    found = [population(seen, rate, level=basis.level) for seen, rate in parts]
    days = int(parts[0][0].complete.sum()) if parts else 0
    where = {"window": window, "unit": "hosts", "population": _who(basis), "n": days}
    where |= {"asn": asn, "country": country}
    value = sum(part.value for part in found)
    if not value > 0:
        return basis.refused("infected_population", "no client was seen", **where)  # type: ignore[arg-type]
    told = [part for part in found if part.bound is None]
    bounds = [part for part in found if part.bound is not None]
    below, above = (
        math.sqrt(sum((limit - part.value) ** 2 for part, limit in pairs))
        for pairs in ([(p, p.low) for p in found], [(p, p.high) for p in told])
    )
    share = sum(part.value for part in bounds) / value
    high, why = (value + above if told else None), None
    said = [_ONE_RATE, _ACTIVITY, _SHARED, _VIEW, _DUAL]
    if bounds:
        largest = max(bounds, key=lambda part: part.value)
        high, why = None, f"no upper limit: {share:.0%} of the hosts are bounds ({largest.bound})"
    high, why = _bound(high, why)
    return basis.concluded(
        "infected_population",
        value,
        (max(0.0, value - below), high),
        method="active a day without churn, and those off by recaptures two and three at a time; "
        "networks without: the busiest hour or day as a lower bound",
        assumptions=tuple(said),
        refusal=why,
        **where,  # type: ignore[arg-type]
    )


def _bound(high: float | None, why: str | None) -> tuple[None, str]:
    """Return that there is no upper limit, and why: how many share an address is not known."""
    if why is None and high is not None:
        why = f"with one host behind each address the upper limit would be {high:,.0f}"
    text = "lower bound: hosts behind one address (NAT) count once"
    return None, text if why is None else f"{text}; {why}"


def _who(basis: Basis) -> str:
    return f"infected hosts, those behind one address as one (vantage {basis.vantage})"


@dataclass(frozen=True, slots=True, eq=False)
class _PartTime:
    """How hosts are used; float64[1 + groups] each.

    Attributes:
        always: hosts that are on all day.
        again: chance that a part-time host active on a day is active on another.
        middle: chance that one active on two days is active on the day in the middle.
        plain: hosts from two samples (Lincoln and Petersen), which no limit cuts off: what the
            error of ``again`` does to the number of hosts.
    """

    always: Floats
    again: Floats
    middle: Floats
    plain: Floats


def online(parts: list[Network], first: int, *, level: float = 0.95) -> Online | None:
    """Return the hosts online in an hour, without what changes within the hour add.

    With n beacons an hour a change shows a host at two addresses in its hour with chance 1 - 1/n,
    so a network's count is too large by the factor 1 + (1 - 1/n) rho / 24. Where rho is not known
    it is taken for that of the other networks, and the limits allow for none and for the most that
    fits.

    Args:
        parts: the networks and their churn.
        first: the first day, in days since 1970-01-01 UTC.
        level: confidence level of the limits.
    """
    if not parts:
        return None
    covered = parts[0][0].covered
    hourly = np.stack([seen.hourly.sum(axis=0) for seen, _ in parts])
    seen_all = hourly.sum(axis=0)
    complete = parts[0][0].complete
    days = first + np.arange(len(covered))
    made = Series(
        "", "", Window(day_start(first), day_start(first + len(covered))), days,
        np.where(complete, seen_all.sum(axis=1) / np.maximum(covered.sum(axis=1), 1), np.nan),
        exposure_of(seen_all, covered), covered.mean(axis=1), complete,
    )  # fmt: skip
    found = headline(made, level=level)
    if found is None or not seen_all.any():
        return None
    share = hourly.sum(axis=(1, 2)) / hourly.sum()
    known = np.array([rate.refusal is None for _, rate in parts])
    rho = np.array([rate.rate for _, rate in parts])
    usual = float(np.average(rho[known], weights=share[known])) if known.any() else 0.0
    most = np.array([min(24.0, rate.most) for _, rate in parts])
    # A change is seen twice if a beacon leaves on both sides of it in the same hour.
    twice = np.array([1 - 1 / max(1.0, seen.beacons) for seen, _ in parts])
    factor, least, largest = (
        float((share / (1 + twice * np.where(known, rho, other) / 24.0)).sum())
        for other in (np.minimum(usual, most), most, np.zeros(len(most)))
    )
    error = [
        part * max(rate.high - rate.rate, rate.rate - rate.low) / 24.0 if told else 0.0
        for part, told, (_, rate) in zip(share, known, parts, strict=True)
    ]
    half = math.sqrt(sum(part**2 for part in error))
    unnoticed = _unnoticed(parts)
    low = high = None
    if found.low is not None and found.high is not None:
        noise = math.log(found.high / found.value) if found.value else 0.0
        half = math.hypot(half, noise)
        low = found.value * least * math.exp(-half)
        # As many may be missed before the first sighting and after the last as between them.
        high = found.value * largest * math.exp(half) * (1 + 2 * unnoticed)
    value = found.value * factor * (1 + unnoticed)
    return Online(value, low, high, found, float(share[~known].sum()), usual, unnoticed)


def _unnoticed(parts: list[Network]) -> float:
    """Return how many hosts were online in an hour and not seen, for each client that was.

    Those seen in the hours before and after with one address, on the same day. Who was missed in
    its first or last hour is not among them. 0 where half of them were missed: then beacons are
    rarer than hourly, and an hour without one says nothing.
    """
    around, inside = sum(seen.between.sum(axis=0) for seen, _ in parts)
    # The first and the last hour of a day have no hour before, or after, on that day.
    seen = sum(float(seen.hourly[..., 1:-1].sum()) for seen, _ in parts)
    return float(around - inside) / seen if seen and inside > _SELDOM * around else 0.0


def rare_beacons(parts: list[Network]) -> bool:
    """Return whether clients come back less in the next hour than some hours later."""
    met = sum(seen.lags.sum(axis=0) for seen, _ in parts)
    later = sum(seen.hour_pairs()[1][0] for seen, _ in parts)
    share = met / np.maximum(later, 1.0)
    return bool(share[1] < 0.5 * share[2:7].max())


def _part_time(seen: Recaptures, rate: Churn, active: Floats, spans: Floats) -> _PartTime:
    """Return how hosts are used, with the churn taken out.

    From its last beacon of a day to its first k days later a host that is always on has k - 1 days
    to change its address, a part-time host k - w, with w the part of a day between its first and
    its last beacon.
    """
    rho = rate.replicates
    always = np.clip(_always_on(seen, rate), 0.0, np.minimum(active, spans))
    others = np.maximum(active - always, 1e-9)
    width = np.clip((spans - always) / others, 0.0, 1.0)
    matches, later, count = seen.day_pairs()
    lags = _lags(later, count, rate)
    daily = seen.daily.sum(axis=0)
    pairs = np.array([(daily[k:] * daily[:-k]).sum() for k in lags])
    # Who kept the address cannot be met by chance as well.
    chance = rate.chance[:, None] * pairs / later[0, lags]
    # Where chance alone would explain every match nothing is told: NaN makes the value a bound.
    alone = np.where(chance < 1, 1 - chance, np.nan)
    met = (matches[:, lags] - chance * later[:, lags]) / alone
    kept = np.exp(-np.outer(rho, lags))
    # Mean a day of hosts that were met again, without those that are always on.
    met = met / count[lags] - always[:, None] * kept * np.exp(rho)[:, None]
    fall = kept * np.exp(rho * width)[:, None]
    both = (met * fall * count[lags]).sum(axis=1) / (fall**2 * count[lags]).sum(axis=1)
    plain = always + others**2 / np.maximum(both, 0.2 * others)
    both = np.clip(both, 1e-9, others)
    share = _in_between(seen, rate)
    # Those always on are in the middle of every triple, and are met more often.
    sure = always * np.exp(rho * (1 - width))
    middle = np.clip((share * (sure + both) - sure) / both, 0.0, 1.0)
    # E[p^3] E[p] >= E[p^2]^2: whoever is seen twice is no less active than who is seen once.
    again = both / others if chance[0].max() > _REUSED else np.minimum(both / others, middle)
    # What chance alone can make of the difference is taken off: the value stays a lower bound.
    more = middle - again
    groups = len(more) - 1
    noise = (groups - 1) / groups * float(((more[1:] - more[1:].mean()) ** 2).sum())
    sound = max(0.0, 1 - noise / more[0] ** 2) if more[0] > 0 else 0.0
    if chance[0].max() > _REUSED:
        # Of three sightings of an address too many are of different hosts.
        sound = 0.0
    middle = again + sound * more
    return _PartTime(always, again, middle, plain)


def _lags(later: Floats, count: Floats, rate: Churn) -> Ints:
    """Return the lags, in days, over which hosts are met again; none where no such day has any."""
    lags = np.flatnonzero((count > 0) & (later[0] > 0))
    # One lag for each weekday; where addresses fall fast, those that can still be seen.
    # Not lag 1: who is on at midnight is seen on both days.
    return lags[(lags >= 2) & (lags <= (8 if rate.rate < _SLOW else 4))]


def _always_on(seen: Recaptures, rate: Churn) -> Floats:
    """Return the hosts on all day: those seen in two hours about half a day apart, kept address.

    Hosts that are on twelve hours apart by habit count as well; there are few.
    """
    met, _, chance = seen.hour_pairs()
    lags = np.array([11, 12, 13])
    flat = seen.covered.ravel().astype(np.float64)
    pairs = np.array([float(flat[k:] @ flat[:-k]) for k in lags])
    kept = np.exp(np.outer(rate.replicates, lags) / 24.0)
    share: Floats = ((met - rate.chance[:, None] * chance)[:, lags] * kept / pairs).mean(axis=1)
    return share


def _in_between(seen: Recaptures, rate: Churn) -> Floats:
    """Return the share of clients seen on two days 2i apart that are seen in the middle as well.

    float64[1 + groups], NaN where none was seen twice. Churn is not in it: who has the same address
    at both ends had it in the middle. Where days were lost, pairs of days without a middle are left
    out by their share.
    """
    furthest = int(np.clip(1.0 / rate.rate, 1, seen.triples.shape[1] - 1))
    day = seen.complete.astype(np.float64)
    pairs, triples = seen.left_out(seen.pairs), seen.left_out(seen.triples)
    ends, met = np.zeros(len(pairs)), np.zeros(len(pairs))
    for i in range(1, furthest + 1):
        if 2 * i < len(day):
            twice = day[2 * i :] * day[: -2 * i]
            whole = float((twice * day[i:-i]).sum()) / max(float(twice.sum()), 1.0)
            ends += pairs[:, 2 * i] * whole
            met += triples[:, i]
    return np.where(ends > 0, met / np.maximum(ends, 1.0), np.nan)


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

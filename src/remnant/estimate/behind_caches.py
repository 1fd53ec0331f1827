"""Lookups and hosts behind caches, from the stored sightings of a sinkhole's or authority's DNS."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate import cached_items as items
from remnant.estimate.cache_checks import beacon, two_arms
from remnant.estimate.churn import networks
from remnant.estimate.diurnal_rate import daily_shape
from remnant.estimate.exposure import Rate, total_rate
from remnant.estimate.recapture import span_of
from remnant.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis

    Floats = NDArray[np.float64]

__all__ = ["MODEL", "QUANTITIES", "estimates"]

QUANTITIES: Final[dict[str, str]] = {
    "lookups_behind_caches": "lookups a day at all caches, those that the caches answered included",
    "hosts_behind_caches": "hosts a day behind all caches, from the lookups of one host a day",
    "ttl_arms": "rate of lookups after the short TTL / after the long one; 1 if TTLs are kept",
}
"""Every quantity that ``estimates`` returns, in order."""

_DAY_S: Final = 86_400.0
_DIRECT: Final = ("resolver", "sinkhole_http", "sinkhole_tcp")
_SHAPED_DAYS: Final = 3
_SHAPED_MISSES: Final = 240
_EARLY: Final = 0.01
_UNKNOWN: Final = 0.05
_BUSIEST: Final = 20
_FEWEST: Final = 0.2
"""Hosts for each client of a day, at least: below it churn says nothing about hosts."""
_POPULATION: Final = "lookups of watched names at the resolvers that asked (vantage {})"
_ASSUMED: Final = (
    "lookups come independently of each other; bots without a fixed period, or the TTL is at most "
    "a tenth of it",
    "a client and its subnet (ECS) is one cache; each name and type is cached by itself",
    "resolvers keep answers for the TTL that they were given (see ttl_arms)",
    "all caches share one daily rhythm",
    "the model is off by at most 5 %, the largest error of renewal models on real caches that was "
    "published (Fofack, Alouf 2013): prefetching, floors and caps of the TTL",
)

MODEL: Final = 0.05
"""What the model itself may be off by, on the log scale, as a limit and not a standard error."""


def estimates(basis: Basis) -> list[Estimate]:
    """Return the quantities of ``QUANTITIES``; an empty list where clients are no caches."""
    if basis.vantage not in items.HIDDEN:
        return []
    found = items.misses(basis)
    ttls = items.ttl_counts(found)
    if not ttls:
        return []
    lookups = _lookups(basis, found, ttls)
    return [lookups, _hosts(basis, lookups), _arms(basis, found, ttls)]


def _lookups(basis: Basis, found: object, ttls: dict[int | None, int]) -> Estimate:
    quantity, unit = "lookups_behind_caches", "lookups per day"
    population = _POPULATION.format(basis.vantage)
    total = sum(ttls.values())

    def refused(why: str) -> Estimate:
        return basis.refused(quantity, why, unit=unit, population=population, n=total)

    known = [ttl for ttl in ttls if ttl is not None]
    if ttls.get(None, 0) > _UNKNOWN * total:
        return refused("the TTL of the answers is not known: neither the rows nor the case say it")
    lead = float(max(known))
    spans = items.covered_spans(basis)
    if not (spans[:, 1] - spans[:, 0] > lead).any():
        return refused("no covered time is longer than the TTL, so what is cached is never known")
    clockwork = _clockwork(found, lead)
    if clockwork is not None:
        return refused(clockwork)
    sums = items.by_item(found, spans, lead)
    rate, early = _rate(sums, basis.level)
    if not math.isfinite(rate.value):
        return refused("the caches were never seen empty: the TTL is too long for this rate")
    assumptions: tuple[str, ...] = _ASSUMED
    if early:
        assumptions = (
            *_ASSUMED,
            f"{early:.1%} of the misses came within the TTL of another: several caches are behind "
            "one address. How many is estimated from these; the lower limit holds for any number, "
            "the upper one for at least two",
        )
    return basis.concluded(
        quantity,
        rate.value * _DAY_S,
        _widened(rate),
        window=_window(spans),
        unit=unit,
        population=population,
        n=rate.n,
        method="visible misses / time the caches were empty, by item and hour of the day",
        assumptions=assumptions,
        refusal=None if math.isfinite(rate.high) else "one cache more cannot be told from none",
    )


def _widened(rate: Rate) -> tuple[float, float | None]:
    """Return the limits a day, with what the model itself may be off by."""
    if not rate.value:
        return rate.low * _DAY_S, rate.high * _DAY_S
    below = math.log(rate.value / rate.low) if rate.low > 0 else math.inf
    low = rate.value * math.exp(-math.hypot(below, MODEL)) * _DAY_S
    if not math.isfinite(rate.high):
        return low, None
    above = math.hypot(math.log(rate.high / rate.value), MODEL)
    return low, rate.value * math.exp(above) * _DAY_S


def _window(spans: Floats) -> Window:
    """Return the window from the first covered second to the last."""
    return Window(
        datetime.fromtimestamp(float(spans[0, 0]), UTC),
        datetime.fromtimestamp(float(spans[-1, 1]), UTC),
    )


def _rate(sums: items.Items, level: float) -> tuple[Rate, float]:
    """Return the rate at all caches, and the share of misses that one cache cannot have made."""
    observed, counts = float(sums.observed.sum()), sums.per_item
    hour, cached, shown = sums.hour, sums.cached, sums.observed
    if observed < _SHAPED_DAYS * _DAY_S or counts.sum() < _SHAPED_MISSES:
        # Too little for a daily rhythm: all hours are one.
        hour, shown = np.zeros_like(hour), np.r_[observed, np.zeros(23)]
    shape = daily_shape(sums.item, hour, sums.misses, cached, shown)
    weighted = float(shape.hours @ shown)
    early = float(sums.pairs.sum() / max(int(counts.sum()), 1))
    seen = counts > 0
    uncached = shape.exposure[seen] * observed / weighted if weighted else shape.exposure[seen]
    share = np.clip(1 - uncached / observed, 0, 1)
    if early <= _EARLY:
        return total_rate(
            counts[seen], uncached, share, dispersion=shape.dispersion, level=level
        ), 0.0
    # k caches: the share of time that is cached is m T / k, and 1 / k = 1 - pairs / (n m T).
    n, pairs = counts[seen], sums.pairs[seen]
    nominal = sums.kept[seen] / observed
    full = np.clip(nominal - pairs / n, 0.0, None)
    several = pairs > 0
    free = np.where(several, np.clip(1 - full, 0.02, 1), 1 - share)
    middle = total_rate(n, free * observed, np.zeros(n.size), level=level)
    least = total_rate(n, np.full(n.size, observed), np.zeros(n.size), level=level)
    two = np.where(several, 1 - nominal / 2, 1 - share)
    high = math.inf
    if (two > 0).all():
        high = total_rate(n, two * observed, np.zeros(n.size), level=level).high
    return Rate(middle.value, least.low, max(high, middle.high), middle.n), early


def _clockwork(found: object, ttl: float) -> str | None:
    """Return why a rate cannot be told, where most of the busiest items run like clockwork."""
    checked = [beacon(times, ttl) for times in items.busiest(found, _BUSIEST, 2000)]
    refused = [state for state in checked if state.refused]
    if not refused or 2 * len(refused) <= len(checked):
        return None
    return (
        f"the lookups come with a fixed period, and the TTL of {ttl:.0f} s may be more "
        "than a tenth of it: how many are hidden cannot be told; use a shorter TTL"
    )


def _hosts(basis: Basis, lookups: Estimate) -> Estimate:
    quantity, unit = "hosts_behind_caches", "hosts"
    population = f"hosts behind the resolvers that asked (vantage {basis.vantage})"

    def refused(why: str) -> Estimate:
        return basis.refused(quantity, why, unit=unit, population=population, n=lookups.n)

    if lookups.value is None:
        return refused(f"the lookups are not known: {lookups.refusal}")
    known = _per_host(basis, Window(lookups.since, lookups.until))
    if known is None:
        return refused(
            "how many lookups one host makes a day is not known: no vantage of the case sees hosts "
            "directly (resolver, sinkhole_http, sinkhole_tcp)"
        )
    vantage, mean, error, days = known
    from scipy.stats import norm  # noqa: PLC0415 - heavy

    z = float(norm.isf((1 - basis.level) / 2))
    value = lookups.value / mean
    limits = []
    for limit in (lookups.low, lookups.high):
        if limit is None or not value:
            limits.append(limit)
            continue
        # Distances on the log scale, squared and added (Zou and Donner 2008).
        distance = math.log(limit / lookups.value) if limit > 0 else -math.inf
        away = math.copysign(math.hypot(distance, z * error), distance)
        limits.append(value * math.exp(away))
    one_each = "" if limits[1] is None else f"; with one behind each it would be {limits[1]:,.0f}"
    return basis.concluded(
        quantity,
        value,
        (limits[0], None),
        window=Window(lookups.since, lookups.until),
        refusal="lower bound: a client that asks for several hosts (NAT) counts as one" + one_each,
        unit=unit,
        population=population,
        n=lookups.n,
        method=f"lookups_behind_caches / {mean:.1f} queries of a host a day at {vantage} (clients "
        "of a day without what address changes add)",
        assumptions=(
            f"hosts behind these resolvers ask as often as those at {vantage} "
            f"({days:,} client-days), one lookup each time",
            *lookups.assumptions,
        ),
    )


def _per_host(question: Basis, window: Window) -> tuple[str, float, float, int] | None:
    """Return (vantage, queries of a client a day, relative error, client-days), or null.

    Only names count that passed the caches as well: behind them others are not asked for here.
    """
    basis = question.within(window)
    names = basis.accepted().select("name").distinct()
    for vantage in _DIRECT:
        seen = basis.at(vantage).accepted().semi_join(names, "name")
        # Whole days since 1970-01-01 UTC: several times faster than cutting times with a zone.
        seen = seen.mutate(day=seen.time.epoch_seconds() // 86_400)
        days = seen.group_by(["client", "day"]).aggregate(n=seen.weight.sum())
        row = days.aggregate(count=days.count(), mean=days.n.mean(), spread=days.n.std())
        got = row.to_pyarrow().to_pylist()[0]
        if got["count"] >= 2:
            error = (got["spread"] or 0.0) / got["mean"] / math.sqrt(got["count"])
            hosts = _hosts_a_client(_asked_before(question.at(vantage), basis.at(vantage)))
            return vantage, float(got["mean"]) / hosts, float(error), int(got["count"])
    return None


def _asked_before(question: Basis, part: Basis) -> Basis:
    """Return the whole question where its churn is that of the part: then it is known already."""
    whole, days = span_of(question), span_of(part)
    if whole is None or days is None or whole.first != days.first:
        return part
    return question if np.array_equal(whole.covered, days.covered) else part


def _hosts_a_client(basis: Basis) -> float:
    """Return the hosts for each client of a day: less than 1 where addresses change within it.

    Where the churn of a network is not known it is taken for that of the others; where none is, no
    host is seen under two addresses.
    """
    found = networks(basis)
    if isinstance(found, str):
        return 1.0
    known = [(seen, rate.rate) for seen, rate in found[1] if rate.refusal is None]
    spans = sum(float(seen.spans.sum()) for seen, _ in known)
    clients = sum(float(seen.daily.sum()) for seen, _ in known)
    if not spans or not clients:
        return 1.0
    changes = sum(rate * float(seen.spans.sum()) for seen, rate in known)
    return max(_FEWEST, 1.0 - changes / clients)


def _arms(basis: Basis, found: object, ttls: dict[int | None, int]) -> Estimate:
    quantity, unit = "ttl_arms", "ratio"
    population = _POPULATION.format(basis.vantage)
    total = sum(ttls.values())
    many = sorted(ttl for ttl, n in ttls.items() if ttl is not None and n >= 0.02 * total)
    if len(many) != 2:
        return basis.refused(
            quantity,
            f"the answers had {len(many)} {'TTL' if len(many) == 1 else 'TTLs'} and not two (see "
            "[sinkhole] ttl_arms): whether resolvers keep the TTL cannot be told",
            unit=unit,
            population=population,
            n=total,
        )
    spans = items.covered_spans(basis)
    compared = two_arms(*items.arm_sums(found, spans, (many[0], many[1])), level=basis.level)
    if compared is None:
        return basis.refused(
            quantity,
            "one of the two TTLs was followed by no further miss",
            unit=unit,
            population=population,
            n=total,
        )
    kept = compared.p_value >= 1 - basis.level
    return basis.concluded(
        quantity,
        compared.ratio,
        (compared.low, compared.high),
        unit=unit,
        population=population,
        n=compared.n,
        method=f"rate after TTL {many[0]} s / after {many[1]} s, by cached item (Mantel-Haenszel)",
        assumptions=(
            "answers got one of the two TTLs at random",
            f"p = {compared.p_value:.2g} that TTLs are kept as given"
            + ("" if kept else ": some resolvers raise short TTLs or cut long ones"),
        ),
    )

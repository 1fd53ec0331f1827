"""More that can fake a clean-up, or hide one: evidence beside the guards, which blocks nothing.

The guards of ``guards`` find changes of what the sensors see. These find changes that leave the
sensors as they are: addresses that merge, resolvers that block, two sides of the same lookup that
drift apart, a calendar that bends a short series. They cannot be told from a clean-up for certain,
so a reader is told and the verdict's rule is left alone.
"""

from __future__ import annotations

from datetime import UTC, date
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant import schema
from remnant.estimate.coverage import vantages
from remnant.estimate.decay import fit
from remnant.estimate.measures import who
from remnant.estimate.online import series
from remnant.estimate.traffic import sightings
from remnant.judge.guards import Guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from remnant.judge.guards import Ground

__all__ = ["CONFOUNDERS", "check_confounders"]

BLOCKED_CHANGE: Final = 0.05
"""Largest change of the share of lookups that a resolver answers with NXDOMAIN or REFUSED."""

DRIFT: Final = 0.25
"""The two sides may drift apart by this share of the slowest clean-up worth the name."""

SHARED: Final = 0.5
"""Addresses merge if queries a client rise at least at this share of the rate of the fall."""

_HOSTS: Final = ("sinkhole_http", "sinkhole_tcp", "flow")
_LOOKUPS: Final = ("resolver", "sinkhole_dns", "authority")
_BLOCKS: Final = (3, 5)
_DAY_US: Final = 86_400_000_000
_LEAST_DAYS: Final = 14
_LONG_HOLIDAY: Final = 4


def check_confounders(ground: Ground | None) -> list[Guard]:
    """Return every finding in the order of ``CONFOUNDERS``; unavailable without a trend."""
    if ground is None:
        reason = "Not checked: no trend could be fitted."
        return [Guard(name, "unavailable", reason) for name in CONFOUNDERS]
    return [look(ground) for look in CONFOUNDERS.values()]


def _merged_addresses(ground: Ground) -> Guard:
    """Fail if queries a client rise while clients fall: addresses merge, as behind a CGN."""
    name = "merged_addresses"
    if ground.kept.vantage not in {"resolver", *_HOSTS}:
        text = "A client is usually a resolver here, so queries a client say nothing about hosts."
        return Guard(name, "unavailable", text)
    table = ground.view.table(schema.ACTIVITY)
    rows = table.filter(
        table.grain == "day",
        table.sensor.isnull(),
        table.vantage == ground.kept.vantage,
        table.start >= _literal(ground.window.since),
        table.start < _literal(ground.window.until),
    ).select("start", "queries", "clients")
    found = rows.to_pyarrow()
    day = found["start"].cast("int64").to_numpy() // _DAY_US
    clients = found["clients"].to_numpy().astype(np.float64)
    kept = np.isin(day, ground.kept.days) & (clients > 0)
    order = np.argsort(day[kept])
    each = (found["queries"].to_numpy()[kept] / clients[kept])[order]
    trend = fit(day[kept][order], each, level=ground.trend.level) if kept.sum() else None
    if trend is None or trend.n < _LEAST_DAYS:
        return Guard(name, "unavailable", "Too few days hold queries and clients to compare them.")
    facts: dict[str, object] = {"rate_per_day": -trend.rate, "low": -trend.high, "high": -trend.low}
    way = f"{_percent(-trend.high)} to {_percent(-trend.low)} a day"
    falls = ground.trend.low > 0
    if falls and trend.high < 0 and -trend.rate >= SHARED * ground.trend.rate:
        text = (
            f"Queries a client rose ({way}) while clients fell: several hosts may have come to "
            "share an address (carrier-grade NAT, new address plan) instead of being cleaned."
        )
        return Guard(name, "failed", text, None, facts)
    text = f"Queries a client do not rise with the fall of clients ({way})."
    return Guard(name, "passed", text, None, facts)


def _two_sides(ground: Ground) -> Guard:
    """Fail if hosts at the sinkhole and lookups in the DNS drift apart, day by day."""
    name = "two_sides"
    present = vantages(ground.view)
    host = next((v for v in _HOSTS if v in present), None)
    lookup = next((v for v in _LOOKUPS if v in present), None)
    if host is None or lookup is None:
        text = "Lookups and connections are not both seen, so neither can check the other."
        return Guard(name, "unavailable", text)
    sides = [series(ground.view, ground.window, vantage) for vantage in (lookup, host)]
    first, second = (side.on(side.complete & (side.values > 0)) for side in sides)
    both, here, there = np.intersect1d(first.days, second.days, return_indices=True)
    both_fitted = np.isin(both, ground.kept.days)
    ratio = (second.values / second.exposure)[there] / (first.values / first.exposure)[here]
    if both_fitted.sum() < _LEAST_DAYS:
        return Guard(name, "unavailable", f"{lookup} and {host} share too few complete days.")
    trend = fit(both[both_fitted], ratio[both_fitted], level=ground.trend.level)
    if trend is None:
        return Guard(name, "unavailable", f"{host} over {lookup} has no trend.")
    facts: dict[str, object] = {
        "lookups": lookup,
        "hosts": host,
        "rate_per_day": trend.rate,
        "low": trend.low,
        "high": trend.high,
    }
    found = f"{_percent(trend.low)} to {_percent(trend.high)} a day"
    shares = f"The ratio of {who(host)} to {who(lookup)}"
    if (trend.low > 0 or trend.high < 0) and abs(trend.rate) > DRIFT * ground.r_min:
        if trend.rate > 0:
            why = "hosts that still ask reach the sinkhole less and less (blocked, or rerouted)"
        else:
            why = "lookups are seen less and less of the hosts that connect (resolvers, caches)"
        text = f"{shares} falls by {found}: {why}."
        return Guard(name, "failed", text, None, facts)
    text = f"{shares} stays the same (it falls by {found})."
    return Guard(name, "passed", text, None, facts)


def _blocking(ground: Ground) -> Guard:
    """Fail if resolvers came to answer lookups with NXDOMAIN or REFUSED, or ceased to."""
    name = "blocking_resolvers"
    if "resolver" not in vantages(ground.view):
        return Guard(name, "unavailable", "No resolver's answers are seen.")
    table = sightings(ground.view, ground.window, "resolver")
    table = table.filter(table.rcode.notnull())
    rows = (
        table.group_by(
            late=table.time >= _literal(ground.middle), blocked=table.rcode.isin(_BLOCKS)
        )
        .aggregate(n=table.weight.sum())
        .to_pyarrow()
        .to_pylist()
    )
    shares = []
    for side in (False, True):
        total = sum(row["n"] for row in rows if row["late"] is side)
        blocked = sum(row["n"] for row in rows if row["late"] is side and row["blocked"])
        if not total:
            return Guard(name, "unavailable", "The resolvers' response codes are not in the data.")
        shares.append(blocked / total)
    before, after = shares
    facts: dict[str, object] = {"first_half": before, "second_half": after}
    told = f"from {_percent(before)} to {_percent(after)}"
    if abs(after - before) > BLOCKED_CHANGE:
        text = (
            f"Lookups that resolvers answer with NXDOMAIN or REFUSED went {told}: where a name is "
            "blocked, its hosts never reach the sinkhole and are infected still."
        )
        return Guard(name, "failed", text, None, facts)
    text = f"Resolvers did not begin or cease to block the names (refused lookups {told})."
    return Guard(name, "passed", text, None, facts)


def _calendar(ground: Ground) -> Guard:
    """Tell where weekdays are not fitted, or the days around New Year lie at an end."""
    name = "calendar"
    days = ground.kept.days
    start = ground.window.since
    dates = [start.date().toordinal() + int(day - days[0]) for day in days.tolist()]
    if not ground.trend.weekdays:
        text = "Weekdays are not fitted (under three weeks), so a weekend may bend the line."
        return Guard(name, "info", text)
    edge = max(7, len(dates) // 6)
    holidays = [
        (found.month, found.day) >= (12, 24) or (found.month, found.day) <= (1, 6)
        for found in map(date.fromordinal, dates)
    ]
    at_end = sum(holidays[-edge:]), sum(holidays[:edge])
    if max(at_end) >= _LONG_HOLIDAY and not all(holidays):
        where = "last" if at_end[0] >= at_end[1] else "first"
        text = (
            f"The days from 24 December to 6 January lie among the {where} ones, when machines at "
            "work are off: judge again with an end outside them."
        )
        return Guard(name, "info", text, None, {"holidays": sum(holidays)})
    text = "Weekdays are fitted, and the days around New Year lie at neither end."
    return Guard(name, "passed", text)


CONFOUNDERS: Final[dict[str, Callable[[Ground], Guard]]] = {
    "merged_addresses": _merged_addresses,
    "two_sides": _two_sides,
    "blocking_resolvers": _blocking,
    "calendar": _calendar,
}
"""Every confounder that is looked for, by id, in the order in which they are listed."""


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"


def _literal(time: datetime) -> Any:  # noqa: ANN401 - ibis is untyped
    import ibis  # noqa: PLC0415 - heavy

    return ibis.literal(time.astimezone(UTC), type="timestamp('UTC', 6)")

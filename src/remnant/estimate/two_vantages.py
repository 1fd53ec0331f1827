"""Two views of one botnet: what the resolver saw and what reached the sinkhole, joined.

A resolver sees who asked; the sinkhole sees who came. Where a household's address is seen at both
it is the same client, for the site's key makes equal addresses equal; where only prefixes meet,
prefixes are matched. From who was seen at one, at the other and at both follows which share of the
askers arrives, and, if the two views are independent, how many hosts neither of them saw.

They seldom are. A resolver that blocks answers and keeps the host from coming, so few are seen at
both and the estimate is too large. So the data are asked first, and where they say that the views
depend on each other only the ratio is told.

References:
    Accettura, Neglia, Grieco, The capture-recapture approach for population estimation in computer
    networks, Computer Networks 2015. See ``recapture`` for the estimators.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.capture_recapture import LEAST_BOTH, Total, chapman, log_linear, quantile
from remnant.estimate.measures import who
from remnant.estimate.online import HEADLINE_DAYS, day_start
from remnant.windows import STEPS, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis
    from remnant.estimate.vantage_pairs import Meeting

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = [
    "QUANTITIES",
    "Cells",
    "Hosts",
    "Reach",
    "estimates",
    "hosts",
    "last",
    "reach",
    "reach_by_day",
    "told",
]

QUANTITIES: Final[dict[str, str]] = {
    "seen_at_both": "clients seen by the resolver and by the sinkhole on the same day, mean of the "
    "last seven days that are complete at both",
    "reach_ratio": "share of the resolver's clients that reached the sinkhole on the same day",
    "two_vantage_hosts": "hosts a day in the networks that both see, seen or not, mean of those "
    "days",
}
"""Every quantity that ``estimates`` returns, in order."""

TOLERATED: Final = 0.1
"""Largest relative change of the reach between networks, over days, or with activity."""

SURE: Final = 0.01
"""Chance below which a difference is no accident."""

MOST_UNSEEN: Final = 0.5
"""Share of the estimate that nobody saw above which it rests on the assumption alone."""

_LEAST_LEFT: Final = 10.0
_LEAST_DAYS: Final = 7


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """How many clients were seen where, on each day in each stratum (float64[n] each).

    Attributes:
        day: days since 1970-01-01 UTC.
        stratum: number of the network and unit.
        left: seen by the resolver.
        right: seen by the sinkhole.
        both: seen by both.
        left_busy: of ``left`` those that asked more than twice.
        both_busy: of ``both`` those that asked more than twice.
        histories: float64[n, 2, 2, 2]: seen or not by the resolver, the sinkhole and a third list;
            null where there is none.
    """

    day: Ints
    stratum: Ints
    left: Floats
    right: Floats
    both: Floats
    left_busy: Floats
    both_busy: Floats
    histories: Floats | None = None

    @property
    def days(self) -> int:
        """How many days there are."""
        return len(np.unique(self.day))


@dataclass(frozen=True, slots=True)
class Reach:
    """The share of the resolver's clients that reached the sinkhole, with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Hosts:
    """How many hosts there are a day.

    Attributes:
        total: the estimate; null where it is refused.
        refusal: why there is none; null where there is one.
        bound: why the estimate is only a lower bound; null where it is not.
    """

    total: Total | None
    refusal: str | None = None
    bound: str | None = None


def reach(
    clusters: int, left: float, both: float, squares: Sequence[float], *, level: float = 0.95
) -> Reach | None:
    """Return the share of ``left`` that is in ``both``; null where there is nothing to divide.

    Args:
        clusters: prefixes; clients of one are not independent, nor is one client on several days.
        left: client-days at the resolver.
        both: of them those at the sinkhole too.
        squares: sums over the clusters of left², left * both and both².
        level: of the interval (linearised ratio, on the logit scale).
    """
    if left <= 0 or clusters < 2:
        return None
    value = both / left
    nn, nm, mm = squares
    variance = max(mm - 2 * value * nm + value**2 * nn, 0.0) / left**2 * clusters / (clusters - 1)
    z = quantile(level)
    # Where none or all arrive, or all clusters are alike, no spread shows: as if each cluster were
    # one client (Wilson 1927).
    spread = variance / (value * (1 - value)) ** 2 if 0 < value < 1 else 0.0
    if spread > 0:
        odds, half = math.log(value / (1 - value)), z * math.sqrt(spread)
        return Reach(value, 1 / (1 + math.exp(half - odds)), 1 / (1 + math.exp(-half - odds)))
    center = (value + z * z / (2 * clusters)) / (1 + z * z / clusters)
    half = value * (1 - value) / clusters + z * z / (4 * clusters**2)
    half = z * math.sqrt(half) / (1 + z * z / clusters)
    return Reach(value, max(0.0, center - half), min(1.0, center + half))


def reach_by_day(cells: Cells) -> tuple[Ints, Floats, Floats]:
    """Return the days, the clients of the resolver on each, and the share that arrived."""
    days, place = np.unique(cells.day, return_inverse=True)
    left: Floats = np.bincount(place, weights=cells.left).astype(np.float64)
    both = np.bincount(place, weights=cells.both)
    share: Floats = np.where(left > 0, both / np.maximum(left, 1), np.nan)
    return days, left, share


def hosts(cells: Cells, *, level: float = 0.95, third: str | None = None) -> Hosts:
    """Return how many hosts there are a day, or why that cannot be told.

    The means over the days are taken for one day's counts: the same hosts are there every day, so
    more days make the interval no shorter. With three lists the log-linear models say which pairs
    of them depend on each other.
    """
    days = cells.days
    if not days:
        return Hosts(None, "no day is complete at both vantages")
    strata, place = np.unique(cells.stratum, return_inverse=True)

    def mean(values: Floats) -> Floats:
        return np.bincount(place, weights=values, minlength=len(strata)) / days

    left, right, both = mean(cells.left), mean(cells.right), mean(cells.both)
    if both.sum() < LEAST_BOTH:
        return Hosts(None, f"only {both.sum():.3g} clients a day were seen at both: 7 are needed")
    refusal = _spread(left, both) or _trend(cells)
    if refusal is not None:
        return Hosts(None, f"only the ratio is told: {refusal}")
    if cells.histories is not None:
        table = cells.histories.sum(axis=0) / days
        refusal = _stopped(table)
        if refusal is not None:
            return Hosts(None, f"only the ratio is told: {refusal}")
        total = log_linear(table, ("resolver", "sinkhole", third or "third list"), level=level)
        if total is None:
            return Hosts(None, "no log-linear model could be fitted")
        if total.saturated:
            return Hosts(
                None,
                "only the ratio is told: every two of the three lists depend on each other, so "
                "that nothing is left to test the model with",
            )
        return _weighed(total, None)
    quiet = (left.sum() - mean(cells.left_busy).sum(), both.sum() - mean(cells.both_busy).sum())
    busy = (mean(cells.left_busy).sum(), mean(cells.both_busy).sum())
    change = _activity(quiet, busy)
    if change is not None and change < 0:
        return Hosts(
            None,
            "only the ratio is told: who asks more often arrives less often, so something stops "
            "those that ask",
        )
    bound = None
    if change is not None:
        bound = "no upper limit: who asks more often arrives more often, so quiet hosts are missed"
    total = chapman(left, right, both, level=level)
    return (
        Hosts(None, "too few clients were seen at both")
        if total is None
        else _weighed(total, bound)
    )


def _weighed(total: Total, bound: str | None) -> Hosts:
    """Return the estimate unless most of it was seen by nobody."""
    unseen = 1 - total.seen / total.value
    if unseen > MOST_UNSEEN:
        return Hosts(
            None,
            f"only the ratio is told: {unseen:.0%} of the estimate were seen by neither, so that "
            "it would rest on the assumption alone",
        )
    return Hosts(total, None, bound)


def _spread(left: Floats, both: Floats) -> str | None:
    """Return why the reach differs between networks by more than chance; null if it does not.

    The sinkhole is one place, so it should catch hosts of all networks alike: where it does not,
    something between the answer and the connection differs.
    """
    found = _between(left, both)
    if found is None:
        return None
    pooled, between = found
    return (
        f"the share that arrives differs between networks ({pooled:.0%} on average, standard "
        f"deviation {between:.0%}), as blocking resolvers make it"
    )


def _between(left: Floats, both: Floats) -> tuple[float, float] | None:
    """Return mean and deviation of a share over groups; null where chance may have made it.

    Tested by Cochran's Q, sized by the deviation between groups of DerSimonian and Laird
    (Controlled Clinical Trials 7, 1986).
    """
    from scipy.stats import chi2  # noqa: PLC0415 - heavy

    kept = left >= _LEAST_LEFT
    if kept.sum() < 2:
        return None
    n, m = left[kept], both[kept]
    pooled = m.sum() / n.sum()
    # One more seen and one more not: no stratum is without variance.
    share = (m + 1) / (n + 2)
    weights = n / max(pooled * (1 - pooled), 1 / (n.sum() + 2))
    center = (weights * share).sum() / weights.sum()
    q = float((weights * (share - center) ** 2).sum())
    excess = max(0.0, q - (len(n) - 1))
    between = math.sqrt(excess / float(weights.sum() - (weights**2).sum() / weights.sum()))
    if float(chi2.sf(q, len(n) - 1)) >= SURE or between <= TOLERATED * pooled:
        return None
    return float(pooled), between


def _trend(cells: Cells) -> str | None:
    """Return why the reach changes over the days; null if it does not, or days are too few."""
    from scipy.stats import linregress  # noqa: PLC0415 - heavy

    days, left, share = reach_by_day(cells)
    kept = left >= _LEAST_LEFT
    if kept.sum() < _LEAST_DAYS:
        return None
    days, left, share = days[kept], left[kept], share[kept]
    found = _between(left, left * share)
    if found is not None:
        return (
            f"the share that arrives differs between days ({found[0]:.0%} on average, standard "
            f"deviation {found[1]:.0%})"
        )
    if np.ptp(share) <= 0:
        return None
    fitted = linregress(days.astype(np.float64), share)
    change = float(fitted.slope) * float(days[-1] - days[0])
    if float(fitted.pvalue) >= SURE or abs(change) <= TOLERATED * float(share.mean()):
        return None
    return f"the share that arrives changed by {change:+.0%} over the days"


def _stopped(table: Floats) -> str | None:
    """Return why many of the resolver's clients reached neither other list; null if they did not.

    Among those that asked, coming to the sinkhole and being in a third list behind the same way
    should not go together: where they do, some never come at all.

    Args:
        table: float[2, 2, 2], how many were seen or not by the resolver, the sinkhole, the third.
    """
    asked = table[1]
    if min(asked[1, 1], asked[1, 0], asked[0, 1], asked[0, 0]) <= 0:
        return None
    by_chance = float(asked[1, 0] * asked[0, 1] / asked[1, 1])
    stopped = float(asked[0, 0] - by_chance) / float(asked.sum())
    # Woolf 1955: the logarithm of the odds ratio, and its error.
    ratio = math.log(float(asked[0, 0]) / by_chance)
    if ratio < quantile(1 - SURE) * math.sqrt(float((1 / asked).sum())) or stopped <= TOLERATED:
        return None
    return (
        f"{stopped:.0%} of the resolver's clients reached neither the sinkhole nor the third list, "
        "more than chance allows, so something stops them on the way"
    )


def _activity(quiet: tuple[float, float], busy: tuple[float, float]) -> float | None:
    """Return by how much the reach of the busy differs (relative); null where it does not."""
    if min(quiet[0], busy[0]) < _LEAST_LEFT:
        return None
    first, second = (max(m, 0.0) / n for n, m in (quiet, busy))
    pooled = (quiet[1] + busy[1]) / (quiet[0] + busy[0])
    error = math.sqrt(max(pooled * (1 - pooled), 1e-12) * (1 / quiet[0] + 1 / busy[0]))
    change = (second - first) / max(pooled, 1e-12)
    if abs(second - first) < quantile(1 - SURE) * error or abs(change) <= TOLERATED:
        return None
    return change


def estimates(basis: Basis) -> list[Estimate]:
    """Return the quantities of ``QUANTITIES``; none where a resolver and a sinkhole are not both.

    Days count that are complete at both vantages, networks from which the resolver has a client.
    """
    from remnant.estimate.vantage_pairs import meet, pair  # noqa: PLC0415 - they use this module

    sides = pair(basis.view)
    if sides is None or sides[0] != "resolver":
        return []
    return told(basis, sides, meet(basis, *sides))


def told(basis: Basis, sides: tuple[str, str], found: Meeting | None) -> list[Estimate]:
    """Return the quantities of who was seen where; refused where no day is complete at both."""
    if found is None:
        why = "no day is complete at both vantages, or nobody was answered with the sinkhole"
        population = _population(sides)
        return [
            basis.refused(name, why, unit=unit, population=population)
            for name, unit in zip(QUANTITIES, ("mixed", "share", "mixed"), strict=True)
        ]
    return [_both(basis, found), _reach(basis, found), _hosts(basis, found)]


def _population(sides: tuple[str, str]) -> str:
    return (
        f"{who(sides[0])}, and {who(sides[1])} from the same networks (vantages {', '.join(sides)})"
    )


def _span(days: Ints) -> Window:
    return Window(day_start(int(days.min())), day_start(int(days.max())) + STEPS["day"])


def last(cells: Cells) -> Cells:
    """Return the cells of the last seven days."""
    days = np.unique(cells.day)[-HEADLINE_DAYS:]
    kept = np.isin(cells.day, days)
    histories = None if cells.histories is None else cells.histories[kept]
    columns = {name: getattr(cells, name)[kept] for name in Cells.__slots__ if name != "histories"}
    return Cells(**columns, histories=histories)


def _both(basis: Basis, found: Meeting) -> Estimate:
    from dataclasses import replace  # noqa: PLC0415 - only here

    recent = last(found.cells)
    value = float(recent.both.sum()) / recent.days
    made = basis.concluded(
        "seen_at_both",
        value,
        (value, value),
        unit=found.unit,
        population=_population(found.sides),
        n=recent.days,
        method=f"exact count a day of those seen at both, mean of {recent.days} days; matched on "
        f"{found.match}",
        assumptions=found.assumptions,
        window=_span(recent.day),
    )
    return replace(made, level=None)


def _reach(basis: Basis, found: Meeting) -> Estimate:
    made = reach(*found.clusters, level=basis.level)
    population, span = _population(found.sides), _span(found.cells.day)
    if made is None:
        why = "the resolver has clients in fewer than two prefixes"
        return basis.refused("reach_ratio", why, unit="share", population=population, window=span)
    days, _, shares = reach_by_day(found.cells)
    daily = shares[np.isfinite(shares)]
    return basis.concluded(
        "reach_ratio",
        made.value,
        (made.low, made.high),
        unit="share",
        population=population,
        n=len(days),
        method=f"seen at both / seen by the resolver, over {len(days)} days ({daily.min():.0%} to "
        f"{daily.max():.0%} a day); interval over prefixes; matched on {found.match}",
        assumptions=found.assumptions,
        window=span,
    )


def _hosts(basis: Basis, found: Meeting) -> Estimate:
    recent = last(found.cells)
    population, span = f"{_population(found.sides)}, per day", _span(recent.day)
    if found.match == "prefixes":
        why = (
            "only the ratio is told: no address was seen at both, and matched prefixes count "
            "networks, not hosts"
        )
        return basis.refused(
            "two_vantage_hosts", why, unit=found.unit, population=population, window=span
        )
    # A change shows better over all days than over the last seven.
    trend = _trend(found.cells)
    made = hosts(recent, level=basis.level, third=found.third)
    if made.total is None or trend is not None:
        why = made.refusal or f"only the ratio is told: {trend}"
        return basis.refused(
            "two_vantage_hosts",
            why,
            unit=found.unit,
            population=population,
            window=span,
            n=recent.days,
        )
    total = made.total
    return basis.concluded(
        "two_vantage_hosts",
        total.value,
        (total.low, None if made.bound else total.high),
        unit=found.unit,
        population=population,
        n=recent.days,
        method=(
            f"log-linear models of three lists, best by AIC: {total.model}; interval over all that "
            "the data do not tell apart"
            if found.third
            else "Chapman's estimator a network, summed; log-normal interval of those unseen"
        )
        + f"; mean of {recent.days} days, {total.seen:,.0f} seen a day",
        assumptions=(
            *found.assumptions,
            "no pair of lists depends on each other beyond the model: a household whose own "
            "equipment blocks the names is on one list only",
            "the same hosts are there every day: more days do not make the interval shorter",
        ),
        window=span,
        refusal=made.bound,
    )

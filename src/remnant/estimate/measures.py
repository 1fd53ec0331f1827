"""All measures of one case in one list: three sizes, never one, and how they change.

Footprint (ever seen), active (seen in a day) and online (seen in an hour) differ by more than ten
times for the same botnet, so each stands with its window, unit and population.

References:
    Rajab, Zarfoss, Monrose, Terzis, My Botnet is Bigger than Yours, HotBots 2007.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from remnant.estimate import Estimate
from remnant.estimate.basis import Basis
from remnant.estimate.conclusions import conclusions, of_places
from remnant.estimate.coverage import choose_vantage, default_window, of_window, vantages
from remnant.estimate.decay import half_life
from remnant.estimate.online import Series, day_start, headline, series
from remnant.estimate.traffic import by_time, count
from remnant.windows import STEPS, Window, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.cases.model import Case
    from remnant.estimate.decay import Trend
    from remnant.settings import Settings
    from remnant.store import View

__all__ = ["QUANTITIES", "measure", "measure_places", "population_of", "who"]

QUANTITIES: Final[dict[str, str]] = {
    "queries": "query messages for watched names in the window, weighted",
    "clients": "distinct clients in the window",
    "footprint": "distinct clients over all data of the case, whatever the window",
    "peak_day_clients": "distinct clients on the complete day that had most",
    "active_clients": "distinct clients a day, mean of the last seven complete days",
    "online_hosts": "distinct clients an hour, mean of the last seven complete days",
    "decay_rate": "fall of online hosts per day on the log scale, complete days after the takedown",
    "half_life": "days in which online hosts halve at that rate",
}
"""Every quantity that is counted, or fitted to counts, in order."""

_COUNTED: Final = "exact count of what the sensors saw; low and high equal the value"
_VIEW: Final = "only what these sensors saw: infected hosts that use others are not in it"
_ADDRESSES: Final = "addresses change: the longer the window, the more one host counts as several"
_SHARED: Final = "hosts behind one address (NAT) count once, so the number of hosts may be larger"
_RESOLVERS: Final = "a client is usually a resolver that asks for many hosts and caches the answers"
_CACHED: Final = "the sinkhole's or authority's view is thinned by caches; TTLs did not change"
_HOURLY: Final = "each online host asks at least once an hour"
_CHURN: Final = (
    "bots per address b and address changes per day rho are not known: hosts online are "
    "value * b / (1 + rho/24), with b = 1 and rho = 0 here"
)
_AR1: Final = "day-to-day noise on the log scale is an AR(1) process around a straight line"
_SAME_SHARE: Final = "the sensors see the same share of the botnet throughout"


def measure(
    view: View,
    case: Case,
    settings: Settings,
    window: Window | None = None,
    vantage: str | None = None,
    *,
    others: bool | None = None,
) -> list[Estimate]:
    """Return every quantity of ``QUANTITIES``, in that order, and what is concluded from them.

    Counts are observations: they are exact for what was seen, so low and high equal the value,
    ``level`` is null, and ``coverage`` says how much of the time was seen. The others are
    estimates.
    A quantity that cannot be estimated is there with a null value and its ``refusal``. The
    conclusions follow (``conclusions.PARTS``), each once for every vantage that it is made at.

    Args:
        view: a snapshot of the case.
        case: what is watched.
        settings: the level of every interval.
        window: default: the first to the last covered hour.
        vantage: default: the first of ``coverage.vantages``.
        others: make the conclusions at other vantages as well; default: where none was chosen.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    window = window or default_window(view)
    present = vantages(view) if others or (others is None and vantage is None) else []
    key = ("measures", case, settings.estimate, window, vantage, *present)
    # Several reports are made of one view, for who sees small counts and who does not.
    return list(view.known(key, lambda: _measured(view, case, settings, window, vantage, present)))


def _measured(
    view: View,
    case: Case,
    settings: Settings,
    window: Window,
    vantage: str | None,
    present: Sequence[str],
) -> list[Estimate]:
    whole = default_window(view)
    made = series(view, window, vantage)
    vantage = made.vantage
    after = made.since(case.takedown)
    trend = after.trend(level=settings.estimate.level)
    found = [
        *_counts(view, window, whole, vantage),
        *_daily(view, made, window, vantage),
        _online(view, made, vantage, settings.estimate.level),
        *_change(view, after, trend, vantage, settings.estimate.level),
    ]
    counted = [replace(estimate, vantage=vantage) for estimate in found]
    return counted + conclusions(Basis(view, case, settings, window, vantage), present)


def measure_places(
    view: View,
    case: Case,
    settings: Settings,
    by: Literal["network", "country"],
    window: Window | None = None,
    vantage: str | None = None,
) -> list[Estimate]:
    """Return what is concluded about each network or country, at one vantage.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    chosen = choose_vantage(view, vantage)
    basis = Basis(view, case, settings, window or default_window(view), chosen)
    return of_places(basis, by)


def who(vantage: str) -> str:
    """Return what a client is at a vantage, for a sentence."""
    return {
        "resolver": "clients that asked the resolvers for watched names",
        "sinkhole_http": "clients that sent HTTP requests to the sinkhole",
        "sinkhole_tcp": "clients that connected to the sinkhole",
        "sinkhole_dns": "clients, usually resolvers, that asked the sinkhole's name servers",
        "authority": "clients, usually resolvers, that asked the authoritative servers",
        "flow": "clients whose flows went to watched addresses",
        "report": "clients named in reports of others",
    }[vantage]


def population_of(vantage: str) -> str:
    """Return the population of an estimate: who counts, and the vantage."""
    return f"{who(vantage)} (vantage {vantage})"


def _limits(vantage: str) -> tuple[str, ...]:
    hidden = vantage in {"sinkhole_dns", "authority"}
    return (_VIEW, *((_RESOLVERS, _CACHED) if hidden else (_SHARED,)))


def _observed(
    quantity: str,
    found: tuple[float, str],
    span: tuple[Window, float | None],
    vantage: str,
    *assumptions: str,
    n: int,
) -> Estimate:
    """Return a count: (value, unit) seen in (window, its coverage)."""
    (value, unit), (window, covered) = found, span
    return Estimate(
        quantity=quantity,
        value=value,
        low=value,
        high=value,
        level=None,
        unit=unit,
        since=window.since,
        until=window.until,
        population=population_of(vantage),
        n=n,
        method=_COUNTED,
        assumptions=(*assumptions, *_limits(vantage)),
        coverage=covered,
    )


def _counts(view: View, window: Window, whole: Window, vantage: str) -> list[Estimate]:
    seen = count(view, window, vantage)
    ever = seen if window == whole else count(view, whole, vantage)
    here = (window, of_window(view, window, vantage))
    over_all = (whole, of_window(view, whole, vantage))
    found = [
        _observed("queries", (seen.queries, "queries"), here, vantage, n=seen.queries),
        _observed("clients", (seen.clients, seen.unit), here, vantage, _ADDRESSES, n=seen.queries),
        _observed(
            "footprint", (ever.clients, ever.unit), over_all, vantage, _ADDRESSES, n=ever.queries
        ),
    ]
    # Where no sensor delivered nothing was looked at, and nothing seen is no zero.
    return [estimate if estimate.n or estimate.coverage else _gap(estimate) for estimate in found]


def _daily(view: View, made: Series, window: Window, vantage: str) -> list[Estimate]:
    """Return the peak and the recent mean of a day's distinct clients, over complete days."""
    complete = {day_start(day) for day in made.days[made.complete].tolist()}
    days = [
        (start, row)
        for row in by_time(view, "day", window, vantage)
        if (start := parse_time(str(row["start"]))) in complete and row["clients"] is not None
    ]
    population = population_of(vantage)
    if not days:
        empty = "no day in the window is complete (24 hours, 95 % of the expected sensor-hours)"
        return [
            _refused(quantity, made.unit, window, population, empty)
            for quantity in ("peak_day_clients", "active_clients")
        ]
    start, row = max(days, key=lambda day: _number(day[1]["clients"]))
    peak = _observed(
        "peak_day_clients",
        (_number(row["clients"]), str(row["unit"])),
        (Window(start, start + STEPS["day"]), _share(row["coverage"])),
        vantage,
        _ADDRESSES,
        n=int(_number(row["queries"])),
    )
    recent = days[-7:]
    mean = sum(_number(row["clients"]) for _, row in recent) / len(recent)
    covered = [share for _, row in recent if (share := _share(row["coverage"])) is not None]
    active = Estimate(
        quantity="active_clients",
        value=mean,
        low=mean,
        high=mean,
        level=None,
        unit=made.unit,
        since=recent[0][0],
        until=recent[-1][0] + STEPS["day"],
        population=population,
        n=len(recent),
        method=f"mean of exact daily counts over {len(recent)} complete days",
        assumptions=(_ADDRESSES, *_limits(vantage)),
        coverage=sum(covered) / len(covered) if covered else None,
    )
    return [peak, active]


def _online(view: View, made: Series, vantage: str, level: float) -> Estimate:
    found = headline(made, level=level)
    population = population_of(vantage)
    if found is None:
        return _refused(
            "online_hosts", made.unit, made.window, population, "no day in the window is complete"
        )
    span = Window(found.since, found.until)
    short = None
    if found.low is None:
        short = f"no limits: noise needs 14 complete days, there are {found.noise_days}"
    return Estimate(
        quantity="online_hosts",
        value=found.value,
        low=found.low,
        high=found.high,
        level=level,
        unit=made.unit,
        since=found.since,
        until=found.until,
        population=f"{population}, per hour",
        n=found.n,
        method=(
            f"mean over {found.n} complete days of the day's mean of hourly distinct clients; "
            "interval for the level around which days vary, from the AR(1) noise of the last "
            f"{found.noise_days} complete days"
        ),
        assumptions=(_HOURLY, _CHURN, _AR1, *_limits(vantage)),
        coverage=of_window(view, span, vantage),
        refusal=short,
    )


def _change(
    view: View, after: Series, trend: Trend | None, vantage: str, level: float
) -> list[Estimate]:
    population = f"{population_of(vantage)}, per hour"
    if trend is None:
        complete = int(after.complete.sum())
        why = (
            "a trend needs five complete days after the takedown, some with clients; "
            f"there are {complete}"
        )
        return [
            _refused("decay_rate", "per day", after.window, population, why),
            _refused("half_life", "days", after.window, population, why),
        ]
    span = Window(day_start(trend.first), day_start(trend.last + 1))
    method = (
        "log-linear trend of daily online hosts on complete days, negative binomial weights, "
        + ("weekday effects, " if trend.weekdays else "")
        + f"AR(1) noise integrated out (mean phi {trend.phi:.2f}, sigma {trend.sigma:.3f})"
    )
    limits = (_AR1, _SAME_SHARE, *_limits(vantage))
    coverage = of_window(view, span, vantage)
    growing = "no finite half-life: the estimate does not fall" if trend.rate <= 0 else None
    return [
        Estimate(
            quantity="decay_rate",
            value=trend.rate,
            low=trend.low,
            high=trend.high,
            level=level,
            unit="per day",
            since=span.since,
            until=span.until,
            population=population,
            n=trend.n,
            method=method,
            assumptions=limits,
            coverage=coverage,
        ),
        Estimate(
            quantity="half_life",
            value=half_life(trend.rate),
            low=half_life(trend.high),
            high=half_life(trend.low),
            level=level,
            unit="days",
            since=span.since,
            until=span.until,
            population=population,
            n=trend.n,
            method=f"ln 2 / decay rate, limits transformed; {method}",
            assumptions=limits,
            coverage=coverage,
            refusal=growing,
        ),
    ]


def _refused(quantity: str, unit: str, window: Window, population: str, why: str) -> Estimate:
    return Estimate(
        quantity=quantity,
        value=None,
        low=None,
        high=None,
        level=None,
        unit=unit,
        since=window.since,
        until=window.until,
        population=population,
        n=0,
        method="none",
        refusal=why,
    )


def _gap(estimate: Estimate) -> Estimate:
    """Return the count without a value, because no sensor delivered in its window."""
    why = "no sensor delivered in the window: a gap, not a zero"
    return replace(
        estimate, value=None, low=None, high=None, n=0, method="none", assumptions=(), refusal=why
    )


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return value


def _share(value: object) -> float | None:
    return value if isinstance(value, float) else None

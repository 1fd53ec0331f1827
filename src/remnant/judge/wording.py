"""One plain sentence for each verdict: numbers, interval, window and unit, nothing else claimed."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from remnant.errors import printable
from remnant.estimate.decay import half_life
from remnant.estimate.measures import who
from remnant.estimate.online import day_start
from remnant.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from remnant.estimate.decay import Trend
    from remnant.estimate.online import Series
    from remnant.judge.guards import Guard
    from remnant.judge.rules import Rule

__all__ = ["UNIT_WORDS", "fitted_window", "percent_a_day", "sentence", "short_title", "span"]

UNIT_WORDS: Final = {
    "ipv4": "IPv4 addresses",
    "ipv6_64": "IPv6 /64 networks",
    "mixed": "IPv4 addresses and IPv6 /64 networks",
}
"""What one client is, in words."""


_SIMULATED: Final = re.compile(r"\s*\([^()]*\bsimulated\b[^()]*\)\s*\Z", re.IGNORECASE)


def short_title(title: str, *, simulated: bool) -> str:
    """Return a title without the closing remark that it is simulated, where that is said anyway.

    >>> short_title("BeeBone (SIMULATED: no real victims)", simulated=True)
    'BeeBone'
    >>> short_title("BeeBone (AAEH, VObfus)", simulated=True)
    'BeeBone (AAEH, VObfus)'
    """
    return (_SIMULATED.sub("", title[:4000]) if simulated else title) or title


def span(window: Window) -> str:
    """Return a window of whole days as a person says it, its last day included.

    >>> from datetime import UTC, datetime
    >>> from remnant.windows import Window
    >>> span(Window(datetime(2015, 4, 8, tzinfo=UTC), datetime(2015, 7, 1, tzinfo=UTC)))
    '8 April to 30 June 2015'
    """
    first, last = window.since, window.until - timedelta(microseconds=1)
    if first.date() == last.date():
        return f"{first.day} {first:%B %Y}"
    year = "" if first.year == last.year else f" {first.year}"
    return f"{first.day} {first:%B}{year} to {last.day} {last:%B %Y}"


def percent_a_day(rate: float) -> float:
    """Return the fall per day in percent of a rate on the log scale; negative when it grows.

    >>> round(percent_a_day(math.log(2) / 30), 2)
    2.28
    """
    return 100.0 * -math.expm1(-rate)


def sentence(
    title: str,
    rule: Rule,
    fitted: Series,
    trend: Trend | None,
    failed: Sequence[Guard],
    *,
    minimum_days: int,
    slowest: float,
    simulated: bool = False,
    again: date | None = None,
) -> str:
    """Return the verdict as one sentence that can be quoted alone.

    Args:
        title: the case's title.
        rule: the rule that decided.
        fitted: the complete days after the takedown.
        trend: their trend.
        failed: guards that failed.
        minimum_days: complete days that a verdict needs.
        slowest: the slowest half-life worth the name, in days.
        simulated: the traffic is made up; the sentence says so.
        again: from this day on the case can be judged already.
    """
    name = printable(short_title(title, simulated=simulated), 80)
    clean_up = f"In simulated traffic, clean-up of {name}" if simulated else f"Clean-up of {name}"
    window = fitted_window(fitted)
    if rule.outcome == "cannot_tell":
        it = "In simulated traffic, it" if simulated else "It"
        head = f"{it} cannot be told yet whether clean-up of {name} is working"
        why = _open(rule, fitted, trend, failed, minimum_days=minimum_days, slowest=slowest)
        if again is not None:
            why = f"{why.removesuffix('.')}; judge again with --since {again.isoformat()}."
        return f"{head}: {why}"
    assert trend is not None
    assert window is not None
    what = f"the number of {who(fitted.vantage)}, counted per hour as {UNIT_WORDS[fitted.unit]},"
    when = f"from {span(window)}"
    interval = f"{trend.level * 100:g} % interval"
    fall = f"fell by {_percent(percent_a_day(trend.rate))} a day ({interval} {_range(trend)})"
    if rule.outcome == "growing":
        rise, low, high = (-percent_a_day(rate) for rate in (trend.rate, trend.high, trend.low))
        return (
            f"{'In simulated traffic, ' * simulated}{name} is growing: {when} {what} rose by "
            f"{_percent(rise)} a day ({interval} {_percent(low)} to {_percent(high)})."
        )
    if rule.outcome == "effective":
        return f"{clean_up} is effective: {when} {what} {fall}, which halves it {_halving(trend)}."
    if rule.outcome == "working":
        return (
            f"{clean_up} is working: {when} {what} {fall}; whether it halves within "
            f"{slowest:g} days is still open."
        )
    failure = f"{clean_up} has not been effective: {when} {what}"
    excluded = f"halving within {slowest:g} days is ruled out"
    if trend.low > 0:
        return (
            f"{failure} is falling, but too slowly: it {fall}, which halves it {_halving(trend)}; "
            f"{excluded}."
        )
    return f"{failure} shows no clear fall ({_range(trend)} a day, {interval}); {excluded}."


def fitted_window(fitted: Series) -> Window | None:
    """Return the window from the first to the end of the last fitted day; null if there is none."""
    if not len(fitted.days):
        return None
    return Window(day_start(int(fitted.days[0])), day_start(int(fitted.days[-1]) + 1))


def _open(
    rule: Rule,
    fitted: Series,
    trend: Trend | None,
    failed: Sequence[Guard],
    *,
    minimum_days: int,
    slowest: float,
) -> str:
    """Return why it cannot be told, as the end of a sentence."""
    if rule.id == "no_period":
        return (
            f"the sources of vantage {fitted.vantage} hold hits only and do not say for which time "
            "they are complete, so an hour without a hit may be one in which nobody looked; state "
            "it by ingesting them again with --period FROM/UNTIL."
        )
    days = len(fitted.days)
    window = fitted_window(fitted)
    if window is None:
        return (
            "there is no complete day of data after the takedown, and at least "
            f"{minimum_days} are needed."
        )
    when = f"from {span(window)}"
    if rule.id == "too_few_days":
        plural = "is 1 complete day" if days == 1 else f"are {days} complete days"
        return (
            f"there {plural} of data after the takedown ({when}), at least {minimum_days} are "
            "needed."
        )
    if rule.id == "no_trend":
        seen = "no" if not fitted.values.any() else "hardly any"
        return f"on {days} complete days {when} there were {seen} {who(fitted.vantage)}."
    if rule.id == "guard_failed":
        why = failed[0].sentence
        return why[0].lower() + why[1:]
    assert trend is not None
    return (
        f"{when} the daily change of the number of {who(fitted.vantage)}, counted per hour as "
        f"{UNIT_WORDS[fitted.unit]}, lies between {_signed(trend.high)} and {_signed(trend.low)} "
        f"({trend.level * 100:g} % interval), while halving within {slowest:g} days takes "
        f"{_signed(math.log(2) / slowest)}."
    )


def _range(trend: Trend) -> str:
    """Return the limits as falls in percent; a rise is said as such."""
    low, high = percent_a_day(trend.low), percent_a_day(trend.high)
    if low >= 0:
        return f"{_percent(low)} to {_percent(high)}"
    if high <= 0:
        return f"a rise of {_percent(-high)} to {_percent(-low)}"
    return f"between a rise of {_percent(-low)} and a fall of {_percent(high)}"


def _signed(rate: float) -> str:
    """Return a daily change with its sign: a fall is negative."""
    change = -percent_a_day(rate)
    sign = "+" if change > 0 else "-" if change < 0 else ""
    return f"{sign}{_percent(abs(change))}"


def _percent(value: float) -> str:
    return f"{value:.2f} %" if abs(value) < 1 else f"{value:.1f} %"


def _halving(trend: Trend) -> str:
    value, low, high = (half_life(rate) for rate in (trend.rate, trend.high, trend.low))
    assert value is not None
    assert low is not None
    limit = f"{low:.0f} to {high:.0f}" if high is not None else f"{low:.0f} or more"
    return f"every {value:.0f} days ({limit})"

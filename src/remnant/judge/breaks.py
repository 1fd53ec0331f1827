"""Whether the fall rests on one break of the curve, and what is on record for its date.

Breaks are evidence beside the verdict, not a rule of it: a sensor, the watchlist or the coverage
that changed inside the fitted days has a guard of its own. This check says on which dates the curve
broke, what happened then, and whether a fall would be there without the step.
"""

from __future__ import annotations

import math
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from remnant.errors import printable
from remnant.estimate.changepoints import Cause, Changepoint, annotate, find
from remnant.estimate.coverage import sensors
from remnant.estimate.online import day_start
from remnant.judge.guards import Guard, watch_changes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from remnant.estimate.changepoints import CauseKind
    from remnant.estimate.online import Series
    from remnant.judge.guards import Ground

__all__ = ["MINIMUM_DAYS", "causes", "check_breaks", "rests_on"]

MINIMUM_DAYS: Final = 28
"""Two pieces of 14 days."""

TECHNICAL: Final = frozenset({"sensor", "watchlist", "coverage", "outage"})
"""Causes that change what is seen and not how many are infected."""

_DAY: Final = timedelta(days=1)
_CARRIED: Final = 0.5
_MOST_SHOWN: Final = 4
_TEXT: Final = 120


def check_breaks(
    ground: Ground | None, after: Series, added: Iterable[tuple[str, datetime]] = ()
) -> Guard:
    """Return what the breaks of the fitted days say.

    Failed if a step carries half of the fall or more, and a sensor, the watchlist, an outage or a
    gap of the coverage coincides with it; info if there are other breaks; passed if there is none.

    Args:
        ground: what the guards look at; null where no trend could be fitted.
        after: all days after the takedown, gaps among them.
        added: indicators that a later version of the case added, with when (UTC).
    """
    if ground is None or len(ground.kept.days) < MINIMUM_DAYS:
        text = f"Breaks of the curve need {MINIMUM_DAYS} fitted days: two pieces of 14."
        return Guard("breaks", "unavailable", text)
    kept = ground.kept
    found = annotate(
        find(kept.days, kept.values, kept.exposure, ground.trend), causes(ground, after, added)
    )
    if not found:
        return Guard("breaks", "passed", "One line fits the whole: the curve has no clear break.")
    facts: dict[str, object] = {
        "breaks": [
            {
                "day": f"{one.day:%Y-%m-%d}",
                "low": f"{one.low:%Y-%m-%d}",
                "high": f"{one.high:%Y-%m-%d}",
                "log_jump": one.jump,
                "rate_before": one.rate_before,
                "rate_after": one.rate_after,
                "causes": [printable(cause.text, _TEXT) for cause in one.causes],
            }
            for one in found
        ]
    }
    step = rests_on(found, int(kept.days[0]), int(kept.days[-1]))
    if step is not None and ground.trend.low > 0:
        blamed = [cause for cause in step.causes if cause.kind in TECHNICAL]
        if blamed:
            what = "; ".join(printable(cause.text, _TEXT) for cause in blamed[:_MOST_SHOWN])
            text = (
                f"Most of the fall is one step, {_told(step)}, and something else changed: {what}."
            )
            return Guard("breaks", "failed", text, day_start(_day_after(step)), facts)
    shown = "; ".join(
        f"{_told(one)}: {printable(one.explanation, 2 * _TEXT)}" for one in found[:_MOST_SHOWN]
    )
    plural = "break" if len(found) == 1 else "breaks"
    return Guard("breaks", "info", f"The curve has {len(found)} {plural}: {shown}.", None, facts)


def rests_on(found: Iterable[Changepoint], first: int, last: int) -> Changepoint | None:
    """Return the break whose step is half of the whole fall or more; null if none is.

    Args:
        found: the breaks, in order.
        first: first fitted day (days since 1970-01-01 UTC).
        last: last fitted day.
    """
    breaks = list(found)
    if not breaks:
        return None
    edges = [day_start(first), *(one.day for one in breaks), day_start(last + 1)]
    rates = [breaks[0].rate_before, *(one.rate_after for one in breaks)]
    day = timedelta(days=1)
    fall = sum(
        rate * ((until - since) / day)
        for rate, since, until in zip(rates, edges[:-1], edges[1:], strict=True)
    ) - sum(one.jump for one in breaks)
    largest = min(breaks, key=lambda one: one.jump)
    if fall <= 0 or -largest.jump < _CARRIED * fall:
        return None
    return largest


def causes(
    ground: Ground, after: Series, added: Iterable[tuple[str, datetime]] = ()
) -> list[Cause]:
    """Return everything on record inside the fitted days that may bend the curve."""
    window = ground.window
    kinds: dict[str, CauseKind] = {
        "notice": "notice",
        "outage": "outage",
        "names_added": "watchlist",
        "names_lost": "watchlist",
    }
    known = [
        Cause(
            event.time,
            kinds.get(event.kind, "event"),
            f"{event.kind.replace('_', ' ')} on {event.time:%Y-%m-%d}"
            + (f" ({event.note})" if event.note else ""),
        )
        for event in ground.case.events
        if event.time in window
    ]
    told = {cause.time for cause in known}
    known += [
        Cause(time, "watchlist", words)
        for time, words in watch_changes(ground.case, window)
        if time not in told
    ]
    known += [
        Cause(time, "watchlist", f"{text} added to the case on {time:%Y-%m-%d}")
        for text, time in added
        if time in window
    ]
    for span in sensors(ground.view, ground.kept.vantage):
        ends = [(span.first, "appeared"), (span.last, "delivered for the last time")]
        if span.retired is not None:
            ends.append((span.retired.astimezone(UTC), "was retired"))
        known += [
            Cause(time, "sensor", f"sensor {span.sensor} {word} on {time:%Y-%m-%d}")
            for time, word in ends
            if window.since + _DAY <= time < window.until - _DAY
        ]
    return known + _gaps(ground, after)


def _gaps(ground: Ground, after: Series) -> list[Cause]:
    """Return the first day of each run of days that are left out."""
    inside = (after.days > ground.kept.days[0]) & (after.days < ground.kept.days[-1])
    missing = after.days[inside & ~after.complete].tolist()
    runs: list[list[int]] = []
    for day in missing:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return [
        Cause(
            day_start(run[0]),
            "coverage",
            f"{len(run)} {'day' if len(run) == 1 else 'days'} without full coverage from "
            f"{day_start(run[0]):%Y-%m-%d}",
        )
        for run in runs
    ]


def _told(one: Changepoint) -> str:
    when = f"{one.day:%Y-%m-%d}"
    if one.low != one.high:
        when += f" ({one.low:%Y-%m-%d} to {one.high:%Y-%m-%d})"
    return f"{_percent(one.jump)} on {when}"


def _percent(jump: float) -> str:
    return f"{100.0 * math.expm1(min(jump, 50.0)):+.3g} %"


def _day_after(one: Changepoint) -> int:
    return int((one.high - day_start(0)) / _DAY) + 1

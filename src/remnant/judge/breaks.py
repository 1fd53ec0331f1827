"""On which dates the curve broke, what is on record for them, and whether the fall rests on a step.

Hosts that are cleaned one after another make a slope. A step is something else: many that moved to
names which nobody watches, names lost, a sensor, or one large clean-up. Where what is said of the
clean-up would not be said of the days between the steps, or a step is a quarter of the fall, the
guard ``step`` keeps the verdict open, unless a notice on record explains the step.

All breaks are evidence beside it: which test found them, what happened then, whether the other
views broke too, and on how many days stands what can be said of the time since.
"""

from __future__ import annotations

import math
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from remnant.errors import printable
from remnant.estimate.changepoints import Cause, Changepoint, annotate, find
from remnant.estimate.coverage import sensors, vantages
from remnant.estimate.decay import fit
from remnant.estimate.measures import who
from remnant.estimate.online import day_start, series
from remnant.judge.guards import Guard, watch_changes
from remnant.judge.wording import percent_a_day

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from remnant.estimate.changepoints import CauseKind
    from remnant.estimate.decay import Trend
    from remnant.estimate.online import Series
    from remnant.judge.guards import Ground

__all__ = ["MINIMUM_DAYS", "causes", "check_breaks", "check_step", "find_breaks"]

MINIMUM_DAYS: Final = 28
"""Two pieces of 14 days."""

HOSTS: Final = frozenset({"sinkhole_http", "sinkhole_tcp", "flow"})
"""Vantages at which infected hosts arrive."""

LOOKUPS: Final = frozenset({"resolver", "sinkhole_dns", "authority"})
"""Vantages at which names are looked up."""

_TOO_FEW: Final = f"Breaks of the curve need {MINIMUM_DAYS} fitted days: two pieces of 14."

_FOUND_BY: Final = {
    "search": "found by the search over all days",
    "date": "found by the test at dates on record",
    "both": "found by the search over all days and by the test at dates on record",
}
_DAY: Final = timedelta(days=1)
_CARRIED: Final = 0.25
_MOST_SHOWN: Final = 4
_TEXT: Final = 120


def find_breaks(
    ground: Ground | None, after: Series, added: Iterable[tuple[str, datetime]] = ()
) -> list[Changepoint] | None:
    """Return the breaks of the fitted days with what is on record; null if they are too few.

    Args:
        ground: what the guards look at; null where no trend could be fitted.
        after: all days after the takedown, gaps among them.
        added: indicators that a later version of the case added, with when (UTC).
    """
    if ground is None or len(ground.kept.days) < MINIMUM_DAYS:
        return None
    kept = ground.kept
    known = causes(ground, after, added)
    times = [cause.time for cause in known]
    return annotate(find(kept.days, kept.values, kept.exposure, times), known)


def check_step(ground: Ground | None, found: list[Changepoint] | None) -> Guard:
    """Return whether what looks like clean-up is a step, or comes with one that shows otherwise.

    Failed where the trend falls, a step down has no notice on record, and either that step carries
    a quarter of the fall or more, or the fall (or that it is fast enough) cannot be told where the
    steps are fitted beside it. Who left at once was hardly cleaned, and then the slope may be made
    by the same that made the step.
    """
    if ground is None or found is None:
        return Guard("step", "unavailable", _TOO_FEW)
    trend, kept = ground.trend, ground.kept
    steps = [one for one in found if one.jump_high < 0.0 or one.jump_low > 0.0]
    down = [one for one in steps if one.jump < 0.0]
    if not down or trend.low <= 0.0 or trend.high < ground.r_min:
        return Guard("step", "passed", "No step of the curve makes it look like clean-up.")
    unexplained = [one for one in down if all(cause.kind != "notice" for cause in one.causes)]
    if not unexplained:
        text = f"A notice is on record for the step of the curve, {_step(down[-1])}."
        return Guard("step", "passed", text)
    facts: dict[str, object] = {"steps": [f"{one.day:%Y-%m-%d}" for one in unexplained]}
    largest = min(unexplained, key=lambda one: one.jump)
    on_record = "; ".join(printable(cause.text, _TEXT) for cause in largest.causes[:_MOST_SHOWN])
    step = f"{_step(largest)} ({on_record or 'nothing is on record for it'})"
    between = fit(
        kept.days,
        kept.values,
        kept.exposure,
        level=trend.level,
        steps=[(int((one.day - day_start(0)) / _DAY), one.takes) for one in steps],
    )
    fast = trend.low > ground.r_min
    if between is None or between.low <= (ground.r_min if fast else 0.0):
        claim = "That clean-up is fast enough" if fast else "What looks like clean-up"
        text = f"{claim} rests on a step, {step}"
        if between is not None:
            facts["rate_between"] = {"low": between.low, "high": between.high}
            text += (
                f": beside it the change is {_a_day(between.high)} to {_a_day(between.low)} a day"
            )
    else:
        days = int(kept.days[-1] - kept.days[0])
        share = -largest.jump / (days * between.rate - sum(one.jump for one in steps))
        facts["share"] = share
        if share < _CARRIED:
            text = f"The steps of the curve carry little of the fall; the largest is {step}."
            return Guard("step", "passed", text, None, facts)
        text = f"{100 * share:.0f} % of the fall is one step, {step}"
    text += "; many hosts at once may have moved to names that the case does not watch"
    if not largest.causes:
        text += " (if they were cleaned, put the notice on record)"
    clear_from = day_start(max(map(_day_after, unexplained)))
    return Guard("step", "failed", f"{text}.", clear_from, facts)


def check_breaks(
    ground: Ground | None, found: list[Changepoint] | None, *, minimum_days: int = 14
) -> Guard:
    """Return what the breaks of the fitted days say: info if there are any, passed if not.

    Args:
        ground: what the guards look at; null where no trend could be fitted.
        found: what ``find_breaks`` found.
        minimum_days: complete days that a verdict needs, and what is said of the days since.
    """
    if ground is None or found is None:
        return Guard("breaks", "unavailable", _TOO_FEW)
    if not found:
        return Guard("breaks", "passed", "One line fits the whole: the curve has no clear break.")
    last = found[-1]
    since, rate = _since(ground, last, minimum_days)
    views = _views(ground, last)
    facts: dict[str, object] = {
        "breaks": [_facts(one) for one in found],
        "days_since": rate.n if rate is not None else 0,
        "rate_since": None if rate is None else {"low": rate.low, "high": rate.high},
        "other_views": views,
    }
    shown = "; ".join(
        f"{_told(one)}: {printable(one.explanation, 2 * _TEXT)}" for one in found[:_MOST_SHOWN]
    )
    plural = "break" if len(found) == 1 else "breaks"
    text = f"The curve has {len(found)} {plural}: {shown}. {since}{_without(ground, last)}"
    text += "".join(f" {words}" for words in _meaning(ground.kept.vantage, last, views))
    return Guard("breaks", "info", text, None, facts)


def _facts(one: Changepoint) -> dict[str, object]:
    return {
        "day": f"{one.day:%Y-%m-%d}",
        "low": f"{one.low:%Y-%m-%d}",
        "high": f"{one.high:%Y-%m-%d}",
        "log_jump": one.jump,
        "log_jump_low": one.jump_low,
        "log_jump_high": one.jump_high,
        "rate_before": one.rate_before,
        "rate_after": one.rate_after,
        "found_by": one.found_by,
        "chance": one.chance,
        "causes": [printable(cause.text, _TEXT) for cause in one.causes],
    }


def _since(ground: Ground, last: Changepoint, minimum_days: int) -> tuple[str, Trend | None]:
    """Return what the days after a break say by themselves, in words, and their trend."""
    kept = ground.kept
    later = kept.on(kept.days >= _day_after(last))
    count = len(later.days)
    days = "day" if count == 1 else "days"
    trend = later.trend(level=ground.trend.level)
    if count < minimum_days or trend is None:
        return (
            f"What goes on since then stands on {count} {days}, and {minimum_days} are needed: "
            "cannot tell yet.",
            trend,
        )
    said = (
        f"The {count} {days} since then change by {_a_day(trend.high)} to {_a_day(trend.low)} a "
        f"day by themselves"
    )
    if trend.low <= 0.0 and trend.high >= ground.r_min:
        return f"{said}: too few to tell yet whether clean-up goes on.", trend
    return f"{said}.", trend


def _without(ground: Ground, last: Changepoint) -> str:
    """Return how fast the curve falls beside a step, where the verdict's line has it in it."""
    if last.jump_low <= 0.0 <= last.jump_high:
        return ""
    return (
        f" The line of the verdict ({_a_day(ground.trend.rate)} a day) has the step in it; before "
        f"the step it is {_a_day(last.rate_before)} a day."
    )


def _views(ground: Ground, one: Changepoint) -> list[dict[str, object]]:
    """Return whether the other vantages break on the same date: no search, the date is given."""
    told: list[dict[str, object]] = []
    middle = one.day
    for vantage in vantages(ground.view):
        if vantage == ground.kept.vantage:
            continue
        made = series(ground.view, ground.window, vantage)
        kept = made.on(made.complete)
        if len(kept.days) < MINIMUM_DAYS:
            continue
        near = [
            other
            for other in find(kept.days, kept.values, kept.exposure, [middle])
            if other.low - _DAY <= one.high and one.low <= other.high + _DAY
        ]
        same = next((other for other in near if (other.jump < 0) == (one.jump < 0)), None)
        told.append(
            {"vantage": vantage, "breaks": same is not None}
            | (
                {}
                if same is None
                else {
                    "log_jump": same.jump,
                    "log_jump_low": same.jump_low,
                    "log_jump_high": same.jump_high,
                }
            )
        )
    return told


def _meaning(vantage: str, last: Changepoint, views: list[dict[str, object]]) -> list[str]:
    """Return what the views say together about a step, in words; nothing where there is one."""
    words = []
    for view in views:
        if view["breaks"]:
            low, high = (
                _percent(float(str(view[key]))) for key in ("log_jump_low", "log_jump_high")
            )
            words.append(f"On the same date, {who(str(view['vantage']))} step by {low} to {high}.")
        else:
            words.append(f"In {who(str(view['vantage']))} there is no such step.")
    if last.jump_high >= 0:
        return words
    stepped = {vantage} | {str(view["vantage"]) for view in views if view["breaks"]}
    steady = {str(view["vantage"]) for view in views if not view["breaks"]}
    if stepped & HOSTS and stepped & LOOKUPS:
        words.append(
            "Lookups and arrivals fell together, so hosts stopped asking for the watched names."
        )
        if not last.causes:
            words.append(
                "Hosts that are cleaned one after another make no step: many at once have moved to "
                "names that the case does not watch, or were cleaned by one action that is not on "
                "record. What moved is infected still; look for new names before this is called "
                "clean-up."
            )
    elif stepped & HOSTS and steady & LOOKUPS:
        words.append(
            "Hosts still look the names up and no longer arrive: blocked or led elsewhere, not "
            "cleaned."
        )
    elif stepped & LOOKUPS and steady & HOSTS:
        words.append("Hosts still arrive, so what fell is what is seen of the lookups.")
    return words


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


def _step(one: Changepoint) -> str:
    """Return a step and its date, briefly."""
    limits = f"{_percent(one.jump_low)} to {_percent(one.jump_high)}"
    return f"{_percent(one.jump)} ({limits}) on {one.day:%Y-%m-%d}"


def _told(one: Changepoint) -> str:
    when = f"{one.day:%Y-%m-%d}"
    if one.low != one.high:
        when += f" ({one.low:%Y-%m-%d} to {one.high:%Y-%m-%d})"
    if one.takes > 1:
        when += f" within {one.takes} days"
    if one.jump_low <= 0.0 <= one.jump_high:
        what = f"a bend (from {_a_day(one.rate_before)} to {_a_day(one.rate_after)} a day)"
    else:
        what = f"{_percent(one.jump)} ({_percent(one.jump_low)} to {_percent(one.jump_high)})"
    return f"{what} on {when}, {_FOUND_BY[one.found_by]}"


def _a_day(rate: float) -> str:
    return f"{-percent_a_day(rate):+.2f} %"


def _percent(jump: float) -> str:
    return f"{100.0 * math.expm1(min(jump, 50.0)):+.3g} %"


def _day_after(one: Changepoint) -> int:
    """Return the first day on which a change is over, wherever in its interval it began."""
    over = max(one.high, one.day + (one.takes - 1) * _DAY)
    return int((over - day_start(0)) / _DAY) + 1

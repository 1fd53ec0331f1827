"""Curves from the exact roll-ups: at once, whatever the size of the store, small counts included.

For those who may see small counts: differences of free windows would give them away. Everybody
else has the curves of the published result (``published``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant.report.facts import FULL_COVERAGE
from remnant.report.wording import UNIT_WORDS, legible
from remnant.web.curves.curve import Curve, Point
from remnant.windows import STEPS, Window, floor, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remnant.cases.model import Case
    from remnant.estimate.online import Series
    from remnant.report.facts import Mark
    from remnant.settings import Settings
    from remnant.store import View
    from remnant.windows import Step

    Fit = Callable[[datetime], tuple[float, float, float] | None]

__all__ = ["LONGEST_HOURS", "curves", "marks_of", "window_of"]

LONGEST_HOURS: Final = timedelta(days=92)
"""Hours are drawn for windows up to this: more are no curve on a screen."""

_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def window_of(view: View, since: str | None, until: str | None) -> Window:
    """Return the part of a case's data that two texts describe; without them all of it.

    Raises:
        TimeSyntaxError: a bound is no time, or the end does not lie after the start.
        NoData: the case has no traffic, or the window lies outside of it.
    """
    from remnant.errors import NoData
    from remnant.estimate.coverage import default_window

    start = parse_time(since) if since else None
    end = parse_time(until) if until else None
    if start and end:
        Window(start, end)
    whole = default_window(view)
    start, end = max(start or whole.since, whole.since), min(end or whole.until, whole.until)
    if start >= end:
        raise NoData(
            "the window lies outside the data of this case",
            where=view.case,
            expected=f"a part of {whole}",
            hint="leave out since and until for all of it",
        )
    return Window(start, end)


def curves(
    view: View,
    case: Case,
    settings: Settings,
    *,
    window: Window,
    vantage: str,
    step: Step = "day",
) -> tuple[Curve, Curve]:
    """Return clients online and requests over time.

    Args:
        view: the case.
        case: its takedown and events.
        settings: levels.
        window: what is shown.
        vantage: where it was seen.
        step: width of one point.
    """
    from remnant.estimate import coverage, online, traffic

    made = online.series(view, window, vantage)
    fit = _fit(made, case, settings)
    grain: Step = "hour" if step == "hour" else "day"
    counted: list[dict[str, Any]] = traffic.by_time(view, grain, window, vantage)
    words = UNIT_WORDS.get(made.unit, legible(made.unit, 60))
    if step == "hour":
        asked = _counts(counted, step, window, "queries")
        seen = [replace(p, fit=fit(p.start)) for p in _counts(counted, step, window, "clients")]
        mean = f"distinct {words} of each hour"
    else:
        asked = _counts(counted, "day", window, "queries")
        clients = [row["clients"] for row in counted]
        seen = _online(made, asked, clients, fit)
        mean = f"{words}, mean of the day's hourly counts"
        if step == "week":
            asked, seen = _weeks(asked, fit=None), _weeks(seen, fit=fit)
            mean = f"{words}, mean of the hourly counts of the week's complete days"
    whole = coverage.default_window(view)
    told = Curve(
        key="requests",
        title=f"Requests for watched names per {step}",
        column="requests",
        counted=f"requests per {'UTC ' if step != 'week' else ''}{step}"
        + (" (from Monday, UTC)" if step == "week" else ""),
        step=step,
        window=window,
        vantage=vantage,
        as_of=min(whole.until, window.until),
        level=settings.estimate.level,
        simulated=view.simulated,
        points=tuple(asked),
        marks=marks_of(view, case, settings, window),
        unit="queries",
    )
    levels = replace(
        told,
        key="online",
        title="Clients online at a time",
        column="online",
        counted=mean,
        points=tuple(seen),
        unit=made.unit,
    )
    return levels, told


def marks_of(view: View, case: Case, settings: Settings, window: Window) -> tuple[Mark, ...]:
    """Return the takedown, events and changes of the watchlist inside a window."""
    from remnant.cases.rules import compile_rules
    from remnant.report.intake import watchlist_age
    from remnant.report.marks import dated_marks

    def known() -> tuple[Any, Any]:
        rules = compile_rules(case)
        return rules, watchlist_age(view, case, rules, settings)[1]

    rules, added = view.known(("watched", _fingerprint(case)), known)
    return tuple(dated_marks(case, rules, added, window))


def _fingerprint(case: Case) -> int:
    # An edited case keeps its view until something is stored.
    return hash(repr(case))


def _counts(rows: Sequence[dict[str, Any]], step: Step, window: Window, column: str) -> list[Point]:
    """Return the points of observed counts; what is not whole or not covered is a gap."""
    out = []
    for row in rows:
        start = parse_time(str(row["start"]))
        share = row["coverage"]
        partial = start < window.since or start + STEPS[step] > window.until
        low = row["queries"] is None if share is None else share < FULL_COVERAGE
        out.append(Point(start, row[column], share, low or partial))
    return out


def _online(
    made: Series, days: Sequence[Point], clients: Sequence[int | None], fit: Fit
) -> list[Point]:
    """Return the daily series beside the same days' coverage."""
    values = dict(zip(made.days.tolist(), made.values.tolist(), strict=True))
    out = []
    for day, seen in zip(days, clients, strict=True):
        level = values.get((day.start - _EPOCH) // _DAY, float("nan"))
        value = None if np.isnan(level) else float(level)
        out.append(replace(day, value=value, fit=fit(day.start), clients=seen))
    return out


def _weeks(days: Sequence[Point], *, fit: Fit | None) -> list[Point]:
    """Return weeks from days: counts are summed, levels are means of the days that are no gap.

    A week of counts with a gap in it is a gap: its sum is not that of a week. A level only needs
    one day.
    """
    weeks: dict[datetime, list[Point]] = {}
    for day in days:
        weeks.setdefault(floor(day.start, "week"), []).append(day)
    out = []
    for start, found in weeks.items():
        known = [day.drawn for day in found if day.drawn is not None]
        shares = [day.coverage for day in found if day.coverage is not None]
        share = sum(shares) / len(shares) if shares else None
        if fit is None:
            counts = [day.value for day in found if isinstance(day.value, int | float)]
            total = sum(counts) if counts else None
            gap = len(found) < 7 or any(day.gap for day in found)
            out.append(Point(start, total, share, gap))
        else:
            mean = sum(known) / len(known) if known else None
            out.append(Point(start, mean, share, not known, fit(start)))
    return out


def _fit(made: Series, case: Case, settings: Settings) -> Fit:
    """Return the fitted trend as a function of time, as the verdict fits it: after the takedown."""
    after = made.since(case.takedown)
    enough = after.complete.sum() >= settings.judge.minimum_days
    trend = after.trend(level=settings.estimate.level) if enough else None
    if trend is None:
        return lambda _: None
    days = np.arange(trend.first, trend.last + 1)
    values = np.column_stack(trend.band(days)).tolist()

    def at(time: datetime) -> tuple[float, float, float] | None:
        place = (time - _EPOCH) // _DAY - trend.first
        if not 0 <= place < len(values):
            return None
        value, low, high = values[place]
        return value, low, high

    return at

"""When a verdict can be expected, by the power of the fit that will give it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from remnant.estimate.decay import days_needed
from remnant.estimate.online import day_start
from remnant.windows import ceil

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from remnant.cases.model import Case
    from remnant.estimate.decay import Trend
    from remnant.estimate.online import Series
    from remnant.judge.guards import Guard

__all__ = ["ASSUMED_PHI", "ASSUMED_SIGMA", "Outlook", "outlook"]

ASSUMED_SIGMA: Final = 0.05
"""Daily noise on the log scale until there are enough days to estimate it."""

ASSUMED_PHI: Final = 0.5
"""Lag-1 correlation of the noise until there are enough days to estimate it."""

_HORIZON_DAYS: Final = 1825
_ESTIMATE_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would make an open verdict tell.

    Attributes:
        by: the day after the last one needed (UTC), if data keep coming as now; null where more
            days alone do not help, where that cannot be said, or where it is more than five years
            of days away.
        since: from this day on there are enough days already: judge again with ``--since``.
    """

    by: date | None = None
    since: date | None = None


def outlook(
    case: Case,
    after: Series,
    trend: Trend | None,
    failed: Sequence[Guard],
    *,
    minimum_days: int,
    r_min: float,
    level: float,
    cut: bool = False,
) -> Outlook:
    """Return on which day a verdict can be expected if data keep coming as now.

    That is when no decay at all and a decay of ``r_min`` can be told apart with 80 % power; once
    that is reached and still open, when the present estimate can be told apart from ``r_min``.
    A failed guard that lacks nothing but days says how many. After any other one the days count
    from where its cause is past; where enough of them are there, no waiting is needed but a later
    start.

    Args:
        case: the case; only days after its takedown count.
        after: the days after the takedown.
        trend: their trend.
        failed: guards that failed.
        minimum_days: complete days that a verdict needs.
        r_min: the slowest clean-up worth the name (1/day).
        level: confidence level of the fit.
        cut: the window ends before the data do, so that no day will be added to it.
    """
    minimum_days = max([minimum_days, *(guard.days_needed or 0 for guard in failed)])
    failed = [guard for guard in failed if guard.days_needed is None]
    if not after.complete.any() or any(guard.clear_from is None for guard in failed):
        return Outlook()
    start = ceil(max([case.takedown, *(g.clear_from for g in failed if g.clear_from)]), "day")
    start = max(start, ceil(after.window.since, "day"))
    begun = after.since(start)
    kept = begun.on(begun.complete)
    if len(kept.days):
        start = day_start(int(kept.days[0]))
    known = trend is not None and trend.n >= _ESTIMATE_DAYS
    sigma, phi = (
        (trend.sigma, trend.phi) if trend is not None and known else (ASSUMED_SIGMA, ASSUMED_PHI)
    )
    needed = max(minimum_days, days_needed(r_min, sigma, phi, level=level))
    if not failed and needed <= len(kept.days):
        if trend is None:
            return Outlook()
        apart = max(abs(trend.rate - r_min), r_min / 10.0)
        needed = max(len(kept.days) + 7, days_needed(apart, sigma, phi, level=level))
    missing = needed - len(kept.days)
    if missing <= 0:
        return Outlook(since=start.date())
    if cut or needed > _HORIZON_DAYS:
        return Outlook()
    last = int(begun.days[-1]) if len(begun.days) else int((start - day_start(0)).days) - 1
    # The running day may still become complete.
    last = int(kept.days[-1]) if len(kept.days) and last - kept.days[-1] == 1 else last
    return Outlook(by=(day_start(last) + timedelta(days=missing + 1)).date())

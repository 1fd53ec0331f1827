"""When a verdict can be expected, by the power of the fit that will give it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from remnant.estimate.coverage import HITS_ONLY
from remnant.estimate.decay import days_needed
from remnant.estimate.online import day_start
from remnant.windows import ceil, floor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from remnant.cases.model import Case
    from remnant.estimate.decay import Trend
    from remnant.estimate.online import Series
    from remnant.judge.guards import Guard

__all__ = ["ASSUMED_PHI", "ASSUMED_SIGMA", "can_tell_by"]

ASSUMED_SIGMA: Final = 0.05
"""Daily noise on the log scale until there are enough days to estimate it."""

ASSUMED_PHI: Final = 0.5
"""Lag-1 correlation of the noise until there are enough days to estimate it."""

_HORIZON_DAYS: Final = 1825
_ESTIMATE_DAYS: Final = 14


def can_tell_by(
    case: Case,
    after: Series,
    trend: Trend | None,
    failed: Sequence[Guard],
    *,
    minimum_days: int,
    r_min: float,
    level: float,
) -> date | None:
    """Return the first day on which a verdict can be expected if data keep coming as now.

    That is when no decay at all and a decay of ``r_min`` can be told apart with 80 % power; once
    that is reached and still open, when the present estimate can be told apart from ``r_min``.
    After a failed guard the days count from where its cause is past.

    Returns:
        The day after the last one needed (UTC); null where more days alone do not help, or where
        it is more than five years of days away.
    """
    if after.vantage in HITS_ONLY or any(guard.clear_from is None for guard in failed):
        return None
    start = ceil(max([case.takedown, *(g.clear_from for g in failed if g.clear_from)]), "day")
    start = max(start, floor(after.window.since, "day"))
    begun = after.since(start)
    kept = begun.on(begun.complete)
    if len(kept.days):
        start = day_start(int(kept.days[0]))
    known = trend is not None and trend.n >= _ESTIMATE_DAYS
    sigma, phi = (
        (trend.sigma, trend.phi) if trend is not None and known else (ASSUMED_SIGMA, ASSUMED_PHI)
    )
    needed = max(minimum_days, days_needed(r_min, sigma, phi, level=level))
    if trend is not None and known and not failed and needed <= len(kept.days):
        apart = max(abs(trend.rate - r_min), r_min / 10.0)
        needed = max(len(kept.days) + 7, days_needed(apart, sigma, phi, level=level))
    if needed > _HORIZON_DAYS:
        return None
    missing = needed - len(kept.days)
    if missing <= 0:
        # After a changed watchlist the clean days may be there already: --since takes them.
        return day_start(int(kept.days[needed - 1]) + 1).date()
    last = int(begun.days[-1]) if len(begun.days) else int((start - day_start(0)).days) - 1
    # The running day may still become complete.
    last = int(kept.days[-1]) if len(kept.days) and last - kept.days[-1] == 1 else last
    return (day_start(last) + timedelta(days=missing + 1)).date()

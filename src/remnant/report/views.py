"""Two views of the same botnet, and who was left out, as a report may publish them.

What stands here must not give away what is hidden elsewhere: a mean with a hidden day in it is
hidden, and so is a share from which a small count follows.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from remnant.report.closure import small
from remnant.report.facts import Bystanders, SideFacts, TwoViews, ViewDay
from remnant.report.suppress import Hidden, suppress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remnant.estimate import Estimate
    from remnant.estimate.vantage_pairs import Comparison
    from remnant.report.facts import Day

__all__ = ["left_out", "two_views"]

_NOON = timedelta(hours=12)


def two_views(found: Comparison | None, days: Sequence[Day], minimum: int) -> TwoViews | None:
    """Return the comparison with small counts hidden; null where there is none.

    Args:
        found: two vantages on one scale.
        days: the days of the report, as published, of its own vantage.
        minimum: the smallest count that is shown.
    """
    from remnant.estimate.online import day_start  # noqa: PLC0415 - rooms load when used

    if found is None:
        return None
    closed = {day.start for day in days if isinstance(day.online, Hidden)}
    rows = []
    for n, day in enumerate(found.days.tolist()):
        start = day_start(day)
        pair = []
        for value in found.values[:, n].tolist():
            point = None if np.isnan(value) else small(value, minimum)
            hidden = start in closed and isinstance(point, float) and point > 0
            pair.append(Hidden.LINKED if hidden else point)
        rows.append(ViewDay(start, pair[0], pair[1]))
    sides = []
    for n, side in enumerate(found.sides):
        hourly: float | Hidden = small(side.hourly, minimum) or 0.0
        points = [row.left if n == 0 else row.right for row in rows]
        if not isinstance(hourly, Hidden) and hourly and _any_hidden(points):
            hourly = Hidden.LINKED
        sides.append(
            SideFacts(side.vantage, side.counts, side.unit, hourly, side.networks, side.share)
        )
    told = {estimate.quantity: estimate for estimate in found.estimates}
    closed_both = _closed(found.matched, minimum)
    return TwoViews(
        scale=found.scale,
        hours=found.hours,
        sides=(sides[0], sides[1]),
        days=tuple(rows),
        networks=found.networks,
        both=_value(told.get("seen_at_both"), closed_both, minimum),
        reach=_interval(told.get("reach_ratio"), closed_both),
        hosts=_interval(told.get("two_vantage_hosts"), closed_both, minimum),
        refusal=_refusal(told),
    )


def left_out(kinds: Mapping[str, int], minimum: int) -> Bystanders:
    """Return how many clients of each kind were left out, with small counts hidden."""
    counts, known = suppress(list(kinds.values()), minimum)
    total = small(sum(kinds.values()), minimum)
    if not known and not isinstance(total, Hidden):
        total = Hidden.LINKED
    return Bystanders(total, tuple(zip(kinds, counts, strict=True)))


def _any_hidden(points: Sequence[object]) -> bool:
    return any(isinstance(point, Hidden) for point in points)


def _closed(matched: tuple[float, float, float] | None, minimum: int) -> bool:
    """Return whether who was seen at both gives away a small rest that was seen at one only."""
    if matched is None:
        return False
    left, right, both = matched
    return any(isinstance(small(rest, minimum), Hidden) for rest in (left - both, right - both))


def _value(made: Estimate | None, closed: bool, minimum: int) -> float | Hidden | None:
    if made is None or made.value is None:
        return None
    value = small(made.value, minimum)
    return Hidden.LINKED if closed and not isinstance(value, Hidden) and value else value


def _interval(
    made: Estimate | None,
    closed: bool,
    minimum: int = 0,
) -> tuple[float, float | None, float | None] | Hidden | None:
    if made is None or made.value is None:
        return None
    if closed or (0 < made.value < minimum):
        return Hidden.LINKED
    return made.value, made.low, made.high


def _refusal(told: Mapping[str, Estimate]) -> str:
    made = told.get("two_vantage_hosts")
    return "" if made is None or made.refusal is None else made.refusal

"""Whether so many clients were seen that the pace of a clean-up can be told at all.

The trend's interval comes from how days differ. A handful of clients that are there every day leave
no difference, and an interval of no width. Yet each of them is cleaned or not by chance: of ten
hosts that are cleaned at a half-life of 180 days, none is in four weeks one time in three. So what
the verdict rules out is tried on the clients one by one, as a binomial number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from remnant.judge.guards import Guard

if TYPE_CHECKING:
    from remnant.judge.guards import Ground

__all__ = ["check_few_clients"]


def check_few_clients(ground: Ground | None) -> Guard:
    """Return whether what the verdict rules out is ruled out by the number of clients, too.

    Failed where as few clients gone (or, for a fast clean-up, as many) would be no surprise at
    ``r_min``: one-sided, at half of what the trend's level leaves. ``days_needed`` then is when so
    many clients of whom none is gone would say enough.
    """
    if ground is None:
        return Guard("few_clients", "unavailable", "Not checked: no trend could be fitted.")
    trend, kept = ground.trend, ground.kept
    days = int(kept.days[-1] - kept.days[0])
    clients = max(1, round(float(trend.band(kept.days[:1])[0][0])))
    gone = max(0.0, clients * -math.expm1(-trend.rate * days))
    pace = -math.expm1(-ground.r_min * days)
    facts: dict[str, object] = {"clients": clients, "gone": gone, "gone_at_r_min": clients * pace}
    if trend.high < ground.r_min:
        chance = _at_most(math.floor(gone), clients, pace)
        few = "no more than"
    elif trend.low > ground.r_min:
        chance = 1.0 - _at_most(math.floor(gone) - 1, clients, pace)
        few = "as many as"
    else:
        return Guard("few_clients", "passed", _enough(clients), None, facts)
    facts["chance"] = chance
    if chance <= (1.0 - trend.level) / 2.0:
        return Guard("few_clients", "passed", _enough(clients), None, facts)
    needed = 1 + math.ceil(-math.log((1.0 - trend.level) / 2.0) / (clients * ground.r_min))
    facts["days_needed"] = needed
    plural = "client is" if clients == 1 else "clients are"
    text = (
        f"Only {clients} {plural} seen at a time: of so few, {few} {gone:.1f} gone in {days} days "
        f"can be chance ({100 * chance:.0f} %) where {clients * pace:.1f} are cleaned on average, "
        "the slowest pace that counts."
    )
    return Guard("few_clients", "failed", text, None, facts, needed)


def _enough(clients: int) -> str:
    return f"The number of clients seen at a time ({clients:,}) allows for what is said."


def _at_most(count: int, clients: int, share: float) -> float:
    """Return the chance that at most so many of the clients are gone."""
    from scipy.special import bdtr  # noqa: PLC0415 - heavy

    if count < 0:
        return 0.0
    return 1.0 if count >= clients else float(bdtr(count, clients, share))

"""Years of logs whose lines say none, when several are read together.

A person says one year, that of the earliest line; rotated logs around the end of December lie in
two of them, and the order of their names is often the reverse of the order of their lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remnant.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["years_of"]

_DAYS: Final = 366
_HALF: Final = 183


def years_of(days: Sequence[int], year: int) -> list[int]:
    """Return the year of each log's first line.

    Logs that begin within half a year of each other have one order only. Otherwise they are all of
    the one year, if they come in the order of its days.

    Args:
        days: the day of the year of each log's first line, 0 to 365 as in a leap year.
        year: the year of the earliest line.

    Raises:
        FormatError: the logs begin more than half a year apart and out of order.
    """
    if not days:
        return []
    known = sorted(set(days))
    # The longest time of the year in which no log begins is the time outside them.
    before = [known[-1] - _DAYS, *known[:-1]]
    gap, first = max((day - last, day) for last, day in zip(before, known, strict=True))
    if gap > _HALF:
        return [year + (day < first) for day in days]
    if list(days) == sorted(days):
        return [year] * len(days)
    raise FormatError(
        "the logs do not say their years, and begin more than half a year apart",
        got=f"{len(days)} logs and one --year",
        expected="logs of one half year, or in the order of their days",
        hint="read the logs of each year in a run of their own, each with its --year",
    )

"""Kernels that read the times at the beginning of a log line.

Programs and syslog write them in many forms, and a line that was relayed may have several. Which
of them counts is decided here, the same for every format.

References:
    RFC 3164 section 4.1.2 (``Apr  8 12:00:00``), RFC 3339 and RFC 5424 section 6.2.3 (ISO), C's
    ``asctime`` (``Wed Apr  8 12:00:00 2015``), BIND 9 lib/isc/time.c (``08-Apr-2015 12:00:00``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture.text_fields import (
    BAD,
    DAY_US,
    days_from_civil,
    parse_clock,
    parse_iso,
    parse_uint,
    token_end,
)
from remnant.wire import Bytes, Int, fold_byte, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "LOCAL",
    "NO_YEAR_TIME",
    "STAMP_COLUMNS",
    "TIME",
    "month_at",
    "no_stamp",
    "take_stamp",
    "take_utc",
]

NO_YEAR_TIME: Final = BAD + 1
"""The time of a line that says no year, while none is known."""

TIME: Final = 0
LOCAL: Final = 1
_ZONED: Final = 2
STAMP_COLUMNS: Final = 3
"""Length of the array that holds the time of a line: the time in UTC microseconds (``BAD``: none),
whether it has no zone (1 or 0), and whether a zone was written."""


def _packed(words: str) -> npt.NDArray[np.int64]:
    """Return words of three letters as numbers, the first letter lowest."""
    return np.array([int.from_bytes(word.encode(), "little") for word in words.split()], np.int64)


_MONTHS: Final = _packed("jan feb mar apr may jun jul aug sep oct nov dec")
_WEEKDAYS: Final = _packed("mon tue wed thu fri sat sun")
_HALF_YEAR: Final = 6


@kernel
def _word_of_three(view: Bytes, i: Int, words: npt.NDArray[np.int64]) -> Int:
    letters = (
        fold_byte(int64(view[i]))
        | (fold_byte(int64(view[i + 1])) << 8)
        | (fold_byte(int64(view[i + 2])) << 16)
    )
    for word in range(words.size):
        if words[word] == letters:
            return word + 1
    return 0


@kernel
def month_at(view: Bytes, i: Int) -> Int:
    """Return 1 to 12 for the English month of three letters at ``i``, or 0."""
    return _word_of_three(view, i, _MONTHS)


@kernel
def _year_of(month: Int, year: npt.NDArray[np.int64]) -> Int:
    """Return the year of a month in a log whose lines are nearly in order; it may move on."""
    if year[1] > 0 and month > year[1] + _HALF_YEAR:
        return year[0] - 1
    if year[1] > 0 and month < year[1] - _HALF_YEAR:
        year[0] += 1
    year[1] = month
    return year[0]


@kernel
def _day_and_clock(view: Bytes, i: Int, stop: Int) -> tuple[Int, Int, Int]:
    """Return (day, microseconds of the day, position after) of `` 8 12:00:00``; ``BAD`` if none."""
    if i < stop and view[i] == 32:
        i += 1
    day_end = token_end(view, i, stop)
    if day_end >= stop:
        return BAD, BAD, -1
    clock_end = token_end(view, day_end + 1, stop)
    day = parse_uint(view, i, day_end)
    clock = parse_clock(view, day_end + 1, clock_end)
    if day < 1 or day > 31 or clock == BAD:
        return BAD, BAD, -1
    return day, clock, clock_end


@kernel
def _stamp(view: Bytes, i: Int, stop: Int, year: npt.NDArray[np.int64]) -> tuple[Int, bool, Int]:
    """Return (time, whether it has no zone, position after it) of the time that stands at ``i``.

    The position is -1 if no time stands there.
    """
    end = token_end(view, i, stop)
    size = end - i
    if size >= 19 and view[i + 4] == 45:
        time, zoned = parse_iso(view, i, end)
        return time, not zoned, end if time != BAD else -1
    if end >= stop:
        return BAD, False, -1
    if size == 10 and view[i + 4] == 45:
        clock_end = token_end(view, end + 1, stop)
        time, zoned = parse_iso(view, i, clock_end)
        return time, not zoned, clock_end if time != BAD else -1
    if 10 <= size <= 11 and view[end - 5] == 45 and view[end - 9] == 45:
        clock_end = token_end(view, end + 1, stop)
        days = days_from_civil(
            parse_uint(view, end - 4, end), month_at(view, end - 8), parse_uint(view, i, end - 9)
        )
        clock = parse_clock(view, end + 1, clock_end)
        if days == BAD or clock == BAD:  # noqa: PLR1714 - a set costs an allocation
            return BAD, False, -1
        return days * DAY_US + clock, True, clock_end
    if size != 3:
        return BAD, False, -1
    month = month_at(view, i)
    weekday = False
    if month == 0 and stop - end > 4 and _word_of_three(view, i, _WEEKDAYS) > 0:
        # What asctime writes, as OpenWrt's logread does: weekday, date and clock, year.
        weekday = view[end + 4] == 32
        month = month_at(view, end + 1)
        end += 4
    if month == 0 or end >= stop:
        return BAD, False, -1
    day, clock, clock_end = _day_and_clock(view, end + 1, stop)
    if clock_end < 0:
        return BAD, False, -1
    if weekday:
        end = token_end(view, min(clock_end + 1, stop), stop)
        of = parse_uint(view, min(clock_end + 1, stop), end)
        clock_end = end
    elif year[0] <= 0:
        return NO_YEAR_TIME, False, clock_end
    else:
        of = _year_of(month, year)
    days = days_from_civil(of, month, day)
    if days == BAD:
        return BAD, False, -1
    return days * DAY_US + clock, True, clock_end


@kernel
def no_stamp(when: npt.NDArray[np.int64]) -> None:
    """Begin a line: it has no time yet."""
    when[TIME] = BAD
    when[LOCAL] = 0
    when[_ZONED] = 0


@kernel
def take_utc(time: Int, when: npt.NDArray[np.int64]) -> None:
    """Take a time into account that is known in UTC."""
    when[TIME] = time
    when[LOCAL] = 0
    when[_ZONED] = 1


@kernel
def take_stamp(
    view: Bytes,
    i: Int,
    stop: Int,
    year: npt.NDArray[np.int64],
    when: npt.NDArray[np.int64],
) -> Int:
    """Take the time that stands at ``i`` into account; return the position after it, or -1.

    The last time of a line counts; one with a zone counts before those without.

    Args:
        view: the bytes of the lines.
        i: where a word begins.
        stop: where the line ends.
        year: int64[2]: the year of the last line that says none (0 if not known) and its month
            (0 before the first); kept up to date.
        when: int64[STAMP_COLUMNS]: kept up to date.
    """
    # A time begins with a digit or a capital letter, most words with neither.
    if i >= stop or view[i] > 90 or view[i] < 48:
        return -1
    stamp, unzoned, end = _stamp(view, i, stop, year)
    if end < 0:
        return -1
    zoned = not unzoned and stamp != NO_YEAR_TIME
    if zoned or when[_ZONED] == 0:
        when[TIME] = stamp
        when[LOCAL] = 1 if unzoned else 0
        when[_ZONED] = 1 if zoned else 0
    return end

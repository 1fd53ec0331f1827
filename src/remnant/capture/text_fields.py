r"""Kernels that read one field of a text log: numbers, times, addresses and names.

All are given the bytes and the half-open range of the field, read nothing outside it, and answer
with a value that stands for "unreadable" instead of raising.

References:
    RFC 1035 section 5.1 (``\DDD``), RFC 3339 (times), RFC 4291 section 2.2 (IPv6 text),
    Zeek's ASCII writer (``\xNN``).
"""

from __future__ import annotations

from typing import Final

from numba import int64, uint64

from remnant.capture.text_bytes import eight_bytes, next_byte, put_eight_bytes, zero_bytes
from remnant.wire import Bytes, Int, fold_byte, kernel

__all__ = [
    "BAD",
    "DAY_US",
    "SECOND_US",
    "days_from_civil",
    "find",
    "parse_address",
    "parse_clock",
    "parse_iso",
    "parse_name",
    "parse_seconds",
    "parse_uint",
    "parse_zone",
    "same_word",
    "starts",
    "token_end",
]

BAD: Final = -(1 << 62)
"""What a kernel returns for a time or an offset that cannot be read."""

SECOND_US: Final = 1_000_000
DAY_US: Final = 86_400 * SECOND_US

_MAX_SECONDS_DIGITS: Final = 12

_ZERO: Final = uint64(0)
_DOTS: Final = uint64(0x2E2E2E2E2E2E2E2E)
_BACKSLASHES: Final = uint64(0x5C5C5C5C5C5C5C5C)


@kernel
def parse_uint(view: Bytes, start: Int, stop: Int) -> Int:
    """Return a number of 1 to 10 decimal digits, or -1."""
    if stop <= start or stop - start > 10:
        return -1
    value = 0
    for i in range(start, stop):
        digit = int64(view[i]) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@kernel
def _two_digits(view: Bytes, start: Int) -> Int:
    """Return 0 to 99, or 100 if the two bytes are not digits."""
    tens = int64(view[start]) - 48
    ones = int64(view[start + 1]) - 48
    if tens < 0 or tens > 9 or ones < 0 or ones > 9:
        return 100
    return tens * 10 + ones


@kernel
def parse_fraction(view: Bytes, start: Int, stop: Int) -> Int:
    """Return microseconds of the digits after a decimal point, rounded half up, or -1.

    The value may be 1,000,000 when it rounds up to the next second.
    """
    if stop <= start:
        return -1
    value = 0
    for i in range(start, stop):
        digit = int64(view[i]) - 48
        if digit < 0 or digit > 9:
            return -1
        place = i - start
        if place < 6:
            value = value * 10 + digit
        elif place == 6 and digit >= 5:
            value += 1
    for _ in range(6 - (stop - start)):
        value *= 10
    return value


@kernel
def parse_seconds(view: Bytes, start: Int, stop: Int) -> Int:
    """Return microseconds of decimal seconds since 1970 (``-12.5``), or ``BAD``."""
    negative = stop > start and view[start] == 45
    if negative:
        start += 1
    point = start
    while point < stop and view[point] != 46:
        point += 1
    if point == start or point - start > _MAX_SECONDS_DIGITS:
        return BAD
    value = 0
    for i in range(start, point):
        digit = int64(view[i]) - 48
        if digit < 0 or digit > 9:
            return BAD
        value = value * 10 + digit
    value *= SECOND_US
    if point < stop:
        fraction = parse_fraction(view, point + 1, stop)
        if fraction < 0:
            return BAD
        value += fraction
    return -value if negative else value


@kernel
def days_from_civil(year: Int, month: Int, day: Int) -> Int:
    """Return days since 1970-01-01 of a proleptic Gregorian date, or ``BAD`` if there is none."""
    if year < 1 or month < 1 or month > 12 or day < 1:
        return BAD
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 31
    if month in (4, 6, 9, 11):
        longest = 30
    elif month == 2:
        longest = 29 if leap else 28
    if day > longest:
        return BAD
    # Years that begin in March put the leap day last.
    if month <= 2:
        year -= 1
        month += 12
    return (
        365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719469
    )


@kernel
def parse_clock(view: Bytes, start: Int, stop: Int) -> Int:
    """Return microseconds since midnight of ``HH:MM:SS`` with an optional fraction, or ``BAD``.

    A leap second (``:60``) is the first second of the next minute.
    """
    if stop - start < 8 or view[start + 2] != 58 or view[start + 5] != 58:
        return BAD
    hour = _two_digits(view, start)
    minute = _two_digits(view, start + 3)
    second = _two_digits(view, start + 6)
    if hour > 23 or minute > 59 or second > 60:
        return BAD
    value = ((hour * 60 + minute) * 60 + second) * SECOND_US
    if stop - start > 8:
        if view[start + 8] != 46 and view[start + 8] != 44:
            return BAD
        fraction = parse_fraction(view, start + 9, stop)
        if fraction < 0:
            return BAD
        value += fraction
    return value


@kernel
def parse_zone(view: Bytes, start: Int, stop: Int) -> Int:
    """Return microseconds east of UTC of ``Z``, ``+HH:MM``, ``+HHMM`` or ``+HH``, or ``BAD``."""
    size = stop - start
    if size == 1 and (view[start] == 90 or view[start] == 122):
        return 0
    if size not in (3, 5, 6) or (view[start] != 43 and view[start] != 45):
        return BAD
    if size == 6 and view[start + 3] != 58:
        return BAD
    hours = parse_uint(view, start + 1, start + 3)
    minutes = parse_uint(view, stop - 2, stop) if size > 3 else 0
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return BAD
    value = (hours * 60 + minutes) * 60 * SECOND_US
    return -value if view[start] == 45 else value


@kernel
def parse_iso(view: Bytes, start: Int, stop: Int) -> tuple[Int, bool]:
    """Return (microseconds since 1970, whether a zone was written) of an RFC 3339 time.

    The zone may be absent, then the time is as written; the time is ``BAD`` if unreadable.
    """
    if stop - start < 19 or view[start + 4] != 45 or view[start + 7] != 45:
        return BAD, False
    if view[start + 10] != 84 and view[start + 10] != 116 and view[start + 10] != 32:
        return BAD, False
    days = days_from_civil(
        parse_uint(view, start, start + 4),
        parse_uint(view, start + 5, start + 7),
        parse_uint(view, start + 8, start + 10),
    )
    zone = start + 19
    while zone < stop and (view[zone] == 46 or view[zone] == 44 or 48 <= view[zone] <= 57):
        zone += 1
    clock = parse_clock(view, start + 11, zone)
    if days == BAD or clock == BAD:  # noqa: PLR1714 - a set costs an allocation
        return BAD, False
    east = 0
    if zone < stop:
        east = parse_zone(view, zone, stop)
        if east == BAD:
            return BAD, False
    return days * DAY_US + clock - east, zone < stop


@kernel
def _parse_ipv4(view: Bytes, start: Int, stop: Int, out: Bytes, at: Int) -> bool:
    part = 0
    value = 0
    digits = 0
    for i in range(start, stop):
        byte = int64(view[i])
        if byte == 46:
            if digits == 0 or part == 3:
                return False
            out[at + part] = value
            part += 1
            value = 0
            digits = 0
        elif 48 <= byte <= 57:
            value = value * 10 + byte - 48
            digits += 1
            if digits > 3 or value > 255:
                return False
        else:
            return False
    if part != 3 or digits == 0:
        return False
    out[at + 3] = value
    return True


@kernel
def _hex_value(byte: Int) -> Int:
    if 48 <= byte <= 57:
        return byte - 48
    low = fold_byte(byte)
    if 97 <= low <= 102:
        return low - 87
    return -1


@kernel
def parse_address(view: Bytes, start: Int, stop: Int, out: Bytes, first: Int) -> Int:
    """Write an address as 16 bytes from ``first`` on; return its family, 4 or 6, or 0 for none.

    An IPv4 address is written as ``::ffff:a.b.c.d``. A zone after ``%`` is dropped.
    """
    if _parse_ipv4(view, start, stop, out, first + 12):
        for k in range(10):
            out[first + k] = 0
        out[first + 10] = 255
        out[first + 11] = 255
        return 4
    for i in range(start, stop):
        if view[i] == 37:
            stop = i
            break
    at = 0
    gap = -1
    i = start
    if stop <= start:
        return 0
    if stop - start >= 2 and view[i] == 58:
        if view[i + 1] != 58:
            return 0
        gap = 0
        i += 2
    while i < stop:
        value = 0
        begin = i
        while i < stop and i - begin < 5:
            digit = _hex_value(int64(view[i]))
            if digit < 0:
                break
            value = value * 16 + digit
            i += 1
        if i < stop and view[i] == 46:
            if at > 12 or not _parse_ipv4(view, begin, stop, out, first + at):
                return 0
            at += 4
            break
        if i == begin or i - begin > 4 or at > 14:
            return 0
        out[first + at] = value >> 8
        out[first + at + 1] = value & 255
        at += 2
        if i == stop:
            break
        if view[i] != 58:
            return 0
        i += 1
        if i == stop:
            return 0
        if view[i] == 58:
            if gap >= 0:
                return 0
            gap = at
            i += 1
    if gap < 0:
        return 6 if at == 16 else 0
    if at > 14:
        return 0
    moved = at - gap
    for k in range(moved):
        out[first + 15 - k] = out[first + at - 1 - k]
    for k in range(gap, 16 - moved):
        out[first + k] = 0
    return 6


@kernel
def parse_name(view: Bytes, start: Int, stop: Int, hexadecimal: bool, out: Bytes, at: Int) -> Int:
    r"""Write a printed name as an uncompressed wire name, letters in the case they have.

    Args:
        view: holds the text.
        start: where the name begins.
        stop: where it ends.
        hexadecimal: escapes are Zeek's ``\xNN`` (another backslash is a byte of the name), else
            those of RFC 1035, ``\DDD`` and ``\X``.
        out: written from ``at``; needs room for the bytes of the text and two more.
        at: where in ``out`` the name begins.

    Returns:
        The position after the root label, or -1: empty, an empty label, a label over 63 bytes, a
        name over 255 bytes, or an escape that is cut off.
    """
    if stop <= start:
        return -1
    if stop - start == 1 and view[start] == 46:
        out[at] = 0
        return at + 1
    length_at = at
    position = at + 1
    i = start
    while i < stop:
        while i + 8 <= stop:
            # Eight bytes that are all a part of a label are copied at once.
            word = eight_bytes(view, uint64(i))
            if (zero_bytes(word ^ _DOTS) | zero_bytes(word ^ _BACKSLASHES)) != _ZERO:
                break
            put_eight_bytes(out, uint64(position), word)
            i += 8
            position += 8
        if i == stop:
            break
        byte: Int = int64(view[i])
        i += 1
        if byte != 46 and byte != 92:  # noqa: PLR1714 - a set costs an allocation
            out[position] = byte
            position += 1
            continue
        if byte == 46:
            size = position - length_at - 1
            if size == 0 or size > 63:
                return -1
            out[length_at] = size
            length_at = position
            position += 1
            continue
        if hexadecimal:
            if i + 3 <= stop and view[i] == 120:
                high = _hex_value(int64(view[i + 1]))
                low = _hex_value(int64(view[i + 2]))
                if high >= 0 and low >= 0:
                    byte = high * 16 + low
                    i += 3
            elif i < stop and view[i] == 92:
                i += 1
        elif i >= stop:
            return -1
        elif 48 <= view[i] <= 57:
            byte = parse_uint(view, i, i + 3) if i + 3 <= stop else -1
            if byte < 0 or byte > 255:
                return -1
            i += 3
        else:
            byte = int64(view[i])
            i += 1
        out[position] = byte
        position += 1
    size = position - length_at - 1
    if size > 63:
        return -1
    if size == 0:
        # The text ended with a dot.
        position = length_at
    else:
        out[length_at] = size
    out[position] = 0
    position += 1
    return position if position - at <= 255 else -1


@kernel
def same_word(view: Bytes, start: Int, stop: Int, word: Bytes) -> bool:
    """Return whether a range holds exactly these bytes."""
    if stop - start != word.size:
        return False
    for i in range(word.size):  # noqa: SIM110 - a kernel has no generators
        if view[start + i] != word[i]:
            return False
    return True


@kernel
def starts(view: Bytes, i: Int, stop: Int, word: Bytes) -> bool:
    """Return whether these bytes stand at ``i``, before ``stop``."""
    return stop - i >= word.size and same_word(view, i, i + word.size, word)


@kernel
def token_end(view: Bytes, i: Int, stop: Int) -> Int:
    """Return where the next space stands, or ``stop``."""
    return next_byte(view, i, stop, 32)


@kernel
def find(view: Bytes, i: Int, stop: Int, word: Bytes) -> Int:
    """Return where these bytes stand first, or -1."""
    last = stop - word.size
    while i <= last:
        i = next_byte(view, i, last + 1, int64(word[0]))
        if i <= last and same_word(view, i, i + word.size, word):
            return i
        i += 1
    return -1

"""What stands before the message in a line of a dnsmasq log, and what a line says.

Stamps and words come first, up to the tag ``dnsmasq[812]:`` (in RFC 5424: ``dnsmasq 812 - -``);
then with ``log-queries=extra`` the query's serial number and its client, with ``=proto`` the
transport.

References:
    dnsmasq, src/log.c and src/cache.c (log_query); RFC 3164; RFC 5424 section 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from remnant.capture.text_fields import BAD, parse_uint, starts, token_end
from remnant.capture.text_stamp import LOCAL, TIME, no_stamp, take_stamp
from remnant.wire import MAX_WIRE, Bytes, Int, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "BLOCK",
    "HINT",
    "LINE_COLUMNS",
    "LOCAL_SOURCE",
    "NAMELESS",
    "PORT",
    "PROCESS",
    "RCODE",
    "RECORD",
    "SEEN",
    "SERIAL",
    "SIZE",
    "TEXT_BYTES",
    "TEXT_SIZE",
    "TRANSPORT",
    "Line",
    "new_line",
    "read_body",
    "read_to_tag",
]

NAMELESS: Final = -1
TEXT_BYTES: Final = 48
"""Room for an address as text."""

# Columns of ``Line.number``.
PROCESS: Final = 0
SERIAL: Final = 1
PORT: Final = 2
TRANSPORT: Final = 3
SIZE: Final = 4
"""Bytes of the wire name; ``NAMELESS`` if the line has none that can be read."""
HINT: Final = 5
RCODE: Final = 6
RECORD: Final = 7
"""Record type, 0 if the line is no record."""
TEXT_SIZE: Final = 8
BLOCK: Final = 9
LOCAL_SOURCE: Final = 10
"""1 if dnsmasq answered by itself, at once: from cache, configuration, hosts or a block list."""
SEEN: Final = 11
"""1 if the record is what DNS says, and not what dnsmasq's configuration says."""
STAMP_TIME: Final = 12
STAMP_LOCAL: Final = 13
"""The time of the stamp that was kept, and whether it has no zone."""
LINE_COLUMNS: Final = 14

_MAX_WORDS: Final = 12
_STAMP: Final = 16
"""Bytes of ``Apr  8 12:00:00 ``."""
_MAX_PORT: Final = 65535
_TAG: Final = np.frombuffer(b"dnsmasq", np.uint8).copy()
_UDP: Final = np.frombuffer(b"UDP ", np.uint8).copy()
_TCP: Final = np.frombuffer(b"TCP ", np.uint8).copy()


class Line(NamedTuple):
    """What one line says: scratch of the kernels.

    Attributes:
        number: int64[LINE_COLUMNS].
        name: uint8: the wire name.
        address: uint8[16]: of the client, or of the record.
        text: uint8: the record's address as text.
        stamp: uint8[16]: the time with which a line began, as it stood there.
    """

    number: npt.NDArray[np.int64]
    name: Bytes
    address: Bytes
    text: Bytes
    stamp: Bytes


def new_line() -> Line:
    """Return scratch for one line."""
    return Line(
        np.zeros(LINE_COLUMNS, np.int64),
        np.zeros(MAX_WIRE + 3, np.uint8),
        np.zeros(16, np.uint8),
        np.zeros(TEXT_BYTES, np.uint8),
        np.zeros(16, np.uint8),
    )


@kernel
def _client(view: Bytes, i: Int, stop: Int, line: Line) -> Int:
    """Read ``ADDRESS/PORT ``; return the position after it, or ``i`` if it does not stand there.

    The address is not needed: queries say it again, and answers have the query's serial number.
    """
    if i >= stop or not (48 <= view[i] <= 58 or 97 <= view[i] <= 102):
        return i
    end = token_end(view, i, stop)
    slash = end - 1
    while slash > i and 48 <= view[slash] <= 57:
        slash -= 1
    if view[slash] != 47:
        return i
    port = parse_uint(view, slash + 1, end)
    if port < 0 or port > _MAX_PORT:
        return i
    line.number[PORT] = port
    return min(end + 1, stop)


@kernel
def read_body(view: Bytes, i: Int, stop: Int, line: Line) -> Int:
    """Read what ``extra`` and ``proto`` put before a line; return the position after it."""
    line.number[SERIAL] = -1
    line.number[PORT] = -1
    line.number[TRANSPORT] = -1
    for _ in range(2):
        if starts(view, i, stop, _UDP):
            line.number[TRANSPORT] = 0
            i += _UDP.size
        elif starts(view, i, stop, _TCP):
            line.number[TRANSPORT] = 1
            i += _TCP.size
        if line.number[SERIAL] >= 0 or i >= stop or not 48 <= view[i] <= 57:
            break
        end = token_end(view, i, stop)
        serial = parse_uint(view, i, end)
        if serial < 0:
            break
        line.number[SERIAL] = serial
        i = _client(view, min(end + 1, stop), stop, line)
    return i


@kernel
def _keep_stamp(view: Bytes, start: Int, when: npt.NDArray[np.int64], line: Line) -> None:
    """Keep the time with which a line begins: most lines that follow have the same."""
    for k in range(_STAMP):
        line.stamp[k] = view[start + k]
    line.number[STAMP_TIME] = when[TIME]
    line.number[STAMP_LOCAL] = when[LOCAL]


@kernel
def _known_stamp(
    view: Bytes, start: Int, stop: Int, when: npt.NDArray[np.int64], line: Line
) -> Int:
    """Take the time that was kept, if the line begins with it; return where the rest begins."""
    if stop - start < _STAMP:
        return start
    for k in range(_STAMP - 1, -1, -1):
        if view[start + k] != line.stamp[k]:
            return start
    when[TIME] = line.number[STAMP_TIME]
    when[LOCAL] = line.number[STAMP_LOCAL]
    return start + _STAMP


@kernel
def read_to_tag(
    view: Bytes,
    start: Int,
    stop: Int,
    year: npt.NDArray[np.int64],
    when: npt.NDArray[np.int64],
    line: Line,
) -> tuple[Int, bool]:
    """Read up to the tag; return (the position after it or -1, whether a time was unreadable)."""
    no_stamp(when)
    i = _known_stamp(view, start, stop, when, line)
    if i == start and view[i] == 60:
        # The priority that syslog puts before a line on the wire; in RFC 5424 a version follows.
        end = token_end(view, i, stop)
        while i < end and view[i] != 62:
            i += 1
        i = end + 1 if end - i == 2 else i + 1
    first = i if i != start + _STAMP else start
    for _ in range(_MAX_WORDS):
        if i >= stop:
            break
        if starts(view, i, stop, _TAG):
            end = token_end(view, i, stop)
            line.number[PROCESS] = -1
            mark = i + _TAG.size
            while mark < end and view[mark] != 91:
                mark += 1
            if mark < end and view[end - 1] == 58:
                line.number[PROCESS] = parse_uint(view, mark + 1, end - 2)
            bad = i > first and when[TIME] == BAD
            if view[end - 1] == 58:
                return min(end + 1, stop), bad
            # RFC 5424: process, message id and structured data follow.
            i = min(end + 1, stop)
            end = token_end(view, i, stop)
            line.number[PROCESS] = parse_uint(view, i, end)
            i = token_end(view, min(end + 1, stop), stop) + 1
            if i < stop and view[i] == 45:
                return min(i + 2, stop), bad
            while i + 1 < stop and not (view[i] == 93 and view[i + 1] == 32):
                i += 1
            return min(i + 2, stop), bad
        end = take_stamp(view, i, stop, year, when)
        if end < 0:
            end = token_end(view, i, stop)
        elif i == start and end == start + _STAMP - 1:
            _keep_stamp(view, start, when, line)
        i = end + 1
    return -1, False

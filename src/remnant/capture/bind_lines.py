r"""Kernels that read the lines of a BIND query log, of any version since 9.2.

A line is taken apart from the left: stamps and words up to ``client``, the peer, whatever stands
up to ``: query: ``, and then the query, whose fields hold no spaces (names escape them as
``\032``). Nothing is split at colons: addresses, names and views hold some.

References:
    BIND 9, bin/named/query.c, lib/ns/query.c and lib/ns/client.c (the message), lib/isc/log.c
    (the prefix), doc/arm/reference.rst (print-time, print-category, print-severity).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture.lines import MAX_LINE
from remnant.capture.text_fields import (
    BAD,
    find,
    parse_address,
    parse_name,
    parse_uint,
    starts,
    token_end,
)
from remnant.capture.text_rows import (
    BAD_ADDRESS,
    BAD_FIELDS,
    BAD_NAME,
    BAD_TIME,
    QUERIES_SEEN,
    SKIPPED,
    TOO_LONG,
    Rows,
    reject,
)
from remnant.capture.text_stamp import (
    LOCAL,
    NO_YEAR_TIME,
    TIME,
    month_at,
    no_stamp,
    take_stamp,
)
from remnant.capture.text_types import parse_class, parse_type
from remnant.wire import Bytes, Int, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["NO_TIME", "NO_YEAR", "OTHER_MONTH", "read_lines"]

NO_TIME: Final = 3
NO_YEAR: Final = 4
"""Counters of queries whose line has no time, or a time without a year while none is known."""

OTHER_MONTH: Final = 5
"""Counter of the malformed lines whose month is not English."""

_QUERY: Final = np.frombuffer(b": query: ", np.uint8).copy()
_QUERY_WORD: Final = np.frombuffer(b" query: ", np.uint8).copy()
_CLIENT: Final = np.frombuffer(b"client ", np.uint8).copy()
_ECS: Final = np.frombuffer(b" [ECS ", np.uint8).copy()
_MAX_WORDS: Final = 12
_MAX_PORT: Final = 65535
_MAPPED: Final = 96


@kernel
def _peer(view: Bytes, i: Int, stop: Int, out: Bytes, at: Int) -> tuple[Int, Int]:
    """Return (port, position after it) of ``[@0xHEX ]ADDRESS#PORT``; the position is -1 if none."""
    if i < stop and view[i] == 64:
        i = token_end(view, i, stop) + 1
    mark = i
    while mark < stop and view[mark] != 35 and view[mark] != 32:
        mark += 1
    if mark >= stop or view[mark] != 35 or not parse_address(view, i, mark, out, at):
        return -1, -1
    end = mark + 1
    while end < stop and 48 <= view[end] <= 57:
        end += 1
    port = parse_uint(view, mark + 1, end)
    if port < 0 or port > _MAX_PORT:
        return -1, -1
    return port, end


@kernel
def _flags(view: Bytes, start: Int, stop: Int) -> Int:
    """Return 1 if the flags say TCP, 0 if they do not, -1 if they are not flags."""
    if stop <= start or (view[start] != 43 and view[start] != 45):
        return -1
    tcp = 0
    i = start + 1
    while i < stop:
        byte = view[i]
        if byte < 65 or byte > 90:
            return -1
        if byte == 84:
            tcp = 1
        i += 1
        if byte == 69 and i < stop and view[i] == 40:
            i += 1
            while i < stop and 48 <= view[i] <= 57:
                i += 1
            if i >= stop or view[i] != 41:
                return -1
            i += 1
    return tcp


@kernel
def _subnet(view: Bytes, i: Int, stop: Int, out: Bytes, at: Int) -> Int:
    """Write the client subnet of ``ADDRESS/SOURCE/SCOPE]``; return the position after, or -1."""
    end = i
    while end < stop and view[end] != 93:
        end += 1
    first = i
    while first < end and view[first] != 47:
        first += 1
    second = first + 1
    while second < end and view[second] != 47:
        second += 1
    if end >= stop or second >= end:
        return -1
    family = parse_address(view, i, first, out, at)
    bits = parse_uint(view, first + 1, second)
    if family == 0 or bits < 0 or bits > (32 if family == 4 else 128):
        return -1
    if family == 4:
        bits += _MAPPED
    for k in range(16):
        kept = min(max(bits - 8 * k, 0), 8)
        out[at + k] = int64(out[at + k]) & (0xFF00 >> kept)
    out[at + 16] = bits
    return end + 1


@kernel
def _destination(view: Bytes, i: Int, stop: Int) -> tuple[Int, Int]:
    """Return (port or -1, position after) of ``(ADDRESS[#PORT])``; the position is -1 if none."""
    end = i
    while end < stop and view[end] != 41:
        end += 1
    if end >= stop or end < i + 3 or view[i] != 40:
        return -1, -1
    mark = i + 1
    while mark < end and view[mark] != 35:
        mark += 1
    port = -1
    if mark < end:
        port = parse_uint(view, mark + 1, end)
        if port < 0 or port > _MAX_PORT:
            return -1, -1
    return port, end + 1


@kernel
def _query(view: Bytes, i: Int, stop: Int, n: Int, rows: Rows) -> Int:
    """Read what follows ``query: `` into row ``n``; return the reason why not, or -1."""
    end = token_end(view, i, stop)
    name_end = parse_name(view, i, end, False, rows.names, rows.name_offsets[n])
    if name_end < 0:
        return BAD_NAME
    rows.name_offsets[n + 1] = name_end
    i = min(end + 1, stop)
    end = token_end(view, i, stop)
    if parse_class(view, i, end) < 0:
        return BAD_FIELDS
    i = min(end + 1, stop)
    end = token_end(view, i, stop)
    rows.qtype[n] = parse_type(view, i, end)
    if rows.qtype[n] < 0:
        return BAD_FIELDS
    rows.transport[n] = -1
    rows.service_port[n] = -1
    rows.ecs[17 * n + 16] = 255
    i = end + 1
    if i >= stop:
        return -1
    end = token_end(view, i, stop)
    tcp = _flags(view, i, end)
    if tcp < 0:
        return BAD_FIELDS
    i = end + 1
    if i >= stop:
        # Up to 9.6 there is no destination, and no flag for TCP either.
        return -1
    rows.service_port[n], end = _destination(view, i, stop)
    if end < 0:
        return BAD_FIELDS
    rows.transport[n] = tcp
    if starts(view, end, stop, _ECS):
        end = _subnet(view, end + _ECS.size, stop, rows.ecs, 17 * n)
        if end < 0:
            rows.ecs[17 * n + 16] = 255
            return BAD_FIELDS
    if end < stop and view[end] != 32:
        return BAD_FIELDS
    return -1


@kernel
def _other_month(view: Bytes, i: Int, stop: Int) -> bool:
    """Return whether a date such as ``08-Avr-2015`` begins here, whose month is not English."""
    mark = i
    while mark < stop and mark - i < 3 and view[mark] != 45:
        mark += 1
    if mark == i or mark - i > 2 or mark >= stop:
        return False
    if stop - mark < 4:
        return True
    return not 48 <= view[mark + 1] <= 57 and month_at(view, mark + 1) == 0


@kernel
def _read_line(
    view: Bytes,
    start: Int,
    stop: Int,
    when: npt.NDArray[np.int64],
    rows: Rows,
) -> Int:
    """Read one line into the next row; return -1 if it is one, -2 if it is no query line.

    Any other value is the reason why a query line cannot be read.
    """
    n = rows.counters[QUERIES_SEEN]
    no_stamp(when)
    bad_time = other_month = False
    i = start
    if i < stop and view[i] == 60:
        # The priority that syslog puts before a line on the wire.
        while i < stop and view[i] != 62:
            i += 1
        i += 1
    first = i
    port = -1
    after = -1
    for _ in range(_MAX_WORDS):
        if i >= stop:
            return -2
        if starts(view, i, stop, _CLIENT):
            port, after = _peer(view, i + _CLIENT.size, stop, rows.address, 16 * n)
            if after >= 0:
                break
        end = take_stamp(view, i, stop, when)
        if end >= 0:
            bad_time = False
        else:
            end = token_end(view, i, stop)
            if i == first and 48 <= view[i] <= 57:
                bad_time = True
                other_month = _other_month(view, i, end)
        i = end + 1
    if after < 0:
        return BAD_ADDRESS
    query = find(view, after, stop, _QUERY)
    if query < 0:
        return -2
    if bad_time:
        rows.counters[OTHER_MONTH] += other_month
        return BAD_TIME
    reason = _query(view, query + _QUERY.size, stop, n, rows)
    if reason >= 0:
        return reason
    rows.line[n] = start
    rows.time[n] = when[TIME]
    rows.local[n] = when[LOCAL] == 1
    rows.client_port[n] = port
    return -1


@kernel
def read_lines(
    view: Bytes, ends: npt.NDArray[np.int64], when: npt.NDArray[np.int64], rows: Rows
) -> None:
    """Read the lines of a block.

    Args:
        view: the bytes of the lines.
        ends: where each line ends.
        when: of ``text_stamp.new_times``; kept up to date.
        rows: filled.
    """
    for line in range(ends.size):
        start = ends[line - 1] + 1 if line > 0 else 0
        stop = ends[line]
        if stop - start > MAX_LINE:
            reject(rows, start, stop, int64(TOO_LONG))
            continue
        if stop > start and view[stop - 1] == 13:
            stop -= 1
        if stop == start or view[start] == 35:
            continue
        what = _read_line(view, start, stop, when, rows)
        if what == -1:
            time = rows.time[rows.counters[QUERIES_SEEN]]
            if time == BAD:
                rows.counters[NO_TIME] += 1
            elif time == NO_YEAR_TIME:
                rows.counters[NO_YEAR] += 1
            rows.counters[QUERIES_SEEN] += 1
        elif find(view, start, stop, _QUERY_WORD) < 0:
            rows.counters[SKIPPED] += 1
        else:
            reject(rows, start, stop, int64(what if what >= 0 else BAD_FIELDS))

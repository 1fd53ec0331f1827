"""Kernels that read the query lines of the PowerDNS Authoritative Server.

References:
    PowerDNS, pdns/auth-main.cc and pdns/tcpreceiver.cc (log-dns-queries).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture.lines import MAX_LINE
from remnant.capture.pdns_fields import (
    key_end,
    read_client,
    read_name,
    read_prefix,
    read_question,
    read_subnet,
    read_value,
    skip_value,
)
from remnant.capture.text_fields import (
    BAD,
    find,
    parse_seconds,
    same_word,
    starts,
    token_end,
)
from remnant.capture.text_log import add_row
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
from remnant.capture.text_stamp import LOCAL, TIME
from remnant.capture.text_types import parse_type
from remnant.wire import Bytes, Int, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["VALUE_LIMIT", "read_lines"]

VALUE_LIMIT: Final = 2048
"""Bytes of a structured value that are looked at: an escaped name has at most 1,004."""

_MAX_WORDS: Final = 12
_NO_QUERY: Final = -2


def _bytes(word: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(word, np.uint8).copy()


_REMOTE: Final = _bytes(b"Remote ")
_TCP: Final = _bytes(b"TCP ")
_WANTS: Final = _bytes(b" wants '")
_ECS: Final = _bytes(b"<-")
_MSG: Final = _bytes(b'msg="')
_RECEIVED: Final = _bytes(b'msg="Query received"')
_TCP_RECEIVED: Final = _bytes(b'msg="TCP query received"')
_KEY_QUERY: Final = _bytes(b"query")
_KEY_TYPE: Final = _bytes(b"type")
_KEY_REMOTE: Final = _bytes(b"remote")
_KEY_TS: Final = _bytes(b"ts")


@kernel
def _remote(view: Bytes, start: Int, stop: Int, n: Int, rows: Rows) -> bool:
    """Read ``ADDRESS[(CLIENT)][<-SUBNET]`` into row ``n``; return whether it can be read."""
    rows.ecs[17 * n + 16] = 255
    arrow = find(view, start, stop, _ECS)
    if arrow >= 0:
        if not read_subnet(view, arrow + _ECS.size, stop, rows.ecs, 17 * n):
            return False
        stop = arrow
    bracket = start
    while bracket < stop and view[bracket] != 40:
        bracket += 1
    if bracket < stop:
        # A proxy said who asked.
        if view[stop - 1] != 41:
            return False
        start = bracket + 1
        stop -= 1
    port = read_client(view, start, stop, rows.address, 16 * n)
    rows.client_port[n] = port
    return bool(port >= -1)


@kernel
def _classic(view: Bytes, i: Int, stop: Int, n: Int, rows: Rows) -> Int:
    """Read what follows ``Remote `` into row ``n``; return the reason why not, or -1."""
    end = token_end(view, i, stop)
    if not starts(view, end, stop, _WANTS):
        return _NO_QUERY
    if not _remote(view, i, end, n, rows):
        return BAD_ADDRESS
    i = end + _WANTS.size
    # No name holds a space; it may hold a quote or a bar.
    end = token_end(view, i, stop)
    if end - i < 3 or view[end - 1] != 44 or view[end - 2] != 39:
        return BAD_FIELDS
    return read_question(view, i, end - 2, n, rows)


@kernel
def _structured(
    view: Bytes,
    i: Int,
    stop: Int,
    n: Int,
    value: Bytes,
    when: npt.NDArray[np.int64],
    rows: Rows,
) -> Int:
    """Read the fields of a structured line into row ``n``; return the reason why not, or -1."""
    named = typed = known = False
    when[TIME] = BAD
    when[LOCAL] = 0
    zero = int64(0)
    while i < stop:
        end = key_end(view, i, stop)
        if end < 0:
            return BAD_FIELDS
        what = 0
        if same_word(view, i, end, _KEY_QUERY):
            what = 1
        elif same_word(view, i, end, _KEY_TYPE):
            what = 2
        elif same_word(view, i, end, _KEY_REMOTE):
            what = 3
        elif same_word(view, i, end, _KEY_TS):
            what = 4
        size = zero
        if what == 0:
            i = skip_value(view, end, stop)
        else:
            size, i = read_value(view, end, stop, value)
        if i < 0:
            return BAD_FIELDS
        if what == 1:
            if not read_name(value, zero, size, n, rows):
                return BAD_NAME
            named = True
        elif what == 2:
            rows.qtype[n] = parse_type(value, zero, size)
            typed = bool(rows.qtype[n] >= 0)
        elif what == 3:
            if not _remote(value, zero, size, n, rows):
                return BAD_ADDRESS
            known = True
        elif what == 4:
            when[TIME] = parse_seconds(value, zero, size)
    if when[TIME] == BAD:
        return BAD_TIME
    return -1 if named and typed and known else BAD_FIELDS


@kernel
def _read_line(
    view: Bytes,
    start: Int,
    stop: Int,
    n: Int,
    value: Bytes,
    year: npt.NDArray[np.int64],
    when: npt.NDArray[np.int64],
    rows: Rows,
) -> Int:
    """Read a line into row ``n``; return -1 if it is a query, else ``_NO_QUERY`` or why not."""
    i = start
    transport = 0
    for _ in range(_MAX_WORDS):
        if i >= stop:
            return _NO_QUERY
        if starts(view, i, stop, _REMOTE):
            what = _classic(view, i + _REMOTE.size, stop, n, rows)
            if what == _NO_QUERY:
                return what
            bad_time = read_prefix(view, start, i - transport * _TCP.size, year, when)
            rows.transport[n] = transport
            if bad_time and what < 0:
                # A tag alone is no time that cannot be read.
                return BAD_TIME if 48 <= view[start] <= 57 else what
            return what
        if starts(view, i, stop, _MSG):
            # Structured lines do not say how a query came in, where the word TCP is not there.
            rows.transport[n] = -1
            if starts(view, i, stop, _TCP_RECEIVED):
                rows.transport[n] = 1
            elif not starts(view, i, stop, _RECEIVED):
                return _NO_QUERY
            return _structured(view, i, stop, n, value, when, rows)
        transport = 1 if starts(view, i, stop, _TCP) else 0
        i = token_end(view, i, stop) + 1
    return _NO_QUERY


@kernel
def read_lines(
    view: Bytes,
    ends: npt.NDArray[np.int64],
    year: npt.NDArray[np.int64],
    when: npt.NDArray[np.int64],
    value: Bytes,
    rows: Rows,
) -> None:
    """Read the lines of a block.

    Args:
        view: the bytes of the lines.
        ends: where each line ends.
        year: int64[2], as ``text_stamp.take_stamp`` keeps it.
        when: int64[STAMP_COLUMNS], scratch.
        value: uint8[VALUE_LIMIT]: scratch.
        rows: filled.
    """
    for line in range(ends.size):
        start = ends[line - 1] + 1 if line > 0 else 0
        stop = ends[line]
        if stop - start > MAX_LINE:
            reject(rows, start, stop, int64(TOO_LONG))
            continue
        while stop > start and (view[stop - 1] == 13 or view[stop - 1] == 32):
            stop -= 1
        if stop == start or view[start] == 35:
            continue
        n = rows.counters[QUERIES_SEEN]
        what = _read_line(view, start, stop, n, value, year, when, rows)
        if what == _NO_QUERY:
            rows.counters[SKIPPED] += 1
        elif what >= 0:
            reject(rows, start, stop, int64(what))
        else:
            add_row(rows, start, when)

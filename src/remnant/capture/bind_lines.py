r"""Kernels that read BIND's lines about queries, responses and policy hits, of 9.2 and later.

A line is taken apart from the left: stamps and words up to ``client``, the peer, whatever stands
up to ``: query: ``, ``: response: `` or ``: rpz ``, and then the message, whose fields hold no
spaces (names escape them as ``\032``). Nothing is split at colons: addresses, names and views hold
some.

References:
    BIND 9, bin/named/query.c, lib/ns/query.c and lib/ns/client.c (the messages), lib/isc/log.c
    (the prefix), doc/arm/reference.rst (print-time, print-category, print-severity; the categories
    queries, responses and rpz).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture.lines import MAX_LINE
from remnant.capture.text_bytes import next_byte
from remnant.capture.text_fields import (
    find,
    parse_address,
    parse_name,
    parse_uint,
    same_word,
    starts,
    token_end,
)
from remnant.capture.text_log import OTHER_KIND, add_row
from remnant.capture.text_rows import (
    BAD_FIELDS,
    BAD_NAME,
    BAD_TIME,
    QUERIES_SEEN,
    SKIPPED,
    TOO_LONG,
    Rows,
    reject,
)
from remnant.capture.text_stamp import month_at, no_stamp, take_stamp
from remnant.capture.text_types import parse_class, parse_rcode, parse_type
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["NO_PEER", "OTHER_MONTH", "read_lines"]

OTHER_MONTH: Final = 6
"""Counter of the malformed lines whose month is not English."""

NO_PEER: Final = 7
"""Counter of the lines that name no client, which are a part of the skipped ones."""

# What a line says of its client.
QUERY: Final = 1
RESPONSE: Final = 2
HIT: Final = 3

# What reading a line gives, if it is neither a row nor malformed.
NOTHING: Final = -2
PERHAPS: Final = -3
"""It is not of the shape; if it speaks of a query it is malformed, else it is something else."""

_QUERY: Final = np.frombuffer(b"query: ", np.uint8).copy()
_RESPONSE: Final = np.frombuffer(b"response: ", np.uint8).copy()
_RPZ: Final = np.frombuffer(b"rpz ", np.uint8).copy()
_DISABLED: Final = np.frombuffer(b"disabled rpz ", np.uint8).copy()
_REWRITE: Final = np.frombuffer(b"rewrite", np.uint8).copy()
_VIA: Final = np.frombuffer(b"via ", np.uint8).copy()
_QUERY_WORD: Final = np.frombuffer(b" query: ", np.uint8).copy()
_CLIENT: Final = np.frombuffer(b"client ", np.uint8).copy()
_NO_PEER: Final = np.frombuffer(b"(no-peer)", np.uint8).copy()
_ECS: Final = np.frombuffer(b"[ECS ", np.uint8).copy()
_MAX_WORDS: Final = 12
_LONGEST_ADDRESS: Final = 128
_MAX_PORT: Final = 65535
_MAPPED: Final = 96


@kernel
def _peer(view: Bytes, i: Int, stop: Int, out: Bytes, at: Int) -> tuple[Int, Int]:
    """Return (port, position after it) of ``[@0xHEX ]ADDRESS#PORT``; the position is -1 if none.

    The port is -1 for ``(no-peer)``.
    """
    if i < stop and view[i] == 64:
        i = token_end(view, i, stop) + 1
    if starts(view, i, stop, _NO_PEER):
        return -1, i + _NO_PEER.size
    mark = next_byte(view, i, min(stop, i + _LONGEST_ADDRESS), 35)
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
    end = next_byte(view, i, stop, 41)
    if end >= stop or end < i + 3 or view[i] != 40:
        return -1, -1
    mark = next_byte(view, i + 1, end, 35)
    port = -1
    if mark < end:
        port = parse_uint(view, mark + 1, end)
        if port < 0 or port > _MAX_PORT:
            return -1, -1
    return port, end + 1


@kernel
def _message(view: Bytes, i: Int, stop: Int, response: Int, n: Int, rows: Rows) -> Int:
    """Read what follows ``query: `` or ``response: `` into row ``n``; return why not, or -1."""
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
    rows.response[n] = response
    rows.rcode[n] = -1
    rows.transport[n] = -1
    rows.service_port[n] = -1
    rows.ecs[17 * n + 16] = 255
    i = end + 1
    if response != 0:
        end = token_end(view, i, stop)
        rows.rcode[n] = parse_rcode(view, i, end)
        if rows.rcode[n] < 0:
            return BAD_FIELDS
        # How many records the three sections have.
        for _ in range(3):
            i = min(end + 1, stop)
            end = token_end(view, i, stop)
            if parse_uint(view, i, end) < 0:
                return BAD_FIELDS
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
    if end < stop and view[end] == 32:
        end += 1
    if starts(view, end, stop, _ECS):
        end = _subnet(view, end + _ECS.size, stop, rows.ecs, 17 * n)
        if end < 0:
            rows.ecs[17 * n + 16] = 255
            return BAD_FIELDS
    if end < stop and view[end - 1] != 32 and view[end] != 32:
        return BAD_FIELDS
    return -1


@kernel
def _header(view: Bytes, i: Int, stop: Int) -> tuple[Int, Int]:
    """Return the range of the name in `` (NAME)`` after the peer; it begins at -1 if none."""
    if i < stop and view[i] == 47:
        # A transaction key: /key NAME.
        i = token_end(view, min(token_end(view, i, stop) + 1, stop), stop)
    if i + 1 >= stop or view[i] != 32 or view[i + 1] != 40:
        return -1, -1
    begin = i + 2
    end = begin
    while end < stop and view[end] != 41:
        end += 2 if view[end] == 92 else 1
    return (begin, end) if end < stop else (-1, -1)


@kernel
def _hit(view: Bytes, i: Int, stop: Int, after: Int, n: Int, rows: Rows) -> Int:
    """Read what follows ``rpz `` into row ``n``; return why not, -1, or NOTHING.

    ``TRIGGER ACTION rewrite NAME[/TYPE/CLASS] via RULE``; where looking up a policy failed, the
    line has no action.
    """
    end = token_end(view, i, stop)
    i = min(end + 1, stop)
    end = token_end(view, i, stop)
    if same_word(view, i, end, _REWRITE):
        return NOTHING
    i = min(end + 1, stop)
    end = token_end(view, i, stop)
    if not same_word(view, i, end, _REWRITE):
        return BAD_FIELDS
    i = min(end + 1, stop)
    end = token_end(view, i, stop)
    via = min(end + 1, stop)
    if not starts(view, via, stop, _VIA) or via + _VIA.size >= stop:
        return BAD_FIELDS
    name_stop = end
    rows.qtype[n] = -1
    # A name may hold slashes itself: the type and the class are behind the last two.
    second = end - 1
    while second > i and view[second] != 47:
        second -= 1
    first = second - 1
    while first > i and view[first] != 47:
        first -= 1
    if first > i and parse_class(view, second + 1, end) >= 0:
        rows.qtype[n] = parse_type(view, first + 1, second)
        if rows.qtype[n] >= 0:
            name_stop = first
    begin, close = _header(view, after, stop)
    name_end = int64(-1)
    if begin >= 0:
        name_end = parse_name(view, begin, close, False, rows.names, rows.name_offsets[n])
    if name_end < 0:
        name_end = parse_name(view, i, name_stop, False, rows.names, rows.name_offsets[n])
    if name_end < 0:
        return BAD_NAME
    rows.name_offsets[n + 1] = name_end
    rows.answers[n, 0] = after
    rows.answers[n, 1] = stop
    return -1


@kernel
def _kind(view: Bytes, i: Int, stop: Int) -> tuple[Int, Int]:
    """Return what a line says of its client (0 if nothing that is read here), and where."""
    last = stop - 6
    while True:
        i = next_byte(view, i, last, 58)
        if i >= last:
            return 0, stop
        if view[i + 1] == 32:
            at = i + 2
            if starts(view, at, stop, _QUERY):
                return QUERY, at + _QUERY.size
            if starts(view, at, stop, _RESPONSE):
                return RESPONSE, at + _RESPONSE.size
            if starts(view, at, stop, _RPZ):
                return HIT, at + _RPZ.size
            if starts(view, at, stop, _DISABLED):
                return HIT, at + _DISABLED.size
        i += 1


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
    year: npt.NDArray[np.int64],
    when: npt.NDArray[np.int64],
    policy: bool,
    rows: Rows,
) -> Int:
    """Read one line into the next row; return -1 if it is one, or NOTHING, or PERHAPS.

    Any other value is the reason why it cannot be read.
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
            return PERHAPS
        if starts(view, i, stop, _CLIENT):
            port, after = _peer(view, i + _CLIENT.size, stop, rows.address, 16 * n)
            if after >= 0:
                break
        end = take_stamp(view, i, stop, year, when)
        if end >= 0:
            bad_time = False
        else:
            end = token_end(view, i, stop)
            if i == first and 48 <= view[i] <= 57:
                bad_time = True
                other_month = _other_month(view, i, end)
        i = end + 1
    if after < 0:
        return PERHAPS
    kind, i = _kind(view, after, stop)
    if kind == 0:
        return PERHAPS
    if (kind == HIT) != policy:
        rows.counters[OTHER_KIND] += 1
        return NOTHING
    if port < 0:
        rows.counters[NO_PEER] += 1
        return NOTHING
    if bad_time:
        rows.counters[OTHER_MONTH] += other_month
        return BAD_TIME
    if policy:
        reason = _hit(view, i, stop, after, n, rows)
    else:
        reason = _message(view, i, stop, 1 if kind == RESPONSE else 0, n, rows)
    if reason == -1:
        rows.client_port[n] = port
        add_row(rows, start, when)
    return reason


@kernel
def read_lines(
    view: Bytes,
    ends: npt.NDArray[np.int64],
    year: npt.NDArray[np.int64],
    when: npt.NDArray[np.int64],
    policy: bool,
    rows: Rows,
) -> None:
    """Read the lines of a block.

    Args:
        view: the bytes of the lines.
        ends: where each line ends.
        year: int64[2]: the year of the last line that says none (0 if not known) and its month
            (0 before the first); kept up to date.
        when: int64[STAMP_COLUMNS], scratch.
        policy: read the hits of response policies, and not the queries and responses.
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
        what = _read_line(view, start, stop, year, when, policy, rows)
        if what >= 0:
            reject(rows, start, stop, int64(what))
        elif what == PERHAPS and not policy and find(view, start, stop, _QUERY_WORD) >= 0:
            reject(rows, start, stop, int64(BAD_FIELDS))
        elif what != -1:
            rows.counters[SKIPPED] += 1

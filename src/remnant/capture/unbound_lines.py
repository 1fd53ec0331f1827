"""Kernels that read Unbound's lines about queries, replies and policy hits.

A line is taken apart from the left up to ``[PID:THREAD] WORD: ``, and from there by its first
word: an address begins a query or a reply, anything else may be a policy hit, which ends with the
client and its question.

References:
    Unbound, util/log.c (the prefix), util/net_help.c (queries), util/data/msgreply.c (replies),
    services/localzone.c, services/rpz.c and respip/respip.c (policies), util/data/dname.c (names).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture.lines import MAX_LINE
from remnant.capture.text_fields import (
    parse_address,
    parse_name,
    parse_seconds,
    parse_uint,
    starts,
    token_end,
)
from remnant.capture.text_log import OTHER_KIND, add_row
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
from remnant.capture.text_stamp import no_stamp, take_stamp, take_utc
from remnant.capture.text_types import parse_class, parse_rcode, parse_type
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["NO_CLIENT", "NO_QUESTION", "read_lines"]

NO_QUESTION: Final = 6
"""Counter of the replies to queries whose question could not be read; they are skipped."""

NO_CLIENT: Final = 7
"""Counter of the policy hits that name no client; they are skipped."""

_NOTHING: Final = -2

_INFO: Final = np.frombuffer(b"info: ", np.uint8).copy()
_QUERY: Final = np.frombuffer(b"query: ", np.uint8).copy()
_REPLY: Final = np.frombuffer(b"reply: ", np.uint8).copy()
_APPLIED: Final = np.frombuffer(b"rpz: applied ", np.uint8).copy()
_APPLIED_ONCE: Final = np.frombuffer(b"RPZ applied ", np.uint8).copy()
"""What older versions wrote."""
_ON: Final = np.frombuffer(b"on ", np.uint8).copy()
_MAX_WORDS: Final = 12
_MAX_PORT: Final = 65535


@kernel
def _is_thread(view: Bytes, i: Int, end: Int) -> bool:
    """Return whether a word ends with ``[PID:THREAD]``; the thread is hexadecimal."""
    k = end - 2
    if k <= i or view[end - 1] != 93:
        return False
    last = k
    while k > i and (48 <= view[k] <= 57 or 97 <= view[k] <= 102):
        k -= 1
    if k == last or view[k] != 58:
        return False
    colon = k
    k -= 1
    while k > i and 48 <= view[k] <= 57:
        k -= 1
    return bool(view[k] == 91 and k < colon - 1)


@kernel
def _word_start(view: Bytes, begin: Int, stop: Int) -> Int:
    """Return where the word that ends at ``stop`` begins."""
    i = stop
    while i > begin and view[i - 1] != 32:
        i -= 1
    return i


@kernel
def _name(view: Bytes, i: Int, end: Int, n: Int, rows: Rows) -> bool:
    """Read a name into row ``n``. What does not end with a dot was cut off by Unbound."""
    if end <= i or view[end - 1] != 46:
        return False
    name_end = parse_name(view, i, end, False, rows.names, rows.name_offsets[n])
    if name_end < 0:
        return False
    rows.name_offsets[n + 1] = name_end
    return True


@kernel
def _transport(view: Bytes, i: Int, end: Int) -> Int:
    """Return an index into ``events.TRANSPORTS`` for udp, tcp, dot, doh and doq, or -1."""
    if end - i != 3:
        return -1
    if view[i] == 117:
        return 0
    if view[i] == 116:
        return 1
    if view[i] != 100 or view[i + 1] != 111:
        return -1
    if view[i + 2] == 116:
        return 2
    if view[i + 2] == 104:
        return 3
    return 6 if view[i + 2] == 113 else -1


@kernel
def _reply(view: Bytes, i: Int, stop: Int, n: Int, rows: Rows) -> bool:
    """Read ``RCODE SECONDS CACHED SIZE[ on PROTOCOL ADDRESS PORT]`` into row ``n``."""
    end = token_end(view, i, stop)
    rows.rcode[n] = parse_rcode(view, i, end)
    if rows.rcode[n] < 0:
        return False
    i = min(end + 1, stop)
    end = token_end(view, i, stop)
    if parse_seconds(view, i, end) < 0:
        return False
    for _ in range(2):
        i = min(end + 1, stop)
        end = token_end(view, i, stop)
        if parse_uint(view, i, end) < 0:
            return False
    rows.response[n] = 1
    i = end + 1
    if i >= stop:
        return True
    if not starts(view, i, stop, _ON):
        return False
    i += _ON.size
    end = token_end(view, i, stop)
    rows.transport[n] = _transport(view, i, end)
    i = _word_start(view, end, stop)
    port = parse_uint(view, i, stop)
    if 0 < port <= _MAX_PORT:
        rows.service_port[n] = port
    return True


@kernel
def _message(view: Bytes, i: Int, stop: Int, n: Int, rows: Rows) -> Int:
    """Read ``NAME TYPE CLASS[ reply]`` into row ``n``; return the reason why not, or -1."""
    end = token_end(view, i, stop)
    if end == i + 1 and view[i] == 45:
        rows.counters[NO_QUESTION] += 1
        return _NOTHING
    if not _name(view, i, end, n, rows):
        return BAD_NAME
    i = min(end + 1, stop)
    end = token_end(view, i, stop)
    rows.qtype[n] = parse_type(view, i, end)
    if rows.qtype[n] < 0:
        return BAD_FIELDS
    i = min(end + 1, stop)
    end = token_end(view, i, stop)
    if parse_class(view, i, end) < 0:
        return BAD_FIELDS
    rows.client_port[n] = -1
    rows.service_port[n] = -1
    rows.transport[n] = -1
    rows.rcode[n] = -1
    rows.response[n] = 0
    if end < stop and not _reply(view, end + 1, stop, n, rows):
        return BAD_FIELDS
    return -1


@kernel
def _hit(view: Bytes, i: Int, stop: Int, zone: bool, policy: bool, n: Int, rows: Rows) -> Int:
    """Read ``RULE ACTION ADDRESS@PORT NAME TYPE CLASS`` into row ``n``; return why not, or -1.

    Of a hit of a response policy zone everything must be readable; of what may be a line about a
    local ``zone``, what is not of that shape is something else.
    """
    at_class = _word_start(view, i, stop)
    type_end = max(at_class - 1, i)
    at_type = _word_start(view, i, type_end)
    name_end = max(at_type - 1, i)
    at_name = _word_start(view, i, name_end)
    peer_end = max(at_name - 1, i)
    at_peer = _word_start(view, i, peer_end)
    mark = at_peer
    while mark < peer_end and view[mark] != 64:
        mark += 1
    if at_peer <= i or mark >= peer_end:
        if zone:
            return _NOTHING
        rows.counters[NO_CLIENT if policy else OTHER_KIND] += 1
        return _NOTHING
    qtype = parse_type(view, at_type, type_end)
    fits = qtype >= 0 and parse_class(view, at_class, stop) >= 0
    if zone and not fits:
        return _NOTHING
    if not policy:
        rows.counters[OTHER_KIND] += 1
        return _NOTHING
    if not fits:
        return BAD_FIELDS
    port = parse_uint(view, mark + 1, peer_end)
    if port < 0 or port > _MAX_PORT or not parse_address(view, at_peer, mark, rows.address, 16 * n):
        return BAD_ADDRESS
    if not _name(view, at_name, name_end, n, rows):
        return BAD_NAME
    rows.qtype[n] = qtype
    rows.client_port[n] = port
    rows.answers[n, 0] = i
    rows.answers[n, 1] = at_peer - 1
    return -1


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
    """Read one line into the next row; return -1 if it is one, or _NOTHING.

    Any other value is the reason why it cannot be read.
    """
    n = rows.counters[QUERIES_SEEN]
    no_stamp(when)
    bad_time = False
    i = start
    if view[i] == 60:
        # The priority that syslog puts before a line on the wire.
        while i < stop and view[i] != 62:
            i += 1
        i += 1
    first = i
    after = int64(-1)
    for _ in range(_MAX_WORDS):
        if i >= stop:
            return _NOTHING
        end = token_end(view, i, stop)
        if _is_thread(view, i, end):
            after = end + 1
            break
        if i == first and view[i] == 91:
            # Seconds since 1970.
            seconds = parse_uint(view, i + 1, end - 1)
            bad_time = seconds < 0 or view[end - 1] != 93
            if not bad_time:
                take_utc(seconds * 1_000_000, when)
        else:
            stamp_end = take_stamp(view, i, stop, year, when)
            if stamp_end >= 0:
                bad_time = False
                end = stamp_end
            elif i == first and 48 <= view[i] <= 57:
                bad_time = True
        i = end + 1
    if after < 0:
        return _NOTHING
    i = after
    if starts(view, i, stop, _INFO):
        i += _INFO.size
    elif starts(view, i, stop, _QUERY) or starts(view, i, stop, _REPLY):
        i += _QUERY.size
    else:
        return _NOTHING
    end = token_end(view, i, stop)
    reason = int64(_NOTHING)
    if parse_address(view, i, end, rows.address, 16 * n):
        if policy:
            rows.counters[OTHER_KIND] += 1
            return _NOTHING
        reason = _message(view, min(end + 1, stop), stop, n, rows)
    else:
        zone = not starts(view, i, stop, _APPLIED) and not starts(view, i, stop, _APPLIED_ONCE)
        reason = _hit(view, i, stop, zone, policy, n, rows)
    if bad_time and reason != _NOTHING:
        return BAD_TIME
    if reason == -1:
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
        policy: read the hits of policies, and not the queries and replies.
        rows: filled.
    """
    for line in range(ends.size):
        start = ends[line - 1] + 1 if line > 0 else 0
        stop = ends[line]
        if stop - start > MAX_LINE:
            reject(rows, start, stop, int64(TOO_LONG))
            continue
        end = stop
        while end > start and (view[end - 1] == 13 or view[end - 1] == 32):
            end -= 1
        if end == start or view[start] == 35:
            continue
        what = _read_line(view, start, end, year, when, policy, rows)
        if what >= 0:
            reject(rows, start, stop, int64(what))
        elif what != -1:
            rows.counters[SKIPPED] += 1

"""The kernel that reads the lines of nfdump's CSV output, by the roles of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture.csv_records import Layout, is_header
from remnant.capture.event_rows import NO_PROOF, Events
from remnant.capture.lines import MAX_LINE
from remnant.capture.text_fields import (
    BAD,
    parse_address,
    parse_iso,
    parse_seconds,
    parse_uint,
    same_word,
)
from remnant.capture.text_rows import (
    BAD_ADDRESS,
    BAD_FIELDS,
    BAD_NUMBER,
    BAD_TIME,
    NO_HEADER,
    QUERIES_SEEN,
    SKIPPED,
    TOO_LONG,
    Rows,
    reject,
)
from remnant.wire import fold_byte, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["DETAILS", "ROLES", "read_flows"]

ROLES: Final = (
    "time",
    "source",
    "target",
    "source_port",
    "target_port",
    "flows",
    "proto",
    "flags",
    "packets",
    "packets_back",
)
"""What a column may be; a *role* is an index into these."""

(
    _TIME, _SOURCE, _TARGET, _SOURCE_PORT, _TARGET_PORT, _FLOWS, _PROTO, *_REST,
) = range(len(ROLES))  # fmt: skip

DETAILS: Final = ROLES[_PROTO:]
"""The roles that ``detail`` keeps."""

_MAX_PORT: Final = 65535
_RETURN: Final = 13
_COMMA: Final = 44
_TCP_WORD: Final = np.frombuffer(b"tcp", np.uint8).copy()
_UDP_WORD: Final = np.frombuffer(b"udp", np.uint8).copy()
_TCP_NUMBER: Final = np.frombuffer(b"6", np.uint8).copy()
_UDP_NUMBER: Final = np.frombuffer(b"17", np.uint8).copy()
_SUMMARY: Final = np.frombuffer(b"Summary", np.uint8).copy()
_OLD_HEADER: Final = np.frombuffer(b"ts,te,", np.uint8).copy()
_NEW_HEADER: Final = np.frombuffer(b"firstSeen,", np.uint8).copy()
_NO_FLOWS: Final = np.frombuffer(b"No matching flows", np.uint8).copy()


@kernel
def _begins(view: Bytes, start: Int, stop: Int, word: Bytes) -> bool:
    return bool(stop - start >= word.size and same_word(view, start, start + word.size, word))


@kernel
def _is_proto(view: Bytes, start: Int, stop: Int, word: Bytes, number: Bytes) -> bool:
    if same_word(view, start, stop, number):
        return True
    if stop - start != word.size:
        return False
    for k in range(word.size):  # noqa: SIM110 - a kernel has no generators
        if fold_byte(int64(view[start + k])) != word[k]:
            return False
    return True


@kernel
def _fields(
    view: Bytes,
    start: Int,
    stop: Int,
    layout: Layout,
    last: Int,
    spans: npt.NDArray[np.int64],
) -> Int:
    """Note where the fields with a role stand; return how many fields the line has.

    Nothing is quoted here, so what comes after the last column with a role is only counted, which
    processors do for many bytes at once.
    """
    for role in range(spans.shape[0]):
        spans[role, 0] = -1
        spans[role, 2] = 0
    begin = start
    column = 0
    i: Int = int64(start)
    while i <= stop and column <= last:
        if i == stop or view[i] == _COMMA:
            role = layout.roles[column]
            if role >= 0 and i > begin and spans[role, 0] < 0:
                spans[role, 0] = begin
                spans[role, 1] = i
            column += 1
            begin = i + 1
        i += 1
    for k in range(i, stop):
        column += 1 if view[k] == _COMMA else 0
    # The comma before what was only counted ended the last column with a role.
    return column + 1 if i <= stop else column


@kernel
def _number(view: Bytes, spans: npt.NDArray[np.int64], role: Int) -> Int:
    """Return a number, -1 if there is none, -2 if it cannot be read."""
    if spans[role, 0] < 0:
        return -1
    value = parse_uint(view, spans[role, 0], spans[role, 1])
    return value if value >= 0 else -2


@kernel
def _read_row(
    view: Bytes, start: Int, spans: npt.NDArray[np.int64], rows: Rows, events: Events
) -> Int:
    """Turn the fields of one line into a row; return why it cannot be read, or -1."""
    if spans[_TIME, 0] < 0:
        return BAD_TIME
    time, zoned = parse_iso(view, spans[_TIME, 0], spans[_TIME, 1])
    if time == BAD:
        time = parse_seconds(view, spans[_TIME, 0], spans[_TIME, 1])
        zoned = True
    if time == BAD:
        return BAD_TIME
    n = rows.counters[QUERIES_SEEN]
    if spans[_SOURCE, 0] < 0 or not parse_address(
        view, spans[_SOURCE, 0], spans[_SOURCE, 1], rows.address, 16 * n
    ):
        return BAD_ADDRESS
    if spans[_TARGET, 0] < 0 or not parse_address(
        view, spans[_TARGET, 0], spans[_TARGET, 1], events.target, 16 * n
    ):
        return BAD_ADDRESS
    transport = -1
    source_port = int64(-1)
    target_port = int64(-1)
    if spans[_PROTO, 0] >= 0:
        begin = spans[_PROTO, 0]
        end = spans[_PROTO, 1]
        if _is_proto(view, begin, end, _TCP_WORD, _TCP_NUMBER):
            transport = 1
        elif _is_proto(view, begin, end, _UDP_WORD, _UDP_NUMBER):
            transport = 0
    if transport >= 0:
        # Of other protocols these columns hold types and codes.
        source_port = _number(view, spans, int64(_SOURCE_PORT))
        target_port = _number(view, spans, int64(_TARGET_PORT))
    flows = _number(view, spans, int64(_FLOWS))
    if (
        min(source_port, target_port, flows) < -1
        or source_port > _MAX_PORT
        or target_port > _MAX_PORT
    ):
        return BAD_NUMBER
    events.weight[n] = max(flows, int64(1))
    # Flags of one direction are anybody's; of a flow in two, they may be those of the answer.
    events.proof[n] = NO_PROOF
    events.has_target[n] = True
    for k in range(events.fields.shape[1]):
        for part in range(3):
            events.fields[n, k, part] = spans[_PROTO + k, part]
    rows.line[n] = start
    rows.time[n] = time
    rows.local[n] = not zoned
    rows.client_port[n] = source_port
    rows.service_port[n] = target_port
    rows.transport[n] = transport
    rows.counters[QUERIES_SEEN] = n + 1
    return -1


@kernel
def read_flows(
    view: Bytes,
    ends: npt.NDArray[np.int64],
    first: Int,
    layout: Layout,
    state: npt.NDArray[np.int64],
    rows: Rows,
    events: Events,
    spans: npt.NDArray[np.int64],
) -> Int:
    """Read lines until one is a header.

    Args:
        view: the bytes of the lines.
        ends: where each line ends.
        first: the line to begin with.
        layout: what the header said; without columns the first line is the header.
        state: int64[1]: 1 from the summary on, whose lines are skipped.
        rows: filled from where the counters say.
        events: the same.
        spans: int64[roles, 3]: scratch.

    Returns:
        The index of the header, or the number of lines.
    """
    width = layout.roles.size
    last = 0
    for column in range(width):
        if layout.roles[column] >= 0:
            last = column
    for line in range(first, ends.size):
        start = ends[line - 1] + 1 if line > 0 else 0
        stop = ends[line]
        if stop - start > MAX_LINE:
            reject(rows, start, stop, int64(TOO_LONG))
            continue
        if stop > start and view[stop - 1] == _RETURN:
            stop -= 1
        if stop == start:
            continue
        if _begins(view, start, stop, _SUMMARY) or _begins(view, start, stop, _NO_FLOWS):
            state[0] = 1
            rows.counters[SKIPPED] += 1
            continue
        if (
            is_header(view, start, stop, layout)
            or _begins(view, start, stop, _OLD_HEADER)
            or _begins(view, start, stop, _NEW_HEADER)
            or (layout.first.size == 0 and state[0] == 0)
        ):
            return line
        if state[0] == 1:
            rows.counters[SKIPPED] += 1
            continue
        reason: Int = int64(NO_HEADER)
        if width > 0:
            reason = int64(BAD_FIELDS)
            if _fields(view, start, stop, layout, last, spans) == width:
                reason = int64(_read_row(view, start, spans, rows, events))
        if reason >= 0:
            reject(rows, start, stop, reason)
    return ends.size

"""The kernel that reads the lines of Zeek's ``conn.log``: TSV by the columns of its header, JSON.

References:
    Zeek, scripts/base/protocols/conn/main.zeek (the columns, conn_state and history).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture.event_rows import NO_PROOF, TCP, Events
from remnant.capture.json_lines import KIND, NUMBER, TEXT, read_object
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
    BAD_JSON,
    BAD_NUMBER,
    BAD_TIME,
    NO_HEADER,
    QUERIES_SEEN,
    SKIPPED,
    TOO_LONG,
    Rows,
    reject,
)
from remnant.capture.zeek_header import Layout, tsv_fields
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.json_lines import Found, Paths
    from remnant.wire import Bytes, Int

__all__ = ["COLUMNS", "DETAILS", "read_connections"]

COLUMNS: Final = (
    "ts",
    "id.orig_h",
    "id.orig_p",
    "id.resp_h",
    "id.resp_p",
    "proto",
    "service",
    "conn_state",
    "history",
    "_path",
)
"""The columns of ``conn.log`` that are read, and the name of the log; a *role* is an index."""

(
    _TS, _CLIENT, _CLIENT_PORT, _TARGET, _TARGET_PORT, _PROTO, _SERVICE, _STATE, _HISTORY, _PATH,
) = range(len(COLUMNS))  # fmt: skip

DETAILS: Final = COLUMNS[_PROTO:_PATH]
"""The columns that ``detail`` keeps."""

_TCP_WORD: Final = np.frombuffer(b"tcp", np.uint8).copy()
_UDP_WORD: Final = np.frombuffer(b"udp", np.uint8).copy()
_CONN_WORD: Final = np.frombuffer(b"conn", np.uint8).copy()
_HASH: Final = 35
_BRACE: Final = 123
_MAX_PORT: Final = 65535


@kernel
def _port(view: Bytes, spans: npt.NDArray[np.int64], role: Int) -> Int:
    """Return a port, -1 if there is none, -2 if it cannot be read."""
    if spans[role, 0] < 0:
        return -1
    value = parse_uint(view, spans[role, 0], spans[role, 1])
    return value if 0 <= value <= _MAX_PORT else -2


@kernel
def _completed(view: Bytes, spans: npt.NDArray[np.int64]) -> bool:
    """Return whether the originator completed a TCP handshake.

    The states SF, S1, S2 and S3 say so. RSTO and RSTR do not alone: a host that is sent the answer
    to a forged SYN resets it. There the history must show the responder's SYN-ACK (``h``) and,
    after it, an acknowledgement or data of the originator (``A``, ``D``).
    """
    start = spans[_STATE, 0]
    if start < 0:
        return False
    size = spans[_STATE, 1] - start
    if size == 2 and view[start] == 83:
        return bool(view[start + 1] == 70 or 49 <= view[start + 1] <= 51)
    if size != 4 or view[start] != 82 or view[start + 1] != 83 or view[start + 2] != 84:
        return False
    if view[start + 3] != 79 and view[start + 3] != 82:
        return False
    answered = False
    if spans[_HISTORY, 0] < 0:
        return False
    for i in range(spans[_HISTORY, 0], spans[_HISTORY, 1]):
        if view[i] == 104:
            answered = True
        elif answered and (view[i] == 65 or view[i] == 68):
            return True
    return False


@kernel
def _read_row(
    view: Bytes, start: Int, spans: npt.NDArray[np.int64], rows: Rows, events: Events
) -> Int:
    """Turn the fields of one line into a row; return why it cannot be read, or -1."""
    if spans[_TS, 0] < 0:
        return BAD_TIME
    time = parse_seconds(view, spans[_TS, 0], spans[_TS, 1])
    if time == BAD:
        time, _ = parse_iso(view, spans[_TS, 0], spans[_TS, 1])
    if time == BAD:
        return BAD_TIME
    n = rows.counters[QUERIES_SEEN]
    if spans[_CLIENT, 0] < 0 or not parse_address(
        view, spans[_CLIENT, 0], spans[_CLIENT, 1], rows.address, 16 * n
    ):
        return BAD_ADDRESS
    if spans[_TARGET, 0] < 0 or not parse_address(
        view, spans[_TARGET, 0], spans[_TARGET, 1], events.target, 16 * n
    ):
        return BAD_ADDRESS
    transport = -1
    client_port = int64(-1)
    target_port = int64(-1)
    if spans[_PROTO, 0] >= 0:
        if same_word(view, spans[_PROTO, 0], spans[_PROTO, 1], _TCP_WORD):
            transport = 1
        elif same_word(view, spans[_PROTO, 0], spans[_PROTO, 1], _UDP_WORD):
            transport = 0
    if transport >= 0:
        # Of other protocols these columns hold types and codes.
        client_port = _port(view, spans, int64(_CLIENT_PORT))
        target_port = _port(view, spans, int64(_TARGET_PORT))
        if min(client_port, target_port) < -1:
            return BAD_NUMBER
    events.proof[n] = TCP if transport == 1 and _completed(view, spans) else NO_PROOF
    events.has_target[n] = True
    for k in range(events.fields.shape[1]):
        events.fields[n, k, 0] = spans[_PROTO + k, 0]
        events.fields[n, k, 1] = spans[_PROTO + k, 1]
        events.fields[n, k, 2] = 0
    rows.line[n] = start
    rows.time[n] = time
    rows.client_port[n] = client_port
    rows.service_port[n] = target_port
    rows.transport[n] = transport
    rows.counters[QUERIES_SEEN] = n + 1
    return -1


@kernel
def _of_another_log(view: Bytes, spans: npt.NDArray[np.int64]) -> bool:
    start = spans[_PATH, 0]
    return start >= 0 and not same_word(view, start, spans[_PATH, 1], _CONN_WORD)


@kernel
def read_connections(
    view: Bytes,
    ends: npt.NDArray[np.int64],
    first: Int,
    layout: Layout,
    paths: Paths,
    rows: Rows,
    events: Events,
    found: Found,
    scratch: Bytes,
    breaks: npt.NDArray[np.int64],
) -> Int:
    """Read lines until one is a header line that changes the layout.

    Args:
        view: the bytes of the lines.
        ends: where each line ends.
        first: the line to begin with.
        layout: what the header said.
        paths: the keys of JSON lines.
        rows: filled from where the counters say.
        events: the same.
        found: where the wanted values of a line stand.
        scratch: uint8[MAX_LINE].
        breaks: int64[layout.width, at least 1]: scratch.

    Returns:
        The index of the header line, or the number of lines.
    """
    spans = found.values
    for line in range(first, ends.size):
        start = ends[line - 1] + 1 if line > 0 else 0
        stop = ends[line]
        if stop - start > MAX_LINE:
            reject(rows, start, stop, int64(TOO_LONG))
            continue
        if stop > start and view[stop - 1] == 13:
            stop -= 1
        if stop == start:
            continue
        if view[start] == _HASH:
            # separator, set_separator, empty_field, unset_field, path, fields
            if stop - start > 1 and view[start + 1] in (115, 101, 117, 112, 102):
                return line
            continue
        reason = -1
        is_row = False
        if view[start] == _BRACE:
            if not read_object(view, start, stop, paths, found, scratch):
                reason = BAD_JSON
            elif _of_another_log(view, spans):
                rows.counters[SKIPPED] += 1
            else:
                is_row = True
                # A text with escapes is none of those that are read.
                for role in range(spans.shape[0]):
                    if spans[role, 0] >= 0 and spans[role, KIND] not in (TEXT, NUMBER):
                        spans[role, 0] = -1
        elif layout.other:
            rows.counters[SKIPPED] += 1
        elif layout.width == 0:
            reason = NO_HEADER
        elif not tsv_fields(view, start, stop, layout, breaks, spans):
            reason = BAD_FIELDS
        else:
            is_row = True
        if is_row:
            reason = _read_row(view, start, spans, rows, events)
        if reason >= 0:
            reject(rows, start, stop, int64(reason))
    return ends.size

"""The kernel that reads the rows of Shadowserver's sinkhole reports, by the roles of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture.csv_records import SOUND, Layout, is_header, split
from remnant.capture.event_rows import (
    DNS_TCP,
    DNS_UDP,
    HTTP,
    MAX_WORDS,
    NO_PROOF,
    TCP,
    TLS,
    Events,
)
from remnant.capture.lines import MAX_LINE
from remnant.capture.text_fields import BAD, parse_address, parse_iso, parse_name, parse_uint
from remnant.capture.text_rows import (
    BAD_ADDRESS,
    BAD_FIELDS,
    BAD_NAME,
    BAD_NUMBER,
    BAD_TIME,
    NO_HEADER,
    QUERIES_SEEN,
    SKIPPED,
    TOO_LONG,
    Rows,
    reject,
)
from remnant.capture.text_types import parse_type
from remnant.watchlist import MAX_WORD
from remnant.wire import fold_byte, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["DNS", "REFERRERS", "ROLES", "SHORT", "VICTIMS", "read_reports", "spans_of"]

ROLES: Final = (
    "time",
    "source",
    "source_port",
    "protocol",
    "target",
    "target_port",
    "host",
    "servername",
    "query",
    "cc_name",
    "qtype",
    "count",
    "cipher",
    "url",
    "agent",
    "infection",
    "family",
    "tag",
    "malware",
)
"""What a column may be; a *role* is an index into these. The last four hold words for malware."""

(
    _TIME, _SOURCE, _SOURCE_PORT, _PROTOCOL, _TARGET, _TARGET_PORT, _HOST, _SERVERNAME, _QUERY,
    _CC_NAME, _QTYPE, _COUNT, _CIPHER, _URL, _AGENT, _INFECTION, _FAMILY, _TAG, _MALWARE,
) = range(len(ROLES))  # fmt: skip

VICTIMS: Final = 0
DNS: Final = 1
REFERRERS: Final = 2
"""Kinds of report: connections of infected hosts, DNS queries, and servers that linked there."""

SHORT: Final = 3
"""Counter of the rows with fewer fields than columns; the missing ones are empty."""

_MAX_PORT: Final = 65535
_TCP_WORD: Final = np.frombuffer(b"tcp", np.uint8).copy()
_UDP_WORD: Final = np.frombuffer(b"udp", np.uint8).copy()
_COLON: Final = 58
_BRACKET: Final = 91
_RETURN: Final = 13
_COMMA: Final = 44
_SEMICOLON: Final = 59
_BAR: Final = 124


@kernel
def _is_word(view: Bytes, spans: npt.NDArray[np.int64], role: Int, word: Bytes) -> bool:
    """Return whether a field is a word, letters without case."""
    start = spans[role, 0]
    if start < 0 or spans[role, 1] - start != word.size:
        return False
    for k in range(word.size):  # noqa: SIM110 - a kernel has no generators
        if fold_byte(int64(view[start + k])) != word[k]:
            return False
    return True


@kernel
def _number(view: Bytes, spans: npt.NDArray[np.int64], role: Int, most: Int) -> Int:
    """Return a number, -1 if there is none, -2 if it cannot be read or is above ``most``."""
    if spans[role, 0] < 0:
        return -1
    value = parse_uint(view, spans[role, 0], spans[role, 1])
    return value if 0 <= value <= most else -2


@kernel
def _name(view: Bytes, spans: npt.NDArray[np.int64], scratch: Bytes, rows: Rows, at: Int) -> Int:
    """Write the name that was asked for; return where it ends, ``at`` if there is none.

    That is the host of the HTTP request, else that of the TLS handshake, else the query, else the
    name of the control server. An address in its place is no name, nor is what cannot be one.
    """
    for role in (_HOST, _SERVERNAME, _QUERY, _CC_NAME):
        start = spans[role, 0]
        if start < 0:
            continue
        stop = spans[role, 1]
        if parse_address(view, start, stop, scratch, int64(0)):
            continue
        if role in (_HOST, _SERVERNAME):
            if view[start] == _BRACKET:
                # An IPv6 address with a port (RFC 3986).
                continue
            for i in range(start, stop):
                if view[i] == _COLON:
                    stop = i
                    break
            if parse_address(view, start, stop, scratch, int64(0)):
                continue
        end = parse_name(view, start, stop, False, rows.names, at)
        if end > 0:
            return end
        if role == _QUERY:
            return int64(-1)
    return at


@kernel
def _add_word(view: Bytes, start: Int, stop: Int, row: Int, events: Events) -> None:
    """Note one word; spaces around it, empty ones and too long ones are left out."""
    while start < stop and view[start] == 32:
        start += 1
    while start < stop and view[stop - 1] == 32:
        stop -= 1
    size = stop - start
    count = events.word_count[0]
    if size < 1 or size > MAX_WORD or count >= events.word_row.size:
        return
    at = events.word_offsets[count]
    events.words[at] = size
    for i in range(size):
        events.words[at + 1 + i] = view[start + i]
    events.words[at + 1 + size] = 0
    events.word_row[count] = row
    events.word_offsets[count + 1] = at + size + 2
    events.word_count[0] = count + 1


@kernel
def _add_words(view: Bytes, spans: npt.NDArray[np.int64], row: Int, events: Events) -> None:
    """Note the words of a row for its malware: whole fields, and what their separators part."""
    last = events.word_count[0] + MAX_WORDS
    for role in range(_INFECTION, _MALWARE + 1):
        start = spans[role, 0]
        if start < 0:
            continue
        stop = spans[role, 1]
        parts = 0
        begin = start
        for i in range(start, stop + 1):
            if i < stop and view[i] not in (_COMMA, _SEMICOLON, _BAR):
                continue
            if i < stop or parts > 0:
                if events.word_count[0] >= last:
                    return
                _add_word(view, begin, i, row, events)
                parts += 1
                begin = i + 1
        if events.word_count[0] < last and parts == 0:
            _add_word(view, start, stop, row, events)


@kernel
def _proof(spans: npt.NDArray[np.int64], transport: Int, kind: Int) -> Int:
    if kind == DNS:
        return DNS_TCP if transport == 1 else DNS_UDP
    if transport == 0:
        return NO_PROOF
    if spans[_URL, 0] >= 0 or spans[_AGENT, 0] >= 0 or spans[_HOST, 0] >= 0:
        return HTTP
    if spans[_CIPHER, 0] >= 0 or spans[_SERVERNAME, 0] >= 0:
        return TLS
    return TCP if transport == 1 else NO_PROOF


@kernel
def _read_row(
    view: Bytes,
    start: Int,
    record: Int,
    spans: npt.NDArray[np.int64],
    kind: Int,
    scratch: Bytes,
    rows: Rows,
    events: Events,
) -> Int:
    """Turn the fields of one record into a row; return why it cannot be read, or -1."""
    if spans[_TIME, 0] < 0:
        return BAD_TIME
    time, _ = parse_iso(view, spans[_TIME, 0], spans[_TIME, 1])
    if time == BAD:
        return BAD_TIME
    n = rows.counters[QUERIES_SEEN]
    if spans[_SOURCE, 0] < 0 or not parse_address(
        view, spans[_SOURCE, 0], spans[_SOURCE, 1], rows.address, 16 * n
    ):
        return BAD_ADDRESS
    client_port = _number(view, spans, int64(_SOURCE_PORT), int64(_MAX_PORT))
    service_port = _number(view, spans, int64(_TARGET_PORT), int64(_MAX_PORT))
    weight = _number(view, spans, int64(_COUNT), int64(1) << 32)
    if min(client_port, service_port, weight) < -1:
        return BAD_NUMBER
    transport = -1
    if _is_word(view, spans, int64(_PROTOCOL), _TCP_WORD):
        transport = 1
    elif _is_word(view, spans, int64(_PROTOCOL), _UDP_WORD):
        transport = 0
    at = rows.name_offsets[n]
    end = _name(view, spans, scratch, rows, at)
    if end < 0:
        return BAD_NAME
    events.has_target[n] = (
        spans[_TARGET, 0] >= 0
        and parse_address(view, spans[_TARGET, 0], spans[_TARGET, 1], events.target, 16 * n) > 0
    )
    if spans[_QTYPE, 0] >= 0:
        rows.qtype[n] = parse_type(view, spans[_QTYPE, 0], spans[_QTYPE, 1])
    if events.word_row.size > 0:
        _add_words(view, spans, n, events)
    rows.line[n] = start
    rows.time[n] = time
    rows.client_port[n] = client_port
    rows.service_port[n] = service_port
    rows.transport[n] = transport
    rows.name_offsets[n + 1] = end
    events.proof[n] = _proof(spans, int64(transport), kind)
    events.weight[n] = max(weight, int64(1))
    events.record[n] = record
    rows.counters[QUERIES_SEEN] = n + 1
    return -1


@kernel
def read_reports(
    view: Bytes,
    ends: npt.NDArray[np.int64],
    flaws: npt.NDArray[np.int8],
    first: Int,
    layout: Layout,
    kind: Int,
    whole: bool,
    rows: Rows,
    events: Events,
    spans: npt.NDArray[np.int64],
    breaks: npt.NDArray[np.int64],
    scratch: Bytes,
) -> Int:
    """Read records until one is a header.

    Args:
        view: the bytes of the records.
        ends: where each record ends.
        flaws: what is wrong with each.
        first: the record to begin with.
        layout: what the header said; without columns the first record is the header.
        kind: which kind of report it is; rows about referring servers are skipped.
        whole: a record must have all columns: it is the last one, and nothing ends it.
        rows: filled from where the counters say.
        events: the same.
        spans: int64[roles, 3]: scratch.
        breaks: int64[2, MAX_COLUMNS + 1]: scratch.
        scratch: uint8[16].

    Returns:
        The index of the header, or the number of records.
    """
    width = layout.roles.size
    for record in range(first, ends.size):
        start = ends[record - 1] + 1 if record > 0 else 0
        stop = ends[record]
        reason = int64(flaws[record])
        if stop - start > MAX_LINE:
            reason = int64(TOO_LONG)
        if stop > start and view[stop - 1] == _RETURN:
            stop -= 1
        if stop == start:
            continue
        if reason == SOUND and (layout.first.size == 0 or is_header(view, start, stop, layout)):
            return record
        if reason == SOUND and width == 0:
            reason = int64(NO_HEADER)
        if reason == SOUND:
            fields = split(view, start, stop, layout, breaks, spans)
            if fields < 0 or (whole and fields < width):
                reason = int64(BAD_FIELDS)
            elif kind == REFERRERS:
                rows.counters[SKIPPED] += 1
            else:
                if fields < width:
                    rows.counters[SHORT] += 1
                reason = int64(_read_row(view, start, record, spans, kind, scratch, rows, events))
        if reason >= 0:
            reject(rows, start, stop, reason)
    return ends.size


@kernel
def spans_of(
    view: Bytes,
    ends: npt.NDArray[np.int64],
    records: npt.NDArray[np.int64],
    layout: Layout,
    breaks: npt.NDArray[np.int64],
    spans: npt.NDArray[np.int64],
) -> None:
    """Note where the fields with a role stand in some records: spans is int64[n, roles, 3]."""
    for k in range(records.size):
        record = records[k]
        start = ends[record - 1] + 1 if record > 0 else 0
        stop = ends[record]
        if stop > start and view[stop - 1] == _RETURN:
            stop -= 1
        split(view, start, stop, layout, breaks, spans[k])

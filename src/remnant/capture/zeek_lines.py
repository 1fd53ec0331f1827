"""Kernels that read the lines of Zeek's ``dns.log``: TSV by the columns of its header, and JSON.

References:
    Zeek, scripts/base/protocols/dns/main.zeek (the columns), scripts/base/frameworks/logging/
    writers/ascii.zeek (separators, unset and empty fields, escapes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.capture.json_lines import (
    KIND,
    LIST,
    NUMBER,
    TEXT,
    TEXT_ESCAPED,
    Found,
    Paths,
    Values,
    compile_paths,
    element,
    found_room,
    read_object,
    unescape,
)
from remnant.capture.lines import MAX_LINE
from remnant.capture.text_fields import (
    BAD,
    SECOND_US,
    parse_address,
    parse_iso,
    parse_name,
    parse_seconds,
    parse_uint,
    same_word,
)
from remnant.capture.text_records import TTL, Records, add_data, add_wire_owner
from remnant.capture.text_rows import (
    BAD_ADDRESS,
    BAD_FIELDS,
    BAD_JSON,
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
from remnant.capture.zeek_header import Layout, tsv_fields
from remnant.wire import AAAA, A, fold_byte, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "COLUMNS",
    "LOCAL_NAMES",
    "Work",
    "add_records",
    "answer_addresses",
    "read_lines",
    "work_for",
]

COLUMNS: Final = (
    "ts",
    "id.orig_h",
    "id.orig_p",
    "id.resp_p",
    "proto",
    "query",
    "qtype",
    "qtype_name",
    "rcode",
    "answers",
    "TTLs",
    "_path",
    "original_query",
)
"""The columns of ``dns.log`` that are read, and the stream's name in JSON; a *role* is an index."""

LOCAL_NAMES: Final = 4
"""Counter of the rows of mDNS, LLMNR and NetBIOS, which are a part of the skipped ones."""

(
    _TS, _CLIENT, _CLIENT_PORT, _SERVICE_PORT, _PROTO, _QUERY, _QTYPE, _QTYPE_NAME, _RCODE,
    _ANSWERS, _TTLS, _PATH, _ORIGINAL,
) = range(len(COLUMNS))  # fmt: skip

_TCP_WORD: Final = np.frombuffer(b"tcp", np.uint8).copy()
_UDP_WORD: Final = np.frombuffer(b"udp", np.uint8).copy()
_DNS_WORD: Final = np.frombuffer(b"dns", np.uint8).copy()
_HASH: Final = 35
_BRACE: Final = 123
_QUOTE: Final = 34
_MDNS: Final = 5353
_LLMNR: Final = 5355
_NETBIOS: Final = 137
_MAX_PORT: Final = 65535
_MAX_RCODE: Final = 4095


class Work(NamedTuple):
    """Room that a kernel needs beside what it writes.

    Attributes:
        paths: the keys of JSON lines.
        found: where the wanted values of a line stand, in TSV without their kinds.
        scratch: uint8[MAX_LINE]: a string without its escapes.
        breaks: int64[columns]: where the columns of a line end.
    """

    paths: Paths
    found: Found
    scratch: npt.NDArray[np.uint8]
    breaks: npt.NDArray[np.int64]


_PATHS: Final = compile_paths(COLUMNS)


def work_for(layout: Layout) -> Work:
    """Return the room for the lines of a layout."""
    return Work(
        _PATHS,
        found_room(len(COLUMNS)),
        np.empty(MAX_LINE, np.uint8),
        np.empty(max(layout.width, 1), np.int64),
    )


@kernel
def _number(view: Bytes, spans: Values, role: Int, most: Int) -> Int:
    """Return a number, -1 if it is not set, -2 if it cannot be read or is above ``most``."""
    if spans[role, 0] < 0:
        return -1
    value = parse_uint(view, spans[role, 0], spans[role, 1])
    return value if 0 <= value <= most else -2


@kernel
def _time(view: Bytes, start: Int, stop: Int) -> Int:
    if start < 0:
        return BAD
    time = parse_seconds(view, start, stop)
    if time == BAD:
        time, _ = parse_iso(view, start, stop)
    return time


@kernel
def _same_text(view: Bytes, spans: Values, json: bool) -> bool:
    """Return whether ``original_query`` is the query in the case that it had on the wire."""
    start = spans[_QUERY, 0]
    size = spans[_QUERY, 1] - start
    other = spans[_ORIGINAL, 0]
    if other < 0 or size <= 0 or spans[_ORIGINAL, 1] - other != size:
        return False
    if json and (spans[_QUERY, KIND] != TEXT or spans[_ORIGINAL, KIND] != TEXT):
        return False
    for i in range(size):
        if fold_byte(int64(view[start + i])) != fold_byte(int64(view[other + i])):
            return False
    return True


@kernel
def _read_row(
    view: Bytes,
    start: Int,
    spans: Values,
    json: bool,
    separator: Int,
    scratch: Bytes,
    rows: Rows,
) -> Int:
    """Turn the fields of one line into a row, or count it as skipped; return why not, or -1."""
    time = _time(view, spans[_TS, 0], spans[_TS, 1])
    if time == BAD:
        return BAD_TIME
    if spans[_QUERY, 0] < 0:
        rows.counters[SKIPPED] += 1
        return -1
    service_port = _number(view, spans, _SERVICE_PORT, _MAX_PORT)
    if service_port in (_MDNS, _LLMNR, _NETBIOS):
        rows.counters[SKIPPED] += 1
        rows.counters[LOCAL_NAMES] += 1
        return -1
    client_port = _number(view, spans, _CLIENT_PORT, _MAX_PORT)
    qtype = _number(view, spans, _QTYPE, _MAX_PORT)
    rcode = _number(view, spans, _RCODE, _MAX_RCODE)
    if min(service_port, client_port, qtype, rcode) < -1:
        return BAD_NUMBER
    n = rows.counters[QUERIES_SEEN]
    if spans[_CLIENT, 0] < 0 or not parse_address(
        view, spans[_CLIENT, 0], spans[_CLIENT, 1], rows.address, 16 * n
    ):
        return BAD_ADDRESS
    at = rows.name_offsets[n]
    if spans[_QUERY, 1] == spans[_QUERY, 0]:
        # Zeek writes the root as an empty field.
        rows.names[at] = 0
        end = at + 1
    elif json and spans[_QUERY, KIND] == TEXT_ESCAPED:
        size = unescape(view, spans[_QUERY, 0], spans[_QUERY, 1], scratch)
        end = parse_name(scratch, int64(0), size, True, rows.names, at)
    elif json and spans[_QUERY, KIND] != TEXT:
        end = -1
    else:
        end = parse_name(view, spans[_QUERY, 0], spans[_QUERY, 1], True, rows.names, at)
    if end < 0:
        return BAD_NAME
    if _same_text(view, spans, json):
        parse_name(view, spans[_ORIGINAL, 0], spans[_ORIGINAL, 1], True, rows.names, at)
    if qtype < 0 and spans[_QTYPE_NAME, 0] >= 0:
        qtype = parse_type(view, spans[_QTYPE_NAME, 0], spans[_QTYPE_NAME, 1])
    transport = -1
    if spans[_PROTO, 0] >= 0:
        if same_word(view, spans[_PROTO, 0], spans[_PROTO, 1], _TCP_WORD):
            transport = 1
        elif same_word(view, spans[_PROTO, 0], spans[_PROTO, 1], _UDP_WORD):
            transport = 0
    if spans[_ANSWERS, 0] >= 0 and (not json or spans[_ANSWERS, KIND] == LIST):
        rows.answers[n, 0] = spans[_ANSWERS, 0] + (1 if json else 0)
        rows.answers[n, 1] = spans[_ANSWERS, 1]
        rows.answers[n, 2] = _QUOTE if json else separator
        if spans[_TTLS, 0] >= 0 and (not json or spans[_TTLS, KIND] == LIST):
            rows.answers[n, 3] = spans[_TTLS, 0] + (1 if json else 0)
            rows.answers[n, 4] = spans[_TTLS, 1]
    rows.line[n] = start
    rows.time[n] = time
    rows.client_port[n] = client_port
    rows.service_port[n] = service_port
    rows.transport[n] = transport
    rows.qtype[n] = qtype
    rows.rcode[n] = rcode
    rows.name_offsets[n + 1] = end
    rows.counters[QUERIES_SEEN] = n + 1
    return -1


@kernel
def _of_another_log(view: Bytes, spans: Values) -> bool:
    begin = spans[_PATH, 0]
    return begin >= 0 and not same_word(
        view, begin, min(begin + _DNS_WORD.size, spans[_PATH, 1]), _DNS_WORD
    )


@kernel
def read_lines(
    view: Bytes,
    ends: npt.NDArray[np.int64],
    first: Int,
    layout: Layout,
    work: Work,
    rows: Rows,
) -> Int:
    """Read lines until one is a header line that changes the layout.

    Args:
        view: the bytes of the lines.
        ends: where each line ends.
        first: the line to begin with.
        layout: what the header said.
        work: made for this layout.
        rows: filled from where the counters say.

    Returns:
        The index of the header line, or the number of lines.
    """
    scratch = work.scratch
    spans = work.found.values
    separator = int64(layout.marks[1])
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
        json = view[start] == _BRACE
        if json:
            if not read_object(view, start, stop, work.paths, work.found, scratch):
                reason = BAD_JSON
            elif _of_another_log(view, spans):
                rows.counters[SKIPPED] += 1
            elif spans[_TS, 0] >= 0 and spans[_TS, KIND] not in (NUMBER, TEXT):
                reason = BAD_TIME
            else:
                is_row = True
        elif layout.other:
            rows.counters[SKIPPED] += 1
        elif layout.width == 0:
            reason = NO_HEADER
        elif not tsv_fields(view, start, stop, layout, work.breaks, spans):
            reason = BAD_FIELDS
        else:
            is_row = True
        # Called in one place each: every call with other constants is compiled again.
        if is_row:
            reason = _read_row(view, start, spans, json, separator, scratch, rows)
        if reason >= 0:
            reject(rows, start, stop, int64(reason))
    return ends.size


@kernel
def _next_member(view: Bytes, i: Int, stop: Int, mark: Int) -> tuple[Int, Int, Int]:
    """Return (start, end, where to go on) of the next answer; the start is -1 after the last."""
    if mark == _QUOTE:
        start, end, kind, i = element(view, i, stop)
        # A string with escapes is no address.
        return start, (end if kind == TEXT else start), i
    if i > stop:
        return int64(-1), int64(-1), i
    end = i
    while end < stop and view[end] != mark:
        end += 1
    return i, end, end + 1


@kernel
def _next_ttl(view: Bytes, i: Int, stop: Int, mark: Int) -> tuple[Int, Int]:
    """Return (TTL in seconds, where to go on) of the next answer; -1 where there is none."""
    if i >= stop:
        return int64(-1), i
    if mark == _QUOTE:
        start, end, _, i = element(view, i, stop)
    else:
        start, end, i = _next_member(view, i, stop, mark)
    if start < 0:
        return int64(-1), stop
    time = parse_seconds(view, start, end)
    return (time // SECOND_US if time >= 0 else int64(-1)), i


@kernel
def _write_addresses(
    view: Bytes, rows: Rows, row_of: npt.NDArray[np.int64], out: Bytes, address: Bytes
) -> Int:
    """Count the addresses in the answers; write those that there is room for."""
    total = 0
    for n in range(rows.counters[QUERIES_SEEN]):
        stop = rows.answers[n, 1]
        i: Int = rows.answers[n, 0]
        while stop > rows.answers[n, 0]:
            start, end, i = _next_member(view, i, stop, rows.answers[n, 2])
            if start < 0:
                break
            if parse_address(view, start, end, address, int64(0)):
                if total < row_of.size:
                    row_of[total] = n
                    # Assigning a row would compile what NumPy checks about shapes.
                    for k in range(16):
                        out[total, k] = address[k]
                total += 1
    return total


def answer_addresses(
    view: Bytes, rows: Rows
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return (row int64[m] ascending, address uint8[m, 16]) of the A and AAAA answers.

    Answers stand in the log without their type; what reads as an address is one.
    """
    room = 0
    while True:
        row_of = np.empty(room, np.int64)
        out = np.empty((room, 16), np.uint8)
        total = int(_write_addresses(view, rows, row_of, out, np.empty(16, np.uint8)))
        if total <= room:
            return row_of, out
        room = total


@kernel
def add_records(view: Bytes, rows: Rows, records: Records) -> None:
    """Add the addresses among the answers as records of the name that was asked for.

    Of a chain of aliases the log does not say which name has the address.
    """
    for n in range(rows.counters[QUERIES_SEEN]):
        stop = rows.answers[n, 1]
        i: Int = rows.answers[n, 0]
        owner: Int = int64(-1)
        at_ttl: Int = rows.answers[n, 3]
        while stop > rows.answers[n, 0]:
            start, end, i = _next_member(view, i, stop, rows.answers[n, 2])
            if start < 0:
                break
            ttl, at_ttl = _next_ttl(view, at_ttl, rows.answers[n, 4], rows.answers[n, 2])
            family = parse_address(view, start, end, records.scratch, int64(0))
            if family == 0:
                continue
            if owner < 0:
                at = rows.name_offsets[n]
                owner = int64(add_wire_owner(records, rows.names, at, rows.name_offsets[n + 1]))
            index = add_data(
                records, owner, int64(-1), int64(A if family == 4 else AAAA), view, start, end,
                True, rows.time[n],
            )  # fmt: skip
            if index >= 0:
                records.columns[index, TTL] = ttl

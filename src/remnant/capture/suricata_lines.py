"""Kernels that read the lines of Suricata's EVE log: DNS events of all versions, and flows.

References:
    Suricata user guide, EVE JSON format; rust/src/dns/log.rs and etc/schema.json (what each
    version writes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.capture.flow_rows import Flows
from remnant.capture.json_lines import (
    LIST,
    NUMBER,
    OBJECT,
    TEXT,
    TEXT_ESCAPED,
    Found,
    Paths,
    compile_paths,
    element,
    found_room,
    read_object,
    unescape,
)
from remnant.capture.lines import MAX_LINE
from remnant.capture.suricata_questions import (
    WAITING,
    Questions,
    exchange_key,
    new_questions,
    place_of,
    put_question,
)
from remnant.capture.text_fields import (
    BAD,
    parse_address,
    parse_iso,
    parse_name,
    parse_uint,
    same_word,
)
from remnant.capture.text_records import (
    Records,
    add_data,
    add_owner,
    add_wire_owner,
    same_owner,
)
from remnant.capture.text_rows import (
    BAD_ADDRESS,
    BAD_FIELDS,
    BAD_JSON,
    BAD_NAME,
    BAD_NUMBER,
    BAD_TIME,
    QUERIES_SEEN,
    SKIPPED,
    TOO_LONG,
    Rows,
    reject,
)
from remnant.capture.text_types import parse_rcode, parse_type
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "CONTINUED",
    "LOCAL_NAMES",
    "OTHER",
    "QUESTIONLESS",
    "Answered",
    "Output",
    "Work",
    "answered_room",
    "new_work",
    "read_lines",
]

CONTINUED: Final = 3
"""Counters of ``Rows`` besides: events that go on with a response of version 1, events of mDNS and
LLMNR, events of other types, DNS events without a question. All of them are skipped lines."""
LOCAL_NAMES: Final = 4
OTHER: Final = 5
QUESTIONLESS: Final = 6

_EVENT_PATHS: Final = (
    "timestamp", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "flow_id",
    "dns/version", "dns/type", "dns/id", "dns/rrname", "dns/rrtype", "dns/rcode", "dns/rdata",
    "dns/queries", "dns/answers", "dns/authorities", "dns/additionals", "dns/grouped", "dns",
    "flow/start", "flow/pkts_toserver", "flow/pkts_toclient", "flow/bytes_toserver",
    "flow/bytes_toclient", "tcp/tcp_flags_ts", "tcp/tcp_flags_tc",
)  # fmt: skip
(
    _TIMESTAMP, _EVENT, _SRC, _SRC_PORT, _DEST, _DEST_PORT, _PROTO, _FLOW_ID,
    _VERSION, _TYPE, _ID, _RRNAME, _RRTYPE, _RCODE, _RDATA,
    _QUERIES, _ANSWERS, _AUTHORITIES, _ADDITIONALS, _GROUPED, _DNS,
    _FLOW_START, _PKTS_OUT, _PKTS_IN, _BYTES_OUT, _BYTES_IN, _FLAGS_OUT, _FLAGS_IN,
) = range(len(_EVENT_PATHS))  # fmt: skip

_RECORD_PATHS: Final = (
    "rrname", "rrtype", "rdata",
    "soa/mname", "soa/rname", "soa/serial", "soa/refresh", "soa/retry", "soa/expire", "soa/minimum",
    "srv/priority", "srv/weight", "srv/port", "srv/name",
)  # fmt: skip
_OWNER: Final = 0
_KIND: Final = 1
_DATA: Final = 2
_SOA_FIRST: Final = 3
_SOA_LAST: Final = 9
_SRV_FIRST: Final = 10
_SRV_LAST: Final = 13

_GROUPS: Final = ("A", "AAAA", "CNAME", "NS", "PTR", "MX", "TXT")
_GROUP_TYPES: Final = np.array([1, 28, 5, 2, 12, 15, 16], np.int64)


def _bytes(word: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(word.encode(), np.uint8).copy()


_DNS_WORD: Final = _bytes("dns")
_FLOW_WORD: Final = _bytes("flow")
_MDNS_WORD: Final = _bytes("mdns")
_LLMNR_WORD: Final = _bytes("llmnr")
_QUERY_WORD: Final = _bytes("query")
_REQUEST_WORD: Final = _bytes("request")
_ANSWER_WORD: Final = _bytes("answer")
_RESPONSE_WORD: Final = _bytes("response")
_TCP_WORD: Final = _bytes("TCP")
_UDP_WORD: Final = _bytes("UDP")

_DNS_PORT: Final = 53
_MDNS: Final = 5353
_LLMNR: Final = 5355
_NETBIOS: Final = 137
_MAX_PORT: Final = 65535
_CNAME: Final = 5
_SOA: Final = 6
_SRV: Final = 33
_SLASH: Final = 47
_SYN: Final = 2
_ACK: Final = 16
_MAX_ITEMS: Final = 1 << 14


class Work(NamedTuple):
    """Tables and scratch of the kernels.

    Attributes:
        event_paths: what is read of an event, and ``event``: where it stands.
        record_paths: what is read of a record or a question, and ``record``.
        group_paths: the lists that are read of ``grouped``, and ``group``.
        text: uint8: a string without its escapes; ``more``: another; ``key``: a key.
        questions: what version 1 asked.
        address: uint8[32]: source and destination of the event.
    """

    event_paths: Paths
    event: Found
    record_paths: Paths
    record: Found
    group_paths: Paths
    group: Found
    text: Bytes
    more: Bytes
    key: Bytes
    questions: Questions
    address: Bytes


def new_work(seed: int) -> Work:
    """Return what the kernels need; it holds what spans blocks."""
    return Work(
        compile_paths(_EVENT_PATHS),
        found_room(len(_EVENT_PATHS)),
        compile_paths(_RECORD_PATHS),
        found_room(len(_RECORD_PATHS)),
        compile_paths(_GROUPS),
        found_room(len(_GROUPS)),
        np.empty(2 * MAX_LINE, np.uint8),
        np.empty(2 * MAX_LINE, np.uint8),
        np.empty(MAX_LINE, np.uint8),
        new_questions(seed),
        np.zeros(32, np.uint8),
    )


@kernel
def _is(view: Bytes, found: Found, slot: Int, word: Bytes) -> bool:
    """Return whether a value is a string of these bytes."""
    return found.kinds[slot] == TEXT and same_word(
        view, found.spans[slot, 0], found.spans[slot, 1], word
    )


@kernel
def _number(view: Bytes, found: Found, slot: Int, most: Int) -> Int:
    """Return a whole number, -1 if it is absent, -2 if it is no such number or above ``most``."""
    if found.spans[slot, 0] < 0:
        return int64(-1)
    if found.kinds[slot] != NUMBER:
        return int64(-2)
    value = parse_uint(view, found.spans[slot, 0], found.spans[slot, 1])
    return int64(value) if 0 <= value <= most else int64(-2)


@kernel
def _long_number(view: Bytes, found: Found, slot: Int) -> Int:
    """Return a whole number of any size modulo 2^64, 0 if there is none."""
    value = uint64(0)
    if found.kinds[slot] == NUMBER:
        for i in range(found.spans[slot, 0], found.spans[slot, 1]):
            value = value * uint64(10) + uint64(view[i])
    return value


@kernel
def _time(view: Bytes, found: Found, slot: Int) -> Int:
    if found.kinds[slot] != TEXT:
        return int64(BAD)
    time, zoned = parse_iso(view, found.spans[slot, 0], found.spans[slot, 1])
    return int64(time) if zoned else int64(BAD)


@kernel
def _text(view: Bytes, found: Found, slot: Int, out: Bytes) -> Int:
    """Write a string without its escapes; return its size, -1 if it cannot be read or is none."""
    start = found.spans[slot, 0]
    stop = found.spans[slot, 1]
    if found.kinds[slot] == TEXT_ESCAPED:
        return unescape(view, start, stop, out)
    if found.kinds[slot] != TEXT:
        return int64(-1)
    for i in range(stop - start):
        out[i] = view[start + i]
    return stop - start


@kernel
def _type(view: Bytes, found: Found, slot: Int) -> Int:
    """Return the number of a type, by its name or as digits; -1 if it is absent or unknown."""
    start = found.spans[slot, 0]
    stop = found.spans[slot, 1]
    if found.kinds[slot] != TEXT:
        return int64(-1)
    kind = parse_type(view, start, stop)
    if kind < 0:
        # Suricata prints the number of a type that it has no name for.
        kind = parse_uint(view, start, stop)
    return int64(kind) if kind <= _MAX_PORT else int64(-1)


@kernel
def _rcode(view: Bytes, found: Found, slot: Int) -> Int:
    """Return a response code, -1 if it is absent or unknown."""
    start = found.spans[slot, 0]
    stop = found.spans[slot, 1]
    if found.kinds[slot] != TEXT:
        return int64(-1)
    for i in range(start, stop):
        if view[i] == _SLASH:
            # BADVERS/BADSIG
            stop = i
            break
    return int64(parse_rcode(view, start, stop))


@kernel
def _record_text(view: Bytes, work: Work, kind: Int) -> Int:
    """Write the data of the record that was read last into ``work.text``; return its size or -1."""
    found = work.record
    if found.kinds[_DATA] == TEXT or found.kinds[_DATA] == TEXT_ESCAPED:
        return _text(view, found, int64(_DATA), work.text)
    first = _DATA
    last = -1
    if kind == _SOA:
        first = _SOA_FIRST
        last = _SOA_LAST
    elif kind == _SRV:
        first = _SRV_FIRST
        last = _SRV_LAST
    size = 0
    for slot in range(first, last + 1):
        if size > 0:
            work.text[size] = 32
            size += 1
        if found.kinds[slot] == NUMBER:
            for i in range(found.spans[slot, 0], found.spans[slot, 1]):
                work.text[size] = view[i]
                size += 1
            continue
        part = _text(view, found, int64(slot), work.more)
        if part < 0:
            return int64(-1)
        for i in range(part):
            work.text[size + i] = work.more[i]
        size += part
    return int64(size)



class Answered(NamedTuple):
    """Addresses that stand in the answers of a block.

    Attributes:
        filled: int64[1]: how many there are.
        row: int64[n]: the response's row.
        address: uint8[16 n].
    """

    filled: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    address: Bytes


def answered_room(size: int) -> Answered:
    """Return room for the addresses that so many bytes of JSON can hold."""
    # "::" is the shortest, with quotes and a comma.
    most = size // 5 + 1
    return Answered(np.zeros(1, np.int64), np.empty(most, np.int64), np.empty(16 * most, np.uint8))


class Output(NamedTuple):
    """What the kernel writes besides ``Rows``.

    Attributes:
        flows: the flows.
        records: resource records, if ``wanted[0]`` is not 0.
        answered: addresses in answers, if ``wanted[1]`` is not 0.
        wanted: int64[2].
    """

    flows: Flows
    records: Records
    answered: Answered
    wanted: npt.NDArray[np.int64]


@kernel
def _put_record(
    owner: Int,
    question: Int,
    kind: Int,
    size: Int,
    row: Int,
    time: Int,
    work: Work,
    out: Output,
) -> None:
    """Keep a record whose data stands in ``work.text``; note its address as an answer of a row."""
    if size <= 0 or kind < 0:
        return
    if out.wanted[0] != 0 and owner >= 0:
        asked = question
        if question >= 0 and same_owner(out.records, owner, question):
            asked = int64(-1)
        add_data(out.records, owner, asked, kind, work.text, int64(0), size, True, time)
    if out.wanted[1] != 0 and row >= 0 and (kind == 1 or kind == 28):  # noqa: PLR1714 - allocates
        count = out.answered.filled[0]
        if count < out.answered.row.size and parse_address(
            work.text, int64(0), size, out.answered.address, 16 * count
        ):
            out.answered.row[count] = row
            out.answered.filled[0] = count + 1


@kernel
def _owner(view: Bytes, found: Found, slot: Int, work: Work, out: Output) -> Int:
    """Keep the name in a slot as an owner; return its index, or -1."""
    if out.wanted[0] == 0:
        return int64(-1)
    size = _text(view, found, slot, work.text)
    if size == 0:
        work.text[0] = 46
        size = int64(1)
    if size < 0:
        return int64(-1)
    return int64(add_owner(out.records, work.text, int64(0), size, True))


@kernel
def _section(
    view: Bytes, slot: Int, question: Int, row: Int, time: Int, work: Work, out: Output
) -> None:
    """Take the records of a list of an event."""
    if work.event.kinds[slot] != LIST:
        return
    stop = work.event.spans[slot, 1]
    i: Int = work.event.spans[slot, 0] + 1
    for _ in range(_MAX_ITEMS):
        begin, end, kind_of, i = element(view, i, stop)
        if begin < 0:
            break
        if kind_of == OBJECT and read_object(
            view, begin, end, work.record_paths, work.record, work.key
        ):
            kind = _type(view, work.record, int64(_KIND))
            owner = _owner(view, work.record, int64(_OWNER), work, out)
            size = _record_text(view, work, kind)
            _put_record(owner, question, kind, size, row, time, work, out)


@kernel
def _grouped(
    view: Bytes, question: Int, row: Int, time: Int, work: Work, out: Output
) -> None:
    """Take the records of ``grouped``, which says no owners: those of aliases are left out."""
    begin = work.event.spans[_GROUPED, 0]
    end = work.event.spans[_GROUPED, 1]
    if not read_object(view, begin, end, work.group_paths, work.group, work.key):
        return
    chain = work.group.kinds[2] == LIST
    for group in range(_GROUP_TYPES.size):
        if work.group.kinds[group] != LIST:
            continue
        stop = work.group.spans[group, 1]
        i: Int = work.group.spans[group, 0] + 1
        for _ in range(_MAX_ITEMS):
            start, after, kind_of, i = element(view, i, stop)
            if start < 0:
                break
            if kind_of != TEXT and kind_of != TEXT_ESCAPED:
                continue
            work.record.spans[_DATA, 0] = start
            work.record.spans[_DATA, 1] = after
            work.record.kinds[_DATA] = kind_of
            size = _text(view, work.record, int64(_DATA), work.text)
            kind = _GROUP_TYPES[group]
            # Behind an alias only the addresses say something of the name that was asked for.
            owner = question if not chain or kind == 1 or kind == 28 else int64(-1)
            _put_record(owner, int64(-1), kind, size, row, time, work, out)


@kernel
def _question(view: Bytes, work: Work) -> tuple[Int, Int]:
    """Write the name that an event asks for into ``work.text``; return (its size, its type).

    The size is -1 where the name cannot be read, -2 where the event has none.
    """
    found = work.event
    name = int64(_RRNAME)
    kind = int64(_RRTYPE)
    if found.kinds[_QUERIES] == LIST:
        begin, end, kind_of, _ = element(
            view, found.spans[_QUERIES, 0] + 1, found.spans[_QUERIES, 1]
        )
        if kind_of != OBJECT or not read_object(
            view, begin, end, work.record_paths, work.record, work.key
        ):
            return int64(-2), int64(-1)
        found = work.record
        name = int64(_OWNER)
        kind = int64(_KIND)
    if found.spans[name, 0] < 0:
        return int64(-2), int64(-1)
    size = _text(view, found, name, work.text)
    if size == 0:
        work.text[0] = 46
        size = int64(1)
    return size, _type(view, found, kind)


@kernel
def _client_at(response: bool, version: Int, tcp: bool, src_port: Int, dest_port: Int) -> Int:
    """Return where in ``work.address`` the client's address stands: 0 or 16.

    The source of a request is the client. Of a response it depends on version and transport; the
    port of DNS tells, where only one end has it.
    """
    if not response:
        return int64(0)
    if (src_port == _DNS_PORT) != (dest_port == _DNS_PORT):
        return int64(16) if src_port == _DNS_PORT else int64(0)
    if version == 2 or (version < 2 and tcp):
        return int64(0)
    return int64(16)


@kernel
def _addresses(view: Bytes, work: Work) -> bool:
    """Read source and destination; return whether both can be."""
    for side in range(2):
        slot = _SRC if side == 0 else _DEST
        if work.event.kinds[slot] != TEXT or not parse_address(
            view,
            work.event.spans[slot, 0],
            work.event.spans[slot, 1],
            work.address,
            int64(16 * side),
        ):
            return False
    return True


@kernel
def _is_local(port: Int) -> bool:
    return port == _MDNS or port == _LLMNR or port == _NETBIOS  # noqa: PLR1714 - a set allocates


@kernel
def _read_dns(view: Bytes, start: Int, work: Work, rows: Rows, out: Output) -> Int:
    """Turn a DNS event into a row, or count it as skipped; return why not, or -1."""
    event = work.event
    src_port = _number(view, event, int64(_SRC_PORT), _MAX_PORT)
    dest_port = _number(view, event, int64(_DEST_PORT), _MAX_PORT)
    version = _number(view, event, int64(_VERSION), 99)
    ident = _number(view, event, int64(_ID), _MAX_PORT)
    if min(src_port, dest_port, version, ident) < -1:
        return int64(BAD_NUMBER)
    if _is_local(src_port) or _is_local(dest_port):
        rows.counters[SKIPPED] += 1
        rows.counters[LOCAL_NAMES] += 1
        return int64(-1)
    time = _time(view, event, int64(_TIMESTAMP))
    if time == BAD:
        return int64(BAD_TIME)
    if not _addresses(view, work):
        return int64(BAD_ADDRESS)
    response = _is(view, event, int64(_TYPE), _ANSWER_WORD) or _is(
        view, event, int64(_TYPE), _RESPONSE_WORD
    )
    if not (
        response
        or _is(view, event, int64(_TYPE), _QUERY_WORD)
        or _is(view, event, int64(_TYPE), _REQUEST_WORD)
    ):
        return int64(BAD_FIELDS)
    tcp = _is(view, event, int64(_PROTO), _TCP_WORD)
    side = _client_at(response, version, tcp, src_port, dest_port)
    size, qtype = _question(view, work)
    if size == -2:
        rows.counters[SKIPPED] += 1
        rows.counters[QUESTIONLESS] += 1
        return int64(-1)
    n = rows.counters[QUERIES_SEEN]
    at = rows.name_offsets[n]
    end = int64(-1)
    if size >= 0:
        end = int64(parse_name(work.text, int64(0), size, True, rows.names, at))
    if end < 0:
        return int64(BAD_NAME)
    client_port = src_port if side == 0 else dest_port
    state = int64(1) if response else int64(0)
    flat = version < 2 and event.kinds[_QUERIES] != LIST and event.kinds[_ANSWERS] != LIST
    flat = flat and event.kinds[_GROUPED] != OBJECT
    owner = int64(-1)
    kind = qtype
    if flat:
        questions = work.questions
        key = exchange_key(
            questions, _long_number(view, event, int64(_FLOW_ID)), ident, client_port,
            work.address, side,
        )  # fmt: skip
        if not response:
            put_question(questions, key, qtype, rows.names, at, end, int64(WAITING))
        else:
            if out.wanted[0] != 0:
                owner = int64(add_wire_owner(out.records, rows.names, at, end))
            place = place_of(questions, key)
            if questions.key[place] == key:
                if questions.answered[place] == time:
                    state = int64(2)
                questions.answered[place] = time
                qtype = int64(questions.qtype[place])
                end = at + questions.size[place]
                for i in range(questions.size[place]):
                    rows.names[at + i] = questions.names[place, i]
            else:
                # What was asked is not known: an alias says only that it was not asked for.
                qtype = int64(-1) if kind == _CNAME else kind
                put_question(questions, key, qtype, rows.names, at, end, time)
    if state == 2 and out.wanted[1] == 0:
        rows.counters[SKIPPED] += 1
        rows.counters[CONTINUED] += 1
    else:
        rows.line[n] = start
        rows.response[n] = state
        rows.time[n] = time
        for k in range(16):
            rows.address[16 * n + k] = work.address[side + k]
        rows.client_port[n] = client_port
        rows.service_port[n] = dest_port if side == 0 else src_port
        if tcp:
            rows.transport[n] = 1
        elif _is(view, event, int64(_PROTO), _UDP_WORD):
            rows.transport[n] = 0
        else:
            rows.transport[n] = -1
        rows.qtype[n] = qtype
        rows.rcode[n] = _rcode(view, event, int64(_RCODE)) if response else -1
        rows.name_offsets[n + 1] = end
        rows.counters[QUERIES_SEEN] = n + 1
    if response and (out.wanted[0] != 0 or out.wanted[1] != 0):
        question = int64(-1)
        if out.wanted[0] != 0:
            question = int64(add_wire_owner(out.records, rows.names, at, end))
        if flat:
            size = _text(view, event, int64(_RDATA), work.text)
            _put_record(owner, question, kind, size, n, time, work, out)
        elif event.kinds[_ANSWERS] == LIST:
            _section(view, int64(_ANSWERS), question, n, time, work, out)
        elif event.kinds[_GROUPED] == OBJECT:
            _grouped(view, question, n, time, work, out)
        if out.wanted[0] != 0 and not flat:
            _section(view, int64(_AUTHORITIES), question, int64(-1), time, work, out)
            _section(view, int64(_ADDITIONALS), question, int64(-1), time, work, out)
    return int64(-1)


@kernel
def _flags(view: Bytes, found: Found, slot: Int) -> Int:
    """Return TCP flags that are printed in hexadecimal, -1 if absent."""
    if found.kinds[slot] != TEXT:
        return int64(-1)
    value = int64(0)
    for i in range(found.spans[slot, 0], found.spans[slot, 1]):
        byte = int64(view[i])
        if 48 <= byte <= 57:
            value = (value * 16 + byte - 48) & 0xFFFF
        elif 97 <= byte <= 102:
            value = (value * 16 + byte - 87) & 0xFFFF
        else:
            return int64(-1)
    return value


@kernel
def _read_flow(view: Bytes, start: Int, work: Work, out: Output) -> Int:
    """Keep a flow event; return why not, or -1."""
    event = work.event
    flows = out.flows
    src_port = _number(view, event, int64(_SRC_PORT), _MAX_PORT)
    dest_port = _number(view, event, int64(_DEST_PORT), _MAX_PORT)
    if min(src_port, dest_port) < -1:
        return int64(BAD_NUMBER)
    slot = _FLOW_START if event.spans[_FLOW_START, 0] >= 0 else _TIMESTAMP
    time = _time(view, event, int64(slot))
    if time == BAD:
        return int64(BAD_TIME)
    if not _addresses(view, work):
        return int64(BAD_ADDRESS)
    n = flows.filled[0]
    for k in range(4):
        # Counters above 10 digits are not told.
        flows.sizes[n, k] = max(_number(view, event, int64(_PKTS_OUT + k), 1 << 34), int64(-1))
    for k in range(16):
        flows.source[n, k] = work.address[k]
        flows.target[n, k] = work.address[16 + k]
    tcp = _is(view, event, int64(_PROTO), _TCP_WORD)
    udp = _is(view, event, int64(_PROTO), _UDP_WORD)
    flows.line[n] = start
    flows.time[n] = time
    flows.source_port[n] = src_port
    flows.target_port[n] = dest_port
    flows.transport[n] = 1 if tcp else (0 if udp else -1)
    sent = _flags(view, event, int64(_FLAGS_OUT))
    received = _flags(view, event, int64(_FLAGS_IN))
    # The opener acknowledged what the other end sent: its address is genuine.
    flows.established[n] = (
        tcp and sent >= 0 and received >= 0 and sent & _ACK != 0 and received & _SYN != 0
    )
    flows.filled[0] = n + 1
    return int64(-1)


@kernel
def read_lines(
    view: Bytes, ends: npt.NDArray[np.int64], work: Work, rows: Rows, out: Output
) -> None:
    """Read the lines of a block.

    Args:
        view: the bytes of the lines.
        ends: where each line ends.
        work: tables and scratch; holds what spans blocks.
        rows: filled with DNS messages.
        out: filled with the rest.
    """
    event = work.event
    start: Int = int64(0)
    for line in range(ends.size):
        if line > 0:
            start = ends[line - 1] + 1
        stop: Int = ends[line]
        if stop - start > MAX_LINE:
            reject(rows, start, stop, int64(TOO_LONG))
            continue
        if stop > start and view[stop - 1] == 13:
            stop -= 1
        if stop == start:
            continue
        reason = int64(-1)
        if not read_object(view, start, stop, work.event_paths, event, work.key):
            reason = int64(BAD_JSON)
        elif event.kinds[_EVENT] != TEXT:
            reason = int64(BAD_FIELDS)
        elif _is(view, event, int64(_EVENT), _DNS_WORD) and event.kinds[_DNS] == OBJECT:
            reason = _read_dns(view, start, work, rows, out)
        elif _is(view, event, int64(_EVENT), _FLOW_WORD):
            reason = _read_flow(view, start, work, out)
        elif _is(view, event, int64(_EVENT), _DNS_WORD):
            reason = int64(BAD_FIELDS)
        else:
            rows.counters[SKIPPED] += 1
            if _is(view, event, int64(_EVENT), _MDNS_WORD) or _is(
                view, event, int64(_EVENT), _LLMNR_WORD
            ):
                rows.counters[LOCAL_NAMES] += 1
            else:
                rows.counters[OTHER] += 1
        if reason >= 0:
            reject(rows, start, stop, reason)

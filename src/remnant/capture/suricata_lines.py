"""Kernels that read the lines of Suricata's EVE log: DNS events of all versions, and flows.

References:
    Suricata user guide, EVE JSON format; rust/src/dns/log.rs and etc/schema.json (what each
    version writes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.capture.json_lines import (
    KIND,
    LIST,
    NUMBER,
    OBJECT,
    TEXT,
    Found,
    Paths,
    Values,
    compile_paths,
    copy_text,
    element,
    found_room,
    is_word,
    read_object,
    whole_number,
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
from remnant.capture.suricata_records import (
    RECORD_NAME,
    RECORD_TYPE,
    Answered,
    RecordWork,
    json_ttl,
    json_type,
    new_record_work,
    put_record,
    take_grouped,
    take_list,
)
from remnant.capture.text_fields import BAD, parse_address, parse_iso, parse_name
from remnant.capture.text_records import Records, add_wire_owner, drop_owner, is_watched
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
from remnant.capture.text_types import parse_rcode
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.flow_rows import Flows
    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int

__all__ = [
    "CONTINUED",
    "LOCAL_NAMES",
    "OTHER",
    "QUESTIONLESS",
    "Output",
    "Work",
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
    "dns/ttl",
)  # fmt: skip
(
    _TIMESTAMP, _EVENT, _SRC, _SRC_PORT, _DEST, _DEST_PORT, _PROTO, _FLOW_ID,
    _VERSION, _TYPE, _ID, _RRNAME, _RRTYPE, _RCODE, _RDATA,
    _QUERIES, _ANSWERS, _AUTHORITIES, _ADDITIONALS, _GROUPED, _DNS,
    _FLOW_START, _PKTS_OUT, _PKTS_IN, _BYTES_OUT, _BYTES_IN, _FLAGS_OUT, _FLAGS_IN,
    _TTL,
) = range(len(_EVENT_PATHS))  # fmt: skip


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
        paths: what is read of an event, and ``event`` where it stands.
        records: what reading records needs.
        questions: what version 1 asked.
        address: uint8[32]: source and destination of the event.
    """

    paths: Paths
    event: Found
    records: RecordWork
    questions: Questions
    address: Bytes


def new_work(seed: int) -> Work:
    """Return what the kernels need; it holds what spans blocks."""
    return Work(
        compile_paths(_EVENT_PATHS),
        found_room(len(_EVENT_PATHS)),
        new_record_work(),
        new_questions(seed),
        np.zeros(32, np.uint8),
    )


class Output(NamedTuple):
    """What the kernel writes besides ``Rows``.

    Attributes:
        flows: the flows.
        records: resource records, if ``wanted[0]`` is not 0.
        answered: addresses in answers, if ``wanted[1]`` is not 0.
        wanted: int64[2].
        tables: what is watched.
    """

    flows: Flows
    records: Records
    answered: Answered
    wanted: npt.NDArray[np.int64]
    tables: Tables


@kernel
def _long_number(view: Bytes, values: Values, slot: Int) -> Int:
    """Return a whole number of any size modulo 2^64, 0 if there is none."""
    value = uint64(0)
    if values[slot, KIND] == NUMBER:
        for i in range(values[slot, 0], values[slot, 1]):
            value = value * uint64(10) + uint64(view[i])
    return value


@kernel
def _time(view: Bytes, values: Values, slot: Int) -> Int:
    if values[slot, KIND] != TEXT:
        return int64(BAD)
    time, zoned = parse_iso(view, values[slot, 0], values[slot, 1])
    return int64(time) if zoned else int64(BAD)


@kernel
def _rcode(view: Bytes, values: Values, slot: Int) -> Int:
    """Return a response code, -1 if it is absent or unknown."""
    start = values[slot, 0]
    stop = values[slot, 1]
    if values[slot, KIND] != TEXT:
        return int64(-1)
    for i in range(start, stop):
        if view[i] == _SLASH:
            # BADVERS/BADSIG
            stop = i
            break
    return int64(parse_rcode(view, start, stop))


@kernel
def _question(
    view: Bytes, event: Values, paths: Paths, record: Found, text: Bytes, key: Bytes
) -> tuple[Int, Int]:
    """Write the name that an event asks for into ``text``; return (its size, its type).

    The size is -1 where the name cannot be read, -2 where the event has none.
    """
    values = event
    name = int64(_RRNAME)
    kind = int64(_RRTYPE)
    if event[_QUERIES, KIND] == LIST:
        begin, end, kind_of, _ = element(view, event[_QUERIES, 0] + 1, event[_QUERIES, 1])
        if kind_of != OBJECT or not read_object(view, begin, end, paths, record, key):
            return int64(-2), int64(-1)
        values = record.values
        name = int64(RECORD_NAME)
        kind = int64(RECORD_TYPE)
    if values[name, 0] < 0:
        return int64(-2), int64(-1)
    size = copy_text(view, values, name, text)
    if size == 0:
        text[0] = 46
        size = int64(1)
    return size, json_type(view, values, kind)


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
def _address(view: Bytes, event: Values, slot: Int, out: Bytes, at: Int) -> bool:
    if event[slot, KIND] != TEXT:
        return False
    return bool(parse_address(view, event[slot, 0], event[slot, 1], out, at) > 0)


@kernel
def _is_local(port: Int) -> bool:
    return port in (_MDNS, _LLMNR, _NETBIOS)


@inlined
def _read_dns(view: Bytes, start: Int, work: Work, rows: Rows, out: Output) -> Int:
    """Turn a DNS event into a row, or count it as skipped; return why not, or -1."""
    event = work.event.values
    src_port = whole_number(view, event, int64(_SRC_PORT), _MAX_PORT)
    dest_port = whole_number(view, event, int64(_DEST_PORT), _MAX_PORT)
    version = whole_number(view, event, int64(_VERSION), 99)
    ident = whole_number(view, event, int64(_ID), _MAX_PORT)
    if min(src_port, dest_port, version, ident) < -1:
        return int64(BAD_NUMBER)
    if _is_local(src_port) or _is_local(dest_port):
        rows.counters[SKIPPED] += 1
        rows.counters[LOCAL_NAMES] += 1
        return int64(-1)
    time = _time(view, event, int64(_TIMESTAMP))
    if time == BAD:
        return int64(BAD_TIME)
    if not _address(view, event, int64(_SRC), work.address, int64(0)):
        return int64(BAD_ADDRESS)
    if not _address(view, event, int64(_DEST), work.address, int64(16)):
        return int64(BAD_ADDRESS)
    response = is_word(view, event, int64(_TYPE), _ANSWER_WORD) or is_word(
        view, event, int64(_TYPE), _RESPONSE_WORD
    )
    if not (
        response
        or is_word(view, event, int64(_TYPE), _QUERY_WORD)
        or is_word(view, event, int64(_TYPE), _REQUEST_WORD)
    ):
        return int64(BAD_FIELDS)
    tcp = is_word(view, event, int64(_PROTO), _TCP_WORD)
    side = _client_at(response, version, tcp, src_port, dest_port)
    text = work.records.text
    size, qtype = _question(
        view, event, work.records.paths, work.records.record, text, work.records.key
    )
    if size == -2:
        rows.counters[SKIPPED] += 1
        rows.counters[QUESTIONLESS] += 1
        return int64(-1)
    n = rows.counters[QUERIES_SEEN]
    at = rows.name_offsets[n]
    end: Int = int64(-1)
    if size >= 0:
        end = int64(parse_name(text, int64(0), size, True, rows.names, at))
    if end < 0:
        return int64(BAD_NAME)
    client_port = src_port if side == 0 else dest_port
    state = int64(1) if response else int64(0)
    flat = version < 2 and event[_QUERIES, KIND] != LIST and event[_ANSWERS, KIND] != LIST
    flat = flat and event[_GROUPED, KIND] != OBJECT
    owner: Int = int64(-1)
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
        elif is_word(view, event, int64(_PROTO), _UDP_WORD):
            rows.transport[n] = 0
        else:
            rows.transport[n] = -1
        rows.qtype[n] = qtype
        rows.rcode[n] = _rcode(view, event, int64(_RCODE)) if response else -1
        rows.name_offsets[n + 1] = end
        rows.counters[QUERIES_SEEN] = n + 1
    if response and (out.wanted[0] != 0 or out.wanted[1] != 0):
        question: Int = int64(-1)
        if out.wanted[0] != 0:
            question = int64(add_wire_owner(out.records, rows.names, at, end))
            grouped = event[_ANSWERS, KIND] != LIST and event[_GROUPED, KIND] == OBJECT
            if not grouped and not is_watched(out.records, question, out.tables, work.records.hits):
                drop_owner(out.records, question)
                question = int64(-1)
        if flat:
            size = copy_text(view, event, int64(_RDATA), text)
            put_record(
                (owner, question, kind, time, json_ttl(view, event, int64(_TTL))),
                size,
                n,
                text,
                out.records,
                out.answered,
                out.wanted,
            )
        for section in range(_ANSWERS, _GROUPED):
            # Authorities and additional records answer nothing.
            row = n if section == _ANSWERS else int64(-1)
            if not flat and event[section, KIND] == LIST:
                take_list(
                    view, (event[section, 0], event[section, 1]), question, row, time,
                    work.records, out.tables, out.records, out.answered, out.wanted,
                )  # fmt: skip
        if event[_ANSWERS, KIND] != LIST and event[_GROUPED, KIND] == OBJECT:
            take_grouped(
                view, (event[_GROUPED, 0], event[_GROUPED, 1]), question, n, time,
                work.records, out.records, out.answered, out.wanted,
            )  # fmt: skip
    return int64(-1)


@kernel
def _flags(view: Bytes, values: Values, slot: Int) -> Int:
    """Return TCP flags that are printed in hexadecimal, -1 if absent."""
    if values[slot, KIND] != TEXT:
        return int64(-1)
    value = int64(0)
    for i in range(values[slot, 0], values[slot, 1]):
        byte = int64(view[i])
        if 48 <= byte <= 57:
            value = (value * 16 + byte - 48) & 0xFFFF
        elif 97 <= byte <= 102:
            value = (value * 16 + byte - 87) & 0xFFFF
        else:
            return int64(-1)
    return value


@inlined
def _read_flow(view: Bytes, start: Int, work: Work, out: Output) -> Int:
    """Keep a flow event; return why not, or -1."""
    event = work.event.values
    flows = out.flows
    src_port = whole_number(view, event, int64(_SRC_PORT), _MAX_PORT)
    dest_port = whole_number(view, event, int64(_DEST_PORT), _MAX_PORT)
    if min(src_port, dest_port) < -1:
        return int64(BAD_NUMBER)
    slot = _FLOW_START if event[_FLOW_START, 0] >= 0 else _TIMESTAMP
    time = _time(view, event, int64(slot))
    if time == BAD:
        return int64(BAD_TIME)
    if not _address(view, event, int64(_SRC), work.address, int64(0)):
        return int64(BAD_ADDRESS)
    if not _address(view, event, int64(_DEST), work.address, int64(16)):
        return int64(BAD_ADDRESS)
    n = flows.filled[0]
    for k in range(4):
        # Counters above 10 digits are not told.
        flows.sizes[n, k] = max(whole_number(view, event, int64(_PKTS_OUT + k), 1 << 34), int64(-1))
    for k in range(16):
        flows.source[n, k] = work.address[k]
        flows.target[n, k] = work.address[16 + k]
    tcp = is_word(view, event, int64(_PROTO), _TCP_WORD)
    udp = is_word(view, event, int64(_PROTO), _UDP_WORD)
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
    event = work.event.values
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
        if not read_object(view, start, stop, work.paths, work.event, work.records.key):
            reason = int64(BAD_JSON)
        elif event[_EVENT, KIND] != TEXT:
            reason = int64(BAD_FIELDS)
        elif is_word(view, event, int64(_EVENT), _DNS_WORD) and event[_DNS, KIND] == OBJECT:
            reason = _read_dns(view, start, work, rows, out)
        elif is_word(view, event, int64(_EVENT), _FLOW_WORD):
            reason = _read_flow(view, start, work, out)
        elif is_word(view, event, int64(_EVENT), _DNS_WORD):
            reason = int64(BAD_FIELDS)
        else:
            rows.counters[SKIPPED] += 1
            if is_word(view, event, int64(_EVENT), _MDNS_WORD) or is_word(
                view, event, int64(_EVENT), _LLMNR_WORD
            ):
                rows.counters[LOCAL_NAMES] += 1
            else:
                rows.counters[OTHER] += 1
        if reason >= 0:
            reject(rows, start, stop, reason)

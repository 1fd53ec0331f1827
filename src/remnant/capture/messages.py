"""One DNS message, wherever it comes from: counted, matched, remembered, paired.

Formats that carry DNS messages (dnstap, packets) or what is in them (PowerDNS, C-DNS) find the
messages and say what they know of each, its *facts*; everything else about a message happens here,
so that all of them count alike.

References:
    RFC 1035 (messages), RFC 7871 (client subnet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant import wire
from remnant.capture import counts as tallies
from remnant.capture import recent
from remnant.capture.events import EVENT_ENTRIES, MAX_RULE
from remnant.capture.pairing import WAIT_US
from remnant.capture.records import NONE, write_records
from remnant.watchtable import lookup_address, lookup_name
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.counts import Counts
    from remnant.capture.events import Events
    from remnant.capture.recent import Recent
    from remnant.capture.records import Records
    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int, Word

__all__ = [
    "ADDRESS",
    "ADDRESSES",
    "ANSWERS",
    "ASKED",
    "CBOR",
    "CLIENT",
    "CLIENT_PORT",
    "CLOCK_FAULT",
    "DNS_NAME",
    "DNS_QUESTION",
    "ENTRY",
    "FAULTS_KEPT",
    "FAULTS_TO_KEEP",
    "FIRST_OWN",
    "FORCED",
    "FRAGMENT",
    "FRAMING",
    "HEARD",
    "LATEST",
    "NO_MESSAGE",
    "OFFSET",
    "PACKET",
    "POLICY",
    "PROTOBUF",
    "QUERIES",
    "REASONS",
    "RECORDED",
    "RECORDS_READ",
    "RESPONSE",
    "RULE",
    "SENSOR",
    "SERVICE_PORT",
    "SIMULATED",
    "STREAM",
    "TRANSPORT",
    "TRUNCATED",
    "USE_NOTHING",
    "USE_QUERY",
    "USE_RECORDS",
    "VANTAGE",
    "Context",
    "Quarantine",
    "is_address",
    "keep",
    "keep_fault",
    "new_context",
    "new_quarantine",
    "read_address",
    "take",
    "take_parsed",
    "usable_time",
]

REASONS: Final = (
    "",
    "dns_header",
    "dns_name",
    "dns_question",
    "protobuf",
    "no_message",
    "address",
    "framing",
    "truncated",
    "clock_fault",
    "cbor",
    "packet",
    "fragment",
    "stream",
    "recorded",
)
"""Why a record could not be read; the constants below are indexes into these."""

DNS_NAME: Final = 2
DNS_QUESTION: Final = 3
PROTOBUF: Final = 4
NO_MESSAGE: Final = 5
ADDRESS: Final = 6
FRAMING: Final = 7
TRUNCATED: Final = 8
CLOCK_FAULT: Final = 9
CBOR: Final = 10
RECORDED: Final = 14
PACKET: Final = 11
FRAGMENT: Final = 12
STREAM: Final = 13

# Places in ``Context.facts``: what the caller says of a message before it is taken.
ASKED: Final = 0
"""When its query was heard, UTC microseconds; -1 if not known or not usable."""
HEARD: Final = 1
"""When the message itself was heard; -1 as above."""
RESPONSE: Final = 2
"""1 for a response."""
CLIENT_PORT: Final = 3
"""The client's port, or -1; the other ports and the transport likewise."""
SERVICE_PORT: Final = 4
TRANSPORT: Final = 5
"""Index into ``events.TRANSPORTS``."""
SENSOR: Final = 6
VANTAGE: Final = 7
OFFSET: Final = 8
"""Where the message's record starts in the stream."""
POLICY: Final = 9
"""As in ``Events.policy``."""
RULE: Final = 10
"""Where the policy's rule begins in the buffer; the place after it says where it ends."""
CLIENT: Final = 12
"""Where the client's address stands in the buffer, and the place after it where it ends; -1: it
stands in ``Context.address`` already. Only messages that matter have it copied."""
ENTRY: Final = 14
"""Written by ``take_parsed``: the entry that the message's name hits, ``records.NONE`` if none."""
_FACTS: Final = 16

# What a message is used for.
USE_NOTHING: Final = 0
USE_QUERY: Final = 1
USE_RECORDS: Final = 2

# Places in ``Context.state``.
SIMULATED: Final = 0
QUERIES: Final = 1
"""Query messages seen."""
RECORDS_READ: Final = 2
"""Records of the batch."""
FAULTS_KEPT: Final = 3
FIRST_OWN: Final = 4
"""From here on the places belong to the format."""

# Places in ``Context.options``.
LATEST: Final = 0
FORCED: Final = 1
ADDRESSES: Final = 2
ANSWERS: Final = 3

FAULTS_TO_KEEP: Final = 100
"""Messages without a usable time that quarantine keeps of one source."""
_FIRST_US: Final = 946_684_800_000_000
_MULTIPLIER: Final = uint64(0xD6E8FEB86659FD93)
_OPCODE: Final = 0x7800
_ALL: Final = 2
_WATCHED: Final = 1


class Context(NamedTuple):
    """What kernels keep from call to call, and scratch space.

    Attributes:
        state: int64[32]: see the places above.
        options: int64[4]: latest usable time, vantage (-1: the message says it), whether address
            rules exist, which records are kept (0 none, 1 watched, 2 all).
        seeds: uint64[2] for event keys.
        facts: int64[16]: of the message that is being taken.
        question: int64[wire.FIELDS]: its header and question.
        starts: int64[130]: the labels of its name.
        name: uint8[256]: its name where it was compressed, or is no part of the buffer.
        hits: int32[256]: the entries it hits.
        address_hits: int32[256]: scratch.
        subnet: uint8[17]: its client subnet.
        address: uint8[16]: of the client.
        other: uint8[256], other_starts: int64[130]: the owner of a record.
    """

    state: npt.NDArray[np.int64]
    options: npt.NDArray[np.int64]
    seeds: npt.NDArray[np.uint64]
    facts: npt.NDArray[np.int64]
    question: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    name: Bytes
    hits: npt.NDArray[np.int32]
    address_hits: npt.NDArray[np.int32]
    subnet: Bytes
    address: Bytes
    other: Bytes
    other_starts: npt.NDArray[np.int64]


class Quarantine(NamedTuple):
    """Records that could not be read.

    Attributes:
        filled: int64[2]: how many, and how many may still be kept.
        offset: int64: in the stream.
        reason: int32: index into REASONS.
        start: int64: in the buffer.
        stop: int64: in the buffer.
    """

    filled: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    reason: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]


def new_context(
    latest: int, vantage: int, addresses: bool, answers: int, seeds: tuple[int, int]
) -> Context:
    """Return the state before the first byte; the client stands in ``Context.address``.

    Args:
        latest: latest usable time (UTC microseconds).
        vantage: index of the vantage, -1 to go by the message.
        addresses: whether the watchlist has address rules.
        answers: which records of responses are kept: 0 none, 1 watched, 2 all.
        seeds: two times 64 random bits.
    """
    facts = np.zeros(_FACTS, np.int64)
    facts[CLIENT] = -1
    return Context(
        np.zeros(32, np.int64),
        np.array([latest, vantage, addresses, answers], np.int64),
        np.array(seeds, np.uint64),
        facts,
        np.zeros(wire.FIELDS, np.int64),
        np.zeros(wire.MAX_LABELS + 2, np.int64),
        np.zeros(256, np.uint8),
        np.zeros(EVENT_ENTRIES, np.int32),
        np.zeros(EVENT_ENTRIES, np.int32),
        np.zeros(17, np.uint8),
        np.zeros(16, np.uint8),
        np.zeros(256, np.uint8),
        np.zeros(wire.MAX_LABELS + 2, np.int64),
    )


def new_quarantine(count: int) -> Quarantine:
    """Return room for ``count`` records, which is how many may be kept in all."""
    return Quarantine(
        np.array([0, count]),
        np.zeros(count, np.int64),
        np.zeros(count, np.int32),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
    )


@kernel
def keep(quarantine: Quarantine, offset: Int, reason: Int, start: Int, stop: Int) -> None:
    """Note a record that could not be read, while there is room."""
    row = quarantine.filled[0]
    if row < quarantine.filled[1]:
        quarantine.offset[row] = offset
        quarantine.reason[row] = reason
        quarantine.start[row] = start
        quarantine.stop[row] = stop
        quarantine.filled[0] = row + 1


@inlined
def keep_fault(context: Context, quarantine: Quarantine, start: Int, stop: Int) -> None:
    """Note a message without a usable time, the first hundred of a source."""
    if context.state[FAULTS_KEPT] < FAULTS_TO_KEEP:
        context.state[FAULTS_KEPT] += 1
        keep(quarantine, context.facts[OFFSET], int64(CLOCK_FAULT), start, stop)


@inlined
def usable_time(time: Int, latest: Int) -> Int:
    """Return a time in UTC microseconds, or -1 if it cannot be right."""
    return time if _FIRST_US <= time <= latest else int64(-1)


@inlined
def is_address(start: Int, stop: Int) -> bool:
    """Return whether the bytes of a range may be an address."""
    return bool(start >= 0 and (stop - start == 4 or stop - start == 16))


@kernel
def read_address(buffer: Bytes, start: Int, stop: Int, out: Bytes) -> bool:
    """Write 16 address bytes, IPv4 mapped; return whether there is an address."""
    if start < 0:
        return False
    size = stop - start
    if size == 4:
        for i in range(10):
            out[i] = 0
        out[10] = out[11] = 0xFF
        for i in range(4):
            out[12 + i] = buffer[start + i]
        return True
    if size == 16:
        for i in range(16):
            out[i] = buffer[start + i]
        return True
    return False


@kernel
def _key(seed: Word, context: Context, buffer: Bytes, start: Int, stop: Int) -> Word:
    """Return the keyed hash of what a query and its response have in common."""
    facts = context.facts
    question = context.question
    shift = uint64(29)
    state = seed
    number = (
        (question[wire.IDENT] << 48)
        | (question[wire.QTYPE] << 32)
        | ((facts[CLIENT_PORT] & 0xFFFF) << 16)
        | ((facts[TRANSPORT] & 0xFF) << 8)
        | facts[VANTAGE]
    )
    state = (state ^ uint64(number)) * _MULTIPLIER
    state ^= state >> shift
    for half in range(0, 16, 8):
        word = uint64(0)
        for i in range(half, half + 8):
            word = (word << uint64(8)) | uint64(context.address[i])
        state = (state ^ word) * _MULTIPLIER
        state ^= state >> shift
    for i in range(start, stop):
        state = (state ^ uint64(wire.fold_byte(int64(buffer[i])))) * _MULTIPLIER
        state ^= state >> shift
    return state ^ (state >> uint64(32))


@kernel
def _add_address_hits(context: Context, tables: Tables, address: Bytes, found: Int) -> Int:
    """Add the entries that an address hits to ``context.hits``; return how many there are now."""
    count = lookup_address(tables, address, context.address_hits)
    for i in range(count):
        known = False
        for j in range(found):
            if context.hits[j] == context.address_hits[i]:
                known = True
                break
        if not known and found < context.hits.size:
            context.hits[found] = context.address_hits[i]
            found += 1
    return found


@kernel
def _answers(context: Context, tables: Tables, buffer: Bytes, stop: Int, found: Int) -> Int:
    """Add the entries that the answers' addresses hit to ``context.hits``; return how many now."""
    question = context.question
    if question[wire.QDCOUNT] != 1:
        return found
    position = question[wire.END]
    for _ in range(question[wire.ANCOUNT]):
        kind, data, end = wire.record(buffer, position, stop)
        if kind < 0:
            break
        size = end - data
        if ((kind == wire.A and size == 4) or (kind == wire.AAAA and size == 16)) and (
            read_address(buffer, data, end, context.subnet)
        ):
            found = _add_address_hits(context, tables, context.subnet, found)
        position = end
    return found


@kernel
def _event(
    context: Context,
    events: Events,
    buffer: Bytes,
    names: Bytes,
    start: Int,
    stop: Int,
    numbers: tuple[Int, Int, Int, Int, Int, Int],
) -> Int:
    """Append an event with the first ``numbers[5]`` of ``context.hits``; return its row."""
    response, time, heard, offset, rcode, found = numbers
    facts = context.facts
    question = context.question
    row = events.filled[0]
    events.filled[0] = row + 1
    events.response[row] = response
    events.time[row] = time
    events.heard[row] = heard
    events.offset[row] = offset
    for i in range(16):
        events.address[row, i] = context.address[i]
    events.client_port[row] = facts[CLIENT_PORT]
    events.service_port[row] = facts[SERVICE_PORT]
    events.transport[row] = facts[TRANSPORT]
    events.ident[row] = question[wire.IDENT]
    events.qtype[row] = question[wire.QTYPE]
    events.rcode[row] = rcode
    events.has_ecs[row] = 0
    events.case_bits[row] = 0
    events.sensor[row] = facts[SENSOR]
    events.vantage[row] = facts[VANTAGE]
    name = events.name_offsets[row]
    wire.copy_folded(names, start, stop, events.names, name)
    events.name_offsets[row + 1] = name + stop - start
    events.key[row] = _key(context.seeds[0], context, events.names, name, name + stop - start)
    events.policy[row] = facts[POLICY]
    rule = events.rule_offsets[row]
    size = int64(0)
    if facts[POLICY] != 0 and facts[RULE] >= 0:
        size = min(facts[RULE + 1] - facts[RULE], int64(MAX_RULE))
        for i in range(size):
            events.rules[rule + i] = buffer[facts[RULE] + i]
    events.rule_offsets[row + 1] = rule + size
    entry = events.entry_offsets[row]
    for i in range(found):
        events.entries[entry + i] = context.hits[i]
    events.entry_offsets[row + 1] = entry + found
    return row


@kernel
def _copy_subnet(subnet: Bytes, target: Bytes, row: Int) -> None:
    for i in range(17):
        target[row, i] = subnet[i]


@kernel
def _query(
    context: Context,
    memory: Recent,
    events: Events,
    buffer: Bytes,
    names: Bytes,
    found: Int,
    rcode: Int,
    subnet: bool,
) -> None:
    """Append a query to the events if it hits; else remember it for its answer.

    Args:
        context: its facts, and the ``found`` entries it hits.
        memory: recent queries.
        events: of this batch.
        buffer: what RULE points into.
        names: holds its name.
        found: how many entries it hits.
        rcode: of its response, -1 where that is another message.
        subnet: whether ``context.subnet`` is the client subnet of the query.
    """
    facts = context.facts
    if facts[CLIENT] >= 0:
        read_address(buffer, facts[CLIENT], facts[CLIENT + 1], context.address)
    count = context.question[wire.LABELS]
    start = context.starts[0]
    end = context.starts[count] + 1
    time = facts[ASKED]
    bits = wire.case_bits(names, context.starts, count)
    if found == 0:
        if rcode >= 0:
            return
        key = _key(context.seeds[0], context, names, start, end)
        check = _key(context.seeds[1], context, names, start, end)
        early = time - WAIT_US
        if recent.take(memory, recent.ANSWER, key, check, early, time + WAIT_US) < 0:
            place = recent.put(memory, recent.QUERY, key, check, time)
            memory.offset[place] = facts[OFFSET]
            memory.case_bits[place] = bits
            if subnet:
                memory.has_ecs[place] = 1
                _copy_subnet(context.subnet, memory.ecs, place)
            return
    row = _event(
        context, events, buffer, names, start, end,
        (int64(0), time, time, facts[OFFSET], rcode, found),
    )  # fmt: skip
    events.case_bits[row] = bits
    if subnet:
        events.has_ecs[row] = 1
        _copy_subnet(context.subnet, events.ecs, row)


@kernel
def _response(
    context: Context,
    memory: Recent,
    events: Events,
    buffer: Bytes,
    names: Bytes,
    by_name: Int,
    found: Int,
    rcode: Int,
) -> None:
    """Append a response that hits, and the query that its answers make a hit."""
    facts = context.facts
    if facts[CLIENT] >= 0:
        read_address(buffer, facts[CLIENT], facts[CLIENT + 1], context.address)
    count = context.question[wire.LABELS]
    start = context.starts[0]
    end = context.starts[count] + 1
    heard = facts[HEARD]
    if by_name == 0:
        key = _key(context.seeds[0], context, names, start, end)
        check = _key(context.seeds[1], context, names, start, end)
        place = recent.take(memory, recent.QUERY, key, check, heard - WAIT_US, heard + WAIT_US)
        if place >= 0:
            asked = memory.heard[place]
            none = int64(0)
            policy = facts[POLICY]
            facts[POLICY] = 0
            row = _event(
                context, events, buffer, names, start, end,
                (none, asked, asked, memory.offset[place], int64(-1), none),
            )  # fmt: skip
            facts[POLICY] = policy
            events.case_bits[row] = memory.case_bits[place]
            if memory.has_ecs[place] != 0:
                events.has_ecs[row] = 1
                for i in range(17):
                    events.ecs[row, i] = memory.ecs[place, i]
        else:
            recent.put(memory, recent.ANSWER, key, check, heard)
    row = _event(
        context, events, buffer, names, start, end,
        (int64(1), facts[ASKED], heard, facts[OFFSET], rcode, found),
    )  # fmt: skip
    events.case_bits[row] = wire.case_bits(names, context.starts, count)


@kernel
def _hit_response(
    context: Context,
    tables: Tables,
    memory: Recent,
    events: Events,
    records: Records,
    buffer: Bytes,
    names: Bytes,
    place: tuple[Int, Int],
    by_name: Int,
    use: Int,
) -> None:
    """Take a response that may matter: its records, its answers' addresses, its name."""
    start, stop = place
    found = by_name
    if use == USE_QUERY:
        if context.options[ADDRESSES] != 0 and context.question[wire.ANCOUNT] > 0:
            found = _answers(context, tables, buffer, stop, found)
        if found > 0:
            rcode, _ = wire.edns(buffer, stop, context.question, context.subnet)
            _response(context, memory, events, buffer, names, by_name, found, rcode)
    mode = context.options[ANSWERS]
    if mode != 0:
        asked = int64(context.hits[0]) if by_name > 0 else int64(NONE)
        write_records(
            records, tables, buffer, start, stop, context.question, context.other,
            context.other_starts, context.address_hits, context.subnet,
            (context.facts[HEARD], context.facts[SENSOR], asked, mode),
        )  # fmt: skip


@inlined
def take(
    context: Context,
    tables: Tables,
    counts: Counts,
    memory: Recent,
    events: Events,
    records: Records,
    buffer: Bytes,
    start: Int,
    stop: Int,
    reason: Int,
    use: Int,
) -> Int:
    """Take one DNS message in wire format whose facts and client address are set.

    Every record of a source that is or should be a message comes through here once, and is counted.
    Counted in one place: what stands in a loop several times is compiled several times.

    Args:
        context: facts, address, scratch.
        tables: the compiled watchlist.
        counts: of this batch.
        memory: recent queries, for address rules.
        events: of this batch.
        records: of this batch.
        buffer: holds the message.
        start: where it begins.
        stop: where it ends; nothing is read beyond its first 65,535 bytes.
        reason: why it cannot be read, as far as the format knows; 0: it may be readable.
        use: USE_QUERY for an observation or its response, USE_RECORDS for a response of which only
            the records count, USE_NOTHING for what is skipped.

    Returns:
        Why the message could not be read (the caller quarantines it): an index into REASONS, 0 if
        it could. CLOCK_FAULT: it was read and counted, and has no usable time.
    """
    facts = context.facts
    question = context.question
    column: Int = int64(tallies.SKIPPED)
    readable = False
    # What a format carries may be longer than any message is; room is made for messages.
    stop = min(stop, start + int64(wire.MAX_MESSAGE))
    if reason == 0 and use != USE_NOTHING:
        why = wire.question(buffer, start, stop, context.name, context.starts, question)
        # NOTIFY, UPDATE and the like ask for nothing.
        readable = why == 0 and question[wire.FLAGS] & _OPCODE == 0
        if use == USE_QUERY:
            reason = why
            if readable:
                column = int64(tallies.MESSAGES)
    if reason != 0:
        column = int64(tallies.MALFORMED)
    tallies.tally(counts, facts[SENSOR], facts[VANTAGE], facts[HEARD], column)
    if not readable:
        return reason
    if use == USE_QUERY:
        if facts[RESPONSE] == 0:
            context.state[QUERIES] += 1
        if facts[HEARD] < 0:
            return int64(CLOCK_FAULT)
    if question[wire.LABELS] < 0 or facts[HEARD] < 0:
        return int64(0)
    names = buffer if question[wire.IN_PLACE] != 0 else context.name
    found = lookup_name(tables, names, context.starts, question[wire.LABELS], context.hits)
    if facts[RESPONSE] == 0:
        if found != 0 or context.options[ADDRESSES] != 0:
            _, subnet = wire.edns(buffer, stop, question, context.subnet)
            _query(context, memory, events, buffer, names, found, int64(-1), subnet)
    elif (
        found != 0
        or context.options[ADDRESSES] != 0
        or context.options[ANSWERS] == _ALL
        or (context.options[ANSWERS] == _WATCHED and wire.has_other_owner(buffer, stop, question))
    ):
        _hit_response(
            context, tables, memory, events, records, buffer, names, (start, stop), found, use
        )
    return int64(0)


@inlined
def take_parsed(
    context: Context,
    tables: Tables,
    counts: Counts,
    memory: Recent,
    events: Events,
    buffer: Bytes,
    addresses: Bytes,
    numbers: tuple[Int, Int, Int, bool],
    reason: Int,
    use: Int,
) -> Int:
    """Take a message that the format has taken apart itself; see ``take``.

    The caller sets facts, address, ``question[IDENT]``, ``question[QTYPE]`` and ``subnet``, and
    the name: its labels, as ``wire.labels`` writes them, to ``starts`` and ``question[LABELS]``
    (-1: the message has no name), its bytes in ``buffer`` if ``question[IN_PLACE]``, else in
    ``context.name``. Records it offers itself, with ``records.offer_record``, afterwards: ENTRY
    says what the question hit.

    Args:
        context: facts, address, name, scratch.
        tables: the compiled watchlist.
        counts: of this batch.
        memory: recent queries, for address rules.
        events: of this batch.
        buffer: what RULE points into.
        addresses: uint8[n, 16]: the addresses in the A and AAAA answers to the message.
        numbers: how many of ``addresses`` are filled, response code (-1 none), opcode, whether
            ``context.subnet`` is filled. A query has answers and a response code if the format
            states both messages at once.
        reason: why it cannot be read, 0 if it can.
        use: as in ``take``.

    Returns:
        As ``take``.
    """
    facts = context.facts
    question = context.question
    answers, rcode, opcode, subnet = numbers
    facts[ENTRY] = NONE
    column: Int = int64(tallies.SKIPPED)
    if reason != 0:
        column = int64(tallies.MALFORMED)
    elif use == USE_QUERY and opcode == 0:
        column = int64(tallies.MESSAGES)
    tallies.tally(counts, facts[SENSOR], facts[VANTAGE], facts[HEARD], column)
    if column == tallies.MESSAGES:
        if facts[RESPONSE] == 0:
            context.state[QUERIES] += 1
        if facts[HEARD] < 0:
            return int64(CLOCK_FAULT)
    elif reason != 0 or use != USE_RECORDS or context.options[ANSWERS] == 0:
        return reason
    if question[wire.LABELS] < 0 or facts[HEARD] < 0:
        return int64(0)
    names = buffer if question[wire.IN_PLACE] != 0 else context.name
    by_name = lookup_name(tables, names, context.starts, question[wire.LABELS], context.hits)
    if by_name > 0:
        facts[ENTRY] = int64(context.hits[0])
    if column != tallies.MESSAGES:
        return int64(0)
    found = by_name
    if context.options[ADDRESSES] != 0:
        for i in range(answers):
            found = _add_address_hits(context, tables, addresses[i], found)
    if facts[RESPONSE] == 0:
        if found != 0 or context.options[ADDRESSES] != 0:
            _query(context, memory, events, buffer, names, found, rcode, subnet)
    elif found != 0:
        _response(context, memory, events, buffer, names, by_name, found, rcode)
    return int64(0)

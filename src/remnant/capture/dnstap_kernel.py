"""The kernel that reads dnstap: frames, protobuf, DNS and the watchlist in one pass.

Messages about names that nobody watches never become objects: they cost one hash and one count.

References:
    dnstap.proto; Frame Streams (fstrm); RFC 1035.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant import wire
from remnant.capture import counts as tallies
from remnant.capture import framing, protobuf, recent
from remnant.capture.events import EVENT_ENTRIES, has_room
from remnant.capture.pairing import WAIT_US, advance_clock
from remnant.watchtable import lookup_address, lookup_name
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.counts import Counts, Sensors
    from remnant.capture.events import Events
    from remnant.capture.recent import Recent
    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int, Word

__all__ = ["REASONS", "Context", "Quarantine", "new_context", "new_quarantine", "scan"]

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
)
_PROTOBUF: Final = 4
_NO_MESSAGE: Final = 5
_ADDRESS: Final = 6
_FRAMING: Final = 7
_TRUNCATED: Final = 8
_CLOCK_FAULT: Final = 9
_MORE: Final = -1

# Places in ``Context.state``.
CLOCK: Final = 0
STARTED: Final = 1
FOREIGN: Final = 2
LOST: Final = 3
SIMULATED: Final = 4
RECORDS: Final = 5
QUERIES: Final = 6
FAULTS_KEPT: Final = 7
KEPT: Final = 8
TRUNCATED: Final = 9

_FAULTS_TO_KEEP: Final = 100
_FIRST_US: Final = 946_684_800_000_000
_DAY_US: Final = 86_400_000_000
_MAX_SECONDS: Final = 1 << 40
_SIMULATOR: Final = np.frombuffer(b"remnant-simulator", np.uint8)
_MULTIPLIER: Final = uint64(0xD6E8FEB86659FD93)
_RESPONSE: Final = 1
_OPCODE: Final = 0x7800


class Context(NamedTuple):
    """What the kernel keeps from call to call.

    Attributes:
        state: int64[16]: see the places above.
        options: int64[3]: latest usable time, vantage (-1: by message type), whether address
            rules exist.
        seeds: uint64[2] for event keys.
        fields: int64[framing.DNSTAP], question: int64[wire.FIELDS], starts: int64[130],
            name: uint8[256], hits: int32[160 and more], subnet: uint8[17], address: uint8[16],
            content: the expected content type. Scratch.
    """

    state: npt.NDArray[np.int64]
    options: npt.NDArray[np.int64]
    seeds: npt.NDArray[np.uint64]
    fields: npt.NDArray[np.int64]
    question: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    name: Bytes
    hits: npt.NDArray[np.int32]
    address_hits: npt.NDArray[np.int32]
    subnet: Bytes
    address: Bytes
    content: Bytes


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


def new_context(latest: int, vantage: int, addresses: bool, seeds: tuple[int, int]) -> Context:
    """Return the state before the first byte.

    Args:
        latest: latest usable time (UTC microseconds).
        vantage: index of the vantage, -1 to go by the message type.
        addresses: whether the watchlist has address rules.
        seeds: two times 64 random bits.
    """
    return Context(
        np.zeros(16, np.int64),
        np.array([latest, vantage, addresses], np.int64),
        np.array(seeds, np.uint64),
        np.zeros(framing.DNSTAP, np.int64),
        np.zeros(wire.FIELDS, np.int64),
        np.zeros(wire.MAX_LABELS + 2, np.int64),
        np.zeros(256, np.uint8),
        np.zeros(EVENT_ENTRIES, np.int32),
        np.zeros(EVENT_ENTRIES, np.int32),
        np.zeros(17, np.uint8),
        np.zeros(16, np.uint8),
        np.frombuffer(framing.CONTENT_TYPE, np.uint8),
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
def _keep(quarantine: Quarantine, offset: Int, reason: Int, start: Int, stop: Int) -> None:
    row = quarantine.filled[0]
    if row < quarantine.filled[1]:
        quarantine.offset[row] = offset
        quarantine.reason[row] = reason
        quarantine.start[row] = start
        quarantine.stop[row] = stop
        quarantine.filled[0] = row + 1


@inlined
def _time(fields: npt.NDArray[np.int64], seconds: Int, latest: Int) -> Int:
    """Return a time in UTC microseconds, or -1 if it is missing or cannot be right."""
    whole = fields[seconds]
    if whole < 0 or whole > _MAX_SECONDS:
        return -1
    part = min(max(fields[seconds + 1], 0), 999_999_999)
    time = whole * 1_000_000 + part // 1000
    return time if _FIRST_US <= time <= latest else -1


@kernel
def _read_address(buffer: Bytes, start: Int, stop: Int, out: Bytes) -> bool:
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
def _key(seed: Word, context: Context, vantage: Int, buffer: Bytes, start: Int, stop: Int) -> Word:
    """Return the keyed hash of what a query and its response have in common."""
    fields = context.fields
    question = context.question
    shift = uint64(29)
    state = seed
    number = (
        (question[wire.IDENT] << 48)
        | (question[wire.QTYPE] << 32)
        | ((fields[protobuf.QUERY_PORT] & 0xFFFF) << 16)
        | ((fields[protobuf.PROTOCOL] & 0xFF) << 8)
        | vantage
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
            _read_address(buffer, data, end, context.subnet)
        ):
            count = lookup_address(tables, context.subnet, context.address_hits)
            for i in range(count):
                known = False
                for j in range(found):
                    if context.hits[j] == context.address_hits[i]:
                        known = True
                        break
                if not known and found < context.hits.size:
                    context.hits[found] = context.address_hits[i]
                    found += 1
        position = end
    return found


@kernel
def _event(
    context: Context,
    events: Events,
    buffer: Bytes,
    start: Int,
    stop: Int,
    numbers: tuple[Int, Int, Int, Int, Int, Int, Int, Int],
) -> Int:
    """Append an event with the first ``numbers[7]`` of ``context.hits``; return its row."""
    response, time, heard, offset, sensor, vantage, rcode, found = numbers
    fields = context.fields
    question = context.question
    row = events.filled[0]
    events.filled[0] = row + 1
    events.response[row] = response
    events.time[row] = time
    events.heard[row] = heard
    events.clock[row] = context.state[CLOCK]
    events.offset[row] = offset
    for i in range(16):
        events.address[row, i] = context.address[i]
    port = fields[protobuf.QUERY_PORT]
    events.client_port[row] = port if 0 < port < 65536 else -1
    port = fields[protobuf.RESPONSE_PORT]
    events.service_port[row] = port if 0 < port < 65536 else -1
    protocol = fields[protobuf.PROTOCOL]
    events.transport[row] = protocol - 1 if 1 <= protocol <= 7 else -1
    events.ident[row] = question[wire.IDENT]
    events.qtype[row] = question[wire.QTYPE]
    events.rcode[row] = rcode
    events.has_ecs[row] = 0
    events.case_bits[row] = 0
    events.sensor[row] = sensor
    events.vantage[row] = vantage
    name = events.name_offsets[row]
    wire.copy_folded(buffer, start, stop, events.names, name)
    events.name_offsets[row + 1] = name + stop - start
    events.key[row] = _key(
        context.seeds[0], context, vantage, events.names, name, name + stop - start
    )
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
    stop: Int,
    names: Bytes,
    numbers: tuple[Int, Int, Int, Int, Int],
) -> None:
    """Append a query to the events if it hits by name; else remember it for its answer."""
    time, offset, sensor, vantage, found = numbers
    question = context.question
    count = question[wire.LABELS]
    start = context.starts[0]
    end = context.starts[count] + 1
    _, subnet = wire.edns(buffer, stop, question, context.subnet)
    bits = wire.case_bits(names, context.starts, count)
    if found == 0:
        key = _key(context.seeds[0], context, vantage, names, start, end)
        check = _key(context.seeds[1], context, vantage, names, start, end)
        early = time - WAIT_US
        if recent.take(memory, recent.ANSWER, key, check, early, time + WAIT_US) < 0:
            place = recent.put(memory, recent.QUERY, key, check, time)
            memory.offset[place] = offset
            memory.case_bits[place] = bits
            if subnet:
                memory.has_ecs[place] = 1
                _copy_subnet(context.subnet, memory.ecs, place)
            return
    row = _event(
        context,
        events,
        names,
        start,
        end,
        (int64(0), time, time, offset, sensor, vantage, int64(-1), found),
    )
    events.case_bits[row] = bits
    if subnet:
        events.has_ecs[row] = 1
        _copy_subnet(context.subnet, events.ecs, row)


@kernel
def _response(
    context: Context,
    tables: Tables,
    memory: Recent,
    events: Events,
    buffer: Bytes,
    stop: Int,
    names: Bytes,
    numbers: tuple[Int, Int, Int, Int, Int, Int],
) -> None:
    """Append a response if it hits, and the query that its answers make a hit."""
    time, heard, offset, sensor, vantage, by_name = numbers
    question = context.question
    count = question[wire.LABELS]
    found = by_name
    if context.options[2] != 0 and question[wire.ANCOUNT] > 0:
        found = _answers(context, tables, buffer, stop, found)
    if found == 0:
        return
    start = context.starts[0]
    end = context.starts[count] + 1
    rcode, _ = wire.edns(buffer, stop, question, context.subnet)
    if by_name == 0:
        key = _key(context.seeds[0], context, vantage, names, start, end)
        check = _key(context.seeds[1], context, vantage, names, start, end)
        place = recent.take(memory, recent.QUERY, key, check, heard - WAIT_US, heard + WAIT_US)
        if place >= 0:
            asked = memory.heard[place]
            none = int64(0)
            query = (
                none, asked, asked, memory.offset[place], sensor, vantage, int64(-1), none,
            )  # fmt: skip
            row = _event(context, events, names, start, end, query)
            events.case_bits[row] = memory.case_bits[place]
            if memory.has_ecs[place] != 0:
                events.has_ecs[row] = 1
                for i in range(17):
                    events.ecs[row, i] = memory.ecs[place, i]
        else:
            recent.put(memory, recent.ANSWER, key, check, heard)
    row = _event(
        context,
        events,
        names,
        start,
        end,
        (int64(_RESPONSE), time, heard, offset, sensor, vantage, rcode, found),
    )
    events.case_bits[row] = wire.case_bits(names, context.starts, count)


@kernel
def _is_simulator(context: Context, buffer: Bytes) -> bool:
    start = context.fields[protobuf.VERSION]
    if start < 0 or context.fields[protobuf.VERSION + 1] - start != _SIMULATOR.size:
        return False
    for i in range(_SIMULATOR.size):  # noqa: SIM110 - a kernel has no generators
        if buffer[start + i] != _SIMULATOR[i]:
            return False
    return True


@kernel
def _times(fields: npt.NDArray[np.int64], response: bool, latest: Int) -> tuple[Int, Int]:
    """Return when a message's query and the message itself were heard, -1 if not known."""
    asked = _time(fields, protobuf.QUERY_SECONDS, latest)
    heard = asked
    if response:
        heard = _time(fields, protobuf.RESPONSE_SECONDS, latest)
        if heard < 0:
            heard = asked
        if asked < 0:
            asked = heard
    return asked, heard


@kernel
def _question(context: Context, buffer: Bytes, place: Int) -> Int:
    """Read the client's address and the question of a message; return the reason why not, or 0."""
    fields = context.fields
    if fields[place] < 0:
        return int64(_NO_MESSAGE)
    start = fields[protobuf.QUERY_ADDRESS]
    if not _read_address(buffer, start, fields[protobuf.QUERY_ADDRESS + 1], context.address):
        return int64(_ADDRESS)
    return wire.question(
        buffer, fields[place], fields[place + 1], context.name, context.starts, context.question
    )


@inlined
def _data(
    context: Context,
    tables: Tables,
    sensors: Sensors,
    counts: Counts,
    memory: Recent,
    events: Events,
    quarantine: Quarantine,
    buffer: Bytes,
    start: Int,
    stop: Int,
    offset: Int,
    final: bool,
) -> Int:
    """Take one data frame; return why it could not be read, 0 if it could.

    _MORE: it cannot be read, and whether its length can be trusted is seen from what follows.
    """
    fields = context.fields
    state = context.state
    sensor = int64(0)
    vantage = int64(max(context.options[1], 0))
    asked = heard = int64(-1)
    place = protobuf.QUERY_MESSAGE
    response = False
    reason: Int = int64(0)
    column: Int = int64(tallies.SKIPPED)
    if state[FOREIGN] == 0:
        if not protobuf.frame(buffer, start, stop, fields) or fields[protobuf.KIND] < 0:
            if not final and stop + 8 > buffer.size:
                return int64(_MORE)
            reason = int64(_PROTOBUF)
        else:
            if state[SIMULATED] == 0 and _is_simulator(context, buffer):
                state[SIMULATED] = 1
            sensor = tallies.sensor_of(
                sensors, buffer, fields[protobuf.IDENTITY], fields[protobuf.IDENTITY + 1]
            )
            kind = fields[protobuf.TYPE]
            if context.options[1] < 0:
                vantage = int64(1 if 1 <= kind <= 2 else 0)
            if fields[protobuf.KIND] == 1 and kind < 0:
                reason = int64(_PROTOBUF)
            else:
                response = kind % 2 == 0
                if response:
                    place = protobuf.RESPONSE_MESSAGE
                asked, heard = _times(fields, response, context.options[0])
                if fields[protobuf.KIND] == 1 and (1 <= kind <= 2 or 5 <= kind <= 6):
                    reason = _question(context, buffer, place)
                    # NOTIFY, UPDATE and the like ask for nothing.
                    if reason == 0 and context.question[wire.FLAGS] & _OPCODE == 0:
                        column = int64(tallies.MESSAGES)
    if reason != 0:
        column = int64(tallies.MALFORMED)
    # Counted in one place: what stands in this loop several times is compiled several times.
    tallies.tally(counts, sensor, vantage, heard, column)
    if column != tallies.MESSAGES:
        return reason
    if not response:
        state[QUERIES] += 1
    if heard < 0:
        if state[FAULTS_KEPT] < _FAULTS_TO_KEEP:
            state[FAULTS_KEPT] += 1
            _keep(quarantine, offset, int64(_CLOCK_FAULT), start, stop)
        return int64(0)
    state[CLOCK] = advance_clock(state[CLOCK], heard)
    if context.question[wire.LABELS] < 0:
        return int64(0)
    names = buffer if context.question[wire.IN_PLACE] != 0 else context.name
    found = lookup_name(tables, names, context.starts, context.question[wire.LABELS], context.hits)
    if found == 0 and context.options[2] == 0:
        return int64(0)
    if response:
        _response(
            context, tables, memory, events, buffer, fields[place + 1], names,
            (asked, heard, offset, sensor, vantage, found),
        )  # fmt: skip
    else:
        _query(
            context, memory, events, buffer, fields[place + 1], names,
            (asked, offset, sensor, vantage, found),
        )  # fmt: skip
    return int64(0)


@kernel
def _unreadable(context: Context, counts: Counts) -> None:
    """Count what cannot be a frame."""
    vantage = int64(max(context.options[1], 0))
    tallies.tally(counts, int64(0), vantage, int64(-1), tallies.MALFORMED)


@kernel
def scan(
    context: Context,
    tables: Tables,
    sensors: Sensors,
    counts: Counts,
    memory: Recent,
    events: Events,
    quarantine: Quarantine,
    buffer: Bytes,
    base: Int,
    final: bool,
) -> tuple[Int, bool]:
    """Read frames until the bytes or the room for what they give run out.

    Args:
        context: state and scratch.
        tables: the compiled watchlist.
        sensors: identities seen so far.
        counts: of this batch.
        memory: recent queries, for address rules.
        events: of this batch.
        quarantine: of this batch.
        buffer: the unread bytes.
        base: offset of ``buffer[0]`` in the stream.
        final: whether no more bytes will follow.

    Returns:
        (bytes used, whether to go on with the same bytes because room ran out).
    """
    state = context.state
    stop = int64(buffer.size)
    position = int64(0)
    while True:
        if not has_room(events) or tallies.hours_full(counts):
            return position, True
        if state[LOST] != 0:
            position, found = framing.resume(buffer, position, stop, final, context.fields)
            if not found:
                return position, False
            state[LOST] = 0
        kind, start, end = framing.next_frame(buffer, position, stop)
        if kind == framing.MORE:
            if not final or position == stop:
                return position, False
            # The tail. If frames stand inside it, its length was damaged; else it was cut off.
            state[RECORDS] += 1
            _unreadable(context, counts)
            further, found = framing.resume(
                buffer, min(position + 4, stop), stop, final, context.fields
            )
            reason = int64(_FRAMING if found else _TRUNCATED)
            _keep(quarantine, base + position, reason, position, further)
            if not found:
                state[TRUNCATED] = 1
                return position, False
            position = further
        elif kind == framing.BAD:
            state[RECORDS] += 1
            _unreadable(context, counts)
            _keep(quarantine, base + position, int64(_FRAMING), position, stop)
            state[LOST] = 1
            position += 4
        elif kind == framing.CONTROL:
            content = framing.start_type(buffer, start, end, context.content)
            if content != 0:
                state[STARTED] = 1
                state[FOREIGN] = 1 if content == 2 else 0
            position = end
        else:
            reason = _data(
                context, tables, sensors, counts, memory, events, quarantine,
                buffer, start, end, base + position, final,
            )  # fmt: skip
            if reason == _MORE:
                return position, False
            state[RECORDS] += 1
            if reason != 0:
                _keep(quarantine, base + position, reason, start, end)
            if reason == _PROTOBUF and not framing.follows(buffer, end, stop):
                state[LOST] = 1
                position += 4
            else:
                position = end

"""The kernel that reads the items of a C-DNS block: queries, responses, and both at once.

References:
    RFC 8618 (C-DNS), sections 7.4 to 7.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant import wire
from remnant.capture import cbor, cdns_block, messages
from remnant.capture import counts as tallies
from remnant.capture.events import has_room
from remnant.capture.records import MODES, NONE, offer_record, records_room
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.cdns_block import Block
    from remnant.capture.counts import Counts, Sensors
    from remnant.capture.events import Events
    from remnant.capture.messages import Context, Quarantine
    from remnant.capture.recent import Recent
    from remnant.capture.records import Records
    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int

__all__ = [
    "FLAGS",
    "HAS_CLIENTS",
    "PARAMETERS",
    "POSITION",
    "PREFIX_4",
    "PREFIX_6",
    "SENSOR",
    "TICKS",
    "Scratch",
    "lost_block",
    "new_scratch",
    "sensor_of",
    "start_items",
    "take_items",
]

# Places in the parameters of a block, int64[PARAMETERS].
TICKS: Final = 0
"""In a second."""
FLAGS: Final = 1
PREFIX_4: Final = 2
"""Bits of client addresses that are stored, 0 for all."""
PREFIX_6: Final = 3
HAS_CLIENTS: Final = 4
"""Whether client addresses are stored."""
SENSOR: Final = 5
PARAMETERS: Final = 6

# Places in the cursor over the items of a block.
_PHASE: Final = 0
POSITION: Final = 1
"""Where the next item begins in the block."""
_LEFT: Final = 2
_SECONDS: Final = 3
_START_TICKS: Final = 4
_WELL_FORMED: Final = 5
"""Well-formed messages among the items so far."""
_CURSOR: Final = 8
_IN_ITEMS: Final = 0
_IN_MALFORMED: Final = 1
_IN_STATISTICS: Final = 2
_DONE: Final = 3

# Keys of QueryResponse.
_OFFSET: Final = 0
_CLIENT: Final = 1
_PORT: Final = 2
_IDENT: Final = 3
_SIGNATURE: Final = 4
_HOPLIMIT: Final = 5
_DELAY: Final = 6
_NAME: Final = 7
_QUERY_SIZE: Final = 8
_RESPONSE_SIZE: Final = 9
_QUERY_EXTENDED: Final = 11
_RESPONSE_EXTENDED: Final = 12
_ITEM_FIELDS: Final = 13
_ITEM_NUMBERS: Final = (1 << 10) - 1

# Keys of QueryResponseSignature.
_SERVER_PORT: Final = 1
_TRANSPORT: Final = 2
_TYPE: Final = 3
_SIG_FLAGS: Final = 4
_OPCODE: Final = 5
_CLASS_TYPE: Final = 8
_OPT_DATA: Final = 15
_RCODE: Final = 16

# Keys of other maps.
_MALFORMED_FIELDS: Final = 4
_MALFORMED_NUMBERS: Final = 0b1111
_MESSAGE_DATA: Final = 3
_DATA_FIELDS: Final = 4
_DATA_NUMBERS: Final = 0b0111
_PAYLOAD: Final = 3
_STATISTICS: Final = 6
_STATISTICS_NUMBERS: Final = 0b111111
_PROCESSED: Final = 0
_DISCARDED: Final = 4
_MALFORMED_ITEMS: Final = 5
_EXTENDED_FIELDS: Final = 4
_EXTENDED_NUMBERS: Final = 0b1111
_ANSWER: Final = 1
_RECORD_FIELDS: Final = 4
_RECORD_NUMBERS: Final = 0b1111
_RECORD_DATA: Final = 3

_CLIENT_TYPE: Final = 1
_RESOLVER_TYPE: Final = 2
_AUTHORITY_TYPE: Final = 3
_FORWARDER_TYPE: Final = 4
_TRANSPORTS: Final = np.array([0, 1, 2, -1, 3], np.int64)
"""The index into ``events.TRANSPORTS`` of UDP, TCP, TLS, DTLS (none) and HTTPS."""

_AUTHORITY: Final = 0
_RESOLVER: Final = 1
_INTERNET: Final = 1
_MAX_TICKS: Final = 1 << 62
_MAX_SECONDS: Final = 1 << 40
_MAX_AMOUNT: Final = 1 << 40
"""More messages than this are not believed of one block."""
_MAX_RECORDS: Final = 1024
_MAX_DATA: Final = 65535
"""Bytes of data that one response can hold."""
_MAX_RCODE: Final = 4095
_ALL: Final = MODES["all"]


class Scratch(NamedTuple):
    """Room that the kernel works in.

    Attributes:
        item: int64[13]: the fields of an item.
        part: int64[4]: those of a smaller map.
        inner: int64[4]: those of a map within that.
        statistics: int64[6].
        cursor: int64[8]: how far the items of a block were read.
        addresses: uint8[1024, 16]: those of a response's answers.
    """

    item: npt.NDArray[np.int64]
    part: npt.NDArray[np.int64]
    inner: npt.NDArray[np.int64]
    statistics: npt.NDArray[np.int64]
    cursor: npt.NDArray[np.int64]
    addresses: Bytes


def new_scratch() -> Scratch:
    """Return room for one source."""
    return Scratch(
        np.zeros(_ITEM_FIELDS, np.int64),
        np.zeros(_EXTENDED_FIELDS, np.int64),
        np.zeros(_RECORD_FIELDS, np.int64),
        np.zeros(_STATISTICS, np.int64),
        np.zeros(_CURSOR, np.int64),
        np.zeros((_MAX_RECORDS, 16), np.uint8),
    )


@kernel
def sensor_of(sensors: Sensors, text: Bytes) -> Int:
    """Return the number of the sensor with this name."""
    return tallies.sensor_of(sensors, text, int64(0), int64(text.size))


@kernel
def lost_block(
    context: Context,
    counts: Counts,
    quarantine: Quarantine,
    offset: Int,
    reason: Int,
    start: Int,
    stop: Int,
) -> None:
    """Count bytes that cannot be read as one malformed record."""
    context.state[messages.RECORDS_READ] += 1
    vantage = int64(max(context.options[messages.FORCED], 0))
    tallies.tally(counts, int64(0), vantage, int64(-1), tallies.MALFORMED)
    messages.keep(quarantine, offset, reason, start, stop)


@inlined
def _time(cursor: npt.NDArray[np.int64], ticks: Int, offset: Int, latest: Int) -> Int:
    """Return a time in UTC microseconds, or -1 if it is missing or cannot be right.

    Args:
        cursor: the block's earliest time.
        ticks: in a second.
        offset: in ticks from the earliest time, cbor.UNSET if there is none.
        latest: usable time.
    """
    time: Int = int64(-1)
    total = cursor[_START_TICKS] + min(offset, int64(_MAX_TICKS - 1))
    if cursor[_SECONDS] >= 0 and 0 <= total < _MAX_TICKS:
        seconds = cursor[_SECONDS] + total // ticks
        if seconds < _MAX_SECONDS:
            time = messages.usable_time(
                seconds * 1_000_000 + total % ticks * 1_000_000 // ticks, latest
            )
    return time


@kernel
def start_items(
    buffer: Bytes, start: Int, stop: Int, block: Block, parameters: Int, scratch: Scratch
) -> Int:
    """Begin to read the items of a block.

    Args:
        buffer: holds it.
        start: where it begins.
        stop: where it ends.
        block: its tables.
        parameters: how many sets of parameters the file has.
        scratch: room, of which the cursor is set.

    Returns:
        Which of the file's parameters apply, -1 if there are none such, or no readable preamble.
    """
    cursor = scratch.cursor
    for i in range(cursor.size):
        cursor[i] = 0
    cursor[_PHASE] = _IN_ITEMS
    cursor[_LEFT] = -1
    cursor[_SECONDS] = -1
    at = cbor.read_map(
        buffer, start + block.marks[0, cdns_block.PREAMBLE], stop, int64(0b10), scratch.part,
        block.stack,
    )  # fmt: skip
    if at < 0:
        return int64(-1)
    if scratch.part[0] != cbor.UNSET:
        major, count, position = cbor.head(buffer, scratch.part[0], stop)
        first, seconds, position = cbor.head(buffer, position, stop)
        second, ticks, position = cbor.head(buffer, position, stop)
        if (
            major != cbor.ARRAY
            or (count != 2 and count != cbor.INDEFINITE)  # noqa: PLR1714 - a set would be built
            or first != cbor.UNSIGNED
            or second != cbor.UNSIGNED
        ):
            return int64(-1)
        if seconds < _MAX_SECONDS:
            cursor[_SECONDS] = seconds
            cursor[_START_TICKS] = min(ticks, int64(_MAX_TICKS - 1))
    which = scratch.part[1]
    if which == cbor.UNSET:
        return int64(0)
    return which if 0 <= which < parameters else int64(-1)


@kernel
def _client(
    buffer: Bytes,
    start: Int,
    stop: Int,
    block: Block,
    which: Int,
    transport: Int,
    parameters: npt.NDArray[np.int64],
    out: Bytes,
) -> bool:
    """Write a client's address, or as much of it as is stored; return whether there is one."""
    if not 0 <= which < block.marks[1, cdns_block.ADDRESSES]:
        return False
    first, end = cbor.string(buffer, start + block.addresses[which], stop)
    size = end - first
    if first < 0 or size == 0 or size > 16:
        return False
    known = transport != cbor.UNSET
    six = size == 16 or (size > 4 and parameters[PREFIX_6] > 0)
    if known and parameters[PREFIX_4] + parameters[PREFIX_6] > 0:
        six = transport & 1 != 0
    if six:
        if size < 16 and parameters[PREFIX_6] == 0:
            return False
    elif size > 4 or (size < 4 and parameters[PREFIX_4] == 0):
        return False
    base = int64(0)
    for i in range(16):
        out[i] = 0
    if not six:
        out[10] = out[11] = 0xFF
        base = int64(12)
    for i in range(size):
        out[base + i] = buffer[first + i]
    return True


@kernel
def _record(
    buffer: Bytes,
    start: Int,
    stop: Int,
    block: Block,
    position: Int,
    out: npt.NDArray[np.int64],
) -> tuple[Int, Int, Int, Int]:
    """Read the next entry of a list of records.

    Returns:
        (position after it, index of the record, its type, where the data begins); the position is
        -1 where the list ends, the type -1 where the record is none. ``out`` is the record's map,
        with its data's end in place of the data.
    """
    none = int64(-1)
    major, which, position = cbor.head(buffer, position, stop)
    if major != cbor.UNSIGNED:
        return none, none, none, none
    if which >= block.marks[1, cdns_block.RECORDS]:
        return position, none, none, none
    after = cbor.read_map(
        buffer, start + block.records[which], stop, int64(_RECORD_NUMBERS), out, block.stack
    )
    data = out[_RECORD_DATA]
    if (
        after < 0
        or not 0 <= out[1] < block.marks[1, cdns_block.CLASS_TYPES]
        or not 0 <= data < block.marks[1, cdns_block.NAMES]
        or block.class_types[out[1], 1] != _INTERNET
    ):
        return position, which, none, none
    first, end = cbor.string(buffer, start + block.names[data], stop)
    out[_RECORD_DATA] = end
    if first < 0:
        return position, which, none, none
    return position, which, int64(block.class_types[out[1], 0]), first


@kernel
def _list_of(buffer: Bytes, start: Int, stop: Int, block: Block, which: Int) -> tuple[Int, Int]:
    """Return (how many entries a list of records has, where the first begins); (0, ...) if none."""
    if not 0 <= which < block.marks[1, cdns_block.RECORD_LISTS]:
        return int64(0), start
    major, count, position = cbor.head(buffer, start + block.record_lists[which], stop)
    if major != cbor.ARRAY:
        return int64(0), start
    return (int64(_MAX_RECORDS) if count < 0 else min(count, int64(_MAX_RECORDS))), position


@kernel
def _addresses(buffer: Bytes, start: Int, stop: Int, block: Block, scratch: Scratch) -> Int:
    """Collect the addresses in the answers of an item; return how many there are."""
    found = int64(0)
    if scratch.item[_RESPONSE_EXTENDED] == cbor.UNSET:
        return found
    if (
        cbor.read_map(
            buffer, scratch.item[_RESPONSE_EXTENDED], stop, int64(_EXTENDED_NUMBERS), scratch.part,
            block.stack,
        )
        < 0
    ):  # fmt: skip
        return found
    count, position = _list_of(buffer, start, stop, block, scratch.part[_ANSWER])
    for _ in range(count):
        position, _, kind, data = _record(buffer, start, stop, block, position, scratch.inner)
        if position < 0:
            break
        size = scratch.inner[_RECORD_DATA] - data
        if (kind == wire.A and size == 4) or (kind == wire.AAAA and size == 16):
            messages.read_address(buffer, data, data + size, scratch.addresses[found])
            found += 1
    return found


@kernel
def _offer_records(
    context: Context,
    tables: Tables,
    records: Records,
    buffer: Bytes,
    start: Int,
    stop: Int,
    block: Block,
    scratch: Scratch,
    heard: Int,
) -> None:
    """Offer the records of the response of an item."""
    mode = context.options[messages.ANSWERS]
    left = int64(_MAX_RECORDS)
    data_left = int64(_MAX_DATA)
    if (
        cbor.read_map(
            buffer, scratch.item[_RESPONSE_EXTENDED], stop, int64(_EXTENDED_NUMBERS), scratch.part,
            block.stack,
        )
        < 0
    ):  # fmt: skip
        return
    for section in range(_ANSWER, _EXTENDED_FIELDS):
        asked = int64(NONE)
        if section == _ANSWER:
            asked = context.facts[messages.ENTRY]
        count, position = _list_of(buffer, start, stop, block, scratch.part[section])
        for _ in range(min(count, left)):
            if mode != _ALL and asked < 0:
                major, which, after = cbor.head(buffer, position, stop)
                known = which < block.marks[1, cdns_block.RECORDS]
                if major == cbor.UNSIGNED and known and block.unwatched[which] != 0:
                    position = after
                    continue
            position, which, kind, data = _record(
                buffer, start, stop, block, position, scratch.inner
            )
            if position < 0:
                break
            if kind < 0 or kind == wire.OPT:
                continue
            size = scratch.inner[_RECORD_DATA] - data
            owner = scratch.inner[0]
            if size > data_left or not 0 <= owner < block.marks[1, cdns_block.NAMES]:
                continue
            first, end = cbor.string(buffer, start + block.names[owner], stop)
            if first < 0 or end - first > wire.MAX_WIRE:
                continue
            for i in range(end - first):
                context.other[i] = buffer[first + i]
            labels = wire.labels(context.other, int64(0), end - first, context.other_starts)
            if labels < 0:
                continue
            before = records.filled[0]
            offer_record(
                records, tables, buffer, data, context.other, context.other_starts, labels, kind,
                (data, data + size), context.address_hits, context.subnet,
                (heard, context.facts[messages.SENSOR], asked, mode),
            )  # fmt: skip
            if records.filled[0] != before:
                left -= 1
                data_left -= size
            elif asked < 0:
                block.unwatched[which] = 1


@inlined
def _halves(
    item: npt.NDArray[np.int64], signature: npt.NDArray[np.int64], known: bool
) -> tuple[Int, Int]:
    """Return whether an item holds a query, and whether it holds a response.

    The signature's flags say so; where they are not stored, fields that only one of them has.
    """
    if known and signature[_SIG_FLAGS] != cbor.UNSET:
        flags = signature[_SIG_FLAGS]
        return flags & 1, (flags >> 1) & 1
    answered = (
        item[_DELAY] != cbor.UNSET
        or item[_RESPONSE_SIZE] != cbor.UNSET
        or item[_RESPONSE_EXTENDED] != cbor.UNSET
        or (known and signature[_RCODE] != cbor.UNSET)
    )
    asked = (
        item[_DELAY] != cbor.UNSET
        or item[_QUERY_SIZE] != cbor.UNSET
        or item[_QUERY_EXTENDED] != cbor.UNSET
        or item[_HOPLIMIT] != cbor.UNSET
        or not answered
    )
    return int64(asked), int64(answered)


@kernel
def _name(context: Context, buffer: Bytes, start: Int, stop: Int, block: Block, which: Int) -> bool:
    """Find the labels of the name asked for; return whether it is one."""
    if not 0 <= which < block.marks[1, cdns_block.NAMES]:
        return False
    first, end = cbor.string(buffer, start + block.names[which], stop)
    if first < 0:
        return False
    count = wire.labels(buffer, first, end, context.starts)
    if count < 0 or context.starts[count] + 1 != end:
        return False
    context.question[wire.LABELS] = count
    return True


@inlined
def _item(
    context: Context,
    tables: Tables,
    counts: Counts,
    memory: Recent,
    events: Events,
    records: Records,
    quarantine: Quarantine,
    scratch: Scratch,
    block: Block,
    parameters: npt.NDArray[np.int64],
    buffer: Bytes,
    base: Int,
    start: Int,
    stop: Int,
) -> bool:
    """Take the item that the cursor is at; return whether there was one."""
    cursor = scratch.cursor
    facts = context.facts
    question = context.question
    item = scratch.item
    begin = start + cursor[POSITION]
    end = cbor.read_map(buffer, begin, stop, int64(_ITEM_NUMBERS), item, block.stack)
    if end < 0:
        return False
    cursor[POSITION] = end - start
    latest = context.options[messages.LATEST]
    which = item[_SIGNATURE]
    known = 0 <= which < block.marks[1, cdns_block.SIGNATURES]
    signature = block.signatures[which if known else 0]
    asked, answered = _halves(item, signature, known)
    reason: Int = int64(0)
    if which != cbor.UNSET and not known:
        reason = int64(messages.CBOR)
    kind: Int = int64(cbor.UNSET)
    opcode: Int = int64(0)
    rcode: Int = int64(-1)
    transport: Int = int64(cbor.UNSET)
    subnet: Int = False
    answers: Int = int64(0)
    facts[messages.OFFSET] = base + begin
    facts[messages.POLICY] = 0
    facts[messages.SENSOR] = parameters[SENSOR]
    facts[messages.RESPONSE] = 1 - asked
    facts[messages.ENTRY] = NONE
    facts[messages.SERVICE_PORT] = facts[messages.TRANSPORT] = -1
    question[wire.LABELS] = -1
    question[wire.IN_PLACE] = 1
    question[wire.QTYPE] = -1
    if known:
        kind = signature[_TYPE]
        opcode = max(signature[_OPCODE], 0)
        transport = signature[_TRANSPORT]
        if answered != 0 and 0 <= signature[_RCODE] <= _MAX_RCODE:
            rcode = signature[_RCODE]
        if 0 < signature[_SERVER_PORT] < 65536:
            facts[messages.SERVICE_PORT] = signature[_SERVER_PORT]
        way = (transport >> 1) & 15
        if transport >= 0 and way < _TRANSPORTS.size:
            facts[messages.TRANSPORT] = _TRANSPORTS[way]
        classed = signature[_CLASS_TYPE]
        if 0 <= classed < block.marks[1, cdns_block.CLASS_TYPES]:
            question[wire.QTYPE] = block.class_types[classed, 0]
        elif classed != cbor.UNSET:
            reason = int64(messages.CBOR)
    use: Int = int64(messages.USE_NOTHING)
    if kind == cbor.UNSET or kind == _CLIENT_TYPE or kind == _AUTHORITY_TYPE:  # noqa: PLR1714
        use = int64(messages.USE_QUERY)
        if parameters[HAS_CLIENTS] == 0:
            use = int64(messages.USE_RECORDS)
    elif kind == _RESOLVER_TYPE or kind == _FORWARDER_TYPE:  # noqa: PLR1714
        use = int64(messages.USE_RECORDS)
    facts[messages.VANTAGE] = context.options[messages.FORCED]
    if facts[messages.VANTAGE] < 0:
        recursive = kind != cbor.UNSET and kind != _AUTHORITY_TYPE
        facts[messages.VANTAGE] = _RESOLVER if recursive else _AUTHORITY
    time = _time(cursor, parameters[TICKS], item[_OFFSET], latest)
    facts[messages.ASKED] = facts[messages.HEARD] = time
    port = item[_PORT]
    facts[messages.CLIENT_PORT] = port if 0 < port < 65536 else -1
    question[wire.IDENT] = item[_IDENT] if 0 <= item[_IDENT] < 65536 else -1
    if reason == 0 and use != messages.USE_NOTHING:
        if item[_NAME] != cbor.UNSET and not _name(
            context, buffer, start, stop, block, item[_NAME]
        ):
            reason = int64(messages.DNS_NAME)
        elif use == messages.USE_QUERY and not _client(
            buffer, start, stop, block, item[_CLIENT], transport, parameters, context.address
        ):
            reason = int64(messages.ADDRESS)
        elif use == messages.USE_QUERY and known:
            if asked != 0 and signature[_OPT_DATA] >= 0:
                data = signature[_OPT_DATA]
                if data < block.marks[1, cdns_block.NAMES]:
                    first, last = cbor.string(buffer, start + block.names[data], stop)
                    if first >= 0:
                        subnet = wire.client_subnet(buffer, first, last, context.subnet)
    extended = answered != 0 and item[_RESPONSE_EXTENDED] != cbor.UNSET
    if reason == 0 and extended and context.options[messages.ADDRESSES] != 0:
        answers = _addresses(buffer, start, stop, block, scratch)
    heard = time
    if asked != 0 and item[_DELAY] != cbor.UNSET:
        delayed = min(item[_OFFSET], int64(_MAX_TICKS - 1)) + min(
            max(item[_DELAY], int64(-_MAX_TICKS)), int64(_MAX_TICKS - 1)
        )
        if item[_OFFSET] < 0:
            delayed = int64(cbor.UNSET)
        heard = _time(cursor, parameters[TICKS], delayed, latest)
    context.state[messages.RECORDS_READ] += 1
    reason = messages.take_parsed(
        context, tables, counts, memory, events, buffer, scratch.addresses,
        (answers, rcode, opcode, subnet), reason, use,
    )  # fmt: skip
    fault = reason == messages.CLOCK_FAULT
    cursor[_WELL_FORMED] += 1
    if asked != 0 and answered != 0:
        # The response of the pair: its query has said all else that it says.
        column: Int = int64(tallies.SKIPPED)
        if reason != 0 and not fault:
            column = int64(tallies.MALFORMED)
        elif use == messages.USE_QUERY and opcode == 0:
            column = int64(tallies.MESSAGES)
        context.state[messages.RECORDS_READ] += 1
        cursor[_WELL_FORMED] += 1
        tallies.tally(counts, facts[messages.SENSOR], facts[messages.VANTAGE], heard, column)
    if fault:
        messages.keep_fault(context, quarantine, begin, end)
    elif reason != 0:
        messages.keep(quarantine, base + begin, reason, begin, end)
    elif (
        extended
        and use != messages.USE_NOTHING
        and opcode == 0
        and heard >= 0
        and context.options[messages.ANSWERS] != 0
    ):
        _offer_records(context, tables, records, buffer, start, stop, block, scratch, heard)
    return True


@kernel
def _malformed(
    context: Context,
    counts: Counts,
    quarantine: Quarantine,
    scratch: Scratch,
    block: Block,
    parameters: npt.NDArray[np.int64],
    buffer: Bytes,
    base: Int,
    start: Int,
    stop: Int,
) -> bool:
    """Count the message that the source itself says is malformed; return whether there was one."""
    cursor = scratch.cursor
    begin = start + cursor[POSITION]
    end = cbor.read_map(buffer, begin, stop, int64(_MALFORMED_NUMBERS), scratch.part, block.stack)
    if end < 0:
        return False
    cursor[POSITION] = end - start
    latest = context.options[messages.LATEST]
    time = _time(cursor, parameters[TICKS], scratch.part[0], latest)
    context.state[messages.RECORDS_READ] += 1
    vantage = int64(max(context.options[messages.FORCED], 0))
    tallies.tally(counts, parameters[SENSOR], vantage, time, tallies.MALFORMED)
    first = begin
    last = end
    which = scratch.part[_MESSAGE_DATA]
    if 0 <= which < block.marks[1, cdns_block.MALFORMED_DATA]:
        after = cbor.read_map(
            buffer, start + block.malformed[which], stop, int64(_DATA_NUMBERS), scratch.inner,
            block.stack,
        )  # fmt: skip
        if after >= 0 and scratch.inner[_PAYLOAD] != cbor.UNSET:
            one, two = cbor.string(buffer, scratch.inner[_PAYLOAD], stop)
            if one >= 0:
                first = one
                last = two
    messages.keep(quarantine, base + begin, int64(messages.RECORDED), first, last)
    return True


@kernel
def _amount(value: Int) -> Int:
    """Return a stated number of messages as far as it can be believed."""
    return min(max(value, int64(0)), int64(_MAX_AMOUNT))


@kernel
def _statistics(
    context: Context,
    counts: Counts,
    scratch: Scratch,
    block: Block,
    parameters: npt.NDArray[np.int64],
    buffer: Bytes,
    start: Int,
    stop: Int,
) -> None:
    """Count what the block's statistics say of messages that it does not hold."""
    if block.marks[0, cdns_block.STATISTICS] < 0:
        return
    stated = scratch.statistics
    after = cbor.read_map(
        buffer, start + block.marks[0, cdns_block.STATISTICS], stop, int64(_STATISTICS_NUMBERS),
        stated, block.stack,
    )  # fmt: skip
    if after < 0:
        return
    cursor = scratch.cursor
    sensor = parameters[SENSOR]
    vantage = int64(max(context.options[messages.FORCED], 0))
    time = _time(cursor, parameters[TICKS], int64(0), context.options[messages.LATEST])
    held = max(block.marks[1, cdns_block.MALFORMED], int64(0))
    malformed = _amount(stated[_MALFORMED_ITEMS] - held)
    discarded = _amount(stated[_DISCARDED])
    lost = _amount(stated[_PROCESSED] - cursor[_WELL_FORMED] - discarded)
    if malformed > 0:
        tallies.tally_many(counts, sensor, vantage, time, int64(tallies.MALFORMED), malformed)
    if discarded > 0:
        tallies.tally_many(counts, sensor, vantage, time, int64(tallies.SKIPPED), discarded)
    if lost > 0:
        tallies.tally_many(counts, sensor, vantage, time, int64(tallies.LOST), lost)
    context.state[messages.RECORDS_READ] += malformed + discarded


@kernel
def take_items(
    tables: Tables,
    context: Context,
    sensors: Sensors,
    counts: Counts,
    memory: Recent,
    events: Events,
    records: Records,
    quarantine: Quarantine,
    scratch: Scratch,
    block: Block,
    parameters: npt.NDArray[np.int64],
    buffer: Bytes,
    base: Int,
    start: Int,
    stop: Int,
) -> bool:
    """Read on in the items of a block until they are done or room runs out.

    Args:
        tables: the compiled watchlist.
        context: state and scratch.
        sensors: of the source.
        counts: of this batch.
        memory: recent queries, for address rules.
        events: of this batch.
        records: of this batch.
        quarantine: of this batch.
        scratch: room; its cursor says how far the items were read.
        block: its tables.
        parameters: int64[PARAMETERS], those of the block.
        buffer: holds the block.
        base: offset of ``buffer[0]`` in the stream.
        start: where the block begins.
        stop: where it ends.

    Returns:
        Whether the block is done.
    """
    cursor = scratch.cursor
    while cursor[_PHASE] != _DONE:
        if not has_room(events) or not records_room(records) or tallies.hours_full(counts):
            return False
        if cursor[_PHASE] == _IN_STATISTICS:
            _statistics(context, counts, scratch, block, parameters, buffer, start, stop)
            cursor[_PHASE] = _DONE
            continue
        part = cdns_block.ITEMS if cursor[_PHASE] == _IN_ITEMS else cdns_block.MALFORMED
        if cursor[_LEFT] < 0:
            cursor[_LEFT] = max(block.marks[1, part], int64(0))
            if cursor[_LEFT] > 0:
                _, _, position = cbor.head(buffer, start + block.marks[0, part], stop)
                cursor[POSITION] = position - start
        there = cursor[_LEFT] > 0
        if there:
            if cursor[_PHASE] == _IN_ITEMS:
                there = _item(
                    context, tables, counts, memory, events, records, quarantine, scratch, block,
                    parameters, buffer, base, start, stop,
                )  # fmt: skip
            else:
                there = _malformed(
                    context, counts, quarantine, scratch, block, parameters, buffer, base, start,
                    stop,
                )  # fmt: skip
            if not there:
                # Entries that are no maps.
                lost_block(
                    context, counts, quarantine, base + start + cursor[POSITION],
                    int64(messages.CBOR), start + cursor[POSITION], stop,
                )  # fmt: skip
        cursor[_LEFT] -= 1
        if not there:
            cursor[_LEFT] = -1
            cursor[_PHASE] += 1
    return True

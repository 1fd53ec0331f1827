"""The kernel that reads the items of a C-DNS block: queries, responses, and both at once.

References:
    RFC 8618 (C-DNS), sections 7.4 to 7.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant import wire
from remnant.capture import cbor, cdns_block, messages
from remnant.capture import counts as tallies
from remnant.capture.cdns_cursor import (
    DONE,
    IN_ITEMS,
    IN_STATISTICS,
    LEFT,
    MAX_TICKS,
    PHASE,
    POSITION,
    WELL_FORMED,
    time_of,
)
from remnant.capture.cdns_lookup import (
    HAS_CLIENTS,
    SENSOR,
    TICKS,
    answer_addresses,
    client_address,
    client_subnet,
    name_labels,
    offer_records,
)
from remnant.capture.events import has_room
from remnant.capture.records import NONE, records_room
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.cdns_block import Block
    from remnant.capture.cdns_lookup import Scratch
    from remnant.capture.counts import Counts, Sensors
    from remnant.capture.events import Events
    from remnant.capture.messages import Context, Quarantine
    from remnant.capture.recent import Recent
    from remnant.capture.records import Records
    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int

__all__ = [
    "lost_block",
    "sensor_of",
    "take_items",
]

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
_MALFORMED_NUMBERS: Final = 0b1111
_MESSAGE_DATA: Final = 3
_DATA_NUMBERS: Final = 0b0111
_PAYLOAD: Final = 3
_STATISTICS_NUMBERS: Final = 0b111111
_PROCESSED: Final = 0
_DISCARDED: Final = 4
_MALFORMED_ITEMS: Final = 5

_CLIENT_TYPE: Final = 1
_RESOLVER_TYPE: Final = 2
_AUTHORITY_TYPE: Final = 3
_FORWARDER_TYPE: Final = 4
_TRANSPORTS: Final = np.array([0, 1, 2, -1, 3], np.int64)
"""The index into ``events.TRANSPORTS`` of UDP, TCP, TLS, DTLS (none) and HTTPS."""

_AUTHORITY: Final = 0
_RESOLVER: Final = 1
_MAX_AMOUNT: Final = 1 << 40
"""More messages than this are not believed of one block."""
_MAX_RCODE: Final = 4095


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
    if kind == cbor.UNSET or kind == _CLIENT_TYPE or kind == _AUTHORITY_TYPE:  # noqa: PLR1714, SIM109 - a set would be built
        use = int64(messages.USE_QUERY)
        if parameters[HAS_CLIENTS] == 0:
            use = int64(messages.USE_RECORDS)
    elif kind == _RESOLVER_TYPE or kind == _FORWARDER_TYPE:  # noqa: PLR1714, SIM109
        use = int64(messages.USE_RECORDS)
    facts[messages.VANTAGE] = context.options[messages.FORCED]
    if facts[messages.VANTAGE] < 0:
        facts[messages.VANTAGE] = _RESOLVER
        if kind == cbor.UNSET or kind == _AUTHORITY_TYPE:  # noqa: PLR1714
            facts[messages.VANTAGE] = _AUTHORITY
    time = time_of(cursor, parameters[TICKS], item[_OFFSET], latest)
    facts[messages.ASKED] = facts[messages.HEARD] = time
    port = item[_PORT]
    facts[messages.CLIENT_PORT] = port if 0 < port < 65536 else -1
    question[wire.IDENT] = item[_IDENT] if 0 <= item[_IDENT] < 65536 else -1
    if reason == 0 and use != messages.USE_NOTHING:
        if item[_NAME] != cbor.UNSET and not name_labels(
            context, buffer, start, stop, block, item[_NAME]
        ):
            reason = int64(messages.DNS_NAME)
        elif use == messages.USE_QUERY and not client_address(
            buffer, start, stop, block, item[_CLIENT], transport, parameters, context.address
        ):
            reason = int64(messages.ADDRESS)
        elif use == messages.USE_QUERY and known and asked != 0:
            subnet = client_subnet(buffer, start, stop, block, signature[_OPT_DATA], context.subnet)
    extended = answered != 0 and item[_RESPONSE_EXTENDED] != cbor.UNSET
    if reason == 0 and extended and context.options[messages.ADDRESSES] != 0:
        answers = answer_addresses(buffer, start, stop, block, scratch, item[_RESPONSE_EXTENDED])
    heard = time
    if asked != 0 and item[_DELAY] != cbor.UNSET:
        delayed = min(item[_OFFSET], int64(MAX_TICKS - 1)) + min(
            max(item[_DELAY], int64(-MAX_TICKS)), int64(MAX_TICKS - 1)
        )
        if item[_OFFSET] < 0:
            delayed = int64(cbor.UNSET)
        heard = time_of(cursor, parameters[TICKS], delayed, latest)
    context.state[messages.RECORDS_READ] += 1
    reason = messages.take_parsed(
        context, tables, counts, memory, events, buffer, scratch.addresses,
        (answers, rcode, opcode, subnet), reason, use,
    )  # fmt: skip
    fault = reason == messages.CLOCK_FAULT
    cursor[WELL_FORMED] += 1
    if asked != 0 and answered != 0:
        # The response of the pair: its query has said all else that it says.
        column: Int = int64(tallies.SKIPPED)
        if reason != 0 and not fault:
            column = int64(tallies.MALFORMED)
        elif use == messages.USE_QUERY and opcode == 0:
            column = int64(tallies.MESSAGES)
        context.state[messages.RECORDS_READ] += 1
        cursor[WELL_FORMED] += 1
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
        offer_records(
            context,
            tables,
            records,
            buffer,
            start,
            stop,
            block,
            scratch,
            item[_RESPONSE_EXTENDED],
            heard,
        )
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
    time = time_of(cursor, parameters[TICKS], scratch.part[0], latest)
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
    time = time_of(cursor, parameters[TICKS], int64(0), context.options[messages.LATEST])
    held = max(block.marks[1, cdns_block.MALFORMED], int64(0))
    malformed = _amount(stated[_MALFORMED_ITEMS] - held)
    discarded = _amount(stated[_DISCARDED])
    lost = _amount(stated[_PROCESSED] - cursor[WELL_FORMED] - discarded)
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
    sensors: Sensors,  # noqa: ARG001 - a worker has them
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
    while cursor[PHASE] != DONE:
        if not has_room(events) or not records_room(records) or tallies.hours_full(counts):
            return False
        if cursor[PHASE] == IN_STATISTICS:
            _statistics(context, counts, scratch, block, parameters, buffer, start, stop)
            cursor[PHASE] = DONE
            continue
        part = cdns_block.ITEMS if cursor[PHASE] == IN_ITEMS else cdns_block.MALFORMED
        if cursor[LEFT] < 0:
            cursor[LEFT] = max(block.marks[1, part], int64(0))
            if cursor[LEFT] > 0:
                _, _, position = cbor.head(buffer, start + block.marks[0, part], stop)
                cursor[POSITION] = position - start
        there = cursor[LEFT] > 0
        if there:
            if cursor[PHASE] == IN_ITEMS:
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
        cursor[LEFT] -= 1
        if not there:
            cursor[LEFT] = -1
            cursor[PHASE] += 1
    return True

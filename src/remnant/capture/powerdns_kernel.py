"""The kernel that reads PowerDNS protobuf: frames, fields, names and the watchlist in one pass.

References:
    dnsmessage.proto, remote_logger.cc (PowerDNS/pdns).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant import wire
from remnant.capture import counts as tallies
from remnant.capture import messages, powerdns_frames, protobuf
from remnant.capture import powerdns_fields as fields_of
from remnant.capture.events import TRANSPORTS, has_room
from remnant.capture.policy import APPLIED, TRIGGER_STEP
from remnant.capture.records import MODES, offer_record, records_room
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.counts import Counts, Sensors
    from remnant.capture.events import Events
    from remnant.capture.messages import Context, Quarantine
    from remnant.capture.recent import Recent
    from remnant.capture.records import Records
    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int

__all__ = ["LOST", "Scratch", "cut", "new_scratch", "scan"]

_MORE: Final = -1

LOST: Final = messages.FIRST_OWN
"""Place in ``Context.state``: the next frame is looked for."""

_HEAD: Final = 64
"""Bytes that quarantine keeps."""
_MAX_SECONDS: Final = 1 << 32
_KNOWN: Final = len(TRANSPORTS)
_CLIENT_TYPES: Final = 2
_INCOMING: Final = 4
_ALL: Final = MODES["all"]
_MAX_RCODE: Final = 4095
_MAX_RECORDS: Final = 1024
"""Records and addresses that are taken from one response."""
_ACTIONS: Final = np.array([0, 3, 4, 1, 2, 5, 6], np.int64)
"""The index into ``policy.ACTIONS`` of each PolicyKind."""
_TRIGGERS: Final = 6
"""PolicyType is one more than the index into ``policy.TRIGGERS``, and at most this."""


class Scratch(NamedTuple):
    """Room that the kernel works in.

    Attributes:
        fields: int64[FIELDS]: of one message.
        data: uint8[SCRATCH_BYTES]: a record's data.
        text: uint8[SCRATCH_BYTES]: a long name.
        addresses: uint8[1024, 16]: those of a response's answers.
    """

    fields: npt.NDArray[np.int64]
    data: Bytes
    text: Bytes
    addresses: Bytes


def new_scratch() -> Scratch:
    """Return room for one thread."""
    return Scratch(
        np.zeros(fields_of.FIELDS, np.int64),
        np.zeros(fields_of.SCRATCH_BYTES, np.uint8),
        np.zeros(fields_of.SCRATCH_BYTES, np.uint8),
        np.zeros((_MAX_RECORDS, 16), np.uint8),
    )


@inlined
def _time(fields: npt.NDArray[np.int64], seconds: Int, latest: Int) -> Int:
    """Return a time in UTC microseconds, or -1 if it is missing or cannot be right."""
    whole = fields[seconds]
    if whole < 0 or whole > _MAX_SECONDS:
        return -1
    part = min(max(fields[seconds + 1], 0), 999_999)
    return messages.usable_time(whole * 1_000_000 + part, latest)


@inlined
def _times(context: Context, fields: npt.NDArray[np.int64]) -> None:
    """Note when a message's query and the message itself were heard, -1 if not known."""
    latest = context.options[messages.LATEST]
    heard = _time(fields, fields_of.SECONDS, latest)
    asked = heard
    if context.facts[messages.RESPONSE] != 0:
        asked = _time(fields, fields_of.QUERY_SECONDS, latest)
        if asked < 0:
            asked = heard
        if heard < 0:
            heard = asked
    context.facts[messages.ASKED] = asked
    context.facts[messages.HEARD] = heard


@kernel
def _policy(facts: npt.NDArray[np.int64], fields: npt.NDArray[np.int64]) -> None:
    """Note the policy that was applied: its action, and what in it was hit, else its name."""
    kind = fields[fields_of.POLICY_KIND]
    trigger = fields[fields_of.POLICY_TYPE]
    action = _ACTIONS[kind] if 0 <= kind < _ACTIONS.size else int64(0)
    trigger = trigger - 1 if 1 <= trigger <= _TRIGGERS else int64(0)
    facts[messages.POLICY] = APPLIED + TRIGGER_STEP * trigger + action
    rule = int64(fields_of.POLICY_TRIGGER)
    if fields[rule] < 0 or fields[rule] == fields[rule + 1]:
        rule = int64(fields_of.POLICY)
    facts[messages.RULE] = fields[rule]
    facts[messages.RULE + 1] = fields[rule + 1]


@kernel
def _addresses(scratch: Scratch, buffer: Bytes) -> Int:
    """Collect the addresses in the answers; return how many there are."""
    fields = scratch.fields
    stop = fields[fields_of.RESPONSE + 1]
    position = fields[fields_of.RESPONSE]
    count = int64(0)
    while count < _MAX_RECORDS:
        start, position = protobuf.next_bytes(buffer, position, stop, fields_of.RECORD_TAG)
        if start < 0:
            break
        if fields_of.read_record(buffer, start, position, fields) and fields_of.is_address(fields):
            messages.read_address(
                buffer, fields[fields_of.RECORD_DATA], fields[fields_of.RECORD_DATA + 1],
                scratch.addresses[count],
            )  # fmt: skip
            count += 1
    return count


@kernel
def _offer_records(
    context: Context, tables: Tables, records: Records, scratch: Scratch, buffer: Bytes
) -> None:
    """Offer the records of a response, which are all from its answer section."""
    fields = scratch.fields
    asked = context.facts[messages.ENTRY]
    mode = context.options[messages.ANSWERS]
    # What the question did not hit, a record with its name does not hit either.
    others_only = mode != _ALL and asked < 0 and tables.prefix_lengths.size == 0
    stop = fields[fields_of.RESPONSE + 1]
    position = fields[fields_of.RESPONSE]
    for _ in range(_MAX_RECORDS):
        start, position = protobuf.next_bytes(buffer, position, stop, fields_of.RECORD_TAG)
        if start < 0:
            break
        if not fields_of.read_record(buffer, start, position, fields):
            continue
        if others_only and fields_of.answers_itself(buffer, fields):
            continue
        size = fields_of.wire_data(
            buffer, fields, scratch.data, context.other, context.other_starts, scratch.text
        )
        if size < 0:
            continue
        labels = fields_of.wire_name(
            buffer, fields[fields_of.RECORD_NAME], fields[fields_of.RECORD_NAME + 1],
            context.other, context.other_starts, scratch.text,
        )  # fmt: skip
        if labels < 0:
            continue
        offer_record(
            records, tables, scratch.data, int64(0), context.other, context.other_starts, labels,
            fields[fields_of.RECORD_TYPE], (int64(0), size), context.address_hits, context.subnet,
            (
                context.facts[messages.HEARD], context.facts[messages.SENSOR], asked, mode,
                max(fields[fields_of.RECORD_TTL], int64(-1)),
            ),
        )  # fmt: skip


@inlined
def _data(
    context: Context,
    tables: Tables,
    sensors: Sensors,
    counts: Counts,
    memory: Recent,
    events: Events,
    records: Records,
    scratch: Scratch,
    buffer: Bytes,
    start: Int,
    stop: Int,
    final: bool,
) -> Int:
    """Take one message; return why it could not be read, 0 if it could.

    _MORE: it cannot be read, and whether its length can be trusted is seen from what follows.
    """
    facts = context.facts
    fields = scratch.fields
    question = context.question
    facts[messages.SENSOR] = 0
    facts[messages.VANTAGE] = max(context.options[messages.FORCED], 0)
    facts[messages.ASKED] = facts[messages.HEARD] = -1
    facts[messages.POLICY] = 0
    question[wire.LABELS] = -1
    question[wire.IN_PLACE] = 0
    use: Int = int64(messages.USE_NOTHING)
    reason: Int = int64(0)
    rcode: Int = int64(-1)
    answers: Int = int64(0)
    subnet: Int = False
    if not fields_of.read_message(buffer, start, stop, fields):
        if not final and stop + 8 > buffer.size:
            return int64(_MORE)
        reason = int64(messages.PROTOBUF)
    else:
        facts[messages.SENSOR] = tallies.sensor_of(
            sensors, buffer, fields[fields_of.IDENTITY], fields[fields_of.IDENTITY + 1]
        )
        kind = fields[fields_of.TYPE]
        facts[messages.RESPONSE] = 1 - kind % 2
        _times(context, fields)
        if 1 <= kind <= _CLIENT_TYPES:
            use = int64(messages.USE_QUERY)
        elif kind == _INCOMING and fields[fields_of.RESPONSE] >= 0:
            use = int64(messages.USE_RECORDS)
        if use != messages.USE_NOTHING:
            question[wire.LABELS] = fields_of.wire_name(
                buffer, fields[fields_of.QNAME], fields[fields_of.QNAME + 1], context.name,
                context.starts, scratch.text,
            )  # fmt: skip
        if use == messages.USE_QUERY:
            if fields[fields_of.QUESTION] < 0:
                reason = int64(messages.NO_MESSAGE)
            elif not messages.is_address(fields[fields_of.FROM], fields[fields_of.FROM + 1]):
                reason = int64(messages.ADDRESS)
            elif question[wire.LABELS] < 0:
                reason = int64(messages.DNS_NAME)
            elif not 0 <= fields[fields_of.QTYPE] < 1 << 16:
                reason = int64(messages.DNS_QUESTION)
            question[wire.IDENT] = fields[fields_of.IDENT] & 0xFFFF
            if fields[fields_of.IDENT] < 0:
                question[wire.IDENT] = -1
            question[wire.QTYPE] = fields[fields_of.QTYPE]
            facts[messages.CLIENT] = fields[fields_of.FROM]
            facts[messages.CLIENT + 1] = fields[fields_of.FROM + 1]
            port = fields[fields_of.FROM_PORT]
            facts[messages.CLIENT_PORT] = port if 0 < port < 65536 else -1
            port = fields[fields_of.TO_PORT]
            facts[messages.SERVICE_PORT] = port if 0 < port < 65536 else -1
            protocol = fields[fields_of.PROTOCOL]
            facts[messages.TRANSPORT] = protocol - 1 if 1 <= protocol <= _KNOWN else -1
            if facts[messages.RESPONSE] == 0:
                subnet = fields_of.subnet_of(
                    buffer, fields[fields_of.SUBNET], fields[fields_of.SUBNET + 1], context.subnet
                )
            elif fields[fields_of.RESPONSE] >= 0:
                rcode = fields[fields_of.RCODE]
                if rcode > _MAX_RCODE:
                    # 65536 stands for a network error.
                    rcode = int64(-1)
                if fields[fields_of.POLICY] < fields[fields_of.POLICY + 1]:
                    _policy(facts, fields)
                if context.options[messages.ADDRESSES] != 0 and reason == 0:
                    answers = _addresses(scratch, buffer)
    reason = messages.take_parsed(
        context, tables, counts, memory, events, buffer, scratch.addresses,
        (answers, rcode, int64(0), subnet), reason, use,
    )  # fmt: skip
    if (
        reason == 0
        and use != messages.USE_NOTHING
        and facts[messages.RESPONSE] != 0
        and facts[messages.HEARD] >= 0
        and fields[fields_of.RESPONSE] >= 0
        and context.options[messages.ANSWERS] != 0
    ):
        _offer_records(context, tables, records, scratch, buffer)
    return reason


@kernel
def _unreadable(context: Context, counts: Counts) -> None:
    """Count what cannot be a message."""
    vantage = int64(max(context.options[messages.FORCED], 0))
    tallies.tally(counts, int64(0), vantage, int64(-1), tallies.MALFORMED)


@kernel
def cut(buffer: Bytes, first: Int, width: Int, parts: npt.NDArray[np.int64]) -> Int:
    """Divide the frames that stand end to end into parts of about equal size.

    Args:
        buffer: the unread bytes.
        first: where the first frame begins.
        width: bytes of a length.
        parts: int64[n + 1], filled with where each part begins, and the last one ends.

    Returns:
        Where the last whole frame ends, at most 8 bytes before the end of the buffer.
    """
    stop = int64(buffer.size)
    wanted = parts.size - 1
    step = max((stop - first) // wanted, 1)
    part = int64(0)
    position = first
    parts[0] = first
    while True:
        kind, _, end = powerdns_frames.next_frame(buffer, position, stop, width)
        if kind != powerdns_frames.DATA or end + 8 > stop:
            break
        position = end
        if part + 1 < wanted and position - first >= step * (part + 1):
            part += 1
            parts[part] = position
    for rest in range(part + 1, wanted + 1):
        parts[rest] = position
    return position


@kernel
def scan(
    tables: Tables,
    context: Context,
    sensors: Sensors,
    counts: Counts,
    memory: Recent,
    events: Events,
    records: Records,
    quarantine: Quarantine,
    scratch: Scratch,
    buffer: Bytes,
    base: Int,
    width: Int,
    first: Int,
    limit: Int,
    final: bool,
) -> tuple[Int, bool]:
    """Read messages until the bytes or the room for what they give run out.

    Args:
        tables: the compiled watchlist.
        context: state and scratch.
        sensors: identities seen so far.
        counts: of this batch.
        memory: recent queries, for address rules.
        events: of this batch.
        records: of this batch.
        quarantine: of this batch.
        scratch: room to work in.
        buffer: the unread bytes.
        base: offset of ``buffer[0]`` in the stream.
        width: bytes of a length.
        first: where to begin in ``buffer``.
        limit: no message is begun from here on.
        final: whether no more bytes will follow.

    Returns:
        (where the first unread byte is, whether to go on because room ran out).
    """
    state = context.state
    stop = int64(buffer.size)
    position: Int = int64(first)
    while position < limit:
        if not has_room(events) or not records_room(records) or tallies.hours_full(counts):
            return position, True
        if state[LOST] != 0:
            position, found = powerdns_frames.resume(
                buffer, position, stop, width, final, scratch.fields
            )
            if not found:
                return position, False
            state[LOST] = 0
        kind, start, end = powerdns_frames.next_frame(buffer, position, stop, width)
        if kind == powerdns_frames.MORE:
            if not final or position == stop:
                return position, False
            # The tail. If messages stand inside it, its length was damaged; else it was cut off.
            state[messages.RECORDS_READ] += 1
            _unreadable(context, counts)
            further, found = powerdns_frames.resume(
                buffer, min(position + width, stop), stop, width, final, scratch.fields
            )
            reason = int64(messages.FRAMING if found else messages.TRUNCATED)
            messages.keep(quarantine, base + position, reason, position, further)
            if not found:
                return position, False
            position = further
        elif kind == powerdns_frames.BAD:
            if not final and stop - position < _HEAD:
                return position, False
            state[messages.RECORDS_READ] += 1
            _unreadable(context, counts)
            messages.keep(quarantine, base + position, int64(messages.FRAMING), position, stop)
            state[LOST] = 1
            position += 1
        else:
            context.facts[messages.OFFSET] = base + position
            reason = _data(
                context, tables, sensors, counts, memory, events, records, scratch,
                buffer, start, end, final,
            )  # fmt: skip
            if reason == _MORE:
                return position, False
            state[messages.RECORDS_READ] += 1
            if reason == messages.CLOCK_FAULT:
                messages.keep_fault(context, quarantine, start, end)
            elif reason != 0:
                messages.keep(quarantine, base + position, reason, start, end)
            if reason == messages.PROTOBUF and not powerdns_frames.follows(
                buffer, end, stop, width
            ):
                state[LOST] = 1
                position += 1
            else:
                position = end
    return position, False

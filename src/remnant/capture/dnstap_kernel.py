"""The kernel that reads dnstap: frames, protobuf, DNS and the watchlist in one pass.

Messages about names that nobody watches never become objects: they cost one hash and one count.

References:
    dnstap.proto; Frame Streams (fstrm).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture import counts as tallies
from remnant.capture import framing, messages, protobuf
from remnant.capture.events import TRANSPORTS, has_room
from remnant.capture.policy import APPLIED, TRIGGER_STEP
from remnant.capture.records import records_room
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

__all__ = ["FOREIGN", "LOST", "after_controls", "cut", "scan"]

_MORE: Final = -1

# Places in ``Context.state``.
STARTED: Final = messages.FIRST_OWN
FOREIGN: Final = messages.FIRST_OWN + 1
LOST: Final = messages.FIRST_OWN + 2
TRUNCATED: Final = messages.FIRST_OWN + 3

_MAX_SECONDS: Final = 1 << 40
_SIMULATOR: Final = np.frombuffer(b"remnant-simulator", np.uint8)
_CONTENT: Final = np.frombuffer(framing.CONTENT_TYPE, np.uint8)

_KNOWN: Final = len(TRANSPORTS)
_PLAIN: Final = 16
"""dnstap's types of messages are below this; each has a use, a vantage and a direction."""
_USE: Final = np.array(
    [messages.USE_NOTHING]
    + [messages.USE_QUERY] * 2
    + [messages.USE_NOTHING, messages.USE_RECORDS]
    + [messages.USE_QUERY] * 2
    + [messages.USE_NOTHING, messages.USE_RECORDS]
    + [messages.USE_NOTHING] * 7,
    np.int64,
)
"""CLIENT and AUTH messages are observations; of RESOLVER and FORWARDER responses the records
count."""


@inlined
def _time(fields: npt.NDArray[np.int64], seconds: Int, latest: Int) -> Int:
    """Return a time in UTC microseconds, or -1 if it is missing or cannot be right."""
    whole = fields[seconds]
    if whole < 0 or whole > _MAX_SECONDS:
        return -1
    part = min(max(fields[seconds + 1], 0), 999_999_999)
    return messages.usable_time(whole * 1_000_000 + part // 1000, latest)


@kernel
def _is_simulator(fields: npt.NDArray[np.int64], buffer: Bytes) -> bool:
    start = fields[protobuf.VERSION]
    if start < 0 or fields[protobuf.VERSION + 1] - start != _SIMULATOR.size:
        return False
    for i in range(_SIMULATOR.size):  # noqa: SIM110 - a kernel has no generators
        if buffer[start + i] != _SIMULATOR[i]:
            return False
    return True


@inlined
def _times(context: Context, fields: npt.NDArray[np.int64], response: bool) -> None:
    """Note when a message's query and the message itself were heard, -1 if not known."""
    latest = context.options[messages.LATEST]
    asked = _time(fields, protobuf.QUERY_SECONDS, latest)
    heard = asked
    if response:
        heard = _time(fields, protobuf.RESPONSE_SECONDS, latest)
        if heard < 0:
            heard = asked
        if asked < 0:
            asked = heard
    context.facts[messages.ASKED] = asked
    context.facts[messages.HEARD] = heard


@kernel
def _policy(facts: npt.NDArray[np.int64], fields: npt.NDArray[np.int64], buffer: Bytes) -> None:
    """Note the response policy of a message that has one."""
    if not protobuf.policy(buffer, fields):
        return
    action = max(fields[protobuf.POLICY_ACTION], 0) % TRIGGER_STEP
    trigger = max(fields[protobuf.POLICY_TRIGGER], 0) % TRIGGER_STEP
    facts[messages.POLICY] = APPLIED + TRIGGER_STEP * trigger + action
    facts[messages.RULE] = fields[protobuf.POLICY_RULE]
    facts[messages.RULE + 1] = fields[protobuf.POLICY_RULE + 1]


@inlined
def _data(
    context: Context,
    tables: Tables,
    sensors: Sensors,
    counts: Counts,
    memory: Recent,
    events: Events,
    records: Records,
    fields: npt.NDArray[np.int64],
    buffer: Bytes,
    start: Int,
    stop: Int,
    final: bool,
) -> Int:
    """Take one data frame; return why it could not be read, 0 if it could.

    _MORE: it cannot be read, and whether its length can be trusted is seen from what follows.
    """
    facts = context.facts
    state = context.state
    facts[messages.SENSOR] = 0
    facts[messages.VANTAGE] = max(context.options[messages.FORCED], 0)
    facts[messages.ASKED] = facts[messages.HEARD] = -1
    facts[messages.POLICY] = 0
    use: Int = int64(messages.USE_NOTHING)
    place: Int = int64(protobuf.QUERY_MESSAGE)
    reason: Int = int64(0)
    begin: Int = start
    end: Int = stop
    if state[FOREIGN] == 0:
        if not protobuf.frame(buffer, start, stop, fields) or fields[protobuf.KIND] < 0:
            if not final and stop + 8 > buffer.size:
                return int64(_MORE)
            reason = int64(messages.PROTOBUF)
        else:
            if state[messages.SIMULATED] == 0 and _is_simulator(fields, buffer):
                state[messages.SIMULATED] = 1
            facts[messages.SENSOR] = tallies.sensor_of(
                sensors, buffer, fields[protobuf.IDENTITY], fields[protobuf.IDENTITY + 1]
            )
            kind = fields[protobuf.TYPE]
            if context.options[messages.FORCED] < 0:
                facts[messages.VANTAGE] = 1 if 1 <= kind <= 2 else 0
            if fields[protobuf.KIND] == 1 and kind < 0:
                reason = int64(messages.PROTOBUF)
            else:
                response = kind % 2 == 0
                facts[messages.RESPONSE] = 1 if response else 0
                if response:
                    place = int64(protobuf.RESPONSE_MESSAGE)
                _times(context, fields, response)
                if fields[protobuf.KIND] == 1 and kind < _PLAIN:
                    use = _USE[kind]
            begin = fields[place]
            end = fields[place + 1]
            if reason == 0 and use == messages.USE_QUERY:
                if begin < 0:
                    reason = int64(messages.NO_MESSAGE)
                elif not messages.is_address(
                    fields[protobuf.QUERY_ADDRESS], fields[protobuf.QUERY_ADDRESS + 1]
                ):
                    reason = int64(messages.ADDRESS)
            elif begin < 0:
                use = int64(messages.USE_NOTHING)
            facts[messages.CLIENT] = fields[protobuf.QUERY_ADDRESS]
            facts[messages.CLIENT + 1] = fields[protobuf.QUERY_ADDRESS + 1]
            port = fields[protobuf.QUERY_PORT]
            facts[messages.CLIENT_PORT] = port if 0 < port < 65536 else -1
            port = fields[protobuf.RESPONSE_PORT]
            facts[messages.SERVICE_PORT] = port if 0 < port < 65536 else -1
            protocol = fields[protobuf.PROTOCOL]
            facts[messages.TRANSPORT] = protocol - 1 if 1 <= protocol <= _KNOWN else -1
            if fields[protobuf.POLICY] >= 0:
                _policy(facts, fields, buffer)
    return messages.take(
        context, tables, counts, memory, events, records, buffer, begin, end, reason, use
    )


@kernel
def _unreadable(context: Context, counts: Counts) -> None:
    """Count what cannot be a frame."""
    vantage = int64(max(context.options[messages.FORCED], 0))
    tallies.tally(counts, int64(0), vantage, int64(-1), tallies.MALFORMED)


@kernel
def after_controls(buffer: Bytes) -> Int:
    """Return where the control frames at the front of the unread bytes end."""
    position = int64(0)
    while True:
        kind, _, end = framing.next_frame(buffer, position, int64(buffer.size))
        if kind != framing.CONTROL:
            return position
        position = end


@kernel
def cut(buffer: Bytes, first: Int, parts: npt.NDArray[np.int64]) -> Int:
    """Divide the data frames that stand end to end into parts of about equal size.

    Args:
        buffer: the unread bytes.
        first: where the first frame begins.
        parts: int64[n + 1], filled with where each part begins, and the last one ends.

    Returns:
        Where the last whole data frame ends, at most 8 bytes before the end of the buffer; frames
        of another kind, and what cannot be a frame, end the run.
    """
    stop = int64(buffer.size)
    wanted = parts.size - 1
    step = max((stop - first) // wanted, 1)
    part = int64(0)
    position = first
    parts[0] = first
    while True:
        kind, _, end = framing.next_frame(buffer, position, stop)
        if kind != framing.DATA or end + 8 > stop:
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
    fields: npt.NDArray[np.int64],
    buffer: Bytes,
    base: Int,
    first: Int,
    limit: Int,
    final: bool,
) -> tuple[Int, bool]:
    """Read frames until the bytes or the room for what they give run out.

    Args:
        tables: the compiled watchlist.
        context: state and scratch.
        sensors: identities seen so far.
        counts: of this batch.
        memory: recent queries, for address rules.
        events: of this batch.
        records: of this batch.
        quarantine: of this batch.
        fields: int64[framing.DNSTAP], scratch.
        buffer: the unread bytes.
        base: offset of ``buffer[0]`` in the stream.
        first: where to begin in ``buffer``.
        limit: no frame is begun from here on.
        final: whether no more bytes will follow.

    Returns:
        (where the first unread byte is, whether to go on because room ran out).
    """
    state = context.state
    stop = int64(buffer.size)
    position: Int = int64(first)
    written = int64(-1)
    while position < limit:
        # Room is looked at only after something was written: most frames write nothing.
        filled = events.filled[0] + records.filled[0] + counts.state[0]
        if filled != written:
            if not has_room(events) or not records_room(records) or tallies.hours_full(counts):
                return position, True
            written = filled
        if state[LOST] != 0:
            position, found = framing.resume(buffer, position, stop, final, fields)
            if not found:
                return position, False
            state[LOST] = 0
        kind, start, end = framing.next_frame(buffer, position, stop)
        if kind == framing.MORE:
            if not final or position == stop:
                return position, False
            # The tail. If frames stand inside it, its length was damaged; else it was cut off.
            state[messages.RECORDS_READ] += 1
            _unreadable(context, counts)
            further, found = framing.resume(buffer, min(position + 4, stop), stop, final, fields)
            reason = int64(messages.FRAMING if found else messages.TRUNCATED)
            messages.keep(quarantine, base + position, reason, position, further)
            if not found:
                state[TRUNCATED] = 1
                return position, False
            position = further
        elif kind == framing.BAD:
            state[messages.RECORDS_READ] += 1
            _unreadable(context, counts)
            messages.keep(quarantine, base + position, int64(messages.FRAMING), position, stop)
            state[LOST] = 1
            position += 4
        elif kind == framing.CONTROL:
            content = framing.start_type(buffer, start, end, _CONTENT)
            if content != 0:
                state[STARTED] = 1
                state[FOREIGN] = 1 if content == 2 else 0
            position = end
        else:
            context.facts[messages.OFFSET] = base + position
            reason = _data(
                context, tables, sensors, counts, memory, events, records, fields,
                buffer, start, end, final,
            )  # fmt: skip
            if reason == _MORE:
                return position, False
            state[messages.RECORDS_READ] += 1
            if reason == messages.CLOCK_FAULT:
                messages.keep_fault(context, quarantine, start, end)
            elif reason != 0:
                messages.keep(quarantine, base + position, reason, start, end)
            if reason == messages.PROTOBUF and not framing.follows(buffer, end, stop):
                state[LOST] = 1
                position += 4
            else:
                position = end
    return position, False

"""The kernel that reads captured packets: files, layers, streams and DNS in one pass.

What is a record: a packet that completes no message, or a message. So a segment of TCP that
completes three messages is three records, and one that completes none is one that is skipped. A
message that was begun and whose rest never comes is a record too, as soon as that is sure.

References:
    RFC 1035 section 4.2 (port 53 over UDP and TCP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.capture import counts as tallies
from remnant.capture import fragments as parts
from remnant.capture import messages, packets, pcap_framing, pcap_state, tcp_streams
from remnant.capture.events import has_room
from remnant.capture.records import records_room
from remnant.capture.responders import add_responder, new_responders
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.counts import Counts, Sensors
    from remnant.capture.events import Events
    from remnant.capture.fragments import Fragments
    from remnant.capture.messages import Context, Quarantine
    from remnant.capture.pcap_state import Capture
    from remnant.capture.recent import Recent
    from remnant.capture.records import Records
    from remnant.capture.responders import Responders
    from remnant.capture.tcp_streams import Streams
    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int

__all__ = ["TRUNCATED", "Layers", "links", "new_layers", "scan", "unfinished"]

# Places in ``Context.state``.
_LOST: Final = messages.FIRST_OWN
_CLOCK: Final = messages.FIRST_OWN + 1
"""Time of the last packet that has one."""
_PHASE: Final = messages.FIRST_OWN + 2
_SLOT: Final = messages.FIRST_OWN + 3
_AT: Final = messages.FIRST_OWN + 4
"""Where the packet begins whose messages are being read."""
_FOUND: Final = messages.FIRST_OWN + 5
"""Messages that it has completed."""
_WHOLE: Final = messages.FIRST_OWN + 6
"""Whether its payload stands in ``Layers.packet``."""
TRUNCATED: Final = messages.FIRST_OWN + 7
"""Whether the last record is not complete."""

# What is read next, in a packet of TCP.
_FRESH: Final = 0
_OPPOSITE: Final = 1
"""Messages of the other direction, which the packet acknowledges."""
_RECEIVE: Final = 2
_OWN: Final = 3

_UDP: Final = 0
_TCP: Final = 1
_MAX_LINKS: Final = 64
_RESPONSE_BIT: Final = 0x80


class Layers(NamedTuple):
    """What is kept from packet to packet, and scratch.

    Attributes:
        capture: what the file has said.
        streams: TCP.
        fragments: IP.
        described: int64[packets.FIELDS]: the packet that is being read.
        packet: uint8[65536]: payload of a packet that came in fragments.
        message: uint8[65536]: a message that came by TCP.
        origin: int64[1].
        responders: who answers.
        other: uint8[16]: the address of the one who is not the client.
        links: int64[64, 2]: link types that are not read, and how many packets had them; the last
            row is for all others.
    """

    capture: Capture
    streams: Streams
    fragments: Fragments
    described: npt.NDArray[np.int64]
    packet: Bytes
    message: Bytes
    origin: npt.NDArray[np.int64]
    responders: Responders
    other: Bytes
    links: npt.NDArray[np.int64]


def new_layers(seeds: tuple[int, int]) -> Layers:
    """Return the state before the first byte; ``seeds`` are two times 64 random bits."""
    return Layers(
        pcap_state.new_capture(),
        tcp_streams.new_streams(seeds),
        parts.new_fragments(seeds),
        np.zeros(packets.FIELDS, np.int64),
        np.zeros(parts.PACKET_BYTES, np.uint8),
        np.zeros(tcp_streams.MESSAGE_BYTES, np.uint8),
        np.zeros(1, np.int64),
        new_responders(seeds),
        np.zeros(16, np.uint8),
        np.zeros((_MAX_LINKS, 2), np.int64),
    )


def links(layers: Layers) -> dict[int | None, int]:
    """Return how many packets had a link type that is not read; ``None``: types after the 63rd."""
    found: dict[int | None, int] = {
        int(link): int(count) for link, count in layers.links[:-1] if count
    }
    if layers.links[-1, 1]:
        found[None] = int(layers.links[-1, 1])
    return found


def unfinished(layers: Layers) -> int:
    """Return how many messages are begun and not complete."""
    streams = np.count_nonzero(layers.streams.pieces.counts)
    return int(streams + np.count_nonzero(layers.fragments.status == parts.DNS))


@kernel
def _count_link(links: npt.NDArray[np.int64], link: Int) -> None:
    row = int64(0)
    while row < _MAX_LINKS - 1 and links[row, 1] != 0 and links[row, 0] != link:
        row += 1
    links[row, 0] = link
    links[row, 1] += 1


@kernel
def _lost(context: Context, counts: Counts, quarantine: Quarantine, number: Int, why: Int) -> None:
    """Count messages that were begun and will not be finished."""
    facts = context.facts
    vantage = facts[messages.VANTAGE]
    at = context.state[_AT]
    for _ in range(number):
        context.state[messages.RECORDS_READ] += 1
        tallies.tally(counts, int64(0), vantage, facts[messages.HEARD], tallies.MALFORMED)
        messages.keep(quarantine, facts[messages.OFFSET], why, at, at)


@inlined
def _describe(
    context: Context,
    buffer: Bytes,
    source: Bytes,
    place: tuple[Int, Int],
    packet: npt.NDArray[np.int64],
    turned: Int,
) -> Int:
    """Note who sent a message to whom; return what it is used for.

    Args:
        context: its facts and address are filled.
        buffer: holds the packet.
        source: holds the message.
        place: where it begins and ends.
        packet: what is known of it.
        turned: 1 if the message went the other way than the packet.
    """
    facts = context.facts
    begin, end = place
    sender = packets.FROM if turned == 0 else packets.TO
    receiver = packets.TO if turned == 0 else packets.FROM
    from_port = packet[packets.FROM_PORT] if turned == 0 else packet[packets.TO_PORT]
    to_port = packet[packets.TO_PORT] if turned == 0 else packet[packets.FROM_PORT]
    response = from_port == packets.DNS_PORT
    if end - begin >= 3:
        response = source[begin + 2] & _RESPONSE_BIT != 0
    facts[messages.RESPONSE] = 1 if response else 0
    client = packet[receiver] if response else packet[sender]
    size = int64(4 if packet[packets.VERSION] == 4 else 16)
    messages.read_address(buffer, client, client + size, context.address)
    facts[messages.CLIENT_PORT] = to_port if response else from_port
    facts[messages.SERVICE_PORT] = from_port if response else to_port
    if (from_port if response else to_port) != packets.DNS_PORT:
        # A query that comes from port 53 or a response that goes to it, and no other way.
        return int64(messages.USE_NOTHING)
    return int64(messages.USE_QUERY)


@kernel
def _answered(layers: Layers, context: Context, buffer: Bytes, turned: Int) -> None:
    """Note who sent a response, unless to itself: a machine that asks itself is a client too."""
    packet = layers.described
    start = packet[packets.FROM if turned == 0 else packets.TO]
    size = int64(4 if packet[packets.VERSION] == 4 else 16)
    messages.read_address(buffer, start, start + size, layers.other)
    for i in range(16):
        if layers.other[i] != context.address[i]:
            add_responder(layers.responders, layers.other)
            return


@inlined
def _begin(context: Context, packet: npt.NDArray[np.int64], base: Int, at: Int) -> None:
    """Note what all messages of a packet have in common."""
    facts = context.facts
    state = context.state
    time = packet[pcap_state.TIME]
    facts[messages.SENSOR] = 0
    facts[messages.VANTAGE] = max(context.options[messages.FORCED], 0)
    facts[messages.ASKED] = facts[messages.HEARD] = time
    facts[messages.POLICY] = 0
    facts[messages.TRANSPORT] = _UDP
    facts[messages.OFFSET] = base + at
    state[_AT] = at
    if time >= 0:
        state[_CLOCK] = time


@kernel
def _move(layers: Layers, context: Context, at: Int) -> None:
    """Correct the places of the packet that is being read: the buffer begins elsewhere now."""
    packet = layers.described
    shift = at - context.state[_AT]
    context.state[_AT] = at
    for field in (packets.FROM, packets.TO, pcap_state.START, pcap_state.STOP):
        packet[field] += shift
    packet[pcap_state.NEXT] += shift
    if context.state[_WHOLE] == 0:
        for field in (packets.BEGIN, packets.END, packets.WHOLE):
            packet[field] += shift


@kernel
def _tail(
    layers: Layers,
    context: Context,
    counts: Counts,
    quarantine: Quarantine,
    buffer: Bytes,
    base: Int,
    at: Int,
) -> tuple[Int, bool]:
    """Count what stands at the end and is no whole record; return (where to go on, whether to)."""
    stop = int64(buffer.size)
    state = context.state
    vantage = int64(max(context.options[messages.FORCED], 0))
    latest = context.options[messages.LATEST]
    state[messages.RECORDS_READ] += 1
    tallies.tally(counts, int64(0), vantage, int64(-1), tallies.MALFORMED)
    # If records stand inside it, its length was damaged; else it was cut off.
    further, found = pcap_framing.resume(
        layers.capture, buffer, min(at + 4, stop), stop, latest, True
    )
    reason = int64(messages.FRAMING if found else messages.TRUNCATED)
    messages.keep(quarantine, base + at, reason, at, further)
    if not found:
        state[TRUNCATED] = 1
        return at, False
    return further, True


@kernel
def scan(
    tables: Tables,
    context: Context,
    _sensors: Sensors,
    counts: Counts,
    memory: Recent,
    events: Events,
    records: Records,
    quarantine: Quarantine,
    layers: Layers,
    buffer: Bytes,
    base: Int,
    final: bool,
) -> tuple[Int, bool]:
    """Read packets until the bytes or the room for what they give run out.

    Args:
        tables: the compiled watchlist.
        context: state and scratch.
        _sensors: not used: a capture does not name its sensor.
        counts: of this batch.
        memory: recent queries, for address rules.
        events: of this batch.
        records: of this batch.
        quarantine: of this batch.
        layers: what is kept from packet to packet.
        buffer: the unread bytes.
        base: offset of ``buffer[0]`` in the stream.
        final: whether no more bytes will follow.

    Returns:
        (where the first unread byte is, whether to go on because room ran out).
    """
    state = context.state
    facts = context.facts
    packet = layers.described
    latest = context.options[messages.LATEST]
    stop = int64(buffer.size)
    at: Int = int64(0)
    if state[_PHASE] != _FRESH:
        _move(layers, context, at)
    while True:
        if not has_room(events) or not records_room(records) or tallies.hours_full(counts):
            return at, True
        reason: Int = int64(0)
        use: Int = int64(messages.USE_NOTHING)
        source = buffer
        # Whether the message stands in the buffer.
        there = True
        turned: Int = int64(0)
        begin: Int = at
        end: Int = at
        done = True
        if state[_PHASE] == _FRESH:
            if state[_LOST] != 0:
                at, found = pcap_framing.resume(layers.capture, buffer, at, stop, latest, final)
                if not found:
                    return at, False
                state[_LOST] = 0
            kind = pcap_framing.next_record(layers.capture, buffer, at, stop, latest, packet)
            if kind == pcap_state.OTHER:
                at = packet[pcap_state.NEXT]
                continue
            if kind == pcap_state.MORE:
                if not final or at == stop:
                    return at, False
                at, found = _tail(layers, context, counts, quarantine, buffer, base, at)
                if not found:
                    return at, False
                continue
            if kind == pcap_state.BAD:
                packet[pcap_state.TIME] = -1
                packet[pcap_state.NEXT] = at + 4
                state[_LOST] = 1
            _begin(context, packet, base, at)
            state[_FOUND] = 0
            state[_WHOLE] = 0
            begin = at
            end = packet[pcap_state.NEXT]
            if kind != pcap_state.PACKET:
                reason = int64(messages.FRAMING)
                end = min(at + 64, stop)
            else:
                what = packets.dissect(buffer, packet)
                if what == packets.FRAGMENT:
                    what = parts.add_fragment(
                        layers.fragments, buffer, packet, state[_CLOCK], layers.packet
                    )
                    if layers.fragments.state[0] != 0:
                        _lost(
                            context, counts, quarantine, layers.fragments.state[0],
                            int64(messages.FRAGMENT),
                        )  # fmt: skip
                        layers.fragments.state[0] = 0
                    if what == packets.WRONG:
                        reason = int64(messages.FRAGMENT)
                    elif what == packets.DATAGRAM:
                        state[_WHOLE] = 1
                        what = packets.transport(layers.packet, packet)
                if what == packets.DATAGRAM:
                    if state[_WHOLE] != 0:
                        source = layers.packet
                        there = False
                    begin = packet[packets.BEGIN]
                    end = packet[packets.END]
                    use = _describe(context, buffer, source, (begin, end), packet, int64(0))
                    if packet[packets.CUT] != 0 and use != messages.USE_NOTHING:
                        reason = int64(messages.TRUNCATED)
                elif what == packets.SEGMENT:
                    facts[messages.TRANSPORT] = _TCP
                    state[_SLOT] = tcp_streams.acknowledge(
                        layers.streams, context, buffer, packet, state[_CLOCK]
                    )
                    state[_PHASE] = _OPPOSITE
                elif what == packets.SHORT:
                    reason = int64(messages.TRUNCATED)
                elif what == packets.WRONG and reason == 0:
                    reason = int64(messages.PACKET)
                elif what == packets.UNKNOWN_LINK:
                    _count_link(layers.links, packet[pcap_state.LINK])
        if state[_PHASE] != _FRESH:
            done = False
            if state[_PHASE] == _RECEIVE:
                if state[_WHOLE] != 0:
                    source = layers.packet
                origin = base + at + packet[packets.BEGIN]
                if state[_WHOLE] == 0:
                    origin = base + packet[packets.BEGIN]
                state[_SLOT] = tcp_streams.receive(
                    layers.streams, context, buffer, source, packet, origin, state[_CLOCK]
                )
                state[_PHASE] = _OWN
            size: Int = int64(-1)
            if state[_SLOT] >= 0:
                size = tcp_streams.take_message(
                    layers.streams, state[_SLOT], layers.message, layers.origin
                )
            if size >= 0:
                state[_FOUND] += 1
                source = layers.message
                there = False
                begin = int64(0)
                end = size
                if state[_PHASE] == _OPPOSITE:
                    turned = int64(1)
                use = _describe(context, buffer, source, (begin, end), packet, turned)
                facts[messages.OFFSET] = layers.origin[0]
            elif state[_PHASE] == _OPPOSITE:
                state[_PHASE] = _RECEIVE
                continue
            else:
                if state[_SLOT] >= 0:
                    tcp_streams.end_segment(layers.streams, state[_SLOT], packet)
                facts[messages.OFFSET] = base + at
                if layers.streams.state[0] != 0:
                    _lost(
                        context, counts, quarantine, layers.streams.state[0],
                        int64(messages.STREAM),
                    )  # fmt: skip
                    layers.streams.state[0] = 0
                state[_PHASE] = _FRESH
                done = True
                source = buffer
                there = True
                begin = at
                end = packet[pcap_state.NEXT]
                use = int64(messages.USE_NOTHING)
                if packet[packets.CUT] != 0:
                    reason = int64(messages.TRUNCATED)
                elif state[_FOUND] != 0:
                    at = end
                    continue
        reason = messages.take(
            context, tables, counts, memory, events, records, source, begin, end, reason, use
        )
        state[messages.RECORDS_READ] += 1
        sound = (reason == 0) | (reason == messages.CLOCK_FAULT)
        sound = sound & (use == messages.USE_QUERY)
        if not done:
            tcp_streams.settle(layers.streams, state[_SLOT], sound)
        if sound and facts[messages.RESPONSE] != 0:
            _answered(layers, context, buffer, turned)
        if reason != 0:
            # The bytes of a message that came in pieces are gone when the batch is made.
            if not there:
                begin = at
                end = packet[pcap_state.NEXT]
            if reason == messages.CLOCK_FAULT:
                messages.keep_fault(context, quarantine, begin, end)
            else:
                messages.keep(quarantine, facts[messages.OFFSET], reason, begin, end)
        if done:
            at = packet[pcap_state.NEXT]

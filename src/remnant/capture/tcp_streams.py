"""DNS over TCP: the segments of each direction of a connection become messages again.

A message is its length in two bytes and that many bytes. A stream is followed from its SYN on; one
whose beginning the capture lacks, from the first segment that begins like a message of its
direction. Bytes that the capture lost are waited for until the receiver acknowledges more, three
seconds pass or too much is waiting; then the stream goes on at the next segment that begins like a
message.

References:
    RFC 9293 (TCP), RFC 7766 (DNS over TCP), RFC 1035 section 4.2.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant import wire
from remnant.capture import packets, pieces
from remnant.wire import inlined, kernel, u16

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.messages import Context
    from remnant.capture.pieces import Pieces
    from remnant.wire import Bytes, Int

__all__ = [
    "MESSAGE_BYTES",
    "Streams",
    "acknowledge",
    "end_segment",
    "find",
    "new_streams",
    "receive",
    "settle",
    "take_message",
]

MESSAGE_BYTES: Final = 1 << 16
"""Room for the longest message."""

_WAYS: Final = 4

# ``Streams.status``.
_NONE: Final = 0
_SEARCHING: Final = 1
"""What comes before ``following`` is old; a message may begin after it."""
_GUESSED: Final = 2
"""A message begins at ``following``, by the looks of it."""
_SURE: Final = 3

_FIN: Final = 1
_SYN: Final = 2
_RST: Final = 4
_ACK: Final = 16

_WINDOW: Final = 1 << 18
"""Bytes that a segment may be ahead of what is read, or behind."""
_MAX_PAGES: Final = 256
"""Pages of one stream."""
_PATIENCE_US: Final = 3_000_000
"""How long lost bytes are waited for."""
_IDLE_US: Final = 120_000_000
"""After this silence a SYN begins another connection whatever its number."""
_HEADER: Final = 12
_LOOK: Final = 512
"""Bytes that must tell whether a message begins."""


class Streams(NamedTuple):
    """Directions of connections in sets of four places; where a set is full the oldest goes.

    Attributes:
        seeds: uint64[2]: random, for the two hashes of a direction.
        state: int64[1]: streams given up, or messages of theirs, since it was last set to 0.
        key: uint64[n].
        check: uint64[n].
        heard: int64[n]: when it was heard last, UTC microseconds.
        status: uint8[n].
        following: int64[n]: number of the next byte to be read; counted on beyond 32 bits.
        finish: int64[n]: number after the last byte, as FIN says; -1 if not known.
        hole: int64[n]: since when bytes are missing before others that are there; -1 if none are.
        pieces: what waits to be read.
        scratch: uint8[512].
    """

    seeds: npt.NDArray[np.uint64]
    state: npt.NDArray[np.int64]
    key: npt.NDArray[np.uint64]
    check: npt.NDArray[np.uint64]
    heard: npt.NDArray[np.int64]
    status: Bytes
    following: npt.NDArray[np.int64]
    finish: npt.NDArray[np.int64]
    hole: npt.NDArray[np.int64]
    pieces: Pieces
    scratch: Bytes


def new_streams(seeds: tuple[int, int], *, size: int = 1 << 16, pages: int = 1 << 14) -> Streams:
    """Return a table without streams.

    Args:
        seeds: two times 64 random bits.
        size: directions that are followed at once, a power of two of at least 4.
        pages: pages for bytes that wait; more than 400.
    """
    return Streams(
        np.array(seeds, np.uint64),
        np.zeros(1, np.int64),
        np.zeros(size, np.uint64),
        np.zeros(size, np.uint64),
        np.zeros(size, np.int64),
        np.zeros(size, np.uint8),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        pieces.new_pieces(size, pages),
        np.zeros(_LOOK, np.uint8),
    )


@inlined
def _ports(packet: npt.NDArray[np.int64], turned: Int) -> Int:
    first = packet[packets.FROM_PORT] if turned == 0 else packet[packets.TO_PORT]
    second = packet[packets.TO_PORT] if turned == 0 else packet[packets.FROM_PORT]
    return (first << 16) | second | (packet[packets.VERSION] << 32)


@kernel
def find(
    streams: Streams, buffer: Bytes, packet: npt.NDArray[np.int64], turned: Int, new: bool
) -> Int:
    """Return the place of a packet's direction, or of the opposite one; -1 if it has none.

    Args:
        streams: the table.
        buffer: holds the packet.
        packet: what is known of it.
        turned: 1 for the opposite direction.
        new: whether a place is made for one that has none.
    """
    ports = _ports(packet, turned)
    key = packets.flow_hash(streams.seeds[0], buffer, packet, turned, ports)
    check = packets.flow_hash(streams.seeds[1], buffer, packet, turned, ports)
    sets = uint64(streams.key.size // _WAYS - 1)
    first = int64((key >> uint64(20)) & sets) * _WAYS
    chosen: Int = first
    for place in range(first, first + _WAYS):
        if streams.status[place] == _NONE:
            chosen = place
            break
        if streams.key[place] == key and streams.check[place] == check:
            return place
        if streams.heard[place] < streams.heard[chosen]:
            chosen = place
    if not new:
        return int64(-1)
    if streams.status[chosen] != _NONE:
        _abandon(streams, chosen)
    streams.key[chosen] = key
    streams.check[chosen] = check
    streams.status[chosen] = _NONE
    streams.hole[chosen] = -1
    streams.finish[chosen] = -1
    return chosen


@kernel
def _abandon(streams: Streams, place: Int) -> None:
    """Let go of what waits; a message that was begun counts as lost."""
    if streams.pieces.heads[place] >= 0:
        streams.state[0] += 1
        pieces.release(streams.pieces, place)
    streams.hole[place] = -1


@kernel
def _may_open(context: Context, source: Bytes, begin: Int, end: Int, response: Int) -> Int:
    """Return whether a message with its length may begin here.

    Args:
        context: scratch.
        source: holds the bytes.
        begin: where they begin.
        end: where the bytes that are known end.
        response: 1 if only a response may come, 0 if only a query, -1 if either.
    """
    known = end - begin
    if known < 2:
        return False
    size = u16(source, begin)
    if size < _HEADER or known == 2:
        return size >= _HEADER
    start = begin + 2
    if known < 2 + _HEADER:
        return False
    stop = min(end, start + size)
    flags = u16(source, start + 2)
    if response >= 0 and flags >> 15 != response:
        return False
    # One question, and the bit that must be zero.
    if u16(source, start + 4) != 1 or flags & 0x0040 != 0:
        return False
    why = wire.question(source, start, stop, context.name, context.starts, context.question)
    return bool(why == 0)


@inlined
def _response(packet: npt.NDArray[np.int64], turned: Int) -> Int:
    """Return which messages a direction can hold: 0 queries, 1 responses, -1 either."""
    first = packet[packets.FROM_PORT] if turned == 0 else packet[packets.TO_PORT]
    second = packet[packets.TO_PORT] if turned == 0 else packet[packets.FROM_PORT]
    if first == packets.DNS_PORT:
        return int64(-1 if second == packets.DNS_PORT else 1)
    return int64(0)


@kernel
def _skip_hole(streams: Streams, context: Context, place: Int, response: Int) -> None:
    """Give up the bytes that are missing; go on at the next piece that begins like a message."""
    pool = streams.pieces
    streams.state[0] += 1
    streams.hole[place] = -1
    gap = streams.following[place] + pieces.contiguous(pool, place, streams.following[place])
    pieces.drop_before(pool, place, gap)
    while pool.heads[place] >= 0:
        page = int64(pool.heads[place])
        at = pool.start[page]
        streams.following[place] = at
        if pool.opens[page] != 0:
            known = min(pieces.contiguous(pool, place, at), int64(_LOOK))
            pieces.copy_out(pool, place, at, known, streams.scratch)
            if _may_open(context, streams.scratch, int64(0), known, response):
                streams.status[place] = _GUESSED
                return
        streams.following[place] = at + pool.size[page]
        pieces.drop_before(pool, place, streams.following[place])
    streams.status[place] = _SEARCHING


@kernel
def _look_for_hole(streams: Streams, place: Int, now: Int) -> bool:
    """Note whether bytes are missing before others; return whether they are."""
    head = int64(streams.pieces.heads[place])
    if head < 0:
        streams.hole[place] = -1
        return False
    at = streams.following[place]
    gap = at + pieces.contiguous(streams.pieces, place, at)
    page = head
    while page >= 0 and streams.pieces.start[page] < gap:
        page = int64(streams.pieces.following[page])
    if page < 0:
        streams.hole[place] = -1
        return False
    if streams.hole[place] < 0:
        streams.hole[place] = now
    return True


@kernel
def acknowledge(
    streams: Streams, context: Context, buffer: Bytes, packet: npt.NDArray[np.int64], now: Int
) -> Int:
    """Read what a segment says of the opposite direction.

    What the receiver has and the capture has not is lost.

    Returns:
        The place of the opposite direction if messages of it may be whole now, else -1.
    """
    if packet[packets.FLAGS] & _ACK == 0:
        return int64(-1)
    place = find(streams, buffer, packet, int64(1), False)
    if place < 0 or streams.pieces.heads[place] < 0 or not _look_for_hole(streams, place, now):
        return int64(-1)
    at = streams.following[place]
    ahead = ((packet[packets.ACKNOWLEDGED] - at + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
    gap = pieces.contiguous(streams.pieces, place, at)
    if ahead <= gap:
        return int64(-1)
    _skip_hole(streams, context, place, _response(packet, int64(1)))
    return place


@kernel
def _synchronise(streams: Streams, place: Int, at: Int, now: Int) -> None:
    """Begin a connection, unless its SYN was seen or is late."""
    if streams.status[place] >= _SEARCHING and now - streams.heard[place] < _IDLE_US:
        back = ((streams.following[place] - at + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        if 0 <= back < _WINDOW and streams.finish[place] < 0:
            return
    _abandon(streams, place)
    streams.status[place] = _SURE
    streams.following[place] = at
    streams.finish[place] = -1


@kernel
def receive(
    streams: Streams,
    context: Context,
    buffer: Bytes,
    source: Bytes,
    packet: npt.NDArray[np.int64],
    origin: Int,
    now: Int,
) -> Int:
    """Take one segment; its messages are then read with ``take_message``.

    Args:
        streams: the table.
        context: scratch.
        buffer: holds the packet.
        source: holds its payload.
        packet: what is known of it.
        origin: where the payload's first byte stands in the source.
        now: time of the segment, or of one before, UTC microseconds.

    Returns:
        The place of its stream, or -1 if it has none.
    """
    flags = packet[packets.FLAGS]
    response = _response(packet, int64(0))
    begin = packet[packets.BEGIN]
    end = max(packet[packets.END], begin)
    whole = packet[packets.WHOLE] - begin
    number = packet[packets.SEQUENCE]
    if flags & _SYN != 0:
        place = find(streams, buffer, packet, int64(0), True)
        number = (number + 1) & 0xFFFFFFFF
        _synchronise(streams, place, number, now)
    else:
        place = find(streams, buffer, packet, int64(0), False)
        if place < 0:
            if flags & _RST != 0 or not _may_open(context, source, begin, end, response):
                return int64(-1)
            place = find(streams, buffer, packet, int64(0), True)
            streams.status[place] = _GUESSED
            streams.following[place] = number
    streams.heard[place] = now
    following = streams.following[place]
    ahead = ((number - following + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
    at = following + ahead
    if flags & _RST != 0:
        if 0 <= ahead < _WINDOW:
            if _look_for_hole(streams, place, now):
                _skip_hole(streams, context, place, response)
            streams.finish[place] = streams.following[place]
        return place
    if ahead >= _WINDOW or ahead <= -_WINDOW:
        # Another connection between the same ports, or far too much is missing.
        _abandon(streams, place)
        streams.status[place] = _SEARCHING
        streams.finish[place] = -1
        following = at
        streams.following[place] = at
    if streams.status[place] == _SEARCHING:
        if whole <= 0 or at < following:
            return place
        if not _may_open(context, source, begin, end, response):
            streams.following[place] = at + whole
            return place
        streams.status[place] = _GUESSED
        streams.finish[place] = -1
        following = at
        streams.following[place] = at
    if flags & _FIN != 0:
        streams.finish[place] = at + whole
    if at < following:
        begin = min(begin + following - at, end)
        origin += following - at
        at = following
    if begin < end:
        _store(streams, context, place, at, source, begin, end, origin, response)
    if _look_for_hole(streams, place, now) and now - streams.hole[place] > _PATIENCE_US:
        _skip_hole(streams, context, place, response)
    return place


@kernel
def _store(
    streams: Streams,
    context: Context,
    place: Int,
    at: Int,
    source: Bytes,
    begin: Int,
    end: Int,
    origin: Int,
    response: Int,
) -> None:
    """Keep the bytes of a segment, whoever must go for it."""
    pool = streams.pieces
    need = pieces.needed(pool, place, end - begin)
    if pool.counts[place] + (end - begin) // pieces.PAGE + 2 > _MAX_PAGES:
        if _look_for_hole(streams, place, streams.heard[place]):
            _skip_hole(streams, context, place, response)
        if at < streams.following[place]:
            return
        if pool.counts[place] + (end - begin) // pieces.PAGE + 2 > _MAX_PAGES:
            _abandon(streams, place)
            streams.status[place] = _SEARCHING
            streams.following[place] = at + end - begin
            return
    while pool.state[0] < need:
        victim = pieces.longest_silent(pool, streams.heard, place)
        if victim < 0:
            return
        _abandon(streams, victim)
        streams.status[victim] = _SEARCHING
    pieces.insert(pool, place, at, source, begin, end, origin)


@kernel
def take_message(streams: Streams, place: Int, out: Bytes, origin: npt.NDArray[np.int64]) -> Int:
    """Read the next message of a stream.

    Args:
        streams: the table.
        place: of the stream.
        out: uint8[MESSAGE_BYTES], filled with the message.
        origin: int64[1], filled with where its last byte stands in the source.

    Returns:
        Its size, or -1 if none is whole.
    """
    pool = streams.pieces
    if pool.heads[place] < 0 or streams.status[place] < _GUESSED:
        return int64(-1)
    at = streams.following[place]
    known = pieces.contiguous(pool, place, at)
    if known < 2:
        return int64(-1)
    pieces.copy_out(pool, place, at, int64(2), out)
    size = u16(out, 0)
    if known < size + 2:
        return int64(-1)
    # For a message of no bytes, the place of its length.
    origin[0] = pieces.copy_out(pool, place, at, int64(2), out)
    if size > 0:
        origin[0] = pieces.copy_out(pool, place, at + 2, size, out)
    streams.following[place] = at + 2 + size
    pieces.drop_before(pool, place, at + 2 + size)
    return size


@kernel
def settle(streams: Streams, place: Int, readable: bool) -> None:
    """Note that a message of a stream could be read, or not.

    Where the stream's beginning was guessed, one that could not be read shows the guess was wrong.
    """
    if streams.status[place] == _GUESSED:
        if readable:
            streams.status[place] = _SURE
        else:
            pieces.release(streams.pieces, place)
            streams.hole[place] = -1
            streams.status[place] = _SEARCHING


@kernel
def end_segment(streams: Streams, place: Int, packet: npt.NDArray[np.int64]) -> None:
    """Finish a segment when no more messages of its stream are whole."""
    if packet[packets.CUT] != 0:
        # What the capture cut off never comes; the segment itself is counted as cut.
        following = streams.following[place]
        begin = packet[packets.BEGIN]
        whole = packet[packets.WHOLE] - begin
        number = packet[packets.SEQUENCE] + (1 if packet[packets.FLAGS] & _SYN != 0 else 0)
        ahead = ((number - following + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        pieces.release(streams.pieces, place)
        streams.hole[place] = -1
        streams.status[place] = _SEARCHING
        streams.following[place] = following + max(ahead + whole, int64(0))
    elif streams.finish[place] >= 0:
        head = int64(streams.pieces.heads[place])
        at = streams.following[place]
        known = pieces.contiguous(streams.pieces, place, at) if head >= 0 else int64(0)
        if at + known >= streams.finish[place]:
            # The sender has ended: a message that was begun is not finished any more.
            _abandon(streams, place)
            streams.status[place] = _SEARCHING
            streams.following[place] = at + known

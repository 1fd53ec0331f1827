"""IP fragments become whole packets again, within bounds.

Fragments that overlap are what attacks look like: the packet they belong to is dropped. The same
fragment twice is a copy. One packet waits 30 s for its last fragment.

References:
    RFC 815 (reassembly), RFC 5722 (overlapping fragments), RFC 8200 section 4.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.capture import packets, pieces
from remnant.wire import kernel, u16

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.pieces import Pieces
    from remnant.wire import Bytes, Int

__all__ = ["DNS", "PACKET_BYTES", "Fragments", "add_fragment", "new_fragments"]

PACKET_BYTES: Final = 1 << 16
"""Room for the longest packet."""

_WAYS: Final = 4
_WAIT_US: Final = 30_000_000
_MAX_FRAGMENTS: Final = 512

# ``Fragments.status``.
_NONE: Final = 0
_OPEN: Final = 1
DNS: Final = 2
"""Open, and its first fragment shows the port of DNS."""
_DEAD: Final = 3
"""What else comes of it is skipped."""


class Fragments(NamedTuple):
    """Packets of which fragments were seen, in sets of four places; the oldest goes.

    Attributes:
        seeds: uint64[2]: random, for the two hashes of a packet.
        state: int64[1]: DNS packets given up since it was last set to 0.
        key: uint64[n].
        check: uint64[n].
        heard: int64[n]: when its first fragment to come was heard, UTC microseconds.
        status: uint8[n].
        size: int64[n]: bytes of the whole packet, -1 if not known yet.
        pieces: the fragments.
    """

    seeds: npt.NDArray[np.uint64]
    state: npt.NDArray[np.int64]
    key: npt.NDArray[np.uint64]
    check: npt.NDArray[np.uint64]
    heard: npt.NDArray[np.int64]
    status: Bytes
    size: npt.NDArray[np.int64]
    pieces: Pieces


def new_fragments(
    seeds: tuple[int, int], *, size: int = 1 << 13, pages: int = 1 << 13
) -> Fragments:
    """Return a table without fragments.

    Args:
        seeds: two times 64 random bits.
        size: packets that may wait at once, a power of two of at least 4.
        pages: pages for fragments that wait; more than 600.
    """
    return Fragments(
        np.array(seeds, np.uint64),
        np.zeros(1, np.int64),
        np.zeros(size, np.uint64),
        np.zeros(size, np.uint64),
        np.zeros(size, np.int64),
        np.zeros(size, np.uint8),
        np.zeros(size, np.int64),
        pieces.new_pieces(size, pages),
    )


@kernel
def _give_up(fragments: Fragments, place: Int, status: Int) -> None:
    if fragments.status[place] == DNS:
        fragments.state[0] += 1
    pieces.release(fragments.pieces, place)
    fragments.status[place] = status


@kernel
def _place(fragments: Fragments, buffer: Bytes, packet: npt.NDArray[np.int64], now: Int) -> Int:
    """Return the place of a fragment's packet, a new one if it has none that is young enough."""
    number = (
        (packet[packets.FRAGMENT_ID] << 16)
        | (packet[packets.PROTOCOL] << 8)
        | packet[packets.VERSION]
    )
    turned = int64(0)
    key = packets.flow_hash(fragments.seeds[0], buffer, packet, turned, number)
    check = packets.flow_hash(fragments.seeds[1], buffer, packet, turned, number)
    sets = uint64(fragments.key.size // _WAYS - 1)
    first = int64((key >> uint64(20)) & sets) * _WAYS
    chosen: Int = first
    for place in range(first, first + _WAYS):
        if fragments.status[place] == _NONE:
            chosen = place
            break
        if fragments.key[place] == key and fragments.check[place] == check:
            if abs(now - fragments.heard[place]) <= _WAIT_US:
                return place
            chosen = place
            break
        if fragments.heard[place] < fragments.heard[chosen]:
            chosen = place
    _give_up(fragments, chosen, int64(_OPEN))
    fragments.key[chosen] = key
    fragments.check[chosen] = check
    fragments.heard[chosen] = now
    fragments.size[chosen] = -1
    return chosen


@kernel
def _fits(fragments: Fragments, place: Int, at: Int, size: Int, last: bool) -> Int:
    """Return whether a fragment agrees with what is known of its packet's size; note the size."""
    end = at + size
    known = fragments.size[place]
    if end > PACKET_BYTES - 1 or (known >= 0 and (end > known or (last and end != known))):
        return False
    if not last:
        return size % 8 == 0 and size > 0
    page = int64(fragments.pieces.heads[place])
    while page >= 0:
        if fragments.pieces.start[page] + fragments.pieces.size[page] > end:
            return False
        page = int64(fragments.pieces.following[page])
    fragments.size[place] = end
    return True


@kernel
def add_fragment(
    fragments: Fragments,
    buffer: Bytes,
    packet: npt.NDArray[np.int64],
    now: Int,
    out: Bytes,
) -> Int:
    """Take one fragment.

    Args:
        fragments: the table.
        buffer: holds the packet.
        packet: what is known of it; where it completes its packet, BEGIN, END and WHOLE become
            those of the payload in ``out``.
        now: time of the fragment, or of one before, UTC microseconds.
        out: uint8[PACKET_BYTES], filled with the payload if it is whole.

    Returns:
        DATAGRAM if the packet is whole, NOTHING if it is not, SHORT if the capture cut a fragment
        of DNS, WRONG if the fragment contradicts others.
    """
    pool = fragments.pieces
    begin = packet[packets.BEGIN]
    end = packet[packets.END]
    at = packet[packets.FRAGMENT_OFFSET]
    last = packet[packets.FRAGMENT_LAST] != 0
    place = _place(fragments, buffer, packet, now)
    if fragments.status[place] == _DEAD:
        return int64(packets.NOTHING)
    if at == 0 and end - begin >= 4:
        from_port = u16(buffer, begin)
        to_port = u16(buffer, begin + 2)
        if from_port != packets.DNS_PORT and to_port != packets.DNS_PORT:  # noqa: PLR1714
            _give_up(fragments, place, int64(_DEAD))
            return int64(packets.NOTHING)
        if fragments.status[place] == _OPEN:
            fragments.status[place] = DNS
    if end < packet[packets.WHOLE]:
        is_dns = fragments.status[place] == DNS
        # It is counted here, so it is not given up as well.
        fragments.status[place] = _OPEN if is_dns else fragments.status[place]
        _give_up(fragments, place, int64(_DEAD))
        return int64(packets.SHORT if is_dns else packets.NOTHING)
    if not _fits(fragments, place, at, end - begin, last):
        fragments.status[place] = _OPEN
        _give_up(fragments, place, int64(_DEAD))
        return int64(packets.WRONG)
    need = pieces.needed(pool, place, end - begin)
    if pool.counts[place] >= _MAX_FRAGMENTS:
        _give_up(fragments, place, int64(_DEAD))
        return int64(packets.NOTHING)
    while pool.state[0] < need:
        victim = pieces.longest_silent(pool, fragments.heard, place)
        if victim < 0:
            return int64(packets.NOTHING)
        _give_up(fragments, victim, int64(_DEAD))
    size = end - begin
    known = pieces.insert(pool, place, at, buffer, begin, end, int64(0))
    if 0 < known < size:
        fragments.status[place] = _OPEN
        _give_up(fragments, place, int64(_DEAD))
        return int64(packets.WRONG)
    whole = fragments.size[place]
    if whole < 0 or pieces.contiguous(pool, place, int64(0)) < whole:
        return int64(packets.NOTHING)
    pieces.copy_out(pool, place, int64(0), whole, out)
    fragments.status[place] = _OPEN
    _give_up(fragments, place, int64(_DEAD))
    # The next packet may have the same number at once.
    fragments.heard[place] = now - _WAIT_US - 1
    packet[packets.BEGIN] = 0
    packet[packets.END] = packet[packets.WHOLE] = whole
    return int64(packets.DATAGRAM)

"""What is inside a captured packet, as kernels: from the link layer to UDP and TCP.

Checksums are not verified: captures on the sending machine hold packets whose sums the network card
fills in later.

References:
    tcpdump.org/linktypes.html; IEEE 802.1Q; RFC 1661 and 2516 (PPP, PPPoE), RFC 3032 (MPLS),
    RFC 791 (IPv4), RFC 8200 (IPv6), RFC 768 (UDP), RFC 9293 (TCP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from numba import int64, uint64

from remnant.capture.pcap_state import LENGTH, LINK, START, STOP
from remnant.wire import inlined, kernel, u16

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remnant.wire import Bytes, Int, Word

__all__ = [
    "ACKNOWLEDGED",
    "BEGIN",
    "CUT",
    "DATAGRAM",
    "DNS_PORT",
    "END",
    "FIELDS",
    "FLAGS",
    "FRAGMENT",
    "FRAGMENT_ID",
    "FRAGMENT_LAST",
    "FRAGMENT_OFFSET",
    "FROM",
    "FROM_PORT",
    "LINK_NAMES",
    "NOTHING",
    "PROTOCOL",
    "SEGMENT",
    "SEQUENCE",
    "SHORT",
    "TCP",
    "TO",
    "TO_PORT",
    "UDP",
    "UNKNOWN_LINK",
    "VERSION",
    "WHOLE",
    "WRONG",
    "dissect",
    "flow_hash",
    "network",
    "transport",
]

# Places in the array that describes a packet, after those of ``pcap_state``.
VERSION: Final = 8
"""Of IP: 4 or 6."""
FROM: Final = 9
"""Where the source address stands in the buffer, and the destination's."""
TO: Final = 10
PROTOCOL: Final = 11
BEGIN: Final = 12
"""Where the payload begins, and where the part of it that is there ends (perhaps before)."""
END: Final = 13
WHOLE: Final = 14
"""Where the payload would end if all of it were there."""
FRAGMENT_ID: Final = 15
FRAGMENT_OFFSET: Final = 16
FRAGMENT_LAST: Final = 17
"""1 for the last fragment of a datagram."""
FROM_PORT: Final = 18
TO_PORT: Final = 19
SEQUENCE: Final = 20
ACKNOWLEDGED: Final = 21
FLAGS: Final = 22
"""Of TCP."""
CUT: Final = 23
"""1 if the capture does not hold all bytes of the payload."""
FIELDS: Final = 32

# What a packet turns out to be.
NOTHING: Final = 0
"""Nothing that is looked for: another protocol, other ports."""
DATAGRAM: Final = 1
"""UDP of port 53; the payload is a message."""
SEGMENT: Final = 2
"""TCP of port 53."""
FRAGMENT: Final = 3
"""Part of an IP packet with UDP or TCP inside."""
SHORT: Final = 4
"""The capture holds too little of it to tell."""
WRONG: Final = 5
"""Its headers contradict themselves."""
UNKNOWN_LINK: Final = 6

DNS_PORT: Final = 53
TCP: Final = 6
UDP: Final = 17
_FRAGMENT_HEADER: Final = 44
_AUTHENTICATION: Final = 51
_EXTENSIONS: Final = 16
"""Extension headers of one packet that are stepped over, and tags of one frame."""

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_PPPOE: Final = 0x8864
_MPLS: Final = 0x8847
_MULTIPLIER: Final = uint64(0xD6E8FEB86659FD93)
_ANY_IP: Final = 0
_NO_IP: Final = -1

LINK_NAMES: Final = {
    105: "IEEE 802.11",
    119: "Prism 802.11",
    127: "radiotap 802.11",
    147: "private use",
    189: "USB",
    192: "PPI",
    220: "USB",
    239: "NFLOG",
    249: "USBPcap",
}
"""Names of some link types that hold no packets readable here."""


@inlined
def _is_tag(kind: Int) -> bool:
    """Return whether an EtherType is that of a VLAN tag."""
    tagged: bool = (kind == 0x8100) | (kind == 0x88A8) | (kind == 0x9100) | (kind == 0x9200)
    return tagged


@kernel
def _ether_type(buffer: Bytes, at: Int, kind: Int, stop: Int) -> tuple[Int, Int]:
    """Return (EtherType of an IP packet, _ANY_IP or _NO_IP, where it begins).

    Args:
        buffer: holds the frame.
        at: where the bytes after the EtherType begin.
        kind: the EtherType.
        stop: where the frame ends.
    """
    for _ in range(_EXTENSIONS):
        if (kind == _IPV4) | (kind == _IPV6):
            return kind, at
        if _is_tag(kind) and at + 4 <= stop:
            kind = u16(buffer, at + 2)
            at += 4
        elif kind <= 1500 and at + 8 <= stop and u16(buffer, at) == 0xAAAA:
            kind = u16(buffer, at + 6)
            at += 8
        elif kind == _PPPOE and at + 8 <= stop:
            return _ppp(buffer, at + 6, stop)
        elif kind == _MPLS and at + 4 <= stop:
            if buffer[at + 2] & 1 != 0:
                return int64(_ANY_IP), at + 4
            at += 4
        else:
            break
    return int64(_NO_IP), at


@kernel
def _ppp(buffer: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """Return as ``_ether_type`` what a PPP frame holds."""
    if at + 2 <= stop and u16(buffer, at) == 0xFF03:
        at += 2
    if at < stop and buffer[at] & 1 != 0:
        # The protocol's first byte is zero and left out.
        kind = int64(buffer[at])
        at += 1
    elif at + 2 <= stop:
        kind = u16(buffer, at)
        at += 2
    else:
        return int64(_NO_IP), at
    if kind == 0x21:
        return int64(_IPV4), at
    return (int64(_IPV6), at) if kind == 0x57 else (int64(_NO_IP), at)


@kernel
def _link(buffer: Bytes, link: Int, start: Int, stop: Int) -> tuple[Int, Int]:
    """Return as ``_ether_type`` what a frame holds; (-2, ...) for a link type not known."""
    if link == 1 or link == 113 or link == 276 or link == 104:  # noqa: PLR1714 - builds a set
        # Where the bytes after the header begin, and where the EtherType stands.
        size = int64(14)
        at = int64(12)
        if link == 113:
            size = int64(16)
            at = int64(14)
        elif link == 276:
            size = int64(20)
            at = int64(0)
        elif link == 104:
            size = int64(4)
            at = int64(2)
        if start + size > stop:
            return int64(_NO_IP), stop
        return _ether_type(buffer, start + size, u16(buffer, start + at), stop)
    if link == 101 or link == 12 or link == 14:  # noqa: PLR1714
        return int64(_ANY_IP), start
    if link == 0 or link == 108:  # noqa: PLR1714
        # The address family is the sending system's; the packet itself says the version.
        return int64(_ANY_IP), start + 4
    if link == 228:
        return int64(_IPV4), start
    if link == 229:
        return int64(_IPV6), start
    if link == 9 or link == 50:  # noqa: PLR1714
        return _ppp(buffer, start, stop)
    if link == 51:
        return _ppp(buffer, start + 6, stop)
    return int64(-2), start


@kernel
def _ipv4(buffer: Bytes, at: Int, stop: Int, packet: npt.NDArray[np.int64]) -> Int:
    if at + 20 > stop:
        return int64(SHORT)
    size = int64(buffer[at] & 15) * 4
    total = u16(buffer, at + 2)
    # Segments that a network card cuts later say 0.
    whole = at + total if total > 0 else at + packet[LENGTH] - (at - packet[START])
    if size < 20 or at + size > whole:
        return int64(WRONG)
    if at + size > stop:
        return int64(SHORT)
    packet[VERSION] = 4
    packet[FROM] = at + 12
    packet[TO] = at + 16
    packet[PROTOCOL] = buffer[at + 9]
    packet[BEGIN] = at + size
    packet[WHOLE] = whole
    packet[END] = min(whole, stop)
    fragment = u16(buffer, at + 6)
    if packet[PROTOCOL] != UDP and packet[PROTOCOL] != TCP:
        return int64(NOTHING)
    if fragment & 0x3FFF == 0:
        return int64(DATAGRAM)
    packet[FRAGMENT_ID] = u16(buffer, at + 4)
    packet[FRAGMENT_OFFSET] = (fragment & 0x1FFF) * 8
    packet[FRAGMENT_LAST] = 1 if fragment & 0x2000 == 0 else 0
    return int64(FRAGMENT)


@kernel
def _ipv6(buffer: Bytes, at: Int, stop: Int, packet: npt.NDArray[np.int64]) -> Int:
    if at + 40 > stop:
        return int64(SHORT)
    size = u16(buffer, at + 4)
    packet[VERSION] = 6
    packet[FROM] = at + 8
    packet[TO] = at + 24
    whole = at + 40 + size if size > 0 else at + packet[LENGTH] - (at - packet[START])
    packet[WHOLE] = whole
    packet[END] = min(whole, stop)
    kind = int64(buffer[at + 6])
    at += 40
    for _ in range(_EXTENSIONS):
        packet[PROTOCOL] = kind
        packet[BEGIN] = at
        if (kind == UDP) | (kind == TCP):
            return int64(DATAGRAM)
        extension = (kind == 0) | (kind == 43) | (kind == 60) | (kind == 135) | (kind == 139)
        if not extension and kind != _AUTHENTICATION and kind != _FRAGMENT_HEADER:  # noqa: PLR1714
            return int64(NOTHING)
        if at + 8 > packet[END]:
            return int64(WRONG if at + 8 > whole else SHORT)
        following = int64(buffer[at])
        if kind == _FRAGMENT_HEADER:
            place = u16(buffer, at + 2)
            if place & 0xFFF9 != 0:
                packet[PROTOCOL] = following
                packet[BEGIN] = at + 8
                packet[FRAGMENT_ID] = (u16(buffer, at + 4) << 16) | u16(buffer, at + 6)
                packet[FRAGMENT_OFFSET] = place & 0xFFF8
                packet[FRAGMENT_LAST] = 1 if place & 1 == 0 else 0
                if (following == UDP) | (following == TCP):
                    return int64(FRAGMENT)
                return int64(NOTHING)
            at += 8
        elif kind == _AUTHENTICATION:
            at += (int64(buffer[at + 1]) + 2) * 4
        else:
            at += (int64(buffer[at + 1]) + 1) * 8
        if at > packet[END]:
            return int64(WRONG if at > whole else SHORT)
        kind = following
    return int64(NOTHING)


@kernel
def network(buffer: Bytes, packet: npt.NDArray[np.int64]) -> Int:
    """Read the link and network layers.

    Args:
        buffer: holds the packet.
        packet: START, STOP, LINK and LENGTH are given; the places from VERSION to FRAGMENT_LAST are
            filled as far as they are known.

    Returns:
        DATAGRAM (UDP or TCP in one piece), FRAGMENT, NOTHING, SHORT, WRONG or UNKNOWN_LINK.
    """
    stop = packet[STOP]
    kind, at = _link(buffer, packet[LINK], packet[START], stop)
    if kind == -2:
        return int64(UNKNOWN_LINK)
    if kind == _NO_IP:
        return int64(NOTHING)
    if at >= stop:
        return int64(SHORT if packet[LENGTH] > stop - packet[START] else NOTHING)
    version = int64(buffer[at]) >> 4
    if version == 4 and kind != _IPV6:
        found = _ipv4(buffer, at, stop, packet)
    elif version == 6 and kind != _IPV4:
        found = _ipv6(buffer, at, stop, packet)
    else:
        return int64(NOTHING if kind == _ANY_IP else WRONG)
    if found == SHORT and packet[LENGTH] <= stop - packet[START]:
        return int64(WRONG)
    return found


@kernel
def transport(source: Bytes, packet: npt.NDArray[np.int64]) -> Int:
    """Read the header of UDP or TCP; fill ports, and where the payload is.

    Args:
        source: holds the payload of the network layer between BEGIN and END.
        packet: as ``network`` left it.

    Returns:
        DATAGRAM, SEGMENT, NOTHING, SHORT or WRONG.
    """
    begin = packet[BEGIN]
    end = packet[END]
    if begin + 4 > end:
        return int64(WRONG if begin + 4 > packet[WHOLE] else SHORT)
    packet[FROM_PORT] = u16(source, begin)
    packet[TO_PORT] = u16(source, begin + 2)
    if packet[FROM_PORT] != DNS_PORT and packet[TO_PORT] != DNS_PORT:
        return int64(NOTHING)
    if packet[PROTOCOL] == UDP:
        if begin + 8 > end:
            return int64(WRONG if begin + 8 > packet[WHOLE] else SHORT)
        size = u16(source, begin + 4)
        packet[BEGIN] = begin + 8
        if size > 0:
            if size < 8:
                return int64(WRONG)
            packet[WHOLE] = begin + size
            packet[END] = min(end, begin + size)
        packet[CUT] = 1 if packet[END] < packet[WHOLE] else 0
        return int64(DATAGRAM)
    if begin + 20 > end:
        return int64(WRONG if begin + 20 > packet[WHOLE] else SHORT)
    size = int64(source[begin + 12] >> 4) * 4
    if size < 20 or begin + size > packet[WHOLE]:
        return int64(WRONG)
    packet[SEQUENCE] = (u16(source, begin + 4) << 16) | u16(source, begin + 6)
    packet[ACKNOWLEDGED] = (u16(source, begin + 8) << 16) | u16(source, begin + 10)
    packet[FLAGS] = source[begin + 13]
    packet[BEGIN] = begin + size
    packet[CUT] = 1 if end < packet[WHOLE] else 0
    return int64(SEGMENT)


@inlined
def dissect(buffer: Bytes, packet: npt.NDArray[np.int64]) -> Int:
    """Return what a packet is; fill all that is known of it."""
    found = network(buffer, packet)
    if found == DATAGRAM:
        found = transport(buffer, packet)
    return found


@kernel
def flow_hash(
    seed: Word, buffer: Bytes, packet: npt.NDArray[np.int64], turned: Int, number: Int
) -> Word:
    """Return the keyed hash of a packet's addresses and a number.

    Args:
        seed: the key.
        buffer: holds the packet.
        packet: what is known of it.
        turned: 1 to take the addresses in the other order.
        number: ports and the like.
    """
    shift = uint64(29)
    state = (seed ^ uint64(number)) * _MULTIPLIER
    state ^= state >> shift
    size = int64(4 if packet[VERSION] == 4 else 16)
    for side in range(2):
        start = packet[FROM] if side == turned else packet[TO]
        for part in range(0, size, 4):
            word = (u16(buffer, start + part) << 16) | u16(buffer, start + part + 2)
            state = (state ^ uint64(word)) * _MULTIPLIER
            state ^= state >> shift
    return state ^ (state >> uint64(32))

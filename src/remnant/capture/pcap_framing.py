"""The files that packets are kept in, as kernels: pcap and pcapng, record by record.

A pcap file is a header of 24 bytes and packets, each with its own; a pcapng file is a chain of
blocks. Files may stand end to end, also of both kinds. After damage the next record is found by its
shape: a header that can be right, followed by another one.

References:
    draft-ietf-opsawg-pcap; draft-ietf-opsawg-pcapng; tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.capture import messages
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int, Word

__all__ = [
    "BAD",
    "DAMAGED",
    "DROPPED",
    "LENGTH",
    "LINK",
    "MORE",
    "NEXT",
    "OTHER",
    "PACKET",
    "START",
    "STOP",
    "TIME",
    "Capture",
    "add_drops",
    "is_capture",
    "new_capture",
    "next_record",
    "resume",
]

# What ``next_record`` finds.
PACKET: Final = 0
OTHER: Final = 1
"""A file header, or a block that holds no packet."""
MORE: Final = 2
BAD: Final = 3
"""The length cannot be right: what follows must be searched for."""
DAMAGED: Final = 4
"""A block whose length is right and whose packet is not."""

# Places in the array that describes a packet; ``packets`` adds its own after these.
START: Final = 0
"""Where the captured bytes begin in the buffer, and where they stop."""
STOP: Final = 1
NEXT: Final = 2
"""Where the next record begins."""
TIME: Final = 3
"""UTC microseconds; -1 if there is none, or none that can be right."""
LINK: Final = 4
"""Link type (LINKTYPE number)."""
LENGTH: Final = 5
"""Bytes that the packet had on the wire."""

# Places in ``Capture.state``.
_FORMAT: Final = 0
_BIG: Final = 1
_UNIT: Final = 2
_HEADER: Final = 3
_LINK: Final = 4
_INTERFACES: Final = 5
DROPPED: Final = 6
"""Packets that the capture says it lost, in the sections that have ended."""

_CLASSIC: Final = 1
_BLOCKS: Final = 2

_MAX_INTERFACES: Final = 4096
_MAX_PACKET: Final = 1 << 18
"""Captured bytes of the longest packet: the largest snapshot length that capture programs use."""
_MAX_LENGTH: Final = 1 << 24
_MAX_BLOCK: Final = 16 << 20

# Columns of ``Capture.interfaces``.
_I_LINK: Final = 0
_I_RESOLUTION: Final = 1
_I_OFFSET: Final = 2
_I_SNAPLEN: Final = 3
_I_DROPS: Final = 4

_SECTION: Final = 0x0A0D0D0A
_BYTE_ORDER: Final = 0x1A2B3C4D
_INTERFACE: Final = 1
_OLD_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_STATISTICS: Final = 5
_ENHANCED_PACKET: Final = 6
_PACKET_HEADER: Final = 28
"""Bytes of an enhanced packet block before the packet."""
_MICROSECONDS: Final = 6
_BINARY: Final = 0x80
_MAX_SECONDS: Final = 1 << 40


class Capture(NamedTuple):
    """What a capture file has said so far.

    Attributes:
        state: int64[16]: see the places above.
        interfaces: int64[4096, 5]: of the section: link type, time resolution and offset (seconds),
            snapshot length, packets that were dropped.
    """

    state: npt.NDArray[np.int64]
    interfaces: npt.NDArray[np.int64]


def new_capture() -> Capture:
    """Return the state before the first byte."""
    return Capture(np.zeros(16, np.int64), np.zeros((_MAX_INTERFACES, 5), np.int64))


@inlined
def _u32(buffer: Bytes, at: Int, big: Int) -> Int:
    if big != 0:
        return (
            (int64(buffer[at]) << 24)
            | (int64(buffer[at + 1]) << 16)
            | (int64(buffer[at + 2]) << 8)
            | int64(buffer[at + 3])
        )
    return (
        (int64(buffer[at + 3]) << 24)
        | (int64(buffer[at + 2]) << 16)
        | (int64(buffer[at + 1]) << 8)
        | int64(buffer[at])
    )


@inlined
def _u16(buffer: Bytes, at: Int, big: Int) -> Int:
    if big != 0:
        return (int64(buffer[at]) << 8) | int64(buffer[at + 1])
    return (int64(buffer[at + 1]) << 8) | int64(buffer[at])


@kernel
def _file_header(state: npt.NDArray[np.int64], buffer: Bytes, at: Int) -> bool:
    """Note what the header of a pcap file says; return whether it is one."""
    for big in range(2):
        magic = _u32(buffer, at, int64(big))
        unit = int64(0)
        header = int64(16)
        if magic == 0xA1B2C3D4:
            unit = int64(1_000_000)
        elif magic == 0xA1B23C4D:
            unit = int64(1_000_000_000)
        elif magic == 0xA1B2CD34:
            unit = int64(1_000_000)
            header = int64(24)
        if unit == 0 or _u16(buffer, at + 4, int64(big)) != 2:
            continue
        state[_FORMAT] = _CLASSIC
        state[_BIG] = big
        state[_UNIT] = unit
        state[_HEADER] = header
        # The upper half says whether packets end with a frame check sequence.
        state[_LINK] = _u32(buffer, at + 20, int64(big)) & 0xFFFF
        return True
    return False


@inlined
def _may_open(magic: Int) -> Int:
    """Return whether these first bytes (big-endian) may be those of a file."""
    if magic >> 16 == 0xA1B2:
        low = magic & 0xFFFF
        return (low == 0xC3D4) | (low == 0x3C4D) | (low == 0xCD34)
    if magic & 0xFFFF == 0xB2A1:
        high = magic >> 16
        return (high == 0xD4C3) | (high == 0x4D3C) | (high == 0x34CD)
    return magic == _SECTION


@kernel
def add_drops(capture: Capture) -> None:
    """Add what the interfaces of the section lost to the sum of the file."""
    for i in range(capture.state[_INTERFACES]):
        capture.state[DROPPED] += capture.interfaces[i, _I_DROPS]
        capture.interfaces[i, _I_DROPS] = 0


@kernel
def _opening(
    capture: Capture, buffer: Bytes, at: Int, stop: Int, packet: npt.NDArray[np.int64]
) -> Int:
    """Read the beginning of a file or section; return OTHER, MORE, or BAD if there is none."""
    state = capture.state
    if _u32(buffer, at, int64(1)) != _SECTION:
        if stop - at < 24:
            return int64(MORE)
        if not _file_header(state, buffer, at):
            return int64(BAD)
        add_drops(capture)
        state[_INTERFACES] = 0
        packet[NEXT] = at + 24
        return int64(OTHER)
    if stop - at < 12:
        return int64(MORE)
    big = int64(1 if _u32(buffer, at + 8, int64(1)) == _BYTE_ORDER else 0)
    if _u32(buffer, at + 8, big) != _BYTE_ORDER:
        return int64(BAD)
    total = _u32(buffer, at + 4, big)
    if total < 28 or total % 4 != 0 or total > _MAX_BLOCK:
        return int64(BAD)
    if at + total > stop:
        return int64(MORE)
    if _u32(buffer, at + total - 4, big) != total:
        return int64(BAD)
    add_drops(capture)
    state[_FORMAT] = _BLOCKS
    state[_BIG] = big
    state[_INTERFACES] = 0
    packet[NEXT] = at + total
    return int64(OTHER)


@kernel
def _scaled(high: Int, low: Int, resolution: Int, offset: Int, latest: Int) -> Int:
    """Return a time stamp of pcapng in UTC microseconds, or -1 if it cannot be right."""
    stamp: Word = uint64(high)
    stamp = (stamp << uint64(32)) | uint64(low)
    power = resolution & ~_BINARY
    seconds: Int = int64(0)
    micros: Int = int64(0)
    if resolution & _BINARY != 0:
        if power < 64:
            seconds = int64(stamp >> uint64(power))
            rest = stamp & ((uint64(1) << uint64(power)) - uint64(1))
            if power > 40:
                rest = rest >> uint64(power - 40)
                power = int64(40)
            micros = int64((rest * uint64(1_000_000)) >> uint64(power))
    elif power < 20:
        unit = uint64(1)
        for _ in range(power):
            unit = unit * uint64(10)
        seconds = int64(stamp // unit)
        rest = stamp % unit
        if power > _MICROSECONDS:
            for _ in range(power - _MICROSECONDS):
                rest = rest // uint64(10)
        else:
            for _ in range(_MICROSECONDS - power):
                rest = rest * uint64(10)
        micros = int64(rest)
    if not (-_MAX_SECONDS < offset < _MAX_SECONDS) or not (0 <= seconds < _MAX_SECONDS):
        return int64(-1)
    return messages.usable_time((seconds + offset) * 1_000_000 + micros, latest)


@kernel
def _interface(capture: Capture, buffer: Bytes, at: Int, end: Int, big: Int) -> None:
    """Note a description of an interface."""
    number = capture.state[_INTERFACES]
    if number >= _MAX_INTERFACES:
        return
    capture.state[_INTERFACES] = number + 1
    row = capture.interfaces[number]
    row[_I_LINK] = _u16(buffer, at + 8, big)
    row[_I_SNAPLEN] = _u32(buffer, at + 12, big)
    row[_I_RESOLUTION] = _MICROSECONDS
    row[_I_OFFSET] = 0
    row[_I_DROPS] = 0
    option = at + 16
    while option + 4 <= end:
        code = _u16(buffer, option, big)
        size = _u16(buffer, option + 2, big)
        value = option + 4
        if code == 0 or value + size > end:
            break
        if code == 9 and size == 1:
            row[_I_RESOLUTION] = buffer[value]
        elif code == 14 and size == 8:
            first = _u32(buffer, value, big)
            second = _u32(buffer, value + 4, big)
            row[_I_OFFSET] = (first << 32) | second if big != 0 else (second << 32) | first
        option = value + (size + 3) // 4 * 4


@kernel
def _statistics(capture: Capture, buffer: Bytes, at: Int, end: Int, big: Int) -> None:
    """Note how many packets an interface lost: by itself (5) and by the system (7)."""
    number = _u32(buffer, at + 8, big)
    if end - at < 24 or number >= capture.state[_INTERFACES]:
        return
    drops = int64(0)
    option = at + 20
    while option + 4 <= end:
        code = _u16(buffer, option, big)
        size = _u16(buffer, option + 2, big)
        value = option + 4
        if code == 0 or value + size > end:
            break
        if (code == 5 or code == 7) and size == 8:  # noqa: PLR1714 - a set would be built
            first = _u32(buffer, value, big)
            second = _u32(buffer, value + 4, big)
            high = first if big != 0 else second
            low = second if big != 0 else first
            # What says that all is lost says nothing.
            if high < 0xFFFF:
                drops += (high << 32) | low
        option = value + (size + 3) // 4 * 4
    capture.interfaces[number, _I_DROPS] = max(capture.interfaces[number, _I_DROPS], drops)


@kernel
def _block(
    capture: Capture,
    buffer: Bytes,
    at: Int,
    stop: Int,
    latest: Int,
    packet: npt.NDArray[np.int64],
) -> Int:
    """Read one block of pcapng."""
    state = capture.state
    big = state[_BIG]
    if stop - at < 8:
        return int64(MORE)
    kind = _u32(buffer, at, big)
    total = _u32(buffer, at + 4, big)
    if total < 12 or total % 4 != 0 or total > _MAX_BLOCK:
        return int64(BAD)
    end = at + total
    if end > stop:
        return int64(MORE)
    if _u32(buffer, end - 4, big) != total:
        return int64(BAD)
    packet[NEXT] = end
    body = end - 4
    if kind == _INTERFACE:
        if total >= 20:
            _interface(capture, buffer, at, body, big)
        return int64(OTHER)
    if kind == _STATISTICS:
        _statistics(capture, buffer, at, body, big)
        return int64(OTHER)
    number: Int = int64(0)
    packet[TIME] = -1
    if (kind == _ENHANCED_PACKET) | (kind == _OLD_PACKET):
        if total < _PACKET_HEADER + 4:
            return int64(DAMAGED)
        number = _u16(buffer, at + 8, big) if kind == _OLD_PACKET else _u32(buffer, at + 8, big)
        packet[START] = at + _PACKET_HEADER
        packet[STOP] = packet[START] + _u32(buffer, at + 20, big)
        packet[LENGTH] = _u32(buffer, at + 24, big)
        if number < state[_INTERFACES]:
            row = capture.interfaces[number]
            packet[TIME] = _scaled(
                _u32(buffer, at + 12, big), _u32(buffer, at + 16, big),
                row[_I_RESOLUTION], row[_I_OFFSET], latest,
            )  # fmt: skip
    elif kind == _SIMPLE_PACKET:
        if total < 16:
            return int64(DAMAGED)
        packet[START] = at + 12
        packet[LENGTH] = _u32(buffer, at + 8, big)
        size = min(packet[LENGTH], body - packet[START])
        if state[_INTERFACES] > 0 and capture.interfaces[0, _I_SNAPLEN] > 0:
            size = min(size, capture.interfaces[0, _I_SNAPLEN])
        packet[STOP] = packet[START] + size
    else:
        return int64(OTHER)
    if packet[STOP] > body or number >= state[_INTERFACES]:
        return int64(DAMAGED)
    packet[LINK] = capture.interfaces[number, _I_LINK]
    return int64(PACKET)


@kernel
def next_record(
    capture: Capture,
    buffer: Bytes,
    at: Int,
    stop: Int,
    latest: Int,
    packet: npt.NDArray[np.int64],
) -> Int:
    """Read one record: a packet, the header of a file, a block.

    Args:
        capture: what the file has said so far.
        buffer: holds the bytes.
        at: where the record begins.
        stop: where the bytes end.
        latest: latest usable time, UTC microseconds.
        packet: int64[...]: the places above are filled for a PACKET, NEXT for all but BAD and MORE.

    Returns:
        PACKET, OTHER, MORE, BAD or DAMAGED.
    """
    if stop - at < 4:
        return int64(MORE)
    if _may_open(_u32(buffer, at, int64(1))):
        found = _opening(capture, buffer, at, stop, packet)
        if found != BAD:
            return found
    state = capture.state
    if state[_FORMAT] != _CLASSIC:
        return _block(capture, buffer, at, stop, latest, packet) if state[_FORMAT] else int64(BAD)
    big = state[_BIG]
    start = at + state[_HEADER]
    if start > stop:
        return int64(MORE)
    size = _u32(buffer, at + 8, big)
    if size > _MAX_PACKET:
        return int64(BAD)
    if start + size > stop:
        return int64(MORE)
    part = _u32(buffer, at + 4, big)
    if state[_UNIT] != 1_000_000:
        part //= 1000
    packet[START] = start
    packet[STOP] = packet[NEXT] = start + size
    packet[TIME] = messages.usable_time(_u32(buffer, at, big) * 1_000_000 + part, latest)
    packet[LINK] = state[_LINK]
    packet[LENGTH] = _u32(buffer, at + 12, big)
    return int64(PACKET)


@kernel
def _may_begin(capture: Capture, buffer: Bytes, at: Int, latest: Int) -> Int:
    """Return how many bytes the record that may begin here has, or -1; 16 bytes are there."""
    state = capture.state
    big = state[_BIG]
    if state[_FORMAT] == _BLOCKS:
        kind = _u32(buffer, at, big)
        total = _u32(buffer, at + 4, big)
        known = 1 <= kind <= 6 or kind == _SECTION
        return total if known and 12 <= total <= _MAX_PACKET + 64 and total % 4 == 0 else int64(-1)
    size = _u32(buffer, at + 8, big)
    length = _u32(buffer, at + 12, big)
    if (
        0 < size <= _MAX_PACKET
        and size <= length <= _MAX_LENGTH
        and _u32(buffer, at + 4, big) < state[_UNIT]
        and messages.usable_time(_u32(buffer, at, big) * 1_000_000, latest) >= 0
    ):
        return state[_HEADER] + size
    return int64(-1)


@kernel
def resume(
    capture: Capture, buffer: Bytes, at: Int, stop: Int, latest: Int, final: bool
) -> tuple[Int, bool]:
    """Look for the next record after damage.

    Args:
        capture: what the file has said so far.
        buffer: holds the bytes.
        at: where to look first.
        stop: where the bytes end.
        latest: latest usable time, UTC microseconds.
        final: whether no more bytes will follow.

    Returns:
        (where it is, True); or (up to where there is none, False): the bytes from there on must be
        looked at again when there are more of them.
    """
    blocks = capture.state[_FORMAT] == _BLOCKS
    while stop - at >= 16:
        size = _may_begin(capture, buffer, at, latest)
        end = at + size
        if size > 0 and end <= stop:
            if blocks:
                if _u32(buffer, end - 4, capture.state[_BIG]) == size:
                    return at, True
            elif end == stop and final:
                return at, True
            elif stop - end >= 16:
                if _may_begin(capture, buffer, end, latest) > 0:
                    return at, True
            elif not final:
                return at, False
        elif size > 0 and not final:
            return at, False
        at += 1
    return (stop if final else at), False


def is_capture(head: bytes) -> bool:
    """Return whether the first bytes are those of a pcap or pcapng file."""
    if len(head) < 24:
        return False
    view = np.frombuffer(head[:24], np.uint8)
    if head[:4] == _SECTION.to_bytes(4, "big"):
        return head[8:12] in {_BYTE_ORDER.to_bytes(4, "big"), _BYTE_ORDER.to_bytes(4, "little")}
    return bool(_file_header(np.zeros(16, np.int64), view.copy(), 0))

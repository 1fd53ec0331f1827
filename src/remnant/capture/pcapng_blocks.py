"""The blocks of pcapng as kernels: sections, interfaces, packets.

References:
    draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from numba import int64, uint64

from remnant.capture import messages
from remnant.capture.pcap_state import (
    BAD,
    BIG,
    BLOCKS,
    DAMAGED,
    FORMAT,
    I_DROPS,
    I_LINK,
    I_OFFSET,
    I_RESOLUTION,
    I_SNAPLEN,
    INTERFACES,
    LENGTH,
    LINK,
    MAX_INTERFACES,
    MORE,
    NEXT,
    OTHER,
    PACKET,
    START,
    STOP,
    TIME,
    add_drops,
    u16,
    u32,
)
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remnant.capture.pcap_state import Capture
    from remnant.wire import Bytes, Int, Word

__all__ = ["BYTE_ORDER", "SECTION", "open_section", "read_block", "scaled_time"]

SECTION: Final = 0x0A0D0D0A
"""Type of the block that begins a section, the same in both byte orders."""
BYTE_ORDER: Final = 0x1A2B3C4D
_MAX_BLOCK: Final = 16 << 20
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


@kernel
def open_section(
    capture: Capture, buffer: Bytes, at: Int, stop: Int, packet: npt.NDArray[np.int64]
) -> Int:
    """Read the header of a section, whose first four bytes were seen; return as ``read_block``."""
    state = capture.state
    if stop - at < 12:
        return int64(MORE)
    big = int64(1 if u32(buffer, at + 8, int64(1)) == BYTE_ORDER else 0)
    if u32(buffer, at + 8, big) != BYTE_ORDER:
        return int64(BAD)
    total = u32(buffer, at + 4, big)
    if total < 28 or total % 4 != 0 or total > _MAX_BLOCK:
        return int64(BAD)
    if at + total > stop:
        return int64(MORE)
    if u32(buffer, at + total - 4, big) != total:
        return int64(BAD)
    add_drops(capture)
    state[FORMAT] = BLOCKS
    state[BIG] = big
    state[INTERFACES] = 0
    packet[NEXT] = at + total
    return int64(OTHER)


@kernel
def scaled_time(high: Int, low: Int, resolution: Int, offset: Int, latest: Int) -> Int:
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
    number = capture.state[INTERFACES]
    if number >= MAX_INTERFACES:
        return
    capture.state[INTERFACES] = number + 1
    row = capture.interfaces[number]
    row[I_LINK] = u16(buffer, at + 8, big)
    row[I_SNAPLEN] = u32(buffer, at + 12, big)
    row[I_RESOLUTION] = _MICROSECONDS
    row[I_OFFSET] = 0
    row[I_DROPS] = 0
    option = at + 16
    while option + 4 <= end:
        code = u16(buffer, option, big)
        size = u16(buffer, option + 2, big)
        value = option + 4
        if code == 0 or value + size > end:
            break
        if code == 9 and size == 1:
            row[I_RESOLUTION] = buffer[value]
        elif code == 14 and size == 8:
            first = u32(buffer, value, big)
            second = u32(buffer, value + 4, big)
            row[I_OFFSET] = (first << 32) | second if big != 0 else (second << 32) | first
        option = value + (size + 3) // 4 * 4


@kernel
def _statistics(capture: Capture, buffer: Bytes, at: Int, end: Int, big: Int) -> None:
    """Note how many packets an interface lost: by itself (5) and by the system (7)."""
    number = u32(buffer, at + 8, big)
    if end - at < 24 or number >= capture.state[INTERFACES]:
        return
    drops = int64(0)
    option = at + 20
    while option + 4 <= end:
        code = u16(buffer, option, big)
        size = u16(buffer, option + 2, big)
        value = option + 4
        if code == 0 or value + size > end:
            break
        if (code == 5 or code == 7) and size == 8:  # noqa: PLR1714 - a set would be built
            first = u32(buffer, value, big)
            second = u32(buffer, value + 4, big)
            high = first if big != 0 else second
            low = second if big != 0 else first
            # What says that all is lost says nothing.
            if high < 0xFFFF:
                drops += (high << 32) | low
        option = value + (size + 3) // 4 * 4
    capture.interfaces[number, I_DROPS] = max(capture.interfaces[number, I_DROPS], drops)


@kernel
def read_block(
    capture: Capture,
    buffer: Bytes,
    at: Int,
    stop: Int,
    latest: Int,
    packet: npt.NDArray[np.int64],
) -> Int:
    """Read one block of pcapng."""
    state = capture.state
    big = state[BIG]
    if stop - at < 8:
        return int64(MORE)
    kind = u32(buffer, at, big)
    total = u32(buffer, at + 4, big)
    if total < 12 or total % 4 != 0 or total > _MAX_BLOCK:
        return int64(BAD)
    end = at + total
    if end > stop:
        return int64(MORE)
    if u32(buffer, end - 4, big) != total:
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
        number = u16(buffer, at + 8, big) if kind == _OLD_PACKET else u32(buffer, at + 8, big)
        packet[START] = at + _PACKET_HEADER
        packet[STOP] = packet[START] + u32(buffer, at + 20, big)
        packet[LENGTH] = u32(buffer, at + 24, big)
        if number < state[INTERFACES]:
            row = capture.interfaces[number]
            packet[TIME] = scaled_time(
                u32(buffer, at + 12, big), u32(buffer, at + 16, big),
                row[I_RESOLUTION], row[I_OFFSET], latest,
            )  # fmt: skip
    elif kind == _SIMPLE_PACKET:
        if total < 16:
            return int64(DAMAGED)
        packet[START] = at + 12
        packet[LENGTH] = u32(buffer, at + 8, big)
        size = min(packet[LENGTH], body - packet[START])
        if state[INTERFACES] > 0 and capture.interfaces[0, I_SNAPLEN] > 0:
            size = min(size, capture.interfaces[0, I_SNAPLEN])
        packet[STOP] = packet[START] + size
    else:
        return int64(OTHER)
    if packet[STOP] > body or number >= state[INTERFACES]:
        return int64(DAMAGED)
    packet[LINK] = capture.interfaces[number, I_LINK]
    return int64(PACKET)

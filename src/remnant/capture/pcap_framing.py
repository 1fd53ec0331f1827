"""The files that packets are kept in, as kernels: pcap and pcapng, record by record.

A pcap file is a header of 24 bytes and packets, each with its own; a pcapng file is a chain of
blocks. Files may stand end to end, also of both kinds. After damage the next record is found by its
shape: a header that can be right, followed by another one.

References:
    draft-ietf-opsawg-pcap; draft-ietf-opsawg-pcapng; tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture import messages
from remnant.capture.pcap_state import (
    BAD,
    BIG,
    BLOCKS,
    CLASSIC,
    FORMAT,
    HEADER,
    INTERFACES,
    LENGTH,
    LINK,
    LINK_TYPE,
    MORE,
    NEXT,
    OTHER,
    PACKET,
    START,
    STOP,
    TIME,
    UNIT,
    add_drops,
    u16,
    u32,
)
from remnant.capture.pcapng_blocks import BYTE_ORDER, SECTION, open_section, read_block
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.pcap_state import Capture
    from remnant.wire import Bytes, Int

__all__ = ["is_capture", "next_record", "resume"]

_MAX_PACKET: Final = 1 << 18
"""Captured bytes of the longest packet: the largest snapshot length that capture programs use."""
_MAX_LENGTH: Final = 1 << 24


@kernel
def _file_header(state: npt.NDArray[np.int64], buffer: Bytes, at: Int) -> bool:
    """Note what the header of a pcap file says; return whether it is one."""
    for big in range(2):
        magic = u32(buffer, at, int64(big))
        unit = int64(0)
        header = int64(16)
        if magic == 0xA1B2C3D4:
            unit = int64(1_000_000)
        elif magic == 0xA1B23C4D:
            unit = int64(1_000_000_000)
        elif magic == 0xA1B2CD34:
            unit = int64(1_000_000)
            header = int64(24)
        if unit == 0 or u16(buffer, at + 4, int64(big)) != 2:
            continue
        state[FORMAT] = CLASSIC
        state[BIG] = big
        state[UNIT] = unit
        state[HEADER] = header
        # The upper half says whether packets end with a frame check sequence.
        state[LINK_TYPE] = u32(buffer, at + 20, int64(big)) & 0xFFFF
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
    return magic == SECTION


@kernel
def _opening(
    capture: Capture, buffer: Bytes, at: Int, stop: Int, packet: npt.NDArray[np.int64]
) -> Int:
    """Read the beginning of a file or section; return OTHER, MORE, or BAD if there is none."""
    state = capture.state
    if u32(buffer, at, int64(1)) != SECTION:
        if stop - at < 24:
            return int64(MORE)
        if not _file_header(state, buffer, at):
            return int64(BAD)
        add_drops(capture)
        state[INTERFACES] = 0
        packet[NEXT] = at + 24
        return int64(OTHER)
    return open_section(capture, buffer, at, stop, packet)


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
    if _may_open(u32(buffer, at, int64(1))):
        found = _opening(capture, buffer, at, stop, packet)
        if found != BAD:
            return found
    state = capture.state
    if state[FORMAT] != CLASSIC:
        return (
            read_block(capture, buffer, at, stop, latest, packet) if state[FORMAT] else int64(BAD)
        )
    big = state[BIG]
    start = at + state[HEADER]
    if start > stop:
        return int64(MORE)
    size = u32(buffer, at + 8, big)
    if size > _MAX_PACKET:
        return int64(BAD)
    if start + size > stop:
        return int64(MORE)
    part = u32(buffer, at + 4, big)
    if state[UNIT] != 1_000_000:
        part //= 1000
    packet[START] = start
    packet[STOP] = packet[NEXT] = start + size
    packet[TIME] = messages.usable_time(u32(buffer, at, big) * 1_000_000 + part, latest)
    packet[LINK] = state[LINK_TYPE]
    packet[LENGTH] = u32(buffer, at + 12, big)
    return int64(PACKET)


@kernel
def _may_begin(capture: Capture, buffer: Bytes, at: Int, latest: Int) -> Int:
    """Return how many bytes the record that may begin here has, or -1; 16 bytes are there."""
    state = capture.state
    big = state[BIG]
    if state[FORMAT] == BLOCKS:
        kind = u32(buffer, at, big)
        total = u32(buffer, at + 4, big)
        known = 1 <= kind <= 6 or kind == SECTION
        return total if known and 12 <= total <= _MAX_PACKET + 64 and total % 4 == 0 else int64(-1)
    size = u32(buffer, at + 8, big)
    length = u32(buffer, at + 12, big)
    if (
        0 < size <= _MAX_PACKET
        and size <= length <= _MAX_LENGTH
        and u32(buffer, at + 4, big) < state[UNIT]
        and messages.usable_time(u32(buffer, at, big) * 1_000_000, latest) >= 0
    ):
        return state[HEADER] + size
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
    blocks = capture.state[FORMAT] == BLOCKS
    while stop - at >= 16:
        size = _may_begin(capture, buffer, at, latest)
        end = at + size
        if size > 0 and end <= stop:
            if blocks:
                if u32(buffer, end - 4, capture.state[BIG]) == size:
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
    if head[:4] == SECTION.to_bytes(4, "big"):
        return head[8:12] in {BYTE_ORDER.to_bytes(4, "big"), BYTE_ORDER.to_bytes(4, "little")}
    return bool(_file_header(np.zeros(16, np.int64), view.copy(), 0))

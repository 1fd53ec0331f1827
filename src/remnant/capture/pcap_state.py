"""What a capture file has said so far, and where a kernel finds what is known of a packet.

References:
    draft-ietf-opsawg-pcap; draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "BAD",
    "BIG",
    "BLOCKS",
    "CLASSIC",
    "DAMAGED",
    "DROPPED",
    "FORMAT",
    "HEADER",
    "INTERFACES",
    "I_DROPS",
    "I_LINK",
    "I_OFFSET",
    "I_RESOLUTION",
    "I_SNAPLEN",
    "LENGTH",
    "LINK",
    "LINK_TYPE",
    "MAX_INTERFACES",
    "MORE",
    "NEXT",
    "OTHER",
    "PACKET",
    "START",
    "STOP",
    "TIME",
    "UNIT",
    "Capture",
    "add_drops",
    "new_capture",
    "u16",
    "u32",
]

# What a record is found to be.
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
FORMAT: Final = 0
BIG: Final = 1
UNIT: Final = 2
HEADER: Final = 3
LINK_TYPE: Final = 4
INTERFACES: Final = 5
DROPPED: Final = 6
"""Packets that the capture says it lost, in the sections that have ended."""

# In FORMAT: pcap, pcapng; 0 before the first header.
CLASSIC: Final = 1
BLOCKS: Final = 2

# Columns of ``Capture.interfaces``.
I_LINK: Final = 0
I_RESOLUTION: Final = 1
I_OFFSET: Final = 2
I_SNAPLEN: Final = 3
I_DROPS: Final = 4
MAX_INTERFACES: Final = 4096


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
    return Capture(np.zeros(16, np.int64), np.zeros((MAX_INTERFACES, 5), np.int64))


@inlined
def u32(buffer: Bytes, at: Int, big: Int) -> Int:
    """Return the number in four bytes, big-endian or little-endian."""
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
def u16(buffer: Bytes, at: Int, big: Int) -> Int:
    """Return the number in two bytes, big-endian or little-endian."""
    if big != 0:
        return (int64(buffer[at]) << 8) | int64(buffer[at + 1])
    return (int64(buffer[at + 1]) << 8) | int64(buffer[at])


@kernel
def add_drops(capture: Capture) -> None:
    """Add what the interfaces of the section lost to the sum of the file."""
    for i in range(capture.state[INTERFACES]):
        capture.state[DROPPED] += capture.interfaces[i, I_DROPS]
        capture.interfaces[i, I_DROPS] = 0

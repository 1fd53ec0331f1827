"""How far the items of a C-DNS block were read, and when they were.

References:
    RFC 8618 (C-DNS), section 7.3.2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from numba import int64

from remnant.capture import cbor, cdns_block, messages
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remnant.capture.cdns_block import Block
    from remnant.capture.cdns_lookup import Scratch
    from remnant.wire import Bytes, Int

__all__ = [
    "DONE",
    "IN_ITEMS",
    "IN_STATISTICS",
    "LEFT",
    "MAX_TICKS",
    "PHASE",
    "POSITION",
    "WELL_FORMED",
    "start_items",
    "time_of",
]

# Places in the cursor over the items of a block.
PHASE: Final = 0
POSITION: Final = 1
"""Where the next item begins in the block."""
LEFT: Final = 2
_SECONDS: Final = 3
_START_TICKS: Final = 4
WELL_FORMED: Final = 5
"""Well-formed messages among the items so far."""
IN_ITEMS: Final = 0
_IN_MALFORMED: Final = 1
IN_STATISTICS: Final = 2
DONE: Final = 3
MAX_TICKS: Final = 1 << 62
_MAX_SECONDS: Final = 1 << 40


@inlined
def time_of(cursor: npt.NDArray[np.int64], ticks: Int, offset: Int, latest: Int) -> Int:
    """Return a time in UTC microseconds, or -1 if it is missing or cannot be right.

    Args:
        cursor: the block's earliest time.
        ticks: in a second.
        offset: in ticks from the earliest time, cbor.UNSET if there is none.
        latest: usable time.
    """
    time: Int = int64(-1)
    total = cursor[_START_TICKS] + min(offset, int64(MAX_TICKS - 1))
    if cursor[_SECONDS] >= 0 and 0 <= total < MAX_TICKS:
        seconds = cursor[_SECONDS] + total // ticks
        if seconds < _MAX_SECONDS:
            time = messages.usable_time(
                seconds * 1_000_000 + total % ticks * 1_000_000 // ticks, latest
            )
    return time


@kernel
def start_items(
    buffer: Bytes, start: Int, stop: Int, block: Block, parameters: Int, scratch: Scratch
) -> Int:
    """Begin to read the items of a block.

    Args:
        buffer: holds it.
        start: where it begins.
        stop: where it ends.
        block: its tables.
        parameters: how many sets of parameters the file has.
        scratch: room, of which the cursor is set.

    Returns:
        Which of the file's parameters apply, -1 if there are none such, or no readable preamble.
    """
    cursor = scratch.cursor
    for i in range(cursor.size):
        cursor[i] = 0
    cursor[PHASE] = IN_ITEMS
    cursor[LEFT] = -1
    cursor[_SECONDS] = -1
    at = cbor.read_map(
        buffer, start + block.marks[0, cdns_block.PREAMBLE], stop, int64(0b10), scratch.part,
        block.stack,
    )  # fmt: skip
    if at < 0:
        return int64(-1)
    if scratch.part[0] != cbor.UNSET:
        major, count, position = cbor.head(buffer, scratch.part[0], stop)
        first, seconds, position = cbor.head(buffer, position, stop)
        second, ticks, position = cbor.head(buffer, position, stop)
        if (
            major != cbor.ARRAY
            or (count != 2 and count != cbor.INDEFINITE)  # noqa: PLR1714 - a set would be built
            or first != cbor.UNSIGNED
            or second != cbor.UNSIGNED
        ):
            return int64(-1)
        if seconds < _MAX_SECONDS:
            cursor[_SECONDS] = seconds
            cursor[_START_TICKS] = min(ticks, int64(MAX_TICKS - 1))
    which = scratch.part[1]
    if which == cbor.UNSET:
        return int64(0)
    return which if 0 <= which < parameters else int64(-1)

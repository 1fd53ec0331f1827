"""CBOR (RFC 8949) as kernels read it: in place, bounded, whatever lengths the bytes claim.

Nothing here makes memory for what is read, and nothing recurses: nesting deeper than MAX_DEPTH is
not read.

References:
    RFC 8949 (CBOR).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from numba import int64, uint64

from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "ARRAY",
    "BREAK",
    "BYTES",
    "CUT_OFF",
    "INDEFINITE",
    "MAP",
    "MAX_DEPTH",
    "NEGATIVE",
    "NOT_CBOR",
    "SIMPLE",
    "TAG",
    "TEXT",
    "UNSET",
    "UNSIGNED",
    "after_item",
    "head",
    "read_map",
    "string",
]

# Major types, and what ``head`` says where there is none.
UNSIGNED: Final = 0
NEGATIVE: Final = 1
BYTES: Final = 2
TEXT: Final = 3
ARRAY: Final = 4
MAP: Final = 5
TAG: Final = 6
SIMPLE: Final = 7
BREAK: Final = 8
CUT_OFF: Final = -1
NOT_CBOR: Final = -2

INDEFINITE: Final = -1
"""The value of an item whose end is a break."""

MAX_DEPTH: Final = 12
"""Arrays and maps within each other."""

UNSET: Final = -(1 << 62)
"""In a field that a map does not have."""

_LARGEST: Final = 0x7FFFFFFFFFFFFFFF


@kernel
def _long_head(
    buffer: Bytes, position: Int, stop: Int, major: Int, kind: Int
) -> tuple[Int, Int, Int]:
    """Read a head of more than one byte; ``position`` is after the first."""
    if kind == 31:
        if major == SIMPLE:
            return int64(BREAK), int64(0), position
        if BYTES <= major <= MAP:
            return major, int64(INDEFINITE), position
        return int64(NOT_CBOR), int64(0), position
    if kind > 27:
        return int64(NOT_CBOR), int64(0), position
    size = int64(1) << (kind - 24)
    if size > stop - position:
        return int64(CUT_OFF), int64(0), position
    value = uint64(0)
    for i in range(size):
        value = (value << uint64(8)) | uint64(buffer[position + i])
    return major, int64(min(value, uint64(_LARGEST))), position + size


@inlined
def head(buffer: Bytes, position: Int, stop: Int) -> tuple[Int, Int, Int]:
    """Read the head of an item.

    Args:
        buffer: holds it.
        position: where it begins.
        stop: where the bytes end.

    Returns:
        (major type, BREAK, CUT_OFF or NOT_CBOR; its value; the position after the head). The value
        is the number (of a negative number n it is -1 - n), the bytes of a string, the items of an
        array or the pairs of a map, or INDEFINITE. Above 2**63 - 1 it is 2**63 - 1.
    """
    major: Int = int64(CUT_OFF)
    value: Int = int64(0)
    after: Int = position
    if position < stop:
        byte = int64(buffer[position])
        major = byte >> 5
        value = byte & 31
        after = position + 1
        if value > 23:
            major, value, after = _long_head(buffer, after, stop, major, value)
    return major, value, after


@kernel
def after_item(buffer: Bytes, position: Int, stop: Int, stack: npt.NDArray[np.int64]) -> Int:
    """Return the position after an item, or -1 if it is cut off, malformed or nested too deeply.

    Args:
        buffer: holds it.
        position: where it begins.
        stop: where the bytes end.
        stack: int64[MAX_DEPTH], scratch.
    """
    depth = int64(0)
    while True:
        major, value, position = head(buffer, position, stop)
        complete = True
        if major < 0:
            return int64(-1)
        if major == BREAK:
            if depth == 0 or stack[depth - 1] >= 0:
                return int64(-1)
            depth -= 1
        elif major == TAG:
            complete = False
        elif value == INDEFINITE or (major >= ARRAY and major <= MAP and value > 0):
            if depth == MAX_DEPTH or value > stop - position:
                return int64(-1)
            stack[depth] = 2 * value if major == MAP and value > 0 else value
            depth += 1
            complete = False
        elif BYTES <= major <= TEXT:
            if value > stop - position:
                return int64(-1)
            position += value
        while complete:
            if depth == 0:
                return position
            if stack[depth - 1] < 0:
                break
            stack[depth - 1] -= 1
            if stack[depth - 1] > 0:
                break
            depth -= 1


@kernel
def read_map(
    buffer: Bytes,
    position: Int,
    stop: Int,
    numbers: Int,
    out: npt.NDArray[np.int64],
    stack: npt.NDArray[np.int64],
) -> Int:
    """Read the map at ``position``, whose keys are small numbers.

    Args:
        buffer: holds it.
        position: where it begins.
        stop: where the bytes end.
        numbers: bit k is set if the value of key k is a number; of any other, where it begins is
            written. A value of another kind than its key's is left out.
        out: int64[n]: the values of the keys 0 to n - 1, UNSET where there is none. Other keys
            (private ones are negative) are stepped over.
        stack: int64[MAX_DEPTH], scratch.

    Returns:
        The position after the map, or -1 if it is none or cannot be read.
    """
    for i in range(out.size):
        out[i] = UNSET
    major, left, position = head(buffer, position, stop)
    if major != MAP:
        return int64(-1)
    while left != 0:
        left -= 1
        major, key, position = head(buffer, position, stop)
        if major == BREAK:
            return position if left < -1 else int64(-1)
        if major == UNSIGNED:
            if key >= out.size:
                key = int64(-1)
        else:
            if major != NEGATIVE:
                return int64(-1)
            key = int64(-1)
        begin = position
        major, value, after = head(buffer, position, stop)
        if major == UNSIGNED or major == NEGATIVE:  # noqa: PLR1714, SIM109 - a set would be built
            position = after
            if key >= 0 and (numbers >> key) & 1 != 0:
                out[key] = value if major == UNSIGNED else -1 - value
        else:
            position = after_item(buffer, position, stop, stack)
            if position < 0:
                return int64(-1)
            if key >= 0 and (numbers >> key) & 1 == 0:
                out[key] = begin
    return position


@kernel
def string(buffer: Bytes, position: Int, stop: Int) -> tuple[Int, Int]:
    """Return where the bytes of the byte string at ``position`` begin and end, (-1, -1) if none."""
    major, size, start = head(buffer, position, stop)
    if major != BYTES or size < 0 or size > stop - start:
        return int64(-1), int64(-1)
    return start, start + size

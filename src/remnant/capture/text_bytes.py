"""Kernels that look at eight bytes at a time.

The compiler makes one load of ``eight_bytes``, so that a search costs a fraction of a loop over
single bytes. Nothing outside the range that is given is read.

References:
    Henry S. Warren, Hacker's Delight, section 6-1 (finding a zero byte in a word).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from numba import int64, uint64

from remnant.wire import Bytes, Int, Word, inlined, kernel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "bytes_before",
    "eight_bytes",
    "next_byte",
    "note_bytes",
    "put_eight_bytes",
    "zero_bytes",
]

_ZERO: Final = uint64(0)
_ONE: Final = uint64(1)
_EIGHT: Final = uint64(8)
_ONES: Final = uint64(0x0101010101010101)
_BYTE: Final = uint64(0xFF)
_LOWS: Final = uint64(0x7F7F7F7F7F7F7F7F)
_HIGHS: Final = uint64(0x8080808080808080)


@inlined
def eight_bytes(view: Bytes, at: Word) -> Word:
    """Return eight bytes as one number, the first one lowest; one load when compiled."""
    return (
        uint64(view[at])
        | (uint64(view[at + _ONE]) << uint64(8))
        | (uint64(view[at + uint64(2)]) << uint64(16))
        | (uint64(view[at + uint64(3)]) << uint64(24))
        | (uint64(view[at + uint64(4)]) << uint64(32))
        | (uint64(view[at + uint64(5)]) << uint64(40))
        | (uint64(view[at + uint64(6)]) << uint64(48))
        | (uint64(view[at + uint64(7)]) << uint64(56))
    )


@inlined
def put_eight_bytes(out: Bytes, at: Word, word: Word) -> None:
    """Write eight bytes, the lowest first; one store when compiled."""
    out[at] = word & _BYTE
    out[at + _ONE] = (word >> uint64(8)) & _BYTE
    out[at + uint64(2)] = (word >> uint64(16)) & _BYTE
    out[at + uint64(3)] = (word >> uint64(24)) & _BYTE
    out[at + uint64(4)] = (word >> uint64(32)) & _BYTE
    out[at + uint64(5)] = (word >> uint64(40)) & _BYTE
    out[at + uint64(6)] = (word >> uint64(48)) & _BYTE
    out[at + uint64(7)] = word >> uint64(56)


@inlined
def zero_bytes(word: Word) -> Word:
    """Return a number whose lowest bit stands in the first zero byte, 0 if there is none."""
    return (word - _ONES) & ~word & _HIGHS


@inlined
def bytes_before(marks: Word) -> Word:
    """Return how many bytes stand before the one with the lowest bit."""
    return (((marks - _ONE) & ~marks & _ONES) * _ONES >> uint64(56)) - _ONE


@kernel
def next_byte(view: Bytes, i: Int, stop: Int, byte: Int) -> Int:
    """Return where a byte stands next, or ``stop`` (if ``i`` is not after it, else ``i``)."""
    at: Word = uint64(i)
    end: Word = uint64(max(stop, i))
    pattern: Word = uint64(byte)
    pattern = pattern * _ONES
    while at + _EIGHT <= end:
        marks = zero_bytes(eight_bytes(view, at) ^ pattern)
        if marks != _ZERO:
            return int64(at + bytes_before(marks))
        at += _EIGHT
    while at < end and view[at] != byte:
        at += _ONE
    return int64(at)


@kernel
def note_bytes(
    view: Bytes, start: Int, stop: Int, byte: Int, out: npt.NDArray[np.int64]
) -> tuple[Int, Int]:
    """Write where a byte stands, as far as ``out`` has room.

    Returns:
        (how many places were written, where the search ended: ``stop``, or after the last place).
    """
    at: Word = uint64(start)
    end: Word = uint64(max(stop, start))
    pattern: Word = uint64(byte)
    pattern = pattern * _ONES
    count = int64(0)
    while at + _EIGHT <= end:
        word = eight_bytes(view, at) ^ pattern
        # Exact for each byte, unlike ``zero_bytes``, which is so only up to the first.
        marks = ~(((word & _LOWS) + _LOWS) | word | _LOWS)
        while marks != _ZERO:
            if count == out.size:
                return count, out[count - 1] + 1
            out[count] = int64(at + bytes_before(marks))
            count += 1
            marks &= marks - _ONE
        at += _EIGHT
    while at < end:
        if view[at] == byte:
            if count == out.size:
                return count, out[count - 1] + 1
            place: Int = int64(at)
            out[count] = place
            count += 1
        at += _ONE
    return count, stop

"""Which events of a segment say the same of what was asked: most do, and are looked at once.

Two events are alike if name (byte for byte), destination, time to live and ``unlisted`` agree. The
hash is keyed with random numbers and its table is searched a bounded number of steps, so that no
names cost more than others; where most names differ, nothing is gained and the search ends early.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import uint64

from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from remnant.wire import Bytes, Int, Word

__all__ = ["alike"]

_PROBES: Final = 16
_LOOKED_AT: Final = 4096
"""Rows after which it is asked whether more than half of them are alone."""
_S8: Final[Any] = uint64(8)
_S29: Final[Any] = uint64(29)
_S32: Final[Any] = uint64(32)


def alike(
    events: pa.RecordBatch, names: Bytes, spans: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None:
    """Return the number of each event's kind (int32[n]), and the first event of each kind.

    Two kinds may be the same, events of one kind never differ. ``None`` if most events differ.

    Args:
        events: n rows of ``schema.EVENTS``.
        names: bytes of their names.
        spans: int64[n + 1]: where each name begins and ends.
    """
    count = len(events)
    size = 1 << max(4, count.bit_length())
    codes = np.empty(count, np.int32)
    first = np.empty(count, np.int64)
    ttl = events["ttl"]
    seconds: Any = ttl.fill_null(-1) if ttl.null_count else ttl
    answers = seconds.to_numpy().astype(np.int64).view(np.uint64) << np.uint64(2)
    answers |= events["unlisted"].to_numpy(zero_copy_only=False)
    facts = answers.reshape(-1, 1)
    destination = events["destination"]
    if destination.null_count < count:
        known = destination.is_valid().to_numpy(zero_copy_only=False)
        memory: Any = destination.buffers()[1]
        data: npt.NDArray[np.uint8] = np.frombuffer(memory, np.uint8)
        start = destination.offset * 16
        halves = data[start : start + count * 16].view(np.uint64).reshape(-1, 2)
        answers |= known.astype(np.uint64) << np.uint64(1)
        facts = np.column_stack([answers, np.where(known[:, None], halves, 0)])
    key = np.array([secrets.randbits(64) | 1 for _ in range(3)], np.uint64)
    table = np.full(size, -1, np.int32)
    found = int(_number(names, spans, facts, key, table, codes, first))
    return None if found < 0 else (codes, first[:found])


@inlined
def _word(buffer: Bytes, at: Int) -> Word:
    """Return 8 bytes, which the processor loads at once."""
    position: Word = uint64(at)
    return (
        uint64(buffer[position])
        | (uint64(buffer[position + uint64(1)]) << _S8)
        | (uint64(buffer[position + uint64(2)]) << uint64(16))
        | (uint64(buffer[position + uint64(3)]) << uint64(24))
        | (uint64(buffer[position + uint64(4)]) << _S32)
        | (uint64(buffer[position + uint64(5)]) << uint64(40))
        | (uint64(buffer[position + uint64(6)]) << uint64(48))
        | (uint64(buffer[position + uint64(7)]) << uint64(56))
    )


@inlined
def _tail(buffer: Bytes, at: Int, stop: Int) -> Word:
    """Return the last bytes of a name, 1 to 8 of them, as a number."""
    end: Word = uint64(stop)
    left = end - uint64(at)
    if uint64(at) + _S8 <= uint64(buffer.size):
        return _word(buffer, at) << (uint64(64) - _S8 * left)
    rest = uint64(0)
    shift = uint64(64) - _S8 * left
    for i in range(at, stop):
        rest |= uint64(buffer[i]) << shift
        shift += _S8
    return rest


@inlined
def _hash(
    buffer: Bytes,
    start: Int,
    stop: Int,
    facts: npt.NDArray[np.uint64],
    row: Int,
    key: npt.NDArray[np.uint64],
) -> Word:
    state: Word = key[0] ^ uint64(stop - start)
    for i in range(facts.shape[1]):
        state = (state ^ facts[row, i]) * key[1]
        state ^= state >> _S32
    at = start
    while at + 8 < stop:
        state = (state ^ _word(buffer, at)) * key[1]
        state ^= state >> _S29
        at += 8
    if at < stop:
        state = (state ^ _tail(buffer, at, stop)) * key[2]
    return state ^ (state >> _S32)


@inlined
def _same(
    buffer: Bytes,
    spans: npt.NDArray[np.int64],
    facts: npt.NDArray[np.uint64],
    one: Int,
    other: Int,
) -> Any:  # noqa: ANN401 - a flag inside a kernel
    begin, start = spans[one], spans[other]
    end = spans[one + 1]
    equal = spans[other + 1] - start == end - begin
    for i in range(facts.shape[1]):
        equal = equal and facts[one, i] == facts[other, i]
    while equal and begin + 8 < end:
        equal = _word(buffer, begin) == _word(buffer, start)
        begin += 8
        start += 8
    if equal and begin < end:
        equal = _tail(buffer, begin, end) == _tail(buffer, start, spans[other + 1])
    return equal


@kernel
def _number(
    buffer: Bytes,
    spans: npt.NDArray[np.int64],
    facts: npt.NDArray[np.uint64],
    key: npt.NDArray[np.uint64],
    table: npt.NDArray[np.int32],
    codes: npt.NDArray[np.int32],
    first: npt.NDArray[np.int64],
) -> Int:
    """Number the events; return how many kinds there are, or -1: too many.

    ``table`` (a power of two long, -1 everywhere) has room for all of them.
    """
    mask = uint64(table.size - 1)
    found = 0
    for row in range(codes.size):
        if row % _LOOKED_AT == 0 and 2 * found > row:
            return -1
        slot = _hash(buffer, spans[row], spans[row + 1], facts, row, key) & mask
        code: Int = -1
        for _ in range(_PROBES):
            code = np.int64(table[slot])
            if code < 0 or _same(buffer, spans, facts, first[code], row):
                break
            code = -1
            slot = (slot + uint64(1)) & mask
        if code < 0:
            code = found
            first[found] = row
            found += 1
            if table[slot] < 0:
                table[slot] = code
        codes[row] = code
    return found

"""The compiled tables of a watchlist and the kernels that look names and addresses up in them.

A name is hashed label by label from the right, so that each of its suffixes costs one step and one
look-up. Most names cost less: a Bloom filter that fits the cache knows the suffixes of all entries,
and the first suffix that it does not know ends the search. The hash is keyed with random numbers
made at compile time, a hit is verified against the bytes, and the longest probe is known when the
table is built. Whatever names the traffic holds, one name costs a bounded number of steps.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.wire import MAX_LABELS, fold_byte, inlined, kernel, labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.wire import Bytes, Int, Word

__all__ = [
    "MAX_HITS",
    "Tables",
    "build",
    "lookup_address",
    "lookup_name",
    "match_addresses",
    "match_names",
]

MAX_HITS: Final = 160
"""Entries that one name can hit (each suffix once, the whole name twice), or one address (each
prefix length once)."""

_MAX_PROBE: Final = 64
_PRUNED: Final = 2
"""From this many labels on the filter knows every suffix of every name."""
_BLOOM_BITS_PER_NAME: Final = 16
_WORD_BITS: Final = 64
_MAPPED_LENGTH: Final = 96

_S0: Final[Any] = uint64(0)
_S6: Final[Any] = uint64(6)
_S8: Final[Any] = uint64(8)
_S12: Final[Any] = uint64(12)
_S24: Final[Any] = uint64(24)
_S29: Final[Any] = uint64(29)
_S32: Final[Any] = uint64(32)
_BITS6: Final[Any] = uint64(63)
_ONE: Final[Any] = uint64(1)
_MAPPED_LOW: Final = uint64(0xFFFF)
_LOW7: Final[Any] = uint64(0x7F7F7F7F7F7F7F7F)
_HIGH: Final[Any] = uint64(0x8080808080808080)
_FROM_A: Final[Any] = uint64((0x80 - 0x41) * 0x0101010101010101)
_AFTER_Z: Final[Any] = uint64((0x80 - 0x5B) * 0x0101010101010101)


class Tables(NamedTuple):
    """Arrays that kernels take as one argument.

    Attributes:
        key: uint64[3]: start and two odd multipliers of the hash, random in each table.
        shift: uint64[1]: right shift that turns a hash into a slot.
        exact_depths: uint8[130]: 1 where an exact entry has that many labels.
        below_depths: uint8[130]: the same for entries that include what is below.
        bloom: uint64[power of two]: three bits of one word for each name and each of its suffixes.
        slot_hash: uint64[power of two].
        slot_name: int32[...]: index of the name, -1 where the slot is empty.
        name_offsets: int64[names + 1] into ``name_bytes``.
        name_bytes: uint8: the folded wire names end to end.
        name_exact: int32[names]: the exact entry of a name, -1 if none.
        name_below: int32[names]: the entry for it and what is below, -1 if none.
        prefix_lengths: int32[lengths]: prefix lengths in bits of 16-byte addresses, longest first.
        prefix_offsets: int64[lengths + 1]: where the prefixes of each length stand, sorted.
        prefix_high: uint64[prefixes]: the first 8 bytes.
        prefix_low: uint64[prefixes]: the last 8 bytes.
        prefix_entries: int32[prefixes].
    """

    key: npt.NDArray[np.uint64]
    shift: npt.NDArray[np.uint64]
    exact_depths: npt.NDArray[np.uint8]
    below_depths: npt.NDArray[np.uint8]
    bloom: npt.NDArray[np.uint64]
    slot_hash: npt.NDArray[np.uint64]
    slot_name: npt.NDArray[np.int32]
    name_offsets: npt.NDArray[np.int64]
    name_bytes: npt.NDArray[np.uint8]
    name_exact: npt.NDArray[np.int32]
    name_below: npt.NDArray[np.int32]
    prefix_lengths: npt.NDArray[np.int32]
    prefix_offsets: npt.NDArray[np.int64]
    prefix_high: npt.NDArray[np.uint64]
    prefix_low: npt.NDArray[np.uint64]
    prefix_entries: npt.NDArray[np.int32]


def build(
    names: Sequence[bytes],
    exact: npt.NDArray[np.int32],
    below: npt.NDArray[np.int32],
    prefixes: Sequence[tuple[bytes, int, int]],
) -> Tables:
    """Return the tables of these names and prefixes.

    Args:
        names: distinct folded wire names.
        exact: the exact entry of each name, -1 if none.
        below: the entry for each name and what is below it, -1 if none.
        prefixes: distinct (16 address bytes with host bits zero, length in bits, entry).
    """
    count = len(names)
    name_offsets = np.zeros(count + 1, np.int64)
    np.cumsum([len(name) for name in names], out=name_offsets[1:])
    name_bytes = np.frombuffer(b"".join(names), np.uint8)
    depths = np.zeros((2, MAX_LABELS + 2), np.uint8)
    slots = 1 << max(4, (2 * count - 1).bit_length())
    bloom_words = 1 << max(2, (_BLOOM_BITS_PER_NAME * count // _WORD_BITS).bit_length())
    while True:
        key = np.array([secrets.randbits(64) | 1 for _ in range(3)], np.uint64)
        shift = np.array([_WORD_BITS + 1 - slots.bit_length()], np.uint64)
        bloom = np.zeros(bloom_words, np.uint64)
        slot_hash = np.zeros(slots, np.uint64)
        slot_name = np.full(slots, -1, np.int32)
        depths[:] = 0
        longest = _fill(
            name_bytes,
            name_offsets,
            exact,
            below,
            key,
            shift,
            depths,
            bloom,
            slot_hash,
            slot_name,
            np.zeros(MAX_LABELS + 2, np.int64),
        )
        if longest <= _MAX_PROBE:
            break
        slots *= 2
    return Tables(
        key, shift, depths[0], depths[1], bloom, slot_hash, slot_name,
        name_offsets, name_bytes, exact, below, *_prefix_tables(prefixes),
    )  # fmt: skip


def _prefix_tables(prefixes: Sequence[tuple[bytes, int, int]]) -> tuple[npt.NDArray[Any], ...]:
    ordered = sorted(prefixes, key=lambda item: (-item[1], item[0]))
    lengths = sorted({length for _, length, _ in ordered}, reverse=True)
    counts = [sum(1 for item in ordered if item[1] == length) for length in lengths]
    halves = np.frombuffer(b"".join(item[0] for item in ordered), ">u8").astype(np.uint64)
    return (
        np.array(lengths, np.int32),
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64),
        np.ascontiguousarray(halves[0::2]),
        np.ascontiguousarray(halves[1::2]),
        np.array([item[2] for item in ordered], np.int32),
    )


@inlined
def _word(buffer: Bytes, position: Word) -> Word:
    """Return the 8 bytes at a position, which the processor loads at once."""
    return (
        uint64(buffer[position])
        | (uint64(buffer[position + _ONE]) << _S8)
        | (uint64(buffer[position + uint64(2)]) << uint64(16))
        | (uint64(buffer[position + uint64(3)]) << _S24)
        | (uint64(buffer[position + uint64(4)]) << _S32)
        | (uint64(buffer[position + uint64(5)]) << uint64(40))
        | (uint64(buffer[position + uint64(6)]) << uint64(48))
        | (uint64(buffer[position + uint64(7)]) << uint64(56))
    )


@inlined
def _folded(word: Word) -> Word:
    """Return 8 bytes with ASCII capitals in lower case."""
    low = word & _LOW7
    capitals = ~word & _HIGH & ((low + _FROM_A) ^ (low + _AFTER_Z))
    return word | (capitals >> uint64(2))


@inlined
def _add_label(state: Word, buffer: Bytes, start: Int, multiplier: Word, finisher: Word) -> Word:
    """Return the hash of a suffix with the label at ``start`` put before it."""
    left: Word = uint64(buffer[start])
    state = (state ^ left) * finisher
    # Unsigned positions: signed ones would be checked for being below zero at each byte.
    position: Word = uint64(start) + _ONE
    if position + left + _S8 <= uint64(buffer.size):
        while left > _S8:
            state = (state ^ _folded(_word(buffer, position))) * multiplier
            state ^= state >> _S29
            position += _S8
            left -= _S8
        word = _S0
        if left > _S0:
            word = _word(buffer, position) & (~_S0 >> (uint64(_WORD_BITS) - _S8 * left))
        state = (state ^ _folded(word)) * multiplier
        return state ^ (state >> _S32)
    # The last bytes of a buffer, one by one.
    word = _S0
    shift = _S0
    for i in range(start + 1, start + 1 + int64(left)):
        if shift == uint64(_WORD_BITS):
            state = (state ^ word) * multiplier
            state ^= state >> _S29
            word = _S0
            shift = _S0
        byte: Word = uint64(fold_byte(int64(buffer[i])))
        word |= byte << shift
        shift += _S8
    state = (state ^ word) * multiplier
    return state ^ (state >> _S32)


@inlined
def _bloom_bits(state: Word) -> Word:
    return (
        (_ONE << (state & _BITS6))
        | (_ONE << ((state >> _S6) & _BITS6))
        | (_ONE << ((state >> _S12) & _BITS6))
    )


@kernel
def _fill(
    name_bytes: Bytes,
    name_offsets: npt.NDArray[np.int64],
    exact: npt.NDArray[np.int32],
    below: npt.NDArray[np.int32],
    key: npt.NDArray[np.uint64],
    shift: npt.NDArray[np.uint64],
    depths: npt.NDArray[np.uint8],
    bloom: npt.NDArray[np.uint64],
    slot_hash: npt.NDArray[np.uint64],
    slot_name: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int64],
) -> Int:
    """Put every name into the empty table; return the longest probe."""
    longest = 0
    mask = slot_name.size - 1
    bloom_mask = uint64(bloom.size - 1)
    for name in range(name_offsets.size - 1):
        count = labels(name_bytes, name_offsets[name], name_offsets[name + 1], starts)
        if count < 0:
            continue
        state = key[0]
        for i in range(count - 1, -1, -1):
            state = _add_label(state, name_bytes, starts[i], key[1], key[2])
            if count - i >= _PRUNED:
                bloom[int64((state >> _S24) & bloom_mask)] |= _bloom_bits(state)
        if exact[name] >= 0:
            depths[0, count] = 1
        if below[name] >= 0:
            depths[1, count] = 1
        if count < _PRUNED:
            bloom[int64((state >> _S24) & bloom_mask)] |= _bloom_bits(state)
        slot = np.int64(state >> shift[0])
        probe = 1
        while slot_name[slot] >= 0:
            slot = (slot + 1) & mask
            probe += 1
        slot_hash[slot] = state
        slot_name[slot] = name
        longest = max(longest, probe)
    return longest


@kernel
def _same(tables: Tables, name: Int, buffer: Bytes, start: Int, stop: Int) -> bool:
    begin = tables.name_offsets[name]
    if tables.name_offsets[name + 1] - begin != stop - start:
        return False
    for i in range(stop - start):
        if fold_byte(buffer[start + i]) != tables.name_bytes[begin + i]:
            return False
    return True


@kernel
def _find(tables: Tables, state: int, buffer: Bytes, start: int, stop: int) -> Int:
    """Return the index of the name whose suffix hash this is, or -1."""
    mask = tables.slot_name.size - 1
    slot = np.int64(state >> tables.shift[0])
    for _ in range(_MAX_PROBE):
        name = np.int64(tables.slot_name[slot])
        if name < 0:
            return -1
        if tables.slot_hash[slot] == state and _same(tables, name, buffer, start, stop):
            return name
        slot = (slot + 1) & mask
    return -1


@inlined
def lookup_name(
    tables: Tables,
    buffer: Bytes,
    starts: npt.NDArray[np.int64],
    count: Int,
    hits: npt.NDArray[np.int32],
) -> Int:
    """Write the entries that a name hits, most specific first, and return how many.

    Args:
        tables: the compiled watchlist.
        buffer: holds the uncompressed wire name, folded or not.
        starts: where its labels and its root stand, as ``labels`` writes them.
        count: how many labels it has.
        hits: int32[MAX_HITS], written from the front.
    """
    stop: Int = starts[count] + 1
    state = tables.key[0]
    found = np.int64(0)
    for depth in range(count + 1):
        start: Int = starts[count - depth]
        if depth > 0:
            state = _add_label(state, buffer, start, tables.key[1], tables.key[2])
        whole = depth == count
        wanted = tables.below_depths[depth] != 0 or (whole and tables.exact_depths[depth] != 0)
        if not wanted and depth < _PRUNED:
            continue
        bits = _bloom_bits(state)
        word = tables.bloom[int64((state >> _S24) & uint64(tables.bloom.size - 1))]
        if word & bits != bits:
            if depth >= _PRUNED:
                # No name in the table ends so: none of the longer suffixes is in it either.
                break
            continue
        if not wanted:
            continue
        name = _find(tables, state, buffer, start, stop)
        if name < 0:
            continue
        if tables.name_below[name] >= 0:
            hits[found] = tables.name_below[name]
            found += 1
        if whole and tables.name_exact[name] >= 0:
            hits[found] = tables.name_exact[name]
            found += 1
    for i in range(found // 2):
        hits[i], hits[found - 1 - i] = hits[found - 1 - i], hits[i]
    return found


@kernel
def _half(address: Bytes, start: Int) -> Word:
    value = _S0
    for i in range(start, start + 8):
        value = (value << _S8) | uint64(address[i])
    return value


@kernel
def _mask(length: Int) -> Word:
    """Return a 64-bit mask whose first ``length`` bits (clamped to 0..64) are set."""
    if length <= 0:
        return _S0
    if length >= 64:
        return ~_S0
    return ~_S0 << uint64(64 - length)


@kernel
def lookup_address(tables: Tables, address: Bytes, hits: npt.NDArray[np.int32]) -> Int:
    """Write the entries whose prefix covers an address, longest first; return how many.

    Args:
        tables: the compiled watchlist.
        address: uint8[16]; an IPv4 address as ``::ffff:a.b.c.d``, which only IPv4 prefixes cover.
        hits: int32[MAX_HITS], written from the front.
    """
    high = _half(address, 0)
    low = _half(address, 8)
    mapped = high == _S0 and low >> _S32 == _MAPPED_LOW
    found = 0
    for group in range(tables.prefix_lengths.size):
        length = np.int64(tables.prefix_lengths[group])
        if mapped and length < _MAPPED_LENGTH:
            break
        want_high = high & _mask(length)
        want_low = low & _mask(length - 64)
        left = tables.prefix_offsets[group]
        right = stop = tables.prefix_offsets[group + 1]
        while left < right:
            middle = (left + right) // 2
            at_high = tables.prefix_high[middle]
            if at_high < want_high or (
                at_high == want_high and tables.prefix_low[middle] < want_low
            ):
                left = middle + 1
            else:
                right = middle
        if (
            left < stop
            and tables.prefix_high[left] == want_high
            and tables.prefix_low[left] == want_low
        ):
            hits[found] = tables.prefix_entries[left]
            found += 1
    return found


@kernel
def match_names(
    tables: Tables,
    buffer: Bytes,
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    entries: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int64],
    hits: npt.NDArray[np.int32],
) -> Int:
    """Write all hits of wire names laid end to end; return how many there are.

    Hits beyond the length of ``rows`` are counted and not written. ``starts`` (int64[130]) and
    ``hits`` (int32[MAX_HITS]) are scratch.
    """
    total = 0
    for row in range(offsets.size - 1):
        stop = min(offsets[row + 1], buffer.size)
        count = labels(buffer, max(offsets[row], 0), stop, starts)
        if count < 0:
            continue
        found = lookup_name(tables, buffer, starts, count, hits)
        for i in range(found):
            if total < rows.size:
                rows[total] = row
                entries[total] = hits[i]
            total += 1
    return total


@kernel
def match_addresses(
    tables: Tables,
    addresses: Bytes,
    rows: npt.NDArray[np.int64],
    entries: npt.NDArray[np.int32],
    hits: npt.NDArray[np.int32],
) -> Int:
    """Write all hits of addresses (uint8[n, 16]); return how many there are.

    Hits beyond the length of ``rows`` are counted and not written. ``hits`` (int32[MAX_HITS]) is
    scratch.
    """
    total = 0
    for row in range(addresses.shape[0]):
        found = lookup_address(tables, addresses[row], hits)
        for i in range(found):
            if total < rows.size:
                rows[total] = row
                entries[total] = hits[i]
            total += 1
    return total

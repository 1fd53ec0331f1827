"""Ranges of addresses that may overlap, made into segments that do not.

Sources describe the address space as ranges: prefixes, or first and last address. Where ranges
overlap the narrowest wins, which for prefixes is longest-prefix match; of two equally narrow ones
the first in the source wins. ``flatten`` settles this once, so that a look-up is one binary search.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import uint64

import remnant.wire  # noqa: F401 - says where compiled kernels lie
from remnant.enrich.addresses import mask
from remnant.wire import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]

__all__ = ["Ranges", "Segments", "blocks", "find", "flatten", "from_prefixes", "misplaced"]

_ONE: Final = uint64(1)
_ZERO: Final = uint64(0)
_ONES: Final = uint64(0xFFFFFFFFFFFFFFFF)
_MAPPED_FIRST: Final = 0xFFFF << 32
_MAPPED_LAST: Final = (0xFFFF << 32) | 0xFFFFFFFF


class Ranges(NamedTuple):
    """Ranges of addresses, both ends inclusive; each array is uint64[n]."""

    first_high: Words
    first_low: Words
    last_high: Words
    last_low: Words


class _Orders(NamedTuple):
    """The ranges in the order of their starts, of their widths, and each one's place in widths."""

    by_start: npt.NDArray[np.int64]
    by_width: npt.NDArray[np.int64]
    rank: npt.NDArray[np.int64]


class Segments(NamedTuple):
    """The address space cut where the answer changes, sorted.

    Attributes:
        high: uint64[n]: upper word of a segment's first address; it ends where the next begins.
        low: uint64[n]: the lower word.
        owner: int64[n]: index of the range that holds it, -1 for none.
    """

    high: Words
    low: Words
    owner: npt.NDArray[np.int64]


def from_prefixes(high: Words, low: Words, length: npt.NDArray[np.int32]) -> Ranges:
    """Return the ranges of prefixes; lengths are in bits of the 16-byte form.

    Host bits are cleared.
    """
    ranges = Ranges(*(np.empty(len(high), np.uint64) for _ in range(4)))
    _expand(high, low, length, ranges)
    return ranges


def misplaced(ranges: Ranges) -> npt.NDArray[np.bool_]:
    """Return which ranges are upside down, or mix IPv4 with IPv6, or are a whole address space.

    A default route says nothing about who holds an address, and an IPv6 range that spans the
    mapped IPv4 addresses would answer for all of IPv4.
    """
    first_high, first_low, last_high, last_low = ranges
    reversed_ = (first_high > last_high) | ((first_high == last_high) & (first_low > last_low))
    starts_in = (first_high == 0) & (first_low >= _MAPPED_FIRST) & (first_low <= _MAPPED_LAST)
    ends_in = (last_high == 0) & (last_low >= _MAPPED_FIRST) & (last_low <= _MAPPED_LAST)
    before = (first_high == 0) & (first_low < _MAPPED_FIRST)
    after = (last_high > 0) | (last_low > _MAPPED_LAST)
    whole = (first_high == 0) & (first_low == _MAPPED_FIRST)
    whole &= (last_high == 0) & (last_low == _MAPPED_LAST)
    found: npt.NDArray[np.bool_] = reversed_ | (starts_in != ends_in) | (before & after) | whole
    return found


def flatten(ranges: Ranges) -> Segments:
    """Return the segments of ranges that are not misplaced: the narrowest range owns each address.

    Takes O(n log n) time and at most 2 n + 1 segments, however the ranges overlap.
    """
    first_high, first_low, last_high, last_low = ranges
    count = len(first_high)
    width_low = last_low - first_low
    width_high = last_high - first_high - (last_low < first_low).astype(np.uint64)
    by_width = np.lexsort((np.arange(count), width_low, width_high))
    rank = np.empty(count, np.int64)
    rank[by_width] = np.arange(count)
    by_start = np.lexsort((first_low, first_high))
    # The places where the answer may change: every start, and the address after every end.
    next_low = last_low + np.uint64(1)
    next_high = last_high + (next_low == 0).astype(np.uint64)
    inside = (next_low != 0) | (next_high != 0)
    cut_high = np.concatenate([first_high, next_high[inside]])
    cut_low = np.concatenate([first_low, next_low[inside]])
    order = np.lexsort((cut_low, cut_high))
    cut_high, cut_low = cut_high[order], cut_low[order]
    new = np.ones(len(order), bool)
    new[1:] = (cut_high[1:] != cut_high[:-1]) | (cut_low[1:] != cut_low[:-1])
    cut_high, cut_low = cut_high[new], cut_low[new]
    owner = np.empty(len(cut_high), np.int64)
    _sweep(Segments(cut_high, cut_low, owner), ranges, _Orders(by_start, by_width, rank))
    changes = np.ones(len(owner), bool)
    changes[1:] = owner[1:] != owner[:-1]
    return Segments(cut_high[changes], cut_low[changes], owner[changes])


def find(segments: Segments, high: Words, low: Words) -> npt.NDArray[np.int64]:
    """Return for each address the index of its segment, -1 before the first."""
    found = np.empty(len(high), np.int64)
    _find(segments, high, low, found)
    return found


def blocks(ranges: Ranges, high: Words, low: Words) -> npt.NDArray[np.int32]:
    """Return for each address the length of the largest block around it inside its range.

    For a range that is a prefix this is the prefix. Row i of ``ranges`` is the range of row i.
    Lengths are in bits of the 16-byte form.
    """
    length = np.empty(len(high), np.int32)
    _blocks(ranges, high, low, length)
    return length


@compiled
def _expand(
    high: Words,
    low: Words,
    length: npt.NDArray[np.int32],
    ranges: Ranges,
) -> None:
    for row in range(high.size):
        upper, lower = mask(length[row])
        ranges.first_high[row] = high[row] & upper
        ranges.first_low[row] = low[row] & lower
        ranges.last_high[row] = high[row] | (upper ^ _ONES)
        ranges.last_low[row] = low[row] | (lower ^ _ONES)


@compiled
def _sweep(cuts: Segments, ranges: Ranges, orders: _Orders) -> None:
    """Walk the cuts upwards with a heap of the ranges that are open, the narrowest on top."""
    heap = [np.int64(0) for _ in range(0)]
    waiting = 0
    for cut in range(cuts.high.size):
        high, low = cuts.high[cut], cuts.low[cut]
        while waiting < orders.by_start.size:
            row = orders.by_start[waiting]
            if ranges.first_high[row] != high or ranges.first_low[row] != low:
                break
            heapq.heappush(heap, orders.rank[row])
            waiting += 1
        found = np.int64(-1)
        while len(heap) > 0:
            row = orders.by_width[heap[0]]
            if ranges.last_high[row] > high or (
                ranges.last_high[row] == high and ranges.last_low[row] >= low
            ):
                found = row
                break
            heapq.heappop(heap)
        cuts.owner[cut] = found


@compiled
def _find(segments: Segments, high: Words, low: Words, found: npt.NDArray[np.int64]) -> None:
    for row in range(high.size):
        left, right = 0, segments.high.size
        while left < right:
            middle = (left + right) >> 1
            if segments.high[middle] < high[row] or (
                segments.high[middle] == high[row] and segments.low[middle] <= low[row]
            ):
                left = middle + 1
            else:
                right = middle
        found[row] = left - 1


@compiled
def _blocks(ranges: Ranges, high: Words, low: Words, length: npt.NDArray[np.int32]) -> None:
    for row in range(high.size):
        small, large = 0, 128  # a longer prefix is inside whenever a shorter one is
        while small < large:
            middle = (small + large) >> 1
            upper, lower = mask(middle)
            begin_high, begin_low = high[row] & upper, low[row] & lower
            end_high, end_low = high[row] | (upper ^ _ONES), low[row] | (lower ^ _ONES)
            starts = begin_high > ranges.first_high[row] or (
                begin_high == ranges.first_high[row] and begin_low >= ranges.first_low[row]
            )
            ends = end_high < ranges.last_high[row] or (
                end_high == ranges.last_high[row] and end_low <= ranges.last_low[row]
            )
            if starts and ends:
                large = middle
            else:
                small = middle + 1
        length[row] = small

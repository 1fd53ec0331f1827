"""Recent queries that did not hit by name, in case the answer hits a watched address.

A fixed table of sets with four places each; where a set is full its oldest entry goes. At 100,000
queries a second the table holds the last 10 s of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int, Word

__all__ = ["ANSWER", "QUERY", "Recent", "new_recent", "put", "take"]

QUERY: Final = 1
"""A query that waits for an answer which hits."""
ANSWER: Final = 2
"""An answer that hit and waits for its query."""

_WAYS: Final = 4


class Recent(NamedTuple):
    """The table: arrays of one length, a multiple of four.

    Attributes:
        kind: uint8: 0 empty, QUERY or ANSWER.
        key: uint64: the event key.
        check: uint64: a second hash, under another key.
        heard: int64: UTC microseconds.
        offset: int64: of the query's record.
        case_bits: int64.
        ecs: uint8[n, 17].
        has_ecs: uint8.
    """

    kind: Bytes
    key: npt.NDArray[np.uint64]
    check: npt.NDArray[np.uint64]
    heard: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    case_bits: npt.NDArray[np.int64]
    ecs: Bytes
    has_ecs: Bytes


def new_recent(size: int) -> Recent:
    """Return an empty table with ``size`` places, a power of two of at least 4."""
    return Recent(
        np.zeros(size, np.uint8),
        np.zeros(size, np.uint64),
        np.zeros(size, np.uint64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros((size, 17), np.uint8),
        np.zeros(size, np.uint8),
    )


@kernel
def _set_of(recent: Recent, key: Word) -> Int:
    sets = uint64(recent.kind.size // _WAYS - 1)
    return int64((key >> uint64(20)) & sets) * _WAYS


@kernel
def put(recent: Recent, kind: Int, key: Word, check: Word, heard: Int) -> Int:
    """Keep an entry; return its place, whose other columns the caller fills."""
    first = _set_of(recent, key)
    chosen = first
    for place in range(first, first + _WAYS):
        if recent.kind[place] == 0:
            chosen = place
            break
        if recent.heard[place] < recent.heard[chosen]:
            chosen = place
    recent.kind[chosen] = kind
    recent.key[chosen] = key
    recent.check[chosen] = check
    recent.heard[chosen] = heard
    recent.has_ecs[chosen] = 0
    return chosen


@kernel
def take(recent: Recent, kind: Int, key: Word, check: Word, earliest: Int, latest: Int) -> Int:
    """Remove the oldest entry of this kind and key heard in a span; return its place or -1."""
    first = _set_of(recent, key)
    chosen: Int = int64(-1)
    for place in range(first, first + _WAYS):
        if (
            recent.kind[place] == kind
            and recent.key[place] == key
            and recent.check[place] == check
            and earliest <= recent.heard[place] <= latest
            and (chosen < 0 or recent.heard[place] < recent.heard[chosen])
        ):
            chosen = place
    if chosen >= 0:
        recent.kind[chosen] = 0
    return chosen

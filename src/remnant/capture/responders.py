"""Addresses that answer DNS in a capture: resolvers and authorities, which are no clients.

A resolver asks on behalf of its clients, so its own queries are those of others once more. Which
addresses answer is known only when the capture has been read to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numba import int64, uint64

from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int, Word

__all__ = ["Askers", "Responders", "add_responder", "new_responders"]

_SLOTS: Final = 1 << 21
_MOST: Final = 1_500_000
_MULTIPLIER: Final = uint64(0x9E3779B97F4A7C15)
_ADDRESS_BYTES: Final = 16


class Responders(NamedTuple):
    """A hash table of addresses, kept as keyed hashes of 64 bits.

    Attributes:
        seeds: uint64[2]: random.
        state: int64[2]: how many there are, and whether there was no room for more.
        last: uint8[16]: the address that was added last: most answers come from few.
        slots: uint64[2^21], 0 where empty.
    """

    seeds: npt.NDArray[np.uint64]
    state: npt.NDArray[np.int64]
    last: Bytes
    slots: npt.NDArray[np.uint64]


def new_responders(seeds: tuple[int, int]) -> Responders:
    """Return a table without addresses; ``seeds`` are two times 64 random bits."""
    return Responders(
        np.array(seeds, np.uint64),
        np.zeros(2, np.int64),
        np.zeros(_ADDRESS_BYTES, np.uint8),
        np.zeros(_SLOTS, np.uint64),
    )


@kernel
def _hash(seeds: npt.NDArray[np.uint64], address: Bytes) -> Word:
    state = seeds[0]
    for half in range(0, _ADDRESS_BYTES, 8):
        word = uint64(0)
        for i in range(half, half + 8):
            word = (word << uint64(8)) | uint64(address[i])
        state = (state ^ word ^ seeds[1]) * _MULTIPLIER
        state ^= state >> uint64(29)
    state *= _MULTIPLIER
    return (state ^ (state >> uint64(32))) | uint64(1)


@kernel
def _slot(responders: Responders, value: Word) -> Int:
    """Return the slot that holds a hash, or the empty one where it would stand."""
    slot = int64((value >> uint64(20)) & uint64(_SLOTS - 1))
    while responders.slots[slot] != 0 and responders.slots[slot] != value:
        slot = (slot + 1) & (_SLOTS - 1)
    return slot


@kernel
def add_responder(responders: Responders, address: Bytes) -> None:
    """Note an address (16 bytes, IPv4 mapped) that answered."""
    known = True
    for i in range(_ADDRESS_BYTES):
        if responders.last[i] != address[i]:
            known = False
            responders.last[i] = address[i]
    if known and responders.state[0] > 0:
        return
    value = _hash(responders.seeds, address)
    slot = _slot(responders, value)
    if responders.slots[slot] != 0:
        return
    if responders.state[0] >= _MOST:
        responders.state[1] = 1
        return
    responders.slots[slot] = value
    responders.state[0] += 1


@kernel
def _look_up(responders: Responders, addresses: Bytes, out: npt.NDArray[np.bool_]) -> None:
    for row in range(out.size):
        slot = _slot(responders, _hash(responders.seeds, addresses[row]))
        out[row] = responders.slots[slot] != 0


class Askers:
    """The distinct client addresses of the rows of a source, 16 bytes each."""

    def __init__(self) -> None:
        self._known = np.empty(0, f"V{_ADDRESS_BYTES}")

    def add(self, queries: pa.RecordBatch) -> None:
        """Take the rows of a batch (``schema.QUERIES``)."""
        if not queries.num_rows:
            return
        column: Any = queries["address"]
        raw = np.frombuffer(column.buffers()[1], self._known.dtype)
        rows = raw[column.offset : column.offset + len(column)]
        self._known = np.unique(np.concatenate([self._known, np.unique(rows)]))

    def responders(self, table: Responders) -> pa.Array[Any]:
        """Return those that answer themselves (binary(16))."""
        found = np.zeros(self._known.size, np.bool_)
        addresses = self._known.view(np.uint8).reshape(-1, _ADDRESS_BYTES)
        _look_up(table, addresses, found)
        return pa.array([value.tobytes() for value in self._known[found]], pa.binary(16))

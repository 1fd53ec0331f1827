"""The clients of one source: each is hashed and looked up once, whatever it asks later."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import remnant.wire  # noqa: F401 - says where compiled kernels lie
from remnant.collate.pseudonym import counting_unit, unit_address, unit_text
from remnant.schema import CLIENTS, UNITS
from remnant.wire import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from remnant.collate.pseudonym import SiteKey

__all__ = ["ANNOTATIONS", "Clients", "Lookup"]

if TYPE_CHECKING:
    Lookup = Callable[[npt.NDArray[np.uint8]], pa.Table]

ANNOTATIONS: Final = ("prefix", "asn", "as_name", "country", "role", "as_of")
"""The columns that reference data gives."""

_SCHEMA: Final = pa.schema(
    [
        (name, pa.string() if pa.types.is_dictionary(kind) else kind)
        for name in ANNOTATIONS
        for kind in [CLIENTS.arrow.field(name).type]
    ]
)
_FREE: Final = -1
_PROBES: Final = 16
_LOOKED_AT: Final = 4096
"""Addresses after which it is asked whether more than half of them are new."""
_CLIENT_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


@compiled
def _intern(
    clients: npt.NDArray[np.int64],
    keys: npt.NDArray[np.int64],
    codes: npt.NDArray[np.int32],
    count: int,
    out: npt.NDArray[np.int32],
    fresh: npt.NDArray[np.int64],
) -> int:
    """Number each client by its first appearance; return how many there are now.

    ``keys`` and ``codes`` are an open hash table whose size is a power of two and which has room
    for all of them; ``fresh`` takes the rows at which new ones appear.
    """
    mask = np.int64(keys.size - 1)
    new = 0
    for row in range(clients.size):
        client = clients[row]
        slot = np.int64((np.uint64(client) * _CLIENT_MIX) >> np.uint64(20)) & mask
        while codes[slot] != _FREE and keys[slot] != client:
            slot = (slot + 1) & mask
        if codes[slot] == _FREE:
            keys[slot] = client
            codes[slot] = count + new
            fresh[new] = row
            new += 1
        out[row] = codes[slot]
    return count + new


@compiled
def _number(
    halves: npt.NDArray[np.uint64],
    key: npt.NDArray[np.uint64],
    slots: npt.NDArray[np.int32],
    codes: npt.NDArray[np.int32],
    first: npt.NDArray[np.int64],
) -> int:
    """Number addresses (two halves each); return how many there are, or -1: too many.

    An address may get two numbers: the table is searched a bounded number of steps, because
    whoever sends chooses addresses.
    """
    mask = np.uint64(slots.size - 1)
    found = 0
    for row in range(codes.size):
        if row % _LOOKED_AT == 0 and 2 * found > row:
            return -1
        high, low = halves[row, 0], halves[row, 1]
        state = (low ^ key[0]) * key[1]
        state = ((state ^ (state >> np.uint64(32))) ^ high) * key[2]
        slot = (state >> np.uint64(32)) & mask
        code = np.int64(-1)
        for _ in range(_PROBES):
            code = np.int64(slots[slot])
            if code < 0:
                break
            if halves[first[code], 1] == low and halves[first[code], 0] == high:
                break
            code = np.int64(-1)
            slot = (slot + np.uint64(1)) & mask
        if code < 0:
            code = np.int64(found)
            first[found] = row
            found += 1
            if slots[slot] < 0:
                slots[slot] = code
        codes[row] = code
    return found


def _alike(
    addresses: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None:
    """Return the number of each address and where each stands first, if most stand there often."""
    count = len(addresses)
    if count < _LOOKED_AT:
        return None
    halves = np.ascontiguousarray(addresses).view(np.uint64)
    codes = np.empty(count, np.int32)
    first = np.empty(count, np.int64)
    key = np.array([secrets.randbits(64) | 1 for _ in range(3)], np.uint64)
    slots = np.full(1 << count.bit_length(), -1, np.int32)
    found = int(_number(halves, key, slots, codes, first))
    return None if found < 0 else (codes, first[:found])


class _Column:
    """A column that grows by parts, and is put together when it is read."""

    def __init__(self, kind: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._parts = [np.empty((0, *shape), kind)]

    def add(self, values: npt.NDArray[Any]) -> None:
        self._parts.append(values)

    def all(self) -> npt.NDArray[Any]:
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]


class Clients:
    """Numbers the clients of one source and keeps what is known of each, in some 60 bytes.

    Args:
        key: the site's key.
        lookup: reference data; called with each counting unit once. ``None``: nothing is known.
    """

    def __init__(self, key: SiteKey, lookup: Lookup | None) -> None:
        self._key = key
        self._lookup = lookup
        self._slots = np.zeros(1 << 12, np.int64)
        self._codes = np.full(1 << 12, _FREE, np.int32)
        self._count = 0
        self._clients = _Column(np.dtype(np.int64), ())
        self._units = _Column(np.dtype(np.uint8), (9,))
        self._places = _Column(np.dtype(np.int32), ())
        # Many clients share a prefix: what is known of it is kept once.
        self._known: list[pa.Table] = []
        self._place: dict[str, int] = {}

    def codes(self, addresses: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """Return the number of each address's client (int32[n], from 0 in order of appearance)."""
        alike = _alike(addresses)
        if alike is not None:
            back, first = alike
            return self._codes_of(addresses[first])[back]
        return self._codes_of(addresses)

    def _codes_of(self, addresses: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        kinds, units = counting_unit(addresses)
        clients = self._key.clients(kinds, units)
        self._reserve(self._count + clients.size)
        out = np.empty(clients.size, np.int32)
        fresh = np.empty(clients.size, np.int64)
        before = self._count
        self._count = _intern(clients, self._slots, self._codes, before, out, fresh)
        new = fresh[: self._count - before]
        if new.size:
            self._clients.add(clients[new])
            self._units.add(np.column_stack([kinds[new], units[new]]))
            self._places.add(self._look_up(kinds[new], units[new]))
        return out

    def columns(
        self, codes: pa.Array[Any] | pa.ChunkedArray[Any], names: Sequence[str]
    ) -> dict[str, pa.Array[Any]]:
        """Return columns about the clients with these numbers.

        Args:
            codes: n numbers.
            names: any of client, unit, address and ANNOTATIONS.
        """
        rows = codes.to_numpy()
        found: dict[str, pa.Array[Any]] = {}
        for name in names:
            if name == "client":
                found[name] = pa.array(self.clients()[rows])
            elif name == "unit":
                kinds = pa.array(self._units.all()[rows, 0].astype(np.int32))
                found[name] = pa.DictionaryArray.from_arrays(kinds, pa.array(UNITS))
            elif name == "address":
                units = self._units.all()[rows]
                found[name] = unit_text(units[:, 0], units[:, 1:])
            else:
                found[name] = self._annotation(name, rows)
        return found

    def _annotation(self, name: str, rows: npt.NDArray[Any]) -> pa.Array[Any]:
        """Return one of ANNOTATIONS for the clients with these numbers."""
        if len(self._known) > 1:
            self._known = [pa.concat_tables(self._known).combine_chunks()]
        if not self._known or self._known[0][name].null_count == len(self._known[0]):
            nothing: pa.Array[Any] = pa.nulls(len(rows), CLIENTS.arrow.field(name).type)
            return nothing
        column: Any = self._known[0][name].combine_chunks()
        if pa.types.is_dictionary(CLIENTS.arrow.field(name).type):
            column = column.dictionary_encode()
        index: Any = pa.array(self._places.all()[rows])
        found: pa.Array[Any] = column.take(index)
        return found

    def clients(self) -> npt.NDArray[np.int64]:
        """Return the pseudonym of each client, in order of their numbers."""
        return self._clients.all()

    def _look_up(
        self, kinds: npt.NDArray[np.uint8], units: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.int32]:
        """Return which row of what is known holds for each client."""
        if self._lookup is None:
            found = pa.table([pa.nulls(len(kinds), f.type) for f in _SCHEMA], schema=_SCHEMA)
        else:
            found = self._lookup(unit_address(kinds, units))
            if len(found) != len(kinds):
                raise ValueError("a lookup must return one row for each address")
            found = pa.table([found[f.name].cast(f.type) for f in _SCHEMA], schema=_SCHEMA)
        fill: Any = pc.fill_null
        words: list[Any] = [fill(c.cast(pa.string()), pa.scalar("\x00")) for c in found.columns]
        joined: Any = pc.binary_join_element_wise(*words, "\x1f")
        encoded: Any = joined.combine_chunks().dictionary_encode()
        texts: list[str] = encoded.dictionary.to_pylist()
        indices = encoded.indices.to_numpy()
        _, first = np.unique(indices, return_index=True)
        fresh = [k for k, text in enumerate(texts) if text not in self._place]
        for k in fresh:
            self._place[texts[k]] = len(self._place)
        if fresh:
            self._known.append(found.take(first[fresh]))
        places = np.array([self._place[text] for text in texts], np.int32)
        rows: npt.NDArray[np.int32] = places[indices]
        return rows

    def _reserve(self, count: int) -> None:
        """Keep the hash table at most half full."""
        if 2 * count <= self._slots.size:
            return
        size = 1 << int(2 * count).bit_length()
        self._slots = np.zeros(size, np.int64)
        self._codes = np.full(size, _FREE, np.int32)
        known = self.clients()
        _intern(
            known,
            self._slots,
            self._codes,
            0,
            np.empty(known.size, np.int32),
            np.empty(known.size, np.int64),
        )

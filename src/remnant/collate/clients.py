"""The clients of one source: each is hashed and looked up once, whatever it asks later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

import remnant.wire  # noqa: F401 - says where compiled kernels lie
from remnant.collate.pseudonym import counting_unit, unit_address, unit_text
from remnant.schema import CLIENTS, UNITS

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
_CLIENT_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
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
        known: pa.Table | None = None
        for name in names:
            if name == "client":
                found[name] = pa.array(self.clients()[rows])
            elif name == "unit":
                found[name] = pa.array(UNITS).take(self._units.all()[rows, 0])
            elif name == "address":
                units = self._units.all()[rows]
                found[name] = unit_text(units[:, 0], units[:, 1:])
            else:
                if known is None:
                    known = pa.concat_tables([_SCHEMA.empty_table(), *self._known])
                    known = known.combine_chunks()
                index: Any = pa.array(self._places.all()[rows])
                column: Any = known[name].take(index)
                found[name] = column.combine_chunks()
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

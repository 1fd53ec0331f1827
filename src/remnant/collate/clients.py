"""The clients of one source: each is hashed and looked up once, whatever it asks later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numba import njit

from remnant.collate.pseudonym import counting_unit, unit_address, unit_text
from remnant.schema import CLIENTS, UNITS

if TYPE_CHECKING:
    from collections.abc import Callable

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


class Clients:
    """Numbers the clients of one source and keeps what is known of each.

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
        self._clients: list[npt.NDArray[np.int64]] = []
        self._units: list[npt.NDArray[np.uint8]] = []
        self._known: list[pa.Table] = []

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
            self._clients.append(clients[new])
            self._units.append(np.column_stack([kinds[new], units[new]]))
            self._known.append(self._look_up(kinds[new], units[new]))
        return out

    def table(self) -> pa.Table:
        """Return one row per client, by number: client, unit, address, what is known of it."""
        units = np.concatenate([np.empty((0, 9), np.uint8), *self._units])
        own: dict[str, Any] = {
            "client": pa.array(self.clients()),
            "unit": pa.array(UNITS).take(units[:, 0]),
            "address": unit_text(units[:, 0], units[:, 1:]),
        }
        known = pa.concat_tables([_SCHEMA.empty_table(), *self._known]).combine_chunks()
        return pa.table(own | {name: known[name] for name in known.column_names})

    def clients(self) -> npt.NDArray[np.int64]:
        """Return the pseudonym of each client, in order of their numbers."""
        self._clients = [np.concatenate([np.empty(0, np.int64), *self._clients])]
        return self._clients[0]

    def _look_up(self, kinds: npt.NDArray[np.uint8], units: npt.NDArray[np.uint8]) -> pa.Table:
        if self._lookup is None:
            return pa.table([pa.nulls(len(kinds), f.type) for f in _SCHEMA], schema=_SCHEMA)
        found = self._lookup(unit_address(kinds, units))
        if len(found) != len(kinds):
            raise ValueError("a lookup must return one row for each address")
        return pa.table([found[f.name].cast(f.type) for f in _SCHEMA], schema=_SCHEMA)

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

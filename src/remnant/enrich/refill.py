"""Fill AS, country and role of stored clients again, after the reference data changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.enrich.addresses import parse, to_bytes
from remnant.enrich.content import row_numbers
from remnant.enrich.roles import ROLES
from remnant.schema import CLIENTS, SIGHTINGS, UNLISTED

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.enrich.reference import Reference
    from remnant.store import Store, View

__all__ = ["RefillResult", "refill"]


@dataclass(frozen=True, slots=True)
class RefillResult:
    """What a refill did.

    Attributes:
        clients: distinct clients whose address is still stored.
        known: of them, those whose AS the reference data knows.
        changed: rows of the clients table that now say something else.
    """

    clients: int
    known: int
    changed: int

    @property
    def sentence(self) -> str:
        """The result in one line."""
        return (
            f"Looked up {self.clients:,} clients: the AS of {self.known:,} is known; "
            f"{self.changed:,} rows changed."
        )


def refill(store: Store, case: str, reference: Reference) -> RefillResult:
    """Look every stored address of a case up again and rewrite what is known of it, in one commit.

    Roles that traffic gave (``resolver``) stay; those that lists give are looked up again. A
    sighting whose client's address is no longer stored keeps what it had. Without reference data
    nothing is changed.
    """
    if reference.is_empty:
        return RefillResult(0, 0, 0)
    facts = _Facts.of(store.view(case), reference)
    store.transform(
        case,
        {
            CLIENTS: facts.fill_clients,
            SIGHTINGS: facts.fill_sightings,
            UNLISTED: facts.fill_sightings,
        },
    )
    known = len(facts.client) - facts.table["asn"].null_count
    return RefillResult(len(facts.client), known, facts.changed)


@dataclass(slots=True)
class _Facts:
    """What is known of each client: sorted keys, and a look-up row for each."""

    client: npt.NDArray[np.int64]
    table: pa.Table
    changed: int = 0

    @classmethod
    def of(cls, view: View, reference: Reference) -> _Facts:
        pairs: pa.Table = view.table(CLIENTS).select("client", "address").distinct().to_pyarrow()
        clients, first = np.unique(pairs["client"].to_numpy(), return_index=True)
        found = parse(pairs["address"].take(row_numbers(first)))
        readable = found.length >= 0
        addresses = to_bytes(found.high[readable], found.low[readable])
        return cls(clients[readable], reference.lookup(addresses))

    def fill_clients(self, rows: pa.Table) -> pa.Table:
        at, hit = self._rows_of(rows)
        filled = rows
        different = np.zeros(len(rows), bool)
        for name in ("prefix", "asn", "as_name", "country", "role", "as_of"):
            new: Any = _plain(self.table[name]).take(at)
            old: Any = _plain(rows[name])
            if name == "role":
                listed = pc.is_in(old, value_set=pa.array(list(ROLES), pa.string()))
                kept: Any = pc.if_else(listed, pa.scalar(None, pa.string()), old)
                new = pc.coalesce(new, kept)
            filled = _replaced(filled, name, pc.if_else(pa.array(hit), new, old))
            if name != "as_of":
                different |= _differs(old, _plain(filled[name]))
        self.changed += int(different.sum())
        return filled

    def fill_sightings(self, rows: pa.Table) -> pa.Table:
        at, hit = self._rows_of(rows)
        for name in ("asn", "country"):
            new: Any = _plain(self.table[name]).take(at)
            rows = _replaced(rows, name, pc.if_else(pa.array(hit), new, _plain(rows[name])))
        return rows

    def _rows_of(self, rows: pa.Table) -> tuple[Any, npt.NDArray[np.bool_]]:
        """Return each row's place in the look-up (null if none), and which have one."""
        wanted = rows["client"].to_numpy()
        at = np.searchsorted(self.client, wanted)
        hit = np.zeros(len(wanted), bool)
        inside = at < len(self.client)
        hit[inside] = self.client[at[inside]] == wanted[inside]
        return row_numbers(np.where(hit, at, -1)), hit


def _plain(column: Any) -> Any:  # noqa: ANN401 - Arrow
    """Return a column as one array, words as text."""
    array = column.combine_chunks()
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _replaced(rows: pa.Table, name: str, values: Any) -> pa.Table:  # noqa: ANN401 - Arrow
    at = rows.schema.get_field_index(name)
    field = rows.schema.field(at)
    if pa.types.is_dictionary(field.type):
        values = values.dictionary_encode()
    return rows.set_column(at, field, values.cast(field.type))


def _differs(old: Any, new: Any) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - Arrow
    same = pc.fill_null(pc.equal(old, new), False)
    both_null = pc.and_(old.is_null(), new.is_null())
    found: npt.NDArray[np.bool_] = ~pc.or_(same, both_null).to_numpy(zero_copy_only=False)
    return found

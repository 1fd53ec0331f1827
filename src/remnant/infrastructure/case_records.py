"""The records of passive DNS that a case sees.

Its own, and where it is not simulated all other real ones: those of other cases, and those that
belong to no case. Made-up records and real ones never meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from remnant.infrastructure.pivot import RECORDS, TYPES, TablePivots
from remnant.schema import ANSWERS

if TYPE_CHECKING:
    from remnant.infrastructure.pivot import Pivots
    from remnant.store import Store, View

__all__ = ["records_of", "walked"]


def records_of(store: Store, view: View) -> pa.Table:
    """Return the records of the types that join things, one row for each sensor and source.

    Returns:
        Columns of ``pivot.RECORDS`` but the key.
    """
    names = [name for name in RECORDS.names if name != "key"]
    if view.simulated:
        table = view.table(ANSWERS)
    else:
        everything = store.everything(ANSWERS)
        real = [source.id for source in everything.sources if not source.simulated]
        if not real:
            return RECORDS.empty_table().select(names)
        table = everything.table
        table = table.filter(table.source.isin(real))
    found = table.filter(table.rrtype.isin(TYPES)).select(names).to_pyarrow()
    records: pa.Table = found.cast(pa.schema([RECORDS.field(name) for name in names]))
    return records


def walked(store: Store, view: View) -> Pivots:
    """Return the records that a case sees, to be walked."""
    return TablePivots(records_of(store, view))

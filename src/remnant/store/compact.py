"""Many small files of a day become one, in one commit; no row changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import pyarrow as pa

from remnant.schema import ACTIVITY
from remnant.store.files import by_name, read_table

if TYPE_CHECKING:
    from remnant.store.records import FileRecord
    from remnant.store.store import Store

__all__ = ["MANY", "compact"]

MANY: Final = 16
"""Files of one table and day above which they are merged."""

_SMALL_ROWS: Final = 1_000_000
_ORDER: Final = {
    "sightings": ("name", "time"),
    "unlisted": ("name", "time"),
    "clients": ("client",),
    "coverage": ("hour",),
    "quarantine": ("offset",),
    "answers": ("rrname", "rrtype", "rdata"),
}


def compact(store: Store, case: str) -> int:
    """Merge the small files of each table and day that has more than MANY; return how many went.

    Files of a million rows are left alone, so that no row is rewritten over and over.
    """
    with store.ledger.reading() as connection:
        files = store.ledger.files(connection, case)
    groups: dict[tuple[str, str | None], list[FileRecord]] = {}
    for file in files:
        if file.rows < _SMALL_ROWS and file.table != ACTIVITY.name:
            groups.setdefault((file.table, file.day), []).append(file)
    merged = 0
    for (name, day), group in groups.items():
        if len(group) > MANY:
            _merge(store, case, name, day, group)
            merged += len(group)
    return merged


def _merge(store: Store, case: str, name: str, day: str | None, files: list[FileRecord]) -> None:
    table = by_name(name)
    order: list[tuple[str, Literal["ascending", "descending"]]]
    order = [(column, "ascending") for column in _ORDER[name]]
    with store.change(same_rows=True) as change:
        kept: list[FileRecord] = []
        for position, file in enumerate(files):
            kept.append(file)
            last = position == len(files) - 1
            if last or sum(f.rows for f in kept) + files[position + 1].rows > 4 * _SMALL_ROWS:
                data = pa.concat_tables(read_table(table, store.folder.path(f)) for f in kept)
                sources = frozenset[str]().union(*(f.sources for f in kept))
                change.write(table, case, day, data.unify_dictionaries().sort_by(order), sources)
                kept = []
        change.replace(files)
        change.commit()

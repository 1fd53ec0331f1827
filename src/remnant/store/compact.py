"""Many small files of a day become one, in one commit; no row changes what it says.

A source that grows each second brings rows of one client, or of one hour, again and again. They are
added up: in ``clients`` and ``coverage`` a row is all that one source says of one thing. Answers
are put in order besides (``runs``).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa

from remnant.schema import ANSWERS
from remnant.store.files import by_name, read_table

if TYPE_CHECKING:
    from remnant.store.records import FileRecord
    from remnant.store.store import Store

__all__ = ["MANY", "compact"]

MANY: Final = 16
"""Files of one table and day above which they are merged."""

_SMALL_ROWS: Final = 1_000_000
_TIERS: Final = (1_000, 32_000, _SMALL_ROWS)
"""Files are merged with others of about their size, so that a row is rewritten a few times only."""
_ORDER: Final = {
    "sightings": ("name", "time"),
    "unlisted": ("name", "time"),
    "clients": ("client",),
    "coverage": ("hour",),
    "quarantine": ("offset",),
}

_ADDED: Final[dict[str, dict[str, str]]] = {
    "clients": {"first_time": "min", "last_time": "max", "queries": "sum"},
    "coverage": {
        "messages": "sum",
        "matched": "sum",
        "malformed": "sum",
        "skipped": "sum",
        "lost": "sum",
        "first_time": "min",
        "last_time": "max",
        "clock_faults": "sum",
    },
}
"""How rows become one that agree in all other columns."""


def compact(store: Store, case: str) -> int:
    """Merge the small files of each table and day that has more than MANY of about one size.

    Returns how many went.

    Files of a million rows are left alone, so that no row is rewritten over and over.
    """
    with store.ledger.reading() as connection:
        files = store.ledger.files(connection, case)
    groups: dict[tuple[str, str | None, int], list[FileRecord]] = {}
    for file in files:
        if file.rows < _SMALL_ROWS and file.table in _ORDER:
            tier = bisect_right(_TIERS, file.rows)
            groups.setdefault((file.table, file.day, tier), []).append(file)
    merged = 0
    for (name, day, _), group in groups.items():
        if len(group) > MANY:
            _merge(store, case, name, day, group)
            merged += len(group)
    if any(file.table == ANSWERS.name for file in files):
        from remnant.store.runs import order_answers  # noqa: PLC0415 - loads Numba

        merged += order_answers(store, case)
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
                data = _added(name, data.unify_dictionaries())
                change.write(table, case, day, data.sort_by(order), sources)
                kept = []
        change.replace(files)
        change.commit()


def _added(name: str, rows: pa.Table) -> pa.Table:
    """Return the rows, those that only add to one another put together."""
    how = _ADDED.get(name)
    if how is None:
        return rows
    plain = [f.type.value_type if pa.types.is_dictionary(f.type) else f.type for f in rows.schema]
    fields: Any = list(zip(rows.column_names, plain, strict=True))
    texts = rows.cast(pa.schema(fields))
    keys = [column for column in rows.column_names if column not in how]
    ways: Any = list(how.items())
    added = texts.group_by(keys).aggregate(ways)
    plainly = {f"{column}_{way}": column for column, way in how.items()}
    return added.rename_columns([plainly.get(column, column) for column in added.column_names])

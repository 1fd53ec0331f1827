"""A view of tables in memory, for event-level campaigns: simulated sightings, never a file."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import ibis

from remnant.schema import ACTIVITY, CLIENTS, COVERAGE, SIGHTINGS
from remnant.store.activity import rollups

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import datetime

    import pyarrow as pa

    from remnant.schema import Table

__all__ = ["MemoryView"]


class MemoryView:
    """Answers as ``remnant.store.View`` does, from Arrow tables by table name.

    All views of a process use one engine, one after the other: close one before the next is made.

    Args:
        case: its name.
        tables: rows of sightings, clients and coverage by the table's name; columns that a
            simulation does not fill are null.
    """

    def __init__(self, case: str, tables: dict[str, pa.Table]) -> None:
        self.case = case
        self.sources: list[Any] = []
        self.retired: dict[str, datetime] = {}
        self.simulated = True
        self._engine = _engine()
        self._made = 0
        self._kept: dict[Hashable, Any] = {}
        self._known: dict[Hashable, Any] = {}
        columns = {table.name: table.arrow for table in (SIGHTINGS, CLIENTS, COVERAGE)}
        self._tables = {
            name: self._hold(_plain(rows, columns[name])) for name, rows in tables.items()
        }
        self._tables[ACTIVITY.name] = self._hold(
            _plain(rollups(self._tables[SIGHTINGS.name]).to_pyarrow())
        )

    def table(self, table: Table) -> Any:
        """Return the rows of a table as an Ibis expression; none where it was not given."""
        if table.name not in self._tables:
            self._tables[table.name] = self._hold(_plain(table.arrow.empty_table()))
        return self._tables[table.name]

    def rows_by_day(self, table: Table) -> dict[str, int]:
        """Return how many rows each day (YYYY-MM-DD, UTC) of a table with times has."""
        rows = self.table(table)
        days = rows.group_by(day=rows.time.strftime("%Y-%m-%d")).aggregate(rows=rows.count())
        return {row["day"]: row["rows"] for row in days.to_pyarrow().to_pylist()}

    def has(self, table: Table) -> bool:
        """Return whether a table was given."""
        return table.name in self._tables

    def kept(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returned the first time for this key, computed once."""
        if key not in self._kept:
            self._kept[key] = self._hold(_plain(make().to_pyarrow()))
        return self._kept[key]

    def known(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returned the first time for this key."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def is_kept(self, key: Hashable) -> bool:
        """Return whether ``kept`` has this key."""
        return key in self._kept

    def close(self) -> None:
        """Forget the rows."""
        for number in range(1, self._made + 1):
            self._engine.con.execute(f"DROP TABLE IF EXISTS held_{number}")
        self._tables.clear()
        self._kept.clear()

    def _hold(self, rows: pa.Table) -> Any:
        self._made += 1
        name = f"held_{self._made}"
        # Ibis asks DuckDB 2.0 for this by a statement that it does not know any more.
        raw = self._engine.con
        raw.register(f"arrow_{name}", rows)
        raw.execute(f"CREATE TABLE {name} AS SELECT * FROM arrow_{name}")
        raw.unregister(f"arrow_{name}")
        return self._engine.table(name)


@lru_cache(maxsize=1)
def _engine() -> Any:
    """Return the engine of this process, which writes no query twice.

    The repeats of a cell ask the same questions of tables with the same names, and turning an
    expression into SQL takes longer than answering it for so few rows.
    """
    engine = ibis.duckdb.connect(threads=1)
    compiled = engine.compile
    known: dict[Hashable, str] = {}

    def compile_once(expr: Any, /, **options: Any) -> str:
        if options.get("params"):
            return str(compiled(expr, **options))
        key = (expr.op(), tuple(sorted(options.items())))
        if key not in known:
            if len(known) >= _MOST_QUERIES:
                known.clear()
            known[key] = compiled(expr, **options)
        return known[key]

    engine.compile = compile_once
    return engine


_MOST_QUERIES = 2_000


def _plain(rows: pa.Table, columns: pa.Schema | None = None) -> pa.Table:
    """Return the rows without dictionaries, which the engine would turn into enumerations.

    Args:
        rows: some rows.
        columns: what a table has: other columns go, and missing ones are null.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    kinds = {
        f.name: f.type.value_type if pa.types.is_dictionary(f.type) else f.type
        for f in columns or rows.schema
    }
    whole: dict[str, Any] = {
        name: rows[name].cast(kind) if name in rows.column_names else pa.nulls(len(rows), kind)
        for name, kind in kinds.items()
    }
    return pa.table(whole)

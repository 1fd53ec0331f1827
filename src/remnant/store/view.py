"""Consistent snapshots: of one case, or of one table over all cases."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import ibis

from remnant.schema import ACTIVITY, SIGHTINGS
from remnant.store.activity import rollups
from remnant.store.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import date, datetime

    from ibis.expr.types import Table

    from remnant.schema import Table as TableSchema
    from remnant.settings import Settings
    from remnant.store.files import Folder
    from remnant.store.ledger import Ledger
    from remnant.store.records import FileRecord, SourceRecord

__all__ = ["Everything", "View"]

Answer = TypeVar("Answer")


class View:
    """What the ledger listed for one case at one moment.

    Files that are replaced later stay on disk for a while, so a view keeps working while others
    write. Its tables are Ibis expressions of one engine and can be joined.

    Attributes:
        case: name of the case.
        sources: what was read, oldest reading first.
        retired: sensors that are not expected any more, and since when.
        simulated: the case holds simulated sources.
    """

    def __init__(
        self,
        case: str,
        folder: Folder,
        ledger: Ledger,
        settings: Settings,
        *,
        beside: Engine | None = None,
    ) -> None:
        self.case = case
        self._beside = beside
        self._folder = folder
        self._settings = settings
        with ledger.reading() as connection:
            self.sources: Final[list[SourceRecord]] = ledger.sources(connection, case)
            self.retired: Final[dict[str, datetime]] = ledger.retired(connection)
            self._dirty = ledger.dirty_days(connection, case)
            self._files: dict[str, list[FileRecord]] = {}
            for file in ledger.files(connection, case, linked=False):
                self._files.setdefault(file.table, []).append(file)
        self.simulated = any(source.simulated for source in self.sources)
        self._tables: dict[str, Table] = {}
        self._kept: dict[Hashable, Table] = {}
        self._known: dict[Hashable, Any] = {}

    @cached_property
    def _engine(self) -> Engine:
        return Engine(self._folder, self._settings, beside=self._beside)

    def table(self, table: TableSchema) -> Table:
        """Return all rows of a stored table; a table without any has the right columns.

        ``schema.ACTIVITY`` always agrees with ``schema.SIGHTINGS``: days whose roll-ups are not
        made yet are rolled up in the expression.
        """
        if table.name not in self._tables:
            self._tables[table.name] = (
                self._activity() if table is ACTIVITY else self._stored(table)
            )
        return self._tables[table.name]

    def of_days(self, table: TableSchema, since: date, until: date) -> Table:
        """Return the rows of the days from one to before another; only their files are opened.

        For tables that are stored by day, but for ``schema.ACTIVITY``.
        """
        first, last = since.isoformat(), until.isoformat()
        files = [f for f in self._files.get(table.name, []) if first <= (f.day or "") < last]
        return self._engine.table(table, files)

    def rows_by_day(self, table: TableSchema) -> dict[str, int]:
        """Return how many rows each day (YYYY-MM-DD) of a table has, without asking the engine."""
        rows: dict[str, int] = {}
        for file in self._files.get(table.name, []):
            if file.day is not None:
                rows[file.day] = rows.get(file.day, 0) + file.rows
        return rows

    def has(self, table: TableSchema) -> bool:
        """Return whether a stored table has rows, without asking the engine."""
        return table.name in self._files

    def kept(self, key: Hashable, make: Callable[[], Table]) -> Table:
        """Return what ``make`` returned the first time for this key, its rows computed once.

        For what several questions begin with; the rows go to disk where they are many.
        """
        if key not in self._kept:
            self._kept[key] = self._engine.kept(make())
        return self._kept[key]

    def known(self, key: Hashable, make: Callable[[], Answer]) -> Answer:
        """Return what ``make`` returned the first time for this key.

        For small answers that several questions begin with: a view never changes. Nobody may
        change what is returned.
        """
        if key not in self._known:
            self._known[key] = make()
        return cast("Answer", self._known[key])

    def is_kept(self, key: Hashable) -> bool:
        """Return whether ``kept`` has the rows of this key already."""
        return key in self._kept

    def _stored(self, table: TableSchema) -> Table:
        return self._engine.table(table, self._files.get(table.name, []))

    def _activity(self) -> Table:
        made = [f for f in self._files.get(ACTIVITY.name, []) if f.day not in self._dirty]
        stored = self._engine.table(ACTIVITY, made)
        fresh = [f for f in self._files.get(SIGHTINGS.name, []) if f.day in self._dirty]
        if not fresh:
            return stored
        return ibis.union(stored, rollups(self._engine.table(SIGHTINGS, fresh)))

    def close(self) -> None:
        """Close the engine; the tables cannot be used after that."""
        if "_engine" in self.__dict__:
            self._engine.close()


class Everything:
    """One table of all cases at one moment; see ``View``.

    Attributes:
        sources: what was read for any case, oldest reading first; each case has its own record.
        table: the rows, an Ibis expression.
    """

    def __init__(
        self, table: TableSchema, folder: Folder, ledger: Ledger, settings: Settings
    ) -> None:
        with ledger.reading() as connection:
            self.sources: Final[list[SourceRecord]] = ledger.sources(connection, None)
            files = ledger.files(connection, None, table.name)
        self._engine = Engine(folder, settings)
        self.table: Final[Table] = self._engine.table(table, files)

    def close(self) -> None:
        """Close the engine; the table cannot be used after that."""
        self._engine.close()

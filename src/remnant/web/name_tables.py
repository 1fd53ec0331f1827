"""Parts of the tables that ``results.names`` made: a page of names, of servers, of the rest.

The tables may hold millions of rows; only what a page shows is read into Python.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from remnant.errors import NoData
from remnant.web.paging import read_cursor, write_cursor
from remnant.web.results.names import folder_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from pathlib import Path

    from remnant.settings import Settings

__all__ = ["SORTS", "Chosen", "Part", "Tables"]

Sort = Literal["queries", "clients", "first", "last", "name", "role", "state", "now"]

SORTS: Final[dict[str, bool]] = {
    "queries": True,
    "clients": True,
    "first": True,
    "last": True,
    "name": False,
    "role": False,
    "state": False,
    "now": False,
}
"""Columns by which names are sorted, and whether the largest come first by default."""

_TIMES: Final = frozenset({"first", "last"})
_WORDS: Final = frozenset({"name", "role", "state", "now"})
_TOTALS: Final = 500


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which names, in which order.

    Attributes:
        text: what stands in the name; empty: anything.
        role: of the rule; ``None``: any.
        state: of the rule, ``none`` for names without one; ``None``: any.
        now: what the records say; ``None``: anything.
        kind: ``exact``, ``below`` or ``seen``; ``None``: any.
        asked: only names that were asked for, or only those that were not; ``None``: both.
        sort: one of ``SORTS``.
        reverse: the other way round than is usual for the column.
    """

    text: str = ""
    role: str | None = None
    state: str | None = None
    now: str | None = None
    kind: str | None = None
    asked: bool | None = None
    sort: str = "queries"
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One page of rows.

    Attributes:
        rows: plain rows.
        total: how many rows there are on all pages.
        after: cursor of the next page; ``None``: this is the last.
        before: cursor of the page before; ``None``: this is the first.
    """

    rows: list[dict[str, Any]]
    total: int
    after: str | None
    before: str | None


class Tables:
    """The tables of one case, as one run of ``results.names`` left them.

    Raises:
        NoData: they are not there any more.
    """

    _engine: Any = None
    _turn = threading.Lock()
    _totals: ClassVar[OrderedDict[Hashable, int]] = OrderedDict()

    def __init__(self, settings: Settings, case: str, folder: str) -> None:
        self._folder: Path = folder_of(settings, case) / folder
        if not (self._folder / "watched.parquet").is_file():
            raise NoData("the names are being counted anew", where=case, hint="try again soon")

    @classmethod
    def _read(cls, path: Path) -> Any:
        import ibis

        if cls._engine is None:
            cls._engine = ibis.duckdb.connect(
                memory_limit="512MB", threads=2, autoinstall_known_extensions=False
            )
        # One name for whatever is read: a new one for each question would never be forgotten.
        return cls._engine.read_parquet(str(path), table_name="part")

    def _total(self, which: str, chosen: Hashable, table: Any) -> int:
        """Return how many rows there are; all pages of one choice ask for it."""
        key = (self._folder, which, chosen)
        if key not in self._totals:
            self._totals[key] = int(table.count().to_pyarrow().as_py())
            while len(self._totals) > _TOTALS:
                self._totals.popitem(last=False)
        return self._totals[key]

    def names(
        self,
        vantage: str | None,
        chosen: Chosen,
        *,
        limit: int,
        after: str | None = None,
        before: str | None = None,
    ) -> Part:
        """Return a page of names.

        Args:
            vantage: whose queries and clients are told; ``None`` where there is no traffic.
            chosen: which, in which order.
            limit: rows of a page.
            after: cursor; the page begins behind its row.
            before: cursor; the page ends before its row.

        Raises:
            RemnantError: a cursor is none.
        """
        with self._turn:
            table = self._read(self._folder / f"names-{vantage or 'none'}.parquet")
            table = _kept(table, chosen)
            total = self._total(f"names-{vantage}", replace(chosen, sort="", reverse=False), table)
            table = table.mutate(key=_sorted_by(table, chosen.sort))
            word = chosen.sort in _WORDS
            down = SORTS[chosen.sort] is not chosen.reverse
            rows, more = _page(
                table, [("key", str if word else int, down), ("text", str, False)], limit, after,
                before,
            )  # fmt: skip
        return _part(rows, ("key", "text"), total, more=more, after=after, before=before)

    def name(self, vantage: str | None, text: str) -> dict[str, Any] | None:
        """Return the row of one name or rule, or ``None``."""
        with self._turn:
            table = self._read(self._folder / f"names-{vantage or 'none'}.parquet")
            rows = table.filter(table.text == text).limit(1).to_pyarrow().to_pylist()
        return rows[0] if rows else None

    def servers(
        self,
        *,
        kinds: tuple[str, ...] = (),
        state: str | None = None,
        alive: bool | None = None,
        text: str = "",
        limit: int,
        after: str | None = None,
        before: str | None = None,
    ) -> Part:
        """Return a page of servers in the order of ``infrastructure.servers``: whom to ask first.

        Args:
            kinds: of ``infrastructure.server.Kind``; none: all.
            state: one state; ``None``: any.
            alive: only those that live, or only the others.
            text: what stands in the server's value or in whom to ask.
            limit: rows of a page.
            after: cursor; the page begins behind its row.
            before: cursor; the page ends before its row.

        Raises:
            RemnantError: a cursor is none.
        """
        with self._turn:
            table = self._read(self._folder / "servers.parquet")
            if kinds:
                table = table.filter(table.kind.isin(kinds))
            if state is not None:
                table = table.filter(table.state == state)
            if alive is not None:
                table = table.filter(table.alive == alive)
            if text:
                table = table.filter(
                    table.value.contains(text.lower()) | table.ask.lower().contains(text.lower())
                )
            total = int(table.count().to_pyarrow().as_py())
            rows, more = _page(table, [("number", int, False)], limit, after, before)
        part = _part(rows, ("number",), total, more=more, after=after, before=before)
        plain = [json.loads(row["text"]) for row in part.rows]
        return Part(plain, part.total, part.after, part.before)

    def all_servers(self) -> Iterator[dict[str, Any]]:
        """Yield every server and name, as its JSON, in the order of ``infrastructure.servers``."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._folder / "servers.parquet") as file:
            for batch in file.iter_batches(1000, columns=["text"]):
                for text in batch["text"].to_pylist():
                    yield json.loads(str(text))

    def server(self, kind: str, value: str) -> dict[str, Any] | None:
        """Return what is known of one server or name, as its JSON, or ``None``."""
        with self._turn:
            table = self._read(self._folder / "servers.parquet")
            mine = table.filter(table.kind == kind, table.value == value).limit(1)
            rows = mine.to_pyarrow().to_pylist()
        found: dict[str, Any] | None = json.loads(rows[0]["text"]) if rows else None
        return found

    def unlisted(
        self, *, kind: str | None, text: str, limit: int, after: str | None, before: str | None
    ) -> Part:
        """Return a page of what was asked for beside the list, in the order of ``unlisted``.

        Raises:
            RemnantError: a cursor is none.
        """
        with self._turn:
            table = self._read(self._folder / "unlisted.parquet")
            if kind is not None:
                table = table.filter(table.kind == kind)
            if text:
                table = table.filter(table.name.contains(text.lower()))
            total = int(table.count().to_pyarrow().as_py())
            rows, more = _page(table, [("number", int, False)], limit, after, before)
        return _part(rows, ("number",), total, more=more, after=after, before=before)


def _kept(table: Any, chosen: Chosen) -> Any:
    if chosen.text:
        table = table.filter(table.text.contains(chosen.text.lower()))
    if chosen.role is not None:
        table = table.filter(table.role == chosen.role)
    if chosen.state is not None:
        table = table.filter(
            table.state.isnull() if chosen.state == "none" else table.state == chosen.state
        )
    if chosen.now is not None:
        table = table.filter(table.now.fill_null("unknown") == chosen.now)
    if chosen.kind is not None:
        table = table.filter(table.kind == chosen.kind)
    if chosen.asked is not None:
        table = table.filter(table.queries > 0 if chosen.asked else table.queries == 0)
    return table


def _sorted_by(table: Any, sort: str) -> Any:
    """Return what names are sorted by: never null, so that a cursor can compare it."""
    if sort == "name":
        return table.text
    if sort in _TIMES:
        # The engine counts in fractions, whatever Ibis takes it for.
        return table[sort].epoch_seconds().cast("int64").fill_null(-1)
    return table[sort].fill_null("") if sort in _WORDS else table[sort]


def _page(
    table: Any,
    order: list[tuple[str, type, bool]],
    limit: int,
    after: str | None,
    before: str | None,
) -> tuple[list[dict[str, Any]], bool]:
    """Return the rows of a page, and whether there are more in the direction of reading.

    Args:
        table: all rows.
        order: columns, what they hold, and whether the largest come first.
        limit: rows of a page.
        after: cursor; null for the first page.
        before: cursor of the page behind; it has precedence.
    """
    import ibis

    back = before is not None
    cursor = before if back else after
    if cursor is not None:
        key = read_cursor(cursor, [kind for _, kind, _ in order])
        behind: Any = None
        same: Any = None
        for (name, _, down), value in zip(order, key, strict=True):
            column = table[name]
            beyond = column < value if down is not back else column > value
            here = beyond if same is None else same & beyond
            behind = here if behind is None else behind | here
            same = (column == value) if same is None else same & (column == value)
        table = table.filter(behind)
    table = table.order_by(
        [ibis.desc(name) if down is not back else ibis.asc(name) for name, _, down in order]
    )
    rows = table.limit(limit + 1).to_pyarrow().to_pylist()
    more = len(rows) > limit
    rows = rows[:limit]
    return (rows[::-1] if back else rows), more


def _part(
    rows: list[dict[str, Any]],
    keys: tuple[str, ...],
    total: int,
    *,
    more: bool,
    after: str | None,
    before: str | None,
) -> Part:
    """Return a page with the cursors of its neighbours."""

    def at(row: dict[str, Any]) -> str:
        return write_cursor([row[key] for key in keys])

    back = before is not None
    has_next = bool(rows) and (back or more)
    has_before = bool(rows) and (more if back else after is not None)
    return Part(
        [{name: _utc(value) for name, value in row.items() if name != "key"} for row in rows],
        total,
        at(rows[-1]) if has_next else None,
        at(rows[0]) if has_before else None,
    )


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value

"""Moving the small mutable state from one database to another, whole or not at all.

Everything is read from one state of the source, which nobody can change meanwhile, and written in
one transaction of the target. Before that is committed, every table of the target is read again:
its rows must be as many as those that were read, and have the same digest.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
import xxhash

from remnant.errors import StoreError
from remnant.store.database import WRITES, explained, make_tables, open_engine
from remnant.store.ledger import is_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Copied", "copy_state", "hidden"]

_ROWS: Final = 1_000
"""Rows that are held in memory."""
_MASK: Final = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class Copied:
    """One table that was copied.

    Attributes:
        table: its name.
        rows: counted in both databases.
        digest: of all rows, whatever their order: the same in both; 32 hex digits.
    """

    table: str
    rows: int
    digest: str


def hidden(url: str) -> str:
    """Return a database URL without its password.

    Raises:
        StoreError: it is none.
    """
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        raise StoreError(
            "this is no database URL",
            expected="a URL such as postgresql://user@host/remnant or sqlite:////folder/file",
        ) from None


def copy_state(
    source: str,
    target: str,
    tables: Sequence[sa.MetaData],
    *,
    told: Callable[[str], None] = lambda _: None,
) -> list[Copied]:
    """Copy all tables; the source stays as it is.

    Args:
        source: SQLAlchemy URL of the database in use.
        target: of one that holds none of these tables, or only empty ones.
        tables: of all rooms, together everything that is kept.
        told: hears the name of each table as it begins.

    Raises:
        StoreError: one of them cannot be read or written, the source is not there, the target holds
            something, or what arrived is not what was sent; the target is then as it was.
    """
    here, there = hidden(source), hidden(target)
    if sa.make_url(source) == sa.make_url(target):
        raise StoreError("this is the database in use", where=there)
    if is_missing(source):
        raise StoreError("there is nothing to copy: this database does not exist", where=here)
    with contextlib.ExitStack() as opened:
        opened.enter_context(_private(target))
        readable = opened.enter_context(_locked(source, here, tables))
        opened.enter_context(explained(there, "the other database"))
        engine = open_engine(target)
        opened.callback(engine.dispose)
        with engine.execution_options(**{WRITES: True}).begin() as writable:
            _refuse_taken(writable, there, tables)
            done = [
                _copied(readable, writable, table, there, told)
                for table in _ordered(readable, tables)
            ]
            for meta in tables:  # those that the source does not have yet
                make_tables(writable, meta)
    return done


def _ordered(connection: sa.Connection, tables: Sequence[sa.MetaData]) -> list[sa.Table]:
    """Return the tables that are there, those that others refer to first."""
    there = set(sa.inspect(connection).get_table_names())
    return [t for meta in tables for t in meta.sorted_tables if t.name in there]


@contextlib.contextmanager
def _locked(url: str, where: str, tables: Sequence[sa.MetaData]) -> Iterator[sa.Connection]:
    """Yield a connection that sees one state, while nobody can write."""
    with explained(where, "the database in use"):
        engine = open_engine(url)
        try:
            with (
                engine.execution_options(**{WRITES: True}).connect() as connection,
                connection.begin(),
            ):
                if connection.dialect.name == "postgresql":
                    names = ", ".join(
                        connection.dialect.identifier_preparer.quote(table.name)
                        for table in _ordered(connection, tables)
                    )
                    if names:
                        connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE MODE")
                yield connection
        finally:
            engine.dispose()


def _refuse_taken(connection: sa.Connection, where: str, tables: Sequence[sa.MetaData]) -> None:
    """Refuse a target in which anything of ours stands."""
    for table in _ordered(connection, tables):
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise StoreError(
                "the other database is not empty; nothing was copied",
                where=where,
                got=f"rows in the table {table.name}",
                expected="a database in which nothing of Remnant stands",
                hint="name a new one, or take away what stands there yourself",
            )


def _copied(
    source: sa.Connection,
    target: sa.Connection,
    table: sa.Table,
    where: str,
    told: Callable[[str], None],
) -> Copied:
    told(table.name)
    table.metadata.create_all(target, tables=[table])
    sent = _Digest()
    # Its own types read and write each column: the same value, whatever the database makes of it.
    for part in source.execute(_all(table)).partitions(_ROWS):
        sent.add(part)
        target.execute(sa.insert(table), [dict(row._mapping) for row in part])  # noqa: SLF001 - SQLAlchemy's public way
    arrived = _Digest()
    for part in target.execute(_all(table)).partitions(_ROWS):
        arrived.add(part)
    if (sent.rows, sent.text) != (arrived.rows, arrived.text):
        raise StoreError(
            "what arrived is not what was sent; nothing was copied",
            where=f"{where}: {table.name}",
            got=f"{arrived.rows} rows, digest {arrived.text}",
            expected=f"{sent.rows} rows, digest {sent.text}",
        )
    _count_on(target, table)
    return Copied(table.name, sent.rows, sent.text)


def _all(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table).execution_options(yield_per=_ROWS)


class _Digest:
    """The sum of a digest of each row: neither order nor the size of the parts matters."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, rows: Sequence[sa.Row[Any]]) -> None:
        self.rows += len(rows)
        for row in rows:
            written = repr(tuple(map(_plain, row))).encode("utf-8", "surrogatepass")
            self._sum = (self._sum + xxhash.xxh3_128_intdigest(written)) & _MASK

    @property
    def text(self) -> str:
        return f"{self._sum:032x}"


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


def _count_on(connection: sa.Connection, table: sa.Table) -> None:
    """Let PostgreSQL number new rows after those that were copied, as SQLite does by itself."""
    column = table.autoincrement_column
    if column is None or connection.dialect.name != "postgresql":
        return
    sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
    most = connection.scalar(sa.select(sa.func.max(column)))
    if most is not None:
        connection.execute(sa.select(sa.func.setval(sequence, most)))


@contextlib.contextmanager
def _private(url: str) -> Iterator[None]:
    """Make the file of an SQLite database for its owner alone; it goes again after a failure."""
    address = sa.make_url(url)
    if address.get_backend_name() != "sqlite" or not address.database:
        yield
        return
    file = Path(address.database)
    is_new = not file.exists()
    if is_new:
        try:
            file.touch(mode=0o600)
        except OSError as error:
            raise StoreError(
                "the other database cannot be made", where=str(file), got=error.strerror
            ) from None
    try:
        yield
    except BaseException:
        if is_new:
            file.unlink(missing_ok=True)
        raise

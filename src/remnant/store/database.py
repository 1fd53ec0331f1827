"""The database of the small mutable state: SQLite in the home folder, or what a setting names.

Nothing here is SQLite's own but the pragmas and how a transaction begins; nothing is PostgreSQL's
own but the driver's name and the locks that stand for SQLite's one writer at a time.
"""

from __future__ import annotations

import contextlib
import zlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from remnant.errors import StoreError
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WRITES", "Time", "explained", "make_tables", "open_engine", "take_turn"]

WRITES: Final = "remnant_writes"
"""Execution option of a connection that reads and then writes: it has its turn from the start."""
_OURS: Final = 0x52454D4E
"""First half of the keys of our advisory locks; any number that others do not use."""


class Time(sa.types.TypeDecorator[datetime]):
    """A UTC time as microseconds since 1970: the same in every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return microseconds."""
        return None if value is None else to_us(value)

    def process_result_value(self, value: int | None, dialect: object) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the time, aware."""
        return None if value is None else _from_us(value)


def _from_us(value: int) -> datetime:
    return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)


@lru_cache(maxsize=8)
def _pattern(url: str) -> tuple[sa.Engine, dict[Any, Any]]:
    """Return an engine that nothing uses, and the statements that were compiled for its like."""
    address = sa.make_url(url)
    if address.drivername == "postgresql":
        # The driver that the extra "postgresql" installs; SQLAlchemy 2.0 would take another one.
        address = address.set(drivername="postgresql+psycopg")
    try:
        # A server may have been restarted since a connection was last used; a file never is.
        engine = sa.create_engine(address, pool_pre_ping=address.get_backend_name() != "sqlite")
    except ModuleNotFoundError as error:
        raise StoreError(
            "the driver of this database is not installed",
            where=address.render_as_string(hide_password=True),
            got=f"no module {error.name}",
            hint='pip install "remnant[postgresql]"',
        ) from None
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - a driver's own
            # The driver must not open transactions by itself: "begin" below does.
            connection.isolation_level = None
            for pragma in (
                "busy_timeout = 10000",
                "journal_mode = DELETE",  # readable on a full disk and on one that is read-only
                "synchronous = FULL",
                "foreign_keys = ON",
                "secure_delete = ON",
            ):
                connection.execute(f"PRAGMA {pragma}").close()

    return engine, {}


def open_engine(url: str) -> sa.Engine:
    """Return an engine with connections of its own.

    To compile the statements takes longer than to execute them, and a ledger may be opened each
    second: all of one address share what is compiled.
    """
    pattern, compiled = _pattern(url)
    engine = sa.Engine(
        pattern.pool.recreate(),
        pattern.dialect,
        pattern.url,
        execution_options={"compiled_cache": compiled},
    )
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            writes = connection.get_execution_options().get(WRITES)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def make_tables(connection: sa.Connection, tables: sa.MetaData) -> None:
    """Make the tables that are missing, within a transaction; several processes may do so."""
    take_turn(connection, "tables")
    tables.create_all(connection)


def take_turn(connection: sa.Connection, what: str) -> None:
    """Wait until nobody else changes the same, and let nobody until the transaction ends.

    SQLite lets one write at a time, from the begin of who said ``WRITES``; PostgreSQL would let two
    see what neither has changed yet.
    """
    if connection.dialect.name == "postgresql":
        key = zlib.crc32(what.encode()) - (1 << 31)
        connection.execute(
            sa.select(
                sa.func.pg_advisory_xact_lock(sa.cast(_OURS, sa.Integer), sa.cast(key, sa.Integer))
            )
        )


@contextlib.contextmanager
def explained(where: str, what: str) -> Iterator[None]:
    """Let a failure of the database say where it is, and what was asked of it.

    Raises:
        StoreError: something within failed.
    """
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        raise StoreError(
            f"{what} cannot be read or written",
            where=where,
            got=reason,
            hint="check free space and permissions; what was stored before is unchanged",
        ) from error

"""The tables of accounts, in the same database as the ledger."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from remnant.store.database import WRITES, Time, explained, make_tables, open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.settings import Settings

__all__ = [
    "ACCOUNT",
    "AUDIT",
    "AUDIT_OUTCOME",
    "LOGIN_TRY",
    "RECOVERY_CODE",
    "SECOND_FACTOR",
    "SESSION",
    "TABLES",
    "TOKEN",
    "Database",
]

_WHAT: Final = "the accounts"
TABLES: Final = sa.MetaData()
ACCOUNT: Final = sa.Table(
    "account",
    TABLES,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("password", sa.Text, nullable=False),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("networks", sa.Text, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("last_login", Time),
)
SESSION: Final = sa.Table(
    "web_session",
    TABLES,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False, index=True),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("seen", Time, nullable=False),
    sa.Column("expires", Time, nullable=False),
)
TOKEN: Final = sa.Table(
    "api_token",
    TABLES,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("account", sa.String(64), nullable=False, index=True),
    sa.Column("label", sa.String(80), nullable=False),
    sa.Column("scopes", sa.String(80), nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("expires", Time, nullable=False),
    sa.Column("last_used", Time),
)
AUDIT: Final = sa.Table(
    "audit",
    TABLES,
    sa.Column(
        "id",
        # SQLite counts up by itself for this type alone.
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("at", Time, nullable=False, index=True),
    sa.Column("account", sa.String(64), nullable=False, index=True),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(200), nullable=False),
)
AUDIT_OUTCOME: Final = sa.Table(
    "audit_outcome",
    TABLES,
    sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("outcome", sa.String(200), nullable=False),
)
"""Of entries that were not simply done: a table of its own, for logs that were begun without."""
LOGIN_TRY: Final = sa.Table(
    "login_try",
    TABLES,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("last", Time, nullable=False, index=True),
    sa.Column("until", Time, nullable=False),
)
SECOND_FACTOR: Final = sa.Table(
    "second_factor",
    TABLES,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("confirmed", sa.Boolean, nullable=False),
    sa.Column("last_step", sa.BigInteger, nullable=False),
)
RECOVERY_CODE: Final = sa.Table(
    "recovery_code",
    TABLES,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False, index=True),
)


class Database:
    """Where accounts are kept. Safe to use from many threads.

    Args:
        settings: of the home folder.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = sa.make_url(settings.database_url)
        self._where = self._url.render_as_string(hide_password=True)
        self._known: frozenset[str] = frozenset()
        with explained(self._where, _WHAT):
            self._engine = open_engine(settings.database_url)
        self._writer = self._engine.execution_options(**{WRITES: True})

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    def has(self, table: sa.Table) -> bool:
        """Return whether somebody has made a table yet."""
        return table.name in self._known or table.name in self._find()

    @contextlib.contextmanager
    def reading(self, table: sa.Table = AUDIT) -> Iterator[sa.Connection | None]:
        """Yield a connection, or ``None`` where nobody has made a table yet.

        Args:
            table: of those that are to be read, the one that was thought of last.
        """
        if not self.has(table):
            yield None
            return
        with explained(self._where, _WHAT), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection; leaving without an exception is the commit point."""
        with explained(self._where, _WHAT):
            if not TABLES.tables.keys() <= self._known and not TABLES.tables.keys() <= self._find():
                self._make()
            with self._writer.begin() as connection:
                yield connection

    def _find(self) -> frozenset[str]:
        """Return the names of the tables that are there."""
        file = self._file()
        if file is not None and not file.exists():
            return frozenset()
        with explained(self._where, _WHAT), self._engine.connect() as connection:
            self._known = frozenset(sa.inspect(connection).get_table_names())
        return self._known

    def _make(self) -> None:
        file = self._file()
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(mode=0o600)
            # Hashes of passwords lie in it from now on: nothing for the machine's other users.
            os.chmod(file, file.stat().st_mode & 0o770)  # noqa: PTH101 - as the line above reads
        with self._writer.begin() as connection:
            make_tables(connection, TABLES)
        self._known |= TABLES.tables.keys()

    def _file(self) -> Path | None:
        if self._url.get_backend_name() != "sqlite" or not self._url.database:
            return None
        return Path(self._url.database)

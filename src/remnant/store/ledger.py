"""The ledger: which sources were read, and which files are in the store.

One transaction of this database is the commit point of everything that changes the store. It is
SQLite in the home folder, or whatever the setting ``database`` names; nothing here is SQLite's own
but the pragmas.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from remnant.errors import SchemaMismatch
from remnant.store.database import Time, explained, make_tables, open_engine
from remnant.store.records import Extent, FileRecord, Prefix, SourceRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

__all__ = ["TABLES", "Ledger", "is_missing"]

VERSION: Final = 2
"""Version 2 knows the order of files (``file_key``); a version 1 ledger has none in order."""
_CHUNK: Final = 500
"""Values of one ``IN`` list; databases bound the parameters of a statement."""


TABLES: Final = sa.MetaData()

_FACT = sa.Table(
    "store_fact",
    TABLES,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
_SOURCE = sa.Table(
    "source",
    TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("case", sa.String(63), nullable=False, index=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("format", sa.String(40), nullable=False),
    sa.Column("reading", sa.Text, nullable=False),
    sa.Column("sensor", sa.Text),
    sa.Column("vantage", sa.String(20), nullable=False),
    sa.Column("watchlist", sa.String(32), nullable=False),
    sa.Column("digest", sa.String(32), nullable=False),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in ("bytes", "start", "records", "messages", "query_messages", "matched")
    ),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in ("malformed", "skipped", "clock_faults")
    ),
    sa.Column("first", Time),
    sa.Column("last", Time),
    sa.Column("read_at", Time, nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("simulated", sa.Boolean, nullable=False),
)
_PREFIX = sa.Table(
    "source_prefix",
    TABLES,
    sa.Column(
        "source", sa.ForeignKey("source.id", ondelete="CASCADE"), primary_key=True, nullable=False
    ),
    sa.Column("bytes", sa.BigInteger, primary_key=True),
    sa.Column("digest", sa.String(32), nullable=False),
    sa.Column("head", sa.String(32), nullable=False, index=True),
)
_FILE = sa.Table(
    "file",
    TABLES,
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("case", sa.String(63), nullable=False),
    sa.Column("table", sa.String(40), nullable=False),
    sa.Column("day", sa.String(10)),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("replaced_at", Time),
    sa.Index("file_by_case", "case", "table", "day"),
)
_FILE_SOURCE = sa.Table(
    "file_source",
    TABLES,
    sa.Column("path", sa.ForeignKey("file.path", ondelete="CASCADE"), primary_key=True),
    sa.Column("source", sa.String(32), primary_key=True, index=True),
)
_FILE_KEY = sa.Table(
    "file_key",
    TABLES,
    sa.Column("path", sa.ForeignKey("file.path", ondelete="CASCADE"), primary_key=True),
    sa.Column("run", sa.String(32), nullable=False),
    sa.Column("low", sa.LargeBinary, nullable=False),
    sa.Column("high", sa.LargeBinary, nullable=False),
)
_RETIRED = sa.Table(
    "retired_sensor",
    TABLES,
    sa.Column("sensor", sa.String(255), primary_key=True),
    sa.Column("at", Time, nullable=False),
)
_DIRTY = sa.Table(
    "dirty_day",
    TABLES,
    sa.Column("case", sa.String(63), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
)
_FIELDS: Final = tuple(field.name for field in dataclasses.fields(SourceRecord))


class Ledger:
    """The database beside the Parquet files.

    Args:
        url: SQLAlchemy URL.
        create: make the tables if they are missing; else a missing ledger is an empty one.

    Attributes:
        is_stand_in: the ledger is missing, this empty one stands for it.
    """

    def __init__(self, url: str, *, create: bool) -> None:
        self._where = sa.make_url(url).render_as_string(hide_password=True)
        with explained(self._where, "the ledger"):
            self._engine = open_engine(url)
            with self._engine.connect() as connection:
                tables = sa.inspect(connection).get_table_names()
            found = _FACT.name in tables
            self._ordered = _FILE_KEY.name in tables or not found
            self.is_stand_in = not found and not create
            if self.is_stand_in:
                self._engine.dispose()
                self._engine = open_engine("sqlite://")
            if not found:
                with self._engine.begin() as connection:
                    make_tables(connection, TABLES)
                    self._set_fact(connection, "version", str(VERSION))
        version = self.fact("version") or "0"
        if int(version) > VERSION:
            raise SchemaMismatch(
                "the ledger was written by a newer Remnant",
                where=self._where,
                got=f"version {version}",
                expected=f"version {VERSION} or older",
                hint="update Remnant",
            )
        if create and int(version) < VERSION:
            with self.writing() as connection:
                make_tables(connection, TABLES)
                self._set_fact(connection, "version", str(VERSION))
            self._ordered = True

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection whose statements all see the same state."""
        with explained(self._where, "the ledger"), self._engine.connect() as connection:
            if self._engine.dialect.name != "sqlite":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection; leaving without an exception is the commit point."""
        with explained(self._where, "the ledger"), self._engine.begin() as connection:
            yield connection
            self._set_fact(connection, "revision", secrets.token_hex(8))

    def revision(self) -> str:
        """Return a short text that each commit changes: the cheapest question there is."""
        return self.fact("revision") or ""

    def mark_observed(self, connection: sa.Connection) -> None:
        """Say that dated facts, which belong to no file, have changed."""
        self._set_fact(connection, "observed", secrets.token_hex(8))

    def stamp(self, case: str) -> str:
        """Return a short text that changes whenever what is stored for a case changes."""
        mine = sa.select(_FILE.c.path).where(_FILE.c.case == case, _FILE.c.replaced_at.is_(None))
        with self.reading() as connection:
            told = (
                sorted(connection.scalars(mine)),
                sorted(self.dirty_days(connection, case)),
                sorted(self.retired(connection).items()),
                connection.scalar(sa.select(_FACT.c.value).where(_FACT.c.name == "observed")),
            )
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]

    # Facts of the store as a whole.

    def fact(self, name: str) -> str | None:
        """Return one fact: version, store, key, revision, observed."""
        with self.reading() as connection:
            value: str | None = connection.scalar(
                sa.select(_FACT.c.value).where(_FACT.c.name == name)
            )
        return value

    def set_fact(self, name: str, value: str) -> None:
        """Store one fact."""
        with self.writing() as connection:
            self._set_fact(connection, name, value)

    @staticmethod
    def _set_fact(connection: sa.Connection, name: str, value: str) -> None:
        connection.execute(sa.delete(_FACT).where(_FACT.c.name == name))
        connection.execute(sa.insert(_FACT).values(name=name, value=value))

    # Sources.

    def sources(
        self, connection: sa.Connection, case: str | None, ids: Collection[str] | None = None
    ) -> list[SourceRecord]:
        """Return the sources of a case (``None``: of every case), oldest reading first."""
        query = sa.select(*(_SOURCE.c[name] for name in _FIELDS)).order_by(
            _SOURCE.c.read_at, _SOURCE.c.id
        )
        if case is not None:
            query = query.where(_SOURCE.c.case == case)
        rows = (
            connection.execute(query)
            if ids is None
            else (
                row
                for part in _parts(ids)
                for row in connection.execute(query.where(_SOURCE.c.id.in_(part)))
            )
        )
        return [SourceRecord(*row) for row in rows]

    def simulated(self, connection: sa.Connection, case: str) -> bool | None:
        """Return whether a case holds simulated sources; ``None`` if it holds none at all."""
        value: bool | None = connection.scalar(
            sa.select(_SOURCE.c.simulated).where(_SOURCE.c.case == case).limit(1)
        )
        return value

    def extent(self, connection: sa.Connection, case: str) -> Extent:
        """Return how far the sources of a case reach."""
        columns = _SOURCE.c
        query = sa.select(
            sa.func.max(columns.last, type_=Time),
            sa.func.max(columns.read_at, type_=Time),
            sa.func.coalesce(sa.func.sum(columns.matched), 0),
            sa.func.max(sa.cast(columns.simulated, sa.Integer)),
        ).where(columns.case == case)
        last, read_at, matched, simulated = connection.execute(query).one()
        return Extent(last, read_at, int(matched), None if simulated is None else bool(simulated))

    def short_lengths(self, connection: sa.Connection, case: str, limit: int) -> list[int]:
        """Return the distinct lengths below ``limit`` of a case's sources and their prefixes."""
        query = (
            sa.select(_PREFIX.c.bytes)
            .join(_SOURCE, _SOURCE.c.id == _PREFIX.c.source)
            .where(_SOURCE.c.case == case, _PREFIX.c.bytes < limit)
            .distinct()
        )
        return list(connection.scalars(query))

    def prefixes(
        self, connection: sa.Connection, case: str, heads: Collection[str]
    ) -> list[Prefix]:
        """Return the prefixes of a case's sources whose head has one of these digests."""
        query = (
            sa.select(_PREFIX)
            .join(_SOURCE, _SOURCE.c.id == _PREFIX.c.source)
            .where(_SOURCE.c.case == case)
        )
        return [
            Prefix(*row)
            for part in _parts(heads)
            for row in connection.execute(query.where(_PREFIX.c.head.in_(part)))
        ]

    def put_source(self, connection: sa.Connection, record: SourceRecord) -> None:
        """Insert or replace the row of a source."""
        values = dataclasses.asdict(record)
        done = connection.execute(
            sa.update(_SOURCE).where(_SOURCE.c.id == record.id).values(values)
        )
        if not done.rowcount:
            connection.execute(sa.insert(_SOURCE).values(values))

    def put_prefix(self, connection: sa.Connection, prefix: Prefix) -> None:
        """Remember a length at which a source ended."""
        self.drop_prefix(connection, prefix.source, prefix.bytes)
        connection.execute(sa.insert(_PREFIX).values(dataclasses.asdict(prefix)))

    def drop_prefix(self, connection: sa.Connection, source: str, length: int) -> None:
        """Forget a length at which a source ended."""
        connection.execute(
            sa.delete(_PREFIX).where(_PREFIX.c.source == source, _PREFIX.c.bytes == length)
        )

    # Files.

    def files(
        self,
        connection: sa.Connection,
        case: str | None,
        table: str | None = None,
        *,
        source: str | None = None,
        days: Collection[str] | None = None,
        linked: bool = True,
    ) -> list[FileRecord]:
        """Return the listed files of a case in order of table and day, with their sources.

        ``case`` is ``None`` for those of every case; without ``linked`` no sources are told.
        """
        where: list[sa.ColumnElement[bool]] = [_FILE.c.replaced_at.is_(None)]
        if case is not None:
            where.append(_FILE.c.case == case)
        if table is not None:
            where.append(_FILE.c.table == table)
        if source is not None:
            holds = sa.select(_FILE_SOURCE.c.path).where(_FILE_SOURCE.c.source == source)
            where.append(_FILE.c.path.in_(holds))
        names = ("path", "case", "table", "day", "rows", "bytes", "version")
        columns: list[Any] = [_FILE.c[name] for name in names]
        query = sa.select(*columns)
        if self._ordered:
            columns += [_FILE_KEY.c[name] for name in ("run", "low", "high")]
            query = sa.select(*columns).outerjoin(_FILE_KEY, _FILE_KEY.c.path == _FILE.c.path)
        query = query.where(*where)
        rows = connection.execute(query.order_by(_FILE.c.table, _FILE.c.day, _FILE.c.path)).all()
        if days is not None:
            rows = [row for row in rows if row.day in days]
        if not linked:
            return [_file_record(row, frozenset()) for row in rows]
        links: dict[str, set[str]] = {}
        for path, identifier in connection.execute(
            sa.select(_FILE_SOURCE.c.path, _FILE_SOURCE.c.source)
            .join(_FILE, _FILE.c.path == _FILE_SOURCE.c.path)
            .where(*where)
        ):
            links.setdefault(path, set()).add(identifier)
        return [_file_record(row, frozenset(links.get(row.path, ()))) for row in rows]

    def add_files(self, connection: sa.Connection, files: Iterable[FileRecord]) -> None:
        """List new files."""
        rows, links, keys = [], [], []
        for file in files:
            values = {name: getattr(file, name) for name in ("path", "case", "table", "day")}
            rows.append(values | {"rows": file.rows, "bytes": file.bytes, "version": file.version})
            links += [{"path": file.path, "source": source} for source in sorted(file.sources)]
            if file.run is not None:
                keys.append(
                    {"path": file.path, "run": file.run, "low": file.low, "high": file.high}
                )
        if rows:
            connection.execute(sa.insert(_FILE), rows)
        if links:
            connection.execute(sa.insert(_FILE_SOURCE), links)
        if keys:
            connection.execute(sa.insert(_FILE_KEY), keys)

    def replace_files(
        self, connection: sa.Connection, paths: Collection[str], at: datetime
    ) -> None:
        """Take files out of the list; readers that already hold them may finish."""
        for part in _parts(paths):
            connection.execute(
                sa.update(_FILE).where(_FILE.c.path.in_(part)).values(replaced_at=at)
            )
            for also in (_FILE_SOURCE, _FILE_KEY):
                connection.execute(sa.delete(also).where(also.c.path.in_(part)))

    def all_paths(self) -> set[str]:
        """Return every file that the store still needs, also those that were replaced."""
        with self.reading() as connection:
            return set(connection.scalars(sa.select(_FILE.c.path)))

    def replaced_before(self, time: datetime) -> list[str]:
        """Return the files that were replaced before a time."""
        with self.reading() as connection:
            return list(
                connection.scalars(sa.select(_FILE.c.path).where(_FILE.c.replaced_at < time))
            )

    def forget_files(self, connection: sa.Connection, paths: Collection[str]) -> None:
        """Remove files from the ledger."""
        for part in _parts(paths):
            connection.execute(sa.delete(_FILE).where(_FILE.c.path.in_(part)))

    def forget_case(self, connection: sa.Connection, case: str) -> list[str]:
        """Remove all of a case; return the paths of its files, replaced ones too."""
        mine = sa.select(_FILE.c.path).where(_FILE.c.case == case)
        paths = list(connection.scalars(mine))
        for also in (_FILE_SOURCE, _FILE_KEY):
            connection.execute(sa.delete(also).where(also.c.path.in_(mine)))
        connection.execute(sa.delete(_FILE).where(_FILE.c.case == case))
        sources = sa.select(_SOURCE.c.id).where(_SOURCE.c.case == case)
        connection.execute(sa.delete(_PREFIX).where(_PREFIX.c.source.in_(sources)))
        connection.execute(sa.delete(_SOURCE).where(_SOURCE.c.case == case))
        connection.execute(sa.delete(_DIRTY).where(_DIRTY.c.case == case))
        return paths

    def cases(self) -> list[str]:
        """Return the names of the cases that hold sources."""
        with self.reading() as connection:
            return sorted(connection.scalars(sa.select(_SOURCE.c.case).distinct()))

    # Days whose roll-ups are not yet made.

    def dirty_days(self, connection: sa.Connection, case: str) -> set[str]:
        """Return the days whose roll-ups do not agree with the sightings."""
        return set(connection.scalars(sa.select(_DIRTY.c.day).where(_DIRTY.c.case == case)))

    def mark_dirty(self, connection: sa.Connection, case: str, days: Collection[str]) -> None:
        """Say that the roll-ups of these days must be made again."""
        new = sorted(set(days) - self.dirty_days(connection, case))
        if new:
            connection.execute(sa.insert(_DIRTY), [{"case": case, "day": day} for day in new])

    def mark_clean(self, connection: sa.Connection, case: str, days: Collection[str]) -> None:
        """Say that the roll-ups of these days agree with the sightings."""
        for part in _parts(days):
            connection.execute(
                sa.delete(_DIRTY).where(_DIRTY.c.case == case, _DIRTY.c.day.in_(part))
            )

    # Sensors.

    def retired(self, connection: sa.Connection) -> dict[str, datetime]:
        """Return from when on which sensors are not expected any more."""
        return {row.sensor: row.at for row in connection.execute(sa.select(_RETIRED))}

    def set_retired(self, connection: sa.Connection, at: Mapping[str, datetime | None]) -> None:
        """Retire sensors, or with ``None`` expect them again."""
        for sensor, time in at.items():
            connection.execute(sa.delete(_RETIRED).where(_RETIRED.c.sensor == sensor))
            if time is not None:
                connection.execute(sa.insert(_RETIRED).values(sensor=sensor, at=time))


def _file_record(row: Any, sources: frozenset[str]) -> FileRecord:  # noqa: ANN401 - SQLAlchemy
    values = {name: value for name, value in row._mapping.items() if value is not None}  # noqa: SLF001 - public in SQLAlchemy
    values.setdefault("day", None)
    return FileRecord(**values, sources=sources)


def is_missing(url: str) -> bool:
    """Return whether a URL names an SQLite file that does not exist."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return False
    return not Path(parsed.database).exists()


def _parts(values: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]

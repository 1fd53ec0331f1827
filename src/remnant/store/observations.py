"""Dated facts about names and networks: small, from others, kept with their history.

Registration data that people import, and answers that a resolver gave. They are no traffic: nothing
counts them. A fact is what was said of one thing at one time; the same fact said twice is one, and
the order in which they come does not matter. Of one thing the newest MOST_OF_ONE are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
import xxhash

from remnant.store.database import make_tables
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from remnant.store.ledger import Ledger

__all__ = ["EVERYONE", "MOST_OF_ONE", "TABLES", "Observation", "Observations"]

EVERYONE: Final = ""
"""The case of what belongs to no case: every case that is not simulated sees it."""

MOST_OF_ONE: Final = 1000
"""Facts of one thing that are kept, the newest ones."""

_CHUNK: Final = 300

TABLES: Final = sa.MetaData()
_OBSERVATION: Final = sa.Table(
    "observation",
    TABLES,
    sa.Column("case", sa.String(63), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("key", sa.String(1024), primary_key=True),
    sa.Column("observed", sa.BigInteger, primary_key=True),
    sa.Column("digest", sa.String(32), primary_key=True),
)
_BODY: Final = sa.Table(
    "observation_body",
    TABLES,
    sa.Column("digest", sa.String(32), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Observation:
    """What was said of one thing at one time.

    Attributes:
        case: the case that it belongs to, or EVERYONE.
        kind: what the thing is: domain, network, autnum, entity, nameserver or answer.
        key: which one; folded name, range of addresses, AS number, handle.
        observed: when it was said (UTC).
        body: what was said: JSON text, the same bytes for the same content.
    """

    case: str
    kind: str
    key: str
    observed: datetime
    body: str

    @property
    def digest(self) -> str:
        """The xxh3-128 of the body."""
        return str(xxhash.xxh3_128_hexdigest(self.body.encode()))


class Observations:
    """The facts that stand in the ledger's database.

    Args:
        ledger: open; who writes holds the store's writer lock.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def put(self, found: Iterable[Observation]) -> int:
        """Keep facts; return how many were not known, in one transaction."""
        rows = {
            (one.case, one.kind, one.key, to_us(one.observed), one.digest): one for one in found
        }
        if not rows:
            return 0
        with self._ledger.writing() as connection:
            make_tables(connection, TABLES)
            known = self._known(connection, {row[:3] for row in rows})
            new = [row for row in rows if row not in known]
            bodies = {row[4]: rows[row].body for row in new}
            for part in _parts(list(bodies)):
                have = set(
                    connection.scalars(sa.select(_BODY.c.digest).where(_BODY.c.digest.in_(part)))
                )
                fresh = [{"digest": d, "body": bodies[d]} for d in part if d not in have]
                if fresh:
                    connection.execute(sa.insert(_BODY), fresh)
            names = [column.name for column in _OBSERVATION.columns]
            if new:
                values = [dict(zip(names, row, strict=True)) for row in sorted(new)]
                connection.execute(sa.insert(_OBSERVATION), values)
            self._trim(connection, {row[:3] for row in new})
            if new:
                self._ledger.mark_observed(connection)
        return len(new)

    def of(
        self, kind: str, cases: Collection[str], keys: Collection[str] | None = None
    ) -> list[Observation]:
        """Return the facts of one kind, the oldest first.

        Args:
            kind: what the things are.
            cases: whose facts; EVERYONE for those of no case.
            keys: which things; ``None``: all.
        """
        columns = _OBSERVATION.c
        query = (
            sa.select(columns.case, columns.kind, columns.key, columns.observed, _BODY.c.body)
            .join(_BODY, _BODY.c.digest == columns.digest)
            .where(columns.kind == kind, columns.case.in_(sorted(cases)))
        )
        with self._ledger.reading() as connection:
            if not sa.inspect(connection).has_table(_OBSERVATION.name):
                return []
            queries = (
                [query]
                if keys is None
                else [query.where(columns.key.in_(part)) for part in _parts(sorted(set(keys)))]
            )
            rows = [row for each in queries for row in connection.execute(each)]
        rows.sort(key=lambda row: (row.observed, row.key, row.body))
        return [
            Observation(row.case, row.kind, row.key, _from_us(row.observed), row.body)
            for row in rows
        ]

    def forget(self, case: str) -> int:
        """Remove the facts of a case; return how many there were."""
        with self._ledger.writing() as connection:
            if not sa.inspect(connection).has_table(_OBSERVATION.name):
                return 0
            done = connection.execute(sa.delete(_OBSERVATION).where(_OBSERVATION.c.case == case))
            self._sweep(connection)
            self._ledger.mark_observed(connection)
        return int(done.rowcount)

    def _known(
        self, connection: sa.Connection, things: set[tuple[str, str, str]]
    ) -> set[tuple[object, ...]]:
        columns = _OBSERVATION.c
        query = sa.select(_OBSERVATION)
        return {
            tuple(row)
            for part in _parts(sorted({key for _, _, key in things}))
            for row in connection.execute(query.where(columns.key.in_(part)))
        }

    def _trim(self, connection: sa.Connection, things: set[tuple[str, str, str]]) -> None:
        """Drop the oldest facts of things that have too many."""
        columns = _OBSERVATION.c
        dropped = 0
        for case, kind, key in sorted(things):
            mine = sa.and_(columns.case == case, columns.kind == kind, columns.key == key)
            newest = (columns.observed.desc(), columns.digest.desc())
            query = sa.select(columns.observed, columns.digest).where(mine).order_by(*newest)
            for observed, digest in connection.execute(query.offset(MOST_OF_ONE)).all():
                one = sa.and_(mine, columns.observed == observed, columns.digest == digest)
                connection.execute(sa.delete(_OBSERVATION).where(one))
                dropped += 1
        if dropped:
            self._sweep(connection)

    @staticmethod
    def _sweep(connection: sa.Connection) -> None:
        used = sa.select(_OBSERVATION.c.digest)
        connection.execute(sa.delete(_BODY).where(_BODY.c.digest.not_in(used)))


def _from_us(value: int) -> datetime:
    return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)


def _parts(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]

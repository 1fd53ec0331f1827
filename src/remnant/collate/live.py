"""Sources that are still being written: what each gained, of many cases, in one commit.

``ingest`` reads a source to its end and decides afterwards. A live source is known from its first
byte and only ever grows, so what it gained is simply added, and the ledger says how far it came.
The rows, counts and files are those that ``ingest`` would have made of the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from remnant.collate.plan import digest_of
from remnant.collate.sightings import (
    Matcher,
    client_rows,
    finish_day,
    rule_texts,
    split_unlisted,
)
from remnant.collate.tally import Tally
from remnant.schema import CLIENTS, COVERAGE, QUARANTINE, SIGHTINGS, UNLISTED, Table
from remnant.store.records import Prefix, SourceRecord, head_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remnant.capture import Batch
    from remnant.collate.clients import Clients
    from remnant.collate.pseudonym import SiteKey
    from remnant.store import Change
    from remnant.watchlist import Watchlist

__all__ = ["Growth", "add_growth"]


@dataclass(frozen=True, slots=True)
class Growth:
    """What a live source gained.

    Attributes:
        id: ledger id.
        case: the case it is stored in.
        path: where it lies.
        format: name of its reader.
        vantage: of its reader.
        watchlist: what is watched, with the rules that the source itself brings.
        before: the ledger's row so far; ``None`` for a new source, or one that is read anew.
        replace: the rows that are there under this id go: it is read anew.
        batches: what it gained, in order.
        end: how many of its bytes are read with that.
        digest: xxh3-128 of these bytes.
        head: the first bytes, HEAD_BYTES of them if there are as many.
    """

    id: str
    case: str
    path: str
    format: str
    vantage: str
    watchlist: Watchlist
    before: SourceRecord | None
    replace: bool
    batches: Sequence[Batch]
    end: int
    digest: str
    head: bytes


class _Written:
    """Rows of several sources, on their way to one file for each table, case and day."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str, str | None], list[pa.Table]] = {}
        self._tables: dict[str, Table] = {}
        self._sources: dict[tuple[str, str, str | None], set[str]] = {}

    def add(self, table: Table, case: str, day: str | None, rows: pa.Table, source: str) -> None:
        """Keep some rows."""
        if len(rows):
            key = (table.name, case, day)
            self._tables[table.name] = table
            self._parts.setdefault(key, []).append(rows)
            self._sources.setdefault(key, set()).add(source)

    def write(self, change: Change) -> None:
        """Write the files."""
        for key, parts in self._parts.items():
            name, case, day = key
            whole = parts[0] if len(parts) == 1 else _joined(self._tables[name], parts)
            change.write(self._tables[name], case, day, whole, self._sources[key], brief=True)


def add_growth(
    change: Change, growths: Iterable[Growth], clients: Clients, key: SiteKey
) -> list[SourceRecord]:
    """Write what live sources gained; the caller commits.

    Args:
        change: of the store.
        growths: each source once.
        clients: numbers clients; may serve many calls.
        key: the site's key.

    Returns:
        The ledger's new row of each source, in order.
    """
    written = _Written()
    records = []
    for growth in growths:
        if growth.replace:
            change.remove_source(growth.case, growth.id)
        tally = Tally([], None)
        matcher = Matcher(growth.watchlist, clients, key, None)
        rows = []
        for batch in growth.batches:
            tally.add(batch)
            found = matcher.rows(batch.queries).get(growth.case)
            if found is not None:
                rows.append(found)
        matched, counted = _add_rows(written, growth, rows, clients)
        coverage = tally.coverage(0, counted, growth.id)
        written.add(COVERAGE, growth.case, None, coverage, growth.id)
        written.add(QUARANTINE, growth.case, None, tally.quarantine(0, growth.id), growth.id)
        record = _record(growth, tally, matched)
        if growth.before is not None:
            # Nobody has a copy of a source that ends in the middle of a second; if somebody had,
            # it would be known as the beginning of this one.
            change.drop_prefix(growth.id, growth.before.bytes)
        head = head_digest(growth.head, growth.end)
        change.put_source(record, Prefix(growth.id, growth.end, growth.digest, head))
        records.append(record)
    written.write(change)
    return records


def _add_rows(
    written: _Written, growth: Growth, parts: Sequence[pa.Table], clients: Clients
) -> tuple[int, list[pa.Table]]:
    """Keep the rows of a source; return how many count, and the counts by hour."""
    if not parts:
        return 0, []
    texts = rule_texts(growth.watchlist)
    matched = 0
    counted = []
    for day, rows in _days(_together(parts)):
        mine, others = split_unlisted(rows, growth.watchlist)
        if len(others):
            done = finish_day(others, clients, texts, growth.id)
            written.add(UNLISTED, growth.case, day, done.sightings, growth.id)
        if len(mine):
            done = finish_day(mine, clients, texts, growth.id)
            written.add(SIGHTINGS, growth.case, day, done.sightings, growth.id)
            seen = client_rows([done.clients], clients, growth.id)
            written.add(CLIENTS, growth.case, day, seen, growth.id)
            counted.append(done.matched)
            matched += len(mine)
    return matched, counted


def _together(parts: Sequence[pa.Table]) -> pa.Table:
    """Return the parts as one; texts are dictionaries in all of them, or in none."""
    names = parts[0].column_names
    mixed = {name for name in names if len({part[name].type for part in parts}) > 1}
    columns: Any = [
        {n: part[n].cast(pa.string()) if n in mixed else part[n] for n in names} for part in parts
    ]
    return pa.concat_tables(map(pa.table, columns)).unify_dictionaries()


def _days(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of each day."""
    day = rows["day"].to_numpy()
    one = bool((day == day[0]).all())
    for number in day[:1].tolist() if one else np.unique(day).tolist():
        word = datetime.fromtimestamp(number * 86_400, UTC).date().isoformat()
        yield word, rows if one else rows.filter(pa.array(day == number))


def _record(growth: Growth, tally: Tally, matched: int) -> SourceRecord:
    before = growth.before
    first, last = tally.first(), tally.last()

    def total(name: str, new: int) -> int:
        return new + (0 if before is None else int(getattr(before, name)))

    return SourceRecord(
        id=growth.id,
        case=growth.case,
        path=growth.path,
        format=growth.format,
        reading="",
        sensor=None,
        vantage=growth.vantage,
        watchlist=digest_of(growth.watchlist, growth.case),
        digest=growth.digest,
        bytes=growth.end,
        start=0,
        complete=True,
        records=total("records", tally.records),
        messages=total("messages", tally.total("messages")),
        query_messages=total("query_messages", tally.query_messages),
        matched=total("matched", matched),
        malformed=total("malformed", tally.total("malformed")),
        skipped=total("skipped", tally.total("skipped")),
        clock_faults=total("clock_faults", tally.total("clock_faults")),
        first=_least(None if before is None else before.first, first),
        last=_most(None if before is None else before.last, last),
        read_at=datetime.now(tz=UTC),
        simulated=False,
    )


def _least(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((time for time in (one, other) if time is not None), default=None)


def _most(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((time for time in (one, other) if time is not None), default=None)


def _joined(table: Table, parts: Sequence[pa.Table]) -> pa.Table:
    names = [field.name for field in table.arrow if field.name in parts[0].column_names]
    same = [
        pa.table([part[name].cast(table.arrow.field(name).type) for name in names], names=names)
        for part in parts
    ]
    return pa.concat_tables(same).unify_dictionaries()

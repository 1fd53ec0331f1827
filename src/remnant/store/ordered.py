"""Records of passive DNS, read by key: a look-up is one range, whatever the size of the store.

What is in order is read from the row groups that can hold the range; what was not put in order yet
is read as a whole and searched. Both together are always everything that the ledger lists.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from remnant.errors import StoreError
from remnant.schema import ANSWERS, ANSWERS_BY_DATA, Table, check_version
from remnant.store.files import (
    ORDERED_GROUP,
    conform,
    explained,
    key_ends,
    keys_of,
    read_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from remnant.store.answer_keys import Range
    from remnant.store.files import Folder
    from remnant.store.ledger import Ledger
    from remnant.store.records import FileRecord, SourceRecord

__all__ = [
    "PART_ROWS",
    "InFile",
    "InMemory",
    "OrderedAnswers",
    "Part",
    "many_pieces",
    "pieces",
    "within",
]

PART_ROWS: Final = 1 << 19
"""Rows that are read at once of a large range, by default."""

_GROUPS_AT_ONCE: Final = 64
_KEY_COLUMNS: Final = ["rrname", "rrtype", "rdata"]
"""What the keys are made of."""


class Part(Protocol):
    """Rows in order of their keys."""

    def places(self, wanted: Range) -> list[tuple[bytes, int]]:
        """Return (first key, rows) of the groups that may hold keys of a range, in order."""

    def read(self, wanted: Sequence[Range]) -> pa.Table:
        """Return the rows whose keys are in one of some ranges, which do not overlap."""


class InFile:
    """Rows of one file of a run."""

    def __init__(self, table: Table, path: Path) -> None:
        self._table = table
        self._path = path
        with explained(path):
            try:
                self._file = pq.ParquetFile(path, memory_map=True)
            except pa.ArrowException as error:
                raise _damaged(path, error) from error
        check_version(table, self._file.schema_arrow, str(path))
        self._firsts, self._lasts = key_ends(self._file.schema_arrow)
        if len(self._firsts) != self._file.num_row_groups:
            raise _damaged(path, "its keys do not belong to its rows")

    def _groups(self, wanted: Range) -> range:
        low, high = wanted
        return range(bisect_left(self._lasts, low), bisect_left(self._firsts, high))

    def places(self, wanted: Range) -> list[tuple[bytes, int]]:
        """Return the row groups, from the file's footer alone."""
        rows = self._file.metadata.row_group
        return [(self._firsts[i], rows(i).num_rows) for i in self._groups(wanted)]

    def read(self, wanted: Sequence[Range]) -> pa.Table:
        """Return the rows of some ranges.

        Of a row group first the columns are read that tell whether it holds what is wanted: of
        several runs most do not.
        """
        ordered = sorted(wanted)
        groups = sorted({group for one in ordered for group in self._groups(one)})
        found = [self._table.empty()]
        for start in range(0, len(groups), _GROUPS_AT_ONCE):
            some = groups[start : start + _GROUPS_AT_ONCE]
            named = self._read(some, _KEY_COLUMNS)
            index = _indices(keys_of(self._table, named), ordered)
            if not len(index):
                continue
            others = self._read(some, [n for n in self._table.names if n not in _KEY_COLUMNS])
            for name in _KEY_COLUMNS:
                others = others.append_column(named.schema.field(name), named[name])
            found.append(conform(self._table, others.take(index)))
        return found[-1] if len(found) < 3 else pa.concat_tables(found)

    def _read(self, groups: list[int], columns: list[str]) -> pa.Table:
        with explained(self._path):
            try:
                return self._file.read_row_groups(groups, columns, use_threads=False)
            except pa.ArrowException as error:
                raise _damaged(self._path, error) from error


class InMemory:
    """Rows that are put in order in memory; those without a key are left out."""

    def __init__(self, table: Table, rows: pa.Table) -> None:
        keys: Any = keys_of(table, rows)
        index: Any = pc.sort_indices(keys)
        if table is ANSWERS_BY_DATA:
            sizes = pc.binary_length(keys)
            index = index.slice(pc.sum(pc.equal(sizes, pa.scalar(0))).as_py() or 0)
        self._rows = rows.take(index)
        self._keys: Any = keys.take(index)

    def all(self) -> pa.Table:
        """Return all rows."""
        return self._rows

    def places(self, wanted: Range) -> list[tuple[bytes, int]]:
        """Return stretches of the rows."""
        start, stop = (_at(self._keys, key) for key in wanted)
        return [
            (self._keys[i].as_py(), min(ORDERED_GROUP, stop - i))
            for i in range(start, stop, ORDERED_GROUP)
        ]

    def read(self, wanted: Sequence[Range]) -> pa.Table:
        """Return the rows of some ranges."""
        if len(wanted) == 1:
            start, stop = (_at(self._keys, key) for key in wanted[0])
            return self._rows.slice(start, stop - start)
        return self._rows.take(_indices(self._keys, sorted(wanted)))


def _at(keys: Any, key: bytes) -> int:  # noqa: ANN401 - Arrow
    return bisect_left(range(len(keys)), key, key=lambda i: keys[i].as_py())


def _indices(keys: Any, wanted: Sequence[Range]) -> pa.Array[Any]:  # noqa: ANN401 - Arrow
    """Return where keys in order are in one of some ranges in order."""
    stretches = [np.arange(_at(keys, low), _at(keys, high)) for low, high in wanted]
    rows: pa.Array[Any] = pa.array(np.concatenate([np.empty(0, np.int64), *stretches]))
    return rows


def within(table: Table, rows: pa.Table, wanted: Sequence[Range]) -> pa.Table:
    """Return the rows whose keys are in one of some ranges; rows without a key are in none."""
    keys: Any = keys_of(table, rows)
    order = pc.sort_indices(keys)
    index: Any = order.take(_indices(keys.take(order), sorted(wanted)))
    if table is ANSWERS_BY_DATA:
        index = index.filter(pc.greater(pc.binary_length(keys.take(index)), pa.scalar(0)))
    return rows.take(index)


def pieces(
    table: Table, parts: Sequence[Part], wanted: Range, rows: int = PART_ROWS
) -> Iterator[pa.Table]:
    """Yield the rows of a range in order of their keys, about so many at once.

    Rows of one key are never in two pieces.
    """
    places = sorted(place for part in parts for place in part.places(wanted))
    low, high = wanted
    cuts, count = [low], 0
    for first, size in places:
        if count + size > rows and first > cuts[-1] and count:
            cuts.append(first)
            count = 0
        count += size
    for start, stop in zip(cuts, [*cuts[1:], high], strict=True):
        found = [piece for part in parts if len(piece := part.read([(start, stop)]))]
        if len(found) == 1:
            yield found[0]
        elif found:
            yield InMemory(table, pa.concat_tables(found).unify_dictionaries()).all()


def many_pieces(
    table: Table, parts: Sequence[Part], wanted: Sequence[Range], rows: int = PART_ROWS
) -> Iterator[pa.Table]:
    """Yield the rows of many ranges, which do not overlap, about so many at once, in no order.

    Rows of one key are never in two pieces.
    """
    batch: list[Range] = []
    count = 0
    for one in sorted(wanted):
        # Of a range within one row group nothing is known but that it is short.
        sizes = [[size for _, size in part.places(one)] for part in parts]
        size = 1 + sum(sum(some[1:]) for some in sizes)
        if size > rows:
            yield from pieces(table, parts, one, rows)
            continue
        if batch and count + size > rows:
            yield from _together(parts, batch)
            batch, count = [], 0
        batch.append(one)
        count += size
    yield from _together(parts, batch)


def _together(parts: Sequence[Part], wanted: Sequence[Range]) -> Iterator[pa.Table]:
    found = [piece for part in parts if len(piece := part.read(wanted))]
    if found:
        yield pa.concat_tables(found).unify_dictionaries()


class OrderedAnswers:
    """The answers of all cases at one moment; see ``Store.answers``.

    Attributes:
        sources: what was read for any case, oldest reading first; each case has its own record.
    """

    def __init__(self, folder: Folder, ledger: Ledger) -> None:
        self._folder = folder
        with ledger.reading() as connection:
            self.sources: Final[list[SourceRecord]] = ledger.sources(connection, None)
            self._files = {
                table.name: ledger.files(connection, None, table.name, linked=False)
                for table in (ANSWERS, ANSWERS_BY_DATA)
            }
        self._open: dict[str, InFile] = {}
        self._waiting: list[pa.Table] | None = None

    def by_owner(self, *wanted: Range, rows: int = PART_ROWS) -> Iterator[pa.Table]:
        """Yield the rows of ``schema.ANSWERS`` whose key by owner is in one of some ranges.

        The ranges do not overlap. The rows of one range are in the order of their keys; all rows
        of one key are in one table.
        """
        return self._pieces(ANSWERS, self._files[ANSWERS.name], [], wanted, rows)

    def by_data(self, *wanted: Range, rows: int = PART_ROWS) -> Iterator[pa.Table]:
        """Yield the rows of ``schema.ANSWERS`` whose key by data is in one of some ranges."""
        files = self._files[ANSWERS_BY_DATA.name]
        lost = {file.run for file in files if not self._folder.path(file).is_file()}
        here = [file for file in files if file.run not in lost]
        instead = [file for file in self._files[ANSWERS.name] if file.run in lost]
        return self._pieces(ANSWERS_BY_DATA, here, instead, wanted, rows)

    def _pieces(
        self,
        table: Table,
        files: Sequence[FileRecord],
        instead: Sequence[FileRecord],
        wanted: Sequence[Range],
        rows: int,
    ) -> Iterator[pa.Table]:
        parts: list[Part] = [
            self._in_file(table, file)
            for file in files
            if file.run is not None
            and any(file.high >= low and file.low < high for low, high in wanted)
        ]
        loose = [within(table, data, wanted) for data in self._without_order()]
        loose += [
            within(table, read_table(ANSWERS, self._folder.path(file)), wanted)
            for file in instead
            if file.run is not None
        ]
        kept = [data for data in loose if len(data)]
        if kept:
            parts.append(InMemory(table, pa.concat_tables(kept).unify_dictionaries()))
        if len(wanted) == 1:
            yield from pieces(table, parts, wanted[0], rows)
        else:
            yield from many_pieces(table, parts, wanted, rows)

    def _in_file(self, table: Table, file: FileRecord) -> InFile:
        if file.path not in self._open:
            self._open[file.path] = InFile(table, _present(self._folder.path(file)))
        return self._open[file.path]

    def _without_order(self) -> Iterator[pa.Table]:
        """Yield the rows that are in no order yet; few of them are kept for the next question."""
        if self._waiting is not None:
            yield from self._waiting
            return
        files = [file for file in self._files[ANSWERS.name] if file.run is None]
        few = sum(file.rows for file in files) <= PART_ROWS
        kept = []
        for file in files:
            data = read_table(ANSWERS, _present(self._folder.path(file)))
            if few:
                kept.append(data)
            yield data
        if few:
            self._waiting = kept


def _present(path: Path) -> Path:
    if not path.is_file():
        raise StoreError(
            "a file of the store is missing",
            where=str(path),
            hint="restore it from a copy, or delete the case and ingest it again",
        )
    return path


def _damaged(path: Path, got: object) -> StoreError:
    return StoreError(
        "a file of the store is damaged",
        where=str(path),
        got=got,
        hint="delete the case and ingest its sources again, or restore the store's files",
    )

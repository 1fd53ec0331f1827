"""Answers are put in order: by owner, and once more by address and by the name they point to.

Ingest writes rows as they come. When enough have come, they are sorted into a *run*: files of a
bounded size that share no key. Runs of about one size are merged when there are several, so that a
look-up opens few files and a row is written again only a few times, however large the store grows.
A run's files of both orders and what they replace are one commit.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.schema import ANSWERS, ANSWERS_BY_DATA
from remnant.store.answer_keys import EVERYTHING
from remnant.store.files import read_table
from remnant.store.ordered import InFile, InMemory, Part, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.schema import Table
    from remnant.store.change import Change
    from remnant.store.records import FileRecord
    from remnant.store.store import Store

__all__ = ["FEW_FILES", "FEW_ROWS", "SAME_SIZE", "order_answers"]

FEW_FILES: Final = 16
FEW_ROWS: Final = 1 << 16
"""Up to so many files and rows wait: a look-up reads them all."""

SAME_SIZE: Final = 4
"""So many runs of about one size are merged; a run is of the next size when it is so many times
longer."""

MOST_COUNT: Final = 1 << 62
"""What counts add up to at most."""

_WAYS: Final[dict[str, np.ufunc]] = {
    "time_first": np.minimum,
    "time_last": np.maximum,
    "count": np.add,
    "ttl_low": np.minimum,
    "ttl_high": np.maximum,
}
_FILE_ROWS: Final = 1 << 20
_MOST_BYTES: Final = 1 << 28
_MOST_RUNS: Final = 64
"""Runs that are merged at once: each takes a row group of memory, or two."""


def order_answers(store: Store, case: str) -> int:
    """Put the answers of a case in order where it is due; return how many files were replaced.

    What the second order lacks (somebody removed a file, say) is made again from the first.
    """
    replaced = _loosen(store, case)
    while files := _due(store, case):
        _merge(store, case, files)
        replaced += len(files)
    return replaced


def _due(store: Store, case: str) -> list[FileRecord]:
    """Return the files by owner that become one run next."""
    with store.ledger.reading() as connection:
        files = store.ledger.files(connection, case, ANSWERS.name)
    waiting = [file for file in files if file.run is None]
    if len(waiting) > FEW_FILES or sum(file.rows for file in waiting) > FEW_ROWS:
        ends = np.searchsorted(np.cumsum([file.rows for file in waiting]), _FILE_ROWS, "right")
        return waiting[: max(int(ends), 1)]
    runs: dict[str, list[FileRecord]] = {}
    for file in files:
        if file.run is not None:
            runs.setdefault(file.run, []).append(file)
    sizes: dict[int, list[list[FileRecord]]] = {}
    for run in runs.values():
        sizes.setdefault(_size(sum(file.rows for file in run)), []).append(run)
    for alike in sizes.values():
        if len(alike) >= SAME_SIZE:
            return [file for run in alike[:_MOST_RUNS] for file in run]
    return []


def _size(rows: int) -> int:
    size = 0
    while rows > FEW_ROWS:
        rows //= SAME_SIZE
        size += 1
    return size


def _merge(store: Store, case: str, files: Sequence[FileRecord]) -> None:
    run = uuid.uuid4().hex
    runs = {file.run for file in files if file.run is not None}
    with store.ledger.reading() as connection:
        others = [
            file
            for file in store.ledger.files(connection, case, ANSWERS_BY_DATA.name)
            if file.run in runs
        ]
    waiting: list[pa.Table] = []
    for file in [file for file in files if file.run is None]:
        if sum(rows.nbytes for rows in waiting) > _MOST_BYTES:
            # Long data: fewer files at once.
            files = files[: len(waiting)]
            break
        waiting.append(read_table(ANSWERS, store.folder.path(file)))
    loose = [pa.concat_tables(waiting).unify_dictionaries()] if waiting else []
    with store.change(same_rows=True) as change:
        ordered = [file for file in files if file.run is not None]
        _write(store, change, case, run, ANSWERS, ordered, loose)
        _write(store, change, case, run, ANSWERS_BY_DATA, others, loose)
        change.replace([*files, *others])
        change.commit()


def _write(
    store: Store,
    change: Change,
    case: str,
    run: str,
    table: Table,
    files: Sequence[FileRecord],
    loose: Sequence[pa.Table],
) -> None:
    parts: list[Part] = [InFile(table, store.folder.path(file)) for file in files]
    parts += [InMemory(table, rows) for rows in loose]
    for rows in pieces(table, parts, EVERYTHING, _FILE_ROWS):
        added = _added(rows)
        sources: Any = pc.unique(added["source"].cast(pa.string()))
        change.write(table, case, None, added, sources.to_pylist(), run=run)


def _loosen(store: Store, case: str) -> int:
    """Take runs apart whose second order is not whole; their rows are put in order again."""
    with store.ledger.reading() as connection:
        files = store.ledger.files(connection, case, ANSWERS.name)
        others = store.ledger.files(connection, case, ANSWERS_BY_DATA.name)
    lost = {file.run for file in others if not store.folder.path(file).is_file()}
    if not lost:
        return 0
    with store.change(same_rows=True) as change:
        for file in files:
            if file.run in lost:
                rows = read_table(ANSWERS, store.folder.path(file))
                change.write(ANSWERS, case, None, rows, file.sources)
                change.replace([file])
        change.replace(file for file in others if file.run in lost)
        change.commit()
    return len(lost)


def _added(rows: pa.Table) -> pa.Table:
    """Return rows in order, neighbours that agree in record, sensor and source put together."""
    same = np.ones(max(len(rows) - 1, 0), np.bool_)
    rows = rows.unify_dictionaries().combine_chunks()
    for name in ("rrname", "rrtype", "rdata", "sensor", "source"):
        column: Any = rows[name].combine_chunks() if len(rows) else rows[name]
        if pa.types.is_dictionary(column.type):
            column = column.indices
        same &= pc.equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    if not same.any():
        return rows
    starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
    kept = rows.take(pa.array(starts))
    for name, way in _WAYS.items():
        field = rows.schema.field(name)
        times: Any = rows[name].cast(pa.int64())
        worst = np.iinfo(np.int64).max if way is np.minimum else -1
        numbers: Any = times.fill_null(worst).to_numpy()
        values = way.reduceat(numbers, starts)
        if name == "count":
            # Counts come from strangers: a sum never turns negative.
            sums = np.add.reduceat(numbers.astype(np.float64), starts)
            values = np.where(sums >= MOST_COUNT, MOST_COUNT, values)
        mask = values == worst if times.null_count else None
        at = rows.schema.get_field_index(name)
        kept = kept.set_column(at, field, pa.array(values, mask=mask).cast(field.type))
    return kept

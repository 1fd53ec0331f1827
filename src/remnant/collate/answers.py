"""The resource records of a source, added up for each case that keeps them.

Merging is commutative: counts add up and times span, whatever the order in which batches and
sources come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from remnant.collate.sightings import named
from remnant.schema import ANSWER_ROWS, ANSWERS, TIME
from remnant.store.files import explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from remnant.capture import Batch

__all__ = ["Answers"]

_MANY_ROWS: Final = 500_000
"""Rows that are kept before they are added up, and again before they go to a file."""

_REPEATING: Final = 0.8
"""Records repeat where adding them up leaves less than this share of the rows."""
_TRIED_EACH: Final = 8
_FEW_ROWS: Final = 1 << 16
"""So few rows are always added up: it takes no time."""

_KEYS: Final = ["rrname", "rrtype", "rdata", "sensor", "case"]
_WAYS: Final[dict[str, Any]] = {
    "time_first": "min",
    "time_last": "max",
    "count": "sum",
    "ttl_low": "min",
    "ttl_high": "max",
}
"""How rows of one record become one."""
_PLAIN: Final = pa.schema(
    [(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in ANSWER_ROWS.arrow]
)


class Answers:
    """Adds up records, apart for each stretch of the stream between possible checkpoints.

    Args:
        scratch: folder for temporary files; who made it removes it.
        cases: the watchlist's cases by index.
        sensor: the sensor that a person named.
    """

    def __init__(self, scratch: Path, cases: Sequence[str], sensor: str | None) -> None:
        self._scratch = scratch
        self._cases = cases
        self._sensor = sensor
        self._parts: dict[int, list[pa.Table]] = {}
        self._rows: dict[int, int] = {}
        self._spilled: dict[int, list[Path]] = {}
        self._spills = 0
        self._repeat = True

    def add(self, batch: Batch, place: int) -> None:
        """Add the records of a batch that stands behind a possible checkpoint."""
        if batch.answers is None or not len(batch.answers):
            return
        table = pa.Table.from_batches([batch.answers])
        at = table.schema.get_field_index("sensor")
        table = table.set_column(at, "sensor", named(batch.answers["sensor"], self._sensor))
        parts = self._parts.setdefault(place, [])
        parts.append(table.cast(_PLAIN))
        self._rows[place] = self._rows.get(place, 0) + len(table)
        if self._rows[place] > _MANY_ROWS:
            # Where records hardly repeat, to add them up is left to the store, which puts them in
            # order anyway; now and then it is tried again.
            self._spills += 1
            if not self._repeat and self._spills % _TRIED_EACH:
                self._spill(place)
                return
            self._repeat = not _differ(parts)
            if not self._repeat:
                self._spill(place)
                return
            parts[:] = [_added(parts)]
            before, self._rows[place] = self._rows[place], len(parts[0])
            self._repeat = self._rows[place] < _REPEATING * before
            if self._rows[place] > _MANY_ROWS // 2:
                self._spill(place)

    def tables(self, case: str, cut: int, source: str) -> Iterator[pa.Table]:
        """Yield rows of ``schema.ANSWERS`` of one case for what comes after a checkpoint.

        Args:
            case: name of the case.
            cut: the checkpoint, or 0 for everything.
            source: ledger id.
        """
        number = self._cases.index(case) if case in self._cases else -1
        kept = [t for place, parts in self._parts.items() if place >= cut for t in parts]
        if kept:
            leave = sum(map(len, kept)) > _FEW_ROWS and (not self._repeat or _differ(kept))
            whole = pa.concat_tables(kept) if leave else _added(kept)
            yield from self._rows_of(whole, number, source)
        for place, paths in self._spilled.items():
            for path in paths if place >= cut else ():
                with explained(path), pa.memory_map(str(path)) as file:
                    yield from self._rows_of(pa.ipc.open_file(file).read_all(), number, source)

    def _rows_of(self, table: pa.Table, case: int, source: str) -> Iterator[pa.Table]:
        of_all: Any = pc.is_null(table["case"])
        of_case: Any = pc.equal(table["case"], pa.scalar(case, pa.int32()))
        rows = table.filter(pc.or_kleene(of_all, of_case))
        if len(rows):
            word: Any = pa.repeat(pa.scalar(source), len(rows))
            yield rows.append_column("source", word).select(list(ANSWERS.names))

    def _spill(self, place: int) -> None:
        paths = self._spilled.setdefault(place, [])
        path = self._scratch / f"answers-{place}-{len(paths)}.arrow"
        table = pa.concat_tables(self._parts.pop(place)).combine_chunks()
        self._rows[place] = 0
        with (
            explained(path),
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, table.schema) as writer,
        ):
            writer.write_table(table)
        paths.append(path)


def _differ(parts: Sequence[pa.Table]) -> bool:
    """Return whether most records differ: their names do, or their data."""
    from remnant.collate.differing import distinct_about  # noqa: PLC0415 - few sources need it

    table = pa.concat_tables(parts)
    return any(
        distinct_about(table[name]) >= _REPEATING * len(table) for name in ("rrname", "rdata")
    )


def _added(parts: Sequence[pa.Table]) -> pa.Table:
    table = pa.concat_tables(parts)
    table = table.group_by(_KEYS).aggregate([(column, way) for column, way in _WAYS.items()])
    plain = {f"{column}_{way}": column for column, way in _WAYS.items()}
    table = table.rename_columns([plain.get(name, name) for name in table.column_names])
    assert table.schema.field("time_first").type == TIME
    return table.select(_PLAIN.names).cast(_PLAIN)

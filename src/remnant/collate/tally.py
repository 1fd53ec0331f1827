"""What was read: the counts of a source's batches, by sensor, vantage and hour."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from remnant.collate.sightings import UNNAMED, named
from remnant.collate.stated import with_basis, with_listened
from remnant.schema import COVERAGE, COVERAGE_COUNTS, QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from remnant.capture import Batch
    from remnant.windows import Window

__all__ = ["Tally"]

_KEYS: Final = ("sensor", "vantage", "hour")
_SUMS: Final = ("messages", "matched", "malformed", "skipped", "lost", "clock_faults")
_MANY_ROWS: Final = 100_000
_PLAIN: Final = pa.schema(
    [
        (f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type)
        for f in COVERAGE_COUNTS.arrow
    ]
)
"""The columns of the counts, words as plain text: tables of any batches can be put together."""


class Tally:
    """Adds up batches, apart for each stretch of the stream between possible checkpoints.

    Args:
        places: where known sources may end in this one, in order. Places that are still ahead may
            be added to the list on the way.
        sensor: the sensor that a person named.

    Attributes:
        records: records read so far.
        query_messages: queries among them.
        notes: what readers said, each once.
        responders: addresses that answer in the source, ``None`` if no reader said so.
    """

    def __init__(self, places: Sequence[int], sensor: str | None) -> None:
        self._places = places
        self._sensor = sensor
        self._counts: dict[int, list[pa.Table]] = {}
        self._quarantine: list[pa.RecordBatch] = []
        self._listened: dict[int, dict[tuple[str, str, int], None]] = {}
        self.records = 0
        self.query_messages = 0
        self.notes: dict[str, None] = {}
        self.responders: pa.Array[Any] | None = None

    def add(self, batch: Batch) -> None:
        """Add the counts of a batch."""
        self.records += batch.records
        self.query_messages += batch.query_messages
        self.notes.update(dict.fromkeys(batch.notes))
        if batch.responders is not None:
            self.responders = batch.responders
        if batch.listened:
            heard = self._listened.setdefault(self.place_before(batch.end), {})
            heard.update(
                {(self._sensor or name, where, hour): None for name, where, hour in batch.listened}
            )
        if len(batch.quarantine):
            self._quarantine.append(batch.quarantine)
        if len(batch.counts):
            counts = pa.Table.from_batches([batch.counts])
            sensors = named(batch.counts["sensor"], self._sensor)
            counts = counts.set_column(0, "sensor", sensors).cast(_PLAIN)
            parts = self._counts.setdefault(self.place_before(batch.end), [])
            parts.append(counts)
            if sum(map(len, parts)) > _MANY_ROWS:
                parts[:] = [_added(parts)]

    def coverage(
        self,
        cut: int,
        matched: Sequence[pa.Table],
        source: str,
        *,
        hits_only: bool = False,
        vantage: str = "report",
        period: Window | None = None,
    ) -> pa.Table:
        """Return rows of ``schema.COVERAGE`` for what comes after a checkpoint.

        Args:
            cut: the checkpoint, or 0 for everything.
            matched: sensor, vantage, hour and matched of the case.
            source: ledger id.
            hits_only: the source holds hits only.
            vantage: where its sensor stood.
            period: for which time it is stated to be complete.
        """
        parts = [
            table for place, tables in self._counts.items() if place >= cut for table in tables
        ]
        parts += [_as_counts(table) for table in matched]
        listened = {
            key: None for place, heard in self._listened.items() if place >= cut for key in heard
        }
        if not parts and period is None and not listened:
            return COVERAGE.empty()
        added = _added(parts) if parts else _PLAIN.empty_table()
        sensors = self._sensors() or [(self._sensor or UNNAMED, vantage)]
        added = with_basis(added, hits_only=hits_only, period=period, sensors=sensors)
        added = with_listened(added, listened)
        word = pa.array([source] * len(added), pa.string())
        return added.append_column("source", word).select(list(COVERAGE.names))

    @property
    def states(self) -> bool:
        """Whether the source itself states hours in which its sensor listened."""
        return bool(self._listened)

    def _sensors(self) -> list[tuple[str, str]]:
        """Return the sensors and vantages of the whole source."""
        found: dict[tuple[str, str], None] = {}
        for parts in self._counts.values():
            for table in parts:
                pairs = table.select(["sensor", "vantage"]).group_by(["sensor", "vantage"])
                rows = pairs.aggregate([]).to_pylist()
                found |= {(row["sensor"], row["vantage"]): None for row in rows}
        return list(found)

    def quarantine(self, cut: int, source: str) -> pa.Table:
        """Return rows of ``schema.QUARANTINE`` for what comes after a checkpoint."""
        if not self._quarantine:
            return QUARANTINE.empty()
        found = pa.Table.from_batches(self._quarantine).unify_dictionaries()
        found = found.filter(pc.greater_equal(found["offset"], pa.scalar(cut)))
        word = pa.array([source] * len(found), pa.string())
        return found.set_column(0, "source", word)

    def total(self, name: str) -> int:
        """Return the sum of one count over the whole source."""
        return sum(
            pc.sum(table[name]).as_py() or 0 for parts in self._counts.values() for table in parts
        )

    def first(self) -> datetime | None:
        """Return the time of the first message that has a usable one."""
        found = self._extreme("first_time", "min")
        return min(found, default=None)

    def last(self) -> datetime | None:
        """Return the time of the last message that has a usable one."""
        found = self._extreme("last_time", "max")
        return max(found, default=None)

    def _extreme(self, column: str, end: str) -> list[datetime]:
        values = [
            pc.min_max(table[column])[end].as_py()
            for parts in self._counts.values()
            for table in parts
        ]
        return [value for value in values if value is not None]

    def place_before(self, end: int) -> int:
        """Return the last place before the end of a batch, or 0."""
        index = bisect_left(self._places, end)
        return self._places[index - 1] if index else 0


def _as_counts(matched: pa.Table) -> pa.Table:
    """Return matched queries as counts of nothing else."""
    columns = []
    for field in _PLAIN:
        if field.name in matched.column_names:
            columns.append(matched[field.name].cast(field.type))
        elif field.name in _SUMS:
            columns.append(pa.repeat(pa.scalar(0, field.type), len(matched)))
        else:
            columns.append(pa.nulls(len(matched), field.type))
    return pa.table(columns, schema=_PLAIN)


def _added(parts: Sequence[pa.Table]) -> pa.Table:
    sums: list[Any] = [(name, "sum") for name in _SUMS]
    ends: list[Any] = [("first_time", "min"), ("last_time", "max")]
    added = pa.concat_tables(parts)
    added = added.group_by(list(_KEYS)).aggregate([*sums, *ends])
    plain = {f"{name}_{how}": name for name, how in [*sums, *ends]}
    added = added.rename_columns([plain.get(name, name) for name in added.column_names])
    return added.select(_PLAIN.names).cast(_PLAIN)

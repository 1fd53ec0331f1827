"""What one thread needs to read DNS messages, and how the work of several becomes one batch.

The kernels of a format take a worker's parts as arguments. A source that cannot be divided has one
worker; where several divide a stretch of the stream, what they found is put together in the order
of the stream, so that the result does not depend on how many there are.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from remnant.capture import QUARANTINE_LIMIT, Batch
from remnant.capture import messages as core
from remnant.capture.counts import (
    SensorNames,
    counts_table,
    new_counts,
    new_sensors,
    reset,
)
from remnant.capture.events import allocate, concatenate, used
from remnant.capture.pairing import Pairing
from remnant.capture.recent import new_recent
from remnant.capture.records import MODES, new_records, records_table
from remnant.schema import QUARANTINE, VANTAGES
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.capture import ReadOptions
    from remnant.capture.counts import Counts, Sensors
    from remnant.capture.events import Events
    from remnant.capture.messages import Context, Quarantine
    from remnant.capture.recent import Recent
    from remnant.capture.records import Records
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

__all__ = ["HEAD_BYTES", "SIMULATED", "Assembly", "Worker", "new_worker"]

HEAD_BYTES: Final = 64
"""Bytes of a record that quarantine keeps."""

SIMULATED: Final = "simulated"
"""The note of a source that was made by the simulator."""

_EVENTS: Final = 1 << 16
_RECENT: Final = 1 << 20


class Worker(NamedTuple):
    """Arrays that the kernels of one thread fill; each of them is one argument."""

    context: Context
    sensors: Sensors
    counts: Counts
    memory: Recent
    events: Events
    records: Records
    quarantine: Quarantine


def new_worker(watchlist: Watchlist, options: ReadOptions) -> Worker:
    """Return the parts of one thread before the first byte."""
    forced = -1 if options.vantage is None else VANTAGES.index(options.vantage)
    context = core.new_context(
        to_us(options.now + timedelta(days=1)),
        forced,
        watchlist.has_addresses,
        MODES[options.answers],
        (secrets.randbits(64), secrets.randbits(64)),
    )
    return Worker(
        context,
        new_sensors(secrets.randbits(64)),
        new_counts(secrets.randbits(64)),
        new_recent(_RECENT if watchlist.has_addresses else 4),
        allocate(_EVENTS),
        new_records(options.answers),
        core.new_quarantine(QUARANTINE_LIMIT),
    )


class Assembly:
    """Makes the batches of one source out of what its workers found.

    Args:
        watchlist: what is watched.
        options: what a person says about the source.
        workers: all workers of the source.
        vantages: words by the vantage indexes that the format's kernel uses where the person names
            none.
    """

    def __init__(
        self,
        watchlist: Watchlist,
        options: ReadOptions,
        workers: Sequence[Worker],
        vantages: Sequence[str],
    ) -> None:
        self._watchlist = watchlist
        self._options = options
        self._workers = workers
        self._vantages = VANTAGES if options.vantage is not None else vantages
        # Keys of events must agree between threads: a query and its response may meet in two.
        for worker in workers:
            worker.context.seeds[:] = workers[0].context.seeds
        self._names = SensorNames()
        self._pairing = Pairing()
        self._room = QUARANTINE_LIMIT
        self._faults = 0
        self._noted = False
        self._queries = 0

    def begin(self) -> None:
        """Empty what the workers fill, before they read the next stretch."""
        for worker in self._workers:
            worker.events.filled[0] = 0
            worker.records.filled[0] = 0
            worker.quarantine.filled[:] = (0, self._room)
            reset(worker.counts)
            worker.context.state[core.RECORDS_READ] = 0
            worker.context.state[core.QUERIES] = self.query_messages
            worker.context.state[core.FAULTS_KEPT] = self._faults
            worker.context.state[core.SIMULATED] = self._noted

    @property
    def query_messages(self) -> int:
        """Query messages of the batches made so far."""
        return self._queries

    def batch(
        self,
        workers: Sequence[Worker],
        *,
        view: Bytes,
        end: int,
        final: bool,
        notes: Sequence[str] = (),
    ) -> Batch:
        """Return the batch of a stretch.

        Args:
            workers: those that read it, in the order of their parts; what others did is dropped.
            view: the bytes that quarantined places point into.
            end: offset after the stretch.
            final: whether the source has ended.
            notes: what a person should be told.
        """
        before = self._queries
        self._queries += sum(int(w.context.state[core.QUERIES]) - before for w in workers)
        events: Events | None = None
        counts = []
        answers: list[Any] = []
        for worker in workers:
            codes = self._names.codes(worker.sensors)
            part = used(worker.events)
            part.sensor[:] = codes[part.sensor]
            events = part if events is None else concatenate(events, part)
            size = int(worker.counts.state[0])
            keys = worker.counts.keys[:size].copy()
            keys[:, 0] = codes[keys[:, 0]]
            counts.append((keys, worker.counts.values[:size]))
            count = int(worker.records.filled[0])
            worker.records.sensor[:count] = codes[worker.records.sensor[:count]]
        names = self._names.names
        for worker in workers:
            table = records_table(worker.records, self._watchlist, self._options.answers, names)
            if table is not None:
                answers.append(table)
        assert events is not None
        rows = self._pairing.add(
            events,
            responses=self._queries == 0,
            final=final,
            sensors=names,
            vantages=self._vantages,
        )
        simulated = any(w.context.state[core.SIMULATED] for w in workers) and not self._noted
        self._noted = self._noted or simulated
        return Batch(
            end=end,
            queries=rows,
            counts=counts_table(counts, names, self._vantages),
            quarantine=self._quarantined(workers, view),
            records=sum(int(w.context.state[core.RECORDS_READ]) for w in workers),
            query_messages=self._queries - before,
            notes=(*notes, *([SIMULATED] if simulated else [])),
            answers=_joined(answers),
        )

    def _quarantined(self, workers: Sequence[Worker], view: Bytes) -> pa.RecordBatch:
        offsets: list[int] = []
        reasons: list[int] = []
        heads: list[bytes] = []
        for worker in workers:
            found = worker.quarantine
            count = int(found.filled[0])
            # Each worker may have kept what another has kept before it in the stream.
            fault = found.reason[:count] == core.CLOCK_FAULT
            kept = ~fault | (np.cumsum(fault) <= core.FAULTS_TO_KEEP - self._faults)
            rows = np.flatnonzero(kept)[: self._room]
            self._room -= rows.size
            self._faults += int(np.count_nonzero(fault[rows]))
            offsets += found.offset[rows].tolist()
            reasons += found.reason[rows].tolist()
            places = zip(found.start[rows].tolist(), found.stop[rows].tolist(), strict=True)
            heads += [view[a : min(b, a + HEAD_BYTES)].tobytes() for a, b in places]
        codes: Any = pa.array(np.array(reasons, np.int32))
        columns: list[Any] = [
            pa.nulls(len(offsets), pa.string()).dictionary_encode(),
            pa.array(np.array(offsets, np.int64)),
            pa.DictionaryArray.from_arrays(codes, pa.array(core.REASONS)),
            pa.array(heads, pa.binary()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=QUARANTINE.arrow)


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    table = pa.Table.from_batches(parts).unify_dictionaries().combine_chunks()
    return table.to_batches()[0]

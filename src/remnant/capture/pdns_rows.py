"""Rows of passive DNS that were collected elsewhere become batches.

Such a source has no queries: it says that records were seen, in a span of time and by a sensor of
others. So it makes no observations and covers no hours: its messages are counted without an hour.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from remnant.capture.text_records import COUNT, answers_of, clock_limits, records_room
from remnant.capture.text_rows import Rows, Tables, room_for
from remnant.schema import COVERAGE_COUNTS
from remnant.wire import kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.lines import Block
    from remnant.capture.stream import ByteStream
    from remnant.capture.text_records import Records
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes, Int

__all__ = [
    "CLOCK_FAULTS",
    "ROWS_READ",
    "SENSORS_LOST",
    "SIMULATED",
    "SIMULATOR",
    "PdnsTables",
    "Sensors",
    "new_sensors",
    "sensor_of",
]

ROWS_READ: Final = 3
"""Counters of ``Rows`` besides: rows read; of these, with a time out of range; with a sensor beyond
the number that is told apart."""
CLOCK_FAULTS: Final = 4
SENSORS_LOST: Final = 5

SIMULATOR: Final = "remnant-simulator.invalid"
"""The owner of the first record of a source that a simulation wrote: no real name ends so (RFC
6761)."""

SIMULATED: Final = "simulated"
"""The note of such a source, as readers of dnstap give it."""

_FEW_RECORDS: Final = 4096
"""So few records of a block are added up: it takes no time."""
_SENSORS: Final = 256
_SENSOR_NAME: Final = 64


class Sensors(NamedTuple):
    """Names of sensors that rows say.

    Attributes:
        filled: int64[1]: how many there are; the first stands for "none said".
        names: uint8[256, 64]: their names, cut to 64 bytes, and ``sizes``.
    """

    filled: npt.NDArray[np.int64]
    names: Bytes
    sizes: npt.NDArray[np.int64]


def new_sensors() -> Sensors:
    """Return the table with no sensor but "none said"."""
    return Sensors(
        np.ones(1, np.int64),
        np.zeros((_SENSORS, _SENSOR_NAME), np.uint8),
        np.zeros(_SENSORS, np.int64),
    )


@kernel
def sensor_of(sensors: Sensors, view: Bytes, size: Int) -> Int:
    """Return the index of the sensor whose name is the first bytes of ``view``; -1 if no more fit.

    No bytes are "none said", which is 0.
    """
    size = min(size, _SENSOR_NAME)
    if size <= 0:
        return 0
    for index in range(1, sensors.filled[0]):
        if sensors.sizes[index] != size:
            continue
        k = 0
        while k < size and sensors.names[index, k] == view[k]:
            k += 1
        if k == size:
            return index
    index = sensors.filled[0]
    if index == _SENSORS:
        return -1
    for k in range(size):
        sensors.names[index, k] = view[k]
    sensors.sizes[index] = size
    sensors.filled[0] = index + 1
    return index


def _sensor_names(sensors: Sensors) -> list[str | None]:
    names: list[str | None] = [None]
    for index in range(1, int(sensors.filled[0])):
        name = sensors.names[index, : sensors.sizes[index]].tobytes()
        text = name.decode("utf-8", "backslashreplace")
        names.append("".join(c if c.isprintable() else "?" for c in text))
    return names


class PdnsTables:
    """Makes the batches of one source of passive DNS.

    Args:
        watchlist: what to look for.
        options: of the reading.
        vantage: the word for the counts of messages.

    Attributes:
        sensors: what the kernel takes.
        limits: int64[2]: a time before the first or from the second on is a clock fault (UTC
            microseconds); the kernel counts such rows and adds no records of them.
    """

    def __init__(self, watchlist: Watchlist, options: ReadOptions, vantage: str) -> None:
        self._watchlist = watchlist
        self._mode = options.answers
        self._vantage = vantage
        self._tables = Tables(watchlist, vantage, options.now)
        self._rows: Rows | None = None
        self._records: Records | None = None
        self._sensors_lost = 0
        self.sensors = new_sensors()
        self.limits = np.array(clock_limits(options.now), np.int64)

    def room(self, block: Block) -> tuple[Rows, Records]:
        """Return empty columns for the rows that cannot be read, and for the records."""
        self._rows = room_for(block, self._rows)
        self._records = records_room(block, self._records)
        return self._rows, self._records

    def note(self, text: str) -> None:
        """Add a note to the next batch."""
        self._tables.notes.append(text)

    def note_simulated(self, stream: ByteStream) -> None:
        """Note that a simulation wrote the source, if its first line says so."""
        if SIMULATOR.encode() in stream.head().partition(b"\n")[0]:
            self.note(SIMULATED)

    def note_incomplete(self, block: Block) -> None:
        """Note that the last line is left for a later reading, when it may have grown."""
        self._tables.note_incomplete(block)

    def batch(self, block: Block, rows: Rows, records: Records) -> Batch:
        """Return the batch of a block whose lines have been read."""
        seen = int(rows.counters[ROWS_READ])
        faults = int(rows.counters[CLOCK_FAULTS])
        self._sensors_lost += int(rows.counters[SENSORS_LOST])
        batch = self._tables.batch(block, rows)
        malformed, skipped = (
            int(batch.counts.column(name).to_numpy().sum()) for name in ("malformed", "skipped")
        )
        return dataclasses.replace(
            batch,
            counts=self._counts(seen, faults, malformed, skipped),
            records=seen + batch.records,
            answers=answers_of(
                records,
                self._watchlist,
                self._mode,
                sensors=_sensor_names(self.sensors),
                distinct=int(records.counters[COUNT]) > _FEW_RECORDS,
            ),
        )

    def rest(self, stream: ByteStream) -> Iterator[Batch]:
        """Yield what is left at the end of a source: notes."""
        if self._sensors_lost:
            self.note(
                f"{self._sensors_lost} rows are of a sensor beyond the first {_SENSORS - 1}, and"
                " are kept without its name"
            )
        yield from self._tables.rest(stream)

    def _counts(self, seen: int, faults: int, malformed: int, skipped: int) -> pa.RecordBatch:
        """Return one row without an hour, or none where nothing was read."""
        size = int(seen + malformed + skipped > 0)
        values = {
            "vantage": self._vantage,
            "messages": seen,
            "malformed": malformed,
            "skipped": skipped,
            "clock_faults": faults,
            "matched": 0,
            "lost": 0,
        }
        return pa.RecordBatch.from_arrays(
            [
                pa.array([values.get(field.name)] * size, field.type)
                for field in COVERAGE_COUNTS.arrow
            ],
            schema=COVERAGE_COUNTS.arrow,
        )

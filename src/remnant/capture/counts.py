"""Counts per sensor, vantage and hour, and the sensors themselves, kept by kernels.

Both tables are small, keyed with random numbers and bounded: a stream that states ever new
identities or hours cannot make them grow. The sensors after the 1,024th share one name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numba import int64, uint64

from remnant.schema import COVERAGE_COUNTS, TIME
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.wire import Bytes, Int, Word

__all__ = [
    "CLOCK_FAULTS",
    "HOUR_US",
    "LOST",
    "MALFORMED",
    "MESSAGES",
    "NO_HOUR",
    "SKIPPED",
    "Counts",
    "SensorNames",
    "Sensors",
    "counts_table",
    "hours_full",
    "new_counts",
    "new_sensors",
    "reset",
    "sensor_of",
    "tally",
    "tally_many",
]

HOUR_US: Final = 3_600_000_000
NO_HOUR: Final = -1

# Columns of ``Counts.values``.
MESSAGES: Final = 0
MALFORMED: Final = 1
SKIPPED: Final = 2
CLOCK_FAULTS: Final = 3
LOST: Final = 4
_FIRST: Final = 5
_LAST: Final = 6
_COLUMNS: Final = 7

_MAX_SENSORS: Final = 1024
_OTHER: Final = _MAX_SENSORS + 1
_SENSOR_SLOTS: Final = 4096
_SENSOR_BYTES: Final = 64
_MAX_HOURS: Final = 2048
_HOUR_SLOTS: Final = 8192
_MULTIPLIER: Final = uint64(0x9E3779B97F4A7C15)
_LATEST: Final = np.iinfo(np.int64).max


class Sensors(NamedTuple):
    """The identities of a source: 0 is none, 1 to 1,024 in order of appearance, 1,025 the others.

    Attributes:
        state: int64[2]: how many there are, the one seen last.
        seed: uint64[1].
        slots: int32[4096]: the sensor of a hash, 0 where empty.
        sizes: int32[1026].
        text: uint8[1026, 64]: the first bytes of each identity.
    """

    state: npt.NDArray[np.int64]
    seed: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]
    text: Bytes


class Counts(NamedTuple):
    """Counters of the rows (sensor, vantage, hour) of one batch.

    Attributes:
        state: int64[2]: how many rows, the row used last.
        seed: uint64[1].
        slots: int32[8192]: row + 1, 0 where empty.
        keys: int64[2048, 3]: sensor, vantage, start of the hour (UTC microseconds) or NO_HOUR.
        values: int64[2048, 7]: messages, malformed, skipped, clock faults, lost, first and last
            time.
    """

    state: npt.NDArray[np.int64]
    seed: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int32]
    keys: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]


def new_sensors(seed: int) -> Sensors:
    """Return a table without sensors; ``seed`` is 64 random bits."""
    return Sensors(
        np.zeros(2, np.int64),
        np.array([seed], np.uint64),
        np.zeros(_SENSOR_SLOTS, np.int32),
        np.zeros(_OTHER + 1, np.int32),
        np.zeros((_OTHER + 1, _SENSOR_BYTES), np.uint8),
    )


def new_counts(seed: int) -> Counts:
    """Return a table without counts; ``seed`` is 64 random bits."""
    # One row more than is used before a batch ends: the row that finds the table full.
    return Counts(
        np.array([0, -1]),
        np.array([seed], np.uint64),
        np.zeros(_HOUR_SLOTS, np.int32),
        np.zeros((_MAX_HOURS + 8, 3), np.int64),
        np.zeros((_MAX_HOURS + 8, _COLUMNS), np.int64),
    )


def reset(counts: Counts) -> None:
    """Forget all counts."""
    counts.state[:] = (0, -1)
    counts.slots[:] = 0


@inlined
def hours_full(counts: Counts) -> bool:
    """Return whether the batch should end because its table of hours is full."""
    full: bool = counts.state[0] >= _MAX_HOURS
    return full


@inlined
def _is_sensor(sensors: Sensors, sensor: Int, buffer: Bytes, start: Int, size: Int) -> bool:
    same: bool = sensors.sizes[sensor] == size
    if same:
        # Without a way out of the loop the compiler compares many bytes at once.
        different = 0
        for i in range(size):
            different |= int64(sensors.text[sensor, i]) ^ int64(buffer[start + i])
        same = different == 0
    return same


@kernel
def _search_sensor(sensors: Sensors, buffer: Bytes, start: Int, size: Int) -> Int:
    state = sensors.seed[0]
    for i in range(size):
        state = (state ^ uint64(buffer[start + i])) * _MULTIPLIER
        state ^= state >> uint64(29)
    slot = int64(state & uint64(_SENSOR_SLOTS - 1))
    while sensors.slots[slot] > 0:
        sensor = int64(sensors.slots[slot])
        if _is_sensor(sensors, sensor, buffer, start, size):
            sensors.state[1] = sensor
            return sensor
        slot = (slot + 1) & (_SENSOR_SLOTS - 1)
    if sensors.state[0] >= _MAX_SENSORS:
        return _OTHER
    sensors.state[0] += 1
    sensor = sensors.state[0]
    sensors.state[1] = sensor
    sensors.slots[slot] = sensor
    sensors.sizes[sensor] = size
    for i in range(size):
        sensors.text[sensor, i] = buffer[start + i]
    return sensor


@inlined
def sensor_of(sensors: Sensors, buffer: Bytes, start: Int, stop: Int) -> Int:
    """Return the number of the sensor with this identity, a new one if there is room."""
    size = min(stop - start, _SENSOR_BYTES)
    sensor = sensors.state[1]
    if size <= 0:
        sensor = int64(0)
    elif sensor == 0 or not _is_sensor(sensors, sensor, buffer, start, size):
        sensor = _search_sensor(sensors, buffer, start, size)
    return sensor


@kernel
def _row(counts: Counts, sensor: Int, vantage: Int, hour: Int) -> Int:
    state: Word = counts.seed[0]
    state = (state ^ uint64(sensor * 8 + vantage)) * _MULTIPLIER
    state ^= state >> uint64(32)
    state = (state ^ uint64(hour)) * _MULTIPLIER
    state ^= state >> uint64(32)
    slot = int64(state & uint64(_HOUR_SLOTS - 1))
    while counts.slots[slot] > 0:
        row = int64(counts.slots[slot]) - 1
        if (
            counts.keys[row, 0] == sensor
            and counts.keys[row, 1] == vantage
            and counts.keys[row, 2] == hour
        ):
            counts.state[1] = row
            return row
        slot = (slot + 1) & (_HOUR_SLOTS - 1)
    row = counts.state[0]
    counts.state[0] = row + 1
    counts.state[1] = row
    counts.slots[slot] = row + 1
    counts.keys[row, 0] = sensor
    counts.keys[row, 1] = vantage
    counts.keys[row, 2] = hour
    for column in range(_COLUMNS):
        counts.values[row, column] = 0
    counts.values[row, _FIRST] = _LATEST
    return row


@inlined
def tally(counts: Counts, sensor: Int, vantage: Int, time: Int, column: Int) -> None:
    """Count one record; ``time`` is NO_HOUR where it has none that can be used.

    A message without a time is a clock fault as well.
    The caller ends the batch when ``hours_full``.
    """
    row = counts.state[1]
    # Most records are of the same sensor and hour as the one before.
    if (
        row < 0
        or time < counts.keys[row, 2]
        or time >= counts.keys[row, 2] + HOUR_US
        or counts.keys[row, 2] < 0
        or counts.keys[row, 0] != sensor
        or counts.keys[row, 1] != vantage
    ):
        hour = int64(time // HOUR_US * HOUR_US if time >= 0 else NO_HOUR)
        row = _row(counts, sensor, vantage, hour)
    counts.values[row, column] += 1
    if column == MESSAGES:
        if time < 0:
            counts.values[row, CLOCK_FAULTS] += 1
        else:
            counts.values[row, _FIRST] = min(counts.values[row, _FIRST], time)
            counts.values[row, _LAST] = max(counts.values[row, _LAST], time)


@kernel
def tally_many(
    counts: Counts, sensor: Int, vantage: Int, time: Int, column: Int, amount: Int
) -> None:
    """Count records that the source only states the number of; they have no first or last time."""
    row = _row(counts, sensor, vantage, int64(time // HOUR_US * HOUR_US if time >= 0 else NO_HOUR))
    counts.values[row, column] += amount


class SensorNames:
    """The sensors of a source by name, however many tables of sensors its kernels fill.

    Attributes:
        names: printable, at most 64 characters; ``None`` for no identity, and first.
    """

    def __init__(self) -> None:
        self.names: list[str | None] = [None]
        self._index: dict[bytes, int] = {}

    def codes(self, sensors: Sensors) -> npt.NDArray[np.int32]:
        """Return the index into ``names`` of each sensor of a table (int32[1026])."""
        codes = np.zeros(_OTHER + 1, np.int32)
        for sensor in range(1, int(sensors.state[0]) + 1):
            raw = sensors.text[sensor, : sensors.sizes[sensor]].tobytes()
            codes[sensor] = self._code(raw)
        if sensors.state[0] == _MAX_SENSORS:
            codes[_OTHER] = self._other()
        return codes

    def _code(self, raw: bytes) -> int:
        if raw not in self._index:
            if len(self._index) >= _MAX_SENSORS:
                return self._other()
            text = raw.decode("utf-8", "replace").strip()
            self._index[raw] = len(self.names)
            self.names.append("".join(c if c.isprintable() else "?" for c in text) or None)
        return self._index[raw]

    def _other(self) -> int:
        # No identity is longer than 64 bytes, so that this key is nobody's.
        key = b"other" * _SENSOR_BYTES
        if key not in self._index:
            self._index[key] = len(self.names)
            self.names.append("other")
        return self._index[key]


def counts_table(
    parts: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
    sensors: Sequence[str | None],
    vantages: Sequence[str],
) -> pa.RecordBatch:
    """Return counts as rows of ``schema.COVERAGE_COUNTS``.

    Identities that are the same text once made printable share their rows.

    Args:
        parts: used ``Counts.keys``, with indexes into ``sensors``, and ``Counts.values``.
        sensors: names by index.
        vantages: words by index.
    """
    words: dict[str | None, int] = {}
    same = np.array([words.setdefault(name, len(words)) for name in sensors], np.int64)
    keys = np.concatenate([part[0] for part in parts])
    counted = np.concatenate([part[1] for part in parts])
    keys[:, 0] = same[keys[:, 0]]
    groups, row_of = np.unique(keys, axis=0, return_inverse=True)
    row_of = row_of.reshape(-1)
    values = np.zeros((groups.shape[0], _FIRST), np.int64)
    np.add.at(values, row_of, counted[:, :_FIRST])
    first = np.full(groups.shape[0], _LATEST)
    last = np.zeros(groups.shape[0], np.int64)
    np.minimum.at(first, row_of, counted[:, _FIRST])
    np.maximum.at(last, row_of, counted[:, _LAST])
    unused = first == _LATEST
    texts: list[Any] = list(words)
    columns: list[Any] = [
        pa.array([texts[i] for i in groups[:, 0]], pa.string()).dictionary_encode(),
        pa.array([vantages[i] for i in groups[:, 1]], pa.string()).dictionary_encode(),
        pa.array(groups[:, 2], mask=groups[:, 2] == NO_HOUR).cast(TIME),
        pa.array(values[:, MESSAGES]),
        pa.array(np.zeros(groups.shape[0], np.int64)),
        pa.array(values[:, MALFORMED]),
        pa.array(values[:, SKIPPED]),
        pa.array(values[:, LOST]),
        pa.array(first, mask=unused).cast(TIME),
        pa.array(last, mask=unused).cast(TIME),
        pa.array(values[:, CLOCK_FAULTS]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=COVERAGE_COUNTS.arrow)

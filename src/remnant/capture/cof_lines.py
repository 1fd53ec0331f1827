"""Kernels that read passive DNS in the common output format, plain or in DNSDB's envelope.

References:
    draft-dulaunoy-dnsop-passive-dns-cof-12 (fields, MUST and SHOULD); DNSDB APIv2, Streaming API
    Framing (``cond``, ``obj``, ``msg``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.capture.json_lines import (
    ABSENT,
    KIND,
    LIST,
    NUMBER,
    OBJECT,
    TEXT,
    TEXT_ESCAPED,
    Found,
    Paths,
    Values,
    compile_paths,
    copy_text,
    element,
    found_room,
    is_word,
    whole_number,
)
from remnant.capture.json_shapes import Shapes, new_shapes, read_alike
from remnant.capture.lines import MAX_LINE
from remnant.capture.pdns_rows import (
    CLOCK_FAULTS,
    ROWS_READ,
    SENSORS_LOST,
    Sensors,
    sensor_of,
)
from remnant.capture.text_fields import BAD, parse_iso, parse_seconds
from remnant.capture.text_records import (
    LAST,
    SENSOR,
    TIMES,
    TTL,
    TTL_HIGH,
    Records,
    add_data,
    add_owner,
)
from remnant.capture.text_rows import (
    BAD_DATA,
    BAD_FIELDS,
    BAD_JSON,
    BAD_NAME,
    BAD_NUMBER,
    BAD_TIME,
    SKIPPED,
    TOO_LONG,
    Rows,
    reject,
)
from remnant.capture.text_types import parse_type
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "ANSWERS",
    "FAILED",
    "FAILED_LINE",
    "LIMITED",
    "OPEN",
    "TRUNCATED",
    "Work",
    "new_work",
    "read_lines",
]

_FIELDS: Final = (
    "rrname", "rrtype", "rdata", "time_first", "time_last", "zone_time_first", "zone_time_last",
    "time_first_ms", "time_last_ms", "count", "sensor_id",
    "time_first_us", "time_last_us", "ttl_low", "ttl_high",
)  # fmt: skip
(
    _RRNAME, _RRTYPE, _RDATA, _TIME_FIRST, _TIME_LAST, _ZONE_FIRST, _ZONE_LAST, _FIRST_MS, _LAST_MS,
    _COUNT, _SENSOR_ID, _FIRST_US, _LAST_US, _TTL_LOW, _TTL_HIGH, _COND, _OBJ,
) = range(len(_FIELDS) + 2)  # fmt: skip

# What ``Work.state`` counts.
OPEN: Final = 0
"""1 while an answer of DNSDB has begun and not ended."""
ANSWERS: Final = 1
LIMITED: Final = 2
FAILED: Final = 3
TRUNCATED: Final = 4
FAILED_LINE: Final = 5
"""Where in the block the line of the last failure starts, -1 if there is none in it."""

_BEGIN: Final = np.frombuffer(b"begin", np.uint8).copy()
_ONGOING: Final = np.frombuffer(b"ongoing", np.uint8).copy()
_SUCCEEDED: Final = np.frombuffer(b"succeeded", np.uint8).copy()
_LIMITED_WORD: Final = np.frombuffer(b"limited", np.uint8).copy()
_FAILED_WORD: Final = np.frombuffer(b"failed", np.uint8).copy()

_MAX_TYPE: Final = 65535
_MAX_ITEMS: Final = 1 << 15
_MOST_DIGITS: Final = 15
_TIME_DIGITS: Final = 16


class Work(NamedTuple):
    """Tables and scratch of the kernels.

    Attributes:
        paths: what is read of a line, and ``found`` where it stands.
        shapes: of the lines that were read.
        text: uint8: a string without its escapes; ``key``: a key.
        state: int64: the answers of DNSDB.
    """

    paths: Paths
    found: Found
    shapes: Shapes
    text: Bytes
    key: Bytes
    state: npt.NDArray[np.int64]


def new_work(*, envelope: bool) -> Work:
    """Return what the kernels need; it holds what spans blocks."""
    prefix = "obj/" if envelope else ""
    paths = [prefix + field for field in _FIELDS]
    if envelope:
        paths += ["cond", "obj"]
    return Work(
        compile_paths(paths),
        found_room(len(_FIELDS) + 2),
        new_shapes(len(_FIELDS) + 2),
        np.empty(2 * MAX_LINE, np.uint8),
        np.empty(MAX_LINE, np.uint8),
        np.zeros(6, np.int64),
    )


@kernel
def _time(view: Bytes, values: Values, slot: Int) -> Int:
    """Return a time in seconds or as ISO 8601; 0 if it is absent, ``BAD`` if it is no time."""
    start = values[slot, 0]
    stop = values[slot, 1]
    if values[slot, KIND] == ABSENT:
        return int64(0)
    if values[slot, KIND] == NUMBER:
        return int64(parse_seconds(view, start, stop))
    if values[slot, KIND] == TEXT:
        time = parse_seconds(view, start, stop)
        if time == BAD:
            time, _ = parse_iso(view, start, stop)
        return int64(time)
    return int64(BAD)


@kernel
def _milliseconds(view: Bytes, values: Values, slot: Int) -> Int:
    """Return a time in milliseconds as microseconds; 0 if it is absent or no such number."""
    value = _long(view, values, slot, int64(_MOST_DIGITS))
    return 1000 * value if value > 0 else int64(0)


@kernel
def _long(view: Bytes, values: Values, slot: Int, most: Int) -> Int:
    """Return a whole number of at most so many digits, -1 if it is absent, -2 if it is none."""
    start = values[slot, 0]
    stop = values[slot, 1]
    if values[slot, KIND] == ABSENT:
        return int64(-1)
    if values[slot, KIND] != NUMBER or stop - start > most:
        return int64(-2)
    value = int64(0)
    for i in range(start, stop):
        digit = int64(view[i]) - 48
        if digit < 0 or digit > 9:
            return int64(-2)
        value = value * 10 + digit
    return value


@kernel
def _seen(view: Bytes, values: Values, last: Int) -> Int:
    """Return the first time (``last`` 0) or the last one (1), as precisely as it is told."""
    exact = _long(view, values, _FIRST_US + last, int64(_TIME_DIGITS))
    if exact > 0:
        return exact
    precise = _milliseconds(view, values, _FIRST_MS + last)
    if precise > 0:
        return precise
    time = _time(view, values, _TIME_FIRST + last)
    return time if time != 0 else _time(view, values, _ZONE_FIRST + last)


@kernel
def _read_row(
    view: Bytes, work: Work, sensors: Sensors, limits: npt.NDArray[np.int64], rows: Rows,
    records: Records,
) -> Int:  # fmt: skip
    """Add the records of one row; return why not, or -1."""
    values = work.found.values
    text = work.text
    if values[_RDATA, KIND] == ABSENT or values[_RRTYPE, KIND] == ABSENT:
        return int64(BAD_FIELDS)
    kind: Int = int64(-1)
    if values[_RRTYPE, KIND] == NUMBER:
        kind = whole_number(view, values, int64(_RRTYPE), _MAX_TYPE)
    elif values[_RRTYPE, KIND] == TEXT:
        kind = int64(parse_type(view, values[_RRTYPE, 0], values[_RRTYPE, 1]))
    if kind < 0:
        return int64(BAD_FIELDS)
    first = _seen(view, values, int64(0))
    last = _seen(view, values, int64(1))
    if first in (0, BAD) or last in (0, BAD) or last < first:
        return int64(BAD_TIME)
    count = _long(view, values, int64(_COUNT), int64(_MOST_DIGITS))
    if count == -2:
        return int64(BAD_NUMBER)
    size = copy_text(view, values, int64(_RRNAME), text)
    owner: Int = int64(-1)
    if size >= 0:
        if size == 0:
            text[0] = 46
            size = int64(1)
        owner = int64(add_owner(records, text, int64(0), size, False))
    if owner < 0:
        return int64(BAD_NAME)
    fault = first < limits[0] or last >= limits[1]
    sensor: Int = int64(0)
    if values[_SENSOR_ID, KIND] != ABSENT:
        sensor = int64(sensor_of(sensors, text, copy_text(view, values, int64(_SENSOR_ID), text)))
        if sensor < 0:
            rows.counters[SENSORS_LOST] += 1
            sensor = int64(0)
    low = _long(view, values, int64(_TTL_LOW), int64(_MOST_DIGITS))
    high = _long(view, values, int64(_TTL_HIGH), int64(_MOST_DIGITS))
    listed = values[_RDATA, KIND] == LIST
    begin = values[_RDATA, 0]
    end = values[_RDATA, 1]
    kind_of = values[_RDATA, KIND]
    i: Int = begin + 1
    added = False
    for _ in range(_MAX_ITEMS):
        if listed:
            begin, end, kind_of, i = element(view, i, values[_RDATA, 1])
            if begin < 0:
                break
        if kind_of in (TEXT, TEXT_ESCAPED):
            values[_RDATA, 0] = begin
            at = values[_RDATA, 1]
            values[_RDATA, 1] = end
            values[_RDATA, KIND] = kind_of
            size = copy_text(view, values, int64(_RDATA), text)
            values[_RDATA, 1] = at
            index = add_data(records, owner, int64(-1), kind, text, int64(0), size, False, first)
            if index >= 0:
                added = True
                records.columns[index, LAST] = last
                records.columns[index, TIMES] = max(count, int64(1))
                records.columns[index, SENSOR] = sensor
                records.columns[index, TTL] = low
                records.columns[index, TTL_HIGH] = high
                if fault:
                    records.counters[1] = index
        if not listed:
            break
    if not added:
        return int64(BAD_DATA)
    rows.counters[ROWS_READ] += 1
    if fault:
        rows.counters[CLOCK_FAULTS] += 1
    return int64(-1)


@kernel
def _condition(view: Bytes, start: Int, values: Values, state: npt.NDArray[np.int64]) -> bool:
    """Follow the answers of DNSDB; return whether the line's ``cond`` is one that is known."""
    if values[_COND, KIND] == ABSENT or is_word(view, values, int64(_COND), _ONGOING):
        if state[OPEN] == 0:
            state[OPEN] = 1
            state[ANSWERS] += 1
        return True
    if is_word(view, values, int64(_COND), _BEGIN):
        state[TRUNCATED] += state[OPEN]
        state[OPEN] = 1
        state[ANSWERS] += 1
        return True
    succeeded = is_word(view, values, int64(_COND), _SUCCEEDED)
    limited = is_word(view, values, int64(_COND), _LIMITED_WORD)
    failed = is_word(view, values, int64(_COND), _FAILED_WORD)
    if not (succeeded or limited or failed):
        return False
    state[OPEN] = 0
    if limited:
        state[LIMITED] += 1
    elif failed:
        state[FAILED] += 1
        state[FAILED_LINE] = start
    return True


@kernel
def read_lines(
    view: Bytes,
    ends: npt.NDArray[np.int64],
    envelope: bool,
    work: Work,
    sensors: Sensors,
    limits: npt.NDArray[np.int64],
    rows: Rows,
    records: Records,
) -> None:
    """Read the lines of a block.

    Args:
        view: the bytes of the lines.
        ends: where each line ends.
        envelope: the rows stand in DNSDB's envelope.
        work: tables and scratch; holds what spans blocks.
        sensors: filled with the sensors that rows say.
        limits: of ``PdnsTables``.
        rows: takes counters and malformed lines.
        records: takes the records.
    """
    values = work.found.values
    work.state[FAILED_LINE] = -1
    start: Int = int64(0)
    for line in range(ends.size):
        if line > 0:
            start = ends[line - 1] + 1
        stop: Int = ends[line]
        if stop - start > MAX_LINE:
            reject(rows, start, stop, int64(TOO_LONG))
            continue
        if stop > start and view[stop - 1] == 13:
            stop -= 1
        if stop == start:
            continue
        reason = int64(-1)
        is_row = not envelope
        if not read_alike(view, start, stop, work.paths, work.found, work.key, work.shapes):
            reason = int64(BAD_JSON)
            is_row = False
        elif envelope:
            is_row = values[_OBJ, KIND] == OBJECT
            if not is_row and values[_COND, KIND] == ABSENT:
                reason = int64(BAD_FIELDS)
            elif not _condition(view, start, values, work.state):
                reason = int64(BAD_FIELDS)
                is_row = False
            elif not is_row:
                rows.counters[SKIPPED] += 1
        if is_row:
            reason = _read_row(view, work, sensors, limits, rows, records)
        if reason >= 0:
            reject(rows, start, stop, reason)

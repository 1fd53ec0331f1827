"""Kernel that reads the lines of gamelinux' passivedns.

References:
    passivedns, README and the option ``-f``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from numba import int64

from remnant.capture.lines import MAX_LINE
from remnant.capture.pdns_rows import CLOCK_FAULTS, ROWS_READ
from remnant.capture.text_fields import BAD, parse_address, parse_name, parse_seconds, parse_uint
from remnant.capture.text_records import TIMES, TTL, Records, add_data, add_owner
from remnant.capture.text_rows import (
    BAD_ADDRESS,
    BAD_DATA,
    BAD_FIELDS,
    BAD_NAME,
    BAD_NUMBER,
    BAD_TIME,
    SKIPPED,
    TOO_LONG,
    Rows,
    reject,
)
from remnant.capture.text_types import parse_class, parse_rcode, parse_type
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["FIELDS", "read_lines"]

FIELDS: Final = 9
"""Fields of a line in the default order: time, client, server, class, name, type, answer, TTL and
count."""

_TIME, _CLIENT, _SERVER, _CLASS, _NAME, _TYPE, _ANSWER, _TTL, _TIMES = range(FIELDS)
_BAR: Final = 124
_INTERNET: Final = 1


@kernel
def _split(view: Bytes, start: Int, stop: Int, ends: npt.NDArray[np.int64]) -> bool:
    """Find the fields: ``ends`` gets where each ends. Return whether there are nine of them.

    An answer may hold the separator (a TXT record): what is too much is in the seventh field.
    """
    count = int64(0)
    i: Int = start
    while i + 1 < stop and count < _ANSWER:
        if view[i] == _BAR and view[i + 1] == _BAR:
            ends[count] = i
            count += 1
            i += 1
        i += 1
    if count < _ANSWER:
        return False
    first = i
    ends[_TIMES] = stop
    i = stop - 2
    field: Int = int64(_TTL)
    while i >= first and field >= _ANSWER:
        if view[i] == _BAR and view[i + 1] == _BAR:
            ends[field] = i
            field -= 1
            i -= 1
        i -= 1
    return bool(field < _ANSWER)


@kernel
def _read_line(
    view: Bytes, start: Int, stop: Int, ends: npt.NDArray[np.int64], limits: npt.NDArray[np.int64],
    rows: Rows, records: Records,
) -> Int:  # fmt: skip
    """Add the record of one line; return why not, or -1."""
    if not _split(view, start, stop, ends):
        return int64(BAD_FIELDS)
    time = parse_seconds(view, start, ends[_TIME])
    if time == BAD:
        return int64(BAD_TIME)
    scratch = records.scratch
    for field in (_CLIENT, _SERVER):
        if parse_address(view, ends[field - 1] + 2, ends[field], scratch, int64(0)) == 0:
            return int64(BAD_ADDRESS)
    kind: Int = int64(parse_type(view, ends[_NAME] + 2, ends[_TYPE]))
    count: Int = int64(parse_uint(view, ends[_TTL] + 2, ends[_TIMES]))
    ttl: Int = int64(parse_uint(view, ends[_ANSWER] + 2, ends[_TTL]))
    if kind < 0 or count < 0 or ttl < 0:
        return int64(BAD_NUMBER)
    begin = ends[_TYPE] + 2
    end = ends[_ANSWER]
    other_class = parse_class(view, ends[_SERVER] + 2, ends[_CLASS]) != _INTERNET
    no_record = parse_rcode(view, begin, end) > 0 and not 48 <= view[begin] <= 57
    if other_class or no_record:
        if parse_name(view, ends[_CLASS] + 2, ends[_NAME], False, scratch, int64(0)) < 0:
            return int64(BAD_NAME)
        # NXDOMAIN stands where the answer would: nothing was seen but that there is none.
        rows.counters[SKIPPED] += 1
        return int64(-1)
    owner: Int = int64(add_owner(records, view, ends[_CLASS] + 2, ends[_NAME], False))
    if owner < 0:
        return int64(BAD_NAME)
    index: Int = add_data(records, owner, int64(-1), kind, view, begin, end, False, time)
    if index < 0:
        return int64(BAD_DATA)
    records.columns[index, TIMES] = max(count, int64(1))
    records.columns[index, TTL] = ttl
    if time < limits[0] or time >= limits[1]:
        records.counters[1] = index
        rows.counters[CLOCK_FAULTS] += 1
    rows.counters[ROWS_READ] += 1
    return int64(-1)


@kernel
def read_lines(
    view: Bytes,
    line_ends: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    limits: npt.NDArray[np.int64],
    rows: Rows,
    records: Records,
) -> None:
    """Read the lines of a block.

    Args:
        view: the bytes of the lines.
        line_ends: where each line ends.
        ends: int64[FIELDS]: room for where the fields of a line end.
        limits: of ``PdnsTables``.
        rows: takes counters and malformed lines.
        records: takes the records.
    """
    start: Int = int64(0)
    for line in range(line_ends.size):
        if line > 0:
            start = line_ends[line - 1] + 1
        stop: Int = line_ends[line]
        if stop - start > MAX_LINE:
            reject(rows, start, stop, int64(TOO_LONG))
            continue
        if stop > start and view[stop - 1] == 13:
            stop -= 1
        if stop == start:
            continue
        reason = _read_line(view, start, stop, ends, limits, rows, records)
        if reason >= 0:
            reject(rows, start, stop, reason)

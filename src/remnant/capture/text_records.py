"""Resource records that stand in the lines of a text format, on their way to passive DNS.

A kernel adds the records of a block; ``answers_of`` makes rows of those that are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numba import int64

from remnant.capture.answers import answer_rows
from remnant.capture.lines import MAX_LINE
from remnant.capture.printed_rdata import MAX_FACTOR, SLACK, printed_data
from remnant.capture.text_fields import DAY_US, SECOND_US, parse_name
from remnant.schema import ANSWER_ROWS
from remnant.watchtable import lookup_name
from remnant.windows import to_us
from remnant.wire import MAX_LABELS, fold_byte, kernel, labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy.typing as npt

    from remnant.capture import AnswersMode
    from remnant.capture.lines import Block
    from remnant.watchlist import Watchlist
    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int

__all__ = [
    "Records",
    "add_data",
    "add_owner",
    "add_wire_owner",
    "answers_of",
    "clock_limits",
    "drop_owner",
    "is_watched",
    "records_room",
    "same_owner",
]

OWNERS: Final = 0
COUNT: Final = 1

OWNER: Final = 0
QUESTION: Final = 1
TYPE: Final = 2
FIRST: Final = 3
LAST: Final = 4
TIMES: Final = 5
SENSOR: Final = 6
TTL: Final = 7
TTL_HIGH: Final = 8
_COLUMNS: Final = 9

_FIRST_US: Final = 946_684_800 * SECOND_US  # 2000-01-01
_PIECE: Final = 1 << 16
_SPARE: Final = 4096


class Records(NamedTuple):
    """Columns of the records of a block.

    Attributes:
        counters: int64: owners, records.
        owners: uint8: wire names end to end, in the case they have, and ``owner_offsets``.
        columns: int64[n, 9]: OWNER, which of the owners the record has; QUESTION, which of them is
            the name that was asked for, -1 for none, or where it is the owner itself; TYPE; FIRST
            and LAST, when it was seen, UTC microseconds; TIMES, how often; SENSOR, an index into
            the reader's sensors; TTL, seconds, -1 where the source has none; TTL_HIGH, the
            greatest, where it may differ, else -1.
        data: uint8: normal forms (``printed_rdata``) end to end, and ``data_offsets``.
        scratch: uint8: room for one text.
        starts: int64[130], as in ``wire.labels``.
    """

    counters: npt.NDArray[np.int64]
    owners: Bytes
    owner_offsets: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    data: Bytes
    data_offsets: npt.NDArray[np.int64]
    scratch: Bytes
    starts: npt.NDArray[np.int64]


def records_room(block: Block, before: Records | None = None) -> Records:
    """Return columns with room for all records of a block, those of ``before`` if they do."""
    size = block.data.size
    # In JSON the least that a record or an owner can be is three bytes and a comma.
    most = size // 4 + block.ends.size + 1
    if before is not None and before.columns.shape[0] >= most and before.scratch.size > size:
        before.counters[:] = 0
        return before
    return Records(
        counters=np.zeros(2, np.int64),
        owners=np.empty(size + 2 * most + MAX_LINE + _SPARE, np.uint8),
        owner_offsets=np.zeros(most + 1, np.int64),
        columns=np.empty((most, _COLUMNS), np.int64),
        data=np.empty(MAX_FACTOR * (size + MAX_LINE) + SLACK * most + _SPARE, np.uint8),
        data_offsets=np.zeros(most + 1, np.int64),
        scratch=np.empty(max(size, MAX_LINE) + _SPARE, np.uint8),
        starts=np.zeros(MAX_LABELS + 2, np.int64),
    )


@kernel
def add_owner(records: Records, view: Bytes, start: Int, stop: Int, hexadecimal: bool) -> Int:
    """Keep a printed name as an owner of records; return its index, or -1 if it is no name."""
    index = records.counters[OWNERS]
    if index + 1 >= records.owner_offsets.size:
        return int64(-1)
    at = records.owner_offsets[index]
    end = parse_name(view, start, stop, hexadecimal, records.owners, at)
    if end < 0:
        return int64(-1)
    records.owner_offsets[index + 1] = end
    records.counters[OWNERS] = index + 1
    return index


@kernel
def add_wire_owner(records: Records, names: Bytes, start: Int, stop: Int) -> Int:
    """Keep a wire name as an owner of records; return its index."""
    index = records.counters[OWNERS]
    if index + 1 >= records.owner_offsets.size:
        return int64(-1)
    at = records.owner_offsets[index]
    for i in range(stop - start):
        records.owners[at + i] = names[start + i]
    records.owner_offsets[index + 1] = at + stop - start
    records.counters[OWNERS] = index + 1
    return index


@kernel
def drop_owner(records: Records, index: Int) -> None:
    """Forget an owner that was kept last and has no records."""
    if index >= 0 and index == records.counters[OWNERS] - 1:
        records.counters[OWNERS] = index


@kernel
def is_watched(records: Records, index: Int, tables: Tables, hits: npt.NDArray[np.int32]) -> bool:
    """Return whether an owner hits an entry; ``hits`` is int32[MAX_HITS]."""
    start = records.owner_offsets[index]
    count = labels(records.owners, start, records.owner_offsets[index + 1], records.starts)
    return bool(count >= 0 and lookup_name(tables, records.owners, records.starts, count, hits) > 0)


@kernel
def same_owner(records: Records, one: Int, two: Int) -> bool:
    """Return whether two owners are the same name."""
    first = records.owner_offsets[one]
    second = records.owner_offsets[two]
    size = records.owner_offsets[one + 1] - first
    if records.owner_offsets[two + 1] - second != size:
        return False
    for i in range(size):
        if fold_byte(int64(records.owners[first + i])) != fold_byte(
            int64(records.owners[second + i])
        ):
            return False
    return True


@kernel
def add_data(
    records: Records,
    owner: Int,
    question: Int,
    kind: Int,
    view: Bytes,
    start: Int,
    stop: Int,
    raw: bool,
    time: Int,
) -> Int:
    """Add a record that was seen once, with its data as printed; return its index.

    Returns -1, and adds nothing, where there is no data, or where the data of an address record is
    not an address. ``raw`` is that of ``printed_data``.
    """
    index = records.counters[COUNT]
    if stop <= start or index >= records.columns.shape[0]:
        return int64(-1)
    at = records.data_offsets[index]
    end = printed_data(
        view, start, stop, kind, raw, records.scratch, records.starts, records.data, at
    )
    if end <= at:
        return int64(-1)
    records.data_offsets[index + 1] = end
    columns = records.columns
    columns[index, OWNER] = owner
    columns[index, QUESTION] = question
    columns[index, TYPE] = kind
    columns[index, FIRST] = time
    columns[index, LAST] = time
    columns[index, TIMES] = 1
    columns[index, SENSOR] = 0
    columns[index, TTL] = -1
    columns[index, TTL_HIGH] = -1
    records.counters[COUNT] = index + 1
    return index


def clock_limits(now: datetime) -> tuple[int, int]:
    """Return from when on and before when (UTC microseconds) a time is not a clock fault."""
    return _FIRST_US, to_us(now) + DAY_US


def answers_of(
    records: Records,
    watchlist: Watchlist,
    mode: AnswersMode,
    *,
    now: datetime | None = None,
    sensors: Sequence[str | None] = (None,),
    distinct: bool = False,
) -> pa.RecordBatch | None:
    """Return the records that are kept, as rows of ``schema.ANSWER_ROWS``; ``None`` if none.

    Args:
        records: what a kernel added.
        watchlist: what is watched.
        mode: which records are kept.
        now: leaves out records timed before 2000 or more than a day after it.
        sensors: names by sensor index.
        distinct: few records stand twice; see ``answer_rows``.
    """
    owners, total = (int(count) for count in records.counters)
    if mode == "none" or not total:
        return None
    columns = records.columns[:total]
    index = np.arange(total)
    if now is not None:
        earliest, latest = clock_limits(now)
        index = np.flatnonzero((columns[:, FIRST] >= earliest) & (columns[:, LAST] < latest))
    names = _binary(records.owners, records.owner_offsets[: owners + 1])
    asked = _entries_of(watchlist, names, columns[:, QUESTION])
    batches = []
    for piece in np.array_split(index, max(1, -(-index.size // _PIECE))):
        name_offsets, name_bytes = _taken(names, columns[piece, OWNER])
        data_offsets, data = _taken(_binary(records.data, records.data_offsets[: total + 1]), piece)
        batch = answer_rows(
            watchlist,
            mode,
            names=name_bytes,
            name_offsets=name_offsets,
            rrtype=columns[piece, TYPE].astype(np.int32),
            rdata=data,
            rdata_offsets=data_offsets,
            first=columns[piece, FIRST],
            last=columns[piece, LAST],
            count=columns[piece, TIMES],
            asked=asked[piece],
            sensor=columns[piece, SENSOR].astype(np.int32),
            sensors=sensors,
            distinct=distinct,
            ttl=columns[piece, TTL],
            ttl_high=np.maximum(columns[piece, TTL], columns[piece, TTL_HIGH]),
        )
        if batch is not None:
            batches.append(batch)
    if len(batches) < 2:
        return batches[0] if batches else None
    table = pa.Table.from_batches(batches, ANSWER_ROWS.arrow)
    (whole,) = table.unify_dictionaries().combine_chunks().to_batches()
    return whole


def _entries_of(
    watchlist: Watchlist, names: pa.Array[Any], question: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """Return the entry that each record's question hits, -1 for none."""
    asked = np.full(question.size, -1, np.int32)
    with_question = np.flatnonzero(question >= 0)
    if with_question.size:
        distinct, back = np.unique(question[with_question], return_inverse=True)
        offsets, name_bytes = _taken(names, distinct)
        row, entry = watchlist.match_wire(name_bytes, offsets)
        first = np.unique(row, return_index=True)[1]
        best = np.full(distinct.size, -1, np.int32)
        best[row[first]] = entry[first]
        asked[with_question] = best[back]
    return asked


def _binary(values: Bytes, offsets: npt.NDArray[np.int64]) -> pa.Array[Any]:
    buffers: Any = [offsets, values]
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), offsets.size - 1, [None, *map(pa.py_buffer, buffers)]
    )


def _taken(
    values: pa.Array[Any], index: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], Bytes]:
    """Return (offsets, bytes) of some values end to end."""
    if index.size and index[-1] - index[0] == index.size - 1 and (np.diff(index) == 1).all():
        # Neighbours lie so already; the columns are used again for the next block.
        _, all_offsets, all_data = values.buffers()
        assert all_offsets is not None
        assert all_data is not None
        at = np.frombuffer(memoryview(all_offsets), np.int64)[index[0] : index[-1] + 2]
        text = np.frombuffer(memoryview(all_data), np.uint8)[at[0] : at[-1]]
        return at - at[0], text.copy()
    where: Any = pa.array(index)
    _, offsets, data = values.take(where).buffers()
    if data is None or offsets is None or not index.size:
        return np.zeros(index.size + 1, np.int64), np.empty(0, np.uint8)
    return (
        np.frombuffer(memoryview(offsets), np.int64, index.size + 1).copy(),
        np.frombuffer(memoryview(data), np.uint8).copy(),
    )

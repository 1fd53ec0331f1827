"""How the log of a name server is read, whatever its lines look like.

A format gives a kernel that reads the lines of a block, and words for what a person should be told.
Each server has two readers on one kernel: one for its queries and responses, one for its policy
hits, so that no line is counted twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa

from remnant.capture import text_rows
from remnant.capture.lines import blocks
from remnant.capture.text_fields import BAD
from remnant.capture.text_stamp import LOCAL, NO_YEAR_TIME, STAMP_COLUMNS, TIME
from remnant.capture.text_times import LogTimes
from remnant.capture.text_times import first_day as first_day_of
from remnant.wire import kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.lines import Block
    from remnant.capture.stream import ByteStream
    from remnant.capture.text_pairs import PairedBy
    from remnant.capture.text_rows import Rows
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes, Int

__all__ = [
    "NO_TIME",
    "NO_YEAR",
    "OTHER_KIND",
    "ServerLog",
    "add_row",
    "details",
    "first_day",
    "read_log",
]

NO_TIME: Final = 3
NO_YEAR: Final = 4
"""Counters of messages whose line has no time, or a time without a year while none is known."""

OTHER_KIND: Final = 5
"""Counter of the lines of the other kind, which are a part of the skipped ones: policy hits for a
reader of queries, queries and responses for a reader of policy hits."""

_COUNTERS: Final = 8


class LineKernel(Protocol):
    """Reads the lines of a block into rows.

    For policy hits ``Rows.answers`` is the range of the text that ``detail`` is made from.
    """

    def __call__(
        self,
        view: Bytes,
        ends: npt.NDArray[np.int64],
        year: npt.NDArray[np.int64],
        when: npt.NDArray[np.int64],
        policy: bool,
        rows: Rows,
    ) -> None:
        """Read them; ``policy``: the hits of policies, else queries and responses."""
        ...


@dataclass(frozen=True, slots=True)
class ServerLog:
    """One kind of log of one server.

    Attributes:
        read_lines: its kernel.
        policy: the hits of policies are read, and not the queries.
        paired_by: what a query and its response have in common, ``None`` for policy hits.
        notes: what is said about the counters from 3 on, by index: a text in which ``{}`` is the
            number.
        detail: makes the ``detail`` of a policy hit from its text.
    """

    read_lines: LineKernel
    policy: bool
    paired_by: PairedBy | None
    notes: dict[int, str]
    detail: Callable[[bytes], str | None] | None = None


def read_log(
    log: ServerLog, stream: ByteStream, watchlist: Watchlist, options: ReadOptions, vantage: str
) -> Iterator[Batch]:
    """Yield the batches of a log.

    Raises:
        FormatError: the lines carry times without a year, and the options do not say it.
    """
    tables = text_rows.Tables(
        watchlist, options.vantage or vantage, options.now, paired_by=log.paired_by
    )
    times = LogTimes(options)
    when = np.empty(STAMP_COLUMNS, np.int64)
    told = np.zeros(_COUNTERS, np.int64)
    for block in blocks(stream):
        rows = text_rows.room_for(block)
        log.read_lines(block.data, block.ends, times.year, when, log.policy, rows)
        seen = int(rows.counters[text_rows.QUERIES_SEEN])
        if block.tail:
            if not seen:
                tables.note_incomplete(block)
                continue
            stream.advance(block.data.size)
        if seen:
            times.begin(int(rows.time[0]), block, int(rows.line[0]), stream.name)
        times.to_utc(rows.time[:seen], rows.local[:seen])
        told += rows.counters
        yield tables.batch(block, rows, detail=_detail(log, block, rows))
    tables.notes += times.notes()
    tables.notes += [text.format(told[i]) for i, text in log.notes.items() if told[i]]
    yield from tables.rest(stream)


def first_day(log: ServerLog, head: bytes) -> int | None:
    """Return the day on which a log begins whose lines say no year.

    Args:
        log: the kind of log.
        head: its first bytes.

    Returns:
        0 to 365, as in a leap year; None if the first message says its year, or has no time.
    """

    def first_time(block: Block, year: int) -> int | None:
        rows = text_rows.room_for(block)
        when = np.empty(STAMP_COLUMNS, np.int64)
        years = np.array([year, 0], np.int64)
        log.read_lines(block.data, block.ends, years, when, log.policy, rows)
        return int(rows.time[0]) if rows.counters[text_rows.QUERIES_SEEN] else None

    return first_day_of(head, first_time)


def _detail(log: ServerLog, block: Block, rows: Rows) -> text_rows.Detail | None:
    make = log.detail
    if make is None:
        return None
    return lambda index: details(block.data, rows.answers[index], make)


def details(
    data: Bytes, spans: npt.NDArray[np.int64], make: Callable[[bytes], str | None]
) -> pa.Array[Any]:
    """Return the ``detail`` of some rows; texts that say the same are looked at once.

    Args:
        data: holds the texts.
        spans: int64[n, 2 or more]: the range of each.
        make: returns what a text says, ``None`` for nothing.
    """
    sizes = spans[:, 1] - spans[:, 0]
    offsets = np.zeros(sizes.size + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    texts = np.empty(int(offsets[-1]), np.uint8)
    _copy(data, np.ascontiguousarray(spans[:, 0]), offsets, texts)
    buffers: Any = [offsets, texts]
    column: Any = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), sizes.size, [None, *map(pa.py_buffer, buffers)]
    )
    words = column.dictionary_encode()
    said = pa.array([make(text) for text in words.dictionary.to_pylist()], pa.string())
    return said.take(words.indices)


@kernel
def _copy(
    data: Bytes, begins: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], out: Bytes
) -> None:
    for row in range(begins.size):
        begin = begins[row]
        at = offsets[row]
        for i in range(offsets[row + 1] - at):
            out[at + i] = data[begin + i]


@kernel
def add_row(rows: Rows, start: Int, when: npt.NDArray[np.int64]) -> None:
    """Add the message of the line at ``start``, whose time is known, to the rows."""
    n = rows.counters[text_rows.QUERIES_SEEN]
    time = when[TIME]
    rows.line[n] = start
    rows.time[n] = time
    rows.local[n] = when[LOCAL] == 1
    if time == BAD:
        rows.counters[NO_TIME] += 1
    elif time == NO_YEAR_TIME:
        rows.counters[NO_YEAR] += 1
    rows.counters[text_rows.QUERIES_SEEN] = n + 1

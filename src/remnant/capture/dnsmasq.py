"""The query log of dnsmasq, also as Pi-hole and OpenWrt write it.

References:
    dnsmasq(8), --log-queries; dnsmasq, src/cache.c; Pi-hole documentation, log file.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.capture import text_rows
from remnant.capture.answers import answer_rows
from remnant.capture.dnsmasq_answers import (
    ADDRESSES,
    BLOCKS,
    CNAME,
    FIRST_LINE,
    MESSAGES,
    QUERIES,
    Output,
    Records,
    new_answer,
    new_output,
)
from remnant.capture.dnsmasq_head import new_line
from remnant.capture.dnsmasq_lines import flush, read_lines
from remnant.capture.dnsmasq_waiting import count_waiting, new_waiting
from remnant.capture.lines import Block, blocks, nothing
from remnant.capture.text_fields import DAY_US, SECOND_US
from remnant.capture.text_log import NO_TIME, NO_YEAR
from remnant.capture.text_stamp import STAMP_COLUMNS
from remnant.capture.text_times import LogTimes, first_day
from remnant.windows import to_us
from remnant.wire import names_to_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["DnsmasqReader"]

_LINE: Final = re.compile(
    rb"(?:^|[ \n>])dnsmasq(?:\[[0-9]{1,10}\]|-[a-z0-9-]{1,20}\[[0-9]{1,10}\])?"
    rb"(?:: | [0-9-]{1,10} [^ \n]{1,32} (?:-|\[[^\n]{0,200}\]) )"
    rb"(?:(?:UDP|TCP) )?(?:[0-9]{1,10} (?:[0-9a-fA-F.:%a-z]{2,60}/[0-9]{1,5} )?)?(?:(?:UDP|TCP) )?"
    rb"(?:query|auth)\[[A-Za-z0-9_=-]{1,16}\] [^\n]{1,300} from [0-9a-fA-F.:]{2,45}"
)
_EARLIEST_US: Final = 946_684_800 * SECOND_US  # 2000-01-01
_DETAILS: Final = pa.array([None, *(json.dumps({"blocked": block}) for block in BLOCKS)])


class DnsmasqReader:
    """Reads what dnsmasq's ``log-queries`` writes; see ``capture.Reader``."""

    name = "dnsmasq"
    title = "dnsmasq or Pi-hole log"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether a query of dnsmasq's log is among the first bytes."""
        return _LINE.search(head) is not None

    def first_day(self, head: bytes) -> int | None:
        """Return the day on which a log begins whose lines say no year.

        Args:
            head: the first bytes of the log.

        Returns:
            0 to 365, as in a leap year; None if the first query says its year, or has no time.
        """
        return first_day(head, _first_time)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a log.

        Raises:
            FormatError: the lines carry the times of syslog, which have no year, and the options
                do not say it.
        """
        tables = text_rows.Tables(watchlist, options.vantage or self.vantage, options.now)
        times = LogTimes(options)
        when = np.empty(STAMP_COLUMNS, np.int64)
        waiting, answer, line = new_waiting(secrets.randbits(64)), new_answer(), new_line()
        untimed = np.zeros(2, np.int64)

        def batch(block: Block, rows: text_rows.Rows, out: Output) -> Batch:
            seen = int(rows.counters[text_rows.QUERIES_SEEN])
            messages = int(out.counters[MESSAGES])
            times.to_utc(rows.time[:seen], rows.local[:seen])
            times.to_utc(out.time[:messages], out.local[:messages])
            records = int(out.records.total[0])
            times.to_utc(out.records.time[:records], out.records.local[:records])
            answers = int(out.counters[ADDRESSES])
            return tables.batch(
                block,
                rows,
                (out.row[:answers], out.address[:answers]),
                detail=lambda hits: _DETAILS.take(_index(out.block[hits])),
                answers=_answers(rows, out, watchlist, options),
                messages=(out.time[:messages], int(out.counters[QUERIES])),
            )

        for block in blocks(stream):
            if block.tail:
                # A line without an end may lack the end of the client's address.
                tables.note_incomplete(block)
                continue
            rows = text_rows.room_for(block, more=count_waiting(waiting))
            out = new_output(block, rows.line.size)
            read_lines(
                block.data,
                block.ends,
                block.offset,
                times.year,
                when,
                waiting,
                answer,
                line,
                rows,
                out,
            )
            if out.counters[MESSAGES]:
                times.begin(int(out.time[0]), block, int(out.counters[FIRST_LINE]), stream.name)
            untimed += rows.counters[[NO_TIME, NO_YEAR]]
            yield batch(block, rows, out)
        tables.notes += times.notes()
        if untimed[0]:
            tables.notes.append(f"{untimed[0]} queries have no time")
        if untimed[1]:
            tables.notes.append(f"{untimed[1]} queries have a time without a year")
        block = nothing(stream)
        rows = text_rows.room_for(block, more=count_waiting(waiting))
        out = new_output(block, rows.line.size)
        flush(waiting, answer, block.offset, rows, out)
        if tables.notes or rows.counters[text_rows.QUERIES_SEEN]:
            yield batch(block, rows, out)


def _first_time(block: Block, year: int) -> int | None:
    rows, out = text_rows.room_for(block), new_output(block, block.ends.size)
    waiting, answer = new_waiting(0), new_answer()
    years, when = np.array([year, 0], np.int64), np.empty(STAMP_COLUMNS, np.int64)
    read_lines(
        block.data, block.ends, block.offset, years, when, waiting, answer, new_line(), rows, out
    )
    return int(out.time[0]) if out.counters[MESSAGES] else None


def _answers(
    rows: text_rows.Rows, out: Output, watchlist: Watchlist, options: ReadOptions
) -> pa.RecordBatch | None:
    """Return the records that the answers hold, those of addresses and the aliases."""
    count = int(out.records.total[0])
    if options.answers == "none" or not count:
        return None
    seen = int(rows.counters[text_rows.QUERIES_SEEN])
    # What the question of each row hit first; a record of no row takes the last.
    entry = np.full(seen + 1, -1, np.int32)
    offsets = rows.name_offsets[: seen + 1]
    hits, entries = watchlist.match_wire(rows.names[: offsets[-1]], offsets)
    entry[hits[::-1]] = entries[::-1]
    time = out.records.time[:count]
    usable = (time >= _EARLIEST_US) & (time < to_us(options.now) + DAY_US)
    alias = out.records.kind[:count] == CNAME
    batches = [
        batch
        for keep in (np.flatnonzero(usable & ~alias), np.flatnonzero(usable & alias))
        if (batch := _records(out.records, keep, entry, watchlist, options)) is not None
    ]
    if len(batches) < 2:
        return batches[0] if batches else None
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _records(
    records: Records,
    keep: npt.NDArray[np.int64],
    entry: npt.NDArray[np.int32],
    watchlist: Watchlist,
    options: ReadOptions,
) -> pa.RecordBatch | None:
    """Return those records that the options keep, all of addresses or all of aliases."""
    owners, owner_offsets = _kept(records.owners, records.owner_offsets, keep)
    data, data_offsets = _kept(records.data, records.data_offsets, keep)
    kind = records.kind[keep]
    if kind.size and kind[0] == CNAME:
        data_offsets, data = names_to_text(data, data_offsets)
    return answer_rows(
        watchlist,
        options.answers,
        names=owners,
        name_offsets=owner_offsets,
        rrtype=kind,
        rdata=data,
        rdata_offsets=data_offsets,
        first=records.time[keep],
        last=records.time[keep],
        count=np.ones(keep.size, np.int64),
        asked=entry[records.row[keep]],
    )


def _kept(
    values: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], keep: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return (bytes, offsets) of some of what stands end to end."""
    if keep.size and keep[-1] == keep.size - 1:
        return values, offsets[: keep.size + 1]
    sizes = (offsets[1:] - offsets[:-1])[keep]
    starts = np.zeros(keep.size + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    # Each byte stands as far from its beginning there as here.
    shift = np.repeat(offsets[keep] - starts[:-1], sizes)
    return values[np.arange(int(starts[-1])) + shift], starts


def _index(values: npt.NDArray[np.uint8]) -> Any:  # noqa: ANN401 - the stubs take it for booleans
    return pa.array(values.astype(np.int32))

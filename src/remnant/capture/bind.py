"""The query log of BIND 9.

One line is one query; responses are not in it, so the response code is null.

References:
    BIND 9 Administrator Reference Manual, logging, the queries category.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture import text_rows
from remnant.capture.bind_lines import NO_TIME, NO_YEAR, OTHER_MONTH, read_lines
from remnant.capture.lines import blocks
from remnant.capture.text_stamp import new_times
from remnant.capture.text_times import LogTimes, first_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.lines import Block
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["BindReader"]

_LINE: Final = re.compile(
    rb"(?:^|[ \n])client (?:@0x[0-9a-fA-F]{1,16} )?"
    rb"[0-9a-fA-F.:]{2,45}(?:%[^ #\n]{1,16})?#[0-9]{1,5}"
    rb"[^\n]{0,1100}?: query: [^ \n]{1,1020} [A-Z0-9]{2,10} [A-Z0-9*-]{1,16}(?=[ \r\n]|$)"
)


class BindReader:
    """Reads BIND's query log, of 9.2 and all later versions; see ``capture.Reader``."""

    name = "bind"
    title = "BIND query log"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether a line of BIND's query log is among the first bytes."""
        if head.lstrip()[:1] in {b"{", b"["} or b"\n#fields\t" in head:
            return False
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
        untimed = np.zeros(3, np.int64)
        for block in blocks(stream):
            rows = text_rows.room_for(block)
            read_lines(block.data, block.ends, times.when, rows)
            seen = int(rows.counters[text_rows.QUERIES_SEEN])
            if block.tail:
                if not seen:
                    tables.note_incomplete(block)
                    continue
                stream.advance(block.data.size)
            if seen:
                times.begin(int(rows.time[0]), block, int(rows.line[0]), stream.name)
            times.to_utc(rows.time[:seen], rows.local[:seen])
            untimed += rows.counters[[NO_TIME, NO_YEAR, OTHER_MONTH]]
            yield tables.batch(block, rows)
        tables.notes += times.notes()
        if untimed[0]:
            tables.notes.append(
                f"{untimed[0]} queries have no time (named.conf: print-time yes in the channel)"
            )
        if untimed[1]:
            tables.notes.append(f"{untimed[1]} queries have a time without a year")
        if untimed[2]:
            tables.notes.append(
                f"{untimed[2]} lines have a month that is not English (start named with LC_TIME=C,"
                " or named.conf: print-time iso8601 in the channel)"
            )
        yield from tables.rest(stream)


def _first_time(block: Block, year: int) -> int | None:
    rows = text_rows.room_for(block)
    read_lines(block.data, block.ends, new_times(year), rows)
    return int(rows.time[0]) if rows.counters[text_rows.QUERIES_SEEN] else None

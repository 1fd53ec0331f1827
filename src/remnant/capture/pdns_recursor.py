"""The questions and answers in the log of the PowerDNS Recursor.

References:
    PowerDNS Recursor documentation, logging.quiet and logging.structured_logging.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture import text_rows
from remnant.capture.lines import blocks
from remnant.capture.pdns_auth_lines import NO_TIME, NO_YEAR, VALUE_LIMIT
from remnant.capture.pdns_recursor_lines import NAMELESS, new_tasks, read_lines
from remnant.capture.text_stamp import new_times
from remnant.capture.text_times import LogTimes, first_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.lines import Block
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["PdnsRecursorReader"]

_LINE: Final = re.compile(
    rb"(?:^|[ \n])(?:\[[0-9]{1,10}/[0-9]{1,10}\] )?(?:TCP )?question for '[^ \n]{1,1020}"
    rb"\|[A-Z0-9-]{1,16}' from [0-9a-fA-F.:\[\]%]{2,50}"
    rb'|(?:^|[ \n])msg="(?:Question|(?:TCP q|Q)uestion answered from packet cache)" '
    rb'[^\n]{0,300}?qname="'
)


class PdnsRecursorReader:
    """Reads what ``quiet=no`` writes, classic or structured; see ``capture.Reader``."""

    name = "pdns-recursor"
    title = "PowerDNS Recursor log"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether a question of this log is among the first bytes."""
        return _LINE.search(head) is not None

    def first_day(self, head: bytes) -> int | None:
        """Return the day on which a log begins whose lines say no year.

        Args:
            head: the first bytes of the log.

        Returns:
            0 to 365, as in a leap year; None if the first question says its year, or has no time.
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
        tables = text_rows.Tables(
            watchlist, options.vantage or self.vantage, options.now, paired_by="port"
        )
        times = LogTimes(options)
        value, tasks = np.zeros(VALUE_LIMIT, np.uint8), new_tasks()
        counted = np.zeros(3, np.int64)
        for block in blocks(stream):
            if block.tail:
                # A line without an end may lack the end of its last number.
                tables.note_incomplete(block)
                continue
            rows = text_rows.room_for(block)
            read_lines(block.data, block.ends, times.when, value, tasks, rows)
            seen = int(rows.counters[text_rows.QUERIES_SEEN])
            if seen:
                times.begin(int(rows.time[0]), block, int(rows.line[0]), stream.name)
            times.to_utc(rows.time[:seen], rows.local[:seen])
            counted += rows.counters[[NO_TIME, NO_YEAR, NAMELESS]]
            yield tables.batch(block, rows)
        tables.notes += times.notes()
        if counted[0]:
            tables.notes.append(
                f"{counted[0]} lines have no time (recursor.conf: log-timestamp=yes, or syslog)"
            )
        if counted[1]:
            tables.notes.append(f"{counted[1]} lines have a time without a year")
        if counted[2]:
            tables.notes.append(
                f"{counted[2]} queries were answered from the packet cache, and the log does not"
                " name them: they are missing here (recursor.conf: structured-logging=yes, or"
                " disable-packetcache=yes)"
            )
        yield from tables.rest(stream)


def _first_time(block: Block, year: int) -> int | None:
    rows = text_rows.room_for(block)
    value = np.zeros(VALUE_LIMIT, np.uint8)
    read_lines(block.data, block.ends, new_times(year), value, new_tasks(), rows)
    return int(rows.time[0]) if rows.counters[text_rows.QUERIES_SEEN] else None

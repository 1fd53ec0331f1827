"""The queries in the log of the PowerDNS Authoritative Server.

One line is one query; what was answered is not in it, so the response code is null.

References:
    PowerDNS Authoritative Server documentation, settings, log-dns-queries.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture import text_rows
from remnant.capture.lines import blocks
from remnant.capture.pdns_auth_lines import NO_TIME, NO_YEAR, VALUE_LIMIT, read_lines
from remnant.capture.text_stamp import new_times
from remnant.capture.text_times import LogTimes, first_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.lines import Block
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["PdnsAuthReader"]

_LINE: Final = re.compile(
    rb"(?:^|[ \n])Remote [0-9a-fA-F.:%]{2,45}(?:\([^ )\n]{2,60}\))?(?:<-[0-9a-fA-F.:/]{3,49})?"
    rb" wants '[^ \n]{1,1020}\|[A-Z0-9-]{1,16}', do = [01], bufsize = [0-9]"
    rb'|(?:^|[ \n])msg="(?:TCP q|Q)uery received" [^\n]{0,200}?ts="[0-9.]{1,20}"'
)


class PdnsAuthReader:
    """Reads what ``log-dns-queries`` writes; see ``capture.Reader``."""

    name = "pdns-auth"
    title = "PowerDNS Authoritative Server log"
    vantage = "authority"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether a query of this log is among the first bytes."""
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
        value = np.zeros(VALUE_LIMIT, np.uint8)
        untimed = np.zeros(2, np.int64)
        for block in blocks(stream):
            rows = text_rows.room_for(block)
            read_lines(block.data, block.ends, times.when, value, rows)
            seen = int(rows.counters[text_rows.QUERIES_SEEN])
            if block.tail:
                if not seen:
                    tables.note_incomplete(block)
                    continue
                stream.advance(block.data.size)
            if seen:
                times.begin(int(rows.time[0]), block, int(rows.line[0]), stream.name)
            times.to_utc(rows.time[:seen], rows.local[:seen])
            untimed += rows.counters[[NO_TIME, NO_YEAR]]
            yield tables.batch(block, rows)
        tables.notes += times.notes()
        if untimed[0]:
            tables.notes.append(
                f"{untimed[0]} queries have no time (pdns.conf: log-timestamp=yes, or syslog)"
            )
        if untimed[1]:
            tables.notes.append(f"{untimed[1]} queries have a time without a year")
        yield from tables.rest(stream)


def _first_time(block: Block, year: int) -> int | None:
    rows = text_rows.room_for(block)
    value = np.zeros(VALUE_LIMIT, np.uint8)
    read_lines(block.data, block.ends, new_times(year), value, rows)
    return int(rows.time[0]) if rows.counters[text_rows.QUERIES_SEEN] else None

"""The log of gamelinux' passivedns: records that it saw, with how often.

Its fields are chosen by an option and stand in the log without a header; the default order is read.

References:
    passivedns, README and the option ``-f`` (default ``SMcsCQTAtn``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture import text_rows
from remnant.capture.lines import blocks, first_lines
from remnant.capture.passivedns_lines import FIELDS, read_lines
from remnant.capture.pdns_rows import ROWS_READ, PdnsTables
from remnant.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["PassiveDnsReader"]

_ADDRESS: Final = rb"[0-9a-fA-F.:]{2,45}"
_DEFAULT: Final = re.compile(
    rb"\d{1,12}(?:\.\d{1,9})?\|\|" + _ADDRESS + rb"\|\|" + _ADDRESS
    + rb"\|\|[A-Za-z0-9]{1,10}\|\|[^|\s]{1,1020}\|\|[A-Za-z0-9-]{1,16}\|\|.*"
    + rb"\|\|\d{1,10}\|\|\d{1,10}\Z"
)  # fmt: skip
_CLASS: Final = re.compile(rb"(?:\A|\|\|)(?:IN|CH|HS)(?:\|\||\Z)")
_NUMBER: Final = re.compile(rb"(?:\A|\|\|)\d{1,12}(?:\.\d{1,9})?(?:\|\||\Z)")
_FEWEST: Final = 4
_SHOWN: Final = 100


class PassiveDnsReader:
    """Reads the log of passivedns; see ``capture.Reader``."""

    name = "passivedns"
    title = "passivedns log"
    vantage = "report"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the first lines are of passivedns, in whatever order of fields.

        Logs in another order than the default are recognised so that ``read`` can say so.
        """
        lines = first_lines(head)
        if not lines or b"||" not in lines[0]:
            return False
        return 2 * _usual(lines) > len(lines) or _other_order(lines)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a log.

        Raises:
            FormatError: the first lines have their fields in another order than the default.
        """
        lines = first_lines(stream.head())
        if not _usual(lines) and _other_order(lines):
            raise FormatError(
                "the fields of this log do not stand in passivedns' default order",
                where=stream.name,
                got=lines[0][:_SHOWN].decode("latin-1"),
                expected="time||client||server||class||name||type||answer||TTL||count",
                hint="write it with the option -f SMcsCQTAtn, which is the default",
            )
        tables = PdnsTables(watchlist, options, options.vantage or self.vantage)
        tables.note_simulated(stream)
        ends = np.empty(FIELDS, np.int64)
        for block in blocks(stream):
            rows, records = tables.room(block)
            read_lines(block.data, block.ends, ends, tables.limits, rows, records)
            if block.tail:
                if rows.counters[ROWS_READ] + rows.counters[text_rows.SKIPPED] != 1:
                    tables.note_incomplete(block)
                    continue
                stream.advance(block.data.size)
            yield tables.batch(block, rows, records)
        yield from tables.rest(stream)


def _usual(lines: list[bytes]) -> int:
    """Return how many lines have the fields of the default order."""
    return sum(_DEFAULT.match(line) is not None for line in lines)


def _other_order(lines: list[bytes]) -> bool:
    """Return whether lines look like passivedns' with other fields, or in another order."""
    fields = {line.count(b"||") + 1 for line in lines}
    return (
        len(fields) == 1
        and min(fields) >= _FEWEST
        and all(_CLASS.search(line) and _NUMBER.search(line) for line in lines)
    )

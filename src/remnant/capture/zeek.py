"""Zeek's ``dns.log``, as TSV and as JSON.

One row is a query with its response: one observation, whose response code is the row's. The log
keeps answers, of which the addresses are matched against watched prefixes.

References:
    Zeek, scripts/base/protocols/dns/main.zeek and scripts/base/frameworks/logging/writers/
    ascii.zeek.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from remnant.capture import text_rows
from remnant.capture.lines import blocks, first_lines
from remnant.capture.text_records import Records, answers_of, records_room
from remnant.capture.zeek_header import Header, line_of
from remnant.capture.zeek_lines import (
    COLUMNS,
    LOCAL_NAMES,
    add_records,
    answer_addresses,
    read_lines,
    work_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["ZeekReader"]

_NEEDED: Final = (b"ts", b"id.orig_h", b"query")
_JSON_PATH: Final = re.compile(rb'"_path"\s*:\s*"dns')


class ZeekReader:
    """Reads Zeek's ``dns.log``; see ``capture.Reader``."""

    name = "zeek"
    title = "Zeek dns.log"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the first bytes are a ``dns.log``, by its #fields line or JSON keys."""
        lines = first_lines(head, limit=1000)
        for line in lines:
            if line.startswith(b"#fields"):
                return all(column in line for column in _NEEDED)
        data = [line for line in lines if not line.startswith(b"#")]
        if not data or not data[0].startswith(b"{"):
            return False
        return any(
            b'"id.orig_h"' in line and (b'"query"' in line or _JSON_PATH.search(line) is not None)
            for line in data
        )

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a log.

        Raises:
            FormatError: the first header lacks a column that is needed, or has a separator of
                more than one byte.
        """
        header = Header(stream.name, b"dns", COLUMNS, _NEEDED)
        tables = text_rows.Tables(watchlist, options.vantage or self.vantage, options.now)
        local_names = 0
        records: Records | None = None
        for block in blocks(stream):
            rows = text_rows.room_for(block)
            line = 0
            layout = header.layout()
            work = work_for(layout)
            while True:
                line = int(read_lines(block.data, block.ends, line, layout, work, rows))
                if line >= block.ends.size or block.tail:
                    break
                header.take(line_of(block, line), read=bool(rows.counters.any()))
                layout = header.layout()
                work = work_for(layout)
                line += 1
            if block.tail:
                if not text_rows.is_complete(rows):
                    tables.note_incomplete(block)
                    continue
                stream.advance(block.data.size)
            local_names += int(rows.counters[LOCAL_NAMES])
            header.rows_read |= bool(rows.counters.any())
            addresses = None
            if watchlist.has_addresses:
                addresses = answer_addresses(block.data, rows)
            answers = None
            if options.answers != "none":
                records = records_room(block, records)
                add_records(block.data, rows, records)
                answers = answers_of(records, watchlist, options.answers, now=options.now)
            yield tables.batch(block, rows, addresses, answers=answers)
        tables.notes += header.notes
        if local_names:
            tables.notes.append(f"{local_names} rows of mDNS, LLMNR or NetBIOS were skipped")
        yield from tables.rest(stream)

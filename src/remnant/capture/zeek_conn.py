"""Zeek's ``conn.log``, as TSV and as JSON: one line is one connection, matched by its destination.

References:
    Zeek, scripts/base/protocols/conn/main.zeek and scripts/base/frameworks/logging/writers/
    ascii.zeek.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture import event_rows, text_rows
from remnant.capture.details import Keys
from remnant.capture.event_rows import EventTables
from remnant.capture.json_lines import compile_paths, found_room
from remnant.capture.lines import MAX_LINE, blocks, first_lines, nothing
from remnant.capture.zeek_conn_lines import COLUMNS, DETAILS, read_connections
from remnant.capture.zeek_header import Header, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["ZeekConnReader"]

_NEEDED: Final = (b"ts", b"id.orig_h", b"id.resp_h", b"proto")
_MARKS: Final = (b"conn_state", b"orig_pkts", b"missed_bytes")
"""Columns that no other log has; every ``conn.log`` has one of them."""

_WORD: Final = re.compile(rb"[A-Za-z0-9_.]+")
_JSON_PATH: Final = re.compile(rb'"_path"\s*:\s*"conn"')
_JSON_NEEDED: Final = (b'"id.orig_h"', b'"id.resp_h"')


class ZeekConnReader:
    """Reads Zeek's ``conn.log``; see ``capture.Reader``."""

    name = "zeek-conn"
    title = "Zeek conn.log"
    vantage = "flow"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the first bytes are a ``conn.log``, by its #fields line or JSON keys."""
        lines = first_lines(head, limit=1000)
        for line in lines:
            if line.startswith(b"#fields"):
                columns = _WORD.findall(line)
                return all(column in columns for column in _NEEDED) and any(
                    mark in columns for mark in _MARKS
                )
        data = [line for line in lines if not line.startswith(b"#")]
        if not data or not data[0].startswith(b"{"):
            return False
        return any(
            all(key in line for key in _JSON_NEEDED)
            and (b'"conn_state"' in line or _JSON_PATH.search(line) is not None)
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
        header = Header(stream.name, b"conn", COLUMNS, _NEEDED)
        tables = EventTables(watchlist, options.vantage or self.vantage, options.now)
        paths = compile_paths(COLUMNS)
        kept = Keys(DETAILS)
        found = found_room(len(COLUMNS))
        scratch = np.empty(MAX_LINE, np.uint8)
        for block in blocks(stream):
            rows = text_rows.room_for(block)
            events = event_rows.room_for(block, fields=len(DETAILS))
            line = 0
            while True:
                layout = header.layout()
                breaks = np.empty(max(layout.width, 1), np.int64)
                line = int(
                    read_connections(
                        block.data,
                        block.ends,
                        line,
                        layout,
                        paths,
                        rows,
                        events,
                        found,
                        scratch,
                        breaks,
                    )
                )
                if line >= block.ends.size or block.tail:
                    break
                header.take(line_of(block, line), read=bool(rows.counters.any()))
                line += 1
            if block.tail:
                if not text_rows.is_complete(rows):
                    tables.note_incomplete(block)
                    continue
                stream.advance(block.data.size)
            header.rows_read |= bool(rows.counters.any())
            yield tables.batch(block, rows, events, event_rows.details_of(block, events, kept))
        tables.notes.extend(header.notes)
        if tables.notes:
            block = nothing(stream)
            events = event_rows.room_for(block, fields=len(DETAILS))
            yield tables.batch(
                block, text_rows.room_for(block), events, event_rows.details_of(block, events, kept)
            )

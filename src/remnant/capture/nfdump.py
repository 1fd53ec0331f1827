"""Flows as nfdump prints them with ``-o csv``, of versions 1.6 and 1.7, matched by destination.

References:
    nfdump, output_csv.c of 1.6 to 1.7.4 (columns ``ts,te,td,sa,da,…``) and of 1.7.5 and later
    (``firstSeen,duration,proto,srcAddr,…``, or the columns that a person chooses).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture import event_rows, text_rows
from remnant.capture.csv_records import columns_of, header_of, layout_of
from remnant.capture.details import Keys
from remnant.capture.event_rows import EventTables
from remnant.capture.lines import blocks, nothing
from remnant.capture.nfdump_lines import DETAILS, ROLES, read_flows
from remnant.capture.text_clock import LocalClock
from remnant.capture.text_rows import QUERIES_SEEN
from remnant.capture.zeek_header import line_of
from remnant.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.csv_records import Layout
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["NfdumpReader"]

_ROLES: Final = {
    "ts": "time",
    "firstseen": "time",
    "sa": "source",
    "srcaddr": "source",
    "da": "target",
    "dstaddr": "target",
    "sp": "source_port",
    "srcport": "source_port",
    "dp": "target_port",
    "dstport": "target_port",
    "pr": "proto",
    "proto": "proto",
    "flg": "flags",
    "flags": "flags",
    "ipkt": "packets",
    "packets": "packets",
    "inpackets": "packets",
    "opkt": "packets_back",
    "outpackets": "packets_back",
    "flows": "flows",
}
_NEEDED: Final = (("ts", "firstseen"), ("sa", "srcaddr"), ("da", "dstaddr"))


class NfdumpReader:
    """Reads the CSV output of nfdump; see ``capture.Reader``."""

    name = "nfdump"
    title = "nfdump CSV"
    vantage = "flow"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the first line is the header of nfdump's CSV output."""
        return not _missing(header_of(head))

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of an output.

        Raises:
            FormatError: the first line is no header, or lacks a column that is needed.
        """
        tables = EventTables(watchlist, options.vantage or self.vantage, options.now)
        clock = None if options.timezone is None else LocalClock(options.timezone, options.now)
        layout = layout_of([], [])
        keys = Keys(DETAILS)
        state = np.zeros(1, np.int64)
        spans = np.empty((len(ROLES), 3), np.int64)
        assumed = False
        notes: dict[str, None] = {}
        for block in blocks(stream):
            rows = text_rows.room_for(block)
            events = event_rows.room_for(block, fields=len(DETAILS))
            line = 0
            while True:
                line = int(
                    read_flows(block.data, block.ends, line, layout, state, rows, events, spans)
                )
                if line >= block.ends.size or block.tail:
                    break
                columns = columns_of(line_of(block, line))
                layout = _layout(columns, stream.name, notes, first=not layout.first.size)
                state[0] = 0
                line += 1
            if block.tail:
                if not text_rows.is_complete(rows):
                    tables.note_incomplete(block)
                    continue
                stream.advance(block.data.size)
            local = np.flatnonzero(rows.local[: rows.counters[QUERIES_SEEN]])
            assumed |= bool(local.size)
            if local.size and clock is not None:
                rows.time[local] = clock.utc(rows.time[local])
            yield tables.batch(block, rows, events, event_rows.details_of(block, events, keys))
        tables.notes.extend(notes)
        if assumed and clock is None:
            tables.notes.append(
                "times read as UTC: nfdump prints those of the zone it ran in, and does not say it"
            )
        if tables.notes:
            block = nothing(stream)
            events = event_rows.room_for(block, fields=len(DETAILS))
            yield tables.batch(
                block, text_rows.room_for(block), events, event_rows.details_of(block, events, keys)
            )


def _layout(columns: Sequence[str], where: str, notes: dict[str, None], *, first: bool) -> Layout:
    """Return what a header says; of a later one that is of no use, that nothing can be read."""
    missing = _missing(columns)
    if not missing:
        roles = [ROLES.index(_ROLES[c]) if c in _ROLES else -1 for c in columns]
        return layout_of(columns, roles)
    error = FormatError(
        f"the output of nfdump has no column {missing[0]}",
        where=where,
        got=", ".join(columns) or "no header",
        expected="the columns " + ", ".join(" or ".join(names) for names in _NEEDED),
        hint="print flows with nfdump -o csv, without -q and -s",
    )
    if first:
        raise error
    notes[f"{error.what}: the lines after that header were not read"] = None
    return layout_of(columns, [])


def _missing(columns: Sequence[str]) -> list[str]:
    return [" or ".join(names) for names in _NEEDED if not any(name in columns for name in names)]

"""Suricata's EVE log: DNS events of all three versions, and flows.

A query event is one observation; the answer event of the same flow, port, name and type gives its
response code. A flow event is one observation at the vantage ``flow``. Other events are skipped.

References:
    Suricata user guide, EVE JSON output.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from remnant.capture import text_rows
from remnant.capture.flow_rows import FlowTables, flows_room
from remnant.capture.lines import blocks, first_lines
from remnant.capture.suricata_lines import (
    LOCAL_NAMES,
    OTHER,
    QUESTIONLESS,
    Output,
    new_work,
    read_lines,
)
from remnant.capture.suricata_records import answered_room
from remnant.capture.text_records import answers_of, records_room

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.lines import Block
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist
    from remnant.watchtable import Tables

__all__ = ["SuricataReader"]

_EVENT: Final = re.compile(rb'\A\{[^\n]*"event_type"\s*:\s*"[a-z0-9_]{1,30}"')
_MODES: Final = {"none": 0, "watched": 1, "all": 2}
_TIMESTAMP: Final = re.compile(rb'"timestamp"\s*:\s*"\d{4}-\d\d-\d\dT')


class SuricataReader:
    """Reads ``eve.json``; see ``capture.Reader``."""

    name = "suricata"
    title = "Suricata EVE log"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether most of the first lines are EVE events."""
        lines = first_lines(head)
        events = [
            line
            for line in lines
            if _EVENT.match(line) is not None and _TIMESTAMP.search(line) is not None
        ]
        return 2 * len(events) > len(lines)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a log."""
        vantage = options.vantage or self.vantage
        tables = text_rows.Tables(watchlist, vantage, options.now, paired_by="port")
        flow_tables = FlowTables(watchlist, options.now)
        work = new_work(secrets.randbits(64))
        wanted = np.array([_MODES[options.answers], watchlist.has_addresses], np.int64)
        rows: text_rows.Rows | None = None
        output: Output | None = None
        skipped = np.zeros(3, np.int64)
        for block in blocks(stream):
            rows = text_rows.room_for(block, rows)
            output = _output_for(block, wanted, watchlist.tables, output)
            read_lines(block.data, block.ends, work, rows, output)
            flows = int(output.flows.filled[0])
            if block.tail:
                if not flows and not text_rows.is_complete(rows):
                    tables.note_incomplete(block)
                    continue
                stream.advance(block.data.size)
            skipped += rows.counters[[OTHER, LOCAL_NAMES, QUESTIONLESS]]
            found = int(output.answered.filled[0])
            answered = (
                output.answered.row[:found],
                output.answered.address[: 16 * found].reshape(-1, 16),
            )
            batch = tables.batch(
                block,
                rows,
                answered if watchlist.has_addresses else None,
                answers=answers_of(output.records, watchlist, options.answers, now=options.now),
            )
            if flows:
                batch = _joined(batch, flow_tables.batch(block, output.flows))
            yield batch
        tables.notes += _notes(*(int(count) for count in skipped))
        yield from tables.rest(stream)


def _output_for(
    block: Block, wanted: npt.NDArray[np.int64], tables: Tables, before: Output | None
) -> Output:
    """Return empty columns for a block, those of ``before`` where they are large enough."""
    records = records_room(block, None if before is None else before.records)
    if before is not None and before.flows.time.size >= block.ends.size:
        before.flows.filled[0] = 0
        flows = before.flows
    else:
        flows = flows_room(block.ends.size)
    answered = answered_room(block.data.size if wanted[1] else 0)
    return Output(flows, records, answered, wanted, tables)


def _joined(dns: Batch, flows: Batch) -> Batch:
    """Return one batch of both; a flow is no query message, of which there may be none."""
    return dataclasses.replace(
        dns,
        queries=_appended(dns.queries, flows.queries),
        counts=_appended(dns.counts, flows.counts),
        records=dns.records + flows.records,
    )


def _appended(first: pa.RecordBatch, second: pa.RecordBatch) -> pa.RecordBatch:
    if not len(second):
        return first
    if not len(first):
        return second
    table = pa.Table.from_batches([first, second]).unify_dictionaries().combine_chunks()
    (whole,) = table.to_batches()
    return whole


def _notes(other: int, local: int, questionless: int) -> list[str]:
    notes = []
    if other:
        notes.append(f"{other} events of other types than dns and flow were skipped")
    if local:
        notes.append(f"{local} events of mDNS, LLMNR or NetBIOS were skipped")
    if questionless:
        notes.append(f"{questionless} DNS events without a question were skipped")
    return notes

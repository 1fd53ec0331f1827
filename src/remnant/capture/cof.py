"""Passive DNS of others: the common output format (COF), plain and in DNSDB's envelope.

A row is one record set that was seen in a span of time: it makes no observations, only records.

References:
    draft-dulaunoy-dnsop-passive-dns-cof-12; DNSDB APIv2, Streaming API Framing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from remnant.capture import text_rows
from remnant.capture.cof_lines import (
    FAILED,
    FAILED_LINE,
    LIMITED,
    OPEN,
    TRUNCATED,
    new_work,
    read_lines,
)
from remnant.capture.lines import blocks, first_lines
from remnant.capture.pdns_rows import ROWS_READ, PdnsTables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.lines import Block
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["CofReader", "DnsdbReader"]

_NEEDED: Final = {"rrname", "rrtype", "rdata"}
_TIMES: Final = {"time_first", "zone_time_first", "time_first_ms"}
_CONDITIONS: Final = {"begin", "ongoing", "succeeded", "limited", "failed"}
_LINES: Final = 5
_MESSAGE: Final = 100


class CofReader:
    """Reads rows of the common output format, one JSON object a line; see ``capture.Reader``."""

    name = "cof"
    title = "passive DNS (COF)"
    vantage = "report"
    hits_only = False
    _envelope = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the first lines are rows of passive DNS."""
        return _mostly(head, _is_row)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a file."""
        tables = PdnsTables(watchlist, options, options.vantage or self.vantage)
        tables.note_simulated(stream)
        work = new_work(envelope=self._envelope)
        message = ""
        for block in blocks(stream):
            rows, records = tables.room(block)
            read_lines(
                block.data, block.ends, self._envelope, work, tables.sensors, tables.limits, rows,
                records,
            )  # fmt: skip
            if block.tail:
                complete = rows.counters[ROWS_READ] + rows.counters[text_rows.SKIPPED] == 1
                if not complete:
                    tables.note_incomplete(block)
                    continue
                stream.advance(block.data.size)
            if work.state[FAILED_LINE] >= 0:
                message = _message(block, int(work.state[FAILED_LINE]))
            yield tables.batch(block, rows, records)
        for note in _notes(work.state.tolist(), message):
            tables.note(note)
        yield from tables.rest(stream)


class DnsdbReader(CofReader):
    """Reads answers of DNSDB APIv2 as they were saved; see ``capture.Reader``."""

    name = "dnsdb"
    title = "DNSDB answers"
    _envelope = True

    def sniff(self, head: bytes) -> bool:
        """Return whether the first lines are an answer of DNSDB."""
        return _mostly(head, _is_answer)


def _mostly(head: bytes, right: Callable[[dict[str, Any]], bool]) -> bool:
    """Return whether most of the first lines are objects of a kind; a broken one is no reason."""
    lines = first_lines(head, limit=_LINES)
    return 2 * sum(map(right, _objects(lines))) > len(lines)


def _objects(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            one = json.loads(line) if line.startswith(b"{") else None
        except (ValueError, RecursionError):
            continue
        if isinstance(one, dict):
            yield one


def _is_answer(one: dict[str, Any]) -> bool:
    """Return whether an object is of DNSDB's envelope."""
    return (
        ("cond" in one or "obj" in one)
        and one.get("cond", "ongoing") in _CONDITIONS
        and ("obj" not in one or (isinstance(one["obj"], dict) and "rrname" in one["obj"]))
    )


def _is_row(one: dict[str, Any]) -> bool:
    return one.keys() >= _NEEDED and not one.keys().isdisjoint(_TIMES)


def _message(block: Block, start: int) -> str:
    """Return what DNSDB says of a failure, made fit to print."""
    stop = block.data.size
    line = block.data[start:stop].tobytes().partition(b"\n")[0]
    try:
        text = json.loads(line).get("msg")
    except (ValueError, RecursionError):
        text = None
    if not isinstance(text, str):
        return ""
    return "".join(c if c.isprintable() else "?" for c in text[:_MESSAGE])


def _notes(state: list[int], message: str) -> list[str]:
    notes = []
    truncated = state[TRUNCATED] + state[OPEN]
    if truncated:
        notes.append(
            f"{truncated} DNSDB answers do not say that they are complete: they were cut off"
        )
    if state[LIMITED]:
        notes.append(f"{state[LIMITED]} DNSDB answers ended at their limit: there are more rows")
    if state[FAILED]:
        said = f" ({message})" if message else ""
        notes.append(f"{state[FAILED]} DNSDB answers failed on the server{said}")
    return notes

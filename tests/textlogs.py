"""What the tests of text readers share: read bytes, look at the rows, find a free port."""

from __future__ import annotations

import io
import ipaddress
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from remnant.capture import AnswersMode, Batch, Reader, ReadOptions
from remnant.capture.stream import ByteStream
from remnant.schema import COVERAGE_COUNTS, QUARANTINE, QUERIES
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVERYTHING = Watchlist.compile([Rule("demo", "below", "*.")])


def read(
    reader: Reader,
    data: bytes,
    *,
    watchlist: Watchlist = EVERYTHING,
    chunk: int = 1 << 20,
    year: int | None = None,
    timezone: tzinfo | None = None,
    vantage: str | None = None,
    now: datetime = NOW,
    answers: AnswersMode = "watched",
    threads: int = 1,
) -> list[Batch]:
    options = ReadOptions(
        now=now, year=year, timezone=timezone, vantage=vantage, answers=answers, threads=threads
    )
    with ByteStream(io.BytesIO(data), "test.log", chunk=chunk) as stream:
        batches = list(reader.read(stream, watchlist, options))
        ends = [batch.end for batch in batches]
        assert ends == sorted(ends)
        assert stream.offset == (ends[-1] if ends else 0)
    for batch in batches:
        assert batch.queries.schema.equals(QUERIES.arrow)
        assert batch.counts.schema.equals(COVERAGE_COUNTS.arrow)
        assert batch.quarantine.schema.equals(QUARANTINE.arrow)
        for part in (batch.queries, batch.counts, batch.quarantine):
            part.validate(full=True)
        totals = totals_of([batch])
        assert batch.records == totals["messages"] + totals["malformed"] + totals["skipped"]
    return batches


def rows(batches: Sequence[Batch]) -> list[dict[str, Any]]:
    if not batches:
        return []
    return pa.Table.from_batches([batch.queries for batch in batches]).to_pylist()


def row(reader: Reader, data: bytes, **options: Any) -> dict[str, Any]:
    (only,) = rows(read(reader, data, **options))
    return only


def quarantine(batches: Sequence[Batch]) -> list[tuple[int, str, bytes]]:
    return [
        (bad["offset"], bad["reason"], bad["head"])
        for batch in batches
        for bad in batch.quarantine.to_pylist()
    ]


def notes(batches: Sequence[Batch]) -> list[str]:
    return [note for batch in batches for note in batch.notes]


def totals_of(batches: Sequence[Batch]) -> dict[str, int]:
    totals = dict.fromkeys(("messages", "malformed", "skipped", "clock_faults"), 0)
    for batch in batches:
        for counted in batch.counts.to_pylist():
            for key in totals:
                totals[key] += counted[key]
    return totals


def counts(batches: Sequence[Batch]) -> list[int]:
    """(messages, malformed, skipped, clock faults)."""
    return list(totals_of(batches).values())


def hours(batches: Sequence[Batch]) -> dict[datetime | None, list[Any]]:
    """Messages, first and last time of each hour, over all batches."""
    found: dict[datetime | None, list[Any]] = {}
    for batch in batches:
        for counted in batch.counts.to_pylist():
            first, last = counted["first_time"], counted["last_time"]
            if counted["hour"] in found:
                seen = found[counted["hour"]]
                seen[0] += counted["messages"]
                if first is not None:
                    seen[1], seen[2] = min(seen[1], first), max(seen[2], last)
            else:
                found[counted["hour"]] = [counted["messages"], first, last]
    return found


def v4(text: str) -> bytes:
    return b"\0" * 10 + b"\xff\xff" + bytes(int(part) for part in text.split("."))


def packed(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    if isinstance(address, ipaddress.IPv4Address):
        return v4(str(address))
    return address.packed


def packed_text(address: str) -> bytes:
    return packed(ipaddress.ip_address(address))

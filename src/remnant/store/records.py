"""What the ledger knows of a source and of a file, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import xxhash

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["HEAD_BYTES", "Extent", "FileRecord", "Prefix", "SourceRecord", "head_digest"]

HEAD_BYTES: Final = 4096
"""How much of a source's start says that it may be a known one."""


def head_digest(head: bytes, length: int) -> str:
    """Return xxh3-128 of the first ``length`` bytes, at most HEAD_BYTES of them."""
    return xxhash.xxh3_128(head[: min(length, HEAD_BYTES)]).hexdigest()


@dataclass(frozen=True, slots=True)
class Prefix:
    """A length at which a source ended when it was read, and the digest of its bytes until there.

    Attributes:
        source: ledger id.
        bytes: the length, in bytes of the decompressed stream.
        digest: xxh3-128 of these bytes.
        head: xxh3-128 of the first HEAD_BYTES of them.
    """

    source: str
    bytes: int
    digest: str
    head: str


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One source as one case holds it.

    Attributes:
        id: what the column ``source`` of every table says.
        case: name of the case.
        path: where it was read from first, for people.
        format: name of the reader.
        reading: what else decided how it was read: year and time zone of the lines.
        sensor: the sensor that a person named; ``None``: what the source says, or "default".
        vantage: where the sensor stood.
        watchlist: digest of the case's rules when it was read.
        digest: xxh3-128 of its bytes (decompressed).
        bytes: how many these are.
        start: rows before this offset belong to another source that begins with the same bytes.
        complete: it ended with a complete record.
        records: messages + malformed + skipped.
        messages: queries and responses.
        query_messages: of the messages, those that came in as queries.
        matched: observations of this case.
        malformed: records that could not be read.
        skipped: records that are no observations by definition.
        clock_faults: messages without a usable time.
        first: time of the first message, ``None`` if no message has a usable time.
        last: time of the last one.
        read_at: when it was read (UTC).
        simulated: it was made by a simulation.
    """

    id: str
    case: str
    path: str
    format: str
    reading: str
    sensor: str | None
    vantage: str
    watchlist: str
    digest: str
    bytes: int
    start: int
    complete: bool
    records: int
    messages: int
    query_messages: int
    matched: int
    malformed: int
    skipped: int
    clock_faults: int
    first: datetime | None
    last: datetime | None
    read_at: datetime
    simulated: bool


_Key: TypeAlias = bytes


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One listed Parquet file.

    Attributes:
        path: below the store's folder, with forward slashes.
        case: name of the case.
        table: name of the table.
        day: ``YYYY-MM-DD``, or ``None`` for tables that are not kept by day.
        rows: number of rows.
        bytes: size on disk.
        version: version of the table's schema that it was written with.
        sources: ledger ids whose rows it holds; none for derived tables.
        run: files of one run and table are in order, and no key stands in two of them; ``None``:
            the rows are in no order.
        low: the first key (``answer_keys``), where there is a run.
        high: the last key.
    """

    path: str
    case: str
    table: str
    day: str | None
    rows: int
    bytes: int
    version: int
    sources: frozenset[str] = frozenset()
    run: str | None = None
    low: _Key = b""
    high: _Key = b""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the sources of a case reach.

    Attributes:
        last: time of the newest message (UTC); ``None`` without any.
        read_at: when something was last read (UTC).
        matched: messages for watched names, of all vantage points: no count of anything but news.
        simulated: the sources are simulated; ``None`` without any.
    """

    last: datetime | None
    read_at: datetime | None
    matched: int
    simulated: bool | None

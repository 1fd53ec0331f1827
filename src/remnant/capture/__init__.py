"""Traffic comes in: bytes and lines become rows of the table ``queries``.

This file is the contract of a reader. Each format is one module beside it; the registry that knows
them all is ``capture.readers``. Malformed traffic is counted and quarantined, it never raises.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo

    import pyarrow as pa

    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Rule, Watchlist
    from remnant.windows import Window

__all__ = [
    "QUARANTINE_LIMIT",
    "AnswersMode",
    "Batch",
    "DatedReader",
    "ReadOptions",
    "Reader",
    "Stated",
    "StatingReader",
]

AnswersMode = Literal["watched", "all", "none"]
"""Which resource records of responses are kept: those about watched names and addresses, all of
them, or none."""

QUARANTINE_LIMIT: Final = 10_000
"""Records of one source that are kept in quarantine; all of them are counted."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a person says about a source that the source does not say itself.

    Attributes:
        now: the time that "later than now + 1 day" is measured against (UTC).
        year: year of the first line, for logs whose lines carry none.
        timezone: zone of the lines, for logs whose lines carry none; ``None`` means UTC.
        vantage: where the sensor stood, when it is not the reader's default.
        answers: which resource records are kept as passive DNS.
        threads: how many threads may decode at once, at least 1. The result does not depend on it.
        period: for which time the source is complete, if it holds hits only (readers do not use
            it: ``collate`` keeps it).
    """

    now: datetime
    year: int | None = None
    timezone: tzinfo | None = None
    vantage: str | None = None
    answers: AnswersMode = "watched"
    threads: int = 1
    period: Window | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one chunk of a source held.

    Attributes:
        end: offset in the decompressed stream after the last complete record read so far. A reader
            yields a batch each time it has used up the bytes that the stream gave it, so that a
            batch can end exactly at one of the stream's checkpoints.
        queries: rows of ``schema.QUERIES``. A row may belong to a record before this batch (its
            ``offset`` says which): a query waits up to 10 s for its response.
        counts: rows of ``schema.COVERAGE_COUNTS`` for the records of this batch, one per sensor,
            vantage and hour; ``matched`` is left 0 here (``collate`` counts it per case).
        quarantine: rows of ``schema.QUARANTINE`` with a null source, at most QUARANTINE_LIMIT
            over the whole source.
        records: records in this batch = messages + malformed + skipped.
        query_messages: of the messages, those that are observations (queries that came in).
        notes: what a person should be told about the source (a zone that was assumed, say).
        answers: rows of ``schema.ANSWER_ROWS``; ``None`` if the batch brings no records.
        responders: addresses (binary(16), as in ``schema.QUERIES``) that answer DNS themselves in
            this source: no row of theirs is an observation, also none of earlier batches. ``None``
            if there are none, or not known yet.
        listened: sensor, vantage and start of the hour (UTC microseconds) of each hour for which
            the source itself states that the sensor listened from its start to its end.
    """

    end: int
    queries: pa.RecordBatch
    counts: pa.RecordBatch
    quarantine: pa.RecordBatch
    records: int
    query_messages: int
    notes: tuple[str, ...] = field(default=())
    answers: pa.RecordBatch | None = None
    responders: pa.Array[Any] | None = None
    listened: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Stated:
    """What a source says of itself.

    Attributes:
        id: its own name, which no other source has.
        rules: what is watched in it beside the watchlist, for the case whose source it is.
    """

    id: str
    rules: tuple[Rule, ...]


class Reader(Protocol):
    """One format.

    Attributes:
        name: the word used for ``--input-format``.
        title: what a person calls it.
        vantage: where its sensor stands unless the source or the person says otherwise.
        hits_only: the source holds hits and nothing else (policy hits, victim reports): an hour
            without a record says nothing, so the source covers no hours of its own.
    """

    name: str
    title: str
    vantage: str
    hits_only: bool

    def sniff(self, head: bytes) -> bool:
        """Return whether the first bytes (up to 64 KiB, decompressed) are of this format."""
        ...

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a source, in order, with bounded memory."""
        ...


@runtime_checkable
class DatedReader(Reader, Protocol):
    """A reader of logs whose lines may say no year, so that a person has to."""

    def first_day(self, head: bytes) -> int | None:
        """Return the day on which a log begins whose lines say no year.

        Args:
            head: the first bytes of the log, decompressed.

        Returns:
            0 to 365, as in a leap year; None if the lines say their year, or have no time.
        """
        ...


@runtime_checkable
class StatingReader(Reader, Protocol):
    """A reader of sources that say what they are."""

    def states(self, stream: ByteStream) -> Stated | None:
        """Return what the source says of itself; call it before anything is read."""
        ...

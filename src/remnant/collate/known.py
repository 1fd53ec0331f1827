"""Is this source known? Digests of what was read before, compared with a stream on its way.

A source is known by its bytes. One that ends where a known one ended is that source; one that
passes such a place with the same digest is that source, grown. What follows such a place is
compared in turn, from there on: sources laid end to end are known by their parts.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remnant.capture.stream import ByteStream
from remnant.errors import DamagedInput
from remnant.store.records import HEAD_BYTES, Prefix, SourceRecord, head_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remnant.store import Store

__all__ = ["Known", "Match", "is_start_of", "scan"]

_TRIED: Final = 64
"""Longer sources whose files are compared with a short one that nothing else tells."""


@dataclass(frozen=True, slots=True)
class Match:
    """A known source that the stream holds from ``start`` on.

    Attributes:
        record: the known source.
        prefix: how much of it.
        start: where it begins in the stream.
        aligned: a batch ended where it ends, so what comes after can be told from what was before.
    """

    record: SourceRecord
    prefix: Prefix
    start: int
    aligned: bool

    @property
    def end(self) -> int:
        """Where it ends in the stream."""
        return self.start + self.prefix.bytes

    @property
    def is_latest(self) -> bool:
        """Whether the place is where the source ended when it was last read."""
        return self.prefix.bytes == self.record.bytes


class Known:
    """What the ledger says of sources that begin like this stream, or like a part of it.

    Args:
        store: the store.
        cases: the cases that are served.
        head: the first bytes of the stream, HEAD_BYTES of them if there are as many.

    Attributes:
        places: where known sources may end in the stream, in order; more are added on the way.
    """

    def __init__(self, store: Store, cases: Sequence[str], head: bytes) -> None:
        self._store = store
        self._cases = cases
        self._prefixes: dict[tuple[int, str], list[Prefix]] = {}
        self._records: dict[str, SourceRecord] = {}
        self._heads: dict[int, bytes] = {}
        self._ends: set[int] = set()
        self.places: list[int] = []
        self.checkpoints = self.follow(0, head)
        """Where and what to compare from the beginning of the stream."""

    def follow(self, offset: int, head: bytes) -> list[tuple[int, str]]:
        """Return lengths and digests of known sources that begin like the stream does here.

        Args:
            offset: where in the stream.
            head: the bytes from there on, HEAD_BYTES of them if there are as many.
        """
        self._heads[offset] = head[:HEAD_BYTES]
        ledger = self._store.ledger
        with ledger.reading() as connection:
            for case in self._cases:
                lengths = ledger.short_lengths(connection, case, HEAD_BYTES)
                heads = {head_digest(head, n) for n in (*lengths, HEAD_BYTES) if n <= len(head)}
                found = ledger.prefixes(connection, case, heads)
                self._prefixes[offset, case] = sorted(found, key=lambda p: p.bytes, reverse=True)
                owners = {prefix.source for prefix in found} - self._records.keys()
                for record in ledger.sources(connection, case, owners):
                    self._records[record.id] = record
        compared = {
            (prefix.bytes, prefix.digest)
            for case in self._cases
            for prefix in self._prefixes[offset, case]
        }
        for place in {offset + length for length, _ in compared}:
            at = bisect_left(self.places, place)
            if at == len(self.places) or self.places[at] != place:
                insort(self.places, place)
        return sorted(compared)

    def passed(self, offset: int) -> None:
        """Note that a batch ended here."""
        self._ends.add(offset)

    def parts(self, case: str, matched: Mapping[tuple[int, int], str]) -> list[Match]:
        """Return the known sources that the stream begins with, end to end, as far as they reach.

        Args:
            case: name of the case.
            matched: what ``ByteStream.matched`` says.
        """
        reached: dict[int, Match | None] = {0: None}
        todo = [0]
        while todo:
            start = heapq.heappop(todo)
            for prefix in self._prefixes.get((start, case), ()):
                end = start + prefix.bytes
                if end not in reached and matched.get((start, end)) == prefix.digest:
                    record = self._records[prefix.source]
                    reached[end] = Match(record, prefix, start, aligned=end in self._ends)
                    heapq.heappush(todo, end)
        found = []
        last = reached[max(reached)]
        while last is not None:
            found.append(last)
            last = reached[last.start]
        return found[::-1]

    def head(self, start: int) -> bytes:
        """Return the first bytes of the stream from a place on that was followed."""
        return self._heads.get(start, b"")

    def longer(self, case: str, start: int, length: int) -> list[SourceRecord]:
        """Return known sources that begin as the stream does at ``start``, and are longer."""
        owners = dict.fromkeys(p.source for p in self._prefixes.get((start, case), ()))
        if length < HEAD_BYTES:
            with self._store.ledger.reading() as connection:
                records = self._store.ledger.sources(connection, case)[::-1]
        else:
            records = [self._records[owner] for owner in owners]
        return [record for record in records if record.bytes > length][:_TRIED]


def scan(stream: ByteStream, known: Known) -> None:
    """Read a stream to its end only to compare digests: no record is looked at."""
    stream.watch(known.checkpoints, known.follow)
    while stream.more():
        stream.advance(stream.view.size)


def is_start_of(record: SourceRecord, length: int, digest: str) -> bool | None:
    """Return whether a stream of this length and digest is how a known source begins.

    Only its file can tell; ``None`` where that has gone or holds something else now.
    """
    path = Path(record.path)
    try:
        if not path.is_file():
            path = path.with_name(f"{path.name}.zst")  # a segment that was sealed since
        if not path.is_file():
            return None
        with path.open("rb") as raw, ByteStream(raw, record.path) as stream:
            stream.watch([(length, digest), (record.bytes, record.digest)])
            while stream.offset < record.bytes and stream.more():
                stream.advance(min(stream.view.size, record.bytes - stream.offset))
                if (0, length) in stream.matched:
                    return True
            return False if (0, record.bytes) in stream.matched else None
    except (OSError, DamagedInput):
        return None

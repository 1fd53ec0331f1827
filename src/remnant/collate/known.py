"""Is this source known? Digests of what was read before, compared with a stream on its way.

A source is known by its bytes. One that ends where a known one ended is that source; one that
passes such a place with the same digest is that source, grown.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remnant.capture.stream import ByteStream
from remnant.errors import DamagedInput
from remnant.store.records import HEAD_BYTES, Prefix, SourceRecord, head_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.store import Store

__all__ = ["Known", "Match", "is_start_of", "scan"]

_TRIED: Final = 64
"""Longer sources whose files are compared with a short one that nothing else tells."""


@dataclass(frozen=True, slots=True)
class Match:
    """A known source that the stream is, or begins with.

    Attributes:
        record: the known source.
        prefix: the place up to which the stream has the same bytes.
        aligned: a batch ended there, so what comes after can be told from what was before.
    """

    record: SourceRecord
    prefix: Prefix
    aligned: bool

    @property
    def is_latest(self) -> bool:
        """Whether the place is where the source ended when it was last read."""
        return self.prefix.bytes == self.record.bytes


class Known:
    """What the ledger says of sources that begin like this stream.

    Args:
        store: the store.
        cases: the cases that are served.
        head: the first bytes of the stream, HEAD_BYTES of them if there are as many.
    """

    def __init__(self, store: Store, cases: Sequence[str], head: bytes) -> None:
        self._prefixes: dict[str, list[Prefix]] = {}
        self._records: dict[str, SourceRecord] = {}
        self._seen: dict[int, str] = {}
        with store.ledger.reading() as connection:
            for case in cases:
                lengths = store.ledger.short_lengths(connection, case, HEAD_BYTES)
                heads = {head_digest(head, n) for n in (*lengths, HEAD_BYTES) if n <= len(head)}
                found = store.ledger.prefixes(connection, case, heads)
                self._prefixes[case] = sorted(found, key=lambda p: p.bytes, reverse=True)
                owners = {prefix.source for prefix in found}
                for record in store.ledger.sources(connection, case, owners):
                    self._records[record.id] = record

    @property
    def checkpoints(self) -> list[tuple[int, str]]:
        """Where and what to compare, in order."""
        return sorted({(p.bytes, p.digest) for ps in self._prefixes.values() for p in ps})

    def passed(self, offset: int, digest: str) -> None:
        """Note the digest at the end of a batch."""
        self._seen[offset] = digest

    def match(self, case: str, matched: set[int]) -> Match | None:
        """Return the longest known beginning of the stream.

        Args:
            case: name of the case.
            matched: offsets at which the stream found a digest to agree.
        """
        for prefix in self._prefixes[case]:
            seen = self._seen.get(prefix.bytes)
            if seen == prefix.digest or (seen is None and prefix.bytes in matched):
                return Match(self._records[prefix.source], prefix, aligned=seen is not None)
        return None

    def longer(self, case: str, length: int) -> list[SourceRecord]:
        """Return known sources that begin alike and are longer than the stream."""
        owners = dict.fromkeys(p.source for p in self._prefixes[case] if p.bytes > length)
        return [self._records[owner] for owner in owners]


def scan(stream: ByteStream, known: Known) -> None:
    """Read a stream to its end only to compare digests: no record is looked at."""
    places = {offset for offset, _ in known.checkpoints}
    stream.watch(known.checkpoints)
    while stream.more():
        stream.advance(stream.view.size)
        if stream.offset in places:
            known.passed(stream.offset, stream.digest)
    known.passed(stream.offset, stream.digest)


def is_start_of(record: SourceRecord, length: int, digest: str) -> bool:
    """Return whether a stream of this length and digest is how a known source begins.

    Only its file can tell, so this is ``False`` where that has gone.
    """
    path = Path(record.path)
    try:
        if not path.is_file():
            return False
        with path.open("rb") as raw, ByteStream(raw, record.path) as stream:
            stream.watch([(length, digest)])
            while stream.offset < length and stream.more():
                stream.advance(min(stream.view.size, length - stream.offset))
            return length in stream.matched
    except (OSError, DamagedInput):
        return False


def candidates(store: Store, known: Known, case: str, length: int) -> list[SourceRecord]:
    """Return the known sources that a stream of this length may be the beginning of."""
    if length >= HEAD_BYTES:
        return known.longer(case, length)[:_TRIED]
    with store.ledger.reading() as connection:
        records = store.ledger.sources(connection, case)
    return [record for record in reversed(records) if record.bytes > length][:_TRIED]

"""What to do with a source in one case: store it, add its rest, replace it, or leave it.

The decision falls when the whole source was read, from where its bytes agreed with known ones.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from remnant.collate.known import candidates, is_start_of
from remnant.errors import printable
from remnant.store.records import HEAD_BYTES, Prefix, SourceRecord, head_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.capture.stream import ByteStream
    from remnant.collate.known import Known, Match
    from remnant.collate.tally import Tally
    from remnant.store import Store
    from remnant.watchlist import Watchlist

__all__ = ["Plan", "Planner", "Reading", "State", "digest_of", "plan_same"]

State = Literal["new", "known", "grown", "reread", "empty", "damaged", "refused"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a person asked for the source to be read."""

    path: str
    format: str
    sensor: str | None
    vantage: str
    lines: str
    head: bytes

    def refuses(self, record: SourceRecord) -> str | None:
        """Return why this reading contradicts an earlier one."""
        if record.sensor != self.sensor:
            was = "no --sensor" if record.sensor is None else f"--sensor {printable(record.sensor)}"
            return (
                f"the same content is stored with {was} ({printable(record.path)}): "
                "give the same, or delete the case to start again"
            )
        if record.vantage != self.vantage:
            return (
                f"the same content is stored with --vantage {record.vantage} "
                f"({printable(record.path)}): give the same, or delete the case to start again"
            )
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a source in one case.

    Attributes:
        state: how the result calls it.
        id: ledger id to write under; ``None``: write nothing.
        cut: rows and counts before this offset are there already, or are another source's.
        start: the ``start`` of the ledger's row.
        replace: the rows that are there under this id go.
        added_to: matched so far, where the rest is added.
        told: the ledger's row that the result repeats when nothing is written.
        remember: a place where a copy ended, to know it by next time.
        notes: what to tell.
    """

    state: State
    id: str | None = None
    cut: int = 0
    start: int = 0
    replace: bool = False
    added_to: int = 0
    told: SourceRecord | None = None
    remember: Prefix | None = None
    notes: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def digest_of(watchlist: Watchlist, case: str) -> str:
    """Return the watchlist's digest of a case, computed once for all sources of a run."""
    return watchlist.digest(case)


def plan_same(match: Match, reading: Reading, digest: str) -> Plan:
    """Decide about a source that ends where a known one ended."""
    record = match.record
    refusal = reading.refuses(record)
    if refusal is not None:
        return Plan("refused", notes=(refusal,))
    current = (record.watchlist, record.format, record.reading)
    if current == (digest, reading.format, reading.lines):
        return Plan("known", told=record)
    if not match.is_latest:
        note = f"an older copy of {printable(record.path)}: ingest that for what changed"
        return Plan("known", told=record, notes=(note,))
    return Plan("reread", record.id, record.start, record.start, replace=True)


class Planner:
    """Decides about one source that was read to its end, case by case.

    Args:
        stream: the source.
        tally: what was read.
        known: what the ledger says of sources that begin alike.
        store: the store.
        watchlist: what is watched.
        reading: how a person asked for it to be read.
    """

    def __init__(
        self,
        stream: ByteStream,
        tally: Tally,
        known: Known,
        store: Store,
        watchlist: Watchlist,
        reading: Reading,
    ) -> None:
        self._stream = stream
        self._tally = tally
        self._known = known
        self._store = store
        self._watchlist = watchlist
        self._reading = reading

    def plan(self, case: str) -> Plan:
        """Return what to do with the source in one case."""
        stream, tally = self._stream, self._tally
        if not tally.records:
            return Plan("empty")
        match = self._known.match(case, stream.matched)
        if match is not None and match.prefix.bytes == stream.offset:
            return plan_same(match, self._reading, digest_of(self._watchlist, case))
        if match is None or not match.is_latest:
            longer = candidates(self._store, self._known, case, stream.offset)
            older = self._plan_older(longer)
            if older is not None:
                return older
        if match is None:
            return self._plan_new(longer)
        refusal = self._reading.refuses(match.record)
        if refusal is not None:
            return Plan("refused", notes=(refusal,))
        return self._plan_grown(case, match)

    def _plan_older(self, longer: Sequence[SourceRecord]) -> Plan | None:
        """Decide about a source that is how a longer known one begins."""
        stream = self._stream
        for record in longer:
            if not is_start_of(record, stream.offset, stream.digest):
                continue
            refusal = self._reading.refuses(record)
            if refusal is not None:
                return Plan("refused", notes=(refusal,))
            head = head_digest(self._reading.head, stream.offset)
            copy = Prefix(record.id, stream.offset, stream.digest, head)
            note = f"an older copy of {printable(record.path)}, which is longer"
            return Plan("known", told=record, remember=copy, notes=(note,))
        return None

    def _plan_new(self, longer: Sequence[SourceRecord]) -> Plan:
        notes: tuple[str, ...] = ()
        if longer and self._stream.offset >= HEAD_BYTES:
            notes = (
                f"begins like {printable(longer[0].path)}, which is longer and cannot be compared "
                "any more: if this is an older copy of it, it counts twice",
            )
        return Plan("new", uuid.uuid4().hex[:16], notes=notes)

    def _plan_grown(self, case: str, match: Match) -> Plan:
        """Decide about a source that begins with a known one."""
        record, cut = match.record, match.prefix.bytes
        if not match.is_latest:
            # Two files that went different ways after the same beginning: the rest is this one's.
            return Plan("grown", uuid.uuid4().hex[:16], cut, cut)
        state: State = "grown"
        if (record.watchlist, record.format, record.reading) != (
            digest_of(self._watchlist, case),
            self._reading.format,
            self._reading.lines,
        ):
            state = "reread"
        elif (
            match.aligned
            and record.complete
            and (record.query_messages == 0) == (self._tally.query_messages == 0)
        ):
            return Plan("grown", record.id, cut, record.start, added_to=record.matched)
        return Plan(state, record.id, record.start, record.start, replace=True)

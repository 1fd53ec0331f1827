"""What to do with a source in one case: store it, add its rest, replace it, or leave it.

The decision falls when the whole source was read, from where its bytes agreed with known ones.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import xxhash

from remnant.collate.known import is_start_of
from remnant.collate.stated import lines_of, period_of, reading_text
from remnant.errors import printable
from remnant.store.records import HEAD_BYTES, Prefix, SourceRecord, head_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.capture.stream import ByteStream
    from remnant.collate.known import Known, Match
    from remnant.collate.tally import Tally
    from remnant.store import Store
    from remnant.watchlist import Watchlist
    from remnant.windows import Window

__all__ = ["Plan", "Planner", "Reading", "State", "digest_of", "plan_same", "source_id"]

State = Literal["new", "known", "grown", "reread", "empty", "damaged", "refused"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a person asked for the source to be read.

    Attributes:
        name: what the person calls the source.
        path: where it is found again.
        format: name of the reader.
        sensor: the sensor that the person named.
        vantage: where it stood.
        lines: year and time zone of the lines.
        head: the first HEAD_BYTES of the source.
        hits_only: it holds hits and nothing else.
        period: for which time a person says that it is complete, if it holds hits only.
        own_id: the name that the source gives itself.
    """

    name: str
    path: str
    format: str
    sensor: str | None
    vantage: str
    lines: str
    head: bytes
    hits_only: bool = False
    period: Window | None = None
    own_id: str | None = None

    def agrees(self, record: SourceRecord) -> bool:
        """Return whether an earlier reading understood the lines as this one does."""
        return (record.format, lines_of(record.reading)) == (self.format, self.lines)

    def period_after(self, record: SourceRecord | None) -> Window | None:
        """Return the period that holds after this reading: what was stated once stays stated."""
        if self.period is not None or record is None or not self.hits_only:
            return self.period
        return period_of(record.reading)

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
        period: for which time the source is stated to be complete.
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
    period: Window | None = None


def source_id(own_id: str, case: str) -> str:
    """Return the ledger id of a source that names itself, as one case holds it."""
    return str(xxhash.xxh3_128_hexdigest(f"{own_id}\n{case}".encode()))[:16]


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
    period = reading.period_after(record)
    same = record.watchlist == digest and reading.agrees(record)
    if same and period == period_of(record.reading):
        return Plan("known", told=record)
    if not match.is_latest:
        note = f"a copy of {printable(record.path)}: ingest that for what changed"
        return Plan("known", told=record, notes=(note,))
    return Plan("reread", record.id, record.start, record.start, replace=True, period=period)


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
        parts = self._known.parts(case, stream.matched)
        if not tally.records and not tally.states and not parts:
            return self._plan_empty(case)
        if len(parts) == 1 and parts[0].end == stream.offset:
            return plan_same(parts[0], self._reading, digest_of(self._watchlist, case))
        if not parts or parts[-1].end < stream.offset:
            older = self._plan_older(case, parts)
            if older is not None:
                return older
        period = self._reading.period
        if not parts:
            return Plan("new", self._new_id(case), period=period)
        for part in parts:
            refusal = self._reading.refuses(part.record)
            if refusal is not None:
                return Plan("refused", notes=(refusal,))
        if parts[-1].end == stream.offset:
            return self._plan_joined(case, parts)
        if len(parts) > 1:
            return self._plan_rest(parts)
        return self._plan_grown(case, parts[0])

    def _new_id(self, case: str) -> str:
        """Return an id for a source that is not known: what it calls itself, if that is free."""
        if self._reading.own_id is not None:
            wanted = source_id(self._reading.own_id, case)
            with self._store.ledger.reading() as connection:
                if not self._store.ledger.sources(connection, case, [wanted]):
                    return wanted
        return uuid.uuid4().hex[:16]

    def _plan_empty(self, case: str) -> Plan:
        """Decide about a source without a record: of hits that says something, for a period.

        Nothing in it tells it from the next one, so each period that is stated for it is added.
        """
        reading, stream = self._reading, self._stream
        if reading.period is None or stream.damage is not None or not stream.offset:
            return Plan("empty")
        with self._store.ledger.reading() as connection:
            sources = self._store.ledger.sources(connection, case)
        digest = digest_of(self._watchlist, case)
        for record in sources:
            if record.records or (record.digest, record.bytes) != (stream.digest, stream.offset):
                continue
            if (record.sensor, record.vantage) == (reading.sensor, reading.vantage) and (
                record.reading == reading_text(reading.lines, reading.period)
            ):
                if record.watchlist == digest:
                    return Plan("known", told=record)
                return Plan("reread", record.id, replace=True, period=reading.period)
        return Plan("new", uuid.uuid4().hex[:16], period=reading.period)

    def _plan_older(self, case: str, parts: Sequence[Match]) -> Plan | None:
        """Decide about a source whose rest, or all of it, is how a longer known one begins."""
        stream = self._stream
        unsure: SourceRecord | None = None
        for start in (0, *(part.end for part in parts)):
            length = stream.offset - start
            digest = stream.digest_since(start)
            if length < HEAD_BYTES and start:
                digest = head_digest(self._known.head(start), length)
            if digest is None:
                continue
            for record in self._known.longer(case, start, length):
                if start == 0 and not _may_begin(record, parts):
                    continue
                is_start = is_start_of(record, length, digest)
                if is_start is None and length >= HEAD_BYTES:
                    unsure = record
                if not is_start:
                    continue
                refusal = self._reading.refuses(record)
                if refusal is not None:
                    return Plan("refused", notes=(refusal,))
                if start:
                    return self._plan_joined(case, parts, record)
                note = f"an older copy of {printable(record.path)}, which is longer"
                return Plan("known", told=record, remember=self._copy_of(record), notes=(note,))
        if unsure is None:
            return None
        note = (
            f"it may be an older copy of {printable(unsure.path)}, which is longer, begins alike "
            "and is not there any more to compare: it would count twice; put that file back, or "
            "delete the case to start again"
        )
        return Plan("refused", notes=(note,))

    def _copy_of(self, record: SourceRecord) -> Prefix:
        """Return what makes this whole source known as a copy of another."""
        stream = self._stream
        head = head_digest(self._reading.head, stream.offset)
        return Prefix(record.id, stream.offset, stream.digest, head)

    def _plan_joined(
        self, case: str, parts: Sequence[Match], last: SourceRecord | None = None
    ) -> Plan:
        """Decide about a source that holds known ones end to end, and nothing else.

        Args:
            case: name of the case.
            parts: the known sources.
            last: a longer one that the rest is the beginning of.
        """
        records = [part.record for part in parts] + ([] if last is None else [last])
        notes = [f"holds {_listed(records)}, known already"]
        digest = digest_of(self._watchlist, case)
        if any(record.watchlist != digest for record in records):
            notes.append("the watchlist changed: ingest each of them for what changed")
        copy = self._copy_of(records[0])
        return Plan("known", told=records[0], remember=copy, notes=tuple(notes))

    def _plan_rest(self, parts: Sequence[Match]) -> Plan:
        """Decide about a source that begins with known ones end to end."""
        last = parts[-1]
        listed = _listed([part.record for part in parts])
        if not last.aligned or (last.is_latest and not last.record.complete):
            note = (
                f"begins with {listed}, known already, and goes on inside a record: what is new "
                "cannot be told apart; ingest it as a file of its own"
            )
            return Plan("refused", notes=(note,))
        digest = self._stream.digest_since(last.start)
        copy = None
        if digest is not None:
            # The last of them may come again with this very rest.
            length = self._stream.offset - last.start
            head = head_digest(self._known.head(last.start), length)
            copy = Prefix(last.record.id, length, digest, head)
        note = f"begins with {listed}, known already: only the rest is added"
        return Plan(
            "grown",
            uuid.uuid4().hex[:16],
            last.end,
            last.end,
            remember=copy,
            notes=(note,),
            period=self._reading.period,
        )

    def _plan_grown(self, case: str, match: Match) -> Plan:
        """Decide about a source that begins with a known one."""
        record, cut = match.record, match.prefix.bytes
        if not match.is_latest:
            # Two files that went different ways after the same beginning: the rest is this one's.
            period = self._reading.period
            return Plan("grown", uuid.uuid4().hex[:16], cut, cut, period=period)
        state: State = "grown"
        period = self._reading.period_after(record)
        if (
            record.watchlist != digest_of(self._watchlist, case)
            or not self._reading.agrees(record)
            or period != period_of(record.reading)
        ):
            state = "reread"
        elif (
            match.aligned
            and period is None
            and record.complete
            and not self._watches_addresses(case)
            # Who answers after the end of a copy was no client before it either.
            and self._tally.responders is None
            and (record.query_messages == 0) == (self._tally.query_messages == 0)
        ):
            return Plan("grown", record.id, cut, record.start, added_to=record.matched)
        return Plan(state, record.id, record.start, record.start, replace=True, period=period)

    def _watches_addresses(self, case: str) -> bool:
        """Return whether an answer after the end of a copy may make its last queries sightings."""
        rules = self._watchlist.rules
        return any(rule.kind == "address" and rule.case == case for rule in rules)


def _may_begin(record: SourceRecord, parts: Sequence[Match]) -> bool:
    """Return whether a source that begins with these parts may be the beginning of a longer one.

    One that agrees with a known source in all its bytes agrees with the longer one only if that is
    the same source later, or was told from the known ones when it was read.
    """
    if not parts:
        return record.start == 0
    if record.id == parts[0].record.id:
        return len(parts) == 1
    return 0 < record.start <= parts[-1].end


def _listed(records: Sequence[SourceRecord]) -> str:
    """Return the paths of some sources in words."""
    shown = [printable(record.path) for record in records[:3]]
    more = len(records) - len(shown)
    return ", then ".join(shown) + (f" and {more} more" if more else "")

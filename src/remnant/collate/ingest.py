"""One source, from its bytes to one commit; many cases in one pass."""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from remnant.collate.clients import Clients
from remnant.collate.known import Known, Match, candidates, is_start_of, scan
from remnant.collate.pseudonym import SiteKey
from remnant.collate.sightings import Matcher, client_rows, finish_day
from remnant.collate.spill import Rows
from remnant.collate.tally import Tally
from remnant.errors import StoreError, printable
from remnant.schema import CLIENTS, COVERAGE, QUARANTINE, SIGHTINGS
from remnant.store.records import HEAD_BYTES, Prefix, SourceRecord, head_digest
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remnant.capture import Batch, Reader, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.collate.clients import Lookup
    from remnant.store import Change, Store
    from remnant.watchlist import Watchlist

__all__ = ["SIMULATED", "SourceResult", "State", "ingest_source"]

SIMULATED: Final = "simulated"
"""The note by which a reader says that a source was made by a simulation."""

State = Literal["new", "known", "grown", "reread", "empty", "damaged", "refused"]


@dataclass(frozen=True, slots=True)
class SourceResult:
    """What became of one source in one case. The counts are those of the whole source.

    Attributes:
        case: name of the case.
        path: where it was read from.
        format: name of the reader.
        state: ``new``; ``known``: nothing changed; ``grown``: only the rest was added;
            ``reread``: its rows were replaced; ``empty``: no records; ``damaged``: stored up to the
            damage; ``refused``: not stored, the notes say why.
        records: messages + malformed + skipped.
        messages: queries and responses.
        matched: observations of the case.
        malformed: records that could not be read.
        skipped: records that are no observations by definition.
        clock_faults: messages without a usable time.
        first: time of the first message.
        last: time of the last one.
        notes: what a person should be told.
    """

    case: str
    path: str
    format: str
    state: State
    records: int = 0
    messages: int = 0
    matched: int = 0
    malformed: int = 0
    skipped: int = 0
    clock_faults: int = 0
    first: datetime | None = None
    last: datetime | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data, times in ISO 8601."""
        values = dataclasses.asdict(self)
        values["first"] = None if self.first is None else iso(self.first)
        values["last"] = None if self.last is None else iso(self.last)
        values["notes"] = list(self.notes)
        return values


@dataclass(frozen=True, slots=True)
class _Reading:
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
class _Plan:
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


def ingest_source(
    stream: ByteStream,
    reader: Reader,
    store: Store,
    watchlist: Watchlist,
    options: ReadOptions,
    *,
    cases: Sequence[str] | None = None,
    sensor: str | None = None,
    lookup: Lookup | None = None,
    path: str | None = None,
    reopen: Callable[[], ByteStream] | None = None,
    on_batch: Callable[[Batch], None] | None = None,
) -> list[SourceResult]:
    """Read one source for one or many cases and commit what it brings, or nothing.

    Memory is bounded: rows beyond a million go to temporary files. A source whose bytes are known
    changes nothing; one that begins with a known one adds its rest; with a changed watchlist, or
    other options for its lines, its rows are replaced.

    Args:
        stream: the source, nothing used up yet.
        reader: its format.
        store: opened for writing.
        watchlist: what is watched, for all cases.
        options: what a person says about the source.
        cases: the cases to serve; ``None``: those of the watchlist.
        sensor: the sensor that a person names; ``None``: what the source says, or "default".
        lookup: reference data: uint8[n, 16] addresses to n rows with ANNOTATIONS; called with each
            counting unit once.
        path: what the ledger remembers as the place of the source; ``None``: the stream's name.
        reopen: opens the same source again; with it a known source is told by its digest alone.
        on_batch: called after each batch, for progress.

    Returns:
        One result for each case, in order.

    Raises:
        StoreError: the store cannot be written, or a case holds simulated sources and this one is
            real (or the reverse). Nothing was changed.
        KeyMismatch: the site key is not the store's.
    """
    key = SiteKey(store.site_key())
    served = tuple(watchlist.cases if cases is None else cases)
    head = stream.head()
    known = Known(store, served, head)
    reading = _Reading(
        path=stream.name if path is None else path,
        format=reader.name,
        sensor=sensor,
        vantage=options.vantage or reader.vantage,
        lines=f"{options.year or ''} {options.timezone or ''}".strip(),
        head=head[:HEAD_BYTES],
    )
    if reopen is not None and known.checkpoints:
        early = _known_by_digest(reopen, Known(store, served, head), watchlist, served, reading)
        if early is not None:
            return early
    with store.change() as change:
        source = _Source(stream, reader, store, watchlist, options, served, known, reading)
        try:
            source.read(Clients(key, lookup), key, change, on_batch)
            results = source.finish(change)
            change.commit()
        finally:
            source.close()
    return results


def _known_by_digest(
    reopen: Callable[[], ByteStream],
    known: Known,
    watchlist: Watchlist,
    cases: Sequence[str],
    reading: _Reading,
) -> list[SourceResult] | None:
    """Return the results if the digest alone shows that nothing changes in any case."""
    with reopen() as stream:
        scan(stream, known)
        length = stream.offset
    results = []
    for case in cases:
        match = known.match(case, set())
        if match is None or match.prefix.bytes != length:
            return None
        plan = _plan_same(match, reading, watchlist.digest(case))
        if plan.id is not None:
            return None
        results.append(_result(case, reading, plan, plan.told))
    return results


def _plan_same(match: Match, reading: _Reading, digest: str) -> _Plan:
    """Decide about a source that ends where a known one ended."""
    record = match.record
    refusal = reading.refuses(record)
    if refusal is not None:
        return _Plan("refused", notes=(refusal,))
    current = (record.watchlist, record.format, record.reading)
    if current == (digest, reading.format, reading.lines):
        return _Plan("known", told=record)
    if not match.is_latest:
        note = f"an older copy of {printable(record.path)}, which was read again since it grew"
        return _Plan("known", told=record, notes=(note,))
    return _Plan("reread", record.id, record.start, record.start, replace=True)


class _Source:
    """The state of one run over one source."""

    def __init__(
        self,
        stream: ByteStream,
        reader: Reader,
        store: Store,
        watchlist: Watchlist,
        options: ReadOptions,
        cases: tuple[str, ...],
        known: Known,
        reading: _Reading,
    ) -> None:
        self._stream = stream
        self._reader = reader
        self._store = store
        self._watchlist = watchlist
        self._options = options
        self._cases = cases
        self._known = known
        self._reading = reading
        self._rows: dict[str, Rows] = {}
        self._tally = Tally([], None)
        self._clients: Clients | None = None
        self._complete = True
        self._checked = False

    def read(
        self,
        clients: Clients,
        key: SiteKey,
        change: Change,
        on_batch: Callable[[Batch], None] | None,
    ) -> None:
        """Run the reader over the stream and keep the rows of each case."""
        stream = self._stream
        places = sorted({offset for offset, _ in self._known.checkpoints})
        self._clients = clients
        self._tally = Tally(places, self._reading.sensor)
        self._rows = {case: Rows(change.scratch, f"rows-{i}") for i, case in enumerate(self._cases)}
        matcher = Matcher(self._watchlist, clients, key, self._reading.sensor)
        stream.watch(self._known.checkpoints)
        for batch in self._reader.read(stream, self._watchlist, self._options):
            self._tally.add(batch)
            if batch.end == stream.offset and batch.end in places:
                self._known.passed(batch.end, stream.digest)
            self._refuse_mixture(at_end=False)
            queries = batch.queries
            if self._tally.query_messages and pc.any(queries["response"]).as_py():
                queries = queries.filter(pc.invert(queries["response"]))
            for case, rows in matcher.rows(queries).items():
                if case in self._rows:
                    self._rows[case].add(rows)
            if on_batch is not None:
                on_batch(batch)
        self._complete = not stream.view.size and not stream.more()
        self._refuse_mixture(at_end=True)

    def finish(self, change: Change) -> list[SourceResult]:
        """Decide about each case and write what it gets."""
        assert self._clients is not None
        clients: pa.Table | None = None
        results = []
        for case in self._cases:
            plan = self._plan(case)
            record = plan.told
            if plan.id is not None:
                if clients is None:
                    clients = self._clients.table()
                record = self._write(change, case, plan.id, plan, clients)
                plan = self._told_more(plan)
            if plan.remember is not None:
                change.put_prefix(plan.remember)
            results.append(_result(case, self._reading, plan, record))
        return results

    def _told_more(self, plan: _Plan) -> _Plan:
        """Add to a plan what a person should know of a source that was stored."""
        state, notes = plan.state, [*plan.notes, *self._tally.notes]
        if not self._tally.query_messages and self._tally.total("messages"):
            notes.append("no queries in this source: its responses are counted")
        if self._stream.damage is not None:
            state = "damaged"
            notes.append(f"damaged, read up to byte {self._stream.offset}: {self._stream.damage}")
        return dataclasses.replace(plan, state=state, notes=tuple(notes))

    def close(self) -> None:
        """Let go of temporary files."""
        for rows in self._rows.values():
            rows.close()

    @property
    def _simulated(self) -> bool:
        return SIMULATED in self._tally.notes

    def _refuse_mixture(self, *, at_end: bool) -> None:
        """Refuse real sources in a simulated case and the reverse, as early as it shows."""
        if self._checked or not self._tally.records or not (self._simulated or at_end):
            return
        self._checked = True
        with self._store.ledger.reading() as connection:
            for case in self._cases:
                holds = self._store.ledger.simulated(connection, case)
                if holds is not None and holds != self._simulated:
                    kinds = {True: "simulated", False: "real"}
                    raise StoreError(
                        f"the case {case} holds {kinds[holds]} sources, "
                        f"this one is {kinds[self._simulated]}",
                        where=self._reading.path,
                        hint="the two are never counted together: use a case of its own",
                    )

    def _plan(self, case: str) -> _Plan:
        stream, tally = self._stream, self._tally
        if not tally.records:
            return _Plan("empty")
        match = self._known.match(case, stream.matched)
        if match is not None and match.prefix.bytes == stream.offset:
            return _plan_same(match, self._reading, self._watchlist.digest(case))
        if match is None or not match.is_latest:
            longer = candidates(self._store, self._known, case, stream.offset)
            older = self._plan_older(longer)
            if older is not None:
                return older
        if match is None:
            return self._plan_new(longer)
        refusal = self._reading.refuses(match.record)
        if refusal is not None:
            return _Plan("refused", notes=(refusal,))
        return self._plan_grown(case, match)

    def _plan_older(self, longer: Sequence[SourceRecord]) -> _Plan | None:
        """Decide about a source that is how a longer known one begins."""
        stream = self._stream
        for record in longer:
            if not is_start_of(record, stream.offset, stream.digest):
                continue
            refusal = self._reading.refuses(record)
            if refusal is not None:
                return _Plan("refused", notes=(refusal,))
            head = head_digest(self._reading.head, stream.offset)
            copy = Prefix(record.id, stream.offset, stream.digest, head)
            note = f"an older copy of {printable(record.path)}, which is longer"
            return _Plan("known", told=record, remember=copy, notes=(note,))
        return None

    def _plan_new(self, longer: Sequence[SourceRecord]) -> _Plan:
        notes: tuple[str, ...] = ()
        if longer and self._stream.offset >= HEAD_BYTES:
            notes = (
                f"begins like {printable(longer[0].path)}, which is longer and cannot be compared "
                "any more: if this is an older copy of it, it counts twice",
            )
        return _Plan("new", uuid.uuid4().hex[:16], notes=notes)

    def _plan_grown(self, case: str, match: Match) -> _Plan:
        """Decide about a source that begins with a known one."""
        record, cut = match.record, match.prefix.bytes
        if not match.is_latest:
            # Two files that went different ways after the same beginning: the rest is this one's.
            return _Plan("grown", uuid.uuid4().hex[:16], cut, cut)
        state: State = "grown"
        if (record.watchlist, record.format, record.reading) != (
            self._watchlist.digest(case),
            self._reading.format,
            self._reading.lines,
        ):
            state = "reread"
        elif (
            match.aligned
            and record.complete
            and (record.query_messages == 0) == (self._tally.query_messages == 0)
        ):
            return _Plan("grown", record.id, cut, record.start, added_to=record.matched)
        return _Plan(state, record.id, record.start, record.start, replace=True)

    def _write(
        self, change: Change, case: str, source: str, plan: _Plan, clients: pa.Table
    ) -> SourceRecord:
        if plan.replace:
            change.remove_source(case, source)
        texts = pa.array([rule.text for rule in self._watchlist.rules], pa.string())
        counted = []
        matched = 0
        rows = self._rows[case]
        for number in rows.days():
            day = datetime.fromtimestamp(number * 86_400, UTC).date().isoformat()
            seen = []
            for part in rows.parts(number):
                mine = self._mine(part, plan.cut)
                if len(mine):
                    done = finish_day(mine, clients, texts, source)
                    change.write(SIGHTINGS, case, day, done.sightings, [source])
                    matched += len(mine)
                    seen.append(done.clients)
                    counted.append(done.matched)
            if seen:
                change.write(CLIENTS, case, day, client_rows(seen, clients, source), [source])
        coverage = self._tally.coverage(plan.cut, counted, source)
        change.write(COVERAGE, case, None, coverage, [source])
        change.write(QUARANTINE, case, None, self._tally.quarantine(plan.cut, source), [source])
        record = self._record(case, source, plan, matched)
        head = head_digest(self._reading.head, record.bytes)
        change.put_source(record, Prefix(source, record.bytes, record.digest, head))
        return record

    def _mine(self, rows: pa.Table, cut: int) -> pa.Table:
        """Return the rows after the cut; those of responses only if there were no queries."""
        if cut:
            rows = rows.filter(pc.greater_equal(rows["offset"], pa.scalar(cut)))
        if self._tally.query_messages and pc.any(rows["response"]).as_py():
            rows = rows.filter(pc.invert(rows["response"]))
        return rows

    def _record(self, case: str, source: str, plan: _Plan, matched: int) -> SourceRecord:
        tally, stream, reading = self._tally, self._stream, self._reading
        return SourceRecord(
            id=source,
            case=case,
            path=reading.path,
            format=reading.format,
            reading=reading.lines,
            sensor=reading.sensor,
            vantage=reading.vantage,
            watchlist=self._watchlist.digest(case),
            digest=stream.digest,
            bytes=stream.offset,
            start=plan.start,
            complete=self._complete and stream.damage is None,
            records=tally.records,
            messages=tally.total("messages"),
            query_messages=tally.query_messages,
            matched=plan.added_to + matched,
            malformed=tally.total("malformed"),
            skipped=tally.total("skipped"),
            clock_faults=tally.total("clock_faults"),
            first=tally.first(),
            last=tally.last(),
            read_at=datetime.now(tz=UTC),
            simulated=self._simulated,
        )


def _result(case: str, reading: _Reading, plan: _Plan, record: SourceRecord | None) -> SourceResult:
    if record is None:
        return SourceResult(case, reading.path, reading.format, plan.state, notes=plan.notes)
    return SourceResult(
        case,
        reading.path,
        record.format,
        plan.state,
        record.records,
        record.messages,
        record.matched,
        record.malformed,
        record.skipped,
        record.clock_faults,
        record.first,
        record.last,
        plan.notes,
    )

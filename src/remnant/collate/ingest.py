"""One source, from its bytes to one commit; many cases in one pass."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from remnant.capture import StatingReader
from remnant.collate.answers import Answers
from remnant.collate.clients import Clients
from remnant.collate.known import Known, scan
from remnant.collate.plan import Plan, Planner, Reading, State, digest_of, plan_same
from remnant.collate.pseudonym import SiteKey
from remnant.collate.sightings import (
    Matcher,
    client_rows,
    finish_day,
    rule_texts,
    split_unlisted,
)
from remnant.collate.spill import Rows
from remnant.collate.stated import reading_text
from remnant.collate.tally import Tally
from remnant.schema import ANSWERS, CLIENTS, COVERAGE, QUARANTINE, SIGHTINGS, UNLISTED
from remnant.store.records import HEAD_BYTES, Prefix, SourceRecord, head_digest
from remnant.store.runs import FEW_ROWS
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
        answers: distinct resource records that were stored now; ``None`` where nothing was.
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
    answers: int | None = None
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

    Rows beyond a million go to temporary files; memory grows only with the distinct clients that
    hit, by some 60 bytes each. A source whose bytes are known
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
        path: where the source is found again, as the ledger remembers it (absolute, if it is a
            file); ``None``: the stream's name.
        reopen: opens the same source again from its start, which a pipe cannot; with it a known
            source is told by its digest alone.
        on_batch: called after each batch, for progress.

    Returns:
        One result for each case, in order.

    Raises:
        StoreError: the store cannot be written. Nothing was changed.
        DamagedInput: its compression cannot be read. Nothing was changed.
        KeyMismatch: the site key is not the store's.
    """
    key = SiteKey(store.site_key())
    served = tuple(watchlist.cases if cases is None else cases)
    stated = reader.states(stream) if isinstance(reader, StatingReader) else None
    if stated is not None:
        watchlist = watchlist.extended(stated.rules)
    head = stream.head()
    known = Known(store, served, head)
    reading = Reading(
        name=stream.name,
        path=stream.name if path is None else path,
        format=reader.name,
        sensor=sensor,
        vantage=options.vantage or reader.vantage,
        lines=_said(options),
        head=head[:HEAD_BYTES],
        hits_only=reader.hits_only,
        period=options.period if reader.hits_only else None,
        own_id=None if stated is None else stated.id,
    )
    if reopen is not None and known.checkpoints:
        early = _known_bydigest_of(reopen, Known(store, served, head), watchlist, served, reading)
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


def _said(options: ReadOptions) -> str:
    """Return what a person said of the source that changes its rows, as the ledger keeps it."""
    words = [str(options.year or ""), str(options.timezone or "")]
    if options.answers != "watched":
        words.append(f"answers={options.answers}")
    return " ".join(words).strip()


def _known_bydigest_of(
    reopen: Callable[[], ByteStream],
    known: Known,
    watchlist: Watchlist,
    cases: Sequence[str],
    reading: Reading,
) -> list[SourceResult] | None:
    """Return the results if the digest alone shows that nothing changes in any case."""
    with reopen() as stream:
        scan(stream, known)
        length = stream.offset
        matched = stream.matched
    results = []
    for case in cases:
        parts = known.parts(case, matched)
        if len(parts) != 1 or parts[0].end != length or length > parts[0].record.bytes:
            # Longer than the source whose copy it begins with: only reading it gives its counts.
            return None
        plan = plan_same(parts[0], reading, digest_of(watchlist, case))
        if plan.id is not None:
            return None
        results.append(_result(case, reading, plan, plan.told))
    return results


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
        reading: Reading,
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
        self._answers: Answers | None = None
        self._stored_answers: dict[str, int] = {}
        self._tally = Tally(known.places, reading.sensor)
        self._clients: Clients | None = None
        self._complete = True
        self._responses = False
        self._mixed: dict[str, Plan] | None = None

    def read(
        self,
        clients: Clients,
        key: SiteKey,
        change: Change,
        on_batch: Callable[[Batch], None] | None,
    ) -> None:
        """Run the reader over the stream and keep the rows of each case."""
        stream = self._stream
        self._clients = clients
        self._rows = {case: Rows(change.scratch, f"rows-{i}") for i, case in enumerate(self._cases)}
        self._answers = Answers(change.scratch, self._watchlist.cases, self._reading.sensor)
        matcher = Matcher(self._watchlist, clients, key, self._reading.sensor)
        stream.watch(self._known.checkpoints, self._known.follow)
        for batch in self._reader.read(stream, self._watchlist, self._options):
            self._tally.add(batch)
            self._answers.add(batch, self._tally.place_before(batch.end))
            if batch.end == stream.offset:
                self._known.passed(batch.end)
            if self._simulated and len(self._mixtures()) == len(self._cases):
                return
            queries = batch.queries
            if pc.any(queries["response"]).as_py():
                self._responses = True
                if self._tally.query_messages:
                    queries = queries.filter(pc.invert(queries["response"]))
            for case, rows in matcher.rows(queries).items():
                if case in self._rows:
                    self._rows[case].add(rows)
            if on_batch is not None:
                on_batch(batch)
        self._complete = not stream.view.size and not stream.more()

    def finish(self, change: Change) -> list[SourceResult]:
        """Decide about each case and write what it gets."""
        assert self._clients is not None
        planner = Planner(
            self._stream, self._tally, self._known, self._store, self._watchlist, self._reading
        )
        results = []
        for case in self._cases:
            plan = self._mixtures().get(case) or planner.plan(case)
            record = None if plan.told is None else self._as_read(case, plan.told)
            if plan.id is not None:
                record = self._write(change, case, plan.id, plan, self._clients)
                plan = self._told_more(plan)
            if plan.remember is not None:
                change.put_prefix(plan.remember)
            result = _result(case, self._reading, plan, record)
            results.append(dataclasses.replace(result, answers=self._stored_answers.get(case)))
        return results

    def _as_read(self, case: str, record: SourceRecord) -> SourceRecord:
        """Return a known source's row with the counts of what was read now."""
        tally, rows = self._tally, self._rows[case]
        parts = (part for day in rows.days() for part in rows.parts(day))
        return dataclasses.replace(
            record,
            format=self._reading.format,
            records=tally.records,
            messages=tally.total("messages"),
            matched=sum(
                len(split_unlisted(self._mine(part, 0), self._watchlist)[0]) for part in parts
            ),
            malformed=tally.total("malformed"),
            skipped=tally.total("skipped"),
            clock_faults=tally.total("clock_faults"),
            first=tally.first(),
            last=tally.last(),
        )

    def _told_more(self, plan: Plan) -> Plan:
        """Add to a plan what a person should know of a source that was stored."""
        state, notes = plan.state, [*plan.notes, *self._tally.notes]
        if self._reading.hits_only and plan.period is None:
            notes.append(
                "this source holds hits only, so no hour without one tells anything: say for which "
                "time it is complete with --period FROM/UNTIL"
            )
        elif self._options.period is not None and not self._reading.hits_only:
            notes.append("--period is for sources that hold hits only: this one was read without")
        if self._responses and not self._tally.query_messages:
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

    def _mixtures(self) -> dict[str, Plan]:
        """Return the cases that refuse this source: real ones and simulated ones never meet.

        Called when it shows that the source is simulated, or at its end.
        """
        if self._mixed is None and self._tally.records:
            self._mixed = {}
            with self._store.ledger.reading() as connection:
                for case in self._cases:
                    holds = self._store.ledger.simulated(connection, case)
                    if holds is not None and holds != self._simulated:
                        kinds = {True: "simulated", False: "real"}
                        note = (
                            f"the case {case} holds {kinds[holds]} sources, this one is "
                            f"{kinds[self._simulated]}; the two are never counted together: "
                            "use a case of its own"
                        )
                        self._mixed[case] = Plan("refused", notes=(note,))
        return self._mixed or {}

    def _write(
        self, change: Change, case: str, source: str, plan: Plan, clients: Clients
    ) -> SourceRecord:
        if plan.replace:
            change.remove_source(case, source)
        texts = rule_texts(self._watchlist)
        counted = []
        matched = 0
        rows = self._rows[case]
        for number in rows.days():
            day = datetime.fromtimestamp(number * 86_400, UTC).date().isoformat()
            seen = []
            for part in rows.parts(number):
                mine, others = split_unlisted(self._mine(part, plan.cut), self._watchlist)
                if len(others):
                    done = finish_day(others, clients, texts, source)
                    change.write(UNLISTED, case, day, done.sightings, [source])
                if len(mine):
                    done = finish_day(mine, clients, texts, source)
                    change.write(SIGHTINGS, case, day, done.sightings, [source])
                    matched += len(mine)
                    seen.append(done.clients)
                    counted.append(done.matched)
            if seen:
                change.write(CLIENTS, case, day, client_rows(seen, clients, source), [source])
        coverage = self._tally.coverage(
            plan.cut,
            counted,
            source,
            hits_only=self._reading.hits_only,
            vantage=self._reading.vantage,
            period=plan.period,
        )
        change.write(COVERAGE, case, None, coverage, [source])
        change.write(QUARANTINE, case, None, self._tally.quarantine(plan.cut, source), [source])
        assert self._answers is not None
        self._stored_answers[case] = 0
        for answers in self._answers.tables(case, plan.cut, source):
            # So many are put in order when the store is left.
            brief = len(answers) > FEW_ROWS
            change.write(ANSWERS, case, None, answers, [source], brief=brief)
            self._stored_answers[case] += len(answers)
        record = self._record(case, source, plan, matched)
        head = head_digest(self._reading.head, record.bytes)
        prefix = Prefix(source, record.bytes, record.digest, head)
        # What has no record is how every report of its kind begins: none of them is it, grown.
        change.put_source(record, prefix if record.records else None)
        return record

    def _mine(self, rows: pa.Table, cut: int) -> pa.Table:
        """Return the rows after the cut; those of responses only if there were no queries.

        Rows of addresses that answer in this source are not counted.
        """
        if cut:
            rows = rows.filter(pc.greater_equal(rows["offset"], pa.scalar(cut)))
        if self._tally.query_messages and pc.any(rows["response"]).as_py():
            rows = rows.filter(pc.invert(rows["response"]))
        if self._tally.responders is not None:
            theirs = pc.is_in(rows["address"], value_set=self._tally.responders)
            rows = rows.filter(pc.invert(theirs))
        return rows

    def _record(self, case: str, source: str, plan: Plan, matched: int) -> SourceRecord:
        tally, stream, reading = self._tally, self._stream, self._reading
        return SourceRecord(
            id=source,
            case=case,
            path=reading.path,
            format=reading.format,
            reading=reading_text(reading.lines, plan.period),
            sensor=reading.sensor,
            vantage=reading.vantage,
            watchlist=digest_of(self._watchlist, case),
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


def _result(case: str, reading: Reading, plan: Plan, record: SourceRecord | None) -> SourceResult:
    if record is None:
        return SourceResult(case, reading.name, reading.format, plan.state, notes=plan.notes)
    return SourceResult(
        case,
        reading.name,
        record.format,
        plan.state,
        records=record.records,
        messages=record.messages,
        matched=record.matched,
        malformed=record.malformed,
        skipped=record.skipped,
        clock_faults=record.clock_faults,
        first=record.first,
        last=record.last,
        notes=plan.notes,
    )

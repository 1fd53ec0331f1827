"""What line kernels write, and how it becomes a batch.

A kernel reads the lines of a block into ``Rows``: one row per query or response.
Only rows that the watchlist hits become Arrow rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from remnant.capture import QUARANTINE_LIMIT, Batch
from remnant.capture.events import TRANSPORTS, is_proven
from remnant.capture.lines import HEAD_BYTES, nothing
from remnant.capture.text_fields import DAY_US, SECOND_US
from remnant.capture.text_pairs import Pairs, copy_names
from remnant.schema import COVERAGE_COUNTS, QUARANTINE, QUERIES, TIME
from remnant.windows import to_us
from remnant.wire import MAX_LABELS, kernel, names_to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    import numpy.typing as npt

    from remnant.capture.lines import Block
    from remnant.capture.stream import ByteStream
    from remnant.capture.text_pairs import PairedBy
    from remnant.watchlist import Watchlist
    from remnant.wire import Int

__all__ = [
    "BAD_ADDRESS",
    "BAD_DATA",
    "BAD_FIELDS",
    "BAD_JSON",
    "BAD_NAME",
    "BAD_NUMBER",
    "BAD_QUOTES",
    "BAD_TIME",
    "MALFORMED",
    "NO_ECS",
    "NO_HEADER",
    "QUERIES_SEEN",
    "REASONS",
    "SKIPPED",
    "TOO_LONG",
    "Addresses",
    "Detail",
    "Rows",
    "Tables",
    "is_complete",
    "reject",
    "room_for",
]

REASONS: Final = (
    "the line is longer than 64 KiB",
    "the time cannot be read",
    "the client address cannot be read",
    "the name cannot be read",
    "a number cannot be read",
    "the line does not have the fields of the format",
    "no usable #fields line stands before it",
    "the JSON cannot be read",
    "the record data cannot be read",
    "the quotes of a field do not match",
)
"""Why a line is malformed; the constants below are indexes into these."""

TOO_LONG: Final = 0
BAD_TIME: Final = 1
BAD_ADDRESS: Final = 2
BAD_NAME: Final = 3
BAD_NUMBER: Final = 4
BAD_FIELDS: Final = 5
NO_HEADER: Final = 6
BAD_JSON: Final = 7
BAD_DATA: Final = 8
BAD_QUOTES: Final = 9

QUERIES_SEEN: Final = 0
MALFORMED: Final = 1
SKIPPED: Final = 2
_COUNTERS: Final = 8

_HOUR_US: Final = 3600 * SECOND_US
_FIRST_US: Final = 946_684_800 * SECOND_US  # 2000-01-01
_MAX_NAME: Final = 256
_GOES_ON: Final = 2


Addresses: TypeAlias = "tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]"
"""Rows (ascending), and an address of 16 bytes for each."""

Detail: TypeAlias = "Callable[[npt.NDArray[np.int64]], pa.Array[Any]]"
"""Returns the ``detail`` of some rows."""


class Rows(NamedTuple):
    """Columns of the messages of a block, and of the lines that could not be read.

    Attributes:
        counters: int64: messages (rows), malformed lines, skipped lines; from 3 on what the kernel
            of a format counts besides.
        line: int64[n]: position in the block where the message's line starts.
        response: uint8[n]: 1 where the line is a response and not a query, 2 where it goes on with
            a response that an earlier line began: no message of its own, it is counted as skipped.
            Only formats whose ``Tables`` are told what pairs write it.
        time: int64[n]: UTC microseconds; a clock fault where it is out of range (``BAD``: none).
        local: bool[n]: the time is as the source's clock showed it; the format's reader makes it
            UTC before the rows become tables.
        address: uint8[16 n], 16 bytes per row.
        client_port: int32[n], -1 if not in the source; ``service_port`` the same.
        transport: int8[n]: index into ``events.TRANSPORTS`` (0 udp, 1 tcp), -1 not in the source.
        qtype: int32[n], -1 if not in the source; ``rcode`` the same.
        ecs: uint8[17 n], 17 bytes per row; the last of them is 255 where there is none.
        answers: int64[n, 5]: the range of the line's answers, empty if none, the byte between, and
            the range of their TTLs; in logs of policy hits, the range of what ``detail`` is made
            from.
        names: uint8: wire names end to end, in the case they have.
        name_offsets: int64[n + 1] into ``names``.
        bad_line: int64[m, 2]: the range of a malformed line.
        bad_reason: int8[m]: index into ``REASONS``.
    """

    counters: npt.NDArray[np.int64]
    line: npt.NDArray[np.int64]
    response: npt.NDArray[np.uint8]
    time: npt.NDArray[np.int64]
    local: npt.NDArray[np.bool_]
    address: npt.NDArray[np.uint8]
    client_port: npt.NDArray[np.int32]
    service_port: npt.NDArray[np.int32]
    transport: npt.NDArray[np.int8]
    qtype: npt.NDArray[np.int32]
    rcode: npt.NDArray[np.int32]
    ecs: npt.NDArray[np.uint8]
    answers: npt.NDArray[np.int64]
    names: npt.NDArray[np.uint8]
    name_offsets: npt.NDArray[np.int64]
    bad_line: npt.NDArray[np.int64]
    bad_reason: npt.NDArray[np.int8]


NO_ECS: Final = 255


def room_for(block: Block, before: Rows | None = None, *, more: int = 0) -> Rows:
    """Return empty columns with room for every line of a block.

    Args:
        block: the lines.
        before: columns that are no longer needed. They are used again where they are large enough,
            as fresh memory costs more than reading a line does; only for kernels that write every
            column that they ever write, for each row.
        more: rows beside those of the lines.
    """
    lines = block.ends.size + more
    bad = min(block.ends.size, QUARANTINE_LIMIT)
    # A printed name of n bytes has a wire form of at most n + 2 bytes.
    room = block.data.size + 2 * lines + (more + 1) * _MAX_NAME
    if before is not None and before.line.size >= lines and before.names.size >= room:
        before.counters[:] = 0
        return before
    names = np.empty(room, np.uint8)
    return Rows(
        counters=np.zeros(_COUNTERS, np.int64),
        line=np.empty(lines, np.int64),
        response=np.zeros(lines, np.uint8),
        time=np.empty(lines, np.int64),
        local=np.zeros(lines, np.bool_),
        address=np.empty(16 * lines, np.uint8),
        client_port=np.full(lines, -1, np.int32),
        service_port=np.full(lines, -1, np.int32),
        transport=np.full(lines, -1, np.int8),
        qtype=np.full(lines, -1, np.int32),
        rcode=np.full(lines, -1, np.int32),
        ecs=np.full(17 * lines, NO_ECS, np.uint8),
        answers=np.zeros((lines, 5), np.int64),
        names=names,
        name_offsets=np.zeros(lines + 1, np.int64),
        bad_line=np.empty((bad, 2), np.int64),
        bad_reason=np.empty(bad, np.int8),
    )


@kernel
def reject(rows: Rows, start: Int, stop: Int, reason: Int) -> None:
    """Count a malformed line and note where it is, while there is room."""
    count = rows.counters[MALFORMED]
    if count < rows.bad_reason.size:
        rows.bad_line[count, 0] = start
        rows.bad_line[count, 1] = stop
        rows.bad_reason[count] = reason
    rows.counters[MALFORMED] = count + 1


def is_complete(rows: Rows) -> bool:
    """Return whether a last line without a line feed was read as a whole record."""
    return bool(rows.counters[:3].sum() == 1 and rows.counters[MALFORMED] == 0)


class Tables:
    """Makes the batches of one source: matches, builds the tables, keeps what spans batches.

    Args:
        watchlist: what to look for.
        vantage: where the sensor stood.
        now: times of more than a day after it are clock faults, as are those before 2000.
        paired_by: what a query and its response have in common besides name and type, where the
            format has lines of both kinds (``Rows.response``); ``None``: it has queries only. With
            it the reader ends with ``rest``, as queries wait up to 10 s for their responses.
        by_name: whether names are matched; where they are addresses, only addresses are.

    Attributes:
        notes: added to the next batch.
    """

    def __init__(
        self,
        watchlist: Watchlist,
        vantage: str,
        now: datetime,
        *,
        paired_by: PairedBy | None = None,
        by_name: bool = True,
    ) -> None:
        self._watchlist = watchlist
        self._vantage = vantage
        self._latest = to_us(now) + DAY_US
        self._quarantined = 0
        self._pairs = None if paired_by is None else Pairs(paired_by, vantage)
        self._by_name = by_name
        self.notes: list[str] = []

    def batch(
        self,
        block: Block,
        rows: Rows,
        addresses: Addresses | None = None,
        *,
        detail: Detail | None = None,
        answers: pa.RecordBatch | None = None,
        final: bool = False,
        messages: tuple[npt.NDArray[np.int64], int] | None = None,
    ) -> Batch:
        """Return the batch of a block whose lines have been read.

        Args:
            block: the lines.
            rows: what they say.
            addresses: (rows int64[m] ascending, uint8[m, 16]) of the answers, where they count.
            detail: given the rows that hit (int64[k] ascending, each once), returns their
                ``detail`` (string[k], null where there is nothing to add): bounded JSON.
            answers: rows of ``schema.ANSWER_ROWS``, passed on.
            final: the source has ended: no query waits for its response any longer.
            messages: the times of the messages whose lines stand in the block (UTC microseconds)
                and how many of them are queries, where a query becomes a row later than its line is
                read; ``None``: the rows are the messages.
        """
        seen, malformed, skipped = (int(count) for count in rows.counters[:3])
        times = rows.time[:seen]
        usable = (times >= _FIRST_US) & (times < self._latest)
        malformed += block.too_long is not None
        timed, queries = times, seen
        if messages is not None:
            timed, queries = messages
        elif self._pairs is not None:
            timed = times[rows.response[:seen] != _GOES_ON]
            skipped += seen - timed.size
            queries = timed.size - int(np.count_nonzero(rows.response[:seen] == 1))
        counted = timed[(timed >= _FIRST_US) & (timed < self._latest)]
        faults = timed.size - counted.size
        notes = tuple(self.notes)
        self.notes.clear()
        return Batch(
            end=block.end,
            queries=self._queries(block, rows, usable, addresses, detail, final=final),
            counts=self._counts(counted, faults, malformed, skipped),
            quarantine=self._quarantine(block, rows),
            records=timed.size + malformed + skipped,
            query_messages=queries,
            notes=notes,
            answers=answers,
        )

    def rest(self, stream: ByteStream) -> Iterator[Batch]:
        """Yield what is left at the end of a source: queries that waited, and notes."""
        if self.notes or (self._pairs is not None and self._pairs.waiting):
            block = nothing(stream)
            yield self.batch(block, room_for(block), final=True)

    def note_incomplete(self, block: Block) -> None:
        """Note that the last line is left for a later reading, when it may have grown."""
        if block.data[:1].tobytes() != b"#":
            self.notes.append(
                f"the last line is not complete: {block.data.size} bytes from byte {block.offset}"
                " on were not read"
            )

    def _hits(
        self,
        rows: Rows,
        usable: npt.NDArray[np.bool_],
        addresses: Addresses | None,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        offsets = rows.name_offsets[: usable.size + 1]
        if not self._by_name:
            offsets = offsets[:1]
        hits, entries = self._watchlist.match_wire(rows.names[: offsets[-1]], offsets)
        keep = usable[hits]
        hits, entries = hits[keep], entries[keep]
        if addresses is None or not addresses[0].size:
            return hits, entries
        found, prefixes = self._watchlist.match_addresses(addresses[1])
        keep = usable[addresses[0][found]]
        found, prefixes = found[keep], prefixes[keep]
        # An address that stands in an answer twice is one hit of its query.
        pairs = np.unique(np.stack([addresses[0][found], prefixes.astype(np.int64)], 1), axis=0)
        hits = np.concatenate([hits, pairs[:, 0]])
        entries = np.concatenate([entries, pairs[:, 1].astype(np.int32)])
        order = np.lexsort((-self._watchlist.specificity[entries].astype(np.int64), hits))
        return hits[order], entries[order]

    def _queries(
        self,
        block: Block,
        rows: Rows,
        usable: npt.NDArray[np.bool_],
        addresses: Addresses | None,
        detail: Detail | None,
        *,
        final: bool,
    ) -> pa.RecordBatch:
        hits, entries = self._hits(rows, usable, addresses)
        count = hits.size
        details = None
        if detail is not None and count:
            index, back = np.unique(hits, return_inverse=True)
            at: Any = pa.array(back)
            details = detail(index).take(at)
        if self._pairs is not None:
            # An answer with a watched address is a hit of its query, whatever the query's name.
            waiting = None
            if addresses is not None:
                waiting = np.flatnonzero(usable & (rows.response[: usable.size] == 0))
            return self._pairs.add(
                rows, usable.size, block.offset, hits, entries, details, waiting, final=final
            )
        wire_offsets = np.zeros(count + 1, np.int64)
        np.cumsum(np.diff(rows.name_offsets)[hits], out=wire_offsets[1:])
        wire = np.empty(int(wire_offsets[-1]), np.uint8)
        bits = np.zeros(count, np.int64)
        starts = np.zeros(MAX_LABELS + 2, np.int64)
        copy_names(rows.names, rows.name_offsets, hits, wire, wire_offsets, bits, starts)
        text_offsets, text = names_to_text(wire, wire_offsets)
        name = pa.LargeStringArray.from_buffers(count, _buffer(text_offsets), _buffer(text))
        transport = rows.transport[hits].astype(np.int32)
        ecs = rows.ecs.reshape(-1, 17)[hits]
        has_ecs = ecs[:, 16] != NO_ECS
        columns: dict[str, pa.Array[Any]] = {
            "time": pa.array(rows.time[hits], pa.int64()).cast(TIME),
            "offset": pa.array(rows.line[hits] + block.offset, pa.int64()),
            "response": _false(count),
            "sensor": pa.nulls(count, QUERIES.arrow.field("sensor").type),
            "vantage": _word([self._vantage], np.zeros(count, np.int32)),
            "address": _fixed(rows.address.reshape(-1, 16)[hits]),
            "ecs": _fixed(ecs, has_ecs),
            "client_port": _number(rows.client_port[hits], pa.uint16()),
            "service_port": _number(rows.service_port[hits], pa.uint16()),
            "transport": _word(TRANSPORTS, transport),
            "name": name.cast(pa.string()),
            "case_bits": pa.array(bits, pa.int64(), mask=bits == 0),
            "qtype": _number(rows.qtype[hits], pa.uint16()),
            "rcode": _number(rows.rcode[hits], pa.int16()),
            "entry": pa.array(entries, pa.int32()),
            "proof": _word(["dns_udp", "dns_tcp"], is_proven(transport).astype(np.int32)),
            "weight": pa.array(np.ones(count, np.int64)),
            "detail": pa.nulls(count, pa.string()) if details is None else details,
            "limited": _false(count),
        }
        return pa.RecordBatch.from_arrays(
            [columns[column] for column in QUERIES.names], schema=QUERIES.arrow
        )

    def _counts(
        self, times: npt.NDArray[np.int64], faults: int, malformed: int, skipped: int
    ) -> pa.RecordBatch:
        """One row per hour, and one without an hour for what has no usable time."""
        hours = times // _HOUR_US
        runs = np.flatnonzero(np.diff(hours, prepend=-1))
        hour, run_hour = np.unique(hours[runs], return_inverse=True)
        messages = np.zeros(hour.size, np.int64)
        first = np.full(hour.size, np.iinfo(np.int64).max)
        last = np.zeros(hour.size, np.int64)
        if runs.size:
            np.add.at(messages, run_hour, np.diff(runs, append=times.size))
            np.minimum.at(first, run_hour, np.minimum.reduceat(times, runs))
            np.maximum.at(last, run_hour, np.maximum.reduceat(times, runs))
        untimed = int(faults + malformed + skipped > 0)
        size = hour.size + untimed
        timeless = np.arange(size) >= hour.size

        def padded(values: npt.NDArray[np.int64], value: int) -> npt.NDArray[np.int64]:
            return np.concatenate([values, np.full(untimed, value, np.int64)])

        def time(values: npt.NDArray[np.int64]) -> pa.Array[Any]:
            return pa.array(padded(values, 0), pa.int64(), mask=timeless).cast(TIME)

        nought = np.zeros(hour.size, np.int64)
        columns: dict[str, pa.Array[Any]] = {
            "sensor": pa.nulls(size, COVERAGE_COUNTS.arrow.field("sensor").type),
            "vantage": _word([self._vantage], np.zeros(size, np.int32)),
            "hour": time(hour * _HOUR_US),
            "messages": pa.array(padded(messages, faults)),
            "matched": pa.array(np.zeros(size, np.int64)),
            "malformed": pa.array(padded(nought, malformed)),
            "skipped": pa.array(padded(nought, skipped)),
            "lost": pa.array(np.zeros(size, np.int64)),
            "first_time": time(first),
            "last_time": time(last),
            "clock_faults": pa.array(padded(nought, faults)),
        }
        return pa.RecordBatch.from_arrays(
            [columns[column] for column in COVERAGE_COUNTS.names], schema=COVERAGE_COUNTS.arrow
        )

    def _quarantine(self, block: Block, rows: Rows) -> pa.RecordBatch:
        room = QUARANTINE_LIMIT - self._quarantined
        kept = min(int(rows.counters[MALFORMED]), rows.bad_reason.size, room)
        offsets = (rows.bad_line[:kept, 0] + block.offset).tolist()
        reasons = rows.bad_reason[:kept].astype(np.int32).tolist()
        heads = [
            block.data[start : min(stop, start + HEAD_BYTES)].tobytes()
            for start, stop in rows.bad_line[:kept].tolist()
        ]
        if block.too_long is not None and kept < room:
            offsets.append(block.too_long[0])
            reasons.append(TOO_LONG)
            heads.append(block.too_long[1])
        self._quarantined += len(offsets)
        source = QUARANTINE.arrow.field("source").type
        return pa.RecordBatch.from_arrays(
            [
                pa.nulls(len(offsets), source),
                pa.array(offsets, pa.int64()),
                _word(REASONS, np.array(reasons, np.int32)),
                pa.array(heads, pa.binary()),
            ],
            schema=QUARANTINE.arrow,
        )


def _word(words: Sequence[str], index: npt.NDArray[np.int32]) -> pa.Array[Any]:
    """Return a dictionary column; a negative index is null."""
    return pa.DictionaryArray.from_arrays(
        pa.array(index, pa.int32(), mask=index < 0), pa.array(words, pa.string())
    )


def _number(values: npt.NDArray[np.int32], kind: pa.DataType) -> pa.Array[Any]:
    """Return a number column; a negative value is null."""
    missing = values < 0
    return pa.array(np.where(missing, 0, values), pa.int32(), mask=missing).cast(kind)


def _fixed(
    values: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_] | None = None
) -> pa.Array[Any]:
    """Return a column of fixed-size bytes from uint8[n, width]."""
    bitmap = None
    if valid is not None:
        bitmap = _buffer(np.packbits(valid, bitorder="little"))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(values.shape[1]), values.shape[0], [bitmap, _buffer(values)]
    )


def _buffer(values: Any) -> pa.Buffer:  # noqa: ANN401 - NumPy arrays are buffers, untyped as such
    return pa.py_buffer(values)


def _false(count: int) -> pa.Array[Any]:
    return pa.array(np.zeros(count, np.bool_))

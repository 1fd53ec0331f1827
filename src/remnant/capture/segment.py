"""Reads segments: what the sinkhole wrote of the events at it.

The sinkhole's own keeper reads them as they grow; ``remnant ingest`` reads the same files with the
same code, so that a changed watchlist can be applied to what was kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.capture import QUARANTINE_LIMIT, Batch, Stated
from remnant.capture.segment_frames import (
    ALIVE,
    END,
    HEAD,
    HEADER_BYTES,
    MAGIC,
    MAX_PAYLOAD,
    MORE,
    ROWS,
    Frame,
    events_of,
    read_frame,
)
from remnant.capture.segment_head import SegmentHead
from remnant.capture.segment_rows import VANTAGES, is_known, queries_of, vantages_of
from remnant.errors import UnknownFormat
from remnant.schema import COVERAGE_COUNTS, EVENTS, QUARANTINE, QUERIES, TIME
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from remnant.capture import ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["SegmentReader", "batch_of"]

HOUR_US: Final = 3_600_000_000
_FIRST_US: Final = 946_684_800_000_000  # 2000-01-01
_DAY_US: Final = 24 * HOUR_US
_BATCH_BYTES: Final = 16 << 20
"""Bytes of frames that become one batch."""
_QUARANTINED: Final = 64
_LOOKED_AHEAD: Final = 2 * MAX_PAYLOAD
"""Bytes without a frame after which a segment ends there."""
_TRIED: Final = 1 << 30
"""Bytes that are searched for frames behind damage, in all."""
_MANY: Final = 1 << 40
SIMULATED: Final = "simulated"
"""The note of a segment that a simulation wrote, as readers of dnstap give it."""


@dataclass(slots=True)
class _Counted:
    """Counts of one vantage and hour."""

    messages: int = 0
    malformed: int = 0
    skipped: int = 0
    lost: int = 0
    faults: int = 0
    first: int | None = None
    last: int | None = None

    def seen(self, messages: int, first: int, last: int) -> None:
        """Add messages with times."""
        self.messages += messages
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)


class SegmentReader:
    """The reader of segments."""

    name = "segment"
    title = "the sinkhole's segments"
    vantage = "sinkhole_dns"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the bytes begin with the head of a segment."""
        return head.startswith(MAGIC) and len(head) >= HEADER_BYTES and head[len(MAGIC)] == HEAD

    def states(self, stream: ByteStream) -> Stated | None:
        """Return the segment's own name, and the rules of the case that it belongs to."""
        data = stream.peek(HEADER_BYTES)
        if not self.sniff(data):
            return None
        frame = read_frame(memoryview(data), 0)
        if frame == MORE:
            size = int.from_bytes(data[12:16], "little")
            frame = read_frame(memoryview(stream.peek(HEADER_BYTES + size)), 0)
        head = None if isinstance(frame, int) else SegmentHead.of(frame.facts)
        return None if head is None else Stated(head.segment, head.rules())

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a segment, or of several laid end to end.

        Raises:
            UnknownFormat: it does not begin as a segment does.
        """
        source = _Source(watchlist, options)
        while stream.more():
            if not stream.offset and not MAGIC.startswith(stream.view[: len(MAGIC)].tobytes()):
                raise UnknownFormat(
                    "this is not a segment of the sinkhole",
                    where=stream.name,
                    expected="a file that begins with the bytes 93 52 4d 4e 53 45 47 0a",
                )
            while True:
                used, batch = source.take(stream.view, stream.offset)
                if not used:
                    break
                stream.advance(used)
                yield batch
            if source.ended:
                return


class _Source:
    """The state of one run over one stream."""

    def __init__(self, watchlist: Watchlist, options: ReadOptions) -> None:
        self._watchlist = watchlist
        self._options = options
        self._head: SegmentHead | None = None
        self._tried = 0
        self._quarantined = 0
        self.ended = False

    def take(self, view: npt.NDArray[np.uint8], offset: int) -> tuple[int, Batch]:
        """Return how many bytes were used up, and what they hold."""
        buffer: Any = np.ascontiguousarray(view)
        bytes_ = memoryview(buffer).cast("B")
        position = 0
        frames: list[Frame] = []
        bad: list[tuple[int, str, bytes]] = []
        head = self._head
        while position < len(bytes_) and position < _BATCH_BYTES:
            frame = read_frame(bytes_, position)
            if isinstance(frame, int):
                found = None if frame == MORE else self._search(bytes_, position)
                if found is None:
                    break
                bad.append((offset + position, "frame", bytes(bytes_[position:found][:64])))
                position = found
                continue
            if frame.kind == HEAD:
                if frames:
                    break
                head = SegmentHead.of(frame.facts)
                if head is None:
                    bad.append((offset + position, "head", bytes(bytes_[position:][:64])))
                self._head = head
            elif self._head is None:
                bad.append((offset + position, "no_head", bytes(bytes_[position:][:64])))
            else:
                frames.append(frame)
            position = frame.end
        batch = batch_of(
            frames, bad, offset, offset + position, self._head, self._watchlist, self._options
        )
        kept = max(0, QUARANTINE_LIMIT - self._quarantined)
        self._quarantined += len(batch.quarantine)
        if len(batch.quarantine) > kept:
            batch = _less(batch, kept)
        return position, batch

    def _search(self, view: memoryview, start: int) -> int | None:
        """Return where the next frame stands behind bytes that are none.

        What has no frame behind it is the tail that a crash or a full disk left: it stays unread.
        """
        at = start
        while self._tried < _TRIED:
            window = bytes(view[at + 1 :])
            found = window.find(MAGIC)
            if found < 0:
                break
            at += 1 + found
            frame = read_frame(view, at)
            if frame == MORE:
                break
            if not isinstance(frame, int):
                return at
            self._tried += min(len(view) - at, MAX_PAYLOAD)
        if len(view) - start > _LOOKED_AHEAD or self._tried >= _TRIED:
            self.ended = True
        return None


def batch_of(
    frames: Sequence[Frame],
    bad: Sequence[tuple[int, str, bytes]],
    offset: int,
    end: int,
    head: SegmentHead | None,
    watchlist: Watchlist,
    options: ReadOptions,
    *,
    lasting: bool = False,
) -> Batch:
    """Return what some frames of one segment hold.

    Args:
        frames: frames of events and counts, in order; their places count from ``offset``.
        bad: offset in the stream, reason and first bytes of what could not be read.
        offset: where in the stream the places of the frames begin.
        end: where in the stream the batch ends.
        head: of the segment; without one there are no frames.
        watchlist: what is watched, with ``head.rules()``.
        options: what a person says about the source.
        lasting: the frames' memory stays as it is for as long as the batch is used, which holds
            no copy of it; names and details of its queries may be dictionaries.
    """
    tally = _Tally(head, options)
    parts: list[pa.RecordBatch] = []
    places: list[npt.NDArray[np.int64]] = []
    bad = list(bad)
    for frame in frames:
        events = events_of(frame, lasting=lasting) if frame.kind == ROWS else None
        if frame.kind == ROWS and (events is None or not is_known(events)):
            head_bytes = bytes(frame.body[:_QUARANTINED])
            bad.append((offset + frame.start, "events", head_bytes))
            events = None
        if frame.kind in {ROWS, ALIVE, END}:
            tally.add(frame, events)
        if events is not None and len(events):
            parts.append(events)
            # A row takes more bytes than one, so each has a place of its own in its frame.
            places.append(offset + frame.start + np.arange(len(events)))
    queries = QUERIES.empty().to_batches()
    rows = pa.RecordBatch.from_pylist([], schema=QUERIES.arrow) if not queries else queries[0]
    if parts and head is not None:
        whole = parts[0] if len(parts) == 1 else _joined(parts)
        rows = queries_of(
            whole,
            np.concatenate(places),
            watchlist,
            head.case,
            head.sensor,
            (_FIRST_US, to_us(options.now) + _DAY_US),
            coded=lasting,
        )
        if options.vantage is not None:
            rows = _at_vantage(rows, options.vantage)
    tally.malformed(len(bad))
    counts = tally.table()
    records = sum(_total(counts, name) for name in ("messages", "malformed", "skipped"))
    return Batch(
        end=end,
        queries=rows,
        counts=counts,
        quarantine=_quarantine(bad[:QUARANTINE_LIMIT]),
        records=records,
        query_messages=sum(map(len, parts)),
        notes=(SIMULATED,) if head is not None and head.simulated else (),
        listened=tuple(tally.listened),
    )


class _Tally:
    """The counts of one batch."""

    def __init__(self, head: SegmentHead | None, options: ReadOptions) -> None:
        self._head = head
        self._vantage = options.vantage
        self._latest = to_us(options.now) + _DAY_US
        self._counts: dict[tuple[str, int | None], _Counted] = {}
        self.listened: dict[tuple[str, str, int], None] = {}

    @property
    def _first(self) -> str:
        """The vantage that takes what is of no event."""
        return self._vantage or (self._head.vantages[0] if self._head else VANTAGES[0])

    def add(self, frame: Frame, events: pa.RecordBatch | None) -> None:
        """Add one frame."""
        at = _number(frame.facts.get("at"))
        if events is not None and len(events):
            self._add_rows(events)
        numbers = frame.facts.get("counts")
        numbers = [_number(n) for n in numbers] if isinstance(numbers, list) else []
        messages, malformed, skipped, lost = (numbers + [0] * 4)[:4]
        hour = self._hour(at)
        if messages or malformed or skipped or lost:
            counted = self._at(self._first, hour)
            if messages and hour is not None:
                counted.seen(messages, at, at)
            elif messages:
                counted.messages += messages
                counted.faults += messages
            counted.malformed += malformed
            counted.skipped += skipped
            counted.lost += lost
        for hour, missed in _pairs(frame.facts.get("missed")):
            self._at(self._first, self._hour(hour)).lost += missed
        since = _number(frame.facts.get("since"))
        if self._head is not None and since and at:
            self._listen(since, at, self._head)

    def malformed(self, count: int) -> None:
        """Add records that could not be read and say no time."""
        if count:
            self._at(self._first, None).malformed += count

    def table(self) -> pa.RecordBatch:
        """Return rows of ``schema.COVERAGE_COUNTS``."""
        keys, values = list(self._counts), list(self._counts.values())
        sensor = None if self._head is None else self._head.sensor
        columns: dict[str, Any] = {
            "sensor": pa.array([sensor] * len(keys), pa.string()).dictionary_encode(),
            "vantage": pa.array([key[0] for key in keys], pa.string()).dictionary_encode(),
            "hour": pa.array([key[1] for key in keys], pa.int64()).cast(TIME),
            "messages": pa.array([v.messages for v in values], pa.int64()),
            "matched": pa.array([0] * len(keys), pa.int64()),
            "malformed": pa.array([v.malformed for v in values], pa.int64()),
            "skipped": pa.array([v.skipped for v in values], pa.int64()),
            "lost": pa.array([v.lost for v in values], pa.int64()),
            "first_time": pa.array([v.first for v in values], pa.int64()).cast(TIME),
            "last_time": pa.array([v.last for v in values], pa.int64()).cast(TIME),
            "clock_faults": pa.array([v.faults for v in values], pa.int64()),
        }
        return pa.RecordBatch.from_arrays(
            [columns[name] for name in COVERAGE_COUNTS.names], schema=COVERAGE_COUNTS.arrow
        )

    def _add_rows(self, events: pa.RecordBatch) -> None:
        time = events["time"].cast(pa.int64()).to_numpy()
        where = vantages_of(events).astype(np.int64)
        first, last = int(time.min()), int(time.max())
        hour = self._hour(first)
        if hour is not None and hour == self._hour(last) and (where == where[0]).all():
            counted = self._at(self._vantage or VANTAGES[where[0]], hour)
            counted.seen(time.size, first, last)
            return
        usable = (time >= _FIRST_US) & (time < self._latest)
        group = np.where(usable, time // HOUR_US, -1) * len(VANTAGES) + where
        groups, index = np.unique(group, return_inverse=True)
        for number, key in enumerate(groups.tolist()):
            hour, vantage = divmod(key, len(VANTAGES))
            mine = time[index == number]
            word = self._vantage or VANTAGES[vantage]
            if hour < 0:
                counted = self._at(word, None)
                counted.messages += mine.size
                counted.faults += mine.size
            else:
                counted = self._at(word, hour * HOUR_US)
                counted.seen(mine.size, int(mine.min()), int(mine.max()))

    def _listen(self, since: int, until: int, head: SegmentHead) -> None:
        """Note the hours that are over and in which the sensor listened all the time.

        A frame states the last one only: earlier ones were stated by the frames of their time.
        """
        hour = until // HOUR_US * HOUR_US - HOUR_US
        if since <= hour and _FIRST_US <= hour < self._latest:
            for vantage in head.vantages:
                self.listened[head.sensor, self._vantage or vantage, hour] = None

    def _hour(self, at: int) -> int | None:
        return at // HOUR_US * HOUR_US if _FIRST_US <= at < self._latest else None

    def _at(self, vantage: str, hour: int | None) -> _Counted:
        return self._counts.setdefault((vantage, hour), _Counted())


def _number(value: object) -> int:
    """Return a whole number of a frame's facts, 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value < 1 << 62 else 0


def _pairs(value: object) -> Iterator[tuple[int, int]]:
    for pair in value[:10_000] if isinstance(value, list) else ():
        if isinstance(pair, list) and len(pair) == 2:
            yield _number(pair[0]), _number(pair[1]) % _MANY


def _total(counts: pa.RecordBatch, name: str) -> int:
    return int(counts[name].to_numpy().sum())


def _joined(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(parts, EVENTS.arrow).combine_chunks()
    (whole,) = table.to_batches()
    return whole


def _at_vantage(rows: pa.RecordBatch, vantage: str) -> pa.RecordBatch:
    words = pa.DictionaryArray.from_arrays(np.zeros(len(rows), np.int32), pa.array([vantage]))
    return rows.set_column(
        rows.schema.get_field_index("vantage"), QUERIES.arrow.field("vantage"), words
    )


def _quarantine(bad: Sequence[tuple[int, str, bytes]]) -> pa.RecordBatch:
    columns: list[Any] = [
        pa.nulls(len(bad), QUARANTINE.arrow.field("source").type),
        pa.array([at for at, _, _ in bad], pa.int64()),
        pa.array([reason for _, reason, _ in bad], pa.string()).dictionary_encode(),
        pa.array([head[:_QUARANTINED] for _, _, head in bad], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=QUARANTINE.arrow)


def _less(batch: Batch, kept: int) -> Batch:
    from dataclasses import replace  # noqa: PLC0415 - hardly ever

    return replace(batch, quarantine=batch.quarantine.slice(0, kept))

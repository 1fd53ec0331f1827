"""Events become frames of segments: what a listener hands over is on disk a second later.

Nothing here stops the listener. What cannot be written is counted as lost, the count is written as
soon as writing works again, and whoever supervises sees an alarm meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.capture.segment_frames import ALIVE, ROWS
from remnant.capture.segment_head import SegmentHead
from remnant.sinkhole.clock import clock_facts, now_us
from remnant.sinkhole.events import Counts
from remnant.sinkhole.segment import SegmentWriter, new_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from remnant.sinkhole.zones import Zone

__all__ = ["CaseFacts", "Recorder", "RecorderState", "facts_of"]

_LOG: Final = logging.getLogger("remnant.sinkhole")

_FRAME_BYTES: Final = 8 << 20
"""Events of one frame; more of them become several frames."""
_SYNC_S: Final = 1.0
_IDLE_S: Final = 5.0
"""Seconds after which a case that nobody asked for gets a frame that says so."""
_SILENCE_US: Final = 30_000_000
"""Microseconds without a word from the listener after which it was not listening."""
_RETRY_S: Final = 1.0
_LONG_HEAD: Final = 64 << 10
"""Bytes of a head from which on segments grow older."""
_SAID_S: Final = 60.0
"""Seconds in which the log says once that nothing can be written."""
_HOUR_US: Final = 3_600_000_000
_MAX_HOURS: Final = 10_000


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What the head of a segment says of its case.

    Attributes:
        watchlist: digest of the case's rules.
        ttls: times to live of the answers, in seconds.
        zones: the seized zones, folded.
    """

    watchlist: str
    ttls: tuple[int, ...] = ()
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecorderState:
    """How writing goes, for whoever supervises.

    Attributes:
        alarm: why nothing is written now; ``None``: all is well.
        alarm_since: since when (UTC microseconds).
        rows: rows kept since the start; one of two cases counts twice.
        lost: rows that could not be kept since the start.
        bytes: bytes written since the start.
        synced: of the rows, those that are known to be on disk.
    """

    alarm: str | None = None
    alarm_since: int | None = None
    rows: int = 0
    lost: int = 0
    bytes: int = 0
    synced: int = 0


def facts_of(zones: Sequence[Zone], digests: Mapping[str, str]) -> dict[str, CaseFacts]:
    """Return what the segments of each case say of it.

    Args:
        zones: what the sinkhole serves.
        digests: the watchlist's digest of each case.
    """
    names: dict[str, list[str]] = {case: [] for case in digests}
    ttls: dict[str, set[int]] = {case: set() for case in digests}
    for zone in zones:
        for case in zone.cases:
            names[case].append(zone.name)
            ttls[case].update(zone.answering.ttls)
    return {
        case: CaseFacts(digest, tuple(sorted(ttls[case])), tuple(names[case]))
        for case, digest in digests.items()
    }


class Recorder:
    """Writes the events of one listener process, each to the segments of the cases that own it.

    Args:
        folder: where the segments lie, a folder for each case.
        sensor: the sensor's name.
        cases: every case, and what its segments say of it.
        memberships: sets of cases: the owners of an event are one of them, by its index.
        worker: names the process among those of the sensor (letters, digits, hyphens).
        vantages: where the process listens; what is no event counts at the first of them.
        max_bytes: length at which a segment ends.
        max_seconds: age at which it ends; later, in proportion, where its head is very long.
        clock: tells UTC microseconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sensor: str,
        cases: Mapping[str, CaseFacts],
        memberships: Sequence[tuple[str, ...]],
        worker: str,
        vantages: Sequence[str] = ("sinkhole_dns",),
        max_bytes: int = 64 << 20,
        max_seconds: float = 600.0,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._synced_at = time.monotonic()
        self._synced = 0
        self._make: Callable[[str, CaseFacts], _CaseLog] = lambda case, facts: _CaseLog(
            folder / case,
            lambda: SegmentHead(
                segment=new_segment(),
                case=case,
                sensor=sensor,
                worker=worker,
                vantages=tuple(vantages),
                watchlist=facts.watchlist,
                ttls=facts.ttls,
                zones=facts.zones,
                created=clock(),
                clock=clock_facts(),
            ),
            max_bytes,
            max_seconds,
        )
        self._logs: dict[str, _CaseLog] = {}
        self._gone = RecorderState()
        self._set(cases, memberships)

    def add(self, events: pa.RecordBatch, owners: npt.NDArray[np.int32], counts: Counts) -> None:
        """Keep some events, and what was counted since the last call; also where there are none.

        Args:
            events: n rows of ``schema.EVENTS``.
            owners: int32[n]: the cases of each row, as an index into the memberships.
            counts: messages, malformed and skipped are apart from each other; the rows are among
                the messages.
        """
        with self._lock:
            now = self._clock()
            given = dict(self._divided(events, owners)) if len(events) else {}
            for case, log in self._logs.items():
                log.add(given.get(case), counts, now)
            if time.monotonic() - self._synced_at >= _SYNC_S:
                self._sync()

    def reload(
        self, *, cases: Mapping[str, CaseFacts], memberships: Sequence[tuple[str, ...]]
    ) -> None:
        """Go on with other cases, or with the same whose watchlist changed: in new segments."""
        with self._lock:
            self._set(cases, memberships)

    def sync(self) -> None:
        """Wait until all rows are on disk."""
        with self._lock:
            self._sync()

    def close(self) -> None:
        """End the segments."""
        with self._lock:
            for log in self._logs.values():
                log.end(self._clock())
            self._synced = self._rows()

    @property
    def state(self) -> RecorderState:
        """How writing goes."""
        with self._lock:
            logs = list(self._logs.values())
            failed = [log for log in logs if log.alarm is not None]
            return RecorderState(
                alarm=failed[0].alarm if failed else None,
                alarm_since=min((log.alarm_since for log in failed), default=None),
                rows=self._rows(),
                lost=self._gone.lost + sum(log.lost for log in logs),
                bytes=self._gone.bytes + sum(log.bytes for log in logs),
                synced=self._synced,
            )

    def _rows(self) -> int:
        return self._gone.rows + sum(log.rows for log in self._logs.values())

    def _sync(self) -> None:
        self._synced_at = time.monotonic()
        done = [log.sync(self._clock()) for log in self._logs.values()]
        if all(done):
            self._synced = self._rows()

    def _set(self, cases: Mapping[str, CaseFacts], memberships: Sequence[tuple[str, ...]]) -> None:
        unknown = {case for owners in memberships for case in owners} - set(cases)
        if unknown:
            raise ValueError(f"memberships name cases that are not there: {sorted(unknown)}")
        before = self._logs
        self._logs = {case: self._make(case, facts) for case, facts in cases.items()}
        for case, log in before.items():
            log.end(self._clock())
            if case in self._logs:
                self._logs[case].follow(log)
            self._gone = RecorderState(
                rows=self._gone.rows + log.rows,
                lost=self._gone.lost + log.lost,
                bytes=self._gone.bytes + log.bytes,
            )
        self._memberships = tuple(memberships)
        self._owns = {
            case: np.array([case in owners for owners in memberships], np.bool_) for case in cases
        }

    def _divided(
        self, events: pa.RecordBatch, owners: npt.NDArray[np.int32]
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield the rows of each case that has any."""
        only = self._memberships[0] if len(self._memberships) == 1 else None
        if only is None and (owners == owners[0]).all():
            only = self._memberships[owners[0]]
        if only is not None:
            yield from ((case, events) for case in only)
            return
        for case, owns in self._owns.items():
            mine = owns[owners]
            if mine.all():
                yield case, events
            elif mine.any():
                yield case, events.filter(pa.array(mine))


class _CaseLog:
    """The segments of one case, one after the other.

    Attributes:
        alarm: why nothing can be written.
        alarm_since: since when (UTC microseconds).
        rows: rows written.
        lost: rows that were not.
        bytes: bytes written.
    """

    def __init__(
        self, folder: Path, head: Callable[[], SegmentHead], max_bytes: int, max_seconds: float
    ) -> None:
        self._folder = folder
        self._head = head
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._writer: SegmentWriter | None = None
        self._opened = 0.0
        self._longest = max_seconds
        self._tried = self._said = -_SAID_S
        self._written_at = -_IDLE_S
        self._waiting = Counts()
        self._missed: dict[int, int] = {}
        self._since: int | None = None
        self._heard = 0
        self.alarm: str | None = None
        self.alarm_since = 0
        self.rows = self.lost = self.bytes = 0

    def follow(self, other: _CaseLog) -> None:
        """Take over what another log of the case has not written yet: the listener went on."""
        self._waiting = other._waiting
        self._missed = other._missed
        self._since, self._heard = other._since, other._heard

    def add(self, events: pa.RecordBatch | None, counts: Counts, now: int) -> None:
        """Write events and counts, or keep the counts for later."""
        if self._since is None or not 0 <= now - self._heard <= _SILENCE_US:
            self._since = now
        self._heard = now
        rows = 0 if events is None else len(events)
        # What is a row counts by its own time; the others count at the time of their frame.
        self._waiting.messages += max(0, counts.messages - rows)
        self._waiting.malformed += counts.malformed
        self._waiting.skipped += counts.skipped
        self._waiting.lost += counts.lost
        at = time.monotonic()
        if events is None and at - self._written_at < _IDLE_S and self.alarm is None:
            return
        if self._writer is None and at - self._tried < _RETRY_S and self.alarm is not None:
            self._lose(rows, now)
            return
        written = 0
        try:
            self._rotate(at, now)
            for part in [None] if events is None else _parts(events):
                self._write(part, now)
                written += 0 if part is None else len(part)
        except OSError as error:
            self._fail(error, now)
            self._lose(rows - written, now)
        else:
            self._recover()
            self._written_at = at

    def sync(self, now: int) -> bool:
        """Wait until what was written is on disk; return whether it is."""
        if self._writer is None:
            return self.alarm is None
        try:
            self._writer.sync()
        except OSError as error:
            self._fail(error, now)
            return False
        return True

    def end(self, now: int) -> None:
        """Write what waits, and end the segment."""
        waits = self._waiting
        idle = not (waits.messages or waits.malformed or waits.skipped or waits.lost)
        if self._writer is None and (self._since is None or (idle and not self._missed)):
            return
        try:
            if self._writer is None:
                self._open(time.monotonic())
            if self._writer is not None:
                self._write(None, now)
                self._end(now)
        except OSError as error:
            self._fail(error, now)

    def _rotate(self, at: float, now: int) -> None:
        if self._writer is not None and (
            self._writer.bytes >= self._max_bytes or at - self._opened >= self._longest
        ):
            self._end(now)
        if self._writer is None:
            self._open(at)

    def _open(self, at: float) -> None:
        self._tried = at
        self._writer = SegmentWriter(self._folder, self._head())
        self.bytes += self._writer.bytes
        self._opened = at
        # A head that lists tens of thousands of zones is not written again every few minutes.
        self._longest = self._max_seconds * max(1.0, self._writer.bytes / _LONG_HEAD)

    def _end(self, now: int) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            before = writer.bytes
            writer.end({"at": now, "since": self._since, "clock": clock_facts()})
            self.bytes += writer.bytes - before

    def _write(self, events: pa.RecordBatch | None, now: int) -> None:
        assert self._writer is not None
        waits = self._waiting
        facts: dict[str, Any] = {
            "at": now,
            "since": self._since,
            "counts": [waits.messages, waits.malformed, waits.skipped, waits.lost],
        }
        if self._missed:
            facts["missed"] = sorted(self._missed.items())
        before = self._writer.bytes
        if events is None:
            self._writer.write(ALIVE, facts)
        else:
            facts["rows"] = len(events)
            self._writer.write(ROWS, facts, events.serialize())
            self.rows += len(events)
        self.bytes += self._writer.bytes - before
        self._waiting = Counts()
        self._missed = {}

    def _lose(self, rows: int, now: int) -> None:
        if rows:
            self.lost += rows
            hour = now // _HOUR_US * _HOUR_US
            if hour in self._missed or len(self._missed) < _MAX_HOURS:
                self._missed[hour] = self._missed.get(hour, 0) + rows

    def _fail(self, error: OSError, now: int) -> None:
        """Let go of the segment: whoever reads sees where it ends."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(OSError):
                writer.close()
        self._since = None
        if self.alarm is None:
            self.alarm_since = now
        self.alarm = f"{self._folder}: {error.strerror or error}"
        at = time.monotonic()
        self._tried = at
        if at - self._said >= _SAID_S:
            self._said = at
            _LOG.error("sinkhole events are not kept: %s", self.alarm)

    def _recover(self) -> None:
        if self.alarm is not None:
            _LOG.warning("sinkhole events are kept again: %s, %d lost", self._folder, self.lost)
            self.alarm = None


def _parts(events: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield slices of a bounded size."""
    if events.nbytes <= _FRAME_BYTES or len(events) == 1:
        yield events
    else:
        middle = len(events) // 2
        yield from _parts(events.slice(0, middle))
        yield from _parts(events.slice(middle))

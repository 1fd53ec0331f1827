"""Follows one segment while it grows: which of its frames are not committed yet."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xxhash

from remnant.capture.segment_frames import (
    END,
    HEAD,
    HEADER_BYTES,
    MAX_PAYLOAD,
    MORE,
    ROWS,
    Frame,
    read_frame,
)
from remnant.capture.segment_head import SegmentHead
from remnant.collate.plan import source_id
from remnant.store.records import HEAD_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.store import SourceRecord
    from remnant.watchlist import Watchlist

__all__ = ["Followed", "Pending", "is_unlocked"]

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Pending:
    """Frames that are not committed yet.

    Attributes:
        start: where in the segment they begin.
        frames: those of events and counts; their places count from ``start``.
        data: all their bytes, the head's among them.
        rows: whether there are events among them.
        ended: the last of them is the segment's end.
        rest: whether more bytes follow that may be frames.
    """

    start: int
    frames: list[Frame]
    data: memoryview
    rows: bool
    ended: bool
    rest: bool

    @property
    def end(self) -> int:
        """Where in the segment they end."""
        return self.start + len(self.data)


class Followed:
    """One segment.

    Args:
        path: the file.
        case: the case in whose folder it lies.
        head: what its first frame says.

    Attributes:
        id: ledger id.
        position: how many of its bytes are committed.
        record: the ledger's row; ``None`` if there is none.
        watchlist: what its events are matched against; ``None``: not chosen yet.
        known: whether the ledger was asked.
        anew: the rows that are there go with the next commit: it is read anew.
        ended: its last frame is committed.
        broken: why it is left alone.
        begun: the manifest has its beginning.
        sealing: it is being compressed.
        seal_after: when to try that again (monotonic clock).
    """

    def __init__(self, path: Path, case: str, head: SegmentHead) -> None:
        self.path = path
        self.case = case
        self.head = head
        self.id = source_id(head.segment, case)
        self.position = 0
        self.record: SourceRecord | None = None
        self.watchlist: Watchlist | None = None
        self.known = False
        self.anew = False
        self.ended = False
        self.broken: str | None = None
        self.begun = False
        self.sealing = False
        self.seal_after = 0.0
        self._hash = xxhash.xxh3_128()
        self._first = b""

    @classmethod
    def of(cls, path: Path, case: str) -> Followed | None:
        """Return the segment in a file, or ``None`` if it does not begin as one of the case."""
        data = _read(path, 0, HEAD_BYTES)
        frame = read_frame(data, 0)
        if frame == MORE:
            data = _read(path, 0, HEADER_BYTES + MAX_PAYLOAD)
            frame = read_frame(data, 0)
        if isinstance(frame, int) or frame.kind != HEAD:
            return None
        head = SegmentHead.of(frame.facts)
        return cls(path, case, head) if head is not None and head.case == case else None

    def pending(self, limit: int) -> Pending:
        """Return what is complete and not committed, of some ``limit`` bytes.

        Raises:
            OSError: the file cannot be read.
        """
        data = _read(self.path, self.position, limit)
        found = self._frames(data)
        if not found[1] and len(data) == limit < HEADER_BYTES + MAX_PAYLOAD:
            data = _read(self.path, self.position, HEADER_BYTES + MAX_PAYLOAD)
            found = self._frames(data)
        at, frames, ended = found
        rest = len(data) >= limit and not ended
        rows = any(frame.kind == ROWS for frame in frames)
        return Pending(self.position, frames, data[:at], rows, ended, rest)

    def _frames(self, data: memoryview) -> tuple[int, list[Frame], bool]:
        frames: list[Frame] = []
        at = 0
        while at < len(data):
            frame = read_frame(data, at)
            if isinstance(frame, int):
                break
            if frame.kind == HEAD:
                if self.position or at:
                    break
            else:
                frames.append(frame)
            at = frame.end
            if frame.kind == END:
                return at, frames, True
        return at, frames, False

    def digest_with(self, pending: Pending) -> xxhash.xxh3_128:
        """Return the digest of all bytes up to the end of what is pending."""
        digest = self._hash.copy()
        digest.update(pending.data)
        return digest

    def first_with(self, pending: Pending) -> bytes:
        """Return the first bytes of the segment, HEAD_BYTES of them if there are as many."""
        missing = HEAD_BYTES - len(self._first)
        return self._first + bytes(pending.data[:missing]) if missing > 0 else self._first

    def advance(self, pending: Pending, digest: xxhash.xxh3_128, record: SourceRecord) -> None:
        """Note that what was pending is committed."""
        self._first = self.first_with(pending)
        self._hash = digest
        self.position = pending.end
        self.record = record
        self.anew = False
        self.ended = pending.ended

    def restart(self) -> None:
        """Read it anew from the first byte."""
        self.position = 0
        self.ended = False
        self._hash = xxhash.xxh3_128()
        self._first = b""

    def go_on_from(self, record: SourceRecord | None) -> None:
        """Go on where the ledger says that it was committed to.

        Raises:
            OSError: the file cannot be read.
        """
        self.restart()
        self.known = True
        self.record = record
        if record is None:
            return
        digest = xxhash.xxh3_128()
        with self.path.open("rb") as file:
            left = record.bytes
            while left:
                data = file.read(min(_CHUNK, left))
                if not data:
                    break
                if len(self._first) < HEAD_BYTES:
                    self._first = (self._first + data)[:HEAD_BYTES]
                digest.update(data)
                left -= len(data)
        if left or digest.hexdigest() != record.digest:
            self.broken = "its bytes are not those that were committed"
            return
        self._hash = digest
        self.position = record.bytes
        last = self.pending(1)
        self.ended = not last.frames and self._is_over()

    def _is_over(self) -> bool:
        """Return whether what is committed ends with the segment's last frame."""
        data = _read(self.path, 0, self.position)
        at = 0
        kind = HEAD
        while at < len(data):
            frame = read_frame(data, at)
            if isinstance(frame, int):
                return False
            at, kind = frame.end, frame.kind
        return kind == END

    def is_to_seal(self, now: float) -> bool:
        """Return whether it is complete, committed, and not being compressed."""
        done = self.ended and self.begun and not self.broken
        return done and not self.sealing and now >= self.seal_after

    def is_abandoned(self) -> bool:
        """Return whether its writer is gone: nothing more will come."""
        return is_unlocked(self.path)


def is_unlocked(path: Path) -> bool:
    """Return whether a file is there and nobody writes to it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True


def _read(path: Path, start: int, count: int) -> memoryview:
    """Return bytes of a file, in memory that may be written to."""
    with path.open("rb", buffering=0) as file:
        count = max(0, min(count, os.fstat(file.fileno()).st_size - start))
        file.seek(start)
        memory: Any = np.empty(count, np.uint8)
        data = memoryview(memory)
        done = 0
        while done < count:
            more = file.readinto(data[done:])
            if not more:
                break
            done += more
    return data[:done]

"""Writes one segment: a file of frames that a crash can only cut short.

A segment has its name once its head is in it, and is locked (``flock``) as long as its writer is
there. So whoever reads can tell a segment that grows from one whose writer ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from remnant.capture.segment_frames import END, HEAD, encode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from remnant.capture.segment_head import SegmentHead

__all__ = ["NAME", "SEALED", "SUFFIX", "SegmentWriter", "file_name", "new_segment"]

SUFFIX: Final = ".rseg"
SEALED: Final = ".rseg.zst"
"""What the names of segments end with while they are written, and once they are compressed."""

NAME: Final = re.compile(r"(\d{8}T\d{6}Z)-([a-z0-9-]{1,32})-([0-9a-f]{16})\.rseg(?:\.zst)?")
"""When it began, the worker, its own name."""


def new_segment() -> str:
    """Return a name that no segment has."""
    return secrets.token_hex(8)


def file_name(head: SegmentHead) -> str:
    """Return the name of the file of a segment that is being written."""
    began = datetime.fromtimestamp(head.created // 1_000_000, UTC)
    return f"{began:%Y%m%dT%H%M%SZ}-{head.worker}-{head.segment}{SUFFIX}"


class SegmentWriter:
    """An open segment.

    Args:
        folder: of the case; made if it is missing.
        head: what the first frame says.

    Attributes:
        path: the file.
        bytes: how long it is.
        dirty: there are bytes that may not be on disk yet.

    Raises:
        OSError: it cannot be made; nothing is left behind.
    """

    def __init__(self, folder: Path, head: SegmentHead) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder / file_name(head)
        self.bytes = 0
        self.dirty = True
        self._sequence = 0
        draft = folder / f".{self.path.name}.new"
        self._file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.write(HEAD, head.to_json())
            self.sync()
            draft.rename(self.path)
            _sync_folder(folder)
        except OSError:
            os.close(self._file)
            for path in (draft, self.path):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            raise

    def write(self, kind: int, facts: Mapping[str, object], body: pa.Buffer | None = None) -> None:
        """Append a frame.

        Raises:
            OSError: it cannot be written; the segment ends with the frame before.
        """
        left = [memoryview(part) for part in encode(kind, self._sequence, facts, body)]
        size = sum(map(len, left))
        try:
            while left:
                done = os.writev(self._file, left)
                while left and done >= len(left[0]):
                    done -= len(left.pop(0))
                if done:
                    left[0] = left[0][done:]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self.bytes)
                os.lseek(self._file, self.bytes, os.SEEK_SET)
            raise
        self._sequence += 1
        self.bytes += size
        self.dirty = True

    def sync(self) -> None:
        """Wait until everything is on disk.

        Raises:
            OSError: it is not.
        """
        if self.dirty:
            os.fdatasync(self._file)
            self.dirty = False

    def end(self, facts: Mapping[str, object]) -> None:
        """Append the last frame and close the file.

        Raises:
            OSError: the last frame is not there; the file is closed all the same.
        """
        try:
            self.write(END, facts)
            self.sync()
        finally:
            self.close()

    def close(self) -> None:
        """Close the file as it is: whoever reads sees that its writer ended."""
        os.close(self._file)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

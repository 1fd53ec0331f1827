"""One writer at a time, told apart by the operating system.

The lock is ``flock``: it goes away with the process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from remnant.errors import StoreBusy

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["WriterLock"]


class WriterLock:
    """Held from construction until ``release``.

    Raises:
        StoreBusy: another process holds it; the message says which.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StoreBusy(
                "another process is writing to the store",
                where=str(path),
                got=f"process {holder}" if holder else None,
                hint="wait until it is done; reading goes on meanwhile",
            ) from None
        try:
            os.truncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError:  # a full disk; the lock must not stay behind
            os.close(self._file)
            raise

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._file)

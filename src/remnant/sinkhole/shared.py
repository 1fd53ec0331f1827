"""Numbers that a process of the sinkhole counts and its supervisor reads, in shared memory.

Each process has one row of 64-bit numbers of its own, so that nobody waits for anybody. A number
that only grows may be read at any moment; who reads it sees the old or the new one.
"""

from __future__ import annotations

import mmap
import os
import time
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.sinkhole.recorder import RecorderState

__all__ = ["COUNTERS", "GAUGES", "SLOTS", "Numbers"]

COUNTERS: Final = (
    "messages",
    "answered",
    "observed",
    "unlisted",
    "limited",
    "malformed",
    "not_queries",
    "foreign",
    "silent",
    "unsent",
    "bytes_in",
    "bytes_out",
    "batches",
    "cookies",
    "dropped",
    "unkept",
    "lost",
    "rows",
    "stored_bytes",
    "tcp_messages",
    "connections",
    "refused",
    "timed_out",
    "http",
    "tls",
    "raw",
    "tls_failed",
    "stream_bytes",
    "commits",
    "committed_rows",
)
"""What only grows. The first of them stand where ``fastpath`` counts."""

GAUGES: Final = ("alive", "alarm", "open_connections", "synced", "busy")
"""What goes up and down: when the process last said that it is well (UTC microseconds), whether it
cannot write, its open connections, its rows on disk, whether the store was taken."""

SLOTS: Final = {name: place for place, name in enumerate((*COUNTERS, *GAUGES))}
_BYTES: Final = 8 * 64


class Numbers:
    """The numbers of one process.

    Args:
        handle: file descriptor of the memory; ``None`` makes new memory.

    Attributes:
        handle: to be inherited by the process that counts.
        values: int64[64].
    """

    def __init__(self, handle: int | None = None) -> None:
        if handle is None:
            handle = os.memfd_create("remnant-numbers")
            os.ftruncate(handle, _BYTES)
        self.handle = handle
        self._memory = mmap.mmap(handle, _BYTES)
        self.values: npt.NDArray[np.int64] = np.frombuffer(self._memory, np.int64)

    def __getitem__(self, name: str) -> int:
        return int(self.values[SLOTS[name]])

    def __setitem__(self, name: str, value: int) -> None:
        self.values[SLOTS[name]] = value

    def kept(self, state: RecorderState) -> None:
        """Note what a recorder has kept, and that this process is alive."""
        self["rows"] = state.rows
        self["lost"] = state.lost
        self["stored_bytes"] = state.bytes
        self["synced"] = state.synced
        self["alarm"] = int(state.alarm is not None)
        self["alive"] = time.time_ns() // 1000

    def close(self) -> None:
        """Give the descriptor back; the memory goes with the last user of ``values``."""
        os.close(self.handle)

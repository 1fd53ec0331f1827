"""Stretches of a stream of frames are divided among threads where they can be.

The result does not depend on how many there are: a part that did not end where the next one began
(room ran out, or damage was met) makes all work after it void, and it is read again from there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    import numpy.typing as npt

    from remnant.capture.workers import Worker
    from remnant.wire import Bytes

__all__ = ["Parallel"]

_PART_BYTES: Final = 1 << 18
"""Bytes that are worth a thread."""


class Parallel:
    """Runs a kernel over what a stream holds, in parallel where that can be divided.

    Args:
        team: one worker for each thread.
        run: (worker's index, first, limit, final): reads the frames that begin in a range of the
            view; returns where the first unread byte is, and whether to go on because room ran
            out.
        cut: (view, parts): divides whole frames into parts (int64[n + 1], filled); returns where
            the last one ends.
        lost: place in ``Context.state`` that is not 0 while the next frame is looked for.
    """

    def __init__(
        self,
        team: Sequence[Worker],
        *,
        run: Callable[[int, int, int, bool], tuple[int, bool]],
        cut: Callable[[Bytes, npt.NDArray[np.int64]], int],
        lost: int,
    ) -> None:
        self._team = list(team)
        self._run = run
        self._cut = cut
        self._lost = lost
        self._pool = ThreadPoolExecutor(len(self._team))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()

    def next(
        self, view: Bytes, *, final: bool, whole: bool = False
    ) -> tuple[list[Worker], int, bool]:
        """Read on; return the workers whose parts were read, the bytes used, whether to go on.

        Args:
            view: the unread bytes.
            final: whether no more will follow.
            whole: they cannot be divided.
        """
        wanted = min(len(self._team), view.size // _PART_BYTES)
        if wanted > 1 and not whole and not self._team[0].context.state[self._lost]:
            parts = np.zeros(wanted + 1, np.int64)
            if self._cut(view, parts) >= _PART_BYTES:
                return self._divided(parts)
        used, again = self._run(0, 0, view.size, final)
        return self._team[:1], used, again

    def _divided(self, parts: npt.NDArray[np.int64]) -> tuple[list[Worker], int, bool]:
        bounds = parts.tolist()
        jobs = [
            self._pool.submit(self._run, i, bounds[i], bounds[i + 1], False)
            for i in range(len(bounds) - 1)
        ]
        ends = [job.result() for job in jobs]
        done = 0
        for i, (end, again) in enumerate(ends):
            done = i + 1
            lost = self._team[i].context.state[self._lost]
            if again or end != bounds[i + 1] or lost:
                # What comes after is read again from here.
                break
        last = self._team[done - 1].context.state
        self._team[0].context.state[self._lost] = last[self._lost]
        for worker in self._team[1:]:
            worker.context.state[self._lost] = 0
        return self._team[:done], ends[done - 1][0], True

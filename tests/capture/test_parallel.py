"""A stretch of a stream is divided among threads, and what cannot be trusted is read again."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from remnant.capture import ReadOptions
from remnant.capture.messages import FIRST_OWN
from remnant.capture.parallel import Parallel
from remnant.capture.workers import Worker, new_worker
from remnant.watchlist import Watchlist

SIZE = 1 << 20
NOBODY = Watchlist.compile([])
OPTIONS = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC), answers="none")
VIEW = np.zeros(SIZE, np.uint8)
Run = tuple[int, int, int, bool]


def cut(view: npt.NDArray[np.uint8], parts: npt.NDArray[np.int64]) -> int:
    parts[:] = np.linspace(0, view.size - 8, parts.size).astype(np.int64)
    return int(parts[-1])


class Frames:
    """A kernel that ends its parts as it is told, and notes what it was asked for."""

    def __init__(self, ends: dict[int, tuple[int, bool]], lost: tuple[int, ...] = ()) -> None:
        self.team: list[Worker] = [new_worker(NOBODY, OPTIONS) for _ in range(4)]
        self.runs: list[Run] = []
        self._ends = ends
        self._lost = lost

    def run(self, index: int, first: int, limit: int, final: bool) -> tuple[int, bool]:
        self.runs.append((index, first, limit, final))
        if index in self._lost:
            self.team[index].context.state[FIRST_OWN] = 1
        return self._ends.get(index, (limit, False))

    def next(
        self, view: npt.NDArray[np.uint8] = VIEW, *, whole: bool = False
    ) -> tuple[list[int], int, bool]:
        with Parallel(self.team, run=self.run, cut=cut, lost=FIRST_OWN) as parallel:
            workers, used, again = parallel.next(view, final=False, whole=whole)
        return [next(i for i, w in enumerate(self.team) if w is x) for x in workers], used, again


def test_a_large_stretch_is_divided() -> None:
    frames = Frames({})

    assert frames.next() == ([0, 1, 2, 3], SIZE - 8, True)
    spans = sorted(run[1:3] for run in frames.runs)
    assert [a for a, _ in spans[1:]] == [b for _, b in spans[:-1]]
    assert {run[3] for run in frames.runs} == {False}


def test_a_small_stretch_is_not() -> None:
    frames = Frames({})

    assert frames.next(VIEW[: (1 << 18) + 100]) == ([0], (1 << 18) + 100, False)
    assert frames.next(whole=True) == ([0], SIZE, False)
    assert [run[0] for run in frames.runs] == [0, 0]


def test_work_after_a_part_without_room_is_void() -> None:
    assert Frames({1: (300_000, True)}).next() == ([0, 1], 300_000, True)


def test_work_after_a_part_that_ended_elsewhere_is_void() -> None:
    assert Frames({0: (5, False), 2: (9, False)}).next() == ([0], 5, True)


def test_damage_is_carried_on_by_the_first_worker() -> None:
    frames = Frames({}, lost=(1, 3))

    workers, used, again = frames.next()
    assert (workers, again) == ([0, 1], True)
    assert used == sorted(run[2] for run in frames.runs)[1]
    assert [int(worker.context.state[FIRST_OWN]) for worker in frames.team] == [1, 0, 0, 0]
    # Whoever looks for a frame looks alone.
    frames.runs.clear()
    assert frames.next()[0] == [0]
    assert [run[0] for run in frames.runs] == [0]

"""Who stands beside whom on a map: the edges from both ends, sorted, as compressed sparse rows.

The order of the edges makes no difference, not even in the last bit: neighbours are sorted, and the
values of parallel edges (float32) are added up in float64, which is exact for values of like size.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from remnant.wire import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]
    Singles: TypeAlias = npt.NDArray[np.float32]
    Rows: TypeAlias = npt.NDArray[np.int64]
    Numbers: TypeAlias = npt.NDArray[np.int32]

__all__ = ["Neighbours", "in_parts", "kin_counted_once", "steps_from"]

_PART: Final = 1 << 16
"""Entries below which a second thread costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """An undirected graph, each edge from both of its ends.

    The neighbours of node i are ``others[starts[i]:starts[i + 1]]``, ascending, without itself.

    Attributes:
        starts: where the neighbours of each node start: int64[nodes + 1].
        others: the neighbours: int32[entries].
        values: what their edges carry, parallel ones added up: float32[entries].
        backward: where the same edge stands from its other end: int32[entries].
    """

    starts: Rows
    others: Numbers
    values: Singles
    backward: Numbers

    @classmethod
    def of(
        cls,
        nodes: int,
        tails: npt.NDArray[np.integer[Any]],
        heads: npt.NDArray[np.integer[Any]],
        values: npt.NDArray[np.floating[Any]],
    ) -> Neighbours:
        """Sort the edges. Those of no value, and from a node to itself, are left out.

        Args:
            nodes: how many nodes there are.
            tails: one end of each edge: integers[edges], 0 to ``nodes`` - 1.
            heads: the other end.
            values: what each edge carries, finite and at least 0: floats[edges].

        Raises:
            ValueError: arrays of different lengths, an end that is no node, or a value below 0 or
                not finite; or more than 2 ** 30 edges.
        """
        froms, tos = (np.ascontiguousarray(array, dtype=np.int32) for array in (tails, heads))
        ends = (froms, tos)
        carried = np.ascontiguousarray(values, dtype=np.float32)
        if not ends[0].size == ends[1].size == carried.size:
            raise ValueError("tails, heads and values are of different lengths")
        if carried.size > 1 << 30:
            raise ValueError("more than 2 ** 30 edges")
        if carried.size and (
            min(int(array.min()) for array in ends) < 0
            or max(int(array.max()) for array in ends) >= nodes
        ):
            raise ValueError("an edge ends at a node that is not there")
        if not bool((np.isfinite(carried) & (carried >= 0)).all()):
            raise ValueError("a value is below 0 or not finite")
        counts = np.zeros(nodes + 1, np.int64)
        _count(froms, tos, carried, counts)
        starts = np.cumsum(counts)
        size = int(starts[-1])
        others, held = np.empty(size, np.int32), np.empty(size, np.float32)
        _fill(froms, tos, carried, starts[:-1].copy(), others, held)
        # The matrix is symmetric: turned over it is itself, with sorted rows.
        sorted_others, sorted_held = np.empty_like(others), np.empty_like(held)
        _turn(starts, others, held, starts[:-1].copy(), sorted_others, sorted_held)
        kept = _merge(starts, sorted_others, sorted_held)
        others, held = sorted_others[:kept].copy(), sorted_held[:kept].copy()
        backward = np.empty(kept, np.int32)
        _pair(starts, others, starts[:-1].copy(), backward)
        return cls(starts, others, held, backward)

    def __len__(self) -> int:
        """Return the number of nodes."""
        return int(self.starts.size) - 1

    def sums(self) -> Floats:
        """Return the sum of the values of each node's edges: float64[nodes]."""
        out = np.zeros(len(self))
        _sums(self.starts, self.values, out)
        return out

    def at(self, node: int) -> Numbers:
        """Return the neighbours of one node, ascending."""
        return self.others[int(self.starts[node]) : int(self.starts[node + 1])]


def in_parts(neighbours: Neighbours, run: Callable[[int, int], object]) -> None:
    """Call ``run(first, after)`` for ranges of nodes with about as many entries, in threads.

    What the calls write must not overlap; then the outcome is the same for any number of threads.
    """
    entries = int(neighbours.starts[-1])
    parts = max(1, min(len(os.sched_getaffinity(0)), entries // _PART))
    cuts = np.searchsorted(neighbours.starts, np.linspace(0, entries, parts + 1))
    cuts[0], cuts[-1] = 0, len(neighbours)
    if parts == 1:
        run(0, len(neighbours))
        return
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(run, cuts[:-1].tolist(), cuts[1:].tolist()))


def kin_counted_once(neighbours: Neighbours, family: Numbers) -> Rows:
    """Return how many neighbours each node has: int64[nodes].

    Those of one family count once, but for those of the node's own, which are counted one by one.

    Args:
        neighbours: the graph.
        family: the number of a node that stands for its family: int32[nodes].
    """
    out = np.zeros(len(neighbours), np.int64)
    met = np.full(len(neighbours), -1, np.int32)
    _count_kin(neighbours.starts, neighbours.others, family, met, out)
    return out


def steps_from(neighbours: Neighbours, sources: Rows, closed: npt.NDArray[np.bool_]) -> Numbers:
    """Return how many steps each node is from the nearest source; -1 where there is no way.

    Args:
        neighbours: the graph.
        sources: where to start: int64[sources].
        closed: nodes that may be reached but not crossed: bool[nodes].
    """
    steps = np.full(len(neighbours), -1, np.int32)
    queue = np.empty(len(neighbours), np.int32)
    _spread(neighbours.starts, neighbours.others, closed, np.unique(sources), steps, queue)
    return steps


@compiled
def _count(tails: Numbers, heads: Numbers, values: Singles, counts: Rows) -> None:
    for edge in range(tails.size):
        if values[edge] > 0 and tails[edge] != heads[edge]:
            counts[tails[edge] + 1] += 1
            counts[heads[edge] + 1] += 1


@compiled
def _fill(
    tails: Numbers, heads: Numbers, values: Singles, places: Rows, others: Numbers, held: Singles
) -> None:
    for edge in range(tails.size):
        tail, head = tails[edge], heads[edge]
        if values[edge] > 0 and tail != head:
            others[places[tail]], held[places[tail]] = head, values[edge]
            others[places[head]], held[places[head]] = tail, values[edge]
            places[tail] += 1
            places[head] += 1


@compiled
def _turn(
    starts: Rows, others: Numbers, held: Singles, places: Rows, turned: Numbers, carried: Singles
) -> None:
    for node in range(starts.size - 1):
        for entry in range(starts[node], starts[node + 1]):
            place = places[others[entry]]
            turned[place], carried[place] = node, held[entry]
            places[others[entry]] += 1


@compiled
def _merge(starts: Rows, others: Numbers, held: Singles) -> int:
    """Add up parallel edges in place; return how many entries are left."""
    kept, first = 0, 0
    for node in range(starts.size - 1):
        after = starts[node + 1]
        entry = first
        while entry < after:
            other, total = others[entry], np.float64(0.0)
            while entry < after and others[entry] == other:
                total += np.float64(held[entry])
                entry += 1
            others[kept], held[kept] = other, np.float32(total)
            kept += 1
        first = after
        starts[node + 1] = kept
    return kept


@compiled
def _pair(starts: Rows, others: Numbers, places: Rows, backward: Numbers) -> None:
    # Entries that name a node come in the order of that node's sorted row.
    for node in range(starts.size - 1):
        for entry in range(starts[node], starts[node + 1]):
            backward[entry] = places[others[entry]]
            places[others[entry]] += 1


@compiled
def _sums(starts: Rows, values: Singles, out: Floats) -> None:
    for node in range(out.size):
        for entry in range(starts[node], starts[node + 1]):
            out[node] += np.float64(values[entry])


@compiled
def _count_kin(starts: Rows, others: Numbers, family: Numbers, met: Numbers, out: Rows) -> None:
    for node in range(out.size):
        for entry in range(starts[node], starts[node + 1]):
            other = others[entry]
            kin = other if family[other] == family[node] else family[other]
            if met[kin] != node:
                met[kin] = node
                out[node] += 1


@compiled
def _spread(
    starts: Rows,
    others: Numbers,
    closed: npt.NDArray[np.bool_],
    sources: Rows,
    steps: Numbers,
    queue: Numbers,
) -> None:
    filled = 0
    for source in sources:
        steps[source] = 0
        queue[filled] = source
        filled += 1
    taken = 0
    while taken < filled:
        node = queue[taken]
        taken += 1
        if closed[node]:
            continue
        for entry in range(starts[node], starts[node + 1]):
            if steps[others[entry]] < 0:
                steps[others[entry]] = steps[node] + 1
                queue[filled] = others[entry]
                filled += 1

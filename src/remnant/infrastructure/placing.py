"""The kernels that place things on a plane: by distance, apart from each other, packed, in gaps.

All are deterministic: where chance is of use it comes from a counter.

References:
    Zheng, Pawar, Goodman, "Graph drawing by stochastic gradient descent", IEEE Transactions on
    Visualization and Computer Graphics 25 (2019) 2738: stress, with its schedule of steps.
    Wang, Wang, Dai, Wang, "Visualization of large hierarchical data by circle packing", CHI 2006:
    packing discs one by one against those that lie already.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from remnant.wire import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.int64]

__all__ = ["free_places", "pack", "separate", "stress"]

_SOURCES = 90  # beyond _WHOLE nodes: so many of them know their distance to all others
_WHOLE = 420
_PASSES = 30
_GOLDEN = 2.399963229728653  # the golden angle: points at multiples of it never line up


@compiled
def stress(starts: Numbers, others: Numbers, lengths: Floats) -> Floats:
    """Place nodes so that distances on the plane are those along the edges: float64[nodes, 2].

    Args:
        starts: where the row of each node begins: int64[nodes + 1].
        others: its neighbours, row by row.
        lengths: of each of these edges, above 0.
    """
    count = starts.size - 1
    place = np.empty((count, 2))
    for i in range(count):
        far = math.sqrt(i + 0.5)
        place[i, 0], place[i, 1] = far * math.cos(i * _GOLDEN), far * math.sin(i * _GOLDEN)
    if count < 2:
        return place * 0.0
    every = 1 if count <= _WHOLE else count // _SOURCES
    sources = (count + every - 1) // every
    extra = 0 if every == 1 else others.size // 2
    most = (count * (count - 1) // 2) if every == 1 else sources * (count - 1) + extra
    one, two, far_apart = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most)
    pairs = 0
    away = np.empty(count)
    queue = np.empty(count + 1, np.int64)
    queued = np.zeros(count, np.bool_)
    for source in range(0, count, every):
        away[:] = np.inf
        away[source] = 0.0
        queue[0] = source
        first, last = 0, 1
        while first != last:
            node = queue[first]
            first = first + 1 if first < count else 0
            queued[node] = False
            for edge in range(starts[node], starts[node + 1]):
                reach = away[node] + lengths[edge]
                if reach < away[others[edge]] - 1e-9:
                    away[others[edge]] = reach
                    if not queued[others[edge]]:
                        queued[others[edge]] = True
                        queue[last] = others[edge]
                        last = last + 1 if last < count else 0
        furthest = 1.0
        for node in range(count):
            if away[node] < np.inf:
                furthest = max(furthest, away[node])
        for node in range(source + 1 if every == 1 else 0, count):
            if node != source:
                one[pairs], two[pairs] = source, node
                far_apart[pairs] = min(away[node], 1.3 * furthest)
                pairs += 1
    if every > 1:
        for node in range(count):
            for edge in range(starts[node], starts[node + 1]):
                if others[edge] > node and pairs < most:
                    one[pairs], two[pairs], far_apart[pairs] = node, others[edge], lengths[edge]
                    pairs += 1
    longest, shortest = far_apart[:pairs].max(), far_apart[:pairs].min()
    size = longest / (2.0 * math.sqrt(count))
    place *= size
    step = longest * longest
    fall = math.log(step / (0.1 * shortest * shortest)) / (_PASSES - 1)
    state = np.uint64(88172645463325252)
    for turn in range(_PASSES):
        now = step * math.exp(-fall * turn)
        for k in range(pairs - 1, 0, -1):
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            j = np.int64(state % np.uint64(k + 1))
            one[k], one[j] = one[j], one[k]
            two[k], two[j] = two[j], two[k]
            far_apart[k], far_apart[j] = far_apart[j], far_apart[k]
        for k in range(pairs):
            a, b, wanted = one[k], two[k], far_apart[k]
            dx, dy = place[a, 0] - place[b, 0], place[a, 1] - place[b, 1]
            length = math.sqrt(dx * dx + dy * dy) + 1e-9
            part = min(1.0, now / (wanted * wanted))
            pull = 0.5 * part * (length - wanted) / length
            place[a, 0] -= pull * dx
            place[a, 1] -= pull * dy
            place[b, 0] += pull * dx
            place[b, 1] += pull * dy
    return place


@compiled
def separate(place: Floats, radii: Floats, gap: float, passes: int) -> bool:
    """Push discs apart in place until none overlap; return whether that was reached.

    Of two discs the smaller moves further.
    """
    count = radii.size
    if count < 2:
        return True
    largest = radii.max()
    for turn in range(passes):
        order = np.argsort(place[:, 0], kind="mergesort")
        touching = 0
        for at in range(count):
            i = order[at]
            for after in range(at + 1, count):
                j = order[after]
                reach = radii[i] + largest + gap
                if place[j, 0] - place[i, 0] >= reach + 0.5 * reach:
                    break
                wanted = radii[i] + radii[j] + gap
                dx, dy = place[j, 0] - place[i, 0], place[j, 1] - place[i, 1]
                square = dx * dx + dy * dy
                if square >= wanted * wanted * 0.9999:
                    continue
                touching += 1
                length = math.sqrt(square)
                if length < 1e-6:
                    angle = (i + j + turn) * _GOLDEN
                    dx, dy, length = math.cos(angle), math.sin(angle), 1.0
                    square = 0.0
                push = (wanted - math.sqrt(square)) / length * 1.01
                share = radii[j] / (radii[i] + radii[j])
                place[i, 0] -= share * push * dx
                place[i, 1] -= share * push * dy
                place[j, 0] += (1.0 - share) * push * dx
                place[j, 1] += (1.0 - share) * push * dy
        if touching == 0:
            return True
    return False


@compiled
def pack(
    radii: Floats, starts: Numbers, others: Numbers, weights: Floats, gap: float, aspect: float
) -> Floats:
    """Pack discs without overlap, joined ones near each other: float64[discs, 2].

    One by one in their order, each disc is laid against those that lie already, where its pull
    (towards those that it is joined to, and a little to the middle) is satisfied best.

    Args:
        radii: of the discs, the largest first.
        starts: where the row of each disc begins: int64[discs + 1].
        others: what it is joined to, row by row.
        weights: how strongly.
        gap: least space between two discs.
        aspect: how much wider than high the whole should be.
    """
    count = radii.size
    place = np.zeros((count, 2))
    lies = np.zeros(count, np.bool_)
    turns = 16
    recent = 700
    for disc in range(count):
        lies[disc] = True
        if disc == 0:
            continue
        total = 0.0
        for edge in range(starts[disc], starts[disc + 1]):
            if others[edge] < disc:
                total += weights[edge]
        best = np.inf
        best_x, best_y = 0.0, 0.0
        for against in range(max(0, disc - recent), disc):
            reach = radii[against] + radii[disc] + gap
            for turn in range(turns):
                angle = (turn + 0.37 * (against % 7)) * 2.0 * math.pi / turns
                x = place[against, 0] + reach * math.cos(angle)
                y = place[against, 1] + reach * math.sin(angle)
                cost = 0.7 * math.sqrt(x * x / aspect + y * y * aspect)
                if total > 0.0:
                    pull = 0.0
                    for edge in range(starts[disc], starts[disc + 1]):
                        other = others[edge]
                        if other < disc:
                            dx, dy = x - place[other, 0], y - place[other, 1]
                            pull += weights[edge] * (
                                math.sqrt(dx * dx + dy * dy) - radii[other] - radii[disc]
                            )
                    cost += pull / total
                if cost >= best - 1e-9:
                    continue
                free = True
                for other in range(disc):
                    dx, dy = x - place[other, 0], y - place[other, 1]
                    apart = radii[other] + radii[disc] + gap * 0.999
                    if dx * dx + dy * dy < apart * apart * 0.99999:
                        free = False
                        break
                if free:
                    best, best_x, best_y = cost, x, y
        if best == np.inf:  # nothing free against the recent ones: to the right of everything
            for other in range(disc):
                best_x = max(best_x, place[other, 0] + radii[other])
            best_x += radii[disc] + gap
        place[disc, 0], place[disc, 1] = best_x, best_y
    return place


@compiled
def free_places(
    place: Floats, radii: Floats, lies: npt.NDArray[np.bool_], order: Numbers, gap: float
) -> None:
    """Move each node of ``order`` to the nearest place around its own that is free, in turn.

    Args:
        place: float64[nodes, 2], changed.
        radii: of the nodes.
        lies: which nodes lie already and do not move; set for each node that is placed.
        order: the nodes to place.
        gap: least space between two.
    """
    cell = 2.0 * radii.max() + gap
    count = radii.size
    buckets = 1
    while buckets < 2 * count:
        buckets *= 2
    heads = np.full(buckets, -1, np.int64)
    following = np.full(count, -1, np.int64)
    for node in range(count):
        if lies[node]:
            bucket = _bucket(place[node, 0], place[node, 1], cell, buckets)
            following[node] = heads[bucket]
            heads[bucket] = node
    for node in order:
        x0, y0 = place[node, 0], place[node, 1]
        x, y = x0, y0
        stride = 0.5 * (2.0 * radii[node] + gap)
        for turn in range(200_000):
            far = stride * math.sqrt(turn)
            x, y = x0 + far * math.cos(turn * _GOLDEN), y0 + far * math.sin(turn * _GOLDEN)
            free = True
            for column in range(-1, 2):
                for row in range(-1, 2):
                    other = heads[_bucket(x + column * cell, y + row * cell, cell, buckets)]
                    while other >= 0 and free:
                        dx, dy = x - place[other, 0], y - place[other, 1]
                        apart = radii[node] + radii[other] + gap
                        free = dx * dx + dy * dy >= apart * apart
                        other = following[other]
            if free:
                break
        place[node, 0], place[node, 1] = x, y
        lies[node] = True
        bucket = _bucket(x, y, cell, buckets)
        following[node] = heads[bucket]
        heads[bucket] = node


@njit(cache=True, nogil=True, inline="always")
def _bucket(x: float, y: float, cell: float, buckets: int) -> int:
    column, row = np.int64(math.floor(x / cell)), np.int64(math.floor(y / cell))
    mixed = np.uint64(column * np.int64(73856093)) ^ np.uint64(row * np.int64(19349663))
    return np.int64(mixed & np.uint64(buckets - 1))  # type: ignore[return-value]

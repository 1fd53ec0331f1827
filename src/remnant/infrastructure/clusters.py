"""Clusters: groups of nodes that are joined more among themselves than to the rest.

Local moving and merging of groups by modularity, weighted. What joins everything joins nothing: an
edge weighs less the more neighbours its busier end has, and edges at a hub or a sinkhole hardly
weigh at all, so that a cluster is a piece of infrastructure and not "all that was seized".

The result depends on the map alone: nodes are visited in the order of their kind and value, ties go
to the first group.

References:
    Blondel, Guillaume, Lambiotte, Lefebvre, "Fast unfolding of communities in large networks",
    Journal of Statistical Mechanics (2008) P10008: the method; Reichardt and Bornholdt,
    "Statistical mechanics of community detection", Physical Review E 74 (2006) 016110: the
    resolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant.wire import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.infrastructure.graph import Graph

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.int64]

__all__ = ["canonical", "clusters", "edge_weights", "neighbours"]

_WEIGHTS: Final = {
    "resolves_to": 1.0,
    "alias_of": 1.0,
    "below": 1.5,
    "served_by": 1.0,
    "mail_by": 0.6,
    "in_prefix": 0.5,
    "in_asn": 0.3,
    "sinkholed_at": 0.1,
    "asks": 0.05,
}
_HUB: Final = 0.02
_ROUNDS: Final = 12
_SWEEPS: Final = 20
_LEAST_GAIN: Final = 1e-9


def canonical(graph: Graph) -> Numbers:
    """Return the numbers of the nodes in the order of kind and value: int64[nodes]."""
    kinds = np.array(graph.kinds, dtype=object)
    values = np.array(graph.nodes["value"].to_pylist(), dtype=object)
    by_value = np.argsort(values, kind="stable")
    return np.asarray(by_value[np.argsort(kinds[by_value], kind="stable")], np.int64)


def edge_weights(graph: Graph) -> Floats:
    """Return how strongly each edge holds its ends together: float64[edges], above 0.

    The weight of its type, over the root of the neighbours of its busier end; a fiftieth of that at
    a hub.
    """
    count = len(graph)
    types = map(str, graph.edges["type"].to_pylist())
    weights = np.array([_WEIGHTS.get(kind, 0.1) for kind in types], np.float64)
    tails, heads = graph.tails, graph.heads
    degrees = np.bincount(tails, minlength=count) + np.bincount(heads, minlength=count)
    busier = np.maximum(degrees[tails], degrees[heads]) if count else np.ones(0)
    weights /= np.sqrt(busier)
    hub = graph.hubs[tails] | graph.hubs[heads]
    return np.where(hub, weights * _HUB, weights)


def neighbours(
    count: int, tails: Numbers, heads: Numbers, weights: Floats
) -> tuple[Numbers, Numbers, Floats]:
    """Return undirected neighbours as compressed rows: starts, others and weights.

    Parallel edges are added, loops are left out. Others ascend within a row.
    """
    apart = tails != heads
    tails, heads, weights = tails[apart], heads[apart], weights[apart]
    ends = np.concatenate([tails, heads])
    others = np.concatenate([heads, tails])
    both = np.concatenate([weights, weights])
    key = ends * np.int64(count) + others
    found, inverse = np.unique(key, return_inverse=True)
    summed = np.bincount(inverse, weights=both, minlength=found.size)
    starts = np.zeros(count + 1, np.int64)
    if count:
        np.cumsum(np.bincount(found // count, minlength=count), out=starts[1:])
    return starts, found % max(count, 1), summed.astype(np.float64)


def clusters(graph: Graph, *, resolution: float = 1.0, largest: int = 400) -> Numbers:
    """Return the cluster of each node: int64[nodes], 0 for the largest.

    Args:
        graph: the map, folded or not.
        resolution: above 1 for more and smaller clusters.
        largest: clusters of more nodes than that are divided again, at a finer resolution, as far
            as they can be.

    Nodes that nothing joins are clusters of their own.
    """
    count = len(graph)
    order = canonical(graph)
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    tails, heads = place[graph.tails], place[graph.heads]
    weights = edge_weights(graph)
    group = _communities(count, tails, heads, weights, resolution)
    for finer in (3.0, 9.0, 27.0):
        sizes = np.bincount(group, minlength=1)
        big = sizes[group] > largest
        if not big.any():
            break
        # Only edges inside one of the large clusters count for dividing it.
        inside = big[tails] & (group[tails] == group[heads])
        parts = _communities(
            count, tails[inside], heads[inside], weights[inside], resolution * finer
        )
        group = np.unique(np.where(big, count + group * count + parts, group), return_inverse=True)[
            1
        ]
    return _by_size(group)[place]


def _by_size(group: Numbers) -> Numbers:
    """Number groups by size, largest first; of equal ones that whose first node comes first."""
    found, first, inverse, sizes = np.unique(
        group, return_index=True, return_inverse=True, return_counts=True
    )
    number = np.empty(found.size, np.int64)
    number[np.lexsort((first, -sizes))] = np.arange(found.size)
    return np.asarray(number[inverse], np.int64)


def _communities(
    count: int, tails: Numbers, heads: Numbers, weights: Floats, resolution: float
) -> Numbers:
    """Move and merge until nothing is gained; return the group of each node."""
    whole = np.arange(count)
    loops: Floats = np.zeros(count)
    starts, others, held = neighbours(count, tails, heads, weights)
    for _ in range(_ROUNDS):
        group: Any = np.arange(starts.size - 1)
        if not _move(starts, others, held, loops, group, resolution):
            break
        group = np.unique(group, return_inverse=True)[1]
        size = int(group.max()) + 1
        rows = np.repeat(np.arange(starts.size - 1), np.diff(starts))
        within = group[rows] == group[others]
        loops = np.bincount(group, weights=loops, minlength=size).astype(np.float64) + np.bincount(
            group[rows[within]], weights=held[within], minlength=size
        )
        upper = ~within & (rows < others)
        whole = group[whole]
        starts, others, held = neighbours(
            size, group[rows[upper]], group[others[upper]], held[upper]
        )
    return whole


@compiled
def _move(
    starts: Numbers,
    others: Numbers,
    held: Floats,
    loops: Floats,
    group: Numbers,
    resolution: float,
) -> bool:
    """Move each node to the group with the best gain, sweep by sweep; return whether any moved."""
    count = starts.size - 1
    degree = loops.copy()
    for node in range(count):
        for edge in range(starts[node], starts[node + 1]):
            degree[node] += held[edge]
    total = degree.sum()
    if total <= 0.0:
        return False
    mass = degree.copy()
    towards = np.zeros(count)
    seen = np.empty(count, np.int64)
    moved = False
    for _ in range(_SWEEPS):
        moves = 0
        for node in range(count):
            own = group[node]
            known = 1
            seen[0] = own
            towards[own] = 0.0
            for edge in range(starts[node], starts[node + 1]):
                other = group[others[edge]]
                if towards[other] == 0.0 and other != own:
                    seen[known] = other
                    known += 1
                towards[other] += held[edge]
            share = resolution * degree[node] / total
            best = own
            best_gain = towards[own] - share * (mass[own] - degree[node])
            for k in range(1, known):
                gain = towards[seen[k]] - share * mass[seen[k]]
                if gain > best_gain + _LEAST_GAIN:
                    best, best_gain = seen[k], gain
            for k in range(known):
                towards[seen[k]] = 0.0
            if best != own:
                mass[own] -= degree[node]
                mass[best] += degree[node]
                group[node] = best
                moves += 1
        if moves == 0:
            break
        moved = True
    return moved

"""Where each node of a map lies: clustered, without overlaps, the same for the same map.

A map of an infrastructure drawn by springs alone is a ball of wool. Here clusters come first, each
laid out by itself so that distance on paper is distance along edges; what hangs on one node alone
is fanned around it; then the clusters are packed like islands, those that are joined side by side,
each turned so that it faces what it is joined to. Nodes that nothing joins lie together in rows.

The picture depends on the map alone, not on the order of its rows. With the positions of an earlier
map, nodes that were there keep their places and new ones are put near what they are joined to.

Units are those of the radii: a plain node has radius 1. y grows downwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.infrastructure.clusters import canonical, clusters, edge_weights, neighbours
from remnant.infrastructure.folding import Folded, fold
from remnant.infrastructure.placing import free_places, pack, separate, stress

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from remnant.infrastructure.graph import Graph

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.int64]
    Positions = Mapping[str, tuple[float, float]]

__all__ = ["Arrangement", "Layout", "arrange", "layout", "node_keys", "node_radii"]

_GAP: Final = 0.7
_EDGE: Final = 2.0
_BETWEEN: Final = 3.5
_ROOM: Final = 1.1
_AIR: Final = 1.3
_KEPT: Final = 1.8
_ASPECT: Final = 1.45
_RADII: Final = {"sinkhole": 2.2, "asn": 1.7, "name_server": 1.3, "domain": 1.2, "prefix": 1.1}
_LARGEST: Final = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A layout of a map.

    Attributes:
        positions: float32[nodes, 2]: x to the right, y downwards.
        radii: float32[nodes].
        clusters: int64[nodes]: 0 for the largest.
    """

    positions: npt.NDArray[np.float32]
    radii: npt.NDArray[np.float32]
    clusters: Numbers

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all nodes with their radii."""
        if not len(self.radii):
            return 0.0, 0.0, 1.0, 1.0
        low = (self.positions - self.radii[:, None]).min(axis=0)
        high = (self.positions + self.radii[:, None]).max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


@dataclass(frozen=True, slots=True, eq=False)
class Arrangement:
    """A folded map, and where its nodes lie."""

    folded: Folded
    layout: Layout

    def positions(self, graph: Graph) -> dict[str, tuple[float, float]]:
        """Return the place of every node of the whole map by its key, for the next layout."""
        places = self.layout.positions[self.folded.of].astype(np.float64).tolist()
        return {key: (x, y) for key, (x, y) in zip(node_keys(graph), places, strict=True)}


def node_keys(graph: Graph) -> list[str]:
    """Return what says which node is which from map to map: its kind and value."""
    return [f"{k} {v}" for k, v in zip(graph.kinds, graph.nodes["value"].to_pylist(), strict=True)]


def node_radii(graph: Graph, sizes: Numbers | None = None) -> Floats:
    """Return the radius of each node: its kind, whether it is a seed, how much it stands for.

    The area of a folded node grows with its members, that of a hub with the logarithm of its
    neighbours, up to a bound.
    """
    radii = np.array([_RADII.get(kind, 1.0) for kind in graph.kinds], np.float64)
    radii[graph.seeds] = np.maximum(radii[graph.seeds], 1.4)
    degrees = np.asarray(graph.nodes["degree"].to_numpy(), np.float64)
    radii = np.where(graph.hubs, radii + 0.09 * np.log2(1.0 + np.maximum(degrees, 0.0)), radii)
    if sizes is not None:
        radii = np.where(sizes > 1, 0.75 * radii + 0.55 * np.sqrt(sizes), radii)
    return np.minimum(radii, _LARGEST)


def arrange(
    graph: Graph,
    *,
    threshold: int = 3,
    keep: npt.ArrayLike = (),
    previous: Positions | None = None,
) -> Arrangement:
    """Fold a map and lay it out.

    Args:
        graph: the whole map.
        threshold: fewest nodes that are folded into one; 0 folds nothing.
        keep: numbers of nodes that are never folded (candidates).
        previous: ``Arrangement.positions`` of an earlier map.
    """
    folded = fold(graph, threshold=threshold, keep=keep)
    known = None
    if previous:
        keys = node_keys(graph)
        known = np.full((len(folded.graph), 2), np.nan)
        # The first member that was there says where a folded node lies.
        for number in folded.order[::-1].tolist():
            if keys[number] in previous:
                known[folded.of[number]] = previous[keys[number]]
    kept = folded.of[np.asarray(keep, np.int64)]
    return Arrangement(folded, _laid(folded.graph, folded.sizes, known, kept))


def layout(
    graph: Graph, *, sizes: npt.ArrayLike | None = None, previous: Positions | None = None
) -> Layout:
    """Lay a map out as it is.

    Args:
        graph: the map; fold it first where it is for a person (``arrange`` does both).
        sizes: int64[nodes]: what each node stands for, for its radius.
        previous: where nodes lay earlier, by ``node_keys``: they keep their places, but for what
            must make room for a node that has grown.
    """
    known = None
    if previous:
        known = np.full((len(graph), 2), np.nan)
        for number, key in enumerate(node_keys(graph)):
            if key in previous:
                known[number] = previous[key]
    return _laid(graph, None if sizes is None else np.asarray(sizes, np.int64), known)


def _laid(
    graph: Graph, sizes: Numbers | None, known: Floats | None, kept: Numbers | None = None
) -> Layout:
    count = len(graph)
    radii = node_radii(graph, sizes)
    if kept is not None:
        radii[kept] = np.maximum(radii[kept], _KEPT)
    groups = clusters(graph)
    if known is not None:
        known[~np.isfinite(known).all(axis=1)] = np.nan
    if known is None or np.isnan(known).all():
        places = _afresh(graph, groups, radii)
    else:
        places = _continued(graph, groups, radii, known)
    places = places.reshape(count, 2)
    return Layout(places.astype(np.float32), radii.astype(np.float32), groups)


def _afresh(graph: Graph, groups: Numbers, radii: Floats) -> Floats:
    """Lay a map out from nothing."""
    count = len(graph)
    order = canonical(graph)
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    tails, heads = rank[graph.tails], rank[graph.heads]
    starts, others, held = neighbours(count, tails, heads, edge_weights(graph))
    groups, radii = groups[order], radii[order]
    degrees = np.diff(starts)
    places = np.zeros((count, 2))
    alone = np.flatnonzero(degrees == 0)
    islands = []
    by_group = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[by_group], append=-1)) + 1
    for members in np.split(by_group, ends[:-1]) if count else []:
        if degrees[members].any():
            places[members] = _island(members, starts, others, groups, radii)
            islands.append(members)
    if alone.size:
        places[alone] = _rows(radii[alone])
        islands.append(alone)
    placed = _packed(islands, places, radii, starts, others, held)
    out = np.empty((count, 2))
    out[order] = placed
    return out


def _island(
    members: Numbers, starts: Numbers, others: Numbers, groups: Numbers, radii: Floats
) -> Floats:
    """Lay out one cluster around its own middle: float64[members, 2]."""
    size = members.size
    local = {node: i for i, node in enumerate(members.tolist())}
    mine = groups[members[0]]
    rows = [
        [local[o] for o in others[starts[n] : starts[n + 1]].tolist() if groups[o] == mine]
        for n in members.tolist()
    ]
    outside = np.diff(starts)[members] - np.array([len(row) for row in rows])
    # A leaf has one neighbour in all. Of two that only have each other one is the parent.
    leaf = np.array([len(row) == 1 for row in rows]) & (outside == 0)
    for i in np.flatnonzero(leaf).tolist():
        if leaf[rows[i][0]] and rows[i][0] > i:
            leaf[i] = False
    inner = np.flatnonzero(~leaf)
    fans: dict[int, list[int]] = {}
    for i in np.flatnonzero(leaf).tolist():
        fans.setdefault(rows[i][0], []).append(i)
    own = radii[members]
    reach = own.copy()
    for parent, leaves in fans.items():
        reach[parent] = _fan_reach(own[parent], own[leaves])
    places = np.zeros((size, 2))
    if inner.size > 1:
        number = np.full(size, -1, np.int64)
        number[inner] = np.arange(inner.size)
        inside = [[number[o] for o in rows[i] if number[o] >= 0] for i in inner.tolist()]
        begin = np.zeros(inner.size + 1, np.int64)
        np.cumsum([len(row) for row in inside], out=begin[1:])
        ends = np.array([o for row in inside for o in row], np.int64)
        from_ = np.repeat(np.arange(inner.size), np.diff(begin))
        wide = reach[inner]
        # Around a busy node there has to be room for all that it is joined to.
        busy = np.sqrt(np.diff(begin).astype(np.float64))
        lengths = (
            wide[from_] + wide[ends] + _EDGE + _ROOM * (np.maximum(busy[from_], busy[ends]) - 1)
        )
        spread = stress(begin, ends, lengths)
        spread *= _stretch(spread, wide)
        separate(spread, wide, _GAP, 200)
        places[inner] = spread
    middle = places[inner].mean(axis=0)
    for parent, leaves in fans.items():
        joined = [places[o] for o in rows[parent] if not leaf[o]]
        away = places[parent] - (np.mean(joined, axis=0) if joined else middle)
        angle = math.atan2(away[1], away[0]) if np.hypot(*away) > 1e-9 else 0.5 * math.pi
        places[leaves] = places[parent] + _fan(own[parent], own[leaves], angle)
    return places


def _stretch(places: Floats, radii: Floats) -> float:
    """Return by how much a crowd has to grow for its edges to be seen between its nodes."""
    from scipy.spatial import cKDTree  # noqa: PLC0415 - heavy, used by layouts alone

    near, which = cKDTree(places).query(places, k=2)
    wanted = radii + radii[which[:, 1]] + _AIR
    return float(np.clip(np.median(wanted / np.maximum(near[:, 1], 1e-9)), 1.0, 2.0))


def _rings(parent: float, leaves: Floats) -> list[tuple[float, int]]:
    """Return the rings on which leaves lie: radius and number of leaves."""
    wide = 2.0 * float(leaves.max()) + 0.5 * _GAP
    rings: list[tuple[float, int]] = []
    left, far = leaves.size, parent + 1.2 + 0.5 * wide
    while left:
        room = max(1, int(math.pi / math.asin(min(1.0, 0.5 * wide / far))))
        rings.append((far, min(room, left)))
        left -= rings[-1][1]
        far += wide
    return rings


def _fan_reach(parent: float, leaves: Floats) -> float:
    """Return the radius of a node with its fan."""
    return _rings(parent, leaves)[-1][0] + float(leaves.max())


def _fan(parent: float, leaves: Floats, angle: float) -> Floats:
    """Place leaves around their parent on rings, from ``angle`` to both sides."""
    wide = 2.0 * float(leaves.max()) + 0.5 * _GAP
    out = []
    for far, held in _rings(parent, leaves):
        room = max(1, int(math.pi / math.asin(min(1.0, 0.5 * wide / far))))
        # Few leaves keep together on the outer side, many share the ring.
        step = (
            2.0 * math.pi / held if held > 0.7 * room else 2.2 * math.asin(min(1, wide / 2 / far))
        )
        turns = angle + (np.arange(held) - 0.5 * (held - 1)) * step
        out.append(far * np.column_stack([np.cos(turns), np.sin(turns)]))
    return np.concatenate(out)


def _rows(radii: Floats) -> Floats:
    """Place nodes that nothing joins in rows, wider than high."""
    step = 2.0 * float(radii.max()) + _GAP
    columns = max(1, math.ceil(math.sqrt(radii.size * 2.5)))
    at = np.arange(radii.size)
    return step * np.column_stack([at % columns, at // columns]).astype(np.float64)


def _packed(
    islands: list[Numbers],
    places: Floats,
    radii: Floats,
    starts: Numbers,
    others: Numbers,
    held: Floats,
) -> Floats:
    """Put the islands side by side, and turn each towards what it is joined to."""
    if not islands:
        return places
    spans = np.empty(len(islands))
    for k, members in enumerate(islands):
        here = places[members]
        low = (here - radii[members][:, None]).min(axis=0)
        high = (here + radii[members][:, None]).max(axis=0)
        places[members] -= 0.5 * (low + high)
        spans[k] = (np.hypot(*places[members].T) + radii[members]).max()
    order = np.argsort(-spans, kind="stable")
    number = np.full(len(places), -1, np.int64)
    for k, island in enumerate(order.tolist()):
        number[islands[island]] = k
    rows = np.repeat(np.arange(len(places)), np.diff(starts))
    across = (number[rows] != number[others]) & (rows < others)
    joined = neighbours(len(islands), number[rows[across]], number[others[across]], held[across])
    centres = pack(spans[order], *joined, _BETWEEN, _ASPECT)
    out = places.copy()
    for k, island in enumerate(order.tolist()):
        out[islands[island]] = places[islands[island]] + centres[k]
    every = number[rows] != number[others]
    from_, to, pull = rows[every], others[every], held[every]
    # Each island is turned, mirrored or not, so that what is joined across the water comes near.
    local = places[from_] @ np.array([1.0, 1.0j])
    aim = (out[to] - centres[number[from_]]) @ np.array([1.0, 1.0j])
    aim = aim / np.maximum(np.abs(aim), 1e-9)
    turn = _summed(number[from_], pull * aim * np.conj(local), len(islands))
    flip = _summed(number[from_], pull * aim * local, len(islands))
    for k, island in enumerate(order.tolist()):
        z = places[islands[island]] @ np.array([1.0, 1.0j])
        if abs(flip[k]) > abs(turn[k]) > 0.0:
            z = np.conj(z) * flip[k] / abs(flip[k])
        elif abs(turn[k]) > 0.0:
            z = z * turn[k] / abs(turn[k])
        out[islands[island]] = np.column_stack([z.real, z.imag]) + centres[k]
    return out


def _summed(groups: Numbers, values: Any, size: int) -> Any:  # noqa: ANN401 - complex arrays
    return np.bincount(groups, weights=values.real, minlength=size) + 1j * np.bincount(
        groups, weights=values.imag, minlength=size
    )


def _continued(graph: Graph, groups: Numbers, radii: Floats, known: Floats) -> Floats:
    """Keep nodes where they were; put new ones near their neighbours, new islands beside all."""
    count = len(graph)
    order = canonical(graph)
    lies = ~np.isnan(known[:, 0])
    places = np.where(lies[:, None], known, 0.0)
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    # What was folded and is no longer lies on one place: the first keeps it.
    here = order[lies[order]]
    first = np.unique(places[here], axis=0, return_index=True)[1]
    again = np.setdiff1d(np.arange(here.size), first)
    lies[here[again]] = False
    free_places(places, radii, lies, here[again], _GAP)
    starts, others, held = neighbours(
        count, graph.tails.astype(np.int64), graph.heads.astype(np.int64), edge_weights(graph)
    )
    rows = np.repeat(np.arange(count), np.diff(starts))
    while True:
        edge = ~lies[rows] & lies[others]
        reached = np.unique(rows[edge])
        if not reached.size:
            break
        weight = np.bincount(rows[edge], weights=held[edge], minlength=count)[reached]
        for axis in (0, 1):
            drawn = held[edge] * places[others[edge], axis]
            places[reached, axis] = (
                np.bincount(rows[edge], weights=drawn, minlength=count)[reached] / weight
            )
        turn = reached[np.argsort(rank[reached], kind="stable")]
        free_places(places, radii, lies, turn, _GAP)
    rest = np.flatnonzero(~lies)
    if rest.size:
        part = _part(graph, rest)
        fresh = _afresh(part, groups[rest], radii[rest])
        left, top = fresh.min(axis=0)
        edge_right = (places[lies, 0] + radii[lies]).max()
        shift = (edge_right + _BETWEEN + radii[rest].max() - left, places[lies, 1].min() - top)
        places[rest] = fresh + np.array(shift)
    # Nodes that stand for more than before need room.
    separate(places, radii, 0.0, 50)
    return places


def _part(graph: Graph, numbers: Numbers) -> Graph:
    """Return the map of some of the nodes, which no edge joins to the others."""
    place = np.full(len(graph), -1, np.int32)
    place[numbers] = np.arange(numbers.size)
    tails, heads = place[graph.tails], place[graph.heads]
    kept = pa.array((tails >= 0) & (heads >= 0))
    edges = graph.edges.filter(kept)
    for index, name, ends in ((0, "tail", tails), (1, "head", heads)):
        field = edges.schema.field(name)
        edges = edges.set_column(index, field, pa.array(ends).filter(kept))
    return type(graph)(graph.nodes.take(numbers), edges)

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial import cKDTree

from mapped import Sketch, made_up
from remnant.infrastructure.graph import Graph
from remnant.infrastructure.layout import Layout, arrange, layout, node_keys


@pytest.fixture(scope="module")
def graph() -> Graph:
    return made_up(500, 7)


@pytest.fixture(scope="module")
def laid(graph: Graph) -> Layout:
    return layout(graph)


def preservation(graph: Graph, places: np.ndarray, near: int = 8) -> float:  # type: ignore[type-arg]
    """Share of the nearest on paper that are at most two steps away on the map, hubs left out."""
    usable = ~(graph.hubs[graph.tails] | graph.hubs[graph.heads])
    around: list[set[int]] = [set() for _ in range(len(graph))]
    for a, b in zip(graph.tails[usable].tolist(), graph.heads[usable].tolist(), strict=True):
        around[a].add(b)
        around[b].add(a)
    nodes = [n for n in range(len(graph)) if around[n]]
    which = cKDTree(places).query(places, k=near + 1)[1][:, 1:]
    hits = 0
    for n in nodes:
        two = set().union(around[n], *(around[m] for m in around[n]))
        hits += len(two.intersection(which[n].tolist()))
    return hits / (near * len(nodes))


def overlaps(laid: Layout) -> int:
    tree = cKDTree(laid.positions)
    pairs = tree.query_pairs(2 * float(laid.radii.max()), output_type="ndarray")
    apart = np.hypot(*(laid.positions[pairs[:, 0]] - laid.positions[pairs[:, 1]]).T)
    return int((apart < laid.radii[pairs].sum(axis=1) * 0.98).sum())


def test_nothing_lies_on_something_else(laid: Layout) -> None:
    assert overlaps(laid) == 0


def test_the_same_map_gives_the_same_picture_to_the_bit(graph: Graph, laid: Layout) -> None:
    again = layout(graph)

    assert again.positions.tobytes() == laid.positions.tobytes()
    assert again.positions.dtype == np.float32


def test_the_picture_does_not_depend_on_the_order_of_the_rows(graph: Graph, laid: Layout) -> None:
    order = np.random.default_rng(1).permutation(len(graph))
    place = np.empty(len(graph), np.int32)
    place[order] = np.arange(len(graph))
    edges = graph.edges.take(pa.array(np.random.default_rng(2).permutation(graph.edges.num_rows)))
    for index, end in enumerate(("tail", "head")):
        column = pa.array(place[edges[end].to_numpy()])
        edges = edges.set_column(index, edges.schema.field(end), column)
    other = layout(Graph(graph.nodes.take(pa.array(order)), edges))

    assert np.allclose(other.positions, laid.positions[order], atol=1e-3)


def test_neighbours_stay_together_and_edges_short_beside_springs_and_chance(
    graph: Graph, laid: Layout
) -> None:
    import networkx as nx

    plain = nx.Graph(zip(graph.tails.tolist(), graph.heads.tolist(), strict=True))
    plain.add_nodes_from(range(len(graph)))
    sprung = nx.spring_layout(plain, seed=1, iterations=40)
    springs = np.array([sprung[n] for n in range(len(graph))])
    chance = np.random.default_rng(1).uniform(size=(len(graph), 2))
    kept = [preservation(graph, places) for places in (laid.positions, springs, chance)]

    assert kept[0] > 0.55
    assert kept[0] > kept[1] + 0.05
    assert kept[1] > kept[2] + 0.05
    inside = laid.clusters[graph.tails] == laid.clusters[graph.heads]
    inside &= ~(graph.hubs[graph.tails] | graph.hubs[graph.heads])
    ends = laid.positions[graph.tails[inside]] - laid.positions[graph.heads[inside]]
    lengths = np.hypot(*ends.T)
    # Most edges are of about one length, none crosses the picture.
    assert lengths.std() / lengths.mean() < 0.8
    assert np.quantile(lengths, 0.99) < 0.2 * np.ptp(laid.positions[:, 0])


def test_clusters_are_islands(laid: Layout) -> None:
    discs = []
    for group in range(laid.clusters.max() + 1):
        members = laid.positions[laid.clusters == group]
        if len(members) > 2:
            middle = 0.5 * (members.min(axis=0) + members.max(axis=0))
            discs.append((*middle, np.hypot(*(members - middle).T).max()))
    overlap = [
        min(a[2] + b[2] - np.hypot(a[0] - b[0], a[1] - b[1]), 2 * min(a[2], b[2]))
        / (2 * min(a[2], b[2]))
        for i, a in enumerate(discs)
        for b in discs[:i]
    ]

    # The disc around a cluster is larger than the cluster: they may touch, never cover.
    assert max(overlap) < 0.35


def grown(days: int) -> Graph:
    """A map that gains names and hosts from day to day."""
    sketch = Sketch()
    draw = np.random.default_rng(3)
    for campaign in range(6):
        hosts = [sketch.node("address", f"10.0.{campaign}.{k}") for k in range(5)]
        for k in range(25):
            name = sketch.node("name", f"n{k}.c{campaign}.example")
            for host in draw.choice(hosts, 2, replace=False):
                sketch.edge(name, int(host), "resolves_to")
    for day in range(days):
        for k in range(8):
            name = sketch.node("name", f"new{day}-{k}.example")
            host = sketch.node("address", f"10.0.{k % 6}.{k % 5}")
            sketch.edge(name, host, "resolves_to")
        fresh = sketch.node("address", f"10.9.{day}.1")
        for k in range(3):
            sketch.edge(sketch.node("name", f"isle{day}-{k}.example"), fresh, "resolves_to")
    return sketch.graph()


def test_old_nodes_keep_their_places_from_day_to_day_and_new_ones_come_near() -> None:
    first = grown(0)
    arranged = arrange(first)
    before = arranged.positions(first)
    known = before
    for day in range(1, 5):
        graph = grown(day)
        made = arrange(graph, previous=known)
        known = made.positions(graph)
        assert overlaps(made.layout) == 0
    keys = list(before)
    width = np.ptp([x for x, _ in before.values()])
    drift = [np.hypot(known[k][0] - before[k][0], known[k][1] - before[k][1]) for k in keys]
    assert max(drift) <= 0.05 * width
    host, new = known["address 10.0.3.3"], known["name new2-3.example"]
    assert np.hypot(host[0] - new[0], host[1] - new[1]) < 0.25 * width
    assert len(known) == len(grown(4))


def test_positions_that_are_no_numbers_are_not_taken_over() -> None:
    graph = grown(0)
    keys = node_keys(graph)
    laid = layout(graph, previous={keys[0]: (float("nan"), 1.0), keys[1]: (3.0, 4.0)})

    assert np.isfinite(laid.positions).all()
    assert laid.positions[1].tolist() == [3.0, 4.0]


def test_maps_of_nothing_of_one_node_and_of_loops_are_laid_out() -> None:
    sketch = Sketch()
    node = sketch.node("name", "a.example")
    sketch.edge(node, node, "alias_of")

    assert layout(Graph.empty()).positions.shape == (0, 2)
    assert layout(Graph.empty()).bounds == (0.0, 0.0, 1.0, 1.0)
    assert np.isfinite(layout(sketch.graph()).positions).all()
    assert len(arrange(Graph.empty()).folded.graph) == 0


def test_a_star_of_many_leaves_is_a_fan_around_its_middle() -> None:
    sketch = Sketch()
    hub = sketch.node("address", "192.0.2.1")
    for k in range(300):
        sketch.edge(sketch.node("name", f"n{k}.example"), hub, "resolves_to")
    laid = layout(sketch.graph())
    far = np.hypot(*(laid.positions - laid.positions[hub]).T)

    assert overlaps(laid) == 0
    assert far.max() < 3.5 * np.sqrt(300)
    assert np.hypot(*(laid.positions.mean(axis=0) - laid.positions[hub])) < 0.2 * far.max()

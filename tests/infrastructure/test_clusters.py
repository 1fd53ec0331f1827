from __future__ import annotations

import numpy as np
import pyarrow as pa

from mapped import Sketch, made_up
from remnant.infrastructure.clusters import canonical, clusters, edge_weights, neighbours
from remnant.infrastructure.graph import Graph


def two_rings(bridge: str = "resolves_to") -> Graph:
    sketch = Sketch()
    for side in "ab":
        hosts = [sketch.node("address", f"192.0.2.{ord(side)}{k}"[:12]) for k in range(4)]
        for k in range(12):
            name = sketch.node("name", f"{side}{k}.example")
            sketch.edge(name, hosts[k % 4], "resolves_to")
            sketch.edge(name, hosts[(k + 1) % 4], "resolves_to")
            sketch.edge(name, hosts[(k + 2) % 4], "resolves_to")
    sketch.edge(sketch.node("name", "a0.example"), sketch.node("address", "192.0.2.980"), bridge)
    return sketch.graph()


def test_two_campaigns_that_one_record_joins_are_two_clusters() -> None:
    graph = two_rings()
    found = clusters(graph)
    sides = np.array(
        [
            value[0] if k == "name" else {"97": "a", "98": "b"}[value[8:10]]
            for k, value in zip(
                graph.nodes["kind"].to_pylist(), graph.nodes["value"].to_pylist(), strict=True
            )
        ]
    )

    assert found.max() == 1
    assert len(set(zip(sides, found.tolist(), strict=True))) == 2


def test_a_sinkhole_does_not_make_one_cluster_of_all_that_was_seized() -> None:
    sketch = Sketch()
    sink = sketch.node("sinkhole", "192.0.2.53", hub="sinkhole")
    for side in range(8):
        host = sketch.node("address", f"198.51.100.{side}")
        for k in range(6):
            name = sketch.node("name", f"n{k}.c{side}.example")
            sketch.edge(name, host, "resolves_to")
            sketch.edge(name, sink, "sinkholed_at")
    found = clusters(sketch.graph())

    assert found.max() == 7


def test_clusters_do_not_depend_on_the_order_of_the_rows() -> None:
    graph = made_up(500, 3)
    order = np.random.default_rng(1).permutation(len(graph))
    place = np.empty(len(graph), np.int32)
    place[order] = np.arange(len(graph))
    edges = graph.edges.take(pa.array(np.random.default_rng(2).permutation(graph.edges.num_rows)))
    for index, end in enumerate(("tail", "head")):
        column = pa.array(place[edges[end].to_numpy()])
        edges = edges.set_column(index, edges.schema.field(end), column)
    other = Graph(graph.nodes.take(pa.array(order)), edges)

    assert (clusters(other) == clusters(graph)[order]).all()
    assert (order[canonical(other)] == canonical(graph)).all()


def test_clusters_hold_more_of_the_edges_than_chance_and_are_numbered_by_size() -> None:
    graph = made_up(800, 4)
    found = clusters(graph)
    weights = edge_weights(graph)
    within = weights[found[graph.tails] == found[graph.heads]].sum() / weights.sum()

    assert within > 0.9
    assert (np.diff(np.bincount(found)) <= 0).all()
    assert (weights > 0).all()


def test_large_clusters_are_divided_where_they_can_be() -> None:
    graph = made_up(2000, 4)

    assert np.bincount(clusters(graph, largest=30)).max() < np.bincount(clusters(graph)).max()


def test_nodes_that_nothing_joins_are_clusters_of_their_own() -> None:
    sketch = Sketch()
    for k in range(4):
        sketch.node("name", f"n{k}.example")

    assert clusters(sketch.graph()).tolist() == [0, 1, 2, 3]
    assert clusters(Graph.empty()).size == 0


def test_parallel_edges_add_and_loops_are_left_out() -> None:
    starts, others, held = neighbours(
        3, np.array([0, 1, 2, 0]), np.array([1, 0, 2, 2]), np.array([1.0, 2.0, 5.0, 4.0])
    )

    assert starts.tolist() == [0, 2, 3, 4]
    assert others.tolist() == [1, 2, 0, 0]
    assert held.tolist() == [3.0, 4.0, 3.0, 4.0]

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from mapped import START, Sketch, made_up, with_traffic
from remnant.infrastructure.folding import fold
from remnant.infrastructure.graph import Graph


def star(leaves: int, **facts: object) -> Sketch:
    """Names that all lead to one address."""
    sketch = Sketch()
    hub = sketch.node("address", "198.51.100.7")
    for k in range(leaves):
        sketch.edge(sketch.node("name", f"n{k}.example", **facts), hub, "resolves_to")
    return sketch


def test_names_with_the_same_neighbours_become_one_that_says_how_many() -> None:
    folded = fold(star(5).graph())

    assert folded.sizes.tolist() == [1, 5]
    assert folded.graph.edges.to_pylist()[0]["count"] == 15
    assert folded.graph.nodes["value"].to_pylist() == ["198.51.100.7", "n0.example"]
    assert folded.members(1).tolist() == [1, 2, 3, 4, 5]
    assert folded.members(1, 2).tolist() == [1, 2]


def test_fewer_than_the_threshold_stay_as_they_are() -> None:
    graph = star(4).graph()

    assert len(fold(graph, threshold=5).graph) == 5
    assert len(fold(graph, threshold=4).graph) == 2
    assert len(fold(graph, threshold=0).graph) == 5


def test_what_differs_in_kind_role_direction_or_type_is_not_folded() -> None:
    sketch = star(3, seed=True, role="c2")
    hub = sketch.node("address", "198.51.100.7")
    for k in range(3):
        sketch.edge(sketch.node("domain", f"d{k}.example"), hub, "resolves_to")
        sketch.edge(sketch.node("name", f"x{k}.example"), hub, "resolves_to")
        sketch.edge(sketch.node("name", f"a{k}.example"), hub, "alias_of")
        sketch.edge(hub, sketch.node("name", f"r{k}.example"), "resolves_to")

    assert sorted(fold(sketch.graph()).sizes.tolist()) == [1, 3, 3, 3, 3, 3]


def test_hubs_lonely_nodes_and_those_to_keep_are_never_folded() -> None:
    sketch = star(6)
    for k in range(4):
        sketch.node("name", f"alone{k}.example")
    hub = star(4, hub="parking").graph()

    assert len(fold(hub).graph) == len(hub)
    folded = fold(sketch.graph(), keep=[1, 2])
    assert sorted(folded.sizes.tolist()) == [1] * 7 + [4]
    assert folded.sizes[folded.of[[1, 2]]].tolist() == [1, 1]


def test_times_span_those_of_the_members_and_lists_are_joined() -> None:
    sketch = Sketch()
    hub = sketch.node("address", "198.51.100.7")
    for k in range(3):
        name = sketch.node("name", f"n{k}.example")
        sketch.edge(
            name,
            hub,
            "resolves_to",
            time_first=None if k == 0 else START.replace(day=k + 1),
            time_last=None,
            sensors=[f"s{k}", "s9"],
            sources=[],
        )
    (edge,) = fold(sketch.graph()).graph.edges.to_pylist()

    assert edge["time_first"] == START.replace(day=2)
    assert edge["time_last"] is None
    assert edge["sensors"] == ["s0", "s1", "s2", "s9"]
    assert edge["sources"] == []


def test_clients_of_networks_add_up_and_those_of_names_do_not() -> None:
    sketch = Sketch()
    names = [sketch.node("name", f"n{k}.example", seed=True) for k in range(3)]
    for k in range(4):
        network = sketch.node("client_network", f"AS{k + 1}")
        for name in names:
            sketch.edge(network, name, "asks", clients=10 + name)
    folded = fold(sketch.graph())

    assert sorted(folded.sizes.tolist()) == [3, 4]
    assert folded.graph.edges["clients"].to_pylist() == [4 * 12]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_folding_loses_no_node_no_count_and_no_relation(seed: int, threshold: int) -> None:
    graph = with_traffic(made_up(120, seed))
    folded = fold(graph, threshold=threshold)

    assert folded.sizes.sum() == len(graph)
    assert sorted(folded.order.tolist()) == list(range(len(graph)))
    assert ((folded.sizes == 1) | (folded.sizes >= threshold)).all()
    small = folded.graph
    assert sum(small.edges["count"].to_pylist()) == sum(graph.edges["count"].to_pylist())
    types = graph.edges["type"].cast(pa.string()).to_pylist()
    told = set(zip(folded.of[graph.tails], folded.of[graph.heads], types, strict=True))
    kept = small.edges["type"].cast(pa.string()).to_pylist()
    assert told == set(zip(small.tails, small.heads, kept, strict=True))
    assert small.edges.num_rows == len(told)
    assert small.nodes.schema.equals(graph.nodes.schema)
    assert small.edges.schema.equals(graph.edges.schema)


def test_members_of_a_fold_have_exactly_the_same_neighbours() -> None:
    graph = made_up(600, 5)
    folded = fold(graph)
    around: list[set[tuple[int, str]]] = [set() for _ in range(len(graph))]
    types = graph.edges["type"].cast(pa.string()).to_pylist()
    for tail, head, type_ in zip(graph.tails, graph.heads, types, strict=True):
        around[tail].add((int(head), f">{type_}"))
        around[head].add((int(tail), f"<{type_}"))

    several = np.flatnonzero(folded.sizes > 1)
    assert several.size
    for node in several:
        first, *rest = folded.members(int(node)).tolist()
        assert all(around[other] == around[first] for other in rest)


def test_an_empty_map_folds_to_an_empty_one() -> None:
    folded = fold(Graph.empty())

    assert len(folded.graph) == 0
    assert folded.sizes.size == 0

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.infrastructure import neighbours as module
from remnant.infrastructure.neighbours import Neighbours
from remnant.infrastructure.walk import walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

NODES = 12
EDGES = st.lists(
    st.tuples(
        st.integers(0, NODES - 1),
        st.integers(0, NODES - 1),
        st.floats(2**-6, 2, width=32),
    ),
    max_size=40,
)
SEEDS = st.sets(st.integers(0, NODES - 1), min_size=1, max_size=4)
HUBS = st.sets(st.integers(0, NODES - 1), max_size=3)


def graph_of(edges: list[tuple[int, int, float]]) -> Neighbours:
    columns = list(zip(*edges, strict=True)) or [(), (), ()]
    return Neighbours.of(
        NODES, np.array(columns[0], np.int64), np.array(columns[1], np.int64), np.array(columns[2])
    )


def marked(nodes: set[int]) -> NDArray[np.bool_]:
    out = np.zeros(NODES, dtype=np.bool_)
    out[list(nodes)] = True
    return out


def numbers(nodes: set[int]) -> NDArray[np.int64]:
    return np.array(sorted(nodes), np.int64)


@settings(deadline=None)
@given(EDGES, SEEDS, HUBS, st.sampled_from([0.0, 4.0]))
def test_it_solves_the_equation_and_sums_to_one(
    edges: list[tuple[int, int, float]], seeds: set[int], hubs: set[int], room: float
) -> None:
    found = walk(graph_of(edges), numbers(seeds), marked(hubs), room=np.full(NODES, room))

    weights = np.zeros((NODES, NODES))
    for tail, head, weight in edges:
        if tail != head:
            weights[tail, head] += weight
            weights[head, tail] += weight
    sums = np.maximum(weights.sum(axis=1), room)
    chances = np.divide(weights, sums[:, None], out=np.zeros_like(weights), where=sums[:, None] > 0)
    chances[list(hubs)] = 0.0
    start = marked(seeds).astype(float)
    exact = np.linalg.solve(np.eye(NODES) - 0.85 * chances.T, start)
    assert found.converged
    assert found.ranks.sum() == pytest.approx(1.0)
    assert np.abs(found.ranks - exact / exact.sum()).sum() <= found.error + 1e-6
    assert found.visits == pytest.approx(exact, abs=1e-5)


@settings(deadline=None)
@given(EDGES, SEEDS)
def test_without_hubs_and_room_it_is_the_personalised_pagerank_of_networkx(
    edges: list[tuple[int, int, float]], seeds: set[int]
) -> None:
    networkx = pytest.importorskip("networkx")
    other = networkx.Graph()
    other.add_nodes_from(range(NODES))
    for tail, head, weight in edges:
        if tail != head:
            before = other.get_edge_data(tail, head, {"weight": 0.0})["weight"]
            other.add_edge(tail, head, weight=before + weight)
    expected = networkx.pagerank(
        other, personalization=dict.fromkeys(seeds, 1.0), tol=1e-12, max_iter=1000
    )

    found = walk(graph_of(edges), numbers(seeds), marked(set()))

    assert found.ranks == pytest.approx([expected[node] for node in range(NODES)], abs=1e-5)


@settings(deadline=None)
@given(EDGES, SEEDS, HUBS, st.permutations(range(NODES)))
def test_new_numbers_for_the_nodes_change_nothing_else(
    edges: list[tuple[int, int, float]], seeds: set[int], hubs: set[int], new: list[int]
) -> None:
    turned = [(new[tail], new[head], weight) for tail, head, weight in edges]

    one = walk(graph_of(edges), numbers(seeds), marked(hubs))
    other = walk(
        graph_of(turned), numbers({new[node] for node in seeds}), marked({new[n] for n in hubs})
    )

    assert other.ranks[new] == pytest.approx(one.ranks, abs=2e-6)


@settings(deadline=None)
@given(EDGES, SEEDS, HUBS)
def test_what_is_behind_hubs_alone_gets_nothing(
    edges: list[tuple[int, int, float]], seeds: set[int], hubs: set[int]
) -> None:
    graph = graph_of(edges)
    reached, waiting = set(seeds), [seed for seed in seeds if seed not in hubs]
    while waiting:
        for other in graph.at(waiting.pop()).tolist():
            if other not in reached:
                reached.add(other)
                waiting += [other] if other not in hubs else []

    found = walk(graph, numbers(seeds), marked(hubs))

    assert set(np.flatnonzero(found.ranks).tolist()) <= reached
    assert all(found.ranks[node] == 0.0 for node in set(range(NODES)) - reached)


@settings(deadline=None)
@given(EDGES, SEEDS, st.integers(0, NODES - 1), st.integers(0, NODES - 1))
def test_where_there_is_room_one_more_edge_lowers_no_visits(
    edges: list[tuple[int, int, float]], seeds: set[int], tail: int, head: int
) -> None:
    room = np.full(NODES, 200.0)

    before = walk(graph_of(edges), numbers(seeds), marked(set()), room=room)
    after = walk(graph_of([*edges, (tail, head, 1.0)]), numbers(seeds), marked(set()), room=room)

    assert (after.visits >= before.visits - 1e-6).all()


def test_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    graph = Neighbours.of(
        300, rng.integers(0, 300, 2000), rng.integers(0, 300, 2000), rng.random(2000)
    )
    seeds, hubs = np.array([3, 99]), np.zeros(300, dtype=np.bool_)
    alone = walk(graph, seeds, hubs)
    monkeypatch.setattr(module, "_PART", 16)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(5))

    together = walk(graph, seeds, hubs)

    assert together.ranks.tobytes() == alone.ranks.tobytes()


def test_it_says_how_far_it_got() -> None:
    graph = graph_of([(node, node + 1, 1.0) for node in range(NODES - 1)])

    found = walk(graph, np.array([0]), marked(set()), rounds=3)

    assert not found.converged
    assert found.rounds == 3
    assert found.error > 1e-3
    assert found.ranks.sum() == pytest.approx(1.0)


def test_without_seeds_nothing_is_ranked() -> None:
    found = walk(graph_of([(0, 1, 1.0)]), numbers(set()), marked(set()))

    assert found.converged
    assert not found.ranks.any()

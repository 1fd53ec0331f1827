from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.infrastructure import neighbours as module
from remnant.infrastructure.belief import propagate
from remnant.infrastructure.neighbours import Neighbours

if TYPE_CHECKING:
    from numpy.typing import NDArray

NODES = 7
PRIORS = st.lists(st.floats(-4, 4), min_size=NODES, max_size=NODES)
COUPLINGS = st.lists(st.floats(0.05, 0.9), min_size=NODES - 1, max_size=NODES - 1)
PARENTS = st.tuples(*(st.integers(0, node) for node in range(NODES - 1)))
FREE = np.zeros(NODES, dtype=np.bool_)


def graph_of(
    edges: list[tuple[int, int]], couplings: list[float], nodes: int = NODES
) -> Neighbours:
    ends = np.array(edges, np.int64).reshape(-1, 2)
    return Neighbours.of(nodes, ends[:, 0], ends[:, 1], np.arctanh(couplings))


def marginals(
    edges: list[tuple[int, int]], couplings: list[float], priors: list[float]
) -> NDArray[np.float64]:
    """Add up all states of all nodes."""
    odds = np.zeros((2, NODES))
    for state in itertools.product((0, 1), repeat=NODES):
        weight = np.exp(sum(prior * one for prior, one in zip(priors, state, strict=True)))
        for (tail, head), coupling in zip(edges, couplings, strict=True):
            weight *= 0.5 * (1 + coupling * (1 if state[tail] == state[head] else -1))
        for node in range(NODES):
            odds[state[node], node] += weight
    return np.asarray(np.log(odds[1] / odds[0]))


@settings(deadline=None)
@given(PARENTS, COUPLINGS, PRIORS)
def test_on_a_tree_it_is_exact(
    parents: tuple[int, ...], couplings: list[float], priors: list[float]
) -> None:
    edges = [(node + 1, parent) for node, parent in enumerate(parents)]

    found = propagate(graph_of(edges, couplings), np.array(priors), FREE, tolerance=1e-6)

    assert found.converged
    assert found.odds == pytest.approx(marginals(edges, couplings, priors), abs=1e-3)


@settings(deadline=None)
@given(PARENTS, COUPLINGS, PRIORS)
def test_fixed_nodes_are_not_swayed(
    parents: tuple[int, ...], couplings: list[float], priors: list[float]
) -> None:
    edges = [(node + 1, parent) for node, parent in enumerate(parents)]
    fixed = np.arange(NODES) == 0

    found = propagate(graph_of(edges, couplings), np.array(priors), fixed)

    assert found.odds[0] == priors[0]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12),
    st.lists(st.floats(-2, 2), min_size=NODES - 1, max_size=NODES - 1),
    st.integers(1, 5),
    st.floats(0.1, 0.8),
)
def test_a_new_thing_shared_with_a_seed_lowers_nobody(
    edges: list[tuple[int, int]], priors: list[float], candidate: int, coupling: float
) -> None:
    """Node 0 is the seed, the last one the new address."""
    fixed = np.arange(NODES) == 0
    known = np.array([4.0, *priors[1:], 0.0])
    before = propagate(
        graph_of(edges, [0.4] * len(edges)), known, fixed, rounds=300, tolerance=1e-6
    )
    more = [*edges, (0, NODES - 1), (candidate, NODES - 1)]

    after = propagate(
        graph_of(more, [0.4] * len(edges) + [coupling] * 2),
        known,
        fixed,
        rounds=300,
        tolerance=1e-6,
    )

    if before.converged and after.converged:
        assert (after.odds >= before.odds - 1e-3)[:-1].all()


def test_what_is_not_joined_keeps_its_prior() -> None:
    found = propagate(graph_of([(0, 1)], [0.5]), np.linspace(-3, 3, NODES), FREE)

    assert found.odds[2:] == pytest.approx(np.linspace(-3, 3, NODES)[2:])
    assert propagate(graph_of([], []), np.zeros(NODES), FREE).converged


def test_it_says_that_it_did_not_settle_and_stays_finite() -> None:
    edges = [(a, b) for a in range(NODES) for b in range(a)]

    found = propagate(
        graph_of(edges, [0.9] * len(edges)), np.linspace(-1, 1.2, NODES), FREE, rounds=2
    )

    assert not found.converged
    assert found.rounds == 2
    assert np.isfinite(found.odds).all()
    chances = found.chances()
    assert ((chances >= 0) & (chances <= 1)).all()


def test_a_crowd_of_sure_neighbours_does_not_overflow() -> None:
    edges = [(0, node) for node in range(1, 3000)]
    priors = np.full(3000, 20.0)
    priors[0] = 0.0

    found = propagate(
        graph_of(edges, [0.9] * len(edges), 3000), priors, np.arange(3000) > 0, inertia=0.0
    )

    assert found.odds[0] == pytest.approx(2999 * 2 * np.arctanh(0.9 * np.tanh(10)), rel=1e-4)


def test_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    graph = Neighbours.of(
        300, rng.integers(0, 300, 900), rng.integers(0, 300, 900), 0.2 * rng.random(900)
    )
    priors, fixed = rng.normal(0, 1, 300), np.zeros(300, dtype=np.bool_)
    alone = propagate(graph, priors, fixed)
    monkeypatch.setattr(module, "_PART", 16)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(5))

    together = propagate(graph, priors, fixed)

    assert together.odds.tobytes() == alone.odds.tobytes()

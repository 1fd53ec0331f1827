from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.infrastructure import neighbours as module
from remnant.infrastructure.neighbours import Neighbours, in_parts, steps_from

EDGES = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    max_size=30,
)


def sorted_edges(edges: list[tuple[int, int, float]], nodes: int = 10) -> Neighbours:
    columns = list(zip(*edges, strict=True)) or [(), (), ()]
    return Neighbours.of(
        nodes, np.array(columns[0], np.int64), np.array(columns[1], np.int64), np.array(columns[2])
    )


@settings(deadline=None)
@given(EDGES)
def test_it_is_the_symmetric_matrix(edges: list[tuple[int, int, float]]) -> None:
    expected = np.zeros((10, 10))
    for tail, head, value in edges:
        if tail != head:
            expected[tail, head] += value
            expected[head, tail] += value

    found = sorted_edges(edges)

    dense = np.zeros((10, 10))
    for node in range(10):
        first, after = found.starts[node], found.starts[node + 1]
        assert (np.diff(found.others[first:after]) > 0).all()
        dense[node, found.others[first:after]] = found.values[first:after]
    assert np.array_equal(dense, expected)
    assert np.array_equal(found.sums(), expected.sum(axis=1))


@settings(deadline=None)
@given(EDGES)
def test_each_entry_knows_the_other_end(edges: list[tuple[int, int, float]]) -> None:
    found = sorted_edges(edges)

    rows = np.repeat(np.arange(10), np.diff(found.starts))
    assert np.array_equal(rows[found.backward], found.others)
    assert np.array_equal(found.others[found.backward], rows)


@settings(deadline=None)
@given(EDGES, st.randoms())
def test_the_order_of_the_edges_does_not_change_a_bit(
    edges: list[tuple[int, int, float]], random: object
) -> None:
    shuffled = sorted(edges, key=lambda _: random.random())  # type: ignore[attr-defined]
    turned = [(head, tail, value) for tail, head, value in shuffled]

    one, other = sorted_edges(edges), sorted_edges(turned)

    for name in ("starts", "others", "values", "backward"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize(
    ("tails", "heads", "values"),
    [
        ([0, 1], [1], [1.0, 1.0]),
        ([0], [3], [1.0]),
        ([-1], [0], [1.0]),
        ([0], [1], [-1.0]),
        ([0], [1], [np.nan]),
        ([0], [1], [np.inf]),
    ],
)
def test_edges_that_are_none_are_refused(
    tails: list[int], heads: list[int], values: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"length|not there|below 0"):
        Neighbours.of(3, np.array(tails), np.array(heads), np.array(values))


@settings(deadline=None)
@given(EDGES, st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_steps_are_the_shortest_ways_that_cross_nothing_closed(
    edges: list[tuple[int, int, float]], sources: set[int], closed: set[int]
) -> None:
    found = sorted_edges(edges)
    barred = np.zeros(10, dtype=np.bool_)
    barred[list(closed)] = True

    steps = steps_from(found, np.array(sorted(sources), np.int64), barred)

    expected = [0 if node in sources else -1 for node in range(10)]
    for step in range(10):
        for node in range(10):
            if expected[node] == step and node not in closed:
                for other in found.at(node).tolist():
                    if expected[other] < 0:
                        expected[other] = step + 1
    assert steps.tolist() == expected


def test_parts_cover_all_nodes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PART", 4)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(3))
    found = sorted_edges([(a, b, 1.0) for a in range(10) for b in range(a)])
    parts: list[tuple[int, int]] = []

    in_parts(found, lambda first, after: parts.append((first, after)))

    assert len(parts) == 3
    assert sorted(node for part in parts for node in range(*part)) == list(range(10))

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.infrastructure.clusters import neighbours
from remnant.infrastructure.placing import free_places, pack, separate, stress


def distances(places: Any) -> Any:
    return np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))


@pytest.mark.parametrize("count", [30, 600])
def test_distance_on_paper_is_distance_along_a_ring(count: int) -> None:
    at = np.arange(count)
    starts, others, _ = neighbours(count, at, (at + 1) % count, np.ones(count))
    places = stress(starts, others, np.full(others.size, 3.0))
    steps = np.hypot(*(places - np.roll(places, 1, axis=0)).T)

    assert steps.std() / steps.mean() < 0.1
    apart = distances(places)
    assert apart[0, count // 2] > 0.6 * apart.max()


def test_parts_that_nothing_joins_are_placed_too() -> None:
    starts, others, _ = neighbours(4, np.array([0, 2]), np.array([1, 3]), np.ones(2))

    assert np.isfinite(stress(starts, others, np.full(others.size, 2.0))).all()
    assert stress(np.zeros(2, np.int64), others[:0], np.zeros(0)).tolist() == [[0.0, 0.0]]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(0, 1000))
def test_separate_leaves_no_overlap(count: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    places = np.round(draw.normal(size=(count, 2)), 1)  # some on top of each other
    radii = draw.uniform(0.5, 4.0, count)

    assert separate(places, radii, 0.5, 2000)
    apart = distances(places) - radii[:, None] - radii[None]
    np.fill_diagonal(apart, 1.0)
    assert apart.min() > 0.45


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 80), st.integers(0, 1000))
def test_packed_discs_do_not_overlap(count: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    radii = np.sort(draw.uniform(1, 20, count))[::-1].copy()
    ends = draw.integers(0, count, (2, count))
    starts, others, weights = neighbours(count, ends[0], ends[1], np.ones(count))
    places = pack(radii, starts, others, weights, 2.0, 1.4)
    apart = distances(places) - radii[:, None] - radii[None]
    np.fill_diagonal(apart, 9.0)

    assert apart.min() > 1.9


def test_joined_discs_lie_nearer_than_others() -> None:
    count = 60
    radii = np.full(count, 5.0)
    half = count // 2
    starts, others, weights = neighbours(
        count, np.arange(half), np.arange(half) + half, np.ones(half)
    )
    apart = distances(pack(radii, starts, others, weights, 2.0, 1.4))

    joined = np.array([apart[k, k + half] for k in range(half)])
    assert joined.mean() < 0.6 * apart[np.triu_indices(count, 1)].mean()


def test_new_nodes_take_the_nearest_free_place_and_old_ones_stay() -> None:
    places = np.zeros((200, 2))
    radii = np.ones(200)
    lies = np.zeros(200, np.bool_)
    lies[0] = True
    free_places(places, radii, lies, np.arange(1, 200), 0.2)
    apart = distances(places)
    np.fill_diagonal(apart, 9.0)

    assert places[0].tolist() == [0.0, 0.0]
    assert lies.all()
    assert apart.min() >= 2.2
    # 200 discs of radius 1.1, at a density of at least a third.
    assert np.hypot(*places.T).max() < 1.1 * np.sqrt(3 * 200)

"""The forward model against closed forms and against lookups as events."""

from __future__ import annotations

import numpy as np
import pytest

from campaigns.cache_events import let_through
from remnant.estimate.cache_model import (
    CacheModelError,
    Stream,
    behind,
    deterministic,
    farm_miss_rate,
    gamma,
    merged,
    poisson,
    shared_tree,
    through,
    uniform,
)


@pytest.mark.parametrize("load", [0.1, 1, 10, 100])
def test_poisson_is_the_closed_form(load: float) -> None:
    found = behind(poisson(0.01), load / 0.01)

    assert found.hit_ratio == pytest.approx(load / (1 + load), rel=1e-4)
    assert found.miss_rate == pytest.approx(0.01 / (1 + load), rel=2e-4)


@pytest.mark.parametrize(("ttl", "every"), [(50, 1), (100, 1), (101, 2), (250, 3), (999, 10)])
def test_a_beacon_is_seen_every_so_many_periods(ttl: float, every: int) -> None:
    assert behind(deterministic(100), ttl).miss_rate == pytest.approx(1 / (100 * every))


def gamma_gaps(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.gamma(0.5, 200, size)


def uniform_gaps(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.uniform(20, 180, size)


@pytest.mark.parametrize(
    ("stream", "gaps"), [(gamma(0.01, 0.5), gamma_gaps), (uniform(20, 180), uniform_gaps)]
)
def test_misses_are_those_of_events_within_one_percent(stream: Stream, gaps: object) -> None:
    rng = np.random.default_rng(2)
    times = np.cumsum(gaps(rng, (100, 4000)), 1)  # type: ignore[operator]
    shown, _ = let_through(np.repeat(np.arange(100), 4000), times.ravel(), 150.0)

    assert behind(stream, 150.0).miss_rate == pytest.approx(
        shown.size / times[:, -1].sum(), rel=0.01
    )


def test_misses_of_misses_are_within_five_percent() -> None:
    rng = np.random.default_rng(3)
    passed = []
    for _ in range(6):
        times = np.cumsum(rng.gamma(4.0, 25, 8000))
        passed.append(let_through(np.zeros(times.size, dtype=np.int64), times, 120.0)[1])
    end = min(times[-1] for times in passed)
    together = np.concatenate(passed)
    together = together[together < end]
    shown, _ = let_through(np.zeros(together.size, dtype=np.int64), together, 70.0)

    tree = behind(merged([through(gamma(0.01, 4), 120.0)] * 6), 70.0)

    assert tree.miss_rate == pytest.approx(shown.size / end, rel=0.05)


def test_a_tree_with_one_clock_misses_as_one_cache_does() -> None:
    rates = [0.001, 0.004, 0.02]
    root, children = shared_tree(rates, 300)

    assert root.miss_rate == pytest.approx(0.025 / (1 + 0.025 * 300), rel=1e-4)
    # Each round has at least one lookup of the tree, and a busy child is nearly always in it.
    assert children.sum() >= root.miss_rate
    assert children[2] == pytest.approx(root.miss_rate, rel=0.01)


def test_many_caches_hide_less() -> None:
    assert farm_miss_rate(1.0, 100, 1) < farm_miss_rate(1.0, 100, 4) < 1.0


def test_rates_that_are_none_are_refused() -> None:
    for wrong in (lambda: poisson(0), lambda: behind(poisson(1), -1), lambda: uniform(3, 2)):
        with pytest.raises(CacheModelError):
            wrong()

"""Capture and recapture: known answers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.estimate.capture_recapture import chapman, log_linear


def one(left: float, right: float, both: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([left]), np.array([right]), np.array([both])


def test_chapman_is_the_formula_of_the_book() -> None:
    found = chapman(*one(200, 150, 60))

    assert found is not None
    assert found.value == pytest.approx(201 * 151 / 61 - 1)
    assert found.seen == 290
    assert found.low < found.value < found.high


def test_too_few_at_both_conclude_nothing() -> None:
    assert chapman(*one(500, 400, 6)) is None


def test_small_strata_are_put_together_and_nobody_is_lost() -> None:
    left, right, both = (np.array(part, float) for part in ([200, 4, 5], [150, 3, 6], [60, 1, 2]))

    found = chapman(left, right, both)

    assert found is not None
    assert found.seen == left.sum() + right.sum() - both.sum()
    assert found.value > found.seen


def test_strata_that_differ_in_both_lists_are_not_pooled() -> None:
    # In one network nearly all are on both lists, in the other few: pooled they look alike.
    left, right, both = (np.array(part, float) for part in ([900, 200], [900, 200], [810, 40]))

    apart, pooled = chapman(left, right, both), chapman(*one(1100, 1100, 850))

    assert apart is not None
    assert pooled is not None
    assert apart.value == pytest.approx(1000 + 1000, rel=0.03)
    assert pooled.value < 1500


@given(st.integers(7, 500), st.integers(0, 500), st.integers(0, 500))
def test_the_limits_lie_around_the_estimate_and_never_below_what_was_seen(
    both: int, only_left: int, only_right: int
) -> None:
    found = chapman(*one(both + only_left, both + only_right, both))

    assert found is not None
    assert both + only_left + only_right == found.seen
    assert found.seen - 1e-6 <= found.low <= found.value + 1e-6
    assert found.value <= found.high + 1e-6


def test_a_dependent_pair_among_three_lists_is_found() -> None:
    rng = np.random.default_rng(7)
    first = rng.random(20_000) < 0.5
    second = rng.random(20_000) < np.where(first, 0.7, 0.3)
    third = rng.random(20_000) < 0.5
    table = np.zeros((2, 2, 2))
    np.add.at(table, (first.astype(int), second.astype(int), third.astype(int)), 1)

    found = log_linear(table, ("a", "b", "c"))

    assert found is not None
    assert "a with b" in found.model
    assert found.low <= 20_000 <= found.high
    assert found.value == pytest.approx(20_000, rel=0.05)


def test_an_empty_table_has_no_model() -> None:
    assert log_linear(np.zeros((2, 2, 2))) is None


def test_the_example_of_the_page_holds() -> None:
    told, refused = chapman(*one(200, 150, 60)), chapman(*one(200, 150, 40))

    assert told is not None
    assert (round(told.value, 1), round(told.low), round(told.high)) == (496.6, 431, 593)
    assert round(1 - told.seen / told.value, 2) == 0.42
    assert refused is not None
    assert (round(refused.value), round(1 - refused.seen / refused.value, 2)) == (739, 0.58)

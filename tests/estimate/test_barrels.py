"""Barrels against bots that are drawn one by one, and against sums that must hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.estimate.barrels import BARRELS, Barrel, BarrelError, Round, asked, lookups_made, meets


@st.composite
def rounds(draw: st.DrawFn) -> Round:
    names = draw(st.integers(1, 60))
    registered = draw(st.sets(st.integers(0, names - 1), max_size=5))
    barrel = draw(st.sampled_from(BARRELS))
    return Round.of(barrel, names, draw(st.integers(1, names)), sorted(registered))


def drawn(made: Round, bots: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """How often each name is asked for, and the lookups of each bot, bot by bot."""
    counts, numbers = np.zeros(made.names), []
    registered = set(made.registered.tolist())
    for _ in range(bots):
        if made.barrel == "uniform":
            order = np.arange(made.names)
        elif made.barrel == "random_cut":
            order = (rng.integers(made.names) + np.arange(made.names)) % made.names
        else:
            order = rng.permutation(made.names)
        number = 0
        for name in order[: made.lookups]:
            counts[name] += 1
            number += 1
            if int(name) in registered:
                break
        numbers.append(number)
    return counts / bots, np.array(numbers, dtype=np.float64)


@pytest.mark.parametrize("barrel", BARRELS)
@pytest.mark.parametrize("registered", [(), (0,), (3, 4, 17)])
def test_chances_are_those_of_bots_drawn_one_by_one(
    barrel: Barrel, registered: tuple[int, ...]
) -> None:
    made = Round.of(barrel, 20, 8, registered)
    counts, numbers = drawn(made, 4000, np.random.default_rng(5))

    chances = asked(made)
    mean, square = lookups_made(made)

    assert np.abs(counts - chances).max() < 0.04
    assert mean == pytest.approx(numbers.mean(), rel=0.03)
    assert square == pytest.approx((numbers**2).mean(), rel=0.05)


@given(rounds())
@settings(max_examples=100, deadline=None)
def test_chances_add_up_to_the_lookups_of_an_activation(made: Round) -> None:
    chances = asked(made)

    assert ((chances >= 0) & (chances <= 1 + 1e-12)).all()
    assert chances.sum() == pytest.approx(lookups_made(made)[0])


@given(rounds())
@settings(max_examples=50, deadline=None)
def test_a_bot_stops_at_most_once(made: Round) -> None:
    assert 0 <= meets(made, made.registered) <= 1
    assert asked(made)[made.registered].sum() <= 1 + 1e-9


@pytest.mark.parametrize(
    ("barrel", "names", "lookups", "registered"),
    [("spiral", 5, 2, ()), ("uniform", 5, 6, ()), ("uniform", 5, 0, ()), ("uniform", 5, 5, (5,))],
)
def test_numbers_that_describe_no_round_are_refused(
    barrel: Barrel, names: int, lookups: int, registered: tuple[int, ...]
) -> None:
    with pytest.raises(BarrelError):
        Round.of(barrel, names, lookups, registered)

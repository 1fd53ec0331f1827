"""Barrels: in which order a bot asks for its generated names, and so how often for each.

An *activation* is one round of a bot: it asks for names until one is registered, or until it has
asked for ``lookups`` of them. The four orders ("barrels") differ in how likely an activation asks
for a given name, and that probability is all that the estimators need.

References:
    Wang et al., BotMeter, ICDCS 2016 (a taxonomy of generated names).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from remnant.errors import RemnantError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["BARRELS", "Barrel", "BarrelError", "Round", "asked", "lookups_made", "meets"]

Barrel = Literal["uniform", "sampling", "random_cut", "permutation"]

BARRELS: Final[tuple[Barrel, ...]] = get_args(Barrel)
"""uniform: always the same order; sampling: a random subset; random_cut: in order from a random
start, and round; permutation: all names in random order."""


class BarrelError(RemnantError):
    """Numbers that describe no round of lookups."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one activation does.

    Attributes:
        barrel: the order.
        names: names of one epoch (theta), at least 1.
        lookups: most lookups of one activation (q), 1 to ``names``.
        registered: positions (0 to ``names`` - 1) of the names that are registered, by whomever;
            int64[R], sorted, without repetition.
    """

    barrel: Barrel
    names: int
    lookups: int
    registered: Ints

    @classmethod
    def of(cls, barrel: Barrel, names: int, lookups: int, registered: ArrayLike = ()) -> Round:
        """Return a round; positions may come in any order and repeat.

        Raises:
            BarrelError: an unknown barrel, or numbers out of range.
        """
        positions = np.unique(np.asarray(registered, dtype=np.int64).reshape(-1))
        if barrel not in BARRELS:
            raise BarrelError("no such barrel", got=str(barrel), expected=", ".join(BARRELS))
        if not 1 <= lookups <= names:
            raise BarrelError(
                "the lookups of an activation do not fit its names",
                got=f"{lookups} lookups, {names} names",
                expected="1 <= lookups <= names",
            )
        if positions.size and not 0 <= positions[0] <= positions[-1] < names:
            raise BarrelError(
                "a registered name is not among the names",
                got=f"positions {positions[0]} to {positions[-1]}",
                expected=f"0 to {names - 1}",
            )
        return cls(barrel, names, lookups, positions)


def asked(made: Round) -> Floats:
    """Return P(one activation asks for name j); float64[names].

    Exact, for registered and unregistered names. A bot stops at the first registered name, so the
    events "stops at name j" of the registered names exclude each other.

    >>> asked(Round.of("random_cut", 10, 4, [0])).round(1).tolist()
    [0.4, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]
    """
    if made.barrel == "uniform":
        last = made.lookups
        if made.registered.size:
            last = min(last, int(made.registered[0]) + 1)
        chances = np.zeros(made.names)
        chances[:last] = 1.0
        return chances
    if made.barrel == "random_cut":
        return np.minimum(_distances(made), made.lookups) / made.names
    chances = np.full(made.names, _sampled(made, made.registered.size))
    if made.registered.size:
        chances[made.registered] = _sampled(made, made.registered.size - 1)
    return chances


def meets(made: Round, positions: ArrayLike) -> float:
    """Return P(one activation asks for at least one of some names).

    Exact where the names are registered (a sinkhole's), or all names are meant. For other sets of
    unregistered names it is an upper bound: the sum of the single probabilities, at most 1.
    """
    chosen = np.unique(np.asarray(positions, dtype=np.int64))
    return float(min(1.0, asked(made)[chosen].sum()))


def lookups_made(made: Round) -> tuple[float, float]:
    """Return mean and mean square of the lookups of one activation (exact)."""
    if made.barrel == "uniform":
        number = asked(made).sum()
        return float(number), float(number**2)
    if made.barrel == "random_cut":
        # A start just after name j's predecessor, going on to the next registered name.
        to_next = _distances(made, forwards=True)
        number = np.minimum(to_next, made.lookups)
        return float(number.mean()), float((number**2).mean())
    # Q > i when none of the first i names was registered.
    i = np.arange(made.lookups, dtype=np.float64)
    more = _none_among(i, made.names, made.registered.size)
    return float(more.sum()), float(((2 * i + 1) * more).sum())


def _distances(made: Round, *, forwards: bool = False) -> Ints:
    """Return for each name how many starts reach it, going in order from a random one.

    Forwards: how many lookups a start at the name makes, its own and the last one counted.
    """
    names = np.arange(made.names)
    if not made.registered.size:
        return np.full(made.names, made.names)
    if forwards:
        after = np.searchsorted(made.registered, names)
        last = made.registered[after % made.registered.size]
        return (last - names) % made.names + 1
    before = np.searchsorted(made.registered, names) - 1
    previous = made.registered[before]
    distance = (names - previous) % made.names
    return np.where(distance == 0, made.names, distance)


def _sampled(made: Round, others: int) -> float:
    """Return P(a name is among those asked for) where ``others`` registered names end the round."""
    i = np.arange(made.lookups, dtype=np.float64)
    return float(_none_among(i, made.names - 1, others).sum() / made.names)


def _none_among(draws: Floats, names: int, registered: int) -> Floats:
    """Return P(no registered name among so many draws without replacement); float64[draws]."""
    from scipy.special import gammaln  # noqa: PLC0415 - heavy

    if not registered:
        return np.ones_like(draws)
    free = names - registered
    if free < 0:
        return np.zeros_like(draws)
    possible = draws <= free
    k = np.where(possible, draws, 0.0)
    log = gammaln(free + 1) - gammaln(free - k + 1) - gammaln(names + 1) + gammaln(names - k + 1)
    return np.where(possible, np.exp(log), 0.0)

"""Campaign: bots of a DGA behind a caching resolver, and a sinkhole with part of the names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from campaigns.cache_events import let_through
from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from remnant.estimate.barrels import Round, asked
from remnant.estimate.dga_population import Seen, of_unit
from remnant.estimate.sinkhole_share import share_of_names, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate.barrels import Barrel

    Ints = NDArray[np.int64]

__all__ = ["campaign"]

_DAY: Final = 86_400.0
_SOURCE: Final = "exposure estimator, first trials: their error and a fifth"

# Names a day, registered, lookups of an activation; errors of the first trials at 16, 64, 256 bots,
# for a TTL of two hours and of a quarter.
_BARRELS: Final[dict[Barrel, tuple[int, int, int, tuple[float, ...], tuple[float, ...]]]] = {
    "uniform": (1000, 1, 1000, (0.29, 0.20, 0.23), (0.08, 0.08, 0.08)),
    "sampling": (50_000, 5, 500, (0.03, 0.014, 0.007), (0.03, 0.014, 0.007)),
    "random_cut": (10_000, 5, 500, (0.08, 0.05, 0.04), (0.06, 0.03, 0.02)),
    "permutation": (2048, 2, 2048, (0.18, 0.12, 0.08), (0.15, 0.08, 0.05)),
}
_REPEATS: Final = {16: 1500, 64: 500, 256: 200}


def campaign() -> Campaign:
    """Return the campaign."""
    cells = []
    for barrel, (_, _, _, long, short) in _BARRELS.items():
        for ttl, words, errors in ((7200.0, "2 h", long), (900.0, "15 min", short)):
            for bots, error in zip(_REPEATS, errors, strict=True):
                goals = (
                    Goal("mare", at_most=round(1.2 * error, 4), source=_SOURCE),
                    Goal("coverage", at_least=0.93, source="an interval of 95 %"),
                )
                label = {"barrel": barrel, "bots": str(bots), "TTL": words, "share seen": "all"}
                repeats = 5000 if barrel == "uniform" else _REPEATS[bots]
                cells.append(Cell(label, repeats, partial(_behind, barrel, bots, ttl), goals=goals))
    for barrel, owned in (("sampling", 1), ("sampling", 50), ("random_cut", 5)):
        label = {"barrel": barrel, "bots": "20000", "TTL": "-", "share seen": f"{owned} names"}
        cells.append(
            Cell(
                label,
                5000,
                partial(_partial, barrel, owned, 20_000),
                goals=(
                    Goal("bias", at_most=0.01, source="as behind one cache"),
                    Goal("coverage", at_least=0.93, at_most=0.97, source="an interval of 95 %"),
                ),
            )
        )
    return Campaign(
        name="dga_bots",
        title="Bots of a DGA behind caches",
        text=(
            "So many bots use one resolver for a day. Each starts one activation at a random "
            "moment, asks for names in the order of its barrel until one is registered (which ones "
            "are is drawn anew each time), and the resolver keeps each answer for the TTL. The "
            "estimator saw the lookups that got past the cache, the TTL, the barrel and which "
            "names were registered.\n\n"
            "Last rows: a sinkhole owns some of the names, nobody owns another, and counts the "
            "bots that reach it; the estimator divides by the share that meets one of its names."
        ),
        metrics=("bias", "mare", "coverage"),
        cells=tuple(cells),
        anchor=(
            "none that can be compared: BotMeter (Wang et al., ICDCS 2016) has an error table, "
            "which was not at hand."
        ),
        small=(0, 6, 12, 18, 24),
    )


def _activation(rng: np.random.Generator, made: Round, taken: NDArray[np.bool_]) -> Ints:
    """Return the names that one bot asks for, in its order."""
    if made.barrel == "uniform":
        order = np.arange(made.lookups)
    elif made.barrel == "random_cut":
        order = (rng.integers(made.names) + np.arange(made.lookups)) % made.names
    elif made.barrel == "permutation":
        order = rng.permutation(made.names)
    else:
        order = rng.choice(made.names, made.lookups, replace=False, shuffle=True)
    met = np.flatnonzero(taken[order])
    return order[: met[0] + 1] if met.size else order


def _behind(
    barrel: Barrel, bots: int, ttl: float, rng: np.random.Generator, repeats: int
) -> Outcomes:
    names, registered, lookups, *_ = _BARRELS[barrel]
    found = np.empty((3, repeats))
    for repeat in range(repeats):
        owned = rng.choice(names, registered, replace=False)
        made = Round.of(barrel, names, lookups, owned)
        taken = np.zeros(names, dtype=np.bool_)
        taken[owned] = True
        starts = rng.uniform(0, _DAY, bots)
        if barrel == "uniform":
            # All bots ask for the same names at once: one name stands for all of them.
            number = int((~taken[_activation(rng, made, taken)]).sum())
            _, times = let_through(np.zeros(bots, dtype=np.int64), starts, ttl)
            held = np.minimum(ttl, _DAY - times).sum()
            seen = Seen(times.size * number, number * (_DAY - held), number * _DAY)
            if not number:
                seen = Seen(0, 0, 0)
        else:
            rounds = [_activation(rng, made, taken) for _ in range(bots)]
            items = np.concatenate(rounds)
            times = np.repeat(starts, [one.size for one in rounds])
            free = ~taken[items]
            items, times = let_through(items[free], times[free], ttl)
            chances = asked(made)
            full = chances[~taken].sum() * _DAY
            held = (chances[items] * np.minimum(ttl, _DAY - times)).sum()
            seen = Seen(items.size, full - held, full)
        answer = of_unit(seen, made, _DAY)
        found[:, repeat] = answer.value, answer.low, answer.high
    return Outcomes(
        truth=np.full(repeats, float(bots)), value=found[0], low=found[1], high=found[2]
    )


def _partial(
    barrel: Barrel, owned: int, bots: int, rng: np.random.Generator, repeats: int
) -> Outcomes:
    names, _, lookups, *_ = _BARRELS[barrel]
    found = np.empty((3, repeats))
    for repeat in range(repeats):
        owns = np.sort(rng.choice(names, owned, replace=False))
        if barrel == "sampling":
            reached = int((rng.hypergeometric(owned, names - owned, lookups, bots) > 0).sum())
        else:
            start = rng.integers(0, names, bots)
            after = owns[np.searchsorted(owns, start) % owned]
            reached = int(((after - start) % names < lookups).sum())
        share = share_of_names(Round.of(barrel, names, lookups, owns), owns)
        answer = whole(float(reached), share)
        found[:, repeat] = answer.value, answer.low, answer.high
    return Outcomes(
        truth=np.full(repeats, float(bots)), value=found[0], low=found[1], high=found[2]
    )

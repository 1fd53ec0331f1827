"""Personalised PageRank: where a surfer is who starts at the seeds and follows shared things.

At each step the surfer goes on with chance ``damping``, else starts again at a seed. From node i it
goes to its neighbour j with chance w(i, j) / max(room(i), sum of w(i, .)); where that adds up to
less than 1, for the rest it starts again too. At a hub it always starts again: nothing passes.

The room is what makes this walk one for infrastructures. A thing with many known neighbours, of
which the map holds few, passes each of them a small part only; and a name whose edges fill less
than its room loses nothing by one edge more, so evidence adds up.

Sources: Page, Brin, Motwani and Winograd, The PageRank Citation Ranking, Stanford 1999 (the walk,
the personal start); Haveliwala, Topic-Sensitive PageRank, WWW 2002, and Jeh and Widom, Scaling
Personalized Web Search, WWW 2003 (a set of starts). With sums of w that fill every room this is
theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.infrastructure.neighbours import in_parts
from remnant.wire import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.infrastructure.neighbours import Floats, Neighbours, Numbers, Rows, Singles

__all__ = ["DAMPING", "Walk", "walk"]

DAMPING: Final = 0.85
"""The chance of going on: that of Page et al., on which later work mostly stays."""

_TOLERANCE: Final = 1e-6
_ROUNDS: Final = 100


@dataclass(frozen=True, slots=True)
class Walk:
    """Where the surfer is.

    Attributes:
        ranks: the share of time at each node: float64[nodes], summing to one; all 0 without a seed.
        visits: visits to each node before the surfer first starts again, added up over one start
            from each seed: float64[nodes]; proportional to ``ranks``.
        rounds: how often the vector was multiplied.
        error: bound of the sum of the absolute errors of ``ranks``, but for rounding.
        converged: whether the bound is below the tolerance.
    """

    ranks: Floats
    visits: Floats
    rounds: int
    error: float
    converged: bool


def walk(
    neighbours: Neighbours,
    seeds: Rows,
    hubs: npt.NDArray[np.bool_],
    *,
    room: Floats | None = None,
    damping: float = DAMPING,
    tolerance: float = _TOLERANCE,
    rounds: int = _ROUNDS,
) -> Walk:
    """Return the ranks of all nodes. The same input gives the same bits.

    Visits solve x = start + damping P'x. As edges have no direction, the eigenvalues of P are real
    and lie in [-1, 1], so that Chebyshev's semi-iteration (Golub and Varga 1961) applies: it
    divides the error by 1.8 in each round, where power iteration divides by 1.2.

    Args:
        neighbours: the graph, with the weights of its edges.
        seeds: where the surfer starts, with the same chance each: int64[seeds].
        hubs: nodes that pass nothing on: bool[nodes].
        room: the sum of weights up to which the edges of a node do not share: float64[nodes];
            null: none, as in the papers.
        damping: the chance of going on.
        tolerance: when to stop: the bound of the error.
        rounds: when to stop at the latest.
    """
    nodes = len(neighbours)
    start = np.zeros(nodes)
    chosen = np.unique(seeds)
    start[chosen] = 1.0
    none = np.zeros(nodes)
    if not chosen.size:
        return Walk(none, none, 0, 0.0, converged=True)
    sums = neighbours.sums()
    if room is not None:
        np.maximum(sums, room, out=sums)
    passed = np.divide(damping, sums, out=np.zeros(nodes), where=(sums > 0) & ~hubs)
    visits, before = start.copy(), np.zeros(nodes)
    left, offered = np.empty(nodes), np.empty(nodes)
    done, error, pace = 0, np.inf, 1.0
    while True:
        np.multiply(visits, passed, out=offered)

        def part(first: int, after: int) -> None:
            _step(
                neighbours.starts,
                neighbours.others,
                neighbours.values,
                offered,
                start,
                visits,  # noqa: B023 - the call ends within the round
                before,  # noqa: B023
                left,
                pace,  # noqa: B023
                first,
                after,
            )

        in_parts(neighbours, part)
        # No sum of P'x is above that of x; twice, because the sum to divide by errs as well.
        error = 2 * float(left.sum()) / (1 - damping) / float(visits.sum())
        done += 1
        if error <= tolerance or done >= rounds:
            break
        visits, before = before, visits
        pace = 1 / (1 - damping**2 / 2) if done == 1 else 1 / (1 - damping**2 * pace / 4)
    # On its way the polynomial may dip below 0 by less than the error.
    np.maximum(visits, 0.0, out=visits)
    return Walk(visits / visits.sum(), visits, done, error, converged=error <= tolerance)


@compiled
def _step(
    starts: Rows,
    others: Numbers,
    weights: Singles,
    offered: Floats,
    start: Floats,
    visits: Floats,
    before: Floats,
    left: Floats,
    pace: float,
    first: int,
    after: int,
) -> None:
    """Collect what the neighbours offer to each node of a range; ``before`` becomes what follows.

    What is left to do at each node, the residual, is written as well.
    """
    for node in range(first, after):
        total = start[node]
        for entry in range(starts[node], starts[node + 1]):
            total += np.float64(weights[entry]) * offered[others[entry]]
        left[node] = abs(total - visits[node])
        before[node] += pace * (total - before[node])

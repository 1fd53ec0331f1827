"""Loopy belief propagation: each thing is malicious or not, and what is joined tends to be alike.

Every node has a prior, every edge a coupling t from 0 (says nothing) to below 1 (both ends are
alike for sure): the ends are alike with chance (1 + t) / 2. In log odds the message from j to i is

    m(j, i) = 2 atanh(t tanh((belief(j) - m(i, j)) / 2))

and belief(i) = prior(i) + the sum of the messages to i. All messages of a round are computed from
those of the round before; what a node takes in moves part of the way only (``inertia``).

On a tree the beliefs become the exact marginals (Pearl, Reverend Bayes on Inference Engines, AAAI
1982); with loops evidence comes round and is counted again, so they are too sure: good for an
order, not as probabilities (Yedidia, Freeman and Weiss, Understanding Belief Propagation and its
Generalizations, 2003). Used on machines and files by Chau et al. (Polonium, SDM 2011) and on hosts
and domains by Manadhata, Yadav, Rao and Horne (ESORICS 2014).
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

__all__ = ["SURE", "Beliefs", "propagate"]

SURE: Final = 20.0
"""Log odds of what is taken as known: a chance of 2e-9 to be otherwise."""

_ROUNDS: Final = 60
_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of each node.

    Attributes:
        odds: log odds of being malicious: float64[nodes].
        rounds: rounds that were made.
        change: the largest relative change of the odds of a message in the last round.
        converged: whether it is below the tolerance. If not, ``odds`` are those of the last round.
    """

    odds: Floats
    rounds: int
    change: float
    converged: bool

    def chances(self) -> Floats:
        """Return the beliefs from 0 to 1: float64[nodes]."""
        return np.asarray(0.5 * (1 + np.tanh(self.odds / 2)))


def propagate(
    neighbours: Neighbours,
    priors: Floats,
    fixed: npt.NDArray[np.bool_],
    *,
    inertia: float = 0.1,
    rounds: int = _ROUNDS,
    tolerance: float = _TOLERANCE,
) -> Beliefs:
    """Return the beliefs of all nodes. The same input gives the same bits.

    Args:
        neighbours: the graph; its values are couplings as atanh(t), which add up for parallel
            edges.
        priors: log odds of each node before any neighbour is asked: float64[nodes].
        fixed: nodes whose neighbours cannot change what is believed of them: bool[nodes].
        inertia: how much of a message stays in each round, 0 to below 1.
        rounds: when to stop at the latest.
        tolerance: when to stop: the largest relative change of the odds of a message.
    """
    entries = int(neighbours.starts[-1])
    couplings = np.tanh(neighbours.values, dtype=np.float32)
    held, fresh, following = (np.ones(entries, np.float32) for _ in range(3))
    odds, changes = priors.astype(np.float64), np.zeros(len(neighbours), np.float32)
    done, change = 0, np.inf if entries else 0.0
    while change > tolerance:
        last = done >= rounds

        def part(first: int, after: int) -> None:
            _round(
                neighbours.starts,
                neighbours.backward,
                couplings,
                priors,
                fixed,
                np.float32(inertia if done else 0.0),  # noqa: B023 - the call ends in the round
                held,
                fresh,  # noqa: B023
                following,  # noqa: B023
                odds,
                changes,
                first,
                after,
            )

        in_parts(neighbours, part)
        if last:
            break
        fresh, following = following, fresh
        # In the first round nothing was heard yet.
        change = float(changes.max()) if done else np.inf
        done += 1
    return Beliefs(odds, done, change, converged=change <= tolerance)


@compiled
def _round(
    starts: Rows,
    backward: Numbers,
    couplings: Singles,
    priors: Floats,
    fixed: npt.NDArray[np.bool_],
    inertia: np.float32,
    held: Singles,
    fresh: Singles,
    following: Singles,
    odds: Floats,
    changes: Singles,
    first: int,
    after: int,
) -> None:
    """Take in the messages to each node of a range, add them up, and write its own.

    Messages are odds, not their logarithms: their product, which is scaled before it overflows,
    spares a logarithm and a hyperbolic tangent for each.
    """
    one = np.float32(1.0)
    for node in range(first, after):
        total, product, largest = priors[node], 1.0, np.float32(0.0)
        for entry in range(starts[node], starts[node + 1]):
            heard = held[entry] * inertia + fresh[entry] * (one - inertia)
            largest = max(largest, abs(heard / held[entry] - one))
            held[entry] = heard
            product *= np.float64(heard)
            if not 1e-200 < product < 1e200:
                total += np.log(product)
                product = 1.0
        total = priors[node] if fixed[node] else total + np.log(product)
        odds[node], changes[node] = total, largest
        # A message is at most (1 + t) / (1 - t): beyond these odds it no longer depends on them.
        ratio = np.exp(min(max(total, -60.0), 60.0))
        for entry in range(starts[node], starts[node + 1]):
            cavity = ratio if fixed[node] else ratio / np.float64(held[entry])
            strong, weak = 1.0 + couplings[entry], 1.0 - couplings[entry]
            following[backward[entry]] = (strong * cavity + weak) / (weak * cavity + strong)

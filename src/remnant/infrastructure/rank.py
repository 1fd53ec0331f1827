"""Which things of a map are most closely joined to the seeds, and why.

Two measures that err differently are taken together. The walk (``walk``) asks how easily one gets
from the seeds to a thing; belief propagation (``belief``) asks what all its neighbours say, those
too that seem innocent. The score is the geometric mean of the two, each brought to 0 to 1:

    near  = visits / (visits + UNIT)
    alike = 1 / (1 + exp(prior - belief))     in log odds: what the neighbours added to the prior
    score = sqrt(near * alike)

A score gives an order. It is no probability, and scores of different maps are not comparable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.infrastructure.belief import propagate
from remnant.infrastructure.neighbours import Neighbours, steps_from
from remnant.infrastructure.reasons import Explainer
from remnant.infrastructure.relations import ROOM, Relations, texts, words
from remnant.infrastructure.walk import DAMPING, walk

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from remnant.infrastructure.belief import Beliefs
    from remnant.infrastructure.graph import Graph
    from remnant.infrastructure.neighbours import Floats
    from remnant.infrastructure.walk import Walk
    from remnant.windows import Window

__all__ = ["CANDIDATES", "LISTED", "UNIT", "Candidate", "Ranking", "candidates", "ranking"]

CANDIDATES: Final = ("name", "domain", "address", "name_server")
"""Kinds that can be candidates."""

LISTED: Final = ("name", "domain", "name_server")
"""Kinds that are listed if no others are asked for. Addresses that seeds led to are no news, and
fill a list; those that candidates led to say nothing that the candidates do not."""

UNIT: Final = DAMPING**2 / (2 * ROOM)
"""Visits by way of one address that is shared with one seed, and with nobody else."""

_SEED: Final = float(np.log(99))
"""Log odds of a seed: one in a hundred published indicators is taken to be wrong."""

_BENIGN: Final = -_SEED
_NAME: Final = -0.2
"""Log odds of an unknown name or domain: a little more likely innocent, so that a crowd counts. All
else is what those who use it are: 0."""

_DIGITS: Final = 6
_ALSO: Final = 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """A thing that may belong to the botnet.

    Attributes:
        node: its number on the map.
        kind: one of CANDIDATES.
        value: folded name or canonical address, plain: to be escaped where it is shown.
        score: 0 to below 1, of this map alone; an order, not a probability.
        ppr: its share of the walk's time, of all things on the map.
        belief: what belief propagation makes of it, 0 to 1; too sure, as it counts loops twice.
        reasons: sentences, the strongest first.
        paths: for each reason the way from a seed to it, as values.
        also: its registered domain and names below that, for which it stands, sorted; at most 20.
    """

    node: int
    kind: str
    value: str
    score: float
    ppr: float
    belief: float
    reasons: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    also: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what is listed of it, as plain data."""
        return {
            "kind": self.kind,
            "value": self.value,
            "score": self.score,
            "reasons": list(self.reasons),
            "also": list(self.also),
        }


@dataclass(frozen=True, slots=True)
class Ranking:
    """The scores of all things on a map.

    Attributes:
        graph: the map, of the window alone if there was one.
        relations: what joins its things. Nodes of one holding are ranked as one: what follows
            stands at the number of the holding.
        neighbours: the same as a graph, with the weights of the walk.
        walk: personalised PageRank.
        beliefs: belief propagation; not connected things keep their prior.
        scores: float64[nodes]; 0 where nothing leads from a seed.
    """

    graph: Graph
    relations: Relations
    neighbours: Neighbours
    walk: Walk
    beliefs: Beliefs
    scores: Floats

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what did not work out."""
        found = []
        if not self.graph.seeds.size:
            found.append("no seed of the case is on the map: nothing is ranked")
        if not self.walk.converged:
            found.append(
                f"the walk was stopped after {self.walk.rounds} rounds; its ranks may err by "
                f"{self.walk.error:.0e} in sum"
            )
        if not self.beliefs.converged:
            found.append(
                f"belief propagation had not settled after {self.beliefs.rounds} rounds (odds "
                f"still moved by {100 * self.beliefs.change:.1f} %): the beliefs of the last round "
                "are used"
            )
        return tuple(found)

    def best(self, limit: int = 50, kinds: Collection[str] = LISTED) -> list[Candidate]:
        """Return the candidates with the highest scores, the best first, equal ones by value.

        Seeds, hubs and sinkholes are none, nor what shares the registered domain of a seed: who
        holds the seed knows of it. Of each other domain one thing stands for all.

        Args:
            limit: at most so many.
            kinds: which kinds of things, of CANDIDATES.
        """
        holding = self.relations.holding
        names, codes = words(self.graph.nodes["kind"])
        wanted = np.array([False, *(kind in kinds for kind in names)])[codes + 1]
        wanted &= ~self.graph.hubs & self._speakers()
        wanted &= ~np.isin(holding, self.relations.seeds)
        rounded = np.round(self.scores[holding], _DIGITS)
        wanted &= rounded > 0
        found: list[tuple[float, str, int, int]] = []
        asked = limit
        while asked > 0 and len(found) < limit:
            chosen = np.flatnonzero(wanted)
            if chosen.size > asked:
                # All that tie with the last are kept, so that values decide and not numbers.
                least = np.partition(rounded[chosen], chosen.size - asked)[chosen.size - asked]
                chosen = chosen[rounded[chosen] >= least]
            values = texts(self.graph.nodes["value"], chosen)
            scores = (-rounded[chosen]).tolist()
            rows = zip(scores, values, codes[chosen].tolist(), chosen.tolist(), strict=True)
            first: dict[int, tuple[float, str, int, int]] = {}
            for row in sorted(rows):
                first.setdefault(int(self.relations.family[row[3]]), row)
            found = list(first.values())[:limit]
            if chosen.size == np.count_nonzero(wanted):
                break
            asked *= 4
        top = np.array([node for *_, node in found], np.int64)
        explained = Explainer(self.graph, self.relations, self.neighbours, self.walk.visits).of(top)
        chances = self.beliefs.chances()[holding[top]].tolist()
        also = self._also(top)
        return [
            Candidate(
                node=node,
                kind=names[code],
                value=value,
                score=-score,
                ppr=float(self.walk.ranks[holding[node]]),
                belief=round(chance, _DIGITS),
                reasons=tuple(reason for reason, _ in why),
                paths=tuple(path for _, path in why),
                also=others,
            )
            for (score, value, code, node), chance, why, others in zip(
                found, chances, explained, also, strict=True
            )
        ]

    def _speakers(self) -> npt.NDArray[np.bool_]:
        """Return the one node of each holding that is shown: where most comes in from the seeds."""
        relations, nodes = self.relations, len(self.graph)
        brought = np.zeros(nodes)
        tails, heads = self.graph.tails[relations.rows], self.graph.heads[relations.rows]
        visits = self.walk.visits / np.maximum(relations.known, 1.0)
        visits[relations.hubs] = 0.0
        brought += np.bincount(tails, relations.weights * visits[relations.heads], nodes)
        brought += np.bincount(heads, relations.weights * visits[relations.tails], nodes)
        # Of equals the domain itself, whose number is that of the holding; then the first by value.
        together = np.flatnonzero(
            np.bincount(relations.holding, minlength=nodes)[relations.holding] > 1
        )
        speakers = np.ones(nodes, dtype=np.bool_)
        speakers[together] = False
        values = pc.rank(
            self.graph.nodes["value"].take(pa.array(together, pa.int64())), tiebreaker="min"
        )
        order = np.lexsort(
            (
                values.to_numpy(),
                relations.holding[together] != together,
                -np.round(brought[together], 12),
                relations.holding[together],
            )
        )
        ordered = together[order]
        first = np.ones(ordered.size, dtype=np.bool_)
        first[1:] = relations.holding[ordered[1:]] != relations.holding[ordered[:-1]]
        speakers[ordered[first]] = True
        return speakers

    def _also(self, top: npt.NDArray[np.int64]) -> list[tuple[str, ...]]:
        """Return other names of the domains of some nodes, sorted."""
        family = self.relations.family
        members = np.flatnonzero(np.isin(family, family[top]))
        values = texts(self.graph.nodes["value"], members)
        found: dict[int, list[str]] = {}
        for place, value in zip(family[members].tolist(), values, strict=True):
            found.setdefault(place, []).append(value)
        own = texts(self.graph.nodes["value"], top)
        return [
            tuple(sorted(set(found[int(family[node])]) - {value})[:_ALSO])
            for node, value in zip(top, own, strict=True)
        ]


def candidates(
    graph: Graph,
    *,
    limit: int = 50,
    window: Window | None = None,
    kinds: Collection[str] = LISTED,
    benign: Collection[int] = (),
) -> list[Candidate]:
    """Return the things of a map that are most closely joined to its seeds, the best first.

    Args:
        graph: the map.
        limit: at most so many.
        window: only edges that were seen in it; null: all.
        kinds: which kinds of things, of CANDIDATES.
        benign: numbers of nodes that are known to be innocent: never candidates themselves.
    """
    return ranking(graph, window=window, benign=benign).best(limit, kinds)


def ranking(graph: Graph, *, window: Window | None = None, benign: Collection[int] = ()) -> Ranking:
    """Score all things of a map. The same map gives the same bits.

    Args:
        graph: the map.
        window: only edges that were seen in it; null: all.
        benign: numbers of nodes that are known to be innocent.
    """
    if window is not None:
        graph = graph.during(window)
    nodes, relations = len(graph), Relations.of(graph)
    tails, heads, hubs, seeds = relations.tails, relations.heads, relations.hubs, relations.seeds
    neighbours = Neighbours.of(nodes, tails, heads, relations.weights)
    room = np.where(relations.owners, ROOM, relations.known)
    fixed = np.zeros(nodes, dtype=np.bool_)
    fixed[relations.holding[np.fromiter(benign, np.int64)]] = True
    fixed[seeds] = False
    closed = hubs | fixed
    walked = walk(neighbours, seeds, closed, room=room)

    priors = np.where(fixed, _BENIGN, np.where(relations.owners, _NAME, 0.0))
    priors[seeds] = _SEED
    fixed[seeds] = True
    # What no seed reaches has nothing to say to what one reaches.
    reached = steps_from(neighbours, seeds, hubs) >= 0
    joins = ~(hubs[tails] | hubs[heads]) & reached[tails] & reached[heads]
    beliefs = propagate(
        Neighbours.of(nodes, tails[joins], heads[joins], relations.couplings[joins]), priors, fixed
    )
    near = walked.visits / (walked.visits + UNIT)
    alike = 0.5 * (1 + np.tanh((beliefs.odds - priors) / 2))
    scores = np.sqrt(near * alike)
    scores[closed & ~hubs] = 0.0
    return Ranking(graph, relations, neighbours, walked, beliefs, scores)

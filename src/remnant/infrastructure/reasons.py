"""Says why something is a candidate: what it shares with which seeds, and when.

Only the candidates that are shown are explained, each by joining its relations with those of the
seeds. Names are written as they are: who shows a reason escapes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from remnant.infrastructure.neighbours import steps_from
from remnant.infrastructure.relations import known_neighbours, words

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.infrastructure.graph import Graph
    from remnant.infrastructure.neighbours import Floats, Neighbours
    from remnant.infrastructure.relations import Relations

    Ints: TypeAlias = npt.NDArray[np.int64]
    Reason: TypeAlias = tuple[str, tuple[str, ...]]

__all__ = ["Explainer", "days"]

_REASONS: Final = 5
"""Most sentences for one candidate."""

_STEPS: Final = 12
"""Longest way that is told."""


@dataclass(frozen=True, slots=True)
class _Link:
    """A thing beside a candidate, and the seeds beside that thing."""

    weight: float
    sentence: str
    path: tuple[str, ...]


class Explainer:
    """Gives reasons on one map.

    Args:
        graph: the map.
        relations: its relations that join something.
        neighbours: the same as a graph.
        visits: how near each thing is to the seeds: float64[nodes].
    """

    def __init__(
        self, graph: Graph, relations: Relations, neighbours: Neighbours, visits: Floats
    ) -> None:
        self._graph = graph
        self._neighbours = neighbours
        self._visits = visits
        self._relations = relations
        self._known = known_neighbours(graph, relations.tails, relations.heads)
        self._seed = np.zeros(len(graph), dtype=np.bool_)
        self._seed[graph.seeds] = True
        self._kinds, self._kind = words(graph.nodes["kind"])
        self._types, codes = words(graph.edges["type"])
        self._type = codes[relations.rows]

    def of(self, nodes: Ints) -> list[list[Reason]]:
        """Return the reasons of some nodes, the strongest first: sentences, and ways from a seed."""
        if not nodes.size:
            return []
        own = self._ends(nodes)
        middles = np.unique(own[1])
        middles = middles[~self._seed[middles] & ~self._graph.hubs[middles]]
        theirs = self._ends(middles)
        kept = self._seed[theirs[1]]
        theirs = (theirs[0][kept], theirs[1][kept], theirs[2][kept])
        found = [self._links(int(node), own, theirs) for node in nodes]
        if any(not links for links in found):
            steps = steps_from(self._neighbours, self._graph.seeds, self._graph.hubs)
            for place, node in enumerate(nodes.tolist()):
                if not found[place]:
                    found[place] = self._far(node, steps)
        return found

    def _ends(self, nodes: Ints) -> tuple[Ints, Ints, Ints]:
        """Return (node, other end, relation) of the relations of some nodes, sorted by node."""
        wanted = np.zeros(len(self._graph), dtype=np.bool_)
        wanted[nodes] = True
        tails, heads = self._relations.tails, self._relations.heads
        out, back = np.flatnonzero(wanted[tails]), np.flatnonzero(wanted[heads])
        ends = np.concatenate([tails[out], heads[back]]).astype(np.int64)
        others = np.concatenate([heads[out], tails[back]]).astype(np.int64)
        edges = np.concatenate([out, back])
        order = np.lexsort((edges, others, ends))
        return ends[order], others[order], edges[order]

    def _links(
        self, node: int, own: tuple[Ints, Ints, Ints], theirs: tuple[Ints, Ints, Ints]
    ) -> list[Reason]:
        first, after = np.searchsorted(own[0], [node, node + 1]).tolist()
        links: list[_Link] = []
        others, edges = own[1][first:after], own[2][first:after]
        beside = self._seed[others]
        for kind in sorted({self._role(node, int(edge)) for edge in edges[beside]}):
            chosen = np.array(
                [
                    bool(at_seed) and self._role(node, int(edge)) == kind
                    for edge, at_seed in zip(edges, beside, strict=True)
                ]
            )
            links.append(self._direct(node, kind, others[chosen], edges[chosen]))
        for other, edge in zip(others[~beside].tolist(), edges[~beside].tolist(), strict=True):
            low, high = np.searchsorted(theirs[0], [other, other + 1]).tolist()
            if high > low:
                links.append(self._shared(node, other, edge, theirs[1][low:high], theirs[2][low:high]))
        links.sort(key=lambda link: (-link.weight, link.sentence))
        return [(link.sentence, link.path) for link in links[:_REASONS]]

    def _role(self, node: int, edge: int) -> str:
        """Return the type of an edge as its node sees it: ``-`` before it where it points here."""
        incoming = int(self._relations.heads[edge]) == node
        return ("-" if incoming else "") + self._types[int(self._type[edge])]

    def _direct(self, node: int, role: str, seeds: Ints, edges: Ints) -> _Link:
        """Say that seeds stand beside a candidate."""
        who = self._who(np.unique(seeds))
        when = self._seen(edges)
        one = np.unique(seeds).size == 1
        text = {
            "resolves_to": f"led to the address {who}",
            "-resolves_to": f"{who} led to it",
            "alias_of": f"is an alias of {who}",
            "-alias_of": f"{who} {'is an alias' if one else 'are aliases'} of it",
            "below": f"is below {who}",
            "-below": f"{who} {'is' if one else 'are'} below it",
            "served_by": f"is served by {who}",
            "-served_by": f"serves {who}",
            "mail_by": f"has its mail taken by {who}",
            "-mail_by": f"takes the mail of {who}",
        }.get(role, f"is joined to {who} ({role.removeprefix('-')})")
        weight = float(self._relations.weights[edges].sum())
        return _Link(weight, f"{text}{when}", (self._value(int(seeds[0])), self._value(node)))

    def _shared(self, node: int, other: int, edge: int, seeds: Ints, edges: Ints) -> _Link:
        """Say what a candidate and seeds have in common."""
        relations = self._relations
        start = np.maximum(relations.first[edges], relations.first[edge])
        end = np.minimum(relations.last[edges], relations.last[edge])
        # Times that are not stated compare false: such seeds count as having been there.
        apart = start > end
        thing = self._thing(self._role(node, edge), other)
        crowd = int(self._known[other]) - np.unique(seeds).size - 1
        weight = float(
            relations.weights[edge]
            * relations.weights[edges].sum()
            / max(float(self._known[other]), 1.0)
        )
        if bool(apart.all()):
            who = self._who(np.unique(seeds))
            text = (
                f"had {thing}{self._seen(np.array([edge]))}, but never while {who} did"
                f"{self._seen(edges)}: a weak link"
            )
        else:
            met = np.unique(seeds[~apart])
            when = _period(start[~apart], end[~apart])
            text = f"shares {thing} with {self._who(met)}{when}"
            gone = np.unique(seeds[apart])
            gone = gone[~np.isin(gone, met)]
            if gone.size:
                text += f" (and with {self._count(gone.size)} at other times)"
        if crowd > 0:
            text += f"; {crowd:,} {'other is' if crowd == 1 else 'others are'} known there"
        seed = int(seeds[~apart][0] if not bool(apart.all()) else seeds[0])
        path = (self._value(seed), self._value(other), self._value(node))
        return _Link(weight, text, path)

    def _thing(self, role: str, other: int) -> str:
        value = self._value(other)
        return {
            "served_by": f"the name server {value}",
            "mail_by": f"the mail exchanger {value}",
            "below": f"the domain {value}",
            "alias_of": f"the alias target {value}",
            "in_prefix": f"the network {value}",
        }.get(role, value)

    def _far(self, node: int, steps: npt.NDArray[np.int32]) -> list[Reason]:
        """Tell a shortest way from a seed, over the things that the walk visits most."""
        if steps[node] <= 0:
            return []
        way = [node]
        while steps[way[-1]] > 0 and len(way) <= _STEPS:
            beside = self._neighbours.at(way[-1])
            nearer = beside[(steps[beside] == steps[way[-1]] - 1) & ~self._graph.hubs[beside]]
            if not nearer.size:
                return []
            way.append(int(nearer[np.argmax(self._visits[nearer])]))
        path = tuple(self._value(one) for one in reversed(way))
        if steps[way[-1]] > 0:
            return [(f"is {int(steps[node])} steps from the nearest seed", path)]
        through = ", ".join(self._label(one) for one in way[1:-1])
        who = self._who(np.array(way[-1:]))
        return [(f"is {int(steps[node])} steps from {who}, by way of {through}", path)]

    def _label(self, node: int) -> str:
        kind = self._kinds[int(self._kind[node])].replace("_", " ")
        return f"the {kind} {self._value(node)}"

    def _value(self, node: int) -> str:
        return str(self._graph.nodes["value"][node].as_py())

    def _who(self, seeds: Ints) -> str:
        if seeds.size == 1:
            return f"the seed {self._value(int(seeds[0]))}"
        return self._count(int(seeds.size))

    @staticmethod
    def _count(seeds: int) -> str:
        return f"{seeds:,} seed{'s' if seeds != 1 else ''}"

    def _seen(self, edges: Ints) -> str:
        return _period(self._relations.first[edges], self._relations.last[edges])


def _period(first: npt.NDArray[np.datetime64], last: npt.NDArray[np.datetime64]) -> str:
    """Return ``, 2-9 April 2015``: from the first to the last; empty where nothing is dated."""
    known = ~np.isnat(first) & ~np.isnat(last)
    if not known.any():
        return ""
    return f", {days(first[known].min(), last[known].max())}"


def days(first: Any, last: Any) -> str:
    """Return a period in words, UTC.

    >>> days(np.datetime64("2015-04-02"), np.datetime64("2015-04-09"))
    '2-9 April 2015'
    >>> days(np.datetime64("2014-12-30"), np.datetime64("2015-01-02"))
    '30 December 2014-2 January 2015'
    """
    start, end = (time.astype("datetime64[D]").item() for time in (first, last))
    until = f"{end.day} {end:%B} {end.year}"
    if start == end:
        return until
    if (start.year, start.month) == (end.year, end.month):
        return f"{start.day}-{until}"
    if start.year == end.year:
        return f"{start.day} {start:%B}-{until}"
    return f"{start.day} {start:%B} {start.year}-{until}"

"""Says why something is a candidate: what it shares with which seeds, and when.

Only the candidates that are shown are explained, each by joining its relations with those of the
seeds. Names are written as they are: who shows a reason escapes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from remnant.infrastructure.neighbours import steps_from
from remnant.infrastructure.relations import words

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

_EDGES: Final = 20
"""Most relations of a candidate with one thing that are looked at."""

_SHOWN: Final = 3

_STEPS: Final = 12
"""Longest way that is told."""


@dataclass(frozen=True, slots=True)
class _Ends:
    """Relations of some holdings, sorted by holding and by what is at the other end: int64 each."""

    ends: Ints
    others: Ints
    edges: Ints

    def of(self, holding: int) -> _Ends:
        """Return those of one holding."""
        first, after = np.searchsorted(self.ends, [holding, holding + 1]).tolist()
        return _Ends(self.ends[first:after], self.others[first:after], self.edges[first:after])

    def where(self, chosen: npt.NDArray[np.bool_]) -> _Ends:
        """Return some of them."""
        return _Ends(self.ends[chosen], self.others[chosen], self.edges[chosen])


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
        self._holding = relations.holding
        self._tails = graph.tails[relations.rows]
        self._heads = graph.heads[relations.rows]
        self._seed = np.zeros(len(graph), dtype=np.bool_)
        self._seed[relations.seeds] = True
        self._kinds, self._kind = words(graph.nodes["kind"])
        self._types, codes = words(graph.edges["type"])
        self._type = codes[relations.rows]
        self._named: dict[int, str] = {}
        for seed in graph.seeds.tolist():
            place, value = int(self._holding[seed]), self._value(seed)
            self._named[place] = min(self._named.get(place, value), value)

    def of(self, nodes: Ints) -> list[list[Reason]]:
        """Return the reasons of some nodes, the strongest first: sentences, ways from a seed."""
        if not nodes.size:
            return []
        own = self._ends(np.unique(self._holding[nodes]))
        middles = np.unique(own.others)
        middles = middles[~self._seed[middles] & ~self._relations.hubs[middles]]
        theirs = self._ends(middles)
        theirs = theirs.where(self._seed[theirs.others])
        found = [self._links(node, own, theirs) for node in nodes.tolist()]
        if not all(found):
            steps = steps_from(self._neighbours, self._relations.seeds, self._relations.hubs)
            for place, node in enumerate(nodes.tolist()):
                found[place] = found[place] or self._far(node, steps)
        return found

    def _ends(self, holdings: Ints) -> _Ends:
        wanted = np.zeros(len(self._graph), dtype=np.bool_)
        wanted[holdings] = True
        tails, heads = self._relations.tails, self._relations.heads
        out, back = np.flatnonzero(wanted[tails]), np.flatnonzero(wanted[heads])
        ends = np.concatenate([tails[out], heads[back]]).astype(np.int64)
        others = np.concatenate([heads[out], tails[back]]).astype(np.int64)
        edges = np.concatenate([out, back])
        order = np.lexsort((edges, others, ends))
        return _Ends(ends[order], others[order], edges[order])

    def _links(self, node: int, own: _Ends, theirs: _Ends) -> list[Reason]:
        mine = own.of(int(self._holding[node]))
        links: list[_Link] = []
        beside: dict[str, list[int]] = {}
        cuts = np.flatnonzero(np.diff(mine.others)) + 1
        for edges in np.split(mine.edges, cuts) if mine.edges.size else []:
            other = self._other(node, int(edges[0]))
            if self._seed[other]:
                for edge in edges.tolist():
                    beside.setdefault(self._role(node, edge), []).append(edge)
                continue
            there = theirs.of(other)
            if there.edges.size:
                links.append(self._shared(node, other, edges[:_EDGES], there))
        links += [self._direct(node, role, np.array(edges)) for role, edges in beside.items()]
        links.sort(key=lambda link: (-round(link.weight, 9), link.sentence))
        return [(link.sentence, link.path) for link in links[:_REASONS]]

    def _other(self, node: int, edge: int) -> int:
        """Return the holding at the other end of an edge."""
        tail, head = int(self._relations.tails[edge]), int(self._relations.heads[edge])
        return head if tail == int(self._holding[node]) else tail

    def _far_end(self, node: int, edge: int) -> str:
        """Return what stands at the other end of an edge: one name, not its holding."""
        incoming = int(self._relations.heads[edge]) == int(self._holding[node])
        return self._value(int(self._tails[edge] if incoming else self._heads[edge]))

    def _role(self, node: int, edge: int) -> str:
        """Return the type of an edge as its node sees it: ``-`` before it where it points here."""
        incoming = int(self._relations.heads[edge]) == int(self._holding[node])
        return ("-" if incoming else "") + self._types[int(self._type[edge])]

    def _direct(self, node: int, role: str, edges: Ints) -> _Link:
        """Say that seeds stand beside a candidate."""
        seeds = np.unique([self._other(node, edge) for edge in edges.tolist()])
        who, one = self._who(seeds), seeds.size == 1
        text = {
            "resolves_to": f"led to {who}",
            "-resolves_to": f"{who} led to it",
            "alias_of": f"is an alias of {who}",
            "-alias_of": f"{who} {'is an alias' if one else 'are aliases'} of it",
            "below": f"is below the domain of {who}",
            "-below": f"{who} {'is' if one else 'are'} below it",
            "served_by": f"is served by {who}",
            "-served_by": f"serves {who}",
            "mail_by": f"has its mail taken by {who}",
            "-mail_by": f"takes the mail of {who}",
        }.get(role, f"is joined to {who} ({role.removeprefix('-')})")
        weight = float(self._relations.weights[edges].sum())
        path = (self._named[int(seeds[0])], self._value(node))
        return _Link(weight, f"{text}{self._seen(edges)}", path)

    def _shared(self, node: int, other: int, edges: Ints, there: _Ends) -> _Link:
        """Say what a candidate and seeds have in common."""
        relations = self._relations
        seeds = np.unique(there.others)
        # Every edge of the candidate beside every edge of a seed.
        start = np.maximum.outer(relations.first[edges], relations.first[there.edges])
        end = np.minimum.outer(relations.last[edges], relations.last[there.edges])
        # Times that are not stated compare false: such seeds count as having been there.
        met = ~(start > end)
        crowd = int(relations.known[other]) - seeds.size - 1
        weight = float(relations.weights[edges].sum() * relations.weights[there.edges].sum())
        weight /= max(float(relations.known[other]), 1.0)
        thing = self._thing(node, edges)
        together = np.unique(there.others[met.any(axis=0)])
        if together.size:
            text = f"shares {thing} with {self._who(together)}{_period(start[met], end[met])}"
            if seeds.size > together.size:
                text += f" (and with {self._count(seeds.size - together.size)} at other times)"
        else:
            text = (
                f"had {thing}{self._seen(edges)}, but never while {self._who(seeds)} did"
                f"{self._seen(there.edges)}: a weak link"
            )
        if crowd > 0:
            text += f"; {crowd:,} {'other is' if crowd == 1 else 'others are'} known there"
        seed = int((together if together.size else seeds)[0])
        there_too = self._far_end(node, int(edges[0]))
        return _Link(weight, text, (self._named[seed], there_too, self._value(node)))

    def _thing(self, node: int, edges: Ints) -> str:
        """Return what edges of a candidate lead to, in words."""
        words_: dict[str, set[str]] = {}
        for edge in edges.tolist():
            words_.setdefault(self._role(node, edge), set()).add(self._far_end(node, edge))
        parts = []
        for role, values in sorted(words_.items()):
            listed = sorted(values)
            shown = " and ".join(listed[:_SHOWN])
            if len(listed) > _SHOWN:
                shown += f" and {len(listed) - _SHOWN} more"
            word = {
                "served_by": "name server",
                "mail_by": "mail exchanger",
                "below": "domain",
                "alias_of": "alias target",
                "in_prefix": "network",
            }.get(role)
            several = "s" if len(listed) > 1 else ""
            parts.append(f"the {word}{several} {shown}" if word else shown)
        return " and ".join(parts)

    def _far(self, node: int, steps: npt.NDArray[np.int32]) -> list[Reason]:
        """Tell a shortest way from a seed, over the things that the walk visits most."""
        way = [int(self._holding[node])]
        far = int(steps[way[0]])
        if far <= 0:
            return []
        while steps[way[-1]] > 0 and len(way) <= _STEPS:
            beside = self._neighbours.at(way[-1])
            nearer = beside[(steps[beside] == steps[way[-1]] - 1) & ~self._relations.hubs[beside]]
            if not nearer.size:
                return []
            way.append(int(nearer[np.argmax(self._visits[nearer])]))
        middle = way[1:-1] if steps[way[-1]] == 0 else way[1:]
        path = (*(self._value(one) for one in reversed(middle)), self._value(node))
        if steps[way[-1]] > 0:
            return [(f"is {far} steps from the nearest seed", path)]
        through = ", ".join(self._label(one) for one in middle)
        seed = self._named[way[-1]]
        return [(f"is {far} steps from the seed {seed}, by way of {through}", (seed, *path))]

    def _label(self, node: int) -> str:
        kind = self._kinds[int(self._kind[node])].replace("_", " ")
        return f"the {kind} {self._value(node)}"

    def _value(self, node: int) -> str:
        return str(self._graph.nodes["value"][node].as_py())

    def _who(self, seeds: Ints) -> str:
        if seeds.size == 1:
            return f"the seed {self._named[int(seeds[0])]}"
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


def days(first: np.datetime64, last: np.datetime64) -> str:
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

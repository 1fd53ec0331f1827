"""How much a relation of a map says: by its type, its time, how often it was seen, how rare it is.

All numbers here are chosen by reasoning, none is fitted. ``docs/explanation/ranking-candidates.md``
gives the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.infrastructure.graph import EDGE_TYPES
from remnant.infrastructure.neighbours import Neighbours, kin_counted_once

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.infrastructure.graph import Graph
    from remnant.infrastructure.neighbours import Floats

    Flags: TypeAlias = npt.NDArray[np.bool_]
    Times: TypeAlias = npt.NDArray[np.datetime64]

__all__ = ["ROOM", "STRENGTHS", "Relations", "Strength", "families", "holdings", "texts", "words"]


@dataclass(frozen=True, slots=True)
class Strength:
    """What a type of edge says if its ends have no other neighbours.

    Attributes:
        weight: how gladly the walk takes it, 0 to 1.
        coupling: how alike its ends are for belief propagation, 0 to below 1.
    """

    weight: float
    coupling: float


STRENGTHS: Final[dict[str, Strength]] = {
    # Below a domain with many names, which is not taken as one with them (see ``holdings``).
    "below": Strength(1.0, 0.6),
    # Who writes an alias chose its target.
    "alias_of": Strength(1.0, 0.6),
    "resolves_to": Strength(1.0, 0.6),
    # Domains of one customer, or of one registrar: rarity tells them apart, but not for small ones.
    "served_by": Strength(0.5, 0.5),
    "mail_by": Strength(0.5, 0.5),
    # Neighbours at one hoster.
    "in_prefix": Strength(0.1, 0.1),
}
"""Types that are not here join nothing: an AS holds anyone, a sinkhole holds what it was given, and
those who ask for a name are victims."""

ROOM: Final = 4.0
"""Edges of full weight that a name may have before they share what it passes on: an address or two,
a set of name servers, a mail exchanger."""

_HALF_LIFE: Final = np.timedelta64(14, "D")
"""A gap in which a link between tenants of one address loses half of its weight."""

_APART: Final = 0.2
"""What is left of a link between those who were never seen there together, however short the gap:
most often the next tenant has nothing to do with the last.
"""

_LEAST: Final = 0.02

_FEW: Final = 10.0
"""Responses that give an edge half of its weight: few may be mistakes, or poisoned answers."""

_NAMES: Final = 30
"""Names below a domain up to which it and they count as one thing."""


@dataclass(frozen=True, slots=True)
class Relations:
    """Edges that join something, with what they say.

    Ends are holdings: a registered domain and the names below it count as one thing.

    Attributes:
        rows: which rows of the map's edges these are: int64[kept].
        holding: the number that stands for each node: int32[nodes].
        family: the registered domain of each node, or itself: int32[nodes].
        tails, heads: the holdings of their ends: int32[kept].
        first, last: when they were seen: datetime64[us][kept]; NaT where not dated.
        weights: for the walk: float64[kept], above 0.
        couplings: for belief propagation, as atanh(t): float64[kept].
        known: how many neighbours each holding is known to have, those of one domain counted
            once: float64[nodes].
        seeds: holdings with a seed, ascending: int64[seeds].
        hubs: holdings that join nothing: bool[nodes].
        owners: holdings that are names and domains alone, which nobody shares: bool[nodes].
    """

    rows: npt.NDArray[np.int64]
    holding: npt.NDArray[np.int32]
    family: npt.NDArray[np.int32]
    tails: npt.NDArray[np.int32]
    heads: npt.NDArray[np.int32]
    first: Times
    last: Times
    weights: Floats
    couplings: Floats
    known: Floats
    seeds: npt.NDArray[np.int64]
    hubs: Flags
    owners: Flags

    @classmethod
    def of(cls, graph: Graph) -> Relations:
        """Weigh the edges of a map.

        An edge says less if it was seen a few times only (n / (n + 10)), if it was not there while
        seeds were (at the thing that it leads to, if seeds lead there too, else anywhere), and if
        that thing has many neighbours.
        """
        types, codes = words(graph.edges["type"])
        strengths = [STRENGTHS.get(word, Strength(0.0, 0.0)) for word in types]
        weight = np.array([0.0, *(one.weight for one in strengths)])[codes + 1]
        holding = holdings(graph)
        rows = np.flatnonzero((weight > 0) & (holding[graph.tails] != holding[graph.heads]))
        codes, weight = codes[rows], weight[rows]
        tails, heads = holding[graph.tails[rows]], holding[graph.heads[rows]]
        first, last = graph.firsts[rows], graph.lasts[rows]
        backwards = last < first
        first[backwards] = last[backwards] = np.datetime64("NaT")
        counts = _counted(graph.edges["count"])[rows]
        seen = np.where(counts > 0, counts / (counts + _FEW), 1.0)

        kinds, kind = words(graph.nodes["kind"])
        shared = np.array([False, *(one not in {"name", "domain"} for one in kinds)])[kind + 1]
        family = families(graph)
        known = _known(graph, holding, family, tails, heads)
        owners = np.ones(len(graph), dtype=np.bool_)
        owners[holding[shared]] = False

        seeds = np.unique(holding[graph.seeds]).astype(np.int64)
        hubs = np.zeros(len(graph), dtype=np.bool_)
        hubs[holding[graph.hubs]] = True
        factor = seen * _together(len(graph), seeds, hubs, tails, heads, first, last)
        coupling = np.array([0.0, *(one.coupling for one in strengths)])[codes + 1]
        rare = np.sqrt(2.0 / np.maximum(known[heads], 2.0))
        return cls(
            rows=rows,
            holding=holding,
            family=family,
            tails=tails,
            heads=heads,
            first=first,
            last=last,
            weights=weight * factor,
            couplings=np.arctanh(coupling * rare * factor),
            known=known,
            seeds=seeds,
            hubs=hubs,
            owners=owners,
        )


def families(graph: Graph) -> npt.NDArray[np.int32]:
    """Return the domain of each node: int32[nodes]; its own number if it has none, or a hub."""
    types, codes = words(graph.edges["type"])
    below = np.array([False, *(word == "below" for word in types)])[codes + 1]
    tails, heads = graph.tails[below], graph.heads[below]
    kept = ~graph.hubs[heads] & ~graph.hubs[tails]
    family = np.arange(len(graph), dtype=np.int32)
    # Of several domains over one name, which nobody made up but an attacker, the first counts.
    family[tails[kept][::-1]] = heads[kept][::-1]
    family[heads[kept]] = heads[kept]
    return family


def holdings(graph: Graph) -> npt.NDArray[np.int32]:
    """Return the node that stands for each node: a domain for itself and the names below it.

    Who owns a registered domain decides what is below it, so what is known of one is known of all:
    its name servers are those of its names. Domains with more than ``_NAMES`` names are left alone,
    as they may have many users; hubs too.
    """
    family = families(graph)
    size = np.bincount(family, minlength=len(graph))
    return np.where(size[family] <= _NAMES + 1, family, np.arange(len(graph), dtype=np.int32))


def _known(
    graph: Graph,
    holding: npt.NDArray[np.int32],
    family: npt.NDArray[np.int32],
    tails: npt.NDArray[np.int32],
    heads: npt.NDArray[np.int32],
) -> Floats:
    """Count the neighbours of each holding, by family: a wildcard domain is one, not a crowd.

    Where the map leaves neighbours out, those that it has stand for them.
    """
    nodes = len(graph)
    neighbours = Neighbours.of(nodes, tails, heads, np.ones(tails.size, np.float32))
    known = kin_counted_once(neighbours, family).astype(np.float64)
    plain = np.diff(neighbours.starts)
    # How many ask for a name says nothing of it: only what others share has more than is here.
    kinds, kind = words(graph.nodes["kind"])
    shared = np.array([False, *(one not in {"name", "domain"} for one in kinds)])[kind + 1]
    here = np.bincount(graph.tails, minlength=nodes) + np.bincount(graph.heads, minlength=nodes)
    more = np.maximum(_counted(graph.nodes["degree"]) - here, 0)
    missed = np.zeros(nodes)
    np.maximum.at(missed, holding[shared], more[shared].astype(np.float64))
    return known * (1 + missed / np.maximum(plain, 1))


def words(column: pa.ChunkedArray[Any]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the words of a dictionary column, and which each row has: int64[rows]; -1 for none."""
    if not len(column):
        return [], np.empty(0, np.int64)
    encoded: Any = column
    if not pa.types.is_dictionary(column.type):
        encoded = pc.dictionary_encode(column)
    whole = encoded.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0)
    codes = whole.indices.fill_null(-1)
    return whole.dictionary.to_pylist(), codes.to_numpy(zero_copy_only=False).astype(np.int64)


def _counted(column: pa.ChunkedArray[Any]) -> npt.NDArray[np.int64]:
    whole: Any = column
    return np.asarray(whole.fill_null(0).to_numpy(), dtype=np.int64)


def texts(column: pa.ChunkedArray[Any], rows: npt.NDArray[np.int64]) -> list[str]:
    """Return the texts of some rows."""
    return [str(text) for text in column.take(pa.array(rows, pa.int64())).to_pylist()]


def _together(
    nodes: int,
    seeds: npt.NDArray[np.int64],
    hubs: Flags,
    tails: npt.NDArray[np.int32],
    heads: npt.NDArray[np.int32],
    first: Times,
    last: Times,
) -> Floats:
    """Return how much each edge was there while seeds were, 0 to 1; 1 where nobody can tell."""
    seed = np.zeros(nodes, dtype=np.bool_)
    seed[seeds] = True
    dated = ~np.isnat(first) & ~np.isnat(last)
    since, until = first.astype(np.int64), last.astype(np.int64)
    # From the first to the last time that a seed was seen at each thing.
    came = np.full(nodes, np.iinfo(np.int64).max)
    went = np.full(nodes, np.iinfo(np.int64).min)
    theirs = dated & seed[tails] & ~hubs[heads]
    np.minimum.at(came, heads[theirs], since[theirs])
    np.maximum.at(went, heads[theirs], until[theirs])
    theirs |= dated & seed[heads] & ~hubs[tails]
    if not theirs.any():
        return np.ones(tails.size)
    there = went >= came
    came[~there] = since[theirs].min()
    went[~there] = until[theirs].max()
    gap = np.maximum(np.maximum(since - went[heads], came[heads] - until), 0)
    half_life = float(_HALF_LIFE.astype("timedelta64[us]").astype(np.int64))
    weak = np.maximum(_APART * 0.5 ** (gap / half_life), _LEAST)
    return np.where(dated & (gap > 0), weak, 1.0)


assert set(STRENGTHS) <= set(EDGE_TYPES)

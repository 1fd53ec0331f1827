"""Campaign: an operator's hidden names among the first candidates of a ranking."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from remnant.cases.model import Case, SinkholeConfig, Watch
from remnant.infrastructure.build import build
from remnant.infrastructure.pivot import TablePivots
from remnant.infrastructure.rank import ranking
from remnant.infrastructure.relations import families, words
from remnant.settings import InfrastructureSettings
from remnant.simulate.hosting import hosting

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from remnant.infrastructure.graph import Graph
    from remnant.simulate.hosting import Hosting

    Ints = NDArray[np.int64]

__all__ = ["campaign"]

_FIRST: Final = 50
_HIDDEN: Final = 40
_NAMES: Final = ("name", "domain")
_OURS: Final = "this ranking"
_ALL: Final = "all names on the map"
_GOAL: Final = Goal(
    "recall", at_least=0.9, source="of 40 hidden servers in the first 50", quantity=_OURS
)
_CELLS: Final[dict[str, dict[str, Any]]] = {
    "as it is": {},
    "5 seeds": {"seeds": 5, "compromised": 0},
    "2 seeds": {"seeds": 2, "compromised": 0},
    "all hidden behind shared hosting": {"shared_share": 1.0, "cdn_share": 0, "dynamic_share": 0},
    "small shared hosting, which is no hub": {"neighbours": 100},
    "none on the servers of seeds": {"second_tier": 1.0},
    "no name servers of the operator": {"own_name_servers": 0.0},
    "a quarter joined to nothing": {"unlinked": 0.25},
    "all servers let again": {"reused": 1.0},
    "100 poisoned names": {"poisoned": 100},
    "10 compromised sites among the seeds": {"compromised": 10},
}


def campaign() -> Campaign:
    """Return the campaign."""
    cells = tuple(
        Cell(
            {"setting": words_},
            40 if not changed else 10,
            partial(_found, changed),
            goals=() if changed else (_GOAL,),
        )
        for words_, changed in _CELLS.items()
    )
    return Campaign(
        name="candidates",
        title="Hidden servers among the first 50 candidates",
        text=(
            "An operator has 40 hidden names and 20 that are known (and 2 compromised sites are "
            "taken for its own), among some 40,000 innocent ones: on dedicated servers, some of "
            "them let to others before and after, behind shared hosting, content delivery and "
            "dynamic DNS. In the first row 5 % of the hidden names are joined to the seeds by "
            "nothing but crowded addresses: nobody can find them. The map is built from the "
            "passive DNS of two sensors as that of a case is, with the default settings. All "
            "rankings see that same map, from which the crowds behind hubs are gone, and list 50 "
            "registered domains (one is found if any name of it is listed), without those of "
            "seeds. The join counts the addresses that a name shares with seeds; PageRank is that "
            "of networkx, personalised, on all edges, and without the hubs. This ranking lists "
            "name servers too, as it does for a user. The last row of each setting lists every "
            "domain on the map: no ranking of it can find more. Precision counts what is the "
            "operator's, name servers too."
        ),
        metrics=("recall", "worst", "precision"),
        cells=cells,
        goals=(_GOAL,),
        anchor=(
            "none that can be compared: Manadhata et al. (ESORICS 2014) and Polonium (Chau et al., "
            "SDM 2011) report shares of labelled domains and files in data that is not public."
        ),
        notes=(
            "Of 50 listed at most 40 can be hidden names, so precision cannot pass 80 % by much. "
            "With two seeds, or where the operator uses the name servers of registrars only, a "
            "part of the hidden names is joined to the seeds by crowds alone and never comes on "
            "the map, or by way of other hidden names, and stays below innocent ones that shared "
            "an address for a while."
        ),
    )


def _found(changed: dict[str, Any], rng: np.random.Generator, repeats: int) -> dict[str, Outcomes]:
    rankings: dict[str, Callable[[Graph, Ints], Ints]] = {
        _OURS: _ours,
        "co-hosting join": _join,
        "networkx PageRank": partial(_pagerank, hubs=True),
        "networkx PageRank without hubs": partial(_pagerank, hubs=False),
    }
    value = {name: np.zeros(repeats) for name in (*rankings, _ALL)}
    listed = {name: np.zeros(repeats) for name in (*rankings, _ALL)}
    for repeat in range(repeats):
        made = hosting(int(rng.integers(2**63)), hidden=_HIDDEN, **changed)
        graph = _map(made)
        family = families(graph).astype(np.int64)
        values = graph.nodes["value"].to_pylist()
        number = {text: place for place, text in enumerate(values)}
        rows = made.truth.to_pylist()
        own = [row["value"] for row in rows if row["operator"] and row["kind"] != "address"]
        hidden = np.array([family[number[name]] if name in number else -1 for name in made.hidden])
        theirs = np.unique([family[number[name]] for name in own if name in number])
        found = {name: rank(graph, family)[:_FIRST] for name, rank in rankings.items()}
        found[_ALL] = _listed(graph, family, np.ones(len(graph)))
        for name, first in found.items():
            value[name][repeat] = np.isin(hidden, first).sum()
            listed[name][repeat] = np.isin(first, theirs).mean() if first.size else 0.0
    truth = np.full(repeats, float(_HIDDEN))
    return {name: Outcomes(truth=truth, value=value[name], listed=listed[name]) for name in value}


def _map(made: Hosting) -> Graph:
    """Return the map of a case that knows the seeds, with the default settings."""
    case = Case(
        name="made-up",
        title="made up",
        takedown=made.takedown,
        watches=(Watch(names=made.seeds, state="seized"),),
        sinkhole=SinkholeConfig(addresses=made.sinkholes),
    )
    pivots = TablePivots(made.answers)
    return build(case, pivots, made.reference(), InfrastructureSettings(), now=made.until)


def _ours(graph: Graph, family: Ints) -> Ints:
    found = ranking(graph).best(_FIRST)
    return np.array([family[one.node] for one in found], np.int64)


def _listed(graph: Graph, family: Ints, scores: NDArray[np.float64]) -> Ints:
    """Return the families of names by score, each once; equal ones in the order of their names."""
    kinds, codes = words(graph.nodes["kind"])
    wanted = np.isin(codes, [kinds.index(kind) for kind in _NAMES if kind in kinds])
    wanted &= (scores > 0) & ~graph.hubs & ~np.isin(family, family[graph.seeds])
    chosen = np.flatnonzero(wanted)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    _, first = np.unique(family[chosen], return_index=True)
    return family[chosen[np.sort(first)]]


def _join(graph: Graph, family: Ints) -> Ints:
    types, codes = words(graph.edges["type"])
    led = codes == types.index("resolves_to")
    tails, heads = graph.tails[led], graph.heads[led]
    seed = np.zeros(len(graph), dtype=np.bool_)
    seed[graph.seeds] = True
    theirs = np.zeros(len(graph), dtype=np.bool_)
    theirs[heads[seed[tails]]] = True
    shared = np.bincount(tails[theirs[heads]], minlength=len(graph))
    return _listed(graph, family, shared.astype(np.float64))


def _pagerank(graph: Graph, family: Ints, *, hubs: bool) -> Ints:
    import networkx as nx  # noqa: PLC0415 - a baseline

    kept = np.ones(graph.tails.size, dtype=np.bool_)
    if not hubs:
        kept = ~(graph.hubs[graph.tails] | graph.hubs[graph.heads])
    other = nx.Graph()
    other.add_nodes_from(graph.seeds.tolist())
    other.add_edges_from(zip(graph.tails[kept].tolist(), graph.heads[kept].tolist(), strict=True))
    ranks = nx.pagerank(other, personalization=dict.fromkeys(graph.seeds.tolist(), 1.0))
    scores = np.zeros(len(graph))
    scores[list(ranks)] = list(ranks.values())
    return _listed(graph, family, scores)

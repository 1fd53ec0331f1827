"""How long the map's layout takes, and how good it is beside a spring layout and chance.

``python bench/layout.py``: seconds to fold, cluster and place maps of 5,000 and 20,000 things (the
best of three, kernels compiled), the size of the viewer's data, and of a map of 1,000 things the
share of the eight nearest on paper that are at most two relations away, for this layout, that of
networkx (``spring_layout``) and places by chance, with the time of each. Goals: 3 s and 10 s;
200 kB and 600 kB.
"""

from __future__ import annotations

import gzip
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from scipy.spatial import cKDTree

from remnant.infrastructure.layout import arrange, layout
from remnant.report.mapfacts import MapFacts
from remnant.report.mapjson import viewer_json

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from mapped import made_up, with_traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.infrastructure.graph import Graph

NEAR = 8
FACTS = MapFacts("bench", "Bench", None, "made up", datetime(2015, 5, 2, tzinfo=UTC))


def best(run: Callable[[], Any], times: int = 3) -> tuple[float, Any]:
    """Return the seconds of the fastest of some runs, and what it returned."""
    taken, out = [], None
    for _ in range(times):
        start = time.perf_counter()
        out = run()
        taken.append(time.perf_counter() - start)
    return min(taken), out


def preservation(graph: Graph, places: Any) -> float:
    """Return the share of the nearest on paper that are near on the map, hubs left out."""
    usable = ~(graph.hubs[graph.tails] | graph.hubs[graph.heads])
    around: list[set[int]] = [set() for _ in range(len(graph))]
    for a, b in zip(graph.tails[usable].tolist(), graph.heads[usable].tolist(), strict=True):
        around[a].add(b)
        around[b].add(a)
    nodes = [n for n in range(len(graph)) if around[n]]
    which = cKDTree(places).query(places, k=NEAR + 1)[1][:, 1:]
    hits = sum(
        len(set().union(around[n], *(around[m] for m in around[n])).intersection(which[n].tolist()))
        for n in nodes
    )
    return hits / (NEAR * len(nodes))


def springs(graph: Graph) -> Any:
    """Return the places of networkx's spring layout: float64[nodes, 2]."""
    plain = nx.Graph(zip(graph.tails.tolist(), graph.heads.tolist(), strict=True))
    plain.add_nodes_from(range(len(graph)))
    placed = nx.spring_layout(plain, seed=1)
    return np.array([placed[n] for n in range(len(graph))])


def main() -> None:
    """Print the table."""
    layout(made_up(300))  # compiles
    print("things  relations  seconds  goal  viewer kB (gz)  goal")
    for size, seconds, kilobytes in ((5_000, 3, 200), (20_000, 10, 600)):
        graph = with_traffic(made_up(size))
        taken, made = best(partial(arrange, graph))
        packed = len(gzip.compress(viewer_json(graph, made, [], FACTS), 6)) / 1000
        print(
            f"{len(graph):6d}  {graph.edges.num_rows:9d}  {taken:7.2f}  {seconds:4d}"
            f"  {packed:14.0f}  {kilobytes:4d}"
        )
    graph = made_up(1000)
    print(f"\n{len(graph)} things: near on paper and near on the map, seconds")
    chance = np.random.default_rng(1).uniform(size=(len(graph), 2))
    for name, run in (
        ("this layout", lambda: layout(graph).positions),
        ("networkx spring_layout", lambda: springs(graph)),
        ("chance", lambda: chance),
    ):
        taken, places = best(run, 1)
        print(f"{name:24s}{preservation(graph, places):6.2f}  {taken:6.2f}")


if __name__ == "__main__":
    main()

"""How long a map takes to rank: from arrays of edges to ranks, beside networkx in the same run.

    python bench/ranking.py [edges beside networkx] [edges alone]

The map is made up: names that lead to addresses, which are taken unevenly. networkx is measured
twice: from the arrays on, as a user would start, and its ``pagerank`` alone on a graph that is
built already. The larger map runs in a process of its own, whose peak of memory is its own: first
the walk alone, then all that the ranking does, with times, belief propagation and reasons.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from remnant.infrastructure.graph import Graph
from remnant.infrastructure.neighbours import Neighbours
from remnant.infrastructure.rank import ranking
from remnant.infrastructure.walk import walk
from remnant.schema import EDGES, NODES

_SEEDS = 100


def made_up(edges: int) -> tuple[int, Any, Any]:
    """Return how many nodes there are, and the tails and heads of the edges."""
    rng = np.random.default_rng(20150408)
    names, addresses = edges * 3 // 10, edges // 10
    tails = rng.integers(0, names, edges).astype(np.int32)
    heads = (names + addresses * rng.random(edges) ** 2).astype(np.int32)
    return names + addresses, tails, heads


def beside_networkx(edges: int) -> None:
    """Print both, and the ratio."""
    import networkx as nx  # noqa: PLC0415 - what is compared with

    nodes, tails, heads = made_up(edges)
    seeds = np.arange(_SEEDS)
    hubs = np.zeros(nodes, dtype=np.bool_)
    _walk(*made_up(1000), np.arange(2), np.zeros(400, dtype=np.bool_))  # compiles
    start = time.perf_counter()
    found = _walk(nodes, tails, heads, seeds, hubs)
    ours = time.perf_counter() - start
    print(f"{ours:8.2f} s  {edges:,} edges: arrays to ranks ({found.rounds} rounds)")
    start = time.perf_counter()
    graph = nx.Graph()
    graph.add_nodes_from(range(nodes))
    graph.add_edges_from(zip(tails.tolist(), heads.tolist(), strict=True))
    built = time.perf_counter() - start
    start = time.perf_counter()
    # Its tolerance is for each node: this is a sum of errors as ours.
    theirs = nx.pagerank(
        graph, personalization=dict.fromkeys(range(_SEEDS), 1.0), tol=1e-6 / nodes, max_iter=500
    )
    ranked = time.perf_counter() - start
    print(f"{built + ranked:8.2f} s  networkx: {built:.2f} s to build, {ranked:.2f} s for pagerank")
    print(f"{(built + ranked) / ours:8.1f}    times as fast, from arrays to ranks")
    print(f"{ranked / ours:8.1f}    times as fast as its pagerank alone on a graph built before")
    # networkx takes an edge that occurs twice as one; here it weighs twice.
    pairs = np.unique(np.stack([tails, heads]), axis=1)
    same = _walk(nodes, pairs[0], pairs[1], seeds, hubs).ranks
    error = sum(abs(theirs[node] - same[node]) for node in range(nodes))
    print(f"{error:8.0e}    sum of the differences of the ranks")


def _walk(nodes: int, tails: Any, heads: Any, seeds: Any, hubs: Any) -> Any:
    weights = np.ones(tails.size, np.float32)
    return walk(Neighbours.of(nodes, tails, heads, weights), seeds, hubs)


def alone(edges: int) -> None:
    """Print the seconds and the peak of memory of a large map."""
    nodes, tails, heads = made_up(edges)
    _walk(*made_up(1000), np.arange(2), np.zeros(400, dtype=np.bool_))
    start = time.perf_counter()
    _walk(nodes, tails, heads, np.arange(_SEEDS), np.zeros(nodes, dtype=np.bool_))
    print(f"{time.perf_counter() - start:8.2f} s  {edges:,} edges: the walk alone")
    graph = _map(nodes, tails, heads)
    del tails, heads
    start = time.perf_counter()
    found = ranking(graph)
    scored = time.perf_counter() - start
    best = found.best(50)
    whole = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{whole:8.2f} s  {edges:,} edges, {nodes:,} nodes: times, walk ({found.walk.rounds} "
        f"rounds), belief propagation ({found.beliefs.rounds} rounds), {len(best)} candidates with "
        f"reasons ({whole - scored:.2f} s)"
    )
    print(f"{peak:8.2f} GiB  peak")


def _map(nodes: int, tails: Any, heads: Any) -> Graph:
    rng = np.random.default_rng(1)
    names = int(heads.min())
    first = int(datetime(2015, 1, 1, tzinfo=UTC).timestamp()) + rng.integers(0, 10**7, tails.size)
    last = first + rng.integers(0, 10**6, tails.size)
    degree = np.bincount(tails, minlength=nodes) + np.bincount(heads, minlength=nodes)
    kind = pa.DictionaryArray.from_arrays(
        (np.arange(nodes) >= names).astype(np.int32), pa.array(["name", "address"])
    )
    kinds = pa.DictionaryArray.from_arrays(
        np.zeros(tails.size, np.int32), pa.array(["resolves_to"])
    )
    seed = np.arange(nodes) < _SEEDS
    columns: dict[str, Any] = {
        "kind": kind,
        "value": pa.array(np.arange(nodes)).cast(pa.string()),
        "seed": seed,
        "hop": np.zeros(nodes, np.int32),
        "degree": degree,
        "tail": tails,
        "head": heads,
        "type": kinds,
        "time_first": pa.array(first * 10**6).cast(pa.timestamp("us", tz="UTC")),
        "time_last": pa.array(last * 10**6).cast(pa.timestamp("us", tz="UTC")),
        "count": rng.integers(1, 1000, tails.size),
    }
    return Graph(
        _table(NODES.empty().schema, columns, nodes),
        _table(EDGES.empty().schema, columns, tails.size),
    )


def _table(schema: pa.Schema, columns: dict[str, Any], rows: int) -> pa.Table:
    fitting = [
        pa.array(columns[field.name])
        if field.name in columns and len(columns[field.name]) == rows
        else pa.nulls(rows, pa.string()).cast(field.type)
        if pa.types.is_dictionary(field.type)
        else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.table(fitting, schema=schema)


def main() -> None:
    """Run both parts."""
    if sys.argv[1:2] == ["--alone"]:
        alone(int(sys.argv[2]))
        return
    small, large = (int(text) for text in [*sys.argv[1:], "1000000", "10000000"][:2])
    beside_networkx(small)
    sys.stdout.flush()
    subprocess.run([sys.executable, __file__, "--alone", str(large)], check=True)


if __name__ == "__main__":
    main()

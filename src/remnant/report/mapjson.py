"""The map for a viewer: one JSON object, columns instead of rows, positions and times as integers.

Schema (``version`` 1). A column is an array with one value for each node or edge.

- ``facts``: case, title, window (two times or null), source, coverage, made, simulated, minimum.
- ``kinds``, ``types``: the words that ``nodes.kind`` and ``edges.type`` number.
- ``time``: ``origin`` (ISO 8601) and ``step_s``; ``first`` and ``last`` count steps from there,
  null where not dated. An edge is there from its first step to its last, both included.
- ``unit``: pixels of positions per unit of radius: ``x``, ``y`` and ``r`` are integers, already
  multiplied by it.
- ``nodes``: kind, value, x, y, r, cluster, size (members), degree, first, last. Of what few nodes
  have there is an object, number of the node -> value: label, hub (its reason), role, state, asn,
  country. ``seeds`` lists numbers.
- ``edges``: tail (each as the difference to the one before), head, type, first, last, count;
  ``clients`` as an object, for those that have any.
- ``folds``: number of the node -> values of its members, at most 50; ``size`` has their number.
- ``candidates``: node (null where it is not on the map), kind, value, score, reasons; best first.

Text is as it was seen: whoever shows it escapes it. ``<`` is written as an escape, so that the JSON
may stand in a page.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.report.mapfacts import KIND_WORDS, candidate_ranks
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.infrastructure.graph import Graph
    from remnant.infrastructure.layout import Arrangement
    from remnant.report.mapfacts import Candidate, MapFacts

__all__ = [
    "MOST_MEMBERS",
    "edge_columns",
    "node_columns",
    "origin_of",
    "to_viewer",
    "viewer_json",
]

MOST_MEMBERS: Final = 50
"""Members of a folded node that are listed."""

_STEP_S: Final = 3600
_UNIT: Final = 10
_SPARSE: Final = ("label", "hub", "role", "state", "asn", "country")
_TYPES: Final = (
    *("resolves_to", "alias_of", "below", "served_by", "mail_by"),
    *("in_prefix", "in_asn", "sinkholed_at", "asks"),
)


def viewer_json(
    graph: Graph, arrangement: Arrangement, candidates: Sequence[Candidate], facts: MapFacts
) -> bytes:
    """Return the map for a viewer as compact JSON, ASCII only."""
    data = to_viewer(graph, arrangement, candidates, facts)
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").encode("ascii")


def to_viewer(
    graph: Graph, arrangement: Arrangement, candidates: Sequence[Candidate], facts: MapFacts
) -> dict[str, Any]:
    """Return the map for a viewer.

    Args:
        graph: the whole map, which ``arrangement`` was made of.
        arrangement: its folded map and layout.
        candidates: rows of the ranking, best first.
        facts: what stands beside it.
    """
    small, of = arrangement.folded.graph, arrangement.folded.of
    origin = origin_of(small)
    found = {rank: number for number, rank in candidate_ranks(graph, candidates).items()}
    places = np.rint(arrangement.layout.positions.astype(np.float64) * _UNIT).astype(np.int64)
    nodes = node_columns(small.nodes, origin) | {
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
        "r": np.rint(arrangement.layout.radii.astype(np.float64) * _UNIT).astype(int).tolist(),
        "cluster": arrangement.layout.clusters.tolist(),
        "size": arrangement.folded.sizes.tolist(),
    }
    return {
        "format": "remnant-map",
        "version": 1,
        "facts": {
            "case": facts.case,
            "title": facts.title,
            "window": None
            if facts.window is None
            else [iso(facts.window.since), iso(facts.window.until)],
            "source": facts.source,
            "coverage": facts.coverage,
            "made": iso(facts.made),
            "simulated": facts.simulated,
            "minimum": facts.minimum,
        },
        "kinds": list(KIND_WORDS),
        "types": list(_TYPES),
        "time": {"origin": _iso_us(origin), "step_s": _STEP_S},
        "unit": _UNIT,
        "nodes": nodes,
        "seeds": small.seeds.tolist(),
        "edges": edge_columns(small.edges, small.tails, small.heads, origin),
        "folds": {
            str(node): graph.nodes["value"]
            .take(arrangement.folded.members(node, MOST_MEMBERS))
            .to_pylist()
            for node in np.flatnonzero(arrangement.folded.sizes > 1).tolist()
        },
        "candidates": [
            {
                "node": int(of[found[rank]]) if rank in found else None,
                "kind": str(row["kind"]),
                "value": str(row["value"]),
                "score": row.get("score"),
                "reasons": [str(reason) for reason in row.get("reasons") or ()],
            }
            for rank, row in enumerate(candidates, 1)
        ],
    }


def node_columns(nodes: pa.Table, origin: int) -> dict[str, Any]:
    """Return what a viewer is told of nodes besides their places; ``origin`` in microseconds."""
    columns: dict[str, Any] = {
        "kind": _numbered(nodes["kind"], list(KIND_WORDS)),
        "value": nodes["value"].to_pylist(),
        "degree": nodes["degree"].to_pylist(),
        "first": _steps(nodes["time_first"], origin),
        "last": _steps(nodes["time_last"], origin),
    }
    return columns | {name: _sparse(nodes[name].to_pylist()) for name in _SPARSE}


def edge_columns(
    edges: pa.Table, tails: npt.NDArray[Any], heads: npt.NDArray[Any], origin: int
) -> dict[str, Any]:
    """Return what a viewer is told of edges between the numbers of nodes."""
    order = np.lexsort((heads, tails))
    edges = edges.take(order)
    return {
        "tail": np.diff(tails[order], prepend=0).tolist(),
        "head": heads[order].tolist(),
        "type": _numbered(edges["type"], list(_TYPES)),
        "first": _steps(edges["time_first"], origin),
        "last": _steps(edges["time_last"], origin),
        "count": edges["count"].to_pylist(),
        "clients": _sparse(edges["clients"].to_pylist()),
    }


def _numbered(column: pa.ChunkedArray[Any], words: list[str]) -> list[int]:
    found: Any = pc.index_in(column.cast(pa.string()), pa.array(words))
    return list(pc.fill_null(found, -1).to_pylist())


def _sparse(values: list[Any]) -> dict[str, Any]:
    return {str(number): value for number, value in enumerate(values) if value is not None}


def origin_of(graph: Graph) -> int:
    """Return the first time of the map in microseconds, down to a step; 0 where none is dated."""
    first: list[int | None] = [
        pc.min(table["time_first"].cast(pa.int64())).as_py() for table in (graph.nodes, graph.edges)
    ]
    known = [time for time in first if time is not None]
    step = _STEP_S * 1_000_000
    return min(known) // step * step if known else 0


def _steps(column: pa.ChunkedArray[Any], origin: int) -> list[int | None]:
    step = _STEP_S * 1_000_000
    times: list[int | None] = column.cast(pa.int64()).to_pylist()
    return [None if time is None else (time - origin) // step for time in times]


def _iso_us(time: int) -> str:
    return f"{np.datetime_as_string(np.datetime64(time, 'us'), unit='s')}Z"

"""A map with everything that a figure or an export has to cope with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from mapped import START, Sketch, made_up, with_traffic
from remnant.report.mapfacts import MapFacts
from remnant.windows import Window

if TYPE_CHECKING:
    from remnant.infrastructure.graph import Graph

FACTS = MapFacts(
    case="beebone",
    title='BeeBone <b>"&"</b>',
    window=Window(START, START + timedelta(days=30)),
    source="passive DNS of 2 sensors",
    made=datetime(2015, 5, 2, 12, 30, tzinfo=UTC),
    coverage=0.97,
    simulated=True,
)

HOSTILE = (
    "<script>alert(1)</script>.example",
    "a&amp;\"'.example",
    "=cmd|' /C calc'!A0",
    "evil\u202egnp.example",
    "bell\x07nul\x00.example",
    "line\r\n\tbreak.example",
    "a" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 61,
    "]]>.example",
    "\ufffe\ud7ff.example",
)


@cache
def sample() -> Graph:
    """A map of 400 things with traffic."""
    return with_traffic(made_up(400, 11))


@cache
def hostile() -> Graph:
    """A map of names that want to be something else."""
    sketch = Sketch()
    host = sketch.node("address", "192.0.2.7")
    for k, value in enumerate(HOSTILE):
        facts = {"seed": True, "role": "c2", "state": "live"} if k % 2 else {}
        name = sketch.node("name", value, label=value, **facts)
        sketch.edge(name, host, "resolves_to", sensors=[value], sources=[value])
    return sketch.graph()


def candidates(graph: Graph, most: int = 12) -> list[dict[str, object]]:
    """Candidates among the names and addresses that are neither seeds nor hubs."""
    rows = [
        row
        for row in graph.nodes.to_pylist()
        if row["kind"] in {"domain", "address"} and not row["seed"] and row["hub"] is None
    ]
    return [
        {
            "kind": row["kind"],
            "value": row["value"],
            "score": 1.0 / (rank + 1),
            "reasons": [f"shares a server with {rank + 2} seeds"],
        }
        for rank, row in enumerate(rows[:: max(1, len(rows) // most)][:most])
    ]

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree as ET

import networkx as nx
import numpy as np
import pytest

from remnant.infrastructure.graph import Graph
from remnant.infrastructure.layout import layout
from remnant.report.mapxml import EDGE_FIELDS, NODE_FIELDS, gexf, graphml
from remnant.windows import iso
from report.mapsample import FACTS, HOSTILE, hostile, sample


def plain(row: dict[str, Any], fields: dict[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in fields:
        value = row[name]
        if value is not None:
            out[name] = ", ".join(value) if isinstance(value, list) else value
            if name.startswith("time"):
                out[name] = iso(value)
    return out


def edges_of(graph: Graph) -> list[tuple[Any, ...]]:
    return sorted(
        (f"n{e['tail']}", f"n{e['head']}", sorted(plain(e, EDGE_FIELDS).items()))
        for e in graph.edges.to_pylist()
    )


def test_networkx_reads_the_graphml_back_equal() -> None:
    graph = sample()
    read = nx.read_graphml(io.BytesIO(graphml(graph, FACTS).encode()), force_multigraph=True)

    assert read.is_directed()
    nodes = {f"n{n}": plain(row, NODE_FIELDS) for n, row in enumerate(graph.nodes.to_pylist())}
    assert dict(read.nodes(data=True)) == nodes
    assert sorted((a, b, sorted(d.items())) for a, b, d in read.edges(data=True)) == edges_of(graph)


def test_networkx_reads_the_gexf_back_equal() -> None:
    graph = sample()
    laid = layout(graph)
    text = gexf(graph, FACTS, laid)
    read = nx.read_gexf(io.BytesIO(text.encode()), version="1.3")
    renamed = {"called": "label", "relation": "type"}

    assert read.is_directed()
    assert read.graph["mode"] == "dynamic"
    for n, row in enumerate(graph.nodes.to_pylist()):
        told = dict(read.nodes[f"n{n}"])
        assert told.pop("label") == row["value"]
        assert (
            (told.pop("start"), told.pop("end", None))
            == (
                (iso(row["time_first"]), iso(row["time_last"]))
                if row["time_first"]
                else (None, None)
            )
            if row["time_first"]
            else True
        )
        place = told.pop("viz")["position"]
        assert np.allclose([place["x"], -place["y"]], laid.positions[n], atol=0.006)
        assert {renamed.get(k, k): v for k, v in told.items()} == plain(row, NODE_FIELDS)
    found = []
    for a, b, data in read.edges(data=True):
        kept = {renamed.get(k, k): v for k, v in data.items() if k not in {"id", "start", "end"}}
        assert data["start"] == kept["time_first"]
        assert data["end"] == kept["time_last"]
        found.append((a, b, sorted((k, v) for k, v in kept.items() if k in EDGE_FIELDS)))
    assert sorted(found) == edges_of(graph)


def escaped(text: str) -> str:
    for bad in ("\x07", "\x00", "\ufffe"):
        text = text.replace(bad, bad.encode("unicode_escape").decode())
    return text


@pytest.mark.parametrize("write", [graphml, gexf])
def test_hostile_names_come_back_whole_or_escaped(write: Any) -> None:
    graph = hostile()
    text = write(graph, FACTS)
    ET.fromstring(text)
    if write is graphml:
        read = nx.read_graphml(io.BytesIO(text.encode()))
    else:
        read = nx.read_gexf(io.BytesIO(text.encode()), version="1.3")
    found = {data["value"] for _, data in read.nodes(data=True)}

    assert {escaped(name) for name in HOSTILE} <= found


def test_maps_of_nothing_are_valid() -> None:
    assert len(nx.read_graphml(io.BytesIO(graphml(Graph.empty(), FACTS).encode()))) == 0
    assert len(nx.read_gexf(io.BytesIO(gexf(Graph.empty(), FACTS).encode()), version="1.3")) == 0

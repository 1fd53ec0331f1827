"""Made-up maps for tests and benchmarks: campaigns on hosts, shared hosting between them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from remnant.infrastructure.graph import Graph
from remnant.schema import EDGES, NODES

START = datetime(2015, 4, 1, tzinfo=UTC)


class Sketch:
    """A map that grows node by node."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[str, str], dict[str, Any]] = {}
        self.edges: list[dict[str, Any]] = []

    def node(self, kind: str, value: str, **facts: Any) -> int:
        made = self.nodes.setdefault((kind, value), {"number": len(self.nodes)})
        made.update(facts)
        return int(made["number"])

    def edge(self, tail: int, head: int, type_: str, **facts: Any) -> None:
        day = (tail * 7 + head) % 20
        self.edges.append(
            {
                "tail": tail,
                "head": head,
                "type": type_,
                "time_first": START + timedelta(days=day),
                "time_last": START + timedelta(days=day + 5),
                "count": 3,
                "clients": None,
                "sensors": ["s1"],
                "sources": ["q1"],
                **facts,
            }
        )

    def graph(self) -> Graph:
        degree = [0] * len(self.nodes)
        for edge in self.edges:
            degree[edge["tail"]] += 1
            degree[edge["head"]] += 1
        nothing = dict.fromkeys(NODES.names)
        rows = [
            nothing
            | {"seed": False, "degree": degree[facts["number"]], "hop": 1}
            | {"time_first": START, "time_last": START + timedelta(days=30)}
            | {k: v for k, v in facts.items() if k != "number"}
            | {"kind": kind, "value": value}
            for (kind, value), facts in self.nodes.items()
        ]
        unique = {(e["tail"], e["head"], e["type"]): e for e in self.edges}
        return Graph(
            pa.Table.from_pylist(rows, schema=NODES.arrow),
            pa.Table.from_pylist(list(unique.values()), schema=EDGES.arrow),
        )


def made_up(size: int, seed: int = 1) -> Graph:
    """Return a map of about so many nodes."""
    draw = np.random.default_rng(seed)
    map_ = Sketch()
    sinkhole = map_.node("sinkhole", "192.0.2.53", label="Sinkhole of X", hub="sinkhole")
    shared = [
        map_.node("address", f"198.51.100.{k}", hub="shared hosting", asn=64496) for k in range(4)
    ]
    ases = [map_.node("asn", f"AS{64500 + k}", label=f"HOSTER-{k}") for k in range(12)]
    campaign = 0
    while len(map_.nodes) < size:
        campaign += 1
        servers = [
            map_.node("name_server", f"ns{k}.c{campaign}.example")
            for k in range(draw.integers(1, 4))
        ]
        hosts = []
        for k in range(int(draw.integers(2, 14))):
            value = f"10.{campaign // 250}.{campaign % 250}.{k}"
            hosts.append(map_.node("address", value, asn=64500 + campaign % 12, country="NL"))
            if k % 3 == 0:
                prefix = map_.node("prefix", f"10.{campaign // 250}.{campaign % 250}.{k}/30")
                map_.edge(hosts[-1], prefix, "in_prefix")
                map_.edge(prefix, ases[int(draw.integers(12)) if k else campaign % 12], "in_asn")
        for k in range(int(draw.integers(3, 60))):
            facts = {"seed": True, "role": "c2", "state": "seized"} if draw.random() < 0.2 else {}
            domain = map_.node("domain", f"d{k}.c{campaign}.example", **facts)
            for host in draw.choice(hosts, int(draw.integers(1, 3))):
                map_.edge(domain, int(host), "resolves_to")
            map_.edge(domain, int(draw.choice(servers)), "served_by")
            if facts:
                map_.edge(domain, sinkhole, "sinkholed_at")
            if draw.random() < 0.3:
                name = map_.node("name", f"www.d{k}.c{campaign}.example")
                map_.edge(name, domain, "below")
                map_.edge(name, int(draw.choice(hosts)), "resolves_to")
            if draw.random() < 0.1:
                map_.edge(domain, int(draw.choice(shared)), "resolves_to")
    return map_.graph()


def with_traffic(graph: Graph, networks: int = 20, seed: int = 2) -> Graph:
    """Return the map with client networks that ask for its seeds."""
    draw = np.random.default_rng(seed)
    names = graph.seeds[:30]
    rows = [
        dict.fromkeys(NODES.names)
        | {"kind": "client_network", "value": f"AS{65000 + k}", "label": f"ISP {k}", "seed": False}
        | {"degree": 3, "hop": 1}
        for k in range(networks)
    ]
    first = len(graph)
    edges = [
        {
            "tail": first + k,
            "head": int(name),
            "type": "asks",
            "time_first": START,
            "time_last": START + timedelta(days=9),
            "count": int(draw.integers(1, 50_000)) // (k + 1) + 1,
            "clients": int(draw.integers(1, 900)) // (k + 1) + 1 if k < networks - 4 else 3,
            "sensors": ["s1"],
            "sources": ["q1"],
        }
        for k in range(networks)
        for name in draw.choice(names, min(6, names.size), replace=False)
    ]
    return Graph(
        pa.concat_tables([graph.nodes, pa.Table.from_pylist(rows, schema=NODES.arrow)]),
        pa.concat_tables([graph.edges, pa.Table.from_pylist(edges, schema=EDGES.arrow)]),
    )

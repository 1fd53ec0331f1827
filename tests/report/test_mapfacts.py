from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mapped import Sketch
from remnant.infrastructure.graph import Graph
from remnant.report.mapfacts import _few, candidate_ranks, published
from report.mapsample import FACTS, candidates, sample


def asked(*clients: int) -> Graph:
    sketch = Sketch()
    names = [sketch.node("name", f"n{k}.example", seed=True) for k in range(2)]
    for k, count in enumerate(clients):
        network = sketch.node("client_network", f"AS{k + 1}", label=f"ISP {k}")
        for name in names:
            sketch.edge(network, name, "asks", clients=max(1, count - 5 * name), count=100)
    return sketch.graph()


def networks(graph: Graph) -> list[str]:
    rows = graph.nodes.to_pylist()
    return [row["value"] for row in rows if row["kind"] == "client_network"]


def test_networks_with_few_clients_are_one_node_without_counts() -> None:
    graph = asked(50, 9, 3, 12)
    shown = published(graph, 10)

    assert networks(shown) == ["AS1", "networks with few clients", "AS4"]
    edges = shown.edges.to_pylist()
    hidden = [e for e in edges if shown.nodes["value"][e["tail"]].as_py().startswith("networks")]
    assert [(e["count"], e["clients"]) for e in hidden] == [(200, None)] * 2
    assert sum(e["count"] for e in edges) == sum(graph.edges["count"].to_numpy())
    # AS4 has 12 clients for one name and 7 for the other.
    assert sorted(e["clients"] or 0 for e in edges) == [0, 0, 0, 12, 45, 50]


def test_one_small_network_is_not_hidden_alone() -> None:
    shown = published(asked(50, 3, 30), 10)

    assert networks(shown) == ["AS1", "networks with few clients"]


def test_internal_maps_hide_nothing() -> None:
    graph = asked(50, 3)

    assert published(graph, 0) is graph
    assert published(Graph.empty(), 10).nodes.num_rows == 0


def test_what_a_map_says_of_itself() -> None:
    assert FACTS.heading == 'SIMULATED: BeeBone <b>"&"</b>'
    assert FACTS.line == (
        "1 Apr 2015 to 30 Apr 2015 · passive DNS of 2 sensors · sensors delivered 97 % of the "
        "time · as of 2 May 2015"
    )
    unknown = replace(FACTS, window=None, coverage=None)
    assert unknown.line.startswith("all times on record · ")
    assert "coverage not known" in unknown.line


def test_ranks_are_found_by_kind_and_value() -> None:
    graph = sample()
    found = candidates(graph)
    ranks = candidate_ranks(graph, [*found, {"kind": "name", "value": "elsewhere.example"}])

    assert sorted(ranks.values()) == list(range(1, len(found) + 1))
    assert all(graph.nodes["value"][n].as_py() == found[r - 1]["value"] for n, r in ranks.items())


def test_few_queries_are_not_published_nor_when_few_clients_asked() -> None:
    sketch = Sketch()
    name, other = (sketch.node("name", f"n{k}.example", seed=True) for k in range(2))
    large, *small = (sketch.node("client_network", f"AS{k}") for k in range(3))
    sketch.edge(large, name, "asks", clients=50, count=100)
    sketch.edge(large, other, "asks", clients=1, count=3)
    for network, count in zip(small, (20, 7), strict=True):
        sketch.edge(network, name, "asks", clients=2, count=count)
    sketch.edge(small[0], other, "asks", clients=2, count=4)
    graph = sketch.graph()
    times = [column.to_pylist() for column in (graph.edges["time_first"], graph.edges["time_last"])]
    late = [[None if t is None else t.replace(hour=13, minute=7) for t in part] for part in times]
    edges = graph.edges
    for column, part in zip(("time_first", "time_last"), late, strict=True):
        index = edges.schema.get_field_index(column)
        edges = edges.set_column(
            index, edges.schema.field(column), pa.array(part, edges.schema.field(column).type)
        )
    shown = published(replace(graph, edges=edges), 10)

    rows = shown.edges.to_pylist()
    assert [(row["count"], row["clients"]) for row in rows] == [(100, 50), (27, None)]
    assert {(row[n].hour, row[n].minute) for row in rows for n in ("time_first", "time_last")} == {
        (0, 0)
    }
    (together,) = (r for r in shown.nodes.to_pylist() if r["value"].startswith("networks"))
    assert together["degree"] == 2


def test_networks_are_told_by_day_without_sources_and_all_else_by_second() -> None:
    """An exact time and the network's own logs would name one client."""
    sketch = Sketch()
    name = sketch.node("name", "c2.example", seed=True)
    address = sketch.node("address", "203.0.113.7")
    network = sketch.node("client_network", "AS64500")
    sketch.edge(name, address, "resolves_to", count=90)
    sketch.edge(network, name, "asks", clients=50, count=100)
    graph = sketch.graph()

    def late(table: pa.Table) -> pa.Table:
        for column in ("time_first", "time_last"):
            index = table.schema.get_field_index(column)
            field = table.schema.field(index)
            time = datetime(2015, 4, 8, 13, 7, 5, 123_456, UTC)
            table = table.set_column(index, field, pa.array([time] * table.num_rows, field.type))
        return table

    exact = replace(graph, nodes=late(graph.nodes), edges=late(graph.edges))
    shown = published(exact, 10)
    day, second = datetime(2015, 4, 8, tzinfo=UTC), datetime(2015, 4, 8, 13, 7, 5, tzinfo=UTC)
    for column in ("time_first", "time_last"):
        assert shown.nodes[column].to_pylist() == [second, second, day]
        assert dict(
            zip(shown.edges["type"].to_pylist(), shown.edges[column].to_pylist(), strict=True)
        ) == {"resolves_to": second, "asks": day}
    told = {str(row["type"]): bool(row["sources"]) for row in shown.edges.to_pylist()}
    assert told == {"resolves_to": True, "asks": False}
    assert published(exact, 0) is exact
    # Without networks, too.
    alone = exact.edges.filter(
        pa.array([str(t) != "asks" for t in exact.edges["type"].to_pylist()])
    )
    (row,) = published(replace(exact, nodes=exact.nodes[:2], edges=alone), 10).edges.to_pylist()
    assert row["time_first"] == second


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 40)), max_size=30),
    st.integers(2, 15),
)
def test_no_small_number_of_queries_follows_from_the_sum_of_a_name(
    edges: list[tuple[int, int]], minimum: int
) -> None:
    heads = np.array([head for head, _ in edges], np.int32)
    counts = np.array([count for _, count in edges], np.int64)
    hidden = _few(heads, counts, minimum)

    assert hidden[counts < minimum].all()
    for head in set(heads.tolist()):
        of_name = heads == head
        told = int((hidden & of_name).sum())
        assert told != 1 or of_name.sum() == 1
        # No more than needed.
        assert told <= max(int((of_name & (counts < minimum)).sum()), 2)

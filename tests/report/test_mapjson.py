from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

import pytest

from mapped import made_up, with_traffic
from remnant.infrastructure.layout import Arrangement, arrange
from remnant.report.mapfacts import candidate_ranks
from remnant.report.mapjson import MOST_MEMBERS, viewer_json
from report.mapsample import FACTS, HOSTILE, candidates, hostile, sample


@pytest.fixture(scope="module")
def made() -> Arrangement:
    return arrange(sample(), keep=list(candidate_ranks(sample(), candidates(sample()))))


@pytest.fixture(scope="module")
def read(made: Arrangement) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(viewer_json(sample(), made, candidates(sample()), FACTS))
    return data


def test_edges_and_times_come_back_as_they_were(made: Arrangement, read: dict[str, Any]) -> None:
    small, edges = made.folded.graph, read["edges"]
    origin = datetime.fromisoformat(read["time"]["origin"])
    step = timedelta(seconds=read["time"]["step_s"])
    told = {
        (tail, head, read["types"][kind], count, origin + first * step)
        for tail, head, kind, count, first in zip(
            accumulate(edges["tail"]),
            edges["head"],
            edges["type"],
            edges["count"],
            edges["first"],
            strict=True,
        )
    }

    assert told == {
        (e["tail"], e["head"], e["type"], e["count"], e["time_first"])
        for e in small.edges.to_pylist()
    }
    assert len(edges["clients"]) == sum(c is not None for c in small.edges["clients"].to_pylist())


def test_every_column_has_a_value_for_every_node(made: Arrangement, read: dict[str, Any]) -> None:
    count = len(made.folded.graph)
    nodes = read["nodes"]

    for name in ("kind", "value", "x", "y", "r", "cluster", "size", "degree", "first", "last"):
        assert len(nodes[name]) == count, name
    assert abs(nodes["x"][5] / read["unit"] - made.layout.positions[5, 0]) <= 0.06
    assert read["seeds"] == made.folded.graph.seeds.tolist()
    assert nodes["hub"]["0"] == "sinkhole"
    assert read["kinds"][nodes["kind"][0]] == "sinkhole"


def test_folds_list_their_members_up_to_a_bound(made: Arrangement, read: dict[str, Any]) -> None:
    for node, members in read["folds"].items():
        size = read["nodes"]["size"][int(node)]
        assert len(members) == min(size, MOST_MEMBERS)
        assert read["nodes"]["value"][int(node)] == members[0]
    assert read["folds"]


def test_candidates_keep_their_order_and_reasons(read: dict[str, Any]) -> None:
    found = candidates(sample())

    assert [row["value"] for row in read["candidates"]] == [row["value"] for row in found]
    first = read["candidates"][0]
    assert first["reasons"] == found[0]["reasons"]
    assert read["nodes"]["value"][first["node"]] == found[0]["value"]


def test_hostile_names_come_back_whole_and_cannot_leave_a_script() -> None:
    graph = hostile()
    data = viewer_json(graph, arrange(graph, threshold=0), [{"kind": "name", "value": "x"}], FACTS)

    assert b"<" not in data
    read = json.loads(data)
    assert set(HOSTILE) <= set(read["nodes"]["value"])
    assert read["facts"]["title"] == FACTS.title
    assert read["candidates"][0]["node"] is None


def test_the_viewers_data_are_small() -> None:
    graph = with_traffic(made_up(5_000))

    # 20,000 things have 600 kB: bench/layout.py.
    assert len(gzip.compress(viewer_json(graph, arrange(graph), [], FACTS), 6)) <= 200_000

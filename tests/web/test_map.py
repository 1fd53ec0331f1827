"""The map's page, its data, its tables and its files, without a browser."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from mapped import made_up, with_traffic
from remnant.web.results.mapped import facts_of, told, unpacked, whole
from remnant.web.results.results import Result
from report.mapsample import candidates, hostile, sample
from web import maps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient

    from remnant.infrastructure.graph import Graph
    from story.telling import Place

HTML = {"accept": "text/html"}
PATH = "/cases/taken/map"


@pytest.fixture(scope="module")
def asking(home: Place) -> Iterator[TestClient]:
    """An application of its own, so that a map can be put in place of the store's."""
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app
    from web.conftest import settings_of

    with TestClient(create_app(settings_of(home)), base_url="http://127.0.0.1") as client:
        maps.put(client.app, maps.ready(maps.chart(sample())))  # type: ignore[arg-type]
        yield client


@pytest.fixture
def shown(asking: TestClient) -> Iterator[TestClient]:
    """The same, with the sample put back after a test that shows something else."""
    yield asking
    maps.put(asking.app, maps.ready(maps.chart(sample())))  # type: ignore[arg-type]


def values_of(graph: Graph) -> list[str]:
    return [str(value) for value in graph.nodes["value"].to_pylist()]


def data_of(client: TestClient, part: str) -> Any:
    answer = client.get(f"{PATH}/{part}.json")
    assert answer.status_code == 200
    return answer.json()


def test_the_page_tells_what_is_on_the_map_and_what_ranks_high(asking: TestClient) -> None:
    told_ = asking.get(f"{PATH}.json").json()
    graph = sample()
    assert told_["state"] == "ready"
    assert told_["things"] == len(graph)
    assert told_["relations"] == graph.edges.num_rows
    assert sum(kind["number"] for kind in told_["kinds"]) == len(graph)
    assert [one["value"] for one in told_["candidates"]] == [
        one["value"] for one in candidates(graph)
    ]
    text = asking.get(PATH, headers=HTML).text
    for one in candidates(graph):
        assert str(one["value"]) in text
        for reason in one["reasons"]:  # type: ignore[attr-defined]
            assert reason in text
    assert "figure.svg" in text


def test_members_and_folded_things_together_are_the_whole_map(asking: TestClient) -> None:
    viewer, members = data_of(asking, "viewer"), data_of(asking, "members")
    alone = [v for v, size in zip(viewer["nodes"]["value"], viewer["nodes"]["size"], strict=True)
             if size == 1]  # fmt: skip
    assert sorted(alone + members["nodes"]["value"]) == sorted(values_of(sample()))
    # Members lie in the order of what they are folded into, as the viewer counts them.
    at = 0
    for node, size in enumerate(viewer["nodes"]["size"]):
        if size > 1:
            listed = viewer["folds"][str(node)]
            assert members["nodes"]["value"][at : at + len(listed)] == listed
            at += size
    assert at == len(members["nodes"]["value"])


def test_relations_of_members_are_those_of_the_whole_map(asking: TestClient) -> None:
    viewer, members = data_of(asking, "viewer"), data_of(asking, "members")
    count = len(viewer["nodes"]["value"])
    names = [
        v if size == 1 else None
        for v, size in zip(viewer["nodes"]["value"], viewer["nodes"]["size"], strict=True)
    ] + members["nodes"]["value"]

    def pairs(edges: dict[str, Any]) -> set[tuple[str, str, str]]:
        tails = np.cumsum(edges["tail"]).tolist()
        rows = zip(tails, edges["type"], edges["head"], strict=True)
        return {(names[t], viewer["types"][k], names[h]) for t, k, h in rows}

    plain = {pair for pair in pairs(viewer["edges"]) if pair[0] and pair[2]}
    graph = sample()
    values = values_of(graph)
    types = graph.edges["type"].cast(pa.string()).to_pylist()
    ends = zip(graph.tails.tolist(), types, graph.heads.tolist(), strict=True)
    assert plain | pairs(members["edges"]) == {(values[t], k, values[h]) for t, k, h in ends}
    assert count < len(values)


def test_days_add_up_to_the_traffic_and_a_gap_is_no_zero(asking: TestClient) -> None:
    days = data_of(asking, "days")
    made = maps.days_of(sample())
    assert made is not None
    sums = [sum(row[k] or 0 for row in days["queries"]) for k in range(maps.DAYS)]
    assert sums == made.queries.sum(axis=0).tolist()
    assert days["covered"][maps.GAP] == 0
    assert {row[maps.GAP] for row in days["queries"]} == {None}


def test_parts_are_sent_as_they_are_kept(asking: TestClient) -> None:
    first = asking.get(f"{PATH}/viewer.json")
    assert first.headers["content-encoding"] == "gzip"
    again = asking.get(f"{PATH}/viewer.json", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    plain = asking.get(f"{PATH}/viewer.json", headers={"accept-encoding": "identity"})
    assert plain.json() == first.json()
    assert (
        "no-store" in first.headers["cache-control"]
        or "private" in (first.headers["cache-control"])
    )


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        ("svg", "<svg"), ("nodes.csv", "number,"), ("edges.csv", "tail,"), ("graphml", "<?xml"),
        ("gexf", "<?xml"), ("stix", "{"), ("misp", "{"), ("viewer", "{"),
    ],
)  # fmt: skip
def test_the_map_is_given_as_files(asking: TestClient, kind: str, begins: str) -> None:
    answer = asking.get(f"{PATH}/export/{kind}")
    assert answer.status_code == 200
    assert answer.text.startswith(begins)
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_picture_runs_nothing(asking: TestClient) -> None:
    answer = asking.get(f"{PATH}/figure.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert asking.get(f"{PATH}/export/png").content.startswith(b"\x89PNG")


def test_an_unknown_format_is_refused(asking: TestClient) -> None:
    answer = asking.get(f"{PATH}/export/exe")
    assert answer.status_code == 422
    assert answer.json()["error"]["status"] == 422


def test_tables_find_sort_and_page_without_losing_a_row(asking: TestClient) -> None:
    seen: list[dict[str, Any]] = []
    after = None
    for _ in range(100):
        ask: dict[str, Any] = {"sort": "-degree", "limit": 37} | (
            {} if after is None else {"after": after}
        )
        answer = asking.get(f"{PATH}/table.json", params=ask).json()
        seen += answer["rows"]
        after = answer["after"]
        if after is None:
            break
    assert len(seen) == len(sample()) == answer["found"]
    assert len({row["number"] for row in seen}) == len(seen)
    degrees = [row["degree"] for row in seen]
    assert degrees == sorted(degrees, reverse=True)
    found = asking.get(f"{PATH}/table.json", params={"find": "C1.EXAMPLE", "limit": 1000}).json()
    values = [row["value"] for row in found["rows"]]
    assert values == sorted(v for v in values_of(sample()) if "c1.example" in v)
    chosen = asking.get(f"{PATH}/table.json", params={"kind": "sinkhole"}).json()
    assert {row["kind"] for row in chosen["rows"]} == {"sinkhole"}


def test_links_are_a_table_too(asking: TestClient) -> None:
    ask: dict[str, Any] = {"of": "links", "kind": "asks", "sort": "-clients", "limit": 1000}
    answer = asking.get(f"{PATH}/table.json", params=ask).json()
    clients = [row["clients"] for row in answer["rows"]]
    assert clients == sorted(clients, reverse=True)
    assert {row["tail_kind"] for row in answer["rows"]} == {"client_network"}
    rows = list(csv.DictReader(io.StringIO(asking.get(f"{PATH}/table.csv", params=ask).text)))
    assert [int(row["clients"]) for row in rows] == clients


@pytest.mark.parametrize(
    "query",
    ["sort=secret", "sort=tail", "limit=0", "limit=100000", "after=-1", "of=x", "kind=%00",
     "find=" + "a" * 300, "more=1"],
)  # fmt: skip
def test_tables_refuse_what_they_do_not_know(asking: TestClient, query: str) -> None:
    assert asking.get(f"{PATH}/table.json?{query}").status_code == 422


def test_text_to_find_is_never_a_pattern(asking: TestClient) -> None:
    answer = asking.get(f"{PATH}/table.json", params={"find": ".*"}).json()
    assert answer["found"] == 0


def test_a_map_of_hostile_names_stays_text(shown: TestClient) -> None:
    maps.put(shown.app, maps.ready(maps.hostile_chart()))  # type: ignore[arg-type]
    for path in (PATH, f"{PATH}/table", f"{PATH}/table?of=links"):
        text = shown.get(path, headers=HTML).text
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "\x07" not in text
    assert "\\u202e" in text
    cells = shown.get(f"{PATH}/table.csv").text
    assert "\n=cmd" not in cells
    assert ",=cmd" not in cells
    values = data_of(shown, "members")["nodes"]["value"] + ["192.0.2.7"]
    assert sorted(values) == sorted(values_of(hostile()))


@pytest.mark.parametrize(
    ("found", "state", "status"),
    [
        (Result(is_working=True), "working", 503),
        (Result(problem="it took too long"), "problem", 404),
    ],
)
def test_without_a_map_the_page_says_so(
    shown: TestClient, found: Result, state: str, status: int
) -> None:
    maps.put(shown.app, found)  # type: ignore[arg-type]
    assert shown.get(f"{PATH}.json").json()["state"] == state
    assert shown.get(PATH, headers=HTML).status_code == 200
    assert shown.get(f"{PATH}/table", headers=HTML).status_code == 200
    assert shown.get(f"{PATH}/viewer.json").status_code == status


def test_the_map_of_the_store_is_worked_out(client: TestClient, home: Place) -> None:
    site = client.app.state.site  # type: ignore[attr-defined]
    found = site.results.wait("taken", "map", internal=True)
    assert found.problem is None
    value = found.value
    assert value["observed"]
    assert value["things"] == len(whole(value)) > 5
    assert facts_of(value).case == "taken"
    viewer = json.loads(gzip.decompress(unpacked(value["viewer"])))
    assert len(viewer["nodes"]["score"]) == len(viewer["nodes"]["value"])
    assert value["days"] is not None
    kept = home.home / "cases" / "taken" / "map-places.json"
    assert kept.is_file()


def test_what_may_be_published_names_no_candidates(client: TestClient) -> None:
    site = client.app.state.site  # type: ignore[attr-defined]
    value = site.results.wait("taken", "map", internal=False).value
    assert value["candidates"] == []
    assert value["days"] is None
    assert value["minimum"] == site.settings.report.minimum_count


def test_new_data_move_nothing(tmp_path: Path) -> None:
    graph = made_up(300, 4)
    facts = facts_of(maps.chart(graph))
    _, first = told(graph, [], facts)
    grown = with_traffic(graph, 6)
    _, second = told(grown, [], facts, previous=first.positions(graph))
    before, after = first.positions(graph), second.positions(grown)
    moved = [np.hypot(after[key][0] - x, after[key][1] - y) for key, (x, y) in before.items()]
    left, _, right, _ = first.layout.bounds
    assert np.median(moved) == pytest.approx(0, abs=0.05)
    assert np.quantile(moved, 0.95) <= 0.05 * (right - left)


def test_an_unreadable_file_of_places_is_as_none(tmp_path: Path) -> None:
    from remnant.web.results.mapped import _keep_places, _places

    path = tmp_path / "map-places.json"
    for text in ("", "[]", '{"a": 1}', '{"a": [1, "x"]}', "{" * 5000):
        path.write_text(text, encoding="utf-8")
        assert _places(path) is None or text == "[]"
    _keep_places(path, {"name a.example": (1.234, -2.0)})
    assert _places(path) == {"name a.example": (1.23, -2.0)}


def test_parts_are_those_of_the_map_that_is_asked_for(shown: TestClient) -> None:
    value = maps.chart(sample())
    for part in ("viewer", "members", "days"):
        path = f"{PATH}/{part}.json"
        assert shown.get(path, params={"made": maps.MADE.isoformat()}).status_code == 200
        assert shown.get(path, params={"made": "2015-06-02T12:30:01Z"}).status_code == 409
        assert shown.get(path, params={"made": "2015-06-02T12:30:00"}).status_code == 422
    maps.put(shown.app, maps.ready(value, maps.MADE + timedelta(hours=1)))  # type: ignore[arg-type]
    assert shown.get(f"{PATH}/days.json", params={"made": value["made"]}).status_code == 409
    assert shown.get(f"{PATH}/days.json").status_code == 200

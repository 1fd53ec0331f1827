from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from mapped import made_up
from remnant.report.mapfacts import published
from remnant.report.trafficfigure import inline_traffic, traffic_svg
from report.mapsample import FACTS, hostile, sample

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [part.text or "" for part in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def said() -> list[str]:
    return texts(traffic_svg(published(sample(), 10), FACTS))


def test_networks_names_and_where_they_led_stand_side_by_side(said: list[str]) -> None:
    heads = ("client networks", "names asked for", "led to", "ASes and name servers")

    assert set(heads) <= set(said)
    assert any(text.startswith("ISP ") for text in said)
    assert any(text.startswith("Sinkhole of X") for text in said)
    assert any(text.startswith("AS645") for text in said)
    assert FACTS.line in said


def test_the_queries_add_up_to_those_of_the_map(said: list[str]) -> None:
    edges = [e for e in sample().edges.to_pylist() if e["type"] == "asks"]
    total = sum(e["count"] for e in edges)

    assert any(text.startswith(f"{total:,} queries from ") for text in said)


def test_small_networks_are_not_named() -> None:
    graph = published(sample(), 10)
    most: dict[str, int] = {}
    values = sample().nodes["label"].to_pylist()
    for edge in sample().edges.to_pylist():
        if edge["type"] == "asks":
            label = values[edge["tail"]]
            most[label] = max(most.get(label, 0), edge["clients"])
    small = [label for label, clients in most.items() if clients < 10]
    said = " ".join(texts(traffic_svg(graph, FACTS)))

    assert len(small) > 1
    assert not any(f"{label} (" in said for label in small)
    assert "networks with few clients" in said
    assert "fewer than 10 clients" in said


def test_on_a_page_it_follows_the_colours_and_the_width() -> None:
    wide, narrow = inline_traffic(published(sample(), 10), FACTS)

    for svg, width in ((wide, 920.0), (narrow, 328.0)):
        root = ET.fromstring(svg)
        assert float(root.get("width", "0")) == width
        assert not re.findall(r'(?:fill|stroke)="#', svg)
        assert all(0 <= float(t.get("x", "0")) <= width for t in root.iter(f"{SVG}text"))


def test_without_traffic_it_says_so() -> None:
    said = texts(traffic_svg(made_up(60), FACTS))

    assert "No queries for these names were seen in the window" in said


def test_hostile_names_stay_text() -> None:
    svg = traffic_svg(hostile(), FACTS)

    assert {part.tag for part in ET.fromstring(svg).iter()} <= {
        f"{SVG}{name}" for name in ("svg", "path", "rect", "text")
    }

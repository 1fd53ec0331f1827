from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from mapped import made_up
from remnant.infrastructure.graph import KINDS, Graph
from remnant.infrastructure.layout import Arrangement, arrange
from remnant.report.mapfacts import candidate_ranks
from remnant.report.mapfigure import LOOKS, inline_map, map_svg
from report.mapsample import FACTS, candidates, hostile, sample

SVG = "{http://www.w3.org/2000/svg}"


def arranged(graph: Graph) -> Arrangement:
    return arrange(graph, keep=list(candidate_ranks(graph, candidates(graph))))


@pytest.fixture(scope="module")
def drawn() -> str:
    return map_svg(arranged(sample()), candidates(sample()), FACTS)


def texts(svg: str) -> list[str]:
    return [part.text or "" for part in ET.fromstring(svg).iter(f"{SVG}text")]


def test_kinds_differ_in_shape_and_colour() -> None:
    assert set(LOOKS) == set(KINDS)
    pairs = list(LOOKS.values())
    assert len(set(pairs)) == len(pairs)


def test_the_figure_says_what_when_from_what_and_that_it_is_simulated(drawn: str) -> None:
    said = texts(drawn)

    assert said[0] == FACTS.heading
    assert FACTS.line in said
    assert any("things" in text for text in said)
    assert "candidate, with its rank" in said
    assert "1 sinkhole" in said
    assert any("(shared hosting)" in text for text in said)
    assert "SIMULATED" not in " ".join(
        texts(map_svg(arranged(sample()), [], replace(FACTS, simulated=False)))
    )


def test_each_candidate_has_its_rank_and_the_first_ones_their_name(drawn: str) -> None:
    said = texts(drawn)
    found = candidates(sample())

    assert {str(rank) for rank in range(1, len(found) + 1)} <= set(said)
    assert sum(str(row["value"]) in said for row in found) >= len(found) // 2


def test_the_same_map_is_the_same_file(drawn: str) -> None:
    assert map_svg(arranged(sample()), candidates(sample()), FACTS) == drawn


def test_hostile_names_stay_text() -> None:
    graph = hostile()
    made = arrange(graph, threshold=0)
    svg = map_svg(made, [], FACTS)
    tags = {part.tag for part in ET.fromstring(svg).iter()}

    assert tags <= {f"{SVG}{name}" for name in ("svg", "path", "rect", "text")}
    assert "\u202e" not in svg
    assert "\x07" not in svg
    assert max(map(len, texts(svg))) < 200


def test_on_a_page_it_follows_the_colours_and_the_width() -> None:
    wide, narrow = inline_map(arranged(sample()), candidates(sample()), FACTS)

    for svg, width in ((wide, 920.0), (narrow, 328.0)):
        root = ET.fromstring(svg)
        assert float(root.get("width", "0")) == width
        assert not re.findall(r'(?:fill|stroke)="#', svg)
        assert "var(--accent)" in svg
        # No text begins outside of the picture.
        assert all(0 <= float(t.get("x", "0")) <= width for t in root.iter(f"{SVG}text"))
    assert len(texts(narrow)) < len(texts(wide))


def test_five_thousand_things_stay_under_half_a_megabyte() -> None:
    graph = made_up(5000)

    assert len(map_svg(arrange(graph), [], FACTS)) < 500_000


def test_a_map_of_nothing_is_drawn() -> None:
    said = texts(map_svg(arrange(Graph.empty()), [], FACTS))

    assert any("0 seeds: 0 things" in text for text in said)

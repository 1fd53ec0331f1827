from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

from remnant.web.strips import Cell, coverage_strip, state_strip
from remnant.windows import Window

START = datetime(2015, 4, 8, tzinfo=UTC)


def rects(svg: str) -> list[dict[str, str]]:
    tree = ET.fromstring(svg)
    return [dict(one.attrib) for one in tree.iter() if one.tag.endswith("rect")]


def test_a_gap_is_hatched_and_what_was_not_expected_is_blank() -> None:
    cells = [Cell(START, 24, 24), Cell(START, 24, 0), Cell(START, 24, 6), Cell(START, 0, 0)]
    drawn = rects(coverage_strip(cells, "told", 3))
    fills = [one["fill"] for one in drawn]
    assert fills == ["var(--accent)", "url(#gap3)", "url(#gap3)", "var(--accent)"]
    assert float(drawn[3]["height"]) == 6.0
    assert {float(one["x"]) // 240 for one in drawn} == {0.0, 1.0, 2.0}


def test_states_fill_their_time_and_what_needs_action_stands_tallest() -> None:
    window = Window(START, START + timedelta(days=10))
    middle = START + timedelta(days=4)
    timeline = [
        {"since": START, "until": middle, "state": "resolving"},
        {"since": middle, "until": window.until, "state": "sinkholed"},
    ]
    first, second = rects(state_strip(timeline, window))
    assert (float(first["width"]), float(second["x"])) == (384.0, 384.0)
    assert float(first["height"]) > float(second["height"])


def test_words_in_a_strip_are_escaped() -> None:
    svg = coverage_strip([Cell(START, 1, 1)], '"><script>alert(1)</script>')
    assert "<script" not in svg
    assert rects(svg)


def test_nothing_is_drawn_of_nothing() -> None:
    assert coverage_strip([], "none") == ""
    assert state_strip([], Window(START, START + timedelta(days=1))) == ""

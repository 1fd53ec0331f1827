"""Curves drawn without a library: what is on them is what was measured."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from remnant.report.drawing import NARROW, WIDE
from remnant.report.facts import Mark
from remnant.web.curves.drawing import (
    Line,
    Looks,
    coverage_strip,
    draw,
    log_ticks,
    round_ticks,
    standalone,
)
from remnant.windows import Window

START = datetime(2015, 4, 8, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Window(START, START + 10 * DAY)


def _points(values: list[float | None]) -> list[tuple[datetime, float | None]]:
    return [(START + n * DAY + DAY / 2, value) for n, value in enumerate(values)]


def _path(svg: str) -> str:
    found = re.search(r'<path d="([^"]*)" fill="none" stroke="var\(--accent\)"', svg)
    assert found
    return found[1]


def test_a_gap_breaks_the_line_and_a_day_alone_is_a_dot() -> None:
    svg = draw(
        [Line(_points([5, 6, None, 7, None, None, 8, 9, 9, 9]))], WINDOW, WIDE, Looks(),
        css_class="wide",
    )  # fmt: skip
    path = _path(svg)
    assert path.count("M") == 3
    assert "h0" in path


def test_what_strangers_wrote_is_escaped() -> None:
    note = '"><script>alert(1)</script>'
    marks = (Mark(START + DAY, "notice", note),)
    looks = Looks(label=note, marks=marks)
    svg = draw([Line(_points([1.0] * 10))], WINDOW, WIDE, looks, css_class="wide")
    assert "<script" not in svg
    ET.fromstring(svg)
    ET.fromstring(standalone(svg, note, [note]))


@pytest.mark.parametrize("frame", [WIDE, NARROW])
@pytest.mark.parametrize("log", [False, True])
def test_everything_lies_inside_the_drawing(frame: object, *, log: bool) -> None:
    values: list[float | None] = [0, 3, 1e7, None, 20, 0.5, 4000, 12, 1, 0]
    band = [(START + n * DAY, 10.0, 0.0, 2e7) for n in range(10)]
    looks = Looks(log=log, band=band, gaps=[(START - DAY, START + DAY)])
    svg = draw([Line(_points(values))], WINDOW, frame, looks, css_class="x")  # type: ignore[arg-type]
    for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", _path(svg)):
        assert 0 <= float(x) <= frame.width  # type: ignore[attr-defined]
        assert 0 <= float(y) <= frame.height  # type: ignore[attr-defined]
    assert "nan" not in svg
    assert "inf" not in svg


@pytest.mark.parametrize("values", [[], [None] * 10, [0.0] * 10, [1e-9] * 10, [1e15] * 10])
@pytest.mark.parametrize("log", [False, True])
def test_any_series_is_drawn(values: list[float | None], *, log: bool) -> None:
    svg = draw([Line(_points(values))], WINDOW, WIDE, Looks(log=log), css_class="wide")
    ET.fromstring(svg)


def test_many_points_are_thinned_without_losing_the_extremes() -> None:
    step = timedelta(minutes=2)
    values = [100.0] * 7200
    values[3333] = 900.0
    values[5000] = 1.0
    points = [(START + n * step, value) for n, value in enumerate(values)]
    svg = draw([Line(points)], WINDOW, WIDE, Looks(), css_class="wide")
    heights = [float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", _path(svg))]
    assert len(heights) < 4 * WIDE.width
    usual = max(set(heights), key=heights.count)
    assert min(heights) < usual < max(heights)


@pytest.mark.parametrize("top", [0.3, 1, 4, 7, 95, 100, 101, 4999, 1.5e6, 2.4e9])
def test_round_ticks_begin_at_zero_and_reach_the_top(top: float) -> None:
    found = round_ticks(top)
    assert found[0] == 0
    assert found[-1] >= 0.9999 * top
    assert 2 <= len(found) <= 8


@pytest.mark.parametrize("values", [[1, 9], [20, 4000], [0.02, 7e8], [5], [0, 0], [99, 101]])
def test_log_ticks_rise_and_hold_all_values(values: list[float]) -> None:
    found = log_ticks(values)
    assert found == sorted(set(found))
    assert len(found) > 1
    above = [value for value in values if value > 0]
    if above:
        assert found[0] <= min(above) * 1.001


def test_the_strip_shows_gaps_apart_from_covered_days() -> None:
    days = [
        (START + n * DAY, START + (n + 1) * DAY, share, gap)
        for n, (share, gap) in enumerate([(1.0, False)] * 5 + [(0.5, True), (None, True)])
    ]
    svg = coverage_strip(days, WINDOW, WIDE, "coverage", css_class="wide")
    assert svg.count('fill="var(--band)"') == 1
    assert svg.count('fill="var(--ink)"') == 1
    assert svg.count('fill="var(--gap)"') == 3

from __future__ import annotations

from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.report.charts import bars, coverage_bars, curve
from remnant.report.drawing import NARROW, WIDE, specification, svg
from remnant.report.facts import Mark
from remnant.report.wording import legible
from remnant.windows import Window
from report.sample import START, make_content

DAY = timedelta(days=1)
WINDOW = Window(START, START + 10 * DAY)


def layers(chart: Any, mark: str) -> list[list[dict[str, Any]]]:
    spec = chart.to_dict()
    return [rows_of(spec, layer) for layer in spec["layer"] if layer["mark"]["type"] == mark]


def rows_of(spec: dict[str, Any], layer: dict[str, Any]) -> list[dict[str, Any]]:
    name = (layer.get("data") or spec["data"])["name"]
    found: list[dict[str, Any]] = spec["datasets"][name]
    return found


def test_no_line_crosses_a_gap() -> None:
    values = [1.0, 2.0, None, 3.0, None, 4.0, 5.0]
    chart = curve([(START + i * DAY, value) for i, value in enumerate(values)], WINDOW, WIDE)
    (line,) = layers(chart, "line")
    segments: dict[int, list[float]] = {}
    for row in line:
        segments.setdefault(row["segment"], []).append(row["value"])
    assert list(segments.values()) == [[1.0, 2.0], [4.0, 5.0]]
    # A day between two gaps is a dot.
    assert [row["value"] for row in layers(chart, "circle")[0]] == [3.0]


def test_the_axis_begins_at_zero_and_holds_curve_and_band() -> None:
    band = [(START, 50.0, 40.0, 90.0)]
    spec = curve([(START, 60.0), (START + DAY, 70.0)], WINDOW, WIDE, band=band).to_dict()
    domain = spec["layer"][-1]["encoding"]["y"]["scale"]["domain"]
    assert domain[0] == 0
    assert domain[1] >= 90


def test_the_fitted_line_is_heavier_than_the_data_and_lies_above_them() -> None:
    band = [(START, 50.0, 40.0, 90.0), (START + DAY, 50.0, 40.0, 90.0)]
    spec = curve([(START, 60.0), (START + DAY, 70.0)], WINDOW, WIDE, band=band).to_dict()
    data, fitted = (m for m in (v["mark"] for v in spec["layer"]) if m["type"] == "line")
    assert fitted["strokeWidth"] >= 2 * data["strokeWidth"]
    assert data["color"] != fitted["color"]


def test_an_empty_curve_still_has_an_axis() -> None:
    spec = curve([], WINDOW, NARROW).to_dict()
    assert spec["layer"][-1]["encoding"]["y"]["scale"]["domain"] == [0, 1.0]


def test_gaps_are_shaded_inside_the_window_only() -> None:
    chart = curve([], WINDOW, WIDE, gaps=[(START - DAY, START + DAY)])
    (rows,) = layers(chart, "rect")
    assert rows == [{"time": START.timestamp() * 1000, "until": (START + DAY).timestamp() * 1000}]


def test_marks_are_numbered_in_their_order() -> None:
    marks = [Mark(START + DAY, "takedown"), Mark(START + 2 * DAY, "notice")]
    words = [
        row["text"] for rows in layers(curve([], WINDOW, WIDE, marks=marks), "text") for row in rows
    ]
    assert set(words) == {"1 takedown", "2 notice"}
    narrow = [
        row["text"]
        for rows in layers(curve([], WINDOW, NARROW, marks=marks), "text")
        for row in rows
    ]
    assert set(narrow) == {"1", "2"}


def test_unknown_coverage_is_no_bar_of_zero() -> None:
    runs = [(START, START + DAY, None), (START + DAY, START + 2 * DAY, 0.5)]
    unknown, complete, low = layers(coverage_bars(runs, WINDOW, WIDE, full=0.95), "rect")
    assert len(unknown) == 1
    assert complete == []
    assert [row["value"] for row in low] == [0.5]


def test_equal_labels_stay_apart() -> None:
    spec = bars([("same", 1.0, "1"), ("same", 2.0, "2")], WIDE).to_dict()
    rows = rows_of(spec, spec["layer"][0])
    assert [row["row"] for row in rows] == [0, 1]


def test_three_years_of_days_make_few_layers() -> None:
    content = make_content()
    points = [(START + i * DAY, float(i)) for i in range(1095)]
    chart = curve(points, Window(START, START + 1095 * DAY), WIDE, marks=content.marks)
    assert len(chart.to_dict()["layer"]) < 20


def test_specifications_are_valid_vega_lite() -> None:
    content = make_content()
    points = [(point.time, point.value) for point in content.trend]
    band = [(point.time, point.value, point.low, point.high) for point in content.trend]
    for frame in (WIDE, NARROW):
        curve(
            points, content.window, frame, band=band, gaps=content.gaps, marks=content.marks
        ).to_dict(validate=True)
        bars([("a", 1.0, "1"), ("b", None, "<10")], frame).to_dict(validate=True)
        coverage_bars([(START, START + DAY, 0.5)], WINDOW, frame, full=0.95).to_dict(validate=True)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
@settings(max_examples=25, deadline=None)
def test_any_label_can_be_drawn(label: str) -> None:
    sheet = bars([(legible(label), 1.0, "1")], NARROW)
    ET.fromstring(svg(specification(sheet, NARROW)))


def test_a_label_of_emoji_is_drawn_where_it_is_cut() -> None:
    sheet = bars([("\U0001f9a0" * 80, 1.0, "1")], NARROW)
    assert "1f9a0" in svg(specification(sheet, NARROW))


def test_a_log_scale_holds_every_value_and_draws_zero_on_its_base_line() -> None:
    points = [(START + i * DAY, value) for i, value in enumerate((0.0, 3.0, 40_000.0))]
    sheet = curve(points, WINDOW, WIDE, log=True)
    sheet.to_dict(validate=True)
    scale = next(
        layer["encoding"]["y"]["scale"]
        for layer in sheet.to_dict()["layer"]
        if layer["mark"]["type"] == "line"
    )
    assert scale["type"] == "log"
    assert scale["clamp"]
    low, high = scale["domain"]
    assert 0 < low <= 3
    assert high >= 40_000
    ET.fromstring(svg(specification(sheet, WIDE)))
    ET.fromstring(svg(specification(curve([], WINDOW, WIDE, log=True), WIDE)))

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from remnant.report.charts import bars, coverage_bars, curve
from remnant.report.drawing import NARROW, PRINT, WIDE, Frame, inline_svg, png, specification, svg
from report.sample import START, make_content

CONTENT = make_content()


def test_an_inline_drawing_is_well_formed_named_and_follows_the_page() -> None:
    chart = curve([(p.time, p.value) for p in CONTENT.trend], CONTENT.window, WIDE)
    drawn = inline_svg(specification(chart, WIDE), 'a "label" <&>', "wide")
    root = ET.fromstring(drawn)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'a "label" <&>'
    assert "var(--accent)" in drawn
    assert "#" not in drawn.replace("&#", "")


def test_a_drawing_for_files_has_paper_and_real_colours() -> None:
    chart = curve([(START, 1.0)], CONTENT.window, PRINT)
    drawn = svg(specification(chart, PRINT))
    assert "var(" not in drawn
    assert "#fffffe" in drawn
    ET.fromstring(drawn)


def test_a_png_has_two_pixels_for_each_css_pixel() -> None:
    chart = bars([("a", 1.0, "1")], PRINT)
    data = png(specification(chart, PRINT))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20], "big") == 2 * PRINT.width


@pytest.mark.parametrize("frame", [WIDE, NARROW], ids=["wide", "narrow"])
def test_drawings_keep_to_the_frame(frame: Frame) -> None:
    for chart in (
        curve([], CONTENT.window, frame),
        curve([(START, None)], CONTENT.window, frame, marks=CONTENT.marks),
        bars([], frame),
        bars([("x" * 300, 1e15, "1,000,000,000,000,000"), ("y", None, "<10")], frame),
        coverage_bars([], CONTENT.window, frame, full=0.95),
    ):
        root = ET.fromstring(inline_svg(specification(chart, frame), "x", "wide"))
        assert float(root.get("width") or 0) <= frame.width + 1

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from remnant.report.facts import Pulse
from remnant.report.sparkline import sparkline


@given(st.lists(st.none() | st.floats(0, 1e15), max_size=60))
def test_the_curve_stays_in_its_box_and_breaks_at_gaps(values: list[float | None]) -> None:
    drawn = sparkline(Pulse(tuple(values)))
    if not any(value is not None for value in values):
        assert drawn == ""
        return
    path = ET.fromstring(drawn)[1].get("d") or ""
    for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path):
        assert 0 <= float(x) <= 112
        assert 0 <= float(y) <= 24
    runs = len(re.findall(r"(?:^|\s)v", "".join(" " if v is None else "v" for v in values)))
    assert path.count("M") == runs


def test_a_day_alone_is_a_dot() -> None:
    assert "h0" in sparkline(Pulse((None, 5.0, None)))

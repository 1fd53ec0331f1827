from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.report.drawing import NARROW, WIDE, Frame
from remnant.report.facts import Mark
from remnant.report.timeline import EM, GUTTER, labels, ticks, written
from remnant.windows import Window

START = datetime(2015, 3, 25, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=98))


@given(st.lists(st.integers(-10, 110), max_size=30), st.sampled_from([WIDE, NARROW]), st.booleans())
def test_labels_never_lie_on_each_other(days: list[int], frame: Frame, long: bool) -> None:
    marks = [Mark(START + timedelta(days=day), "names_lost" if long else "x") for day in days]
    placed = labels(marks, WINDOW, frame)
    assert len(placed) == sum(0 <= day < 98 for day in days)
    spans = []
    for label in placed:
        if not label.text:
            continue
        x = (frame.width - GUTTER) * ((label.time - START) / (WINDOW.until - START))
        length = len(label.text) * EM
        spans.append((label.lane, x - length if label.left else x, x if label.left else x + length))
    for i, (lane, low, high) in enumerate(spans):
        for other, left, right in spans[i + 1 :]:
            assert lane != other or right <= low or high <= left


def test_a_label_says_what_happened_in_few_words() -> None:
    note = "press: 33,000 hosts a day are left of 37,000"
    marks = [
        Mark(START + timedelta(days=9), "other", note),
        Mark(START + timedelta(days=20), "other"),
    ]
    wide = [label.text for label in labels(marks, WINDOW, WIDE)]
    assert wide == ["1 press: 33,000 hosts a day are left…", "2 event"]
    assert [label.text for label in labels(marks, WINDOW, NARROW)] == ["1", "2"]


def test_a_label_at_the_right_edge_turns_left() -> None:
    (label,) = labels([Mark(WINDOW.until - timedelta(days=1), "notice")], WINDOW, WIDE)
    assert label.left


@pytest.mark.parametrize("days", [0.05, 0.5, 1, 3, 10, 30, 98, 400, 1095, 9000, 200_000])
def test_ticks_are_round_few_and_inside(days: float) -> None:
    window = Window(START, START + timedelta(days=days))
    times, words = ticks(window, 10)
    assert len(times) <= 65
    assert len(times) <= 14 or days > 9000
    assert all(window.since <= time <= window.until for time in times)
    assert all(time.minute == 0 and time.second == 0 for time in times)
    assert "utcFormat" in words


def test_weeks_begin_on_monday() -> None:
    times, _ = ticks(WINDOW, 10)
    assert {time.weekday() for time in times} == {0}


@pytest.mark.parametrize(
    ("days", "first", "second"),
    [(1, "25 Mar", "03:00"), (14, "25 Mar 2015", "26 Mar"), (400, "Apr 2015", "May")],
)
def test_ticks_are_written_as_the_figures_of_reports_write_them(
    days: int, first: str, second: str
) -> None:
    times, how = ticks(Window(START, START + timedelta(days=days)), 14)
    words = written(times, how)
    assert len(words) == len(times)
    assert words[0] == first
    assert words[1] == second

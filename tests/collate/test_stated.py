"""What coverage rows rest on, and the hours that a person states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.collate.stated import lines_of, period_of, reading_text, with_basis
from remnant.schema import TIME
from remnant.windows import Window

START = datetime(2015, 4, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
REPORT = [("default", "report")]


def counted(*hours: int | None, sensor: str = "default") -> pa.Table:
    return pa.table(
        {
            "sensor": pa.array([sensor] * len(hours), pa.string()),
            "vantage": pa.array(["report"] * len(hours), pa.string()),
            "hour": pa.array([None if h is None else START + h * HOUR for h in hours], TIME),
            "messages": pa.array([7] * len(hours), pa.int64()),
            "first_time": pa.array([None] * len(hours), TIME),
        }
    )


def rows(counts: pa.Table, since: float, until: float, **more: Any) -> list[tuple[Any, ...]]:
    period = Window(START + since * HOUR, START + until * HOUR)
    options: dict[str, Any] = {"hits_only": True, "period": period, "sensors": REPORT} | more
    found = with_basis(counts, **options).to_pylist()
    return sorted(
        (
            None if row["hour"] is None else (row["hour"] - START) // HOUR,
            row["sensor"],
            row["messages"],
            row["basis"],
        )
        for row in found
        if row["hour"] is not None
    )


def test_every_hour_of_the_period_has_a_row_and_hits_outside_cover_nothing() -> None:
    assert rows(counted(0, 2, 5), 1, 4) == [
        (0, "default", 7, "hits"),
        (1, "default", 0, "stated"),
        (2, "default", 7, "stated"),
        (3, "default", 0, "stated"),
        (5, "default", 7, "hits"),
    ]


def test_of_an_hour_that_is_stated_in_part_nothing_is_known() -> None:
    assert rows(counted(0, 2), 0.5, 2.5) == [
        (0, "default", 7, "hits"),
        (1, "default", 0, "stated"),
        (2, "default", 7, "hits"),
    ]


def test_each_sensor_of_the_source_is_meant() -> None:
    counts = pa.concat_tables([counted(0, sensor="a"), counted(1, sensor="b")])

    found = rows(counts, 0, 2, sensors=[("a", "report"), ("b", "report")])

    assert found == [
        (0, "a", 7, "stated"),
        (0, "b", 0, "stated"),
        (1, "a", 0, "stated"),
        (1, "b", 7, "stated"),
    ]


def test_traffic_needs_no_statement_and_hits_without_one_stay_hits() -> None:
    traffic = with_basis(counted(0, None), hits_only=False, period=None, sensors=REPORT)
    hits = with_basis(counted(0, None), hits_only=True, period=None, sensors=REPORT)

    assert traffic["basis"].to_pylist() == ["traffic", "traffic"]
    assert hits["basis"].to_pylist() == ["hits", "hits"]


def test_rows_without_an_hour_are_never_covered() -> None:
    period = Window(START, START + HOUR)
    found = with_basis(counted(None), hits_only=True, period=period, sensors=REPORT)

    assert found["basis"].to_pylist() == ["hits", "stated"]


@given(
    st.sampled_from(["", "2015", "Europe/Rome", "2015 UTC"]),
    st.none() | st.tuples(st.integers(0, 10**9), st.integers(1, 10**9)),
)
def test_what_the_ledger_keeps_comes_back(lines: str, span: tuple[int, int] | None) -> None:
    period = None
    if span is not None:
        since = START + timedelta(seconds=span[0] / 7)
        period = Window(since, since + timedelta(seconds=span[1]))

    text = reading_text(lines, period)

    assert (lines_of(text), period_of(text)) == (lines, period)


@pytest.mark.parametrize("text", ["", "2015", "2015 UTC"])
def test_readings_of_older_versions_state_nothing(text: str) -> None:
    assert (lines_of(text), period_of(text)) == (text, None)

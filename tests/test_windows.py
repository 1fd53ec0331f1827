from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.windows import (
    STEPS,
    Step,
    TimeSyntaxError,
    Window,
    ceil,
    floor,
    iso,
    parse_period,
    parse_time,
    to_us,
)

TIMES = st.datetimes(
    min_value=datetime(1999, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    timezones=st.just(UTC),
)
STEP = st.sampled_from(sorted(STEPS))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(TIMES, STEP)
def test_a_time_lies_in_its_own_step(time: datetime, step: Step) -> None:
    start = floor(time, step)

    assert start <= time < start + STEPS[step]
    assert floor(start, step) == start
    assert ceil(time, step) - start in {timedelta(0), STEPS[step]}
    assert (ceil(time, step) == time) == (start == time)


def test_weeks_start_on_monday_at_midnight() -> None:
    assert floor(at("2015-04-12T23:59:59"), "week") == at("2015-04-06")
    assert floor(at("2015-04-13"), "week") == at("2015-04-13")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2015-04-08", "2015-04-08T00:00:00Z"),
        ("2015-04-08T12:30:00Z", "2015-04-08T12:30:00Z"),
        ("2015-04-08T12:30:00+02:00", "2015-04-08T10:30:00Z"),
        ("2015-04-08T12:30:00.250Z", "2015-04-08T12:30:00.250000Z"),
    ],
)
def test_times_that_people_write(text: str, expected: str) -> None:
    assert iso(parse_time(text)) == expected


@pytest.mark.parametrize("text", ["2015-04-08T12:30:00", "2015-04-31", "yesterday", "", "2015-4-8"])
def test_a_time_needs_a_zone_and_must_exist(text: str) -> None:
    with pytest.raises(TimeSyntaxError):
        parse_time(text)


@given(TIMES)
def test_text_and_microseconds_are_exact(time: datetime) -> None:
    assert parse_time(iso(time)) == time
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=to_us(time)) == time


def test_a_window_is_half_open() -> None:
    window = Window(at("2015-04-08"), at("2015-04-09"))

    assert at("2015-04-08") in window
    assert at("2015-04-09") not in window
    assert len(list(window.starts("hour"))) == 24
    assert list(window.starts("week")) == [at("2015-04-06")]
    assert window.seconds == 86_400


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(TimeSyntaxError, match="end is exclusive"):
        Window(at("2015-04-08"), at("2015-04-08"))


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("2015-04-08/2015-04-08", "2015-04-08T00:00:00Z to 2015-04-09T00:00:00Z"),
        ("2015-04-08/2015-04-09T00:00:00Z", "2015-04-08T00:00:00Z to 2015-04-09T00:00:00Z"),
        ("2015-04-08T02:00:00+02:00/2015-04-08", "2015-04-08T00:00:00Z to 2015-04-09T00:00:00Z"),
    ],
)
def test_a_period_holds_its_last_day_and_ends_before_its_last_time(text: str, window: str) -> None:
    assert str(parse_period(text)) == window


@pytest.mark.parametrize(
    "text",
    ["", "/", "2015-04-08", "2015-04-08/", "2015-04-08/2015-04-07", "a/b", "2015-04-08T00:00/1"],
)
def test_what_is_no_period(text: str) -> None:
    with pytest.raises(TimeSyntaxError):
        parse_period(text)

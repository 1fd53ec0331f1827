from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from remnant.capture import ReadOptions
from remnant.capture.lines import Block
from remnant.capture.text_fields import DAY_US, days_from_civil
from remnant.capture.text_stamp import NO_YEAR_TIME
from remnant.capture.text_times import LogTimes, first_day
from remnant.errors import FormatError
from remnant.windows import to_us
from textlogs import NOW

NOON = to_us(datetime(2015, 4, 8, 12, tzinfo=UTC))
BLOCK = Block(
    np.frombuffer(b"first\nApr  8 12:00:00 x\n", np.uint8).copy(), np.array([5, 23]), 0, 24
)


def test_a_log_without_a_year_is_refused_at_its_first_message() -> None:
    with pytest.raises(FormatError, match=r"(?s)this.log.*Apr  8 12:00:00.*--year"):
        LogTimes(ReadOptions(now=NOW)).begin(NO_YEAR_TIME, BLOCK, 6, "this.log")


def test_only_the_first_message_is_looked_at() -> None:
    times = LogTimes(ReadOptions(now=NOW))
    times.begin(NOON, BLOCK, 0, "this.log")

    times.begin(NO_YEAR_TIME, BLOCK, 6, "this.log")


@pytest.mark.parametrize(("zone", "hours"), [(None, 0), ("Europe/Berlin", 2)])
def test_only_local_times_are_moved(zone: str | None, hours: int) -> None:
    timezone = None if zone is None else ZoneInfo(zone)
    times = LogTimes(ReadOptions(now=NOW, timezone=timezone))
    column = np.array([NOON, NOON])
    times.to_utc(column, np.array([False, True]))

    assert column.tolist() == [NOON, NOON - hours * 3_600_000_000]
    assert [note for note in times.notes() if "UTC" in note] == (
        [] if zone else ["times read as UTC: the log does not say its time zone"]
    )


def test_what_a_log_says_itself_needs_no_note() -> None:
    times = LogTimes(ReadOptions(now=NOW, year=2015))
    times.to_utc(np.array([NOON]), np.array([False]))

    assert times.notes() == []


@pytest.mark.parametrize(
    ("known", "unknown", "day"),
    [
        (days_from_civil(2000, 3, 1) * DAY_US, NO_YEAR_TIME, 60),
        (NOON, NOON, None),
        (None, None, None),
        (None, NO_YEAR_TIME, None),
    ],
)
def test_the_day_on_which_a_log_begins(
    known: int | None, unknown: int | None, day: int | None
) -> None:
    assert first_day(b"x\n", lambda _, year: known if year else unknown) == day

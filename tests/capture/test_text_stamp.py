from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from remnant.capture.text_fields import BAD
from remnant.capture.text_stamp import (
    LOCAL,
    NO_YEAR_TIME,
    STAMP_COLUMNS,
    TIME,
    month_at,
    no_stamp,
    take_stamp,
)
from remnant.windows import to_us

NOON = to_us(datetime(2015, 4, 8, 12, tzinfo=UTC))


def taken(text: str, year: int = 2015, month: int = 0) -> tuple[int, int, bool]:
    """(position after, time, whether it is local)."""
    view = np.frombuffer(text.encode(), np.uint8).copy()
    when = np.empty(STAMP_COLUMNS, np.int64)
    no_stamp(when)
    after = take_stamp(view, 0, view.size, np.array([year, month], np.int64), when)
    return int(after), int(when[TIME]), bool(when[LOCAL])


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("Apr  8 12:00:00", True),
        ("Apr 08 12:00:00", True),
        ("APR 8 12:00:00", True),
        ("Wed Apr  8 12:00:00 2015", True),
        ("08-Apr-2015 12:00:00.000", True),
        ("2015-04-08T12:00:00", True),
        ("2015-04-08 12:00:00", True),
        ("2015-04-08T14:00:00+02:00", False),
        ("2015-04-08T12:00:00Z", False),
    ],
)
@pytest.mark.parametrize("rest", ["", " dnsmasq[1]: x"])
def test_every_form(text: str, local: bool, rest: str) -> None:
    assert taken(text + rest) == (len(text), NOON, local)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Apr",
        "Apr  ",
        "Apr  8",
        "Apr  8 ",
        "Apr 32 12:00:00",
        "Apr 8 24:00:00",
        "Wed",
        "Wed Apr",
        "Wed Apr  8 12:00:00",
        "Wed Apr  8 12:00:00 host",
        "Wednesday Apr  8 12:00:00 2015",
        "Nov 31 12:00:00",
        "Fri 13 12:00:00",
        "08-Avr-2015 12:00:00.000",
        "2015-13-08T12:00:00",
        "2015-04-08",
        "Remote 192.0.2.1",
        "3 [1/1]",
        "query[A]",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert taken(text) == (-1, BAD, False)


def test_a_year_that_nobody_said() -> None:
    assert taken("Apr  8 12:00:00", year=0) == (15, NO_YEAR_TIME, False)
    assert taken("Wed Apr  8 12:00:00 2015", year=0) == (24, NOON, True)


def test_the_year_goes_on_in_january_and_back_for_a_late_line() -> None:
    january = to_us(datetime(2016, 1, 8, 12, tzinfo=UTC))
    december = to_us(datetime(2014, 12, 8, 12, tzinfo=UTC))

    assert taken("Jan  8 12:00:00", month=12)[1] == january
    assert taken("Dec  8 12:00:00", month=1)[1] == december


def test_the_last_time_counts_unless_an_earlier_one_has_a_zone() -> None:
    when = np.empty(STAMP_COLUMNS, np.int64)
    year = np.array([2015, 0], np.int64)

    def take(text: str) -> None:
        view = np.frombuffer(text.encode(), np.uint8).copy()
        assert take_stamp(view, 0, view.size, year, when) == view.size

    no_stamp(when)
    take("Apr  8 11:00:00")
    take("2015-04-08T14:00:00+02:00")
    take("Apr  8 14:00:00")

    assert (when[TIME], when[LOCAL]) == (NOON, 0)
    no_stamp(when)
    take("Apr  8 11:00:00")
    take("Apr  8 12:00:00")
    assert (when[TIME], when[LOCAL]) == (NOON, 1)


def test_months_in_english() -> None:
    view = np.frombuffer(b"janDECxxx", np.uint8).copy()

    assert [month_at(view, i) for i in (0, 3, 6)] == [1, 12, 0]

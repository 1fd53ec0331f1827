from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.text_clock import LocalClock
from remnant.capture.text_fields import BAD

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def us(time: datetime) -> int:
    return (time.replace(tzinfo=None) - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001


def utc(zone: str, text: str) -> datetime | None:
    shown = np.array([us(datetime.fromisoformat(text))])
    (value,) = LocalClock(ZoneInfo(zone), NOW).utc(shown).tolist()
    if value == BAD:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)


def test_summer_and_winter() -> None:
    assert utc("Europe/Berlin", "2015-07-01T12:00:00") == datetime(2015, 7, 1, 10, tzinfo=UTC)
    assert utc("Europe/Berlin", "2015-12-01T12:00:00") == datetime(2015, 12, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("Europe/Berlin", "2015-10-25T02:00:00", "2015-10-25T02:59:59.999999"),
        ("Europe/Berlin", "2015-03-29T02:00:00", "2015-03-29T02:59:59.999999"),
        ("Australia/Lord_Howe", "2015-04-05T01:30:00", "2015-04-05T01:59:59.999999"),
    ],
)
def test_times_shown_twice_or_never_are_unusable(zone: str, first: str, last: str) -> None:
    microsecond = timedelta(microseconds=1)

    assert utc(zone, first) is None
    assert utc(zone, last) is None
    assert utc(zone, (datetime.fromisoformat(first) - microsecond).isoformat()) is not None
    assert utc(zone, (datetime.fromisoformat(last) + microsecond).isoformat()) is not None


@settings(deadline=None)
@given(st.datetimes(datetime(2000, 1, 2), datetime(2025, 12, 30)))  # noqa: DTZ001
def test_agrees_with_zoneinfo(shown: datetime) -> None:
    zone = ZoneInfo("America/Caracas")
    aware = shown.replace(tzinfo=zone)
    expected = aware.astimezone(UTC)
    if aware.utcoffset() != aware.replace(fold=1).utcoffset():
        assert utc("America/Caracas", shown.isoformat()) is None
    else:
        assert utc("America/Caracas", shown.isoformat()) == expected


def test_times_far_off_are_not_looked_up() -> None:
    assert utc("Europe/Berlin", "1975-01-01T00:00:00") is None
    assert utc("Europe/Berlin", "9999-12-31T23:59:59") is None

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from remnant.errors import NoData
from remnant.estimate import coverage
from remnant.estimate.sensor_hours import SensorHours, sensor_hours
from stored import home, opened

if TYPE_CHECKING:
    from pathlib import Path

    from story.telling import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return home(tmp_path_factory.mktemp("hours"), records=False)


def at(hour: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)


def test_gaps_are_where_a_sensor_was_expected_and_silent() -> None:
    one = SensorHours("a", "resolver", 10, 20, np.array([10, 11, 14, 15], np.int64))
    assert one.expected == 10
    assert one.gaps() == [(at(12), at(14)), (at(16), at(20))]
    assert one.between(0, 100) == (10, 4)
    assert one.between(11, 15) == (4, 2)
    assert one.between(20, 30) == (0, 0)


def test_a_sensor_without_a_gap_has_none() -> None:
    one = SensorHours("a", "resolver", 3, 6, np.array([3, 4, 5], np.int64))
    assert one.gaps() == []


def test_sensors_add_up_to_the_coverage_of_their_vantage(place: Place) -> None:
    with opened(place) as stored:
        every = sensor_hours(stored.view)
        for vantage in coverage.vantages(stored.view):
            whole = coverage.hours(stored.view, vantage)
            mine = [one for one in every if one.vantage == vantage]
            for at_ in range(whole.first, whole.stop):
                expected, delivered = whole.between(at_, at_ + 1)
                sums = np.sum([one.between(at_, at_ + 1) for one in mine], axis=0)
                assert sums.tolist() == [int(expected[0]), int(delivered[0])]


def test_nothing_is_expected_of_a_sensor_that_was_retired(place: Place) -> None:
    with opened(place) as stored:
        (before,) = sensor_hours(stored.view)
        name = before.sensor
    when = at(before.first + 5) + timedelta(minutes=10)
    place.do("sensor", "retire", name, "--at", when.isoformat())
    try:
        with opened(place) as stored:
            (after,) = sensor_hours(stored.view)
        assert (after.first, after.stop) == (before.first, before.first + 6)
        assert len(after.hours) == 6
    finally:
        place.do("sensor", "retire", name, "--undo")


def test_a_case_without_traffic_has_no_sensors(tmp_path: Path) -> None:
    from remnant.settings import Settings
    from remnant.store import Store

    settings = Settings(home=tmp_path / "home", site_key=tmp_path / "key")
    with Store.open(settings) as store, pytest.raises(NoData):
        sensor_hours(store.view("taken"))

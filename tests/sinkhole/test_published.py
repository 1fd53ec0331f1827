"""What a running sinkhole tells other programs of its home."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from remnant.sinkhole.published import FRESH, Publisher, running

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Clock:
    """Both clocks of a publisher, moved by hand."""

    def __init__(self) -> None:
        self.s = 0.0

    def steady(self) -> float:
        return 1_000.0 + self.s

    def now(self) -> datetime:
        return START + timedelta(seconds=self.s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told(tmp_path: Path, clock: Clock) -> Publisher:
    return Publisher(tmp_path, clock=clock.steady, now=clock.now)


def test_the_rate_is_that_of_the_last_ten_seconds(
    told: Publisher, clock: Clock, tmp_path: Path
) -> None:
    told.turn({}, "s1", ["taken", "other"])
    (first,) = running(tmp_path, "taken", clock.now())
    assert (first.events, first.per_s, first.last_event) == (0, None, None)
    for tenth in range(1, 301):  # 5 events a second, then 20
        clock.s = tenth / 10
        events = tenth // 2 if tenth <= 150 else 75 + (tenth - 150) * 2
        told.turn({"rows": events, "committed_rows": 7, "unkept": 3}, "s1", ["taken", "other"])
    (now,) = running(tmp_path, "other", clock.now())
    assert now.per_s == pytest.approx(20.0, rel=0.02)
    assert now.over_s == pytest.approx(10.0, abs=0.15)
    assert (now.events, now.committed) == (375, 7)
    assert now.lost == {"dropped": 0, "unkept": 3, "lost": 0}
    assert now.since == START
    assert running(tmp_path, "third", clock.now()) == []


def test_the_last_event_stays_where_it_was_while_nothing_comes(
    told: Publisher, clock: Clock, tmp_path: Path
) -> None:
    told.turn({"rows": 4}, "s1", ["taken"])
    for clock.s in (1.0, 2.0, 30.0):
        told.turn({"rows": 4}, "s1", ["taken"])
    (now,) = running(tmp_path, "taken", clock.now())
    assert now.last_event == START
    assert now.per_s == 0.0


def test_it_is_told_once_a_second(told: Publisher, clock: Clock, tmp_path: Path) -> None:
    written = set()
    for tenth in range(50):
        clock.s = tenth / 10
        told.turn({"rows": tenth}, "s1", ["taken"])
        written.add(running(tmp_path, "taken", clock.now())[0].written)
    assert len(written) == 5


def test_a_sinkhole_that_ended_or_was_killed_does_not_run(
    told: Publisher, clock: Clock, tmp_path: Path
) -> None:
    told.turn({}, "s1", ["taken"])
    assert running(tmp_path, "taken", START + FRESH)
    assert running(tmp_path, "taken", START + FRESH + timedelta(seconds=1)) == []
    told.close()
    assert running(tmp_path, "taken", clock.now()) == []
    told.close()


def test_what_killed_ones_left_goes_and_nothing_else(told: Publisher, tmp_path: Path) -> None:
    folder = tmp_path / "sinkhole"
    folder.mkdir()
    for name in ("running-7.json", "running-8.json", "running-x.json", "manifest"):
        (folder / name).write_text("{}")
    for name in ("running-7.json", "manifest"):
        os.utime(folder / name, (time.time() - 7_200,) * 2)
    told.turn({}, "s1", ["taken"])
    assert {path.name for path in folder.iterdir()} == {
        "running-8.json", "running-x.json", "manifest", f"running-{os.getpid()}.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '{"sensor": 1}', "[" * 90_000, "\xff"]
)
def test_a_file_that_cannot_be_understood_tells_nothing(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "sinkhole"
    folder.mkdir()
    (folder / "running-9.json").write_text(text, encoding="latin-1")
    assert running(tmp_path, "taken") == []


def test_times_without_a_zone_tell_nothing(told: Publisher, clock: Clock, tmp_path: Path) -> None:
    told.turn({}, "s1", ["taken"])
    (path,) = (tmp_path / "sinkhole").glob("running-*.json")
    values = json.loads(path.read_text())
    values["written"] = "2026-11-27T12:00:00"
    path.write_text(json.dumps(values))
    assert running(tmp_path, "taken", clock.now()) == []


def test_a_disk_that_cannot_be_written_stops_nothing(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "sinkhole").write_text("no folder")
    told = Publisher(tmp_path, clock=clock.steady, now=clock.now)
    told.turn({"rows": 1}, "s1", ["taken"])
    told.close()
    assert running(tmp_path, "taken", clock.now()) == []

"""Segments go when their time is over or their case is deleted, and leave a tombstone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from remnant.cli import app
from remnant.sinkhole import keeper as keeper_module
from remnant.sinkhole.manifest import Manifest, verify
from remnant.sinkhole.retention import count_segments, expire, remove_case
from sinkhole.recording import (
    HOUR,
    NOW,
    OTHERS,
    RULES,
    Clock,
    add,
    asked,
    facts_for,
    home,
    keeper,
    names,
    recorder,
    segments,
)
from sinkhole.serving import until

if TYPE_CHECKING:
    import pytest

    from remnant.settings import Settings

DAY = 24 * HOUR


def at(time: int) -> datetime:
    return datetime.fromtimestamp(time / 1_000_000, UTC)


def kept(settings: Settings, *days: int) -> None:
    """Seal one segment for each day."""
    for day in days:
        clock = Clock(NOW + day * DAY)
        writing = recorder(
            settings, clock, cases=facts_for(*RULES, *OTHERS), memberships=[("demo", "other")]
        )
        add(writing, asked(time=clock.now))
        writing.close()
        keeping = keeper(settings, clock, *RULES, *OTHERS)
        keeping.close()


def test_what_is_older_than_the_setting_goes_and_leaves_a_tombstone() -> None:
    settings = home()
    kept(settings, 0, 1, 2)
    limit = at(NOW) + timedelta(days=settings.sinkhole.keep_days)
    assert settings.sinkhole.keep_days == 90
    assert expire(settings, now=limit) == 0
    assert expire(settings, now=limit + timedelta(days=1, seconds=1)) == 4
    assert expire(settings, now=limit + timedelta(days=1, seconds=1)) == 0

    assert len(segments(settings)) == len(segments(settings, "other")) == 1
    report = verify(settings.home)
    assert report.ok, report.problems
    assert (report.segments, report.removed, report.rows) == (2, 4, 2)
    # What is in the store stays.
    assert len(names(settings)) == 3


def test_what_is_not_sealed_is_kept_however_old_it_is() -> None:
    settings, clock = home(), Clock()
    writing = recorder(settings, clock)
    add(writing, asked())
    keeping = keeper(settings, clock)
    keeping.round()

    assert expire(settings, now=at(NOW + 1000 * DAY)) == 0
    assert len(segments(settings)) == 1
    writing.close()


def test_a_segment_without_an_event_goes_by_when_it_began() -> None:
    settings, clock = home(), Clock()
    writing = recorder(settings, clock)
    add(writing)
    writing.close()
    keeper(settings, clock).close()

    assert expire(settings, now=at(NOW + 90 * DAY)) == 0
    assert expire(settings, now=at(NOW + 91 * DAY)) == 1
    assert segments(settings) == []


def test_the_keeper_does_it_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    settings = home()
    kept(settings, 0)
    monkeypatch.setattr(keeper_module, "_EXPIRE_S", 0.0)
    stop = threading.Event()
    keeping = keeper(settings, Clock(NOW + 100 * DAY))
    thread = threading.Thread(target=keeping.run, args=(stop, 0.01))
    thread.start()
    try:
        until(lambda: not segments(settings))
    finally:
        stop.set()
        thread.join()
    keeping.close()
    assert segments(settings) == []


def test_a_kill_between_tombstone_and_file_is_found_and_mended() -> None:
    settings = home()
    kept(settings, 0)
    manifest = Manifest(settings)
    for name in manifest.segments:
        manifest.remove(name, "expired")
    assert not verify(settings.home).ok
    expire(settings, now=at(NOW))

    assert verify(settings.home).ok
    assert segments(settings) == []


def test_a_deleted_case_leaves_tombstones_only() -> None:
    settings = home()
    kept(settings, 0, 1)
    clock = Clock(NOW + 2 * DAY)
    writing = recorder(settings, clock)
    add(writing, asked())
    writing.close()
    assert count_segments(settings, "demo")
    assert remove_case(settings, "demo") == 3
    assert remove_case(settings, "demo") == 0

    assert not count_segments(settings, "demo")
    assert not (settings.home / "sinkhole" / "demo").exists()
    assert len(segments(settings, "other")) == 2
    report = verify(settings.home)
    assert report.ok, report.problems
    assert (report.segments, report.removed) == (2, 3)
    text = (settings.home / "sinkhole" / "manifest.jsonl").read_text()
    reasons = [json.loads(line).get("reason") for line in text.splitlines()]
    assert [reason for reason in reasons if reason] == 3 * ["case deleted"]


def test_the_command_deletes_segments_too() -> None:
    settings = home()
    kept(settings, 0)
    done = CliRunner().invoke(app, ["case", "delete", "demo", "--yes"])

    assert done.exit_code == 0, done.output
    assert "1 segment of the sinkhole" in done.output
    assert not count_segments(settings, "demo")
    assert count_segments(settings, "other")
    assert names(settings) == []
    assert verify(settings.home).ok

"""Events come to disk, each for its cases, whatever the disk does."""

from __future__ import annotations

import errno
import logging
import os
import resource
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from remnant.capture.segment_frames import ALIVE, END, HEAD, ROWS, Frame, events_of
from remnant.sinkhole import recorder as module
from remnant.sinkhole.events import Counts
from remnant.sinkhole.frames_of import frames_of
from remnant.sinkhole.recorder import RecorderState, facts_of
from remnant.sinkhole.segment import NAME
from remnant.sinkhole.zones import Answering, Zone
from remnant.watchlist import Rule
from segment_writer import events
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
    recorder,
    segments,
)

if TYPE_CHECKING:
    from pathlib import Path


def frames(path: Path) -> list[Frame]:
    with path.open("rb") as file:
        return [frame._replace(body=memoryview(bytes(frame.body))) for frame, _ in frames_of(file)]


def names_in(path: Path) -> list[bytes]:
    found: list[Any] = []
    for frame in frames(path):
        if frame.kind == ROWS:
            rows = events_of(frame)
            assert rows is not None
            found += rows["name"].to_pylist()
    return found


def test_a_segment_says_whose_it_is_and_is_its_owners_only() -> None:
    settings = home()
    writing = recorder(settings, Clock())
    add(writing, asked(), asked("x.bots.evil.example"))
    (path,) = segments(settings)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    match = NAME.fullmatch(path.name)
    assert match is not None
    assert match[1] == "20260801T120000Z"
    assert match[2] == "udp-0"
    head, rows = frames(path)
    assert (head.kind, rows.kind) == (HEAD, ROWS)
    assert head.facts["segment"] == match[3]
    assert head.facts["case"] == "demo"
    assert head.facts["sensor"] == "sink-1"
    assert head.facts["zones"] == ["evil.example"]
    assert head.facts["watchlist"] == facts_for(*RULES)["demo"].watchlist
    found = events_of(rows)
    assert found is not None
    assert found.equals(events(asked(), asked("x.bots.evil.example")))
    writing.close()
    assert frames(path)[-1].kind == END


def test_each_case_gets_its_own_rows_and_one_of_two_cases_goes_to_both() -> None:
    settings = home()
    writing = recorder(
        settings,
        Clock(),
        cases=facts_for(*RULES, *OTHERS),
        memberships=[("demo",), ("other",), ("demo", "other")],
    )
    add(
        writing,
        asked("a.example"),
        asked("b.example"),
        asked("c.example"),
        asked("d.example"),
        owners=[0, 1, 2, 0],
    )
    add(writing, asked("e.example"), asked("f.example"), owners=[1, 1])
    writing.close()

    def folded(case: str) -> list[str]:
        (path,) = segments(settings, case)
        return [name[1:2].decode() for name in names_in(path)]

    assert folded("demo") == ["a", "c", "d"]
    assert folded("other") == ["b", "c", "e", "f"]
    assert writing.state.rows == 7


def test_no_rows_are_a_heartbeat_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    add(writing, counts=Counts(messages=3, skipped=2))
    add(writing, counts=Counts(messages=1))
    (path,) = segments(settings)
    assert [frame.kind for frame in frames(path)] == [HEAD, ALIVE]
    monkeypatch.setattr(module, "_IDLE_S", 0.0)
    clock.now += 5_000_000
    add(writing, counts=Counts(malformed=4))

    last = frames(path)[-1]
    # What was counted meanwhile comes with it.
    assert last.facts["counts"] == [1, 4, 0, 0]
    assert (last.facts["since"], last.facts["at"]) == (NOW, NOW + 5_000_000)


def test_messages_are_those_that_are_no_rows() -> None:
    settings = home()
    writing = recorder(settings, Clock())
    add(writing, asked(), asked(), counts=Counts(9, 1, 2, 3))
    (path,) = segments(settings)

    assert frames(path)[-1].facts["counts"] == [7, 1, 2, 3]


def test_a_silence_ends_what_is_heard_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    since = []
    for step in (0, 20, 29, 31, 5, -3):
        clock.now += step * 1_000_000
        add(writing, asked(time=clock.now))
        since.append(frames(segments(settings)[0])[-1].facts["since"])
    at = [NOW, NOW + 80_000_000, NOW + 82_000_000]

    assert since == [at[0], at[0], at[0], at[1], at[1], at[2]]


def test_segments_end_by_size_and_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = home()
    writing = recorder(settings, Clock(), max_bytes=7_000)
    for _ in range(6):
        add(writing, *[asked()] * 40)
    writing.close()
    found = segments(settings)
    assert len(found) == 3
    assert all(frames(path)[-1].kind == END for path in found)
    assert sum(len(names_in(path)) for path in found) == 240
    assert [frame.sequence for frame in frames(found[0])] == list(range(len(frames(found[0]))))

    aging = recorder(settings, Clock(), max_seconds=0.0, worker="old")
    for _ in range(3):
        add(aging, asked())
    aging.close()
    assert len(list(settings.home.glob("sinkhole/demo/*-old-*"))) == 3


def test_after_a_reload_rows_go_to_new_segments_and_nothing_is_interrupted() -> None:
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    add(writing, asked())
    add(writing, counts=Counts(messages=5))
    clock.now += 1_000_000
    more = (*RULES, Rule("demo", "exact", "new.evil.example"))
    writing.reload(cases=facts_for(*more), memberships=[("demo",)])
    add(writing, asked("new.evil.example", time=clock.now))
    first, second = sorted(segments(settings), key=lambda path: frames(path)[-1].kind != END)

    assert frames(first)[-1].kind == END
    # What waited was written before the end.
    assert frames(first)[-2].facts["counts"][0] == 5
    assert frames(second)[0].facts["watchlist"] == facts_for(*more)["demo"].watchlist
    assert frames(second)[-1].facts["since"] == NOW
    assert writing.state.rows == 2


def test_large_batches_become_several_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FRAME_BYTES", 5000)
    settings = home()
    writing = recorder(settings, Clock())
    rows = [asked(f"n{i}.evil.example") for i in range(500)]
    add(writing, *rows, counts=Counts(messages=501))
    (path,) = segments(settings)
    found = frames(path)

    assert len(found) > 5
    assert names_in(path) == [row["name"] for row in rows]
    assert sum(frame.facts["counts"][0] for frame in found[1:]) == 1


def test_rows_are_on_disk_a_second_later(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    monkeypatch.setattr(os, "fdatasync", done.append)
    monkeypatch.setattr(module, "_SYNC_S", 3600.0)
    settings = home()
    writing = recorder(settings, Clock())
    add(writing, asked())
    started = len(done)
    assert writing.state.synced == 0
    for _ in range(5):
        add(writing, asked())
    assert len(done) == started
    monkeypatch.setattr(module, "_SYNC_S", 0.0)
    add(writing, asked())

    assert len(done) == started + 1
    assert writing.state.synced == writing.state.rows == 7


class FullDisk:
    """Lets so many writes through, then has no room, until it is freed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, partial: int = 0) -> None:
        self.full = False
        self.partial = partial
        self._writev = os.writev
        monkeypatch.setattr(os, "writev", self.writev)

    def writev(self, file: int, parts: Any) -> int:
        if not self.full:
            return self._writev(file, parts)
        if self.partial:
            done, self.partial = self.partial, 0
            return os.write(file, bytes(parts[0])[:done])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_on_a_full_disk_nothing_stops_and_what_is_lost_is_told_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.0)
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    disk = FullDisk(monkeypatch, partial=17)
    add(writing, asked("before.evil.example"))
    disk.full = True
    with caplog.at_level(logging.WARNING, "remnant.sinkhole"):
        for _ in range(50):
            add(writing, asked(), asked(), counts=Counts(messages=5))
            clock.now += 60_000_000
        state = writing.state
        assert state.alarm is not None
        assert "No space left" in state.alarm
        assert state.alarm_since == NOW
        assert (state.rows, state.lost) == (1, 100)
        disk.full = False
        add(writing, asked("after.evil.example", time=clock.now))
    writing.close()

    assert writing.state.alarm is None
    assert writing.state.rows == 2
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    found = segments(settings)
    assert sorted(name for path in found for name in names_in(path)) == sorted(
        asked(f"{name}.evil.example")["name"] for name in ("before", "after")
    )
    new = next(path for path in found if asked("after.evil.example")["name"] in names_in(path))
    told = frames(new)[1].facts
    assert sum(lost for _, lost in told["missed"]) == 100
    assert told["missed"] == [[NOW, 100]]
    # The other messages were seen all the same.
    assert told["counts"][0] == 150
    # It did not listen while it could not write.
    assert told["since"] == clock.now
    # What was begun and cut off is gone from the old one.
    old = next(path for path in found if path != new)
    assert old.stat().st_size == frames(old)[-1].end
    # Nothing was left of the attempts.
    assert len(list(old.parent.iterdir())) == 2


def test_lost_rows_are_told_by_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.0)
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    disk = FullDisk(monkeypatch)
    disk.full = True
    for _ in range(3):
        add(writing, asked())
        clock.now += HOUR
    disk.full = False
    add(writing, asked())
    (path,) = segments(settings)

    assert frames(path)[1].facts["missed"] == [[NOW + i * HOUR, 1] for i in range(3)]


def test_a_failing_disk_is_not_tried_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 3600.0)
    settings = home()
    writing = recorder(settings, Clock())
    disk = FullDisk(monkeypatch)
    disk.full = True
    add(writing, asked())
    disk.full = False
    add(writing, asked())
    assert writing.state.alarm is not None
    assert writing.state.lost == 2
    writing.close()


def test_what_cannot_be_synced_ends_the_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.0)
    settings = home()
    writing = recorder(settings, Clock())
    add(writing, asked())

    def broken(file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        writing.sync()
    failed = writing.state
    assert failed.alarm is not None
    assert failed.synced == 0
    add(writing, asked())
    assert writing.state.alarm is None
    assert len(segments(settings)) == 2


def test_a_limit_on_file_size_is_as_a_full_disk(tmp_path: Path) -> None:
    script = tmp_path / "limited.py"
    script.write_text(
        "import resource, sys\n"
        "from sinkhole.recording import *\n"
        "settings, clock = home(), Clock()\n"
        "writing = recorder(settings, clock)\n"
        "add(writing, asked())\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
        "for _ in range(20):\n"
        "    add(writing, *[asked()] * 30)\n"
        "assert writing.state.alarm and 'too large' in writing.state.alarm, writing.state\n"
        "assert writing.state.lost > 0\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "import time; time.sleep(1.1)\n"
        "add(writing, asked())\n"
        "assert writing.state.alarm is None\n"
        "assert writing.state.rows + writing.state.lost == 602\n"
        "writing.close()\n"
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert hard == resource.RLIM_INFINITY or soft
    run = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_on_a_disk_that_is_really_full_it_goes_on_and_recovers(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this system does not let root mount a tmpfs")
    try:
        settings = home()
        clock = Clock()
        writing = recorder(settings, clock)
        small = module.Recorder(
            place / "sinkhole",
            sensor="s",
            cases=facts_for(*RULES),
            memberships=[("demo",)],
            worker="w",
        )
        writing.close()
        ballast = place / "ballast"
        ballast.write_bytes(bytes(150_000))
        for _ in range(40):
            small.add(events(*[asked()] * 50), np.zeros(50, np.int32), Counts(messages=50))
        state = small.state
        assert state.alarm is not None
        assert state.lost > 0
        assert state.rows + state.lost == 2000
        ballast.unlink()
        time.sleep(1.1)
        small.add(events(asked()), np.zeros(1, np.int32), Counts(messages=1))
        small.close()
        assert small.state.alarm is None
        kept = sum(len(names_in(path)) for path in (place / "sinkhole" / "demo").glob("[0-9]*"))
        assert kept == small.state.rows == 2001 - small.state.lost
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_memberships_of_unknown_cases_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="stranger"):
        recorder(home(), Clock(), memberships=[("demo", "stranger")])


def test_nothing_is_made_before_the_first_event_or_word() -> None:
    settings = home()
    writing = recorder(settings, Clock())

    assert writing.state == RecorderState()
    writing.close()
    assert not (settings.home / "sinkhole").exists()


def test_the_facts_of_a_case_are_those_of_its_zones() -> None:
    answering = Answering("demo", ("192.0.2.1",), (), (60, 300), 1)
    zones = [
        Zone("evil.example", answering, ["demo", "other"]),
        Zone("bad.example", answering, ["other"]),
    ]
    found = facts_of(zones, {"demo": "d1", "other": "d2"})

    assert found["demo"].zones == ("evil.example",)
    assert found["other"].zones == ("evil.example", "bad.example")
    assert found["demo"].ttls == (60, 300)
    assert (found["demo"].watchlist, found["other"].watchlist) == ("d1", "d2")

"""What the segments gain is in the store soon, once, whatever happens in between."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from remnant.errors import StoreError
from remnant.estimate.traffic import by_time, count_unlisted, unlisted
from remnant.schema import ACTIVITY, CLIENTS, COVERAGE, UNLISTED
from remnant.sinkhole import folders
from remnant.sinkhole import keeper as module
from remnant.sinkhole import recorder as recorder_module
from remnant.sinkhole.clock import now_us
from remnant.sinkhole.events import Counts
from remnant.sinkhole.verify import verify
from remnant.store import Change, Store
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
    rounds,
    segments,
    sources,
    stored,
)

if TYPE_CHECKING:
    import pytest

    from remnant.settings import Settings


def prefixes(settings: Settings) -> int:
    with Store.open(settings) as store, store.ledger.reading() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM source_prefix").scalar_one()
    return int(found)


def test_events_are_sightings_after_one_round() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked(ttl=60), asked("A.bots.evil.example", address="2001:db8::1"))

    assert keeping.round().rows == 2
    found = stored(settings).sort_by("name").to_pylist()
    assert [row["name"] for row in found] == ["a.bots.evil.example", "ns1.evil.example"]
    assert [row["indicator"] for row in found] == ["*.bots.evil.example", "ns1.evil.example"]
    assert [row["unit"] for row in found] == ["ipv6_64", "ipv4"]
    assert found[1]["detail"] == '{"ttl":60}'
    assert {row["sensor"] for row in found} == {"sink-1"}
    assert stored(settings, CLIENTS)["address"].to_pylist().sort() is None
    keeping.close()
    writing.close()


def test_rounds_add_and_nothing_comes_twice() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    for number in range(5):
        add(writing, asked(f"n{number}.bots.evil.example"), counts=Counts(3, 1, 1, 1))
        assert keeping.round().rows == 1
        assert keeping.round().rows == 0

    assert names(settings) == [f"n{number}.bots.evil.example" for number in range(5)]
    (record,) = sources(settings)
    assert (record.records, record.messages, record.query_messages) == (25, 15, 5)
    assert (record.matched, record.malformed, record.skipped) == (5, 5, 5)
    assert record.format == "segment"
    # Only the last length is remembered, or they would pile up.
    assert prefixes(settings) == 1
    coverage = stored(settings, COVERAGE).to_pylist()
    assert sum(row["messages"] for row in coverage) == 15
    assert sum(row["lost"] for row in coverage) == 5
    assert sum(row["matched"] for row in coverage) == 5
    keeping.close()
    writing.close()


def test_a_segment_made_in_the_same_tick_of_the_clock_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folders, "_TICK_NS", 1 << 62)
    settings, clock = home(), Clock()
    keeping = keeper(settings, clock)
    first = recorder(settings, clock, worker="first")
    add(first, asked())
    assert rounds(keeping) == 1
    folder = settings.home / "sinkhole" / "demo"
    seen = folder.stat()
    second = recorder(settings, clock, worker="second")
    add(second, asked("x.bots.evil.example"))
    os.utime(folder, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert rounds(keeping) == 1

    assert names(settings) == ["ns1.evil.example", "x.bots.evil.example"]
    first.close()
    second.close()
    keeping.close()


def test_what_was_not_committed_is_committed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked())

    def full(self: Change) -> None:
        raise StoreError("the store cannot be read or written", where="x", got="No space")

    with monkeypatch.context() as patch:
        patch.setattr(Change, "commit", full)
        failed = keeping.round()
    assert failed.rows == 0
    assert failed.alarm is not None
    assert "No space" in failed.alarm
    assert names(settings) == []
    assert rounds(keeping) == 1
    assert names(settings) == ["ns1.evil.example"]


def test_while_another_process_writes_it_waits_and_loses_nothing() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked())
    with Store.open(settings, write=True):
        done = keeping.round()
        assert (done.busy, done.rows, done.alarm) == (True, 0, None)
    assert rounds(keeping) == 1


def test_many_cases_and_processes_are_one_commit() -> None:
    settings = home()
    clock = Clock()
    given: dict[str, Any] = {
        "cases": facts_for(*RULES, *OTHERS),
        "memberships": [("demo",), ("other",), ("demo", "other")],
    }
    writers = [recorder(settings, clock, worker=f"udp-{n}", **given) for n in range(3)]
    for writing in writers:
        add(writing, asked(), asked("c2.bad.example"), asked("x.other.example"), owners=[0, 1, 2])
    keeping = keeper(settings, clock, *RULES, *OTHERS)
    assert keeping.round().rows == 12

    assert names(settings) == 3 * ["ns1.evil.example"] + 3 * ["x.other.example"]
    assert names(settings, case="other") == 3 * ["c2.bad.example"] + 3 * ["x.other.example"]
    for case in ("demo", "other"):
        assert {row["indicator"] for row in stored(settings, case=case).to_pylist()} >= {"sinkhole"}
    files = list((settings.home / "store" / "sightings").rglob("*.parquet"))
    assert len(files) == 2
    assert len(sources(settings)) == 3


def test_a_round_is_bounded_and_says_that_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROUND_BYTES", 20_000)
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 10_000)
    settings = home()
    clock = Clock()
    writers = [recorder(settings, clock, worker=f"udp-{n}") for n in range(3)]
    for writing in writers:
        for _ in range(8):
            add(writing, *[asked()] * 40)
    keeping = keeper(settings, clock)
    first = keeping.round()

    assert 0 < first.rows < 960
    assert first.more
    assert rounds(keeping, 40) == 960 - first.rows
    assert len(names(settings)) == 960


def test_frames_without_events_are_committed_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_IDLE_S", 0.0)
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, counts=Counts(messages=1))
    assert keeping.round().frames == 1
    monkeypatch.setattr(module, "_IDLE_S", 3600.0)
    add(writing, counts=Counts(messages=1))
    assert keeping.round().frames == 0
    monkeypatch.setattr(module, "_IDLE_S", 0.0)
    assert keeping.round().frames == 1

    (row,) = {row["messages"] for row in stored(settings, COVERAGE).to_pylist()}
    assert row == 1


def test_an_hour_without_a_question_is_covered_if_the_sinkhole_listened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "_IDLE_S", 0.0)
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    add(writing, asked())
    for _ in range(3 * 240):
        clock.now += 15_000_000
        add(writing)
    clock.now += 5 * HOUR
    add(writing, asked(time=clock.now))
    for _ in range(250):
        clock.now += 15_000_000
        add(writing)
    rounds(keeper(settings, clock))
    with Store.open(settings) as store:
        found = by_time(store.view("demo"), "hour")

    assert [(row["queries"], row["coverage"]) for row in found] == [
        (1, 1.0), (0, 1.0), (0, 1.0),
        (None, 0.0), (None, 0.0), (None, 0.0), (None, 0.0), (None, 0.0),
        (1, 1.0),
    ]  # fmt: skip


def test_events_of_several_days_go_to_their_days() -> None:
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    add(writing, asked(time=NOW - 24 * HOUR), asked(), asked(time=NOW - 12 * HOUR - 1))
    assert rounds(keeper(settings, clock)) == 3

    days = {path.parent.name for path in (settings.home / "store/sightings").rglob("*.parquet")}
    assert days == {"day=2026-07-31", "day=2026-08-01"}


def test_unlisted_names_are_kept_apart_and_counted_nowhere_else() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(
        writing,
        asked(address="192.0.2.1"),
        asked("guess.evil.example", unlisted=True, rcode=3, address="192.0.2.2"),
        asked("guess.evil.example", unlisted=True, rcode=3, address="192.0.2.3"),
        asked("other.evil.example", unlisted=True, rcode=3, address="192.0.2.3"),
    )
    add(writing, asked("", proof="tcp"), asked("stranger.example", proof="http"))
    rounds(keeping)

    assert names(settings) == ["198.51.100.53", "ns1.evil.example", "stranger.example"]
    assert names(settings, UNLISTED) == 2 * ["guess.evil.example"] + ["other.evil.example"]
    assert {row["detail"] for row in stored(settings, UNLISTED).to_pylist()} == {
        '{"unlisted":true}'
    }
    assert {row["address"] for row in stored(settings, CLIENTS).to_pylist()} == {
        "192.0.2.1",
        "192.0.2.17",
    }
    (record,) = sources(settings)
    assert record.matched == 3
    keeping.close()
    with Store.open(settings) as store:
        view = store.view("demo")
        activity = view.table(ACTIVITY).to_pyarrow().to_pylist()
        names_ = {row["name"] for row in activity if row["grain"] == "name"}
        assert names_ == {"198.51.100.53", "ns1.evil.example", "stranger.example"}
        assert count_unlisted(view) == (3, 2)
        shown = list(unlisted(view))
        assert [(row["name"], row["zone"], row["queries"], row["clients"]) for row in shown] == [
            ("guess.evil.example", "evil.example", 2, 2),
            ("other.evil.example", "evil.example", 1, 1),
        ]
        queries = {
            vantage: sum(int(str(row["queries"])) for row in by_time(view, "day", vantage=vantage))
            for vantage in ("sinkhole_dns", "sinkhole_tcp", "sinkhole_http")
        }
    # What reached the sinkhole's address is real, whatever it was called by.
    assert queries == {"sinkhole_dns": 1, "sinkhole_tcp": 1, "sinkhole_http": 1}


def test_a_case_that_nobody_knows_is_left_alone_until_somebody_does() -> None:
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    add(writing, asked())
    assert rounds(keeper(settings, clock, *OTHERS)) == 0
    assert sources(settings) == []
    assert rounds(keeper(settings, clock)) == 1


def test_a_simulated_case_refuses_what_is_real() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked())
    keeping.round()
    with Store.open(settings, write=True) as store, store.ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE source SET simulated = 1")
    add(writing, asked())
    done = keeping.round()

    assert done.rows == 0
    assert done.alarm == "demo: the case holds simulated sources"


def test_a_kill_while_it_seals_leaves_one_segment() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked())
    (path,) = segments(settings)
    data = path.read_bytes()
    writing.close()
    whole = path.read_bytes()
    assert whole.startswith(data)
    keeping.close()
    (sealed,) = segments(settings)
    # Sealed and named, the first one not taken away yet.
    path.write_bytes(whole)
    keeping = keeper(settings, clock)
    assert rounds(keeping) == 0
    keeping.close()
    assert segments(settings) == [sealed]
    # In the manifest, and not named yet.
    sealed.unlink()
    path.write_bytes(whole)
    keeping = keeper(settings, clock)
    assert rounds(keeping) == 0
    keeping.close()
    assert segments(settings) == [sealed]
    assert verify(settings.home).ok
    assert names(settings) == ["ns1.evil.example"]


def test_run_goes_on_until_it_is_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLE_S", 0.0)
    settings = home()
    writing, keeping = recorder(settings, now_us), keeper(settings, now_us)
    stop = threading.Event()
    thread = threading.Thread(target=keeping.run, args=(stop, 0.05))
    thread.start()
    try:
        add(writing, asked(time=now_us()))
        deadline = time.monotonic() + 60
        while names(settings) != ["ns1.evil.example"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join()
    keeping.close()
    writing.close()


def test_settling_merges_files_and_rows_and_leaves_today_for_later() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    for _ in range(20):
        add(writing, asked(), asked(time=NOW - 24 * HOUR))
        keeping.round()
    keeping.settle()
    with Store.open(settings) as store, store.ledger.reading() as connection:
        files = store.ledger.files(connection, "demo")
        dirty = store.ledger.dirty_days(connection, "demo")
    per_table = {(file.table, file.day): file for file in files}

    assert len(per_table) == len(files)
    # One row for each hour of the source, and for each client and day.
    assert per_table["coverage", None].rows == 2
    assert per_table["clients", "2026-08-01"].rows == 1
    assert per_table["sightings", "2026-08-01"].rows == 20
    assert dirty == {"2026-08-01"}
    assert ("activity", "2026-07-31") in per_table
    (client,) = {row["queries"] for row in stored(settings, CLIENTS).to_pylist()}
    assert client == 20
    keeping.close()


def test_reference_data_is_asked_for_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[int] = []

    def lookup(addresses: Any) -> pa.Table:
        asked_for.append(len(addresses))
        words = {name: [None] * len(addresses) for name in ("prefix", "as_name", "role", "as_of")}
        return pa.table(
            words | {"asn": [64500] * len(addresses), "country": ["XX"] * len(addresses)}
        )

    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock, lookup=lookup)
    for _ in range(3):
        add(writing, asked(address="192.0.2.1"), asked(address="192.0.2.2"))
        keeping.round()

    assert asked_for == [2]
    assert set(stored(settings)["asn"].to_pylist()) == {64500}
    # A bounded number of clients is remembered.
    monkeypatch.setattr(module, "_MANY_CLIENTS", 1)
    add(writing, asked(address="192.0.2.1"))
    keeping.round()
    assert asked_for == [2, 1]


def test_files_that_are_no_segments_are_left_alone() -> None:
    settings = home()
    folder = settings.home / "sinkhole" / "demo"
    folder.mkdir(parents=True)
    name = "20260801T120000Z-udp-0-0123456789abcdef.rseg"
    (folder / name).write_bytes(b"nothing of the kind")
    (folder / "notes.txt").write_text("x")
    (settings.home / "sinkhole" / "file").write_text("x")
    keeping = keeper(settings, Clock())

    assert rounds(keeping) == 0
    keeping.close()
    assert (folder / name).read_bytes() == b"nothing of the kind"
    assert len(list(folder.iterdir())) == 2

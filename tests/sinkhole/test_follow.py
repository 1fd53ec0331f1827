"""A segment is read on where the ledger says, by the keeper and by a person, in any order."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from remnant.errors import StoreError
from remnant.schema import CLIENTS, COVERAGE, QUARANTINE, UNLISTED
from remnant.sinkhole import keeper as module
from remnant.sinkhole.events import Counts
from remnant.sinkhole.retention import remove_case
from remnant.sinkhole.verify import verify
from remnant.store import Change, Store
from remnant.watchlist import Rule, digest_of
from sinkhole.recording import (
    HOUR,
    RULES,
    Clock,
    add,
    asked,
    decompressed,
    facts_for,
    home,
    ingest,
    keeper,
    names,
    recorder,
    rounds,
    segments,
    sources,
    stored,
    total,
)
from sinkhole.serving import until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


NEW = Rule("demo", "exact", "guess.evil.example", state="seized")


def test_a_keeper_that_starts_asks_the_ledger_how_far_it_is() -> None:
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    for number in range(4):
        add(writing, asked(f"n{number}.bots.evil.example"))
        assert rounds(keeper(settings, clock)) == 1
    assert rounds(keeper(settings, clock)) == 0

    assert len(names(settings)) == 4
    writing.close()


def test_a_commit_that_was_made_but_not_noticed_is_not_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked())
    commit = Change.commit

    def unlucky(self: Change) -> None:
        commit(self)
        raise StoreError("the connection to the database broke")

    with monkeypatch.context() as patch:
        patch.setattr(Change, "commit", unlucky)
        assert keeping.round().alarm is not None
    add(writing, asked("x.bots.evil.example"))
    assert rounds(keeping) == 1

    assert names(settings) == ["ns1.evil.example", "x.bots.evil.example"]


def test_a_frame_that_is_longer_than_a_round_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 1000)
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    add(writing, *[asked()] * 100)

    assert rounds(keeper(settings, clock)) == 100


def test_a_segment_that_was_kept_is_known_to_ingest_also_compressed() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    for _ in range(3):
        add(writing, asked(), asked("guess.evil.example", unlisted=True))
        keeping.round()
    (path,) = segments(settings)
    before = total(settings, COVERAGE, "messages")
    live = ingest(settings, path)
    assert (live.state, live.matched) == ("known", 3)
    writing.close()
    keeping.close()
    (sealed,) = segments(settings)
    assert sealed.name.endswith(".rseg.zst")
    assert ingest(settings, sealed).state == "known"
    copy = settings.home / "copy"
    copy.write_bytes(decompressed(sealed))
    assert ingest(settings, copy).state == "known"

    assert len(names(settings)) == 3
    assert len(names(settings, UNLISTED)) == 3
    assert total(settings, COVERAGE, "messages") == before


def test_ingest_by_hand_gives_what_the_keeper_gives(tmp_path: Path) -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    for number in range(4):
        add(
            writing,
            asked(f"n{number}.bots.evil.example", ttl=60, address=f"192.0.2.{number}"),
            asked("guess.evil.example", unlisted=True),
            asked("", proof="tcp"),
            counts=Counts(5, 1, 1, 1),
        )
        keeping.round()
        clock.now += HOUR
    writing.close()
    keeping.close()
    (path,) = segments(settings)

    def look() -> list[Any]:
        found = []
        for table in (UNLISTED, CLIENTS, QUARANTINE):
            rows = stored(settings, table).to_pylist()
            found.append(sorted(str(sorted(row.items())) for row in rows))
        found.append(sorted(str(sorted(row.items())) for row in stored(settings).to_pylist()))
        totals: dict[Any, list[int]] = {}
        for row in stored(settings, COVERAGE).to_pylist():
            key = (row["source"], row["sensor"], row["vantage"], row["hour"], row["basis"])
            counted = totals.setdefault(key, [0] * 5)
            for at, name in enumerate(("messages", "matched", "malformed", "skipped", "lost")):
                counted[at] += row[name]
        (record,) = sources(settings)
        return [*found, totals, record.digest, record.bytes, record.records, record.matched]

    kept = look()
    shutil.move(path, tmp_path / path.name)
    with Store.open(settings, write=True) as store:
        store.delete_case("demo")
    assert ingest(settings, tmp_path / path.name).state == "new"
    by_hand = look()

    # Clients of a source that grew have several rows, whose queries add up.
    assert {row.replace("'queries': 4", "'queries': 1") for row in by_hand.pop(1)} >= set()
    kept.pop(1)
    assert by_hand == kept


def test_a_changed_watchlist_reads_the_segment_anew() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked(), asked("guess.evil.example", unlisted=True))
    writing.close()
    keeping.close()
    (path,) = segments(settings)
    assert names(settings) == ["ns1.evil.example"]
    again = ingest(settings, path, *RULES, NEW)

    assert again.state == "reread"
    assert names(settings) == ["guess.evil.example", "ns1.evil.example"]
    assert names(settings, UNLISTED) == []
    assert ingest(settings, path, *RULES, NEW).state == "known"


def test_a_segment_goes_on_with_the_watchlist_that_it_began_with() -> None:
    settings = home()
    clock = Clock()
    rules = list(RULES)
    writing = recorder(settings, clock)
    keeping = module.Keeper(settings, lambda case: rules if case == "demo" else None, clock=clock)
    add(writing, asked("guess.evil.example"))
    keeping.round()
    rules.append(NEW)
    keeping.reload()
    add(writing, asked("guess.evil.example"))
    keeping.round()
    assert (names(settings), len(names(settings, UNLISTED))) == ([], 2)
    writing.reload(cases=facts_for(*rules), memberships=[("demo",)])
    add(writing, asked("guess.evil.example"))
    rounds(keeping)

    assert (names(settings), len(names(settings, UNLISTED))) == (["guess.evil.example"], 2)
    digests = {record.watchlist for record in sources(settings)}
    assert digests == {digest_of(RULES, "demo"), digest_of(rules, "demo")}


def test_a_keeper_that_does_not_know_the_watchlist_any_more_reads_anew() -> None:
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    add(writing, asked(), asked("guess.evil.example"))
    rounds(keeper(settings, clock))
    assert len(names(settings, UNLISTED)) == 1
    # It was not there when the watchlist changed.
    add(writing, asked("guess.evil.example"))
    rounds(keeper(settings, clock, *RULES, NEW))

    assert names(settings) == 2 * ["guess.evil.example"] + ["ns1.evil.example"]
    assert names(settings, UNLISTED) == []
    (record,) = sources(settings)
    assert record.watchlist == digest_of([*RULES, NEW], "demo")
    assert record.query_messages == 3


def test_ingest_by_hand_while_it_grows_and_the_keeper_go_together() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked("a.bots.evil.example"))
    keeping.round()
    add(writing, asked("b.bots.evil.example"))
    (path,) = segments(settings)
    assert ingest(settings, path).state == "grown"
    assert rounds(keeping) == 0
    add(writing, asked("c.bots.evil.example"))
    assert rounds(keeping) == 1
    assert ingest(settings, path).state == "known"

    assert names(settings) == [f"{letter}.bots.evil.example" for letter in "abc"]
    assert len(sources(settings)) == 1


def test_ingest_by_hand_before_the_keeper_is_noticed() -> None:
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    add(writing, asked("a.bots.evil.example"))
    (path,) = segments(settings)
    assert ingest(settings, path).state == "new"
    add(writing, asked("b.bots.evil.example"))
    assert rounds(keeper(settings, clock)) == 1

    assert names(settings) == ["a.bots.evil.example", "b.bots.evil.example"]
    assert len(sources(settings)) == 1


def test_ingest_with_a_new_watchlist_while_it_grows_holds_from_then_on() -> None:
    settings = home()
    clock = Clock()
    rules = list(RULES)
    writing = recorder(settings, clock)
    keeping = module.Keeper(settings, lambda case: rules if case == "demo" else None, clock=clock)
    add(writing, asked("guess.evil.example"))
    keeping.round()
    rules.append(NEW)
    (path,) = segments(settings)
    assert ingest(settings, path, *rules).state == "reread"
    add(writing, asked("guess.evil.example"))
    rounds(keeping)

    assert (names(settings), names(settings, UNLISTED)) == (2 * ["guess.evil.example"], [])


def test_bytes_that_changed_behind_its_back_are_an_alarm() -> None:
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    add(writing, asked())
    rounds(keeper(settings, clock))
    (path,) = segments(settings)
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    add(writing, asked())
    done = keeper(settings, clock).round()

    # Its head does not agree any more: it is no segment, or its bytes are not those of the ledger.
    assert done.rows == 0
    assert names(settings) == ["ns1.evil.example"]


def test_a_segment_whose_writer_was_killed_ends_with_its_last_whole_frame() -> None:
    settings = home()
    clock = Clock()
    writing = recorder(settings, clock)
    add(writing, asked())
    add(writing, asked("x.bots.evil.example"))
    (path,) = segments(settings)
    data = path.read_bytes()
    writing.close()
    path.unlink()
    # As a kill leaves it: nobody holds its lock, and the last frame is cut.
    torn = path.with_name(path.name)
    torn.write_bytes(data + data[-100:-30])
    keeping = keeper(settings, clock)
    rounds(keeping)
    keeping.close()
    (sealed,) = segments(settings)

    assert decompressed(sealed) == data
    assert names(settings) == ["ns1.evil.example", "x.bots.evil.example"]
    report = verify(settings.home)
    assert report.ok, report.problems
    assert report.rows == 2
    assert ingest(settings, sealed).state == "known"


def test_what_is_written_is_not_taken_for_abandoned() -> None:
    settings = home()
    clock = Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked())
    for _ in range(5):
        keeping.round()
    (path,) = segments(settings)
    assert path.name.endswith(".rseg")
    writing.close()
    keeping.close()
    (path,) = segments(settings)
    assert path.name.endswith(".rseg.zst")
    assert path.stat().st_mode & 0o777 == 0o600


def test_drafts_of_killed_processes_are_removed_and_those_of_living_ones_are_not() -> None:
    settings, clock = home(), Clock()
    writing = recorder(settings, clock)
    add(writing, asked())
    (path,) = segments(settings)
    dead = [path.with_name(f".{name}.new") for name in (f"{path.name}.zst", "x.rseg")]
    for draft in dead:
        draft.write_bytes(b"x")
    os.utime(dead[1], (1, 1))
    fresh = path.with_name(".y.rseg.new")
    fresh.write_bytes(b"")
    held = path.with_name(f".{path.name}.new")
    held.hardlink_to(path)
    keeper(settings, clock).round()

    assert not any(draft.exists() for draft in dead)
    assert held.exists()
    assert fresh.exists()
    writing.close()


def test_an_abandoned_segment_is_sealed_while_others_grow() -> None:
    settings, clock = home(), Clock()
    writing, gone = recorder(settings, clock), recorder(settings, clock, worker="gone")
    add(gone, asked("x.bots.evil.example"))
    (path,) = segments(settings)
    data = path.read_bytes()
    gone.close()
    path.unlink()
    path.write_bytes(data)
    keeping = keeper(settings, clock)

    def sealed() -> bool:
        add(writing, asked())
        assert keeping.round().rows > 0
        return not path.exists()

    until(sealed)

    assert path.with_name(f"{path.name}.zst").exists()
    writing.close()
    keeping.close()


def test_a_case_that_is_deleted_while_it_grows_is_let_go() -> None:
    settings, clock = home(), Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked())
    assert keeping.round().rows == 1
    with Store.open(settings, write=True) as store:
        store.delete_case("demo")
    assert remove_case(settings, "demo") == 1
    add(writing, asked())
    writing.close()
    for _ in range(3):
        done = keeping.round()
        assert (done.rows, done.alarm) == (0, None)
    keeping.close()

    assert sources(settings) == []
    assert verify(settings.home).ok


def test_a_segment_that_cannot_be_sealed_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, clock = home(), Clock()
    writing, keeping = recorder(settings, clock), keeper(settings, clock)
    add(writing, asked())
    writing.close()
    tried = []

    def full(path: Path, length: int) -> None:
        tried.append(length)
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(module, "compress", full)
        until(lambda: "No space left" in (keeping.round().alarm or ""))
        for _ in range(10):
            keeping.round()
    assert len(tried) == 1
    assert len(names(settings)) == 1
    keeper(settings, clock).close()
    assert segments(settings)[0].name.endswith(".zst")

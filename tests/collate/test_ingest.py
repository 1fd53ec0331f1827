"""One source, one commit: every way in which the same bytes may come again."""

from __future__ import annotations

import dataclasses
import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from collate.made_up import (
    EVIL,
    OPTIONS,
    START,
    LineReader,
    by_day,
    facts,
    ingest,
    line,
    rolled_up,
    settings_in,
    states,
    stored,
    total,
    truth,
    watching,
)
from remnant.capture.stream import ByteStream
from remnant.errors import KeyMismatch, StoreError
from remnant.schema import CLIENTS, QUARANTINE, SIGHTINGS
from remnant.store import Store
from remnant.watchlist import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = b"".join(
    line(i * 1000, f"192.0.2.{i % 40}", ["evil.example", "www.bad.example", "good.example"][i % 3])
    for i in range(300)
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()  # not by "with", which makes roll-ups: views here make them as they need


def matched(store: Store, case: str = "demo") -> int:
    return total(store, "matched", case)


def messages(store: Store, case: str = "demo") -> int:
    return total(store, "messages", case)


def test_a_source_gives_the_truth(store: Store) -> None:
    (result,) = ingest(store, DATA)

    assert result.state == "new"
    assert (result.records, result.messages, result.matched) == (300, 300, 200)
    assert result.first == datetime.fromtimestamp(START, UTC)
    assert by_day(store) == rolled_up(store) == truth(DATA)
    assert matched(store) == 200
    assert messages(store) == 300


def test_the_same_again_changes_nothing(store: Store) -> None:
    first = ingest(store, DATA)
    before = facts(store)

    again = ingest(store, DATA, path="renamed")

    assert states(again) == ["known"]
    assert again[0].matched == first[0].matched
    assert facts(store) == before
    assert messages(store) == 300


def test_recompressed_is_the_same(store: Store) -> None:
    ingest(store, DATA)

    assert states(ingest(store, gzip.compress(DATA))) == ["known"]


def test_a_known_file_is_told_by_its_digest_alone(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "log"
    place.write_bytes(DATA)
    ingest(store, DATA)
    reader = LineReader()

    results = ingest(
        store, DATA, reader=reader, reopen=lambda: ByteStream(place.open("rb"), "log", chunk=4096)
    )

    assert states(results) == ["known"]
    assert reader.read_count == 0


@pytest.mark.parametrize("chunk", [64, 1000, 1 << 20])
@pytest.mark.parametrize("cut", [1, 10, 299])
def test_a_grown_source_adds_only_its_rest(store: Store, chunk: int, cut: int) -> None:
    lines = DATA.splitlines(keepends=True)
    ingest(store, b"".join(lines[:cut]), chunk=chunk)

    (result,) = ingest(store, DATA, chunk=chunk)

    assert result.state == "grown"
    assert (result.records, result.matched) == (300, 200)
    assert by_day(store) == truth(DATA)
    assert (matched(store), messages(store)) == (200, 300)
    assert len(store.view("demo").sources) == 1
    assert states(ingest(store, b"".join(lines[:cut]))) == ["known"]
    assert states(ingest(store, DATA)) == ["known"]


@pytest.mark.parametrize("partial_tail", [False, True])
@pytest.mark.parametrize("cut", [5, 37, 4100, len(DATA) - 3])
def test_a_source_cut_inside_a_record_is_exact_when_it_grows(
    store: Store, cut: int, *, partial_tail: bool
) -> None:
    ingest(store, DATA[:cut], reader=LineReader(partial_tail=partial_tail))

    (result,) = ingest(store, DATA, reader=LineReader(partial_tail=partial_tail))

    assert result.state in {"grown", "new"}
    assert by_day(store) == truth(DATA)
    assert (matched(store), messages(store)) == (200, 300)
    assert len(stored(store, QUARANTINE)) == 0


def test_a_source_grows_many_times(store: Store) -> None:
    for end in range(500, len(DATA), 1900):
        ingest(store, DATA[:end])
    ingest(store, DATA)

    assert by_day(store) == truth(DATA)
    assert messages(store) == 300


def test_an_older_copy_that_was_never_read_is_known_by_its_file(
    store: Store, tmp_path: Path
) -> None:
    place = tmp_path / "log"
    place.write_bytes(DATA)
    lines = DATA.splitlines(keepends=True)
    ingest(store, DATA, path=str(place))

    for count in (5, 250):
        (result,) = ingest(store, b"".join(lines[:count]))
        assert result.state == "known"
        assert "older copy" in result.notes[0]
    place.unlink()
    assert states(ingest(store, b"".join(lines[:5]))) == ["known"]
    assert by_day(store) == truth(DATA)


def test_two_files_that_part_after_the_same_beginning(store: Store) -> None:
    lines = DATA.splitlines(keepends=True)
    start, one, two = (b"".join(lines[a:b]) for a, b in [(0, 100), (100, 200), (200, 300)])
    ingest(store, start)
    ingest(store, start + one)

    assert states(ingest(store, start + two)) == ["grown"]
    assert by_day(store) == truth(DATA)
    assert states(ingest(store, start + two)) == ["known"]
    changed = watching("evil.example", "*.bad.example", "good.example")
    assert states(ingest(store, start + two, watchlist=changed)) == ["reread"]
    assert states(ingest(store, start + one, watchlist=changed)) == ["reread"]
    assert matched(store) == 300
    assert messages(store) == 300


def test_a_changed_watchlist_replaces_the_rows(store: Store) -> None:
    ingest(store, DATA)
    changed = watching("evil.example", "good.example")

    (result,) = ingest(store, DATA, watchlist=changed)

    assert (result.state, result.matched) == ("reread", 200)
    names = {row[4] for row in facts(store)}
    assert names == {"evil.example", "good.example"}
    assert messages(store) == 300
    assert states(ingest(store, DATA, watchlist=changed)) == ["known"]
    assert store.view("demo").sources[0].watchlist == changed.digest("demo")


def test_a_changed_watchlist_and_a_grown_source(store: Store) -> None:
    ingest(store, DATA[: DATA.index(b"\n", 3000) + 1])

    (result,) = ingest(store, DATA, watchlist=watching("good.example"))

    assert (result.state, result.matched) == ("reread", 100)
    assert matched(store) == 100


def test_replacing_one_source_leaves_the_others_of_a_merged_file(store: Store) -> None:
    parts = [b"".join(DATA.splitlines(keepends=True)[i::20]) for i in range(20)]
    for part in parts:
        ingest(store, part)
    store.settle()
    before = facts(store)

    ingest(store, parts[3], watchlist=watching("nothing.example"))
    ingest(store, parts[3])

    assert facts(store) == before
    assert by_day(store) == rolled_up(store) == truth(DATA)


def test_other_options_for_the_lines_read_again(store: Store) -> None:
    ingest(store, DATA)

    assert states(ingest(store, DATA, options=dataclasses.replace(OPTIONS, year=2015))) == [
        "reread"
    ]
    assert messages(store) == 300


@pytest.mark.parametrize(
    "other", [{"sensor": "x"}, {"options": dataclasses.replace(OPTIONS, vantage="authority")}]
)
@pytest.mark.parametrize("more", [b"", line(9, "192.0.2.9")])
def test_the_same_content_cannot_be_two_sensors(
    store: Store, other: dict[str, Any], more: bytes
) -> None:
    ingest(store, DATA)
    before = facts(store)

    (result,) = ingest(store, DATA + more, **other)

    assert result.state == "refused"
    assert "delete the case" in result.notes[0]
    assert facts(store) == before


def test_nothing_is_not_the_beginning_of_everything(store: Store) -> None:
    assert states(ingest(store, b"")) == ["empty"]
    assert states(ingest(store, DATA, sensor="a")) == ["new"]
    assert states(ingest(store, b"", sensor="b")) == ["empty"]


def test_the_sensor_is_the_option_then_what_the_source_says(store: Store) -> None:
    ingest(store, line(1, "192.0.2.1") + line(2, "192.0.2.1", "evil.example", "tap"))
    ingest(store, line(3, "192.0.2.1", "evil.example", "tap"), sensor="mine")

    assert [row[2] for row in facts(store)] == ["default", "tap", "mine"]
    assert [(row["sensor"], row["messages"]) for row in store.sensors("demo")] == [
        ("default", 1),
        ("mine", 1),
        ("tap", 1),
    ]


def test_malformed_records_are_kept_aside_and_counted(store: Store) -> None:
    data = line(1, "192.0.2.1") + b"\x1b[2Jgarbage\n" + line(2, "192.0.2.2")

    (result,) = ingest(store, data)

    assert (result.records, result.malformed, result.matched) == (3, 1, 2)
    rows = stored(store, QUARANTINE).to_pylist()
    assert [(row["reason"], row["head"]) for row in rows] == [("syntax", b"\x1b[2Jgarbage\n")]
    assert rows[0]["source"] == store.view("demo").sources[0].id


def test_responses_count_only_where_there_are_no_queries(store: Store) -> None:
    answer = line(1, "192.0.2.1", "evil.example", "R")
    (alone,) = ingest(store, answer * 3)
    (both,) = ingest(store, answer + line(2, "192.0.2.2") + answer, chunk=64)

    assert alone.matched == 3
    assert "responses" in alone.notes[0]
    assert both.matched == 1
    assert both.notes == ()


def test_responses_that_were_counted_go_when_queries_follow(store: Store) -> None:
    answers = line(1, "192.0.2.1", "evil.example", "R") * 3
    ingest(store, answers)

    (result,) = ingest(store, answers + line(2, "192.0.2.2"))

    assert (result.state, result.matched) == ("grown", 1)
    assert matched(store) == 1


def test_one_pass_serves_many_cases(store: Store) -> None:
    both = watching("evil.example", Rule("other", "exact", "good.example"))

    results = ingest(store, DATA, watchlist=both)

    assert [(r.case, r.state, r.matched) for r in results] == [
        ("demo", "new", 100),
        ("other", "new", 100),
    ]
    alone = watching("good.example", case="other")
    assert states(ingest(store, DATA, watchlist=alone)) == ["known"]
    again = watching("good.example", Rule("other", "exact", "good.example"))
    assert states(ingest(store, DATA, watchlist=again)) == ["reread", "known"]
    assert messages(store, "other") == 300


def test_simulated_and_real_sources_never_meet(store: Store) -> None:
    ingest(store, DATA, reader=LineReader(notes=("simulated",)))
    before = facts(store)

    with pytest.raises(StoreError, match="simulated"):
        ingest(store, line(1, "192.0.2.1"))
    assert facts(store) == before
    ingest(store, DATA, watchlist=watching("evil.example", case="real"))
    with pytest.raises(StoreError, match="real"):
        ingest(
            store,
            line(1, "192.0.2.1"),
            watchlist=watching("evil.example", case="real"),
            reader=LineReader(notes=("simulated",)),
        )
    assert store.view("demo").simulated
    assert not store.view("real").simulated


def test_damaged_data_is_stored_up_to_the_damage_and_completed_later(store: Store) -> None:
    whole = gzip.compress(DATA, compresslevel=0)

    (broken,) = ingest(store, whole[: len(whole) // 2])
    assert broken.state == "damaged"
    assert 0 < broken.matched < 200
    assert "damaged" in broken.notes[-1]

    assert states(ingest(store, whole)) == ["grown"]
    assert by_day(store) == truth(DATA)
    assert messages(store) == 300


def test_clients_are_kept_by_day_with_what_is_known_of_them(store: Store) -> None:
    ingest(store, line(1, "192.0.2.1") + line(5, "192.0.2.1") + line(3, "2001:db8::1"))

    rows = stored(store, CLIENTS).sort_by("address").to_pylist()

    assert [(r["address"], r["unit"], r["queries"]) for r in rows] == [
        ("192.0.2.1", "ipv4", 2),
        ("2001:db8::/64", "ipv6_64", 1),
    ]
    assert rows[0]["first_time"].second == 1
    assert rows[0]["last_time"].second == 5
    assert rows[0]["role"] is None


def test_another_key_is_refused(store: Store, tmp_path: Path) -> None:
    ingest(store, DATA)
    place = tmp_path / "key" / "site.key"
    assert place.stat().st_mode & 0o777 == 0o600
    place.write_text("00" * 16 + "\n")

    with pytest.raises(KeyMismatch, match="another site key"):
        ingest(store, line(1, "192.0.2.1"))
    place.unlink()
    with pytest.raises(KeyMismatch, match="not there"):
        ingest(store, line(1, "192.0.2.1"))
    assert by_day(store) == truth(DATA)


def test_what_interrupts_a_run_leaves_no_trace(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(store, DATA)
    before = facts(store)

    def interrupt(batch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(store, DATA + line(7, "192.0.2.7"), on_batch=interrupt)
    assert facts(store) == before
    assert list((store.folder.root / "tmp").iterdir()) == []


def test_sightings_are_all_there(store: Store) -> None:
    ingest(store, line(1, "192.0.2.1", "www.bad.example"))

    (row,) = stored(store, SIGHTINGS).to_pylist()

    assert row["indicator"] == "*.bad.example"
    assert (row["transport"], row["proof"], row["unit"], row["qtype"]) == (
        "udp",
        "dns_udp",
        "ipv4",
        1,
    )
    assert row["asn"] is row["country"] is row["ecs"] is row["rcode"] is None
    assert EVIL.cases == ("demo",)

"""One source, one commit: every way in which the same bytes may come again."""

from __future__ import annotations

import dataclasses
import gzip
from collections import Counter
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

import dns.message
import dns.rrset
import pytest

import dnstap_writer as writer
import pcap_writer
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
from remnant.capture.dnstap import DnstapReader
from remnant.capture.pcap import PcapReader
from remnant.capture.stream import ByteStream
from remnant.collate.ingest import SourceResult, ingest_source
from remnant.errors import KeyMismatch
from remnant.schema import CLIENTS, COVERAGE, QUARANTINE, SIGHTINGS
from remnant.store import Store
from remnant.watchlist import Rule, Watchlist
from remnant.windows import parse_period

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.capture import Batch, ReadOptions

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
    start, one, two = (b"".join(lines[a:b]) for a, b in [(0, 100), (100, 180), (180, 300)])
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


def test_what_may_be_an_older_copy_of_a_file_that_is_gone_is_refused(
    store: Store, tmp_path: Path
) -> None:
    place = tmp_path / "log"
    place.write_bytes(DATA)
    ingest(store, DATA, path=str(place))
    before = facts(store)
    place.write_bytes(b"the log was rotated\n")

    (result,) = ingest(store, DATA[: DATA.index(b"\n", 5000) + 1])

    assert result.state == "refused"
    assert "put that file back" in result.notes[0]
    assert facts(store) == before
    # Not an older copy: the file is there to tell that it goes on in another way.
    place.write_bytes(DATA)
    other = DATA[: DATA.index(b"\n", 5000) + 1] + line(9, "192.0.2.99")
    assert states(ingest(store, other)) == ["new"]


A = b"".join(line(i, f"192.0.2.{i % 40}") for i in range(300))
B = b"".join(line(90_000 + i, f"198.51.100.{i % 40}") for i in range(250))
SMALL = line(200_000, "203.0.113.1") + line(200_001, "203.0.113.2")


@pytest.mark.parametrize("chunk", [64, 1000, 1 << 20])
@pytest.mark.parametrize(
    "parts", [(A, B), (B, A), (A, SMALL, B), (SMALL, A), (A, A), (SMALL, SMALL)]
)
def test_known_sources_end_to_end_count_nothing_twice(
    store: Store, parts: tuple[bytes, ...], chunk: int
) -> None:
    for part in dict.fromkeys(parts):
        ingest(store, part, chunk=chunk)
    before, counted = facts(store), messages(store)

    for note in ("known already", ""):
        (result,) = ingest(store, b"".join(parts), chunk=chunk, path="joined")
        assert result.state == "known"
        assert note in " ".join(result.notes)
        assert result.records == result.matched == sum(p.count(b"\n") for p in parts)
    assert (facts(store), messages(store)) == (before, counted)
    more = b"".join(parts) + line(300_000, "203.0.113.9")
    assert states(ingest(store, more, chunk=chunk)) == ["grown"]
    assert messages(store) == matched(store) == counted + 1


@pytest.mark.parametrize("chunk", [64, 1 << 20])
def test_known_sources_end_to_end_and_more_add_only_the_rest(store: Store, chunk: int) -> None:
    rest = b"".join(line(300_000 + i, "203.0.113.9") for i in range(200))
    later = line(400_000, "203.0.113.9")
    ingest(store, A, chunk=chunk)
    ingest(store, B, chunk=chunk)

    (result,) = ingest(store, A + B + rest, chunk=chunk)

    assert (result.state, result.matched) == ("grown", 200)
    assert "only the rest" in result.notes[0]
    assert messages(store) == matched(store) == 750
    assert states(ingest(store, A + B + rest, chunk=chunk)) == ["known"]
    assert states(ingest(store, B + rest, chunk=chunk)) == ["known"]
    assert states(ingest(store, B + rest + later, chunk=chunk)) == ["grown"]
    assert states(ingest(store, A + B + rest + later, chunk=chunk)) == ["known"]
    assert messages(store) == matched(store) == 751
    assert by_day(store) == rolled_up(store)


@pytest.mark.parametrize("cut", [20, 200])
def test_a_known_source_and_the_beginning_of_another(
    store: Store, tmp_path: Path, cut: int
) -> None:
    place = tmp_path / "b"
    place.write_bytes(B)
    ingest(store, A)
    ingest(store, B, path=str(place))
    start = b"".join(B.splitlines(keepends=True)[:cut])

    assert states(ingest(store, A + start)) == ["known"]
    assert messages(store) == matched(store) == 550


def test_the_rest_of_known_sources_cannot_be_told_inside_a_record(store: Store) -> None:
    ingest(store, A)
    ingest(store, B[:-4])

    (result,) = ingest(store, A + B + SMALL)

    assert result.state == "refused"
    assert messages(store) == 550


def test_known_sources_end_to_end_with_another_watchlist_say_what_to_do(store: Store) -> None:
    ingest(store, A)
    ingest(store, B)

    (result,) = ingest(store, A + B, watchlist=watching("*.bad.example"))

    assert result.state == "known"
    assert "watchlist" in result.notes[1]
    assert states(ingest(store, A + B, sensor="other")) == ["refused"]


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


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_answer_after_the_end_of_a_copy_makes_its_query_a_sighting(
    store: Store, count: int
) -> None:
    asked = [writer.query(f"www{i}.example", ident=i) for i in range(2)]
    frames = [
        frame
        for i, question in enumerate(asked)
        for frame in (
            writer.message(writer.CLIENT_QUERY, question, time=writer.START_TIME + i),
            writer.message(
                writer.CLIENT_RESPONSE, answered(question), time=writer.START_TIME + i + 0.1
            ),
        )
    ]
    watchlist = Watchlist.compile([Rule("demo", "address", "192.0.2.0/24")])

    def read(*parts: bytes) -> SourceResult:
        with ByteStream(BytesIO(writer.stream(*parts, stop=b"")), "tap") as stream:
            (result,) = ingest_source(stream, DnstapReader(), store, watchlist, OPTIONS)
        return result

    read(*frames[:count])
    again = read(*frames)

    assert (again.state, again.matched) == ("grown", 2)
    assert {row[4] for row in facts(store)} == {"www0.example", "www1.example"}
    assert (matched(store), messages(store)) == (2, 4)


@pytest.mark.parametrize("count", range(5))
def test_who_answers_in_a_capture_is_no_client_of_it(store: Store, count: int) -> None:
    asked = pcap_writer.query("www.evil.example")
    client, resolver, authority = "2001:db8::17", "2001:db8::53", "2001:db8:5::5"

    def packet(source: str, target: str, *, answer: bool = False) -> bytes:
        message = pcap_writer.response(asked) if answer else asked
        port = 40000 if client in {source, target} else 50000
        inner = pcap_writer.udp(message, *((53, port) if answer else (port, 53)))
        return pcap_writer.ethernet(pcap_writer.ipv6(inner, source, target))

    packets = [
        packet(client, resolver),
        packet(resolver, authority),
        packet(authority, resolver, answer=True),
        packet(resolver, client, answer=True),
    ]
    watchlist = Watchlist.compile([Rule("demo", "below", "*.evil.example")])

    def read(*parts: bytes) -> SourceResult:
        data = pcap_writer.pcap(*parts)
        with ByteStream(BytesIO(data), "capture") as stream:
            (result,) = ingest_source(stream, PcapReader(), store, watchlist, OPTIONS)
        return result

    # However much of the capture was read before, the end is the same.
    read(*packets[:count])
    result = read(*packets)

    assert (matched(store), messages(store)) == (1, 4)
    assert result.matched == 1
    # They are of one /64, and so one unit of counting: the port tells them apart.
    assert stored(store, SIGHTINGS)["client_port"].to_pylist() == [40000]


def answered(question: bytes) -> bytes:
    """The answer of a watched address."""
    message = dns.message.from_wire(question)
    response = dns.message.make_response(message)
    name = message.question[0].name
    response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.5"))
    return response.to_wire()


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

    (result,) = ingest(store, line(1, "192.0.2.1"))
    assert result.state == "refused"
    assert "holds simulated sources, this one is real" in result.notes[0]
    assert facts(store) == before
    both = watching("evil.example", Rule("real", "exact", "evil.example"))
    assert states(ingest(store, DATA, watchlist=both)) == ["refused", "new"]
    (result,) = ingest(
        store,
        line(1, "192.0.2.1"),
        watchlist=watching("evil.example", case="real"),
        reader=LineReader(notes=("simulated",)),
    )
    assert result.state == "refused"
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


def stating(text: str | None) -> ReadOptions:
    return dataclasses.replace(OPTIONS, period=None if text is None else parse_period(text))


def basis(store: Store) -> dict[str | None, int]:
    return Counter(stored(store, COVERAGE)["basis"].to_pylist())


HITS = line(0, "192.0.2.1") + line(7200, "192.0.2.2")


def report(store: Store, data: bytes = HITS, period: str | None = None) -> SourceResult:
    (result,) = ingest(
        store, data, reader=LineReader(hits_only=True), options=stating(period), path="report"
    )
    return result


def test_traffic_is_traffic_and_needs_no_period(store: Store) -> None:
    (result,) = ingest(store, HITS, options=stating("2015-04-08/2015-04-08"))

    assert basis(store) == {"traffic": 2}
    assert any("--period is for sources that hold hits only" in note for note in result.notes)


def test_hits_cover_nothing_until_a_period_is_stated(store: Store) -> None:
    assert any("--period" in note for note in report(store).notes)
    assert basis(store) == {"hits": 2}

    stated = report(store, period="2015-04-08/2015-04-08")

    assert stated.state == "reread"
    assert not any("--period" in note for note in stated.notes)
    assert basis(store) == {"stated": 24}
    assert total(store, "messages") == 2
    assert report(store, period="2015-04-08/2015-04-08").state == "known"


def test_what_was_stated_stays_stated_until_it_is_stated_otherwise(store: Store) -> None:
    report(store, period="2015-04-08/2015-04-08")

    assert report(store).state == "known"
    assert basis(store) == {"stated": 24}
    # A grown source and a changed watchlist keep it too.
    assert report(store, HITS + line(90_000, "192.0.2.3")).state == "grown"
    assert basis(store) == {"stated": 24, "hits": 1}
    assert (
        report(store, HITS + line(90_000, "192.0.2.3"), "2015-04-08/2015-04-09").state == "reread"
    )
    assert basis(store) == {"stated": 48}
    assert matched(store) == 3


def test_another_report_of_the_same_period_adds_its_own(store: Store) -> None:
    report(store, period="2015-04-08/2015-04-09")
    report(store, line(90_000, "192.0.2.9"), "2015-04-08/2015-04-09")

    rows = stored(store, COVERAGE).select(["hour", "basis"]).to_pylist()
    assert {row["basis"] for row in rows} == {"stated"}
    assert len({row["hour"] for row in rows}) == 48


class HeaderReader(LineReader):
    """A format whose first line is a header, and no record."""

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        assert stream.more()
        stream.advance(len(HEADER))
        yield self._batch(stream, b"", {}, "report")
        yield from super().read(stream, watchlist, options)


HEADER = b"timestamp,ip,name\n"


def with_header(store: Store, data: bytes = b"", period: str | None = None) -> str:
    (result,) = ingest(
        store, HEADER + data, reader=HeaderReader(hits_only=True), options=stating(period)
    )
    return result.state


def test_a_report_without_a_hit_counts_for_each_period_that_is_stated(store: Store) -> None:
    assert with_header(store) == "empty"
    assert with_header(store, period="2015-04-08/2015-04-08") == "new"
    assert with_header(store, period="2015-04-08/2015-04-08") == "known"
    assert with_header(store, period="2015-04-09/2015-04-09") == "new"
    assert basis(store) == {"stated": 48}
    # Every report begins with the same header: none is the empty one, grown.
    assert with_header(store, HITS, "2015-04-08/2015-04-08") == "new"
    assert with_header(store, line(90_000, "192.0.2.3")) == "new"
    assert basis(store) == {"stated": 72, "hits": 1}
    assert matched(store) == 3

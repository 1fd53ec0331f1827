"""Segments are read as any other format, and damage ends or interrupts them, never a run."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from remnant.capture.segment import SegmentReader
from remnant.capture.segment_frames import (
    BAD,
    MAGIC,
    MAX_PAYLOAD,
    MORE,
    ROWS,
    events_of,
    read_frame,
)
from remnant.capture.stream import ByteStream
from remnant.errors import UnknownFormat
from remnant.schema import EVENTS
from remnant.watchlist import Rule, Watchlist
from segment_writer import HOUR, START, alive, end, events, facts, frame, frame_of, head, row
from textlogs import counts, quarantine, read, rows, v4

READER = SegmentReader()
RULES = (Rule("demo", "exact", "ns1.evil.example"), Rule("demo", "below", "*.c2.evil.example"))
EVIL = facts(zones=("evil.example", "other.example"))
WATCHED = Watchlist.compile(RULES).extended(EVIL.rules())
HEAD_FRAME = head(zones=("evil.example", "other.example"))


def indicators(batches: Any, watchlist: Watchlist = WATCHED) -> list[str]:
    """The rules that each row counts under, of several the first that is listed."""
    found = []
    for each in rows(batches):
        start, stop = watchlist.entry_offsets[each["entry"] : each["entry"] + 2]
        found.append(watchlist.rules[watchlist.entry_rules[start:stop][0]].text)
    return found


def segment(*rows_: dict[str, Any], **options: Any) -> bytes:
    return HEAD_FRAME + frame_of(1, events(*rows_), **options) + end(2)


def test_an_event_becomes_a_row_with_all_it_says() -> None:
    data = segment(
        row(
            "NS1.evil.example",
            ttl=60,
            rcode=0,
            limited=True,
            ecs=v4("203.0.113.0") + b"\x78",
        )
    )

    (found,) = rows(read(READER, data, watchlist=WATCHED))

    assert found["name"] == "ns1.evil.example"
    assert found["case_bits"] == 0b11
    assert found["time"] == datetime(2015, 4, 8, 12, tzinfo=UTC)
    assert found["sensor"] == "sink-1"
    assert found["vantage"] == "sinkhole_dns"
    assert found["address"] == v4("192.0.2.17")
    assert found["ecs"] == v4("203.0.113.0") + b"\x78"
    assert (found["client_port"], found["service_port"]) == (40_000, 53)
    assert (found["transport"], found["proof"]) == ("udp", "dns_udp")
    assert (found["qtype"], found["rcode"], found["weight"]) == (1, 0, 1)
    assert found["detail"] == '{"ttl":60}'
    assert found["limited"] is True
    assert found["response"] is False


@pytest.mark.parametrize(
    ("proof", "vantage", "transport"),
    [
        ("dns_udp", "sinkhole_dns", "udp"),
        ("dns_tcp", "sinkhole_dns", "tcp"),
        ("tcp", "sinkhole_tcp", "tcp"),
        ("tls", "sinkhole_tcp", "tcp"),
        ("http", "sinkhole_http", "tcp"),
    ],
)
def test_the_proof_says_the_vantage(proof: str, vantage: str, transport: str) -> None:
    data = segment(row("ns1.evil.example", proof=proof))

    (found,) = rows(read(READER, data, watchlist=WATCHED))

    assert (found["vantage"], found["proof"], found["transport"]) == (vantage, proof, transport)


def test_every_event_of_the_owner_counts_under_the_best_rule_there_is() -> None:
    data = segment(
        row("ns1.evil.example"),
        row("a.c2.evil.example"),
        row("guess.evil.example", unlisted=True),
        row("evil.example"),
        row("www.other.example"),
        row("stranger.example", proof="http"),
        row("", proof="tcp"),
        row("", proof="dns_udp"),
    )
    batches = read(READER, data, watchlist=WATCHED)

    assert indicators(batches) == [
        "ns1.evil.example",
        "*.c2.evil.example",
        "unlisted:evil.example",
        "unlisted:evil.example",
        "unlisted:other.example",
        "sinkhole",
        "sinkhole",
        "sinkhole",
    ]
    assert [each["name"] for each in rows(batches)[-3:]] == [
        "stranger.example",
        "198.51.100.53",
        "-",
    ]
    offsets = [each["offset"] for each in rows(batches)]
    assert offsets == sorted(set(offsets))


def test_a_watched_address_is_the_rule_of_what_came_to_it_without_a_name() -> None:
    rules = (*RULES, Rule("demo", "address", "198.51.100.53/32"))
    watched = Watchlist.compile(rules).extended(EVIL.rules())
    data = segment(row("", proof="tcp"), row("", proof="tcp", destination="198.51.100.54"))

    assert indicators(read(READER, data, watchlist=watched), watched) == [
        "198.51.100.53/32",
        "sinkhole",
    ]


def test_a_generated_name_out_of_its_dates_still_has_a_rule() -> None:
    dated = Rule("demo", "exact", "gen.evil.example", valid_from=START + HOUR)
    watched = Watchlist.compile([*RULES, dated]).extended(EVIL.rules())
    data = segment(row("gen.evil.example"), row("ns1.evil.example"))

    # Which of them holds at that time is for collate to say.
    assert sorted(indicators(read(READER, data, watchlist=watched), watched)) == [
        "gen.evil.example",
        "ns1.evil.example",
        "unlisted:evil.example",
    ]


def test_another_case_gets_only_what_it_watches_itself() -> None:
    other = Watchlist.compile([Rule("other", "exact", "ns1.evil.example")])
    assert other.extended(EVIL.rules()) is other
    data = segment(row("ns1.evil.example"), row("guess.evil.example"), row("", proof="tcp"))

    assert len(rows(read(READER, data, watchlist=other))) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"ttl": 0}, '{"ttl":0}'),
        ({"unlisted": True}, '{"unlisted":true}'),
        ({"detail": '{"path": "/a"}'}, '{"path":"/a"}'),
        ({"detail": '{"path":"/a"}', "ttl": 60}, '{"ttl":60,"path":"/a"}'),
        ({"detail": "no json"}, '{"damaged":true}'),
        ({"detail": "[1]"}, '{"damaged":true}'),
        ({"detail": "[" * 10_000}, '{"damaged":true}'),
    ],
)
def test_facts_are_always_one_json_object(given: dict[str, Any], expected: str | None) -> None:
    data = segment(row("ns1.evil.example", **given), row("ns1.evil.example"))

    first, second = rows(read(READER, data, watchlist=WATCHED))

    assert first["detail"] == expected
    assert second["detail"] is None


@pytest.mark.parametrize(
    "name", [b"\x03abc", b"\x00\x00", b"\x40" + b"a" * 64 + b"\0", b"\xc0\x00", b"\xff" * 300]
)
def test_bytes_that_are_no_name_are_an_event_without_one(name: bytes) -> None:
    data = segment(row("", proof="http") | {"name": name}, row("ns1.evil.example"))
    batches = read(READER, data, watchlist=WATCHED)

    assert indicators(batches) == ["sinkhole", "ns1.evil.example"]
    assert rows(batches)[0]["name"] == "198.51.100.53"


def test_the_root_is_a_name() -> None:
    data = segment(row("") | {"name": b"\0"})

    assert rows(read(READER, data, watchlist=WATCHED))[0]["name"] == "."


def test_counts_are_of_the_hour_of_each_event_and_of_the_frame() -> None:
    data = (
        head(zones=("evil.example",), vantages=("sinkhole_dns", "sinkhole_http"))
        + frame_of(
            1,
            events(
                row("ns1.evil.example", time=START - 1),
                row("ns1.evil.example"),
                row("ns1.evil.example", proof="http"),
            ),
            at=START + 5,
            counts=(7, 1, 2, 3),
        )
        + alive(2, at=START + 9, counts=(0, 0, 0, 0), missed=[[START - HOUR, 40]])
    )
    found = {
        (line["vantage"], line["hour"].hour): (
            line["messages"],
            line["malformed"],
            line["skipped"],
            line["lost"],
        )
        for batch in read(READER, data, watchlist=WATCHED)
        for line in batch.counts.to_pylist()
    }

    assert found == {
        ("sinkhole_dns", 11): (1, 0, 0, 40),
        ("sinkhole_dns", 12): (8, 1, 2, 3),
        ("sinkhole_http", 12): (1, 0, 0, 0),
    }


def test_an_hour_is_stated_when_it_was_heard_from_start_to_end() -> None:
    first = head(vantages=("sinkhole_tcp", "sinkhole_http"))
    since = START + 5
    data = first + b"".join(
        alive(number, at=START + minutes * 60_000_000, since=since)
        for number, minutes in enumerate((10, 59, 61, 119, 121, 125), 1)
    )
    stated = [
        hour
        for batch in read(READER, data, watchlist=WATCHED, chunk=700)
        for hour in batch.listened
    ]

    # The first hour began before; the third is not over.
    assert set(stated) == {
        ("sink-1", "sinkhole_tcp", START + HOUR),
        ("sink-1", "sinkhole_http", START + HOUR),
    }


def test_times_that_cannot_be_are_counted_and_make_no_rows() -> None:
    data = segment(row("ns1.evil.example", time=5), row("ns1.evil.example", time=1 << 62))
    batches = read(READER, data, watchlist=WATCHED)

    assert rows(batches) == []
    assert counts(batches) == [2, 0, 0, 2]


def test_a_torn_tail_is_left_unread_and_what_is_before_it_is_read() -> None:
    frames = [HEAD_FRAME, frame_of(1, events(row("ns1.evil.example"))), alive(2)]
    whole = b"".join(frames)
    last = frame_of(3, events(row("ns1.evil.example")))
    for cut in (1, 7, 8, 39, 40, len(last) - 1):
        batches = read(READER, whole + last[:cut], watchlist=WATCHED)
        assert batches[-1].end == len(whole)
        assert len(rows(batches)) == 1
        assert quarantine(batches) == []
    for tail in (bytes(500), last[:60] + bytes(len(last) - 60), b"\xff" * 4096):
        batches = read(READER, whole + tail, watchlist=WATCHED)
        assert batches[-1].end == len(whole)


def test_damage_between_frames_is_one_malformed_record() -> None:
    good = frame_of(1, events(row("ns1.evil.example")))
    broken = bytearray(good)
    broken[-1] ^= 1
    data = HEAD_FRAME + bytes(broken) + MAGIC + good + end(2)
    for chunk in (1 << 20, 100, 7):
        batches = read(READER, data, watchlist=WATCHED, chunk=chunk)
        assert len(rows(batches)) == 1
        assert quarantine(batches) == [(len(HEAD_FRAME), "frame", bytes(broken[:64]))]
        assert batches[-1].end == len(data)


def test_segments_laid_end_to_end_are_read_each_for_its_sensor() -> None:
    one = segment(row("ns1.evil.example"))
    two = head(sensor="sink-2", segment="f" * 16) + frame_of(1, events(row("ns1.evil.example")))

    found = rows(read(READER, one + two, watchlist=WATCHED))

    assert [each["sensor"] for each in found] == ["sink-1", "sink-2"]


def test_what_is_no_segment_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UnknownFormat, match="not a segment"):
        read(READER, b"client 192.0.2.1#1: query\n")


@pytest.mark.parametrize(
    "others",
    [
        {"segment": "short"},
        {"segment": "zzzzzzzzzzzzzzzz"},
        {"case": ""},
        {"sensor": "a\x1b[2J"},
        {"vantages": ()},
        {"vantages": ("elsewhere",)},
        {"zones": ("Evil.Example",)},
        {"zones": ("a..b",)},
        {"events": 99},
        {"ttls": ("x",)},
    ],
)
def test_a_head_that_cannot_be_used_makes_its_frames_malformed(others: dict[str, Any]) -> None:
    data = head(**others) + frame_of(1, events(row("ns1.evil.example")))
    batches = read(READER, data, watchlist=WATCHED)

    assert rows(batches) == []
    assert [reason for _, reason, _ in quarantine(batches)] == ["head", "no_head"]


def test_record_batches_that_lie_are_malformed() -> None:
    good = events(row("ns1.evil.example"))
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, EVENTS.arrow, options=options) as writer:
        writer.write_batch(good)
    messages = pa.ipc.MessageReader.open_stream(pa.BufferReader(sink.getvalue()))
    messages.read_next_message()
    compressed = messages.read_next_message().serialize()
    nulls = pa.RecordBatch.from_pylist(
        [row("ns1.evil.example") | {"time": None}],
        schema=pa.schema([field.with_nullable(True) for field in EVENTS.arrow]),
    ).serialize()
    unknown = events(row("ns1.evil.example") | {"proof": 200}).serialize()
    text = events(row("ns1.evil.example", detail='{"a":"b"}')).serialize().to_pybytes()
    broken = pa.py_buffer(text.replace(b'{"a"', b'{"\xff"'))
    bodies = [compressed, nulls, unknown, broken, pa.py_buffer(b""), pa.py_buffer(b"\xff" * 300)]
    said = {"at": START, "since": None, "counts": [0, 0, 0, 0], "rows": 1}
    data = HEAD_FRAME + b"".join(frame(ROWS, 1, said, body) for body in bodies)
    batches = read(READER, data, watchlist=WATCHED)

    assert rows(batches) == []
    assert [reason for _, reason, _ in quarantine(batches)] == ["events"] * len(bodies)


def test_facts_of_any_kind_are_survived() -> None:
    given: list[dict[str, Any]] = [
        {"at": "x", "since": [], "counts": "no", "missed": {"a": 1}},
        {"at": -1, "since": 1 << 80, "counts": [True, -5, 1 << 90], "missed": [[1], [2, "x"]]},
        {"counts": [[]] * 9},
        {},
    ]
    for said in given:
        data = HEAD_FRAME + frame(ROWS, 1, said, events(row("ns1.evil.example")).serialize())
        assert counts(read(READER, data, watchlist=WATCHED))[0] == 1


def test_mutated_bytes_never_raise_and_are_read_alike_in_any_pieces() -> None:
    chance = random.Random(11)
    good = segment(row("ns1.evil.example"), row("guess.evil.example"), counts=(3, 1, 1, 1))
    good += HEAD_FRAME + alive(1, counts=(1, 0, 0, 0))
    for _ in range(150):
        data = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(8, len(data))] = chance.randrange(256)
        whole = read(READER, bytes(data), watchlist=WATCHED)
        parts = read(READER, bytes(data), watchlist=WATCHED, chunk=97)
        assert counts(parts) == counts(whole)
        assert quarantine(parts) == quarantine(whole)


def test_a_frame_is_told_from_what_is_incomplete_and_what_is_none() -> None:
    data = frame_of(4, events(row("a.example")))
    whole = read_frame(memoryview(data), 0)

    assert not isinstance(whole, int)
    assert (whole.kind, whole.sequence, whole.start, whole.end) == (ROWS, 4, 0, len(data))
    found = events_of(whole)
    assert found is not None
    assert found.to_pylist() == [row("a.example") | {"time": datetime(2015, 4, 8, 12, tzinfo=UTC)}]
    for cut in range(0, len(data), 13):
        assert read_frame(memoryview(data[:cut]), 0) == MORE
    long = bytearray(data)
    long[12:16] = (MAX_PAYLOAD + 1).to_bytes(4, "little")
    for at in (0, 8, 9, 10, 12, 20, 25, 35, 44, len(data) - 1):
        bad = bytearray(data)
        bad[at] ^= 0x55
        assert read_frame(memoryview(bad), 0) == BAD
    assert read_frame(memoryview(long), 0) == BAD


def test_a_source_says_its_name_and_its_rules_however_long_its_head_is() -> None:
    zones = tuple(f"zone-number-{number}.example" for number in range(5000))
    data = head(zones=zones) + end(1)
    assert len(data) > 100_000
    with ByteStream(io.BytesIO(data), "x") as stream:
        stated = READER.states(stream)
        batches = list(stream.view)
        assert stream.offset == 0
        while stream.more():
            stream.advance(stream.view.size)
        assert stream.offset == len(data)
    assert batches == []
    assert stated is not None
    assert stated.id == "0123456789abcdef"
    assert len(stated.rules) == 5001
    with ByteStream(io.BytesIO(b"x"), "x") as stream:
        assert READER.states(stream) is None

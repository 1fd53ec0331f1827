"""dnstap: what is read, what is counted, and what damage does."""

from __future__ import annotations

import io
import ipaddress
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dns.edns
import dns.message
import dns.rrset
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import dnstap_writer as writer
from remnant.capture import ReadOptions
from remnant.capture.dnstap import DnstapReader
from remnant.capture.readers import READERS, recognise
from remnant.capture.stream import ByteStream
from remnant.errors import FormatError
from remnant.watchlist import Rule, Watchlist

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WATCHED = Watchlist.compile([Rule("demo", "below", "*.evil.test")])
ASKED = writer.query("c2.evil.test", ident=7)
OTHER = writer.query("www.example", ident=8)
Q, R = writer.CLIENT_QUERY, writer.CLIENT_RESPONSE


@dataclass
class Result:
    rows: list[dict[str, Any]] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    records: int = 0
    query_messages: int = 0
    end: int = 0
    notes: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def sum(self, column: str) -> int:
        return sum(row[column] for row in self.counts)


def read(data: bytes, watched: Watchlist = WATCHED, chunk: int = 8 << 20, **options: Any) -> Result:
    out = Result()
    with ByteStream(io.BytesIO(data), "test.dnstap", chunk=chunk) as stream:
        for batch in DnstapReader().read(stream, watched, ReadOptions(now=NOW, **options)):
            batch.queries.validate(full=True)
            batch.counts.validate(full=True)
            batch.quarantine.validate(full=True)
            out.rows += batch.queries.to_pylist()
            out.counts += batch.counts.to_pylist()
            out.quarantine += batch.quarantine.to_pylist()
            out.records += batch.records
            out.query_messages += batch.query_messages
            out.end = batch.end
            out.notes += batch.notes
            out.answers += [] if batch.answers is None else batch.answers.to_pylist()
            out.ends.append(batch.end)
    assert out.records == out.sum("messages") + out.sum("malformed") + out.sum("skipped")
    return out


def reasons(result: Result) -> list[str]:
    return [row["reason"] for row in result.quarantine]


def test_a_query_and_its_response_are_one_row() -> None:
    data = writer.stream(
        writer.message(Q, ASKED, time=writer.START_TIME + 0.25),
        writer.message(R, writer.response(ASKED, 3), time=writer.START_TIME + 0.3),
        writer.message(Q, OTHER),
    )
    got = read(data)
    assert got.rows == [
        {
            "time": datetime(2015, 4, 8, 0, 0, 0, 250_000, tzinfo=UTC),
            "offset": len(writer.START),
            "response": False,
            "sensor": "ns1",
            "vantage": "resolver",
            "address": bytes(10) + b"\xff\xff" + ipaddress.ip_address("198.51.100.7").packed,
            "ecs": None,
            "client_port": 40000,
            "service_port": 53,
            "transport": "udp",
            "name": "c2.evil.test",
            "case_bits": None,
            "qtype": 1,
            "rcode": 3,
            "entry": 0,
            "proof": "dns_udp",
            "weight": 1,
            "detail": None,
            "limited": False,
        }
    ]
    assert (got.records, got.query_messages, got.end) == (3, 2, len(data))
    (count,) = got.counts
    assert count["hour"] == datetime(2015, 4, 8, tzinfo=UTC)
    assert (count["messages"], count["sensor"], count["matched"]) == (3, "ns1", 0)
    assert count["first_time"] == datetime(2015, 4, 8, tzinfo=UTC)


def test_case_subnet_and_ipv6_are_kept() -> None:
    option = dns.edns.ECSOption("203.0.113.0", 24)
    asked = dns.message.make_query("C2.eVil.test", "AAAA", use_edns=0, options=[option])
    got = read(writer.stream(writer.message(Q, asked.to_wire(), client="2001:db8::1")))
    (row,) = got.rows
    assert row["address"] == ipaddress.ip_address("2001:db8::1").packed
    assert row["ecs"] == bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 0, 120])
    assert (row["name"], row["case_bits"], row["qtype"]) == ("c2.evil.test", 0b101, 28)
    assert row["rcode"] is None


@pytest.mark.parametrize(
    ("protocol", "transport", "proof"),
    [
        (writer.UDP, "udp", "dns_udp"),
        (writer.TCP, "tcp", "dns_tcp"),
        (writer.DOT, "dot", "dns_tcp"),
        (writer.DOH, "doh", "dns_tcp"),
        (writer.DOQ, "doq", "dns_tcp"),
        (writer.DNSCRYPT_UDP, "dnscrypt_udp", "dns_udp"),
        (writer.DNSCRYPT_TCP, "dnscrypt_tcp", "dns_tcp"),
        (None, None, "dns_udp"),
        (99, None, "dns_udp"),
    ],
)
def test_the_transport_says_how_sure_the_address_is(
    protocol: int | None, transport: str | None, proof: str
) -> None:
    (row,) = read(writer.stream(writer.message(Q, ASKED, protocol=protocol))).rows
    assert (row["transport"], row["proof"]) == (transport, proof)


def test_ports_that_are_missing_or_zero_are_null() -> None:
    got = read(
        writer.stream(
            writer.message(Q, ASKED, port=None, server_port=0),
            writer.message(Q, ASKED, port=70000, server_port=None),
        )
    )
    assert [(r["client_port"], r["service_port"]) for r in got.rows] == [(None, None)] * 2


def test_only_client_and_authority_messages_count() -> None:
    kinds = range(1, 17)
    got = read(writer.stream(*(writer.message(kind, ASKED) for kind in kinds)))
    assert [row["vantage"] for row in got.rows] == ["authority", "resolver"]
    assert (got.sum("messages"), got.sum("skipped"), got.sum("malformed")) == (4, 12, 0)


def test_the_vantage_that_a_person_states_counts() -> None:
    data = writer.stream(writer.message(1, ASKED), writer.message(5, ASKED))
    got = read(data, vantage="sinkhole_dns")
    assert {row["vantage"] for row in got.rows + got.counts} == {"sinkhole_dns"}


def test_other_opcodes_are_skipped() -> None:
    notify = bytearray(ASKED)
    notify[2] |= 4 << 3
    got = read(writer.stream(writer.message(Q, bytes(notify))))
    assert (got.rows, got.sum("skipped")) == ([], 1)


def test_identities_are_made_printable_and_bounded() -> None:
    identities = [b"\x1b[2Jevil\n", b"a" * 500, b"", None, "zürich".encode(), b"\xff"]
    got = read(writer.stream(*(writer.message(Q, ASKED, identity=i) for i in identities)))
    assert [row["sensor"] for row in got.rows] == [
        "?[2Jevil", "a" * 64, None, None, "zürich", "\ufffd",
    ]  # fmt: skip


def test_ever_new_identities_and_hours_stay_bounded() -> None:
    frames = [
        writer.message(Q, ASKED, identity=b"s%d" % i, time=writer.START_TIME + 3600 * i)
        for i in range(3000)
    ]
    got = read(writer.stream(*frames))
    assert len(got.rows) == 3000
    assert len({row["sensor"] for row in got.rows}) == 1025
    assert got.rows[-1]["sensor"] == "other"
    assert len(got.ends) > 1


def test_clock_faults_are_counted_and_make_no_rows() -> None:
    late = NOW.timestamp() + 86_401
    frames = [
        writer.message(Q, ASKED, time=time) for time in (135_817, late, None, 2**50, 946_684_799)
    ]
    got = read(writer.stream(*frames, writer.message(Q, ASKED, time=NOW.timestamp() + 86_399)))
    assert len(got.rows) == 1
    assert (got.sum("clock_faults"), got.sum("messages"), got.query_messages) == (5, 6, 6)
    assert reasons(got) == ["clock_fault"] * 5
    assert all(row["hour"] is None for row in got.counts if row["clock_faults"])


def test_a_response_without_query_time_uses_its_own() -> None:
    frame = writer.message(R, writer.response(ASKED), time=None, response_time=writer.START_TIME)
    (row,) = read(writer.stream(frame)).rows
    assert row["time"] == datetime(2015, 4, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (writer.message(Q, None), "no_message"),
        (writer.message(R, None), "no_message"),
        (writer.message(Q, ASKED, client=None), "address"),
        (writer.message(Q, ASKED[:5]), "dns_header"),
        (writer.message(Q, ASKED[:15]), "dns_name"),
        (writer.message(Q, ASKED[:-2]), "dns_question"),
        (writer.message(Q, b""), "dns_header"),
        (writer.message(Q, ASKED)[:-20], "protobuf"),
        (b"\x0b", "protobuf"),
        (writer.data(1, b"ns1"), "protobuf"),
        (b"\x72\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "protobuf"),
    ],
)
def test_what_cannot_be_read_is_kept_apart(frame: bytes, reason: str) -> None:
    data = writer.stream(writer.message(Q, ASKED), frame, writer.message(Q, ASKED))
    got = read(data)
    assert len(got.rows) == 2
    assert (got.sum("malformed"), reasons(got)) == (1, [reason])
    assert got.quarantine[0]["head"] == frame[:64]
    offset = got.quarantine[0]["offset"]
    assert data[offset + 4 : offset + 4 + len(frame)] == frame


def test_a_message_without_question_is_a_message() -> None:
    got = read(writer.stream(writer.message(R, bytes(12)), writer.message(Q, bytes(12))))
    assert (got.rows, got.sum("messages"), got.sum("malformed")) == ([], 2, 0)


def test_the_quarantine_is_bounded_and_the_count_is_not() -> None:
    got = read(writer.stream(*[b"\x0b"] * 10_050))
    assert (len(got.quarantine), got.sum("malformed")) == (10_000, 10_050)


def test_the_simulator_says_so_once() -> None:
    frame = writer.message(Q, ASKED, version=b"remnant-simulator")
    assert read(writer.stream(frame, frame), chunk=200).notes == ["simulated"]
    assert read(writer.stream(writer.message(Q, ASKED))).notes == []


# Pairing


def test_responses_pair_once_and_in_order() -> None:
    at = writer.START_TIME
    got = read(
        writer.stream(
            writer.message(Q, ASKED, time=at),
            writer.message(Q, ASKED, time=at + 1),
            writer.message(R, writer.response(ASKED, 2), time=at + 2),
        )
    )
    assert [row["rcode"] for row in got.rows] == [2, None]


@pytest.mark.parametrize(
    "changed",
    [
        {"client": "198.51.100.8"},
        {"port": 40001},
        {"protocol": writer.TCP},
        {"time": writer.START_TIME + 11},
        {"time": writer.START_TIME - 5},
    ],
)
def test_a_response_of_another_exchange_is_not_taken(changed: dict[str, Any]) -> None:
    answer = writer.message(R, writer.response(ASKED, 3), **changed)
    for frames in ((writer.message(Q, ASKED), answer), (answer, writer.message(Q, ASKED))):
        rows = [row for row in read(writer.stream(*frames)).rows if not row["response"]]
        assert [row["rcode"] for row in rows] == [None]


def test_id_name_and_type_must_agree() -> None:
    for other in (
        writer.query("c2.evil.test", ident=9),
        writer.query("c3.evil.test", ident=7),
        writer.query("c2.evil.test", "AAAA", ident=7),
    ):
        got = read(
            writer.stream(writer.message(Q, ASKED), writer.message(R, writer.response(other, 3)))
        )
        assert [row["rcode"] for row in got.rows] == [None]


def test_a_response_may_stand_before_its_query_and_case_may_differ() -> None:
    upper = ASKED.replace(b"evil", b"EVIL")
    at = writer.START_TIME
    got = read(
        writer.stream(
            writer.message(R, writer.response(upper, 3), time=at + 0.1),
            writer.message(Q, ASKED, time=at),
        )
    )
    assert [(row["rcode"], row["response"]) for row in got.rows] == [(3, False)]


def test_a_source_without_queries_gives_its_responses() -> None:
    got = read(
        writer.stream(
            *(writer.message(R, writer.response(ASKED, 3)) for _ in range(2)),
            writer.message(R, writer.response(OTHER, 3)),
        )
    )
    assert [(row["rcode"], row["response"]) for row in got.rows] == [(3, True)] * 2
    assert got.query_messages == 0


def test_any_query_silences_responses_without_one() -> None:
    got = read(
        writer.stream(writer.message(R, writer.response(ASKED, 3)), writer.message(Q, OTHER))
    )
    assert got.rows == []


def test_a_stream_that_goes_back_in_time_still_pairs() -> None:
    frames = [
        payload
        for day in (5, 0, 2)
        for payload in (
            writer.message(Q, ASKED, time=writer.START_TIME + day * 86_400),
            writer.message(R, writer.response(ASKED, 3), time=writer.START_TIME + day * 86_400),
        )
    ]
    got = read(writer.stream(*frames[:2]) + writer.stream(*frames[2:]))
    assert [row["rcode"] for row in got.rows] == [3, 3, 3]


# Address rules


def answered(asked: bytes, *addresses: str) -> bytes:
    message = dns.message.from_wire(asked)
    response = dns.message.make_response(message)
    for text in addresses:
        kind = "AAAA" if ":" in text else "A"
        response.answer.append(dns.rrset.from_text(message.question[0].name, 60, "IN", kind, text))
    return response.to_wire()


BY_ADDRESS = Watchlist.compile(
    [
        Rule("demo", "address", "192.0.2.0/24"),
        Rule("demo", "address", "2001:db8::/32"),
        Rule("demo", "exact", "c2.evil.test"),
    ]
)


@pytest.mark.parametrize("chunk", [8 << 20, 150])
def test_an_answer_that_hits_makes_its_query_a_hit_once(chunk: int) -> None:
    answer = answered(OTHER, "203.0.113.1", "192.0.2.5", "192.0.2.6", "2001:db8::5")
    at = writer.START_TIME
    got = read(
        writer.stream(
            writer.message(Q, OTHER.replace(b"www", b"WWW"), time=at + 1),
            writer.message(R, answer, time=at + 1.5),
            writer.message(Q, writer.query("quiet.example"), time=at + 1),
        ),
        BY_ADDRESS,
        chunk,
    )
    assert [(row["entry"], row["rcode"], row["case_bits"]) for row in got.rows] == [
        (0, 0, 7), (1, 0, 7),
    ]  # fmt: skip
    assert {row["offset"] for row in got.rows} == {len(writer.START)}
    assert got.rows[0]["time"] == datetime(2015, 4, 8, 0, 0, 1, tzinfo=UTC)


def test_the_answer_may_come_first_and_names_still_count() -> None:
    at = writer.START_TIME
    got = read(
        writer.stream(
            writer.message(R, answered(OTHER, "192.0.2.5"), time=at),
            writer.message(Q, OTHER, time=at),
            writer.message(Q, ASKED, time=at),
            writer.message(R, answered(ASKED, "192.0.2.5"), time=at),
        ),
        BY_ADDRESS,
    )
    assert [(row["name"], row["entry"]) for row in got.rows] == [
        ("www.example", 0), ("c2.evil.test", 2), ("c2.evil.test", 0),
    ]  # fmt: skip


# Framing


def test_empty_and_frameless_streams() -> None:
    assert read(b"").records == 0
    assert read(writer.stream()).records == 0


@pytest.mark.parametrize(
    "data",
    [
        b"#separator \\x09\n",
        bytes(8),
        writer.stream(writer.message(Q, ASKED), start=b""),
        writer.control(2, b"protobuf:other.Type") + writer.frame(b"x"),
    ],
)
def test_what_is_not_dnstap_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="not dnstap"):
        read(data)


def test_streams_are_recognised_by_their_start() -> None:
    reader = DnstapReader()
    assert reader.sniff(writer.START)
    assert reader.sniff(writer.control(4, writer.CONTENT_TYPE) + writer.START)
    assert reader.sniff(writer.control(2, b"protobuf:other.Type"))
    assert not reader.sniff(b"")
    assert not reader.sniff(bytes(100))
    assert recognise(writer.START) is READERS["dnstap"]


def test_handshakes_unknown_controls_and_further_streams_are_read() -> None:
    one = writer.stream(writer.message(Q, ASKED))
    handshake = writer.control(4, writer.CONTENT_TYPE) + writer.control(99)
    foreign = writer.control(2, b"protobuf:other.Type") + writer.frame(b"xyz")
    got = read(handshake + one + foreign + one)
    assert (len(got.rows), got.sum("skipped")) == (2, 1)


def test_a_missing_stop_is_nothing_special() -> None:
    data = writer.stream(writer.message(Q, ASKED), stop=b"")
    got = read(data)
    assert (len(got.rows), got.sum("malformed"), got.end) == (1, 0, len(data))


def test_a_tail_that_is_cut_off_is_one_malformed_record() -> None:
    whole = writer.stream(writer.message(Q, ASKED), stop=b"")
    data = whole + writer.frame(writer.message(Q, ASKED))
    for cut in range(len(whole) + 1, len(data)):
        got = read(data[:cut])
        assert (len(got.rows), reasons(got), got.end) == (1, ["truncated"], len(whole))
    assert len(read(data).rows) == 2


@pytest.mark.parametrize("filler", [b"", b"\0" * 999, b"\xff" * 50, bytes(range(256)) * 9])
def test_reading_resumes_after_a_length_that_cannot_be(filler: bytes) -> None:
    good = writer.message(Q, ASKED)
    damage = (20 << 20).to_bytes(4, "big") + filler
    data = writer.START + writer.frame(good) + damage + writer.frame(good) * 2 + writer.STOP
    for chunk in (8 << 20, 97):
        got = read(data, chunk=chunk)
        assert (len(got.rows), got.sum("malformed"), reasons(got)) == (3, 1, ["framing"])


def test_a_frame_longer_than_16_mib_is_stepped_over() -> None:
    huge = writer.frame(b"\x0a" + bytes(17 << 20))
    good = writer.frame(writer.message(Q, ASKED))
    got = read(writer.START + good + huge + good + writer.STOP)
    assert (len(got.rows), got.sum("malformed")) == (2, 1)


def test_a_damaged_length_costs_one_record() -> None:
    good = writer.frame(writer.message(Q, ASKED))
    for change in (-30, -1, 1, 30, 60_000):
        bad = (len(good) - 4 + change).to_bytes(4, "big") + good[4:]
        got = read(writer.START + good + bad + good * 5 + writer.STOP)
        assert len(got.rows) >= 5, change
        assert got.sum("malformed") >= 1


def test_batches_end_at_checkpoints() -> None:
    data = writer.stream(*[writer.message(Q, ASKED)] * 20, stop=b"")
    length = len(writer.frame(writer.message(Q, ASKED)))
    at = len(writer.START) + 7 * length
    with ByteStream(io.BytesIO(data), "x") as stream:
        stream.watch([(at, "0" * 32)])
        reader = DnstapReader()
        ends = [b.end for b in reader.read(stream, WATCHED, ReadOptions(now=NOW))]
    assert at in ends
    assert ends[-1] == len(data)


# Properties

STEP = st.tuples(
    st.sampled_from([1, 2, 3, 5, 6]),
    st.sampled_from(["c2.evil.test", "C2.Evil.test", "x.evil.test", "www.example"]),
    st.integers(0, 2),
    st.floats(-3, 12),
    st.sampled_from([b"a", b"b", None]),
)


def traffic(steps: list[tuple[int, str, int, float, bytes | None]]) -> bytes:
    time = writer.START_TIME + 100.0
    frames = []
    for kind, name, ident, step, identity in steps:
        time += step
        asked = writer.query(name, ident=ident)
        body = writer.response(asked, 3) if kind % 2 == 0 else asked
        frames.append(writer.message(kind, body, time=time, identity=identity))
    return writer.stream(*frames)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=30), st.integers(1, 400))
def test_chunks_change_nothing(
    steps: list[tuple[int, str, int, float, bytes | None]], chunk: int
) -> None:
    data = traffic(steps)
    whole, parts = read(data), read(data, chunk=chunk)
    assert (whole.records, whole.query_messages, whole.end) == (
        parts.records, parts.query_messages, parts.end,
    )  # fmt: skip

    def rows(result: Result) -> list[tuple[int, Any]]:
        kept = [r for r in result.rows if not (r["response"] and result.query_messages)]
        return sorted((r["offset"], r["rcode"]) for r in kept)

    assert rows(whole) == rows(parts)
    for column in ("messages", "skipped", "malformed"):
        assert whole.sum(column) == parts.sum(column)
    watched = [s for s in steps if s[0] in {1, 5} and "evil" in s[1].lower()]
    assert len([r for r in whole.rows if not r["response"]]) == len(watched)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(STEP, min_size=1, max_size=10),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=5),
    st.integers(20, 400),
)
def test_changed_bytes_never_raise(
    steps: list[tuple[int, str, int, float, bytes | None]],
    changes: list[tuple[int, int]],
    chunk: int,
) -> None:
    data = bytearray(traffic(steps))
    for at, value in changes:
        data[len(writer.START) + at % (len(data) - len(writer.START))] = value
    assert read(bytes(data)).records == read(bytes(data), chunk=chunk).records


def test_waiting_queries_are_bounded() -> None:
    from remnant.capture.events import allocate
    from remnant.capture.pairing import Pairing

    pairing = Pairing(limit=10)
    events = allocate(25)
    events.filled[0] = 25
    events.name_offsets[:] = np.arange(26)
    events.entry_offsets[:] = np.arange(26)
    events.heard[:] = writer.START_TIME * 1_000_000
    rows = pairing.add(
        events, responses=False, final=False,
        sensors=[None], vantages=["resolver"],
    )  # fmt: skip
    assert isinstance(rows, pa.RecordBatch)
    assert (rows.num_rows, pairing.waiting) == (15, 10)

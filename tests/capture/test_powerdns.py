"""PowerDNS protobuf: what is read, what is counted, and what damage does."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import powerdns_writer as writer
from remnant.capture.powerdns import PowerDnsReader
from remnant.errors import UnknownFormat
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, hours, quarantine, read, row, rows, v4

if TYPE_CHECKING:
    from remnant.capture import AnswersMode, Batch

READER = PowerDnsReader()
Q, R = writer.QUERY, writer.RESPONSE
WATCHED = Watchlist.compile(
    [Rule("demo", "below", "*.evil.test"), Rule("demo", "address", "203.0.113.0/24")]
)
NAMES_ONLY = Watchlist.compile([Rule("demo", "below", "*.evil.test")])
PAIR = writer.stream(
    writer.message(Q, b"C2.evil.test.", time=writer.START_TIME + 0.25),
    writer.message(
        R,
        b"C2.evil.test.",
        time=writer.START_TIME + 0.5,
        asked=writer.START_TIME + 0.25,
        rcode=3,
    ),
)


def answers(batches: list[Batch]) -> list[tuple[str, int, str]]:
    return [
        (one["rrname"], one["rrtype"], one["rdata"])
        for batch in batches
        if batch.answers is not None
        for one in batch.answers.to_pylist()
    ]


def test_a_query_and_its_response_are_one_row() -> None:
    batches = read(READER, PAIR)

    assert rows(batches) == [
        {
            "time": datetime(2015, 4, 8, 0, 0, 0, 250_000, tzinfo=UTC),
            "offset": 0,
            "response": False,
            "sensor": "rec1",
            "vantage": "resolver",
            "address": v4("198.51.100.7"),
            "ecs": None,
            "client_port": 40000,
            "service_port": 53,
            "transport": "udp",
            "name": "c2.evil.test",
            "case_bits": 1,
            "qtype": 1,
            "rcode": 3,
            "entry": 0,
            "proof": "dns_udp",
            "weight": 1,
            "detail": None,
            "limited": False,
        }
    ]
    assert counts(batches) == [2, 0, 0, 0]
    assert sum(batch.query_messages for batch in batches) == 1
    hour = datetime(2015, 4, 8, tzinfo=UTC)
    first, last = hour.replace(microsecond=250_000), hour.replace(microsecond=500_000)
    assert hours(batches) == {hour: [2, first, last]}


def test_a_response_without_its_query_is_a_row_only_in_a_source_of_responses() -> None:
    lone = writer.message(R, b"c2.evil.test.", time=writer.START_TIME + 1)
    alone = read(READER, writer.stream(lone, lone))

    assert [one["response"] for one in rows(alone)] == [True, True]
    assert rows(alone)[0]["time"] == datetime(2015, 4, 8, 0, 0, 1, tzinfo=UTC)
    with_query = read(READER, writer.stream(writer.message(Q, b"other.test."), lone))
    assert [one["name"] for one in rows(with_query)] == ["other.test"]


@pytest.mark.parametrize(
    ("protocol", "transport", "proof"),
    [
        (writer.UDP, "udp", "dns_udp"),
        (writer.TCP, "tcp", "dns_tcp"),
        (writer.DOT, "dot", "dns_tcp"),
        (writer.DOH, "doh", "dns_tcp"),
        (writer.DNSCRYPT_UDP, "dnscrypt_udp", "dns_udp"),
        (writer.DNSCRYPT_TCP, "dnscrypt_tcp", "dns_tcp"),
        (writer.DOQ, "doq", "dns_tcp"),
        (None, None, "dns_udp"),
        (8, None, "dns_udp"),
    ],
)
def test_the_protocol_says_how_sure_the_address_is(
    protocol: int | None, transport: str | None, proof: str
) -> None:
    got = row(READER, writer.stream(writer.message(Q, b"a.test.", protocol=protocol)))

    assert (got["transport"], got["proof"]) == (transport, proof)


def test_old_messages_have_neither_ports_nor_identity() -> None:
    old = writer.message(Q, b"a.test.", port=None, identity=None, ident=None, client="2001:db8::7")
    got = row(READER, writer.stream(old))

    assert got["address"].hex() == "20010db8000000000000000000000007"
    assert (got["client_port"], got["sensor"]) == (None, None)


@pytest.mark.parametrize(
    ("printed", "name"),
    [
        (b".", "."),
        (b"a\\032b\\.c\\\\d.test.", r"a\032b\.c\\d.test"),
        (b"\\255\\000.test.", r"\255\000.test"),
        (b".".join([b"\\001" * 63] * 3 + [b"x" * 61]) + b".", None),
        (b"no.trailing.dot", "no.trailing.dot"),
    ],
)
def test_names_are_read_as_they_are_printed(printed: bytes, name: str | None) -> None:
    _, got = rows(read(READER, PAIR + writer.stream(writer.message(Q, printed))))

    assert got["name"] == (name or printed.decode().rstrip("."))


@pytest.mark.parametrize(
    ("subnet", "prefix"),
    [
        ("cb007100", "00000000000000000000ffffcb007100" + "78"),
        ("cb007101", "00000000000000000000ffffcb007101" + "80"),
        ("00000000", None),
        ("20010db8000000000000000000000000", "20010db8000000000000000000000000" + "30"),
        ("20010db8000100010000000000000000", "20010db8000100010000000000000000" + "40"),
        ("20010db8000100ff0000000000000001", "20010db8000100ff0000000000000001" + "80"),
        ("20010db8000101000000000000000000", "20010db8000101000000000000000000" + "38"),
        ("cb0071", None),
    ],
)
def test_the_requestors_subnet_has_the_shortest_usual_length(
    subnet: str, prefix: str | None
) -> None:
    asked = writer.message(Q, b"a.test.", subnet=bytes.fromhex(subnet))
    ecs = row(READER, writer.stream(asked))["ecs"]

    assert (None if ecs is None else ecs.hex()) == prefix


@pytest.mark.parametrize(
    ("rcode", "known"), [(0, 0), (5, 5), (65536, None), (None, None), (4095, 4095), (4096, None)]
)
def test_a_network_error_is_no_response_code(rcode: int | None, known: int | None) -> None:
    data = writer.stream(writer.message(Q, b"a.test."), writer.message(R, b"a.test.", rcode=rcode))

    assert row(READER, data)["rcode"] == known


@pytest.mark.parametrize(
    ("applied", "facts"),
    [
        (writer.policy(), {"action": "NXDOMAIN", "trigger": "QNAME", "rule": "evil.test."}),
        (
            writer.policy(kind=2, type_=3, trigger=b"32.7.100.51.198.rpz-ip."),
            {"action": "DROP", "trigger": "CLIENT_IP", "rule": "32.7.100.51.198.rpz-ip."},
        ),
        (writer.policy(kind=1, type_=6), {"action": "PASS", "trigger": "NS_IP"}),
        (writer.policy(kind=6, type_=4), {"action": "LOCAL_DATA", "trigger": "RESPONSE_IP"}),
        (writer.policy(kind=4, type_=5), {"action": "NODATA", "trigger": "NS_NAME"}),
        (writer.policy(kind=5, type_=1, trigger=None), {"action": "TRUNCATE", "rule": "my.rpz"}),
        (writer.policy(kind=99, type_=99, trigger=b""), {"rule": "my.rpz"}),
    ],
)
def test_an_applied_policy_is_told(applied: bytes, facts: dict[str, str]) -> None:
    data = writer.stream(
        writer.message(Q, b"evil.test."), writer.message(R, b"evil.test.", applied=applied)
    )
    detail = json.loads(row(READER, data)["detail"])["rpz"]

    assert detail | facts == detail
    assert set(detail) <= {"action", "trigger", "rule"}


def test_no_policy_is_no_detail() -> None:
    unnamed = writer.message(R, b"evil.test.", applied=writer.policy(b""))

    assert row(READER, writer.stream(unnamed))["detail"] is None


RECORDS = [
    writer.record(b"www.evil.test.", 5, b"Host.evil.test."),
    writer.record(b"host.evil.test.", 1, b"\xc0\x00\x02\x01"),
    writer.record(b"host.evil.test.", 28, bytes.fromhex("20010db8000000000000000000000001")),
    writer.record(b"host.evil.test.", 16, rb'"one \"two\" \\ \001" "three"'),
    writer.record(b"host.evil.test.", 2, b"."),
    # What PowerDNS writes in part only, or in a form of its own; what is broken; another class.
    writer.record(b"host.evil.test.", 15, b"mail.evil.test."),
    writer.record(b"host.evil.test.", 33, b"mail.evil.test."),
    writer.record(b"host.evil.test.", 65, b"1 . alpn=h2"),
    writer.record(b"host.evil.test.", 1, b"\xc0\x00\x02"),
    writer.record(b"host.evil.test.", 16, b'"unfinished'),
    writer.record(b"host.evil.test.", 16, b""),
    writer.record(b"host.evil.test.", 5, b"a..b."),
    writer.record(b"ho..st.", 1, b"\xc0\x00\x02\x01"),
    writer.record(b"host.evil.test.", 1, b"\xc0\x00\x02\x01", klass=3),
    writer.record(b"host.evil.test.", 1, None),
    b"\xff",
]
KEPT = [
    ("www.evil.test", 5, "host.evil.test"),
    ("host.evil.test", 1, "192.0.2.1"),
    ("host.evil.test", 28, "2001:db8::1"),
    ("host.evil.test", 16, r'"one \"two\" \\ \001" "three"'),
    ("host.evil.test", 2, "."),
]


@pytest.mark.parametrize("kind", [R, writer.INCOMING_RESPONSE])
def test_records_of_both_sides_are_kept(kind: int) -> None:
    batches = read(
        READER,
        writer.stream(writer.message(kind, b"www.evil.test.", records=RECORDS)),
        watchlist=NAMES_ONLY,
    )

    assert answers(batches) == KEPT
    assert counts(batches) == ([1, 0, 0, 0] if kind == R else [0, 0, 1, 0])


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        ("none", []),
        ("watched", [("c2.evil.test", 1, "192.0.2.1")]),
        (
            "all",
            [
                ("www.test", 5, "c2.evil.test"),
                ("c2.evil.test", 1, "192.0.2.1"),
                ("www.test", 1, "192.0.2.2"),
            ],
        ),
    ],
)
def test_a_chain_to_a_watched_name_is_seen_from_its_records(
    mode: AnswersMode, kept: list[tuple[str, int, str]]
) -> None:
    chain = writer.message(
        R,
        b"www.test.",
        records=[
            writer.record(b"www.test.", 5, b"c2.evil.test."),
            writer.record(b"c2.evil.test.", 1, b"\xc0\x00\x02\x01"),
            writer.record(b"www.test.", 1, b"\xc0\x00\x02\x02"),
        ],
    )

    got = answers(read(READER, writer.stream(chain), watchlist=NAMES_ONLY, answers=mode))

    assert sorted(got) == sorted(kept)


def test_a_record_has_its_ttl() -> None:
    records = [writer.record(b"c2.evil.test.", 1, b"\xc0\x00\x02\x01", ttl=ttl) for ttl in (7, 9)]
    log = writer.stream(writer.message(R, b"c2.evil.test.", records=records))
    (row,) = [
        row
        for batch in read(READER, log, watchlist=NAMES_ONLY)
        if batch.answers is not None
        for row in batch.answers.to_pylist()
    ]
    assert (row["ttl_low"], row["ttl_high"]) == (7, 9)


def test_an_answer_with_a_watched_address_makes_its_query_a_row() -> None:
    found = writer.record(b"cdn.test.", 1, b"\xcb\x00\x71\x09")
    data = writer.stream(
        writer.message(Q, b"www.test.", subnet=b"\xc6\x33\x64\x00"),
        writer.message(Q, b"other.test."),
        writer.message(R, b"www.test.", records=[found], time=writer.START_TIME + 1),
        writer.message(R, b"other.test."),
    )
    batches = read(READER, data, watchlist=WATCHED)

    (got,) = rows(batches)
    assert (got["name"], got["entry"], got["offset"], got["rcode"]) == ("www.test", 1, 0, 0)
    assert got["ecs"] == v4("198.51.100.0") + b"\x78"
    assert answers(batches) == [("cdn.test", 1, "203.0.113.9")]


def test_only_the_clients_side_is_observed() -> None:
    kinds = [writer.OUTGOING_QUERY, writer.INCOMING_RESPONSE, 0, 5, 99]
    data = writer.stream(*(writer.message(kind, b"evil.test.", client=None) for kind in kinds))
    batches = read(READER, data)

    assert rows(batches) == []
    assert counts(batches) == [0, 0, 5, 0]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (writer.message(Q, b"a.test.", client=None), "address"),
        (writer.message(Q, b"a.test.", question=False), "no_message"),
        (writer.message(Q, None), "dns_name"),
        (writer.message(Q, b""), "dns_name"),
        (writer.message(Q, b"a..test."), "dns_name"),
        (writer.message(Q, b"x" * 64 + b"."), "dns_name"),
        (writer.message(Q, b"x." * 2000), "dns_name"),
        (writer.message(Q, b"x\\0"), "dns_name"),
        (writer.message(Q, b"a.test.", qtype=None), "dns_question"),
        (writer.message(Q, b"a.test.", qtype=65536), "dns_question"),
        (writer.message(Q, b"a.test.")[:-1], "protobuf"),
        (b"\x12\x00\x12\x00\x12\x00\x12\x00", "protobuf"),
    ],
)
def test_what_cannot_be_read_is_kept_apart(message: bytes, reason: str) -> None:
    good = writer.message(Q, b"good.test.")
    data = writer.stream(good, message, good)
    batches = read(READER, data)

    assert [one["name"] for one in rows(batches)] == ["good.test"] * 2
    assert counts(batches) == [2, 1, 0, 0]
    assert quarantine(batches) == [(len(good) + 2, reason, message[:64])]


@pytest.mark.parametrize("time", [None, 1000, writer.START_TIME * 2])
def test_a_message_without_a_usable_time_is_a_clock_fault(time: float | None) -> None:
    batches = read(READER, PAIR + writer.stream(writer.message(Q, b"a.test.", time=time)))

    assert [one["name"] for one in rows(batches)] == ["c2.evil.test"]
    assert counts(batches) == [3, 0, 0, 1]
    assert [bad[1] for bad in quarantine(batches)] == ["clock_fault"]


def test_a_response_is_timed_by_its_query_if_by_nothing_else() -> None:
    timed = writer.message(R, b"a.test.", time=None, asked=writer.START_TIME)
    data = writer.stream(writer.message(R, b"b.test."), timed)

    assert rows(read(READER, data))[1]["time"] == datetime(2015, 4, 8, tzinfo=UTC)


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
def test_damage_costs_what_it_hits(width: int, chunk: int) -> None:
    good = writer.message(Q, b"good.test.")
    damages = [
        b"\xff\xff\xff",
        writer.stream(good, width=width)[:-20],
        b"\0" * 9,
        (len(good) + 9).to_bytes(width, "big") + good,
        bytes(80),
    ]
    data = writer.stream(good, good, width=width)
    for damage in damages:
        data += damage + writer.stream(good, good, width=width)
    batches = read(READER, data, chunk=chunk)

    assert counts(batches)[0] >= 2 + len(damages)
    assert counts(batches)[1] <= 2 * len(damages)
    assert batches[-1].end == len(data)
    whole = read(READER, data)
    assert rows(batches) == rows(whole)
    assert quarantine(batches) == quarantine(whole)


def test_an_unfinished_message_is_left_for_the_next_time() -> None:
    more = writer.message(Q, b"later.test.")
    data = PAIR + writer.stream(more)[:-3]
    batches = read(READER, data)

    assert batches[-1].end == len(PAIR)
    assert [bad[:2] for bad in quarantine(batches)] == [(len(PAIR), "truncated")]
    assert counts(batches) == [2, 1, 0, 0]


def test_a_stream_that_begins_in_the_middle_is_read_from_its_first_message_on() -> None:
    data = writer.stream(writer.message(Q, b"cut.test."))[9:] + PAIR * 3
    batches = read(READER, data)

    assert not READER.sniff(data)
    assert counts(batches) == [6, 1, 0, 0]


def test_what_holds_no_message_is_refused() -> None:
    with pytest.raises(UnknownFormat, match="PowerDNS protobuf"):
        read(READER, random.Random(1).randbytes(5000))


def test_lengths_of_four_bytes_are_recognised() -> None:
    wide = writer.stream(writer.message(Q, b"a.test."), writer.message(R, b"a.test."), width=4)

    assert READER.sniff(wide)
    assert counts(read(READER, wide)) == [2, 0, 0, 0]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x00\x02\x08\x01",
        writer.stream(writer.message(Q, b"a.test."))[:-1],
        PAIR + b"\x00\x09" + b"\xff" * 9 + PAIR,
        writer.stream(writer.message(9, b"a.test."), writer.message(Q, b"a.test.")),
        writer.stream(*[writer.message(Q, b"a.test.", time=None)] * 3),
        writer.stream(*[writer.message(Q, b"not\xffprinted.")] * 3),
        writer.stream(*[writer.message(Q, b"relative")] * 3),
        writer.stream(*[writer.message(Q, None)] * 3),
    ],
)
def test_what_is_no_stream_of_powerdns_is_not_claimed(head: bytes) -> None:
    assert not READER.sniff(head)


@pytest.mark.parametrize("count", [1, 2, 500])
def test_a_stream_is_recognised_by_its_messages(count: int) -> None:
    data = writer.stream(*[writer.message(Q, b"a.test.")] * count)

    assert READER.sniff(data)
    assert READER.sniff(data[: 1 << 16])


def test_threads_change_nothing() -> None:
    chance = random.Random(3)
    messages = []
    for i in range(12_000):
        name = b"x%d.%s.test." % (i % 50, b"evil" if i % 7 == 0 else b"other")
        time = writer.START_TIME + i // 1000
        messages.append(writer.message(Q, name, ident=i % 65536, time=time))
        if i % 3:
            messages.append(writer.message(R, name, ident=i % 65536, time=time, rcode=i % 6))
    data = bytearray(writer.stream(*messages))
    for _ in range(5):
        data[chance.randrange(len(data))] ^= 0xFF
    one = read(READER, bytes(data), watchlist=NAMES_ONLY)
    three = read(READER, bytes(data), watchlist=NAMES_ONLY, threads=3)

    def sorted_rows(batches: list[Batch]) -> list[Any]:
        return sorted(map(repr, rows(batches)))

    assert sorted_rows(three) == sorted_rows(one)
    assert counts(three) == counts(one)
    assert quarantine(three) == quarantine(one)


@settings(max_examples=60, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    chunk=st.integers(1, 300),
)
def test_changed_bytes_are_counted_alike_however_they_come(
    changes: list[tuple[int, int]], chunk: int
) -> None:
    data = bytearray(PAIR * 3)
    for at, byte in changes:
        data[at % len(data)] = byte
    try:
        whole = read(READER, bytes(data))
    except UnknownFormat:
        return
    parts = read(READER, bytes(data), chunk=chunk)

    assert rows(parts) == rows(whole)
    assert counts(parts) == counts(whole)
    assert quarantine(parts) == quarantine(whole)

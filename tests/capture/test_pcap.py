"""Captured packets: what is read, what is counted, and what damage does."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Any

import dns.edns
import dns.message
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pcap_writer as writer
from pcap_writer import ACK, CLIENT, CLIENT6, SERVER, SERVER6, SYN, TCP, Packet
from remnant.capture import QUARANTINE_LIMIT
from remnant.capture.pcap import PcapReader
from remnant.capture.readers import READERS, recognise
from remnant.errors import FormatError
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, hours, notes, packed, quarantine, read, row, rows, v4

READER = PcapReader()
WATCHED = Watchlist.compile([Rule("demo", "below", "*.evil.test")])
ASKED = writer.query("c2.evil.test", ident=7)
OTHER = writer.query("www.example", ident=8)


def ask(message: bytes = ASKED, *, source: int = 40000, target: int = 53) -> bytes:
    return writer.ethernet(writer.ipv4(writer.udp(message, source, target)))


def reply(message: bytes = ASKED, rcode: int = 0) -> bytes:
    payload = writer.udp(writer.response(message, rcode), 53, 40000)
    return writer.ethernet(writer.ipv4(payload, SERVER, CLIENT))


def reasons(data: bytes) -> list[str]:
    return [reason for _, reason, _ in quarantine(read(READER, data))]


def test_a_query_and_its_response_are_one_row() -> None:
    data = writer.pcap(
        Packet(ask(), writer.START_TIME + 0.25),
        Packet(reply(rcode=3), writer.START_TIME + 0.3),
        ask(OTHER),
    )
    batches = read(READER, data, watchlist=WATCHED)

    assert rows(batches) == [
        {
            "time": datetime(2015, 4, 8, 0, 0, 0, 250_000, tzinfo=UTC),
            "offset": 24,
            "response": False,
            "sensor": None,
            "vantage": "resolver",
            "address": v4(CLIENT),
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
    assert counts(batches) == [3, 0, 0, 0]
    assert sum(batch.query_messages for batch in batches) == 2
    assert batches[-1].end == len(data)
    begin = datetime(2015, 4, 8, tzinfo=UTC)
    last = datetime(2015, 4, 8, 0, 0, 0, 300_000, tzinfo=UTC)
    assert hours(batches) == {begin: [3, begin, last]}


def test_case_subnet_and_ipv6_are_kept() -> None:
    option = dns.edns.ECSOption("203.0.113.0", 24)
    asked = dns.message.make_query("C2.eVil.test", "AAAA", use_edns=0, options=[option])
    data = writer.pcap(writer.ethernet(writer.ipv6(writer.udp(asked.to_wire()))))
    got = row(READER, data)

    assert got["address"] == packed(ipaddress.ip_address(CLIENT6))
    assert got["ecs"] == v4("203.0.113.0") + bytes([120])
    assert (got["name"], got["case_bits"], got["qtype"]) == ("c2.evil.test", 0b101, 28)
    assert got["rcode"] is None


def test_a_query_over_tcp_says_so() -> None:
    payload = writer.prefixed(ASKED)
    segments = [
        writer.tcp(b"", seq=99, flags=SYN),
        writer.tcp(b"", 53, 40000, seq=499, ack=100, flags=SYN | ACK),
        writer.tcp(payload, seq=100, ack=500),
        writer.tcp(writer.prefixed(writer.response(ASKED, 3)), 53, 40000, seq=500, ack=200),
    ]
    data = writer.pcap(
        *(
            writer.ethernet(
                writer.ipv4(
                    segment,
                    *((SERVER, CLIENT) if segment[:2] == b"\0\x35" else (CLIENT, SERVER)),
                    protocol=TCP,
                )
            )
            for segment in segments
        )
    )
    batches = read(READER, data)
    (got,) = rows(batches)

    assert (got["transport"], got["proof"], got["rcode"]) == ("tcp", "dns_tcp", 3)
    assert (got["client_port"], got["service_port"]) == (40000, 53)
    assert got["address"] == v4(CLIENT)
    assert counts(batches) == [2, 0, 2, 0]


def test_a_vantage_that_a_person_names_replaces_the_default() -> None:
    batches = read(READER, writer.pcap(ask()), vantage="authority")

    assert [got["vantage"] for got in rows(batches)] == ["authority"]
    assert {c["vantage"] for b in batches for c in b.counts.to_pylist()} == {"authority"}


def test_other_traffic_is_skipped_and_counted() -> None:
    multicast = writer.query("printer.local")
    data = writer.pcap(
        ask(multicast, source=5353, target=5353),
        ask(multicast, source=50000, target=5355),
        ask(multicast, source=137, target=137),
        ask(multicast, source=50000, target=853),
        writer.ethernet(writer.ipv4(b"\x08\0\0\0ping", protocol=1)),
        writer.ethernet(bytes(28), kind=0x0806),
        writer.ethernet(writer.ipv4(writer.tcp(b"GET /", 40000, 80), protocol=TCP)),
    )
    batches = read(READER, data)

    assert counts(batches) == [0, 0, 7, 0]
    assert rows(batches) == []


def test_a_message_against_its_direction_is_skipped() -> None:
    from_dns = writer.ethernet(writer.ipv4(writer.udp(ASKED, 53, 40000)))
    to_dns = writer.ethernet(writer.ipv4(writer.udp(writer.response(ASKED), 40000, 53)))
    batches = read(READER, writer.pcap(from_dns, to_dns))

    assert counts(batches) == [0, 0, 2, 0]


def test_between_two_ports_53_the_message_says_its_direction() -> None:
    asked = writer.ethernet(writer.ipv4(writer.udp(ASKED, 53, 53)))
    answered = writer.ethernet(
        writer.ipv4(writer.udp(writer.response(ASKED, 3), 53, 53), SERVER, CLIENT)
    )
    got = row(READER, writer.pcap(asked, answered))

    assert (got["address"], got["client_port"], got["rcode"]) == (v4(CLIENT), 53, 3)


def test_other_operations_than_queries_are_skipped() -> None:
    notify = bytearray(ASKED)
    notify[2] |= 4 << 3
    batches = read(READER, writer.pcap(ask(bytes(notify))))

    assert counts(batches) == [0, 0, 1, 0]


def test_responses_are_observations_where_no_query_is() -> None:
    batches = read(READER, writer.pcap(reply(rcode=3)))

    (got,) = rows(batches)
    assert (got["response"], got["rcode"], got["address"]) == (True, 3, v4(CLIENT))
    assert sum(batch.query_messages for batch in batches) == 0


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (ask(b"short"), "dns_header"),
        (ask(b""), "dns_header"),
        (ask(ASKED[:20]), "dns_name"),
        (ask(ASKED[:-3]), "dns_question"),
        (Packet(ask(), kept=60), "truncated"),
        (Packet(ask(), kept=36), "truncated"),
        (writer.ethernet(b"\x41" + writer.ipv4(writer.udp(ASKED))[1:]), "packet"),
        (writer.ethernet(writer.ipv4(b"\x9c\x40\0\x35\0\7\0\0")), "packet"),
        (writer.ethernet(writer.ipv4(b"\x9c\x40\0\x35\0\7")), "packet"),
        (writer.ethernet(writer.ipv4(writer.tcp(b"")[:12], protocol=TCP)), "packet"),
    ],
)
def test_what_cannot_be_read_is_counted_and_kept(packet: Packet | bytes, reason: str) -> None:
    data = writer.pcap(packet, ask())
    batches = read(READER, data)

    assert counts(batches) == [1, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert (offset, why) == (24, reason)
    assert len(head) <= 64


def test_quarantine_shows_the_message() -> None:
    batches = read(READER, writer.pcap(ask(b"xyzzy")))

    assert quarantine(batches) == [(24, "dns_header", b"xyzzy")]


def test_a_message_with_padding_after_it_is_read() -> None:
    batches = read(READER, writer.pcap(ask() + bytes(18)))

    assert counts(batches) == [1, 0, 0, 0]


def test_packets_without_usable_time_are_clock_faults() -> None:
    data = writer.pcap(Packet(ask(), 7), Packet(ask(), 1_800_000_000))
    batches = read(READER, data)

    assert counts(batches) == [2, 0, 0, 2]
    assert rows(batches) == []
    assert [reason for _, reason, _ in quarantine(batches)] == ["clock_fault"] * 2


def test_the_last_packet_may_be_incomplete() -> None:
    whole = writer.pcap(ask(), ask(OTHER))
    data = whole[:-5]
    batches = read(READER, data)

    assert counts(batches) == [1, 1, 0, 0]
    start = len(writer.pcap(ask()))
    assert [bad[:2] for bad in quarantine(batches)] == [(start, "truncated")]
    assert batches[-1].end == start


def test_a_capture_that_is_none_is_refused() -> None:
    with pytest.raises(FormatError, match="not a capture"):
        read(READER, b"\xd4\xc3\xb2\xa1 is how a file may begin that is something else")


def test_recognised_by_its_first_bytes() -> None:
    for data in (writer.pcap(), writer.pcapng(), writer.pcap(order=">", nanoseconds=True)):
        assert recognise(data) is READERS["pcap"]


def test_a_link_type_that_is_not_read_is_told() -> None:
    wireless = writer.pcap(b"\x88" * 60, b"\x88" * 60, link=127)
    batches = read(READER, wireless + writer.pcap(b"", link=230))

    assert counts(batches) == [0, 0, 3, 0]
    assert notes(batches) == [
        "skipped 2 packets of link type 127 (radiotap 802.11): it is not read",
        "skipped 1 packets of link type 230: it is not read",
    ]


def test_many_link_types_share_a_note() -> None:
    head = writer.section()
    for link in range(300, 400):
        head += writer.interface(link)
    data = head + b"".join(writer.enhanced(Packet(b"x"), i) for i in range(100))
    told = notes(read(READER, data))

    assert len(told) == 64
    assert told[-1] == "skipped 37 packets of link type other: it is not read"


def test_answers_are_kept() -> None:
    answer = dns.message.make_response(dns.message.from_wire(ASKED))
    answer.answer.append(dns.rrset.from_text("c2.evil.test.", 60, "IN", "A", "203.0.113.9"))
    data = writer.pcap(
        ask(),
        writer.ethernet(writer.ipv4(writer.udp(answer.to_wire(), 53, 40000), SERVER, CLIENT)),
    )
    (records,) = [b.answers for b in read(READER, data, watchlist=WATCHED) if b.answers]

    assert [(r["rrname"], r["rdata"]) for r in records.to_pylist()] == [
        ("c2.evil.test", "203.0.113.9")
    ]


def test_an_address_rule_hits_by_the_answer() -> None:
    watched = Watchlist.compile([Rule("demo", "address", "203.0.113.9/32")])
    answer = dns.message.make_response(dns.message.from_wire(OTHER))
    answer.answer.append(dns.rrset.from_text("www.example.", 60, "IN", "A", "203.0.113.9"))
    reply = writer.udp(answer.to_wire(), 53, 40000)
    data = writer.pcap(ask(OTHER), writer.ethernet(writer.ipv4(reply, SERVER, CLIENT)))

    got = row(READER, data, watchlist=watched)
    assert (got["name"], got["rcode"]) == ("www.example", 0)


def test_quarantine_is_bounded_and_the_count_is_not() -> None:
    data = writer.pcap() + writer.record(Packet(ask(b"x"))) * (QUARANTINE_LIMIT + 50)
    batches = read(READER, data)

    assert len(quarantine(batches)) == QUARANTINE_LIMIT
    assert counts(batches) == [0, QUARANTINE_LIMIT + 50, 0, 0]


def test_more_messages_than_a_batch_has_room_for() -> None:
    # 100,000 messages in segments of many each: batches end inside segments.
    message = writer.prefixed(ASKED)
    count = 1000
    segments = [writer.tcp(b"", seq=0, flags=SYN)]
    segments += [writer.tcp(message * count, seq=1 + i * count * len(message)) for i in range(100)]
    frames = [writer.ethernet(writer.ipv4(segment, protocol=TCP, total=0)) for segment in segments]
    batches = read(READER, writer.pcap(*frames))

    assert counts(batches) == [100_000, 0, 1, 0]
    got = rows(batches)
    assert len(got) == 100_000
    assert len({r["offset"] for r in got}) == 100_000
    assert {r["address"] for r in got} == {v4(CLIENT)}


FRAMES: list[Packet | bytes] = [
    ask(),
    reply(rcode=3),
    ask(b"bad"),
    writer.ethernet(writer.ipv6(writer.udp(OTHER))),
    writer.ethernet(writer.ipv6(writer.udp(writer.response(OTHER), 53, 40000), SERVER6, CLIENT6)),
    writer.ethernet(writer.ipv4(writer.tcp(b"", seq=9, flags=SYN), protocol=TCP)),
    writer.ethernet(writer.ipv4(writer.tcp(writer.prefixed(ASKED)[:9], seq=10), protocol=TCP)),
    writer.ethernet(writer.ipv4(writer.tcp(writer.prefixed(ASKED)[9:], seq=19), protocol=TCP)),
    *(writer.ethernet(part) for part in writer.fragments(writer.udp(OTHER), 16)),
    Packet(ask(), kept=50),
    writer.ethernet(bytes(28), kind=0x0806),
]


def seen(data: bytes, chunk: int = 1 << 20) -> tuple[Any, ...]:
    batches = read(READER, data, chunk=chunk)
    return rows(batches), counts(batches), quarantine(batches), notes(batches), batches[-1].end


@settings(max_examples=60, deadline=None)
@given(
    frames=st.lists(st.sampled_from(FRAMES), max_size=14),
    blocks=st.booleans(),
    chunk=st.integers(1, 400),
)
def test_chunks_do_not_matter(frames: list[Packet | bytes], blocks: bool, chunk: int) -> None:
    data = writer.pcapng(*frames) if blocks else writer.pcap(*frames)

    assert seen(data, chunk) == seen(data)


@settings(max_examples=150, deadline=None)
@given(
    blocks=st.booleans(),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 10_000),
    chunk=st.integers(1, 300),
)
def test_damage_is_counted_alike_in_any_chunks(
    blocks: bool, changes: list[tuple[int, int]], cut: int, chunk: int
) -> None:
    data = bytearray(writer.pcapng(*FRAMES) if blocks else writer.pcap(*FRAMES))
    for at, value in changes:
        data[24 + at % (len(data) - 24)] = value
    data = data[: 24 + cut % len(data)]

    assert seen(bytes(data), chunk) == seen(bytes(data))


def test_what_is_open_at_the_end_is_told() -> None:
    half = writer.ethernet(
        writer.ipv4(writer.tcp(writer.prefixed(ASKED)[:-3], flags=SYN), protocol=TCP)
    )
    part = writer.ethernet(writer.fragments(writer.udp(ASKED), 16)[0])
    batches = read(READER, writer.pcap(half, part))

    assert counts(batches) == [0, 0, 2, 0]
    assert notes(batches) == ["at the end of the capture 2 messages were not complete"]

"""C-DNS: what is read, what is counted, and what damage does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cdns_writer as writer
from cdns_writer import QUERY, RESPONSE, Block
from remnant.capture.cdns import CdnsReader
from remnant.errors import FormatError, UnknownFormat
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, hours, notes, quarantine, read, row, rows, v4

if TYPE_CHECKING:
    from remnant.capture import AnswersMode, Batch

READER = CdnsReader()
NAMES = Watchlist.compile([Rule("demo", "below", "*.evil.test")])
WATCHED = Watchlist.compile(
    [Rule("demo", "below", "*.evil.test"), Rule("demo", "address", "203.0.113.0/24")]
)
START = datetime(2015, 4, 8, tzinfo=UTC)


def block(name: str | bytes | None = "C2.evil.test", **options: Any) -> Block:
    made = Block()
    made.add(name, **options)
    return made


def one(**options: Any) -> dict[str, Any]:
    return row(READER, writer.file(block(**options).value()))


def answers(batches: list[Batch]) -> list[tuple[str, int, str]]:
    return [
        (kept["rrname"], kept["rrtype"], kept["rdata"])
        for batch in batches
        if batch.answers is not None
        for kept in batch.answers.to_pylist()
    ]


def lost(batches: list[Batch]) -> int:
    return sum(counted["lost"] for batch in batches for counted in batch.counts.to_pylist())


def test_an_item_is_an_observation_and_two_messages() -> None:
    data = writer.file(block(offset=250_000, delay=500_000, rcode=3).value())
    batches = read(READER, data)

    (got,) = rows(batches)
    offset = got.pop("offset")
    assert data[offset:].startswith(writer.cbor(block(offset=250_000, delay=500_000).items[0])[:6])
    assert got == {
        "time": START + timedelta(seconds=0.25),
        "response": False,
        "sensor": "ns1",
        "vantage": "authority",
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
    assert counts(batches) == [2, 0, 0, 0]
    assert sum(batch.query_messages for batch in batches) == 1
    first, last = START + timedelta(seconds=0.25), START + timedelta(seconds=0.75)
    assert hours(batches) == {START: [2, first, last]}


@pytest.mark.parametrize(
    ("halves", "messages", "rcode"),
    [(QUERY | RESPONSE, 2, 0), (QUERY, 1, None)],
)
def test_each_half_is_a_message(halves: int, messages: int, rcode: int | None) -> None:
    data = writer.file(block(halves=halves).value())

    assert counts(read(READER, data)) == [messages, 0, 0, 0]
    assert row(READER, data)["rcode"] == rcode


def test_a_response_without_its_query_is_a_row_only_in_a_source_of_responses() -> None:
    alone = block(halves=RESPONSE, rcode=2)
    got = row(READER, writer.file(alone.value()))

    assert (got["response"], got["rcode"]) == (True, 2)
    alone.add("other.test", halves=QUERY)
    batches = read(READER, writer.file(alone.value()))
    assert [seen["name"] for seen in rows(batches)] == ["other.test"]
    assert counts(batches) == [2, 0, 0, 0]


@pytest.mark.parametrize(
    ("missing", "messages"),
    [
        ({"delay": 5}, 2),
        ({"delay": None, "rcode": 0}, 1),
        ({"delay": None, "rcode": None}, 1),
        ({"delay": None, "rcode": 0, "key8": 30}, 2),
        ({"delay": None, "rcode": None, "key9": 30}, 1),
        ({"delay": None, "rcode": None, "key8": 30, "key9": 30}, 2),
        ({"delay": None, "rcode": 0, "key5": 64}, 2),
    ],
)
def test_where_flags_are_not_stored_other_fields_say_what_was_there(
    missing: dict[str, Any], messages: int
) -> None:
    data = writer.file(block(halves=None, **missing).value())

    assert counts(read(READER, data))[0] == messages


@pytest.mark.parametrize(
    ("kind", "vantage", "messages", "skipped"),
    [
        (writer.STUB, None, 0, 2),
        (writer.CLIENT, "resolver", 2, 0),
        (writer.RESOLVER, None, 0, 2),
        (writer.AUTHORITY, "authority", 2, 0),
        (writer.FORWARDER, None, 0, 2),
        (writer.TOOL, None, 0, 2),
        (99, None, 0, 2),
        (None, "authority", 2, 0),
    ],
)
def test_the_type_says_where_it_was_seen(
    kind: int | None, vantage: str | None, messages: int, skipped: int
) -> None:
    batches = read(READER, writer.file(block(kind=kind).value()))

    assert [seen["vantage"] for seen in rows(batches)] == ([vantage] if vantage else [])
    assert counts(batches) == [messages, 0, skipped, 0]


def test_a_person_knows_better_where_it_was_seen() -> None:
    data = writer.file(block(kind=writer.AUTHORITY).value())

    assert row(READER, data, vantage="sinkhole_dns")["vantage"] == "sinkhole_dns"


@pytest.mark.parametrize(
    ("flags", "transport", "proof"),
    [
        (0, "udp", "dns_udp"),
        (1 << 1, "tcp", "dns_tcp"),
        (2 << 1, "dot", "dns_tcp"),
        (3 << 1, None, "dns_udp"),
        (4 << 1, "doh", "dns_tcp"),
        (15 << 1, None, "dns_udp"),
        (1 << 1 | 1 << 5, "tcp", "dns_tcp"),
        (None, None, "dns_udp"),
    ],
)
def test_the_transport_is_in_the_flags(
    flags: int | None, transport: str | None, proof: str
) -> None:
    got = one(transport=flags)

    assert (got["transport"], got["proof"]) == (transport, proof)


def test_an_opcode_other_than_query_is_skipped() -> None:
    assert counts(read(READER, writer.file(block(opcode=5).value()))) == [0, 0, 2, 0]


def test_what_is_not_stored_is_null() -> None:
    got = one(port=None, ident=None, transport=None, opcode=None, rcode=None)

    assert (got["client_port"], got["rcode"], got["transport"]) == (None, None, None)
    assert got["address"] == v4("198.51.100.7")


def test_an_item_without_a_name_is_a_message_and_no_row() -> None:
    batches = read(READER, writer.file(block(None).value()))

    assert rows(batches) == []
    assert counts(batches) == [2, 0, 0, 0]


@pytest.mark.parametrize(
    ("ticks", "block_ticks", "offset", "delay", "time"),
    [
        (1_000_000, 321_102, 10_004, 79, "00:00:00.331106"),
        (1_000_000_000, 999_999_999, 1, 0, "00:00:01"),
        (1, 0, 3599, -2, "00:59:59"),
        (1000, 0, 1 << 43, None, None),
        (10**12, 10**12 - 1, 10**12, 0, "00:00:01.999999"),
        (1_000_000, 0, None, 5, None),
        (1_000_000, (1 << 64) - 1, (1 << 64) - 1, (1 << 64) - 1, None),
        (1, 0, (1 << 63) - 1, -(1 << 63), None),
    ],
)
def test_time_is_counted_in_ticks(
    ticks: int, block_ticks: int, offset: int | None, delay: int | None, time: str | None
) -> None:
    made = Block(ticks=block_ticks)
    made.add("c2.evil.test", offset=offset, delay=delay)
    batches = read(READER, writer.file(made.value(), sets=[writer.parameters(ticks=ticks)]))

    seen = [f"{got['time']:%H:%M:%S.%f}".removesuffix(".000000") for got in rows(batches)]
    assert seen == ([] if time is None else [time])
    assert counts(batches)[0] == 2
    assert (counts(batches)[3] > 0) == (time is None)
    assert [bad[1] for bad in quarantine(batches)] == ([] if time else ["clock_fault"])


def test_a_block_without_a_time_has_messages_without_one() -> None:
    value = block().value()
    value[0] = {1: 0}
    batches = read(READER, writer.file(value))

    assert counts(batches) == [2, 0, 0, 2]


def test_each_block_has_its_own_parameters_and_tables() -> None:
    second = Block(which=1)
    second.add("second.test", offset=2)
    sets = [writer.parameters(), writer.parameters(ticks=1, host="ns2")]
    got = rows(read(READER, writer.file(block().value(), second.value(), sets=sets)))

    assert [(seen["name"], seen["sensor"]) for seen in got] == [
        ("c2.evil.test", "ns1"),
        ("second.test", "ns2"),
    ]
    assert got[1]["time"] == START + timedelta(seconds=2)


@pytest.mark.parametrize(
    ("address", "transport", "prefixes", "expected"),
    [
        (b"\xc0\x00\x02\x01", 0, None, v4("192.0.2.1")),
        (b"\xc0\x00\x02\x01", None, None, v4("192.0.2.1")),
        (bytes(range(16)), 0, None, bytes(range(16))),
        (b"\xc0\x00\x02", 0, (24, 48), v4("192.0.2.0")),
        (b"\xc0", 0, (8, 48), v4("192.0.0.0")),
        (b"\x20\x01\x0d\xb8\x00\x01", 1, (24, 48), b"\x20\x01\x0d\xb8\x00\x01" + bytes(10)),
        (b"\x20\x01\x0d\xb8", 1, (32, 32), b"\x20\x01\x0d\xb8" + bytes(12)),
        (b"\x20\x01\x0d\xb8\x00\x01", None, (24, 48), b"\x20\x01\x0d\xb8\x00\x01" + bytes(10)),
        (b"\xc0\x00\x02", 0, None, None),
        (b"", 0, (24, 48), None),
        (bytes(17), 1, None, None),
        (bytes(5), 0, (24, 48), None),
        (None, 0, None, None),
    ],
)
def test_addresses_may_be_cut_to_prefixes(
    address: bytes | None,
    transport: int | None,
    prefixes: tuple[int, int] | None,
    expected: bytes | None,
) -> None:
    made = block(client=address, transport=transport)
    batches = read(READER, writer.file(made.value(), sets=[writer.parameters(prefixes=prefixes)]))

    assert [seen["address"] for seen in rows(batches)] == ([expected] if expected else [])
    assert counts(batches) == ([2, 0, 0, 0] if expected else [0, 2, 0, 0])
    assert [bad[1] for bad in quarantine(batches)] == ([] if expected else ["address"])


def test_a_person_is_told_what_the_source_holds() -> None:
    sets = [writer.parameters(flags=0b111, prefixes=(24, 48), key10="1 in 10", key11="cryptopan")]

    assert notes(read(READER, writer.file(block().value(), sets=sets))) == [
        "the addresses in this source are anonymised (cryptopan)",
        "this source holds a sample of the traffic (1 in 10)",
        "names in this source are in one case",
        "clients in this source are prefixes (IPv4 /24, IPv6 /48)",
    ]


def test_a_source_without_client_addresses_gives_only_records() -> None:
    made = Block()
    made.add(
        "c2.evil.test",
        client=None,
        sections={1: made.section(made.record("c2.evil.test", "A", "192.0.2.1"))},
    )
    sets = [writer.parameters(hints=0b101)]
    batches = read(READER, writer.file(made.value(), sets=sets))

    assert notes(batches) == ["this source has no client addresses: nothing is observed"]
    assert rows(batches) == []
    assert counts(batches) == [0, 0, 2, 0]
    assert answers(batches) == [("c2.evil.test", 1, "192.0.2.1")]


def test_the_queries_client_subnet_is_in_its_options() -> None:
    option = bytes.fromhex("000a0002ffff" + "0008" + "0007" + "00011800" + "cb0071")

    assert one(option=option)["ecs"] == v4("203.0.113.0") + b"\x78"
    assert one(option=option[:-1])["ecs"] is None
    assert one(option=option, halves=RESPONSE)["ecs"] is None


def full_block(**options: Any) -> Block:
    made = Block()
    chain = made.section(
        made.record("www.test", "CNAME", "Host.evil.test."),
        made.record("host.evil.test", "A", "192.0.2.1"),
        made.record("www.test", "TXT", '"a"'),
    )
    glue = made.section(
        made.record("ns.evil.test", "AAAA", "2001:db8::1"),
        made.record("other.test", "A", "192.0.2.2", klass=3),
    )
    made.add(options.pop("name", "www.test"), sections={1: chain, 2: glue, 3: glue}, **options)
    return made


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        ("none", []),
        ("watched", [("host.evil.test", 1, "192.0.2.1"), ("ns.evil.test", 28, "2001:db8::1")]),
        (
            "all",
            [
                ("host.evil.test", 1, "192.0.2.1"),
                ("ns.evil.test", 28, "2001:db8::1"),
                ("www.test", 5, "host.evil.test"),
                ("www.test", 16, '"a"'),
            ],
        ),
    ],
)
def test_records_of_all_sections_are_kept(
    mode: AnswersMode, kept: list[tuple[str, int, str]]
) -> None:
    made = full_block(kind=writer.RESOLVER)
    # The same records once more: nobody watches them then either.
    made.add("www.test", sections={1: 0, 2: 1}, kind=writer.RESOLVER)
    batches = read(READER, writer.file(made.value()), watchlist=NAMES, answers=mode)

    assert sorted(answers(batches)) == kept
    assert counts(batches) == [0, 0, 4, 0]


def test_answers_to_a_watched_question_are_kept() -> None:
    batches = read(READER, writer.file(full_block(name="evil.test").value()), watchlist=NAMES)

    assert ("www.test", 16, '"a"') in answers(batches)
    assert all(
        one["time_first"] == START + timedelta(milliseconds=1)
        for batch in batches
        if batch.answers is not None
        for one in batch.answers.to_pylist()
    )


@pytest.mark.parametrize("halves", [QUERY | RESPONSE, RESPONSE])
def test_an_answer_with_a_watched_address_makes_its_query_a_row(halves: int) -> None:
    made = Block()
    hit = made.section(made.record("cdn.test", "A", "203.0.113.9"))
    made.add("www.test", sections={1: hit}, halves=halves)
    made.add("other.test", sections={2: hit}, halves=halves)
    (got,) = rows(read(READER, writer.file(made.value()), watchlist=WATCHED))

    assert (got["name"], got["entry"], got["rcode"]) == ("www.test", 1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {1: 99},
        {3: [0]},
        {1: -1},
        {1: 1 << 40},
        {0: 99},
    ],
)
def test_records_that_point_nowhere_are_left_out(change: dict[int, Any]) -> None:
    made = full_block(name="evil.test")
    made.records[0] |= change
    batches = read(READER, writer.file(made.value()), watchlist=NAMES)

    assert counts(batches) == [2, 0, 0, 0]
    assert ("www.test", 5, "host.evil.test") not in answers(batches)
    assert ("host.evil.test", 1, "192.0.2.1") in answers(batches)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (1, 99, "address"),
        (1, (1 << 64) - 1, "address"),
        (1, "text", "address"),
        (4, 99, "cbor"),
        (7, 99, "dns_name"),
        (7, -5, "dns_name"),
    ],
)
def test_an_item_that_points_nowhere_is_malformed(key: int, value: Any, reason: str) -> None:
    made = block()
    made.items[0][key] = value
    made.add("good.test")
    batches = read(READER, writer.file(made.value()))

    assert [seen["name"] for seen in rows(batches)] == ["good.test"]
    assert counts(batches) == [2, 2, 0, 0]
    assert [bad[1:] for bad in quarantine(batches)] == [(reason, writer.cbor(made.items[0])[:64])]


@pytest.mark.parametrize("name", [b"\x03www", b"\x03www\x00\x00", b"", b"\xc0\x0c", b"\x01a" * 200])
def test_a_name_that_is_none_is_malformed(name: bytes) -> None:
    assert counts(read(READER, writer.file(block(name).value()))) == [0, 2, 0, 0]


def test_malformed_messages_are_kept_as_the_source_kept_them() -> None:
    made = block()
    made.add_malformed(b"\x12\x34not dns", offset=3_600_000_000)
    made.add_malformed(b"", offset=0)
    made.malformed.append({0: 1})
    batches = read(READER, writer.file(made.value()))

    assert counts(batches) == [2, 3, 0, 0]
    bad = quarantine(batches)
    assert [each[1] for each in bad] == ["recorded"] * 3
    assert bad[0][2] == b"\x12\x34not dns"
    assert set(hours(batches)) == {START, START + timedelta(hours=1)}


def test_statistics_tell_what_the_block_does_not_hold() -> None:
    made = block()
    made.add_malformed(b"x")
    made.statistics = {0: 20, 1: 1, 2: 0, 3: 0, 4: 3, 5: 5, -1: 12}
    batches = read(READER, writer.file(made.value()))

    assert counts(batches) == [2, 5, 3, 0]
    assert lost(batches) == 20 - 2 - 3
    assert len(quarantine(batches)) == 1


@pytest.mark.parametrize("statistics", [{0: 2, 1: 1}, {0: 0}, {}, {0: -5, 4: -1, 5: -1}])
def test_statistics_that_agree_add_nothing(statistics: dict[int, int]) -> None:
    made = block()
    made.statistics = statistics
    batches = read(READER, writer.file(made.value()))

    assert counts(batches) == [2, 0, 0, 0]
    assert lost(batches) == 0


def test_statistics_beyond_belief_do_not_overflow() -> None:
    made = block()
    made.statistics = {0: (1 << 64) - 1, 4: (1 << 64) - 1, 5: (1 << 64) - 1}
    batches = read(READER, writer.file(*[made.value()] * 3))

    assert counts(batches)[1:3] == [3 << 40, 3 << 40]


def test_address_events_and_private_keys_are_stepped_over() -> None:
    extra: dict[str, Any] = {"key5": 64, "key-1": [1, {2: b"x"}], "key22": "later"}
    made = block(**extra)
    made.events = [{0: 1, 1: 2, 2: 0, 3: 1000}]
    value = made.value() | {-1: {0: [1]}, 9: "later"}
    value[2] |= {-3: [b"x"], 4: [[0]], 5: [{0: 0, 1: 0}]}

    assert counts(read(READER, writer.file(value))) == [2, 0, 0, 0]


def test_breaks_may_end_every_array_and_map() -> None:
    made = full_block(name="evil.test")
    made.add_malformed(b"x")
    made.statistics = {0: 2}
    closed = writer.file(made.value())
    preamble = {0: 1, 1: 0, 3: [writer.parameters()]}
    opened = writer.cbor(writer.opened(["C-DNS", preamble, [made.value()]]))
    half = writer.file(made.value(), indefinite=True)

    for data in (opened, half):
        batches, known = read(READER, data), read(READER, closed)
        assert counts(batches) == counts(known)
        assert answers(batches) == answers(known)
        assert [seen | {"offset": 0} for seen in rows(batches)] == [
            seen | {"offset": 0} for seen in rows(known)
        ]
        assert batches[-1].end == len(data)


def test_the_tables_may_stand_after_the_items() -> None:
    value = block().value()
    turned = {key: value[key] for key in (0, 3, 2)}

    assert row(READER, writer.file(turned))["name"] == "c2.evil.test"


def test_tags_are_stepped_over() -> None:
    value = block().value()
    value[3] = [writer.Raw(b"\xc1" + writer.cbor(value[3][0]))]

    assert counts(read(READER, writer.file({**value, -9: writer.Raw(b"\xd8\x20\x61a")})))[:2] == [
        0,
        1,
    ]
    plain = block().value() | {-9: writer.Raw(b"\xd8\x20\x61a")}
    assert counts(read(READER, writer.file(plain))) == [2, 0, 0, 0]


def test_files_may_stand_end_to_end() -> None:
    data = writer.file(block().value()) + writer.file(indefinite=True)
    data += writer.cbor(
        writer.opened(["C-DNS", {0: 1, 1: 1, 3: [writer.parameters(host="b")]}, [block().value()]])
    )
    batches = read(READER, data)

    assert [seen["sensor"] for seen in rows(batches)] == ["ns1", "b"]
    assert batches[-1].end == len(data)


@pytest.mark.parametrize("indefinite", [False, True])
def test_a_block_that_is_cut_off_is_left_for_the_next_time(indefinite: bool) -> None:
    whole = writer.file(block().value(), block().value(), indefinite=indefinite)
    data = whole[:-5]
    batches = read(READER, data)
    start = whole.index(writer.cbor(block().value())) + len(writer.cbor(block().value()))

    assert batches[-1].end == start
    assert counts(batches) == [2, 1, 0, 0]
    assert [bad[:2] for bad in quarantine(batches)] == [(start, "truncated")]


def test_a_file_that_still_grows_is_read_up_to_its_last_block() -> None:
    data = writer.file(block().value(), indefinite=True)[:-1]
    batches = read(READER, data)

    assert batches[-1].end == len(data)
    assert counts(batches) == [2, 0, 0, 0]


@pytest.mark.parametrize(
    "damage",
    [
        b"\x1c",
        b"\xa1\x00\xa0"[:2],
        b"\xff",
        b"\xa0",
        b"\x01",
        b"\x9b" + b"\xff" * 8,
        b"\xbb" + b"\x7f" * 8,
        b"\x5b" + b"\xff" * 8,
        b"\xa1\x01\xa0",
        b"\x81" * 20,
        writer.cbor({0: {0: [0, 0]}, 2: {0: {}}, 3: {1: 1}}),
        writer.cbor({0: {1: 7}}),
        writer.cbor({0: {}, 2: {1: [5]}}),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_reading_goes_on_at_the_next_block(damage: bytes, chunk: int) -> None:
    good = block().value()
    data = writer.file(good, writer.Raw(damage), good, good, good)
    batches = read(READER, data, chunk=chunk)

    assert counts(batches)[0] >= 4
    assert 1 <= counts(batches)[1] <= 2
    assert quarantine(batches) == quarantine(read(READER, data))


def test_a_table_that_claims_more_than_there_is_costs_its_block() -> None:
    bad = block().value()
    bad[2] |= {2: writer.Raw(b"\x9b\x00\x00\x00\x01\x00\x00\x00\x00\x41a")}
    data = writer.file(bad, block().value(), block().value())

    assert counts(read(READER, data))[:2] == [4, 1]


def test_another_file_is_found_after_damage() -> None:
    data = (
        writer.file(block().value())[:-9] + b"\x1c" + writer.file(block().value(), block().value())
    )
    batches = read(READER, data)

    assert counts(batches)[:2] == [4, 1]


@pytest.mark.parametrize("version", [(2, 0), (0, 5)])
def test_another_version_is_refused(version: tuple[int, int]) -> None:
    data = writer.file(block().value(), version=version)

    assert READER.sniff(data)
    with pytest.raises(FormatError, match=rf"{version[0]}\.{version[1]}"):
        read(READER, data)


def test_a_later_minor_version_is_read() -> None:
    assert counts(read(READER, writer.file(block().value(), version=(1, 3)))) == [2, 0, 0, 0]


@pytest.mark.parametrize("data", [b"no", b"\x83\x65C-DNT\xa0\x80", b"\x83\x65C-DNS\x01\x80"])
def test_what_is_no_cdns_is_refused(data: bytes) -> None:
    with pytest.raises(UnknownFormat, match="C-DNS"):
        read(READER, data)


@pytest.mark.parametrize(
    "head", [b"", b"C-DNS", b"\x83\x65C-DN", b"\x84\x65C-DNS", b"\x83\x45C-DNS", b"\x83\x65C_DNS"]
)
def test_what_is_no_cdns_is_not_claimed(head: bytes) -> None:
    assert not READER.sniff(head)


def test_a_block_of_many_hits_is_read_in_parts() -> None:
    made = block()
    made.items = made.items * 70_000
    data = writer.file(made.value())
    batches = read(READER, data)

    assert len(batches) > 2
    assert sum(batch.queries.num_rows for batch in batches) == 70_000
    assert counts(batches) == [140_000, 0, 0, 0]
    assert batches[-1].end == len(data)


@settings(max_examples=100, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    chunk=st.integers(1, 200),
)
def test_changed_bytes_are_counted_alike_however_they_come(
    changes: list[tuple[int, int]], chunk: int
) -> None:
    made = full_block(name="evil.test")
    made.add_malformed(b"x")
    made.statistics = {0: 9, 4: 1}
    data = bytearray(writer.file(made.value(), block().value()))
    for at, byte in changes:
        data[at % len(data)] = byte
    try:
        whole = read(READER, bytes(data))
    except FormatError:
        return
    parts = read(READER, bytes(data), chunk=chunk)

    assert rows(parts) == rows(whole)
    assert counts(parts) == counts(whole)
    assert quarantine(parts) == quarantine(whole)

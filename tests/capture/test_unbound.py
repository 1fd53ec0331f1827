from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.events import TRANSPORTS
from remnant.capture.unbound import UnboundReader
from remnant.errors import FormatError
from textlogs import counts, notes, packed, quarantine, read, row, rows, v4

if TYPE_CHECKING:
    import ipaddress

READER = UnboundReader()
NOON = datetime(2015, 4, 8, 12, tzinfo=UTC)
EPOCH = "[1428494400] unbound[812:0] "


def line(text: str, prefix: str = EPOCH) -> bytes:
    return (prefix + text + "\n").encode("latin-1")


ASKED = "192.0.2.17 Evil.example. AAAA IN"
GOOD = line("info: " + ASKED)


def test_a_query() -> None:
    assert row(READER, GOOD) == {
        "time": NOON,
        "offset": 0,
        "response": False,
        "sensor": None,
        "vantage": "resolver",
        "address": v4("192.0.2.17"),
        "ecs": None,
        "client_port": None,
        "service_port": None,
        "transport": None,
        "name": "evil.example",
        "case_bits": 1,
        "qtype": 28,
        "rcode": None,
        "entry": 0,
        "proof": "dns_udp",
        "weight": 1,
        "detail": None,
        "limited": False,
    }


@pytest.mark.parametrize("word", ["info", "query"])
@pytest.mark.parametrize(
    ("prefix", "time"),
    [
        ("[1428494400] unbound[812:0] ", NOON),
        ("[1428494400] my-resolver[812:1f] ", NOON),
        ("Apr 08 12:00:00 unbound[812:0] ", NOON),
        ("Apr  8 12:00:00 ns1 unbound[812]: [812:0] ", NOON),
        ("<30>Apr  8 12:00:00 ns1 unbound: [812:3] ", NOON),
        ("2015-04-08T12:00:00.123+00:00 unbound[812:0] ", NOON + timedelta(milliseconds=123)),
        ("2015-04-08T14:00:00.000+0200 unbound[812:0] ", NOON),
        (
            '<30>1 2015-04-08T14:00:00+02:00 fw unbound 812 - [meta sequenceId="7"] [812:4] ',
            NOON,
        ),
        ("2015-04-08T12:00:00Z ns1 unbound[812]: [1428494400] unbound[812:0] ", NOON),
    ],
)
def test_every_prefix(prefix: str, time: datetime, word: str) -> None:
    found = row(READER, line(f"{word}: {ASKED}", prefix), year=2015)

    assert (found["time"], found["name"]) == (time, "evil.example")


REPLY = "192.0.2.17 evil.example. AAAA IN {} 0.012345 0 99"


@pytest.mark.parametrize(
    ("rcode", "number"),
    [("NOERROR", 0), ("NXDOMAIN", 3), ("NOTIMPL", 4), ("REFUSED", 5), ("RCODE23", 23)],
)
@pytest.mark.parametrize("words", [("info", "info"), ("query", "reply")])
def test_a_reply_gives_its_query_the_rcode(rcode: str, number: int, words: tuple[str, str]) -> None:
    asked = line(f"{words[0]}: {ASKED}")
    # Another thread may answer, and whole seconds may hide the order.
    answer = line(f"{words[1]}: {REPLY.format(rcode)}", "[1428494402] unbound[812:1] ")
    for data in (asked + answer, answer + asked):
        batches = read(READER, data)
        (found,) = rows(batches)
        assert (found["rcode"], found["response"], found["case_bits"]) == (number, False, 1)
        assert counts(batches) == [2, 0, 0, 0]
        assert sum(batch.query_messages for batch in batches) == 1


def test_a_log_of_replies_alone_counts_them() -> None:
    batches = read(READER, line("reply: " + REPLY.format("SERVFAIL")) * 2)

    assert [(found["response"], found["rcode"]) for found in rows(batches)] == [(True, 2)] * 2
    assert sum(batch.query_messages for batch in batches) == 0


@pytest.mark.parametrize(
    ("protocol", "transport", "proof"),
    [
        ("udp", "udp", "dns_udp"),
        ("tcp", "tcp", "dns_tcp"),
        ("dot", "dot", "dns_tcp"),
        ("doh", "doh", "dns_tcp"),
        ("doq", "doq", "dns_tcp"),
        ("unix", None, "dns_udp"),
    ],
)
def test_the_destination_of_a_reply_says_how_the_query_came(
    protocol: str, transport: str | None, proof: str
) -> None:
    answer = line(f"reply: {REPLY.format('NOERROR')} on {protocol} 198.51.100.53 853")
    for data in (GOOD + answer, answer):
        found = row(READER, data)
        assert (found["transport"], found["proof"]) == (transport, proof)
        assert found["service_port"] == 853
    assert transport is None or transport in TRANSPORTS


def test_replies_to_unreadable_queries_are_skipped_with_a_note() -> None:
    batches = read(READER, GOOD + line("info: 192.0.2.17 - - - FORMERR - - - "))

    assert counts(batches) == [1, 0, 1, 0]
    assert any("FORMERR" in note for note in notes(batches))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (".", "."),
        ("a?b?.?c??d.example.", "a?b?.?c??d.example"),
        ("_dmarc.*.EXAMPLE.", "_dmarc.*.example"),
        ("info:.example.", "info:.example"),
    ],
)
def test_odd_names(written: str, name: str) -> None:
    assert row(READER, line(f"info: 192.0.2.1 {written} A IN"))["name"] == name


@given(address=st.ip_addresses())
@settings(max_examples=30, deadline=None)
def test_every_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert row(READER, line(f"info: {address} a.example. TYPE65 CH"))["address"] == packed(address)


@pytest.mark.parametrize(
    "text",
    [
        "info: start of service (unbound 1.17.1).",
        "info: server stats for thread 0: 11 queries, 11 answers from cache, 0 recursions",
        "info: resolving evil.example. A IN",
        "info: response for evil.example. A IN",
        "info: reply from <example.> 192.0.2.1#53",
        "notice: init module 0: respip",
        "warning: 192.0.2.1 evil.example. A IN",
        "debug: 192.0.2.1 evil.example. A IN",
        "info: evil.example. inform 192.0.2.1@5000 evil.example. A IN",
        "info: rpz: applied evil.example. rpz-drop 192.0.2.1@5000 evil.example. A IN",
        "info: 192.0.2.0/24 inform 192.0.2.1@5000 evil.example. A IN",
        "info:",
        "",
    ],
)
def test_other_lines_are_skipped(text: str) -> None:
    assert counts(read(READER, GOOD + line(text) + GOOD)) == [2, 0, 1, 0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (line("info: 192.0.2.1 evil.example A IN"), "name"),
        (line("info: 192.0.2.1 evil.exam& A IN"), "name"),
        (line("info: 192.0.2.1 # A IN"), "name"),
        (line("info: 192.0.2.1 a..b. A IN"), "name"),
        (line("info: 192.0.2.1"), "name"),
        (line("query: 192.0.2.1 evil.example. NEVER IN"), "fields"),
        (line("info: 192.0.2.1 evil.example. A XX"), "fields"),
        (line("info: 192.0.2.1 evil.example. A"), "fields"),
        (line("info: 192.0.2.1 evil.example. A IN NOSUCH 0.1 0 99"), "fields"),
        (line("info: 192.0.2.1 evil.example. A IN NOERROR x 0 99"), "fields"),
        (line("info: 192.0.2.1 evil.example. A IN NOERROR 0.1 0"), "fields"),
        (line("reply: 192.0.2.1 evil.example. A IN NOERROR 0.1 0 99 off"), "fields"),
        (line("info: " + ASKED, "[142849x400] unbound[812:0] "), "time"),
        (line("info: " + ASKED, "2015-04-08T25:00:00 unbound[812:0] "), "time"),
    ],
)
def test_lines_about_queries_that_cannot_be_read_are_malformed(data: bytes, reason: str) -> None:
    batches = read(READER, GOOD + data + GOOD)

    assert counts(batches) == [2, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert reason in why
    assert (offset, head) == (len(GOOD), data.rstrip(b"\n")[:64])


def test_lines_without_time_are_clock_faults() -> None:
    batches = read(READER, line("info: " + ASKED, "unbound[812:0] "))

    assert counts(batches) == [1, 0, 0, 1]
    assert any("no time" in note for note in notes(batches))


def test_times_without_year_need_one() -> None:
    ascii_time = line("info: " + ASKED, "Apr  8 12:00:00 unbound[812:0] ")

    assert READER.first_day(line("notice: x") + ascii_time) == 98
    assert READER.first_day(GOOD) is None
    with pytest.raises(FormatError, match="--year"):
        read(READER, ascii_time)
    found = row(READER, ascii_time, year=2015, timezone=ZoneInfo("Europe/Berlin"))
    assert found["time"] == NOON - timedelta(hours=2)
    assert any("read as UTC" in note for note in notes(read(READER, ascii_time, year=2015)))


def test_epochs_need_no_zone() -> None:
    assert notes(read(READER, GOOD)) == []
    assert row(READER, GOOD, timezone=ZoneInfo("Asia/Tokyo"))["time"] == NOON


def test_a_last_line_without_line_feed() -> None:
    assert counts(read(READER, GOOD + GOOD.rstrip(b"\n"))) == [2, 0, 0, 0]
    cut = read(READER, GOOD + GOOD[:50])
    assert counts(cut) == [1, 0, 0, 0]
    assert cut[-1].end == len(GOOD)
    assert any("not complete" in note for note in notes(cut))


@pytest.mark.parametrize(
    ("data", "claimed"),
    [
        (GOOD, True),
        (line("notice: init") * 20 + GOOD, True),
        (line("reply: " + REPLY.format("NXDOMAIN")), True),
        (line("info: start of service"), False),
        (b"{" + GOOD, False),
        (b"Apr  8 12:00:00 ns1 dnsmasq[812]: query[A] evil.example from 192.0.2.1\n", False),
    ],
)
def test_it_recognises_itself(data: bytes, claimed: bool) -> None:
    assert READER.sniff(data) is claimed


@settings(max_examples=60, deadline=None)
@given(
    data=st.lists(st.sampled_from(list(GOOD.decode() + "[]@:/&# x\n")), max_size=120).map(
        lambda letters: "".join(letters).encode()
    ),
    at=st.integers(0, len(GOOD)),
    chunk=st.integers(1, 60),
)
def test_damaged_lines_are_counted_alike_in_any_chunks(data: bytes, at: int, chunk: int) -> None:
    damaged = GOOD[:at] + data + GOOD[at:] + GOOD
    whole = read(READER, damaged, year=2015)
    parts = read(READER, damaged, year=2015, chunk=chunk)

    assert counts(parts) == counts(whole)
    assert sorted(map(str, rows(parts))) == sorted(map(str, rows(whole)))

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture import Batch, ReadOptions
from remnant.capture.dnsmasq import DnsmasqReader
from remnant.capture.stream import ByteStream
from remnant.errors import FormatError
from remnant.watchlist import Rule, Watchlist
from textlogs import EVERYTHING, NOW, counts, hours, notes, quarantine, read, row, rows, v4

if TYPE_CHECKING:
    from remnant.capture import AnswersMode

READER = DnsmasqReader()
NOON = datetime(2015, 4, 8, 12, tzinfo=UTC)
CLIENT = "192.0.2.17"


def line(text: str, second: int = 0, process: int = 812) -> bytes:
    minute, second = divmod(second, 60)
    return f"2015-04-08T12:{minute:02}:{second:02}Z gw dnsmasq[{process}]: {text}\n".encode(
        "latin-1"
    )


def log(*texts: str, second: int = 0) -> bytes:
    return b"".join(line(text, second) for text in texts)


def asked(name: str = "evil.example", kind: str = "A", client: str = CLIENT) -> str:
    return f"query[{kind}] {name} from {client}"


def in_order(batches: list[Batch]) -> list[dict[str, Any]]:
    return sorted(rows(batches), key=lambda found: int(found["offset"]))


def answered(batches: list[Batch]) -> list[tuple[Any, ...]]:
    """(name, type, rcode) of the rows in the order of their lines."""
    return [(found["name"], found["qtype"], found["rcode"]) for found in in_order(batches)]


def test_a_query() -> None:
    assert row(READER, log(asked("Evil.example", "AAAA"))) == {
        "time": NOON,
        "offset": 0,
        "response": False,
        "sensor": None,
        "vantage": "resolver",
        "address": v4(CLIENT),
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


@pytest.mark.parametrize(
    ("before", "port", "transport"),
    [
        ("", None, None),
        ("17 192.0.2.17/53001 ", 53001, None),
        ("17 fe80::1%eth0/53001 ", 53001, None),
        ("UDP 17 192.0.2.17/53001 ", 53001, "udp"),
        ("TCP 17 2001:db8::17/53001 ", 53001, "tcp"),
        ("17 192.0.2.17/53001 TCP ", 53001, "tcp"),
        ("17 ", None, None),
    ],
)
def test_what_extra_and_proto_put_before_a_line(
    before: str, port: int | None, transport: str | None
) -> None:
    found = row(READER, log(before + asked(), before + "reply evil.example is NXDOMAIN"))

    assert found["client_port"] == port
    assert found["transport"] == transport
    assert found["proof"] == ("dns_tcp" if transport == "tcp" else "dns_udp")
    assert found["rcode"] == 3


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("Apr  8 12:00:00 dnsmasq[812]: ", NOON),
        ("Apr 08 12:00:00 gw dnsmasq[812]: ", NOON),
        ("<30>Apr  8 12:00:00 dnsmasq[812]: ", NOON),
        ("Wed Apr  8 12:00:00 2015 daemon.info dnsmasq[1]: ", NOON),
        ("2015-04-08T14:00:00.5+02:00 gw dnsmasq[812]: ", NOON + timedelta(milliseconds=500)),
        ("2015-04-08 12:00:00 dnsmasq[812]: ", NOON),
        ("<30>1 2015-04-08T12:00:00Z gw dnsmasq 812 - - ", NOON),
        ('2015-04-08T12:00:00Z gw dnsmasq 812 ID7 [a b="c"] ', NOON),
        ("pihole  | Apr  8 12:00:00 dnsmasq[812]: ", NOON),
        ("Apr  8 19:00:00 relay gw: Apr  8 12:00:00 dnsmasq[812]: ", NOON),
        ("2015-04-08T14:00:00+02:00 gw dnsmasq[812]: ", NOON),
    ],
)
def test_every_prefix(stamp: str, time: datetime) -> None:
    data = f"{stamp}{asked()}\n{stamp}reply evil.example is NXDOMAIN\n".encode()
    found = row(READER, data, year=2015)

    assert READER.sniff(data)
    assert found["time"] == time
    assert found["rcode"] == 3


def test_a_stamp_like_the_last_one_has_the_same_time_in_every_way() -> None:
    stamps = ["Dec 31 23:59:59", "Dec 31 23:59:59", "Jan  1 00:00:00", "Dec 31 23:59:59"]
    data = b"".join(f"{stamp} dnsmasq[1]: {asked()}\n".encode() for stamp in stamps)
    zoned = b"2015-06-01T00:00:00Z dnsmasq[1]: " + asked().encode() + b"\n"
    for chunk in (1, 50, 1 << 20):
        found = in_order(read(READER, data + zoned + data, year=2014, chunk=chunk))

        years = [one["time"].year for one in found]
        assert years[:5] == [2014, 2014, 2015, 2014, 2015]
        assert found[1]["time"] == found[0]["time"]
        assert found[3]["time"] == found[0]["time"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (".", "."),
        ("a b.example", r"a\032b.example"),
        (r"b\s.example", r"b\\s.example"),
        ("it is from.example", r"it\032is\032from.example"),
        ("q\"u'o.example", "q\"u'o.example"),
        ("_sip._tcp.example", "_sip._tcp.example"),
        ("EXAMPLE.", "example"),
    ],
)
def test_odd_names(written: str, name: str) -> None:
    assert row(READER, log(asked(written)))["name"] == name


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("A", 1),
        ("ANY", 255),
        ("HTTPS", 65),
        ("type=65280", 65280),
        ("NSEC3PARAM", 51),
        ("NSAP_PTR", 23),
    ],
)
def test_types(written: str, number: int) -> None:
    assert row(READER, log(asked(kind=written)))["qtype"] == number


def test_queries_for_a_zone_of_its_own() -> None:
    assert row(READER, log(f"auth[SOA] evil.example from {CLIENT}"))["qtype"] == 6


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize(
    ("kind", "answer", "rcode"),
    [
        ("A", "reply evil.example is 198.51.100.7", 0),
        ("A", "cached evil.example is 198.51.100.7", 0),
        ("A", "cached-stale evil.example is 198.51.100.7 (EDE: stale answer)", 0),
        ("A", "config evil.example is 0.0.0.0", 0),
        ("A", "/etc/hosts evil.example is 198.51.100.7", 0),
        ("A", "DHCP evil.example is 198.51.100.7", 0),
        ("A", "auth evil.example is NXDOMAIN", 3),
        ("AAAA", "reply evil.example is 2001:db8::7", 0),
        ("A", "reply evil.example is NXDOMAIN", 3),
        ("A", "reply evil.example is NODATA-IPv4", 0),
        ("AAAA", "reply EVIL.example is NODATA-IPv6", 0),
        ("MX", "reply evil.example is NODATA", 0),
        ("SRV", "reply evil.example is <SRV>", 0),
        ("TXT", "reply evil.example is the answer is 42", 0),
        ("A", "reply evil.example is 198.51.100.7 (DNSSEC signed)", 0),
        ("A", "reply error is SERVFAIL", 2),
        ("A", "reply error is SERVFAIL (EDE: DNSSEC bogus)", 2),
        ("A", "config error is REFUSED (EDE: not ready)", 5),
        ("A", "reply error is not implemented", 4),
        ("A", "reply error is 16", 16),
        ("A", "Rate-limiting evil.example is REFUSED (EDE: blocked)", 5),
        ("ANY", "reply evil.example is <SOA>", 0),
    ],
)
def test_response_codes(kind: str, answer: str, rcode: int, extra: bool) -> None:
    before = "7 192.0.2.17/53001 " if extra else ""
    batches = read(READER, log(before + asked(kind=kind), before + answer))

    assert [found["rcode"] for found in rows(batches)] == [rcode]
    assert counts(batches) == [2, 0, 0, 0]


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ("gravity blocked evil.example is 0.0.0.0", '{"blocked": "gravity"}'),
        ("gravity blocked (CNAME) evil.example is ::", '{"blocked": "gravity"}'),
        ("exactly blacklisted evil.example is 0.0.0.0", '{"blocked": "exact"}'),
        ("exactly denied evil.example is 0.0.0.0", '{"blocked": "exact"}'),
        ("regex blacklisted evil.example is NXDOMAIN", '{"blocked": "regex"}'),
        ("regex denied evil.example is NODATA", '{"blocked": "regex"}'),
        ("special domain evil.example is NXDOMAIN", '{"blocked": "special"}'),
        ("/etc/pihole/gravity.list evil.example is 0.0.0.0", '{"blocked": "gravity"}'),
        ("/etc/pihole/black.list evil.example is 0.0.0.0", '{"blocked": "exact"}'),
        ("/etc/pihole/regex.list evil.example is 0.0.0.0", '{"blocked": "regex"}'),
        ("/etc/pihole/local.list evil.example is 0.0.0.0", None),
        ("Pi-hole hostname evil.example is 192.0.2.2", None),
        ("config evil.example is 0.0.0.0", None),
    ],
)
def test_what_pihole_blocks(answer: str, detail: str | None) -> None:
    found = row(READER, log(asked(kind="ANY"), answer))

    assert found["detail"] == detail
    assert found["rcode"] in (0, 3)


def test_a_block_in_the_chain_of_aliases() -> None:
    batches = read(
        READER,
        log(
            asked(),
            "forwarded evil.example to 9.9.9.9",
            "reply evil.example is <CNAME>",
            "reply tracker.example is blocked during CNAME inspection",
            "gravity blocked (CNAME) evil.example is 0.0.0.0",
        ),
    )

    assert answered(batches) == [("evil.example", 1, 0)]
    assert rows(batches)[0]["detail"] == '{"blocked": "gravity"}'


def test_answers_find_their_queries_by_serial_number() -> None:
    one, two = "1 192.0.2.17/53001 ", "2 192.0.2.18/53002 "
    batches = read(
        READER,
        log(
            one + asked(),
            two + asked(client="192.0.2.18"),
            two + "reply evil.example is NXDOMAIN",
            one + "reply evil.example is 198.51.100.7",
            one + "reply evil.example is 198.51.100.8",
        ),
    )

    assert [(found["client_port"], found["rcode"]) for found in rows(batches)] == [
        (53002, 3),
        (53001, 0),
    ]
    assert counts(batches) == [4, 0, 1, 0]
    assert sum(batch.query_messages for batch in batches) == 2


def test_a_serial_number_that_is_used_again_after_a_restart() -> None:
    first = "1 192.0.2.17/53001 "
    batches = read(
        READER, log(first + asked("a.example"), first + asked("b.example"), first + "reply x is ::")
    )

    assert answered(batches) == [("a.example", 1, None), ("b.example", 1, 0)]


def test_lines_of_validation_are_no_answer() -> None:
    batches = read(
        READER,
        log(
            "1 192.0.2.17/53001 " + asked(),
            "1 dnssec-query[DS] example to 9.9.9.9",
            "1 reply example is DS for keytag 1, algo 8, digest 2",
            "1 dnssec-query[DNSKEY] example to 9.9.9.9",
            "1 192.0.2.17/53001 validation evil.example is BOGUS",
            "1 192.0.2.17/53001 reply error is SERVFAIL (EDE: DNSSEC bogus)",
        ),
    )

    assert answered(batches) == [("evil.example", 1, 2)]


def test_answers_without_serial_numbers_find_their_queries_by_name_and_type() -> None:
    batches = read(
        READER,
        log(
            asked(kind="A"),
            "forwarded evil.example to 9.9.9.9",
            asked(kind="AAAA"),
            "forwarded evil.example to 9.9.9.9",
            asked(kind="HTTPS"),
            "forwarded evil.example to 9.9.9.9",
            asked("other.example"),
            "forwarded other.example to 9.9.9.9",
            "reply evil.example is <CNAME>",
            "reply b.example is NODATA",
            "reply evil.example is 2001:db8::7",
            "reply evil.example is 2001:db8::8",
            "reply other.example is NXDOMAIN",
            "reply evil.example is <CNAME>",
            "reply b.example is 198.51.100.7",
        ),
    )

    assert answered(batches) == [
        ("evil.example", 1, 0),
        ("evil.example", 28, 0),
        ("evil.example", 65, 0),
        ("other.example", 1, 3),
    ]
    assert counts(batches) == [8, 0, 7, 0]


def test_of_two_equal_queries_the_older_is_answered_first() -> None:
    data = log(asked(client="192.0.2.1"), asked(client="192.0.2.2"))
    data += log("reply evil.example is NXDOMAIN")
    found = in_order(read(READER, data))

    assert [one["rcode"] for one in found] == [3, None]


def test_dnsmasq_answers_the_last_query_when_it_answers_by_itself() -> None:
    data = log(asked(client="192.0.2.1"), "forwarded evil.example to 9.9.9.9")
    data += log(asked(client="192.0.2.2"), "config evil.example is NXDOMAIN")
    found = in_order(read(READER, data))

    assert [one["rcode"] for one in found] == [None, 3]


def test_the_name_of_an_address_is_answered_from_the_hosts_file() -> None:
    batches = read(
        READER,
        log(
            asked("7.100.51.198.in-addr.arpa", "PTR"), "/etc/hosts 198.51.100.7 is printer.example"
        ),
    )

    assert answered(batches) == [("7.100.51.198.in-addr.arpa", 12, 0)]


def test_processes_of_their_own_do_not_mix() -> None:
    data = line(asked("a.example"), process=1) + line(asked("b.example"), process=2)
    data += line("config error is REFUSED", process=1)

    assert answered(read(READER, data)) == [("a.example", 1, None), ("b.example", 1, None)]


def test_a_failure_without_a_name_is_of_the_only_query_that_waits() -> None:
    assert answered(read(READER, log(asked(), "reply error is SERVFAIL"))) == [
        ("evil.example", 1, 2)
    ]
    two = read(READER, log(asked(), asked("b.example"), "reply error is SERVFAIL"))
    assert answered(two) == [("evil.example", 1, None), ("b.example", 1, None)]


def test_an_answer_after_ten_seconds_is_nobodys() -> None:
    late = line(asked()) + line(asked("x.example"), 11)
    batches = read(READER, late + line("reply evil.example is NXDOMAIN", 11))
    in_time = read(READER, line(asked()) + line("reply evil.example is NXDOMAIN", 10))

    assert answered(batches) == [("evil.example", 1, None), ("x.example", 1, None)]
    assert answered(in_time) == [("evil.example", 1, 3)]


def test_queries_that_wait_are_bounded() -> None:
    many = 20_000
    data = b"".join(line(f"{i} 192.0.2.17/{i} {asked()}") for i in range(1, many + 1))
    data += line("1 192.0.2.17/1 reply evil.example is NXDOMAIN")
    data += line(f"{many} 192.0.2.17/{many} reply evil.example is NXDOMAIN")
    found = rows(read(READER, data, chunk=100_000))

    assert len(found) == many
    assert sorted(one["client_port"] for one in found) == list(range(1, many + 1))
    assert {one["client_port"]: one["rcode"] for one in found}[many] == 3
    assert [one["rcode"] for one in found if one["client_port"] == 1] == [None]


def records(data: bytes, watchlist: Watchlist, mode: AnswersMode) -> list[tuple[Any, ...]]:
    options = ReadOptions(now=NOW, answers=mode)
    with ByteStream(io.BytesIO(data), "test.log", chunk=200) as stream:
        batches = list(READER.read(stream, watchlist, options))
    return sorted(
        (found["rrname"], found["rrtype"], found["rdata"], found["case"] is not None)
        for batch in batches
        if batch.answers is not None
        for found in batch.answers.to_pylist()
    )


CHAIN = log(
    asked("www.evil.example"),
    "reply www.evil.example is <CNAME>",
    "reply Cdn.example is <CNAME>",
    "reply a b.example is 198.51.100.7",
    "reply a b.example is 198.51.100.8",
    asked("other.example", "AAAA"),
    "cached other.example is 2001:db8::7",
    asked("local.example"),
    "config local.example is 192.0.2.99",
    asked("blocked.example"),
    "gravity blocked blocked.example is 0.0.0.0",
    asked("dead.example"),
    "reply dead.example is <CNAME>",
    "reply gone.example is NXDOMAIN",
)
EVIL = Watchlist.compile([Rule("demo", "below", "*.evil.example")])


def test_the_records_of_answers() -> None:
    of_evil = [
        ("cdn.example", 5, r"a\032b.example", True),
        ("www.evil.example", 5, "cdn.example", True),
        (r"a\032b.example", 1, "198.51.100.7", True),
        (r"a\032b.example", 1, "198.51.100.8", True),
    ]
    others = [
        ("dead.example", 5, "gone.example", False),
        ("other.example", 28, "2001:db8::7", False),
    ]

    assert records(CHAIN, EVIL, "watched") == sorted(of_evil)
    # What the configuration and the block lists say is no record of the DNS.
    everything = [(*record[:3], False) for record in of_evil + others]
    assert records(CHAIN, EVIL, "all") == sorted(everything)
    assert records(CHAIN, EVIL, "none") == []


def test_a_clock_fault_is_no_time_for_a_record() -> None:
    data = log(asked(), "reply evil.example is 198.51.100.7").replace(b"2015-", b"1995-")

    assert records(data, EVERYTHING, "all") == []
    assert counts(read(READER, data)) == [2, 0, 0, 2]


def test_a_watched_address_hits_once_per_query() -> None:
    watchlist = Watchlist.compile(
        [
            Rule("demo", "address", "198.51.100.0/24"),
            Rule("demo", "exact", "evil.example"),
        ]
    )
    data = log(
        asked("a.example"),
        "reply a.example is <CNAME>",
        "reply cdn.example is 198.51.100.7",
        "reply cdn.example is 198.51.100.8",
        asked("b.example"),
        "reply b.example is 203.0.113.1",
        asked("evil.example"),
        "/etc/hosts evil.example is 198.51.100.9",
    )
    for chunk in (1, 1 << 20):
        batches = read(READER, data, watchlist=watchlist, chunk=chunk)

        assert answered(batches) == [
            ("a.example", 1, 0),
            ("evil.example", 1, 0),
            ("evil.example", 1, 0),
        ]


@pytest.mark.parametrize(
    "text",
    [
        "started, version 2.90 cachesize 150",
        "read /etc/hosts - 7 names",
        "forwarded evil.example to 9.9.9.9#53",
        "nameserver 9.9.9.9 refused to do a recursive query",
        "ipset add bad 198.51.100.7 evil.example",
        "reply is truncated",
        "reply",
        "config",
        "gravity blocked",
        "7 192.0.2.17/53001",
        "UDP ",
        "",
    ],
)
def test_other_lines_are_skipped(text: str) -> None:
    batches = read(READER, log(asked()) + log(text) + log(asked()))

    assert counts(batches) == [2, 0, 1, 0]


def test_lines_of_other_programs_are_skipped() -> None:
    data = log(asked()) + b"Apr  8 12:00:00 gw sshd[1]: query[A] x.example from 192.0.2.1\n"
    data += b"2015-04-08T12:00:00Z gw dnsmasq-dhcp[812]: DHCPACK(eth0) 192.0.2.9 00:00:5e:00 tv\n"

    assert counts(read(READER, data)) == [1, 0, 2, 0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (log(asked("<name unprintable>")), "name"),
        (log(asked("a..b")), "name"),
        (log(asked("a" * 64)), "name"),
        (log(asked(".".join(["a" * 63] * 4))), "name"),
        (log(asked(kind="NEVER")), "fields"),
        (log(asked(kind="type=65536")), "fields"),
        (log(asked(kind="type=")), "fields"),
        (log("query[A evil.example from 192.0.2.1"), "fields"),
        (log("query[A] evil.example"), "fields"),
        (log("query[A] from 192.0.2.1"), "fields"),
        (log("query[A]evil.example from 192.0.2.1"), "fields"),
        (log("query["), "fields"),
        (log("query[A]"), "fields"),
        (log(asked(client="192.0.2.256")), "address"),
        (log(asked(client="here")), "address"),
        (log(asked()).replace(b"04-08", b"04-31"), "time"),
    ],
)
def test_queries_that_cannot_be_read_are_malformed(data: bytes, reason: str) -> None:
    good = log(asked())
    batches = read(READER, good + data + good)

    assert counts(batches) == [2, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert reason in why
    assert (offset, head) == (len(good), data.rstrip(b"\n")[:64])


def test_an_answer_whose_name_is_unprintable_is_still_an_answer() -> None:
    before = "7 192.0.2.17/53001 "
    found = row(READER, log(before + asked(), before + "reply <name unprintable> is NXDOMAIN"))

    assert found["rcode"] == 3


def test_the_last_line_is_left_until_it_has_an_end() -> None:
    data = log(asked(), "reply evil.example is NXDOMAIN")
    batches = read(READER, data + log(asked())[:-2])

    assert counts(batches) == [2, 0, 0, 0]
    assert any("not complete" in note for note in notes(batches))


def test_times_without_zone_are_utc_with_a_note() -> None:
    data = f"Apr  8 12:00:00 dnsmasq[1]: {asked()}\n".encode()
    batches = read(READER, data, year=2015)
    (berlin,) = rows(read(READER, data, year=2015, timezone=ZoneInfo("Europe/Berlin")))

    assert rows(batches)[0]["time"] == NOON
    assert any("read as UTC" in note for note in notes(batches))
    assert any("year 2015" in note for note in notes(batches))
    assert berlin["time"] == NOON - timedelta(hours=2)
    assert notes(read(READER, log(asked()))) == []


def test_an_hour_is_that_of_the_line() -> None:
    data = line(asked("a.example"), 3599) + line("reply a.example is NXDOMAIN", 3601)
    data = data.replace(b"12:60", b"13:00")

    assert hours(read(READER, data)) == {
        NOON: [1, NOON + timedelta(seconds=3599), NOON + timedelta(seconds=3599)],
        NOON + timedelta(hours=1): [
            1,
            NOON + timedelta(seconds=3601),
            NOON + timedelta(seconds=3601),
        ],
    }


def test_times_without_a_year_need_one() -> None:
    data = f"Apr  8 12:00:00 dnsmasq[1]: {asked()}\n".encode()

    with pytest.raises(FormatError, match=r"year(.|\n)*--year"):
        read(READER, data)
    batches = read(READER, log(asked()) + data)
    assert counts(batches) == [2, 0, 0, 1]
    assert any("without a year" in note for note in notes(batches))


def test_lines_without_time_are_clock_faults() -> None:
    batches = read(READER, f"dnsmasq: {asked()}\n".encode() * 3)

    assert counts(batches) == [3, 0, 0, 3]
    assert "3 queries have no time" in notes(batches)


def test_the_day_on_which_a_log_begins() -> None:
    data = f"Apr  8 12:00:00 dnsmasq[1]: {asked()}\n".encode()

    assert READER.first_day(data) == 31 + 29 + 31 + 7
    assert READER.first_day(log(asked())) is None
    assert READER.first_day(b"") is None
    assert READER.first_day(b"Apr  8 12:00:00 dnsmasq[1]: started\n") is None


TEXTS = [
    asked(),
    asked(kind="AAAA"),
    asked("b.example"),
    "1 192.0.2.17/53001 " + asked(),
    "2 192.0.2.17/53002 " + asked(),
    "1 192.0.2.17/53001 reply evil.example is 198.51.100.7",
    "2 192.0.2.17/53002 reply evil.example is NXDOMAIN",
    "forwarded evil.example to 9.9.9.9",
    "reply evil.example is <CNAME>",
    "reply b.example is 198.51.100.7",
    "reply b.example is 2001:db8::7",
    "cached evil.example is NXDOMAIN",
    "reply error is SERVFAIL",
    "started",
]


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.tuples(st.sampled_from(TEXTS), st.integers(0, 12)), max_size=25),
    chunk=st.integers(1, 400),
)
def test_every_query_is_one_row_wherever_it_is_cut(
    texts: list[tuple[str, int]], chunk: int
) -> None:
    second = 0
    data = b""
    for text, later in texts:
        second += later
        data += line(text, second)
    whole, parts = read(READER, data), read(READER, data, chunk=chunk)

    assert rows(parts) == rows(whole)
    assert counts(parts) == counts(whole)
    queries = [index for index, (text, _) in enumerate(texts) if "query[" in text]
    assert len(rows(whole)) == len(queries) == sum(batch.query_messages for batch in whole)
    assert sum(counts(whole)[:3]) == len(texts)
    for found in rows(whole):
        assert found["address"] == v4(CLIENT)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_mutated_lines_never_raise(data: st.DataObject) -> None:
    text = bytearray(log(*data.draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4))))
    for _ in range(data.draw(st.integers(1, 6))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        batches = read(READER, bytes(text), chunk=data.draw(st.integers(1, 200)))
    except FormatError:
        return

    # Answers may be clock faults too.
    queries = sum(batch.query_messages for batch in batches)
    assert queries - counts(batches)[3] <= len(rows(batches)) <= queries


@pytest.mark.parametrize(
    "data",
    [
        b"",
        log("started, version 2.90"),
        log("reply evil.example is 192.0.2.1"),
        b"query[A] evil.example from 192.0.2.1\n",
        b'{"message":"dnsmasq: query[A] evil.example"}\n',
        b"Apr  8 12:00:00 notdnsmasq[1]: query[A] evil.example from 192.0.2.1\n",
    ],
)
def test_what_is_not_recognised(data: bytes) -> None:
    assert not READER.sniff(data)

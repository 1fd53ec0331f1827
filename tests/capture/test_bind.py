from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.bind import BindReader
from remnant.capture.text_types import TYPES
from remnant.errors import FormatError
from textlogs import counts, hours, notes, packed, quarantine, read, row, rows, v4

if TYPE_CHECKING:
    from remnant.capture import Batch

READER = BindReader()
STAMP = "08-Apr-2015 12:00:00.123 "
NOON = datetime(2015, 4, 8, 12, tzinfo=UTC)


def line(text: str, stamp: str = STAMP) -> bytes:
    return (stamp + text + "\n").encode("latin-1")


GOOD = line("client 192.0.2.17#43250: query: a.example IN A +")

SHAPES = {
    "9.2": ("client 192.0.2.17#43250: query: Evil.example IN AAAA", None, None),
    "9.3": ("client 192.0.2.17#43250: query: Evil.example IN AAAA +SE", None, None),
    "9.4 view": (
        "client 192.0.2.17#43250: view internal: query: Evil.example IN AAAA -",
        None,
        None,
    ),
    "9.5": ("client 192.0.2.17#43250: query: Evil.example IN AAAA +EDC", None, None),
    "9.7": (
        "client 192.0.2.17#43250: query: Evil.example IN AAAA +ETDC (198.51.100.53)",
        "tcp",
        None,
    ),
    "9.9": (
        "client 192.0.2.17#43250 (Evil.example): view v: query: Evil.example IN AAAA +E "
        "(198.51.100.53)",
        "udp",
        None,
    ),
    "9.10 key": (
        "client 192.0.2.17#43250/key tsig.key (x): query: Evil.example IN AAAA +S (2001:db8::53)",
        "udp",
        None,
    ),
    "9.11": (
        "client @0x7f8a4c0b1d50 192.0.2.17#43250 (Evil.example): query: Evil.example IN AAAA "
        "+E(0)K (198.51.100.53)",
        "udp",
        None,
    ),
    "9.12": (
        "client @0x7f8a4c0b1d50 192.0.2.17#43250 (Evil.example): view _default: query: "
        "Evil.example IN AAAA -SE(1)TDCV (198.51.100.53) [ECS 203.0.113.77/24/0]",
        "tcp",
        b"\0" * 10 + b"\xff\xff" + bytes([203, 0, 113, 0, 120]),
    ),
    "9.20": (
        "client @0x7f8a4c0b1d50 192.0.2.17#43250 (Evil.example): query: Evil.example IN AAAA "
        "+E(0)STDCK (198.51.100.53) [ECS 2001:db8:ffff::/33/0]",
        "tcp",
        ipaddress.ip_address("2001:db8:8000::").packed + bytes([33]),
    ),
    "main": (
        "client @0x7f8a4c0b1d50 192.0.2.17#43250 (Evil.example): query: Evil.example IN AAAA "
        "+E(0)K (198.51.100.53#5353)",
        "udp",
        None,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape(shape: str) -> None:
    text, transport, ecs = SHAPES[shape]
    found = row(READER, line(text))

    assert found == {
        "time": NOON + timedelta(microseconds=123000),
        "offset": 0,
        "response": False,
        "sensor": None,
        "vantage": "resolver",
        "address": v4("192.0.2.17"),
        "ecs": ecs,
        "client_port": 43250,
        "service_port": 5353 if shape == "main" else None,
        "transport": transport,
        "name": "evil.example",
        "case_bits": 1,
        "qtype": 28,
        "rcode": None,
        "entry": 0,
        "proof": "dns_tcp" if transport == "tcp" else "dns_udp",
        "weight": 1,
        "detail": None,
        "limited": False,
    }


@pytest.mark.parametrize("category", ["", "queries: "])
@pytest.mark.parametrize("severity", ["", "info: ", "debug 1: ", "notice: "])
@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("08-Apr-2015 12:00:00.123 ", NOON + timedelta(milliseconds=123)),
        ("8-Apr-2015 12:00:00 ", NOON),
        ("2015-04-08T12:00:00.123 ", NOON + timedelta(milliseconds=123)),
        ("2015-04-08T12:00:00.123Z ", NOON + timedelta(milliseconds=123)),
        ("2015-04-08T14:00:00.000+02:00 ", NOON),
        ("2015-04-08 12:00:00 ", NOON),
        ("Apr  8 12:00:00 ns1 named[812]: ", NOON),
        ("<30>Apr 08 12:00:00 client named: ", NOON),
        (
            "2015-04-08T12:00:00.123456+00:00 10.0.0.1 named[1]: ",
            NOON + timedelta(microseconds=123456),
        ),
        ("Apr  8 19:30:00 ns1 named[812]: 08-Apr-2015 12:00:00.000 ", NOON),
        # A zone that syslog states is not overridden by a time that states none.
        ("2015-04-08T14:00:00+02:00 ns1 named[12]: 08-Apr-2015 14:00:00.000 ", NOON),
        ("2015-04-08T14:00:00+02:00 Apr  8 14:00:00 ns1 named[12]: ", NOON),
        ("08-Apr-2015 14:00:00.000 relay: 2015-04-08T14:00:00+02:00 ns1 named[12]: ", NOON),
    ],
)
def test_every_prefix(stamp: str, time: datetime, category: str, severity: str) -> None:
    text = f"{category}{severity}client 192.0.2.17#43250: query: a.example IN A +"
    found = row(READER, line(text, stamp), year=2015)

    assert found["time"] == time
    assert found["client_port"] == 43250


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("2001:db8:111:2:12:", "2001:db8:111:2:12:"),
        ("a#b.example", "a#b.example"),
        (r"\(x\).\"q\".example", '(x)."q".example'),
        (r"\032\000\255.a\.b.\\.example", r"\032\000\255.a\.b.\\.example"),
        ("query:.example", "query:.example"),
        (".", "."),
        ("EXAMPLE.", "example"),
    ],
)
def test_odd_names(written: str, name: str) -> None:
    text = (
        f"client fe80::1%eth0#53 ({written}): view a: b: query: {written} IN A -E(0) (fe80::2%eth0)"
    )
    found = row(READER, line(text))

    assert found["name"] == name
    assert found["address"] == ipaddress.ip_address("fe80::1").packed


def test_the_name_asked_for_counts_and_not_the_one_in_the_header() -> None:
    text = "client 192.0.2.1#1 (start.example): query: target.example IN A + (192.0.2.53)"

    assert row(READER, line(text))["name"] == "target.example"


def test_the_reserved_type_and_class() -> None:
    found = row(READER, line("client 192.0.2.1#1: query: a.example RESERVED0 RESERVED0 +"))

    assert found["qtype"] == 0


@pytest.mark.parametrize("written", ["A", "ANY", "TYPE65", "HTTPS", "NSEC3PARAM", "TYPE65280"])
def test_types(written: str) -> None:
    found = row(READER, line(f"client 192.0.2.1#1: query: a.example CLASS3 {written} +"))

    number = TYPES.get(written) or int(written.removeprefix("TYPE"))
    assert found["qtype"] == number


@pytest.mark.parametrize(
    "text",
    [
        "client 192.0.2.1#1 (x.example): query (cache) 'x.example/ANY/IN' denied",
        "client 192.0.2.1#1 (x.example): rpz QNAME NXDOMAIN rewrite x.example via x.example.rpz",
        "client 192.0.2.1#1 (x.example): query failed (SERVFAIL) for x.example/IN/A at query.c:1",
        "zone example/IN: loaded serial 1",
        "received control channel command 'querylog'",
        "client ",
        "client 192.0.2.1",
        "x",
    ],
)
def test_other_lines_are_skipped(text: str) -> None:
    batches = read(READER, GOOD + line(text) + GOOD)

    assert counts(batches) == [2, 0, 1, 0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (line("client 192.0.2.1#1: query: a..b IN A +"), "name"),
        (line("client 192.0.2.1#1: query: a.example XX A +"), "fields"),
        (line("client 192.0.2.1#1: query: a.example IN NEVER +"), "fields"),
        (line("client 192.0.2.1#1: query: a.example IN A E"), "fields"),
        (line("client 192.0.2.1#1: query: a.example IN A +E(0"), "fields"),
        (line("client 192.0.2.1#1: query: a.example IN A + (192.0.2"), "fields"),
        (
            line("client 192.0.2.1#1: query: a.example IN A + (192.0.2.1) [ECS 192.0.2.0/33/0]"),
            "fields",
        ),
        (
            line("client 192.0.2.1#1: query: a.example IN A + (192.0.2.1) [ECS 192.0.2.0/3"),
            "fields",
        ),
        (line("client 192.0.2.1#1: query: a.example"), "fields"),
        (line("client 192.0.2.1#1: query: "), "name"),
        (line("client 192.0.2.1#1: response: a..b IN A NOERROR 1 0 1 +"), "name"),
        (line("client 192.0.2.1#1: response: a.example IN A NOSUCH 1 0 1 +"), "fields"),
        (line("client 192.0.2.1#1: response: a.example IN A NOERROR 1 x 1 +"), "fields"),
        (line("client 192.0.2.1#1: response: a.example IN A NOERROR 1 0"), "fields"),
        (line("client 192.0.2.1#1: response: a.example IN A"), "fields"),
        (line("client 192.0.2.1#65536: query: a.example IN A +"), "fields"),
        (line("client 192.0.2.1#1: query: a.example IN A +", "08-Avr-2015 12:00:00.123 "), "time"),
        (line("client 192.0.2.1#1: query: a.example IN A +", "31-Feb-2015 12:00:00.123 "), "time"),
        (line("client 192.0.2.1#1: query: a.example IN A +", "2015-04-08T25:00:00 "), "time"),
    ],
)
def test_query_lines_that_cannot_be_read_are_malformed(data: bytes, reason: str) -> None:
    batches = read(READER, GOOD + data + GOOD)

    assert counts(batches) == [2, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert reason in why
    assert (offset, head) == (len(GOOD), data.rstrip(b"\n")[:64])


RESPONSE = (
    "client @0x7f 192.0.2.17#43250 (a.example): response: A.example IN A {} 1 0 1 +E(0)TK (::1)"
)


@pytest.mark.parametrize(
    ("rcode", "number"),
    [("NOERROR", 0), ("NXDOMAIN", 3), ("REFUSED", 5), ("BADCOOKIE", 23), ("RESERVED11", 11)],
)
def test_a_response_gives_its_query_the_rcode(rcode: str, number: int) -> None:
    asked = line("client @0x7f 192.0.2.17#43250 (a.example): query: a.example IN A +E(0)TK (::1)")
    batches = read(READER, asked + line(RESPONSE.format(rcode), "08-Apr-2015 12:00:03.500 "))

    (found,) = rows(batches)
    assert (found["rcode"], found["response"], found["offset"]) == (number, False, 0)
    assert counts(batches) == [2, 0, 0, 0]
    assert sum(batch.query_messages for batch in batches) == 1


@pytest.mark.parametrize("ecs", ["[ECS 203.0.113.0/24/0]", " [ECS 203.0.113.0/24/0]"])
def test_a_log_of_responses_alone_counts_them(ecs: str) -> None:
    batches = read(READER, line(RESPONSE.format("SERVFAIL") + ecs) * 2)

    found = rows(batches)
    assert [row["response"] for row in found] == [True, True]
    assert [row["rcode"] for row in found] == [2, 2]
    assert found[0]["ecs"] == v4("203.0.113.0") + bytes([120])
    assert found[0]["case_bits"] == 1
    assert sum(batch.query_messages for batch in batches) == 0
    assert READER.sniff(line(RESPONSE.format("SERVFAIL")))


def test_a_response_to_another_port_is_of_another_query() -> None:
    asked = line("client 192.0.2.17#43251 (a.example): query: a.example IN A +E(0)TK (::1)")
    (found,) = rows(read(READER, asked + line(RESPONSE.format("NOERROR"))))

    assert found["rcode"] is None


def test_lines_that_name_no_client_are_skipped_with_a_note() -> None:
    data = line("client @0x7f (no-peer) (x): query: a.example IN A +E(0)K (::1#53)")
    batches = read(READER, GOOD + data)

    assert counts(batches) == [1, 0, 1, 0]
    assert any("no-peer" in note and note.startswith("1 ") for note in notes(batches))


def test_policy_hits_are_not_counted_with_queries() -> None:
    hit = line("client 192.0.2.17#43250 (a.example): rpz QNAME DROP rewrite a.example/A/IN via r")
    batches = read(READER, GOOD + hit)

    assert counts(batches) == [1, 0, 1, 0]
    assert any("--input-format bind-rpz" in note for note in notes(batches))


def test_times_without_zone_are_utc_with_a_note() -> None:
    batches = read(READER, GOOD)

    assert rows(batches)[0]["time"] == NOON + timedelta(milliseconds=123)
    assert any("read as UTC" in note for note in notes(batches))
    zoned = read(READER, GOOD.replace(b"08-Apr-2015 12:00:00.123", b"2015-04-08T12:00:00.123Z"))
    assert notes(zoned) == []


def at(stamp: str, timezone: str) -> list[Batch]:
    data = line("client 192.0.2.1#1: query: a.example IN A +", stamp)
    return read(READER, data, timezone=ZoneInfo(timezone))


def test_a_zone_can_be_said() -> None:
    (found,) = rows(at("08-Apr-2015 14:00:00.000 ", "Europe/Berlin"))

    assert found["time"] == NOON
    assert notes(at("08-Apr-2015 14:00:00.000 ", "Europe/Berlin")) == []
    # A zone that the line states wins.
    assert rows(at("2015-04-08T12:00:00.000Z ", "Europe/Berlin"))[0]["time"] == NOON


@pytest.mark.parametrize("stamp", ["25-Oct-2015 02:30:00.000 ", "29-Mar-2015 02:30:00.000 "])
def test_hours_shown_twice_or_never_are_clock_faults(stamp: str) -> None:
    batches = at(stamp, "Europe/Berlin")

    assert rows(batches) == []
    assert counts(batches) == [1, 0, 0, 1]
    assert hours(batches) == {None: [1, None, None]}


def test_lines_without_time_are_clock_faults_with_a_hint() -> None:
    batches = read(READER, line("client 192.0.2.1#1: query: a.example IN A +", "") * 3)

    assert counts(batches) == [3, 0, 0, 3]
    assert any("print-time yes" in note and note.startswith("3 ") for note in notes(batches))


def syslog(stamp: str) -> bytes:
    return line("client 192.0.2.1#1: query: a.example IN A +", f"{stamp} ns1 named[1]: ")


def test_syslog_times_need_a_year() -> None:
    with pytest.raises(FormatError, match=r"year(.|\n)*--year"):
        read(READER, line("zone example/IN: loaded") + syslog("Apr  8 12:00:00") + GOOD)


def test_single_lines_without_a_year_are_clock_faults() -> None:
    batches = read(READER, GOOD + syslog("Apr  8 12:00:00"))

    assert counts(batches) == [2, 0, 0, 1]
    assert any("without a year" in note for note in notes(batches))


def test_the_year_moves_on_with_the_months() -> None:
    stamps = [
        "Nov 30 00:00:00",
        "Dec 31 23:59:59",
        "Jan  1 00:00:00",
        "Dec 31 23:59:59",
        "Feb 28 00:00:00",
    ]
    for chunk in (50, 1 << 20):
        batches = read(READER, b"".join(map(syslog, stamps)), year=2014, chunk=chunk)

        assert [r["time"].year for r in rows(batches)] == [2014, 2014, 2015, 2014, 2015]


def test_an_assumed_year_is_noted() -> None:
    assert "year 2014 assumed for the first line" in notes(
        read(READER, syslog("Apr  8 12:00:00"), year=2014)
    )
    assert not any("2014" in note for note in notes(read(READER, GOOD, year=2014)))


def test_the_first_day_of_a_log_without_years() -> None:
    assert READER.first_day(line("zone x/IN: loaded") + syslog("Jan  1 12:00:00")) == 0
    assert READER.first_day(syslog("Feb 29 12:00:00")) == 59
    assert READER.first_day(syslog("Dec 31 23:59:59").rstrip()) == 365
    assert READER.first_day(GOOD + syslog("Jan  1 12:00:00")) is None
    assert READER.first_day(b"") is None


@pytest.mark.parametrize("month", ["Avr", "avr.", "Mär", "d\xc3\xa9c.", "Ag"])
def test_months_of_another_language_are_told(month: str) -> None:
    bad = line("client 192.0.2.1#1: query: a.example IN A +", f"08-{month}-2015 12:00:00.123 ")
    (told,) = [note for note in notes(read(READER, GOOD + bad + bad)) if "LC_TIME" in note]

    assert told.startswith("2 lines")


@pytest.mark.parametrize("stamp", ["31-Feb-2015 12:00:00 ", "2015-04-08T25:00:00 ", "1-2-3 "])
def test_other_bad_times_are_not_of_another_language(stamp: str) -> None:
    bad = line("client 192.0.2.1#1: query: a.example IN A +", stamp)

    assert not any("LC_TIME" in note for note in notes(read(READER, GOOD + bad)))


def test_carriage_returns_nul_bytes_and_invalid_utf8() -> None:
    data = GOOD.replace(b"\n", b"\r\n") + b"\r\n\n# note\n" + GOOD.replace(b"a.example", b"\0\xff")
    batches = read(READER, data)

    assert [r["name"] for r in rows(batches)] == ["a.example", "\\000\\255"]
    assert counts(batches) == [2, 0, 0, 0]


def test_a_last_line_without_line_feed_is_read_if_it_is_complete() -> None:
    last = line("client 192.0.2.1#1 (b): query: b.example IN A +E(0)K (192.0.2.53)")
    whole = read(READER, GOOD + last[:-1])
    cut = read(READER, GOOD + last[:-3])

    assert [r["name"] for r in rows(whole)] == ["a.example", "b.example"]
    assert [r["name"] for r in rows(cut)] == ["a.example"]
    assert max(batch.end for batch in cut) == len(GOOD)
    assert any("not complete" in note for note in notes(cut))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                GOOD,
                line(SHAPES["9.12"][0]),
                line("client 192.0.2.1#1: query: a..b IN A +"),
                line("zone example/IN: loaded"),
                line("client 192.0.2.1#1: query: c.example IN A +", ""),
                line("client 192.0.2.1#1: query: d.example IN A +", "01-Jan-1970 00:00:00.000 "),
                b"\n",
                b"# x\n",
            ]
        ),
        max_size=8,
    ),
    st.integers(1, 400),
)
def test_any_chunk_size_gives_the_same(lines: list[bytes], chunk: int) -> None:
    data = b"".join(lines)
    whole = read(READER, data)
    parts = read(READER, data, chunk=chunk)

    assert rows(parts) == rows(whole)
    assert counts(parts) == counts(whole)
    assert hours(parts) == hours(whole)
    assert quarantine(parts) == quarantine(whole)
    assert notes(parts) == notes(whole)
    assert sum(batch.records for batch in parts) == sum(
        not (text.startswith(b"#") or text == b"\n") for text in lines
    )


def test_a_line_over_64_kib_is_malformed_wherever_it_stands() -> None:
    long = line("client 192.0.2.1#1: query: " + "a" * 70_000 + " IN A +")
    for chunk in (1 << 10, 1 << 14, 1 << 20):
        batches = read(READER, GOOD + long + GOOD, chunk=chunk)

        assert counts(batches) == [2, 1, 0, 0]
        assert quarantine(batches) == [(len(GOOD), "the line is longer than 64 KiB", long[:64])]


LABELS = st.binary(min_size=1, max_size=12)


def spelled(label: bytes) -> str:
    out = ""
    for byte in label:
        if byte in b'.\\"();@$':
            out += "\\" + chr(byte)
        elif 33 <= byte <= 126:
            out += chr(byte)
        else:
            out += f"\\{byte:03d}"
    return out


@settings(max_examples=100, deadline=None)
@given(
    st.ip_addresses(),
    st.integers(0, 65535),
    st.lists(LABELS, min_size=1, max_size=5),
    st.sampled_from(sorted(TYPES)),
    st.datetimes(datetime(2000, 1, 1), datetime(2025, 12, 31)),  # noqa: DTZ001
    st.sampled_from(["", ": view x y", "/key k"]),
    st.sampled_from("+-"),
    st.booleans(),
)
def test_generated_lines_come_back(
    address: ipaddress.IPv4Address,
    port: int,
    labels: list[bytes],
    qtype: str,
    time: datetime,
    between: str,
    sign: str,
    tcp: bool,
) -> None:
    name = ".".join(map(spelled, labels))
    stamp = time.strftime("%d-%b-%Y %H:%M:%S.") + f"{time.microsecond // 1000:03d} "
    flags = f"{sign}E(0){'T' if tcp else ''}K"
    peer = f"client @0xab {address}#{port} ({name}){between}"
    text = f"{peer}: query: {name} IN {qtype} {flags} (192.0.2.53)"
    found = row(READER, line(text, stamp))

    assert found["address"] == packed(address)
    assert (found["client_port"], found["qtype"]) == (port, TYPES[qtype])
    assert found["time"] == time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=UTC)
    assert found["transport"] == ("tcp" if tcp else "udp")
    assert found["name"].count(".") >= len(labels) - 1


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_lines_never_raise(data: st.DataObject) -> None:
    mutated = bytearray(line(SHAPES["9.12"][0]) + GOOD)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    batches = read(READER, bytes(mutated), year=2015)

    assert sum(batch.records for batch in batches) <= mutated.count(b"\n") + 1


@pytest.mark.parametrize("shape", SHAPES)
def test_sniff_knows_every_shape(shape: str) -> None:
    text = line(SHAPES[shape][0])

    assert READER.sniff(text)
    assert READER.sniff(b"\n" + line("zone example/IN: loaded") * 5 + text)
    assert READER.sniff(line(SHAPES[shape][0], "Apr  8 12:00:00 ns1 named[1]: "))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0" * 100,
        b"client query: nothing\n",
        b"08-Apr-2015 12:00:00.123 zone example/IN: loaded\n",
        b'{"message":"client 192.0.2.1#1: query: a.example IN A +"}\n',
        b"#separator \\x09\n#fields\tts\tid.orig_h\tquery\n",
    ],
)
def test_sniff_claims_nothing_else(head: bytes) -> None:
    assert not READER.sniff(head)

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.pdns_auth import PdnsAuthReader
from remnant.errors import FormatError
from textlogs import counts, notes, quarantine, read, row, rows, v4

READER = PdnsAuthReader()
NOON = datetime(2015, 4, 8, 12, tzinfo=UTC)
STAMP = "2015-04-08T12:00:00Z ns1 pdns_server[8]: "
SUBNET = b"\0" * 10 + b"\xff\xff" + bytes([203, 0, 113, 0, 120])


def line(text: str, stamp: str = STAMP) -> bytes:
    return (stamp + text + "\n").encode("latin-1")


def wants(name: str = "evil.example", kind: str = "A", remote: str = "192.0.2.17") -> str:
    return f"Remote {remote} wants '{name}|{kind}', do = 0, bufsize = 1232: packetcache MISS"


def fields(**changed: str | None) -> bytes:
    """Write a structured line, which has its fields in the order of their keys."""
    values: dict[str, str | None] = {
        "dnssec": "0",
        "max reply length": "1232",
        "query": "evil.example",
        "remote": "192.0.2.17",
        "type": "A",
        **changed,
    }
    rest = " ".join(f'{key}="{value}"' for key, value in values.items() if value is not None)
    head = 'msg="Query received" subsystem="pdns" level="0" prio="Notice" tid="3"'
    return line(f'{head} ts="1428494400.250" {rest}', "Apr 08 12:00:00 ")


GOOD = line(wants())


def test_a_query() -> None:
    assert row(READER, line(wants("Evil.example", "AAAA"))) == {
        "time": NOON,
        "offset": 0,
        "response": False,
        "sensor": None,
        "vantage": "authority",
        "address": v4("192.0.2.17"),
        "ecs": None,
        "client_port": None,
        "service_port": None,
        "transport": "udp",
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
    "end",
    [
        ", do = 0, bufsize = 512",
        ", do = 1, bufsize = 1232 (4096): packetcache HIT",
        ", do = 0, bufsize = 512: Dropped query, backends are overloaded",
        ", do = 0, bufsize = 512: packetcache MISS\r",
        "",
    ],
)
def test_every_end_of_a_line(end: str) -> None:
    found = row(READER, line(f"TCP Remote ::1 wants 'evil.example|MX'{end or ','}"))

    assert (found["transport"], found["proof"], found["qtype"]) == ("tcp", "dns_tcp", 15)
    assert found["address"] == ipaddress.ip_address("::1").packed


@pytest.mark.parametrize(
    ("remote", "address", "ecs"),
    [
        ("192.0.2.17<-203.0.113.0/24", v4("192.0.2.17"), SUBNET),
        ("192.0.2.17<-203.0.113.77/24", v4("192.0.2.17"), SUBNET),
        (
            "2001:db8::17<-2001:db8:ff00::/40",
            ipaddress.ip_address("2001:db8::17").packed,
            ipaddress.ip_address("2001:db8:ff00::").packed + bytes([40]),
        ),
        ("192.0.2.17<-0.0.0.0/0", v4("192.0.2.17"), b"\0" * 10 + b"\xff\xff" + bytes(4) + b"\x60"),
        ("192.0.2.53(198.51.100.7)", v4("198.51.100.7"), None),
        ("192.0.2.53(2001:db8::7)", ipaddress.ip_address("2001:db8::7").packed, None),
        ("192.0.2.53(198.51.100.7)<-203.0.113.0/24", v4("198.51.100.7"), SUBNET),
    ],
)
def test_who_asked(remote: str, address: bytes, ecs: bytes | None) -> None:
    for data in (line(wants(remote=remote)), fields(remote=remote)):
        found = row(READER, data)

        assert READER.sniff(data)
        assert (found["address"], found["ecs"]) == (address, ecs)


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("Apr 08 12:00:00 ", NOON),
        ("Apr  8 12:00:00 ns1 pdns[8]: ", NOON),
        ("<30>Apr  8 12:00:00 ns1 pdns[8]: ", NOON),
        ("2015-04-08T14:00:00.250+02:00 ns1 pdns: ", NOON + timedelta(milliseconds=250)),
        ("Apr  8 19:00:00 relay Apr  8 12:00:00 ", NOON),
    ],
)
@pytest.mark.parametrize("transport", ["", "TCP "])
def test_every_prefix(stamp: str, time: datetime, transport: str) -> None:
    assert row(READER, line(transport + wants(), stamp), year=2015)["time"] == time


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (".", "."),
        (r"a\032b.example", r"a\032b.example"),
        (r"d\.ot.example", r"d\.ot.example"),
        (r"b\\s.example", r"b\\s.example"),
        (r"b\255.example", r"b\255.example"),
        ("q'uote.example", "q'uote.example"),
        ("pi|pe.example", "pi|pe.example"),
        ("',.example", "',.example"),
        ("EXAMPLE.", "example"),
    ],
)
def test_odd_names(written: str, name: str) -> None:
    structured = written.replace("\\", "\\\\").replace('"', '\\"')

    assert row(READER, line(wants(written)))["name"] == name
    assert row(READER, fields(query=structured))["name"] == name


def test_a_structured_query() -> None:
    found = row(READER, fields(query=r"q\"d.Evil.example", type="TYPE65280"))

    assert found["name"] == 'q"d.evil.example'
    assert found["qtype"] == 65280
    assert found["time"] == NOON + timedelta(milliseconds=250)
    # These lines do not say how the query came in.
    assert (found["transport"], found["proof"]) == (None, "dns_udp")
    tcp = fields().replace(b"Query received", b"TCP query received")
    assert row(READER, tcp)["transport"] == "tcp"


def test_structured_lines_need_no_year_and_no_zone() -> None:
    batches = read(READER, fields(), timezone=ZoneInfo("Europe/Berlin"))

    assert rows(batches)[0]["time"] == NOON + timedelta(milliseconds=250)
    assert notes(batches) == []
    assert READER.first_day(fields()) is None


@pytest.mark.parametrize(
    "text",
    [
        "Done launching threads, ready to distribute questions",
        "AXFR-out zone 'evil.example', client '192.0.2.17', transfer initiated",
        "Lookup for 'ANY' of 'evil.example' within zoneID 1",
        "Received a malformed qdomain from 192.0.2.17, 'q'uote.evil.example': sending servfail",
        "Remote 192.0.2.17",
        "Remote ",
        "TCP ",
        'msg="packetcache HIT" subsystem="pdns" ts="1428494400.250"',
        'msg="',
        "x",
    ],
)
def test_other_lines_are_skipped(text: str) -> None:
    assert counts(read(READER, GOOD + line(text) + GOOD)) == [2, 0, 1, 0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (line(wants("a..b")), "name"),
        (line(wants("")), "fields"),
        (line(wants(kind="NEVER")), "fields"),
        (line(wants(kind="")), "fields"),
        (line("Remote 192.0.2.17 wants 'evil.example'"), "fields"),
        (line("Remote 192.0.2.17 wants 'evil.example|A"), "fields"),
        (line("Remote 192.0.2.17 wants '"), "fields"),
        (line(wants(remote="here")), "address"),
        (line(wants(remote="192.0.2.17<-203.0.113.0/33")), "address"),
        (line(wants(remote="192.0.2.17<-")), "address"),
        (line(wants(remote="192.0.2.17(198.51.100.7")), "address"),
        (line(wants(), "2015-04-31T12:00:00Z "), "time"),
        (fields(query="a..b"), "name"),
        (fields(query=None), "fields"),
        (fields(query="a" * 3000), "fields"),
        (fields(type=None), "fields"),
        (fields(type="NEVER"), "fields"),
        (fields(remote=None), "fields"),
        (fields(remote="here"), "address"),
        (fields().replace(b'"A"', b'"A'), "fields"),
        (fields().replace(b'type="A"', b"type"), "fields"),
        (fields().replace(b"1428494400.250", b"noon"), "time"),
        (fields().replace(b"ts=", b"tz="), "time"),
    ],
)
def test_queries_that_cannot_be_read_are_malformed(data: bytes, reason: str) -> None:
    batches = read(READER, GOOD + data + GOOD)

    assert counts(batches) == [2, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert reason in why
    assert (offset, head) == (len(GOOD), data.rstrip(b"\n")[:64])


def test_times_without_a_year_need_one() -> None:
    data = line(wants(), "Apr 08 12:00:00 ")

    with pytest.raises(FormatError, match=r"year(.|\n)*--year"):
        read(READER, data)
    assert READER.first_day(data) == 31 + 29 + 31 + 7
    batches = read(READER, GOOD + data)
    assert counts(batches) == [2, 0, 0, 1]
    assert any("without a year" in note for note in notes(batches))


def test_times_without_zone_are_utc_with_a_note() -> None:
    data = line(wants(), "Apr 08 12:00:00 ")
    batches = read(READER, data, year=2015)

    assert rows(batches)[0]["time"] == NOON
    assert any("read as UTC" in note for note in notes(batches))
    (berlin,) = rows(read(READER, data, year=2015, timezone=ZoneInfo("Europe/Berlin")))
    assert berlin["time"] == NOON - timedelta(hours=2)


@pytest.mark.parametrize("stamp", ["", "ns1 pdns[8]: "])
def test_lines_without_time_are_clock_faults(stamp: str) -> None:
    batches = read(READER, line(wants(), stamp) * 3)

    assert counts(batches) == [3, 0, 0, 3]
    assert any("log-timestamp" in note and note.startswith("3 ") for note in notes(batches))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_mutated_lines_never_raise(data: st.DataObject) -> None:
    text = bytearray(GOOD + fields() + line("TCP " + wants(remote="::1<-2001:db8::/32")))
    for _ in range(data.draw(st.integers(1, 6))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        batches = read(READER, bytes(text), chunk=data.draw(st.integers(1, 200)))
    except FormatError:
        return

    messages, _, _, faults = counts(batches)
    assert len(rows(batches)) == messages - faults


@pytest.mark.parametrize(
    "data",
    [
        b"",
        line("Remote 192.0.2.17 wants nothing"),
        line("Lookup for 'ANY' of 'evil.example' within zoneID 1"),
        b'{"msg":"Query received"}\n',
    ],
)
def test_what_is_not_recognised(data: bytes) -> None:
    assert not READER.sniff(data)

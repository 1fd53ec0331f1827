"""What every registered reader keeps to, whatever its format."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cdns_writer
import pcap_writer
import powerdns_writer
from remnant.capture import QUARANTINE_LIMIT
from remnant.capture.readers import READERS, recognise
from remnant.errors import FormatError
from remnant.schema import VANTAGES
from remnant.watchlist import Watchlist
from textlogs import counts, notes, quarantine, read, rows

ZEEK = (
    b"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n"
    b"#fields\tts\tid.orig_h\tid.orig_p\tid.resp_p\tproto\tquery\tqtype\trcode\tanswers\n"
    b"1428494400.250000\t192.0.2.17\t43250\t53\tudp\tNs1.evil.example\t28\t3\t-\n"
    b"1428494401.250000\t2001:db8::17\t43250\t53\ttcp\ta\\x20b.example\t1\t0\t192.0.2.1,x.y\n"
    b"not a row\n"
)
ZEEK_JSON = (
    b'{"ts":1428494400.25,"id.orig_h":"192.0.2.17","id.orig_p":43250,"id.resp_p":53,"proto":"udp",'
    b'"query":"ns1.evil.example","qtype":28,"rcode":3,"answers":["192.0.2.1","a\\\\x20b"]}\n'
    b'{"ts":1428494401.25,"id.orig_h":"2001:db8::17","query":"a\\u00e9.example"}\n'
    b'{"broken":\n'
)
BIND = (
    b"08-Apr-2015 12:00:00.123 queries: info: client @0x7f8a4c0b1d50 192.0.2.17#43250 (x): "
    b"query: Ns1.evil.example IN AAAA +E(0)TK (198.51.100.53) [ECS 203.0.113.0/24/0]\n"
    b"08-Apr-2015 12:00:01.123 general: info: zone example/IN: loaded\n"
    b"08-Apr-2015 12:00:02.123 queries: info: client 192.0.2.17#1: query: a..b IN A +\n"
)
BIND_RESPONSES = (
    b"2015-04-08T12:00:00.123Z responses: info: client @0x7f8a4c0b1d50 192.0.2.17#43250 (x): "
    b"response: Ns1.evil.example IN AAAA NXDOMAIN 0 1 1 +E(0)TK (198.51.100.53)\n"
    b"2015-04-08T12:00:00.123Z responses: info: client 192.0.2.17#1: response: a..b IN A\n"
)
BIND_BOTH = BIND + BIND_RESPONSES
BIND_RPZ = (
    b"08-Apr-2015 12:00:00.123 rpz: info: client @0x7f8a4c0b1d50 192.0.2.17#43250 "
    b"(Ns1.evil.example): view v: rpz QNAME NXDOMAIN rewrite Ns1.evil.example/A/IN via "
    b"ns1.evil.example.rpz.local\n"
    b"08-Apr-2015 12:00:00.123 rpz: info: client 192.0.2.17#43250: disabled rpz IP DROP rewrite "
    b"ns1.evil.example via 32.7.2.0.192.rpz-ip.rpz.local\n"
    b"08-Apr-2015 12:00:01.123 rpz: info: client 192.0.2.17#43250: rpz QNAME NODATA rewrote\n"
    b"08-Apr-2015 12:00:02.123 general: info: rpz: rpz.local: reload start\n"
)
UNBOUND = (
    b"[1428494400] unbound[812:0] info: start of service (unbound 1.17.1).\n"
    b"[1428494400] unbound[812:1] info: 192.0.2.17 Ns1.evil.example. AAAA IN\n"
    b"[1428494401] unbound[812:1] info: 192.0.2.17 ns1.evil.example. AAAA IN NXDOMAIN 0.1 0 99\n"
    b"[1428494401] unbound[812:a] info: 2001:db8::17 a?b.example. A IN\n"
    b"[1428494402] unbound[812:0] info: 192.0.2.17 cut&off A IN\n"
    b"[1428494402] unbound[812:0] info: 192.0.2.17 - - - FORMERR - - - \n"
)
UNBOUND_TAGGED = (
    b"2015-04-08T12:00:00.123+02:00 unbound[812:0] query: 192.0.2.17 ns1.evil.example. A IN\n"
    b"2015-04-08T12:00:00.223+02:00 unbound[812:0] reply: 192.0.2.17 ns1.evil.example. A IN "
    b"NOERROR 0.1 0 99 on tcp 198.51.100.53 853\n"
)
UNBOUND_RPZ = (
    b"[1428494400] unbound[812:0] info: rpz: applied [my zone] evil.example. rpz-nxdomain "
    b"192.0.2.17@57994 ns1.evil.example. A IN\n"
    b"[1428494400] unbound[812:1] info: evil.example. inform 2001:db8::17@4000 evil.example. A IN\n"
    b"[1428494400] unbound[812:1] info: rpz: applied evil.example. rpz-drop 192.0.2.1@x a. A IN\n"
    b"[1428494402] unbound[812:0] info: service stopped (unbound 1.17.1).\n"
)
_ASKED = pcap_writer.query("ns1.evil.example")
_FRAMES = (
    pcap_writer.ethernet(pcap_writer.ipv4(pcap_writer.udp(_ASKED))),
    pcap_writer.ethernet(pcap_writer.ipv6(pcap_writer.udp(_ASKED))),
    pcap_writer.ethernet(pcap_writer.ipv4(pcap_writer.udp(b"bad"))),
)
PCAP = pcap_writer.pcap(*_FRAMES)
PCAPNG = pcap_writer.pcapng(*_FRAMES)
POWERDNS = powerdns_writer.stream(
    powerdns_writer.message(1, b"Ns1.evil.example.", qtype=28),
    powerdns_writer.message(2, b"Ns1.evil.example.", qtype=28, rcode=3),
    powerdns_writer.message(1, b"a..b."),
    powerdns_writer.message(3, b"example."),
    powerdns_writer.message(1, b"www.example.", client="2001:db8::17", protocol=3),
)
_BLOCK = cdns_writer.Block()
_BLOCK.add("Ns1.evil.example", 28, rcode=3)
_BLOCK.add(b"\x03bad", 1)
_BLOCK.add("www.example", kind=cdns_writer.RESOLVER)
_BLOCK.add_malformed(b"not dns")
CDNS = cdns_writer.file(_BLOCK.value(), _BLOCK.value(), indefinite=True)
TEXTS = [
    ("zeek", ZEEK),
    ("zeek", ZEEK_JSON),
    ("bind", BIND),
    ("bind", BIND_RESPONSES),
    ("bind", BIND_BOTH),
    ("bind-rpz", BIND_RPZ),
    ("unbound", UNBOUND),
    ("unbound", UNBOUND_TAGGED),
    ("unbound-rpz", UNBOUND_RPZ),
    ("powerdns-protobuf", POWERDNS),
    ("cdns", CDNS),
    ("pcap", PCAP),
    ("pcap", PCAPNG),
]
POLICIES = [("bind", BIND, BIND_RPZ), ("unbound", UNBOUND, UNBOUND_RPZ)]
EACH = pytest.mark.parametrize("name", READERS)


def ordered(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda row: (row["offset"], row["entry"]))


@EACH
def test_a_reader_says_what_it_is(name: str) -> None:
    reader = READERS[name]

    assert reader.name == name == name.lower()
    assert reader.title
    assert reader.vantage in VANTAGES


@EACH
def test_nothing_is_in_nothing(name: str) -> None:
    batches = read(READERS[name], b"")

    assert rows(batches) == []
    assert counts(batches) == [0, 0, 0, 0]
    assert not READERS[name].sniff(b"")


@pytest.mark.parametrize(("name", "data"), TEXTS)
def test_only_one_reader_claims_a_format(name: str, data: bytes) -> None:
    assert [reader.name for reader in READERS.values() if reader.sniff(data)] == [name]
    found = recognise(data)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(("name", "queries", "hits"), POLICIES)
def test_no_line_is_counted_by_two_readers(name: str, queries: bytes, hits: bytes) -> None:
    both = queries + hits
    of_queries = read(READERS[name], both)
    of_hits = read(READERS[f"{name}-rpz"], both)

    found = recognise(both)
    assert found is not None
    assert found.name == name
    assert counts(of_queries)[0] == counts(read(READERS[name], queries))[0]
    assert counts(of_hits)[0] == counts(read(READERS[f"{name}-rpz"], hits))[0]
    assert not {row["offset"] for row in rows(of_queries)} & {
        row["offset"] for row in rows(of_hits)
    }
    assert any(f"--input-format {name}-rpz" in note for note in notes(of_queries))
    assert any(f"--input-format {name} reads" in note for note in notes(of_hits))


@EACH
def test_no_reader_claims_what_is_no_traffic(name: str) -> None:
    chance = random.Random(7)
    samples = [
        chance.randbytes(4096),
        bytes(4096),
        b"\xff" * 4096,
        b"lorem ipsum dolor sit amet\n" * 200,
        b'{"a":1}\n' * 200,
        b"a,b,c\n1,2,3\n" * 200,
        b"<html><body>query: client dns</body></html>",
        b"\x7fELF" + chance.randbytes(1000),
    ]

    assert [index for index, sample in enumerate(samples) if READERS[name].sniff(sample)] == []


@pytest.mark.parametrize(("name", "data"), TEXTS)
def test_one_byte_at_a_time_gives_the_same(name: str, data: bytes) -> None:
    whole = read(READERS[name], data)
    parts = read(READERS[name], data, chunk=1)

    # A query that waits for its response may come after later ones.
    assert ordered(rows(parts)) == ordered(rows(whole)) != []
    assert counts(parts) == counts(whole)
    assert quarantine(parts) == quarantine(whole)
    assert parts[-1].end == whole[-1].end == len(data)


@pytest.mark.parametrize(("name", "data"), TEXTS)
def test_nothing_is_matched_by_an_empty_watchlist(name: str, data: bytes) -> None:
    batches = read(READERS[name], data, watchlist=Watchlist.compile([]))

    assert rows(batches) == []
    assert counts(batches) == counts(read(READERS[name], data))


@EACH
@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=300), chunk=st.integers(1, 100))
def test_garbage_is_counted_and_never_raises(name: str, data: bytes, chunk: int) -> None:
    # Whatever is at fault is said before anything is read, or counted.
    try:
        whole = read(READERS[name], data)
    except FormatError:
        return
    parts = read(READERS[name], data, chunk=chunk)

    assert counts(parts) == counts(whole)
    assert [bad[0] for bad in quarantine(parts)] == [bad[0] for bad in quarantine(whole)]


BAD = {
    "powerdns-protobuf": powerdns_writer.stream(powerdns_writer.message(1, b"a..b.")),
    "zeek": b"1\t2\n",
    "bind": b"client 192.0.2.1#1: query: a..b IN A +\n",
    "bind-rpz": b"client 192.0.2.1#1: rpz IP DROP rewrite a..b via c\n",
    "unbound": b"[1428494400] unbound[812:0] info: 192.0.2.1 a..b. A IN\n",
    "unbound-rpz": b"[1428494400] unbound[812:0] info: rpz: applied a. b c@d e. A IN\n",
}


@pytest.mark.parametrize("name", BAD)
def test_quarantine_is_bounded_and_the_count_is_not(name: str) -> None:
    data = dict(TEXTS)[name] + BAD[name] * (QUARANTINE_LIMIT + 500)
    batches = read(READERS[name], data, chunk=50_000)

    assert len(quarantine(batches)) == QUARANTINE_LIMIT
    assert counts(batches)[1] >= QUARANTINE_LIMIT + 500

"""What every registered reader keeps to, whatever its format."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dnstap_writer as writer
from remnant.capture import QUARANTINE_LIMIT
from remnant.capture.readers import READERS, recognise
from remnant.errors import FormatError
from remnant.schema import VANTAGES
from remnant.watchlist import Watchlist
from textlogs import counts, quarantine, read, rows

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
DNSTAP = writer.stream(
    writer.message(writer.CLIENT_QUERY, writer.query("Ns1.evil.example")),
    writer.message(writer.CLIENT_RESPONSE, writer.response(writer.query("Ns1.evil.example"), 3)),
    writer.message(writer.AUTH_QUERY, writer.query("x.example", "AAAA"), client="2001:db8::17"),
    b"not a message",
)
BARE = writer.message(writer.CLIENT_QUERY, writer.query("ns1.evil.example"))
TEXTS = [("dnstap", DNSTAP), ("dnstap", BARE), ("zeek", ZEEK), ("zeek", ZEEK_JSON), ("bind", BIND)]
EACH = pytest.mark.parametrize("name", READERS)


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

    assert rows(parts) == rows(whole)
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


@pytest.mark.parametrize("name", ["zeek", "bind"])
def test_quarantine_is_bounded_and_the_count_is_not(name: str) -> None:
    bad = b"1\t2\n" if name == "zeek" else b"client 192.0.2.1#1: query: a..b IN A +\n"
    data = dict(TEXTS)[name] + bad * (QUARANTINE_LIMIT + 500)
    batches = read(READERS[name], data, chunk=50_000)

    assert len(quarantine(batches)) == QUARANTINE_LIMIT
    assert counts(batches)[1] >= QUARANTINE_LIMIT + 500

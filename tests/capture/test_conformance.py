"""What every registered reader keeps to, whatever its format."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
SHADOWSERVER = (
    b'"timestamp","protocol","src_ip","src_port","src_asn","dst_ip","dst_port","infection","tag",'
    b'"http_host","http_agent"\r\n'
    b'"2024-06-15 12:00:01","tcp","192.0.2.17",43250,64500,"198.51.100.53",80,"beebone","a;b",'
    b'"Ns1.evil.example:80","say ""hi"",\nor not"\r\n'
    b'"2024-06-15 12:00:01","tcp","192.0.2.17",43250,64500,,,,,,\r\n'
    b'"2024-06-15 12:00:02","tcp","not an address",1,,,,"beebone",,"x.example",\r\n'
    b'"never closed,x\r\n'
    b'"2024-06-15 12:00:03","udp","2001:db8::17",1,,,,"beebone",,"x.example",\r\n'
)
ZEEK_CONN = (
    b"#separator \\x09\n#path\tconn\n"
    b"#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tconn_state\thistory\n"
    b"1428494400.250000\t192.0.2.17\t43250\t198.51.100.53\t443\ttcp\tSF\tShADadFf\n"
    b"1428494400.250000\t2001:db8::17\t8\t2001:db8::53\t0\ticmp\tOTH\t-\n"
    b"not a row\n"
)
ZEEK_CONN_JSON = (
    b'{"ts":1428494400.25,"id.orig_h":"192.0.2.17","id.orig_p":43250,"id.resp_h":"198.51.100.53",'
    b'"id.resp_p":443,"proto":"udp","conn_state":"S0"}\n'
    b'{"broken":\n'
)
NFDUMP = (
    b"ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt\n"
    b"2018-01-10 11:22:41,2018-01-10 11:22:43,1.968,192.0.2.17,198.51.100.53,51388,443,TCP,"
    b"...AP.SF,0,0,87,6051,0,0\n"
    b"2018-01-10 11:22:41,x,1,192.0.2.17,198.51.100.53\n"
    b"Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n2,16128,212,65560,107,76\n"
)
TEXTS = [
    ("zeek", ZEEK),
    ("zeek", ZEEK_JSON),
    ("bind", BIND),
    ("shadowserver", SHADOWSERVER),
    ("zeek-conn", ZEEK_CONN),
    ("zeek-conn", ZEEK_CONN_JSON),
    ("nfdump", NFDUMP),
]
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


BAD = {
    "zeek": b"1\t2\n",
    "bind": b"client 192.0.2.1#1: query: a..b IN A +\n",
    "shadowserver": b"1,2\n",
    "zeek-conn": b"1\t2\n",
    "nfdump": b"1,2\n",
}


@pytest.mark.parametrize("name", BAD)
def test_quarantine_is_bounded_and_the_count_is_not(name: str) -> None:
    bad = BAD[name]
    data = next(text for of, text in TEXTS if of == name)
    data = data.partition(b"Summary")[0] + bad * (QUARANTINE_LIMIT + 500)
    batches = read(READERS[name], data, chunk=50_000)

    assert len(quarantine(batches)) == QUARANTINE_LIMIT
    assert counts(batches)[1] >= QUARANTINE_LIMIT + 500

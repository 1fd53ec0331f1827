from __future__ import annotations

import doctest
import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.sinkhole import client_hello
from remnant.sinkhole.client_hello import ClientHello, State, may_be_tls, parse, version_name
from remnant.sinkhole.fingerprints import ja3, ja4
from sinkhole.hellos import alpn, message, numbers, of_library, records, server_name, vector

EXTENSIONS = [
    (0x1A1A, b""),
    (0, server_name(b"NS1.Evil.example")),
    (10, vector(numbers([0x2A2A, 29, 23]))),
    (11, vector(b"\0\1", 1)),
    (13, vector(numbers([0x0403, 0x0804]))),
    (16, alpn(b"h2", b"http/1.1")),
    (43, vector(numbers([0x3A3A, 0x0304, 0x0303]), 1)),
]
WHOLE = message(0x0303, [0x0A0A, 0x1301, 0xC02B], EXTENSIONS, session=b"s" * 32)


def read(data: bytes) -> ClientHello:
    hello = parse(data)
    assert isinstance(hello, ClientHello)
    return hello


def test_a_hello_is_taken_apart() -> None:
    hello = read(records(WHOLE))

    assert hello == ClientHello(
        version=0x0303,
        ciphers=(0x0A0A, 0x1301, 0xC02B),
        extensions=(0x1A1A, 0, 10, 11, 13, 16, 43),
        server_name=b"NS1.Evil.example",
        groups=(0x2A2A, 29, 23),
        point_formats=(0, 1),
        signatures=(0x0403, 0x0804),
        alpn=(b"h2", b"http/1.1"),
        versions=(0x3A3A, 0x0304, 0x0303),
    )
    assert [version_name(version) for version in hello.offered] == ["TLS 1.3", "TLS 1.2"]


def test_a_hello_of_the_nineties_has_no_extensions() -> None:
    hello = read(records(message(0x0300, [4, 5])))

    assert hello == ClientHello(version=0x0300, ciphers=(4, 5))
    assert [version_name(version) for version in hello.offered] == ["SSL 3.0"]


def test_a_hello_may_be_cut_into_records() -> None:
    for size in (len(WHOLE) // 15, 50, 1000):
        assert read(records(WHOLE, size)) == read(records(WHOLE))


def test_many_tiny_records_are_not_followed() -> None:
    assert parse(records(WHOLE, 1)) is State.BAD


def test_every_part_of_a_hello_wants_more_and_what_follows_is_not_read() -> None:
    data = records(WHOLE, 100)

    for size in range(len(data)):
        assert parse(data[:size]) is State.MORE, size
    assert parse(data + b"\xff" * 20) == parse(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x17\x03\x03\x00\x05hello",
        b"\x16\x02\x00\x00\x05hello",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        records(b"\x01" + vector(WHOLE[4:-1], 3)),
    ],
)
def test_what_is_no_hello(data: bytes) -> None:
    assert parse(data) is State.BAD


def test_an_extension_damaged_inside_counts_as_present_and_empty() -> None:
    for kind in (0, 10, 11, 13, 16, 43):
        hello = read(records(message(0x0303, [1], [(kind, b"\xff\xff\x01")])))
        assert hello == ClientHello(version=0x0303, ciphers=(1,), extensions=(kind,))


def test_the_server_name_is_the_first_that_is_a_host_name() -> None:
    names = vector(b"\1" + vector(b"other") + b"\0" + vector(b"a.example") + b"\0" + vector(b"b"))

    assert read(records(message(0x0303, [1], [(0, names)]))).server_name == b"a.example"


def test_the_first_bytes_tell() -> None:
    assert may_be_tls(b"\x16")
    assert may_be_tls(b"\x16\x03\x01")
    assert not may_be_tls(b"\x16\x02")
    assert not may_be_tls(b"G")


def test_hellos_of_a_real_library() -> None:
    hello = read(of_library("a.evil.example", ["h2", "http/1.1"]))

    assert hello.server_name == b"a.evil.example"
    assert hello.alpn == (b"h2", b"http/1.1")
    assert hello.offered[0] == 0x0304
    old = read(of_library(None, highest=ssl.TLSVersion.TLSv1_2))
    assert old.server_name == b""
    assert old.offered == (0x0303,)


def describe(data: bytes) -> None:
    hello = parse(data)
    if isinstance(hello, ClientHello):
        assert hello.server_name in data or data.count(b"\x16\x03") > 1
        assert hello.offered
        assert len(ja3(hello)) == 32
        assert len(ja4(hello)) == 36


@settings(deadline=None)
@given(st.binary(max_size=200).map(lambda tail: b"\x16\x03\x01" + tail) | st.binary(max_size=200))
def test_any_bytes_are_read_without_a_fault(data: bytes) -> None:
    describe(data)


REAL = [of_library(), of_library(None, ["http/1.1"]), records(WHOLE), records(WHOLE, 61)]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(REAL),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6),
    st.integers(0, 800),
)
def test_damaged_hellos_are_read_without_a_fault(
    data: bytes, changes: list[tuple[int, int]], size: int
) -> None:
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    describe(bytes(damaged[:size]) if size < len(damaged) else bytes(damaged))


def test_the_examples_hold() -> None:
    assert doctest.testmod(client_hello).failed == 0

from __future__ import annotations

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.names import wire_to_text
from remnant.sinkhole import host_names
from remnant.sinkhole.host_names import host_of, wire_name


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b"a.example", b"a.example"),
        (b" A.example:80 ", b"A.example"),
        (b"[2001:db8::1]:80", b"[2001:db8::1]"),
        (b"[2001:db8::1", b""),
        (b":80", b""),
        (b"", b""),
    ],
)
def test_the_port_is_taken_off(value: bytes, host: bytes) -> None:
    assert host_of(value) == host


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b".",
        b"..",
        b"a..b",
        b"192.0.2.1",
        b"a.1",
        b"[2001:db8::1]",
        b"a b.example",
        b"-a.example",
        b"a-.example",
        b"b\xc3\xbccher.example",
        b"a" * 64 + b".example",
        b".".join([b"a" * 63] * 4),
        b"a\0.example",
        b"a.example\n",
    ],
)
def test_what_is_no_host_name_has_none(host: bytes) -> None:
    assert wire_name(host) == b""


def test_case_is_kept_and_underscores_pass() -> None:
    assert wire_name(b"_X.eViL.example") == b"\x02_X\x04eViL\x07example\x00"
    assert len(wire_name(b".".join([b"a" * 63] * 3 + [b"a" * 61]))) == 255


@settings(deadline=None)
@given(st.binary(max_size=300) | st.from_regex(rb"\A[a-zA-Z0-9._-]{1,80}\Z"))
def test_every_name_is_one_that_the_rest_of_the_house_reads(host: bytes) -> None:
    wire = wire_name(host)
    if wire:
        text = host.decode("ascii").lower().removesuffix(".")
        assert wire_to_text(wire) == text
        assert len(wire) <= 255


def test_the_examples_hold() -> None:
    assert doctest.testmod(host_names).failed == 0

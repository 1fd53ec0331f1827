from __future__ import annotations

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.errors import RemnantError
from remnant.sinkhole import ports
from remnant.sinkhole.ports import PortSyntaxError, parse


def test_lists_and_ranges_merge_and_are_ascending() -> None:
    found = parse("80,443,8000,8003,2323,10000-12000, 80 ,1-2")

    assert found == [1, 2, 80, 443, 2323, 8000, 8003, *range(10_000, 12_001)]


def test_all_ports() -> None:
    assert parse("1-65535") == list(range(1, 65_536))


@pytest.mark.parametrize(
    ("text", "what", "got"),
    [
        ("", "a port is missing", "nothing between two commas"),
        ("80,,81", "a port is missing", "nothing between two commas"),
        ("http", "not a port", "http"),
        ("80;81", "not a port", "80;81"),
        ("0", "a port is out of range", "0"),
        ("65536", "a port is out of range", "65536"),
        ("99999999999999999999", "a port is out of range", "99999999999999999999"),
        ("-80", "a port is missing", "-80"),
        ("80-", "a port is missing", "80-"),
        ("1-2-3", "not a port", "1-2-3"),
        ("٨٠", "not a port", "٨٠"),
        ("443-80", "a range of ports runs backwards", "443-80"),
    ],
)
def test_what_is_no_port_is_said_with_what_would_be(text: str, what: str, got: str) -> None:
    with pytest.raises(PortSyntaxError) as caught:
        parse(text)

    assert caught.value.what == what
    assert caught.value.got == got
    assert caught.value.expected is not None
    assert caught.value.hint is not None


@settings(deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"\A[0-9,\- ]{0,20}\Z"))
def test_any_text_gives_ports_or_our_error(text: str) -> None:
    try:
        found = parse(text)
    except RemnantError:
        return

    assert found == sorted(set(found))
    assert 1 <= found[0] <= found[-1] <= 65_535


def test_the_examples_hold() -> None:
    assert doctest.testmod(ports).failed == 0

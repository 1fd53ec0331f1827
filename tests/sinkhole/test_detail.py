from __future__ import annotations

import doctest
import json
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.sinkhole import detail
from remnant.sinkhole.client_hello import ClientHello
from remnant.sinkhole.detail import (
    KEYS,
    MAX_DETAIL,
    MAX_TEXT,
    bounded,
    of_hello,
    of_payload,
    of_request,
    shown,
)
from remnant.sinkhole.http_request import parse


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_are_shown_as_printable_ascii(data: bytes) -> None:
    text = shown(data)

    assert len(text) <= MAX_TEXT
    assert text.isascii()
    assert text.isprintable() or text == ""


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_what_is_shown_can_be_read_back(data: bytes) -> None:
    assert shown(data).encode().decode("unicode_escape").encode("latin-1") == data


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.binary(max_size=300).map(shown) | st.integers() | st.none() | st.booleans(),
    )
)
def test_facts_fit_and_those_left_out_are_the_less_telling_ones(
    facts: dict[str, object],
) -> None:
    kept = bounded(facts)

    assert len(json.dumps(kept)) <= MAX_DETAIL
    left_out = {k for k, v in facts.items() if k not in kept and v not in (None, "")}
    assert bool(left_out) == ("cut" in kept)
    assert all(facts[key] == value for key, value in kept.items() if key != "cut")


def test_the_least_telling_facts_are_left_out() -> None:
    kept = bounded(dict.fromkeys(KEYS, "x" * MAX_TEXT))

    assert [key for key in kept if key != "cut"] == list(KEYS[:7])
    assert kept["cut"] is True


def test_every_fact_has_its_place() -> None:
    request = parse(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    assert request is not None
    hello = ClientHello(version=0x0303, ciphers=(1,), server_name=b"a", alpn=(b"h2",))
    facts = of_request(request) | of_payload(b"x") | of_hello(hello)

    assert set(facts) <= set(KEYS)
    assert len(set(KEYS)) == len(KEYS)


def test_the_examples_hold() -> None:
    assert doctest.testmod(detail).failed == 0


def test_every_fact_is_described_in_its_order() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "connections.md"
    section = page.read_text(encoding="utf-8").split("\n## `detail`\n")[1].split("\n## ")[0]

    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == KEYS

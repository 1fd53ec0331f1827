"""Names and addresses as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.made_cases import QUICK
from remnant.cases import indicators
from remnant.errors import CaseError
from remnant.names import NameSyntaxError, fold

LABEL = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,20}[A-Za-z0-9_])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=6).map(".".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NS1.TimeDate1.COM", "ns1.timedate1.com"),
        ("evil.example.", "evil.example"),
        ("*.Evil.example.", "*.evil.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.BÜCHER.example", "*.xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_dmarc.evil.example", "_dmarc.evil.example"),
        (r"a\032b.example", r"a\032b.example"),
        (r"a\046b.example", r"a\.b.example"),
        (r"a\.b.example", r"a\.b.example"),
        ("com", "com"),
        ("1.2.3.4.example", "1.2.3.4.example"),
    ],
)
def test_a_name_is_folded(text: str, expected: str) -> None:
    assert indicators.name(text) == expected
    assert indicators.name(expected) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        (".", "not a domain name"),
        ("*.", "every name"),
        ("*..", "every name|label is empty"),
        ("*", "a star stands"),
        ("foo.*.example", "a star stands"),
        ("f*o.example", "a star stands"),
        ("203.0.113.7", "an address"),
        ("203.0.113.0/24", "an address"),
        ("2001:db8::1", "an address"),
        ("[2001:db8::1]", "an address"),
        ("http://evil.example/x", "not a domain name"),
        ("evil.example/gate.php", "not a domain name"),
        ("evil.example:8080", "not a domain name"),
        ("two words.example", "not a domain name"),
        (" evil.example", "not a domain name"),
        ("evil.example\n", "not a domain name"),
        ("evil.example\0", "not a domain name"),
        ("evil\x1b[2J.example", "not a domain name"),
        ("evil[.]example", "not a domain name"),
        ("user@evil.example", "not a domain name"),
        ("evil..example", "label is empty"),
        ("a" * 64 + ".example", "longer than 63"),
        (".".join(["a" * 60] * 5), "longer than 255"),
        ("a." * 100_000, "too long"),
        ("\N{SNOWMAN}" * 5000, "too long"),
        ("evil.example\\", "incomplete"),
        (r"a\999.example", "above 255"),
        (r"a\047b.example", "not a domain name"),
        ("evil.123", "not a domain name"),
        ("ex\u202eample.com", "internationalised"),
    ],
)
def test_what_is_no_name_is_refused(text: str, said: str) -> None:
    with pytest.raises(CaseError, match=said):
        indicators.name(text)


@QUICK
@given(NAME)
def test_a_name_agrees_with_dns(text: str) -> None:
    try:
        expected = fold(text)
    except NameSyntaxError:
        with pytest.raises(CaseError):
            indicators.name(text)
        return
    if text.rsplit(".", maxsplit=1)[-1].isdigit():
        with pytest.raises(CaseError):
            indicators.name(text)
    else:
        assert indicators.name(text) == expected
        assert indicators.name("*." + text) == "*." + expected


@QUICK
@given(st.text(max_size=80))
def test_any_text_is_a_name_or_a_case_error(text: str) -> None:
    try:
        normal = indicators.name(text)
    except CaseError:
        return
    assert indicators.name(normal) == normal
    assert normal.isascii()
    assert normal.isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:DB8::/48", "2001:db8::/48"),
        ("2001:db8:0:0::1", "2001:db8::1/128"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:0:0/96", None),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_a_prefix_is_cidr(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(CaseError, match="every address"):
            indicators.prefix(text)
    else:
        assert indicators.prefix(text) == expected
        assert indicators.prefix(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "evil.example",
        "203.0.113.7:80",
        "300.1.1.1",
        "010.0.0.1",
        "203.0.113.0/33",
        "fe80::1%e0",
        "0.0.0.0/0",
        "::/0",
        "1" * 5000,
        " 203.0.113.7",
    ],
)
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(CaseError):
        indicators.prefix(text)


def test_host_bits_say_both_ways_out() -> None:
    with pytest.raises(CaseError) as raised:
        indicators.prefix("203.0.113.7/24")
    assert raised.value.expected == "203.0.113.0/24"
    assert "203.0.113.7 for the one address" in str(raised.value)


@QUICK
@given(st.ip_addresses(), st.integers(0, 128))
def test_prefixes_are_stable(address: object, length: int) -> None:
    try:
        normal = indicators.prefix(f"{address}/{length}")
    except CaseError:
        return
    assert indicators.prefix(normal) == normal


def test_one_address() -> None:
    assert indicators.address("2001:DB8::53") == "2001:db8::53"
    with pytest.raises(CaseError):
        indicators.address("192.0.2.0/24")

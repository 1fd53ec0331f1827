"""What a person may mean by a text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.web.find.meaning import read


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("C2.Evil.Example.", "c2.evil.example"),
        ("https://user:pw@C2.evil.example:8080/path?q=1#x", "c2.evil.example"),
        ("hxxps://c2[.]evil[.]example/x", "c2.evil.example"),
        ("c2.evil.example/gate.php", "c2.evil.example"),
        ("c2.evil.example:53", "c2.evil.example"),
        ("*.evil.example", "evil.example"),
        ("mail@evil.example", "evil.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        (" \t c2.evil.example \n", "c2.evil.example"),
    ],
)
def test_names_as_people_paste_them(text: str, name: str) -> None:
    assert read(text).name == name
    assert read(text).network is None


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.77", "192.0.2.77/32"),
        ("http://192.0.2.77:8080/x", "192.0.2.77/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("[2001:db8::1]:443", "2001:db8::1/128"),
        ("::ffff:192.0.2.77", "192.0.2.77/32"),
    ],
)
def test_addresses_and_prefixes(text: str, network: str) -> None:
    assert str(read(text).network) == network
    assert read(text).name is None


def test_networks_and_countries() -> None:
    assert read("AS64500").asn == read("as 64500").asn == read("64500").asn == 64500
    assert read("AS0").asn is read("4294967296").asn is None
    assert read("DE").countries == ("DE",)
    assert read("Germany").countries == ("DE",)
    assert read("AS64500").countries == ()


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=300))
def test_nonsense_never_fails(text: str) -> None:
    meaning = read(text)
    assert len(meaning.text) <= 255
    assert meaning.text.isprintable()

from __future__ import annotations

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.names import NameSyntaxError, fold, is_below, labels_of, text_to_wire, wire_to_text

LABEL = st.binary(min_size=1, max_size=63)
WIRE_NAMES = (
    st.lists(LABEL, max_size=8)
    .map(lambda labels: b"".join(bytes([len(x)]) + x for x in labels) + b"\0")
    .filter(lambda wire: len(wire) <= 255)
)


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("Evil.COM", "evil.com"),
        ("evil.com.", "evil.com"),
        (".", "."),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example"),
        (r"a\.b.example", r"a\.b.example"),
        (r"a\046b.example", r"a\.b.example"),
        (r"sp\032ace.example", r"sp\032ace.example"),
        ("_dmarc.example", "_dmarc.example"),
        (r"\065BC.example", "abc.example"),
    ],
)
def test_fold(written: str, folded: str) -> None:
    assert fold(written) == folded
    assert fold(folded) == folded


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "a..b",
        ".a",
        "x" * 64,
        ".".join(["abcdefg"] * 32) + ".x",
        "a\\",
        r"a\25",
        r"a\256",
        "\uff58" * 64,
    ],
)
def test_what_is_not_a_name_is_refused(text: str) -> None:
    with pytest.raises(NameSyntaxError):
        fold(text)


@given(WIRE_NAMES)
def test_text_of_any_wire_name_leads_back_to_it(wire: bytes) -> None:
    text = wire_to_text(wire)

    assert text_to_wire(text) == lower_wire(wire)
    assert text.isprintable()


@given(WIRE_NAMES)
def test_dnspython_reads_our_text_as_the_same_name(wire: bytes) -> None:
    theirs = dns.name.from_wire(wire, 0)[0]

    assert dns.name.from_text(wire_to_text(wire)) == theirs


@given(st.text(max_size=80))
def test_any_text_gives_a_name_or_a_clear_error(text: str) -> None:
    try:
        folded = fold(text)
    except NameSyntaxError as error:
        assert error.got is not None  # noqa: PT017 - either outcome is right
    else:
        assert fold(folded) == folded
        assert sum(len(label) + 1 for label in labels_of(folded)) < 255


@pytest.mark.parametrize(
    "wire", [b"", b"\x03ab", b"\x03abc", b"\x00x", b"\xc0\x0c", b"\x40" + b"a" * 64 + b"\0"]
)
def test_broken_wire_names_are_refused(wire: bytes) -> None:
    with pytest.raises(NameSyntaxError):
        wire_to_text(wire)


def test_label_boundaries_count() -> None:
    assert is_below("ns1.evil.com", "evil.com")
    assert is_below("evil.com", "evil.com")
    assert is_below("anything", ".")
    assert not is_below("notevil.com", "evil.com")
    assert not is_below("com", "evil.com")
    assert not is_below(r"not\.evil.com", "evil.com")
    assert is_below(r"odd\\.evil.com", "evil.com")


def lower_wire(wire: bytes) -> bytes:
    out = bytearray()
    position = 0
    while wire[position]:
        length = wire[position]
        out += bytes([length]) + wire[position + 1 : position + 1 + length].lower()
        position += 1 + length
    return bytes(out) + b"\0"

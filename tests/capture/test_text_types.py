from __future__ import annotations

import dns.rcode
import dns.rdataclass
import dns.rdatatype
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.text_types import TYPES, parse_class, parse_rcode, parse_type


def type_of(text: str) -> int:
    view = np.frombuffer(b"A" + text.encode() + b"A", np.uint8).copy()
    return int(parse_type(view, 1, 1 + len(text.encode())))


def class_of(text: str) -> int:
    view = np.frombuffer(b"N" + text.encode() + b"N", np.uint8).copy()
    return int(parse_class(view, 1, 1 + len(text.encode())))


@pytest.mark.parametrize("kind", [t for t in dns.rdatatype.RdataType if t != 0], ids=str)
def test_every_type_that_dnspython_knows(kind: dns.rdatatype.RdataType) -> None:
    text = kind.name.replace("_", "-")

    assert type_of(text) == int(kind)
    assert type_of(text.lower()) == int(kind)


@pytest.mark.parametrize("text", TYPES)
def test_every_mnemonic_of_the_table(text: str) -> None:
    assert type_of(text) == TYPES[text]


@settings(deadline=None)
@given(st.integers(0, 65535))
def test_generic_names(number: int) -> None:
    assert type_of(f"TYPE{number}") == number
    assert type_of(f"query-{number}") == number
    assert class_of(f"CLASS{number}") == number


@pytest.mark.parametrize(
    "text", ["", "AA", "TYPE", "TYPE65536", "TYPE-1", "NSEC3PARAMETER", "A" * 40]
)
def test_what_is_no_type(text: str) -> None:
    assert type_of(text) == -1


@pytest.mark.parametrize(
    ("text", "number"), [("IN", 1), ("CH", 3), ("HS", 4), ("ANY", 255), ("in", 1), ("RESERVED0", 0)]
)
def test_classes(text: str, number: int) -> None:
    assert class_of(text) == number
    assert class_of(text + "X") == -1


def rcode_of(text: str) -> int:
    view = np.frombuffer(b"1" + text.encode() + b"1", np.uint8).copy()
    return int(parse_rcode(view, 1, 1 + len(text.encode())))


@pytest.mark.parametrize("rcode", list(dns.rcode.Rcode), ids=str)
def test_every_response_code_that_dnspython_knows(rcode: dns.rcode.Rcode) -> None:
    assert rcode_of(rcode.name) == rcode_of(rcode.name.lower()) == int(rcode)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("NOTIMPL", 4),
        ("RCODE24", 24),
        ("RESERVED11", 11),
        ("4095", 4095),
        ("0", 0),
        ("4096", -1),
        ("RCODE", -1),
        ("RCODEX", -1),
        ("RESERVED", -1),
        ("NOERRORS", -1),
        ("", -1),
        ("NXDOMAINNXDOMAINN", -1),
    ],
)
def test_other_response_codes(text: str, number: int) -> None:
    assert rcode_of(text) == number

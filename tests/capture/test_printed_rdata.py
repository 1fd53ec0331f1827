from __future__ import annotations

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.printed_rdata import MAX_FACTOR, SLACK, printed_data
from remnant.capture.rdata import data_text
from remnant.capture.text_types import TYPES


def printed(kind: str, text: bytes, *, raw: bool = False) -> str | None:
    view = np.frombuffer(text, np.uint8).copy()
    out = np.zeros(MAX_FACTOR * len(text) + SLACK, np.uint8)
    end = printed_data(
        view, 0, view.size, TYPES.get(kind, -1), raw, np.zeros(len(text) + 16, np.uint8),
        np.zeros(130, np.int64), out, 0,
    )  # fmt: skip
    return None if end < 0 else out[:end].tobytes().decode("ascii")


@pytest.mark.parametrize(
    ("kind", "text", "normal"),
    [
        ("A", b"192.0.2.1", "192.0.2.1"),
        ("A", b" 192.0.2.1 ", "192.0.2.1"),
        ("AAAA", b"2001:0DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("AAAA", b"::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("CNAME", b"Ns1.Example.COM.", "ns1.example.com"),
        ("NS", b"Ns1.Example.COM", "ns1.example.com"),
        ("PTR", b".", "."),
        ("DNAME", rb"a\.b\032c.example.", r"a\.b\032c.example"),
        ("MX", b"10  Mail.Example.", "10 mail.example"),
        ("MX", b"Mail.Example", "mail.example"),
        ("SRV", b"1 2 443 Host.Example.", "1 2 443 host.example"),
        ("SOA", b"A. H.a. 1 2 3 4 5", "a h.a 1 2 3 4 5"),
        ("TXT", b'"As It  Is" "x"', '"As It  Is" "x"'),
        ("TXT", b'"\xff\x00"', r'"\255\000"'),
        ("CAA", b'0 issue "CA.example"', '0 issue "CA.example"'),
        ("NSEC3", b"anything", "anything"),
        ("never", b"anything", "anything"),
    ],
)
def test_data_has_one_form(kind: str, text: bytes, normal: str) -> None:
    assert printed(kind, text) == normal


@pytest.mark.parametrize(
    ("kind", "text", "normal"),
    [
        ("TXT", b'v="1"\\', r'"v=\"1\"\\"'),
        ("SPF", b"\xff", r'"\255"'),
        ("CNAME", rb"a\xff.Example", r"a\255.example"),
    ],
)
def test_raw_bytes_get_the_presentation_form(kind: str, text: bytes, normal: str) -> None:
    assert printed(kind, text, raw=True) == normal


@pytest.mark.parametrize(
    ("kind", "text"),
    [("A", b"2001:db8::1"), ("A", b"192.0.2"), ("A", b""), ("AAAA", b"192.0.2.1"), ("AAAA", b"x")],
)
def test_data_of_an_address_record_is_an_address(kind: str, text: bytes) -> None:
    assert printed(kind, text) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [("CNAME", b"Two Words"), ("NS", b"a..b"), ("SOA", b"a. b. 1 2 3 4"), ("SRV", b"x 1 2 a."),
     ("MX", b"10 a. b."), ("CNAME", b"A" * 64)],
)  # fmt: skip
def test_data_that_is_not_of_its_type_stays_as_it_is(kind: str, text: bytes) -> None:
    assert printed(kind, text) == text.decode()


TEXTS = {
    "A": st.ip_addresses(v=4).map(str),
    "AAAA": st.ip_addresses(v=6).map(lambda address: address.exploded),
    "NS": st.just("Ns1.Ex\\032ample."),
    "MX": st.integers(0, 65535).map(lambda n: f"{n} Mail.Example."),
    "SRV": st.integers(0, 65535).map(lambda n: f"{n} 1 2 Host.Example."),
    "SOA": st.integers(0, 2**32 - 1).map(lambda n: f"A.example. H.example. {n} 1 2 3 4"),
}


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(sorted(TEXTS)))
def test_a_record_has_the_same_form_printed_and_on_the_wire(data: st.DataObject, kind: str) -> None:
    text = data.draw(TEXTS[kind])
    wire = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), text).to_wire()
    assert wire is not None
    view = np.frombuffer(wire, np.uint8).copy()
    out = np.zeros(MAX_FACTOR * view.size + 2100, np.uint8)
    end = data_text(
        view, 0, TYPES[kind], (0, view.size), np.zeros(256, np.uint8), np.zeros(130, np.int64),
        out, 0,
    )  # fmt: skip

    assert printed(kind, text.encode()) == out[:end].tobytes().decode("ascii")

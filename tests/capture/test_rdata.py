"""The data of records as text: what dnspython reads, in one canonical form, and nothing lost."""

from __future__ import annotations

import ipaddress

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dns_oracle
from remnant import wire
from remnant.capture import rdata

NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, DNAME, SPF, CAA = 2, 5, 6, 12, 15, 16, 28, 33, 39, 99, 257
KNOWN = (1, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, DNAME, SPF, CAA)


def text(kind: int, data: bytes, before: bytes = b"") -> str:
    """Write data that stands in a message behind other bytes."""
    buffer = np.frombuffer(before + data + b"\xee", np.uint8).copy()
    room = rdata.MAX_TEXT_FACTOR * len(data) + 2100
    out = np.full(3 + room, 0x7E, np.uint8)
    place = (len(before), len(before) + len(data))
    scratch, starts = np.zeros(256, np.uint8), np.zeros(wire.MAX_LABELS + 2, np.int64)
    end = int(rdata.data_text(buffer, 0, kind, place, scratch, starts, out, 3))
    assert end <= 3 + room
    assert out[:3].tobytes() == b"~~~"
    return out[3:end].tobytes().decode("ascii")


LABEL = st.one_of(
    st.sampled_from(
        [b"www", b"Evil", b"x" * 63, b"a.b", b"\\", b'"', b" ", b"\0", b"\xff", b"_dmarc"]
    ),
    st.binary(min_size=1, max_size=20),
)


def _name(labels: list[bytes]) -> bytes:
    out = b""
    for label in labels:
        if len(out) + len(label) + 2 <= 255:
            out += bytes([len(label)]) + label
    return out + b"\0"


NAME = st.lists(LABEL, max_size=6).map(_name)
NUMBER16 = st.integers(0, 0xFFFF).map(lambda n: n.to_bytes(2, "big"))
NUMBER32 = st.sampled_from([0, 1, 9, 10, 86_400, 2**31, 2**32 - 1]).map(
    lambda n: n.to_bytes(4, "big")
)
STRING = st.binary(max_size=255).map(lambda b: bytes([len(b)]) + b)
TAG = st.text("abcXYZ019", min_size=1, max_size=15).map(lambda t: bytes([len(t)]) + t.encode())


def joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(*parts).map(b"".join)


WELL_FORMED = st.one_of(
    st.tuples(st.just(1), st.binary(min_size=4, max_size=4)),
    st.tuples(st.sampled_from([NS, CNAME, PTR, DNAME]), NAME),
    st.tuples(st.just(MX), joined(NUMBER16, NAME)),
    st.tuples(st.just(SRV), joined(NUMBER16, NUMBER16, NUMBER16, NAME)),
    st.tuples(st.just(SOA), joined(NAME, NAME, *[NUMBER32] * 5)),
    st.tuples(st.sampled_from([TXT, SPF]), st.lists(STRING, min_size=1, max_size=4).map(b"".join)),
    st.tuples(st.just(CAA), joined(st.binary(min_size=1, max_size=1), TAG, st.binary(max_size=40))),
)


@settings(max_examples=400, deadline=None)
@given(WELL_FORMED)
def test_well_formed_data_is_what_dnspython_reads(record: tuple[int, bytes]) -> None:
    kind, data = record
    expected = dns_oracle.rdata_text(dns_oracle.rdata_of(data, 0, len(data), kind))

    assert text(kind, data) == expected


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("A", "192.0.2.1"),
        ("A", "0.10.100.255"),
        ("NS", "Ns1.Evil.Example."),
        ("CNAME", "a-b.example."),
        ("PTR", "host.example."),
        ("DNAME", "Other.Example."),
        ("MX", "10 MX.Example."),
        ("MX", "0 ."),
        ("SRV", "1 2 443 Sip.Example."),
        ("SOA", "Ns1.Example. Admin.Example. 2015040801 3600 600 1209600 300"),
        ("TXT", r'"v=spf1 -all" "a\"b\\c\200"'),
        ("TXT", '""'),
        ("SPF", '"v=spf1 -all"'),
        ("CAA", '128 issue "ca.example; policy=ev"'),
        ("CAA", '0 iodef ""'),
    ],
)
def test_plain_data_is_dnspythons_own_text_folded_and_without_last_dots(
    kind: str, words: str
) -> None:
    data = dns.rdata.from_text("IN", kind, words)
    own = data.to_text() if kind in {"TXT", "SPF", "CAA"} else data.to_text().lower()
    own = " ".join(word if word == "." else word.removesuffix(".") for word in own.split(" "))

    assert text(int(data.rdtype), data.to_wire() or b"") == own


# Addresses

GROUPS = st.lists(
    st.sampled_from([0, 0, 0, 1, 0xF, 0x10, 0xFF, 0x100, 0xFFF, 0x1000, 0xFFFF, 0xABCD]),
    min_size=8, max_size=8,
).map(lambda groups: b"".join(g.to_bytes(2, "big") for g in groups))  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(GROUPS)
@example(bytes(16))
@example(bytes(15) + b"\1")
@example(bytes(10) + b"\xff\xff\xc0\0\2\1")
@example(bytes(12) + b"\xc0\0\2\1")
def test_ipv6_is_written_as_rfc_5952_says(packed: bytes) -> None:
    written = text(AAAA, packed)

    assert written == dns_oracle.address_text(packed)
    assert ipaddress.IPv6Address(written).packed == packed
    compatible = packed[:12] == bytes(12) and packed[12:14] != b"\0\0"
    if not compatible:
        theirs = dns_oracle.rdata_of(packed, 0, 16, AAAA).to_text()
        # dnspython takes ::0.1.2.3 for an address of IPv4 as well.
        assert written == theirs or packed[:12] == bytes(12)


@pytest.mark.parametrize(
    ("address", "written"),
    [
        # RFC 5952, section by section.
        ("2001:0db8::0001", "2001:db8::1"),  # 4.1: no leading zeros
        ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),  # 4.2.1: as short as can be
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),  # 4.2.2: not for one group
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),  # 4.2.3: the longest run
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),  # 4.2.3: the first of equal ones
        ("2001:DB8::A", "2001:db8::a"),  # 4.3: lower case
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),  # 5: known to hold an IPv4 address
        ("1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"),
        ("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"),
        ("0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"),
        ("0:0:0:0:ffff:c000:201:0", "::ffff:c000:201:0"),
        ("::ffff:0:0", "::ffff:0.0.0.0"),
        ("::", "::"),
        ("::1", "::1"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
    ],
)
def test_ipv6_examples(address: str, written: str) -> None:
    assert text(AAAA, ipaddress.IPv6Address(address).packed) == written


# Names in the data


def test_compressed_names_are_resolved() -> None:
    before = b"\x04Evil\x07example\0"
    assert text(CNAME, b"\3www\xc0\0", before) == "www.evil.example"
    assert text(MX, b"\0\x0a\xc0\5", before) == "10 example"
    assert text(SOA, b"\2ns\xc0\0\xc0\5" + bytes(20), before) == "ns.evil.example example 0 0 0 0 0"


@pytest.mark.parametrize(
    ("data", "before"),
    [
        (b"\xc0\3", b"abc"),  # at itself
        (b"\xc0\4\0", b"abc"),  # ahead
        (b"\xc0\0", b"\xc0\0"),  # a loop before it
        (b"\1a\xc0", b""),  # cut off
        (b"\xc0\0", b"\x40"),  # a label of no known kind
        (b"\x3f" + b"a" * 62, b""),
        (b"\xc0\0\0", b"\1a\0"),  # bytes after it
        (b"", b""),
    ],
)
def test_names_that_are_none_stay_bytes(data: bytes, before: bytes) -> None:
    assert text(NS, data, before) == dns_oracle.unknown_text(data)


def test_a_name_does_not_end_beyond_its_data() -> None:
    # The byte after the data would end the name.
    assert text(NS, b"\1a") == r"\# 2 0161"


@pytest.mark.parametrize(
    ("pointers", "read"), [(1, True), (128, True), (129, False), (4000, False)]
)
def test_a_name_follows_so_many_pointers_and_no_more(pointers: int, read: bool) -> None:
    chain = b"\1a\0" + b"".join(
        (0xC000 | (0 if i == 0 else 3 + 2 * (i - 1))).to_bytes(2, "big") for i in range(pointers)
    )
    before, data = chain[:-2], chain[-2:]

    assert text(NS, data, before) == ("a" if read else dns_oracle.unknown_text(data))


def test_what_a_pointer_points_to_ends_before_it() -> None:
    # The label at 0 would reach over the pointer and end after it.
    before = b"\4abc"
    assert text(NS, b"\xc0\0", before) == r"\# 2 C000"


# Data that is not what its type says


@settings(max_examples=500, deadline=None)
@given(
    record=WELL_FORMED,
    cut=st.integers(0, 60),
    put=st.binary(max_size=3),
    before=st.sampled_from([b"", b"\1a\0", b"\xc0\0", bytes(12)]),
)
def test_damaged_data_is_what_dnspython_reads_or_stays_bytes(
    record: tuple[int, bytes], cut: int, put: bytes, before: bytes
) -> None:
    kind, data = record
    at = min(cut, len(data))
    data = data[:at] + put + data[at + 1 :]
    message = before + data

    assert text(kind, data, before) == dns_oracle.data_text(
        message, len(before), len(message), kind
    )


@settings(max_examples=500, deadline=None)
@given(
    kind=st.one_of(st.sampled_from(KNOWN), st.integers(0, 0xFFFF)),
    data=st.binary(max_size=80),
    before=st.binary(max_size=20),
)
def test_any_bytes_of_any_type(kind: int, data: bytes, before: bytes) -> None:
    message = before + data

    assert text(kind, data, before) == dns_oracle.data_text(
        message, len(before), len(message), kind
    )


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from([*KNOWN, 43, 46, 48, 64, 65, 65534]), data=st.binary(max_size=60))
def test_nothing_is_lost_where_a_type_has_no_form(kind: int, data: bytes) -> None:
    written = text(kind, data)

    if written.startswith(r"\#"):
        _, size, *digits = written.split(" ")
        assert (int(size), bytes.fromhex("".join(digits))) == (len(data), data)
        again = dns.rdata.from_text("IN", "TYPE65534", written)
        assert again.to_wire() == data


@pytest.mark.parametrize(
    ("kind", "data", "written"),
    [
        (1, b"\1\2\3", r"\# 3 010203"),
        (AAAA, bytes(15), r"\# 15 " + "00" * 15),
        (TXT, b"", r"\# 0"),
        (TXT, b"\5abc", r"\# 4 05616263"),
        (MX, b"\0", r"\# 1 00"),
        (SOA, b"\0\0" + bytes(19), r"\# 21 " + "00" * 21),
        (SRV, bytes(6), r"\# 6 000000000000"),
        (CAA, b"\0\0x", r"\# 3 000078"),  # no tag
        (CAA, b"\0\2a-x", r"\# 5 0002612D78"),  # not a tag
        (CAA, b"\0\5iss", r"\# 5 0005697373"),
        (43, b"\xc0\xff", r"\# 2 C0FF"),
    ],
)
def test_malformed_examples(kind: int, data: bytes, written: str) -> None:
    assert text(kind, data) == written


def test_the_longest_data_of_each_kind_fits() -> None:
    longest = (
        b"\x3f"
        + b"\xff" * 63
        + b"\x3f"
        + b"\xff" * 63
        + b"\x3f"
        + b"\xff" * 63
        + b"\x3d"
        + b"\xff" * 61
    )
    longest += b"\0"
    assert len(longest) == 255
    assert len(text(NS, longest)) == 4 * 250 + 3
    assert len(text(SOA, longest + longest + b"\xff" * 20)) <= 2100
    assert text(TXT, b"\0" * 1000) == " ".join(['""'] * 1000)
    assert len(text(TXT, (b"\xff" + b"\0" * 255) * 255)) == 255 * (2 + 4 * 255) + 254

"""Addresses: text as ipaddress reads it, words, prefixes."""

from __future__ import annotations

import ipaddress
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remnant.enrich.addresses import (
    from_bytes,
    is_ipv4,
    masked,
    parse,
    prefix_texts,
    to_bytes,
)

MAPPED = 0xFFFF << 32
COMPILES = settings(deadline=None)
"""The first call of a kernel compiles it."""
plausible = st.text(alphabet="0123456789abcdefABCDEF:./ %g", max_size=50)
addresses = st.one_of(st.ip_addresses().map(str), st.ip_addresses(v=6).map(lambda a: a.exploded))


def expected(text: str) -> tuple[int, int] | None:
    """Return value and length as ipaddress has them, zones dropped and no netmasks.

    Zeros before an octet of up to three digits are no octal, unlike in ipaddress.
    """
    address, slash, bits = text.partition("/")
    if slash and not re.fullmatch("[0-9]{1,10}", bits):
        return None
    head, colon, quad = address.partition("%")[0].rpartition(":")
    if "." in quad:
        quad = ".".join(
            str(int(part)) if re.fullmatch("[0-9]{1,3}", part) else part for part in quad.split(".")
        )
    address = head + colon + quad
    try:
        found = ipaddress.ip_interface(f"{address}/{int(bits)}" if slash else address)
    except ValueError:
        return None
    mapped = found.version == 4
    return int(found.ip) | (MAPPED if mapped else 0), found.network.prefixlen + 96 * mapped


def read(text: str) -> tuple[int, int] | None:
    found = parse(pa.array([text], pa.string()))
    if found.length[0] < 0:
        return None
    return int(found.high[0]) << 64 | int(found.low[0]), int(found.length[0])


@COMPILES
@given(st.one_of(plausible, addresses))
@example("1:2:3:4:5:6:7::")
@example("::2:3:4:5:6:7:8")
@example("1:2:3:4:5:6:7:1.2.3.4")
@example("1:2:3:4:5:6:1.2.3.4")
@example("::1.2.3.4")
@example("::ffff:192.0.2.1/120")
@example(":::")
@example("1::2::3")
@example(":1::")
@example("1:")
@example("01.2.3.4")
@example("1.2.3.4/33")
@example("::/128")
@example("::/129")
@example("/8")
@example("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128")
def test_text_is_read_as_ipaddress_reads_it(text: str) -> None:
    assert read(text) == expected(text)


@COMPILES
@given(st.ip_addresses(), st.data())
def test_prefixes_keep_their_host_bits(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject
) -> None:
    text = f"{address}/{data.draw(st.integers(0, address.max_prefixlen))}"

    assert read(text) == expected(text)


def test_columns_with_nulls_slices_and_chunks() -> None:
    texts = pa.array(["x", "192.0.2.1", None, "2001:db8::/32", ""])
    chunked = pa.chunked_array([texts.slice(1, 2), texts.slice(3)])

    assert parse(texts.slice(1, 3)).length.tolist() == [128, -1, 32]
    assert parse(chunked).length.tolist() == [128, -1, 32, -1]
    assert len(parse(pa.array([], pa.string())).high) == 0
    assert parse(pa.array([None, None], pa.string())).length.tolist() == [-1, -1]


@COMPILES
@given(st.lists(st.binary(min_size=16, max_size=16), max_size=5))
def test_bytes_and_words_are_the_same_address(raw: list[bytes]) -> None:
    table = np.frombuffer(b"".join(raw), np.uint8).reshape(-1, 16)
    high, low = from_bytes(table)

    assert [int(h) << 64 | int(w) for h, w in zip(high, low, strict=True)] == [
        int.from_bytes(part, "big") for part in raw
    ]
    assert to_bytes(high, low).tobytes() == table.tobytes()


@COMPILES
@given(st.lists(st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)), max_size=8))
def test_masks_clear_what_is_after_the_length(rows: list[tuple[int, int]]) -> None:
    high = np.array([value >> 64 for value, _ in rows], np.uint64)
    low = np.array([value & (2**64 - 1) for value, _ in rows], np.uint64)
    length = np.array([bits for _, bits in rows], np.int32)
    upper, lower = masked(high, low, length)

    assert [int(h) << 64 | int(w) for h, w in zip(upper, lower, strict=True)] == [
        value >> (128 - bits) << (128 - bits) for value, bits in rows
    ]


def test_prefixes_are_written_in_the_family_they_belong_to() -> None:
    texts = ["192.0.2.0/24", "2001:db8::/32", "192.0.2.0/24", "::/0", "0.0.0.0/0"]
    found = parse(pa.array(texts))

    assert prefix_texts(*found).to_pylist() == texts
    assert is_ipv4(found.high, found.low).tolist() == [True, False, True, False, True]


def test_what_is_no_prefix_is_null() -> None:
    found = parse(pa.array(["nothing", "192.0.2.1"]))

    assert prefix_texts(*found).to_pylist() == [None, "192.0.2.1/32"]


@pytest.mark.parametrize("text", ["1" * 10_000, "::" * 5_000, "\x00", "1.2.3.4\n"])
def test_long_and_strange_text_is_refused(text: str) -> None:
    assert read(text) is None

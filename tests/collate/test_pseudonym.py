"""Counting units and keyed hashes."""

from __future__ import annotations

import ipaddress
import socket

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.collate.pseudonym import SiteKey, counting_unit, siphash, unit_address, unit_text

KEY = bytes(range(16))
# SipHash-2-4 of the messages 00, 00 01, ... under the key 00 01 ... 0f, from the reference
# implementation's vectors (Aumasson, Bernstein), as the bytes it prints.
VECTORS = {
    0: "310e0edd47db6f72",
    1: "fd67dc93c539f874",
    2: "5a4fa9d909806c0d",
    3: "2d7efbd796666785",
    4: "b7877127e09427cf",
    5: "8da699cd64557618",
    6: "cee3fe586e46c9cb",
    7: "37d1018bf50002ab",
    8: "6224939a79f5f593",
    9: "b0e4a90bdf82009e",
    15: "e545be4961ca29a1",
    63: "724506eb4c328a95",
}


def rows(*addresses: str) -> np.ndarray:
    packed = [
        b"\0" * 10 + b"\xff\xff" + a.packed if a.version == 4 else a.packed
        for a in map(ipaddress.ip_address, addresses)
    ]
    return np.frombuffer(b"".join(packed), np.uint8).copy().reshape(-1, 16)


def texts(*addresses: str) -> list[str]:
    return [str(text) for text in unit_text(*counting_unit(rows(*addresses)))]


@pytest.mark.parametrize(("length", "expected"), VECTORS.items())
def test_the_hash_gives_the_official_vectors(length: int, expected: str) -> None:
    message = np.arange(64, dtype=np.uint8)[None, :]

    value = siphash(KEY, message, np.array([length]))

    assert value.astype("<i8").tobytes().hex() == expected


@pytest.mark.parametrize(
    ("address", "unit"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),
        ("2002:c000:0201::1", "192.0.2.1"),
        # RFC 4380 section 4: the client's address stands inverted in the last four bytes.
        ("2001:0:4136:e378:8000:63bf:3fff:fdfe", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("64:ff9b:1::192.0.2.1", "64:ff9b:1::/64"),
        ("64:ff9b::1:192.0.2.1", "64:ff9b::/64"),
        ("2001:1::1", "2001:1::/64"),
        ("::1", "::/64"),
        ("1::ffff:192.0.2.1", "1::/64"),
        ("0.0.0.0", "0.0.0.0"),
        ("255.255.255.255", "255.255.255.255"),
    ],
)
def test_an_address_counts_as_what_it_carries(address: str, unit: str) -> None:
    assert texts(address) == [unit]


def test_the_kind_of_unit_is_part_of_the_hash() -> None:
    key = SiteKey(KEY)
    units = np.array([[1, 2, 3, 4, 0, 0, 0, 0]] * 2, np.uint8)

    first, second = key.clients(np.array([0, 1], np.uint8), units)

    assert first != second


def test_another_key_gives_other_clients() -> None:
    units = counting_unit(rows("192.0.2.1"))

    assert SiteKey(KEY).clients(*units) != SiteKey(KEY[::-1]).clients(*units)


def test_the_key_is_not_shown() -> None:
    assert "\\x01" not in repr(SiteKey(KEY))


def test_bits_beyond_the_subnet_do_not_count() -> None:
    ecs = np.frombuffer(
        b"".join(
            socket.inet_pton(socket.AF_INET6, text) + bytes([bits])
            for text, bits in [
                ("2001:db8:1:2::", 57),
                ("2001:db8:1:7f::1", 57),
                ("2001:db8:1:82::", 57),
                ("2001:db8:1:2::", 56),
                ("::1", 128),
                ("::1", 255),
            ]
        ),
        np.uint8,
    ).reshape(-1, 17)

    a, b, c, d, e, f = SiteKey(KEY).subnets(ecs)

    assert a == b
    assert e == f
    assert len({int(x) for x in (a, c, d, e)}) == 4


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.binary(min_size=16, max_size=16), max_size=20))
def test_a_unit_counts_as_itself(packed: list[bytes]) -> None:
    addresses = np.frombuffer(b"".join(packed), np.uint8).copy().reshape(-1, 16)
    codes, units = counting_unit(addresses)

    again = counting_unit(unit_address(codes, units))

    assert np.array_equal(codes, again[0])
    assert np.array_equal(units, again[1])

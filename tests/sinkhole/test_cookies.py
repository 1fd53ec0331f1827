"""Server cookies are those of RFC 9018."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.sinkhole.cookies import ServerCookies, siphash
from sinkhole.made_zones import QUICK

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
CLIENT = bytes.fromhex("2464c4abcf10c957")


def mapped(text: str) -> bytes:
    address = ipaddress.ip_address(text)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


VECTORS = [  # RFC 9018 appendix A: secret, client cookie, address, time, server cookie
    (
        "e5e973e5a6b2a43f48e7dc849e37bfcf",
        "2464c4abcf10c957",
        "198.51.100.100",
        1559731985,
        "010000005cf79f111f8130c3eee29480",
    ),
    (
        "e5e973e5a6b2a43f48e7dc849e37bfcf",
        "2464c4abcf10c957",
        "198.51.100.100",
        1559734385,
        "010000005cf7a871d4a564a1442aca77",
    ),
    (
        "e5e973e5a6b2a43f48e7dc849e37bfcf",
        "fc93fc62807ddb86",
        "203.0.113.203",
        1559734700,
        "010000005cf7a9acf73a7810aca2381e",
    ),
    (
        "445536bcd2513298075a5d379663c962",
        "22681ab97d52c298",
        "2001:db8:220:1:59de:d0f4:8769:82b8",
        1559741961,
        "010000005cf7c609a6bb79d16625507a",
    ),
]


@pytest.mark.parametrize(("secret", "client", "address", "time", "cookie"), VECTORS)
def test_rfc9018_appendix_a(secret: str, client: str, address: str, time: int, cookie: str) -> None:
    server = ServerCookies(bytes.fromhex(secret))
    made = server.fresh(bytes.fromhex(client), mapped(address), time)

    assert made.hex() == cookie
    assert server.valid(bytes.fromhex(client) + made, mapped(address), time)


def test_rfc9018_a_3_the_reserved_bytes_of_others_are_hashed_as_they_came() -> None:
    cookie = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")

    assert ServerCookies(SECRET).valid(cookie, mapped("203.0.113.203"), 0x5CF78F71)


def test_siphash_2_4_of_its_paper() -> None:
    key = (0x0706050403020100, 0x0F0E0D0C0B0A0908)

    assert siphash(key, bytes(range(15))) == 0xA129CA6149BE45E5


@pytest.mark.parametrize(
    ("age", "good"), [(0, True), (3600, True), (3601, False), (-300, True), (-301, False)]
)
@pytest.mark.parametrize("made", [1_700_000_000, 2**32 - 5, 4])
def test_a_cookie_is_good_for_an_hour_on_both_sides_of_the_clocks_end(
    made: int, age: int, good: bool
) -> None:
    server = ServerCookies(SECRET)
    cookie = CLIENT + server.fresh(CLIENT, mapped("192.0.2.1"), made)

    assert server.valid(cookie, mapped("192.0.2.1"), made + age) is good


@QUICK
@given(st.integers(0, 24 * 8 - 1))
def test_any_other_bit_makes_a_cookie_bad(bit: int) -> None:
    server = ServerCookies(SECRET)
    cookie = bytearray(CLIENT + server.fresh(CLIENT, mapped("192.0.2.1"), 1_700_000_000))
    cookie[bit // 8] ^= 1 << bit % 8

    assert not server.valid(bytes(cookie), mapped("192.0.2.1"), 1_700_000_000)


def test_a_cookie_is_good_for_one_address_one_secret_and_one_length() -> None:
    server = ServerCookies(SECRET)
    cookie = CLIENT + server.fresh(CLIENT, mapped("192.0.2.1"), 1_700_000_000)

    assert not server.valid(cookie, mapped("192.0.2.2"), 1_700_000_000)
    assert not server.valid(cookie, mapped("2001:db8::1"), 1_700_000_000)
    assert not server.valid(cookie + b"\0", mapped("192.0.2.1"), 1_700_000_000)
    assert not server.valid(CLIENT, mapped("192.0.2.1"), 1_700_000_000)
    assert not ServerCookies(bytes(16)).valid(cookie, mapped("192.0.2.1"), 1_700_000_000)


def test_a_secret_has_16_bytes() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        ServerCookies(b"short")

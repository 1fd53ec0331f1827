"""The fast path's cookies are those of RFC 9018, and those of ``cookies``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.sinkhole.cookie_kernel import is_valid, write_cookie
from remnant.sinkhole.cookies import ServerCookies
from sinkhole.made_zones import QUICK
from sinkhole.test_cookies import VECTORS, mapped


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8).copy()


def fresh(secret: bytes, client: bytes, address: bytes, now: int) -> bytes:
    """Return the data of a COOKIE option as the kernel writes them, with bytes around it kept."""
    out = np.full(40, 0xEE, np.uint8)
    key = np.frombuffer(secret, np.uint64).copy()
    end = write_cookie(key, array(b"xyz" + client), 3, array(address), now, out, 5)

    assert end == 29
    assert (out[:5] == 0xEE).all()
    assert (out[29:] == 0xEE).all()
    return out[5:29].tobytes()


def valid(secret: bytes, cookie: bytes, address: bytes, now: int) -> bool:
    key = np.frombuffer(secret, np.uint64).copy()
    return is_valid(key, array(b"xyz" + cookie), 3, len(cookie), array(address), now)


@pytest.mark.parametrize(("secret", "client", "address", "time", "cookie"), VECTORS)
def test_rfc9018_appendix_a(secret: str, client: str, address: str, time: int, cookie: str) -> None:
    made = fresh(bytes.fromhex(secret), bytes.fromhex(client), mapped(address), time)

    assert made.hex() == client + cookie
    assert valid(bytes.fromhex(secret), made, mapped(address), time)


def test_rfc9018_a_3_the_reserved_bytes_of_others_are_hashed_as_they_came() -> None:
    cookie = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
    secret = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")

    assert valid(secret, cookie, mapped("203.0.113.203"), 0x5CF78F71)


ADDRESSES = st.binary(min_size=16, max_size=16) | st.binary(min_size=4, max_size=4).map(
    lambda packed: bytes(10) + b"\xff\xff" + packed
)
SECRETS = st.binary(min_size=16, max_size=16)
TIMES = st.integers(0, 2**33)


@QUICK
@given(SECRETS, st.binary(min_size=8, max_size=8), ADDRESSES, TIMES)
def test_both_make_the_same_cookie(secret: bytes, client: bytes, address: bytes, now: int) -> None:
    assert fresh(secret, client, address, now) == client + ServerCookies(secret).fresh(
        client, address, now
    )


@QUICK
@given(SECRETS, st.binary(max_size=48), ADDRESSES, TIMES)
def test_both_refuse_what_is_no_cookie(
    secret: bytes, cookie: bytes, address: bytes, now: int
) -> None:
    assert valid(secret, cookie, address, now) == ServerCookies(secret).valid(cookie, address, now)


@QUICK
@given(
    SECRETS, st.binary(min_size=8, max_size=8), ADDRESSES, TIMES,
    st.integers(-400, 3700), st.none() | st.integers(0, 191),
)  # fmt: skip
def test_both_agree_on_age_and_changed_bits(
    secret: bytes, client: bytes, address: bytes, made: int, age: int, bit: int | None
) -> None:
    server = ServerCookies(secret)
    cookie = bytearray(client + server.fresh(client, address, made))
    if bit is not None:
        cookie[bit // 8] ^= 1 << bit % 8
    now = max(0, made + age)

    assert valid(secret, bytes(cookie), address, now) == server.valid(bytes(cookie), address, now)

"""Server cookies as the fast path makes them; ``cookies`` says the same in plain Python.

References:
    RFC 7873 (DNS cookies), RFC 9018 (the form of server cookies that many servers share).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from numba import int64, uint64

from remnant.collate.pseudonym import sip_round
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remnant.wire import Bytes, Int, Word

__all__ = ["CLIENT_BYTES", "SERVER_BYTES", "cookie_hash", "is_valid", "write_cookie"]

CLIENT_BYTES: Final = 8
SERVER_BYTES: Final = 16
_OLDEST_S: Final = 3600
_NEWEST_S: Final = 300

_S8: Final[Any] = uint64(8)
_ROUNDS: Final = 4


@kernel
def _absorbed(v0: Word, v1: Word, v2: Word, v3: Word, word: Word) -> tuple[Word, Word, Word, Word]:
    v3 ^= word
    v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
    v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
    v0 ^= word
    return v0, v1, v2, v3


@inlined
def _word(buffer: Bytes, start: Int, count: Int) -> Word:
    """Return up to 8 bytes as a little-endian number."""
    value = uint64(0)
    for i in range(count):
        value |= uint64(buffer[start + i]) << uint64(8 * i)
    return value


@kernel
def cookie_hash(
    secret: npt.NDArray[np.uint64], client: Word, stamped: Word, address: Bytes
) -> Word:
    """Return SipHash-2-4 over client cookie, version, time and address (RFC 9018 section 4.4).

    Args:
        secret: uint64[2].
        client: the 8 bytes of the client cookie, little-endian.
        stamped: version, reserved bytes and time, little-endian.
        address: uint8[16], an IPv4 address as ``::ffff:a.b.c.d``: 4 bytes of it count.
    """
    v0 = secret[0] ^ uint64(0x736F6D6570736575)
    v1 = secret[1] ^ uint64(0x646F72616E646F6D)
    v2 = secret[0] ^ uint64(0x6C7967656E657261)
    v3 = secret[1] ^ uint64(0x7465646279746573)
    v0, v1, v2, v3 = _absorbed(v0, v1, v2, v3, client)
    v0, v1, v2, v3 = _absorbed(v0, v1, v2, v3, stamped)
    mapped = address[10] == 0xFF and address[11] == 0xFF
    for i in range(10):
        mapped = mapped and address[i] == 0
    if mapped:
        last = _word(address, 12, 4) | (uint64(20) << uint64(56))
    else:
        v0, v1, v2, v3 = _absorbed(v0, v1, v2, v3, _word(address, 0, 8))
        v0, v1, v2, v3 = _absorbed(v0, v1, v2, v3, _word(address, 8, 8))
        last = uint64(32) << uint64(56)
    v0, v1, v2, v3 = _absorbed(v0, v1, v2, v3, last)
    v2 ^= uint64(0xFF)
    for _ in range(_ROUNDS):
        v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@kernel
def is_valid(
    secret: npt.NDArray[np.uint64], buffer: Bytes, start: Int, size: Int, address: Bytes, now: Int
) -> bool:
    """Return whether a COOKIE option's data holds a server cookie that was given to this address.

    Args:
        secret: uint64[2].
        buffer: holds the option.
        start: where its data begin.
        size: bytes of the data.
        address: uint8[16].
        now: seconds since 1970.
    """
    server = start + CLIENT_BYTES
    if size != CLIENT_BYTES + SERVER_BYTES or buffer[server] != 1:
        return False
    stamp = int64(0)
    for i in range(4, 8):
        stamp = (stamp << 8) | int64(buffer[server + i])
    age = (now - stamp) & 0xFFFFFFFF
    if age >= 0x80000000:
        age -= 0x100000000
    if age > _OLDEST_S or age < -_NEWEST_S:
        return False
    # The reserved bytes as they came: RFC 9018 section 4.2.
    expected = cookie_hash(secret, _word(buffer, start, 8), _word(buffer, server, 8), address)
    return bool(_word(buffer, server + 8, 8) == expected)


@kernel
def write_cookie(
    secret: npt.NDArray[np.uint64],
    buffer: Bytes,
    start: Int,
    address: Bytes,
    now: Int,
    out: Bytes,
    at: Int,
) -> Int:
    """Write the data of a COOKIE option: the client's 8 bytes and 16 new ones; return the end."""
    for i in range(CLIENT_BYTES):
        out[at + i] = buffer[start + i]
    at += CLIENT_BYTES
    stamp = now & 0xFFFFFFFF
    out[at] = 1
    out[at + 1] = out[at + 2] = out[at + 3] = 0
    for i in range(4):
        out[at + 4 + i] = (stamp >> (24 - 8 * i)) & 0xFF
    value = cookie_hash(secret, _word(buffer, start, 8), _word(out, at, 8), address)
    for i in range(8):
        out[at + 8 + i] = int64((value >> (_S8 * uint64(i))) & uint64(0xFF))
    return at + SERVER_BYTES

"""DNS cookies: a client that returns one has shown that its address is genuine.

The server keeps nothing: a cookie carries the time it was made and a keyed hash over that time, the
client's own cookie and its address. Every server of a site that has the same secret accepts it.

References:
    RFC 7873 (DNS cookies), RFC 9018 (how a server's cookie is made).
"""

from __future__ import annotations

import struct
from functools import lru_cache, partial
from hmac import compare_digest
from typing import Final

from remnant.sinkhole.addresses import MAPPED

__all__ = ["CLIENT_BYTES", "SECRET_BYTES", "ServerCookies", "siphash"]

SECRET_BYTES: Final = 16
CLIENT_BYTES: Final = 8
"""Bytes of the client's part of a cookie."""

_SERVER_BYTES: Final = 16
_OLDEST: Final = 3600
"""Seconds that a cookie is good for."""
_AHEAD: Final = 300
"""Seconds that another server's clock may be ahead of ours."""
_KEPT: Final = 4096
"""Hashes that are kept, so that they need not be made again."""
_VERSION: Final = b"\1\0\0\0"
"""Version 1, and three bytes that a server sets to zero."""
_ALL: Final = (1 << 64) - 1
_LOW32: Final = (1 << 32) - 1


class ServerCookies:
    """Makes and checks the server's part of cookies.

    Args:
        secret: 16 bytes, the same on every server that shares an address.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError("the secret for cookies has 16 bytes")
        # A resolver sends the same cookie with every query, and gets the same one all second long.
        self._siphash = lru_cache(_KEPT)(partial(siphash, struct.unpack("<2Q", secret)))

    def fresh(self, client: bytes, address: bytes, now: int) -> bytes:
        """Return a new server cookie.

        Args:
            client: the client's cookie, 8 bytes.
            address: the client's address, 16 bytes, IPv4 as ::ffff:a.b.c.d.
            now: the time (UTC seconds).
        """
        head = _VERSION + (now & _LOW32).to_bytes(4, "big")
        return head + self._hash(client, head, address)

    def valid(self, cookie: bytes, address: bytes, now: int) -> bool:
        """Return whether a whole cookie (client's part, then server's) is one of ours and in time.

        Args:
            cookie: as received, of any length.
            address: as in ``fresh``.
            now: the time (UTC seconds).
        """
        if len(cookie) != CLIENT_BYTES + _SERVER_BYTES or cookie[8] != 1:
            return False
        age = (now - int.from_bytes(cookie[12:16], "big")) & _LOW32
        # Serial arithmetic (RFC 1982): the upper half of the circle is the future.
        if _OLDEST < age < (1 << 32) - _AHEAD:
            return False
        return compare_digest(self._hash(cookie[:8], cookie[8:16], address), cookie[16:])

    def _hash(self, client: bytes, head: bytes, address: bytes) -> bytes:
        source = address[12:] if address.startswith(MAPPED) else address
        return self._siphash(client + head + source).to_bytes(8, "little")


def siphash(key: tuple[int, int], data: bytes) -> int:
    """Return SipHash-2-4 of some bytes.

    Args:
        key: the two halves of the key, each read in little-endian order.
        data: what is hashed.

    References:
        Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
    """
    k0, k1 = key
    v0 = k0 ^ 0x736F6D6570736575
    v1 = k1 ^ 0x646F72616E646F6D
    v2 = k0 ^ 0x6C7967656E657261
    v3 = k1 ^ 0x7465646279746573
    size = len(data)
    words = size // 8 + 1
    # The last word holds what is left over and, in its top byte, the length.
    padded = data + bytes(8 * words - size - 1) + bytes((size & 0xFF,))
    everything = _ALL
    for word in (*struct.unpack(f"<{words}Q", padded), None):
        if word is None:
            v2 ^= 0xFF
            rounds = 4
        else:
            v3 ^= word
            rounds = 2
        for _ in range(rounds):
            v0 = (v0 + v1) & everything
            v1 = ((v1 << 13 | v1 >> 51) & everything) ^ v0
            v0 = (v0 << 32 | v0 >> 32) & everything
            v2 = (v2 + v3) & everything
            v3 = ((v3 << 16 | v3 >> 48) & everything) ^ v2
            v0 = (v0 + v3) & everything
            v3 = ((v3 << 21 | v3 >> 43) & everything) ^ v0
            v2 = (v2 + v1) & everything
            v1 = ((v1 << 17 | v1 >> 47) & everything) ^ v2
            v2 = (v2 << 32 | v2 >> 32) & everything
        if word is not None:
            v0 ^= word
    return v0 ^ v1 ^ v2 ^ v3

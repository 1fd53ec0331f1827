"""Addresses as the sinkhole compares them: 16 bytes, IPv4 inside IPv6.

References:
    RFC 4291 section 2.5.5.2 (IPv4-mapped addresses).
"""

from __future__ import annotations

import socket
from typing import Final

__all__ = ["MAPPED", "mapped", "unit_of"]

MAPPED: Final = bytes(10) + b"\xff\xff"
"""What stands before the four bytes of an IPv4 address."""


def mapped(host: str) -> bytes:
    """Return an address as 16 bytes, an IPv4 address as ::ffff:a.b.c.d.

    Args:
        host: as the socket module writes it, maybe with the scope of a link (``fe80::1%eth0``).

    >>> mapped("192.0.2.1").hex()
    '00000000000000000000ffffc0000201'
    """
    if ":" in host:
        return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return MAPPED + socket.inet_pton(socket.AF_INET, host)


def unit_of(address: bytes) -> bytes:
    r"""Return what limits count as one source: an IPv4 address, or the /64 that a host may fill.

    >>> unit_of(mapped("192.0.2.1")), unit_of(mapped("2001:db8::1")).hex()
    (b'\xc0\x00\x02\x01', '20010db800000000')
    """
    return address[len(MAPPED) :] if address.startswith(MAPPED) else address[:8]

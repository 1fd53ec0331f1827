"""Clients: the counting unit of an address, and its keyed hash.

What one client is, and what addresses carry another one inside, follows RFC 4291 section 2.5.5.2
(IPv4-mapped), RFC 6052 section 2.1 (NAT64), RFC 3056 section 2 (6to4) and RFC 4380 section 4
(Teredo). The hash is SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012).
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import uint64

from remnant.wire import compiled, inlined

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Int, Word

__all__ = ["SiteKey", "counting_unit", "sip_round", "siphash", "unit_address", "unit_text"]

KEY_BYTES: Final = 16
_IPV4: Final = 0
_IPV6_64: Final = 1
_ECS: Final = 2
_UNIT_BYTES: Final = 8
_ECS_BYTES: Final = 17


@inlined
def _rotated(x: Word, count: Int) -> Word:
    return (x << uint64(count)) | (x >> uint64(64 - count))


@inlined
def sip_round(v0: Word, v1: Word, v2: Word, v3: Word) -> tuple[Word, Word, Word, Word]:
    """Return the state of SipHash after one more round."""
    v0 += v1
    v2 += v3
    v1 = _rotated(v1, 13) ^ v0
    v3 = _rotated(v3, 16) ^ v2
    v0 = _rotated(v0, 32)
    v2 += v1
    v0 += v3
    v1 = _rotated(v1, 17) ^ v2
    v3 = _rotated(v3, 21) ^ v0
    v2 = _rotated(v2, 32)
    return v0, v1, v2, v3


@compiled
def _siphash(
    messages: npt.NDArray[np.uint8],
    lengths: npt.NDArray[np.int64],
    k0: np.uint64,
    k1: np.uint64,
    out: npt.NDArray[np.int64],
) -> None:
    width = messages.shape[1]
    for row in range(messages.shape[0]):
        length = min(max(lengths[row], 0), width)
        v0 = k0 ^ np.uint64(0x736F6D6570736575)
        v1 = k1 ^ np.uint64(0x646F72616E646F6D)
        v2 = k0 ^ np.uint64(0x6C7967656E657261)
        v3 = k1 ^ np.uint64(0x7465646279746573)
        # The last word holds what is left over and, in its top byte, the length modulo 256.
        for start in range(0, length + 1, 8):
            word = np.uint64(0)
            if start + 8 > length:
                word = np.uint64(length & 0xFF) << np.uint64(56)
            for i in range(min(8, length - start)):
                word |= np.uint64(messages[row, start + i]) << np.uint64(8 * i)
            v3 ^= word
            for _ in range(2):
                v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
            v0 ^= word
        v2 ^= np.uint64(0xFF)
        for _ in range(4):
            v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
        out[row] = np.int64(v0 ^ v1 ^ v2 ^ v3)


@compiled
def _counting_unit(
    addresses: npt.NDArray[np.uint8],
    codes: npt.NDArray[np.uint8],
    units: npt.NDArray[np.uint8],
) -> None:
    for row in range(addresses.shape[0]):
        a = addresses[row]
        first = -1
        flip = np.uint8(0)
        if a[0] == 0x20 and a[1] == 0x02:
            first = 2
        elif a[0] == 0x20 and a[1] == 0x01 and a[2] == 0 and a[3] == 0:
            first = 12
            flip = np.uint8(0xFF)
        else:
            mapped = a[10] == 0xFF and a[11] == 0xFF
            nat64 = a[0] == 0 and a[1] == 0x64 and a[2] == 0xFF and a[3] == 0x9B
            zeros = 0
            for i in range(12):
                zeros += a[i] == 0
            if (mapped and zeros == 10) or (nat64 and zeros == 9):
                first = 12
        if first >= 0:
            codes[row] = 0
            for i in range(4):
                units[row, i] = a[first + i] ^ flip
        else:
            codes[row] = 1
            for i in range(8):
                units[row, i] = a[i]


def counting_unit(
    addresses: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return what each address counts as: an IPv4 address, or an IPv6 /64.

    IPv4-mapped, NAT64 (64:ff9b::/96), 6to4 and Teredo addresses count as the IPv4 address they
    carry; of a Teredo address that is the client's, whose bits stand inverted at its end.

    Args:
        addresses: uint8[n, 16], an IPv4 address as ::ffff:a.b.c.d.

    Returns:
        The unit of each row (uint8[n], index into ``schema.UNITS``) and its bytes (uint8[n, 8]:
        four address bytes and zeros, or the first eight bytes).

    References:
        RFC 4291 2.5.5.2, RFC 6052 2.1, RFC 3056 2, RFC 4380 4.
    """
    codes = np.zeros(len(addresses), np.uint8)
    units = np.zeros((len(addresses), _UNIT_BYTES), np.uint8)
    _counting_unit(np.ascontiguousarray(addresses), codes, units)
    return codes, units


def unit_address(
    codes: npt.NDArray[np.uint8], units: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Return counting units as 16-byte addresses: ::ffff:a.b.c.d, or the first of the /64."""
    out = np.zeros((len(codes), 16), np.uint8)
    ipv4 = codes == _IPV4
    out[ipv4, 10:12] = 0xFF
    out[ipv4, 12:] = units[ipv4, :4]
    out[~ipv4, :8] = units[~ipv4]
    return out


_OCTETS: Final = pa.array([str(octet) for octet in range(256)], pa.string())


def unit_text(codes: npt.NDArray[np.uint8], units: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Return counting units as a person writes them: ``192.0.2.1`` or ``2001:db8::/64``.

    References:
        RFC 5952 (text of IPv6 addresses).
    """
    octets: list[Any] = [_OCTETS.take(units[:, i]) for i in range(4)]
    text: pa.StringArray = pc.binary_join_element_wise(*octets, ".")
    ipv6 = codes == _IPV6_64
    if not ipv6.any():
        return text
    tail = bytes(_UNIT_BYTES)
    long = [
        socket.inet_ntop(socket.AF_INET6, unit.tobytes() + tail) + "/64" for unit in units[ipv6]
    ]
    whole: pa.StringArray = pc.replace_with_mask(text, pa.array(ipv6), pa.array(long, pa.string()))
    return whole


def siphash(
    key: bytes, messages: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return SipHash-2-4 of each row's first bytes, as signed 64-bit numbers.

    Args:
        key: 16 bytes.
        messages: uint8[n, width].
        lengths: how many bytes of each row count (int64[n]).
    """
    k0, k1 = np.frombuffer(key, "<u8")
    out = np.empty(len(messages), np.int64)
    _siphash(np.ascontiguousarray(messages), lengths, k0, k1, out)
    return out


@dataclass(frozen=True, slots=True)
class SiteKey:
    """The secret that makes pseudonyms of addresses.

    Attributes:
        secret: 16 random bytes; never shown.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError("a site key has 16 bytes")

    def clients(
        self, codes: npt.NDArray[np.uint8], units: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.int64]:
        """Return the pseudonym of each counting unit; its kind is part of what is hashed."""
        messages = np.empty((len(codes), 1 + _UNIT_BYTES), np.uint8)
        messages[:, 0] = codes
        messages[:, 1:] = units
        return siphash(self.secret, messages, np.where(codes == _IPV4, 5, 9))

    def subnets(self, ecs: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Return the pseudonym of each client subnet; bits beyond its prefix do not count.

        Args:
            ecs: uint8[n, 17]: 16 address bytes and the prefix length in bits of those 16.
        """
        bits = np.minimum(ecs[:, 16:], 128).astype(np.int16)
        kept = np.clip(bits - 8 * np.arange(16, dtype=np.int16), 0, 8)
        mask = (np.int32(0xFF00) >> kept).astype(np.uint8)
        messages = np.empty((len(ecs), 1 + _ECS_BYTES), np.uint8)
        messages[:, 0] = _ECS
        messages[:, 1:17] = ecs[:, :16] & mask
        messages[:, 17] = bits[:, 0]
        return siphash(self.secret, messages, np.full(len(ecs), 1 + _ECS_BYTES, np.int64))

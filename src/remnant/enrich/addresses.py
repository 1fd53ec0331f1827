"""Addresses and prefixes as text, as 16 bytes, and as two 64-bit words.

Everywhere an IPv4 address is ``::ffff:a.b.c.d``. Kernels see an address as its upper and lower
64 bits, because that is what sorts and compares fast.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import uint64

from remnant.capture.text_fields import parse_address, parse_uint
from remnant.wire import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes

__all__ = [
    "Column",
    "Parsed",
    "from_bytes",
    "is_ipv4",
    "mask",
    "parse",
    "prefix_texts",
    "to_bytes",
]

Column: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"

MAPPED: Final = uint64(0xFFFF << 32)
"""The lower word of ``::ffff:0.0.0.0``."""

_ZERO: Final = uint64(0)
_ONES: Final = uint64(0xFFFFFFFFFFFFFFFF)
_NUMBERS: Final[Any] = pa.array([str(number) for number in range(256)], pa.string())
_IPV4_BITS: Final = 96
_LONGEST_TEXT: Final = 100
"""Longer than any address with zone id and length."""


class Parsed(NamedTuple):
    """Addresses or prefixes, read from text.

    Attributes:
        high: uint64[n]: the first 8 bytes; of no meaning where not valid.
        low: uint64[n]: the last 8 bytes; the same.
        length: int32[n]: prefix length in bits of the 16-byte form (96 more than an IPv4 length),
            128 for a plain address, -1 where the text is neither.
    """

    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    length: npt.NDArray[np.int32]


def parse(texts: Column) -> Parsed:
    """Return the addresses and prefixes of a column of text; a null is not valid.

    Accepts dotted quads and RFC 4291 section 2.2 text, each with an optional ``/length``. Host bits
    stay as they are; a zone id is dropped.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    raw: Any = texts.cast(pa.large_binary())
    column: Any = pc.fill_null(raw, b"")
    _, offsets, data = column.buffers()
    count = len(column)
    starts = np.zeros(1, np.int64)
    if count:
        starts = np.frombuffer(offsets, np.int64)[column.offset : column.offset + count + 1]
    content = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    addresses = np.zeros(16 * count, np.uint8)
    length = np.full(count, -1, np.int32)
    _parse_all(content, starts, addresses, length)
    high, low = from_bytes(addresses)
    return Parsed(high, low, length)


def from_bytes(
    addresses: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return the upper and lower words of uint8[n, 16] addresses."""
    words = np.ascontiguousarray(addresses).reshape(-1, 16).view(">u8")
    return words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)


def to_bytes(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Return addresses as uint8[n, 16]."""
    words = np.empty((len(high), 2), ">u8")
    words[:, 0], words[:, 1] = high, low
    return words.view(np.uint8).reshape(-1, 16)


def is_ipv4(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Return which addresses are IPv4 (mapped)."""
    found: npt.NDArray[np.bool_] = (high == 0) & (low >> np.uint64(32) == 0xFFFF)
    return found


def masked(
    high: npt.NDArray[np.uint64],
    low: npt.NDArray[np.uint64],
    length: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return each address with all bits after its length cleared."""
    out_high, out_low = np.empty_like(high), np.empty_like(low)
    _mask_all(high, low, length, out_high, out_low)
    return out_high, out_low


def prefix_texts(
    high: npt.NDArray[np.uint64],
    low: npt.NDArray[np.uint64],
    length: npt.NDArray[np.int32],
) -> pa.Array[Any]:
    """Return prefixes as text, null where the length is negative.

    IPv4 prefixes are written with their IPv4 length. Each distinct prefix is written once.
    """
    order = np.lexsort((length, low, high))
    high, low, length = high[order], low[order], length[order]
    first = np.ones(len(order), bool)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1]) | (length[1:] != length[:-1])
    codes = np.empty(len(order), np.int64)
    codes[order] = np.cumsum(first) - 1
    high, low, length = high[first], low[first], length[first]
    four = is_ipv4(high, low) & (length >= _IPV4_BITS)
    six = ~four & (length >= 0)
    place = np.full(len(length), -1, np.int64)
    place[four] = np.arange(int(four.sum()))
    place[six] = np.arange(int(six.sum())) + int(four.sum())
    written: Any = pa.concat_arrays(
        [_ipv4_texts(low[four], length[four]), _ipv6_texts(high[six], low[six], length[six])]
    )
    at = place[codes]
    taken: pa.Array[Any] = written.take(pa.array(at, mask=at < 0))
    return taken


def _ipv4_texts(low: npt.NDArray[np.uint64], length: npt.NDArray[np.int32]) -> pa.Array[Any]:
    """Return IPv4 prefixes as text, joined from the text of their numbers by Arrow."""
    octets = [(low >> np.uint64(shift)).astype(np.uint8) for shift in (24, 16, 8, 0)]
    numbers = [_NUMBERS.take(pa.array(octet)) for octet in octets]
    bits = _NUMBERS.take(pa.array(length - _IPV4_BITS))
    quad: Any = pc.binary_join_element_wise(*numbers, pa.scalar("."))
    joined: pa.Array[Any] = pc.binary_join_element_wise(quad, bits, pa.scalar("/"))
    return joined


def _ipv6_texts(
    high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64], length: npt.NDArray[np.int32]
) -> pa.Array[Any]:
    """Return IPv6 prefixes as text (RFC 5952), one by one: no vector operation shortens zeros."""
    raw = to_bytes(high, low).tobytes()
    write, family = socket.inet_ntop, socket.AF_INET6
    places = range(0, len(raw), 16)
    texts = [
        f"{write(family, raw[at : at + 16])}/{bits}"
        for at, bits in zip(places, length.tolist(), strict=True)
    ]
    return pa.array(texts, pa.string())


@compiled
def mask(length: int) -> tuple[np.uint64, np.uint64]:
    """Return the words whose first ``length`` bits (0 to 128) are set."""
    if length <= 0:
        return _ZERO, _ZERO
    if length < 64:
        return _ONES << uint64(64 - length), _ZERO
    if length == 64:
        return _ONES, _ZERO
    if length < 128:
        return _ONES, _ONES << uint64(128 - length)
    return _ONES, _ONES


@compiled
def _mask_all(
    high: npt.NDArray[np.uint64],
    low: npt.NDArray[np.uint64],
    length: npt.NDArray[np.int32],
    out_high: npt.NDArray[np.uint64],
    out_low: npt.NDArray[np.uint64],
) -> None:
    for row in range(length.size):
        upper, lower = mask(length[row])
        out_high[row], out_low[row] = high[row] & upper, low[row] & lower


@compiled
def _parse_all(
    data: Bytes,
    offsets: npt.NDArray[np.int64],
    addresses: Bytes,
    length: npt.NDArray[np.int32],
) -> None:
    for row in range(length.size):
        start, end = offsets[row], offsets[row + 1]
        if end - start > _LONGEST_TEXT:
            continue
        slash = start
        while slash < end and data[slash] != 0x2F:
            slash += 1
        family = parse_address(data, start, slash, addresses, row * 16)
        if family == 0:
            continue
        bits = np.int64(128)
        if slash < end:
            limit = 32 if family == 4 else 128
            bits = parse_uint(data, slash + 1, end)
            if bits < 0 or bits > limit:
                continue
            bits += 128 - limit
        length[row] = bits

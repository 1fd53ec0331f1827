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
from numba import njit, uint64

if TYPE_CHECKING:
    import numpy.typing as npt

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
_LOW32: Final = uint64(0xFFFFFFFF)
_S4: Final = uint64(4)
_S8: Final = uint64(8)
_S16: Final = uint64(16)
_S32: Final = uint64(32)
_S48: Final = uint64(48)
_S64: Final = uint64(64)
_TEN: Final = uint64(10)
_LONGEST_TEXT: Final = 49
"""Six full groups, a dotted quad and ``/128``: nothing longer is an address."""


class Parsed(NamedTuple):
    """Addresses or prefixes, read from text.

    Attributes:
        high: uint64[n]: the first 8 bytes; 0 where not valid.
        low: uint64[n]: the last 8 bytes; 0 where not valid.
        length: int32[n]: prefix length in bits of the 16-byte form (96 more than an IPv4 length),
            128 for a plain address, -1 where the text is neither.
    """

    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    length: npt.NDArray[np.int32]


def parse(texts: Column) -> Parsed:
    """Return the addresses and prefixes of a column of text; a null is not valid.

    Accepts what ``ipaddress`` accepts, without zone ids: dotted quads without leading zeros, and
    RFC 4291 section 2.2 text, each with an optional ``/length``. Host bits stay as they are.
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
    high = np.zeros(count, np.uint64)
    low = np.zeros(count, np.uint64)
    length = np.full(count, -1, np.int32)
    _parse_all(content, starts, high, low, length)
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
    count = len(high)
    keys = np.empty(count, [("high", "u8"), ("low", "u8"), ("length", "i4")])
    keys["high"], keys["low"], keys["length"] = high, low, length
    order = np.lexsort((length, low, high))
    ordered = keys[order]
    first = np.ones(count, bool)
    first[1:] = ordered[1:] != ordered[:-1]
    codes = np.empty(count, np.int32)
    codes[order] = np.cumsum(first, dtype=np.int32) - 1
    distinct = ordered[first]
    packed = np.empty((len(distinct), 2), ">u8")
    packed[:, 0], packed[:, 1] = distinct["high"], distinct["low"]
    raw = packed.tobytes()
    mapped = is_ipv4(distinct["high"], distinct["low"]) & (distinct["length"] >= 96)
    texts = [
        None
        if bits < 0
        else f"{socket.inet_ntop(socket.AF_INET, raw[at + 12 : at + 16])}/{bits - 96}"
        if four
        else f"{socket.inet_ntop(socket.AF_INET6, raw[at : at + 16])}/{bits}"
        for at, bits, four in zip(
            range(0, len(raw), 16), distinct["length"].tolist(), mapped.tolist(), strict=True
        )
    ]
    written: pa.Array[Any] = pa.array(texts, pa.string())
    return written.take(pa.array(codes, pa.int32()))


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _parse_all(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    high: npt.NDArray[np.uint64],
    low: npt.NDArray[np.uint64],
    length: npt.NDArray[np.int32],
) -> None:
    for row in range(length.size):
        start, end = offsets[row], offsets[row + 1]
        if end - start > _LONGEST_TEXT:
            continue
        slash = end
        has_colon = False
        for at in range(start, end):
            if data[at] == 0x2F:
                slash = at
                break
            if data[at] == 0x3A:
                has_colon = True
        if has_colon:
            ok, upper, lower = _ipv6(data, start, slash)
        else:
            ok, word = _ipv4(data, start, slash)
            upper, lower = _ZERO, MAPPED | word
        if not ok:
            continue
        bits = 128
        if slash < end:
            number = _decimal(data, slash + 1, end)
            limit = 128 if has_colon else 32
            if number < 0 or number > limit:
                continue
            bits = number + 128 - limit
        high[row], low[row], length[row] = upper, lower, bits


@njit(cache=True, nogil=True)
def _decimal(data: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """Return a decimal number of one to three digits without leading zeros, or -1."""
    if end - start < 1 or end - start > 3 or (end - start > 1 and data[start] == 0x30):
        return -1
    number = 0
    for at in range(start, end):
        digit = int(data[at]) - 0x30
        if digit < 0 or digit > 9:
            return -1
        number = number * 10 + digit
    return number


@njit(cache=True, nogil=True)
def _ipv4(data: npt.NDArray[np.uint8], start: int, end: int) -> tuple[bool, np.uint64]:
    word = _ZERO
    begin = start
    parts = 0
    for at in range(start, end + 1):
        if at < end and data[at] != 0x2E:
            continue
        number = _decimal(data, begin, at)
        if number < 0 or number > 255:
            return False, _ZERO
        word = (word << _S8) | uint64(number)
        parts += 1
        begin = at + 1
    return parts == 4, word


@njit(cache=True, nogil=True)
def _ipv6(data: npt.NDArray[np.uint8], start: int, end: int) -> tuple[bool, np.uint64, np.uint64]:
    high, low = _ZERO, _ZERO  # groups before "::", or all of them
    tail_high, tail_low = _ZERO, _ZERO  # groups after it
    groups, tail_groups = 0, 0
    gap = False
    at = start
    if end - start >= 2 and data[start] == 0x3A and data[start + 1] == 0x3A:
        gap = True
        at += 2
        if at == end:
            return True, _ZERO, _ZERO
    while True:
        stop = at
        dotted = False
        while stop < end and data[stop] != 0x3A:
            dotted |= data[stop] == 0x2E
            stop += 1
        if dotted:
            ok, word = _ipv4(data, at, stop)
            if not ok or stop != end:
                return False, _ZERO, _ZERO
            shift, size = _S32, 2
        else:
            ok, word = _group(data, at, stop)
            if not ok:
                return False, _ZERO, _ZERO
            shift, size = _S16, 1
        if gap:
            tail_high = (tail_high << shift) | (tail_low >> (_S64 - shift))
            tail_low = (tail_low << shift) | word
            tail_groups += size
        else:
            high = (high << shift) | (low >> (_S64 - shift))
            low = (low << shift) | word
            groups += size
        if groups + tail_groups > 8:
            return False, _ZERO, _ZERO
        if stop == end:
            break
        at = stop + 1
        if at == end:
            return False, _ZERO, _ZERO  # ends in one colon
        if data[at] == 0x3A:
            if gap:
                return False, _ZERO, _ZERO
            gap = True
            at += 1
            if at == end:
                break
    if not gap:
        return groups == 8, high, low
    if groups + tail_groups > 7:
        return False, _ZERO, _ZERO
    for _ in range(8 - groups):
        high = (high << _S16) | (low >> _S48)
        low = low << _S16
    return True, high | tail_high, low | tail_low


@njit(cache=True, nogil=True)
def _group(data: npt.NDArray[np.uint8], start: int, end: int) -> tuple[bool, np.uint64]:
    """Return a group of one to four hexadecimal digits."""
    if end - start < 1 or end - start > 4:
        return False, _ZERO
    word = _ZERO
    for at in range(start, end):
        byte = data[at]
        if 0x30 <= byte <= 0x39:
            digit = uint64(byte) - uint64(0x30)
        elif 0x61 <= (byte | 0x20) <= 0x66:
            digit = uint64(byte | 0x20) - uint64(0x61) + _TEN
        else:
            return False, _ZERO
        word = (word << _S4) | digit
    return True, word

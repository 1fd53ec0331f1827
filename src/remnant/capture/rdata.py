r"""Kernels that write the data of a resource record as presentation text.

Names are folded and stand without their trailing dot, addresses in their canonical form. Types
without a form of their own here, and data that is not what its type says, are written as RFC 3597
writes unknown types (``\# 2 C0FF``): nothing is lost.

References:
    RFC 1035 (types), RFC 2782 (SRV), RFC 3597 (unknown types), RFC 5952 (IPv6 text),
    RFC 8659 (CAA).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from numba import int64

from remnant import wire
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["MAX_TEXT_FACTOR", "address_text", "data_text"]

MAX_TEXT_FACTOR: Final = 4
"""A byte of data becomes at most this many of text, names apart."""

_NS: Final = 2
_CNAME: Final = 5
_SOA: Final = 6
_PTR: Final = 12
_MX: Final = 15
_TXT: Final = 16
_SRV: Final = 33
_DNAME: Final = 39
_SPF: Final = 99
_CAA: Final = 257


@kernel
def _number(value: Int, out: Bytes, at: Int) -> Int:
    """Write a decimal number of up to ten digits."""
    unit = int64(1)
    while value // unit >= 10:
        unit *= 10
    while unit > 0:
        out[at] = 48 + value // unit % 10
        at += 1
        unit //= 10
    return at


@kernel
def _hexadecimal(value: Int, out: Bytes, at: Int) -> Int:
    """Write up to four digits without leading zeros, in lower case."""
    shift: Int = int64(12)
    while shift > 0 and value >> shift == 0:
        shift -= 4
    while shift >= 0:
        digit = (value >> shift) & 15
        out[at] = 48 + digit if digit < 10 else 87 + digit
        at += 1
        shift -= 4
    return at


@kernel
def address_text(buffer: Bytes, start: Int, size: Int, out: Bytes, at: Int) -> Int:
    """Write the text of an address of 4 or 16 bytes; return the position after it."""
    if size == 4:
        for i in range(4):
            at = _number(int64(buffer[start + i]), out, at)
            if i < 3:
                out[at] = 46
                at += 1
        return at
    # The longest run of at least two zero groups, the first of equal ones.
    best: Int = int64(0)
    best_size: Int = int64(0)
    run: Int = int64(0)
    for i in range(8):
        run = run + 1 if wire.u16(buffer, start + 2 * i) == 0 else int64(0)
        if run > best_size:
            best_size = run
            best = i - run + 1
    if best_size < 2:
        best = int64(8)
        best_size = int64(0)
    mapped = best == 0 and best_size == 5 and wire.u16(buffer, start + 10) == 0xFFFF
    group: Int = int64(0)
    while group < 8:
        if group == best:
            out[at] = 58
            out[at + 1] = 58
            at += 2
            group += best_size
            continue
        if mapped and group == 6:
            return address_text(buffer, start + 12, int64(4), out, at)
        at = _hexadecimal(wire.u16(buffer, start + 2 * group), out, at)
        group += 1
        if group < 8 and group != best:
            out[at] = 58
            at += 1
    return at


@kernel
def _name(
    buffer: Bytes,
    message: Int,
    start: Int,
    stop: Int,
    scratch: Bytes,
    starts: npt.NDArray[np.int64],
    out: Bytes,
    at: Int,
) -> tuple[Int, Int]:
    """Write a name; return (position after it in the message or -1, position in ``out``)."""
    count, after = wire.read_name(buffer, message, start, stop, scratch, starts)
    if count < 0:
        return int64(-1), at
    return after, wire.name_text(scratch, starts, count, out, at)


@kernel
def _quoted(buffer: Bytes, start: Int, stop: Int, out: Bytes, at: Int) -> Int:
    out[at] = 34
    at += 1
    for i in range(start, stop):
        byte = int64(buffer[i])
        if byte in (34, 92):
            out[at] = 92
            out[at + 1] = byte
            at += 2
        elif 32 <= byte <= 126:
            out[at] = byte
            at += 1
        else:
            out[at] = 92
            out[at + 1] = 48 + byte // 100
            out[at + 2] = 48 + byte // 10 % 10
            out[at + 3] = 48 + byte % 10
            at += 4
    out[at] = 34
    return at + 1


@kernel
def _strings(buffer: Bytes, start: Int, stop: Int, out: Bytes, at: Int) -> Int:
    """Write character strings; -1 if they do not fill the data exactly."""
    position = start
    if position >= stop:
        return int64(-1)
    while position < stop:
        end = position + 1 + int64(buffer[position])
        if end > stop:
            return int64(-1)
        if position > start:
            out[at] = 32
            at += 1
        at = _quoted(buffer, position + 1, end, out, at)
        position = end
    return at


@kernel
def _unknown(buffer: Bytes, start: Int, stop: Int, out: Bytes, at: Int) -> Int:
    out[at] = 92
    out[at + 1] = 35
    out[at + 2] = 32
    at = _number(stop - start, out, at + 3)
    if stop > start:
        out[at] = 32
        at += 1
    for i in range(start, stop):
        byte = int64(buffer[i])
        high = byte >> 4
        low = byte & 15
        out[at] = 48 + high if high < 10 else 55 + high
        out[at + 1] = 48 + low if low < 10 else 55 + low
        at += 2
    return at


@kernel
def _known(
    buffer: Bytes,
    message: Int,
    kind: Int,
    data: tuple[Int, Int],
    scratch: Bytes,
    starts: npt.NDArray[np.int64],
    out: Bytes,
    at: Int,
) -> Int:
    """Write data of a type with a form of its own; -1 if it has none or is not of that form."""
    start, stop = data
    size = stop - start
    if kind in (wire.A, wire.AAAA):
        if size == (4 if kind == wire.A else 16):
            return address_text(buffer, start, size, out, at)
        return int64(-1)
    if kind in (_TXT, _SPF):
        return _strings(buffer, start, stop, out, at)
    if kind == _CAA:
        if size < 2 or 2 + int64(buffer[start + 1]) > size or buffer[start + 1] == 0:
            return int64(-1)
        tag = start + 2 + int64(buffer[start + 1])
        for i in range(start + 2, tag):
            byte = wire.fold_byte(int64(buffer[i]))
            if not (97 <= byte <= 122 or 48 <= byte <= 57):
                return int64(-1)
        at = _number(int64(buffer[start]), out, at)
        out[at] = 32
        at += 1
        for i in range(start + 2, tag):
            out[at] = wire.fold_byte(int64(buffer[i]))
            at += 1
        out[at] = 32
        return _quoted(buffer, tag, stop, out, at + 1)
    numbers = int64(0)
    names = int64(1)
    if kind == _MX:
        numbers = int64(1)
    elif kind == _SRV:
        numbers = int64(3)
    elif kind == _SOA:
        names = int64(2)
    elif kind not in (_NS, _CNAME, _PTR, _DNAME):
        return int64(-1)
    if size < 2 * numbers + names:
        return int64(-1)
    position = start
    for _ in range(numbers):
        at = _number(wire.u16(buffer, position), out, at)
        out[at] = 32
        at += 1
        position += 2
    for i in range(names):
        if i > 0:
            out[at] = 32
            at += 1
        position, at = _name(buffer, message, position, stop, scratch, starts, out, at)
        if position < 0:
            return int64(-1)
    if kind == _SOA:
        if stop - position != 20:
            return int64(-1)
        for _ in range(5):
            out[at] = 32
            value = (wire.u16(buffer, position) << 16) | wire.u16(buffer, position + 2)
            at = _number(value, out, at + 1)
            position += 4
    return at if position == stop else int64(-1)


@kernel
def data_text(
    buffer: Bytes,
    message: Int,
    kind: Int,
    data: tuple[Int, Int],
    scratch: Bytes,
    starts: npt.NDArray[np.int64],
    out: Bytes,
    at: Int,
) -> Int:
    """Write the data of a record as text.

    Args:
        buffer: holds the message.
        message: where the message begins: compression pointers count from here.
        kind: the record's type.
        data: where its data begins and ends.
        scratch: uint8[256] for a name.
        starts: int64[130], as in ``wire.labels``.
        out: takes the text; needs MAX_TEXT_FACTOR times the bytes of the data, and 2,100 more.
        at: where in ``out`` the text begins.

    Returns:
        The position after the text.
    """
    end = _known(buffer, message, kind, data, scratch, starts, out, at)
    if end < 0:
        end = _unknown(buffer, data[0], data[1], out, at)
    return end

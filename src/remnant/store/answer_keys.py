r"""Keys by which records of passive DNS are kept in order.

Two orders serve every look-up as one range. By owner: the labels of the owner's name from the last
to the first, each with a zero byte behind it, so that a name comes before all names below it. By
data: the address (16 bytes, an IPv4 address as ::ffff:a.b.c.d), or the name that a record points
to, written as an owner is. After the key of either kind come a zero byte, the type and a hash of
the rest, so that even the records of one key have an order, and a busy key can be read in parts.

The text of a name never holds a byte below 33, nor one above 126: nothing is ambiguous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numba import int64, uint64

from remnant.wire import compiled

if TYPE_CHECKING:
    import ipaddress

    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "EVERYTHING",
    "POINTERS",
    "Range",
    "below_name",
    "data_keys",
    "in_network",
    "of_name",
    "owner_keys",
    "to_name",
]

Range: TypeAlias = tuple[bytes, bytes]
"""Keys from the first on, before the second."""

EVERYTHING: Final[Range] = (b"", b"\xff")

POINTERS: Final = (2, 5, 12, 15, 33, 39)
"""NS, CNAME, PTR, MX, SRV and DNAME: the data ends with a name."""

_A: Final = 1
_AAAA: Final = 28
_TAIL: Final = 11
"""Bytes after the key: a zero, two for the type, eight for the hash."""
_PLACE: Final = 17
"""Bytes of the key of an address."""
_BACKSLASH: Final = 92
_DOT: Final = 46
_HASH: Final = 35
_COLON: Final = 58
_ADDRESS: Final = b"\0"
_NAME: Final = b"\1"


# Ranges


def _reversed(name: str) -> bytes:
    text = name.encode("ascii", "replace")
    size = len(text)
    out = np.empty(size + 1, np.uint8)
    source = np.frombuffer(text or b".", np.uint8)
    return out[: int(_write_reversed(source, int64(0), int64(size), out, int64(0)))].tobytes()


def of_name(name: str) -> Range:
    """Return where the records of an owner stand (folded text, no trailing dot, ``.`` the root)."""
    key = _reversed(name)
    return key + b"\0", key + b"\1"


def below_name(name: str) -> Range:
    """Return where the records of an owner and of all names below it stand."""
    key = _reversed(name)
    return key, key + b"\xff"


def to_name(name: str, *, below: bool = False) -> Range:
    """Return where the records stand that point to a name, or also to one below it."""
    first, last = (below_name if below else of_name)(name)
    return _NAME + first, _NAME + last


def in_network(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Range:
    """Return where the records stand whose address is in a network."""
    first, last = (
        _ADDRESS + (b"\0" * 10 + b"\xff" * 2 if address.version == 4 else b"") + address.packed
        for address in (network.network_address, network.broadcast_address)
    )
    return first, last + b"\1"


# Keys of many rows


def owner_keys(table: pa.Table) -> pa.Array[Any]:
    """Return the key by owner of each row of ``schema.ANSWERS`` (large_binary, never null)."""
    names, name_offsets = _bytes_of(table["rrname"])
    data, data_offsets = _bytes_of(table["rdata"])
    kinds = table["rrtype"].to_numpy()
    offsets = np.zeros(kinds.size + 1, np.int64)
    out = np.empty(int(name_offsets[-1] - name_offsets[0]) + kinds.size * (_TAIL + 1), np.uint8)
    _owner_keys(names, name_offsets, kinds, data, data_offsets, out, offsets)
    return _array(out, offsets)


def data_keys(table: pa.Table) -> pa.Array[Any]:
    """Return the key by data of each row of ``schema.ANSWERS`` (large_binary).

    It is empty for a record that neither holds an address nor points to a name.
    """
    names, name_offsets = _bytes_of(table["rrname"])
    data, data_offsets = _bytes_of(table["rdata"])
    kinds = table["rrtype"].to_numpy()
    offsets = np.zeros(kinds.size + 1, np.int64)
    room = int(data_offsets[-1] - data_offsets[0]) + kinds.size * (_TAIL + _PLACE + 2)
    out = np.empty(room, np.uint8)
    _data_keys(names, name_offsets, kinds, data, data_offsets, out, offsets)
    return _array(out, offsets)


def _bytes_of(column: pa.ChunkedArray[Any]) -> tuple[Bytes, npt.NDArray[np.int64]]:
    values: Any = column.cast(pa.large_string()).combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else values.chunk(0)
    _, offsets, data = values.buffers()
    count = len(values)
    if offsets is None or not count:
        return np.zeros(1, np.uint8), np.zeros(count + 1, np.int64)
    at = np.frombuffer(offsets, np.int64)[values.offset : values.offset + count + 1]
    return (np.zeros(1, np.uint8) if data is None else np.frombuffer(data, np.uint8)), at


def _array(out: Bytes, offsets: npt.NDArray[np.int64]) -> pa.Array[Any]:
    buffers: Any = [offsets, out[: offsets[-1]]]
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), offsets.size - 1, [None, *map(pa.py_buffer, buffers)]
    )


@compiled
def _write_reversed(text: Bytes, start: Int, stop: Int, out: Bytes, at: Int) -> Int:
    """Write a printed name with its labels turned round; return the position after it.

    A dot after a backslash is part of a label. The root is no label at all.
    """
    if stop - start == 1 and text[start] == _DOT:
        return at
    last = at + stop - start + 1
    end = last
    begin = start
    i = start
    while i <= stop:
        if i < stop and text[i] == _BACKSLASH:
            i += 2
            continue
        if i >= stop or text[i] == _DOT:
            size = min(i, stop) - begin
            end -= size + 1
            for k in range(size):
                out[end + k] = text[begin + k]
            out[end + size] = 0
            begin = i + 1
        i += 1
    # A backslash at the very end leaves a gap that nothing was written to.
    gap = end - at
    if gap > 0:
        for k in range(end, last):
            out[k - gap] = out[k]
    return last - gap


@compiled
def _write_tail(kind: Int, text: Bytes, start: Int, stop: Int, out: Bytes, at: Int) -> Int:
    """Write what orders the records of one key; return the position after it."""
    out[at] = 0
    out[at + 1] = (kind >> 8) & 255
    out[at + 2] = kind & 255
    value = uint64(14695981039346656037)
    for i in range(start, stop):
        value = (value ^ uint64(text[i])) * uint64(1099511628211)
    for k in range(8):
        out[at + 3 + k] = (value >> uint64(8 * k)) & uint64(255)
    return at + _TAIL


@compiled
def _owner_keys(
    names: Bytes,
    name_offsets: npt.NDArray[np.int64],
    kinds: npt.NDArray[np.uint16],
    data: Bytes,
    data_offsets: npt.NDArray[np.int64],
    out: Bytes,
    offsets: npt.NDArray[np.int64],
) -> None:
    at = int64(0)
    for row in range(kinds.size):
        at = _write_reversed(names, name_offsets[row], name_offsets[row + 1], out, at)
        at = _write_tail(int64(kinds[row]), data, data_offsets[row], data_offsets[row + 1], out, at)
        offsets[row + 1] = at


@compiled
def _data_keys(
    names: Bytes,
    name_offsets: npt.NDArray[np.int64],
    kinds: npt.NDArray[np.uint16],
    data: Bytes,
    data_offsets: npt.NDArray[np.int64],
    out: Bytes,
    offsets: npt.NDArray[np.int64],
) -> None:
    at = int64(0)
    for row in range(kinds.size):
        kind = int64(kinds[row])
        start, stop = data_offsets[row], data_offsets[row + 1]
        end = int64(-1)
        if kind in (_A, _AAAA):
            out[at] = 0
            end = _write_address(data, start, stop, kind == _AAAA, out, at + 1)
        elif kind in POINTERS:
            # What stands before the name are numbers: the preference of an MX, say.
            for i in range(start, stop):
                if data[i] == 32:
                    start = i + 1
            first = data_offsets[row]
            unreadable = stop - first > 1 and data[first] == _BACKSLASH and data[first + 1] == _HASH
            if start < stop and not unreadable:
                out[at] = 1
                end = _write_reversed(data, start, stop, out, at + 1)
        if end >= 0:
            at = _write_tail(kind, names, name_offsets[row], name_offsets[row + 1], out, end)
        offsets[row + 1] = at


@compiled
def _write_four(text: Bytes, start: Int, stop: Int, out: Bytes, at: Int) -> bool:
    """Write the four bytes of a dotted address; return whether it is one."""
    value = int64(0)
    digits = 0
    parts = 0
    for i in range(start, stop + 1):
        if i == stop or text[i] == _DOT:
            if digits == 0 or value > 255 or parts == 4:
                return False
            out[at + parts] = value
            parts += 1
            value = int64(0)
            digits = 0
        else:
            digit = int64(text[i]) - 48
            digits += 1
            if digit < 0 or digit > 9 or digits > 3:
                return False
            value = value * 10 + digit
    return parts == 4


@compiled
def _write_address(text: Bytes, start: Int, stop: Int, six: bool, out: Bytes, at: Int) -> Int:
    """Write the 16 bytes of a canonical address; return the position after it, -1 if it is none."""
    for k in range(16):
        out[at + k] = 0
    if not six:
        out[at + 10] = out[at + 11] = 255
        return at + 16 if _write_four(text, start, stop, out, at + 12) else int64(-1)
    filled = 0
    gap = -1
    i = start
    while i < stop:
        if text[i] == _COLON:
            # A group ended before: only "::" begins with a colon.
            if i + 1 >= stop or text[i + 1] != _COLON or gap >= 0:
                return int64(-1)
            gap = filled
            i += 2
            continue
        value = int64(0)
        end = i
        dotted = False
        while end < stop and text[end] != _COLON:
            byte = int64(text[end])
            if byte == _DOT:
                dotted = True
            elif 48 <= byte <= 57:
                value = value * 16 + byte - 48
            elif 97 <= byte <= 102:
                value = value * 16 + byte - 87
            else:
                return int64(-1)
            end += 1
            if end - i > 15:
                return int64(-1)
        if dotted:
            if end != stop or filled > 12 or not _write_four(text, i, stop, out, at + filled):
                return int64(-1)
            filled += 4
            i = stop
            continue
        if end - i > 4 or filled > 14:
            return int64(-1)
        out[at + filled] = value >> 8
        out[at + filled + 1] = value & 255
        filled += 2
        i = end
        if i < stop and not (i + 1 < stop and text[i + 1] == _COLON):
            i += 1
            if i == stop:
                return int64(-1)
    if gap < 0:
        return at + 16 if filled == 16 else int64(-1)
    if filled > 14:
        return int64(-1)
    move = filled - gap
    for k in range(move):
        out[at + 15 - k] = out[at + filled - 1 - k]
    for k in range(gap, 16 - move):
        out[at + k] = 0
    return at + 16

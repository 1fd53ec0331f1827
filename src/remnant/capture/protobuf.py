"""The fields of one dnstap frame (protobuf, proto2), read in place by a kernel.

A field with the wrong wire type or an unknown number is stepped over, as protobuf readers do; of a
field that comes twice the last counts.

References:
    dnstap.proto (dnstap/dnstap.pb, CC0); the protobuf encoding guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from numba import int64, uint64

from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "FIELDS",
    "IDENTITY",
    "KIND",
    "MESSAGE",
    "PROTOCOL",
    "QUERY_ADDRESS",
    "QUERY_MESSAGE",
    "QUERY_NANOSECONDS",
    "QUERY_PORT",
    "QUERY_SECONDS",
    "RESPONSE_MESSAGE",
    "RESPONSE_NANOSECONDS",
    "RESPONSE_PORT",
    "RESPONSE_SECONDS",
    "TYPE",
    "UNSET",
    "VERSION",
    "frame",
]

# What ``frame`` writes, positions in an int64 array of FIELDS numbers. Bytes fields take two
# places: where they begin and where they end.
IDENTITY: Final = 0
VERSION: Final = 2
MESSAGE: Final = 4
KIND: Final = 6
TYPE: Final = 7
PROTOCOL: Final = 8
QUERY_ADDRESS: Final = 10
QUERY_PORT: Final = 12
RESPONSE_PORT: Final = 13
QUERY_SECONDS: Final = 14
QUERY_NANOSECONDS: Final = 15
QUERY_MESSAGE: Final = 16
RESPONSE_SECONDS: Final = 18
RESPONSE_NANOSECONDS: Final = 19
RESPONSE_MESSAGE: Final = 20
FIELDS: Final = 22

UNSET: Final = -1
"""In a field that the frame does not have."""

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5


@kernel
def _varint(buffer: Bytes, start: Int, stop: Int) -> tuple[Int, Int]:
    """Return (value, position after it); the position is -1 where it is cut off or too long.

    A value above 2**63 - 1 becomes 2**63 - 1.
    """
    byte = int64(buffer[start]) if start < stop else int64(0)
    if start < stop and byte < 128:
        return byte, start + 1
    value = uint64(0)
    for i in range(10):
        if start + i >= stop:
            break
        byte = int64(buffer[start + i])
        if i == 9 and byte > 1:
            break
        value |= uint64(byte & 127) << uint64(7 * i)
        if byte < 128:
            top = uint64(0x7FFFFFFFFFFFFFFF)
            return int64(min(top, value)), start + i + 1
    return int64(0), int64(-1)


@kernel
def _place(number: Int, wire: Int) -> Int:
    """Return where a field of Message is kept, or -1 if it is not."""
    if wire == _VARINT:
        if number == 1:
            return TYPE
        if number == 3:
            return PROTOCOL
        if number == 6:
            return QUERY_PORT
        if number == 7:
            return RESPONSE_PORT
        if number == 8:
            return QUERY_SECONDS
        if number == 12:
            return RESPONSE_SECONDS
    elif wire == _BYTES:
        if number == 4:
            return QUERY_ADDRESS
        if number == 10:
            return QUERY_MESSAGE
        if number == 14:
            return RESPONSE_MESSAGE
    elif wire == _FIXED32:
        if number == 9:
            return QUERY_NANOSECONDS
        if number == 13:
            return RESPONSE_NANOSECONDS
    return -1


@kernel
def _outer_place(number: Int, wire: Int) -> Int:
    """Return where a field of Dnstap is kept, or -1 if it is not."""
    if wire == _BYTES:
        if number == 14:
            return MESSAGE
        if number == 1:
            return IDENTITY
        if number == 2:
            return VERSION
    elif wire == _VARINT and number == 15:
        return KIND
    return -1


@kernel
def _fields(buffer: Bytes, start: Int, stop: Int, outer: bool, out: npt.NDArray[np.int64]) -> bool:
    """Read the fields of one message; return whether the bytes are well-formed."""
    position = start
    while position < stop:
        tag, position = _varint(buffer, position, stop)
        if position < 0:
            return False
        wire = tag & 7
        number = tag >> 3
        if number == 0 or number > 0x1FFFFFFF:
            return False
        place = _outer_place(number, wire) if outer else _place(number, wire)
        if wire == _VARINT:
            value, position = _varint(buffer, position, stop)
            if position < 0:
                return False
            if place >= 0:
                out[place] = value
        elif wire == _BYTES:
            size, position = _varint(buffer, position, stop)
            if position < 0 or size > stop - position:
                return False
            if place >= 0:
                out[place] = position
                out[place + 1] = position + size
            position += size
        elif wire == _FIXED32:
            if stop - position < 4:
                return False
            if place >= 0:
                out[place] = (
                    int64(buffer[position])
                    | (int64(buffer[position + 1]) << 8)
                    | (int64(buffer[position + 2]) << 16)
                    | (int64(buffer[position + 3]) << 24)
                )
            position += 4
        elif wire == _FIXED64:
            if stop - position < 8:
                return False
            position += 8
        else:
            # Groups do not occur in dnstap; 6 and 7 are not wire types.
            return False
    return True


@kernel
def frame(buffer: Bytes, start: Int, stop: Int, out: npt.NDArray[np.int64]) -> bool:
    """Read one Dnstap message.

    Args:
        buffer: holds it.
        start: where it begins.
        stop: where it ends.
        out: int64[FIELDS], filled with numbers and positions, UNSET where there is none.

    Returns:
        Whether the bytes are well-formed protobuf (fields that dnstap requires may be missing).
    """
    for i in range(FIELDS):
        out[i] = UNSET
    if not _fields(buffer, start, stop, True, out):
        return False
    return out[MESSAGE] < 0 or _fields(buffer, out[MESSAGE], out[MESSAGE + 1], False, out)

"""The fields of one dnstap frame (protobuf, proto2), read in place by a kernel.

A field with the wrong wire type or an unknown number is stepped over, as protobuf readers do; of a
field that comes twice the last counts.

References:
    dnstap.proto (dnstap/dnstap.pb, CC0); the protobuf encoding guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64, uint64

from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "FIELDS",
    "IDENTITY",
    "KIND",
    "MESSAGE",
    "POLICY",
    "POLICY_ACTION",
    "POLICY_RULE",
    "POLICY_TRIGGER",
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
    "policy",
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
POLICY: Final = 22
POLICY_ACTION: Final = 24
POLICY_TRIGGER: Final = 25
POLICY_RULE: Final = 26
FIELDS: Final = 28

UNSET: Final = -1
"""In a field that the frame does not have."""

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5


def _places(fields: dict[tuple[int, int], int]) -> npt.NDArray[np.int64]:
    """Return where the field of each one-byte tag is kept, -1 where it is not."""
    places = np.full(128, -1, np.int64)
    for (number, wire), place in fields.items():
        places[number << 3 | wire] = place
    return places


_OUTER: Final = _places(
    {(1, _BYTES): IDENTITY, (2, _BYTES): VERSION, (14, _BYTES): MESSAGE, (15, _VARINT): KIND}
)
_INNER: Final = _places(
    {
        (1, _VARINT): TYPE,
        (3, _VARINT): PROTOCOL,
        (4, _BYTES): QUERY_ADDRESS,
        (6, _VARINT): QUERY_PORT,
        (7, _VARINT): RESPONSE_PORT,
        (8, _VARINT): QUERY_SECONDS,
        (9, _FIXED32): QUERY_NANOSECONDS,
        (10, _BYTES): QUERY_MESSAGE,
        (12, _VARINT): RESPONSE_SECONDS,
        (13, _FIXED32): RESPONSE_NANOSECONDS,
        (14, _BYTES): RESPONSE_MESSAGE,
        (15, _BYTES): POLICY,
    }
)
_POLICY: Final = _places(
    {(2, _BYTES): POLICY_RULE, (3, _VARINT): POLICY_ACTION, (4, _VARINT): POLICY_TRIGGER}
)


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


@inlined
def _fields(
    buffer: Bytes, start: Int, stop: Int, places: npt.NDArray[np.int64], out: npt.NDArray[np.int64]
) -> bool:
    """Read the fields of one message; return whether the bytes are well-formed.

    Numbers of usual size are read here and not by ``_varint``: this loop is where most of the time
    of reading dnstap goes.
    """
    position = start
    while position < stop:
        tag = int64(buffer[position])
        position += 1
        place = int64(-1)
        if tag < 128:
            if tag < 8:
                return False
            place = places[tag]
        else:
            tag, position = _varint(buffer, position - 1, stop)
            if position < 0 or tag < 8 or tag > 0xFFFFFFFF:
                return False
        wire = tag & 7
        if wire == _VARINT:
            if position >= stop:
                return False
            value = int64(buffer[position])
            position += 1
            if value >= 128:
                value &= 127
                shift = 7
                while True:
                    if position >= stop:
                        return False
                    byte = int64(buffer[position])
                    position += 1
                    value |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                    if shift == 63:
                        value, position = _varint(buffer, position - 9, stop)
                        if position < 0:
                            return False
                        break
            if place >= 0:
                out[place] = value
        elif wire == _BYTES:
            if position >= stop:
                return False
            size = int64(buffer[position])
            position += 1
            if size >= 128:
                size &= 127
                shift = 7
                while True:
                    if position >= stop:
                        return False
                    byte = int64(buffer[position])
                    position += 1
                    size |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                    if shift == 63:
                        size, position = _varint(buffer, position - 9, stop)
                        if position < 0:
                            return False
                        break
            if size > stop - position:
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
    if not _fields(buffer, start, stop, _OUTER, out):
        return False
    return out[MESSAGE] < 0 or _fields(buffer, out[MESSAGE], out[MESSAGE + 1], _INNER, out)


@kernel
def policy(buffer: Bytes, out: npt.NDArray[np.int64]) -> bool:
    """Read the policy of a message that ``frame`` has read; return whether it is well-formed."""
    for i in range(POLICY_ACTION, FIELDS):
        out[i] = UNSET
    return bool(_fields(buffer, out[POLICY], out[POLICY + 1], _POLICY, out))

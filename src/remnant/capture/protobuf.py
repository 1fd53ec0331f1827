"""The fields of protobuf messages (proto2), read in place by kernels; those of dnstap by name.

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
    "BYTES",
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
    "VARINT",
    "VERSION",
    "frame",
    "next_bytes",
    "places",
    "policy",
    "read_fields",
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

VARINT: Final = 0
_FIXED64: Final = 1
BYTES: Final = 2
_FIXED32: Final = 5


def places(fields: dict[tuple[int, int], int]) -> npt.NDArray[np.int64]:
    """Return where the field of each tag is kept, -1 where it is not.

    Args:
        fields: place by field number (up to 31) and wire type.
    """
    table = np.full(256, -1, np.int64)
    for (number, wire), place in fields.items():
        table[number << 3 | wire] = place
    return table


_OUTER: Final = places(
    {(1, BYTES): IDENTITY, (2, BYTES): VERSION, (14, BYTES): MESSAGE, (15, VARINT): KIND}
)
_INNER: Final = places(
    {
        (1, VARINT): TYPE,
        (3, VARINT): PROTOCOL,
        (4, BYTES): QUERY_ADDRESS,
        (6, VARINT): QUERY_PORT,
        (7, VARINT): RESPONSE_PORT,
        (8, VARINT): QUERY_SECONDS,
        (9, _FIXED32): QUERY_NANOSECONDS,
        (10, BYTES): QUERY_MESSAGE,
        (12, VARINT): RESPONSE_SECONDS,
        (13, _FIXED32): RESPONSE_NANOSECONDS,
        (14, BYTES): RESPONSE_MESSAGE,
        (15, BYTES): POLICY,
    }
)
_POLICY: Final = places(
    {(2, BYTES): POLICY_RULE, (3, VARINT): POLICY_ACTION, (4, VARINT): POLICY_TRIGGER}
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
def read_fields(
    buffer: Bytes, start: Int, stop: Int, kept: npt.NDArray[np.int64], out: npt.NDArray[np.int64]
) -> bool:
    """Read the fields of one message; return whether the bytes are well-formed.

    Args:
        buffer: holds the message.
        start: where it begins.
        stop: where it ends.
        kept: what ``places`` made.
        out: int64[n]: numbers are written to the field's place; of bytes, where they begin and
            end, to its place and the next.

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
            place = kept[tag]
        else:
            tag, position = _varint(buffer, position - 1, stop)
            if position < 0 or tag < 8 or tag > 0xFFFFFFFF:
                return False
            place = int64(kept[tag]) if tag < kept.size else int64(-1)
        wire = tag & 7
        if wire == VARINT:
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
        elif wire == BYTES:
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
            # Groups do not occur in these formats; 6 and 7 are not wire types.
            return False
    return True


@kernel
def next_bytes(buffer: Bytes, position: Int, stop: Int, tag: Int) -> tuple[Int, Int]:
    """Find the next field of bytes with a tag of one byte; return where they begin and end.

    The message is one that ``read_fields`` found well-formed, and ``position`` is between two of
    its fields. Both are -1 if no such field follows.
    """
    while position < stop:
        found, position = _varint(buffer, position, stop)
        if position < 0:
            break
        wire = found & 7
        if wire == VARINT:
            _, position = _varint(buffer, position, stop)
            if position < 0:
                break
        elif wire == BYTES:
            size, position = _varint(buffer, position, stop)
            if position < 0 or size > stop - position:
                break
            if found == tag:
                return position, position + size
            position += size
        else:
            position += 4 if wire == _FIXED32 else 8
    return int64(-1), int64(-1)


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
    if not read_fields(buffer, start, stop, _OUTER, out):
        return False
    return out[MESSAGE] < 0 or read_fields(buffer, out[MESSAGE], out[MESSAGE + 1], _INNER, out)


@kernel
def policy(buffer: Bytes, out: npt.NDArray[np.int64]) -> bool:
    """Read the policy of a message that ``frame`` has read; return whether it is well-formed."""
    for i in range(POLICY_ACTION, FIELDS):
        out[i] = UNSET
    return bool(read_fields(buffer, out[POLICY], out[POLICY + 1], _POLICY, out))

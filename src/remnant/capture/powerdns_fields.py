"""The fields of one PBDNSMessage: what PowerDNS Recursor and dnsdist say of a DNS message.

Names, and the data of all records but addresses, are presentation text there; here they become wire
form again.

References:
    dnsmessage.proto (PowerDNS/pdns, CC0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from numba import int64

from remnant import wire
from remnant.capture.protobuf import BYTES, UNSET, VARINT, places, read_fields
from remnant.capture.text_fields import parse_name
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "FIELDS",
    "FROM",
    "FROM_PORT",
    "IDENT",
    "IDENTITY",
    "MICROSECONDS",
    "POLICY",
    "POLICY_KIND",
    "POLICY_TRIGGER",
    "POLICY_TYPE",
    "PROTOCOL",
    "QNAME",
    "QTYPE",
    "QUERY_MICROSECONDS",
    "QUERY_SECONDS",
    "QUESTION",
    "RCODE",
    "RECORD_DATA",
    "RECORD_NAME",
    "RECORD_TAG",
    "RECORD_TTL",
    "RECORD_TYPE",
    "RESPONSE",
    "SCRATCH_BYTES",
    "SECONDS",
    "SUBNET",
    "TO_PORT",
    "TYPE",
    "answers_itself",
    "is_address",
    "read_message",
    "read_record",
    "subnet_of",
    "wire_data",
    "wire_name",
]

# What ``read_message`` writes, positions in an int64 array of FIELDS numbers. Bytes fields take
# two places: where they begin and where they end.
TYPE: Final = 0
IDENTITY: Final = 1
PROTOCOL: Final = 3
FROM: Final = 4
SECONDS: Final = 6
MICROSECONDS: Final = 7
IDENT: Final = 8
QUESTION: Final = 9
RESPONSE: Final = 11
SUBNET: Final = 13
FROM_PORT: Final = 15
TO_PORT: Final = 16
QNAME: Final = 17
QTYPE: Final = 19
RCODE: Final = 20
POLICY: Final = 21
QUERY_SECONDS: Final = 23
QUERY_MICROSECONDS: Final = 24
POLICY_TYPE: Final = 25
POLICY_TRIGGER: Final = 26
POLICY_KIND: Final = 28
_MESSAGE_FIELDS: Final = 29
RECORD_NAME: Final = 29
RECORD_TYPE: Final = 31
_RECORD_CLASS: Final = 32
RECORD_DATA: Final = 33
RECORD_TTL: Final = 35
FIELDS: Final = 36

_OUTER: Final = places(
    {
        (1, VARINT): TYPE,
        (3, BYTES): IDENTITY,
        (5, VARINT): PROTOCOL,
        (6, BYTES): FROM,
        (9, VARINT): SECONDS,
        (10, VARINT): MICROSECONDS,
        (11, VARINT): IDENT,
        (12, BYTES): QUESTION,
        (13, BYTES): RESPONSE,
        (14, BYTES): SUBNET,
        (20, VARINT): FROM_PORT,
        (21, VARINT): TO_PORT,
    }
)
_QUESTION: Final = places({(1, BYTES): QNAME, (2, VARINT): QTYPE})
_RESPONSE: Final = places(
    {
        (1, VARINT): RCODE,
        (3, BYTES): POLICY,
        (5, VARINT): QUERY_SECONDS,
        (6, VARINT): QUERY_MICROSECONDS,
        (7, VARINT): POLICY_TYPE,
        (8, BYTES): POLICY_TRIGGER,
        (10, VARINT): POLICY_KIND,
    }
)
_RECORD: Final = places(
    {
        (1, BYTES): RECORD_NAME,
        (2, VARINT): RECORD_TYPE,
        (3, VARINT): _RECORD_CLASS,
        (4, VARINT): RECORD_TTL,
        (5, BYTES): RECORD_DATA,
    }
)
RECORD_TAG: Final = 2 << 3 | BYTES
"""The tag of a record within the response."""

SCRATCH_BYTES: Final = 1 << 17
"""Room for the wire form of the longest text."""

_SHORT_NAME: Final = 254
"""Characters of a name that fit into 256 bytes as wire form, however they are."""
_MAX_NAME: Final = 4 * wire.MAX_WIRE
_CNAME: Final = 5
_NS: Final = 2
_PTR: Final = 12
_TXT: Final = 16
_SPF: Final = 99
_INTERNET: Final = 1


@kernel
def _read_part(
    buffer: Bytes,
    start: Int,
    stop: Int,
    kept: npt.NDArray[np.int64],
    out: npt.NDArray[np.int64],
) -> bool:
    return bool(read_fields(buffer, start, stop, kept, out))


@kernel
def read_message(buffer: Bytes, start: Int, stop: Int, out: npt.NDArray[np.int64]) -> bool:
    """Read one PBDNSMessage with its question and response.

    Args:
        buffer: holds it.
        start: where it begins.
        stop: where it ends.
        out: int64[FIELDS], filled with numbers and positions, UNSET where there is none.

    Returns:
        Whether the bytes are well-formed protobuf and say which type of message they are. The
        records of the response are not looked at.
    """
    for i in range(_MESSAGE_FIELDS):
        out[i] = UNSET
    if not read_fields(buffer, start, stop, _OUTER, out) or out[TYPE] < 0:
        return False
    if out[QUESTION] >= 0 and not _read_part(
        buffer, out[QUESTION], out[QUESTION + 1], _QUESTION, out
    ):
        return False
    return out[RESPONSE] < 0 or _read_part(buffer, out[RESPONSE], out[RESPONSE + 1], _RESPONSE, out)


@kernel
def wire_name(
    buffer: Bytes,
    start: Int,
    stop: Int,
    name: Bytes,
    starts: npt.NDArray[np.int64],
    scratch: Bytes,
) -> Int:
    r"""Write a printed name as wire form; return how many labels it has, or -1.

    Args:
        buffer: holds the text (RFC 1035 section 5.1 with ``\DDD`` escapes).
        start: where it begins.
        stop: where it ends.
        name: uint8[256], filled with the name, case kept.
        starts: int64[130], filled as ``wire.labels`` does, positions in ``name``.
        scratch: uint8[SCRATCH_BYTES].
    """
    size = stop - start
    if start < 0 or size > _MAX_NAME:
        return int64(-1)
    if size <= _SHORT_NAME:
        end = parse_name(buffer, start, stop, False, name, int64(0))
    else:
        end = parse_name(buffer, start, stop, False, scratch, int64(0))
        for i in range(end):
            name[i] = scratch[i]
    if end < 0:
        return int64(-1)
    return wire.labels(name, int64(0), end, starts)


@kernel
def _wire_strings(buffer: Bytes, start: Int, stop: Int, out: Bytes) -> Int:
    r"""Write quoted strings as character strings; return where they end, or -1.

    PowerDNS quotes each string, separates them by a space and escapes ``"``, ``\`` and bytes that
    do not print.
    """
    at = int64(0)
    position = start
    if stop - start > out.size:
        return int64(-1)
    while position < stop:
        if position > start:
            if buffer[position] != 32:
                return int64(-1)
            position += 1
        if position >= stop or buffer[position] != 34:
            return int64(-1)
        position += 1
        length_at = at
        at += 1
        while True:
            if position >= stop:
                return int64(-1)
            byte = int64(buffer[position])
            position += 1
            if byte == 34:
                break
            if byte == 92:
                if position >= stop:
                    return int64(-1)
                byte = int64(buffer[position])
                position += 1
                if 48 <= byte <= 57:
                    if stop - position < 2:
                        return int64(-1)
                    tens = int64(buffer[position]) - 48
                    ones = int64(buffer[position + 1]) - 48
                    byte = (byte - 48) * 100 + tens * 10 + ones
                    if not (0 <= tens <= 9 and 0 <= ones <= 9 and byte <= 255):
                        return int64(-1)
                    position += 2
            out[at] = byte
            at += 1
        if at - length_at > 256:
            return int64(-1)
        out[length_at] = at - length_at - 1
    return at if at > 0 else int64(-1)


@kernel
def read_record(buffer: Bytes, start: Int, stop: Int, fields: npt.NDArray[np.int64]) -> bool:
    """Read the fields of one record of a response.

    Args:
        buffer: holds it.
        start: where it begins.
        stop: where it ends.
        fields: int64[FIELDS], of which the places of a record are overwritten.

    Returns:
        Whether it is a record of class IN with data.
    """
    for i in range(RECORD_NAME, FIELDS):
        fields[i] = UNSET
    return bool(
        _read_part(buffer, start, stop, _RECORD, fields)
        and fields[_RECORD_CLASS] == _INTERNET
        and fields[RECORD_DATA] >= 0
    )


@kernel
def is_address(fields: npt.NDArray[np.int64]) -> bool:
    """Return whether the record that ``read_record`` read is an address."""
    size = fields[RECORD_DATA + 1] - fields[RECORD_DATA]
    kind = fields[RECORD_TYPE]
    return bool((kind == wire.A and size == 4) or (kind == wire.AAAA and size == 16))


@kernel
def answers_itself(buffer: Bytes, fields: npt.NDArray[np.int64]) -> bool:
    """Return whether a record's owner is printed as the name asked for is."""
    one = fields[QNAME]
    two = fields[RECORD_NAME]
    size = fields[QNAME + 1] - one
    if one < 0 or two < 0 or fields[RECORD_NAME + 1] - two != size:
        return False
    for i in range(size):  # noqa: SIM110 - a kernel has no generators
        if buffer[one + i] != buffer[two + i]:
            return False
    return True


@kernel
def wire_data(
    buffer: Bytes,
    fields: npt.NDArray[np.int64],
    data: Bytes,
    name: Bytes,
    starts: npt.NDArray[np.int64],
    scratch: Bytes,
) -> Int:
    """Write the data of the record that ``read_record`` read in wire form.

    Args:
        buffer: holds the record.
        fields: what ``read_record`` wrote.
        data: uint8[SCRATCH_BYTES], filled.
        name: uint8[256], overwritten.
        starts: int64[130], overwritten.
        scratch: uint8[SCRATCH_BYTES], overwritten.

    Returns:
        How many bytes it has; -1 if it cannot be read, or is of a type whose data PowerDNS writes
        only in part (MX, SRV) or in a form of its own.
    """
    kind = fields[RECORD_TYPE]
    start = fields[RECORD_DATA]
    stop = fields[RECORD_DATA + 1]
    size: Int = int64(-1)
    if is_address(fields):
        size = stop - start
        for i in range(size):
            data[i] = buffer[start + i]
    elif kind == _CNAME or kind == _NS or kind == _PTR:  # noqa: PLR1714, SIM109 - a set would be built
        labels = wire_name(buffer, start, stop, name, starts, scratch)
        if labels >= 0:
            size = starts[labels] + 1
            for i in range(size):
                data[i] = name[i]
    elif kind == _TXT or kind == _SPF:  # noqa: PLR1714, SIM109
        size = _wire_strings(buffer, start, stop, data)
    return size


@kernel
def subnet_of(buffer: Bytes, start: Int, stop: Int, subnet: Bytes) -> bool:
    """Write the requestor's subnet as ``wire.edns`` does; return whether there is one.

    The format has the network's address and not its length. So the length is the shortest of those
    in use that holds the address: 24 or 32 bits, or 48, 56, 64 or 128.
    """
    if start < 0:
        return False
    size = stop - start
    if size != 4 and size != 16:  # noqa: PLR1714 - a set would be built
        return False
    first = 16 - size
    last: Int = int64(-1)
    for i in range(size):
        subnet[first + i] = buffer[start + i]
        if buffer[start + i] != 0:
            last = i
    if last < 0:
        return False
    if size == 4:
        for i in range(10):
            subnet[i] = 0
        subnet[10] = subnet[11] = 0xFF
        subnet[16] = 120 if last < 3 else 128
    elif last < 6:
        subnet[16] = 48
    elif last < 8:
        subnet[16] = 56 if last < 7 else 64
    else:
        subnet[16] = 128
    return True

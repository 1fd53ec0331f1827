"""What the items of a C-DNS block point at: clients, names and records, by their index.

Every index is checked: one that points nowhere finds nothing.

References:
    RFC 8618 (C-DNS), section 7.3.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant import wire
from remnant.capture import cbor, cdns_block, messages
from remnant.capture.records import MODES, NONE, offer_record
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.cdns_block import Block
    from remnant.capture.messages import Context
    from remnant.capture.records import Records
    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int

__all__ = [
    "HAS_CLIENTS",
    "PARAMETERS",
    "PREFIX_4",
    "PREFIX_6",
    "SENSOR",
    "TICKS",
    "Scratch",
    "answer_addresses",
    "client_address",
    "client_subnet",
    "name_labels",
    "new_scratch",
    "offer_records",
]

# Places in the parameters of a block, int64[PARAMETERS].
TICKS: Final = 0
"""In a second."""
PREFIX_4: Final = 1
"""Bits of client addresses that are stored, 0 for all."""
PREFIX_6: Final = 2
HAS_CLIENTS: Final = 3
"""Whether client addresses are stored."""
SENSOR: Final = 4
PARAMETERS: Final = 5

# Keys of QueryResponseExtended and RR.
_SECTIONS: Final = 4
_SECTION_NUMBERS: Final = 0b1111
_ANSWER: Final = 1
_RECORD_NUMBERS: Final = 0b1111
_OWNER: Final = 0
_CLASS_TYPE: Final = 1
_TTL: Final = 2
_DATA: Final = 3

_INTERNET: Final = 1
_MAX_RECORDS: Final = 1024
"""Records that are taken from one response."""
_MAX_DATA: Final = 65535
"""Bytes of data that one response can hold."""
_ALL: Final = MODES["all"]


class Scratch(NamedTuple):
    """Room that the kernel works in.

    Attributes:
        item: int64[13]: the fields of an item.
        part: int64[4]: those of a smaller map.
        inner: int64[4]: those of a map within that.
        statistics: int64[6].
        cursor: int64[8]: how far the items of a block were read.
        addresses: uint8[1024, 16]: those of a response's answers.
    """

    item: npt.NDArray[np.int64]
    part: npt.NDArray[np.int64]
    inner: npt.NDArray[np.int64]
    statistics: npt.NDArray[np.int64]
    cursor: npt.NDArray[np.int64]
    addresses: Bytes


def new_scratch() -> Scratch:
    """Return room for one source."""
    return Scratch(
        np.zeros(13, np.int64),
        np.zeros(4, np.int64),
        np.zeros(4, np.int64),
        np.zeros(6, np.int64),
        np.zeros(8, np.int64),
        np.zeros((_MAX_RECORDS, 16), np.uint8),
    )


@kernel
def client_address(
    buffer: Bytes,
    start: Int,
    stop: Int,
    block: Block,
    which: Int,
    transport: Int,
    parameters: npt.NDArray[np.int64],
    out: Bytes,
) -> bool:
    """Write a client's address, or as much of it as is stored; return whether there is one.

    Args:
        buffer: holds the block.
        start: where it begins.
        stop: where it ends.
        block: its tables.
        which: index of the address.
        transport: the signature's transport flags, of which bit 0 is set for IPv6, or cbor.UNSET.
        parameters: int64[PARAMETERS].
        out: uint8[16], filled.
    """
    if not 0 <= which < block.marks[1, cdns_block.ADDRESSES]:
        return False
    first, end = cbor.string(buffer, start + block.addresses[which], stop)
    size = end - first
    if first < 0 or size == 0 or size > 16:
        return False
    known = transport != cbor.UNSET
    six = size == 16 or (size > 4 and parameters[PREFIX_6] > 0)
    if known and parameters[PREFIX_4] + parameters[PREFIX_6] > 0:
        six = transport & 1 != 0
    if six:
        if size < 16 and parameters[PREFIX_6] == 0:
            return False
    elif size > 4 or (size < 4 and parameters[PREFIX_4] == 0):
        return False
    base = int64(0)
    for i in range(16):
        out[i] = 0
    if not six:
        out[10] = out[11] = 0xFF
        base = int64(12)
    for i in range(size):
        out[base + i] = buffer[first + i]
    return True


@kernel
def client_subnet(
    buffer: Bytes, start: Int, stop: Int, block: Block, which: Int, out: Bytes
) -> bool:
    """Write the client subnet in a query's options as ``wire.client_subnet`` does.

    Args:
        buffer: holds the block.
        start: where it begins.
        stop: where it ends.
        block: its tables.
        which: index of the data of the query's OPT record.
        out: uint8[17], filled.

    Returns:
        Whether there is one.
    """
    if not 0 <= which < block.marks[1, cdns_block.NAMES]:
        return False
    first, end = cbor.string(buffer, start + block.names[which], stop)
    return first >= 0 and bool(wire.client_subnet(buffer, first, end, out))


@kernel
def _record(
    buffer: Bytes,
    start: Int,
    stop: Int,
    block: Block,
    position: Int,
    out: npt.NDArray[np.int64],
) -> tuple[Int, Int, Int, Int]:
    """Read the next entry of a list of records.

    Returns:
        (position after it, index of the record, its type, where the data begins); the position is
        -1 where the list ends, the type -1 where the record is none. ``out`` is the record's map,
        with its data's end in place of the data.
    """
    none = int64(-1)
    major, which, position = cbor.head(buffer, position, stop)
    if major != cbor.UNSIGNED:
        return none, none, none, none
    if which >= block.marks[1, cdns_block.RECORDS]:
        return position, none, none, none
    after = cbor.read_map(
        buffer, start + block.records[which], stop, int64(_RECORD_NUMBERS), out, block.stack
    )
    data = out[_DATA]
    if (
        after < 0
        or not 0 <= out[_CLASS_TYPE] < block.marks[1, cdns_block.CLASS_TYPES]
        or not 0 <= data < block.marks[1, cdns_block.NAMES]
        or block.class_types[out[_CLASS_TYPE], 1] != _INTERNET
    ):
        return position, which, none, none
    first, end = cbor.string(buffer, start + block.names[data], stop)
    out[_DATA] = end
    if first < 0:
        return position, which, none, none
    return position, which, int64(block.class_types[out[_CLASS_TYPE], 0]), first


@kernel
def _list_of(buffer: Bytes, start: Int, stop: Int, block: Block, which: Int) -> tuple[Int, Int]:
    """Return (how many entries a list of records has, where the first begins); (0, ...) if none."""
    if not 0 <= which < block.marks[1, cdns_block.RECORD_LISTS]:
        return int64(0), start
    major, count, position = cbor.head(buffer, start + block.record_lists[which], stop)
    if major != cbor.ARRAY:
        return int64(0), start
    return (int64(_MAX_RECORDS) if count < 0 else min(count, int64(_MAX_RECORDS))), position


@kernel
def answer_addresses(
    buffer: Bytes, start: Int, stop: Int, block: Block, scratch: Scratch, extended: Int
) -> Int:
    """Collect the addresses in the answers of an item; return how many there are.

    Args:
        buffer: holds the block.
        start: where it begins.
        stop: where it ends.
        block: its tables.
        scratch: room, of which the addresses are filled.
        extended: where the item's extended response data begins.
    """
    found = int64(0)
    end = cbor.read_map(buffer, extended, stop, int64(_SECTION_NUMBERS), scratch.part, block.stack)
    if end < 0:
        return found
    count, position = _list_of(buffer, start, stop, block, scratch.part[_ANSWER])
    for _ in range(count):
        position, _, kind, data = _record(buffer, start, stop, block, position, scratch.inner)
        if position < 0:
            break
        size = scratch.inner[_DATA] - data
        if (kind == wire.A and size == 4) or (kind == wire.AAAA and size == 16):
            messages.read_address(buffer, data, data + size, scratch.addresses[found])
            found += 1
    return found


@kernel
def offer_records(
    context: Context,
    tables: Tables,
    records: Records,
    buffer: Bytes,
    start: Int,
    stop: Int,
    block: Block,
    scratch: Scratch,
    extended: Int,
    heard: Int,
) -> None:
    """Offer the records of the response of an item.

    Args:
        context: facts and scratch.
        tables: the compiled watchlist.
        records: of this batch, with room for one response.
        buffer: holds the block.
        start: where it begins.
        stop: where it ends.
        block: its tables; what is found to be unwatched is noted there.
        scratch: room.
        extended: where the item's extended response data begins.
        heard: when the response was, UTC microseconds.
    """
    mode = context.options[messages.ANSWERS]
    left = int64(_MAX_RECORDS)
    data_left = int64(_MAX_DATA)
    end = cbor.read_map(buffer, extended, stop, int64(_SECTION_NUMBERS), scratch.part, block.stack)
    if end < 0:
        return
    for section in range(_ANSWER, _SECTIONS):
        asked = int64(NONE)
        if section == _ANSWER:
            asked = context.facts[messages.ENTRY]
        count, position = _list_of(buffer, start, stop, block, scratch.part[section])
        for _ in range(min(count, left)):
            if mode != _ALL and asked < 0:
                major, which, after = cbor.head(buffer, position, stop)
                known = which < block.marks[1, cdns_block.RECORDS]
                if major == cbor.UNSIGNED and known and block.unwatched[which] != 0:
                    position = after
                    continue
            position, which, kind, data = _record(
                buffer, start, stop, block, position, scratch.inner
            )
            if position < 0:
                break
            if kind < 0 or kind == wire.OPT:
                continue
            size = scratch.inner[_DATA] - data
            owner = scratch.inner[_OWNER]
            if size > data_left or not 0 <= owner < block.marks[1, cdns_block.NAMES]:
                continue
            first, last = cbor.string(buffer, start + block.names[owner], stop)
            if first < 0 or last - first > wire.MAX_WIRE:
                continue
            for i in range(last - first):
                context.other[i] = buffer[first + i]
            labels = wire.labels(context.other, int64(0), last - first, context.other_starts)
            if labels < 0:
                continue
            before = records.filled[0]
            offer_record(
                records, tables, buffer, data, context.other, context.other_starts, labels, kind,
                (data, data + size), context.address_hits, context.subnet,
                (
                    heard, context.facts[messages.SENSOR], asked, mode,
                    max(scratch.inner[_TTL], int64(-1)),
                ),
            )  # fmt: skip
            if records.filled[0] != before:
                left -= 1
                data_left -= size
            elif asked < 0:
                block.unwatched[which] = 1


@kernel
def name_labels(
    context: Context, buffer: Bytes, start: Int, stop: Int, block: Block, which: Int
) -> bool:
    """Find the labels of the name asked for; return whether it is one."""
    if not 0 <= which < block.marks[1, cdns_block.NAMES]:
        return False
    first, end = cbor.string(buffer, start + block.names[which], stop)
    if first < 0:
        return False
    count = wire.labels(buffer, first, end, context.starts)
    if count < 0 or context.starts[count] + 1 != end:
        return False
    context.question[wire.LABELS] = count
    return True

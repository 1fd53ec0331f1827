"""The blocks of a C-DNS file: where one ends, where its parts are, and tables by index.

A block is read where it lies. ``measure`` walks over it once, as its bytes come in, and notes where
the parts begin and how many entries they have; ``index`` then notes where each entry of a table
begins. So a block may claim any lengths: memory is made for entries that are there, up to a limit.

References:
    RFC 8618 (C-DNS), sections 7.3 and 7.4; RFC 8949 (CBOR).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.capture import cbor
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "ADDRESSES",
    "BAD",
    "BLOCK",
    "CLASS_TYPES",
    "END",
    "ITEMS",
    "MALFORMED",
    "MALFORMED_DATA",
    "MARKS",
    "MORE",
    "NAMES",
    "PREAMBLE",
    "RECORDS",
    "RECORD_LISTS",
    "SIGNATURES",
    "STATISTICS",
    "WALK",
    "Block",
    "find",
    "fitted",
    "index",
    "measure",
    "new_block",
]

# What ``measure`` finds.
BLOCK: Final = 0
MORE: Final = 1
BAD: Final = 2
END: Final = 3

# Parts of a block: ``marks[0, part]`` is where it begins in the block, ``marks[1, part]`` how many
# entries it has.
PREAMBLE: Final = 0
STATISTICS: Final = 1
_TABLES: Final = 2
ITEMS: Final = 3
MALFORMED: Final = 5
_FIRST_TABLE: Final = 8
ADDRESSES: Final = _FIRST_TABLE
CLASS_TYPES: Final = _FIRST_TABLE + 1
NAMES: Final = _FIRST_TABLE + 2
SIGNATURES: Final = _FIRST_TABLE + 3
RECORD_LISTS: Final = _FIRST_TABLE + 6
RECORDS: Final = _FIRST_TABLE + 7
MALFORMED_DATA: Final = _FIRST_TABLE + 8
MARKS: Final = _FIRST_TABLE + 9

# Places in the state of the walk over a block.
_POSITION: Final = 0
_DEPTH: Final = 1
_KEY: Final = 2
_TABLE_KEY: Final = 3
_LEFT: Final = 8
_SEEN: Final = _LEFT + cbor.MAX_DEPTH
WALK: Final = _SEEN + cbor.MAX_DEPTH

_MAX_BLOCK: Final = 1 << 27
"""Bytes of the longest block that is read."""
_MAX_ENTRIES: Final = 1 << 22
"""Entries of the longest table that is read."""
_MAX_SIGNATURES: Final = 1 << 18

SIGNATURE_FIELDS: Final = 17
_CLASS_TYPE_NUMBERS: Final = 0b11
_SIGNATURE_NUMBERS: Final = (1 << SIGNATURE_FIELDS) - 1


class Block(NamedTuple):
    """The tables of one block; positions count from its beginning.

    Attributes:
        marks: int64[2, MARKS], as above.
        stack: int64[cbor.MAX_DEPTH]: scratch.
        addresses: int32[n]: where each IP address begins.
        class_types: int32[n, 2]: type and class, -1 where one is missing.
        names: int32[n]: where each name or record data begins.
        signatures: int64[n, 17]: the numbers of each signature, cbor.UNSET where one is missing.
        record_lists: int32[n]: where each list of records begins.
        records: int32[n]: where each record begins.
        unwatched: uint8[n]: 1 for each record that has been found to be watched by nobody.
        malformed: int32[n]: where the data of each malformed message begins.
    """

    marks: npt.NDArray[np.int64]
    stack: npt.NDArray[np.int64]
    addresses: npt.NDArray[np.int32]
    class_types: npt.NDArray[np.int32]
    names: npt.NDArray[np.int32]
    signatures: npt.NDArray[np.int64]
    record_lists: npt.NDArray[np.int32]
    records: npt.NDArray[np.int32]
    unwatched: Bytes
    malformed: npt.NDArray[np.int32]


def new_block() -> Block:
    """Return tables with room for no entries."""
    none = np.zeros(0, np.int32)
    return Block(
        np.zeros((2, MARKS), np.int64),
        np.zeros(cbor.MAX_DEPTH, np.int64),
        none,
        np.zeros((0, 2), np.int32),
        none,
        np.zeros((1, SIGNATURE_FIELDS), np.int64),
        none,
        none,
        np.zeros(0, np.uint8),
        none,
    )


def fitted(block: Block) -> Block | None:
    """Return tables with room for what ``measure`` counted, or None if that is too much."""
    counts = block.marks[1]
    tables = counts[_FIRST_TABLE:]
    if tables.max() > _MAX_ENTRIES or counts[SIGNATURES] > _MAX_SIGNATURES:
        return None
    needs = {
        "addresses": ADDRESSES,
        "class_types": CLASS_TYPES,
        "names": NAMES,
        "signatures": SIGNATURES,
        "record_lists": RECORD_LISTS,
        "records": RECORDS,
        "unwatched": RECORDS,
        "malformed": MALFORMED_DATA,
    }
    grown = {}
    for field, part in needs.items():
        table = getattr(block, field)
        if table.shape[0] < counts[part]:
            size = 1 << int(counts[part]).bit_length()
            grown[field] = np.zeros((size, *table.shape[1:]), table.dtype)
    return block._replace(**grown) if grown else block


@kernel
def _begins_block(buffer: Bytes, position: Int, stop: Int) -> Int:
    """Return 1 if the bytes begin as a block does, 0 if not, -1 if there are too few to tell.

    A map whose first key is 0, the preamble: a map whose first key is 0, the earliest time: an
    array of two, seconds first, in four bytes.
    """
    if position + 9 > stop:
        return -1
    for i in range(0, 4, 2):
        byte = int64(buffer[position + i])
        if not (0xA1 <= byte <= 0xB7 or byte == 0xBF) or buffer[position + i + 1] != 0:
            return 0
    array = int64(buffer[position + 4])
    return int64(1 if (array == 0x82 or array == 0x9F) and buffer[position + 5] == 0x1A else 0)  # noqa: PLR1714 - a set would be built


@kernel
def _begins_file(buffer: Bytes, position: Int, stop: Int) -> bool:
    """Return whether the bytes begin as a C-DNS file does: an array, and the text ``C-DNS``."""
    return bool(
        position + 7 <= stop
        and (buffer[position] == 0x83 or buffer[position] == 0x9F)
        and buffer[position + 1] == 0x65
        and buffer[position + 2] == 0x43
        and buffer[position + 3] == 0x2D
        and buffer[position + 4] == 0x44
        and buffer[position + 5] == 0x4E
        and buffer[position + 6] == 0x53
    )


@kernel
def find(buffer: Bytes, position: Int, stop: Int, final: bool) -> tuple[Int, Int]:
    """Look for a block, or for another file, after damage.

    Returns:
        (where it is, BLOCK or END for the beginning of a file); or (up to where there is none,
        MORE): the bytes from there on must be looked at again when there are more of them.
    """
    while position + 9 <= stop:
        if _begins_file(buffer, position, stop):
            return position, int64(END)
        if _begins_block(buffer, position, stop) > 0:
            return position, int64(BLOCK)
        position += 1
    return (stop if final else position), int64(MORE)


@kernel
def _mark(
    walk: npt.NDArray[np.int64], marks: npt.NDArray[np.int64], depth: Int, position: Int
) -> None:
    """Note where a part begins whose key was read; ``depth`` is that of its map."""
    if depth == 1 and walk[_SEEN] % 2 == 1 and walk[_KEY] >= 0:
        marks[0, walk[_KEY]] = position
        marks[1, walk[_KEY]] = 0
    elif (
        depth == 2
        and walk[_KEY] == _TABLES
        and walk[_SEEN] % 2 == 1
        and walk[_SEEN + 1] % 2 == 1
        and walk[_TABLE_KEY] >= 0
    ):
        marks[0, walk[_TABLE_KEY]] = position
        marks[1, walk[_TABLE_KEY]] = 0


@kernel
def _note_key(walk: npt.NDArray[np.int64], depth: Int, major: Int, value: Int) -> None:
    """Note the key of a part if the item just read is one."""
    known = major == cbor.UNSIGNED
    if depth == 1 and walk[_SEEN] % 2 == 0:
        walk[_KEY] = value if known and value < _FIRST_TABLE else -1
    elif depth == 2 and walk[_KEY] == _TABLES and walk[_SEEN + 1] % 2 == 0:
        walk[_TABLE_KEY] = _FIRST_TABLE + value if known and value < MARKS - _FIRST_TABLE else -1


@kernel
def _count(walk: npt.NDArray[np.int64], marks: npt.NDArray[np.int64], depth: Int) -> None:
    """Note how many entries the container has that ends at this depth."""
    if depth == 1 and walk[_KEY] >= 0:
        marks[1, walk[_KEY]] = walk[_SEEN + 1]
    elif depth == 2 and walk[_KEY] == _TABLES and walk[_TABLE_KEY] >= 0:
        marks[1, walk[_TABLE_KEY]] = walk[_SEEN + 2]


@kernel
def measure(
    buffer: Bytes,
    start: Int,
    stop: Int,
    walk: npt.NDArray[np.int64],
    marks: npt.NDArray[np.int64],
) -> tuple[Int, Int]:
    """Walk on over the block at ``start``.

    Args:
        buffer: the unread bytes.
        start: where the block begins.
        stop: where the bytes end.
        walk: int64[WALK], zero where a block is begun; what the walk keeps until there is more.
        marks: int64[2, MARKS], filled.

    Returns:
        (BLOCK, position after it); (END, position after the break that ends the blocks);
        (MORE, where the walk stands); (BAD, where it stands): it is no block, or no CBOR.
    """
    position = start + walk[_POSITION]
    depth = walk[_DEPTH]
    if position == start:
        for part in range(MARKS):
            marks[0, part] = marks[1, part] = -1
    while True:
        walk[_POSITION] = position - start
        walk[_DEPTH] = depth
        major, value, after = cbor.head(buffer, position, stop)
        if major == cbor.CUT_OFF:
            return int64(BAD if position - start > _MAX_BLOCK else MORE), position
        if major == cbor.NOT_CBOR or (value > _MAX_BLOCK and cbor.BYTES <= major <= cbor.MAP):
            return int64(BAD), position
        if depth == 0:
            if major == cbor.BREAK:
                return int64(END), after
            if major != cbor.MAP or value == 0:
                return int64(BAD), position
        if depth <= 2 and major != cbor.BREAK:
            _mark(walk, marks, depth, position - start)
            _note_key(walk, depth, major, value)
        complete = True
        if major == cbor.BREAK:
            if walk[_LEFT + depth - 1] >= 0:
                return int64(BAD), position
            depth -= 1
            _count(walk, marks, depth)
        elif major == cbor.TAG:
            complete = False
        elif value == cbor.INDEFINITE or (cbor.ARRAY <= major <= cbor.MAP and value > 0):
            if depth == cbor.MAX_DEPTH:
                return int64(BAD), position
            walk[_LEFT + depth] = 2 * value if major == cbor.MAP and value > 0 else value
            walk[_SEEN + depth] = 0
            depth += 1
            complete = False
        elif cbor.BYTES <= major <= cbor.TEXT:
            if value > stop - after:
                return int64(BAD if after - start > _MAX_BLOCK else MORE), position
            after += value
        position = after
        while complete:
            if depth == 0:
                if marks[0, PREAMBLE] < 0:
                    return int64(BAD), start
                return int64(BLOCK), position
            walk[_SEEN + depth - 1] += 1
            if walk[_LEFT + depth - 1] < 0:
                break
            walk[_LEFT + depth - 1] -= 1
            if walk[_LEFT + depth - 1] > 0:
                break
            depth -= 1
            _count(walk, marks, depth)


@kernel
def _positions(
    buffer: Bytes, start: Int, stop: Int, block: Block, part: Int, out: npt.NDArray[np.int32]
) -> bool:
    """Note where each entry of a table begins."""
    count = block.marks[1, part]
    if count <= 0:
        return True
    _, _, position = cbor.head(buffer, start + block.marks[0, part], stop)
    for i in range(count):
        out[i] = position - start
        position = cbor.after_item(buffer, position, stop, block.stack)
        if position < 0:
            return False
    return True


@kernel
def index(
    buffer: Bytes, start: Int, stop: Int, block: Block, numbers: npt.NDArray[np.int64]
) -> bool:
    """Fill the tables of a block that ``measure`` has found whole.

    Args:
        buffer: holds it.
        start: where it begins.
        stop: where it ends.
        block: with room for its entries.
        numbers: int64[2], scratch.

    Returns:
        Whether the tables are what they should be.
    """
    marks = block.marks
    for part in range(MARKS):
        if marks[1, part] > 0:
            major, _, _ = cbor.head(buffer, start + marks[0, part], stop)
            array = part >= _FIRST_TABLE or part == ITEMS or part == MALFORMED  # noqa: PLR1714
            if array and major != cbor.ARRAY:
                return False
    if not (
        _positions(buffer, start, stop, block, int64(ADDRESSES), block.addresses)
        and _positions(buffer, start, stop, block, int64(NAMES), block.names)
        and _positions(buffer, start, stop, block, int64(RECORD_LISTS), block.record_lists)
        and _positions(buffer, start, stop, block, int64(RECORDS), block.records)
        and _positions(buffer, start, stop, block, int64(MALFORMED_DATA), block.malformed)
    ):
        return False
    for i in range(max(marks[1, RECORDS], 0)):
        block.unwatched[i] = 0
    if marks[1, CLASS_TYPES] > 0:
        _, _, position = cbor.head(buffer, start + marks[0, CLASS_TYPES], stop)
        for i in range(marks[1, CLASS_TYPES]):
            position = cbor.read_map(
                buffer, position, stop, int64(_CLASS_TYPE_NUMBERS), numbers, block.stack
            )
            if position < 0:
                return False
            for k in range(2):
                block.class_types[i, k] = numbers[k] if 0 <= numbers[k] < 1 << 16 else -1
    if marks[1, SIGNATURES] > 0:
        _, _, position = cbor.head(buffer, start + marks[0, SIGNATURES], stop)
        for i in range(marks[1, SIGNATURES]):
            position = cbor.read_map(
                buffer, position, stop, int64(_SIGNATURE_NUMBERS), block.signatures[i], block.stack
            )
            if position < 0:
                return False
    return True

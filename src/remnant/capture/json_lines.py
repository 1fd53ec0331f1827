r"""JSON lines as kernels see them: one pass over a line notes where the wanted values stand.

A line is one JSON object. It is checked against the grammar while it is read, to a bounded depth,
and refused as a whole where it breaks it. Of a key that stands twice the last value counts, and
nothing of the first remains, as most parsers have it. What RFC 8259 asks of the encoding is left
out: names and record data are bytes, and bytes that are not UTF-8 are kept as they are.

Nothing is built: a value is a range of the line. Lists are walked with ``element``, and an object
in one is read as a line is, with its own paths.

References:
    RFC 8259.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from numba import int64

from remnant.capture.text_fields import parse_uint
from remnant.wire import Bytes, Int, fold_byte, inlined, kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = [
    "ABSENT",
    "FALSE",
    "KIND",
    "LIST",
    "NUMBER",
    "OBJECT",
    "TEXT",
    "TEXT_ESCAPED",
    "TRUE",
    "Found",
    "Paths",
    "Values",
    "compile_paths",
    "copy_text",
    "element",
    "found_room",
    "is_word",
    "read_object",
    "unescape",
    "whole_number",
]

ABSENT: Final = 0
"""The key is not there, or its value is null."""

TEXT: Final = 1
TEXT_ESCAPED: Final = 2
NUMBER: Final = 3
TRUE: Final = 4
FALSE: Final = 5
LIST: Final = 6
OBJECT: Final = 7

KIND: Final = 2
"""Column of ``Found.values`` after start and end."""

MAX_DEPTH: Final = 64
"""Lists and objects inside each other, the line's own object included."""

_QUOTE: Final = 34
_COMMA: Final = 44
_COLON: Final = 58
_OPEN_LIST: Final = 91
_BACKSLASH: Final = 92
_CLOSE_LIST: Final = 93
_OPEN_OBJECT: Final = 123
_CLOSE_OBJECT: Final = 125
_SPACE: Final = 32

_ESCAPES: Final = np.isin(np.arange(256), list(rb'"\\/bfnrt'))
"""The bytes that may follow a backslash, the u apart."""

Values: TypeAlias = "npt.NDArray[np.int64]"
"""``Found.values``."""

_STEP: Final = 3
"""Numbers kept of each list or object that is open: what kind and node, its slot, its begin."""

_NODE: Final = 0
_KEY_START: Final = 1
_KEY_SIZE: Final = 2
_SLOT: Final = 3
_CHILD: Final = 4
_WIDTH: Final = 5


class Paths(NamedTuple):
    """The wanted values of an object, as ``compile_paths`` makes them.

    Attributes:
        table: int64[2^k + 1, 5]: keys by their hash: node of the object that the key stands in,
            range of the key in ``keys`` (size -1: no key), slot of the value or -1, node of the
            object that is the value or -1. The last row: the numbers of the hash, the longest key.
        keys: uint8: the keys end to end.
        below: int64[nodes, 2]: the range in ``slots`` of what an object holds, at any depth.
        slots: int64: slots by node.
    """

    table: npt.NDArray[np.int64]
    keys: Bytes
    below: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int64]


class Found(NamedTuple):
    """Where the wanted values of one object stand.

    Attributes:
        values: int64[slots, 3]: start and end of each value, and its kind (``ABSENT``, ``TEXT``,
            ``TEXT_ESCAPED``, ``NUMBER``, ``TRUE``, ``FALSE``, ``LIST`` or ``OBJECT``). The range of
            a string is what is between its quotes, that of a list or an object has the brackets;
            the start is -1 where there is no value.
        stack: int64: room for the lists and objects that are open while the object is read.
    """

    values: Values
    stack: npt.NDArray[np.int64]


def found_room(paths: int) -> Found:
    """Return room for this many paths."""
    values = np.full((paths, 3), -1, np.int64)
    values[:, KIND] = ABSENT
    return Found(values, np.empty(_STEP * MAX_DEPTH, np.int64))


def compile_paths(paths: Sequence[str]) -> Paths:
    """Return the tables for some paths; the slot of a path is its index.

    A path names the keys from the outside in, with slashes between them: ``dns/rrname`` is the
    value of ``rrname`` in the object ``dns``.

    >>> compile_paths(["dns", "dns/rrname"]).slots.tolist()
    [0, 1, 1]
    """
    nodes: dict[tuple[str, ...], int] = {(): 0}
    entries: dict[tuple[int, bytes], list[int]] = {}
    for slot, path in enumerate(paths):
        *above, last = path.split("/")
        for depth, key in enumerate(above):
            outer = nodes[tuple(above[:depth])]
            entry = entries.setdefault((outer, key.encode()), [-1, -1])
            entry[1] = nodes.setdefault(tuple(above[: depth + 1]), len(nodes))
        entries.setdefault((nodes[tuple(above)], last.encode()), [-1, -1])[0] = slot
    below = np.zeros((len(nodes), 2), np.int64)
    slots: list[int] = []
    for parts, node in nodes.items():
        start = "/".join((*parts, ""))
        held = [slot for slot, path in enumerate(paths) if path.startswith(start)]
        below[node] = len(slots), len(slots) + len(held)
        slots += held
    keys = b"".join(key for _, key in entries)
    return Paths(
        _hash_table(entries),
        np.frombuffer(keys or b"\0", np.uint8).copy(),
        below,
        np.array(slots, np.int64),
    )


def _hash_table(entries: dict[tuple[int, bytes], list[int]]) -> npt.NDArray[np.int64]:
    """Return the keys in a roomy table, by the hash that brings the fewest of them together."""
    size = 1 << (4 * len(entries) + 3).bit_length()
    seeds = [[2 * (seed * step % 29) + 1 for step in (1, 5, 11, 17)] for seed in range(64)]
    multipliers = max(
        seeds, key=lambda seed: len({_place(node, key, seed) % size for node, key in entries})
    )
    table = np.full((size + 1, _WIDTH), -1, np.int64)
    table[-1] = *multipliers, max(len(key) for _, key in entries)
    start = 0
    for (node, key), (slot, child) in entries.items():
        place = _place(node, key, multipliers) % size
        while table[place, _KEY_SIZE] >= 0:
            place = (place + 1) % size
        table[place] = node, start, len(key), slot, child
        start += len(key)
    return table


def _place(node: int, key: bytes, multipliers: list[int]) -> int:
    first, middle, size, outer = multipliers
    return key[0] * first + key[len(key) // 2] * middle + len(key) * size + node * outer


@kernel
def _entry(view: Bytes, start: Int, stop: Int, node: Int, paths: Paths) -> Int:
    """Return the row of the table that a key has, or -1."""
    table = paths.table
    last = table.shape[0] - 1
    size = stop - start
    if size < 1 or size > table[last, 4]:
        return -1
    place = int64(view[start]) * table[last, 0] + int64(view[start + size // 2]) * table[last, 1]
    place += size * table[last, 2] + node * table[last, 3]
    place &= last - 1
    while table[place, _KEY_SIZE] >= 0:
        if table[place, _KEY_SIZE] == size and table[place, _NODE] == node:
            at = table[place, _KEY_START]
            k = 0
            while k < size and view[start + k] == paths.keys[at + k]:
                k += 1
            if k == size:
                return place
        place = (place + 1) & (last - 1)
    return -1


@inlined
def _after_space(view: Bytes, i: Int, stop: Int) -> Int:
    while i < stop and view[i] <= _SPACE:
        if view[i] != 32 and view[i] != 9 and view[i] != 13 and view[i] != 10:
            break
        i += 1
    return i


@kernel
def _string_end(view: Bytes, i: Int, stop: Int) -> tuple[Int, bool]:
    """Return (position of the closing quote or -1, whether there were escapes)."""
    escaped = False
    while i < stop:
        byte = view[i]
        if byte == _QUOTE:
            return i, escaped
        if byte < _SPACE:
            return -1, escaped
        if byte == _BACKSLASH:
            escaped = True
            i += 1
            if i >= stop:
                return -1, escaped
            if view[i] == 117:
                if _four_hex(view, i + 1, stop) < 0:
                    return -1, escaped
                i += 4
            elif not _ESCAPES[view[i]]:
                return -1, escaped
        i += 1
    return -1, escaped


@inlined
def _digits_end(view: Bytes, i: Int, stop: Int) -> Int:
    while i < stop and 48 <= view[i] <= 57:
        i += 1
    return i


@kernel
def _number_end(view: Bytes, i: Int, stop: Int) -> Int:
    """Return the position after a number, or -1."""
    if i < stop and view[i] == 45:
        i += 1
    begin = i
    i = _digits_end(view, i, stop)
    if i == begin or (view[begin] == 48 and i > begin + 1):
        return -1
    if i < stop and view[i] == 46:
        begin = i + 1
        i = _digits_end(view, begin, stop)
        if i == begin:
            return -1
    if i < stop and (view[i] == 101 or view[i] == 69):
        i += 1
        if i < stop and (view[i] == 43 or view[i] == 45):
            i += 1
        begin = i
        i = _digits_end(view, begin, stop)
        if i == begin:
            return -1
    return i


@kernel
def _plain_value(view: Bytes, i: Int, stop: Int) -> tuple[Int, Int]:
    """Return (position after a number or a literal or -1, its kind)."""
    left = stop - i
    first = view[i]
    if first == 110 and left >= 4:
        same = view[i + 1] == 117 and view[i + 2] == 108 and view[i + 3] == 108
        return (i + 4 if same else -1), ABSENT
    if first == 116 and left >= 4:
        same = view[i + 1] == 114 and view[i + 2] == 117 and view[i + 3] == 101
        return (i + 4 if same else -1), TRUE
    if first == 102 and left >= 5:
        same = view[i + 1] == 97 and view[i + 2] == 108 and view[i + 3] == 115
        return (i + 5 if same and view[i + 4] == 101 else -1), FALSE
    return _number_end(view, i, stop), NUMBER


@kernel
def read_object(
    view: Bytes, start: Int, stop: Int, paths: Paths, found: Found, scratch: Bytes
) -> bool:
    """Note where the wanted values of an object stand; return whether the range is one object.

    Args:
        view: holds the line.
        start: where it begins.
        stop: where it ends; white space may surround the object.
        paths: what is wanted.
        found: filled.
        scratch: room for a key that has escapes, as long as the line.
    """
    table = paths.table
    values = found.values
    stack = found.stack
    for k in range(values.shape[0]):
        values[k, 0] = -1
        values[k, KIND] = ABSENT
    i = _after_space(view, start, stop)
    if i >= stop or view[i] != _OPEN_OBJECT:
        return False
    depth = 0
    node = int64(0)
    slot = int64(-1)
    at_key = False
    while True:
        # Something begins at i, which is before the end.
        begin = i
        kind = int64(ABSENT)
        if at_key:
            if view[i] != _QUOTE:
                return False
            end, escaped = _string_end(view, i + 1, stop)
            if end < 0:
                return False
            slot = int64(-1)
            holder = stack[_STEP * (depth - 1)] >> 1
            node = int64(-1)
            if holder >= 0:
                if escaped:
                    size = unescape(view, begin + 1, end, scratch)
                    place = _entry(scratch, int64(0), size, holder, paths)
                else:
                    place = _entry(view, begin + 1, end, holder, paths)
                if place >= 0:
                    slot = table[place, _SLOT]
                    node = table[place, _CHILD]
                    if node >= 0:
                        for k in range(paths.below[node, 0], paths.below[node, 1]):
                            values[paths.slots[k], 0] = -1
                            values[paths.slots[k], KIND] = ABSENT
            i = _after_space(view, end + 1, stop)
            if i >= stop or view[i] != _COLON:
                return False
            begin = i = _after_space(view, i + 1, stop)
            if i >= stop:
                return False
        byte = view[i]
        is_object = byte == _OPEN_OBJECT
        if is_object or byte == _OPEN_LIST:
            if depth == MAX_DEPTH:
                return False
            stack[_STEP * depth] = 2 * node + 1 if is_object else -2
            stack[_STEP * depth + 1] = slot
            stack[_STEP * depth + 2] = begin
            depth += 1
            i = _after_space(view, i + 1, stop)
            if i >= stop:
                return False
            if view[i] != (_CLOSE_OBJECT if is_object else _CLOSE_LIST):
                at_key = is_object
                slot = int64(-1)
                node = int64(-1)
                continue
        else:
            if byte == _QUOTE:
                begin += 1
                end, escaped = _string_end(view, begin, stop)
                kind = int64(TEXT_ESCAPED) if escaped else int64(TEXT)
                i = end + 1
            else:
                end, kind = _plain_value(view, i, stop)
                i = end
            if end < 0:
                return False
            if slot >= 0:
                values[slot, 0] = begin if kind != ABSENT else -1
                values[slot, 1] = end
                values[slot, KIND] = kind
        while True:
            i = _after_space(view, i, stop)
            if i >= stop:
                return False
            in_object = stack[_STEP * (depth - 1)] & 1 == 1
            if view[i] == _COMMA:
                break
            if view[i] != (_CLOSE_OBJECT if in_object else _CLOSE_LIST):
                return False
            i += 1
            depth -= 1
            slot = stack[_STEP * depth + 1]
            if slot >= 0:
                values[slot, 0] = stack[_STEP * depth + 2]
                values[slot, 1] = i
                values[slot, KIND] = OBJECT if in_object else LIST
            if depth == 0:
                return bool(_after_space(view, i, stop) == stop)
        i = _after_space(view, i + 1, stop)
        if i >= stop:
            return False
        at_key = in_object
        slot = int64(-1)
        node = int64(-1)


@kernel
def element(view: Bytes, i: Int, stop: Int) -> tuple[Int, Int, Int, Int]:
    """Return the next value of a list that ``read_object`` has accepted.

    Args:
        view: holds the list.
        i: the position after the opening bracket, or where the last call said to go on.
        stop: where the list ends.

    Returns:
        (start, end, kind, where to go on); the start is -1 after the last value. A null has the
        kind ``ABSENT``.
    """
    while i < stop and (view[i] <= _SPACE or view[i] == _COMMA):
        i += 1
    if i >= stop or view[i] == _CLOSE_LIST:
        return -1, -1, ABSENT, stop
    byte = view[i]
    if byte == _QUOTE:
        end, escaped = _string_end(view, i + 1, stop)
        if end < 0:
            return -1, -1, ABSENT, stop
        return i + 1, end, (TEXT_ESCAPED if escaped else TEXT), end + 1
    if byte not in (_OPEN_OBJECT, _OPEN_LIST):
        end, kind = _plain_value(view, i, stop)
        if end < 0:
            return -1, -1, ABSENT, stop
        return i, end, kind, end
    begin = i
    depth = 0
    while i < stop:
        inner = view[i]
        if inner == _QUOTE:
            i, _ = _string_end(view, i + 1, stop)
            if i < 0:
                break
        elif inner in (_OPEN_OBJECT, _OPEN_LIST):
            depth += 1
        elif inner in (_CLOSE_OBJECT, _CLOSE_LIST):
            depth -= 1
            if depth == 0:
                return begin, i + 1, (OBJECT if byte == _OPEN_OBJECT else LIST), i + 1
        i += 1
    return -1, -1, ABSENT, stop


@kernel
def is_word(view: Bytes, values: Values, slot: Int, word: Bytes) -> bool:
    """Return whether a value is a string of these bytes, without escapes."""
    start = values[slot, 0]
    if values[slot, KIND] != TEXT or values[slot, 1] - start != word.size:
        return False
    for i in range(word.size):  # noqa: SIM110 - a kernel has no generators
        if view[start + i] != word[i]:
            return False
    return True


@kernel
def whole_number(view: Bytes, values: Values, slot: Int, most: Int) -> Int:
    """Return a whole number, -1 if it is absent, -2 if it is no such number or above ``most``."""
    if values[slot, 0] < 0:
        return int64(-1)
    if values[slot, KIND] != NUMBER:
        return int64(-2)
    value = parse_uint(view, values[slot, 0], values[slot, 1])
    return int64(value) if 0 <= value <= most else int64(-2)


@kernel
def copy_text(view: Bytes, values: Values, slot: Int, out: Bytes) -> Int:
    """Write a string without its escapes; return its size, -1 if it cannot be read or is none."""
    start = values[slot, 0]
    stop = values[slot, 1]
    if values[slot, KIND] == TEXT_ESCAPED:
        return unescape(view, start, stop, out)
    if values[slot, KIND] != TEXT:
        return int64(-1)
    for i in range(stop - start):
        out[i] = view[start + i]
    return stop - start


@kernel
def _four_hex(view: Bytes, start: Int, stop: Int) -> Int:
    if start + 4 > stop:
        return -1
    value = 0
    for i in range(start, start + 4):
        low = fold_byte(int64(view[i]))
        if 48 <= low <= 57:
            value = value * 16 + low - 48
        elif 97 <= low <= 102:
            value = value * 16 + low - 87
        else:
            return -1
    return value


@kernel
def unescape(view: Bytes, start: Int, stop: Int, out: Bytes) -> Int:
    r"""Write a JSON string with its escapes resolved, as UTF-8; return its size or -1.

    ``out`` needs as much room as the range is long. A half of a surrogate pair is refused.
    """
    at = 0
    i = start
    while i < stop:
        byte = int64(view[i])
        i += 1
        if byte != _BACKSLASH:
            out[at] = byte
            at += 1
            continue
        if i >= stop:
            return -1
        escape = int64(view[i])
        i += 1
        code: Int = escape
        if escape in (_QUOTE, _BACKSLASH, 47):
            pass
        elif escape == 98:
            code = 8
        elif escape == 102:
            code = 12
        elif escape == 110:
            code = 10
        elif escape == 114:
            code = 13
        elif escape == 116:
            code = 9
        elif escape == 117:
            code = _four_hex(view, i, stop)
            i += 4
            if code < 0 or 0xDC00 <= code <= 0xDFFF:
                return -1
            if 0xD800 <= code <= 0xDBFF:
                if i + 6 > stop or view[i] != _BACKSLASH or view[i + 1] != 117:
                    return -1
                low = _four_hex(view, i + 2, stop)
                if low < 0xDC00 or low > 0xDFFF:
                    return -1
                code = 0x10000 + ((code - 0xD800) << 10) + low - 0xDC00
                i += 6
        else:
            return -1
        if code < 0x80:
            out[at] = code
            at += 1
        elif code < 0x800:
            out[at] = 0xC0 | (code >> 6)
            out[at + 1] = 0x80 | (code & 63)
            at += 2
        elif code < 0x10000:
            out[at] = 0xE0 | (code >> 12)
            out[at + 1] = 0x80 | ((code >> 6) & 63)
            out[at + 2] = 0x80 | (code & 63)
            at += 3
        else:
            out[at] = 0xF0 | (code >> 18)
            out[at + 1] = 0x80 | ((code >> 12) & 63)
            out[at + 2] = 0x80 | ((code >> 6) & 63)
            out[at + 3] = 0x80 | (code & 63)
            at += 4
    return at

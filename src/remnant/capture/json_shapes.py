"""JSON lines that are built alike: what differs from an earlier line is all that is read anew.

A program writes its lines with the same keys in the same order. Of a line that was read with care
its *shape* is kept: the bytes between the wanted values. The next line that has the same bytes
there, and plain values of the same kinds, has the same structure; so its values stand where they
are found, and nothing else of it needs to be parsed. Every other line is read with care.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.capture.json_lines import (
    ABSENT,
    KIND,
    LIST,
    NUMBER,
    TEXT,
    Found,
    Paths,
    read_object,
)
from remnant.capture.text_bytes import bytes_before, eight_bytes, zero_bytes
from remnant.wire import Bytes, Int, Word, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ALIKE", "Shapes", "new_shapes", "read_alike"]

ALIKE: Final = 0
"""In ``Shapes.state``: lines that had the shape of an earlier one."""
_LATEST: Final = 1
_OLDEST: Final = 2
_MISSED: Final = 3
_ABSENT_OF: Final = 4

_SHAPES: Final = 4
_ROOM: Final = 1024
"""Bytes of a shape; longer ones are not kept."""
_MANY_MISSED: Final = 64
"""After so many lines that have no shape in a row, one line in so many is kept as one."""

_BEGIN: Final = -1
_END: Final = -2
_LAST: Final = -3
"""Steps besides the kinds of values: an unchanging value begins or ends, the line ends."""

_DO: Final = 0
_SLOT: Final = 1
_IS: Final = 2
_STOP: Final = 3

_QUOTE: Final = 34
_BACKSLASH: Final = 92
_ZERO: Final = uint64(0)
_ONE: Final = uint64(1)
_HIGHS: Final = uint64(0x8080808080808080)
_ONES: Final = uint64(0x0101010101010101)
_SPACES: Final = _ONES * uint64(32)
_QUOTES: Final = _ONES * uint64(_QUOTE)
_BACKSLASHES: Final = _ONES * uint64(_BACKSLASH)


class Shapes(NamedTuple):
    """The shapes of some lines.

    Attributes:
        state: int64: ``ALIKE``; which shape fitted last, which is replaced next; how many lines in
            a row had none; the shape whose absent values are noted as such, -1 for none.
        steps: int64[shapes, 2 slots + 1, 4]: what to do after the next bytes; the slot of the
            value; its kind; where these bytes end. What to do for a slot that has no value is
            ``ABSENT``, after all else.
        sizes: int64[shapes]: how many steps there are, 0: no shape.
        bytes: uint8[shapes, _ROOM + 8]: the bytes between the values, end to end.
    """

    state: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.uint8]


def new_shapes(slots: int) -> Shapes:
    """Return room for shapes of objects with so many wanted values, at most 63."""
    return Shapes(
        np.array([0, 0, 0, 0, -1], np.int64),
        np.zeros((_SHAPES, 2 * slots + 1, 4), np.int64),
        np.zeros(_SHAPES, np.int64),
        np.zeros((_SHAPES, _ROOM + 8), np.uint8),
    )


@kernel
def _plain_end(view: Bytes, i: Int, stop: Int) -> Int:
    """Return where a string without escapes ends that begins at i, after its quote; or -1."""
    while i + 8 <= stop:
        word = eight_bytes(view, uint64(i))
        marks = zero_bytes(word ^ _QUOTES) | zero_bytes(word ^ _BACKSLASHES)
        marks |= (word - _SPACES) & ~word & _HIGHS
        if marks != _ZERO:
            i += int64(bytes_before(marks))
            return i if view[i] == _QUOTE else int64(-1)
        i += 8
    while i < stop:
        byte = view[i]
        if byte == _QUOTE:
            return i
        if byte < 32 or byte == _BACKSLASH:
            return int64(-1)
        i += 1
    return int64(-1)


@kernel
def _digits_end(view: Bytes, i: Int, stop: Int) -> Int:
    """Return where a whole number without a sign ends, or -1."""
    begin: Word = uint64(i)
    end: Word = uint64(stop)
    at = begin
    while at < end and 48 <= view[at] <= 57:
        at += _ONE
    if at == begin or (view[begin] == 48 and at > begin + _ONE):
        return int64(-1)
    return int64(at)


@kernel
def _list_end(view: Bytes, i: Int, stop: Int) -> Int:
    """Return where a list of strings without escapes ends, or -1."""
    i += 1
    while True:
        if i >= stop or view[i] != _QUOTE:
            return int64(-1)
        i = _plain_end(view, i + 1, stop)
        if i < 0 or i + 1 >= stop:
            return int64(-1)
        i += 1
        if view[i] == 93:
            return i + 1
        if view[i] != 44:
            return int64(-1)
        i += 1
        if i < stop and view[i] == 32:
            i += 1


@kernel
def _value_end(view: Bytes, i: Int, stop: Int, kind: Int) -> Int:
    """Return where a plain value of a kind ends, or -1."""
    if kind == TEXT:
        return _plain_end(view, i, stop)
    if kind == NUMBER:
        return _digits_end(view, i, stop)
    if kind == LIST and i < stop and view[i] == 91:
        return _list_end(view, i, stop)
    return int64(-1)


@kernel
def _fits(view: Bytes, i: Int, stop: Int, found: Found, shapes: Shapes, shape: Int) -> bool:
    """Note where the values stand if a line has a shape; return whether it has."""
    values = found.values
    steps = shapes.steps
    literal = shapes.bytes[shape]
    at = int64(0)
    for step in range(shapes.sizes[shape]):
        end = steps[shape, step, _STOP]
        while at + 8 <= end:
            if i + 8 > stop or eight_bytes(view, uint64(i)) != eight_bytes(literal, uint64(at)):
                return False
            at += 8
            i += 8
        if at < end:
            if i + 8 <= stop:
                other = eight_bytes(view, uint64(i)) ^ eight_bytes(literal, uint64(at))
                if other << uint64(64 - 8 * (end - at)) != _ZERO:
                    return False
                i += end - at
                at = end
            else:
                while at < end:
                    if i >= stop or view[i] != literal[at]:
                        return False
                    at += 1
                    i += 1
        do = steps[shape, step, _DO]
        slot = steps[shape, step, _SLOT]
        if do > ABSENT:
            end = _value_end(view, i, stop, do)
            if end < 0:
                return False
            values[slot, 0] = i
            values[slot, 1] = end
            values[slot, KIND] = do
            i = end
        elif do == _LAST:
            if i != stop:
                return False
            if shapes.state[_ABSENT_OF] == shape:
                break
        elif do == _BEGIN:
            values[slot, 0] = i
            values[slot, KIND] = steps[shape, step, _IS]
        elif do == _END:
            values[slot, 1] = i
        else:
            values[slot, 0] = -1
            values[slot, KIND] = ABSENT
    return True


@kernel
def _learn(view: Bytes, start: Int, stop: Int, found: Found, shapes: Shapes, shape: Int) -> None:
    """Keep the shape of a line that was read."""
    values = found.values
    steps = shapes.steps
    shapes.sizes[shape] = 0
    begun = int64(0)
    ended = int64(0)
    count = int64(0)
    size = int64(0)
    i = start
    while True:
        # What comes next: a value begins, or an unchanging one ends.
        next_at = stop
        slot = int64(-1)
        for k in range(values.shape[0]):
            bit = int64(1) << k
            if values[k, KIND] == ABSENT or ended & bit:
                continue
            place = values[k, 1] if begun & bit else values[k, 0]
            if place < next_at:
                next_at = place
                slot = int64(k)
        if size + next_at - i > _ROOM or count >= steps.shape[1]:
            return
        for k in range(i, next_at):
            shapes.bytes[shape, size] = view[k]
            size += 1
        steps[shape, count, _STOP] = size
        steps[shape, count, _SLOT] = slot
        if slot < 0:
            steps[shape, count, _DO] = _LAST
            count += 1
            break
        kind = values[slot, KIND]
        steps[shape, count, _IS] = kind
        i = next_at
        if begun & (int64(1) << slot):
            steps[shape, count, _DO] = _END
            ended |= int64(1) << slot
        elif _value_end(view, i, stop, kind) == values[slot, 1]:
            steps[shape, count, _DO] = kind
            i = values[slot, 1]
            ended |= int64(1) << slot
        else:
            begun |= int64(1) << slot
            steps[shape, count, _DO] = _BEGIN
        count += 1
    for k in range(values.shape[0]):
        if values[k, KIND] == ABSENT:
            if count >= steps.shape[1]:
                return
            steps[shape, count, _DO] = ABSENT
            steps[shape, count, _SLOT] = k
            steps[shape, count, _STOP] = size
            count += 1
    shapes.sizes[shape] = count


@kernel
def read_alike(
    view: Bytes, start: Int, stop: Int, paths: Paths, found: Found, scratch: Bytes, shapes: Shapes
) -> bool:
    """Do what ``json_lines.read_object`` does, in less time where lines are built alike.

    Between two calls with the same shapes the kinds of absent values must stay as they are.

    Args:
        view: holds the line.
        start: where it begins.
        stop: where it ends.
        paths: what is wanted.
        found: filled.
        scratch: room for a key that has escapes, as long as the line.
        shapes: of earlier lines.
    """
    state = shapes.state
    for k in range(_SHAPES):
        shape = (state[_LATEST] + k) & (_SHAPES - 1)
        if shapes.sizes[shape] > 0 and _fits(view, start, stop, found, shapes, shape):
            state[_LATEST] = state[_ABSENT_OF] = shape
            state[ALIKE] += 1
            state[_MISSED] = 0
            return True
        # It may have noted some values.
        state[_ABSENT_OF] = -1
    if not read_object(view, start, stop, paths, found, scratch):
        return False
    state[_MISSED] += 1
    if state[_MISSED] <= _MANY_MISSED or state[_MISSED] % _MANY_MISSED == 0:
        _learn(view, start, stop, found, shapes, state[_OLDEST])
        state[_OLDEST] = (state[_OLDEST] + 1) & (_SHAPES - 1)
    return True

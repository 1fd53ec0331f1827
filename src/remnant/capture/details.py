"""Fields of a record as one bounded JSON object: the column ``detail`` of hits.

Values are bytes of strangers. What is written is always valid UTF-8 and valid JSON: bytes that are
not UTF-8 become U+FFFD, control characters are escaped, and sizes are bounded.

References:
    RFC 8259 (JSON), RFC 3629 (UTF-8).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import int64

from remnant.wire import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["MAX_DETAIL", "MAX_VALUE", "Keys", "details"]

MAX_VALUE: Final = 512
"""Bytes of one value that are kept, as they stand in the source."""

MAX_DETAIL: Final = 4096
"""Bytes of the longest object; a field that does not fit is left out with those after it."""

_QUOTE: Final = 34
_BACKSLASH: Final = 92
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8).copy()
_REPLACEMENT: Final = np.frombuffer(b"\xef\xbf\xbd", np.uint8).copy()
_LONGEST: Final = 6
"""Bytes that one byte of a value becomes at most."""


class Keys:
    """The keys of an object, in order, as kernels take them."""

    def __init__(self, names: Sequence[str]) -> None:
        texts = [json.dumps(name).encode("ascii") + b":" for name in names]
        self.names = tuple(names)
        self.bytes = np.frombuffer(b"".join(texts), np.uint8).copy()
        self.offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)


@compiled
def _utf8_size(view: Bytes, i: Int, stop: Int) -> Int:
    """Return the bytes of the character at ``i`` (2 to 4), or 0 if it is not well-formed."""
    first: Int = int64(view[i])
    size = 0
    low = 0x80
    high = 0xBF
    if 0xC2 <= first <= 0xDF:
        size = 2
    elif 0xE0 <= first <= 0xEF:
        size = 3
        if first == 0xE0:
            low = 0xA0
        elif first == 0xED:
            high = 0x9F
    elif 0xF0 <= first <= 0xF4:
        size = 4
        if first == 0xF0:
            low = 0x90
        elif first == 0xF4:
            high = 0x8F
    if size == 0 or i + size > stop or view[i + 1] < low or view[i + 1] > high:
        return 0
    for k in range(2, size):
        if view[i + k] < 0x80 or view[i + k] > 0xBF:
            return 0
    return size


@compiled
def _write_value(view: Bytes, start: Int, stop: Int, doubled: bool, out: Bytes, at: Int) -> Int:
    """Write a value between quotes; return the position after it."""
    out[at] = _QUOTE
    at += 1
    i: Int = int64(start)
    while i < stop:
        byte: Int = int64(view[i])
        size = 1
        if byte in (_QUOTE, _BACKSLASH):
            out[at] = _BACKSLASH
            out[at + 1] = byte
            at += 2
            if doubled and byte == _QUOTE and i + 1 < stop and view[i + 1] == _QUOTE:
                size = 2
        elif byte < 32 or byte == 127:
            out[at] = _BACKSLASH
            out[at + 1] = 117
            out[at + 2] = 48
            out[at + 3] = 48
            out[at + 4] = _HEX[byte >> 4]
            out[at + 5] = _HEX[byte & 15]
            at += 6
        elif byte < 128:
            out[at] = byte
            at += 1
        else:
            size = _utf8_size(view, i, stop)
            if size == 0:
                size = 1
                for k in range(3):
                    out[at + k] = _REPLACEMENT[k]
                at += 3
            else:
                for k in range(size):
                    out[at + k] = view[i + k]
                at += size
        i += size
    out[at] = _QUOTE
    return at + 1


@compiled
def _write(
    view: Bytes,
    spans: npt.NDArray[np.int64],
    keys: Bytes,
    key_offsets: npt.NDArray[np.int64],
    out: Bytes,
    offsets: npt.NDArray[np.int64],
    first: Int,
) -> Int:
    """Write the objects of rows from ``first`` on; return the row that had no room, or the end."""
    at = offsets[first]
    for row in range(first, spans.shape[0]):
        begin = at
        if at + MAX_DETAIL + _LONGEST * MAX_VALUE + 512 > out.size:
            return row
        for key in range(spans.shape[1]):
            start = spans[row, key, 0]
            if start < 0:
                continue
            stop = min(spans[row, key, 1], start + MAX_VALUE)
            # A character is not cut in two.
            while stop > start and stop < spans[row, key, 1] and 0x80 <= view[stop] <= 0xBF:
                stop -= 1
            mark = at
            out[at] = 44 if at > begin else 123
            at += 1
            for i in range(key_offsets[key], key_offsets[key + 1]):
                out[at] = keys[i]
                at += 1
            at = _write_value(view, start, stop, spans[row, key, 2] == 1, out, at)
            if at - begin >= MAX_DETAIL:
                at = mark
                break
        if at > begin:
            out[at] = 125
            at += 1
        offsets[row + 1] = at
    return spans.shape[0]


def details(view: Bytes, spans: npt.NDArray[np.int64], keys: Keys) -> pa.Array[Any]:
    """Return one JSON object a row, null where no field has a value.

    Args:
        view: the bytes that hold the values.
        spans: int64[n, keys, 3]: the range of each value, its start -1 where there is none, and 1
            where quotes are written twice in it.
        keys: the names of the fields; none is longer than 255 bytes.
    """
    count = spans.shape[0]
    offsets = np.zeros(count + 1, np.int64)
    out = np.empty(count * 256 + (64 << 10), np.uint8)
    row = 0
    while True:
        row = int(_write(view, spans, keys.bytes, keys.offsets, out, offsets, row))
        if row == count:
            break
        out = np.concatenate([out, np.empty(out.size, np.uint8)])
    buffers: Any = [offsets, out[: offsets[-1]]]
    first, second = map(pa.py_buffer, buffers)
    text: Any = pa.LargeStringArray.from_buffers(count, first, second)
    empty = pa.array(np.diff(offsets) == 0)
    whole: pa.Array[Any] = pc.if_else(empty, pa.scalar(None, pa.large_string()), text).cast(
        pa.string()
    )
    return whole

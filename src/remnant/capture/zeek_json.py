"""Kernels for Zeek's JSON log lines: one flat object per line.

The object is scanned once; the values of the wanted keys are noted as ranges of the line. A line
that is not one JSON object is refused as a whole, and no other line with it.

References:
    RFC 8259.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.wire import Bytes, Int, fold_byte, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["COLUMNS", "LIST", "NUMBER", "TEXT", "TEXT_ESCAPED", "json_fields", "unescape"]

COLUMNS: Final = (
    "ts",
    "id.orig_h",
    "id.orig_p",
    "id.resp_p",
    "proto",
    "query",
    "qtype",
    "qtype_name",
    "rcode",
    "answers",
    "_path",
)
"""The columns of ``dns.log`` that are read, and the stream's name in JSON; a *role* is an index."""

PLAIN: Final = 0
TEXT: Final = 1
TEXT_ESCAPED: Final = 2
NUMBER: Final = 3
LIST: Final = 4
OTHER: Final = 5

_LONGEST_KEY: Final = max(map(len, COLUMNS))
_KEYS: Final = np.array(
    [list(word.encode().ljust(_LONGEST_KEY, b"\0")) for word in COLUMNS], np.uint8
)
_KEY_SIZES: Final = np.array([len(word) for word in COLUMNS], np.int64)
_MAX_DEPTH: Final = 60

_QUOTE: Final = 34
_BACKSLASH: Final = 92


@kernel
def _after_space(view: Bytes, i: Int, stop: Int) -> Int:
    while i < stop and (view[i] == 32 or view[i] == 9 or view[i] == 13):
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
        if byte == _BACKSLASH:
            escaped = True
            i += 1
        i += 1
    return -1, escaped


@kernel
def _nested_end(view: Bytes, i: Int, stop: Int) -> Int:
    """Return the position after the array or object that opens at ``i``, or -1."""
    depth = 0
    objects = 0
    while i < stop:
        byte = view[i]
        if byte == _QUOTE:
            i, _ = _string_end(view, i + 1, stop)
            if i < 0:
                return -1
        elif byte in (91, 123):
            if depth == _MAX_DEPTH:
                return -1
            objects = objects * 2 + (1 if byte == 123 else 0)
            depth += 1
        elif byte in (93, 125):
            if (objects & 1 == 1) != (byte == 125):
                return -1
            objects >>= 1
            depth -= 1
            if depth == 0:
                return i + 1
        i += 1
    return -1


@kernel
def _word_end(view: Bytes, i: Int, stop: Int) -> Int:
    """Return the position after a number or a literal."""
    while i < stop and (
        48 <= view[i] <= 57 or view[i] in (43, 45, 46) or 97 <= fold_byte(int64(view[i])) <= 122
    ):
        i += 1
    return i


@kernel
def _literal(view: Bytes, start: Int, stop: Int) -> Int:
    """Return 1 for null, 2 for true or false, 3 for a number, 0 for anything else."""
    size = stop - start
    if size == 4 and view[start] == 110 and view[start + 1] == 117 and view[start + 3] == 108:
        return 1
    if size == 4 and view[start] == 116 and view[start + 1] == 114 and view[start + 3] == 101:
        return 2
    if size == 5 and view[start] == 102 and view[start + 1] == 97 and view[start + 4] == 101:
        return 2
    if size > 0 and (view[start] == 45 or 48 <= view[start] <= 57):
        return 3
    return 0


@kernel
def _role(view: Bytes, start: Int, stop: Int) -> Int:
    size = stop - start
    for role in range(_KEY_SIZES.size):
        if _KEY_SIZES[role] != size:
            continue
        same = True
        for k in range(size):
            if view[start + k] != _KEYS[role, k]:
                same = False
                break
        if same:
            return role
    return -1


@kernel
def json_fields(
    view: Bytes,
    start: Int,
    stop: Int,
    spans: npt.NDArray[np.int64],
    kinds: npt.NDArray[np.int8],
) -> bool:
    """Note where the values of the wanted keys stand; return whether the line is one object.

    Args:
        view: holds the line.
        start: where it begins.
        stop: where it ends.
        spans: int64[roles, 2], set to the range of each value, without quotes; the start is -1
            where the key is absent or null. Of a key that stands twice, the last value counts.
        kinds: int8[roles]: TEXT, TEXT_ESCAPED, NUMBER, LIST or OTHER.
    """
    for role in range(spans.shape[0]):
        spans[role, 0] = -1
    i = _after_space(view, start, stop)
    if i >= stop or view[i] != 123:
        return False
    i = _after_space(view, i + 1, stop)
    if i < stop and view[i] == 125:
        return bool(_after_space(view, i + 1, stop) == stop)
    while i < stop and view[i] == _QUOTE:
        key_end, _ = _string_end(view, i + 1, stop)
        if key_end < 0:
            return False
        role = _role(view, i + 1, key_end)
        i = _after_space(view, key_end + 1, stop)
        if i >= stop or view[i] != 58:
            return False
        i = _after_space(view, i + 1, stop)
        if i >= stop:
            return False
        begin = i
        if view[i] == _QUOTE:
            begin = i + 1
            end, escaped = _string_end(view, begin, stop)
            if end < 0:
                return False
            kind = TEXT_ESCAPED if escaped else TEXT
            i = end + 1
        elif view[i] in (91, 123):
            kind = LIST if view[i] == 91 else OTHER
            i = end = _nested_end(view, i, stop)
            if i < 0:
                return False
        else:
            i = end = _word_end(view, i, stop)
            what = _literal(view, begin, end)
            if what == 0:
                return False
            kind = NUMBER if what == 3 else OTHER
            if what == 1:
                begin = -1
        if role >= 0:
            spans[role, 0] = begin
            spans[role, 1] = end
            kinds[role] = kind
        i = _after_space(view, i, stop)
        if i < stop and view[i] == 125:
            return bool(_after_space(view, i + 1, stop) == stop)
        if i >= stop or view[i] != 44:
            return False
        i = _after_space(view, i + 1, stop)
    return False


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

r"""Kernels that read the parts which the logs of both PowerDNS servers have in common.

A classic line holds ``'NAME|TYPE'``; a structured one is a list of ``key="value"`` in which a quote
and a backslash of a value stand behind a backslash. Names escape with ``\DDD`` and ``\X``, and
spaces always, so that no name holds one.

References:
    PowerDNS, pdns/dnsname.cc (toString), pdns/recursordist/logging.cc and rec-main.cc (structured
    lines), pdns/iputils.hh (toStringWithPort), pdns/dnspacket.cc (getRemoteString).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture.text_fields import parse_address, parse_name, parse_uint, starts, token_end
from remnant.capture.text_rows import BAD_FIELDS, BAD_NAME, Rows
from remnant.capture.text_stamp import no_stamp, take_stamp
from remnant.capture.text_types import parse_type
from remnant.wire import Bytes, Int, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "key_end",
    "read_client",
    "read_name",
    "read_prefix",
    "read_question",
    "read_subnet",
    "read_value",
    "skip_value",
]

_MAX_PORT: Final = 65535
_MAPPED: Final = 96
_MAX_WORDS: Final = 12
_EQUALS: Final = np.frombuffer(b'="', np.uint8).copy()


@kernel
def read_prefix(
    view: Bytes,
    start: Int,
    stop: Int,
    year: npt.NDArray[np.int64],
    when: npt.NDArray[np.int64],
) -> bool:
    """Read the times that stand before a message; return whether something else stands there only.

    Args:
        view: the bytes of the lines.
        start: where the line begins.
        stop: where its message begins.
        year: int64[2], as ``text_stamp.take_stamp`` keeps it.
        when: int64[STAMP_COLUMNS]: filled.
    """
    no_stamp(when)
    i = start
    if i < stop and view[i] == 60:
        # The priority that syslog puts before a line on the wire.
        while i < stop and view[i] != 62:
            i += 1
        i += 1
    words = False
    times = False
    for _ in range(_MAX_WORDS):
        if i >= stop:
            break
        end = take_stamp(view, i, stop, year, when)
        if end >= 0:
            times = True
        else:
            words = True
            end = token_end(view, i, stop)
        i = end + 1
    return words and not times


@kernel
def read_client(view: Bytes, start: Int, stop: Int, out: Bytes, at: Int) -> Int:
    """Write the address of ``192.0.2.1:5353``, ``[2001:db8::1]:5353`` or of an address alone.

    Returns:
        The port, -1 if there is none, -2 if it is no address.
    """
    end = stop
    colon = -1
    if start < stop and view[start] == 91:
        start += 1
        end = start
        while end < stop and view[end] != 93:
            end += 1
        if end >= stop:
            return -2
        if end + 1 < stop and view[end + 1] == 58:
            colon = end + 1
    else:
        colons = 0
        for i in range(start, stop):
            if view[i] == 58:
                colons += 1
                colon = i
        if colons == 1:
            end = colon
        else:
            colon = -1
    if parse_address(view, start, end, out, at) == 0:
        return -2
    if colon < 0:
        return -1
    port = parse_uint(view, colon + 1, stop)
    return port if 0 <= port <= _MAX_PORT else -2


@kernel
def read_subnet(view: Bytes, start: Int, stop: Int, out: Bytes, at: Int) -> bool:
    """Write the client subnet ``203.0.113.0/24``, 17 bytes; an address alone is its own subnet."""
    slash = start
    while slash < stop and view[slash] != 47:
        slash += 1
    family = parse_address(view, start, slash, out, at)
    longest = 32 if family == 4 else 128
    bits = longest if slash >= stop else parse_uint(view, slash + 1, stop)
    if family == 0 or bits < 0 or bits > longest:
        out[at + 16] = 255
        return False
    if family == 4:
        bits += _MAPPED
    for k in range(16):
        kept = min(max(bits - 8 * k, 0), 8)
        out[at + k] = int64(out[at + k]) & (0xFF00 >> kept)
    out[at + 16] = bits
    return True


@kernel
def read_name(view: Bytes, start: Int, stop: Int, n: Int, rows: Rows) -> bool:
    """Write a name as the name of row ``n``; return whether it is one."""
    end = parse_name(view, start, stop, False, rows.names, rows.name_offsets[n])
    if end < 0:
        return False
    rows.name_offsets[n + 1] = end
    return True


@kernel
def read_question(view: Bytes, start: Int, stop: Int, n: Int, rows: Rows) -> Int:
    """Read ``NAME|TYPE`` into row ``n``; return the reason why not, or -1."""
    bar = stop - 1
    while bar > start and view[bar] != 124:
        bar -= 1
    if bar <= start:
        return BAD_FIELDS
    if not read_name(view, start, bar, n, rows):
        return BAD_NAME
    rows.qtype[n] = parse_type(view, bar + 1, stop)
    return -1 if rows.qtype[n] >= 0 else BAD_FIELDS


@kernel
def key_end(view: Bytes, i: Int, stop: Int) -> Int:
    """Return where the key of the ``key="value"`` that begins at ``i`` ends, -1 if none begins."""
    end = i
    while end < stop and view[end] != 61:
        end += 1
    return end if end > i and starts(view, end, stop, _EQUALS) else int64(-1)


@kernel
def skip_value(view: Bytes, i: Int, stop: Int) -> Int:
    """Return the position after the value of a key that ends at ``i``, and a space; -1 if none."""
    i += 2
    while i < stop and view[i] != 34:
        i += 2 if view[i] == 92 else 1
    return min(i + 2, stop) if i < stop else int64(-1)


@kernel
def read_value(view: Bytes, i: Int, stop: Int, value: Bytes) -> tuple[Int, Int]:
    r"""Write the value of a key that ends at ``i``, with ``\"`` and ``\\`` resolved.

    Returns:
        (its length, the position after it and a space); the position is -1 if the value does not
        end, or is longer than ``value``.
    """
    i += 2
    size = int64(0)
    while i < stop and view[i] != 34:
        if view[i] == 92 and i + 1 < stop:
            i += 1
        if size == value.size:
            return size, int64(-1)
        value[size] = view[i]
        size += 1
        i += 1
    return size, min(i + 2, stop) if i < stop else int64(-1)

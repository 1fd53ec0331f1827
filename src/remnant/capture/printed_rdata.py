r"""Record data that another program printed, in the one form that passive DNS keeps.

Addresses become canonical, names folded and without their trailing dot, numbers and the order of
fields stay. Text of other types stays as it is; bytes that are not printable ASCII are escaped.
What is written is what ``capture.rdata`` writes of the same record on the wire, for the types that
both know.

References:
    RFC 1035 section 5.1 (presentation form), RFC 2782 (SRV), RFC 5952 (IPv6 text).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from numba import int64

from remnant import wire
from remnant.capture.rdata import address_text
from remnant.capture.text_fields import parse_address, parse_name, parse_uint
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["MAX_FACTOR", "SLACK", "name_data", "printed_data"]

MAX_FACTOR: Final = 4
"""A byte of text becomes at most this many; ``SLACK`` bytes come to that."""
SLACK: Final = 64

_MX: Final = 15
_SOA: Final = 6
_TXT: Final = 16
_SRV: Final = 33
_SPF: Final = 99
_NAMES: Final = (2, 3, 4, 5, 7, 8, 9, 12, 39)
"""NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME: the data is one name."""


@kernel
def name_data(
    view: Bytes,
    start: Int,
    stop: Int,
    hexadecimal: bool,
    scratch: Bytes,
    starts: npt.NDArray[np.int64],
    out: Bytes,
    at: Int,
) -> Int:
    """Write a printed name in its normal form; return the position after it, or -1."""
    end = parse_name(view, start, stop, hexadecimal, scratch, int64(0))
    if end < 0:
        return int64(-1)
    count = wire.labels(scratch, int64(0), end, starts)
    if count < 0:
        return int64(-1)
    return wire.name_text(scratch, starts, count, out, at)


@kernel
def _printable(view: Bytes, start: Int, stop: Int, quoted: bool, out: Bytes, at: Int) -> Int:
    """Write bytes, those that are not printable as escapes; in quotes if these are the bytes."""
    if quoted:
        out[at] = 34
        at += 1
    for i in range(start, stop):
        byte = int64(view[i])
        if byte < 32 or byte > 126:
            out[at] = 92
            out[at + 1] = 48 + byte // 100
            out[at + 2] = 48 + byte // 10 % 10
            out[at + 3] = 48 + byte % 10
            at += 4
            continue
        if quoted and (byte in (34, 92)):
            out[at] = 92
            at += 1
        out[at] = byte
        at += 1
    if quoted:
        out[at] = 34
        at += 1
    return at


@kernel
def _fields(
    view: Bytes,
    start: Int,
    stop: Int,
    shape: tuple[Int, Int, Int],
    hexadecimal: bool,
    scratch: Bytes,
    starts: npt.NDArray[np.int64],
    out: Bytes,
    at: Int,
) -> Int:
    """Write numbers, names and numbers with one space between; -1 if the text is not that."""
    before, names, total = shape
    i: Int = start
    for field in range(total):
        while i < stop and view[i] == 32:
            i += 1
        begin = i
        while i < stop and view[i] != 32:
            i += 1
        if begin == i:
            return int64(-1)
        if field > 0:
            out[at] = 32
            at += 1
        if before <= field < before + names:
            at = name_data(view, begin, i, hexadecimal, scratch, starts, out, at)
            if at < 0:
                return int64(-1)
        elif parse_uint(view, begin, i) < 0:
            return int64(-1)
        else:
            for k in range(begin, i):
                out[at] = view[k]
                at += 1
    return at if i == stop else int64(-1)


@kernel
def printed_data(
    view: Bytes,
    start: Int,
    stop: Int,
    kind: Int,
    raw: bool,
    scratch: Bytes,
    starts: npt.NDArray[np.int64],
    out: Bytes,
    at: Int,
) -> Int:
    r"""Write the data of a record in its normal form.

    Args:
        view: holds the text.
        start: where the data begins.
        stop: where it ends.
        kind: the record's type, -1 if it is not known.
        raw: the text is the bytes themselves, with Zeek's ``\xNN`` for what is not text, and not
            the presentation form of RFC 1035: TXT data gets its quotes here.
        scratch: uint8: as long as the text and 3 bytes more, at least 16.
        starts: int64[130], as in ``wire.labels``.
        out: takes the text; needs MAX_FACTOR times the bytes of the data, and SLACK more.
        at: where in ``out`` the text begins.

    Returns:
        The position after the text, or -1: the data of an address record is no such address.
    """
    while start < stop and view[start] <= 32:
        start += 1
    while stop > start and view[stop - 1] <= 32:
        stop -= 1
    if kind in (wire.A, wire.AAAA):
        family = parse_address(view, start, stop, scratch, int64(0))
        if family != (4 if kind == wire.A else 6):
            return int64(-1)
        if family == 4:
            return address_text(scratch, int64(12), int64(4), out, at)
        return address_text(scratch, int64(0), int64(16), out, at)
    end = int64(-1)
    shape = (int64(0), int64(0), int64(0))
    if kind == _MX:
        bare = True
        for i in range(start, stop):
            bare = bare and view[i] != 32
        # Suricata prints no preference.
        shape = (int64(0), int64(1), int64(1)) if bare else (int64(1), int64(1), int64(2))
    elif kind == _SRV:
        shape = (int64(3), int64(1), int64(4))
    elif kind == _SOA:
        shape = (int64(0), int64(2), int64(7))
    else:
        for one in _NAMES:
            if kind == one:
                shape = (int64(0), int64(1), int64(1))
    if shape[2] > 0:
        end = _fields(view, start, stop, shape, raw, scratch, starts, out, at)
    if end < 0:
        quoted = raw and (kind in (_TXT, _SPF))
        end = _printable(view, start, stop, quoted, out, at)
    return end

"""The framing of PowerDNS protobuf streams: a big-endian length before each message.

The length has two bytes, or four where ``frame4`` is set. There is no header and no mark between
messages: after damage the next one is found by its shape, a length followed by that many bytes that
are a whole, plausible message.

References:
    remote_logger.cc (PowerDNS/pdns); dnsmessage.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant import wire
from remnant.capture import powerdns_fields as fields_of
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "BAD",
    "DATA",
    "MORE",
    "SHORT",
    "WIDE",
    "follows",
    "is_unfinished",
    "next_frame",
    "resume",
    "width_of",
    "width_within",
]

# What ``next_frame`` finds.
DATA: Final = 0
MORE: Final = 1
BAD: Final = 2

SHORT: Final = 2
"""Bytes of a length, usually."""
WIDE: Final = 4
"""Bytes of a length with ``frame4``."""

_MAX_FRAME: Final = 1 << 20
_SMALLEST: Final = 8
"""A message with type, address and question is longer than this."""
_TYPES: Final = 4
_TYPE_TAG: Final = 0x08
"""The type comes first in what PowerDNS writes."""
_TRIED: Final = 64
"""Messages at the head of a stream that are looked at to recognise it."""


@inlined
def _length(buffer: Bytes, position: Int, width: Int) -> Int:
    size = wire.u16(buffer, position)
    if width == WIDE:
        size = (size << 16) | wire.u16(buffer, position + 2)
    return size


@kernel
def next_frame(buffer: Bytes, position: Int, stop: Int, width: Int) -> tuple[Int, Int, Int]:
    """Return (DATA, MORE or BAD, where the message begins, where it ends).

    MORE: it is not complete yet. BAD: the length cannot be that of a message.
    """
    start = position + width
    if start > stop:
        return MORE, position, position
    size = _length(buffer, position, width)
    if size == 0 or size > _MAX_FRAME:
        return BAD, position, position
    return (DATA, start, start + size) if start + size <= stop else (MORE, start, start)


@kernel
def follows(buffer: Bytes, position: Int, stop: Int, width: Int) -> bool:
    """Return whether the bytes at ``position`` may be the next frame, as far as they are there."""
    start = position + width
    if start + 2 > stop:
        return True
    return bool(
        _SMALLEST <= _length(buffer, position, width) <= _MAX_FRAME
        and buffer[start] == _TYPE_TAG
        and 1 <= buffer[start + 1] <= _TYPES
    )


@kernel
def _plausible(buffer: Bytes, start: Int, stop: Int, fields: npt.NDArray[np.int64]) -> bool:
    """Return whether some bytes are a message with all that PowerDNS puts into one."""
    if not fields_of.read_message(buffer, start, stop, fields):
        return False
    size = fields[fields_of.FROM + 1] - fields[fields_of.FROM]
    return bool(
        1 <= fields[fields_of.TYPE] <= _TYPES
        and fields[fields_of.SECONDS] >= 0
        and (fields[fields_of.FROM] < 0 or size == 4 or size == 16)  # noqa: PLR1714 - a set would be built
        and 0 <= fields[fields_of.QTYPE] < 1 << 16
        and fields[fields_of.QNAME] >= 0
        and _is_text(buffer, fields[fields_of.QNAME], fields[fields_of.QNAME + 1])
    )


@kernel
def _is_text(buffer: Bytes, start: Int, stop: Int) -> bool:
    """Return whether a name is printed as PowerDNS prints it: absolute, and nothing but ASCII."""
    if stop <= start or buffer[stop - 1] != 46:
        return False
    for i in range(start, stop):  # noqa: SIM110 - a kernel has no generators
        if buffer[i] < 33 or buffer[i] > 126:
            return False
    return True


@kernel
def resume(
    buffer: Bytes,
    position: Int,
    stop: Int,
    width: Int,
    final: bool,
    fields: npt.NDArray[np.int64],
) -> tuple[Int, bool]:
    """Look for the next frame after damage.

    Args:
        buffer: holds the bytes.
        position: where to look first.
        stop: where the bytes end.
        width: SHORT or WIDE.
        final: whether none will follow.
        fields: int64[FIELDS] scratch.

    Returns:
        (where it is, True); or (up to where there is none, False): the bytes from there on must
        be looked at again when there are more of them.
    """
    while stop - position >= width + 2:
        start = position + width
        if (
            buffer[start] == _TYPE_TAG
            and 1 <= buffer[start + 1] <= _TYPES
            and _SMALLEST <= _length(buffer, position, width) <= _MAX_FRAME
        ):
            end = start + _length(buffer, position, width)
            if end > stop:
                if not final:
                    return position, False
            elif _plausible(buffer, start, end, fields):
                return position, True
        position += 1
    return (stop if final else position), False


@kernel
def _leading(buffer: Bytes, width: Int, whole: bool, fields: npt.NDArray[np.int64]) -> Int:
    """Return how many plausible messages the bytes begin with; 0 if anything else is among them."""
    position = int64(0)
    stop = int64(buffer.size)
    count = int64(0)
    while count < _TRIED and position < stop:
        kind, start, end = next_frame(buffer, position, stop, width)
        if kind == MORE and not whole:
            break
        if kind != DATA or not _plausible(buffer, start, end, fields):
            return int64(0)
        position = end
        count += 1
    return count


def width_of(head: bytes) -> int | None:
    """Return how many bytes the lengths of a stream have, or None if it is no such stream.

    Args:
        head: its first bytes: at least two whole messages and no other bytes between them; one is
            enough if it is all there is.
    """
    view = np.frombuffer(head, np.uint8).copy()
    fields = np.zeros(fields_of.FIELDS, np.int64)
    for width in (SHORT, WIDE):
        if _leading(view, width, False, fields) > 1 or _leading(view, width, True, fields) > 0:
            return width
    return None


def width_within(head: bytes) -> int | None:
    """Return how many bytes the lengths have by the first message among damaged bytes, or None."""
    view = np.frombuffer(head, np.uint8).copy()
    fields = np.zeros(fields_of.FIELDS, np.int64)
    found = []
    for width in (SHORT, WIDE):
        position, whole = resume(view, 0, view.size, width, True, fields)
        if whole:
            found.append((int(position), width))
    # Every frame with a wide length holds one with a short length, two bytes later.
    return min(found)[1] if found else None


def is_unfinished(head: bytes) -> bool:
    """Return whether the bytes may be the beginning of the first frame, and no more."""
    view = np.frombuffer(head, np.uint8).copy()
    width = WIDE if head.startswith(b"\0\0") else SHORT
    return bool(
        next_frame(view, 0, view.size, width)[0] == MORE and follows(view, 0, view.size, width)
    )

"""Frame Streams, the framing of dnstap files and sockets, as kernels.

A data frame is a 32-bit big-endian length and its bytes; length 0 escapes a control frame. After
damage the next frame is found by its shape: only a length followed by that many bytes of complete,
well-formed dnstap counts, which no name or option inside a message can imitate by chance.

References:
    fstrm (farsightsec/fstrm, fstrm/control.h); dnstap.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture import protobuf
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "BAD",
    "CONTENT_TYPE",
    "CONTROL",
    "DATA",
    "DNSTAP",
    "MAX_FRAME",
    "MORE",
    "follows",
    "is_bare",
    "is_dnstap",
    "next_frame",
    "resume",
    "start_type",
]

CONTENT_TYPE: Final = b"protobuf:dnstap.Dnstap"
MAX_FRAME: Final = 16 << 20
"""Bytes of the longest data frame that is read."""

# What ``next_frame`` finds.
DATA: Final = 0
CONTROL: Final = 1
MORE: Final = 2
BAD: Final = 3

DNSTAP: Final = protobuf.FIELDS
"""How long the scratch array for a frame's fields must be."""

_MAX_CONTROL: Final = 512
_MAX_FOUND: Final = 1 << 20
"""Longest frame that is looked for after damage."""
_MAX_ODD: Final = 1 << 16
"""Longest frame without dnstap inside that is believed after damage."""
_SHORTEST: Final = 16
_LONGEST_BARE: Final = 64 << 10
"""A source of as many bytes may be longer than the head that shows it."""
_OPENERS: Final = b"\x0a\x12\x1a\x72\x78"
_ACCEPT: Final = 1
_START: Final = 2
_READY: Final = 4
_FINISH: Final = 5
_FIELD_CONTENT_TYPE: Final = 1
_CONTENT: Final = np.frombuffer(CONTENT_TYPE, np.uint8)


@inlined
def _u32(buffer: Bytes, position: Int) -> Int:
    return (
        (int64(buffer[position]) << 24)
        | (int64(buffer[position + 1]) << 16)
        | (int64(buffer[position + 2]) << 8)
        | int64(buffer[position + 3])
    )


@kernel
def next_frame(buffer: Bytes, position: Int, stop: Int) -> tuple[Int, Int, Int]:
    """Return (DATA, CONTROL, MORE or BAD, where its payload begins, where it ends).

    MORE: the frame is not complete yet. BAD: its length cannot be that of a frame.
    """
    if stop - position < 4:
        return MORE, position, position
    length = _u32(buffer, position)
    start = position + 4
    if length > MAX_FRAME:
        return BAD, position, position
    if length > 0:
        return (DATA, start, start + length) if start + length <= stop else (MORE, start, start)
    if stop - start < 4:
        return MORE, start, start
    length = _u32(buffer, start)
    start += 4
    if length < 4 or length > _MAX_CONTROL:
        return BAD, position, position
    return (CONTROL, start, start + length) if start + length <= stop else (MORE, start, start)


@kernel
def start_type(buffer: Bytes, start: Int, stop: Int, expected: Bytes) -> Int:
    """Return what a control frame says about the stream that follows.

    Returns:
        0 it is no START, 1 a START with the expected content type or with none, 2 a START with
        another content type.
    """
    if _u32(buffer, start) != _START:
        return 0
    position = start + 4
    while position + 8 <= stop:
        field = _u32(buffer, position)
        length = _u32(buffer, position + 4)
        position += 8
        if length > stop - position:
            return 2
        if field == _FIELD_CONTENT_TYPE:
            if length != expected.size:
                return 2
            for i in range(length):
                if buffer[position + i] != expected[i]:
                    return 2
        position += length
    return 1


@kernel
def _opens_dnstap(byte: Int) -> Int:
    """Return whether a dnstap message can begin so: identity, version, extra, message or type."""
    return (byte == 0x0A) | (byte == 0x12) | (byte == 0x1A) | (byte == 0x72) | (byte == 0x78)


@kernel
def follows(buffer: Bytes, position: Int, stop: Int) -> Int:
    """Return whether the bytes at ``position`` may be the next frame, as far as they are there."""
    if stop - position < 5:
        return True
    length = _u32(buffer, position)
    if length == 0:
        return stop - position < 8 or 4 <= _u32(buffer, position + 4) <= _MAX_CONTROL
    if length <= MAX_FRAME and _opens_dnstap(int64(buffer[position + 4])):
        return True
    # Perhaps another frame that is no dnstap inside: then a third one follows.
    after = position + 4 + length
    return length <= _MAX_ODD and (after + 4 > stop or _u32(buffer, after) <= MAX_FRAME)


@kernel
def resume(
    buffer: Bytes, position: Int, stop: Int, final: bool, fields: npt.NDArray[np.int64]
) -> tuple[Int, bool]:
    """Look for the next frame after damage.

    Args:
        buffer: holds the bytes.
        position: where to look first.
        stop: where the bytes end.
        final: whether none will follow.
        fields: int64[DNSTAP] scratch.

    Returns:
        (where it is, True); or (up to where there is none, False): the bytes from there on must
        be looked at again when there are more of them.
    """
    while stop - position >= 12:
        length = _u32(buffer, position)
        if length == 0:
            size = _u32(buffer, position + 4)
            kind = _u32(buffer, position + 8)
            if 4 <= size <= _MAX_CONTROL and _ACCEPT <= kind <= _FINISH:
                return position, True
        elif 4 <= length <= _MAX_FOUND and _opens_dnstap(int64(buffer[position + 4])):
            start = position + 4
            if start + length > stop:
                if not final:
                    return position, False
            elif (
                protobuf.frame(buffer, start, start + length, fields)
                and fields[protobuf.KIND] == 1
                and fields[protobuf.MESSAGE] >= 0
                and fields[protobuf.TYPE] > 0
            ):
                return position, True
        position += 1
    return (stop if final else position), False


def is_dnstap(head: bytes) -> bool | None:
    """Return whether the first bytes open a dnstap stream; None if they are no Frame Streams.

    False: a stream of another content type.
    """
    view = np.frombuffer(head, np.uint8).copy()
    kind, start, stop = next_frame(view, 0, len(head))
    if kind != CONTROL:
        return None
    control = int.from_bytes(head[start : start + 4], "big")
    if control == _START:
        return bool(start_type(view, start, stop, _CONTENT) == 1)
    if control in {_READY, _ACCEPT}:
        return CONTENT_TYPE in head[start:stop]
    return None


def is_bare(head: bytes) -> bool:
    """Return whether all of a short source is one dnstap message without framing."""
    if not _SHORTEST <= len(head) < _LONGEST_BARE or head[0] not in _OPENERS:
        return False
    fields = np.zeros(DNSTAP, np.int64)
    view = np.frombuffer(head, np.uint8).copy()
    return bool(
        protobuf.frame(view, 0, view.size, fields)
        and fields[protobuf.KIND] == 1
        and fields[protobuf.MESSAGE] >= 0
        and fields[protobuf.TYPE] > 0
        and fields[protobuf.QUERY_MESSAGE] + fields[protobuf.RESPONSE_MESSAGE] > 0
    )

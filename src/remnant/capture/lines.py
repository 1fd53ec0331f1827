"""Text logs as blocks of whole lines.

A line ends with a line feed; what follows the last line feed is kept for the next block. Memory is
bounded: a line over 64 KiB is reported once and dropped as it streams past.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture.text_bytes import note_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from remnant.capture.stream import ByteStream

__all__ = ["HEAD_BYTES", "MAX_LINE", "MAX_LINES", "Block", "blocks", "first_lines", "nothing"]

MAX_LINE: Final = 64 << 10
"""Bytes of the longest line that is read, without its line feed."""

HEAD_BYTES: Final = 64
"""Bytes of a record that quarantine keeps."""

MAX_LINES: Final = 1 << 18
"""Lines of the longest block: what is kept for a line is many times a line feed."""

_LINE_FEED: Final = 10
_USUAL_LINE: Final = 64


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of one chunk of a source.

    Attributes:
        data: the bytes of the lines (uint8; valid until the next block is asked for).
        ends: int64: position in ``data`` of each line's line feed; line ``i`` is
            ``data[ends[i - 1] + 1:ends[i]]``. A line that came in one chunk may be longer than
            ``MAX_LINE``: who reads the lines refuses it.
        offset: position of ``data[0]`` in the decompressed stream.
        end: position after the bytes that the stream has been advanced over.
        too_long: (offset, first bytes) of a line over ``MAX_LINE`` that follows these lines.
        tail: the block is the last line of the source, which has no line feed. Its reader decides
            whether it is complete, and only then advances the stream over it, to ``end``.
    """

    data: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]
    offset: int
    end: int
    too_long: tuple[int, bytes] | None = None
    tail: bool = False


def blocks(stream: ByteStream) -> Iterator[Block]:
    """Yield what each chunk of a stream completes; the stream has been advanced over it.

    A block may hold no lines: the chunk was a part of a line that is too long.
    """
    dropping = False
    searched = 0
    while stream.more():
        feeds = _line_feeds(stream.view, searched)
        if dropping:
            if not feeds.size:
                stream.advance(stream.view.size)
                yield nothing(stream)
                continue
            past = int(feeds[0]) + 1
            stream.advance(past)
            feeds = feeds[1:] - past
            dropping = False
        while feeds.size > MAX_LINES:
            yield _taken(stream, feeds[:MAX_LINES])
            feeds = feeds[MAX_LINES:] - (int(feeds[MAX_LINES - 1]) + 1)
        offset = stream.offset
        size = int(feeds[-1]) + 1 if feeds.size else 0
        data = stream.view[:size]
        stream.advance(size)
        too_long = None
        searched = stream.view.size
        if searched > MAX_LINE:
            too_long = (stream.offset, stream.view[:HEAD_BYTES].tobytes())
            stream.advance(searched)
            dropping = True
            searched = 0
        if stream.offset > offset:
            yield Block(data, feeds, offset, stream.offset, too_long)
    if stream.view.size and not dropping:
        end = np.array([stream.view.size], np.int64)
        yield Block(stream.view, end, stream.offset, stream.offset + stream.view.size, tail=True)


def _line_feeds(view: npt.NDArray[np.uint8], start: int) -> npt.NDArray[np.int64]:
    """Return where the line feeds stand, from a position on."""
    parts = []
    room = (view.size - start) // _USUAL_LINE + 16
    while start < view.size:
        out = np.empty(room, np.int64)
        count, start = note_bytes(view, start, view.size, _LINE_FEED, out)
        parts.append(out[:count])
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.int64), *parts])


def _taken(stream: ByteStream, feeds: npt.NDArray[np.int64]) -> Block:
    """Return the first lines of what the stream holds, and advance over them."""
    offset = stream.offset
    size = int(feeds[-1]) + 1
    data = stream.view[:size]
    stream.advance(size)
    return Block(data, feeds, offset, stream.offset)


def first_lines(head: bytes, limit: int = 20) -> list[bytes]:
    """Return the first lines of a head that are neither empty nor cut off by its end."""
    lines = head.split(b"\n")
    whole = lines[:-1] if len(lines) > 1 else lines
    return [line for line in (raw.strip() for raw in whole) if line][:limit]


def nothing(stream: ByteStream) -> Block:
    """Return a block without lines at the place that the stream has reached."""
    return Block(stream.view[:0], np.empty(0, np.int64), stream.offset, stream.offset)

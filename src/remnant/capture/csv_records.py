r"""Comma-separated files as blocks of whole records, and the fields of a record.

A record ends with a line feed outside quotes, so it may span lines. Quotes are strict (RFC 4180): a
field begins with one or has none, and a quote in it is written twice. Because of that, what a
record that breaks the rule hides is one line: reading begins again on the line after its first.
At most twice the bytes are looked at, whatever they are.

References:
    RFC 4180.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.capture.lines import HEAD_BYTES, MAX_LINE, MAX_LINES, Block, nothing
from remnant.capture.text_rows import BAD_QUOTES, TOO_LONG
from remnant.wire import kernel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from remnant.capture.stream import ByteStream
    from remnant.wire import Bytes, Int

__all__ = [
    "BOM",
    "MAX_COLUMNS",
    "SOUND",
    "Layout",
    "Records",
    "columns_of",
    "header_of",
    "is_header",
    "layout_of",
    "records",
    "split",
]

MAX_COLUMNS: Final = 256
"""Columns of the widest table that is read."""

BOM: Final = b"\xef\xbb\xbf"
SOUND: Final = -1
"""The flaw of a record that has none."""

_FEED: Final = 10
_RETURN: Final = 13
_QUOTE: Final = 34
_COMMA: Final = 44


@dataclass(frozen=True, slots=True)
class Records:
    """Whole records of one chunk of a source.

    Attributes:
        block: the records, as ``lines.Block`` holds lines: its ``ends`` are those of records.
        flaws: int8[n]: index into ``text_rows.REASONS`` of what is wrong with a record, or SOUND.
    """

    block: Block
    flaws: npt.NDArray[np.int8]


class Layout(NamedTuple):
    """What the header of a table says.

    Attributes:
        roles: int64[columns]: what each column is to the reader, -1 for nothing.
        first: uint8: the name of the first column, by which a header is told that comes again;
            empty while there was none.
    """

    roles: npt.NDArray[np.int64]
    first: npt.NDArray[np.uint8]


def layout_of(columns: Sequence[str], roles: Sequence[int]) -> Layout:
    """Return the layout of columns with these roles."""
    first = b""
    if columns:
        # Names are compared in lower case, so the mark of a column without one is like none.
        first = columns[0].encode("latin-1", "replace") or b"A"
    return Layout(np.array(roles, np.int64), np.frombuffer(first, np.uint8).copy())


def columns_of(record: bytes) -> list[str]:
    """Return the names of the columns in a header, in lower case, without spaces around them."""
    text = record.removeprefix(BOM).decode("latin-1")
    try:
        rows = list(csv.reader([text.replace("\n", " ").rstrip("\r")], strict=True))
    except csv.Error:
        return []
    return [name.strip().lower() for name in rows[0]] if rows else []


def header_of(head: bytes) -> list[str]:
    """Return the columns of the header that a file begins with, if it does.

    Args:
        head: the first bytes of the file.
    """
    lines = head.removeprefix(BOM).lstrip(b"\r\n").split(b"\n", 1)
    if len(lines[0]) > MAX_LINE // 4 or lines[0].count(b",") not in range(2, MAX_COLUMNS):
        return []
    return columns_of(lines[0])


@kernel
def _record_end(view: Bytes, start: Int) -> tuple[Int, Int]:
    """Return (position of the line feed after a record, its flaw); -1 where more is needed."""
    size = view.size
    feed: Int = int64(-1)
    flaw: Int = SOUND
    i: Int = int64(start)
    while i < size:
        if i - start > MAX_LINE:
            flaw = BAD_QUOTES
            break
        byte = view[i]
        if byte == _FEED:
            return i, int64(SOUND)
        if byte != _QUOTE:
            i += 1
            continue
        if i > start and view[i - 1] != _COMMA:
            flaw = BAD_QUOTES
            break
        i += 1
        closed = False
        while i < size and i - start <= MAX_LINE:
            byte = view[i]
            if byte == _QUOTE:
                if i + 1 == size:
                    return int64(-1), int64(SOUND)
                if view[i + 1] != _QUOTE:
                    closed = True
                    i += 1
                    break
                i += 1
            elif byte == _FEED and feed < 0:
                feed = i
            i += 1
        if not closed:
            if i - start <= MAX_LINE:
                return int64(-1), int64(SOUND)
            flaw = BAD_QUOTES
            break
        byte = view[i]
        if byte == _RETURN:
            if i + 1 == size:
                return int64(-1), int64(SOUND)
            if view[i + 1] == _FEED:
                i += 1
                continue
        if byte != _COMMA and byte != _FEED:  # noqa: PLR1714 - a set costs an allocation
            flaw = BAD_QUOTES
            break
    if flaw == SOUND:
        return int64(-1), int64(SOUND)
    while feed < 0 and i < size:
        if view[i] == _FEED:
            feed = i
        i += 1
    if feed - start > MAX_LINE:
        flaw = TOO_LONG
    return feed, int64(flaw)


@kernel
def _find(view: Bytes, begin: Int, ends: npt.NDArray[np.int64], flaws: npt.NDArray[np.int8]) -> Int:
    """Note where records end, as many as there are or is room for; return how many."""
    count = 0
    start: Int = int64(begin)
    while count < ends.size:
        end, flaw = _record_end(view, start)
        if end < 0:
            break
        ends[count] = end
        flaws[count] = flaw
        count += 1
        start = end + 1
    return count


def records(stream: ByteStream) -> Iterator[Records]:
    """Yield what each chunk of a stream completes; the stream has been advanced over it.

    The last record of a source may have no line feed: its block is a ``tail``, which the reader
    takes or leaves. What is open at the end of a source is left unread.
    """
    dropping = False
    while stream.more():
        if dropping:
            feeds = np.flatnonzero(stream.view == _FEED)
            if not feeds.size:
                stream.advance(stream.view.size)
                yield _none(nothing(stream))
                continue
            stream.advance(int(feeds[0]) + 1)
            dropping = False
        begin = 0
        if stream.offset == 0 and stream.view[:1].tobytes() == BOM[:1]:
            if stream.view.size < len(BOM):
                continue
            begin = len(BOM) if stream.view[: len(BOM)].tobytes() == BOM else 0
        found = _taken(stream, begin)
        while found.block.ends.size == MAX_LINES:
            yield found
            found = _taken(stream, 0)
        rest = stream.view.size
        if rest > MAX_LINE + 2:
            # No line feed is in it: what could end a record would have been found.
            head = stream.view[:HEAD_BYTES].tobytes()
            long = (stream.offset, head)
            stream.advance(rest)
            found = replace(found, block=replace(found.block, end=stream.offset, too_long=long))
            dropping = True
        if found.block.end > found.block.offset:
            yield found
    if stream.view.size and not dropping:
        yield _tail(stream)


def _taken(stream: ByteStream, begin: int) -> Records:
    """Return the records that the stream holds whole, at most MAX_LINES, and advance over them."""
    view = stream.view
    room = min(MAX_LINES, int(np.count_nonzero(view == _FEED)))
    ends = np.empty(room, np.int64)
    flaws = np.empty(room, np.int8)
    count = int(_find(view, begin, ends, flaws))
    size = int(ends[count - 1]) + 1 if count else 0
    offset = stream.offset
    stream.advance(size)
    return Records(Block(view[:size], ends[:count], offset, stream.offset), flaws[:count])


def _tail(stream: ByteStream) -> Records:
    """Return what is left at the end as one record, flawed if it is not a whole one."""
    size = stream.view.size
    data = np.append(stream.view, np.uint8(_FEED))
    begin = len(BOM) if stream.offset == 0 and data[: len(BOM)].tobytes() == BOM else 0
    end, flaw = _record_end(data, begin)
    whole = end == size and flaw == SOUND
    flaws = np.array([SOUND if whole else BAD_QUOTES], np.int8)
    ends = np.array([size], np.int64)
    return Records(Block(data[:size], ends, stream.offset, stream.offset + size, tail=True), flaws)


def _none(block: Block) -> Records:
    return Records(block, np.empty(0, np.int8))


@kernel
def is_header(view: Bytes, start: Int, stop: Int, layout: Layout) -> bool:
    """Return whether a record begins with the name of the first column, quoted or not."""
    size = layout.first.size
    if stop - start >= 3 and view[start] == 0xEF and view[start + 1] == 0xBB:
        start += 3
    if start < stop and view[start] == _QUOTE:
        start += 1
    if stop - start < size or size == 0:
        return False
    for k in range(size):
        byte: Int = int64(view[start + k])
        if 65 <= byte <= 90:
            byte += 32
        if byte != layout.first[k]:
            return False
    after = start + size
    return bool(after == stop or view[after] == _QUOTE or view[after] == _COMMA)


@kernel
def split(
    view: Bytes,
    start: Int,
    stop: Int,
    layout: Layout,
    breaks: npt.NDArray[np.int64],
    spans: npt.NDArray[np.int64],
) -> Int:
    """Note where the fields with a role stand; return how many fields the record has.

    Args:
        view: holds the record, whose quotes are in order.
        start: where it begins.
        stop: where it ends, without its line end.
        layout: which column has which role.
        breaks: int64[2, MAX_COLUMNS + 1]: scratch.
        spans: int64[roles, 3], set to the range of each field, without quotes, and to 1 where
            quotes are written twice in it. The start is -1 where the column is absent or empty; of
            two columns of one role the first that is not empty counts.

    Returns:
        The number of fields, or -1 if there are more than columns and one of those is not empty,
        or more than MAX_COLUMNS.
    """
    count = 0
    quotes = 0
    # One plain loop over the bytes: quotes come in pairs, so an even number of them is outside.
    for i in range(start, stop):
        byte = view[i]
        quotes += 1 if byte == _QUOTE else 0
        if byte == _COMMA and quotes & 1 == 0:
            if count == MAX_COLUMNS:
                return -1
            breaks[0, count] = i
            breaks[1, count] = quotes
            count += 1
    breaks[0, count] = stop
    breaks[1, count] = quotes
    count += 1
    for role in range(spans.shape[0]):
        spans[role, 0] = -1
    columns = layout.roles.size
    for column in range(count):
        begin = breaks[0, column - 1] + 1 if column > 0 else start
        end = breaks[0, column]
        if column >= columns:
            if end > begin and end - begin != 2 * (view[begin] == _QUOTE):
                return -1
            continue
        role = layout.roles[column]
        if role < 0 or end == begin or spans[role, 0] >= 0:
            continue
        twice = 0
        if view[begin] == _QUOTE:
            quotes = breaks[1, column] - (breaks[1, column - 1] if column > 0 else 0)
            twice = 1 if quotes > 2 else 0
            begin += 1
            end -= 1
        if end > begin:
            spans[role, 0] = begin
            spans[role, 1] = end
            spans[role, 2] = twice
    return count

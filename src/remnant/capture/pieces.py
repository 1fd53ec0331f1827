"""Bytes that arrive in pieces, in any order, until they are whole: streams and fragments.

Each owner (a direction of a TCP connection, a fragmented datagram) has a list of pages in the order
of their bytes, without overlaps. All pages stand in one pool of fixed size; when it is used up, the
owner that has been silent longest of some is given up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "PAGE",
    "Pieces",
    "contiguous",
    "copy_out",
    "drop_before",
    "insert",
    "longest_silent",
    "needed",
    "new_pieces",
    "release",
]

PAGE: Final = 1024
"""Bytes of a page."""

_FREE: Final = -1
_LOOKED_AT: Final = 64
"""Owners that are compared when one must be given up."""


class Pieces(NamedTuple):
    """The pool of pages and the list of each owner; -1 is no page.

    Attributes:
        state: int64[2]: how many pages are free, where the last search for an owner ended.
        free: int32[pages]: the free pages.
        owner: int32[pages], -1 where free.
        start: int64[pages]: place of the first byte in the owner's numbering.
        size: int32[pages]: bytes used.
        origin: int64[pages]: where the first byte stands in the source.
        opens: uint8[pages]: 1 where a piece begins.
        following: int32[pages]: the next page of the list.
        data: uint8[pages * PAGE].
        heads: int32[owners]: first page of each list.
        counts: int32[owners]: pages of each list.
    """

    state: npt.NDArray[np.int64]
    free: npt.NDArray[np.int32]
    owner: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    size: npt.NDArray[np.int32]
    origin: npt.NDArray[np.int64]
    opens: Bytes
    following: npt.NDArray[np.int32]
    data: Bytes
    heads: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]


def new_pieces(owners: int, pages: int) -> Pieces:
    """Return an empty pool."""
    return Pieces(
        np.array([pages, 0]),
        np.arange(pages - 1, -1, -1, dtype=np.int32),
        np.full(pages, _FREE, np.int32),
        np.zeros(pages, np.int64),
        np.zeros(pages, np.int32),
        np.zeros(pages, np.int64),
        np.zeros(pages, np.uint8),
        np.zeros(pages, np.int32),
        np.zeros(pages * PAGE, np.uint8),
        np.full(owners, -1, np.int32),
        np.zeros(owners, np.int32),
    )


@kernel
def needed(pieces: Pieces, owner: Int, size: Int) -> Int:
    """Return how many free pages a piece of this size may need: each hole begins a page."""
    return size // PAGE + 2 + int64(pieces.counts[owner])


@kernel
def longest_silent(pieces: Pieces, heard: npt.NDArray[np.int64], but: Int) -> Int:
    """Return an owner of pages who can be given up: of some, the one silent longest; -1 if none.

    Args:
        pieces: the pool.
        heard: int64[owners]: when each was heard last.
        but: the owner who needs the room.
    """
    found: Int = int64(-1)
    seen = 0
    page = pieces.state[1]
    for _ in range(pieces.owner.size):
        page = page + 1 if page + 1 < pieces.owner.size else int64(0)
        owner = int64(pieces.owner[page])
        if owner < 0 or owner == but:
            continue
        if found < 0 or heard[owner] < heard[found]:
            found = owner
        seen += 1
        if seen == _LOOKED_AT:
            break
    pieces.state[1] = page
    return found


@kernel
def _free(pieces: Pieces, page: Int) -> None:
    pieces.owner[page] = _FREE
    pieces.free[pieces.state[0]] = page
    pieces.state[0] += 1


@kernel
def release(pieces: Pieces, owner: Int) -> None:
    """Give back all pages of an owner."""
    page = int64(pieces.heads[owner])
    while page >= 0:
        after = int64(pieces.following[page])
        _free(pieces, page)
        page = after
    pieces.heads[owner] = -1
    pieces.counts[owner] = 0


@kernel
def insert(
    pieces: Pieces,
    owner: Int,
    at: Int,
    source: Bytes,
    begin: Int,
    end: Int,
    origin: Int,
) -> Int:
    """Keep the bytes of a piece that are not there yet; of two versions the first stays.

    Args:
        pieces: has ``needed`` free pages.
        owner: whose list.
        at: place of the piece in the owner's numbering.
        source: holds it.
        begin: where it begins in ``source``.
        end: where it ends.
        origin: where its first byte stands in the source.

    Returns:
        How many of its bytes were there already.
    """
    known = int64(0)
    before: Int = int64(-1)
    page = int64(pieces.heads[owner])
    first = True
    while begin < end:
        while page >= 0 and pieces.start[page] + pieces.size[page] <= at:
            before = page
            page = int64(pieces.following[page])
        if page >= 0 and pieces.start[page] <= at:
            skip = min(pieces.start[page] + pieces.size[page] - at, end - begin)
            known += skip
            at += skip
            begin += skip
            origin += skip
            first = False
            continue
        size = min(end - begin, int64(PAGE))
        if page >= 0:
            size = min(size, pieces.start[page] - at)
        pieces.state[0] -= 1
        new = int64(pieces.free[pieces.state[0]])
        pieces.owner[new] = owner
        pieces.start[new] = at
        pieces.size[new] = size
        pieces.origin[new] = origin
        pieces.opens[new] = 1 if first else 0
        pieces.following[new] = page
        for i in range(size):
            pieces.data[new * PAGE + i] = source[begin + i]
        if before < 0:
            pieces.heads[owner] = new
        else:
            pieces.following[before] = new
        pieces.counts[owner] += 1
        before = new
        first = False
        at += size
        begin += size
        origin += size
    return known


@kernel
def contiguous(pieces: Pieces, owner: Int, at: Int) -> Int:
    """Return how many bytes are there without a hole from a place on; the list begins there."""
    place = at
    page = int64(pieces.heads[owner])
    while page >= 0 and pieces.start[page] <= place:
        place = max(place, pieces.start[page] + pieces.size[page])
        page = int64(pieces.following[page])
    return place - at


@kernel
def copy_out(pieces: Pieces, owner: Int, at: Int, size: Int, out: Bytes) -> Int:
    """Copy bytes that are there to the front of ``out``; return where the last of them came from.

    That is a place in the source, -1 if there are none.
    """
    written = int64(0)
    origin = int64(-1)
    page = int64(pieces.heads[owner])
    while page >= 0 and written < size:
        skip = at + written - pieces.start[page]
        if skip < 0:
            break
        count = min(pieces.size[page] - skip, size - written)
        for i in range(count):
            out[written + i] = pieces.data[page * PAGE + skip + i]
        if count > 0:
            written += count
            origin = pieces.origin[page] + skip + count - 1
        page = int64(pieces.following[page])
    return origin


@kernel
def drop_before(pieces: Pieces, owner: Int, at: Int) -> None:
    """Give back the pages whose bytes all stand before a place."""
    page = int64(pieces.heads[owner])
    while page >= 0 and pieces.start[page] + pieces.size[page] <= at:
        after = int64(pieces.following[page])
        _free(pieces, page)
        pieces.counts[owner] -= 1
        page = after
    pieces.heads[owner] = page

"""Bytes that arrive in pieces: the pool keeps what came first, and gives everything back."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture import pieces
from remnant.capture.pieces import PAGE, Pieces, new_pieces

BYTES = np.random.default_rng(1).integers(0, 256, 6000).astype(np.uint8)


def put(pool: Pieces, owner: int, start: int, stop: int, data: np.ndarray = BYTES) -> int:
    return int(pieces.insert(pool, owner, start, data, start, stop, 100_000 + start))


def pages(pool: Pieces, owner: int) -> list[int]:
    found, page = [], int(pool.heads[owner])
    while page >= 0:
        found.append(page)
        page = int(pool.following[page])
    return found


@settings(max_examples=200, deadline=None)
@given(spans=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 2500)), max_size=25))
def test_pieces_in_any_order(spans: list[tuple[int, int]]) -> None:
    pool = new_pieces(2, 200)
    there = np.zeros(BYTES.size, bool)
    for start, size in spans:
        stop = min(start + size, BYTES.size)
        assert put(pool, 1, start, stop) == there[start:stop].sum()
        there[start:stop] = True
        # Other bytes for what is there change nothing.
        put(pool, 1, start, stop, BYTES ^ 255)
    whole = int(np.argmin(np.append(there, False)))
    out = np.zeros(BYTES.size + 1, np.uint8)

    assert pieces.contiguous(pool, 1, 0) == whole
    last = pieces.copy_out(pool, 1, 0, BYTES.size, out)
    assert last == (100_000 + whole - 1 if whole else -1)
    assert (out[:whole] == BYTES[:whole]).all()
    kept = pages(pool, 1)
    assert len(kept) == pool.counts[1] == 200 - pool.state[0]
    assert sum(int(pool.size[page]) for page in kept) == there.sum()

    pieces.drop_before(pool, 1, 2000)
    assert pool.counts[1] == len(pages(pool, 1)) == 200 - pool.state[0]
    assert all(pool.start[page] + pool.size[page] > 2000 for page in pages(pool, 1))
    pieces.release(pool, 1)
    assert pool.state[0] == 200
    assert (pool.owner == -1).all()
    assert sorted(pool.free) == list(range(200))


def test_owners_do_not_mix() -> None:
    pool = new_pieces(3, 20)
    put(pool, 0, 0, 1500)
    put(pool, 2, 0, 1500, BYTES ^ 255)
    out = np.zeros(1500, np.uint8)

    pieces.copy_out(pool, 0, 0, 1500, out)
    assert (out == BYTES[:1500]).all()
    pieces.release(pool, 0)
    pieces.copy_out(pool, 2, 0, 1500, out)
    assert (out == BYTES[:1500] ^ 255).all()


def test_a_page_knows_whether_a_piece_begins() -> None:
    pool = new_pieces(1, 20)
    put(pool, 0, 0, PAGE + 10)
    put(pool, 0, PAGE + 5, PAGE + 50)
    put(pool, 0, PAGE + 50, PAGE + 60)

    assert [int(pool.opens[page]) for page in pages(pool, 0)] == [1, 0, 0, 1]


def test_as_many_pages_are_needed_as_there_may_be_holes() -> None:
    pool = new_pieces(1, 100)
    for start in range(0, 400, 20):
        put(pool, 0, start, start + 10)
    need = int(pieces.needed(pool, 0, 400))
    before = int(pool.state[0])
    put(pool, 0, 0, 400)

    assert before - pool.state[0] <= need


def test_the_owner_that_is_silent_longest_goes() -> None:
    pool = new_pieces(4, 10)
    heard = np.array([5, 3, 4, 1])
    assert pieces.longest_silent(pool, heard, -1) == -1
    for owner in (0, 1, 2):
        put(pool, owner, 0, 10)

    assert pieces.longest_silent(pool, heard, -1) == 1
    assert pieces.longest_silent(pool, heard, 1) == 2

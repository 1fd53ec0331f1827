"""Tables in any order, a page at a time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fastapi import HTTPException
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.web.places.order import cursor, paged

Rows = list[tuple[int, float | str | None]]
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.5])
TEXTS = st.none() | st.text(max_size=4)


def rows_of(values: list[float | str | None]) -> Rows:
    return list(enumerate(values))


def walk(rows: Rows, *, descending: bool, limit: int) -> Rows:
    """Return the rows of all pages, one page after the other."""
    out: Rows = []
    after = None
    while True:
        part = paged(
            rows,
            value=lambda row: row[1],
            key=lambda row: (row[0], "DE"),
            descending=descending,
            limit=limit,
            after=after,
        )
        assert part.before == len(out)
        assert part.total == len(rows)
        out += part.rows
        after = part.after
        if after is None:
            return out


@settings(deadline=None, max_examples=50)
@given(
    st.lists(NUMBERS, max_size=30) | st.lists(TEXTS, max_size=30), st.booleans(), st.integers(1, 7)
)
def test_pages_hold_every_row_once_and_in_order(
    values: list[float | str | None], descending: bool, limit: int
) -> None:
    rows = rows_of(values)
    found = walk(rows, descending=descending, limit=limit)
    assert sorted(found, key=lambda row: row[0]) == rows
    known = [value for _, value in found if value is not None]
    assert known == sorted(known, reverse=descending)
    assert [value for _, value in found[len(known) :]] == [None] * (len(rows) - len(known))
    for (one, first), (two, second) in pairwise(found):
        assert first != second or one < two


def test_a_page_begins_behind_its_cursor_although_the_row_is_gone() -> None:
    rows: Rows = [(1, 5.0), (2, 4.0), (4, 2.0)]
    after = cursor(3.0, (3, "DE"))
    part = paged(
        rows,
        value=lambda r: r[1],
        key=lambda r: (r[0], "DE"),
        descending=True,
        limit=9,
        after=after,
    )
    assert part.rows == [(4, 2.0)]


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "AAAA",
        cursor("text", (1, "DE")),
        cursor(1.0, ("x",)),
        "W10",
        "WzEsWzEsW11dXQ",
        "bnVsbA",
    ],
)
def test_what_is_no_cursor_is_refused(after: str) -> None:
    rows: Rows = [(1, 1.0), (2, 2.0)]
    with pytest.raises(HTTPException) as caught:
        paged(
            rows,
            value=lambda r: r[1],
            key=lambda r: (r[0], "DE"),
            descending=True,
            limit=1,
            after=after,
        )
    assert caught.value.status_code == 422

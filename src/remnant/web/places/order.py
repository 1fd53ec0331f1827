"""Tables in any order, a page at a time: after which row the next page begins is in its address.

Rows are ordered by one column, then by their key; rows without a value come last whichever way the
order goes. A cursor holds value and key of the last row, so a page begins in the right place even
where rows came or went since.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from fastapi import HTTPException

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CURSOR", "Paged", "cursor", "paged"]

Row = TypeVar("Row")
Key = tuple[Any, ...]

CURSOR: Final = r"^[A-Za-z0-9_-]{1,900}$"
"""What a cursor may look like."""


@dataclass(frozen=True, slots=True)
class Paged(Generic[Row]):
    """One page of a table.

    Attributes:
        rows: its rows.
        before: how many rows stand before them.
        total: how many there are in all.
        after: the cursor of the next page; null on the last one.
    """

    rows: list[Row]
    before: int
    total: int
    after: str | None


def cursor(value: float | str | None, key: Key) -> str:
    """Return a place in an order as text that may stand in an address.

    >>> cursor(1.5, (64500, "DE"))
    'WzEuNSxbNjQ1MDAsIkRFIl1d'
    """
    text = json.dumps([value, list(key)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def paged(
    rows: Sequence[Row],
    *,
    value: Callable[[Row], float | str | None],
    key: Callable[[Row], Key],
    descending: bool,
    limit: int,
    after: str | None = None,
) -> Paged[Row]:
    """Return the page that follows a cursor, or the first.

    Args:
        rows: all of them.
        value: what a row is ordered by: numbers or texts, not both.
        key: what tells it from all others.
        descending: largest first; equal ones still in order of their keys.
        limit: rows of a page at most.
        after: a cursor.

    Raises:
        HTTPException: 422, this is no cursor of this order.
    """
    keyed = [(value(row), key(row), row) for row in rows]
    known = [item for item in keyed if item[0] is not None]
    blank = [item for item in keyed if item[0] is None]
    known.sort(key=lambda item: item[1])
    known.sort(key=lambda item: item[0], reverse=descending)  # type: ignore[arg-type,return-value]
    blank.sort(key=lambda item: item[1])
    ordered = known + blank
    start = 0
    if after is not None:
        last, of = _read(after)
        try:
            start = sum(1 for item in ordered if not _follows(item, last, of, descending))
        except TypeError as error:
            raise _refused() from error
    part = ordered[start : start + limit]
    more = start + limit < len(ordered)
    return Paged(
        [row for _, _, row in part],
        start,
        len(ordered),
        cursor(part[-1][0], part[-1][1]) if more and part else None,
    )


def _follows(item: tuple[Any, Key, Any], last: Any, of: Key, descending: bool) -> bool:
    value, key, _ = item
    if last is None or value is None:
        return value is None and (last is not None or key > of)
    if value == last:
        return key > of
    return bool(value < last) if descending else bool(value > last)


def _read(text: str) -> tuple[Any, Key]:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        value, key = json.loads(raw)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _refused() from error
    if not isinstance(key, list) or not all(type(part) in {int, str} for part in key):
        raise _refused()
    if value is not None and type(value) not in {int, float, str}:
        raise _refused()
    if isinstance(value, float) and not math.isfinite(value):
        raise _refused()
    return value, tuple(key)


def _refused() -> HTTPException:
    return HTTPException(422, "this is no place in this order: begin at the first page")

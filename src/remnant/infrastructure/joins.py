"""Joins: what a round of pivoting found at the other end of each key, and which of it is followed.

Everything here is arrays, a row for each key and other end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.infrastructure.domains import zones_of

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["JOINS", "among", "chosen", "codes_of", "first_of", "joins_of", "texts", "times"]

JOINS: Final = ("key", "other", "first", "last", "count")
"""Columns of joins: text, text, UTC microseconds (int64, twice), responses (int64)."""


def joins_of(records: pa.Table, other: str) -> pa.Table:
    """Return one row of JOINS for each key and other end, sorted by both.

    Args:
        records: columns of ``pivot.RECORDS``.
        other: the column that holds the other end.
    """
    plain = records.select(["key", other, "time_first", "time_last", "count"])
    plain = plain.rename_columns(list(JOINS))
    how: Any = [("first", "min"), ("last", "max"), ("count", "sum")]
    grouped: Any = plain.group_by(["key", "other"]).aggregate(how)
    table = pa.table(
        {
            "key": grouped["key"],
            "other": grouped["other"],
            "first": grouped["first_min"].cast(pa.int64()),
            "last": grouped["last_max"].cast(pa.int64()),
            "count": grouped["count_sum"],
        }
    )
    return table.sort_by([("key", "ascending"), ("other", "ascending")])


def codes_of(column: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401 - Arrow
    """Return a number for each distinct text of a column, by first occurrence: int64[n]."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    codes: Any = column.dictionary_encode().indices
    return np.asarray(codes.to_numpy(zero_copy_only=False), np.int64)


def times(column: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401 - Arrow
    """Return a column of whole numbers or times as int64[n]."""
    return np.asarray(column.cast(pa.int64()).to_numpy(), np.int64)


def texts(column: Any) -> list[str]:  # noqa: ANN401 - Arrow
    """Return a column of text without nulls as a list."""
    found: list[str] = column.to_pylist()
    return found


def first_of(joins: pa.Table, most: int, most_of_domain: int) -> npt.NDArray[np.bool_]:
    """Return which joins are followed where each key may bring only so many: bool[n].

    Those seen most come first, of equal ones those that come first by text.

    Args:
        joins: columns JOINS, sorted by key and other.
        most: other ends of each key at most.
        most_of_domain: other ends of each key and registered domain at most.
    """
    if not joins.num_rows:
        return np.zeros(0, np.bool_)
    key = codes_of(joins["key"])
    zone = codes_of(zones_of(joins["other"]))
    count = times(joins["count"])
    kept = _places(key * (int(zone.max()) + 1) + zone, count) < most_of_domain
    places = np.full(key.size, most, np.int64)
    places[kept] = _places(key[kept], count[kept])
    return places < most


def _places(group: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the place of each row within its group, by falling count, then by row."""
    order = np.lexsort((-count, group))
    sorted_group = group[order]
    new = np.ones(group.size, np.bool_)
    new[1:] = sorted_group[1:] != sorted_group[:-1]
    start = np.flatnonzero(new)
    within = np.arange(group.size) - np.repeat(start, np.diff(np.append(start, group.size)))
    places = np.empty(group.size, np.int64)
    places[order] = within
    return places


def chosen(joins: pa.Table, room: int) -> tuple[list[str], list[str]]:
    """Return the other ends that are put on the map, and those for which there is no room.

    Those joined to most keys come first, then those seen most, then by text.
    """
    how: Any = [("key", "count_distinct"), ("count", "sum")]
    ends: Any = joins.group_by("other").aggregate(how)
    ends = ends.sort_by(
        [
            ("key_count_distinct", "descending"),
            ("count_sum", "descending"),
            ("other", "ascending"),
        ]
    )
    values: list[str] = ends["other"].to_pylist()
    return values[:room], values[room:]


def among(column: Any, values: Any) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - Arrow
    """Return which texts of a column are among some values: bool[n]."""
    listed = values if isinstance(values, pa.Array) else pa.array(sorted(values), pa.string())
    found: Any = pc.is_in(column, value_set=listed)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)

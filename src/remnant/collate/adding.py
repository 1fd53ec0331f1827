"""Rows that agree in a few small numbers become one, and rows get another order.

What Arrow does for any columns, here for those that sightings have: most of them say the same in
all rows, and the others are numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Groups", "added", "coded", "numbers", "taken"]

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


class Groups(NamedTuple):
    """Rows that have the same key, in order of their first ones.

    Attributes:
        key: int64[groups].
        first: int64[groups]: the least time.
        last: int64[groups]: the greatest time.
        weight: int64[groups]: the sum of the weights.
        rows: int64[groups]: how many rows.
    """

    key: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    weight: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]


def added(
    keys: npt.NDArray[np.int64], time: npt.NDArray[np.int64], weight: npt.NDArray[np.int64]
) -> Groups:
    """Return the groups of n rows.

    Args:
        keys: int64[n], chosen by nobody outside: the hash is plain.
        time: int64[n].
        weight: int64[n].
    """
    if keys.size and (keys == keys[0]).all():
        ends = (keys[0], time.min(), time.max(), weight.sum(), keys.size)
        return Groups(*np.array(ends, np.int64).reshape(5, 1))
    # Arrays that may be written to: kernels are compiled once for all.
    keys, time, weight = (np.require(a, np.int64, ["C", "W"]) for a in (keys, time, weight))
    slots = np.full(1 << (2 * keys.size).bit_length(), -1, np.int32)
    key, first, last, total, rows = np.empty((5, keys.size), np.int64)
    count = int(_add(keys, time, weight, slots, key, first, last, total, rows))
    return Groups(key[:count], first[:count], last[:count], total[:count], rows[:count])


@kernel
def _add(
    keys: npt.NDArray[np.int64],
    time: npt.NDArray[np.int64],
    weight: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int32],
    key: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    total: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
) -> int:
    mask = np.int64(slots.size - 1)
    count = 0
    for row in range(keys.size):
        slot = np.int64((np.uint64(keys[row]) * _MIX) >> np.uint64(20)) & mask
        while slots[slot] >= 0 and key[slots[slot]] != keys[row]:
            slot = (slot + 1) & mask
        group = np.int64(slots[slot])
        if group < 0:
            group = np.int64(count)
            slots[slot] = group
            key[group] = keys[row]
            first[group] = last[group] = time[row]
            total[group] = rows[group] = 0
            count += 1
        first[group] = min(first[group], time[row])
        last[group] = max(last[group], time[row])
        total[group] += weight[row]
        rows[group] += 1
    return count


def numbers(column: Any) -> npt.NDArray[Any] | None:  # noqa: ANN401 - Arrow
    """Return the values of a column as NumPy sees them, ``None`` if it is none of plain numbers.

    A time is a number of microseconds, a word the index of it in the column's one dictionary.
    """
    kind = column.type
    parts: list[npt.NDArray[Any]]
    if column.null_count:
        return None
    if pa.types.is_dictionary(kind):
        if not all(chunk.dictionary.equals(column.chunk(0).dictionary) for chunk in column.chunks):
            return None
        parts = [chunk.indices.to_numpy() for chunk in column.chunks]
    elif pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        if pa.types.is_timestamp(kind):
            column = column.cast(pa.int64())
        parts = [chunk.to_numpy() for chunk in column.chunks]
    else:
        return None
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def coded(column: Any, values: npt.NDArray[Any]) -> Any:  # noqa: ANN401 - Arrow
    """Return other values of the kind that a column has, from what ``numbers`` returns of it."""
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(
            pa.array(values, column.type.index_type), column.chunk(0).dictionary
        )
    found: Any = pa.array(values)
    return found.view(column.type) if pa.types.is_timestamp(column.type) else found


def taken(rows: pa.Table, order: npt.NDArray[np.int64]) -> pa.Table:
    """Return rows in another order.

    Args:
        rows: n rows whose columns have one dictionary each.
        order: int64[n]: every row once.
    """
    index: Any = pa.array(order)
    columns = {name: _taken(rows[name], order, index) for name in rows.column_names if len(rows)}
    return pa.table(columns) if columns else rows


def _taken(column: Any, order: npt.NDArray[np.int64], index: Any) -> Any:  # noqa: ANN401 - Arrow
    if column.null_count == len(column):
        return column
    values = numbers(column)
    if values is not None:
        return column if (values == values[0]).all() else coded(column, values[order])
    if pa.types.is_boolean(column.type) and not column.null_count:
        ends = pc.min_max(column)
        if ends["min"] == ends["max"]:
            return column
    return column.take(index)

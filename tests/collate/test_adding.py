"""Rows are added up and put in order as Arrow would do it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from remnant.collate.adding import added, numbers, taken

RNG = np.random.default_rng(1)


def test_rows_of_one_key_are_added_up_in_order_of_the_first_ones() -> None:
    keys = RNG.integers(-5, 500, 3000)
    time = RNG.integers(0, 1 << 50, 3000)
    weight = RNG.integers(1, 9, 3000)
    table = pa.table({"key": pa.array(keys), "time": pa.array(time), "weight": pa.array(weight)})
    ways: Any = [("time", "min"), ("time", "max"), ("weight", "sum"), ("weight", "count")]
    expected = table.group_by("key").aggregate(ways).sort_by("key")

    found = added(keys, time, weight)
    assert found.key.tolist() == list(dict.fromkeys(keys.tolist()))
    order = np.argsort(found.key)
    for name, column in zip(expected.column_names, found, strict=True):
        assert column[order].tolist() == expected[name].to_pylist(), name


def test_one_key_is_one_group_and_no_rows_are_none() -> None:
    time = np.array([5, 3, 4])
    found = added(np.array([7, 7, 7]), time, np.array([1, 1, 2]))

    assert [column.tolist() for column in found] == [[7], [3], [5], [4], [3]]
    empty = np.empty(0, np.int64)
    assert all(column.size == 0 for column in added(empty, empty, empty))


def columns(count: int) -> dict[str, pa.Array[Any]]:
    some = RNG.integers(0, 3, count)
    gaps = some == 1
    words = pa.array(["a", "b", "c"])
    texts = pa.array([None if i == 1 else str(i) for i in some], pa.string())
    return {
        "time": pa.array(RNG.integers(0, 9, count)).cast(pa.timestamp("us", "UTC")),
        "same": pa.array(np.full(count, 53, np.uint16)),
        "number": pa.array(some.astype(np.int16)),
        "gaps": pa.array(some, mask=gaps),
        "nothing": pa.nulls(count, pa.int64()),
        "word": pa.DictionaryArray.from_arrays(some.astype(np.int32), words),
        "one_word": pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), words),
        "word_gaps": texts.dictionary_encode(),
        "text": pa.array([str(i) for i in some]),
        "flag": pa.array(gaps),
        "no_flag": pa.array(np.zeros(count, np.bool_)),
        "flag_gaps": pa.array(gaps, mask=some == 2),
        "bytes": pa.array([bytes([i]) * 16 for i in some.tolist()], pa.binary(16)),
    }


def test_every_kind_of_column_is_taken_as_arrow_takes_it() -> None:
    parts = [pa.table(columns(40)), pa.table(columns(1)).slice(0, 0), pa.table(columns(25))]
    rows = pa.concat_tables(parts).slice(3).unify_dictionaries()
    order = RNG.permutation(len(rows))

    found = taken(rows, order)
    expected = rows.take(order)
    assert found.schema.types == expected.schema.types
    for name in rows.column_names:
        assert found[name].to_pylist() == expected[name].to_pylist(), name
    assert taken(rows.slice(0, 0), order[:0]).schema == rows.schema


def test_words_with_several_dictionaries_are_no_numbers() -> None:
    one, other = (pa.array([word]).dictionary_encode() for word in ("a", "b"))

    assert numbers(pa.chunked_array([one, other])) is None

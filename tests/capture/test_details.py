from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.details import MAX_DETAIL, MAX_VALUE, Keys, details

QUICK = settings(max_examples=80, deadline=None)


def made(
    *rows: list[bytes | None], keys: list[str] | None = None, doubled: bool = False
) -> list[Any]:
    width = len(rows[0]) if rows else 0
    names = keys or [f"k{i}" for i in range(width)]
    data = b""
    spans = np.full((len(rows), width, 3), -1, np.int64)
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            if value is not None:
                spans[r, c] = len(data), len(data) + len(value), int(doubled)
                data += value + b"|"
    found = details(np.frombuffer(data or b"|", np.uint8).copy(), spans, Keys(names))
    found.validate(full=True)
    return [None if text is None else json.loads(text) for text in found.to_pylist()]


@QUICK
@given(st.lists(st.lists(st.none() | st.text(max_size=20), min_size=2, max_size=2), max_size=5))
def test_text_comes_back(rows: list[list[str | None]]) -> None:
    encoded = [[None if v is None else v.encode() for v in row] for row in rows]
    expected = [{f"k{i}": v for i, v in enumerate(row) if v is not None} or None for row in rows]

    assert made(*encoded) == expected


@QUICK
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=3))
def test_any_bytes_make_valid_json(values: list[bytes]) -> None:
    (found,) = made(list(values))

    assert list(found) == [f"k{i}" for i in range(len(values))]
    for value, text in zip(values, found.values(), strict=True):
        # One mark for each byte that is not UTF-8, as Python does for lone bytes.
        assert text.replace("\ufffd", "") == value.decode("utf-8", "ignore").replace("\ufffd", "")


def test_quotes_that_a_table_doubles_are_one() -> None:
    assert made([b'say ""hi""', b'""'], doubled=True) == [{"k0": 'say "hi"', "k1": '"'}]


def test_keys_are_escaped_too() -> None:
    assert made([b"x"], keys=['a"\\\x00\u00e9']) == [{'a"\\\x00\u00e9': "x"}]


def test_sizes_are_bounded() -> None:
    long = "\u00e9".encode() * MAX_VALUE
    (found,) = made([long, b"\x01" * MAX_VALUE, b"\x01" * MAX_VALUE, b"after"])

    assert found["k0"] == "\u00e9" * (MAX_VALUE // 2)
    assert list(found) == ["k0", "k1"]
    assert len(json.dumps(found, ensure_ascii=False).encode()) < MAX_DETAIL


def test_many_rows_and_none() -> None:
    assert made() == []
    row: list[bytes | None] = [b"\x02" * 300]
    assert made(*[row] * 2000) == [{"k0": "\x02" * 300}] * 2000

"""CBOR in kernels: every kind of item, and every way to be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from cdns_writer import cbor as written
from remnant.capture import cbor

STACK = np.zeros(cbor.MAX_DEPTH, np.int64)


def head(data: str) -> tuple[int, int, int]:
    view = np.frombuffer(bytes.fromhex(data), np.uint8).copy()
    major, value, after = cbor.head(view, 0, view.size)
    return int(major), int(value), int(after)


def after(data: bytes) -> int:
    view = np.frombuffer(data, np.uint8).copy()
    return int(cbor.after_item(view, 0, view.size, STACK))


def read_map(data: bytes, numbers: int, size: int = 4) -> tuple[int, list[int | None]]:
    view = np.frombuffer(data, np.uint8).copy()
    out = np.zeros(size, np.int64)
    end = int(cbor.read_map(view, 0, view.size, numbers, out, STACK))
    return end, [None if value == cbor.UNSET else int(value) for value in out]


# The examples of RFC 8949, appendix A, and some more.
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("00", (cbor.UNSIGNED, 0, 1)),
        ("17", (cbor.UNSIGNED, 23, 1)),
        ("1818", (cbor.UNSIGNED, 24, 2)),
        ("1903e8", (cbor.UNSIGNED, 1000, 3)),
        ("1a000f4240", (cbor.UNSIGNED, 1_000_000, 5)),
        ("1b000000e8d4a51000", (cbor.UNSIGNED, 10**12, 9)),
        ("1bffffffffffffffff", (cbor.UNSIGNED, (1 << 63) - 1, 9)),
        ("20", (cbor.NEGATIVE, 0, 1)),
        ("3903e7", (cbor.NEGATIVE, 999, 3)),
        ("44010203", (cbor.BYTES, 4, 1)),
        ("7f", (cbor.TEXT, cbor.INDEFINITE, 1)),
        ("9f", (cbor.ARRAY, cbor.INDEFINITE, 1)),
        ("bf", (cbor.MAP, cbor.INDEFINITE, 1)),
        ("a2", (cbor.MAP, 2, 1)),
        ("c1", (cbor.TAG, 1, 1)),
        ("f4", (cbor.SIMPLE, 20, 1)),
        ("f97e00", (cbor.SIMPLE, 0x7E00, 3)),
        ("ff", (cbor.BREAK, 0, 1)),
        ("", (cbor.CUT_OFF, 0, 0)),
    ],
)
def test_heads_are_read(data: str, expected: tuple[int, int, int]) -> None:
    assert head(data) == expected


@pytest.mark.parametrize("data", ["18", "1900", "1b00000000000000", "5a0000"])
def test_a_head_may_be_cut_off(data: str) -> None:
    assert head(data)[0] == cbor.CUT_OFF


@pytest.mark.parametrize("data", ["1c", "3d", "5e", "1f", "3f", "df", "fc"])
def test_some_heads_are_no_cbor(data: str) -> None:
    assert head(data)[0] == cbor.NOT_CBOR


@pytest.mark.parametrize(
    "data",
    [
        written(0),
        written([1, [2, 3], {4: b"five", 6: [7]}]),
        written([]),
        written({}),
        bytes.fromhex("9f01820203 9f0405ffff"),
        bytes.fromhex("bf61610161629f0203ffff"),
        bytes.fromhex("5f42010243030405ff"),
        bytes.fromhex("c11a514b67b0"),
        bytes.fromhex("fb3ff199999999999a"),
        bytes.fromhex("8281 80 a1 01 9fff"),
        bytes.fromhex("81" * cbor.MAX_DEPTH + "00"),
    ],
)
def test_an_item_is_stepped_over(data: bytes) -> None:
    assert after(data) == len(data)
    assert after(data + b"\x00\xff") == len(data)
    assert {after(data[:cut]) for cut in range(len(data))} <= {-1}


@pytest.mark.parametrize(
    "data",
    [
        "ff",
        "82ff",
        "9f1cff",
        "9b7fffffffffffffff00",
        "bbffffffffffffffff",
        "5bffffffffffffffff",
        "81" * (cbor.MAX_DEPTH + 1) + "00",
        "9f" * 100,
    ],
)
def test_what_is_no_item_is_not_stepped_over(data: str) -> None:
    assert after(bytes.fromhex(data)) == -1


def test_a_map_is_read_by_its_keys() -> None:
    data = written({0: 5, 1: -3, 2: b"x", -1: [1, {2: 3}], 9: 1, 3: [7]})
    end, values = read_map(data, 0b0011)

    assert end == len(data)
    assert values[:2] == [5, -3]
    assert [data[place or 0] for place in values[2:]] == [0x41, 0x81]


def test_a_value_of_another_kind_than_expected_is_left_out() -> None:
    assert read_map(written({0: b"x", 1: 5}), 0b01)[1] == [None] * 4
    assert read_map(bytes.fromhex("a100c101"), 0b01)[1] == [None] * 4


def test_a_break_may_end_a_map() -> None:
    assert read_map(bytes.fromhex("bf0005ff00"), 1) == (4, [5, None, None, None])
    assert read_map(bytes.fromhex("a0"), 1) == (1, [None] * 4)


@pytest.mark.parametrize(
    "data",
    ["80", "00", "", "a1", "a100", "a10018", "a1ff", "a1417800", "bf00", "bf", "a10082", "a100ff"],
)
def test_what_is_no_map_is_not_read(data: str) -> None:
    assert read_map(bytes.fromhex(data), 1)[0] == -1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("4361626300", (1, 4)),
        ("40", (1, 1)),
        ("4361", (-1, -1)),
        ("6161", (-1, -1)),
        ("5f", (-1, -1)),
    ],
)
def test_a_byte_string_is_found(data: str, expected: tuple[int, int]) -> None:
    view = np.frombuffer(bytes.fromhex(data), np.uint8).copy()

    assert tuple(map(int, cbor.string(view, 0, view.size))) == expected

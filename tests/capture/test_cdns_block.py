"""Where a block ends and where its parts are, however its bytes come."""

from __future__ import annotations

import numpy as np
import pytest

import cdns_writer as writer
from remnant.capture import cdns_block as blocks


def view_of(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(data, np.uint8).copy()


def measured(data: bytes, step: int = 1 << 20) -> tuple[int, int, blocks.Block]:
    """Return (what was found, where, the block) with ``step`` more bytes each time."""
    block = blocks.new_block()
    walk = np.zeros(blocks.WALK, np.int64)
    found = at = 0
    for stop in [*range(step, len(data), step), len(data)]:
        # A new array each time: nothing may be kept but the walk.
        found, at = map(int, blocks.measure(view_of(data[:stop]), 0, stop, walk, block.marks))
        if found != blocks.MORE:
            break
    return found, at, block


def sample() -> writer.Block:
    made = writer.Block()
    section = made.section(
        made.record("a.test", "A", "192.0.2.1"), made.record("b.test", "NS", "c.")
    )
    made.add("a.test", sections={1: section})
    made.add("b.test", 2)
    made.add_malformed(b"x")
    made.statistics = {0: 4}
    return made


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("opened", [False, True])
def test_the_parts_of_a_block_are_found(step: int, opened: bool) -> None:
    value = sample().value() | {-1: [{1: 2}], 15: b"later"}
    data = writer.cbor(writer.opened(value) if opened else value)
    found, at, block = measured(data + b"\xff", step)

    assert (found, at) == (blocks.BLOCK, len(data))
    counted = {
        part: int(block.marks[1, part])
        for part in range(blocks.MARKS)
        if block.marks[0, part] >= 0 and part not in {0, 1, 2}
    }
    assert counted == {
        blocks.ITEMS: 2,
        blocks.MALFORMED: 1,
        blocks.ADDRESSES: 2,
        blocks.CLASS_TYPES: 2,
        blocks.NAMES: 4,
        blocks.SIGNATURES: 2,
        blocks.RECORD_LISTS: 1,
        blocks.RECORDS: 2,
        blocks.MALFORMED_DATA: 1,
    }
    for part, expected in ((blocks.PREAMBLE, value[0]), (blocks.ITEMS, value[3])):
        start = int(block.marks[0, part])
        as_written = writer.cbor(writer.opened(expected) if opened else expected)
        assert data[start : start + len(as_written)] == as_written


def test_every_cut_asks_for_more() -> None:
    data = writer.cbor(sample().value())

    assert {measured(data[:cut])[0] for cut in range(1, len(data))} == {blocks.MORE}


@pytest.mark.parametrize(
    "data",
    [
        "80",
        "00",
        "a0",
        "1c",
        "a101a0",
        "a100ff",
        "9b00000000ffffffff",
        "a1" + "81" * 20,
        "bf00a0" + "9b7fffffffffffffff",
    ],
)
def test_what_is_no_block_is_bad(data: str) -> None:
    assert measured(bytes.fromhex(data))[0] == blocks.BAD


def test_a_break_ends_the_blocks() -> None:
    assert measured(b"\xff\x00")[:2] == (blocks.END, 1)


def test_the_tables_are_indexed() -> None:
    data = writer.cbor(sample().value())
    _, end, block = measured(data)
    fitted = blocks.fitted(block)
    assert fitted is not None
    assert blocks.index(view_of(data), 0, end, fitted, np.zeros(2, np.int64))

    assert fitted.class_types[:2].tolist() == [[1, 1], [2, 1]]
    assert [data[at] for at in fitted.addresses[:2].tolist()] == [0x44, 0x44]
    assert fitted.signatures[0, 1] == 53
    name = int(fitted.names[0])
    assert data[name + 1 : name + 1 + data[name] - 0x40] == writer.wire("a.test")


@pytest.mark.parametrize("table", [{1: [5]}, {3: [[]]}, {2: {0: 0}}, {0: {1: 1}}])
def test_a_table_that_is_none_spoils_its_block(table: dict[int, object]) -> None:
    data = writer.cbor({0: {}, 2: table})
    _, end, block = measured(data)
    fitted = blocks.fitted(block)
    assert fitted is not None

    assert not blocks.index(view_of(data), 0, end, fitted, np.zeros(2, np.int64))


def test_no_room_is_made_for_tables_of_absurd_size() -> None:
    block = blocks.new_block()
    block.marks[1, blocks.NAMES] = 1 << 30
    assert blocks.fitted(block) is None
    block.marks[1] = 0
    assert blocks.fitted(block) is block


def test_a_block_and_a_file_are_found_among_other_bytes() -> None:
    block = writer.cbor(sample().value())
    data = b"\xa1\x00\xa1\x01" * 5 + block
    at, found = blocks.find(view_of(data), 0, len(data), True)
    assert (int(at), int(found)) == (20, blocks.BLOCK)

    data = bytes(30) + writer.file(sample().value())
    at, found = blocks.find(view_of(data), 0, len(data), True)
    assert (int(at), int(found)) == (30, blocks.END)


@pytest.mark.parametrize(("final", "at"), [(False, 92), (True, 100)])
def test_what_is_not_found_is_looked_for_again(final: bool, at: int) -> None:
    assert tuple(map(int, blocks.find(view_of(bytes(100)), 0, 100, final))) == (at, blocks.MORE)

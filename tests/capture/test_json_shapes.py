"""Lines that are built alike are read as the careful kernel reads them, whatever they hold."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.json_lines import compile_paths, found_room, read_object
from remnant.capture.json_shapes import ALIKE, new_shapes, read_alike

PATHS = ("rrname", "rdata", "count", "obj", "obj/rrname", "obj/rdata", "obj/x")
COMPILED = compile_paths(PATHS)


class Reader:
    """Reads one line after the other, and remembers their shapes."""

    def __init__(self) -> None:
        self.found = found_room(len(PATHS))
        self.shapes = new_shapes(len(PATHS))

    def read(self, line: bytes) -> list[list[int]] | None:
        # Not at the front, and not at the end: what surrounds a line must not matter.
        view = np.frombuffer(b"{" + line + b'"', np.uint8).copy()
        scratch = np.empty(view.size, np.uint8)
        if read_alike(view, 1, view.size - 1, COMPILED, self.found, scratch, self.shapes):
            return seen(self.found.values.tolist())
        return None


def seen(values: list[list[int]]) -> list[list[int]]:
    """The values; where one that is absent ends says nothing."""
    return [value if value[0] >= 0 else [-1, 0, value[2]] for value in values]


def carefully(line: bytes) -> list[list[int]] | None:
    view = np.frombuffer(b"{" + line + b'"', np.uint8).copy()
    found = found_room(len(PATHS))
    if not read_object(view, 1, view.size - 1, COMPILED, found, np.empty(view.size, np.uint8)):
        return None
    return seen(found.values.tolist())


TEXTS = st.one_of(
    st.sampled_from(["", "a", "evil.example", 'a"b', "a\\", "é", "\n", "x" * 40, "a,b", "]", "}"]),
    st.text(max_size=20),
)
SCALARS = st.one_of(
    TEXTS, st.integers(-5, 10**16), st.floats(allow_nan=False), st.sampled_from([None, True, False])
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
KEYS = st.sampled_from(["rrname", "rdata", "count", "x", "other"])
OBJECTS = st.one_of(
    # Most lines of a file have the same keys in one order.
    st.fixed_dictionaries({"count": VALUES, "rrname": TEXTS, "rdata": st.lists(TEXTS, max_size=3)}),
    st.dictionaries(KEYS, VALUES, max_size=5),
    st.fixed_dictionaries({"obj": st.dictionaries(KEYS, VALUES, max_size=3), "count": SCALARS}),
    st.fixed_dictionaries({"obj": VALUES, "rrname": VALUES}),
)
STYLES = st.sampled_from([(",", ":"), (", ", ": "), (" , ", " :")])


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line, now and then one that something has happened to."""
    made = json.dumps(draw(OBJECTS), separators=draw(STYLES), ensure_ascii=draw(st.booleans()))
    line = made.encode("utf-8", "surrogatepass")
    at = draw(st.integers(0, len(line)))
    match draw(st.integers(0, 9)):
        case 0:
            return line[:at]
        case 1:
            return line[:at] + draw(st.binary(min_size=1, max_size=9)) + line[at:]
        case 2:
            return line[:at] + line[at + 1 :]
        case 3:
            # A key twice.
            return line[:-1] + b',"rrname":"again","count":01}'
        case _:
            return line


@settings(deadline=None)
@given(st.lists(lines(), min_size=1, max_size=12))
def test_every_line_is_read_as_the_careful_kernel_reads_it(some: list[bytes]) -> None:
    reader = Reader()
    for line in [*some, *some]:
        assert reader.read(line) == carefully(line)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9**9), st.integers(0, 9), TEXTS), min_size=2, max_size=9))
def test_every_byte_of_a_line_that_is_built_alike_counts(rows: list[tuple[int, int, str]]) -> None:
    reader = Reader()
    reader.read(b'{"count":1,"rrname":"a.example","rdata":["b.example"],"z":{"y":[1,2]}}')
    for count, flip, name in rows:
        text = {"count": count, "rrname": name, "rdata": [name, "x"], "z": {"y": [1, 2]}}
        line = bytearray(json.dumps(text, separators=(",", ":")).encode())
        assert reader.read(bytes(line)) == carefully(bytes(line))
        line[(count * 7 + flip) % len(line)] ^= 1 << flip % 8
        assert reader.read(bytes(line)) == carefully(bytes(line))


def test_lines_that_differ_in_their_values_only_are_read_by_their_shape() -> None:
    reader = Reader()
    for number in range(1, 9):
        line = f'{{"obj":{{"rrname":"{"h" * number}","rdata":["{number}"]}},"count":{number}}}'
        assert reader.read(line.encode()) == carefully(line.encode())
    assert reader.shapes.state[ALIKE] == 7


def test_several_shapes_take_turns() -> None:
    reader = Reader()
    kinds = ['{"count":%d}', '{"rrname":"%d"}', '{"rdata":["%d"]}', '{"rdata":"%d","count":true}']
    for number in range(1, 6):
        for kind in kinds:
            line = (kind % number).encode()
            assert reader.read(line) == carefully(line)
    assert reader.shapes.state[ALIKE] == 4 * len(kinds)


def test_lines_without_end_of_shapes_cost_no_more_than_a_few_of_them() -> None:
    reader = Reader()
    for number in range(300):
        line = f'{{"k{number}":{number},"count":{number}}}'.encode()
        assert reader.read(line) == carefully(line)
    long = b'{"other":"' + b"x" * 5000 + b'","count":%d}'
    before = reader.shapes.state[ALIKE]
    for number in range(3):
        assert reader.read(long % number) == carefully(long % number)
    assert reader.shapes.state[ALIKE] == before

"""The kernel that reads JSON lines, against the standard library."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture import json_lines
from remnant.capture.json_lines import (
    ABSENT,
    FALSE,
    KIND,
    LIST,
    NUMBER,
    OBJECT,
    TEXT,
    TEXT_ESCAPED,
    TRUE,
    compile_paths,
    element,
    found_room,
    read_object,
    unescape,
)

PATHS = ("a", "a/b", "a/b/c", "d", "dns", "dns/rrname", "dns/x.y", "id.orig_p", "id.resp_p", "é")
COMPILED = compile_paths(PATHS)
MISSING = object()


def read(line: bytes) -> list[tuple[int, bytes | None]] | None:
    """Kind and bytes of every path, or None if the line is refused."""
    view = np.frombuffer(line, np.uint8).copy()
    found = found_room(len(PATHS))
    if not read_object(view, 0, view.size, COMPILED, found, np.empty(view.size + 1, np.uint8)):
        return None
    return [
        (int(kind), None if start < 0 else line[start:stop])
        for start, stop, kind in found.values.tolist()
    ]


def reject_constant(word: str) -> None:
    raise ValueError(word)


def loaded(line: bytes) -> Any:
    """What Python makes of the line; None if it is not an object of bounded depth."""
    try:
        value = json.loads(line.decode("utf-8", "surrogateescape"), parse_constant=reject_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and depth(value) <= json_lines.MAX_DEPTH else None


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def at(value: Any, path: str) -> Any:
    for key in path.split("/"):
        if not isinstance(value, dict) or key not in value:
            return MISSING
        value = value[key]
    return value


def elements(line: bytes) -> list[Any]:
    """The values of a list, as ``element`` walks it."""
    view = np.frombuffer(line, np.uint8).copy()
    found: list[Any] = []
    i = 1
    while True:
        start, stop, kind, i = (int(part) for part in element(view, i, view.size))
        if start < 0:
            return found
        text = line[start:stop].decode("utf-8", "surrogateescape")
        found.append(json.loads(f'"{text}"' if kind in (TEXT, TEXT_ESCAPED) else text))


def check(line: bytes) -> None:
    """Compare the kernel with Python."""
    value = loaded(line)
    found = read(line)
    assert (found is None) == (value is None), line
    if found is None:
        return
    for path, (kind, part) in zip(PATHS, found, strict=True):
        wanted = at(value, path)
        if wanted is MISSING or wanted is None:
            assert (kind, part) == (ABSENT, None), path
            continue
        assert part is not None
        text = part.decode("utf-8", "surrogateescape")
        if isinstance(wanted, str):
            assert kind == (TEXT_ESCAPED if "\\" in text else TEXT)
            assert json.loads(f'"{text}"') == wanted
            continue
        assert repr(json.loads(text)) == repr(wanted), path
        if isinstance(wanted, list):
            assert kind == LIST
            assert repr(elements(part)) == repr(wanted)
        elif isinstance(wanted, dict):
            assert kind == OBJECT
        elif isinstance(wanted, bool):
            assert kind == (TRUE if wanted else FALSE)
        else:
            assert kind == NUMBER


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b" \t{ } \r",
        b'{"a":1}',
        b'{"a":{"b":{"c":"x"}},"d":null}',
        b'{"x":{"dns":{"rrname":"not this"}},"dns":{"y":{"rrname":"nor this"},"rrname":"this"}}',
        b'{"id.orig_p":1,"id.resp_p":2,"id.othr_p":3}',
        b'{"d":[],"a":[1,"x",null,true,{"b":[[]]},[2,[3]],-0.5e+3]}',
        '{"é":"ü"}'.encode(),
        b'{"d":"\xff\xfe"}',
        rb'{"\u0061":1,"d\u006es":{"rr\u006eame":"x"}}',
        rb'{"d":"\"\\\/\b\f\n\r\t\ud800"}',
        b'{"d":-0,"a":0.0,"dns":1e5}',
    ],
)
def test_what_is_json_is_read(line: bytes) -> None:
    assert read(line) is not None
    check(line)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"1", b'"a"', b"[]", b"null", b"{", b"}", b"{}}", b"{} {}", b'{"a"}', b'{"a":}',
        b'{"a":1,}', b'{,"a":1}', b'{"a":1 "b":2}', b"{a:1}", b"{'a':1}", b'{"a":01}', b'{"a":1.}',
        b'{"a":.5}', b'{"a":+1}', b'{"a":1e}', b'{"a":-}', b'{"a":0x1}', b'{"a":nul}',
        b'{"a":True}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":[1,]}', b'{"a":[1}', b'{"a":{]}',
        b'{"a":[}', b'{"a":"x}', b'{"a":"\x01"}', b'{"a":"\t"}', rb'{"a":"\x"}', rb'{"a":"\u12"}',
        rb'{"a":"\u12g4"}', b'{"a":"x\\', b'{"a":"\\u', b'{"a":1}\x00', b"\xef\xbb\xbf{}",
        b'{"a":1\x0b}',
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused(line: bytes) -> None:
    assert read(line) is None
    check(line)


def test_the_last_of_equal_keys_counts_and_nothing_of_the_first_remains() -> None:
    first = b'"dns":{"rrname":"x","x.y":1}'

    for second in (b'"dns":{"x.y":2}', b'"dns":5', b'"dns":null', b'"dns":[]', rb'"dn\u0073":{}'):
        check(b"{" + first + b"," + second + b"}")
    assert read(b"{" + first + b',"dns":{}}')[PATHS.index("dns/rrname")] == (ABSENT, None)  # type: ignore[index]


def test_depth_is_bounded() -> None:
    most = json_lines.MAX_DEPTH - 1

    assert read(b'{"a":' + b"[" * most + b"]" * most + b"}") is not None
    assert read(b'{"a":' + b"[" * (most + 1) + b"]" * (most + 1) + b"}") is None
    assert read(b'{"a":' * (most + 1) + b"1" + b"}" * (most + 1)) is not None
    assert read(b'{"a":' * 50_000) is None


def test_a_range_of_a_larger_buffer_is_read_alone() -> None:
    data = b'xx{"d":1}yy'
    view = np.frombuffer(data, np.uint8).copy()
    found = found_room(len(PATHS))
    scratch = np.empty(20, np.uint8)

    assert read_object(view, 2, 9, COMPILED, found, scratch)
    assert found.values[PATHS.index("d")].tolist() == [7, 8, NUMBER]
    assert not read_object(view, 2, 8, COMPILED, found, scratch)
    assert (found.values[:, KIND] != NUMBER).all() or found.values[PATHS.index("d"), 0] == 7


def test_many_keys_that_look_alike_are_told_apart() -> None:
    paths = [f"k{a}{b}z" for a in "abcdef" for b in "abcdef"]
    compiled = compile_paths(paths)
    line = json.dumps({path: index for index, path in enumerate(paths)} | {"kagz": -1}).encode()
    view = np.frombuffer(line, np.uint8).copy()
    found = found_room(len(paths))

    assert read_object(view, 0, view.size, compiled, found, np.empty(view.size, np.uint8))
    assert [int(line[a:b]) for a, b, _ in found.values.tolist()] == list(range(len(paths)))


def unescaped(text: bytes) -> bytes | None:
    view = np.frombuffer(text, np.uint8).copy()
    out = np.empty(view.size + 1, np.uint8)
    size = unescape(view, 0, view.size, out)
    return None if size < 0 else out[:size].tobytes()


@given(st.text())
def test_strings_lose_their_escapes(text: str) -> None:
    printed = json.dumps(text)[1:-1].encode()
    if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        return

    assert unescaped(printed) == text.encode()
    assert unescaped(json.dumps(text, ensure_ascii=False)[1:-1].encode()) == text.encode()


@pytest.mark.parametrize(
    "text", [rb"\ud800", rb"\ude00", rb"\ud800x", rb"\ud800A", rb"\ud83d\ud83d"]
)
def test_half_a_surrogate_pair_is_no_text(text: bytes) -> None:
    assert unescaped(text) is None


KEYS = st.sampled_from(
    ["a", "b", "c", "d", "dns", "rrname", "x.y", "id.orig_p", "id.resp_p", "é", "", "abc", "\n"]
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=6),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6)
STYLES = st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")])


@settings(max_examples=300, deadline=None)
@given(OBJECTS, STYLES, st.booleans())
def test_any_object_is_read_as_python_reads_it(
    value: dict[str, Any], separators: tuple[str, str], ascii_only: bool
) -> None:
    line = json.dumps(value, separators=separators, ensure_ascii=ascii_only)

    assert read(line.encode("utf-8", "surrogatepass")) is not None
    check(line.encode("utf-8", "surrogatepass"))


@settings(max_examples=400, deadline=None)
@given(OBJECTS, st.data())
def test_a_damaged_object_is_read_or_refused_as_by_python(
    value: dict[str, Any], data: st.DataObject
) -> None:
    line = bytearray(json.dumps(value).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(line)))
        part = data.draw(st.lists(st.sampled_from(b'{}[]:,"\\u019ae-+.Etrfn \x01\xff'), max_size=3))
        line[place : place + data.draw(st.integers(0, 3))] = bytes(part)

    check(bytes(line))

"""Records of hostile CSV files: what Python's reader sees, and one line lost for each mistake."""

from __future__ import annotations

import csv
import io
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.csv_records import (
    BOM,
    MAX_COLUMNS,
    SOUND,
    columns_of,
    header_of,
    is_header,
    layout_of,
    records,
    split,
)
from remnant.capture.lines import MAX_LINE
from remnant.capture.stream import ByteStream
from remnant.capture.text_rows import BAD_QUOTES, TOO_LONG

QUICK = settings(max_examples=60, deadline=None)
Found = list[tuple[int, bytes, int]]


def found(data: bytes, chunk: int = 1 << 20) -> tuple[Found, int, bool]:
    """(offset, record, flaw) of each record; bytes used; whether a tail was offered."""
    out: Found = []
    tail = False
    with ByteStream(io.BytesIO(data), "test.csv", chunk=chunk) as stream:
        for part in records(stream):
            block = part.block
            tail |= block.tail
            start = 0
            for end, flaw in zip(block.ends.tolist(), part.flaws.tolist(), strict=True):
                if not block.tail:
                    record = block.data[start:end].tobytes()
                    out.append((block.offset + start, record, flaw))
                elif flaw == SOUND:
                    stream.advance(end)
                    out.append((block.offset, block.data[:end].tobytes(), SOUND))
                start = end + 1
            if block.too_long is not None:
                out.append((*block.too_long, TOO_LONG))
        return out, stream.offset, tail


def fields(record: bytes, width: int) -> list[str | None]:
    layout = layout_of([str(i) for i in range(width)], range(width))
    spans = np.zeros((width, 3), np.int64)
    view = np.frombuffer(record, np.uint8).copy()
    breaks = np.empty((2, MAX_COLUMNS + 1), np.int64)
    count = int(split(view, 0, view.size, layout, breaks, spans))
    if count < 0:
        return []
    return [
        None if begin < 0 else record[begin:end].decode().replace('""' if twice else "\0", '"')
        for begin, end, twice in spans.tolist()
    ]


CELLS = st.text(st.sampled_from('a,"\n\r\u00e9;'), max_size=6)
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6)


@QUICK
@given(ROWS, st.integers(1, 40), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), st.booleans())
def test_what_pythons_writer_writes_comes_back(
    rows: list[list[str]], chunk: int, quoting: int, crlf: bool
) -> None:
    out = io.StringIO()
    end = "\r\n" if crlf else "\n"
    csv.writer(out, quoting=quoting, lineterminator=end).writerows(rows)  # type: ignore[arg-type]
    data = out.getvalue().encode()

    got, used, _ = found(data, chunk)

    assert used == len(data)
    assert [flaw for *_, flaw in got] == [SOUND] * len(rows)
    for (offset, record, _), row in zip(got, rows, strict=True):
        assert data[offset : offset + len(record)] == record
        body = record.removesuffix(b"\r") if crlf else record
        assert [cell or "" for cell in fields(body, len(row))] == row


@QUICK
@given(st.text(st.sampled_from('ab,"\n\r'), max_size=60), st.integers(1, 20))
def test_any_chunk_size_finds_the_same_records(text: str, chunk: int) -> None:
    data = text.encode()

    assert found(data, chunk) == found(data)


@QUICK
@given(st.text(st.sampled_from('ab,"\n\r'), max_size=80))
def test_every_byte_is_in_one_record_or_left_at_the_end(text: str) -> None:
    data = text.encode()
    got, used, _ = found(data)

    at = 0
    for offset, record, _ in got:
        assert offset == at
        at += len(record) + 1
    assert at in (used, used + 1)
    assert b"".join(record + b"\n" for _, record, _ in got)[:used] == data[:used]


@pytest.mark.parametrize(
    ("bad", "flaws"),
    [
        (b'a,b"c\n', [BAD_QUOTES]),
        (b'"a"b,c\n', [BAD_QUOTES]),
        (b'"a\nb"c\n', [BAD_QUOTES, BAD_QUOTES]),
        (b'"a"\rb\n', [BAD_QUOTES]),
        (b'a, "b"\n', [BAD_QUOTES]),
        (b'"""\n"good","line"\n', [BAD_QUOTES, SOUND]),
    ],
)
def test_a_mistake_costs_the_line_it_is_on(bad: bytes, flaws: list[int]) -> None:
    good = b'"x","y"\n'
    got, used, _ = found(good + bad + good * 2)

    assert [flaw for *_, flaw in got] == [SOUND, *flaws, SOUND, SOUND]
    assert used == len(good * 3 + bad)


@pytest.mark.parametrize("chunk", [1 << 12, 1 << 20])
def test_a_quote_that_never_ends_costs_one_line(chunk: int) -> None:
    line = b"good,line,without,quotes\n"
    data = line + b'"open,' + line * (MAX_LINE // len(line) + 10)
    got, used, _ = found(data, chunk)

    assert [flaw for *_, flaw in got].count(BAD_QUOTES) == 1
    assert len(got) == 1 + MAX_LINE // len(line) + 10
    assert used == len(data)


@pytest.mark.parametrize("size", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, MAX_LINE + 2, 3 * MAX_LINE])
@pytest.mark.parametrize("quote", ["", '"', "open"])
def test_long_records_are_refused_wherever_they_stand(size: int, quote: str) -> None:
    good = b"a,b\n"
    edge = b'"' if quote else b""
    last = b"" if quote == "open" else edge
    long = edge + b"x" * (size - len(edge) - len(last)) + last + b"\n"
    expected = [SOUND, SOUND if size <= MAX_LINE and quote != "open" else TOO_LONG, SOUND]
    if quote == "open" and size <= MAX_LINE:
        # More than 64 KiB follow without a quote, so that only this line is lost.
        good = b"a," + b"b" * 100 + b"\n"
        expected[1] = BAD_QUOTES
    for chunk in (1 << 10, 1 << 15, 1 << 20):
        got, used, _ = found(good + long + good * 1000, chunk)

        assert [flaw for *_, flaw in got[:3]] == expected
        assert got[1][:2][0] == len(good)
        assert got[1][1][:64] == long[:64]
        assert used == len(good) * 1001 + len(long)


def test_a_record_may_span_lines_up_to_the_limit() -> None:
    data = b'"a\n' + b"x\n" * 1000 + b'b",c\nd,e\n'

    assert [flaw for *_, flaw in found(data)[0]] == [SOUND, SOUND]


@pytest.mark.parametrize(
    ("data", "used"),
    [
        (b"a,b\nc,d", 7),
        (b'a,b\n"c","d"', 11),
        (b'a,b\n"c","d"\r', 12),
        (b'a,b\n"c","d', 4),
        (b'a,b\n"c\n', 4),
        (b'a,b\n"c"d', 4),
    ],
)
def test_a_last_record_without_line_feed_is_offered_if_it_is_whole(data: bytes, used: int) -> None:
    for chunk in (1, 3, 1 << 10):
        assert found(data, chunk)[1] == used


@pytest.mark.parametrize(
    "line", [b'"\n', b'""\n', b'"a\n', b'a"\n', b'a",b,"\n', b'",x,"\n', b'"""\n']
)
def test_no_pattern_of_quotes_makes_reading_slow(line: bytes) -> None:
    data = line * ((4 << 20) // len(line))
    found(line * 10)
    began = time.process_time()
    with ByteStream(io.BytesIO(data), "test.csv") as stream:
        for _ in records(stream):
            pass

    # A few hundredths of a second; looking at 64 KiB again for each line would take an hour.
    assert time.process_time() - began < 20


def test_a_byte_order_mark_is_no_part_of_the_first_field() -> None:
    data = BOM + b'"timestamp","ip"\n"1","2"\n'
    for chunk in (1, 2, 100):
        got = found(data, chunk)[0]
        assert [flaw for *_, flaw in got] == [SOUND, SOUND]
    assert columns_of(got[0][1]) == ["timestamp", "ip"]
    assert header_of(data + b"x") == []
    assert header_of(BOM + b'"timestamp","ip","asn"\n"1","2"\n') == ["timestamp", "ip", "asn"]


@pytest.mark.parametrize("text", [b"", b"a\n", b'"a","b\n', b"a," * 300 + b"\n", b"\xff\xfe,,\n"])
def test_a_header_that_is_none(text: bytes) -> None:
    assert all(not name.isalnum() or len(name) > 1 for name in header_of(text))


def test_more_fields_than_columns_are_refused_unless_empty() -> None:
    assert fields(b"1,2,,", 2) == ["1", "2"]
    assert fields(b"1,2,,x", 2) == []
    assert fields(b'1,2,"",', 2) == ["1", "2"]
    assert fields(b'1,2,"x"', 2) == []
    assert fields(b"1", 2) == ["1", None]
    assert fields(b"," * MAX_COLUMNS, 2) == [None, None]
    assert fields(b"," * (MAX_COLUMNS + 1), 2) == []


@pytest.mark.parametrize(
    ("record", "yes"),
    [
        (b'"timestamp","x"', True),
        (b"TimeStamp,x", True),
        (BOM + b"timestamp", True),
        (b"timestamps,x", False),
        (b"time", False),
        (b"", False),
    ],
)
def test_a_header_that_comes_again(record: bytes, yes: bool) -> None:
    layout = layout_of(["timestamp", "x"], [0, 1])
    view = np.frombuffer(record, np.uint8).copy()

    assert bool(is_header(view, 0, view.size, layout)) is yes
    assert not is_header(view, 0, view.size, layout_of([], []))

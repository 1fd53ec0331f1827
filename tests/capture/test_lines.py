from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.lines import HEAD_BYTES, MAX_LINE, MAX_LINES, blocks, first_lines
from remnant.capture.stream import ByteStream


def lines_of(
    data: bytes, chunk: int
) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]], bytes]:
    """(offset and bytes of each line, the lines that were too long, what was left over)."""
    found, too_long, tail = [], [], b""
    with ByteStream(io.BytesIO(data), "test.log", chunk=chunk) as stream:
        for block in blocks(stream):
            if block.tail:
                tail = block.data.tobytes()
                assert block.offset + len(tail) == block.end == len(data)
                assert stream.offset == block.offset
                continue
            assert stream.offset == block.end
            start = 0
            for end in block.ends.tolist():
                found.append((block.offset + start, block.data[start:end].tobytes()))
                start = end + 1
            assert start == block.data.size
            if block.too_long is not None:
                too_long.append(block.too_long)
    return found, too_long, tail


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=12),
    st.binary(max_size=5).map(lambda line: line.replace(b"\n", b"")),
    st.integers(1, 20),
)
@settings(max_examples=60, deadline=None)
def test_lines_come_whole_whatever_the_chunks(lines: list[bytes], tail: bytes, chunk: int) -> None:
    # A first byte of our own keeps chance from making the magic number of a compression.
    lines = [b"first", *lines]
    data = b"".join(line + b"\n" for line in lines) + tail

    found, too_long, left = lines_of(data, chunk)

    assert [line for _, line in found] == lines
    assert all(data[at : at + len(line)] == line for at, line in found)
    assert too_long == []
    assert left == tail


def test_a_block_of_ever_so_many_lines_is_cut() -> None:
    data = b"a" + b"\n" * (2 * MAX_LINES + 10) + b"b\nc"
    with ByteStream(io.BytesIO(data), "test.log", chunk=1 << 20) as stream:
        sizes = [block.ends.size for block in blocks(stream) if not block.tail]

    assert max(sizes) == MAX_LINES
    found, _, left = lines_of(data, 1 << 20)
    assert [line for _, line in found] == [b"a", *[b""] * (2 * MAX_LINES + 9), b"b"]
    assert [at for at, _ in found[1:-1]] == list(range(2, 2 * MAX_LINES + 11))
    assert left == b"c"


def test_the_longest_line_is_read_and_a_longer_one_is_not() -> None:
    longest = b"a" * MAX_LINE
    data = b"first\n" + longest + b"\n" + longest + b"x" * 2000 + b"\nlast\n"

    found, too_long, _ = lines_of(data, 1000)

    assert [len(line) for _, line in found] == [5, MAX_LINE, 4]
    assert too_long == [(6 + MAX_LINE + 1, b"a" * HEAD_BYTES)]


def test_a_line_without_end_needs_no_memory() -> None:
    data = b"ok\n" + b"z" * 3_000_000

    with ByteStream(io.BytesIO(data), "test.log", chunk=50_000) as stream:
        held = 0
        for block in blocks(stream):
            held = max(held, block.data.size, stream.view.size)
        assert stream.offset == len(data)

    assert held <= MAX_LINE + 50_000


def test_what_follows_a_line_that_is_too_long_is_read() -> None:
    data = b"z" * 200_000 + b"\nnext\n"

    found, too_long, left = lines_of(data, 30_000)

    assert found == [(200_001, b"next")]
    assert len(too_long) == 1
    assert left == b""


def test_first_lines_are_whole_and_not_empty() -> None:
    assert first_lines(b"\r\n a \n\nb\ncut of") == [b"a", b"b"]
    assert first_lines(b"only") == [b"only"]
    assert first_lines(b"1\n2\n3\n", limit=2) == [b"1", b"2"]
    assert first_lines(b"") == []

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remnant.sinkhole.http_request import MAX_FIELDS, Request, head_end, may_be_request, parse


def read(data: bytes) -> Request:
    request = parse(data)
    assert request is not None
    return request


def test_a_request_is_taken_apart() -> None:
    data = (
        b"POST /a?b=c d HTTP/1.1\r\nhOST: Evil.example:81\r\nVia:  1.1 x \r\nX-Forwarded-For: 1\r\n"
        b"Content-Length: 5\r\n\r\nhelloGET /"
    )

    request = read(data)

    assert (request.method, request.target, request.version) == (b"POST", b"/a?b=c d", b"1.1")
    assert request.names == (b"hOST", b"Via", b"X-Forwarded-For", b"Content-Length")
    assert request.fields[b"via"] == b"1.1 x"
    assert request.host == b"Evil.example"
    assert request.name == b"\x04Evil\x07example\x00"
    assert request.content_length == 5
    assert request.body == b"hello"
    assert request.head_bytes == data.index(b"hello")
    assert request.complete


def test_bare_line_feeds_and_lines_without_a_colon_are_borne() -> None:
    request = read(b"GET / HTTP/1.0\nHost: a\nnonsense\n folded: x\n bad name: y\nEnd: z\n\n")

    assert request.names == (b"Host", b"End")
    assert request.complete


def test_a_request_without_fields() -> None:
    for end in (b"\r\n\r\n", b"\n\n", b"\r\n\n"):
        request = read(b"GET / HTTP/1.1" + end)
        assert (request.names, request.complete) == ((), True)


def test_the_first_of_several_fields_counts() -> None:
    request = read(b"GET / HTTP/1.1\r\nHost: a.example\r\nhost: b.example\r\n\r\n")

    assert request.host == b"a.example"
    assert request.names == (b"Host", b"host")


def test_the_host_of_a_url_counts_where_there_is_no_field() -> None:
    assert read(b"GET http://u@C2.example:81/x HTTP/1.0\r\n\r\n").host == b"C2.example"
    assert read(b"GET /http://C2.example/x HTTP/1.0\r\n\r\n").host == b""
    assert read(b"GET http://[::1]:80/ HTTP/1.0\r\n\r\n").name == b""


def test_an_unfinished_head_is_read_as_far_as_its_lines_are_whole() -> None:
    request = read(b"GET / HTTP/1.1\r\nHost: a.example\r\nUser-Age")

    assert request.names == (b"Host",)
    assert not request.complete


def test_fields_beyond_the_bound_are_not_read() -> None:
    lines = b"".join(b"X-%d: y\r\n" % i for i in range(200))
    request = read(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")

    assert len(request.names) == MAX_FIELDS
    assert request.complete


@pytest.mark.parametrize("length", [b"-1", b"x", b"1e3", b"9" * 30, b"", "٣".encode()])
def test_a_length_that_is_none_is_not_believed(length: bytes) -> None:
    assert read(b"GET / HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\n").content_length is None


def test_a_chunked_body_is_whole_with_its_last_chunk() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\n"

    assert not read(head + b"3\r\nabc\r\n").complete
    whole = read(head + b"3\r\nabc\r\n0\r\n\r\n")
    assert whole.complete
    assert whole.body == b"3\r\nabc\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1",
        b"GET /\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"G@T / HTTP/1.1\r\n\r\n",
        b"A" * 33 + b" / HTTP/1.1\r\n\r\n",
        b"GET / http/1.1\r\n\r\n",
        b"GET /\rx HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01",
    ],
)
def test_what_is_no_http(data: bytes) -> None:
    assert parse(data) is None


@pytest.mark.parametrize("size", [1, 3, 4, 20])
def test_the_start_of_a_request_may_be_one(size: int) -> None:
    assert may_be_request(b"POST /x HTTP/1.1\r\n"[:size])


def test_other_starts_are_none() -> None:
    for data in (b"\x00", b" GET", b"GET\r\n", b"a" * 33, b"\xffGET /", b"{"):
        assert not may_be_request(data)


pieces = st.sampled_from(
    [
        b"GET",
        b" ",
        b"/",
        b"HTTP/1.1",
        b"\r\n",
        b"\n",
        b"Host",
        b":",
        b"a.example",
        b"\xff",
        b"\r",
        b"Content-Length: ",
        b"7",
        b"Transfer-Encoding: chunked\r\n",
        b"\x00",
        b"0\r\n\r\n",
    ]
)
hostile = st.binary(max_size=300) | st.lists(pieces, max_size=40).map(b"".join)


@settings(deadline=None)
@given(hostile.map(lambda tail: b"GET / HTTP/1.1\r\n" + tail) | hostile)
@example(b"GET / HTTP/1.1\r\n\r")
def test_any_bytes_are_read_without_a_fault_and_within_themselves(data: bytes) -> None:
    request = parse(data)
    if request is None:
        return

    assert request.method in data
    assert request.target in data
    assert all(name in data for name in request.names)
    assert all(value in data for value in request.fields.values())
    assert request.body in data[request.head_bytes :]
    assert request.complete in {True, False}
    assert request.name == b"" or request.name.endswith(b"\0")
    assert may_be_request(data)


@settings(deadline=None)
@given(hostile.map(lambda tail: b"GET / HTTP/1.1\r\n" + tail), st.integers(0, 100))
def test_the_end_of_the_head_is_found_in_pieces_as_in_one(data: bytes, cut: int) -> None:
    whole = head_end(data)
    found = head_end(data[:cut])
    if found < 0:
        found = head_end(data, cut - 3)

    assert found == whole

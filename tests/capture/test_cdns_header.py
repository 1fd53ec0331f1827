"""What stands before the blocks of a C-DNS file."""

from __future__ import annotations

from typing import Any

import pytest

import cdns_writer as writer
from remnant.capture.cdns_header import Incomplete, NotCdns, Parameters, read_header

PLAIN = Parameters(1_000_000, 0, 0, 0, has_clients=True, host="ns1", sampling="", anonymisation="")


def test_a_header_says_how_blocks_were_made() -> None:
    sets = [
        writer.parameters(),
        writer.parameters(
            ticks=1, flags=3, prefixes=(24, 48), host=None, hints=0, key10="1 in 10", key11="x\x07"
        ),
    ]
    data = writer.file(1, 2, sets=sets, version=(1, 2))
    header = read_header(data)

    assert (header.major, header.minor, header.blocks, header.closed) == (1, 2, 2, False)
    assert data[header.size :] == b"\x01\x02"
    assert header.parameters == (
        PLAIN,
        Parameters(
            1, 3, 24, 48, has_clients=False, host="", sampling="1 in 10", anonymisation="x?"
        ),
    )


def test_a_break_may_end_the_blocks_and_the_file() -> None:
    data = writer.cbor(writer.opened(["C-DNS", {0: 1, 1: 0, 3: [writer.parameters()]}, []]))
    header = read_header(data)

    assert (header.blocks, header.closed) == (-1, True)
    assert header.parameters == (PLAIN,)
    assert data[header.size :] == b"\xff\xff"


@pytest.mark.parametrize("prefixes", [(32, 128), (33, 200), (0, 0), (-1, -1)])
def test_a_whole_address_is_no_prefix(prefixes: tuple[int, int]) -> None:
    (given,) = read_header(writer.file(sets=[writer.parameters(prefixes=prefixes)])).parameters

    assert (given.prefix_4, given.prefix_6) == (0, 0)


def test_whatever_else_the_preamble_holds_is_passed_over() -> None:
    odd: dict[Any, Any] = writer.parameters() | {
        -1: writer.Raw(b"\xf9\x7e\x00"),
        7: writer.Raw(b"\xc1\x1a\x00\x00\x00\x00"),
        8: writer.Raw(b"\x7f\x61a\x61b\xff"),
        "text": [True, False, writer.Raw(b"\xf6")],
        9: {},
    }

    assert read_header(writer.file(sets=[odd])).parameters == (PLAIN,)


def test_every_cut_is_incomplete_and_nothing_else() -> None:
    data = writer.file()
    size = read_header(data).size

    for cut in range(size):
        with pytest.raises(Incomplete):
            read_header(data[:cut])


@pytest.mark.parametrize(
    "value",
    [
        {},
        ["C-DNS"],
        ["C-DNX", {0: 1, 1: 0}, []],
        ["C-DNS", [], []],
        ["C-DNS", {0: 1}, []],
        ["C-DNS", {0: -1, 1: 0}, []],
        ["C-DNS", {0: True, 1: 0}, []],
        ["C-DNS", {0: 1, 1: 0}, []],
        ["C-DNS", {0: 1, 1: 0, 3: []}, []],
        ["C-DNS", {0: 1, 1: 0, 3: {}}, []],
        ["C-DNS", {0: 1, 1: 0, 3: [{}]}, []],
        ["C-DNS", {0: 1, 1: 0, 3: [writer.parameters(ticks=0)]}, []],
        ["C-DNS", {0: 1, 1: 0, 3: [writer.parameters(ticks=10**13)]}, []],
        ["C-DNS", {0: 1, 1: 0, 3: [writer.parameters()]}, {}],
        ["C-DNS", {0: 1, 1: 0, 3: [writer.parameters()] * 5000}, []],
    ],
)
def test_what_is_no_header_is_told_apart(value: Any) -> None:
    with pytest.raises(NotCdns):
        read_header(writer.cbor(value))


@pytest.mark.parametrize(
    "preamble",
    [
        b"\x81" * 50,
        b"\x1c",
        b"\xa1\xff",
        b"\x82\xff",
        b"\xbf\x00\xff",
        b"\x5f\x00",
        b"\x5f\x5f\xff",
    ],
)
def test_a_preamble_that_is_no_cbor_is_no_header(preamble: bytes) -> None:
    with pytest.raises(NotCdns):
        read_header(b"\x83\x65C-DNS" + preamble + bytes(100))


def test_a_preamble_of_endless_length_is_given_up() -> None:
    with pytest.raises(NotCdns, match="1 MiB"):
        read_header(b"\x83\x65C-DNS\x5b\x00\xff\xff\xff\xff\xff\xff\xff" + bytes(1 << 20))

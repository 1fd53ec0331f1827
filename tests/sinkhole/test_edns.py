"""Options of a query, and the OPT record of an answer."""

from __future__ import annotations

import dns.edns
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant import wire
from remnant.sinkhole.edns import Options, opt_record, option, read_options
from sinkhole.made_zones import QUICK


def test_no_options() -> None:
    assert read_options(b"") == Options()


def test_the_first_of_each_counts_and_others_are_passed_over() -> None:
    data = (
        option(65_001, b"x")
        + option(10, bytes(8))
        + option(10, b"short")
        + option(8, b"\0\1\x18\0\xc0\0\2")
        + option(8, b"bad")
        + option(3, b"")
    )

    assert read_options(data) == Options(True, bytes(8), b"\0\1\x18\0\xc0\0\2")


@pytest.mark.parametrize("size", range(45))
def test_the_lengths_of_cookies(size: int) -> None:
    good = size == 8 or 16 <= size <= 40

    assert (read_options(option(10, bytes(size))) is not None) is good


def test_a_network_of_another_family_is_passed_over_and_hides_the_next() -> None:
    data = option(8, b"\0\3\xff\xff\1\2\3") + option(8, b"\0\1\x18\0\xc0\0\2")

    assert read_options(data) == Options()


@QUICK
@given(st.binary(max_size=60))
def test_options_are_those_of_dnspython_or_are_none(data: bytes) -> None:
    position, sizes = 0, []
    while position + 4 <= len(data):
        size = int.from_bytes(data[position + 2 : position + 4], "big")
        sizes.append((int.from_bytes(data[position : position + 2], "big"), size))
        position += 4 + size
    if position != len(data):
        assert read_options(data) is None
    elif not {code for code, _ in sizes} & {8, 10}:
        assert read_options(data) == Options(3 in {code for code, _ in sizes})


@QUICK
@given(st.binary(min_size=16, max_size=16), st.booleans(), st.integers(0, 128))
def test_networks_are_those_of_the_kernel_and_of_dnspython(
    address: bytes, short: bool, bits: int
) -> None:
    text = ".".join(map(str, address[:4])) if short else wire_text(address)
    bits = min(bits, 32) if short else bits
    data = dns.edns.ECSOption(text, bits).to_wire()
    assert data is not None
    record = option(8, data)
    options = read_options(record)

    subnet = np.zeros(17, np.uint8)
    there = wire.client_subnet(np.frombuffer(record, np.uint8).copy(), 0, len(record), subnet)
    assert options is not None
    assert options.subnet == data
    assert options.network == (subnet.tobytes() if there else None)


def wire_text(address: bytes) -> str:
    return ":".join(address[i : i + 2].hex() for i in range(0, 16, 2))


def test_the_record_of_an_answer() -> None:
    assert opt_record(0, 0).hex() == "00002904d0000000000000"
    assert opt_record(0, 0x80).hex() == "00002904d0000080000000"
    assert opt_record(1, 0x80).hex() == "00002904d0010080000000"
    assert opt_record(0, 0, option(3, b"n")).hex() == "00002904d0000000000005" + "000300016e"

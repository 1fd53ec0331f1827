"""Keys put names and addresses in the order that makes every look-up one range."""

from __future__ import annotations

import ipaddress
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.names import text_to_wire, wire_to_text
from remnant.store.answer_keys import (
    Range,
    below_name,
    data_keys,
    in_network,
    of_name,
    owner_keys,
    to_name,
)

LABELS = st.binary(min_size=1, max_size=6).map(
    lambda raw: wire_to_text(bytes([len(raw)]) + raw + b"\0")
)
NAMES = st.lists(LABELS, max_size=4).map(lambda labels: ".".join(labels) or ".")
SIX = st.one_of(
    st.ip_addresses(v=6),
    st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF, 0xDB8]), min_size=8, max_size=8).map(
        lambda groups: ipaddress.IPv6Address(b"".join(g.to_bytes(2, "big") for g in groups))
    ),
    st.ip_addresses(v=4).map(lambda four: ipaddress.IPv6Address(f"::ffff:{four}")),
)


def rows(*records: tuple[str, int, str]) -> pa.Table:
    names, kinds, data = zip(*records, strict=True)
    return pa.table(
        {"rrname": list(names), "rrtype": pa.array(kinds, pa.uint16()), "rdata": list(data)}
    )


def key(make: Any, *record: Any) -> bytes:
    found: bytes = make(rows(record)).to_pylist()[0]
    return found


def holds(wanted: Range, found: bytes) -> bool:
    return wanted[0] <= found < wanted[1]


@settings(deadline=None)  # the first call compiles
@given(owner=NAMES, other=NAMES)
def test_a_name_and_what_is_below_it_are_one_range(owner: str, other: str) -> None:
    found = key(owner_keys, owner, 1, "192.0.2.1")
    wire, above = (text_to_wire(name) for name in (owner, other))
    # A label is as long as its first byte says, so an end that begins at no label is none.
    starts = [0]
    while wire[starts[-1]]:
        starts.append(starts[-1] + wire[starts[-1]] + 1)
    inside = any(wire[start:] == above for start in starts)

    assert holds(of_name(owner), found)
    assert holds(of_name(other), found) == (owner == other)
    assert holds(below_name(other), found) == inside
    assert holds(below_name("."), found)


@settings(deadline=None)  # the first call compiles
@given(target=NAMES, other=NAMES, kind=st.sampled_from([2, 5, 12, 39, 15, 33]))
def test_a_record_is_found_by_what_it_points_to(target: str, other: str, kind: int) -> None:
    numbers = {15: "10 ", 33: "0 5 5060 "}.get(kind, "")
    found = key(data_keys, "x.test", kind, numbers + target)

    assert holds(to_name(target), found)
    assert holds(to_name(other), found) == (other == target)
    assert holds(to_name(target, below=True), found)


@settings(deadline=None)  # the first call compiles
@given(address=SIX, other=SIX, bits=st.integers(0, 128))
def test_an_ipv6_address_is_found_by_its_networks(address: Any, other: Any, bits: int) -> None:
    found = key(data_keys, "x.test", 28, str(address))
    network = ipaddress.ip_network((other, bits), strict=False)

    assert found[1:17] == address.packed
    assert holds(in_network(network), found) == (address in network)
    assert holds(in_network(ipaddress.ip_network(address)), found)


@settings(deadline=None)  # the first call compiles
@given(address=st.ip_addresses(v=4), other=st.ip_addresses(v=4), bits=st.integers(0, 32))
def test_an_ipv4_address_is_found_by_its_networks(address: Any, other: Any, bits: int) -> None:
    network = ipaddress.ip_network((other, bits), strict=False)
    for kind, text in ((1, str(address)), (28, f"::ffff:{address}")):
        found = key(data_keys, "x.test", kind, text)
        assert holds(in_network(network), found) == (address in network)


@settings(deadline=None)  # the first call compiles
@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_data_that_is_no_address_has_no_key_or_one_that_says_so(text: str) -> None:
    for kind, version in ((1, 4), (28, 6)):
        found = key(data_keys, "x.test", kind, text)
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            assert found == b""
            continue
        if str(address) == text and address.version == version:
            assert found


def test_other_records_have_no_key_by_data() -> None:
    table = rows(("x.test", 16, '"a"'), ("x.test", 2, r"\# 1 00"), ("x.test", 6, "a. b. 1 2"))
    assert data_keys(table).to_pylist() == [b"", b"", b""]


def test_no_rows_have_no_keys() -> None:
    table = rows(("x.test", 1, "192.0.2.1")).slice(0, 0)
    assert len(owner_keys(table)) == len(data_keys(table)) == 0


def test_rows_of_a_slice_and_of_several_chunks_have_their_own_keys() -> None:
    table = rows(*((f"h{i}.test", 1, f"192.0.2.{i}") for i in range(9)))
    parts = pa.concat_tables([table.slice(1, 3), table.slice(6)])
    expected = [owner_keys(table).to_pylist()[i] for i in (1, 2, 3, 6, 7, 8)]
    assert owner_keys(parts).to_pylist() == expected
    assert owner_keys(table.slice(6)).to_pylist() == expected[3:]

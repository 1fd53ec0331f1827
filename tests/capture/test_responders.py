"""Addresses that answer are resolvers: whatever the order, their own queries are not counted."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pcap_writer as writer
from pcap_writer import Packet
from remnant.capture import Batch, responders
from remnant.capture.pcap import PcapReader
from remnant.capture.responders import Askers, add_responder, new_responders
from textlogs import notes, read, rows, v4

READER = PcapReader()
CLIENT, RESOLVER, AUTHORITY = "192.0.2.17", "198.51.100.53", "203.0.113.5"
ASKED = writer.query("c2.evil.test", ident=7)


def frame(message: bytes, source: str, target: str, *, answer: bool = False) -> bytes:
    ports = (53, 40000) if answer else (40000, 53)
    inner = writer.udp(message, *ports)
    make = writer.ipv6 if ":" in source else writer.ipv4
    return writer.ethernet(make(inner, source, target))


LOOKUP = [
    frame(ASKED, CLIENT, RESOLVER),
    frame(ASKED, RESOLVER, AUTHORITY),
    frame(writer.response(ASKED), AUTHORITY, RESOLVER, answer=True),
    frame(writer.response(ASKED), RESOLVER, CLIENT, answer=True),
]
"""A client asks its resolver, which asks an authority."""


def told(batches: list[Batch]) -> list[bytes]:
    assert all(batch.responders is None for batch in batches[:-1])
    found: Any = batches[-1].responders
    return [] if found is None else list(found.to_pylist())


def test_a_resolver_that_asks_is_told() -> None:
    batches = read(READER, writer.pcap(*LOOKUP))

    assert [got["address"] for got in rows(batches)] == [v4(CLIENT), v4(RESOLVER)]
    assert told(batches) == [v4(RESOLVER)]
    assert notes(batches) == [
        "1 addresses that ask for watched names answer DNS themselves in this capture: they are "
        "resolvers, and their queries are not counted"
    ]


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(LOOKUP), chunk=st.integers(1, 200))
def test_neither_order_nor_chunks_matter(order: list[bytes], chunk: int) -> None:
    assert told(read(READER, writer.pcap(*order), chunk=chunk)) == [v4(RESOLVER)]


def test_ipv6_and_tcp() -> None:
    client, resolver, authority = "2001:db8::17", "2001:db8::53", "2001:db8:5::5"
    answer = writer.tcp(writer.prefixed(writer.response(ASKED)), 53, 40000)
    data = writer.pcap(
        frame(ASKED, client, resolver),
        frame(ASKED, resolver, authority),
        writer.ethernet(writer.ipv6(answer, resolver, client, protocol=writer.TCP)),
    )
    batches = read(READER, data)

    assert len(rows(batches)) == 2
    # A client in the same /64 is a client.
    assert told(batches) == [ipaddress.ip_address(resolver).packed]


@pytest.mark.parametrize(
    "packet",
    [
        # Who answers itself is a machine with a resolver of its own.
        frame(writer.response(ASKED), CLIENT, CLIENT, answer=True),
        # What cannot be read answers nothing.
        frame(writer.response(ASKED)[:14], CLIENT, RESOLVER, answer=True),
        frame(writer.response(ASKED), CLIENT, RESOLVER),
        frame(ASKED, CLIENT, RESOLVER, answer=True),
        Packet(frame(writer.response(ASKED), CLIENT, RESOLVER, answer=True), kept=60),
    ],
)
def test_what_makes_no_resolver(packet: bytes | Packet) -> None:
    batches = read(READER, writer.pcap(LOOKUP[0], packet))

    assert told(batches) == []
    assert notes(batches) == []


def test_many_addresses() -> None:
    chance = random.Random(3)
    addresses = [np.frombuffer(chance.randbytes(16), np.uint8).copy() for _ in range(3000)]
    table = new_responders((1, 2))
    for address in addresses[:2000]:
        add_responder(table, address)
        add_responder(table, address)
    askers = Askers()
    askers._known = np.unique(np.array(addresses[1000:]).view("V16").ravel())

    assert table.state.tolist() == [2000, 0]
    expected = sorted(address.tobytes() for address in addresses[1000:2000])
    found: list[Any] = askers.responders(table).to_pylist()
    assert sorted(found) == expected


def test_what_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    table = new_responders((1, 2))
    table.state[0] = responders._MOST
    add_responder(table, np.arange(16, dtype=np.uint8))

    assert table.state.tolist() == [responders._MOST, 1]

    def full(_seeds: tuple[int, int]) -> responders.Responders:
        return table

    from remnant.capture import pcap_kernel

    monkeypatch.setattr(pcap_kernel, "new_responders", full)
    assert notes(read(READER, writer.pcap(*LOOKUP)))[0].startswith("too many addresses answer")

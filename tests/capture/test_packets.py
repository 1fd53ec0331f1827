"""Link and network layers: what is around a message does not matter, what is wrong is counted."""

from __future__ import annotations

import ipaddress
import struct

import pytest

import pcap_writer as writer
from pcap_writer import CLIENT, CLIENT6, Packet
from remnant.capture.pcap import PcapReader
from textlogs import counts, packed, quarantine, read, rows

READER = PcapReader()
ASKED = writer.query("c2.evil.test")
V4 = writer.ipv4(writer.udp(ASKED))
V6 = writer.ipv6(writer.udp(ASKED))
MACS = bytes.fromhex("020000000001020000000002")
PPPOE = bytes.fromhex("11000001") + struct.pack("!H", len(V4) + 2)


def told(*packets: Packet | bytes, link: int = writer.ETHERNET) -> tuple[list[int], list[str]]:
    batches = read(READER, writer.pcap(*packets, link=link))
    addresses = {packed(ipaddress.ip_address(text)) for text in (CLIENT, CLIENT6)}
    assert {got["address"] for got in rows(batches)} <= addresses
    return counts(batches), [reason for _, reason, _ in quarantine(batches)]


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (1, writer.ethernet(V4)),
        (1, writer.ethernet(V6)),
        (1, writer.ethernet(V4, 0x8100)),
        (1, writer.ethernet(V6, 0x88A8, 0x8100)),
        (1, writer.ethernet(V4, 0x9100, 0x8100, 0x8100)),
        (1, writer.ethernet(PPPOE + b"\0\x21" + V4, kind=0x8864)),
        (1, writer.ethernet(PPPOE + b"\0\x57" + V6, 0x8100, kind=0x8864)),
        (1, writer.ethernet(b"\0\1\0\x40\0\1\1\x40" + V4, kind=0x8847)),
        (1, MACS + struct.pack("!H", len(V4) + 8) + bytes.fromhex("aaaa030000000800") + V4),
        (113, bytes(14) + b"\x08\0" + V4),
        (113, bytes(14) + b"\x81\0\0\x0b\x86\xdd" + V6),
        (276, b"\x08\0" + bytes(18) + V4),
        (276, b"\x86\xdd" + bytes(18) + V6),
        (0, struct.pack("<I", 2) + V4),
        (0, struct.pack(">I", 30) + V6),
        (108, struct.pack(">I", 2) + V4),
        (101, V4),
        (101, V6),
        (12, V4),
        (14, V6),
        (228, V4),
        (229, V6),
        (9, b"\xff\x03\0\x21" + V4),
        (9, b"\x57" + V6),
        (50, b"\xff\x03\0\x57" + V6),
        (51, PPPOE + b"\0\x21" + V4),
        (104, b"\x0f\0\x08\0" + V4),
    ],
)
def test_link_types(link: int, frame: bytes) -> None:
    assert told(frame, link=link) == ([1, 0, 0, 0], [])
    # However much of the frame is there, it is read or counted.
    for kept in range(len(frame)):
        (messages, malformed, skipped, _), _ = told(Packet(frame, kept=kept), link=link)
        assert (messages, malformed + skipped) == (0, 1)


def test_ipv4_options_are_stepped_over() -> None:
    assert told(writer.ethernet(writer.ipv4(writer.udp(ASKED), options=bytes(40))))[0][0] == 1


@pytest.mark.parametrize(
    ("first", "headers"),
    [
        (0, bytes([17, 0]) + bytes(6)),
        (60, bytes([17, 1]) + bytes(14)),
        (43, bytes([17, 2]) + bytes(22)),
        (51, bytes([17, 4]) + bytes(22)),
        (0, bytes([60, 0]) + bytes(6) + bytes([44, 0]) + bytes(6) + bytes([17, 0]) + bytes(6)),
    ],
)
def test_ipv6_extension_headers_are_stepped_over(first: int, headers: bytes) -> None:
    packet = writer.ipv6(headers + writer.udp(ASKED), protocol=first)

    assert told(writer.ethernet(packet)) == ([1, 0, 0, 0], [])


def test_a_chain_of_extension_headers_ends() -> None:
    packet = writer.ipv6(bytes(8) * 100 + writer.udp(ASKED), protocol=0)

    assert told(writer.ethernet(packet)) == ([0, 0, 1, 0], [])


def test_lengths_of_zero_are_those_of_segments_not_cut_yet() -> None:
    tcp = writer.tcp(writer.prefixed(ASKED))
    assert told(writer.ethernet(writer.ipv4(tcp, protocol=6, total=0)))[0][0] == 1
    assert told(writer.ethernet(writer.ipv6(tcp, protocol=6, size=0)))[0][0] == 1


@pytest.mark.parametrize(
    "packet",
    [
        V4[:19],
        b"\x44" + V4[1:],
        b"\x4f" + V4[1:24],
        V6[:39],
        writer.ipv4(writer.udp(ASKED), total=12),
        writer.ipv6(writer.udp(ASKED)[:3]),
        writer.ipv6(b"\x11\x09" + bytes(10), protocol=0),
        writer.ipv4(writer.tcp(b"", options=bytes(4))[:20], protocol=6),
    ],
)
def test_headers_that_cannot_be(packet: bytes) -> None:
    assert told(packet, link=writer.RAW) == ([0, 1, 0, 0], ["packet"])


def test_an_ethernet_type_that_the_packet_contradicts() -> None:
    assert told(writer.ethernet(V6, kind=0x0800)) == ([0, 1, 0, 0], ["packet"])


def test_a_datagram_that_is_longer_than_its_packet_is_cut() -> None:
    long = bytearray(writer.udp(ASKED))
    long[4:6] = struct.pack("!H", len(long) + 40)

    assert told(writer.ethernet(writer.ipv4(bytes(long)))) == ([0, 1, 0, 0], ["truncated"])


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        MACS,
        writer.ethernet(b"", kind=0x0806),
        writer.ethernet(b"", kind=0x8864),
        writer.ethernet(b"\x05" * 40, kind=0x8847),
        writer.ethernet(writer.ipv4(bytes(20), protocol=47)),
        writer.ethernet(writer.ipv6(bytes(20), protocol=58)),
        writer.ethernet(writer.ipv6(bytes(20), protocol=50)),
    ],
)
def test_what_holds_no_dns_is_skipped(frame: bytes) -> None:
    assert told(frame) == ([0, 0, 1, 0], [])

"""Files of packets: both kinds, both byte orders, end to end, grown, damaged."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

import pcap_writer as writer
from pcap_writer import START_TIME, Packet
from remnant.capture.pcap import PcapReader
from remnant.capture.pcap_framing import is_capture
from textlogs import NOW, counts, quarantine, read, rows

READER = PcapReader()
ASKED = writer.query("c2.evil.test")
FRAME = writer.ethernet(writer.ipv4(writer.udp(ASKED)))
LATEST = int(NOW.timestamp() + 86_400) * 1_000_000


def times(data: bytes) -> list[datetime]:
    return [got["time"] for got in rows(read(READER, data))]


def when(micros: int = 0, seconds: int = 0) -> datetime:
    return datetime(2015, 4, 8, 0, 0, seconds, micros, tzinfo=UTC)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_both_byte_orders_and_both_units(order: str, nanoseconds: bool) -> None:
    packet = Packet(FRAME, START_TIME + 0.123456)
    data = writer.pcap(packet, packet, order=order, nanoseconds=nanoseconds)

    assert times(data) == [when(123_456)] * 2


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_modified_kind_has_longer_headers(order: str) -> None:
    assert times(writer.pcap(FRAME, FRAME, order=order, modified=True)) == [when()] * 2


def test_the_upper_half_of_the_link_type_is_not_the_link_type() -> None:
    data = writer.file_header(0x2400_0001) + writer.record(Packet(FRAME))

    assert times(data) == [when()]


def test_files_may_stand_end_to_end() -> None:
    files = [
        writer.pcap(FRAME),
        writer.pcap(FRAME, order=">", nanoseconds=True),
        writer.pcapng(FRAME),
        writer.pcap(writer.ipv4(writer.udp(ASKED)), link=writer.RAW),
        writer.pcapng(FRAME, order=">"),
        writer.pcap(FRAME, modified=True),
    ]
    batches = read(READER, b"".join(files))

    assert counts(batches) == [6, 0, 0, 0]
    offsets = [got["offset"] for got in rows(batches)]
    assert offsets == sorted(offsets)


def test_reading_on_after_damage() -> None:
    packets = [writer.record(Packet(FRAME, START_TIME + i)) for i in range(5)]
    bad = bytearray(packets[1])
    bad[8:12] = b"\xff\xff\xff\x7f"
    data = writer.file_header() + packets[0] + bytes(bad) + b"".join(packets[2:])
    batches = read(READER, data)

    assert counts(batches) == [4, 1, 0, 0]
    assert [got["time"].second for got in rows(batches)] == [0, 2, 3, 4]
    assert [bad[:2] for bad in quarantine(batches)] == [(24 + len(packets[0]), "framing")]


def test_reading_on_after_bytes_are_missing() -> None:
    packets = [writer.record(Packet(FRAME, START_TIME + i)) for i in range(6)]
    data = writer.file_header() + packets[0] + packets[1][:-13] + b"".join(packets[2:])
    batches = read(READER, data)

    # The second packet took its missing bytes from the third: neither can be read.
    assert [got["time"].second for got in rows(batches)] == [0, 3, 4, 5]
    assert counts(batches) == [4, 2, 0, 0]
    assert [reason for _, reason, _ in quarantine(batches)] == ["dns_name", "framing"]


def test_a_length_that_reaches_beyond_the_end_is_damage_if_packets_follow() -> None:
    packets = [writer.record(Packet(FRAME, START_TIME + i)) for i in range(5)]
    bad = bytearray(packets[1])
    bad[8:12] = struct.pack("<I", 200_000)
    data = writer.file_header() + packets[0] + bytes(bad) + b"".join(packets[2:])
    batches = read(READER, data)

    assert [got["time"].second for got in rows(batches)] == [0, 2, 3, 4]
    assert [bad[1] for bad in quarantine(batches)] == ["framing"]
    assert batches[-1].end == len(data)


def test_reading_on_after_damage_between_blocks() -> None:
    blocks = [writer.enhanced(Packet(FRAME, START_TIME + i)) for i in range(4)]
    bad = bytearray(blocks[1])
    bad[4:8] = b"\xfe\xff\xff\xff"
    data = writer.section() + writer.interface() + blocks[0] + bytes(bad) + blocks[2] + blocks[3]
    batches = read(READER, data)

    assert [got["time"].second for got in rows(batches)] == [0, 2, 3]
    assert counts(batches) == [3, 1, 0, 0]


def test_growing_captures_end_before_the_cut_packet() -> None:
    for make in (writer.pcap, writer.pcapng):
        whole, longer = make(FRAME), make(FRAME, FRAME)
        for length in range(len(whole) + 1, len(longer)):
            batches = read(READER, longer[:length])
            assert batches[-1].end == len(whole)
            assert counts(batches) == [1, 1, 0, 0]


def test_only_captures_are_recognised() -> None:
    heads: list[Any] = [writer.pcap(), writer.pcap(order=">"), writer.pcap(modified=True)]
    heads += [writer.pcapng(), writer.pcapng(order=">")]

    assert all(is_capture(head) for head in heads)
    assert not is_capture(b"")
    assert not is_capture(heads[0][:23])
    assert not is_capture(b"\n\r\r\n" + bytes(60))
    # A version that never was.
    assert not is_capture(heads[0][:4] + b"\7\0" + heads[0][6:])
    chance = np.random.default_rng(1)
    assert not any(is_capture(chance.bytes(64)) for _ in range(1000))

"""Blocks of pcapng: sections, interfaces and their clocks, packets."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pcap_writer as writer
from pcap_writer import START_TIME, Packet
from remnant.capture.pcap import PcapReader
from remnant.capture.pcapng_blocks import scaled_time
from textlogs import NOW, counts, notes, quarantine, read, rows

READER = PcapReader()
ASKED = writer.query("c2.evil.test")
FRAME = writer.ethernet(writer.ipv4(writer.udp(ASKED)))
LATEST = int(NOW.timestamp() + 86_400) * 1_000_000


def times(data: bytes) -> list[datetime]:
    return [got["time"] for got in rows(read(READER, data))]


def when(micros: int = 0, seconds: int = 0) -> datetime:
    return datetime(2015, 4, 8, 0, 0, seconds, micros, tzinfo=UTC)


@pytest.mark.parametrize("order", ["<", ">"])
def test_all_packet_blocks_of_pcapng(order: str) -> None:
    packet = Packet(FRAME, START_TIME + 1.5)
    data = writer.section(order) + writer.interface(order=order)
    data += writer.enhanced(packet, order=order)
    data += writer.old_packet(packet, order=order)
    data += writer.simple(packet, order=order)
    batches = read(READER, data)

    assert times(data) == [when(500_000, 1)] * 2
    # A simple packet has no time.
    assert counts(batches) == [3, 0, 0, 1]


def test_sections_have_their_own_order_and_interfaces() -> None:
    plain = writer.ipv4(writer.udp(ASKED))
    data = writer.section("<") + writer.interface(writer.RAW) + writer.interface()
    data += writer.enhanced(Packet(FRAME, START_TIME + 1), 1)
    data += writer.enhanced(Packet(plain, START_TIME + 2), 0)
    data += writer.section(">") + writer.interface(order=">")
    data += writer.enhanced(Packet(FRAME, START_TIME + 3), 0, order=">")
    # The second section has no second interface.
    data += writer.enhanced(Packet(FRAME, START_TIME + 4), 1, order=">")
    batches = read(READER, data)

    assert times(data) == [when(seconds=s) for s in (1, 2, 3)]
    assert counts(batches) == [3, 1, 0, 0]
    assert [reason for _, reason, _ in quarantine(batches)] == ["framing"]


def test_other_blocks_and_options_are_stepped_over() -> None:
    data = writer.section(options=writer.option(2, b"hardware") + writer.option(0, b""))
    data += writer.interface() + writer.block(0x0BAD, b"custom") + writer.block(4, bytes(40))
    data += writer.enhanced(Packet(FRAME)) + writer.block(10, b"secrets")

    assert counts(read(READER, data)) == [1, 0, 0, 0]


def test_what_a_capture_lost_is_told() -> None:
    def statistics(drops: int, number: int = 0) -> bytes:
        body = struct.pack("<3I", number, 0, 0)
        body += writer.option(5, struct.pack("<Q", drops)) + writer.option(7, struct.pack("<Q", 1))
        return writer.block(5, body + writer.option(0, b""))

    data = writer.pcapng(FRAME) + statistics(3) + statistics(5) + statistics(9, 7)
    data += writer.pcapng(FRAME) + statistics(1000)

    assert notes(read(READER, data)) == ["the capture says that it lost 1,007 packets"]
    assert notes(read(READER, writer.pcapng(FRAME) + statistics(-1 & (1 << 64) - 1))) == [
        "the capture says that it lost 1 packets"
    ]


@pytest.mark.parametrize(
    ("resolution", "stamp", "micros"),
    [
        (0, START_TIME, 0),
        (3, START_TIME * 1000 + 7, 7000),
        (6, START_TIME * 10**6 + 7, 7),
        (7, START_TIME * 10**7 + 79, 7),
        (9, START_TIME * 10**9 + 7999, 7),
        (0x80 | 0, START_TIME, 0),
        (0x80 | 10, START_TIME << 10 | 512, 500_000),
        (0x80 | 32, START_TIME << 32 | 1 << 31, 500_000),
    ],
)
def test_the_resolution_of_an_interface(resolution: int, stamp: int, micros: int) -> None:
    data = writer.section() + writer.interface(resolution=resolution)
    data += writer.enhanced(Packet(FRAME), stamp=stamp)

    assert times(data) == [when(micros)]


def test_the_offset_of_an_interface() -> None:
    data = writer.section() + writer.interface(offset=-3600)
    data += writer.enhanced(Packet(FRAME, START_TIME + 3600))

    assert times(data) == [when()]


@given(
    stamp=st.integers(0, (1 << 64) - 1),
    resolution=st.integers(0, 255),
    offset=st.integers(-(1 << 63), (1 << 63) - 1),
)
def test_times_are_exact_or_none(stamp: int, resolution: int, offset: int) -> None:
    power = resolution & 127
    unit = 2**power if resolution & 128 else 10**power
    exact = (stamp // unit + offset) * 1_000_000 + (stamp % unit) * 1_000_000 // unit
    got = int(scaled_time(stamp >> 32, stamp & 0xFFFFFFFF, resolution, offset, LATEST))

    first = 946_684_800_000_000
    if first <= exact <= LATEST and power < (64 if resolution & 128 else 20):
        # Beyond 2^-40 s the last microsecond may be rounded off.
        assert exact - got in {0, 1} if resolution & 128 and power > 40 else got == exact
    elif got != -1:
        assert first <= got <= LATEST


def test_a_packet_longer_than_its_block_is_one_record() -> None:
    bad = bytearray(writer.enhanced(Packet(FRAME)))
    bad[20:24] = struct.pack("<I", 60_000)
    data = writer.pcapng() + bytes(bad) + writer.enhanced(Packet(FRAME))

    assert counts(read(READER, data)) == [1, 1, 0, 0]

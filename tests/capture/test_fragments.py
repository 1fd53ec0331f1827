"""IP fragments: whole again in any order, and dropped where they contradict each other."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pcap_writer as writer
from pcap_writer import TCP, UDP, Packet
from remnant.capture.fragments import new_fragments
from remnant.capture.pcap import PcapReader
from textlogs import counts, quarantine, read, rows

READER = PcapReader()
ASKED = writer.query("a.rather.long.name.that.needs.fragments.evil.test")
WHOLE = writer.udp(ASKED)
PARTS = writer.fragments(WHOLE, 24)


def frame(packet: bytes, time: float = 0, kept: int | None = None) -> Packet:
    return Packet(packet, writer.START_TIME + time, kept)


def told(*packets: Packet) -> tuple[list[int], list[str]]:
    batches = read(READER, writer.pcap(*packets, link=writer.RAW))
    assert {got["name"] for got in rows(batches)} <= {
        "a.rather.long.name.that.needs.fragments.evil.test"
    }
    assert len(rows(batches)) == counts(batches)[0]
    return counts(batches), [reason for _, reason, _ in quarantine(batches)]


def fragment6(payload: bytes, at: int, *, more: bool, ident: int = 7) -> bytes:
    header = struct.pack("!BBHI", UDP, 0, at | more, ident)
    return writer.ipv6(header + payload, protocol=44)


def test_in_order() -> None:
    assert told(*map(frame, PARTS)) == ([1, 0, len(PARTS) - 1, 0], [])


@settings(max_examples=80, deadline=None)
@given(
    step=st.integers(1, 12),
    order=st.randoms(use_true_random=False),
    again=st.lists(st.integers(0, 1000), max_size=4),
)
def test_in_any_order_and_twice(step: int, order: Any, again: list[int]) -> None:
    parts = writer.fragments(WHOLE, 8 * step)
    packets = [*parts[:-1], *(parts[i % len(parts)] for i in again if i % len(parts) != 0)]
    order.shuffle(packets)
    (messages, malformed, _, _), _ = told(*map(frame, [*packets, parts[-1]]))

    # A copy may be a packet of its own; it never is a second whole one here.
    assert (messages, malformed) == (1, 0)


def test_ipv6() -> None:
    parts = [
        fragment6(WHOLE[at : at + 16], at, more=at + 16 < len(WHOLE))
        for at in range(0, len(WHOLE), 16)
    ]

    assert told(*map(frame, reversed(parts))) == ([1, 0, len(parts) - 1, 0], [])


def test_an_atomic_fragment_is_whole() -> None:
    assert told(frame(fragment6(WHOLE, 0, more=False))) == ([1, 0, 0, 0], [])


def test_tcp_in_fragments() -> None:
    inner = writer.tcp(writer.prefixed(ASKED), options=bytes(12))
    parts = writer.fragments(inner, 16)
    packets = [
        writer.ipv4(part[20:], protocol=TCP, ident=7, fragment=16 * i, more=i + 1 < len(parts))
        for i, part in enumerate(parts)
    ]

    assert told(*map(frame, packets)) == ([1, 0, len(parts) - 1, 0], [])


def test_two_packets_do_not_mix() -> None:
    other = writer.fragments(WHOLE, 24, ident=8)
    third = writer.fragments(WHOLE, 24, source="192.0.2.18")
    packets = [frame(p) for trio in zip(PARTS, other, third, strict=True) for p in trio]

    assert told(*packets)[0][:2] == [3, 0]


def test_a_number_may_come_again_at_once() -> None:
    assert told(*map(frame, PARTS * 3))[0][:2] == [3, 0]


@pytest.mark.parametrize(
    "bad",
    [
        # Overlaps with what is there, by a part.
        writer.ipv4(WHOLE[16:40], ident=7, fragment=16, more=True),
        # Ends after the end.
        writer.ipv4(bytes(80), ident=7, fragment=48, more=False),
        # Longer than any packet.
        writer.ipv4(bytes(400), ident=7, fragment=65_400, more=False),
        # Not a multiple of 8, and not the last.
        writer.ipv4(WHOLE[24:45], ident=7, fragment=24, more=True),
    ],
)
def test_fragments_that_contradict_each_other_are_dropped(bad: bytes) -> None:
    packets = [PARTS[0], PARTS[-1], bad, *PARTS[1:-1], PARTS[0]]

    assert told(*map(frame, packets)) == ([0, 1, len(packets) - 1, 0], ["fragment"])


def test_a_last_fragment_before_the_end_of_another_is_dropped() -> None:
    early = writer.ipv4(WHOLE[24:32], ident=7, fragment=24, more=False)

    assert told(frame(PARTS[0]), frame(PARTS[2]), frame(early))[1] == ["fragment"]


def test_half_a_packet_waits_thirty_seconds() -> None:
    late = [frame(part, 31) for part in PARTS]

    # The first half is lost; the same number begins a packet of its own.
    assert told(frame(PARTS[0]), *late) == ([1, 1, len(PARTS), 0], ["fragment"])


def test_other_ports_are_not_kept() -> None:
    parts = writer.fragments(writer.udp(ASKED, 40000, 443), 24)

    assert told(*map(frame, parts)) == ([0, 0, len(parts), 0], [])


def test_a_fragment_that_the_capture_cut() -> None:
    cut = frame(PARTS[0], kept=30)
    assert told(cut, *map(frame, PARTS[1:])) == ([0, 1, len(PARTS) - 1, 0], ["truncated"])
    later = [frame(PARTS[0]), frame(PARTS[1], kept=30), *map(frame, PARTS[2:])]
    assert told(*later) == ([0, 1, len(PARTS) - 1, 0], ["truncated"])
    # Without the first one, whether it is DNS is not known.
    assert told(*later[1:]) == ([0, 0, len(PARTS) - 1, 0], [])


def test_what_waits_is_bounded(monkeypatch: Any) -> None:
    from remnant.capture import fragments

    def small(seeds: tuple[int, int]) -> Any:
        return new_fragments(seeds, size=1 << 12, pages=700)

    monkeypatch.setattr(fragments, "new_fragments", small)
    halves = [writer.fragments(WHOLE, 24, ident=i) for i in range(1000)]
    packets = [frame(parts[0], i / 1000) for i, parts in enumerate(halves)]
    packets += [frame(part, 2) for parts in halves for part in parts[1:]]
    (messages, malformed, _, _), why = told(*packets)

    assert set(why) == {"fragment"}
    assert messages + malformed == 1000
    assert messages > 300


def test_a_flood_of_small_fragments_is_bounded_in_one_packet() -> None:
    packets = [
        frame(writer.ipv4(b"x" * 8, ident=7, fragment=8 * (i + 1), more=True)) for i in range(2000)
    ]

    assert told(*packets) == ([0, 0, 2000, 0], [])


@settings(max_examples=80, deadline=None)
@given(
    parts=st.lists(
        st.builds(
            lambda data, at, more, ident, kept: frame(
                writer.ipv4(data, ident=ident, fragment=8 * at, more=more), kept=kept
            ),
            st.binary(max_size=64) | st.just(WHOLE[:24]),
            st.integers(0, 12) | st.integers(0, 8191),
            st.booleans(),
            st.integers(1, 2),
            st.none() | st.integers(20, 60),
        ),
        max_size=20,
    ),
    chunk=st.integers(1, 100),
)
def test_whatever_comes_adds_up(parts: list[Packet], chunk: int) -> None:
    data = writer.pcap(*parts, link=writer.RAW)
    whole, cut = read(READER, data), read(READER, data, chunk=chunk)

    assert counts(whole) == counts(cut)
    assert quarantine(whole) == quarantine(cut)
    assert sum(counts(whole)[:3]) >= len(parts)

"""DNS over TCP: however a stream is cut, ordered and repeated, its messages are the same."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import pcap_writer as writer
from pcap_writer import ACK, CLIENT, FIN, RST, SERVER, SYN, Packet, prefixed
from remnant.capture.pcap import PcapReader
from remnant.capture.tcp_streams import new_streams
from textlogs import counts, quarantine, read, rows

READER = PcapReader()
ISN = 1000
NAMES = [f"n{i}.evil.test" for i in range(6)]
QUERIES = [writer.query(name, ident=i) for i, name in enumerate(NAMES)]
STREAM = b"".join(prefixed(message) for message in QUERIES)


def at(index: int) -> int:
    """Where the message with this number begins in STREAM."""
    return sum(len(prefixed(message)) for message in QUERIES[:index])


def segment(
    payload: bytes = b"",
    offset: int = 0,
    *,
    flags: int = ACK,
    isn: int = ISN,
    time: float = 0,
    kept: int | None = None,
    port: int = 40000,
) -> Packet:
    """Return a segment of a client; ``offset`` counts from the first byte of its data."""
    inner = writer.tcp(payload, port, seq=isn + 1 + offset, flags=flags)
    return Packet(
        writer.ethernet(writer.ipv4(inner, protocol=writer.TCP)), writer.START_TIME + time, kept
    )


def answer(
    payload: bytes = b"", *, ack: int = 0, seq: int = 1, flags: int = ACK, time: float = 0
) -> Packet:
    """Return a segment of the server; ``ack`` counts like the client's offsets."""
    inner = writer.tcp(payload, 53, 40000, seq=seq, ack=ISN + 1 + ack, flags=flags)
    frame = writer.ethernet(writer.ipv4(inner, SERVER, CLIENT, protocol=writer.TCP))
    return Packet(frame, writer.START_TIME + time)


def syn(isn: int = ISN, time: float = 0, port: int = 40000) -> Packet:
    return segment(offset=-1, flags=SYN, isn=isn, time=time, port=port)


def names(*packets: Packet) -> list[str]:
    return sorted(got["name"] for got in rows(read(READER, writer.pcap(*packets))))


def told(*packets: Packet) -> tuple[list[str], list[int], list[str]]:
    batches = read(READER, writer.pcap(*packets))
    found = sorted(got["name"] for got in rows(batches))
    return found, counts(batches), [reason for _, reason, _ in quarantine(batches)]


def test_messages_in_one_segment() -> None:
    assert told(syn(), segment(STREAM)) == (NAMES, [6, 0, 1, 0], [])


def test_a_message_in_many_segments() -> None:
    parts = [segment(STREAM[i : i + 1], i) for i in range(at(2))]

    assert told(syn(), *parts) == (NAMES[:2], [2, 0, 1 + at(2) - 2, 0], [])


def test_the_offset_of_a_message_is_its_own() -> None:
    batches = read(READER, writer.pcap(syn(), segment(STREAM)))
    data = writer.pcap(syn(), segment(STREAM))

    for got, message in zip(rows(batches), QUERIES, strict=True):
        place = data.index(message)
        assert got["offset"] == place + len(message) - 1


cuts = st.lists(st.integers(1, len(STREAM) - 1), max_size=12, unique=True).map(sorted)


@settings(max_examples=120, deadline=None)
@given(
    cuts=cuts,
    again=st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.integers(1, 80)), max_size=6),
    order=st.randoms(use_true_random=False),
    isn=st.sampled_from([ISN, 0, (1 << 32) - 1, (1 << 32) - 2, (1 << 32) - 60, (1 << 31) - 5]),
    late_syn=st.booleans(),
)
def test_cut_ordered_and_repeated_anyhow_it_is_the_same_stream(
    cuts: list[int], again: list[tuple[int, int]], order: Any, isn: int, late_syn: bool
) -> None:
    bounds = [0, *cuts, len(STREAM)]
    spans = [*pairwise(bounds), *((a, a + size) for a, size in again)]
    parts = [segment(STREAM[a:b], a, isn=isn) for a, b in spans]
    order.shuffle(parts)
    packets = [syn(isn), *parts, *([syn(isn)] if late_syn else [])]
    found, (messages, malformed, skipped, _), _ = told(*packets)

    assert found == NAMES
    assert (messages, malformed) == (6, 0)
    assert skipped <= len(packets)


@settings(max_examples=60, deadline=None)
@given(cuts=cuts, data=st.data())
def test_of_two_versions_of_bytes_the_first_stays(cuts: list[int], data: st.DataObject) -> None:
    # Whoever sends other bytes for a place later changes nothing that was there.
    bounds = [0, *cuts, len(STREAM)]
    packets = [syn()]
    for a, b in pairwise(bounds):
        packets.append(segment(STREAM[a:b], a))
        start = data.draw(st.integers(0, b - 1))
        packets.append(segment(b"\xff" * (b - start), start))

    assert names(*packets) == NAMES


def test_sequence_numbers_wrap() -> None:
    isn = (1 << 32) - 10
    parts = [segment(STREAM[i : i + 7], i, isn=isn) for i in range(0, len(STREAM), 7)]

    assert names(syn(isn), *parts) == NAMES


def test_data_in_the_syn() -> None:
    first = segment(STREAM[: at(1)], -1, flags=SYN)

    assert names(first, segment(STREAM[at(1) :], at(1))) == NAMES


def test_without_its_syn_a_stream_begins_with_its_first_message() -> None:
    assert names(segment(STREAM[: at(3)]), segment(STREAM[at(3) :], at(3))) == NAMES
    # The length in a segment of its own, as some clients send it.
    parts = [segment(STREAM[:2]), segment(STREAM[2 : at(1)], 2)]
    assert names(*parts) == NAMES[:1]


def test_without_its_syn_the_rest_of_a_message_is_skipped() -> None:
    packets = [segment(STREAM[9 : at(1)], 9), segment(STREAM[at(1) :], at(1))]

    assert told(*packets) == (NAMES[1:], [5, 0, 1, 0], [])


def test_what_is_no_dns_is_never_a_message() -> None:
    text = b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n"

    assert told(segment(text), segment(text, len(text))) == ([], [0, 0, 2, 0], [])


def test_a_wrong_guess_is_given_up() -> None:
    # Two bytes that may be a length, and then something else.
    junk = segment(b"\0\x0c" + bytes([255] * 4), 2)
    packets = [segment(b"\0\x14"), junk, segment(bytes([255] * 30), 8), segment(STREAM, 500)]

    # What looks like a response to port 53 is skipped.
    assert told(*packets) == (NAMES, [6, 0, 3, 0], [])


def test_lost_bytes_that_were_acknowledged_are_not_waited_for() -> None:
    packets = [
        syn(),
        segment(STREAM[: at(1) + 9]),
        # The rest of the second message is not in the capture.
        segment(STREAM[at(2) : at(4)], at(2)),
        answer(ack=at(4)),
        segment(STREAM[at(4) :], at(4)),
    ]

    expected = [NAMES[0], *NAMES[2:]]
    # The acknowledgement completes the two messages after the hole.
    assert told(*packets) == (expected, [5, 1, 2, 0], ["stream"])


def test_lost_bytes_are_waited_for_three_seconds() -> None:
    beyond = segment(STREAM[at(2) : at(3)], at(2))
    late = segment(STREAM[at(3) : at(4)], at(3), time=3.5)

    assert told(syn(), segment(STREAM[: at(1)]), beyond, late) == (
        [NAMES[0], *NAMES[2:4]],
        [3, 1, 2, 0],
        ["stream"],
    )
    missing = segment(STREAM[at(1) : at(2)], at(1), time=2.5)
    assert names(syn(), segment(STREAM[: at(1)]), beyond, missing, late) == NAMES[:4]


def test_after_a_hole_a_stream_goes_on_where_a_message_begins() -> None:
    packets = [
        syn(),
        segment(STREAM[at(1) + 5 : at(2)], at(1) + 5),
        segment(STREAM[at(2) :], at(2)),
        answer(ack=len(STREAM)),
    ]

    assert told(*packets) == (NAMES[2:], [4, 1, 3, 0], ["stream"])


def test_a_message_that_its_sender_does_not_finish_is_lost() -> None:
    for flags in (FIN | ACK, RST | ACK):
        end = segment(b"", at(1) + 9, flags=flags)
        assert told(syn(), segment(STREAM[: at(1) + 9]), end) == (
            NAMES[:1],
            [1, 1, 2, 0],
            ["stream"],
        )


def test_a_finished_stream_is_finished_once() -> None:
    end = segment(STREAM, 0, flags=FIN | ACK)

    assert told(syn(), end, end, end) == (NAMES, [6, 0, 3, 0], [])


def test_a_reset_far_away_is_not_believed() -> None:
    stray = segment(b"", 1 << 25, flags=RST)

    assert names(syn(), segment(STREAM[:9]), stray, segment(STREAM[9:], 9)) == NAMES


def test_ports_are_used_again() -> None:
    packets = [
        syn(),
        segment(STREAM, flags=FIN | ACK),
        syn(isn=5_000_000, time=1),
        segment(STREAM, isn=5_000_000, time=1),
        # Without a FIN in between, and close by the number of the last one.
        syn(isn=5_000_100, time=200),
        segment(STREAM, isn=5_000_100, time=200),
    ]

    assert names(*packets) == sorted(NAMES * 3)


def test_a_connection_after_another_without_its_syn() -> None:
    end = segment(STREAM, 0, flags=FIN | ACK)
    first = segment(STREAM[: at(1)], len(STREAM) + 1)

    assert names(syn(), end, first) == sorted([*NAMES, NAMES[0]])
    # What comes after the end does not end there.
    half = segment(STREAM[: at(1) + 30], len(STREAM) + 1)
    rest = segment(STREAM[at(1) + 30 :], len(STREAM) + 1 + at(1) + 30)
    assert names(syn(), end, half, rest) == sorted(NAMES * 2)


def test_two_connections_do_not_mix() -> None:
    packets = [syn(), syn(port=40001)]
    for i in range(0, len(STREAM), 11):
        packets += [segment(STREAM[i : i + 11], i), segment(STREAM[i : i + 11], i, port=40001)]

    assert names(*packets) == sorted(NAMES * 2)


def test_both_directions_are_read() -> None:
    answers = b"".join(prefixed(writer.response(message, 3)) for message in QUERIES)
    packets = [syn(), answer(flags=SYN | ACK, seq=0), segment(STREAM)]
    packets += [answer(answers[i : i + 50], seq=1 + i) for i in range(0, len(answers), 50)]
    batches = read(READER, writer.pcap(*packets))

    assert counts(batches)[0] == 12
    assert {got["rcode"] for got in rows(batches)} == {3}
    assert sorted(got["name"] for got in rows(batches)) == NAMES


def test_a_segment_that_the_capture_cut_breaks_its_stream() -> None:
    headers = 14 + 20 + 20
    part = segment(STREAM[: at(3)], kept=headers + at(1) + 5)
    rest = segment(STREAM[at(3) :], at(3))

    assert told(syn(), part, rest) == (
        [NAMES[0], *NAMES[3:]],
        [4, 1, 1, 0],
        ["truncated"],
    )


def test_a_message_that_cannot_be_read_does_not_stop_its_stream() -> None:
    stream = prefixed(QUERIES[0]) + prefixed(b"short") + prefixed(b"") + prefixed(QUERIES[1])

    assert told(syn(), segment(stream)) == (
        NAMES[:2],
        [2, 2, 1, 0],
        ["dns_header", "dns_header"],
    )


def test_the_longest_message() -> None:
    long = QUERIES[0] + bytes(65535 - len(QUERIES[0]))
    stream = prefixed(long) + prefixed(QUERIES[1])
    parts = [segment(stream[i : i + 1460], i) for i in range(0, len(stream), 1460)]

    assert names(syn(), *parts) == NAMES[:2]
    assert names(syn(), *reversed(parts)) == NAMES[:2]


def test_what_waits_is_bounded_in_one_stream() -> None:
    # Single bytes with holes between them: each needs a page.
    dust = [segment(b"x", 100 + 2 * i) for i in range(2000)]
    found, (messages, malformed, skipped, _), why = told(syn(), *dust, segment(STREAM, 10_000))

    assert (found, messages) == (NAMES, 6)
    assert set(why) == {"stream"}
    assert 0 < malformed < 20
    assert skipped == 2001


def test_what_waits_is_bounded_in_all_streams(monkeypatch: Any) -> None:
    from remnant.capture import tcp_streams

    def small(seeds: tuple[int, int]) -> Any:
        return new_streams(seeds, size=1 << 14, pages=512)

    monkeypatch.setattr(tcp_streams, "new_streams", small)
    # 900 streams that wait for the rest of a message; of room there is for 512.
    half = 20
    packets = [syn(port=1024 + i) for i in range(900)]
    packets += [segment(STREAM[:half], port=1024 + i, time=i / 100) for i in range(900)]
    for a, b in ((half, at(1)), (at(1), len(STREAM))):
        packets += [segment(STREAM[a:b], a, port=1024 + i, time=10) for i in range(900)]
    found, (messages, malformed, _, _), why = told(*packets)

    assert set(why) == {"stream"}
    # Of those given up, all but the message that had begun is read.
    assert len(found) == messages == 900 * 6 - malformed
    assert 350 < malformed < 600


@settings(max_examples=100, deadline=None)
@given(
    packets=st.lists(
        st.builds(
            segment,
            st.binary(max_size=40) | st.sampled_from([STREAM, STREAM[:20], STREAM[20:]]),
            st.integers(-50, 400) | st.integers(-(1 << 33), 1 << 33),
            flags=st.integers(0, 31),
            time=st.floats(0, 1000),
        )
        | st.builds(answer, st.binary(max_size=30), ack=st.integers(-9, 500)),
        max_size=20,
    ),
    chunk=st.integers(1, 200),
)
def test_whatever_comes_adds_up(packets: list[Packet], chunk: int) -> None:
    data = writer.pcap(*packets)
    whole, parts = read(READER, data), read(READER, data, chunk=chunk)

    assert counts(whole) == counts(parts)
    assert rows(whole) == rows(parts)
    assert sum(counts(whole)[:3]) >= len(packets)


def test_memory_is_what_the_tables_take() -> None:
    streams = new_streams((1, 2))
    size = sum(a.nbytes for a in streams if isinstance(a, np.ndarray))
    size += sum(a.nbytes for a in streams.pieces)

    assert size < 24 << 20

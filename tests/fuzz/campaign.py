"""Damaged streams and logs through the readers, in an interpreter whose kernels check bounds.

Run by ``test_bounds``: ``python campaign.py ROUNDS SEED``. What fails is printed with the input.
"""

from __future__ import annotations

import contextlib
import io
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dns.edns
import dns.message
import dns.rrset
import numpy as np

import dnstap_writer as writer
import pcap_writer
from remnant import wire
from remnant.capture import Reader, ReadOptions
from remnant.capture.dnstap import DnstapReader
from remnant.capture.pcap import PcapReader
from remnant.capture.readers import READERS
from remnant.capture.stream import ByteStream
from remnant.errors import FormatError
from remnant.watchlist import Rule, Watchlist
from samples import NFDUMP, SAMPLES, SHADOWSERVER

WATCHED = Watchlist.compile(
    [
        Rule("demo", "below", "*.test"),
        Rule("demo", "below", "*.evil.example"),
        Rule("demo", "exact", "c2.evil.test"),
        Rule("demo", "address", "192.0.2.0/24"),
        Rule("demo", "address", "::/0"),
        Rule("demo", "address", "198.51.100.0/24"),
        Rule("demo", "family", "family:beebone"),
    ]
)
OPTIONS = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC), year=2015)
LOGS: tuple[tuple[Reader, bytes], ...] = tuple(
    (READERS[sample.reader], sample.data) for sample in SAMPLES if sample.text
)


def frames() -> list[bytes]:
    """Return messages of every kind: compressed names, client subnets, answers, both families."""
    option = dns.edns.ECSOption("203.0.113.0", 24)
    asked = dns.message.make_query("c2.Evil.test", "A", use_edns=0, options=[option]).to_wire()
    other = dns.message.make_query("www.example", "A", use_edns=0)
    answer = dns.message.make_response(other)
    answer.answer.append(dns.rrset.from_text("www.example.", 60, "IN", "A", "192.0.2.1"))
    return [
        writer.message(5, asked),
        writer.message(6, writer.response(asked, 3)),
        writer.message(5, other.to_wire()),
        writer.message(6, answer.to_wire()),
        writer.message(1, asked, client="2001:db8::1", identity=None),
    ]


def damaged_stream(chance: random.Random, whole: list[bytes]) -> bytes:
    """Return a stream of frames with changed bytes, wrong lengths and a cut."""
    body = []
    for original in chance.choices(whole, k=chance.randrange(1, 8)):
        frame = bytearray(original)
        if chance.random() < 0.7:
            for _ in range(chance.randrange(1, 6)):
                byte = chance.choice([chance.randrange(256), 0, 255, 0xC0, 0x80])
                frame[chance.randrange(len(frame))] = byte
        size = chance.choice([len(frame), chance.randrange(1, 200)])
        body.append(writer.frame(bytes(frame[:size])))
    data = bytearray(b"".join(body))
    if chance.random() < 0.3:
        data[chance.randrange(len(data))] = chance.randrange(256)
    return writer.START + bytes(data[: chance.randrange(len(data) + 1)])


def damaged_log(chance: random.Random, log: bytes) -> bytes:
    """Return a log with changed, missing and added bytes; headers are left whole."""
    start = max(log.find(b"1428494400"), 0)
    if log in (SHADOWSERVER, NFDUMP):
        start = log.index(b"\n") + 1
    data = bytearray(log)
    for _ in range(chance.randrange(1, 12)):
        at = chance.randrange(start, len(data))
        data[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    if chance.random() < 0.25:
        data = data[: chance.randrange(start, len(data))]
    return bytes(data)


def packets() -> list[pcap_writer.Packet]:
    """Return packets of every kind: both versions of IP, UDP, TCP, fragments, tags."""
    asked = pcap_writer.query("c2.Evil.test")
    stream = pcap_writer.prefixed(asked) * 3
    inside = [
        pcap_writer.ipv4(pcap_writer.udp(asked)),
        pcap_writer.ipv6(pcap_writer.udp(pcap_writer.response(asked), 53, 40000)),
        pcap_writer.ipv6(bytes([17, 0]) + bytes(6) + pcap_writer.udp(asked), protocol=0),
        *pcap_writer.fragments(pcap_writer.udp(asked), 24),
        pcap_writer.ipv4(pcap_writer.tcp(b"", seq=9, flags=2), protocol=6),
        *(
            pcap_writer.ipv4(pcap_writer.tcp(stream[at : at + 30], seq=10 + at), protocol=6)
            for at in range(0, len(stream), 30)
        ),
    ]
    frames = [pcap_writer.ethernet(packet) for packet in inside]
    frames += [pcap_writer.ethernet(packet, 0x88A8, 0x8100) for packet in inside[:2]]
    return [pcap_writer.Packet(frame) for frame in frames]


def damaged_capture(chance: random.Random, whole: list[pcap_writer.Packet]) -> bytes:
    """Return a capture with packets in another order, changed bytes, wrong lengths and a cut."""
    chosen = whole if chance.random() < 0.4 else chance.choices(whole, k=chance.randrange(1, 12))
    kept = [
        pcap_writer.Packet(p.data, p.time, chance.randrange(len(p.data)))
        if chance.random() < 0.1
        else p
        for p in chosen
    ]
    order = chance.choice("<>")
    make = chance.choice([pcap_writer.pcap, pcap_writer.pcapng])
    data = bytearray(make(*kept, order=order))
    for _ in range(chance.choice([0, 1, 1, 2, 5, 20])):
        at = chance.randrange(24, len(data)) if len(data) > 24 else 24
        data[at : at + 1] = bytes([chance.choice([chance.randrange(256), 0, 255])])
    return bytes(data[: chance.choice([len(data), chance.randrange(24, len(data) + 1)])])


def read(reader: Reader, data: bytes, chunk: int) -> tuple[int, int]:
    """Return (records, rows); every row is checked to be valid Arrow."""
    records = rows = 0
    with (
        ByteStream(io.BytesIO(data), "fuzz", chunk=chunk) as stream,
        # A source whose first lines are of no known order is refused, which is an answer.
        contextlib.suppress(FormatError),
    ):
        for batch in reader.read(stream, WATCHED, OPTIONS):
            batch.queries.validate(full=True)
            records += batch.records
            rows += batch.queries.num_rows
            if batch.answers is not None:
                batch.answers.validate(full=True)
                rows += batch.answers.num_rows
    return records, rows


def main(rounds: int, seed: int) -> None:
    """Read damaged inputs, each format as often as any other."""
    try:
        wire.u16(np.zeros(1, np.uint8), 0)
    except IndexError:
        pass
    else:
        sys.exit("bounds are not checked")
    chance = random.Random(seed)
    whole = frames()
    captured = packets()
    totals: dict[str, list[int]] = {}
    for turn in range(rounds):
        reader: Reader
        kind = turn % (len(LOGS) + 2)
        if kind == 0:
            reader, data = DnstapReader(), damaged_stream(chance, whole)
        elif kind == 1:
            reader, data = PcapReader(), damaged_capture(chance, captured)
        else:
            reader, log = LOGS[kind - 2]
            data = damaged_log(chance, log)
        try:
            records, rows = read(reader, data, chance.choice([7, 64, 300, 1 << 16]))
        except BaseException:
            sys.stderr.write(f"{reader.name}, round {turn} of seed {seed}: {data!r}\n")
            raise
        total = totals.setdefault(reader.name, [0, 0])
        total[0] += records
        total[1] += rows
    # A campaign that reads nothing finds nothing.
    turns = rounds // (len(LOGS) + 2)
    if any(records < turns // 2 or rows < turns // 10 for records, rows in totals.values()):
        sys.exit(f"hardly anything was read: {totals}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

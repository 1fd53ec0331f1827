"""Damaged streams and logs through the readers, in an interpreter whose kernels check bounds.

Run by ``test_bounds``: ``python campaign.py ROUNDS SEED``. What fails is printed with the input.
"""

from __future__ import annotations

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
from capture.test_conformance import (
    BIND,
    COF,
    DNSDB,
    EVE_V1,
    EVE_V2,
    EVE_V3,
    PASSIVEDNS,
    ZEEK,
    ZEEK_JSON,
)
from remnant import wire
from remnant.capture import Reader, ReadOptions
from remnant.capture.bind import BindReader
from remnant.capture.cof import CofReader, DnsdbReader
from remnant.capture.dnstap import DnstapReader
from remnant.capture.passivedns import PassiveDnsReader
from remnant.capture.stream import ByteStream
from remnant.capture.suricata import SuricataReader
from remnant.capture.zeek import ZeekReader
from remnant.errors import FormatError
from remnant.watchlist import Rule, Watchlist

WATCHED = Watchlist.compile(
    [
        Rule("demo", "below", "*.test"),
        Rule("demo", "below", "*.evil.example"),
        Rule("demo", "exact", "c2.evil.test"),
        Rule("demo", "address", "192.0.2.0/24"),
        Rule("demo", "address", "::/0"),
    ]
)
OPTIONS = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC), year=2015)
LOGS: tuple[tuple[Reader, bytes], ...] = (
    (ZeekReader(), ZEEK),
    (ZeekReader(), ZEEK_JSON),
    (BindReader(), BIND),
    (SuricataReader(), EVE_V1 + EVE_V2 + EVE_V3),
    (CofReader(), COF),
    (DnsdbReader(), 3 * DNSDB),
    (PassiveDnsReader(), PASSIVEDNS),
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
    """Return a log with changed, missing and added bytes; the header of Zeek is left whole."""
    start = max(log.find(b"1428494400"), 0)
    data = bytearray(log)
    for _ in range(chance.randrange(1, 12)):
        at = chance.randrange(start, len(data))
        data[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    if chance.random() < 0.25:
        data = data[: chance.randrange(start, len(data))]
    return bytes(data)


def read(reader: Reader, data: bytes, chunk: int) -> tuple[int, int]:
    """Return (records read, rows of both kinds); every row is checked to be valid Arrow."""
    records = rows = 0
    with ByteStream(io.BytesIO(data), "fuzz", chunk=chunk) as stream:
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
    totals: dict[str, list[int]] = {}
    for turn in range(rounds):
        reader: Reader
        if turn % (len(LOGS) + 1) == 0:
            reader, data = DnstapReader(), damaged_stream(chance, whole)
        else:
            reader, log = LOGS[turn % (len(LOGS) + 1) - 1]
            data = damaged_log(chance, log)
        try:
            records, rows = read(reader, data, chance.choice([7, 64, 300, 1 << 16]))
        except FormatError:
            # A log that is wrong as a whole is refused before anything is read.
            continue
        except BaseException:
            sys.stderr.write(f"{reader.name}, round {turn} of seed {seed}: {data!r}\n")
            raise
        total = totals.setdefault(reader.name, [0, 0])
        total[0] += records
        total[1] += rows
    # A campaign that reads nothing finds nothing.
    if any(records < rounds // 8 or rows < rounds // 40 for records, rows in totals.values()):
        sys.exit(f"hardly anything was read: {totals}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

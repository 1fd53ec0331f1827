"""Damaged PowerDNS protobuf and C-DNS, in an interpreter whose kernels check bounds.

Run by ``test_structured``: ``python structured.py ROUNDS SEED``. What fails is printed with the
input.
"""

from __future__ import annotations

import io
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import cdns_writer
import powerdns_writer
from remnant import wire
from remnant.capture import Reader, ReadOptions
from remnant.capture.cdns import CdnsReader
from remnant.capture.powerdns import PowerDnsReader
from remnant.capture.stream import ByteStream
from remnant.errors import UnknownFormat
from remnant.watchlist import Rule, Watchlist

WATCHED = Watchlist.compile(
    [
        Rule("demo", "below", "*.test"),
        Rule("demo", "exact", "c2.evil.test"),
        Rule("demo", "address", "192.0.2.0/24"),
        Rule("demo", "address", "::/0"),
    ]
)
OPTIONS = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC))


def powerdns_messages() -> list[bytes]:
    """Return messages of every type, with records of every kind, policies and subnets."""
    record = powerdns_writer.record
    records = [
        record(b"c2.evil.test.", 5, b"x\\032\\.y.test."),
        record(b"c2.evil.test.", 1, b"\xc0\x00\x02\x01"),
        record(b"c2.evil.test.", 28, bytes(16)),
        record(b"c2.evil.test.", 16, b'"a\\"b" "\\001"'),
    ]
    long = b".".join([b"\\001" * 50] * 4) + b"."
    policy = powerdns_writer.policy()
    return [
        powerdns_writer.message(1, b"c2.Evil.test.", subnet=b"\xcb\x00\x71\x00"),
        powerdns_writer.message(2, b"c2.Evil.test.", records=records, applied=policy, rcode=3),
        powerdns_writer.message(1, long, client="2001:db8::1", port=None, identity=None),
        powerdns_writer.message(2, b"www.example.", records=records),
        powerdns_writer.message(4, b"www.example.", records=records, client=None),
    ]


def damaged_powerdns(chance: random.Random, whole: list[bytes]) -> bytes:
    """Return a stream of PowerDNS messages with changed bytes, wrong lengths and a cut."""
    width = chance.choice([2, 4])
    body = [powerdns_writer.stream(whole[0], width=width)]
    for original in chance.choices(whole, k=chance.randrange(1, 8)):
        message = bytearray(original)
        if chance.random() < 0.7:
            for _ in range(chance.randrange(1, 6)):
                byte = chance.choice([chance.randrange(256), 0, 255, 46, 92, 0x80])
                message[chance.randrange(len(message))] = byte
        framed = bytearray(powerdns_writer.stream(bytes(message), width=width))
        if chance.random() < 0.3:
            framed[chance.randrange(width)] = chance.randrange(256)
        body.append(bytes(framed))
    data = b"".join(body)
    return data[: chance.randrange(len(data) + 1)]


def cdns_block() -> cdns_writer.Block:
    """Return a block with all that a block can have."""
    block = cdns_writer.Block(ticks=5)
    section = block.section(
        block.record("c2.evil.test", "CNAME", "host.evil.test."),
        block.record("host.evil.test", "A", "192.0.2.1"),
        block.record("host.evil.test", "MX", "10 mail.test."),
    )
    option = bytes.fromhex("000800070001180" + "0cb0071")
    for i, name in enumerate(["c2.Evil.test", "www.example", None]):
        block.add(name, sections={1: section, 2: section}, offset=i, option=option, kind=i or None)
    block.add("www.example", client="2001:db8::1", halves=None, sections={1: section}, rcode=None)
    block.add_malformed(b"\x00not dns")
    block.statistics = {0: 9, 4: 1, 5: 2}
    block.events = [{0: 1, 2: 0, 3: 4}]
    return block


def damaged_cdns(chance: random.Random, block: cdns_writer.Block) -> bytes:
    """Return a file with changed, missing and added bytes in its blocks, or a cut."""
    value = block.value()
    if chance.random() < 0.3:
        value = cdns_writer.opened(value)
    sets = [cdns_writer.parameters(prefixes=(24, 48) if chance.random() < 0.2 else None)]
    whole = cdns_writer.file(value, value, sets=sets, indefinite=chance.random() < 0.5)
    start = whole.index(cdns_writer.cbor(value))
    data = bytearray(whole)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(start, len(data))
        if chance.random() < 0.7:
            data[at] = chance.choice([chance.randrange(256), 0, 24, 0xFF, 0x9F, 0x5B, 0xBB])
        else:
            data[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    if chance.random() < 0.2:
        data = data[: chance.randrange(len(data) + 1)]
    return bytes(data)


def read(reader: Reader, data: bytes, chunk: int) -> tuple[int, int]:
    """Return (records, rows); every row is checked to be valid Arrow."""
    records = rows = 0
    with ByteStream(io.BytesIO(data), "fuzz", chunk=chunk) as stream:
        try:
            for batch in reader.read(stream, WATCHED, OPTIONS):
                batch.queries.validate(full=True)
                if batch.answers is not None:
                    batch.answers.validate(full=True)
                counted = batch.counts.to_pylist()
                kinds = ("messages", "malformed", "skipped")
                if batch.records != sum(hour[kind] for hour in counted for kind in kinds):
                    raise AssertionError("the records do not add up")
                records += batch.records
                rows += batch.queries.num_rows
        except UnknownFormat:
            # Damage may leave nothing that is of the format, and that is said before all else.
            if records:
                raise
    return records, rows


def main(rounds: int, seed: int) -> None:
    """Read damaged inputs, each format as often as the other."""
    try:
        wire.u16(np.zeros(1, np.uint8), 0)
    except IndexError:
        pass
    else:
        sys.exit("bounds are not checked")
    chance = random.Random(seed)
    messages, block = powerdns_messages(), cdns_block()
    totals: dict[str, list[int]] = {}
    for turn in range(rounds):
        reader: Reader
        if turn % 2:
            reader, data = PowerDnsReader(), damaged_powerdns(chance, messages)
        else:
            reader, data = CdnsReader(), damaged_cdns(chance, block)
        try:
            records, rows = read(reader, data, chance.choice([7, 64, 300, 1 << 16]))
        except BaseException:
            sys.stderr.write(f"{reader.name}, round {turn} of seed {seed}: {data!r}\n")
            raise
        total = totals.setdefault(reader.name, [0, 0])
        total[0] += records
        total[1] += rows
    # A campaign that reads nothing finds nothing.
    if any(records < rounds or rows < rounds // 4 for records, rows in totals.values()):
        sys.exit(f"hardly anything was read: {totals}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

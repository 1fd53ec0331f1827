"""Cases and queries that the tests of the sinkhole share."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

from remnant.cases.casefile import loads
from remnant.cases.rules import compile_rules
from remnant.sinkhole.zones import Zone, served_zones

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = """
[case]
name = "many"
takedown = 2015-04-08

[[watch]]
names = [
  "ns1.timedate1.com", "timedate1.com", "*.deep.tree.example.org", "a.b.c.example.org",
  "*.thepicturehut.net", "x.thepicturehut.net", "sinkhole-ns1.thepicturehut.net",
]
state = "seized"

[[watch]]
names = ["*.inner.outer.net"]
zone = "inner.outer.net"

[[watch]]
names = ["outer.net", "c2.outer.net"]

[[watch]]
names = ["far.down.there.outer.net"]
zone = "there.outer.net"

[sinkhole]
addresses = ["192.0.2.53", "192.0.2.54", "2001:db8::53"]
ttl_arms = [60, 300]
null_mx = true
spf = true
caa = true
"""

OTHER = """
[case]
name = "other"
takedown = 2012-01-01

[[watch]]
names = ["other.test", "*.many.other.test", "ns1.timedate1.com"]

[sinkhole]
addresses = ["198.51.100.1"]
nameservers = ["ns1.sink.example", "here.other.test"]
contact = "abuse.desk@sink.example"
"""


def zones(*texts: str) -> list[Zone]:
    cases = [loads(text, "case.toml") for text in texts or (MANY, OTHER)]
    return served_zones(
        [(case, compile_rules(case)) for case in cases],
        now=0,
        serials={case.name: 2_000_000_000 + i for i, case in enumerate(cases)},
    )


NAMES = (
    "ns1.timedate1.com", "timedate1.com", "x.timedate1.com", "sinkhole-ns1.timedate1.com",
    "sinkhole-ns2.thepicturehut.net", "sinkhole-ns1.thepicturehut.net", "thepicturehut.net",
    "a.b.c.d.thepicturehut.net", "example.org", "tree.example.org", "deep.tree.example.org",
    "q.deep.tree.example.org", "c.example.org", "b.c.example.org", "a.b.c.example.org",
    "z.b.c.example.org", "outer.net", "inner.outer.net", "z.inner.outer.net", "there.outer.net",
    "down.there.outer.net", "far.down.there.outer.net", "nothing.outer.net", "c2.outer.net",
    "sinkhole-ns1.inner.outer.net", "other.test", "many.other.test", "z.many.other.test",
    "here.other.test", "com", ".", "example.com", "imedate1.com", "xtimedate1.com",
)  # fmt: skip
TYPES = (1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 43, 48, 64, 65, 99, 249, 250, 251, 252, 253, 255, 257)


def wire(name: str, random_case: random.Random | None = None) -> bytes:
    out = b""
    for label in name.strip(".").split("."):
        raw = label.encode()
        if random_case is not None:
            raw = bytes(
                b ^ 0x20 if chr(b).isalpha() and random_case.random() < 0.5 else b for b in raw
            )
        out += bytes([len(raw)]) + raw if raw else b""
    return out + b"\0"


def opt(options: bytes = b"", *, size: int = 1232, version: int = 0, flags: int = 0) -> bytes:
    return b"\0" + struct.pack("!HHBBHH", 41, size, 0, version, flags, len(options)) + options


def option(code: int, data: bytes) -> bytes:
    return struct.pack("!HH", code, len(data)) + data


def query(
    name: str,
    qtype: int = 1,
    *,
    qclass: int = 1,
    ident: int = 0x1234,
    flags: int = 0x0100,
    extra: bytes = b"",
    additional: int | None = None,
    random_case: random.Random | None = None,
) -> bytes:
    count = (1 if extra else 0) if additional is None else additional
    return (
        struct.pack("!HHHHHH", ident, flags, 1, 0, 0, count)
        + wire(name, random_case)
        + struct.pack("!HH", qtype, qclass)
        + extra
    )


def queries(seed: int, cookies: tuple[bytes, ...] = ()) -> Iterator[bytes]:
    """Yield queries of every shape without end: right ones, odd ones, broken ones."""
    rng = random.Random(seed)

    def some_option() -> bytes:
        kind = rng.randrange(8)
        if kind == 0:
            return option(3, b"")
        if kind == 1:
            return option(10, rng.randbytes(8))
        if kind == 2 and cookies:
            return option(10, rng.choice(cookies))
        if kind == 3:
            return option(10, rng.randbytes(rng.choice([0, 7, 16, 24, 40, 41])))
        if kind == 4:
            bits = rng.choice([0, 8, 20, 24, 32, 33])
            data = bytearray(rng.randbytes((bits + 7) // 8))
            if bits % 8 and rng.random() < 0.8:
                data[-1] &= 0xFF << (8 - bits % 8) & 0xFF
            scope = 0 if rng.random() < 0.9 else 24
            return option(
                8, struct.pack("!HBB", rng.choice([0, 1, 1, 1, 2, 3]), bits, scope) + data
            )
        if kind == 5:
            return option(8, struct.pack("!HBB", 2, 56, 0) + rng.randbytes(7))
        return option(rng.choice([0, 12, 15, 65001]), rng.randbytes(rng.randrange(20)))

    while True:
        parts = b"".join(some_option() for _ in range(rng.choice([0, 0, 1, 1, 2, 3])))
        extra = b""
        if rng.random() < 0.75:
            extra = opt(
                parts,
                size=rng.choice([0, 512, 600, 1232, 4096, 65535]),
                version=0 if rng.random() < 0.95 else rng.randrange(1, 256),
                flags=rng.choice([0, 0x8000, 0xFFFF]),
            )
        name = rng.choice(NAMES)
        if rng.random() < 0.1:
            name = f"{'a' * rng.randrange(1, 63)}.{name}"
        message = query(
            name,
            rng.choice(TYPES) if rng.random() < 0.9 else rng.randrange(65536),
            qclass=1 if rng.random() < 0.95 else rng.choice([0, 3, 4, 254, 255]),
            ident=rng.randrange(65536),
            flags=rng.choice([0, 0x0100, 0x0110, 0x0030, 0x0140])
            if rng.random() < 0.95
            else rng.randrange(65536),
            extra=extra,
            random_case=rng if rng.random() < 0.5 else None,
        )
        kind = rng.random()
        if kind < 0.08:
            broken = bytearray(message)
            for _ in range(rng.randrange(1, 4)):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            message = bytes(broken)
        elif kind < 0.12:
            message = message[: rng.randrange(len(message))]
        elif kind < 0.14:
            message += rng.randbytes(rng.randrange(1, 30))
        elif kind < 0.16:
            tsig = b"\0" + struct.pack("!HHIH", 250, 255, 0, 4) + b"abcd"
            counts = struct.unpack("!HHHH", message[4:12])
            message = message[:10] + struct.pack("!H", counts[3] + 1) + message[12:] + tsig
        elif kind < 0.18:
            message = struct.pack("!HHHHHH", rng.randrange(65536), 0, 0, 0, 0, 1) + (
                extra or opt(parts)
            )
        yield message

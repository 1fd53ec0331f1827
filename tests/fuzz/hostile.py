"""Messages that ask a sinkhole for much work or many bytes, and a case whose answers are long."""

from __future__ import annotations

import itertools
import struct

from remnant.sinkhole import fastpath
from served import opt, option, queries, query

MAX_SIZE = fastpath._QUERY_BYTES
LONG = ".".join(["s" * 63, "e" * 63, "r" * 63, "v" * 38])
WORST = f"""
[case]
name = "worst"
takedown = 2015-04-08

[[watch]]
names = ["*.worst.test", "{"y." * 117}worst.test"]

[sinkhole]
addresses = [{", ".join(f'"2001:db8::{i}"' for i in range(8))}]
nameservers = [{", ".join(f'"{LONG}.ns{i}.sink.example"' for i in range(8))}]
contact = "{"c" * 60}@{LONG[:128]}contact.example"
null_mx = true
"""
"""A case whose answers are as long as a case file allows."""


def seeds(seed: int, cookies: tuple[bytes, ...]) -> list[bytes]:
    """Return messages to begin with: of every shape, and those that ask for much work or bytes."""
    found = list(itertools.islice(queries(seed, cookies), 2500))
    deepest = "y." * 117 + "worst.test"
    for name in ("worst.test", deepest, "z" * 63 + ".worst.test", "timedate1.com", "other.test"):
        for qtype in (1, 2, 6, 15, 28, 255, 257):
            for extra in (
                b"", opt(), opt(size=65535, flags=0x8000),
                opt(option(3, b"") + option(10, b"c" * 8)),
                opt(option(3, b"") + option(8, b"\0\2\x80\0" + bytes(16)) + option(10, b"c" * 8)),
                *(opt(option(3, b"") + option(10, cookie)) for cookie in cookies),
            ):  # fmt: skip
                found.append(query(name, qtype, extra=extra))
    head = struct.pack("!6H", 7, 0, 1, 65535, 65535, 65535)
    asked = b"\x05worst\x04test\x00\x00\xff\x00\x01"
    pointer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 0)
    found += [
        head + asked + pointer * 330,
        head[:10] + struct.pack("!H", 330) + asked + pointer * 330,
        head + asked + b"\0" + struct.pack("!HHIH", 16, 1, 0, 4000) + bytes(4000),
        head + b"\xc0\x0c\x00\x01\x00\x01",
        head + b"\x3f" * 4000,
        head + b"\x01a" * 127 + b"\0\0\1\0\1",
        head[:6] + bytes(6) + b"\x01a" * 128 + b"\0\0\1\0\1",
        query("worst.test", 255, extra=opt(option(65001, bytes(3900)), size=65535)),
        query("worst.test", 255, extra=opt(option(3, b"") * 900, size=65535)),
        query("worst.test", 255, extra=opt(option(10, b"c" * 8) * 300, size=65535)),
        *(query("worst.test", 1, extra=opt() * n, additional=n) for n in (2, 30, 300)),
        *(bytes(size) for size in (0, 1, 11, 12, 13, 512, MAX_SIZE)),
        *(b"\xff" * size for size in (2, 12, 17, MAX_SIZE)),
    ]
    return [message for message in found if len(message) <= MAX_SIZE]

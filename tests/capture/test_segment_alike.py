"""Events that say the same are one kind, and no others are."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa

from remnant.capture.segment_alike import alike
from remnant.schema import EVENTS
from segment_writer import packed

WORDS = (b"", b"\0", b"\x01a\0", b"\x01A\0", b"\x07exactly\0", b"\x08eight888\0", b"\x40")


def row(name: bytes, **other: Any) -> dict[str, Any]:
    return {
        "time": 0,
        "address": packed("192.0.2.1"),
        "client_port": 1,
        "service_port": 53,
        "transport": 0,
        "proof": 1,
        "name": name,
        "limited": False,
        "unlisted": False,
        **other,
    }


def kinds(rows: list[dict[str, Any]]) -> list[int] | None:
    """The first event of each event's kind, looked at in a slice as readers may have one."""
    events = pa.RecordBatch.from_pylist([row(b"before"), *rows], schema=EVENTS.arrow).slice(1)
    names = [bytes(r["name"]) for r in rows]
    buffer = np.frombuffer(b"".join(names), np.uint8)
    spans = np.cumsum([0, *map(len, names)], dtype=np.int64)
    found = alike(events, buffer, spans)
    return None if found is None else found[1][found[0]].tolist()


def test_a_kind_is_a_name_a_destination_and_what_was_given() -> None:
    here, there = packed("198.51.100.1"), packed("198.51.100.2")
    rows = [
        row(b"\x01a\0"),
        row(b"\x01A\0"),
        row(b"\x01a\0", destination=here),
        row(b"\x01a\0", destination=there),
        row(b"\x01a\0", destination=bytes(16)),
        row(b"\x01a\0", ttl=0),
        row(b"\x01a\0", ttl=60),
        row(b"\x01a\0", unlisted=True),
    ]

    assert kinds(rows) == list(range(len(rows)))
    assert kinds(rows * 2) == list(range(len(rows))) * 2


def test_the_same_kind_is_found_among_many() -> None:
    rng = random.Random(1)
    names = [*WORDS, *(rng.randbytes(rng.randrange(40)) for _ in range(200))]
    rows = [row(rng.choice(names), ttl=rng.choice([None, 60])) for _ in range(9000)]
    first: dict[tuple[bytes, int | None], int] = {}
    for i, each in enumerate(rows):
        first.setdefault((each["name"], each["ttl"]), i)

    assert kinds(rows) == [first[each["name"], each["ttl"]] for each in rows]


def test_names_that_are_all_alone_are_not_looked_for() -> None:
    rows = [row(str(i).encode()) for i in range(5000)]

    assert kinds(rows) is None
    assert kinds(rows[:100]) == list(range(100))

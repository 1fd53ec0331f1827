"""Passive DNS: records read per CPU second beside Python's json and SQLite, and what look-ups take.

Generated record sets in the common output format, as a sensor of many resolvers would give them:
a few addresses and name servers hold very many names, most hold one; a tenth of the lines repeat a
record with other times. The baseline reads a part of the same file with ``json`` and keeps it in
SQLite with indexes on the name and the data, as home-made passive DNS stores do.

    python bench/passive_dns.py [RECORDS [FOLDER]]
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = 1_420_070_400  # 2015-01-01T00:00:00Z
PART = 500_000
BASELINE = 200_000
ASKED = 40


def lines(records: int) -> Iterator[pa.Array[Any]]:
    """Yield the lines, in arrays of at most PART strings."""
    for first in range(0, records, PART):
        yield _part(first, min(PART, records - first))


def _part(first: int, count: int) -> pa.Array[Any]:
    rng = np.random.default_rng([7, first])
    number = np.arange(first, first + count)
    again = rng.random(count) < 0.1
    number[again] = rng.integers(0, first + 1, int(again.sum()))
    kind = number * 2_654_435_761 % 100
    owner = _joined(_text(number * 48_271 % 16_777_213, "h"), _text(number // 3 % 700_000, "zone"))
    address = np.where(kind < 30, number % 2_000, number * 40_503 % (1 << 28)).astype(np.int64)
    four = _joined(
        *(
            pc.cast(pa.array((address + (1 << 24) >> shift) & 255), pa.string())
            for shift in (24, 16, 8)
        ),
        pc.cast(pa.array((address & 255)), pa.string()),
        by=".",
    )
    six = pc.binary_join_element_wise("2001:db8", _hex(address >> 16), "", _hex(address & 65_535), ":")
    server = _joined(_text(np.where(kind < 88, number % 300, number % 50_000), "ns"), "hosting")
    data = pc.if_else(
        pa.array(kind < 70), four, pc.if_else(pa.array(kind < 80), six, server)
    )
    types = pa.array(["A", "AAAA", "NS", "CNAME", "MX"]).take(
        pa.array(np.searchsorted([70, 80, 90, 97], kind, side="right"))
    )
    data = pc.if_else(pc.equal(types, "MX"), _pair("10 ", data), data)
    seen = START + rng.integers(0, 86_400 * 300, count)
    return pc.binary_join_element_wise(
        '{"count":', pc.cast(pa.array(rng.integers(1, 5000, count)), pa.string()),
        ',"time_first":', pc.cast(pa.array(seen), pa.string()),
        ',"time_last":', pc.cast(pa.array(seen + rng.integers(0, 86_400 * 60, count)), pa.string()),
        ',"rrname":"', owner, '","rrtype":"', types, '","rdata":["', data,
        '"],"sensor_id":"sensor', pc.cast(pa.array(number % 3), pa.string()), '"}\n',
        "",
    )  # fmt: skip


def _text(number: Any, word: str) -> Any:
    return pc.binary_join_element_wise(word, pc.cast(pa.array(number), pa.string()), "")


def _hex(number: Any) -> Any:
    return pa.array([f"{int(n):x}" for n in range(65_536)]).take(pa.array(number & 65_535))


def _joined(*labels: Any, by: str = ".") -> Any:
    last = () if by == "." and len(labels) == 4 else ("example",)
    return pc.binary_join_element_wise(*labels, *last, by)


def _pair(one: Any, two: Any) -> Any:
    return pc.binary_join_element_wise(one, two, "")


def write(path: Path, records: int) -> None:
    """Write the file."""
    with path.open("wb") as file:
        for part in lines(records):
            offsets = part.buffers()[1]
            last = np.frombuffer(offsets, np.int32)[len(part)]
            file.write(memoryview(part.buffers()[2])[:last])


if __name__ == "__main__":
    write(Path(sys.argv[2]), int(sys.argv[1]))

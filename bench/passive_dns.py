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
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.capture import ReadOptions
from remnant.capture.cof import CofReader
from remnant.capture.stream import ByteStream
from remnant.collate.ingest import ingest_source
from remnant.infrastructure.passive_dns import UNASSIGNED, lookup
from remnant.settings import Settings
from remnant.store import Store
from remnant.watchlist import Watchlist

if TYPE_CHECKING:
    from collections.abc import Iterator

START = 1_420_070_400  # 2015-01-01T00:00:00Z
PART = 500_000
BASELINE = 200_000
ASKED = 40
WARM = 100_000


def lines(records: int) -> Iterator[Any]:
    """Yield the lines, in arrays of at most PART strings."""
    for first in range(0, records, PART):
        yield _part(first, min(PART, records - first))


def _part(first: int, count: int) -> Any:
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
        pc.cast(pa.array(address & 255), pa.string()),
        by=".",
    )
    six = pc.binary_join_element_wise(
        "2001:db8", _hex(address >> 16), "", _hex(address & 65_535), ":"
    )
    server = _joined(_text(np.where(kind < 88, number % 300, number % 50_000), "ns"), "hosting")
    data = pc.if_else(pa.array(kind < 70), four, pc.if_else(pa.array(kind < 80), six, server))
    every: Any = pa.array(["A", "AAAA", "NS", "CNAME", "MX"])
    types: Any = every.take(pa.array(np.searchsorted([70, 80, 90, 97], kind, side="right")))
    is_mail: Any = pc.equal(types, pa.scalar("MX"))
    data = pc.if_else(is_mail, _pair("10 ", data), data)
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


def taken(home: Path, path: Path, records: int) -> None:
    """Import the file, put it in order, and print what that took."""
    with Store.open(settings_of(home), write=True) as store:
        options = ReadOptions(now=datetime.now(tz=UTC), answers="all")
        with path.open("rb") as file, ByteStream(file, str(path)) as stream:
            started = time.process_time()
            ingest_source(
                stream, CofReader(), store, Watchlist.compile([]), options, cases=(UNASSIGNED,)
            )
            spent = time.process_time() - started
        print(f"import      {records / spent:12,.0f} records per CPU second")
        started = time.process_time()
        store.settle()
        spent = time.process_time() - started
        print(f"in order    {records / spent:12,.0f} records per CPU second")


def baseline(home: Path, path: Path) -> None:
    """Keep a part of the file in SQLite and print the rate."""
    started = time.process_time()
    connection = sqlite3.connect(home / "baseline.sqlite")
    connection.execute(
        "create table a (n text, t text, d text, s text, f int, l int, c int, "
        "primary key (n, t, d, s))"
    )
    connection.execute("create index by_data on a (d)")
    with path.open("rb") as file:
        rows = (json.loads(line) for line, _ in zip(file, range(BASELINE), strict=False))
        connection.executemany(
            "insert into a values (?, ?, ?, ?, ?, ?, ?) on conflict do update set "
            "f = min(f, excluded.f), l = max(l, excluded.l), c = c + excluded.c",
            (
                (
                    r["rrname"],
                    r["rrtype"],
                    d,
                    r["sensor_id"],
                    r["time_first"],
                    r["time_last"],
                    r["count"],
                )
                for r in rows
                for d in r["rdata"]
            ),
        )
    connection.commit()
    spent = time.process_time() - started
    print(f"json+sqlite {BASELINE / spent:12,.0f} records per CPU second, of {BASELINE:,}")


def asked(home: Path) -> None:
    """Print how long look-ups of each kind take."""
    rng = np.random.default_rng(9)
    numbers = [int(n) for n in rng.integers(0, 1_000_000, ASKED)]
    kinds: dict[str, tuple[list[str], dict[str, Any]]] = {
        "name": (
            [f"h{n * 48_271 % 16_777_213}.zone{n // 3 % 700_000}.example" for n in numbers],
            {},
        ),
        "suffix": ([f"*.zone{n // 3}.example" for n in numbers], {}),
        "address": ([str(ip_address((1 << 24) + n * 40_503 % (1 << 28))) for n in numbers], {}),
        "network": ([f"{ip_address((1 << 24) + n * 256)}/24" for n in numbers], {}),
        "server": ([f"ns{300 + n % 40_000}.hosting.example" for n in numbers], {"server": True}),
    }
    for kind, (questions, more) in kinds.items():
        times = []
        for question in [
            "warm.up.example" if kind in {"name", "server"} else questions[0],
            *questions,
        ]:
            with Store.open(settings_of(home)) as store:
                started = time.monotonic()
                lookup(store, question, **more)
                times.append(1000 * (time.monotonic() - started))
        spread = statistics.quantiles(times[1:], n=20)
        print(
            f"{kind:11} p50 {spread[9]:7.1f} ms  p95 {spread[18]:7.1f} ms  first {times[0]:7.1f} ms"
        )


def settings_of(home: Path) -> Settings:
    """Return the settings of the bench's own home."""
    return Settings(home=home, site_key=home / "site.key")


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        place = Path(folder)
        write(place / "records.jsonl", count)
        # So many that they are put in order: the kernels of that get compiled, too.
        write(place / "warm.jsonl", WARM)
        (place / "warm").mkdir()
        (place / "home").mkdir()
        taken(place / "warm", place / "warm.jsonl", WARM)
        print(f"{count:,} records")
        taken(place / "home", place / "records.jsonl", count)
        baseline(place, place / "records.jsonl")
        asked(place / "home")

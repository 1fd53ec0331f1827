"""A whole ``remnant report`` on 50 million stored sightings: wall clock, CPU and peak memory.

The sightings are made up: 98 days of 510,000 rows, 300,000 clients of 2,000 networks in 40
countries, 60 names, and days on which a fifth of the clients are active. They go into the store
as an ingest writes them, with clients, coverage, the source's record and the roll-ups. Then
``report`` and the largest ``traffic`` questions run as processes of their own.

    python bench/report_50m.py [DAYS] [ROWS_A_DAY] [--keep FOLDER]

The goal is 60 seconds of wall clock and 4 GiB for each, on two cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from remnant import schema
from remnant.cases.library import Library
from remnant.cases.rules import compile_rules
from remnant.settings import load
from remnant.store import Prefix, SourceRecord, Store
from remnant.watchlist import Watchlist

pa: Any = pyarrow  # its published types do not know arrays of NumPy numbers

CASE = "beebone"
START = datetime(2015, 4, 9, tzinfo=UTC)
CLIENTS, NETWORKS, COUNTRIES, NAMES = 300_000, 2_000, 40, 60
ACTIVE = CLIENTS // 5
SOURCE = "0" * 32
COMMANDS = (
    ("report", CASE, "-o", "report.html"),
    ("traffic", CASE, "--by", "name"),
    ("traffic", CASE, "--by", "network"),
    ("traffic", CASE, "--by", "week"),
    ("measure", CASE),
    ("clients", CASE),
)


def word(codes: Any, words: list[str]) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(words))


def same(value: str, rows: int) -> Any:
    return word(np.zeros(rows, np.int32), [value])


class World:
    """The clients, and what they ask."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.key = rng.integers(-(2**62), 2**62, CLIENTS)
        # A few networks hold most clients, and a few clients ask most.
        self.network = np.minimum(rng.zipf(1.3, CLIENTS), NETWORKS) - 1
        self.country = self.network % COUNTRIES
        self.eager = rng.exponential(size=CLIENTS)
        self.countries = [chr(65 + i // 26) + chr(65 + i % 26) for i in range(COUNTRIES)]
        self.names = [f"ns1.timedate{i}.com" for i in range(NAMES)]
        self.address = pa.array([f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(CLIENTS)])

    def day(self, number: int, rows: int) -> tuple[pa.Table, pa.Table]:
        """Return the sightings and the clients of one day."""
        rng = np.random.default_rng((2, number))
        active = rng.choice(CLIENTS, ACTIVE, replace=False)
        active = active[: round(ACTIVE * 0.5 ** (number / 200))]
        share = np.cumsum(self.eager[active])
        who = active[np.searchsorted(share, rng.random(rows) * share[-1])]
        start = int((START + timedelta(days=number)).timestamp()) * 1_000_000
        at = np.sort(rng.integers(0, 86_400_000_000, rows)) + start
        sightings = pa.table(
            {
                "time": pa.array(at).cast(schema.TIME),
                "sensor": word(self.network[who] % 2, ["one", "two"]),
                "vantage": same("resolver", rows),
                "client": self.key[who],
                "unit": same("ipv4", rows),
                "asn": pa.array(self.network[who] + 64_512),
                "country": word(self.country[who], self.countries),
                "client_port": pa.array(rng.integers(1024, 65_536, rows), pa.uint16()),
                "service_port": pa.array(np.full(rows, 53), pa.uint16()),
                "transport": same("udp", rows),
                "name": pa.array(self.names).take(pa.array(rng.integers(0, NAMES, rows))),
                "qtype": pa.array(np.ones(rows), pa.uint16()),
                "rcode": pa.array(np.zeros(rows), pa.int16()),
                "indicator": same("timedate1.com", rows),
                "proof": same("dns_udp", rows),
                "weight": pa.array(np.ones(rows, np.int64)),
                "limited": pa.array(np.zeros(rows, np.bool_)),
                "source": same(SOURCE, rows),
            }
        )
        unique, first, back, queries = np.unique(
            who, return_index=True, return_inverse=True, return_counts=True
        )
        last = np.zeros(len(unique), np.int64)
        last[back] = at
        count = len(unique)
        clients = pa.table(
            {
                "client": self.key[unique],
                "unit": same("ipv4", count),
                "address": self.address.take(pa.array(unique)),
                "asn": pa.array(self.network[unique] + 64_512),
                "as_name": pa.array([f"Network {i}" for i in range(NETWORKS)]).take(
                    pa.array(self.network[unique])
                ),
                "country": word(self.country[unique], self.countries),
                "first_time": pa.array(at[first]).cast(schema.TIME),
                "last_time": pa.array(last).cast(schema.TIME),
                "queries": queries,
                "as_of": pa.array(["2015-04-01"]).take(pa.array(np.zeros(count, np.int32))),
                "source": same(SOURCE, count),
                "sensor": word(self.network[unique] % 2, ["one", "two"]),
                "vantage": same("resolver", count),
            }
        )
        return sightings, clients


def coverage(days: int, rows: int) -> pa.Table:
    """Return every hour of two sensors, in which one message in a hundred is for a watched name."""
    hours = np.repeat(np.arange(days * 24, dtype=np.int64), 2)
    start = int(START.timestamp()) * 1_000_000 + hours * 3_600_000_000
    count = len(hours)
    matched = np.full(count, rows // 48, np.int64)
    zero = np.zeros(count, np.int64)
    return pa.table(
        {
            "source": same(SOURCE, count),
            "sensor": word(np.arange(count) % 2, ["one", "two"]),
            "vantage": same("resolver", count),
            "hour": pa.array(start).cast(schema.TIME),
            "messages": matched * 200,
            "matched": matched,
            "malformed": zero,
            "skipped": zero,
            "lost": zero,
            "first_time": pa.array(start).cast(schema.TIME),
            "last_time": pa.array(start + 3_599_000_000).cast(schema.TIME),
            "clock_faults": zero,
        }
    )


def fill(home: Path, days: int, rows: int) -> None:
    """Write the made-up traffic into the store of a new home folder."""
    settings = load(home)
    rules = Watchlist.compile(compile_rules(Library(home).get(CASE)))
    world = World()
    until = START + timedelta(days=days)
    messages = days * rows * 200
    record = SourceRecord(
        id=SOURCE,
        case=CASE,
        path="made-up",
        format="dnstap",
        reading="",
        sensor=None,
        vantage="resolver",
        watchlist=rules.digest(CASE),
        digest=SOURCE,
        bytes=messages * 100,
        start=0,
        complete=True,
        records=messages,
        messages=messages,
        query_messages=messages // 2,
        matched=days * rows,
        malformed=0,
        skipped=0,
        clock_faults=0,
        first=START,
        last=until,
        read_at=until,
        simulated=False,
    )
    with Store.open(settings, write=True) as store:
        for number in range(days):
            day = (START + timedelta(days=number)).date().isoformat()
            sightings, clients = world.day(number, rows)
            with store.change() as change:
                change.write(schema.SIGHTINGS, CASE, day, sightings, [SOURCE])
                change.write(schema.CLIENTS, CASE, day, clients, [SOURCE])
                if not number:
                    change.write(schema.COVERAGE, CASE, None, coverage(days, rows), [SOURCE])
                    change.put_source(record, Prefix(SOURCE, messages * 100, SOURCE, SOURCE))
                change.commit()


def timed(home: Path, command: tuple[str, ...]) -> tuple[float, float, float, int]:
    """Return wall and CPU seconds, peak memory in GiB and the exit code of one process."""
    begun = time.perf_counter()
    child = os.fork()
    if not child:
        os.chdir(home)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        program = [sys.executable, "-m", "remnant", "--home", str(home), *command]
        os.execv(program[0], program)
    _, status, usage = os.wait4(child, 0)
    return (
        time.perf_counter() - begun,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024**2,
        os.waitstatus_to_exitcode(status),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("days", nargs="?", type=int, default=98)
    parser.add_argument("rows", nargs="?", type=int, default=510_000)
    parser.add_argument("--keep", type=Path, help="use this home folder, and leave it there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.keep or Path(temporary)
        if not (home / "state.sqlite").exists():
            home.mkdir(parents=True, exist_ok=True)
            begun = time.perf_counter()
            fill(home, options.days, options.rows)
            print(
                f"{options.days * options.rows:,} sightings in {time.perf_counter() - begun:.0f} s"
            )
        for command in COMMANDS:
            wall, cpu, memory, code = timed(home, command)
            print(
                f"{' '.join(command):32} {wall:6.1f} s wall {cpu:6.1f} s CPU {memory:5.2f} GiB"
                + (f"  exit {code}" if code else ""),
                flush=True,
            )


if __name__ == "__main__":
    main()

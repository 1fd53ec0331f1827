"""How long the names of a day of each family take, and those of a year of newGOZ.

``python bench/dga.py``: wall and processor time of ``remnant case dga`` as a process of its own,
start-up included, the best of three; and of compiling a year of newGOZ and matching queries against
it. On a machine that is busy otherwise, only the processor time says something. Goals: a day of any
family under 1 s, a year of newGOZ under 5 s.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from remnant.cases.casefile import loads
from remnant.cases.dga import FAMILIES, generate
from remnant.cases.rules import compile_rules
from remnant.collate.clients import Clients
from remnant.collate.pseudonym import SiteKey
from remnant.collate.sightings import Matcher
from remnant.schema import QUERIES
from remnant.watchlist import Watchlist

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = "2015-08-28"
QUERIES_A_BATCH = 200_000


def printed(family: str, first: str, last: str) -> str:
    """Return the wall and processor seconds of the command, each the least of three runs."""
    words = ["case", "dga", family, "--from", first, "--until", last]
    walls, cpus = [], []
    for _ in range(3):
        start, before = time.perf_counter(), os.times()
        subprocess.run(
            [sys.executable, "-m", "remnant", *words], check=True, stdout=subprocess.DEVNULL
        )
        after = os.times()
        walls.append(time.perf_counter() - start)
        cpus.append(sum(after[2:4]) - sum(before[2:4]))
    return f"{min(walls):5.2f} wall {min(cpus):5.2f} cpu"


def best(run: Callable[[], object], times: int = 3) -> float:
    """Return the seconds of the fastest of some runs."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def batch(watchlist: Watchlist, *, late: bool) -> pa.RecordBatch:
    """Return queries for the names of one day, on that day or a week later."""
    names = generate("newgoz", date(2015, 4, 8))
    rule = {entry.text: index for index, entry in enumerate(watchlist.rules)}
    entry = np.empty(len(watchlist.rules), np.int32)
    entry[watchlist.entry_rules] = np.repeat(
        np.arange(watchlist.specificity.size), np.diff(watchlist.entry_offsets)
    )
    when = 1_428_451_200_000_000 + late * 7 * 86_400_000_000
    numbers = np.arange(QUERIES_A_BATCH)
    of_names = np.array([entry[rule[name]] for name in names])
    columns = {
        "time": pa.array(when + numbers),
        "offset": pa.array(numbers * 100),
        "response": pa.array(np.zeros(numbers.size, np.bool_)),
        "address": pa.array([bytes(10) + b"\xff\xff\xc0\0\2\1"] * numbers.size, pa.binary(16)),
        "name": pa.array(names).take(numbers % len(names)),
        "entry": pa.array(of_names[numbers % len(names)]),
        "weight": pa.array(np.ones(numbers.size, np.int64)),
    }
    table = []
    for field in QUERIES.arrow:
        column = columns.get(field.name, pa.nulls(numbers.size, field.type))
        table.append(column.cast(field.type))
    return pa.RecordBatch.from_arrays(table, schema=QUERIES.arrow)


def main() -> None:
    """Print the table."""
    print(f"{'family':20} {'names':>6}  seconds")
    for name, family in FAMILIES.items():
        if family.checked:
            print(f"{name:20} {family.per_day:6,}  {printed(name, DAY, DAY)}", flush=True)
    year = printed("newgoz", "2015-01-01", "2015-12-31")
    print(f"a year of newgoz, printed: {year}", flush=True)
    case = loads(
        'case = {name = "x", takedown = 2015-01-01}\n'
        'watch = [{dga = "newgoz", from = 2015-01-01, until = 2015-12-31}]\n',
        "x.toml",
    )
    rules = compile_rules(case)
    print(f"a year of newgoz, {len(rules):,} rules: {best(lambda: compile_rules(case), 1):.2f} s")
    watchlist = Watchlist.compile(rules)
    print(f"its watchlist: {best(lambda: Watchlist.compile(rules), 1):.2f} s")
    print(f"its tables: {best(lambda: watchlist.tables, 1):.2f} s")
    key = SiteKey(b"k" * 16)
    for words, late in (("inside its dates", False), ("outside of them", True)):
        queries = batch(watchlist, late=late)
        matcher = Matcher(watchlist, Clients(key, None), key, None)
        taken = best(partial(matcher.rows, queries))
        print(
            f"rows of {QUERIES_A_BATCH:,} queries {words}: {QUERIES_A_BATCH / taken / 1e6:.1f} M/s"
        )


if __name__ == "__main__":
    main()

"""CPU that it takes to keep a row of the sinkhole: to write it to a segment, and to store it.

Three shapes of traffic, each in frames of 60,000 rows: few names and few clients; 50,000 clients;
60,000 names that the case does not list. Then the keeper's CPU in a second with nothing to do, and
with ten queries.

    python bench/sink_keeper.py [ROUNDS]
"""

from __future__ import annotations

import dataclasses
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from remnant.cases.library import built_in
from remnant.cases.rules import compile_rules
from remnant.names import text_to_wire
from remnant.settings import load
from remnant.sinkhole import fastpath
from remnant.sinkhole.events import Counts
from remnant.sinkhole.keeper import Keeper
from remnant.sinkhole.recorder import CaseFacts, Recorder
from remnant.sinkhole.udp_worker import events_of
from remnant.watchlist import digest_of

if TYPE_CHECKING:
    import pyarrow as pa

CASE = "beebone"
ROWS = 60_000
FRAMES = 2
SHAPES = ("few names, few clients", "50,000 clients", "60,000 names")


def cpu() -> float:
    """Return the CPU seconds that this process used, in user mode and in the kernel."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def events(shape: str, rows: int) -> pa.RecordBatch:
    """Return events of one shape, as the UDP worker hands them over."""
    rng = np.random.default_rng(1)
    choose = random.Random(1)  # noqa: S311 - the same rows each time
    names = [n.removeprefix("*.") for w in built_in(CASE).watches for n in w.names]
    if shape == SHAPES[2]:
        wire = [text_to_wire(f"x{i:x}.{choose.choice(names)}") for i in range(rows)]
    else:
        wire = [text_to_wire(choose.choice(names)) for _ in range(rows)]
    columns = fastpath.new_columns()
    columns.time[:rows] = time.time_ns() // 1000 - rows + np.arange(rows)
    clients = 50_000 if shape == SHAPES[1] else 500
    client = rng.integers(0, clients, rows)
    columns.address[:rows, 10:12] = 255
    columns.address[:rows, 12] = 10
    columns.address[:rows, 13:] = client.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
    columns.client_port[:rows] = rng.integers(1024, 65536, rows)
    columns.qtype[:rows] = rng.choice([1, 1, 1, 28], rows)
    columns.ttl[:rows] = 60
    columns.service_port[:rows] = 53
    columns.unlisted[:rows] = shape == SHAPES[2]
    whole = np.frombuffer(b"".join(wire), np.uint8)
    columns.names[: whole.size] = whole
    columns.name_offsets[1 : rows + 1] = np.cumsum([len(name) for name in wire])
    columns.used[:] = [rows, whole.size, 0]
    return events_of(columns)


def main() -> None:
    """Print nanoseconds of CPU a row, the best round of several."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rules = compile_rules(built_in(CASE))
    facts = CaseFacts(digest_of(rules, CASE), (60,), ())
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        settings = dataclasses.replace(load(home), home=home, site_key=home / "k", database=None)
        recorder = Recorder(
            home / "sinkhole", sensor="s", cases={CASE: facts}, memberships=[(CASE,)], worker="w"
        )
        keeper = Keeper(settings, lambda _: rules)
        owner = np.zeros(ROWS, np.int32)
        for shape in SHAPES:
            batch = events(shape, ROWS)
            kept, stored = [], []
            for _ in range(rounds + 1):
                before = cpu()
                for _ in range(FRAMES):
                    recorder.add(batch, owner, Counts(messages=ROWS))
                kept.append((cpu() - before) / FRAMES / ROWS)
                before, rows = cpu(), 0
                while done := keeper.round().rows:
                    rows += done
                stored.append((cpu() - before) / rows)
            for what, found in (("recorder", kept), ("keeper", stored)):
                print(f"{shape:24}{what:10}{min(found[1:]) * 1e9:7.0f} ns/row")
        few = events(SHAPES[0], 10)
        for rows in (0, 10):
            used = []
            for _ in range(20):
                if rows:
                    recorder.add(few, owner[:rows], Counts(messages=rows))
                before = cpu()
                keeper.round()
                used.append(cpu() - before)
            print(f"a round of {rows:2} rows: {np.median(used) * 1e3:.1f} ms")
        recorder.close()
        keeper.close()


if __name__ == "__main__":
    main()

"""Records and keeps until it is killed, as asked on standard input. Used by test_kill.

Each order is one line; what does the work is a child of this process, so that nothing is loaded or
compiled again. Orders:

``run ROUND MS KEEPERS SEED``: record unique names for so many milliseconds while keepers are
    killed so many times, then kill the recorder as well. The answer: how many rows it had handed
    over, how many of these were known to be on disk, how many bytes these were.
``finish``: let a keeper commit and seal what is left. The answer: its exit code.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from remnant.schema import EVENTS, TIME
from remnant.sinkhole import keeper as keeper_module
from remnant.sinkhole.clock import now_us
from remnant.sinkhole.events import Counts
from segment_writer import packed
from sinkhole.recording import add, asked, home, keeper, recorder

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 500
LEAST = 5 * BATCH
"""Rows that are handed over before a kill, however slow the machine is."""
NAME = b"\x10%06d%010d\x04bots\x04evil\x07example\x00"
_TOLD = struct.Struct("<QQQ")


def batch(turn: int, first: int) -> pa.RecordBatch:
    """Events with unique names: the round and a number that rises."""
    numbers = range(first, first + BATCH)
    columns = {
        "time": pa.array(np.full(BATCH, now_us())).cast(TIME),
        "address": pa.array([packed(f"192.0.2.{n % 250}") for n in numbers], pa.binary(16)),
        "client_port": pa.array([n % 60_000 for n in numbers], pa.uint16()),
        "service_port": pa.array(np.full(BATCH, 53, np.uint16)),
        "transport": pa.array(np.zeros(BATCH, np.uint8)),
        "proof": pa.array(np.ones(BATCH, np.uint8)),
        "name": pa.array([NAME % (turn, n) for n in numbers], pa.binary()),
        "qtype": pa.array(np.ones(BATCH, np.uint16)),
        "rcode": pa.array(np.zeros(BATCH, np.int16)),
        "limited": pa.array(np.zeros(BATCH, np.bool_)),
        "unlisted": pa.array(np.zeros(BATCH, np.bool_)),
    }
    return pa.RecordBatch.from_arrays(
        [columns.get(f.name, pa.nulls(BATCH, f.type)) for f in EVENTS.arrow], schema=EVENTS.arrow
    )


def record(turn: int, told: mmap.mmap) -> None:
    """Record until killed."""
    writing = recorder(home(), now_us, worker=f"udp-{turn}", max_bytes=1 << 20, max_seconds=1000.0)
    owners = np.zeros(BATCH, np.int32)
    first = 0
    synced = synced_bytes = 0
    while True:
        before = writing.state
        writing.add(batch(turn, first), owners, Counts(messages=BATCH))
        first += BATCH
        state = writing.state
        assert state.alarm is None, state.alarm
        if state.synced > synced:
            # Synced within the call: what it wrote itself is on disk too.
            synced, synced_bytes = state.synced, state.bytes
        assert before.rows + BATCH == state.rows
        told[: _TOLD.size] = _TOLD.pack(first, synced, synced_bytes)


def keep(told: mmap.mmap) -> None:
    """Keep until killed."""
    keeping = keeper(home(), now_us)
    keeper_module._SETTLE_S = 0.3  # type: ignore[misc]
    while True:
        if keeping.round().rows:
            told[0] = 1
        if time.monotonic() - keeping._settled_at > 0.3:
            keeping.settle()


def finish() -> None:
    keeping = keeper(home(), now_us)
    while keeping.round().more:
        pass
    keeping.close()


def child(work: Callable[[], None]) -> int:
    process = os.fork()
    if process == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return process


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "it ended by itself"


def run(turn: int, lasting_ms: int, keepers: int, seed: int) -> tuple[int, int, int]:
    chance = random.Random(seed)
    told = mmap.mmap(-1, 4096)
    recording = child(lambda: record(turn, told))
    until = time.monotonic() + lasting_ms / 1000
    for number in range(keepers):
        committed = mmap.mmap(-1, 4096)
        keeping = child(lambda told=committed: keep(told))  # type: ignore[misc]
        # Every other one has committed something, however slow the machine is.
        deadline = time.monotonic() + 20
        while number % 2 == 0 and not committed[0] and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.25))
        kill(keeping)
    time.sleep(max(0.0, until - time.monotonic()))
    deadline = time.monotonic() + 20
    while _TOLD.unpack_from(told)[0] < LEAST and time.monotonic() < deadline:
        time.sleep(0.001)
    kill(recording)
    rows, synced, synced_bytes = _TOLD.unpack_from(told)
    return rows, synced, synced_bytes


def main() -> None:
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    settings, clock = home(), now_us
    writing = recorder(settings, clock, worker="warm")
    add(writing, asked(time=now_us()))
    writing.add(batch(999_999, 0), np.zeros(BATCH, np.int32), Counts(messages=BATCH))
    writing.close()
    keeper(settings, clock).close()
    print("ready", flush=True)  # noqa: T201 - the other side waits for it
    for text in sys.stdin:
        order, *words = text.split()
        if order == "run":
            print(*run(*map(int, words)), flush=True)  # noqa: T201 - the answer
        else:
            _, status = os.waitpid(child(finish), 0)
            print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()

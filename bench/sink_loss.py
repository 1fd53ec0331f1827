"""What a sinkhole that is asked more than it can answer says about it.

First the rate that one core holds: dnsperf asks as much as it can, and every query that was
answered must be in the store. Then a flood of about twice that rate, which nobody can answer: what
the store holds and what its coverage calls lost must add up to what was sent, to the last packet.

    python bench/sink_loss.py [MILLIONS]
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numba import int32, int64, njit, types, uint32, uintp

import sink_udp as sink
from remnant.schema import COVERAGE, SIGHTINGS, UNLISTED
from remnant.settings import load
from remnant.store import Store

BATCH = 64
_sendmmsg: Any = types.ExternalFunction(
    "sendmmsg", types.int32(types.int32, types.uintp, types.uint32, types.int32)
)


@njit
def _flood(handle: int, messages: np.ndarray, count: int) -> Any:
    sent: Any = int64(0)
    while sent < count:
        done = _sendmmsg(
            int32(handle), uintp(messages.ctypes.data), uint32(min(BATCH, count - sent)), int32(0)
        )
        if done > 0:
            sent += done
    return sent


def flood(count: int, ready: Any, results: Any) -> None:
    """Send so many queries, from the other core, and take no answers."""
    os.sched_setaffinity(0, {sink.LOAD_CORE})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.connect((sink.HOST, sink.PORT))
        message = np.frombuffer(sink.probe_message(), np.uint8).copy()
        vector = np.array([message.ctypes.data, message.size], np.int64)
        headers = np.zeros((BATCH, 8), np.int64)
        headers[:, 2] = vector.ctypes.data
        headers[:, 3] = 1
        _flood(sock.fileno(), headers, 1)
        ready.wait()
        start = time.perf_counter()
        sent = _flood(sock.fileno(), headers, count)
        results.put((sent + 1, time.perf_counter() - start))


def stored(home: Path) -> tuple[int, int]:
    """Return (rows in the store, messages that its coverage calls lost)."""
    with Store.open(load(home)) as store:
        with store.ledger.reading() as connection:
            files = store.ledger.files(connection, sink.CASE)
        paths = {
            table.name: [str(store.folder.path(f)) for f in files if f.table == table.name]
            for table in (SIGHTINGS, UNLISTED, COVERAGE)
        }
        rows = sum(
            ds.dataset(paths[name], format="parquet").count_rows()
            for name in (SIGHTINGS.name, UNLISTED.name)
            if paths[name]
        )
        lost = ds.dataset(paths[COVERAGE.name], format="parquet").to_table(columns=["lost"])["lost"]
    return rows, int(pc.sum(lost).as_py() or 0)


def main() -> None:
    count = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 4_000_000
    folder = Path(tempfile.mkdtemp())
    try:
        home = folder / "home"
        os.environ["REMNANT_HOME"] = str(home)
        os.environ["REMNANT_SITE_KEY"] = str(folder / "key")
        file = folder / "queries"
        sink.queries(file)
        command = [
            *sink.REMNANT, "sink", sink.CASE, "--listen", f"{sink.HOST}:{sink.PORT}",
            "--answer", sink.ANSWER, "--rate-limit", "off", "--workers", "1",
        ]  # fmt: skip
        with sink.served(command):
            found = sink.dnsperf(file, 6, "-q", "800")
        rows, lost = stored(home)
        # The probes that waited for the server are in the store as well.
        print(
            f"held: {found['qps']:,.0f} queries a second, {found['completed']:,.0f} answered, "
            f"{rows:,} in the store, {lost:,} lost"
        )
        if rows < found["completed"]:
            sys.exit("queries that were answered are missing")

        shutil.rmtree(home)
        context = multiprocessing.get_context("spawn")
        ready, results = context.Event(), context.Queue()
        with sink.served(command):
            sender = context.Process(target=flood, args=(count, ready, results))
            sender.start()
            time.sleep(6)
            before = stored(home)
            ready.set()
            sent, seconds = results.get()
            sender.join()
            time.sleep(1)
        rows, lost = stored(home)
        rows, lost = rows - before[0], lost - before[1]
        # The packet before the start signal may be in either count.
        print(
            f"flood: {sent:,} sent at {sent / seconds:,.0f} a second, {rows:,} in the store, "
            f"{lost:,} lost: {rows + lost:,} accounted for"
        )
        if rows + lost not in (sent, sent - 1):
            sys.exit("packets are not accounted for")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

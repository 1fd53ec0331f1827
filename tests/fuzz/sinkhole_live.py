"""Hostile datagrams at a sinkhole as an operator runs it: it answers all the while.

Run by ``test_sinkhole_live``: ``python sinkhole_live.py COUNT SEED LIMIT``. Another process sends
mutated messages of every size from many addresses and ports of the loopback network, and, where it
may, packets with a forged source. Every second somebody else asks for a watched name. In the end
every packet is accounted for: answered, silent, unsent or dropped, and every observation is a row
in the store.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import os
import random
import re
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds

from fuzz.hostile import MAX_SIZE, WORST, seeds
from fuzz.messages import mutate
from remnant.schema import SIGHTINGS, UNLISTED
from remnant.settings import load
from remnant.store import Store
from served import MANY, query
from story.sinking import Sink
from story.telling import Place

HOST = "127.0.0.1"
CASES = {"many": MANY, "worst": WORST}
POOL = 8192
BATCH = 64
SOCKETS = 96
FORGED_SHARE = 50
"""One packet in so many is forged."""
GROWN_MB = 160
"""Memory that a process may take between the middle and the end: first batches, not every one."""
TRIES = 240
"""How often a probe is repeated: its packets are dropped like all others."""
QUIET_S = 180.0


def loopback(chance: random.Random) -> str:
    """Return any address of the loopback network that is no broadcast address."""
    return f"127.{chance.randrange(1, 255)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"


class Pool:
    """Messages that ``sendmmsg`` can take as they lie."""

    def __init__(self, port: int, seed: int) -> None:
        self._chance = random.Random(seed)
        found = seeds(seed, ())
        self._samples = np.zeros((len(found), MAX_SIZE), np.uint8)
        for i, message in enumerate(found):
            self._samples[i, : len(message)] = np.frombuffer(message, np.uint8)
        self._sizes = np.array([len(message) for message in found])
        self._state = np.array([self._chance.getrandbits(64) | 1], np.uint64)
        target = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port)
        target += socket.inet_aton(HOST) + bytes(8)
        self._target = np.frombuffer(target, np.uint8).copy()
        self.bytes = np.zeros(POOL * (MAX_SIZE + 16) + 65_507, np.uint8)
        self.offsets = np.zeros(POOL + 1, np.int64)
        self._vectors = np.zeros((POOL, 2), np.int64)
        self.headers = np.zeros((POOL, 8), np.int64)
        self.headers[:, 0] = self._target.ctypes.data
        self.headers[:, 1] = self._target.size
        self.headers[:, 2] = self._vectors.ctypes.data + 16 * np.arange(POOL)
        self.headers[:, 3] = 1

    def mix(self) -> None:
        """Make other messages: mutated ones, some of them far too long, and noise."""
        mutate(self._samples, self._sizes, self._state, self.bytes, self.offsets)
        sizes = np.diff(self.offsets)
        for _ in range(POOL // 16):
            row = self._chance.randrange(POOL)
            start, size = self.offsets[row], self._chance.randrange(600)
            noise = np.frombuffer(self._chance.randbytes(size), np.uint8)
            self.bytes[start : start + size] = noise
            sizes[row] = size
        for _ in range(POOL // 256):
            sizes[self._chance.randrange(POOL)] = self._chance.choice([4095, 4097, 9000, 65_507])
        self._vectors[:, 0] = self.bytes.ctypes.data + self.offsets[:-1]
        self._vectors[:, 1] = sizes

    def message(self, row: int) -> bytes:
        return self.bytes[self.offsets[row] : self.offsets[row + 1]].tobytes()


def forge(raw: socket.socket, port: int, message: bytes, chance: random.Random) -> None:
    """Send one packet with a source of the loopback network that nobody has, or port 0."""
    source_port = 0 if chance.random() < 0.2 else chance.randrange(65536)
    size = 28 + len(message)
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, size, chance.randrange(65536), 0, 64, 17, 0,
        socket.inet_aton(loopback(chance)), socket.inet_aton(HOST),
    )  # fmt: skip
    # A checksum of zero says that there is none (RFC 768).
    raw.sendto(header + struct.pack("!4H", source_port, port, size - 20, 0) + message, (HOST, 0))


def send(port: int, count: int, seed: int, results: Any) -> None:
    """Send so many packets as fast as this process can; tell (packets, seconds)."""
    chance = random.Random(seed + 1)
    pool = Pool(port, seed)
    sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
    sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(SOCKETS):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            # Answers go where those of a forger go: to nobody who reads them.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            sock.bind((loopback(chance), 0))
            sockets.append(sock)
        raw = None
        with contextlib.suppress(PermissionError):
            raw = stack.enter_context(
                socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            )
        pool.mix()
        start, sent, turn = time.perf_counter(), 0, 0
        while sent < count:
            if turn % 512 == 511:
                pool.mix()
            first = chance.randrange(POOL - BATCH)
            done = sendmmsg(
                sockets[turn % SOCKETS].fileno(), pool.headers[first].ctypes.data,
                min(BATCH, count - sent), 0,
            )  # fmt: skip
            if done <= 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent += done
            turn += 1
            if raw is not None and sent < count:
                forge(raw, port, pool.message(first), chance)
                sent += 1
        results.put((sent, time.perf_counter() - start, raw is not None))


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += family(int(child))
    return found


def resident_mb(pid: int) -> dict[int, int]:
    """Return the memory of each process in MB."""
    found = {}
    for one in family(pid):
        with contextlib.suppress(OSError):
            [kilobytes] = re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{one}/status").read_text())
            found[one] = int(kilobytes) // 1024
    return found


def metrics(sink: Sink) -> dict[str, int]:
    """Return each counter, summed over the processes."""
    found: dict[str, int] = {}
    for line in sink.get("/metrics").splitlines():
        if not line.startswith("#"):
            name = line.split("{")[0].split()[0].removeprefix("remnant_sinkhole_")
            value = int(float(line.rsplit(" ", 1)[1]))
            found[name] = found.get(name, 0) + value
    return found


class Probe:
    """Somebody who asks for a watched name and wants an answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.sent = self.worst = self.asked = 0

    def ask(self) -> None:
        self.asked += 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.9", 0))
            sock.connect((HOST, self._port))
            sock.settimeout(0.25)
            for number in range(1, TRIES + 1):
                message = query("ns1.timedate1.com", ident=self.asked & 0xFFFF)
                sock.send(message)
                self.sent += 1
                with contextlib.suppress(TimeoutError):
                    got = sock.recv(4096)
                    assert got[:2] == message[:2]
                    assert got[3] & 15 == 0
                    self.worst = max(self.worst, number)
                    return
        sys.exit(f"a probe had no answer in {TRIES} tries")


def junk(port: int, chance: random.Random) -> None:
    """Open connections that say anything."""
    for _ in range(4):
        with (
            contextlib.suppress(OSError),
            socket.create_connection((HOST, port), 2) as sock,
        ):
            sock.settimeout(0.05)
            sock.sendall(chance.randbytes(chance.randrange(1, 4000)))
            sock.recv(100)


def rows(home: Path) -> int:
    """Return how many observations over UDP the store holds."""
    found = 0
    with Store.open(load(home)) as store:
        for case in CASES:
            with store.ledger.reading() as connection:
                files = store.ledger.files(connection, case)
            for table in (SIGHTINGS, UNLISTED):
                paths = [str(store.folder.path(f)) for f in files if f.table == table.name]
                if paths:
                    kept = ds.dataset(paths, format="parquet").to_table(
                        columns=["weight"], filter=pc.field("proof") == "dns_udp"
                    )
                    found += pc.sum(kept["weight"]).as_py() or 0
    return found


def wanted(sink: Sink, sent: int, seed: int) -> dict[str, int]:
    """Wait until everything that was sent is counted; return the counters."""
    deadline = time.monotonic() + QUIET_S
    while True:
        counted = metrics(sink)
        if counted["messages_total"] + counted["dropped_total"] >= sent:
            return counted
        if time.monotonic() > deadline:
            sys.exit(f"seed {seed}: {sent:,} packets were sent, and counted are {counted}")
        time.sleep(0.2)


def main(count: int, seed: int, limit: str) -> None:
    """Start, send, ask, count."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        for name, text in CASES.items():
            (place.folder / f"{name}.toml").write_text(text)
            place.do("case", "import", place.folder / f"{name}.toml")
        sink = Sink(place, *CASES, "--rate-limit", limit)
        try:
            run(sink, count, seed, limit)
        finally:
            if sink.process.poll() is None:
                sink.kill()


def run(sink: Sink, count: int, seed: int, limit: str) -> None:
    """Send to a sinkhole that runs, and hold it to account."""
    chance = random.Random(seed)
    probe = Probe(sink.port)
    probe.ask()
    context = multiprocessing.get_context("spawn")
    results: Any = context.Queue()
    sender = context.Process(target=send, args=(sink.port, count, seed, results))
    sender.start()
    memory: list[dict[int, int]] = []
    while sender.is_alive() and results.empty():
        probe.ask()
        memory.append(resident_mb(sink.process.pid))
        junk(sink.port, chance)
        time.sleep(0.5)
    sent, seconds, forged = results.get(timeout=QUIET_S)
    sender.join()
    probe.ask()
    memory.append(resident_mb(sink.process.pid))
    total = sent + probe.sent
    counted = wanted(sink, total, seed)
    health = json.loads(sink.get("/health"))
    code = sink.stop()
    # What a process counts last, it counts when it ends.
    counted |= {f"{k}_total": v for k, v in sink.wait_for("stopped").items() if isinstance(v, int)}
    os.environ |= sink.place.environment
    kept = rows(sink.place.home)
    out, into = counted["bytes_out_total"], counted["bytes_in_total"]
    first = memory[len(memory) // 2]
    grown = {pid: memory[-1].get(pid, 0) - mb for pid, mb in first.items()}
    sys.stdout.write(
        f"limit {limit}: {sent:,} packets at {sent / seconds:,.0f} a second"
        f"{', some forged' if forged else ''}; {counted['messages_total']:,} read, "
        f"{counted['dropped_total']:,} dropped by the system, {counted['answered_total']:,} "
        f"answered, {counted['silent_total']:,} silent, {counted.get('unsent_total', 0):,} unsent, "
        f"{counted.get('limited_total', 0):,} limited\n"
        f"{counted['observed_total']:,} observed, {kept:,} rows in the store, "
        f"{counted.get('unkept_total', 0) + counted.get('lost_total', 0):,} lost; "
        f"{out / into:.3f} bytes out for one in; {probe.asked} probes, at most {probe.worst} "
        f"tries; MB of each process {sorted(memory[-1].values())}, grown by "
        f"{max(grown.values())} in the second half\n"
    )
    told = {
        "every packet is read or dropped": (
            counted["messages_total"] + counted["dropped_total"],
            total,
        ),
        "every message is answered, silent or unsent": (
            counted["answered_total"] + counted["silent_total"] + counted.get("unsent_total", 0),
            counted["messages_total"],
        ),
        "every message is of one kind": (
            sum(
                counted.get(f"{name}_total", 0)
                for name in ("observed", "foreign", "malformed", "not_queries")
            ),
            counted["messages_total"],
        ),
        "every observation is in the store, or counted as lost": (
            kept + counted.get("unkept_total", 0) + counted.get("lost_total", 0),
            counted["observed_total"],
        ),
        "nothing died": (counted["restarts_total"], 0),
        "it ends well": (code, 0),
        "it is healthy": (health["status"], "ok"),
    }
    wrong = {name: pair for name, pair in told.items() if pair[0] != pair[1]}
    if wrong:
        sys.exit(f"seed {seed}: {wrong}")
    if max(grown.values()) > GROWN_MB:
        sys.exit(f"seed {seed}: memory grows: {memory}")
    if out > into:
        sys.exit(f"seed {seed}: more bytes out than in")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

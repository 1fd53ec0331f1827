"""Queries that a sinkhole answers in a second of CPU, beside the best authoritative servers.

Remnant answers with full telemetry, Knot with mod-dnstap to a file, NSD with neither; no rate limit
anywhere. All serve the same zones (``remnant export``) and get the same queries from dnsperf:
nine in ten for watched names, one in ten for a name beside them. The server has one core, the load
the other one. The CPU is that of all processes of a server, user and system.

    python bench/sink_udp.py [SECONDS]
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from remnant.cases.library import built_in

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
PORT = 5399
CORE, LOAD_CORE = 0, max(os.sched_getaffinity(0))
ROUNDS = 3
CASE = "beebone"
ANSWER = "192.0.2.53"
REMNANT = [str(Path(sys.executable).with_name("remnant"))]
TICKS = os.sysconf("SC_CLK_TCK")


def queries(path: Path) -> None:
    """Write what dnsperf asks."""
    names = [n.removeprefix("*.") for w in built_in(CASE).watches for n in w.names]
    rng = random.Random(1)  # noqa: S311 - the same queries each time
    with path.open("w") as file:
        for i in range(20_000):
            name = rng.choice(names)
            file.write(f"{name} A\n" if rng.random() < 0.9 else f"x{i}.{name} A\n")


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += family(int(child))
    return found


def cpu(pid: int) -> dict[str, float]:
    """Return the CPU seconds of each process of a server."""
    used = {}
    for one in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            used[str(one)] = (int(fields[11]) + int(fields[12])) / TICKS
    return used


def asks(message: bytes, timeout: float = 0.3) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect((HOST, PORT))
        try:
            sock.send(message)
            return sock.recv(4096)
        except OSError:
            return None


def probe_message(number: int = 7) -> bytes:
    name = b"\x03ns1\x09timedate1\x03com\x00"
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1)


@contextlib.contextmanager
def served(command: list[str], **extra: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | extra
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            ["taskset", "-c", str(CORE), *command], env=environment, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + 180
            while asks(probe_message()) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit(f"{command[0]} does not serve: {log.read().decode()[-2000:]}")
            time.sleep(1)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()


def dnsperf(file: Path, seconds: float, *extra: str) -> dict[str, float]:
    out = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), "dnsperf", "-s", HOST, "-p", str(PORT), "-d", str(file),
         "-l", str(seconds), "-c", "16", "-t", "2", *extra],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return {
        name: float(re.findall(pattern, out)[0])
        for name, pattern in {
            "sent": r"Queries sent:\s+(\d+)",
            "completed": r"Queries completed:\s+(\d+)",
            "lost": r"Queries lost:\s+(\d+)",
            "qps": r"Queries per second:\s+([\d.]+)",
        }.items()
    }


def loaded(
    process: subprocess.Popen[bytes], file: Path, seconds: float
) -> tuple[float, float, dict[str, float]]:
    """Return (queries a CPU second of all processes, queries a second, CPU by process)."""
    before = cpu(process.pid)
    found = dnsperf(file, seconds, "-q", "800")
    # What is still being kept belongs to the run.
    time.sleep(2)
    after = cpu(process.pid)
    used = {name: after[name] - before.get(name, 0.0) for name in after}
    return found["completed"] / sum(used.values()), found["qps"], used


def p99(file: Path, seconds: float, rate: int) -> tuple[float, float]:
    """Return (median, 99th percentile) of the answer time in µs while dnsperf asks at a rate."""
    load = subprocess.Popen(
        ["taskset", "-c", str(LOAD_CORE), "dnsperf", "-s", HOST, "-p", str(PORT), "-d", str(file),
         "-l", str(seconds), "-c", "16", "-q", "800", "-Q", str(rate)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.sched_setaffinity(0, {LOAD_CORE})
    times = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect((HOST, PORT))
        message = probe_message()
        end = time.monotonic() + seconds - 1
        time.sleep(0.5)
        while time.monotonic() < end:
            start = time.perf_counter_ns()
            sock.send(message)
            with contextlib.suppress(TimeoutError):
                sock.recv(4096)
            times.append((time.perf_counter_ns() - start) / 1000)
            time.sleep(0.002)
    load.wait()
    os.sched_setaffinity(0, os.sched_getaffinity(1))
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def commands(folder: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return how each server is started."""
    found: dict[str, tuple[list[str], dict[str, str]]] = {
        "remnant": (
            [*REMNANT, "sink", CASE, "--listen", f"{HOST}:{PORT}", "--answer", ANSWER,
             "--rate-limit", "off", "--workers", "1"],
            {"REMNANT_HOME": str(folder / "home"), "REMNANT_SITE_KEY": str(folder / "key")},
        )
    }  # fmt: skip
    for server, tap in (("knot", str(folder / "knot.tap")), ("nsd", "none")):
        place = folder / server
        subprocess.run(
            [*REMNANT, "export", server, CASE, "-o", str(place), "--answer", ANSWER,
             "--listen", f"{HOST}@{PORT}", "--dnstap", tap],
            check=True, capture_output=True,
        )  # fmt: skip
        (place / "run").mkdir(parents=True, exist_ok=True)
        config = place / f"{server}.conf"
        text = config.read_text()
        if server == "knot":
            text = text.replace("server:\n", "server:\n    udp-workers: 1\n    tcp-workers: 1\n", 1)
            text = without_limit(text)
            found[server] = (["knotd", "-c", str(config)], {})
        else:
            text = re.sub(r"rrl-\S+ratelimit: \S+", "", text)
            lines = ("server-count: 1", "rrl-ratelimit: 0", 'username: ""')
            own = "".join(f"    {line}\n" for line in lines)
            text = text.replace("server:\n", f"server:\n{own}", 1)
            found[server] = (["nsd", "-d", "-c", str(config)], {})
        config.write_text(text)
    return found


def without_limit(text: str) -> str:
    """Take the rate limit out of a Knot configuration."""
    return re.sub(r"mod-rrl/\S+?, ", "", text)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    folder = Path(tempfile.mkdtemp())
    try:
        file = folder / "queries"
        queries(file)
        found = commands(folder)
        best: dict[str, list[float]] = {}
        delays: dict[str, list[tuple[float, float]]] = {}
        for round_number in range(ROUNDS):
            for name, (command, extra) in found.items():
                with served(command, **extra) as process:
                    dnsperf(file, 1.5, "-q", "800")
                    per_cpu, qps, used = loaded(process, file, seconds)
                    best.setdefault(name, []).append(per_cpu)
                    delays.setdefault(name, []).append(p99(file, seconds, 50_000))
                    shares = " ".join(f"{value:.2f}" for value in used.values() if value > 0.005)
                    print(
                        f"{round_number} {name:<8} {per_cpu:>9,.0f} queries a CPU second, "
                        f"{qps:>9,.0f} a second (CPU s: {shares}), at 50,000 a second median "
                        f"{delays[name][-1][0]:.0f} and p99 {delays[name][-1][1]:.0f} us",
                        flush=True,
                    )
        middle = {name: sorted(values)[len(values) // 2] for name, values in best.items()}
        for name in ("knot", "nsd"):
            print(f"remnant answers {middle['remnant'] / middle[name]:.2f} times what {name} does")
        worst = {
            name: sorted(d[1] for d in values)[len(values) // 2] for name, values in delays.items()
        }
        print(f"p99 at 50,000 a second: {worst['remnant'] / worst['knot']:.2f} times knot's")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

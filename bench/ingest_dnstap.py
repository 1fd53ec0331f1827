"""CPU seconds of a whole ``remnant ingest`` beside the two public dnstap readers.

All read the same file: 5 million dnstap messages (queries and their responses, 1 % of them for
watched names). The two others print one line a message, which is the least an analyst needs of
them before counting can begin; Remnant matches, stores, enriches and rolls up.

    python bench/ingest_dnstap.py [MESSAGES]
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

BLOCK = 20_000
WATCHED_SHARE = 0.01
START = 1_428_451_200  # 2015-04-08T00:00:00Z
ROUNDS = 3


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def question(name: str, number: int, *, answer: bool) -> bytes:
    wire = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
    flags = 0x8180 if answer else 0x0100
    message = struct.pack("!6H", number & 0xFFFF, flags, 1, int(answer), 0, 0)
    message += wire + struct.pack("!2H", 1, 1)
    if answer:
        message += b"\xc0\x0c" + struct.pack("!2HIH4B", 1, 1, 60, 4, 192, 0, 2, 53)
    return message


def block(rng: np.random.Generator) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Return one block of frames, and where their times and their addresses stand."""
    out = bytearray()
    times, addresses = [], []
    for number in range(BLOCK // 2):
        watched = rng.random() < WATCHED_SHARE
        name = (
            f"ns1.timedate{rng.integers(1, 4)}.com"
            if watched
            else f"host{rng.integers(0, 5000)}.service{rng.integers(0, 900)}.example"
        )
        client = bytes([10, *rng.integers(0, 256, 3).tolist()])
        port = int(rng.integers(1024, 65536))
        for answer in (False, True):
            message = field(1, 6 if answer else 5) + field(2, 1) + field(3, 1)
            message += field(4, client) + field(5, bytes([198, 51, 100, 1]))
            message += field(6, port) + field(7, 53)
            message += field(8, START) + varint(9 << 3 | 5) + struct.pack("<I", 0)
            message += field(14 if answer else 10, question(name, number, answer=answer))
            frame = field(1, b"resolver-a") + field(14, message) + field(15, 1)
            base = len(out) + 4
            addresses.append(base + frame.index(client + field(5, bytes([198, 51, 100, 1]))))
            times.append(base + frame.index(field(8, START)) + 1)
            out += struct.pack("!I", len(frame)) + frame
    return bytes(out), np.array(times), np.array(addresses)


def write(path: Path, messages: int) -> None:
    content = b"protobuf:dnstap.Dnstap"
    start = struct.pack("!III", 2, 1, len(content)) + content
    frames, times, addresses = block(np.random.default_rng(1))
    work = np.frombuffer(frames, np.uint8).copy()
    with path.open("wb") as file:
        file.write(struct.pack("!II", 0, len(start)) + start)
        blocks = messages // BLOCK
        for number in range(blocks):
            at = varint(START + number * 86_400 * 28 // blocks)
            work[times[:, None] + np.arange(len(at))] = np.frombuffer(at, np.uint8)
            work[addresses + 1] = number % 256
            file.write(work.tobytes())
        file.write(struct.pack("!III", 0, 4, 3))


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    """Run a command to its end and return user plus system seconds of it and its children."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        if "-v" not in sys.argv:
            os.dup2(null, 2)
        os.execvpe(command[0], command, environment)
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    messages = next((int(a) for a in sys.argv[1:] if a.isdecimal()), 5_000_000)
    remnant = str(Path(sys.executable).with_name("remnant"))
    with tempfile.TemporaryDirectory() as folder:
        traffic = Path(folder, "traffic.dnstap")
        write(traffic, messages)
        print(f"{messages:,} messages, {traffic.stat().st_size / 1e6:,.0f} MB, 1 % watched")
        home = Path(folder, "home")
        environment = dict(
            os.environ, REMNANT_HOME=str(home), REMNANT_SITE_KEY=str(Path(folder, "site.key"))
        )
        # As it is installed: its modules are compiled once.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        commands = {
            "remnant ingest": [remnant, "ingest", "beebone", str(traffic)],
            "dnstap -q -r (Go)": ["dnstap", "-q", "-r", str(traffic)],
            "dnstap-ldns -q -r (C)": ["dnstap-ldns", "-q", "-r", str(traffic)],
        }
        commands = {k: v for k, v in commands.items() if shutil.which(v[0])}
        best: dict[str, float] = {}
        for turn in range(ROUNDS):
            for name, command in commands.items():
                shutil.rmtree(home, ignore_errors=True)
                if name.startswith("remnant"):
                    cpu_seconds([remnant, "case", "new", "beebone"], environment)
                    if turn == 0:
                        # Kernels are compiled once per installation; that run is not counted.
                        cpu_seconds(command, environment)
                        shutil.rmtree(home)
                        cpu_seconds([remnant, "case", "new", "beebone"], environment)
                seconds = cpu_seconds(command, environment)
                best[name] = min(best.get(name, seconds), seconds)
        print(f"{'':24}{'CPU s':>8}{'messages/CPU s':>16}   (best of {ROUNDS})")
        for name, seconds in best.items():
            print(f"{name:24}{seconds:8.2f}{messages / seconds:16,.0f}")
        others = [seconds for name, seconds in best.items() if not name.startswith("remnant")]
        if others:
            ratio = min(others) / best["remnant ingest"]
            print(f"remnant needs {ratio:.1f} times less CPU than the faster of the others")
        else:
            print("neither dnstap nor dnstap-ldns is installed: nothing to compare with")


if __name__ == "__main__":
    main()

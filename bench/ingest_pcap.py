"""CPU seconds of a whole ``remnant ingest`` of a capture beside what reads captures today.

All read the same file: 2 million packets (queries and their responses over UDP, 1 % of them for
watched names). tshark and dnscap print one line a message, which is the least an analyst needs of
them before counting can begin; Remnant matches, stores, enriches and rolls up.

    python bench/ingest_pcap.py [PACKETS]
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

from ingest_dnstap import BLOCK, ROUNDS, START, WATCHED_SHARE, cpu_seconds, question


def block(rng: np.random.Generator) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Return one block of packets, and where their times and their clients' addresses stand."""
    out = bytearray()
    times, addresses = [], []
    ethernet = bytes.fromhex("0200000000010200000000020800")
    server = bytes([198, 51, 100, 1])
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
            payload = question(name, number, answer=answer)
            ports = (53, port) if answer else (port, 53)
            udp = struct.pack("!4H", *ports, 8 + len(payload), 0) + payload
            ip = struct.pack("!2B3H2BH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
            ip += server + client if answer else client + server
            frame = ethernet + ip + udp
            times.append(len(out))
            addresses.append(len(out) + 16 + 14 + (16 if answer else 12))
            out += struct.pack("<4I", 0, 0, len(frame), len(frame)) + frame
    return bytes(out), np.array(times), np.array(addresses)


def write(path: Path, packets: int) -> None:
    content, times, addresses = block(np.random.default_rng(1))
    work = np.frombuffer(content, np.uint8).copy()
    with path.open("wb") as file:
        file.write(struct.pack("<I2H4I", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        blocks = packets // BLOCK
        for number in range(blocks):
            at = struct.pack("<I", START + number * 86_400 * 28 // blocks)
            work[times[:, None] + np.arange(4)] = np.frombuffer(at, np.uint8)
            work[addresses + 1] = number % 256
            file.write(work.tobytes())


def main() -> None:
    packets = next((int(a) for a in sys.argv[1:] if a.isdecimal()), 2_000_000)
    remnant = str(Path(sys.executable).with_name("remnant"))
    with tempfile.TemporaryDirectory() as folder:
        traffic = Path(folder, "traffic.pcap")
        write(traffic, packets)
        print(f"{packets:,} packets, {traffic.stat().st_size / 1e6:,.0f} MB, 1 % watched")
        home = Path(folder, "home")
        environment = dict(
            os.environ, REMNANT_HOME=str(home), REMNANT_SITE_KEY=str(Path(folder, "site.key"))
        )
        fields = ["-e", "frame.time_epoch", "-e", "ip.src", "-e", "dns.qry.name"]
        commands = {
            "remnant ingest": [remnant, "ingest", "beebone", str(traffic)],
            "tshark -T fields": [
                "tshark", "-r", str(traffic), "-Y", "dns", "-T", "fields", *fields,
            ],
            "dnscap -g": ["dnscap", "-r", str(traffic), "-g"],
        }  # fmt: skip
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
        print(f"{'':24}{'CPU s':>8}{'packets/CPU s':>16}   (best of {ROUNDS})")
        for name, seconds in best.items():
            print(f"{name:24}{seconds:8.2f}{packets / seconds:16,.0f}")
        for name, seconds in best.items():
            if not name.startswith("remnant"):
                ratio = seconds / best["remnant ingest"]
                print(f"remnant needs {ratio:.1f} times less CPU than {name}")
        if len(best) == 1:
            print("neither tshark nor dnscap is installed: nothing to compare with")


if __name__ == "__main__":
    main()

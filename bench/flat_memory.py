"""Peak memory of ``remnant ingest`` for a small and a very large stream from a pipe.

    python bench/flat_memory.py [GIGABYTES]

The stream is made on the fly and never lies on a disk: dnstap of a resolver, 1 % watched, with
ever new clients. Prints the peak of the resident memory of both runs, and their ratio.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ingest_dnstap import START, block, varint

SMALL_BYTES = 100_000_000
BLOCK_SECONDS = 20
"""Seconds of traffic in one block: how fast the stream's clock goes."""


def feed(target: int, size: int) -> int:
    """Write a stream of about ``size`` bytes to a file descriptor; return the bytes written."""
    frames, times, addresses = block(np.random.default_rng(1))
    work = np.frombuffer(frames, np.uint8).copy()
    content = b"protobuf:dnstap.Dnstap"
    start = (2).to_bytes(4, "big") + (1).to_bytes(4, "big")
    start += len(content).to_bytes(4, "big") + content
    head = bytes(4) + len(start).to_bytes(4, "big") + start
    with os.fdopen(target, "wb", buffering=0) as pipe:
        pipe.write(head)
        written = len(head)
        number = 0
        while written < size:
            at = varint(START + number * BLOCK_SECONDS)
            work[times[:, None] + np.arange(len(at))] = np.frombuffer(at, np.uint8)
            # Other clients in each block: two of the four bytes of their addresses change.
            work[addresses + 1] = number % 256
            work[addresses + 2] = number // 256 % 256
            pipe.write(work.data)
            written += work.size
            number += 1
    return written


def peak_of(size: int) -> tuple[int, float, int]:
    """Return (peak resident bytes, wall seconds, bytes read) of one ingest from a pipe."""
    remnant = str(Path(sys.executable).with_name("remnant"))
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(
            os.environ, REMNANT_HOME=f"{folder}/home", REMNANT_SITE_KEY=f"{folder}/key"
        )
        subprocess.run(
            [remnant, "case", "new", "beebone"], env=environment, capture_output=True, check=True
        )
        reading, writing = os.pipe()
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.dup2(reading, 0)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 1)
            os.dup2(null, 2)
            os.execve(remnant, [remnant, "ingest", "beebone", "-"], environment)
        os.close(reading)
        written = feed(writing, size)
        _, status, usage = os.wait4(child, 0)
        if status:
            sys.exit("ingest failed")
        return usage.ru_maxrss * 1024, time.monotonic() - started, written


def main() -> None:
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    peaks = []
    for size in (SMALL_BYTES, int(gigabytes * 1e9)):
        peak, seconds, written = peak_of(size)
        peaks.append(peak)
        print(
            f"{written / 1e9:8.2f} GB in {seconds:7.1f} s: peak {peak / 2**20:7.0f} MiB", flush=True
        )
    print(f"{peaks[1] / peaks[0]:.2f} times the memory for the large stream")


if __name__ == "__main__":
    main()

"""How long a million look-ups take: a made-up table of a million prefixes, read, kept, asked.

    python bench/enrich_lookup.py [prefixes] [addresses]

Beside it, what a script without a database does: a Python loop over ``ipaddress`` and ``bisect``,
the search alone.
"""

from __future__ import annotations

import bisect
import ipaddress
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from remnant.enrich.reference import Reference
from remnant.settings import ReferenceSettings, Settings


def table(rng: np.random.Generator, count: int) -> str:
    """Return lines of ip2asn: adjacent IPv4 ranges of random width, and IPv6 /48s."""
    half = count // 2
    starts = np.sort(rng.choice(2**32 - 2**25, half, replace=False)) + 2**24
    lines = []
    for first, following in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        asn = first % 70_000 + 1
        ends = ipaddress.IPv4Address(first), ipaddress.IPv4Address(following - 1)
        lines.append(f"{ends[0]}\t{ends[1]}\t{asn}\tDE\tNetwork {asn}")
    for row in range(count - half):
        base = (0x2A000000 << 96) | (row << 80)
        ends6 = ipaddress.IPv6Address(base), ipaddress.IPv6Address(base | (1 << 80) - 1)
        lines.append(f"{ends6[0]}\t{ends6[1]}\t{row % 70_000 + 1}\tFR\tNetwork {row % 70_000 + 1}")
    return "\n".join(lines) + "\n"


def addresses(
    rng: np.random.Generator, count: int
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Return distinct clients: three in four are IPv4."""
    out = np.zeros((count, 16), np.uint8)
    four = np.arange(count) % 4 != 0
    out[four, 10:12] = 0xFF
    out[four, 12:] = rng.integers(0, 256, (int(four.sum()), 4))
    out[~four, 0] = 0x2A
    out[~four, 3:8] = rng.integers(0, 256, (int((~four).sum()), 5))
    return out


def main() -> None:
    """Print seconds for each step."""
    prefixes, asked = (int(text) for text in [*sys.argv[1:], "1000000", "1000000"][:2])
    rng = np.random.default_rng(20150408)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "2015-04-08.tsv"
        path.write_text(table(rng, prefixes), encoding="ascii")
        settings = Settings(home=Path(folder), reference=ReferenceSettings(tables=(path,)))
        for step in ("read, flatten and keep", "again, from what was kept"):
            start = time.perf_counter()
            reference = Reference.load(settings)
            print(f"{time.perf_counter() - start:8.3f} s  {step}: {prefixes:,} ranges")
        clients = addresses(rng, asked)
        reference.lookup(clients[:10])  # compiles
        start = time.perf_counter()
        found = reference.lookup(clients)
        ours = time.perf_counter() - start
        known = len(found) - found["asn"].null_count
        print(f"{ours:8.3f} s  look up {asked:,} distinct clients ({known:,} known)")
        rows = sorted(
            (int(ipaddress.ip_address(line.split("\t")[0])), line)
            for line in path.read_text(encoding="ascii").splitlines()
            if ":" not in line
        )
        starts = [first for first, _ in rows]
        sample = clients[1:4000:4, 12:]
        start = time.perf_counter()
        for raw in sample:
            address = ipaddress.IPv4Address(raw.tobytes())
            bisect.bisect_right(starts, int(address))
        theirs = (time.perf_counter() - start) / len(sample) * asked
        print(f"{theirs:8.3f} s  the search alone with ipaddress and bisect (from a sample)")


if __name__ == "__main__":
    main()

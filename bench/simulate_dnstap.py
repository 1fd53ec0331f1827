"""How fast the simulator writes, per second of processor time, and how much memory it takes.

    python bench/simulate_dnstap.py [SCALE]

Kernels are compiled first and not counted. Beside it, for comparison, the same messages made one by
one with dnspython (DNS part only, without protobuf, framing or compression).
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import dns.message

from remnant import simulate

_ONE_BY_ONE = 20_000


def one_by_one() -> float:
    """Return messages per second of a loop over dnspython."""
    start = time.process_time()
    for number in range(_ONE_BY_ONE // 2):
        query = dns.message.make_query("ns1.timedate1.com", "A", id=number & 0xFFFF)
        query.to_wire()
        dns.message.make_response(query).to_wire()
    return _ONE_BY_ONE / (time.process_time() - start)


def main() -> None:
    """Print one line per measurement."""
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as folder:
        simulate.run("beebone", Path(folder) / "warm", scale=1e-5)
        cpu, wall = time.process_time(), time.perf_counter()
        made = simulate.run("beebone", Path(folder) / "out", scale=scale)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    rate = made.messages / cpu
    loop = one_by_one()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"scale {made.scale:g}: {made.messages:,} messages, {made.written_bytes / 1e6:,.0f} MB")
    print(f"  {cpu:.1f} s of processor time, {wall:.1f} s in all, {memory:,.0f} MB of memory")
    print(f"  {rate / 1e6:.2f} million messages per second of processor time")
    print(f"  {rate / loop:,.0f} times a loop over dnspython ({loop:,.0f} per second)")


if __name__ == "__main__":
    main()

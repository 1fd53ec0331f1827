"""How fast the simulator writes both views, per second of processor time, and in memory.

    python bench/simulate_views.py [SCENARIO] [SCALE]

Kernels are compiled first and not counted. An event is a dnstap message or an event at the
sinkhole. The second line is the same run as tables in memory, without any encoding.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from remnant import simulate


def main() -> None:
    """Print one line per measurement."""
    name = sys.argv[1] if len(sys.argv) > 1 else "beebone"
    scale = float(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder:
        simulate.run(name, Path(folder) / "warm", scale=1e-3)
        cpu = time.process_time()
        made = simulate.run(name, Path(folder) / "out", scale=scale)
        cpu = time.process_time() - cpu
    events = made.messages + made.events
    print(f"{name}, scale {made.scale:g}: {made.messages:,} messages, {made.events:,} events")
    print(f"  {events / cpu / 1e6:.2f} million a second of processor time ({cpu:.1f} s in all)")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {made.written_bytes / 1e6:,.0f} MB written, {memory:,.0f} MB of memory")
    cpu = time.process_time()
    seen = simulate.observed(name, scale=made.scale, seed=made.seed)
    cpu = time.process_time() - cpu
    rate = len(seen.sightings) / cpu / 1e6
    print(f"  in memory: {len(seen.sightings):,} sightings, {rate:.2f} million a second")


if __name__ == "__main__":
    main()

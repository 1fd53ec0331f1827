"""Messages per CPU second of the dnstap reader in one process, by watched names and share of hits.

Run: ``python bench/dnstap_kernel.py [--messages N]``. The input is made in memory: queries and
responses of 500 names from many clients, as a resolver logs them.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import dnstap_writer as writer
from remnant.capture import ReadOptions
from remnant.capture.dnstap import DnstapReader
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist

_NAMES = 500
_RATE = 20_000
"""Messages per second of the made-up resolver: how fast its clock goes."""


def traffic(messages: int, share: float, seed: int = 1) -> bytes:
    """Return a dnstap stream of about ``messages`` messages, a share of them about watched names.

    Bodies are made once for each name and patched, so that making them takes no minutes.
    """
    random.seed(seed)
    other = [writer.query(f"www{i}.site{i % 97}.example") for i in range(_NAMES)]
    watched = [writer.query(f"c2-{i}.evil.test") for i in range(100)]
    out = [writer.START]
    for i in range(messages // 2):
        asked = random.choice(watched if random.random() < share else other)  # noqa: S311 - no secret
        ident = random.randrange(65536).to_bytes(2, "big")  # noqa: S311 - no secret
        body = ident + asked[2:]
        client = f"198.51.{random.randrange(256)}.{random.randrange(1, 255)}"  # noqa: S311 - no secret
        port = random.randrange(1024, 65536)  # noqa: S311 - no secret
        at = writer.START_TIME + i / _RATE
        for kind, wire in ((5, body), (6, writer.response(body, 3))):
            out.append(
                writer.frame(
                    writer.message(
                        kind, wire, time=at, response_time=at + 0.01, client=client, port=port
                    )
                )
            )
    out.append(writer.STOP)
    return b"".join(out)


def run(data: bytes, watchlist: Watchlist, options: ReadOptions) -> tuple[float, int, int]:
    """Return (CPU seconds, records, rows) of one pass."""
    started = time.process_time()
    records = rows = 0
    with ByteStream(io.BytesIO(data), "bench") as stream:
        for batch in DnstapReader().read(stream, watchlist, options):
            records += batch.records
            rows += batch.queries.num_rows
    return time.process_time() - started, records, rows


def main() -> None:
    """Print one line for each watchlist and share of hits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--names", type=int, nargs="*", default=[100, 1_000_000])
    arguments = parser.parse_args()
    options = ReadOptions(now=datetime.now(tz=UTC))
    lists = {
        count: Watchlist.compile(
            [Rule("bench", "exact", f"c2-{i}.evil.test") for i in range(count)]
        )
        for count in arguments.names
    }
    for watchlist in lists.values():
        run(traffic(1000, 1.0), watchlist, options)  # compiles, or loads what was compiled
    for share in (0.01, 0.5, 1.0):
        data = traffic(arguments.messages, share)
        for count, watchlist in lists.items():
            seconds, records, rows = min(run(data, watchlist, options) for _ in range(3))
            print(
                f"{count:>9,} names, {share:>4.0%} watched: {records / seconds / 1e6:5.2f} M "
                f"messages/s, {len(data) / seconds / 1e6:5.0f} MB/s, {rows:,} rows"
            )


if __name__ == "__main__":
    main()

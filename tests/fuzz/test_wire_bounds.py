"""Every kernel of dnstap runs with bounds checks on, over damaged streams and random bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_PROGRAM = """
import io, random, sys
sys.path.insert(0, sys.argv[1])
from datetime import UTC, datetime
import dns.edns, dns.message
import numpy as np
import dnstap_writer as writer
from remnant import wire
from remnant.capture import ReadOptions
from remnant.capture.dnstap import DnstapReader
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist


try:
    wire.u16(np.zeros(1, np.uint8), 0)
except IndexError:
    pass
else:
    sys.exit("bounds are not checked")

random.seed(20150408)
watched = Watchlist.compile(
    [Rule("demo", "below", "*.test"), Rule("demo", "exact", "c2.evil.test"),
     Rule("demo", "address", "192.0.2.0/24"), Rule("demo", "address", "::/0")]
)
option = dns.edns.ECSOption("203.0.113.0", 24)
asked = dns.message.make_query("c2.Evil.test", "A", use_edns=0, options=[option]).to_wire()
other = dns.message.make_query("www.example", "A", use_edns=0)
answer = dns.message.make_response(other)
answer.answer.append(dns.rrset.from_text("www.example.", 60, "IN", "A", "192.0.2.1"))
frames = [
    writer.message(5, asked), writer.message(6, writer.response(asked, 3)),
    writer.message(5, other.to_wire()), writer.message(6, answer.to_wire()),
    writer.message(1, asked, client="2001:db8::1", identity=None),
]
options = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC))
records = rows = 0
for turn in range(400):
    body = []
    for frame in random.choices(frames, k=random.randrange(1, 8)):
        frame = bytearray(frame)
        if random.random() < 0.7:
            for _ in range(random.randrange(1, 6)):
                frame[random.randrange(len(frame))] = random.choice(
                    [random.randrange(256), 0, 255, 0xC0, 0x80]
                )
        size = random.choice([len(frame), random.randrange(1, 200)])
        body.append(writer.frame(bytes(frame[:size])))
    data = bytearray(b"".join(body))
    if random.random() < 0.3:
        data[random.randrange(len(data))] = random.randrange(256)
    stream = ByteStream(
        io.BytesIO(writer.START + data[: random.randrange(len(data) + 1)]), "fuzz",
        chunk=random.choice([64, 300, 1 << 16]),
    )
    for batch in DnstapReader().read(stream, watched, options):
        batch.queries.validate(full=True)
        records += batch.records
        rows += batch.queries.num_rows
assert records > 300 and rows > 150, (records, rows)
"""


def test_no_kernel_reads_outside_its_arrays(pytestconfig: pytest.Config) -> None:
    tests = Path(__file__).resolve().parents[1]
    # Code compiled with and without checks has the same name in Numba's cache, and so has a kernel
    # whose callees have changed: each state of the source has its own cache here.
    source = hashlib.sha256()
    for path in sorted((tests.parent / "src" / "remnant").rglob("*.py")):
        if "@kernel" in (text := path.read_text(encoding="utf-8")):
            source.update(text.encode())
    compiled = pytestconfig.cache.mkdir(f"bounds-{source.hexdigest()[:16]}")
    environment = {
        **os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(compiled)
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tests)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]

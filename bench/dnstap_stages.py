"""Where the nanoseconds of one dnstap message go: read, digest, frame, decode, match, count, write.

    python bench/dnstap_stages.py [MESSAGES]

Each line adds one step of the reader to those above it and prints CPU nanoseconds for each message,
best of five passes over the same file. The last lines are the whole reader and a whole
``remnant ingest`` in a process of its own, whose start-up is shown apart.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numba import int64

from ingest_dnstap import write
from remnant import wire
from remnant.capture import ReadOptions, framing, protobuf
from remnant.capture.dnstap import DnstapReader
from remnant.capture.stream import ByteStream
from remnant.cases.library import built_in
from remnant.cases.rules import compile_rules
from remnant.watchlist import Watchlist
from remnant.watchtable import lookup_name

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
CHUNK = 8 << 20


@wire.kernel
def frames(buffer: Any) -> int:
    position = int64(0)
    stop = int64(buffer.size)
    count = 0
    while True:
        kind, _, end = framing.next_frame(buffer, position, stop)
        if kind == framing.MORE:
            return count
        position = end
        count += 1


@wire.kernel
def decoded(buffer: Any, fields: Any) -> int:
    position = int64(0)
    stop = int64(buffer.size)
    count = 0
    while True:
        kind, start, end = framing.next_frame(buffer, position, stop)
        if kind == framing.MORE:
            return count
        if kind == framing.DATA and protobuf.frame(buffer, start, end, fields):
            count += 1
        position = end


@wire.kernel
def asked(buffer: Any, fields: Any, name: Any, starts: Any, question: Any) -> int:
    position = int64(0)
    stop = int64(buffer.size)
    count = 0
    while True:
        kind, start, end = framing.next_frame(buffer, position, stop)
        if kind == framing.MORE:
            return count
        if kind == framing.DATA and protobuf.frame(buffer, start, end, fields):
            place = protobuf.QUERY_MESSAGE
            if fields[protobuf.TYPE] % 2 == 0:
                place = protobuf.RESPONSE_MESSAGE
            count += (
                wire.question(buffer, fields[place], fields[place + 1], name, starts, question) == 0
            )
        position = end


@wire.kernel
def matched(
    buffer: Any, fields: Any, name: Any, starts: Any, question: Any, tables: Any, hits: Any
) -> int:
    position = int64(0)
    stop = int64(buffer.size)
    count = 0
    while True:
        kind, start, end = framing.next_frame(buffer, position, stop)
        if kind == framing.MORE:
            return count
        if kind == framing.DATA and protobuf.frame(buffer, start, end, fields):
            place = protobuf.QUERY_MESSAGE
            if fields[protobuf.TYPE] % 2 == 0:
                place = protobuf.RESPONSE_MESSAGE
            if wire.question(buffer, fields[place], fields[place + 1], name, starts, question) == 0:
                count += lookup_name(tables, buffer, starts, question[wire.LABELS], hits)
        position = end


def best(work: Callable[[], object]) -> float:
    """Return CPU seconds of the fastest pass; the first one compiles."""
    work()
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    messages = next((int(a) for a in sys.argv[1:] if a.isdecimal()), 2_000_000)
    watchlist = Watchlist.compile(compile_rules(built_in("beebone")))
    tables = watchlist.tables
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "traffic.dnstap")
        write(path, messages)
        target = np.empty(CHUNK, np.uint8)
        data = np.frombuffer(path.read_bytes(), np.uint8)
        # A START frame stands before the first data frame.
        body = data.copy()
        fields = np.zeros(framing.DNSTAP, np.int64)
        name = np.zeros(256, np.uint8)
        starts = np.zeros(wire.MAX_LABELS + 2, np.int64)
        question = np.zeros(wire.FIELDS, np.int64)
        hits = np.zeros(256, np.int32)

        def read() -> None:
            with path.open("rb", buffering=0) as file:
                while file.readinto(target.data):
                    pass

        def digest() -> None:
            xxhash.xxh3_128(data.data).digest()

        def whole(threads: int) -> None:
            options = ReadOptions(now=datetime.now(tz=UTC), threads=threads)
            with ByteStream(path.open("rb"), "bench") as stream:
                for _ in DnstapReader().read(stream, watchlist, options):
                    pass

        print(f"{messages:,} messages, {path.stat().st_size / messages:.0f} bytes each")
        print(f"{'step':44}{'ns':>8}")
        steps: list[tuple[str, Callable[[], object]]] = [
            ("read the file (page cache)", read),
            ("digest (xxh3-128)", digest),
            ("frames", lambda: frames(body)),
            ("frames, protobuf", lambda: decoded(body, fields)),
            ("frames, protobuf, question",
             lambda: asked(body, fields, name, starts, question)),
            ("frames, protobuf, question, match",
             lambda: matched(body, fields, name, starts, question, tables, hits)),
            ("the whole reader, one thread", lambda: whole(1)),
            ("the whole reader, two threads", lambda: whole(2)),
        ]  # fmt: skip
        for title, work in steps:
            print(f"{title:44}{best(work) / messages * 1e9:8.0f}", flush=True)
        whole_process(path, messages, Path(folder))


def whole_process(path: Path, messages: int, folder: Path) -> None:
    """Print what a process costs beside its messages."""
    environment = dict(
        os.environ, REMNANT_HOME=str(folder / "home"), REMNANT_SITE_KEY=str(folder / "key")
    )
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    remnant = str(Path(sys.executable).with_name("remnant"))
    one = folder / "one.dnstap"
    write(one, 20_000)
    subprocess.run(
        [remnant, "case", "new", "beebone"], env=environment, capture_output=True, check=True
    )
    times: dict[str, float] = {}
    for title, file in (("start, 20,000 messages", one), ("whole ingest", path)):
        for _ in range(2):
            before = os.times()
            subprocess.run(
                [remnant, "ingest", "beebone", str(file), "--threads", "1"],
                env=environment, capture_output=True, check=True,
            )  # fmt: skip
            after = os.times()
            spent = after.children_user + after.children_system
            spent -= before.children_user + before.children_system
            times.setdefault(title, spent)
        print(f"{title:44}{times[title]:8.2f} CPU s")
    ns = (times["whole ingest"] - times["start, 20,000 messages"]) / messages * 1e9
    print(f"{'whole ingest without its start':44}{ns:8.0f}")


if __name__ == "__main__":
    main()

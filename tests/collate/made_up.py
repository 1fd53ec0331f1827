"""A trivial format for tests: one query a line, its reader, and a store to put it into.

A line is ``seconds,address,name`` with optional ``,sensor`` and ``,R`` (a response). The name is
the text of an entry of the watchlist, or anything else. A line that cannot be read is malformed.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.capture import Batch, ReadOptions
from remnant.capture.stream import ByteStream
from remnant.collate.ingest import SourceResult, ingest_source
from remnant.schema import (
    ACTIVITY,
    COVERAGE,
    COVERAGE_COUNTS,
    QUARANTINE,
    QUERIES,
    SIGHTINGS,
    Table,
)
from remnant.settings import Settings
from remnant.store.files import read_table
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.store import Store

START = 1428451200  # 2015-04-08T00:00:00Z
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = ReadOptions(now=NOW)


def packed(text: str) -> bytes:
    address = ipaddress.ip_address(text)
    return b"\0" * 10 + b"\xff\xff" + address.packed if address.version == 4 else address.packed


class LineReader:
    """Reads the format above, one batch for each view of the stream."""

    name = "lines"
    title = "made-up lines"
    vantage = "resolver"
    hits_only = False

    def __init__(
        self, *, partial_tail: bool = False, notes: tuple[str, ...] = (), hits_only: bool = False
    ) -> None:
        if hits_only:
            self.hits_only = True
            self.vantage = "report"
        self.partial_tail = partial_tail
        self.notes = notes
        self.read_count = 0

    def sniff(self, head: bytes) -> bool:
        return b"," in head

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        self.read_count += 1
        vantage = options.vantage or self.vantage
        entries = entries_by_name(watchlist)
        while stream.more():
            data = stream.view.tobytes()
            used = data.rfind(b"\n") + 1
            if used:
                yield self._batch(stream, data[:used], entries, vantage)
        if stream.view.size and not self.partial_tail:
            yield self._batch(stream, stream.view.tobytes(), entries, vantage)

    def _batch(
        self, stream: ByteStream, data: bytes, entries: dict[str, list[int]], vantage: str
    ) -> Batch:
        rows: list[dict[str, Any]] = []
        counts: dict[tuple[str | None, int], dict[str, Any]] = {}
        bad: list[dict[str, Any]] = []
        offset = stream.offset
        messages = queries = 0
        for line in data.splitlines(keepends=True):
            at, offset = offset, offset + len(line)
            fields = line.decode("utf-8", "replace").rstrip("\n").split(",")
            try:
                time = round(float(fields[0]) * 1_000_000)
                address = packed(fields[1])
                name = fields[2]
            except (ValueError, IndexError):
                bad.append({"source": None, "offset": at, "reason": "syntax", "head": line[:64]})
                continue
            response = "R" in fields[3:]
            sensor = next((f for f in fields[3:] if f != "R"), None)
            messages += 1
            queries += not response
            hour = time // 3_600_000_000 * 3_600_000_000
            count = counts.setdefault(
                (sensor, hour), {"messages": 0, "first_time": time, "last_time": time}
            )
            count["messages"] += 1
            count["first_time"] = min(count["first_time"], time)
            count["last_time"] = max(count["last_time"], time)
            rows += [
                {
                    "time": time,
                    "offset": at,
                    "response": response,
                    "sensor": sensor,
                    "vantage": vantage,
                    "address": address,
                    "transport": "udp",
                    "name": name,
                    "qtype": 1,
                    "entry": entry,
                    "proof": "dns_udp",
                    "weight": 1,
                    "limited": False,
                }
                for entry in entries.get(name, [])
            ]
        if bad:
            none = {"messages": 0, "first_time": None, "last_time": None}
            counts[None, -1] = none | {"malformed": len(bad)}
        stream.advance(len(data))
        zeros = {"matched": 0, "malformed": 0, "skipped": 0, "lost": 0, "clock_faults": 0}
        return Batch(
            end=stream.offset,
            queries=made(rows, QUERIES.arrow),
            counts=made(
                [
                    zeros
                    | {"sensor": sensor, "vantage": vantage, "hour": None if hour < 0 else hour}
                    | values
                    for (sensor, hour), values in counts.items()
                ],
                COVERAGE_COUNTS.arrow,
            ),
            quarantine=made(bad, QUARANTINE.arrow),
            records=messages + len(bad),
            query_messages=queries,
            notes=self.notes,
        )


def made(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = []
    for field in schema:
        kind = field.type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        array = pa.array([row.get(field.name) for row in rows], plain)
        columns.append(array.dictionary_encode() if plain is not kind else array)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def entries_by_name(watchlist: Watchlist) -> dict[str, list[int]]:
    """Entries whose text a line names; ``*.x`` is hit by ``x`` and by names below it in tests."""
    found: dict[str, list[int]] = {}
    for entry in range(len(watchlist.entry_offsets) - 1):
        rule = watchlist.rules[watchlist.entry_rules[watchlist.entry_offsets[entry]]]
        names = [rule.text] if rule.kind == "exact" else [rule.text[2:], "www." + rule.text[2:]]
        for name in names:
            found.setdefault(name, []).append(entry)
    return found


def watching(*rules: str | Rule, case: str = "demo") -> Watchlist:
    return Watchlist.compile(
        [
            rule
            if isinstance(rule, Rule)
            else Rule(case, "below" if rule.startswith("*.") else "exact", rule)
            for rule in rules
        ]
    )


EVIL = watching("evil.example", "*.bad.example")


def line(seconds: float, address: str, name: str = "evil.example", *more: str) -> bytes:
    return (",".join([f"{START + seconds}", address, name, *more]) + "\n").encode()


def settings_in(folder: Path) -> Settings:
    return Settings(home=folder / "home", site_key=folder / "key" / "site.key")


def ingest(
    store: Store,
    data: bytes,
    *,
    watchlist: Watchlist = EVIL,
    reader: LineReader | None = None,
    chunk: int = 1 << 16,
    path: str = "made-up",
    options: ReadOptions = OPTIONS,
    **more: Any,
) -> list[SourceResult]:
    with ByteStream(BytesIO(data), path, chunk=chunk) as stream:
        return ingest_source(
            stream, reader or LineReader(), store, watchlist, options, path=path, **more
        )


def states(results: list[SourceResult]) -> list[str]:
    return [result.state for result in results]


def stored(store: Store, table: Table, case: str = "demo") -> pa.Table:
    """All listed rows of a table, read without a query engine: many tests need this fast."""
    with store.ledger.reading() as connection:
        files = store.ledger.files(connection, case, table.name)
    parts = [read_table(table, store.folder.path(file)) for file in files]
    return pa.concat_tables([table.empty(), *parts])


def facts(store: Store, case: str = "demo") -> list[tuple[Any, ...]]:
    """The sightings of a case without what may differ: the ledger id."""
    columns = ["time", "client", "sensor", "vantage", "name", "indicator", "weight"]
    rows = stored(store, SIGHTINGS, case).select(columns).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def total(store: Store, column: str, case: str = "demo") -> int:
    """The sum of one count of the coverage."""
    return int(pc.sum(stored(store, COVERAGE, case)[column]).as_py() or 0)


def by_day(store: Store, case: str = "demo") -> dict[str, tuple[int, int]]:
    """Queries and distinct clients by day, from the sightings."""
    days: dict[str, list[int]] = {}
    for row in stored(store, SIGHTINGS, case).select(["time", "client"]).to_pylist():
        days.setdefault(row["time"].date().isoformat(), []).append(row["client"])
    return {day: (len(seen), len(set(seen))) for day, seen in days.items()}


def rolled_up(store: Store, case: str = "demo") -> dict[str, tuple[int, int]]:
    """The same from the roll-ups."""
    days = store.view(case).table(ACTIVITY)
    rows = days.filter(days.grain == "day", days.sensor.isnull()).to_pyarrow().to_pylist()
    return {r["start"].date().isoformat(): (r["queries"], r["clients"]) for r in rows}


def truth(data: bytes) -> dict[str, tuple[int, int]]:
    """Queries and distinct clients by day, from the lines themselves (IPv4 only)."""
    days: dict[str, list[str]] = {}
    for text in data.decode().splitlines():
        seconds, address, name = text.split(",")[:3]
        if name in entries_by_name(EVIL):
            day = np.datetime64(int(float(seconds)), "s").astype("datetime64[D]")
            days.setdefault(str(day), []).append(address)
    return {day: (len(seen), len(set(seen))) for day, seen in days.items()}

"""Lines per CPU second of the readers of JSON logs, beside DuckDB's own ``read_json``.

Both count the queries of the watched names in the same file, on one thread. Remnant also checks
every field, places every message in its hour, joins queries with their answers, and makes a row of
each hit; DuckDB gets the columns told, so that it need not guess them.

    python bench/json_logs.py [QUERIES] [FORMAT ...]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from text_logs import ROUNDS, WATCHED, Query, by_remnant, queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def dump(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"


def zeek(query: Query) -> Iterator[str]:
    at, address, port, name, kind = query
    yield dump(
        {
            "ts": at, "uid": "CKIIJQfWoU8M05Fr2", "id.orig_h": address, "id.orig_p": port,
            "id.resp_h": "198.51.100.53", "id.resp_p": 53, "proto": "udp", "trans_id": 48095,
            "rtt": 0.0048, "query": name, "qclass": 1, "qclass_name": "C_INTERNET", "qtype": 1,
            "qtype_name": kind, "rcode": 0, "rcode_name": "NOERROR", "AA": False, "TC": False,
            "RD": True, "RA": True, "Z": 0, "answers": ["192.0.2.1"], "TTLs": [300.0],
            "rejected": False,
        }
    )  # fmt: skip


def event(query: Query, version: int, *, back: bool) -> dict[str, Any]:
    at, address, port, *_ = query
    stamp = datetime.fromtimestamp(at + 0.001 * back, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
    ends = {"src_ip": address, "src_port": port, "dest_ip": "198.51.100.53", "dest_port": 53}
    if back and version == 3:
        ends = {"src_ip": "198.51.100.53", "src_port": 53, "dest_ip": address, "dest_port": port}
    return {
        "timestamp": stamp, "flow_id": 1942075537145234, "in_iface": "eth0", "event_type": "dns",
        **ends, "proto": "UDP", "pkt_src": "wire/pcap",
    }  # fmt: skip


def suricata(query: Query, version: int, *, answers: bool) -> Iterator[str]:
    *_, name, kind = query
    question: dict[str, Any] = {"rrname": name, "rrtype": kind}
    asked: dict[str, Any] = {"type": "query", "id": 7, **question, "tx_id": 0, "opcode": 0}
    flags: dict[str, Any] = {
        "id": 7,
        "flags": "8180",
        "qr": True,
        "rd": True,
        "ra": True,
        "opcode": 0,
    }
    answered: dict[str, Any] = {"type": "answer", **flags, **question, "rcode": "NOERROR"}
    if version == 3:
        asked = {"type": "request", "tx_id": 0, "id": 7, "flags": "100", "rd": True, "opcode": 0,
                 "rcode": "NOERROR", "queries": [question]}  # fmt: skip
        answered = {"type": "response", "tx_id": 1, **flags, "rcode": "NOERROR",
                    "queries": [question]}  # fmt: skip
    yield dump(event(query, version, back=False) | {"dns": {"version": version, **asked}})
    if answers:
        answered["answers"] = [question | {"ttl": 300, "rdata": "192.0.2.1"}]
        yield dump(event(query, version, back=True) | {"dns": {"version": version, **answered}})


WRITERS: dict[str, tuple[str, Callable[[Query], Iterator[str]]]] = {
    "zeek": ("zeek", zeek),
    "eve-2": ("suricata", lambda query: suricata(query, 2, answers=False)),
    "eve-3": ("suricata", lambda query: suricata(query, 3, answers=False)),
    "eve-2-both": ("suricata", lambda query: suricata(query, 2, answers=True)),
    "eve-3-both": ("suricata", lambda query: suricata(query, 3, answers=True)),
}
TYPES = {
    "zeek": "{'query': 'VARCHAR'}",
    "eve-2": "{'dns': 'STRUCT(type VARCHAR, rrname VARCHAR)'}",
    "eve-3": "{'dns': 'STRUCT(type VARCHAR, queries STRUCT(rrname VARCHAR)[])'}",
}
NAMES = {"zeek": "query", "eve-2": "dns.rrname", "eve-3": "dns.queries[1].rrname"}
ONLY = {"zeek": "true", "eve-2": "dns.type = 'query'", "eve-3": "dns.type = 'request'"}
COUNT = """
    SELECT lower({name}) AS name, count(*) AS queries
    FROM read_json('{path}', format='newline_delimited', columns={columns})
    WHERE {only} AND lower({name}) IN (SELECT unnest({watched})) GROUP BY 1
"""


def by_duckdb(name: str, path: Path) -> dict[str, int]:
    kind = name.removesuffix("-both")
    sql = COUNT.format(
        name=NAMES[kind], path=path, columns=TYPES[kind], only=ONLY[kind], watched=WATCHED
    )
    with duckdb.connect(config={"threads": 1}) as connection:
        return dict(connection.execute(sql).fetchall())


def main() -> None:
    words = sys.argv[1:]
    asked = next((int(word) for word in words if word.isdecimal()), 500_000)
    formats = [word for word in words if word in WRITERS] or list(WRITERS)
    print(f"{asked:,} queries, 1 % watched, CPU seconds of one thread, best of {ROUNDS}")
    print(f"{'':12}{'MB':>6}{'remnant':>12}{'DuckDB':>12} lines/s{'ratio':>8}{'remnant':>10} MB/s")
    for name in formats:
        reader, write = WRITERS[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "queries.json")
            with path.open("w", encoding="ascii") as file:
                lines = sum(
                    file.write(line) > 0 for query in queries(asked) for line in write(query)
                )
            by_remnant(reader, path)  # compiles
            best: dict[str, float] = {}
            results = {}
            for _ in range(ROUNDS):
                for who, count, what in (
                    ("remnant", by_remnant, reader),
                    ("DuckDB", by_duckdb, name),
                ):
                    before = time.process_time()
                    results[who] = count(what, path)
                    taken = time.process_time() - before
                    best[who] = min(best.get(who, taken), taken)
            if results["remnant"] != results["DuckDB"]:
                sys.exit(f"{name}: the two count differently")
            speed = {who: lines / taken for who, taken in best.items()}
            size = path.stat().st_size / 1e6
            print(
                f"{name:12}{size:6.0f}{speed['remnant']:12,.0f}{speed['DuckDB']:12,.0f}"
                f"{speed['remnant'] / speed['DuckDB']:16.2f}{size / best['remnant']:10.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

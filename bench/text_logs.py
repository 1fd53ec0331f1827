"""Lines per CPU second of the readers of text logs, beside DuckDB's own ``read_csv``.

Both count the lines of the watched names in the same file, on one thread. Remnant also checks
every field, places every line in its hour, and makes a row of each hit; DuckDB gets the columns
told, so that it need not guess them.

    python bench/text_logs.py [QUERIES] [FORMAT ...]
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from remnant.capture import ReadOptions
from remnant.capture.readers import READERS
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WATCHED_SHARE = 0.01
WATCHED = [f"ns{i}.timedate{j}.com" for i in (1, 2) for j in range(50)]
START = 1_428_451_200  # 2015-04-08T00:00:00Z
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = 3

Query = tuple[float, str, int, str, str]
"""Time, client address, port, name and type."""


def queries(lines: int) -> Iterator[Query]:
    rng = np.random.default_rng(1)
    watched = rng.random(lines) < WATCHED_SHARE
    hosts, zones = rng.integers(0, 5000, lines), rng.integers(0, 90_000, lines)
    clients, ports = rng.integers(0, 1 << 24, lines), rng.integers(1024, 65536, lines)
    types = rng.choice(["A", "AAAA", "HTTPS", "PTR"], lines, p=[0.6, 0.25, 0.1, 0.05])
    for i in range(lines):
        name = WATCHED[zones[i] % 100] if watched[i] else f"host{hosts[i]}.service{zones[i]}.org"
        client = int(clients[i])
        address = f"10.{client >> 16}.{client >> 8 & 255}.{client & 255}"
        yield START + i / 5000, address, int(ports[i]), name, str(types[i])


def bind(query: Query) -> str:
    at, address, port, name, kind = query
    stamp = datetime.fromtimestamp(at, UTC).strftime("%d-%b-%Y %H:%M:%S.%f")[:-3]
    return (
        f"{stamp} queries: info: client @0x7f8a4c0b1d50 {address}#{port} ({name}): "
        f"query: {name} IN {kind} +E(0)K (198.51.100.53)\n"
    )


def unbound(query: Query) -> str:
    at, address, _, name, kind = query
    return f"[{int(at)}] unbound[812:0] info: {address} {name}. {kind} IN\n"


def zeek(query: Query) -> str:
    at, address, port, name, kind = query
    number = {"A": 1, "AAAA": 28, "HTTPS": 65, "PTR": 12}[kind]
    return (
        f"{at:.6f}\tCh3mYw1Zi5xOCrGqVj\t{address}\t{port}\t198.51.100.53\t53\tudp\t{port}\t0.000132"
        f"\t{name}\t1\tC_INTERNET\t{number}\t{kind}\t0\tNOERROR\tF\tF\tT\tT\t0\t192.0.2.7\t60.0\tF\n"
    )


def dnsmasq(query: Query) -> str:
    """Return a query and its answer, as ``log-queries=extra`` has them."""
    at, address, port, name, kind = query
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    head = f"{stamp} gw dnsmasq[812]: {int(at * 5000) % 1_000_000} {address}/{port}"
    data = {"A": "198.51.100.7", "AAAA": "2001:db8::7"}.get(kind, "NODATA")
    return f"{head} query[{kind}] {name} from {address}\n{head} reply {name} is {data}\n"


def pdns_auth(query: Query) -> str:
    at, address, _, name, kind = query
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    return (
        f"{stamp} ns1 pdns_server[8]: Remote {address} wants '{name}|{kind}', do = 0, bufsize = "
        "1232: packetcache MISS\n"
    )


def pdns_recursor(query: Query) -> str:
    """Return a question and its answer in the structured form."""
    at, address, port, name, kind = query
    stamp = datetime.fromtimestamp(at, UTC).strftime("%b %d %H:%M:%S")
    head, tail = 'subsystem="syncres" level="0" prio="Info" tid="3"', f'remote="{address}:{port}"'
    asked = f'mtid="{port}" proto="udp" qname="{name}" qtype="{kind}"'
    return (
        f'{stamp} msg="Question" {head} ts="{at:.3f}" ecs="" {asked} {tail}\n'
        f'{stamp} msg="Answer" {head} ts="{at:.3f}" additional="1" answers="2" dotout="0" ecs="" '
        f'netms="0.342" outqueries="1" {asked} rcode="0" rd="1" {tail} validationState="Secure"\n'
    )


ZEEK_COLUMNS = [
    "ts",
    "uid",
    "id.orig_h",
    "id.orig_p",
    "id.resp_h",
    "id.resp_p",
    "proto",
    "trans_id",
    "rtt",
    "query",
    "qclass",
    "qclass_name",
    "qtype",
    "qtype_name",
    "rcode",
    "rcode_name",
    "AA",
    "TC",
    "RD",
    "RA",
    "Z",
    "answers",
    "TTLs",
    "rejected",
]
ZEEK_HEADER = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n"
    "#fields\t" + "\t".join(ZEEK_COLUMNS) + "\n"
)
WRITERS: dict[str, tuple[str, Callable[[Query], str]]] = {
    "bind": ("", bind),
    "unbound": ("", unbound),
    "zeek": (ZEEK_HEADER, zeek),
    "dnsmasq": ("", dnsmasq),
    "pdns-auth": ("", pdns_auth),
    "pdns-recursor": ("", pdns_recursor),
}
COUNT = """
    SELECT lower(rtrim({name}, '.')) AS name, count(*) AS lines
    FROM read_csv('{path}', delim='{mark}', header=false, skip={skip}, quote='', escape='',
        null_padding=true, strict_mode=false,
        auto_detect=false, columns={columns})
    WHERE {query} AND lower(rtrim({name}, '.')) IN (SELECT unnest({watched})) GROUP BY ALL
"""
PLACES = {
    "bind": (" ", 14, "c9", "true"),
    "unbound": (" ", 7, "c4", "true"),
    "zeek": ("\\t", 24, "c9", "true"),
    "dnsmasq": (" ", 9, "c6", "c5 LIKE 'query[%'"),
    "pdns-auth": (" ", 14, "split_part(c6[2:], '|', 1)", "c3 = 'Remote'"),
    "pdns-recursor": (" ", 25, "split_part(c12, '\"', 2)", "c3 = 'msg=\"Question\"'"),
}
"""How DuckDB finds the name: the separator, how many columns there are, where it stands, and which
lines are queries."""


def by_duckdb(name: str, path: Path) -> dict[str, int]:
    mark, width, column, query = PLACES[name]
    columns = "{" + ", ".join(f"'c{i}': 'VARCHAR'" for i in range(width)) + "}"
    skip = WRITERS[name][0].count("\n")
    sql = COUNT.format(
        name=column,
        query=query,
        path=path,
        mark=mark,
        columns=columns,
        watched=WATCHED,
        skip=skip,
    )
    with duckdb.connect(config={"threads": 1}) as connection:
        return dict(connection.execute(sql).fetchall())


def by_remnant(name: str, path: Path) -> dict[str, int]:
    watchlist = Watchlist.compile([Rule("bench", "exact", watched) for watched in WATCHED])
    found: Counter[str] = Counter()
    with ByteStream(io.FileIO(path), str(path)) as stream:
        for batch in READERS[name].read(stream, watchlist, ReadOptions(now=NOW)):
            found.update(str(word) for word in batch.queries.column("name").to_pylist())
    return dict(found)


def main() -> None:
    words = sys.argv[1:]
    lines = next((int(word) for word in words if word.isdecimal()), 2_000_000)
    formats = [word for word in words if word in WRITERS] or list(WRITERS)
    readers = {"remnant": by_remnant, "DuckDB": by_duckdb}
    print(f"{lines:,} queries, 1 % watched, CPU seconds of one thread, best of {ROUNDS}")
    print(f"{'':14}{'MB':>6}{'remnant':>14}{'DuckDB':>14} lines/s{'ratio':>8}")
    for name in formats:
        header, write = WRITERS[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "queries.log")
            with path.open("w", encoding="ascii") as file:
                file.write(header)
                file.writelines(map(write, queries(lines)))
            best: dict[str, float] = {}
            results = {}
            by_remnant(name, path)  # compiles
            for _ in range(ROUNDS):
                for who, count in readers.items():
                    before = time.process_time()
                    results[who] = count(name, path)
                    taken = time.process_time() - before
                    best[who] = min(best.get(who, taken), taken)
            if results["remnant"] != results["DuckDB"]:
                sys.exit(f"{name}: the two count differently")
            count_lines = path.read_bytes().count(b"\n")
            speed = {who: count_lines / taken for who, taken in best.items()}
            print(
                f"{name:14}{path.stat().st_size / 1e6:6.0f}{speed['remnant']:14,.0f}"
                f"{speed['DuckDB']:14,.0f}{speed['remnant'] / speed['DuckDB']:16.2f}"
            )


if __name__ == "__main__":
    main()

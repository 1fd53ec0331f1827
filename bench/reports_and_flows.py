"""Lines per CPU second of the readers of reports and flows, beside DuckDB's own ``read_csv``.

Both count the lines of the watched destinations (of reports: of a watched family) in the same file,
on one thread. Remnant also checks every field, places every line in its hour, refuses broken quotes
line by line, and makes a row of each hit; DuckDB gets the columns told.

    python bench/reports_and_flows.py [LINES] [FORMAT ...]
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import numpy as np

from remnant.capture import ReadOptions
from remnant.capture.readers import READERS
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WATCHED_SHARE = 0.01
WATCHED = [f"198.51.100.{i}" for i in range(1, 101)]
START = 1_428_451_200  # 2015-04-08T00:00:00Z
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = 3


class Flow(NamedTuple):
    """Time, both addresses and the source port."""

    time: float
    source: str
    target: str
    port: int

    @property
    def stamp(self) -> str:
        """The time as reports and nfdump print it."""
        return datetime.fromtimestamp(self.time, UTC).strftime("%Y-%m-%d %H:%M:%S")


def flows(lines: int) -> Iterator[Flow]:
    rng = np.random.default_rng(1)
    watched = rng.random(lines) < WATCHED_SHARE
    sources, targets = (rng.integers(1 << 24, 1 << 31, lines) for _ in range(2))
    ports = rng.integers(1024, 65536, lines)
    for i in range(lines):
        target = WATCHED[targets[i] % len(WATCHED)] if watched[i] else dotted(int(targets[i]))
        yield Flow(START + i / 5000, dotted(int(sources[i])), target, int(ports[i]))


def dotted(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


NFDUMP = (
    "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,"
    "nhb,svln,dvln,ismc,odmc,idmc,osmc,mpls1,mpls2,mpls3,mpls4,mpls5,mpls6,mpls7,mpls8,mpls9,"
    "mpls10,cl,sl,al,ra,eng,exid,tr"
)
NFDUMP_REST = (
    "TCP,...AP.SF,0,0,87,6051,0,0,0,0,0,0,0,0,0,0,0.0.0.0,0.0.0.0,0,0"
    + ",00:00:00:00:00:00" * 4
    + ",0-0-0" * 10
    + ",    0.000" * 3
    + ",0.0.0.0,17/1,0,2026-11-26 20:58:21.955"
)


def nfdump(flow: Flow) -> str:
    addresses = f"{flow.source},{flow.target},{flow.port},443"
    return f"{flow.stamp},{flow.stamp},0.968,{addresses},{NFDUMP_REST}\n"


NFDUMP_17 = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows"


def nfdump_17(flow: Flow) -> str:
    ends = f"{flow.source},{flow.port},{flow.target},443"
    return f"{flow.stamp}.543,00:00:01.968,TCP,{ends},87,6051,1\n"


ZEEK_COLUMNS = (
    "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes "
    "conn_state local_orig local_resp missed_bytes history orig_pkts orig_ip_bytes resp_pkts "
    "resp_ip_bytes tunnel_parents"
)
ZEEK = ZEEK_COLUMNS.split(" ")


def zeek(flow: Flow) -> str:
    ends = f"{flow.source}\t{flow.port}\t{flow.target}\t443"
    rest = "tcp\tssl\t1.968021\t6051\t10077\tSF\tT\tF\t0\tShADadFf\t87\t9540\t125\t15088\t-"
    return f"{flow.time:.6f}\tCh3mYw1Zi5xOCrGqVj\t{ends}\t{rest}\n"


REPORT_COLUMNS = (
    "timestamp,protocol,src_ip,src_port,src_asn,src_geo,src_region,src_city,src_hostname,"
    "src_naics,src_sector,device_vendor,device_type,device_model,severity,dst_ip,dst_port,dst_asn,"
    "dst_geo,dst_region,dst_city,dst_hostname,dst_naics,dst_sector,public_source,infection,family,"
    "tag,application,version,event_id,http_url,http_host,http_agent,forwarded_by,ssl_cipher,"
    "http_referer,ssl_servername,machine_name"
)
REPORT = REPORT_COLUMNS.split(",")
SECTOR = "Communications, Service Provider, and Hosting Service"


def shadowserver(flow: Flow) -> str:
    family = "beebone" if flow.target in WATCHED else "andromeda"
    values: dict[str, object] = {
        "timestamp": flow.stamp,
        "protocol": "tcp",
        "src_ip": flow.source,
        "src_port": flow.port,
        "src_asn": 64500,
        "src_geo": "NL",
        "src_region": "NOORD-HOLLAND",
        "src_city": "AMSTERDAM",
        "src_sector": SECTOR,
        "severity": "critical",
        "dst_ip": "203.0.113.4",
        "dst_port": 80,
        "dst_geo": "DE",
        "dst_sector": SECTOR,
        "infection": family,
        "family": family,
        "http_url": "GET /x?a=1 HTTP/1.1",
        "http_host": "differentia.ru",
        "http_agent": "Mozilla/4.0",
    }
    cells = (values.get(column, "") for column in REPORT)
    return ",".join(f'"{c}"' if isinstance(c, str) and c else str(c) for c in cells) + "\n"


class Kind(NamedTuple):
    """How a format is written, and how DuckDB is told to read it."""

    reader: str
    header: str
    write: Callable[[Flow], str]
    columns: list[str]
    mark: str
    quote: str
    counted: str


KINDS = {
    "conn.log": Kind(
        "zeek-conn",
        "#separator \\x09\n#path\tconn\n#fields\t" + "\t".join(ZEEK) + "\n",
        zeek,
        ZEEK,
        "\\t",
        "",
        "id.resp_h",
    ),
    "nfdump": Kind("nfdump", NFDUMP + "\n", nfdump, NFDUMP.split(","), ",", "", "da"),
    "nfdump-1.7.5": Kind(
        "nfdump", NFDUMP_17 + "\n", nfdump_17, NFDUMP_17.split(","), ",", "", "dstAddr"
    ),
    "shadowserver": Kind(
        "shadowserver", ",".join(REPORT) + "\n", shadowserver, REPORT, ",", '"', "infection"
    ),
}


def by_duckdb(kind: Kind, path: Path) -> dict[str, int]:
    columns = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in kind.columns) + "}"
    sql = f"""
        SELECT "{kind.counted}" AS word, count(*) FROM read_csv('{path}', delim='{kind.mark}',
        header=false, skip={kind.header.count(chr(10))}, quote='{kind.quote}',
        escape='{kind.quote}', auto_detect=false, columns={columns})
        WHERE word IN (SELECT unnest({[*WATCHED, "beebone"]})) GROUP BY word
    """  # noqa: S608 - no input of others
    with duckdb.connect(config={"threads": 1}) as connection:
        return dict(connection.execute(sql).fetchall())


def by_remnant(kind: Kind, path: Path) -> dict[str, int]:
    watchlist = Watchlist.compile(
        [
            *(Rule("bench", "address", watched) for watched in WATCHED),
            Rule("bench", "family", "family:beebone"),
        ]
    )
    found: Counter[str] = Counter()
    with ByteStream(io.FileIO(path), str(path)) as stream:
        for batch in READERS[kind.reader].read(stream, watchlist, ReadOptions(now=NOW)):
            if kind.counted == "infection":
                found["beebone"] += len(batch.queries)
            else:
                found.update(str(word) for word in batch.queries.column("name").to_pylist())
    return {word: count for word, count in found.items() if count}


def main() -> None:
    words = sys.argv[1:]
    lines = next((int(word) for word in words if word.isdecimal()), 1_000_000)
    readers = {"remnant": by_remnant, "DuckDB": by_duckdb}
    print(f"{lines:,} lines, 1 % watched, CPU seconds of one thread, best of {ROUNDS}")
    print(f"{'':14}{'MB':>6}{'remnant':>14}{'DuckDB':>14} lines/s{'ratio':>8}")
    for name in [word for word in words if word in KINDS] or list(KINDS):
        kind = KINDS[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "made"
            with path.open("w") as file:
                file.write(kind.header)
                file.writelines(map(kind.write, flows(lines)))
            best = dict.fromkeys(readers, float("inf"))
            counted = {}
            for _ in range(ROUNDS):
                for who, read in readers.items():
                    began = time.process_time()
                    counted[who] = read(kind, path)
                    best[who] = min(best[who], time.process_time() - began)
            if counted["remnant"] != counted["DuckDB"]:
                sys.exit(f"{name}: the counts differ")
            rates = {who: lines / seconds for who, seconds in best.items()}
            print(
                f"{name:14}{path.stat().st_size / 1e6:6.0f}{rates['remnant']:14,.0f}"
                f"{rates['DuckDB']:14,.0f}{rates['remnant'] / rates['DuckDB']:16.2f}"
            )


if __name__ == "__main__":
    main()

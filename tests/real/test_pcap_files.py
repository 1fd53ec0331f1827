"""Captures written by others: counts and names checked against tshark and dnscap."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from remnant.capture import Batch, ReadOptions
from remnant.capture.pcap import PcapReader
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVERYTHING = Watchlist.compile([Rule("demo", "below", "*.")])

# Messages, queries, malformed, skipped.
EXPECTED = {
    "dns.pcap.xz": (1998, 999, 0, 0),
    "dnscap-1qtcpnosyn.pcap": (2, 1, 0, 6),
    "dnscap-dns.pcap.gz": (82, 41, 0, 51),
    "dnscap-dns.pcap.lz4": (82, 41, 0, 51),
    "dnscap-dns.pcap.zst": (82, 41, 0, 51),
    "dnscap-dns6.pcap": (2, 1, 0, 0),
    # Five segments in the middle are not in the capture: a query and its response, and what the
    # server sent beside them. Both directions lose one message or more.
    "dnscap-dnso1tcp-midmiss.pcap": (6, 3, 2, 13),
    "dnscap-dnso1tcp.pcap": (82, 41, 0, 130),
    "dnscap-dnsotcp-many1pkt.pcap": (4, 3, 0, 8),
    "dnscap-edns.pcap": (14, 7, 0, 0),
    "dnscap-frags.pcap": (82, 41, 0, 413),
    "dnscap-sll2.pcap": (2, 1, 0, 0),
    "dnscap-vlan11.pcap": (82, 41, 0, 51),
    "malformed.pcap.xz": (22, 11, 2, 0),
    "matching.pcap.xz": (11, 6, 0, 32),
    "unmatched.pcap.xz": (2, 1, 0, 0),
}
FILES = pytest.mark.parametrize("name", sorted(EXPECTED))


def read(path: Path) -> list[Batch]:
    options = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC))
    with ByteStream(path.open("rb"), str(path)) as stream:
        return list(PcapReader().read(stream, EVERYTHING, options))


def rows(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.queries.to_pylist()]


@pytest.fixture
def plain(real_data: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Return a capture without its compression, as other programs want it."""

    def written(name: str) -> Path:
        with ByteStream((real_data / "pcap" / name).open("rb"), name) as stream:
            data = b""
            while stream.more():
                data += stream.view.tobytes()
                stream.advance(stream.view.size)
        path = tmp_path / "plain.pcap"
        path.write_bytes(data)
        return path

    return written


def run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if command[0] == "dnscap" else done.stdout


@FILES
def test_counts(real_data: Path, name: str) -> None:
    batches = read(real_data / "pcap" / name)
    sums = {
        column: sum(row[column] for batch in batches for row in batch.counts.to_pylist())
        for column in ("messages", "malformed", "skipped")
    }

    assert (
        sums["messages"],
        sum(batch.query_messages for batch in batches),
        sums["malformed"],
        sums["skipped"],
    ) == EXPECTED[name]
    assert sum(batch.records for batch in batches) == sum(sums.values())


@FILES
def test_rows_are_what_tshark_prints(plain: Callable[[str], Path], name: str) -> None:
    path = plain(name)
    fields = ["frame.time_epoch", "ip.src", "ipv6.src", "dns.flags.response", "dns.qry.name"]
    printed = run(
        "tshark", "-n", "-r", str(path), "-Y", "dns && !_ws.malformed", "-T", "fields",
        *(part for field in fields for part in ("-e", field)), "-E", "occurrence=a",
    )  # fmt: skip
    theirs = []
    for line in printed.splitlines():
        time, v4, v6, kinds, names = line.split("\t")
        for kind, asked in zip(kinds.split(","), names.split(","), strict=False):
            if kind in {"0", "False"}:
                folded = asked.lower().replace("<root>", ".")
                theirs.append((_epoch(time), v4 or v6, folded))
    mine = []
    for row in rows(read(path)):
        if not row["response"]:
            time = f"{row['time'].timestamp():.6f}"
            mine.append((time, _address(row["address"]), row["name"].replace("\\", "")))
    if name != "dnscap-sll2.pcap":  # Its name has a comma in it, as the list of names has.
        assert sorted(mine) == sorted(theirs)


def _epoch(text: str) -> str:
    return f"{float(text):.6f}"


def _address(raw: bytes) -> str:
    import ipaddress

    address = ipaddress.IPv6Address(raw)
    return str(address.ipv4_mapped or address)


# The others are beyond what dnscap reads without options for each (VLAN, fragments, TCP).
@pytest.mark.parametrize(
    "name",
    [
        "dns.pcap.xz",
        "dnscap-dns.pcap.gz",
        "dnscap-dns6.pcap",
        "dnscap-dnso1tcp.pcap",
        "dnscap-edns.pcap",
        "unmatched.pcap.xz",
    ],
)
def test_messages_are_what_dnscap_prints(plain: Callable[[str], Path], name: str) -> None:
    printed = run("dnscap", "-g", "-T", "-r", str(plain(name)))
    batches = read(plain(name))
    messages = sum(row["messages"] for batch in batches for row in batch.counts.to_pylist())

    assert len(re.findall(r"^\s*dns [A-Z]", printed, re.MULTILINE)) == messages


def test_names_are_folded_text(real_data: Path) -> None:
    got = rows(read(real_data / "pcap" / "dnscap-sll2.pcap"))

    assert [(row["name"], row["rcode"], row["transport"]) for row in got] == [(",\\.", 3, "udp")]

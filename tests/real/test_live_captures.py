"""Captures that dumpcap makes of a real named and real clients, in a network of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from remnant.capture import ReadOptions
from remnant.capture.pcap import PcapReader
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, v4

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = ("unshare", "ip", "named", "dig", "kdig", "dumpcap", "tshark")
ZONE = """$TTL 60
@ IN SOA ns.evil.test. root.evil.test. 1 60 60 60 60
@ IN NS ns.evil.test.
ns IN A 127.0.0.1
*.small IN A 192.0.2.1
"""
LARGE = 40
"""Strings of 200 bytes in a set of records that no packet of 1280 bytes holds."""
CONFIG = """options {{
  directory "{folder}"; pid-file none; session-keyfile "{folder}/key";
  listen-on port 53 {{ 127.0.0.1; }}; listen-on-v6 port 53 {{ ::1; }};
  recursion no; dnssec-validation no; allow-query {{ any; }};
  max-udp-size 4096; edns-udp-size 4096; minimal-responses yes;
}};
controls {{ }};
zone "evil.test" {{ type primary; file "{folder}/zone"; }};
"""
# A loopback with packets of 1280 bytes cuts large answers into fragments and segments.
SCRIPT = """set -e
ip link set lo mtu 1280 up
named -f -n 1 -c {folder}/named.conf >/dev/null 2>&1 &
server=$!
dumpcap -q -i lo -f 'not port 9' -w {folder}/blocks.pcapng >/dev/null 2>&1 &
first=$!
dumpcap -q -i any -P -w {folder}/cooked.pcap >/dev/null 2>&1 &
second=$!
trap 'kill $server $first $second 2>/dev/null; wait' EXIT
for i in $(seq 100); do
  dig -b 127.0.0.3 @127.0.0.1 +tries=1 +time=1 ready.evil.test >/dev/null && break
  sleep 0.1
done
sleep 1
dig -b 127.0.0.2 @127.0.0.1 +tries=1 C2.small.evil.test A
dig -b 127.0.0.2 @127.0.0.1 +tries=1 +noedns nothing.evil.test A
dig -b 127.0.0.2 @127.0.0.1 +tries=1 +tcp tcp.small.evil.test A
dig -b 127.0.0.2 @127.0.0.1 +tries=1 +tcp large.evil.test TXT
dig -b 127.0.0.2 @127.0.0.1 +tries=1 +bufsize=4096 +ignore half.evil.test TXT
dig -6 @::1 +tries=1 +tcp six.small.evil.test AAAA
kdig -b 127.0.0.4 @127.0.0.1 +tcp +keepopen a.small.evil.test b.small.evil.test c.small.evil.test
sleep 2
""".replace("\ndig", "\ndig >/dev/null").replace("\nkdig", "\nkdig >/dev/null")
CAPTURES = ("blocks.pcapng", "cooked.pcap")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [tool for tool in TOOLS if shutil.which(tool, path=_PATH) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("only root makes a network of its own")
    made = tmp_path_factory.mktemp("live")
    made.chmod(0o777)
    records = [f'large IN TXT "{i:03}{"x" * 197}"' for i in range(LARGE)]
    records += [f'half IN TXT "{i:03}{"x" * 197}"' for i in range(14)]
    (made / "zone").write_text(ZONE + "\n".join(records) + "\n", encoding="ascii")
    (made / "named.conf").write_text(CONFIG.format(folder=made), encoding="ascii")
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", SCRIPT.format(folder=made)],
        capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": _PATH},
    )  # fmt: skip
    if "unshare" in done.stderr:
        pytest.skip(f"no network of its own: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return made


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def read(path: Path) -> list[Any]:
    watchlist = Watchlist.compile([Rule("demo", "below", "*.evil.test")])
    options = ReadOptions(now=datetime.now(tz=UTC) + timedelta(hours=1))
    with ByteStream(path.open("rb"), str(path), chunk=3000) as stream:
        return list(PcapReader().read(stream, watchlist, options))


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_question_and_its_answer(folder: Path, capture: str) -> None:
    batches = read(folder / capture)
    found = [row for batch in batches for row in batch.queries.to_pylist()]
    found = [row for row in found if row["name"] != "ready.evil.test"]

    assert sorted((r["name"], r["transport"], r["rcode"], r["qtype"]) for r in found) == [
        ("a.small.evil.test", "tcp", 0, 1),
        ("b.small.evil.test", "tcp", 0, 1),
        ("c.small.evil.test", "tcp", 0, 1),
        ("c2.small.evil.test", "udp", 0, 1),
        ("half.evil.test", "udp", 0, 16),
        ("large.evil.test", "tcp", 0, 16),
        ("nothing.evil.test", "udp", 3, 1),
        ("six.small.evil.test", "tcp", 0, 28),
        ("tcp.small.evil.test", "tcp", 0, 1),
    ]
    assert {r["address"] for r in found} == {v4("127.0.0.2"), v4("127.0.0.4"), bytes(15) + b"\1"}
    assert counts(batches)[1] == 0
    assert counts(batches)[3] == 0
    # Only the server answers, and it asks nothing here but itself.
    assert batches[-1].responders is None


@pytest.mark.parametrize("capture", CAPTURES)
def test_large_answers_are_whole(folder: Path, capture: str) -> None:
    kept: Counter[str] = Counter()
    for batch in read(folder / capture):
        if batch.answers is not None:
            kept.update(row["rrname"] for row in batch.answers.to_pylist())

    assert kept["large.evil.test"] == LARGE
    assert kept["half.evil.test"] == 14


@pytest.mark.parametrize("capture", CAPTURES)
def test_as_many_messages_as_tshark_finds(folder: Path, capture: str) -> None:
    # An ICMP error quotes the message that it is about.
    printed = subprocess.run(
        ["tshark", "-n", "-r", str(folder / capture), "-Y", "dns && !icmp && !icmpv6",
         "-T", "fields", "-e", "dns.id"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    theirs = sum(len(line.split(",")) for line in printed.splitlines())

    assert counts(read(folder / capture))[0] == theirs > 18

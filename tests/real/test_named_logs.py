"""Query logs written by a real named, asked by a real dig."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ports import free_port
from remnant.capture import ReadOptions
from remnant.capture.bind import BindReader
from remnant.capture.readers import recognise
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, notes, v4

READER = BindReader()
CHANNELS = {
    "all": "print-time yes; print-category yes; print-severity yes;",
    "time": "print-time yes;",
    "iso": "print-time iso8601; print-category yes;",
    "utc": "print-time iso8601-utc; print-severity yes;",
    "bare": "print-time no;",
}
ASKED = [
    ("ns1.timedate1.com", "A", ["+edns=0"]),
    ("NS1.TimeDate1.COM", "AAAA", ["+tcp"]),
    ("x.thepicturehut.net", "TYPE65", ["+noedns", "+norecurse"]),
    (r"a\032b\255.\(c\)\.d.ns1.timedate1.com", "TXT", ["+cd"]),
    ("ns1.timedate1.com", "ANY", ["+subnet=203.0.113.77/24", "+notcp"]),
    (".", "NS", []),
    ("2001:db8:111:2:12:", "A", []),
]
NAMES = [
    "ns1.timedate1.com",
    "ns1.timedate1.com",
    "x.thepicturehut.net",
    r"a\032b\255.(c)\.d.ns1.timedate1.com",
    "ns1.timedate1.com",
    ".",
    "2001:db8:111:2:12:",
]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    named, dig = shutil.which("named"), shutil.which("dig")
    if named is None or dig is None:
        pytest.skip("named or dig is not installed (Debian: bind9, bind9-dnsutils)")
    folder = tmp_path_factory.mktemp("named")
    port = free_port()
    channels = "\n".join(
        f'channel log_{name} {{ file "{folder}/{name}.log"; severity dynamic; {options} }};'
        for name, options in CHANNELS.items()
    )
    wanted = " ".join(f"log_{name};" for name in CHANNELS)
    (folder / "named.conf").write_text(
        f"""options {{
          directory "{folder}"; pid-file "{folder}/named.pid";
          session-keyfile "{folder}/session.key";
          listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
          recursion no; querylog yes; dnssec-validation no; allow-query {{ any; }};
        }};
        controls {{ }};
        logging {{ {channels} category queries {{ {wanted} }}; category default {{ log_all; }}; }};
        """,
        encoding="ascii",
    )
    server = subprocess.Popen(
        [named, "-f", "-c", str(folder / "named.conf"), "-n", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TZ": "Europe/Berlin"},
    )

    def ask(name: str, kind: str, options: list[str]) -> int:
        command = [dig, "@127.0.0.1", "-p", str(port), "+tries=1", "+time=2", *options]
        command += ["-q", name, "-t", kind]
        return subprocess.run(command, capture_output=True, check=False).returncode

    try:
        deadline = time.monotonic() + 120
        while ask("ready.example", "A", []) != 0:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.skip("named does not run here")
        for name, kind, options in ASKED:
            assert ask(name, kind, options) == 0
    finally:
        server.terminate()
        server.wait(60)
    return {name: (folder / f"{name}.log").read_bytes() for name in CHANNELS}


def read(data: bytes) -> list[Any]:
    watchlist = Watchlist.compile([Rule("demo", "below", "*.")])
    now = datetime.now(UTC) + timedelta(hours=3)
    with ByteStream(io.BytesIO(data), "named.log", chunk=1000) as stream:
        return list(READER.read(stream, watchlist, ReadOptions(now=now)))


@pytest.mark.parametrize("channel", [name for name in CHANNELS if name != "bare"])
def test_every_query_of_every_channel(logs: dict[str, bytes], channel: str) -> None:
    data = logs[channel]
    batches = read(data)
    found = [row for batch in batches for row in batch.queries.to_pylist()]
    found = [row for row in found if row["name"] != "ready.example"]

    reader = recognise(data)
    assert reader is not None
    assert reader.name == "bind"
    assert [row["name"] for row in found] == NAMES
    assert [row["qtype"] for row in found] == [1, 28, 65, 16, 255, 2, 1]
    assert [row["transport"] for row in found] == ["udp", "tcp", "udp", "udp", "udp", "udp", "udp"]
    assert found[1]["case_bits"] is not None
    assert found[0]["case_bits"] is None
    assert found[4]["ecs"] == v4("203.0.113.0") + bytes([120])
    assert {row["address"] for row in found} == {v4("127.0.0.1")}
    malformed = counts(batches)[1]
    assert malformed == 0
    assert sum(batch.records for batch in batches) == len(data.splitlines())


def test_the_clock_of_the_log(logs: dict[str, bytes]) -> None:
    now = datetime.now(UTC)
    batches = read(logs["utc"])
    times = [time for batch in batches for time in batch.queries.column("time").to_pylist()]

    assert len(times) >= len(ASKED)
    assert all(timedelta(0) <= now - time < timedelta(minutes=10) for time in times)
    assert notes(batches) == []
    assert any("read as UTC" in note for note in notes(read(logs["all"])))


def test_a_log_without_times(logs: dict[str, bytes]) -> None:
    batches = read(logs["bare"])

    assert counts(batches)[0] == counts(batches)[3] >= len(ASKED)
    assert any("print-time yes" in note for note in notes(batches))

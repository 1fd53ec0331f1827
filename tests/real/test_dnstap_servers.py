"""dnstap of real servers, asked by a real dig: BIND and Knot to a file, Unbound to a socket.

Unbound asks BIND, so that one exchange is seen from both sides.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ports import free_port
from remnant.capture import ReadOptions
from remnant.capture.dnstap import DnstapReader
from remnant.capture.readers import READERS, recognise
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remnant.capture import AnswersMode

ZONE = r"""$TTL 300
@ SOA Ns1.evil.test. Admin.evil.test. 7 3600 600 86400 60
@ NS ns1
@ MX 10 Mail
@ TXT "v=spf1 -all" "a\"b\\c"
@ CAA 0 issue "ca.example"
ns1 A 127.0.0.1
mail A 192.0.2.25
www CNAME edge
edge A 192.0.2.80
edge A 192.0.2.81
edge AAAA 2001:db8::80
_sip._tcp SRV 1 2 5060 mail
odd TYPE999 \# 3 c0ffee
"""
ASKED = [
    ("www.evil.test", "A", "+notcp", 0),
    ("WWW.Evil.Test", "AAAA", "+tcp", 0),
    ("evil.test", "MX", "+notcp", 0),
    ("evil.test", "TXT", "+notcp", 0),
    ("evil.test", "CAA", "+notcp", 0),
    ("_sip._tcp.evil.test", "SRV", "+notcp", 0),
    ("odd.evil.test", "TYPE999", "+notcp", 0),
    ("nothing.evil.test", "A", "+notcp", 3),
]
ANSWERS = {
    ("www.evil.test", 5, "edge.evil.test"),
    ("edge.evil.test", 1, "192.0.2.80"),
    ("edge.evil.test", 1, "192.0.2.81"),
    ("edge.evil.test", 28, "2001:db8::80"),
    ("evil.test", 15, "10 mail.evil.test"),
    ("evil.test", 16, r'"v=spf1 -all" "a\"b\\c"'),
    ("evil.test", 257, '0 issue "ca.example"'),
    ("_sip._tcp.evil.test", 33, "1 2 5060 mail.evil.test"),
    ("odd.evil.test", 999, r"\# 3 C0FFEE"),
}
WATCHED = Watchlist.compile([Rule("demo", "below", "*.evil.test")])
UNTIL_READY_S = 120


def needed(*programs: str) -> None:
    packages = {
        "named": "bind9", "dig": "bind9-dnsutils", "unbound": "unbound", "knotd": "knot",
        "fstrm_capture": "fstrm-bin",
    }  # fmt: skip
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: {packages[program]})")


def ask(port: int, name: str, kind: str, transport: str) -> str:
    """Ask with dig; return its answer, empty if there was none."""
    words = [
        f"@127.0.0.1 -p {port} +tries=1 +time=3 +norrcomments",
        transport,
        "-q",
        name,
        "-t",
        kind,
    ]
    done = subprocess.run(
        ["dig", *words[0].split(), *words[1:]], capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""


def started(stack: ExitStack, *command: str) -> subprocess.Popen[bytes]:
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def stop() -> None:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    stack.callback(stop)
    return server


def wait_until(ready: Callable[[], Any], server: subprocess.Popen[bytes], what: str) -> None:
    deadline = time.monotonic() + UNTIL_READY_S
    while not ready():
        if server.poll() is not None or time.monotonic() > deadline:
            pytest.skip(f"{what} does not run here")
        time.sleep(0.1)


def named(stack: ExitStack, folder: Path, port: int) -> None:
    (folder / "named.conf").write_text(
        f"""options {{
          directory "{folder}"; pid-file "{folder}/named.pid";
          session-keyfile "{folder}/session.key";
          listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
          recursion no; dnssec-validation no; allow-query {{ any; }}; minimal-responses yes;
          dnstap {{ auth; }}; dnstap-output file "{folder}/named.dnstap"; dnstap-identity "bind";
        }};
        controls {{ }};
        zone "evil.test" {{ type primary; file "{folder}/zone"; }};
        """,
        encoding="ascii",
    )
    server = started(stack, "named", "-f", "-c", str(folder / "named.conf"), "-n", "1")
    wait_until(lambda: ask(port, "ready.evil.test", "A", "+notcp"), server, "named")


def unbound(stack: ExitStack, folder: Path, port: int, upstream: int) -> None:
    sink = folder / "dnstap.sock"
    capture = started(
        stack, "fstrm_capture", "-t", "protobuf:dnstap.Dnstap", "-u", str(sink),
        "-w", str(folder / "unbound.dnstap"),
    )  # fmt: skip
    wait_until(sink.exists, capture, "fstrm_capture")
    (folder / "unbound.conf").write_text(
        f"""server:
          directory: "{folder}"
          chroot: ""
          username: ""
          pidfile: "{folder}/unbound.pid"
          use-syslog: no
          interface: 127.0.0.1@{port}
          do-not-query-localhost: no
          module-config: "iterator"
          qname-minimisation: no
          local-zone: "test." nodefault
          minimal-responses: yes
        remote-control:
          control-enable: no
        stub-zone:
          name: "evil.test"
          stub-addr: 127.0.0.1@{upstream}
        dnstap:
          dnstap-enable: yes
          dnstap-bidirectional: yes
          dnstap-socket-path: "{sink}"
          dnstap-send-identity: yes
          dnstap-identity: "unbound"
          dnstap-log-client-query-messages: yes
          dnstap-log-client-response-messages: yes
          dnstap-log-resolver-query-messages: yes
          dnstap-log-resolver-response-messages: yes
        """,
        encoding="ascii",
    )
    server = started(stack, "unbound", "-d", "-c", str(folder / "unbound.conf"))
    wait_until(lambda: ask(port, "ready.evil.test", "A", "+notcp"), server, "unbound")
    # What Unbound tells it tells once a second.
    stack.callback(time.sleep, 2)


def knot(stack: ExitStack, folder: Path, port: int) -> None:
    (folder / "knot.conf").write_text(
        f"""server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    user: "{_me()}"
database:
    storage: "{folder}/knot"
mod-dnstap:
  - id: tap
    sink: "{folder}/knot.dnstap"
    identity: "knot"
    log-queries: on
    log-responses: on
template:
  - id: default
    storage: "{folder}"
    global-module: mod-dnstap/tap
    zonefile-sync: -1
zone:
  - domain: evil.test
    file: "zone"
""",
        encoding="ascii",
    )
    (folder / "knot").mkdir()
    server = started(stack, "knotd", "-c", str(folder / "knot.conf"))
    wait_until(lambda: ask(port, "ready.evil.test", "A", "+notcp"), server, "knotd")


def _me() -> str:
    import getpass

    return getpass.getuser()


def asked_all(port: int) -> list[str]:
    replies = [ask(port, name, kind, transport) for name, kind, transport, _ in ASKED]
    assert all(replies)
    return replies


@pytest.fixture(scope="module")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Unbound and the BIND behind it wrote, and when."""
    needed("named", "dig", "unbound", "fstrm_capture")
    folder = tmp_path_factory.mktemp("tap")
    (folder / "zone").write_text(ZONE, encoding="ascii")
    since = datetime.now(UTC)
    with ExitStack() as stack:
        ports = (free_port(), free_port())
        named(stack, folder, ports[1])
        unbound(stack, folder, *ports)
        replies = asked_all(ports[0])
    return {
        "unbound": (folder / "unbound.dnstap").read_bytes(),
        "named": (folder / "named.dnstap").read_bytes(),
        "replies": replies,
        "since": since,
        "until": datetime.now(UTC),
    }


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What Knot wrote."""
    needed("knotd", "dig")
    folder = tmp_path_factory.mktemp("knot")
    (folder / "zone").write_text(ZONE, encoding="ascii")
    with ExitStack() as stack:
        port = free_port()
        knot(stack, folder, port)
        asked_all(port)
    return (folder / "knot.dnstap").read_bytes()


def read(
    data: bytes, answers: AnswersMode = "watched", threads: int = 1
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, int]]:
    """Return rows, records and sums of the counts."""
    reader = recognise(data)
    assert reader is READERS["dnstap"]
    now = datetime.now(UTC) + timedelta(hours=1)
    rows, records = [], []
    sums = dict.fromkeys(("messages", "malformed", "skipped", "clock_faults"), 0)
    with ByteStream(io.BytesIO(data), "tap", chunk=1000) as stream:
        options = ReadOptions(now=now, answers=answers, threads=threads)
        for batch in DnstapReader().read(stream, WATCHED, options):
            rows += batch.queries.to_pylist()
            records += [] if batch.answers is None else batch.answers.to_pylist()
            for key in sums:
                sums[key] += sum(row[key] for row in batch.counts.to_pylist())
    rows = [row for row in rows if row["name"] != "ready.evil.test"]
    # The threads of a server write when they like.
    rows.sort(key=lambda row: row["time"])
    return rows, records, sums


def triples(records: list[dict[str, Any]]) -> set[tuple[str, int, str]]:
    return {(row["rrname"], row["rrtype"], row["rdata"]) for row in records}


TYPES = {"A": 1, "AAAA": 28, "MX": 15, "TXT": 16, "CAA": 257, "SRV": 33, "TYPE999": 999}


def check_rows(rows: list[dict[str, Any]], vantage: str, sensor: str) -> None:
    assert [(row["name"], row["qtype"], row["rcode"]) for row in rows] == [
        (name.lower(), TYPES[kind], rcode) for name, kind, _, rcode in ASKED
    ]
    assert [row["transport"] for row in rows] == [
        "tcp" if transport == "+tcp" else "udp" for _, _, transport, _ in ASKED
    ]
    assert {(row["vantage"], row["sensor"]) for row in rows} == {(vantage, sensor)}
    assert {row["address"][-4:] for row in rows} == {bytes([127, 0, 0, 1])}
    assert [row["case_bits"] is not None for row in rows] == [
        name != name.lower() for name, _, _, _ in ASKED
    ]


def test_unbound_through_its_socket(resolver: dict[str, Any]) -> None:
    rows, records, sums = read(resolver["unbound"])

    check_rows(rows, "resolver", "unbound")
    assert all(resolver["since"] <= row["time"] <= resolver["until"] for row in rows)
    assert len({row["client_port"] for row in rows}) > 1
    assert (sums["malformed"], sums["clock_faults"]) == (0, 0)
    # Queries to BIND and what it answered are no observations.
    assert sums["skipped"] >= 2 * len(ASKED)
    assert sums["messages"] >= 2 * len(ASKED)
    assert triples(records) >= ANSWERS
    # Each was seen in BIND's answer, and again in that to the client.
    assert {row["count"] for row in records if row["rrtype"] in {15, 16, 33, 257, 999}} == {2}


def test_records_are_what_dig_prints(resolver: dict[str, Any]) -> None:
    _, records, _ = read(resolver["unbound"], "all")
    said = set()
    for reply in resolver["replies"]:
        for line in reply.splitlines():
            found = re.match(r"([^;\s]\S*)\.\s+\d+\s+IN\s+(A|AAAA|CNAME|MX|SRV)\s+(.*)", line)
            if found:
                name, kind, data = found.groups()
                said.add(
                    (name.lower(), {**TYPES, "CNAME": 5}[kind], data.removesuffix(".").lower())
                )

    assert len(said) >= 6
    assert said <= triples(records)


def test_bind_sees_the_same_as_an_authority(resolver: dict[str, Any]) -> None:
    rows, records, sums = read(resolver["named"])

    assert {(row["vantage"], row["sensor"]) for row in rows} == {("authority", "bind")}
    names = {(row["name"], row["qtype"]) for row in rows}
    # Unbound knows the alias when it is asked for it again.
    expected = {(name.lower(), TYPES[kind]) for name, kind, _, _ in ASKED}
    assert expected - {("www.evil.test", 28)} | {("edge.evil.test", 28)} <= names
    assert {row["rcode"] for row in rows} == {0, 3}
    assert (sums["malformed"], sums["skipped"]) == (0, 0)
    assert triples(records) >= ANSWERS


def test_choices_and_threads(resolver: dict[str, Any]) -> None:
    data = resolver["unbound"]
    rows, watched, _ = read(data)
    again, everything, _ = read(data, "all", threads=3)

    assert again == rows
    assert triples(everything) >= triples(watched)
    assert read(data, "none")[:2] == (rows, [])


def test_knot_as_an_authority(authority: bytes) -> None:
    rows, records, sums = read(authority)

    check_rows(rows, "authority", "knot")
    assert sums["malformed"] == 0
    assert triples(records) >= ANSWERS

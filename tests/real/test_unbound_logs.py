"""Logs written by a real Unbound, asked by a real dig."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ports import free_port
from remnant.capture.readers import READERS, recognise
from textlogs import counts, notes, packed_text, read, rows

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.capture import Batch

POLICY = """$ORIGIN policy.local.
$TTL 60
@ SOA localhost. root.localhost. 1 3600 3600 3600 60
  NS localhost.
nx.bad.example CNAME .
nodata.bad.example CNAME *.
*.wild.bad.example CNAME .
drop.bad.example CNAME rpz-drop.
local.bad.example A 192.0.2.99
32.200.0.0.127.rpz-client-ip CNAME .
"""
CONFIGURATION = """
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: "{folder}/{log}.log"
  interface: 127.0.0.1@{port}
  interface: ::1@{port}
  access-control: 127.0.0.0/8 allow
  access-control: ::1/128 allow
  num-threads: 2
  module-config: "respip iterator"
  {options}
  local-zone: "example." static
  local-data: "www.good.example. A 198.51.100.1"
  local-zone: "inform.example." inform
  local-data: "www.inform.example. A 198.51.100.1"
  local-zone: "deny.example." inform_deny
  local-zone: "redirect.example." inform_redirect
  local-data: "redirect.example. A 192.0.2.5"
  local-zone: "bad.example." transparent
rpz:
  name: policy.local
  zonefile: {folder}/policy.zone
  rpz-log: yes
  rpz-log-name: "my zone"
remote-control:
  control-enable: no
"""
LOGS = {
    "all": "log-queries: yes\n  log-replies: yes",
    "tagged": "log-queries: yes\n  log-replies: yes\n  log-tag-queryreply: yes",
    "ascii": "log-queries: yes\n  log-time-ascii: yes",
    "replies": "log-replies: yes",
    "hits": "verbosity: 1",
}
V4, V6, OTHER = "127.0.0.1", "::1", "127.0.0.200"
Asked = tuple[str, str, str, int, int | None]
ASKED: list[Asked] = [
    # server, name, options, type, response code
    (V4, "www.good.example", "", 1, 0),
    (V4, "WWW.Good.Example", "+tcp", 28, 0),
    (V6, "no.good.example", "", 255, 3),
    (V6, "nx.bad.example", "+tcp", 65, 3),
    (V4, "nodata.bad.example", "", 1, 0),
    (V4, "a.wild.bad.example", "", 16, 3),
    (V4, "drop.bad.example", "", 1, None),
    (V4, "local.bad.example", "", 1, 0),
    (V4, "www.inform.example", "", 1, 0),
    (V6, "x.deny.example", "", 1, None),
    (V4, "redirect.example", "", 1, 0),
    (V4, r"a\032b\255.\(c\)\.d.good.example", "", 16, 3),
    (OTHER, "other.bad.example", "", 1, 3),
]
PRINTED = {r"a\032b\255.\(c\)\.d.good.example": "a?b?.?c??d.good.example"}
HITS: list[tuple[str, dict[str, dict[str, str]]]] = [
    (name, {"rpz": {"action": action, "trigger": "QNAME", "rule": rule, "zone": "my zone"}})
    for name, action, rule in (
        ("nx.bad.example", "NXDOMAIN", "nx.bad.example"),
        ("nodata.bad.example", "NODATA", "nodata.bad.example"),
        ("a.wild.bad.example", "NXDOMAIN", "*.wild.bad.example"),
        ("drop.bad.example", "DROP", "drop.bad.example"),
        ("local.bad.example", "LOCAL_DATA", "local.bad.example"),
    )
] + [
    (name, {"local_zone": {"action": action, "rule": rule}})
    for name, action, rule in (
        ("www.inform.example", "inform", "inform.example"),
        ("x.deny.example", "inform_deny", "deny.example"),
        ("redirect.example", "inform_redirect", "redirect.example"),
    )
]
CLIENT_HIT = {
    "rpz": {
        "action": "NXDOMAIN",
        "trigger": "CLIENT_IP",
        "rule": "127.0.0.200/32",
        "zone": "my zone",
    }
}


def run(folder: Path, log: str, server_path: str, dig: str) -> bytes:
    port = free_port()
    (folder / "policy.zone").write_text(POLICY, encoding="ascii")
    configuration = folder / f"{log}.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, log=log, port=port, options=LOGS[log]),
        encoding="ascii",
    )
    server = subprocess.Popen(
        [server_path, "-d", "-c", str(configuration)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ask(client: str, name: str, kind: str, *options: str) -> int:
        target = ["@::1"] if client == V6 else ["@127.0.0.1", "-b", client]
        command = [dig, *target, "-p", str(port), "+tries=1", "+time=1", *options]
        command += ["-q", name, "-t", kind]
        return subprocess.run(command, capture_output=True, check=False).returncode

    try:
        deadline = time.monotonic() + 120
        while ask(V4, "ready.good.example", "A") != 0:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.skip("unbound does not run here")
        for client, name, options, kind, _ in ASKED:
            ask(client, name, f"TYPE{kind}", *options.split())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as broken:
            # A question that is cut off.
            message = bytes.fromhex("1234 0100 0001 0000 0000 0000 3f61")
            broken.settimeout(5)
            broken.sendto(message, ("127.0.0.1", port))
            broken.recv(512)
    finally:
        server.terminate()
        server.wait(60)
    return (folder / f"{log}.log").read_bytes()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    unbound, dig = shutil.which("unbound"), shutil.which("dig")
    if unbound is None or dig is None:
        pytest.skip("unbound or dig is not installed (Debian: unbound, bind9-dnsutils)")
    folder = tmp_path_factory.mktemp("unbound")
    return {log: run(folder, log, unbound, dig) for log in LOGS}


def batches_of(name: str, data: bytes) -> list[Batch]:
    now = datetime.now(UTC) + timedelta(hours=3)
    year = datetime.now(UTC).year
    return read(READERS[name], data, chunk=999, now=now, year=year)


def observed(batches: list[Batch]) -> list[dict[str, Any]]:
    found = [row for row in rows(batches) if row["name"] != "ready.good.example"]
    return sorted(found, key=lambda row: row["offset"])


@pytest.mark.parametrize("log", ["all", "tagged", "ascii", "replies"])
def test_every_query_of_every_kind_of_log(logs: dict[str, bytes], log: str) -> None:
    batches = batches_of("unbound", logs[log])
    found = observed(batches)
    reader = recognise(logs[log])
    # Where only replies are logged, what was not answered is not there.
    asked = [one for one in ASKED if log != "replies" or one[4] is not None]

    assert reader is not None
    assert reader.name == "unbound"
    assert [row["name"] for row in found] == [
        PRINTED.get(name, name.lower()) for _, name, _, _, _ in asked
    ]
    assert [row["qtype"] for row in found] == [kind for _, _, _, kind, _ in asked]
    assert [row["address"] for row in found] == [packed_text(client) for client, *_ in asked]
    assert [row["rcode"] for row in found] == [
        None if log == "ascii" else rcode for *_, rcode in asked
    ]
    assert {row["response"] for row in found} == {log == "replies"}
    assert found[1]["case_bits"] is not None
    assert counts(batches)[1] == counts(batches)[3] == 0
    assert sum(batch.records for batch in batches) == len(logs[log].splitlines())
    assert any("FORMERR" in note for note in notes(batches)) is (log != "ascii")


def test_the_clock_of_the_log(logs: dict[str, bytes]) -> None:
    now = datetime.now(UTC)

    for log in ("all", "replies"):
        times = [row["time"] for row in observed(batches_of("unbound", logs[log]))]
        assert all(timedelta(0) <= now - time < timedelta(minutes=10) for time in times)
    assert any("read as UTC" in note for note in notes(batches_of("unbound", logs["ascii"])))


def test_policy_hits_alone_are_recognised(logs: dict[str, bytes]) -> None:
    reader = recognise(logs["hits"])

    assert reader is not None
    assert reader.name == "unbound-rpz"


@pytest.mark.parametrize("log", list(LOGS))
def test_every_policy_hit_is_read_once(logs: dict[str, bytes], log: str) -> None:
    batches = batches_of("unbound-rpz", logs[log])
    found = [(row["name"], json.loads(row["detail"])) for row in observed(batches)]

    assert [hit for hit in found if hit[1] != CLIENT_HIT] == HITS
    assert ("other.bad.example", CLIENT_HIT) in found
    assert all(row["client_port"] for row in observed(batches))
    assert counts(batches)[1] == 0
    assert any("--input-format unbound " in note for note in notes(batches)) is (log != "hits")

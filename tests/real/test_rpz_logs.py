"""Policy hits and queries logged by a real named with a response policy zone, asked by dig."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ports import free_port
from remnant.capture.readers import READERS, recognise
from textlogs import counts, notes, read, rows, v4

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "$TTL 60\n@ SOA localhost. root.localhost. 1 3600 3600 3600 60\n  NS ns1.test.\n"
ZONES = {
    "policy.local": """
nx.bad.test CNAME .
nodata.bad.test CNAME *.
*.wild.bad.test CNAME .
pass.bad.test CNAME rpz-passthru.
drop.bad.test CNAME rpz-drop.
tcp.bad.test CNAME rpz-tcp-only.
local.bad.test A 192.0.2.99
32.200.0.0.127.rpz-client-ip CNAME .
24.0.2.0.192.rpz-ip CNAME .
ns1.evil.test.rpz-nsdname CNAME .
32.54.113.0.203.rpz-nsip CNAME *.
""",
    "logonly.local": "both.bad.test CNAME .\n",
    "given.local": "both.bad.test A 192.0.2.1\n",
    "test": """
ns1 A 127.0.0.1
ip.good A 192.0.2.7
www.good A 198.51.100.1
alias.good CNAME nx.bad
pass.bad A 198.51.100.1
tcp.bad A 198.51.100.1
evil NS ns1.evil
ns1.evil A 203.0.113.53
wrong NS ns1.wrong
ns1.wrong A 203.0.113.54
""",
    "evil.test": "  NS ns1.evil.test.\nns1 A 203.0.113.53\nwww A 198.51.100.1\n",
    "wrong.test": "  NS ns1.wrong.test.\nns1 A 203.0.113.54\nwww A 198.51.100.1\n",
    ".": "ns1.test. A 127.0.0.1\ntest. NS ns1.test.\n",
}
NX, QNAME = "NXDOMAIN", "QNAME"
ASKED: list[tuple[str, str, list[str], list[tuple[str, str, str]]]] = [
    ("nx.bad.test", "TYPE65", [], [(QNAME, NX, "nx.bad.test.policy.local")]),
    ("NoData.bad.test", "AAAA", [], [(QNAME, "NODATA", "nodata.bad.test.policy.local")]),
    ("a.wild.bad.test", "TXT", ["+tcp"], [(QNAME, NX, "a.wild.bad.test.policy.local")]),
    ("pass.bad.test", "A", [], [(QNAME, "PASS", "pass.bad.test.policy.local")]),
    ("drop.bad.test", "A", [], [(QNAME, "DROP", "drop.bad.test.policy.local")]),
    ("tcp.bad.test", "A", ["+ignore"], [(QNAME, "TRUNCATE", "tcp.bad.test.policy.local")]),
    ("local.bad.test", "A", [], [(QNAME, "LOCAL_DATA", "local.bad.test.policy.local")]),
    ("ip.good.test", "A", [], [("RESPONSE_IP", NX, "24.0.2.0.192.rpz-ip.policy.local")]),
    ("www.evil.test", "A", [], [("NS_NAME", NX, "ns1.evil.test.rpz-nsdname.policy.local")]),
    ("www.wrong.test", "A", [], [("NS_IP", "NODATA", "32.54.113.0.203.rpz-nsip.policy.local")]),
    (
        "www.good.test",
        "A",
        ["-b", "127.0.0.200"],
        [("CLIENT_IP", NX, "32.200.0.0.127.rpz-client-ip.policy.local")],
    ),
    ("alias.good.test", "A", [], [(QNAME, NX, "nx.bad.test.policy.local")]),
    (
        "both.bad.test",
        "A",
        [],
        [(QNAME, NX, "both.bad.test.logonly.local"), (QNAME, NX, "both.bad.test.given.local")],
    ),
    ("www.good.test", "A", [], []),
]
CONFIGURATION = """
options {{
  directory "{folder}"; pid-file "{folder}/named.pid"; session-keyfile "{folder}/session.key";
  listen-on port {port} {{ 127.0.0.0/8; }}; listen-on-v6 {{ none; }};
  recursion yes; dnssec-validation no; allow-query {{ any; }}; querylog yes;
  empty-zones-enable no;
  response-policy {{
    zone "policy.local"; zone "logonly.local" policy disabled; zone "given.local" policy nxdomain;
  }} qname-wait-recurse no nsip-wait-recurse no;
}};
controls {{ }};
{zones}
logging {{
  channel all {{ file "{folder}/all.log"; severity dynamic; print-time iso8601-utc;
    print-category yes; print-severity yes; }};
  channel hits {{ file "{folder}/hits.log"; severity dynamic; print-time iso8601-utc; }};
  category queries {{ all; }}; category rpz {{ all; hits; }};
  category rpz-passthru {{ all; hits; }}; category default {{ all; }};
}};
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    named, dig = shutil.which("named"), shutil.which("dig")
    if named is None or dig is None:
        pytest.skip("named or dig is not installed (Debian: bind9, bind9-dnsutils)")
    folder: Path = tmp_path_factory.mktemp("named")
    port = free_port()
    for zone, text in ZONES.items():
        (folder / f"zone{zone}").write_text(HEAD + text, encoding="ascii")
    zones = "\n".join(
        f'zone "{zone}" {{ type primary; file "{folder}/zone{zone}"; }};' for zone in ZONES
    )
    (folder / "named.conf").write_text(
        CONFIGURATION.format(folder=folder, port=port, zones=zones), encoding="ascii"
    )
    server = subprocess.Popen(
        [named, "-f", "-c", str(folder / "named.conf"), "-n", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ask(name: str, kind: str, options: list[str]) -> int:
        command = [dig, "@127.0.0.1", "-p", str(port), "+tries=1", "+time=1", *options]
        command += ["-q", name, "-t", kind]
        return subprocess.run(command, capture_output=True, check=False).returncode

    try:
        deadline = time.monotonic() + 120
        while ask("ready.good.test", "A", []) != 0:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.skip("named does not run here")
        for name, kind, options, _ in ASKED:
            ask(name, kind, options)
    finally:
        server.terminate()
        server.wait(60)
    return {name: (folder / f"{name}.log").read_bytes() for name in ("all", "hits")}


def hits(data: bytes) -> list[dict[str, Any]]:
    now = datetime.now(UTC) + timedelta(hours=3)
    return rows(read(READERS["bind-rpz"], data, chunk=777, now=now))


def test_every_hit_names_its_trigger_action_and_rule(logs: dict[str, bytes]) -> None:
    found = hits(logs["hits"])
    wanted = [(name.lower(), *hit) for name, _, _, those in ASKED for hit in those]
    policies = [json.loads(row["detail"])["rpz"] for row in found]

    assert [
        (row["name"], policy["trigger"], policy["action"], policy["rule"])
        for row, policy in zip(found, policies, strict=True)
    ] == wanted
    assert [policy["rule"] for policy in policies if policy.get("disabled")] == [
        "both.bad.test.logonly.local"
    ]
    assert [policy["name"] for policy in policies if "name" in policy] == ["nx.bad.test"]
    assert {row["address"] for row in found} == {v4("127.0.0.1"), v4("127.0.0.200")}
    assert {row["qtype"] for row in found} == {1, 16, 28, 65}


def test_the_log_of_hits_is_recognised(logs: dict[str, bytes]) -> None:
    reader = recognise(logs["hits"])

    assert reader is not None
    assert reader.name == "bind-rpz"
    assert reader.hits_only


def test_in_a_log_of_everything_queries_and_hits_are_told_apart(logs: dict[str, bytes]) -> None:
    data = logs["all"]
    now = datetime.now(UTC) + timedelta(hours=3)
    of_queries = read(READERS["bind"], data, now=now)
    of_hits = read(READERS["bind-rpz"], data, now=now)
    asked = [row for row in rows(of_queries) if row["name"] != "ready.good.test"]
    reader = recognise(data)

    assert reader is not None
    assert reader.name == "bind"
    assert [row["name"] for row in asked] == [name.lower() for name, _, _, _ in ASKED]
    assert [row["detail"] for row in rows(of_hits)] == [row["detail"] for row in hits(logs["hits"])]
    assert counts(of_queries)[1] == counts(of_hits)[1] == 0
    for batches, name in ((of_queries, "bind-rpz"), (of_hits, "bind")):
        assert sum(batch.records for batch in batches) == len(data.splitlines())
        assert any(f"--input-format {name} " in note for note in notes(batches))

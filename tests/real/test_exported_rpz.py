"""BIND and Unbound, resolving on loopback alone, apply an exported policy zone.

Two Knots of its own are the whole Internet: the root, and zones that it delegates, each at an
address of the loopback network.
"""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from ports import free_port
from real.exported import check, program, settle, start_and_wait
from story.telling import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CASE: Final = """
[case]
name = "wall"
takedown = 2015-04-08

[[watch]]
names = [
  "bad.example", "*.worse.example", "a.b.worse.example", "*.c.worse.example",
  'o\\000\\009\\255.example',
]
state = "seized"

[[watch]]
names = ["ns1.crime.example", "*.gang.example", "ns.x.gang.example"]
role = "nameserver"

[[watch]]
names = ["lost.example"]
state = "lost"

[[watch]]
addresses = [
  "203.0.113.7", "198.51.100.0/24", "2001:db8:bad::7", "2001:db8:0:1::/64",
  "2001:db8:1:0:2:0:3:4", "2001:0:0:2:3:0:0:4", "0:1:2:3:4:5:6:0", "2001:db8:2:3::/80",
  "2001:db8:ff00::/40", "1:0:0:4:0:0:0:8", "::5:0:0", "8000::/1",
]
"""

ROOT: Final = """\
$TTL 5
. SOA ns.root. host.root. 1 60 60 60 5
. NS ns.root.
ns.root. A {root}
ready.example. A 192.0.2.1
good.example. A 192.0.2.1
good.example. AAAA 2001:db8:600d::1
bad.example. A 192.0.2.2
www.bad.example. A 192.0.2.2
worse.example. A 192.0.2.3
*.worse.example. A 192.0.2.3
x.b.worse.example. A 192.0.2.3
x.c.worse.example. A 192.0.2.3
o\\000\\009\\255.example. A 192.0.2.4
lost.example. A 192.0.2.5
garden.example. A 192.0.2.80
v4-1.example. A 203.0.113.7
v4-2.example. A 198.51.100.200
v4-no.example. A 203.0.113.8
v6-1.example. AAAA 2001:db8:bad::7
v6-2.example. AAAA 2001:db8:0:1::99
v6-3.example. AAAA 2001:db8:1:0:2:0:3:4
v6-4.example. AAAA 2001:0:0:2:3:0:0:4
v6-5.example. AAAA 0:1:2:3:4:5:6:0
v6-6.example. AAAA 2001:db8:2:3::1
v6-7.example. AAAA 2001:db8:ff12::1
v6-8.example. AAAA 1:0:0:4:0:0:0:8
v6-9.example. AAAA ::5:0:0
v6-10.example. AAAA f00::1
v6-11.example. AAAA 9000::1
v6-no.example. AAAA 2001:db8:bad::8
victim.example. NS ns1.crime.example.
ns1.crime.example. A {leaf}
deep.example. NS ns.x.gang.example.
ns.x.gang.example. A {leaf}
apex.example. NS gang.example.
gang.example. A {leaf}
fine.example. NS ns2.crime.example.
ns2.crime.example. A {leaf}
"""

LEAF: Final = """\
$TTL 5
@ SOA {server} host.root. 1 60 60 60 5
@ NS {server}
www A 192.0.2.9
"""
LEAVES: Final = {
    "victim.example": "ns1.crime.example.",
    "deep.example": "ns.x.gang.example.",
    "apex.example": "gang.example.",
    "fine.example": "ns2.crime.example.",
}

DEEP: Final = "www.deep.example"
HIT: Final = (
    ("bad.example", "A"),
    ("BAD.example", "A"),
    ("worse.example", "A"),
    ("any.worse.example", "A"),
    ("a.b.worse.example", "A"),
    ("x.b.worse.example", "A"),
    ("x.c.worse.example", "A"),
    (r"o\000\009\255.example", "A"),
    ("v4-1.example", "A"),
    ("v4-2.example", "A"),
    *((f"v6-{number}.example", "AAAA") for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11)),
    ("www.victim.example", "A"),
    (DEEP, "A"),
    ("www.apex.example", "A"),
)
MISSED: Final = {
    ("good.example", "A"): "192.0.2.1",
    ("good.example", "AAAA"): "2001:db8:600d::1",
    ("www.bad.example", "A"): "192.0.2.2",
    ("lost.example", "A"): "192.0.2.5",
    ("v4-no.example", "A"): "203.0.113.8",
    ("v6-no.example", "AAAA"): "2001:db8:bad::8",
    ("v6-10.example", "AAAA"): "f00::1",
    ("www.fine.example", "A"): "192.0.2.9",
}
ORIGINAL: Final = {
    ("bad.example", "A"): "192.0.2.2",
    ("any.worse.example", "A"): "192.0.2.3",
    ("v4-1.example", "A"): "203.0.113.7",
    ("v6-4.example", "AAAA"): "2001::2:3:0:0:4",
    ("www.victim.example", "A"): "192.0.2.9",
}


class Resolver(NamedTuple):
    """Which resolver, its port on loopback, and its log."""

    kind: str
    port: int
    folder: Path


def ask(port: int, name: str, kind: str) -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    return dns.query.udp_with_fallback(query, "127.0.0.1", port=port, timeout=10)[0]


def data(reply: dns.message.Message) -> list[str]:
    return sorted(record.to_text() for rrset in reply.answer for record in rrset)


def address_of_its_own() -> str:
    """Return an address of the loopback network whose port 53 is free."""
    address = f"127.{random.randint(64, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 53))
        except OSError as error:
            pytest.skip(f"port 53 cannot be used on the loopback network: {error.strerror}")
    return address


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a root server; some zones are delegated to another server."""
    program("knotd")
    first, second = address_of_its_own(), address_of_its_own()
    leaves = {zone: LEAF.format(server=server) for zone, server in LEAVES.items()}
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("root")
        start_knot(stack, folder, first, {".": ROOT.format(root=first, leaf=second)})
        start_knot(stack, tmp_path_factory.mktemp("leaves"), second, leaves)
        yield first


def start_knot(stack: ExitStack, folder: Path, address: str, zones: dict[str, str]) -> None:
    lines, port = [], free_port()
    for number, (zone, text) in enumerate(zones.items()):
        (folder / f"{number}.zone").write_text(text, encoding="ascii")
        lines.append(f'  - domain: "{zone}"\n    file: "{number}.zone"\n')
    (folder / "knot.conf").write_text(
        f"""server:
    rundir: "{folder}"
    listen: [{address}@53, 127.0.0.1@{port}]
log:
  - target: stderr
    any: info
database:
    storage: "{folder}"
template:
  - id: default
    storage: "{folder}"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
{"".join(lines)}""",
        encoding="ascii",
    )
    start_and_wait(stack, folder, port, next(iter(zones)), "knotd", "-c", str(folder / "knot.conf"))


def start_bind(stack: ExitStack, folder: Path, internet: str, port: int) -> None:
    (folder / "hints").write_text(f". 5 NS ns.root.\nns.root. 5 A {internet}\n", encoding="ascii")
    (folder / "named.conf").write_text(
        f"""options {{
          directory "{folder}"; pid-file none; session-keyfile "{folder}/session.key";
          listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
          query-source address 127.0.0.1;
          recursion yes; dnssec-validation no; qname-minimization off;
          managed-keys-directory "{folder}"; empty-zones-enable no;
          response-policy {{ zone "rpz.wall.invalid"; }} qname-wait-recurse no;
        }};
        controls {{ }};
        logging {{
          channel rpz {{ file "{folder}/rpz.log"; print-time iso8601-utc; print-category yes; }};
          category rpz {{ rpz; }}; category rpz-passthru {{ rpz; }};
        }};
        zone "." {{ type hint; file "{folder}/hints"; }};
        include "{folder}/named-rpz.conf";
        """,
        encoding="ascii",
    )
    check("named-checkconf", "-z", str(folder / "named.conf"))
    start_and_wait(
        stack, folder, port, "ready.example",
        "named", "-4", "-f", "-n", "1", "-c", str(folder / "named.conf"),
    )  # fmt: skip


def start_unbound(stack: ExitStack, folder: Path, internet: str, port: int) -> None:
    (folder / "hints").write_text(f". 5 NS ns.root.\nns.root. 5 A {internet}\n", encoding="ascii")
    (folder / "unbound.conf").write_text(
        f"""server:
          directory: "{folder}"
          chroot: ""
          username: ""
          pidfile: "{folder}/unbound.pid"
          use-syslog: no
          logfile: "{folder}/rpz.log"
          log-time-ascii: no
          interface: 127.0.0.1@{port}
          outgoing-interface: 127.0.0.1
          do-not-query-localhost: no
          do-ip6: no
          root-hints: "{folder}/hints"
          module-config: "respip iterator"
          qname-minimisation: no
          target-fetch-policy: "0 0 0 0 0"
        remote-control:
          control-enable: no
        include: "{folder}/unbound-rpz.conf"
        """,
        encoding="ascii",
    )
    check("unbound-checkconf", str(folder / "unbound.conf"))
    start_and_wait(
        stack, folder, port, "ready.example", "unbound", "-d", "-c", str(folder / "unbound.conf")
    )


STARTED: Final = {"bind": ("named", start_bind), "unbound": ("unbound", start_unbound)}


@pytest.fixture(params=["bind", "unbound"])
def resolving(
    request: pytest.FixtureRequest, tmp_path: Path, internet: str
) -> Iterator[Callable[..., Resolver]]:
    """What exports a policy zone and runs a resolver with it."""
    binary, start = STARTED[request.param]
    program(binary)
    with ExitStack() as stack:

        def run(*options: str) -> Resolver:
            place = Place(tmp_path / "place")
            (tmp_path / "wall.toml").write_text(CASE, encoding="utf-8")
            place.do("case", "import", tmp_path / "wall.toml")
            folder, port = tmp_path / "rpz", free_port()
            place.do("export", "rpz", "wall", "-o", folder, *options)
            start(stack, folder, internet, port)
            return Resolver(request.param, port, folder)

        yield run


def wrong_answers(port: int, right: Callable[[dns.message.Message], bool]) -> list[str]:
    """Return the answers to what the policy lists that are not right."""
    replies = [(name, kind, ask(port, name, kind)) for name, kind in HIT]
    return [f"{name} {kind}: {reply}" for name, kind, reply in replies if not right(reply)]


def untouched(port: int) -> None:
    """Check what the policy does not list."""
    for (name, kind), want in MISSED.items():
        assert data(ask(port, name, kind)) == [want], name


def test_nothing_that_is_listed_exists(resolving: Callable[..., Resolver]) -> None:
    found = resolving()

    wrong = wrong_answers(found.port, lambda reply: reply.rcode() == dns.rcode.NXDOMAIN)
    assert not wrong, "\n\n".join(wrong)
    untouched(found.port)


def test_what_is_listed_exists_and_has_no_data(resolving: Callable[..., Resolver]) -> None:
    found = resolving("--action", "nodata")

    wrong = wrong_answers(
        found.port, lambda reply: reply.rcode() == dns.rcode.NOERROR and not data(reply)
    )
    assert not wrong, "\n\n".join(wrong)
    untouched(found.port)


def test_what_is_listed_leads_into_a_walled_garden(resolving: Callable[..., Resolver]) -> None:
    note = 'Infected? "See" the help desk; ü'
    found = resolving(
        "--action", "walled-garden", "--garden", "192.0.2.80", "--garden", "2001:db8::80",
        "--note", note,
    )  # fmt: skip

    def right(reply: dns.message.Message) -> bool:
        # Unbound finds no data in the wildcard of a name server: nobody gets through either way.
        if found.kind == "unbound" and reply.question[0].name == dns.name.from_text(DEEP):
            return data(reply) == []
        return data(reply) in (["192.0.2.80"], ["2001:db8::80"])

    wrong = wrong_answers(found.port, right)
    assert not wrong, "\n\n".join(wrong)
    [rrset] = ask(found.port, "any.worse.example", "TXT").answer
    assert b"".join(rrset[0].strings).decode() == note
    untouched(found.port)


def test_a_garden_may_be_a_name(resolving: Callable[..., Resolver]) -> None:
    found = resolving("--action", "walled-garden", "--garden", "garden.example")

    for name in ("bad.example", "any.worse.example", "v4-1.example"):
        assert data(ask(found.port, name, "A")) == ["192.0.2.80", "garden.example."], name
    # Unbound does not follow the CNAME that a name server's record gave.
    cut = {"unbound": ["garden.example."], "bind": ["192.0.2.80", "garden.example."]}
    assert data(ask(found.port, "www.victim.example", "A")) == cut[found.kind]
    untouched(found.port)


def test_what_is_only_logged_is_answered_and_ingested(
    resolving: Callable[..., Resolver], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        settle(stack)
        found = resolving("--action", "log-only")
        for (name, kind), want in ORIGINAL.items():
            assert data(ask(found.port, name, kind)) == [want], name
        untouched(found.port)
    place = Place(tmp_path / "place")
    place.do("ingest", "wall", found.folder / "rpz.log", "--year", "2026", "--timezone", "UTC")
    rows = place.ask("traffic", "wall", "--by", "name")

    got = {row["name"] for row in rows if row["queries"]}
    assert {"bad.example", "any.worse.example"} <= got

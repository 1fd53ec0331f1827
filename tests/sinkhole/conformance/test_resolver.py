"""A resolver that asks one label at a time (RFC 9156, strictly) finds every name of a real case."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dns.message
import dns.rcode
import pytest

from ports import free_port
from real.dns_servers import needed
from remnant.cases.library import built_in
from remnant.cases.rules import compile_rules
from remnant.names import text_to_wire
from remnant.sinkhole.policy import Policy
from remnant.sinkhole.zones import served_zones
from sinkhole.conformance.peers import LOOPBACK, PATIENCE, Server, running
from sinkhole.made_zones import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.sinkhole.events import Event
    from remnant.sinkhole.zones import Zone

ADDRESSES = ("192.0.2.53", "2001:db8::53")


def beebone() -> list[Zone]:
    case = built_in("beebone")
    return served_zones(
        [(case, compile_rules(case))], answer=ADDRESSES, now=0, serials={case.name: 1}
    )


@pytest.fixture
def resolver(
    tmp_path: Path,
) -> Iterator[tuple[Server, list[Event]]]:
    """Unbound, which knows no servers but the sinkhole, and what the sinkhole sees."""
    program, port = needed("unbound", "unbound"), free_port()
    zones = beebone()
    seen: list[Event] = []
    with running(Policy(zones, secret=SECRET), seen.append) as (sinkhole, _):
        lines = [
            "server:",
            f"  interface: {LOOPBACK}",
            f"  port: {port}",
            f'  directory: "{tmp_path}"',
            '  chroot: ""',
            '  username: ""',
            '  pidfile: ""',
            '  module-config: "iterator"',
            "  use-syslog: no",
            "  do-daemonize: no",
            "  do-ip6: no",
            "  do-not-query-localhost: no",
            "  qname-minimisation: yes",
            "  qname-minimisation-strict: yes",
            "  use-caps-for-id: yes",
            "  harden-below-nxdomain: yes",
            "  harden-large-queries: yes",
            "  harden-short-bufsize: yes",
            "remote-control:",
            "  control-enable: no",
        ]
        # The sinkhole stands for the registries: so the resolver asks for the zones' names first.
        for top in sorted({zone.name.rpartition(".")[2] for zone in zones}):
            lines += ["stub-zone:", f'  name: "{top}"', "  stub-prime: no"]
            lines += [f"  stub-addr: {LOOPBACK}@{sinkhole}"]
        file, log = tmp_path / "unbound.conf", tmp_path / "unbound.log"
        file.write_text("\n".join(lines) + "\n", encoding="ascii")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, "-d", "-c", str(file)], stdout=output, stderr=output
            )
        server = Server("unbound", LOOPBACK, port)
        try:
            deadline = time.monotonic() + PATIENCE
            while not answers(server):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.skip(f"unbound does not run here: {log.read_text()[-300:]}")
                time.sleep(0.1)
            yield server, seen
        finally:
            process.terminate()
            process.wait(PATIENCE)


def answers(server: Server) -> bool:
    try:
        return server.udp(dns.message.make_query("localhost", "A").to_wire(), 0.3) is not None
    except OSError:
        return False


def resolve(server: Server, name: str, kind: str) -> dns.message.Message:
    got = server.udp(dns.message.make_query(name, kind).to_wire())
    assert got is not None
    return dns.message.from_wire(got)


def test_every_watched_name_resolves(resolver: tuple[Server, list[Event]]) -> None:
    server, seen = resolver
    names = [name for zone in beebone() for name in (*zone.exact, *zone.below)]
    rules = compile_rules(built_in("beebone"))
    assert len(names) == sum(rule.kind in {"exact", "below"} for rule in rules) > 50

    for name in names:
        for kind, address in zip(("A", "AAAA"), ADDRESSES, strict=True):
            answer = resolve(server, name, kind)
            assert answer.rcode() == dns.rcode.NOERROR
            assert [str(data) for rrset in answer.answer for data in rrset] == [address]

    asked = {event.name.lower() for event in seen if not event.unlisted}
    assert len(asked) == len(names)
    assert {text_to_wire(zone.name) for zone in beebone()} <= {e.name.lower() for e in seen}
    assert all(abs(event.time / 1e6 - datetime.now(UTC).timestamp()) < 3600 for event in seen)


def test_what_is_not_there_is_not_there_for_a_resolver_either(
    resolver: tuple[Server, list[Event]],
) -> None:
    server, seen = resolver
    zone = beebone()[0]

    assert resolve(server, f"no.such.{zone.name}", "A").rcode() == dns.rcode.NXDOMAIN
    assert resolve(server, zone.name, "TXT").rcode() == dns.rcode.NOERROR
    assert {event.proof for event in seen} == {"dns_udp"}

"""Knot, NSD, BIND and Unbound answer from exported files as the sinkhole does."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.zone
import pytest

from ports import free_port
from real.exported import (
    ask,
    check,
    program,
    records,
    start_bind,
    start_knot,
    start_nsd,
    start_unbound,
    without_serial,
)
from remnant.sinkhole.catalog import catalog_text
from remnant.sinkhole.exports import Export
from remnant.sinkhole.servers import Listen, Serving, server_files
from remnant.sinkhole.unbound import unbound_files
from remnant.sinkhole.zones import Zone
from sinkhole.seized import ASKED, FOREIGN, NOW, TYPES, expected, seized_zones, soa_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


AUTHORITIES: Final = {"knot": start_knot, "nsd": start_nsd, "bind": start_bind}
READY: Final = "evil.example"


@pytest.fixture(scope="module", params=["knot", "nsd", "bind"])
def authority(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of a server that runs on exported files."""
    kind = request.param
    program({"knot": "knotd", "nsd": "nsd", "bind": "named"}[kind])
    folder, port = tmp_path_factory.mktemp(kind), free_port()
    serving = Serving(str(folder), (Listen("127.0.0.1", port),))
    server_files(kind, seized_zones(), Export(folder, now=NOW), serving)
    with ExitStack() as stack:
        AUTHORITIES[kind](stack, folder, port, READY)
        yield port


@pytest.fixture(scope="module")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an Unbound with exported local data, which asks nobody."""
    program("unbound")
    folder, port = tmp_path_factory.mktemp("unbound"), free_port()
    serving = Serving(str(folder), (Listen("127.0.0.1", port),))
    unbound_files(seized_zones(), Export(folder, now=NOW), serving)
    with ExitStack() as stack:
        start_unbound(stack, folder, port, READY)
        yield port


def test_every_name_and_type_is_answered_as_the_sinkhole_answers(authority: int) -> None:
    zones = seized_zones()
    wrong = [
        problem
        for name in ASKED
        for kind in TYPES
        if (problem := difference(zones, ask(authority, name, kind), name, kind)) is not None
        # Of a zone's DS the zone around it answers, where a server has both (RFC 4035, 3.1.4.1).
        and (name, kind) != ("sub.nest.example", "DS")
    ]
    assert not wrong, "\n\n".join(wrong)


def difference(
    zones: list[Zone], reply: dns.message.Message, name: str, kind: str, flags: int = dns.flags.AA
) -> str | None:
    """Return what is wrong about an answer; ``None`` if nothing is."""
    want = expected(zones, name, kind)
    code = dns.rcode.NOERROR if want.exists else dns.rcode.NXDOMAIN
    got = reply.flags & (dns.flags.AA | dns.flags.RA | dns.flags.TC)
    right = reply.rcode() == code and records(reply) == want.records and got == flags
    if right and not want.records:
        [soa] = [at for at in reply.authority if at.rdtype == dns.rdatatype.SOA]
        [zone] = [zone for zone in zones if zone.name == want.zone]
        right = (
            soa.name == dns.name.from_text(zone.name)
            and without_serial(soa[0].to_text()) == soa_of(zone)
            and soa.ttl == zone.answering.ttls[0]
        )
    return None if right else f"{want}\n{reply.to_text()}"


def test_tcp_answers_the_same(authority: int) -> None:
    zones = seized_zones()
    for name in ASKED[::7]:
        for kind in ("A", "AAAA", "SOA"):
            problem = difference(zones, ask(authority, name, kind, tcp=True), name, kind)
            assert problem is None, problem


@pytest.mark.parametrize("name", FOREIGN)
def test_names_of_strangers_are_refused(authority: int, name: str) -> None:
    reply = ask(authority, name, "A")

    assert reply.rcode() == dns.rcode.REFUSED
    assert reply.answer == reply.authority == []


def test_any_gives_less_than_all_there_is(authority: int) -> None:
    query = dns.message.make_query("evil.example", "ANY", use_edns=0, payload=1232)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        udp.sendto(query.to_wire(), ("127.0.0.1", authority))
        # NSD repeats no question in the answer that sends to TCP.
        reply = dns.message.from_wire(udp.recv(4096))

    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.flags & dns.flags.TC or len(reply.answer) == 1


@pytest.mark.parametrize("name", ["version.bind", "hostname.bind", "version.server", "id.server"])
def test_the_server_does_not_say_what_it_is(authority: int, name: str) -> None:
    reply = ask(authority, name, "TXT", rdclass=dns.rdataclass.CH)

    assert reply.answer == []


def test_zones_are_not_given_away(authority: int) -> None:
    with pytest.raises((dns.exception.DNSException, EOFError, OSError)):
        dns.zone.from_xfr(dns.query.xfr("127.0.0.1", "evil.example", port=authority, lifetime=5))


def test_a_flood_is_sent_to_tcp_and_never_left_without_an_answer(authority: int) -> None:
    query = dns.message.make_query("flood.evil.example", "A", use_edns=0, payload=1232)
    cut = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("127.0.0.1", authority))
        udp.settimeout(5)
        for _ in range(4000):
            udp.send(query.to_wire())
            cut += bool(udp.recv(4096)[2] & 0x02)
    assert cut > 0
    assert not difference(
        seized_zones(), ask(authority, "flood.evil.example", "A"), "flood.evil.example", "A"
    )


def test_a_resolver_answers_what_the_sinkhole_would(resolver: int) -> None:
    zones = seized_zones()
    by_name = {zone.name: zone for zone in zones}
    flags = dns.flags.AA | dns.flags.RA
    wrong = []
    for name in ASKED:
        zone = by_name[expected(zones, name, "A").zone]
        covered = zone.covered(name.lower())
        for kind in TYPES:
            if kind == "DS" and name in {zone.name, *zone.below}:
                continue  # That record is the parent's, which Unbound asks.
            reply = ask(resolver, name, kind)
            if not covered:
                wrong.append(difference(zones, reply, name, kind, flags))
            # Below a name that stands for all below it, its SOA is everybody's, and NS nobody's.
            elif kind not in {"SOA", "NS"}:
                want = expected(zones, name, kind)
                right = reply.rcode() == dns.rcode.NOERROR and records(reply) == want.records
                wrong.append(None if right else f"{want}\n{reply.to_text()}")
            elif kind == "NS":
                assert reply.rcode() == dns.rcode.NOERROR
                assert reply.answer == []
    assert not any(wrong), "\n\n".join(filter(None, wrong))


@pytest.mark.parametrize("name", FOREIGN)
def test_a_resolver_goes_on_resolving_other_names(resolver: int, name: str) -> None:
    reply = ask(resolver, name, "A")

    # The test has it refuse them, as there is nobody to ask.
    assert reply.rcode() == dns.rcode.REFUSED


def test_the_files_pass_the_servers_own_checks(tmp_path: Path) -> None:
    for kind in ("knot", "nsd", "bind"):
        folder = tmp_path / kind
        server_files(
            kind, seized_zones(), Export(folder, now=NOW),
            Serving(str(folder), dnstap=f"unix:{folder}/tap"),
        )  # fmt: skip
    unbound_files(
        seized_zones(), Export(tmp_path / "unbound", now=NOW), Serving(str(tmp_path / "unbound"))
    )
    check("knotc", "-c", f"{tmp_path}/knot/knot.conf", "conf-check")
    check("nsd-checkconf", f"{tmp_path}/nsd/nsd.conf")
    for placed in Export(tmp_path / "nsd", now=NOW).earlier():
        check("nsd-checkzone", placed.zone, f"{tmp_path}/nsd/{placed.file}")
    said = check("named-checkconf", "-z", f"{tmp_path}/bind/named.conf")
    assert said.count(f"loaded serial {NOW}") == len(seized_zones())
    check("unbound-checkconf", f"{tmp_path}/unbound/unbound.conf")


def test_a_catalog_alone_tells_knot_what_to_serve(tmp_path: Path) -> None:
    program("knotd")
    port, names = free_port(), ("a.test", "b.test", r"o\000\.d.test")
    answering = seized_zones()[0].answering
    zones = [Zone(name, answering, ["x"], {name: None}) for name in names]
    export = Export(tmp_path, now=NOW)
    export.zones(zones)
    export.alone("catalog.zone", catalog_text(names))
    [file] = {placed.file for placed in export.placed}
    (tmp_path / "knot.conf").write_text(
        f"""server:
    rundir: "{tmp_path}"
    listen: [127.0.0.1@{port}]
database:
    storage: "{tmp_path}"
template:
  - id: default
    storage: "{tmp_path}"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
  - id: member
    storage: "{tmp_path}"
    file: "{file}"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
  - domain: catalog.invalid
    file: "catalog.zone"
    catalog-role: interpret
    catalog-template: member
""",
        encoding="ascii",
    )
    with ExitStack() as stack:
        start_knot(stack, tmp_path, port, names[-1])
        for name in names:
            reply = ask(port, name, "A")
            assert {at[1] for at in records(reply)} == set(answering.ipv4)

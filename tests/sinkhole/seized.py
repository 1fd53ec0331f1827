"""Two cases with every sort of seized name, and what a sinkhole has to answer about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import dns.name

from remnant.cases.casefile import loads
from remnant.cases.rules import compile_rules
from remnant.sinkhole.zones import served_zones

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.sinkhole.zones import Zone

NOW: Final = 1_700_000_000
SINK4: Final = ("192.0.2.53", "192.0.2.54")
SINK6: Final = "2001:db8::53"

FIRST: Final = r"""
[case]
name = "first"
takedown = 2015-04-08

[[watch]]
names = [
  "*.evil.example", "a.b.evil.example", "*.c.evil.example", "d.c.evil.example",
  "ns1.timedate1.com", "deep.er.than.timedate1.com", "*.w.x.timedate1.com", "q.w.x.timedate1.com",
  "one.example", "two.example", "three.example", "_a-b_.under.example", "*.nest.example",
  'b\.o.example', 'o\000\009\255.example', '*.sp\032ace.example',
]
state = "seized"

[[watch]]
names = ["y.sub.nest.example"]
zone  = "sub.nest.example"
state = "seized"

[[watch]]
names = ["live.example"]
state = "live"

[sinkhole]
addresses = ["192.0.2.53", "192.0.2.54", "2001:db8::53"]
contact = "abuse.desk@cert.example.org"
null_mx = true
spf = true
caa = true
"""

SECOND: Final = """
[case]
name = "second"
takedown = 2015-04-08

[[watch]]
names = ["www.inside.test", "four.test", "five.test", "dns.both.test", "*.low.all.test"]
state = "seized"

[sinkhole]
addresses = ["192.0.2.53", "192.0.2.54", "2001:db8::53"]
ttl = 900
nameservers = ["ns.sink.example.net", "dns.inside.test", "dns.both.test", "ns.low.all.test"]
"""

ASKED: Final = (
    # Everything below is watched, names that exist there are no hole in it.
    "evil.example", "x.evil.example", "X.Y.Evil.Example", "a.b.evil.example", "b.evil.example",
    "z.b.evil.example", "z.a.b.evil.example", "c.evil.example", "z.c.evil.example",
    "d.c.evil.example", "z.d.c.evil.example", "sinkhole-ns1.evil.example",
    "z.sinkhole-ns2.evil.example", "_x._y.evil.example", r"\000\255.evil.example",
    # Single names, what is between, beside and below them.
    "timedate1.com", "ns1.timedate1.com", "Ns1.TimeDate1.com", "ns2.timedate1.com",
    "x.ns1.timedate1.com", "than.timedate1.com", "er.than.timedate1.com",
    "deep.er.than.timedate1.com", "no.er.than.timedate1.com", "no.deep.er.than.timedate1.com",
    "x.timedate1.com", "y.x.timedate1.com", "w.x.timedate1.com", "any.w.x.timedate1.com",
    "q.w.x.timedate1.com", "any.q.w.x.timedate1.com", "sinkhole-ns1.timedate1.com",
    "x.sinkhole-ns1.timedate1.com",
    # Zones that share a file.
    "one.example", "www.one.example", "sinkhole-ns2.one.example", "two.example", "x.two.example",
    "three.example",
    # Labels that no host has.
    "under.example", "_a-b_.under.example", "x._a-b_.under.example", r"b\.o.example",
    r"x.b\.o.example", r"o\000\009\255.example", r"x.sp\032ace.example",
    # A zone in a zone.
    "nest.example", "any.nest.example", "sub.nest.example", "y.sub.nest.example",
    "any.sub.nest.example", "any.y.sub.nest.example",
    # Name servers of the case's own, inside and outside; no mail options.
    "inside.test", "www.inside.test", "dns.inside.test", "x.dns.inside.test", "four.test",
    "x.four.test", "five.test", "both.test", "dns.both.test", "all.test", "low.all.test",
    "ns.low.all.test", "x.ns.low.all.test", "x.low.all.test", "x.all.test",
)  # fmt: skip
TYPES: Final = ("A", "AAAA", "NS", "SOA", "MX", "TXT", "CAA", "HTTPS", "PTR", "DS")
FOREIGN: Final = ("live.example", "example", "www.example.com", "o.example", "notevil.example", ".")


def seized_zones() -> list[Zone]:
    """Return the zones of both cases."""
    cases = [loads(text, "x.toml") for text in (FIRST, SECOND)]
    return served_zones(
        [(case, compile_rules(case)) for case in cases],
        now=NOW * 1_000_000,
        serials={"first": NOW, "second": NOW},
    )


@dataclass(frozen=True)
class Expected:
    """What has to be answered.

    Attributes:
        exists: the name does.
        zone: it lies in.
        watched: the case watches it.
        records: (type, text of the data, TTL) of the answer; empty: a negative answer.
    """

    exists: bool
    zone: str
    watched: bool
    records: frozenset[tuple[str, str, int]]


def expected(zones: list[Zone], text: str, kind: str) -> Expected:
    """Return what has to be answered, worked out over labels and without a zone file."""
    name = dns.name.from_text(text)
    tops = {dns.name.from_text(zone.name): zone for zone in zones}
    zone = max((top for top in tops if name.is_subdomain(top)), key=lambda top: len(top.labels))
    seized = tops[zone]
    exact, below = (set(map(dns.name.from_text, names)) for names in (seized.exact, seized.below))
    servers = {
        server
        for server in map(dns.name.from_text, seized.nameservers)
        if server.is_subdomain(zone)
    }
    watched = name in exact or any(name.is_subdomain(top) for top in below)
    exists = watched or any(other.is_subdomain(name) for other in {zone, *exact, *below, *servers})
    found = set(_of_name(seized, name, watched=watched, served=name in servers))
    if name == zone:
        found |= set(_of_zone(seized))
        found |= set(_options(seized))
    records = frozenset(record for record in found if record[0] == kind)
    return Expected(exists, seized.name, watched, records)


def _of_name(
    zone: Zone, name: dns.name.Name, *, watched: bool, served: bool
) -> Iterator[tuple[str, str, int]]:
    ttl = zone.answering.ttls[0]
    if watched or served:
        for address in SINK4:
            yield "A", address, ttl if watched else 3600
        yield "AAAA", SINK6, ttl if watched else 3600
    if watched:
        yield from _options(zone)


def _options(zone: Zone) -> Iterator[tuple[str, str, int]]:
    if zone.answering.case == "first":
        yield "MX", "0 .", 60
        yield "TXT", '"v=spf1 -all"', 60
        yield "CAA", '0 issue ";"', 60


def soa_of(zone: Zone) -> str:
    """Return the data of a zone's SOA record but for its serial."""
    if zone.answering.case == "first":
        name = dns.name.from_text(f"sinkhole-ns1.{zone.name}").to_text()
        return rf"{name} abuse\.desk.cert.example.org. * 14400 3600 1209600 300"
    return f"ns.sink.example.net. hostmaster.{zone.name}. * 14400 3600 1209600 900"


def _of_zone(zone: Zone) -> Iterator[tuple[str, str, int]]:
    yield "SOA", soa_of(zone), zone.answering.ttls[0]
    for server in zone.nameservers:
        yield "NS", dns.name.from_text(server).to_text(), 3600

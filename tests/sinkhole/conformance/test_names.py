"""What the standards say of names that are there, that are not, and that are between.

RFC 1034 (4.3 what a server does), RFC 2308 (negative answers), RFC 4074 (AAAA), RFC 4343 (case),
RFC 4592 (wildcards), RFC 7505, 7208 and 8659 (MX, TXT and CAA that say no), RFC 8020 (nothing below
what is not there), RFC 8482 (ANY).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

if TYPE_CHECKING:
    from sinkhole.conformance.peers import Server

APEX = "evil.example"
WATCHED = (
    "c2.evil.example",
    "a.b.c.evil.example",
    "dga.evil.example",
    "x.dga.evil.example",
    "x.y.z.dga.evil.example",
    "far.near.evil.example",
)
BETWEEN = ("b.c.evil.example", "c.evil.example", "near.evil.example")
MISSING = ("no.evil.example", "x.c2.evil.example", "x.b.c.evil.example", "x.far.near.evil.example")


def said(answer: dns.message.Message) -> set[str]:
    """Every record of the answer section, as text without its owner."""
    return {
        f"{rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {data}"
        for rrset in answer.answer
        for data in rrset
    }


def no(answer: dns.message.Message, zone: str = APEX) -> int:
    """The code of an answer that says no as RFC 2308 section 3 wants it."""
    assert answer.flags & dns.flags.AA
    assert not answer.answer
    (soa,) = answer.authority
    assert soa.rdtype == dns.rdatatype.SOA
    assert soa.name.to_text().lower() == zone + "."
    assert soa.ttl == min(soa.ttl, soa[0].minimum)
    return int(answer.rcode())


@pytest.mark.parametrize("name", WATCHED)
def test_rfc1034_a_watched_name_has_the_sinkholes_addresses(server: Server, name: str) -> None:
    first, second = server.ask(name, "A"), server.ask(name, "AAAA")

    assert first.rcode() == second.rcode() == dns.rcode.NOERROR
    assert first.flags & second.flags & dns.flags.AA
    assert said(first) == {"60 A 192.0.2.53", "60 A 192.0.2.54"}
    assert said(second) == {"60 AAAA 2001:db8::53"}
    assert {rrset.name.to_text() for rrset in first.answer} == {name + "."}


@pytest.mark.parametrize("name", ["whole.example", "x.whole.example", "a.b.c.whole.example"])
def test_rfc4592_a_zone_that_is_watched_as_a_whole(server: Server, name: str) -> None:
    assert said(server.ask(name, "A")) == {"300 A 192.0.2.53", "300 A 192.0.2.54"}


@pytest.mark.parametrize("name", ["whole.example", "x.whole.example"])
def test_rfc4074_no_ipv6_address_is_no_data(server: Server, name: str) -> None:
    assert no(server.ask(name, "AAAA"), "whole.example") == dns.rcode.NOERROR


@pytest.mark.parametrize("kind", ["A", "AAAA", "NS", "TXT", "TYPE999"])
@pytest.mark.parametrize("name", BETWEEN)
def test_rfc4592_2_2_2_names_between_are_there(server: Server, name: str, kind: str) -> None:
    assert no(server.ask(name, kind)) == dns.rcode.NOERROR


@pytest.mark.parametrize("kind", ["A", "AAAA", "MX", "ANY"])
@pytest.mark.parametrize("name", MISSING)
def test_rfc2308_2_1_names_that_are_not_there(server: Server, name: str, kind: str) -> None:
    zone = "far.near.evil.example" if name.endswith("near.evil.example") else APEX

    assert no(server.ask(name, kind), zone) == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("name", WATCHED)
def test_rfc8020_what_is_there_is_below_what_is_there(server: Server, name: str) -> None:
    above = name
    while above.endswith(APEX):
        assert server.ask(above, "NS").rcode() == dns.rcode.NOERROR
        above = above.partition(".")[2]


@pytest.mark.parametrize("name", ["C2.eVIL.EXAMPLE", "X.dGA.evil.EXample", "B.c.EVIL.example"])
def test_rfc4343_case_does_not_matter(server: Server, name: str) -> None:
    assert said(server.ask(name, "A")) == said(server.ask(name.lower(), "A"))


@pytest.mark.parametrize("name", ["sinkhole-ns1.evil.example", "sinkhole-ns2.evil.example"])
def test_rfc1034_the_zones_own_servers_have_addresses(server: Server, name: str) -> None:
    assert said(server.ask(name, "A")) == {"3600 A 192.0.2.53", "3600 A 192.0.2.54"}
    assert said(server.ask(name, "AAAA")) == {"3600 AAAA 2001:db8::53"}
    assert no(server.ask(name, "MX")) == dns.rcode.NOERROR


def test_rfc1034_4_3_1_names_of_others_are_refused(server: Server) -> None:
    for name in (".", "example", "com", "notevil.example", "evil.example.com"):
        answer = server.ask(name, "A")

        assert answer.rcode() == dns.rcode.REFUSED
        assert not answer.flags & dns.flags.AA
        assert not answer.authority


@pytest.mark.parametrize("name", [APEX, "c2.evil.example", "x.dga.evil.example"])
def test_rfc7505_7208_8659_what_says_no(server: Server, name: str) -> None:
    assert said(server.ask(name, "MX")) == {"60 MX 0 ."}
    assert said(server.ask(name, "TXT")) == {'60 TXT "v=spf1 -all"'}
    assert said(server.ask(name, "CAA")) == {'60 CAA 0 issue ";"'}


@pytest.mark.parametrize("kind", ["MX", "TXT", "CAA"])
def test_rfc2308_where_the_case_does_not_say_no_there_is_no_data(server: Server, kind: str) -> None:
    assert no(server.ask("whole.example", kind), "whole.example") == dns.rcode.NOERROR


def test_rfc1034_the_apex_that_nobody_watches_has_no_address(server: Server) -> None:
    assert no(server.ask(APEX, "A")) == dns.rcode.NOERROR


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("name", [APEX, "c2.evil.example", "sinkhole-ns1.evil.example"])
def test_rfc8482_any_is_answered_with_little(server: Server, name: str, tcp: bool) -> None:
    answer = server.ask(name, "ANY", tcp=tcp)

    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.flags & dns.flags.TC
    assert len(answer.answer) == 1


def test_rfc8482_4_2_any_is_answered_with_hinfo(server: Server) -> None:
    assert said(server.ask("c2.evil.example", "ANY")) == {'60 HINFO "RFC8482" ""'}


def test_rfc8482_any_at_a_name_between_is_no_data(server: Server) -> None:
    assert no(server.ask("b.c.evil.example", "ANY")) == dns.rcode.NOERROR


def test_rfc1034_ds_of_a_zone_that_is_not_signed(server: Server) -> None:
    assert no(server.ask(APEX, "DS")) == dns.rcode.NOERROR

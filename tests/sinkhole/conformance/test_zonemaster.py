"""The checks of Zonemaster that a registry may run before it accepts a delegation.

Each test names the test case (zonemaster.net, specifications of test cases) that it follows, asked
about the seized zone ``evil.example`` as the child zone.
"""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest

from sinkhole.conformance.peers import Server, answer_to

ZONE = "evil.example"
ZONES = ("evil.example", "whole.example", "far.near.evil.example")


def records(answer: dns.message.Message, kind: str) -> list[str]:
    """The data of the answer's records of one type."""
    wanted = dns.rdatatype.from_text(kind)
    return [str(data) for rrset in answer.answer if rrset.rdtype == wanted for data in rrset]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("tcp", [False, True])
def test_connectivity01_and_02_soa_and_ns_over_udp_and_tcp(
    server: Server, zone: str, tcp: bool
) -> None:
    for kind in ("SOA", "NS"):
        answer = server.ask(zone, kind, tcp=tcp)

        assert answer.rcode() == dns.rcode.NOERROR
        assert answer.flags & dns.flags.AA
        assert answer.answer[0].name == dns.name.from_text(zone)
        assert records(answer, kind)


def test_nameserver01_no_recursor(server: Server) -> None:
    rcodes = []
    for name in ("xn--nameservertest.iis.se", "xn--nameservertest.icann.org", "a.ripe.net"):
        answer = server.ask(name, "A", rd=True)  # RA is looked at for every answer
        assert not answer.answer
        rcodes.append(answer.rcode())

    assert set(rcodes) == {dns.rcode.REFUSED}


def test_nameserver02_edns_version_0(server: Server) -> None:
    answer = server.ask(ZONE, "SOA", use_edns=0, payload=512)

    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.edns == 0
    assert records(answer, "SOA")


def test_nameserver03_no_zone_transfer(server: Server) -> None:
    answer = server.ask(ZONE, "AXFR", tcp=True)

    assert not answer.answer
    assert answer.rcode() != dns.rcode.NOERROR


def test_nameserver04_the_answer_comes_from_the_address_that_was_asked(server: Server) -> None:
    # A connected socket takes nothing else.
    assert server.ask(ZONE, "SOA").answer


@pytest.mark.parametrize("zone", ZONES)
def test_nameserver05_aaaa_is_answered_whether_there_is_one_or_not(
    server: Server, zone: str
) -> None:
    first, second = server.ask(zone, "A"), server.ask(zone, "AAAA")

    assert first.rcode() == second.rcode() == dns.rcode.NOERROR
    assert first.flags & second.flags & dns.flags.AA
    for answer, kind in ((first, "A"), (second, "AAAA")):
        others = [rrset for rrset in answer.answer if rrset.rdtype != dns.rdatatype.from_text(kind)]
        assert not others


def test_nameserver07_no_upward_referral(server: Server) -> None:
    answer = server.ask(".", "NS")

    assert not answer.authority
    assert not answer.answer


@pytest.mark.parametrize("name", ["eViL.eXaMpLe", "EVIL.EXAMPLE", "evil.example"])
def test_nameserver08_and_09_case_is_kept_and_does_not_matter(server: Server, name: str) -> None:
    answer = server.ask(name, "SOA")

    assert answer.question[0].name.to_text() == name + "."
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert [s.lower() for s in records(answer, "SOA")] == records(server.ask(ZONE, "SOA"), "SOA")


def test_nameserver10_edns_version_1(server: Server) -> None:
    answer = server.ask(ZONE, "SOA", use_edns=1, payload=512)

    assert answer.rcode() == dns.rcode.BADVERS
    assert answer.edns == 0
    assert not answer.answer


def test_nameserver11_an_unknown_option_is_ignored(server: Server) -> None:
    unknown = dns.edns.GenericOption("137", b"unknown")
    answer = server.ask(ZONE, "SOA", use_edns=0, payload=512, options=[unknown])

    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.edns == 0
    assert records(answer, "SOA")
    assert not answer.options


def test_nameserver12_unknown_flags_are_ignored(server: Server) -> None:
    answer = server.ask(ZONE, "SOA", use_edns=0, ednsflags=0x001F, payload=512)

    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.edns == 0
    assert not answer.ednsflags & 0xFFFF
    assert records(answer, "SOA")


def test_nameserver13_do_and_a_small_payload(server: Server) -> None:
    answer = server.ask(ZONE, "DNSKEY", use_edns=0, want_dnssec=True, payload=512)

    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.edns == 0


@pytest.mark.parametrize("name", ["version.bind", "version.server", "hostname.bind", "id.server"])
def test_nameserver15_no_version_is_told(server: Server, name: str) -> None:
    query = dns.message.make_query(name, "TXT", rdclass=dns.rdataclass.CH).to_wire()
    got = server.udp(query)

    assert got is not None
    answer = answer_to(query, got)
    assert answer.rcode() == dns.rcode.REFUSED
    assert not answer.answer


@pytest.mark.parametrize("zone", ZONES)
def test_delegation01_04_and_05_two_servers_that_are_no_aliases(server: Server, zone: str) -> None:
    answer = server.ask(zone, "NS")
    names = records(answer, "NS")

    assert answer.flags & dns.flags.AA
    assert len(set(names)) >= 2
    for name in names:
        if name.endswith(f"{zone}."):
            assert records(server.ask(name, "A"), "A")
            assert not server.ask(name, "CNAME").answer


@pytest.mark.parametrize("zone", ZONES)
def test_delegation06_there_is_one_soa_and_it_is_the_zones(server: Server, zone: str) -> None:
    answer = server.ask(zone, "SOA")

    assert [str(rrset.name) for rrset in answer.answer] == [f"{zone}."]
    assert len(records(answer, "SOA")) == 1  # ZONE10


@pytest.mark.parametrize("zone", ZONES)
def test_consistency01_to_04_udp_and_tcp_agree(server: Server, zone: str) -> None:
    for kind in ("SOA", "NS"):
        first, second = server.ask(zone, kind), server.ask(zone, kind, tcp=True)

        assert sorted(records(first, kind)) == sorted(records(second, kind))


@pytest.mark.parametrize("zone", ZONES)
def test_zone01_to_07_the_soa_has_sensible_times_and_names(server: Server, zone: str) -> None:
    soa = server.ask(zone, "SOA").answer[0][0]

    assert soa.mname.to_text() in records(server.ask(zone, "NS"), "NS")  # ZONE01
    assert soa.refresh >= 14_400  # ZONE02
    assert soa.retry < soa.refresh  # ZONE03
    assert soa.retry >= 3600  # ZONE04
    assert soa.expire >= 604_800  # ZONE05
    assert soa.expire > soa.refresh
    assert 300 <= soa.minimum <= 86_400  # ZONE06
    assert not server.ask(soa.mname.to_text(), "CNAME").answer  # ZONE07


@pytest.mark.parametrize("zone", ZONES)
def test_syntax05_06_and_07_the_contact_is_a_mail_address(server: Server, zone: str) -> None:
    soa = server.ask(zone, "SOA").answer[0][0]
    local = soa.rname.labels[0]

    assert b"@" not in soa.rname.to_wire()
    assert local in {b"hostmaster", b"j.doe"}
    assert len(soa.rname.labels) >= 3


@pytest.mark.parametrize("zone", ["evil.example", "far.near.evil.example"])
def test_zone08_and_09_mail_is_said_not_to_be_taken(server: Server, zone: str) -> None:
    assert records(server.ask(zone, "MX"), "MX") == ["0 ."]


@pytest.mark.parametrize("zone", ["evil.example", "far.near.evil.example"])
def test_zone11_one_spf_policy(server: Server, zone: str) -> None:
    assert records(server.ask(zone, "TXT"), "TXT") == ['"v=spf1 -all"']

"""Master files say what the sinkhole's own policy answers, whatever names there are."""

from __future__ import annotations

from itertools import pairwise

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.zone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.cases.model import SinkholeConfig
from remnant.errors import ExportError
from remnant.names import labels_of, wire_to_text
from remnant.sinkhole.policy import Policy
from remnant.sinkhole.zonefile import (
    ZoneTexts,
    contact_name,
    quoted,
    relative,
    safe_name,
    zone_text,
)
from remnant.sinkhole.zones import Answering, Zone
from sinkhole.seized import ASKED, NOW, TYPES, expected, seized_zones

QUICK = settings(deadline=None, max_examples=60)
CLIENT = bytes(10) + b"\xff\xff" + bytes((192, 0, 2, 77))
TOP = "evil.example"

LABELS = st.one_of(
    st.sampled_from([b"a", b"b", b"c", b"_x-y"]),
    st.binary(min_size=1, max_size=3).filter(lambda label: label != b"*"),
)
PATHS = st.lists(LABELS, max_size=4)


def named(labels: list[bytes], top: str = TOP) -> str:
    wire = b"".join(bytes((len(label),)) + label for label in (*labels, *labels_of(top)))
    return wire_to_text(wire + b"\0")


@st.composite
def seized(draw: st.DrawFn) -> Zone:
    """Return a zone with some names, watched alone or with all below, and name servers."""
    config = SinkholeConfig(
        nameservers=draw(
            st.sampled_from([(), ("ns.net.test",), (named([b"b", b"a"]), "ns.net.test"), (TOP,)])
        ),
        contact=draw(st.sampled_from(["", "a.b@c.test", f"me@{TOP}"])),
        null_mx=draw(st.booleans()),
        spf=draw(st.booleans()),
        caa=draw(st.booleans()),
    )
    answering = Answering("x", ("192.0.2.53",), ("2001:db8::53",), (60,), 7, config)
    exact = [named(path) for path in draw(st.lists(PATHS, max_size=4))]
    below = [named(path) for path in draw(st.lists(PATHS, max_size=3))]
    return Zone(TOP, answering, ["x"], dict.fromkeys(exact), dict.fromkeys(below))


def existing_in(zone: dns.zone.Zone) -> set[dns.name.Name]:
    """Return the names of a master file, with those in between that have no records."""
    assert zone.origin is not None
    return {
        above
        for owner in zone
        for depth in range(len(owner.labels))
        if (above := dns.name.Name(owner.labels[depth:])).is_subdomain(zone.origin)
    }


def source_of(
    zone: dns.zone.Zone, existing: set[dns.name.Name], name: dns.name.Name
) -> dns.name.Name | None:
    """Return whose records answer for a name, as RFC 1034 and RFC 4592 say."""
    if name in existing:
        return name
    encloser = name
    while encloser not in existing:
        encloser = encloser.parent()
    star = dns.name.Name((b"*", *encloser.labels))
    return star if star in zone else None


def looked_up(
    zone: dns.zone.Zone, source: dns.name.Name | None, kind: str
) -> tuple[str, set[tuple[str, int]]]:
    """Answer from a master file with the records of a name that is in it."""
    if source is None:
        return "NXDOMAIN", set()
    rdataset = zone.get_rdataset(source, kind)
    if rdataset is None:
        return "NOERROR", set()
    return "NOERROR", {(data.to_text(), rdataset.ttl) for data in rdataset}


def by_policy(policy: Policy, name: dns.name.Name, kind: str) -> tuple[str, set[tuple[str, int]]]:
    query = dns.message.make_query(name, kind)
    answer = policy.answer(query.to_wire(), CLIENT, now=0, tcp=True)
    assert answer.response is not None
    reply = dns.message.from_wire(answer.response)
    assert reply.flags & dns.flags.AA
    found: set[tuple[str, int]] = {
        (data.to_text(), rrset.ttl) for rrset in reply.answer for data in rrset
    }
    return dns.rcode.to_text(reply.rcode()), found


@QUICK
@given(seized(), st.lists(PATHS, min_size=1, max_size=5))
def test_a_master_file_answers_as_the_policy_does(zone: Zone, asked: list[list[bytes]]) -> None:
    text = zone_text(zone).with_serial(7)
    parsed = dns.zone.from_text(text, origin=f"{TOP}.", relativize=False)
    policy = Policy([zone], secret=bytes(16))
    names = {*zone.existing(), *map(named, asked)}
    names |= {named([b"new"], name) for name in names}
    existing = existing_in(parsed)
    for name in sorted(names):
        at = dns.name.from_text(name)
        source = source_of(parsed, existing, at)
        for kind in ("A", "AAAA", "MX", "TXT", "CAA", "NS", "SOA", "PTR"):
            want = by_policy(policy, at, kind)
            assert looked_up(parsed, source, kind) == want, (name, kind, text)


@pytest.mark.parametrize("name", ASKED)
def test_the_policy_answers_what_the_real_servers_are_asked_for(name: str) -> None:
    zones = seized_zones()
    policy = Policy(zones, secret=bytes(16))
    for kind in TYPES:
        want = expected(zones, name, kind)
        code, records = by_policy(policy, dns.name.from_text(name), kind)

        assert code == ("NOERROR" if want.exists else "NXDOMAIN")
        assert {(text.lower().replace(str(NOW), "*"), ttl) for text, ttl in records} == {
            (text, ttl) for _, text, ttl in want.records
        }


ANY_NAME = st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=5)


@settings(deadline=None)
@given(ANY_NAME, st.lists(ANY_NAME, max_size=4))
def test_no_name_can_write_a_record_of_its_own(top: list[bytes], paths: list[list[bytes]]) -> None:
    zone = Zone(
        named(top, "x"), Answering("x", ("192.0.2.53",), (), (60,), 7), ["x"],
        dict.fromkeys(named(path, named(top, "x")) for path in paths),
    )  # fmt: skip
    stars = any(labels_of(name)[0] == b"*" for name in zone.existing())
    if stars:
        with pytest.raises(ExportError, match="star"):
            zone_text(zone)
        return
    text = zone_text(zone).with_serial(7)
    origin = dns.name.from_text(zone.name)
    parsed = dns.zone.from_text(text, origin=origin, relativize=False)

    own = {f"sinkhole-ns{number}.{zone.name}" for number in (1, 2)}
    watched = {dns.name.from_text(name) for name in (*zone.exact, *own)}
    assert {name for name, _, _ in parsed.iterate_rdatas("A")} == watched
    assert {name for name, _ in parsed.iterate_rdatasets()} == watched | {origin}
    assert len(text.splitlines()) == 3 + len(watched)


@given(ANY_NAME)
def test_a_safe_name_is_the_same_name_in_harmless_letters(labels: list[bytes]) -> None:
    name = named(labels, "x")
    text = safe_name(name)

    assert labels_of(text) == labels_of(name)
    assert not set(text) - set("abcdefghijklmnopqrstuvwxyz0123456789-_.\\")
    assert dns.name.from_text(text) == dns.name.from_text(name)


@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_any_text_survives_in_a_txt_record(text: str) -> None:
    line = f"@ 60 IN SOA a. b. 1 2 3 4 5\n@ 60 IN TXT {quoted(text)}\n"
    zone = dns.zone.from_text(line, origin="x.", relativize=False, check_origin=False)
    [data] = zone.get_rdataset("x.", "TXT") or []

    assert isinstance(data, dns.rdtypes.ANY.TXT.TXT)
    assert b"".join(data.strings).decode() == text


def test_names_relative_to_the_zone() -> None:
    assert relative("evil.example", "evil.example") == "@"
    assert relative("a.b.evil.example", "evil.example") == "a.b"
    assert relative("notevil.example", "evil.example") == "notevil.example."
    assert relative(r"not\.evil.example", "evil.example") == r"not\046evil.example."


def test_the_contact_is_one_label_and_a_domain() -> None:
    assert contact_name("abuse.desk+dns@Cert.example") == r"abuse\.desk+dns.cert.example"


def test_records_stand_in_a_fixed_order() -> None:
    zone = next(zone for zone in seized_zones() if zone.name == "timedate1.com")
    turned = Zone(
        zone.name, zone.answering, zone.cases,
        dict(reversed(zone.exact.items())), dict(reversed(zone.below.items())),
    )  # fmt: skip

    assert zone_text(zone) == zone_text(turned)
    owners = [line.split(" ")[0] for line in zone_text(zone).with_serial(1).splitlines()]
    exact = list(dict.fromkeys(owner for owner in owners if "*" not in owner))
    assert exact[0] == "@"
    assert all(first < second for first, second in pairwise(exact[1:]))


def test_zones_that_hold_one_name_alike_share_their_text() -> None:
    texts = ZoneTexts()
    made = {zone.name: texts.of(zone) for zone in seized_zones()}

    assert made["one.example"] is made["two.example"]
    assert made["four.test"] == made["five.test"]
    assert made["four.test"] != made["one.example"]
    for zone in seized_zones():
        assert made[zone.name] == zone_text(zone)

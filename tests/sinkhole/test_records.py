"""Records that are made once are right wherever the zone's name stands."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import dns.message
import dns.rdatatype
import pytest

from remnant.cases.model import SinkholeConfig
from remnant.names import text_to_wire
from remnant.sinkhole.records import (
    ANY,
    APEX,
    NS,
    SERVER,
    SOA,
    WATCHED,
    A,
    Records,
    RrSet,
    Shared,
    contact_name,
)
from sinkhole.made_zones import answering, three_zones, zone

if TYPE_CHECKING:
    from collections.abc import Mapping


def read(question: str, found: RrSet) -> dns.message.Message:
    """The records in a message with a question."""
    head = struct.pack("!6H", 0, 0x8400, 1, found.answers, found.authorities, 0)
    return dns.message.from_wire(head + text_to_wire(question) + b"\0\1\0\1" + found.data)


def types(table: Mapping[int, RrSet]) -> set[str]:
    return {dns.rdatatype.RdataType.make(kind).name for kind in table}


@pytest.mark.parametrize("question", ["evil.example", "a.evil.example", "a.b.c.evil.example"])
def test_the_soa_points_to_the_zone_in_the_question(question: str) -> None:
    records = Records(zone("evil.example"))
    position = 12 + len(text_to_wire(question)) - len(text_to_wire("evil.example"))
    answer = read(question, records.soa(position))

    (soa,) = answer.authority
    assert soa.to_text() == (
        "evil.example. 60 IN SOA sinkhole-ns1.evil.example. hostmaster.evil.example. "
        "2015040801 14400 3600 1209600 300"
    )


def test_names_outside_the_zone_are_whole() -> None:
    config = SinkholeConfig(
        nameservers=("ns.evil.example.com", "evil.example", "ns.sink.test"),
        contact="jane.doe@notevil.example",
    )
    records = Records(zone("evil.example", what=answering(config=config)))
    table = records.tables[0][APEX]

    assert [str(data) for data in read("evil.example", table[NS]).answer[0]] == [
        "ns.evil.example.com.",
        "evil.example.",
        "ns.sink.test.",
    ]
    assert "jane\\.doe.notevil.example." in read("evil.example", table[SOA]).answer[0].to_text()


def test_what_each_kind_of_name_has() -> None:
    records = Records(three_zones()[0])
    tables = records.tables[0]

    assert types(tables[WATCHED]) == {*("A", "AAAA", "ANY", "MX", "TXT", "CAA")}
    assert types(tables[APEX]) == {*("SOA", "NS", "ANY", "MX", "TXT", "CAA")}
    assert types(tables[SERVER]) == {"A", "AAAA", "ANY"}
    assert tables[0] == {}
    assert (tables[SERVER][A].ttl, tables[SERVER | WATCHED][A].ttl) == (3600, 60)
    assert tables[WATCHED][ANY].ttl == -1


def test_each_time_to_live_has_its_own_addresses_and_shares_the_rest() -> None:
    first, second = Records(zone("evil.example", what=answering(ttls=(30, 600)))).tables

    assert (first[WATCHED][A].ttl, second[WATCHED][A].ttl) == (30, 600)
    assert first[APEX] == second[APEX]


def test_zones_with_the_same_configuration_share_their_records() -> None:
    shared = Shared()
    what = answering()
    plain = shared.of(zone("evil.example", what=what))

    assert shared.of(zone("other.test", what=what)) is plain
    assert shared.of(zone("other.test", what=answering(ttls=(5,)))) is not plain
    named = answering(config=SinkholeConfig(nameservers=("ns.evil.example", "b.test")))
    assert shared.of(zone("evil.example", what=named)) is not shared.of(
        zone("other.test", what=named)
    )


def test_the_dots_of_a_person_stay_in_one_label() -> None:
    assert contact_name("j.doe@example.org") == b"\x05j.doe\x07example\x03org\0"

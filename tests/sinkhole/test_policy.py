"""What the policy answers and says of a query; the standards are checked in ``conformance``."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from remnant.cases.model import SinkholeConfig
from remnant.names import text_to_wire
from remnant.sinkhole.policy import MAX_GAIN, Answer, Kind, Policy, name_kinds
from remnant.sinkhole.records import BETWEEN
from sinkhole.made_zones import CLIENT, NOW, NSID, SECRET, answering, three_zones, zone

if TYPE_CHECKING:
    from remnant.sinkhole.zones import Answering

POLICY = Policy(three_zones(), nsid=NSID, secret=SECRET)
COOKIE = dns.edns.CookieOption(bytes(8), b"")


def wire(name: str, kind: str = "A", **how: object) -> bytes:
    return bytes(dns.message.make_query(name, kind, id=7, **how).to_wire())  # type: ignore[arg-type]


def ask(
    query: bytes, *, policy: Policy = POLICY, tcp: bool = False, arm: int = 0, limited: bool = False
) -> Answer:
    return policy.answer(query, CLIENT, now=NOW, tcp=tcp, arm=arm, limited=limited)


def read(answer: Answer) -> dns.message.Message:
    assert answer.response is not None
    return dns.message.from_wire(answer.response)


def one_zone(what: Answering) -> Policy:
    return Policy([zone("evil.test", "c2.evil.test", what=what)], secret=SECRET)


def with_cookie(policy: Policy = POLICY) -> dns.edns.Option:
    """A cookie that the server gave this client a minute ago."""
    query = wire("c2.evil.example", use_edns=0, options=[COOKIE])
    answer = policy.answer(query, CLIENT, now=NOW - 60, tcp=False)
    assert not answer.cookie_valid
    option: dns.edns.Option = read(answer).options[0]
    return option


def test_an_observation_says_what_was_asked_and_answered() -> None:
    ecs = dns.edns.ECSOption("198.51.100.0", 24)
    answer = ask(wire("C2.eVil.Example", use_edns=0, options=[ecs]))

    assert answer[1:] == (
        Kind.OBSERVED,
        0,
        1,
        0,
        60,
        b"\x02C2\x04eVil\x07Example\0",
        bytes(10) + b"\xff\xff\xc6\x33\x64\x00\x78",
        False,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("name", "kind", "zone_index", "rcode", "ttl", "listed"),
    [
        ("c2.evil.example", "A", 0, 0, 60, True),
        ("c2.evil.example", "TXT", 0, 0, -1, True),
        ("c2.evil.example", "TYPE999", 0, 0, -1, True),
        ("x.y.dga.evil.example", "AAAA", 0, 0, 60, True),
        ("evil.example", "SOA", 0, 0, -1, False),
        ("sinkhole-ns1.evil.example", "A", 0, 0, 3600, False),
        ("b.c.evil.example", "A", 0, 0, -1, False),
        ("no.evil.example", "A", 0, 3, -1, False),
        ("c2.evil.example", "AXFR", 0, 5, -1, True),
        ("x.whole.example", "A", 1, 0, 300, True),
        ("x.whole.example", "AAAA", 1, 0, -1, True),
        ("far.near.evil.example", "A", 2, 0, 60, True),
        ("near.evil.example", "A", 0, 0, -1, False),
        ("other.test", "A", -1, 5, -1, False),
        (".", "NS", -1, 5, -1, False),
    ],
)
def test_zone_code_and_listing(
    name: str, kind: str, zone_index: int, rcode: int, ttl: int, listed: bool
) -> None:
    answer = ask(wire(name, kind))

    assert (answer.zone, answer.rcode, answer.ttl, answer.listed) == (
        *(zone_index, rcode, ttl, listed),
    )
    assert answer.kind == (Kind.OBSERVED if zone_index >= 0 else Kind.FOREIGN)
    assert answer.name == text_to_wire(name)


def test_another_class_is_not_ours_even_in_a_seized_zone() -> None:
    query = wire("c2.evil.example")[:-1] + b"\x03"
    answer = ask(query)

    assert (answer.kind, answer.zone, answer.rcode, answer.listed) == (Kind.FOREIGN, -1, 5, False)


@pytest.mark.parametrize(
    ("rest", "additional", "rcode"),
    [
        (b"\0", 0, dns.rcode.FORMERR),
        (b"\0\0\x29\x04\xd0\0\1\0\0\0\0", 1, dns.rcode.BADVERS),
        (b"\0\0\x29\x04\xd0\0\0\0\0\0\5\0\x0a\0\1x", 1, dns.rcode.FORMERR),
        (b"\1k\0\0\xfa\0\xff\0\0\0\0\0\0", 1, dns.rcode.NOTAUTH),
    ],
    ids=["trailing", "version", "cookie", "key"],
)
def test_a_bad_query_for_a_watched_name_is_observed(
    rest: bytes, additional: int, rcode: int
) -> None:
    query = bytearray(wire("c2.evil.example"))
    query[11] = additional
    answer = ask(bytes(query) + rest)

    assert (answer.kind, answer.listed, answer.ttl) == (Kind.OBSERVED, True, -1)
    assert answer.rcode == rcode
    assert not read(answer).flags & dns.flags.AA


@pytest.mark.parametrize(
    ("query", "kind", "response"),
    [
        (b"\0\7\0\0\0\1\0\0\0\0\0", Kind.SILENT_SHORT, None),
        (b"\0\7\x80\0\0\1\0\0\0\0\0\0" + bytes(5), Kind.SILENT_RESPONSE, None),
        (b"\0\7\x29\x7f\0\1\0\0\0\0\0\0x", Kind.NOT_A_QUERY, b"\0\7\xa9\x14" + bytes(8)),
        (b"\0\7\1\x10\0\1\0\0\0\0\0\0\1x", Kind.MALFORMED, b"\0\7\x81\x11" + bytes(8)),
        (b"\0\7\0\0\0\2\0\0\0\0\0\0" + bytes(10), Kind.MALFORMED, b"\0\7\x80\1" + bytes(8)),
        (b"\0\7\0\0\0\0\0\0\0\0\0\0", Kind.MALFORMED, b"\0\7\x80\1" + bytes(8)),
    ],
)
def test_what_has_no_question_byte_for_byte(
    query: bytes, kind: Kind, response: bytes | None
) -> None:
    answer = ask(query)

    assert (answer.kind, answer.response, answer.name, answer.qtype) == (kind, response, b"", -1)
    assert answer.rcode == (-1 if response is None else response[3] & 15)
    if len(query) >= 12 and not query[2] & 0x80:
        held = ask(query, limited=True)
        assert (held.kind, held.response, held.limited, held.rcode) == (kind, None, True, -1)


def test_a_cookie_alone_is_answered_and_held_back_like_a_query() -> None:
    option = struct.pack("!2H", 10, 8) + bytes(8)
    query = b"\0\7\0\0\0\0\0\0\0\0\0\1\0\0\x29\x04\xd0\0\0\0\0\0\x0c" + option
    answer, held = ask(query), ask(query, limited=True)

    assert (answer.kind, answer.rcode, answer.limited) == (Kind.NOT_A_QUERY, 0, False)
    assert answer.response is not None
    assert held.response is not None
    assert held.limited
    assert held.response[:4] == b"\0\7\x82\0"
    assert held.response[4:] == answer.response[4:]


def test_the_time_to_live_is_that_of_the_arm() -> None:
    policy = Policy(
        [zone("evil.test", "c2.evil.test", what=answering(ttls=(30, 600)))], secret=SECRET
    )

    assert [ask(wire("c2.evil.test"), policy=policy, arm=arm).ttl for arm in (0, 1, 2)] == [
        *(30, 600, 30),
    ]
    assert ask(wire("no.evil.test"), policy=policy, arm=1).response == (
        ask(wire("no.evil.test"), policy=policy, arm=0).response
    )


def test_who_asks_too_much_is_told_to_use_tcp() -> None:
    for name, kind in (("c2.evil.example", "A"), ("no.evil.example", "A"), ("other.test", "A")):
        query = wire(name, kind, use_edns=0, options=[COOKIE])
        answer = ask(query, limited=True)
        message = read(answer)

        assert answer.limited
        assert (answer.rcode, answer.ttl) == (0, -1)
        assert answer.kind == ask(query).kind
        assert message.flags & (dns.flags.TC | dns.flags.AA) == dns.flags.TC
        assert message.rcode() == dns.rcode.NOERROR
        assert not message.answer
        assert not message.authority
        assert message.options[0].otype == dns.edns.OptionType.COOKIE


def test_who_is_genuine_may_ask_more() -> None:
    query = wire("c2.evil.example", use_edns=0, options=[with_cookie()])

    assert ask(query, limited=True).response == ask(query).response
    assert ask(query, limited=True).cookie_valid
    assert not ask(query, limited=True).limited
    tcp = ask(wire("c2.evil.example"), tcp=True, limited=True)
    assert not tcp.limited
    assert tcp.ttl == 60


def many() -> Policy:
    """A zone whose NS and addresses are more than a stranger is sent."""
    what = answering(
        ipv4=tuple(f"192.0.2.{i}" for i in range(1, 5)),
        ipv6=tuple(f"2001:db8::{i}" for i in range(1, 9)),
        config=SinkholeConfig(nameservers=tuple(f"ns{i}.{'n' * 60}.test" for i in range(8))),
    )
    return one_zone(what)


@pytest.mark.parametrize(("name", "kind"), [("c2.evil.test", "AAAA"), ("evil.test", "NS")])
def test_large_answers_are_for_who_is_genuine(name: str, kind: str) -> None:
    policy = many()
    plain = ask(wire(name, kind, use_edns=0, payload=4096), policy=policy)
    genuine = ask(
        wire(name, kind, use_edns=0, payload=4096, options=[with_cookie(policy)]), policy=policy
    )
    tcp = ask(wire(name, kind), policy=policy, tcp=True)

    assert read(plain).flags & (dns.flags.TC | dns.flags.AA) == dns.flags.TC | dns.flags.AA
    assert (plain.rcode, plain.ttl) == (0, -1)
    assert not read(plain).answer
    for answer in (genuine, tcp):
        assert not read(answer).flags & dns.flags.TC
        assert len(read(answer).answer[0]) == 8


@pytest.mark.parametrize("payload", [0, 512, 600, 1232, 65_535])
def test_the_payload_is_between_512_and_1232_bytes(payload: int) -> None:
    policy = many()
    query = wire("evil.test", "NS", use_edns=0, payload=payload, options=[with_cookie(policy)])
    answer = ask(query, policy=policy)
    whole = ask(query, policy=policy, tcp=True)

    assert answer.response is not None
    assert whole.response is not None
    fits = len(whole.response) <= min(max(payload, 512), 1232)
    assert bool(read(answer).flags & dns.flags.TC) is not fits


def test_a_stranger_gets_128_bytes_more_than_were_sent_and_not_one_more() -> None:
    gains = {}
    for length in range(1, 60):
        servers = ("a.test", "m" * 40 + ".test", "n" * length + ".test")
        policy = one_zone(answering(config=SinkholeConfig(nameservers=servers)))
        query = wire("evil.test", "NS")
        answer, whole = ask(query, policy=policy), ask(query, policy=policy, tcp=True)
        assert answer.response is not None
        assert whole.response is not None
        gains[len(whole.response) - len(query)] = bool(read(answer).flags & dns.flags.TC)
        assert (answer.response == whole.response) is not gains[len(whole.response) - len(query)]

    assert gains[MAX_GAIN] is False
    assert gains[MAX_GAIN + 1] is True


def test_a_negative_answer_that_is_cut_off_is_still_negative() -> None:
    servers = ("m" * 60 + "." + "n" * 60 + ".test",)
    policy = one_zone(answering(config=SinkholeConfig(nameservers=servers)))
    message = read(ask(wire("no.evil.test"), policy=policy))

    assert message.rcode() == dns.rcode.NXDOMAIN
    assert message.flags & (dns.flags.TC | dns.flags.AA) == dns.flags.TC | dns.flags.AA


def test_a_watched_name_counts_in_the_deepest_zone_that_encloses_it() -> None:
    what = answering()
    zones = [
        zone("evil.test", "a.deep.evil.test x.sub.evil.test", "evil.test", what),
        zone("sub.evil.test", "c2.sub.evil.test", "", what),
        zone("b.deep.evil.test", "b.deep.evil.test", "", what),
    ]
    policy = Policy(zones, secret=SECRET)

    assert (ask(wire("x.sub.evil.test"), policy=policy).zone, True) == (1, True)
    assert ask(wire("x.sub.evil.test"), policy=policy).listed
    assert ask(wire("no.sub.evil.test"), policy=policy).rcode == dns.rcode.NXDOMAIN
    assert ask(wire("no.evil.test"), policy=policy).listed


def test_the_names_between_are_those_of_the_zone() -> None:
    made = zone(
        "evil.test",
        "a.b.c.evil.test x.y.dga.evil.test c.evil.test",
        "dga.evil.test p.q.evil.test",
        answering(config=SinkholeConfig(nameservers=("ns.in.evil.test", "ns.out.test"))),
    )
    kinds = name_kinds([made])

    assert set(made.between()) == {"b.c.evil.test", "q.evil.test", "in.evil.test"}
    assert {name for name, bits in kinds.items() if bits == BETWEEN} == {
        text_to_wire(name) for name in (*made.between(), "y.dga.evil.test")
    }


def test_what_a_policy_cannot_be_made_of() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        Policy([], nsid=bytes(65), secret=SECRET)
    with pytest.raises(ValueError, match="16 bytes"):
        Policy([], secret=b"")


def test_no_zone_refuses_everything() -> None:
    answer = Policy([], secret=SECRET).answer(wire("evil.test"), CLIENT, now=NOW, tcp=False)

    assert (answer.kind, answer.rcode) == (Kind.FOREIGN, dns.rcode.REFUSED)

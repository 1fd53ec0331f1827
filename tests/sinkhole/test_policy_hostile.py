"""Whatever arrives, the policy answers within its limits, and what it answers is a message."""

from __future__ import annotations

import random

import dns.flags
import dns.message
import dns.opcode
from hypothesis import given
from hypothesis import strategies as st

from remnant.names import text_to_wire
from remnant.sinkhole.policy import MAX_GAIN, Answer, Kind, Policy
from sinkhole.made_zones import CLIENT, NOW, NSID, QUICK, SECRET, three_zones

POLICY = Policy(three_zones(), nsid=bytes(64), secret=SECRET)

NAMES = [
    *("c2.evil.example", "x.dga.evil.example", "no.evil.example", "b.c.evil.example"),
    *("evil.example", "whole.example", "far.near.evil.example", "other.test", "."),
]
LABELS = st.binary(min_size=1, max_size=63).map(lambda label: bytes((len(label),)) + label)
NAMED = text_to_wire("evil.example")
QNAMES = st.one_of(
    st.sampled_from([text_to_wire(name) for name in NAMES]),
    st.lists(LABELS, max_size=4).map(
        lambda labels: b"".join(labels) + text_to_wire("evil.example")
    ),
)
TYPES = st.one_of(
    st.sampled_from([1, 2, 6, 15, 16, 28, 41, 250, 251, 252, 255, 257]), st.integers(0, 65535)
)
OPTIONS = st.lists(
    st.one_of(
        st.just(b"\0\3\0\0"),
        st.binary(min_size=8, max_size=40).map(lambda c: b"\0\x0a\0" + bytes((len(c),)) + c),
        st.just(b"\0\x08\0\7\0\1\x18\0\xc0\0\2"),
        st.just(b"\0\x08\0\x14\0\2\x80\0" + bytes(16)),
        st.binary(max_size=12).map(lambda d: b"\0\x63\0" + bytes((len(d),)) + d),
        st.binary(max_size=8),
    ),
    max_size=4,
).map(b"".join)


def short(number: int) -> bytes:
    return number.to_bytes(2, "big")


@st.composite
def queries(draw: st.DrawFn) -> bytes:
    """Queries that are nearly right."""
    options = draw(OPTIONS)
    version = draw(st.sampled_from([0, 0, 0, 1]))
    opt = b"\0\0\x29" + short(draw(st.integers(0, 65_535))) + bytes((0, version))
    opt += short(draw(st.sampled_from([0, 0x8000, 0xFFFF]))) + short(len(options)) + options
    has = draw(st.integers(0, 2))
    flags = draw(st.sampled_from([0, 0x0100, 0x0110, 0x0160, 0x2800, 0x8000]))
    question = draw(QNAMES) + short(draw(TYPES)) + short(draw(st.sampled_from([1, 1, 1, 3, 255])))
    return b"\x12\x34" + short(flags) + b"\0\1\0\0\0\0" + short(has) + question + opt * has


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Queries of which some bytes are others, are gone, or are twice there."""
    query = bytearray(draw(queries()))
    for _ in range(draw(st.integers(1, 4))):
        if not query:
            break
        at = draw(st.integers(0, len(query) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                query[at] = draw(st.integers(0, 255))
            case 1:
                del query[at:]
            case 2:
                query[at:at] = query[at : at + 20]
            case _:
                query[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(query)


def look(query: bytes, answer: Answer, *, tcp: bool) -> None:
    """Look at everything that holds for every answer."""
    assert (answer.response is None) == (answer.rcode == -1)
    assert (answer.zone >= 0) == (answer.kind is Kind.OBSERVED)
    assert answer.ecs is None or len(answer.ecs) == 17
    if answer.response is None:
        assert answer.limited or answer.kind in {Kind.SILENT_SHORT, Kind.SILENT_RESPONSE}
        return
    assert query[2] & 0x80 == 0, "a response is never answered"
    message = dns.message.from_wire(answer.response)
    assert message.id == int.from_bytes(query[:2], "big")
    assert message.flags & dns.flags.QR
    assert not message.flags & (dns.flags.RA | dns.flags.AD)
    assert message.opcode() == query[2] >> 3 & 15
    assert message.rcode() == answer.rcode
    if message.question:
        assert query[12 : 12 + len(answer.name)] == answer.name
        assert answer.response[12 : 16 + len(answer.name)] == query[12 : 16 + len(answer.name)]
    if not tcp:
        assert len(answer.response) <= 1232
        if not answer.cookie_valid:
            assert len(answer.response) <= len(query) + MAX_GAIN
    if answer.limited:
        assert message.flags & dns.flags.TC
        assert not message.answer
        assert not message.authority


@QUICK
@given(
    st.one_of(queries(), mutated(), st.binary(max_size=600)),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1),
)
def test_nothing_raises_and_nothing_is_too_large(
    query: bytes, tcp: bool, limited: bool, arm: int
) -> None:
    answer = POLICY.answer(query, CLIENT, now=NOW, tcp=tcp, arm=arm, limited=limited)

    look(query, answer, tcp=tcp)
    assert POLICY.answer(query, CLIENT, now=NOW, tcp=tcp, arm=arm, limited=limited) == answer


def test_twenty_thousand_random_messages() -> None:
    draw = random.Random(20_261_127)
    kinds = set()
    seeds = [mix_query(name, kind, edns) for name, kind, edns in MIX]
    for _ in range(20_000):
        query = bytearray(draw.choice(seeds))
        for _ in range(draw.randrange(4)):
            query[draw.randrange(len(query))] = draw.randrange(256)
        if draw.random() < 0.2:
            del query[draw.randrange(len(query)) :]
        if draw.random() < 0.1:
            query += draw.randbytes(draw.randrange(40))
        answer = POLICY.answer(
            bytes(query), CLIENT, now=NOW, tcp=False, limited=draw.random() < 0.1
        )
        look(bytes(query), answer, tcp=False)
        kinds.add(answer.kind)

    assert kinds == set(Kind)


MIX = [
    (name, kind, edns)
    for name in NAMES
    for kind in ("A", "AAAA", "NS", "SOA", "MX", "TXT", "ANY", "HTTPS", "CAA")
    for edns in (False, True)
]
"""The questions that are asked when answers are compared in size."""


def mix_query(name: str, kind: str, edns: bool) -> bytes:
    if edns:
        return dns.message.make_query(name, kind, use_edns=0, want_dnssec=True).to_wire()
    return dns.message.make_query(name, kind).to_wire()


def gain(policy: Policy) -> tuple[float, float]:
    """The mean and the largest ratio of an answer's bytes to its query's, over ``MIX``."""
    ratios = []
    for question in MIX:
        query = mix_query(*question)
        answer = policy.answer(query, CLIENT, now=NOW, tcp=False)
        assert answer.response is not None
        ratios.append(len(answer.response) / len(query))
    return sum(ratios) / len(ratios), max(ratios)


def test_answers_are_little_larger_than_queries() -> None:
    mean, largest = gain(Policy(three_zones(), nsid=NSID, secret=SECRET))

    print(f"\nbytes of answer to query: mean {mean:.2f}, largest {largest:.2f}")  # noqa: T201
    assert mean < 2
    assert largest < 4

"""What the standards say of messages: headers, questions, records, operations.

RFC 1035 (4.1 messages), RFC 3597 (unknown types), RFC 5625 (robustness), RFC 8906 (8 the tests of
servers' answers), RFC 8945 (TSIG), RFC 9619 (one question).
"""

from __future__ import annotations

import struct

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest

from sinkhole.conformance.peers import Server, answer_to

NAME = b"\x02c2\x04evil\x07example\x00"
APEX = b"\x04evil\x07example\x00"
QUERY = b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + NAME + b"\0\1\0\1"
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


def message(
    question: bytes = NAME + b"\0\1\0\1",
    rest: bytes = b"",
    *,
    flags: int = 0,
    counts: tuple[int, int, int, int] = (1, 0, 0, 0),
) -> bytes:
    return struct.pack("!6H", 0x1234, flags, *counts) + question + rest


def rcode_of(server: Server, query: bytes) -> int:
    """The answer's code; that it fits the query is looked at."""
    got = server.udp(query)
    assert got is not None
    return int(answer_to(query, got).rcode())


@pytest.mark.parametrize("size", [0, 1, 11])
def test_rfc1035_no_header_no_answer(server: Server, size: int) -> None:
    assert server.udp(QUERY[:size], 0.3) is None


def test_rfc1035_a_response_gets_no_answer(server: Server) -> None:
    assert server.udp(message(flags=0x8000), 0.3) is None


@pytest.mark.parametrize("opcode", [1, 2, 6, 15])
def test_rfc8906_8_1_4_unknown_operations_are_not_implemented(server: Server, opcode: int) -> None:
    got = server.udp(message(APEX + b"\0\6\0\1", flags=opcode << 11))

    assert got is not None
    answer = dns.message.from_wire(got)
    assert answer.rcode() == dns.rcode.NOTIMP
    assert answer.opcode() == opcode
    assert not answer.answer


def test_rfc1996_and_2136_nobody_notifies_or_updates(server: Server) -> None:
    for opcode in (4, 5):
        got = server.udp(message(APEX + b"\0\6\0\1", flags=opcode << 11))

        assert got is not None
        answer = dns.message.from_wire(got)
        assert answer.rcode() != dns.rcode.NOERROR
        assert answer.opcode() == opcode


@pytest.mark.parametrize("kind", ["TYPE1000", "TYPE65280", "DS", "DNSKEY", "HTTPS", "SRV", "PTR"])
@pytest.mark.parametrize("name", ["evil.example", "c2.evil.example", "x.dga.evil.example"])
def test_rfc8906_8_1_2_types_without_data(server: Server, name: str, kind: str) -> None:
    answer = server.ask(name, kind)

    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert not answer.answer
    assert answer.authority[0].rdtype == dns.rdatatype.SOA


def test_rfc8906_8_1_3_header_bits_do_not_matter(server: Server) -> None:
    for bit in (0x0040, 0x0020, 0x0010):  # reserved, AD, CD
        got = server.udp(message(flags=bit))

        assert got is not None
        answer = dns.message.from_wire(got)
        assert answer.rcode() == dns.rcode.NOERROR
        assert answer.answer
        assert not answer.flags & 0x0060, "neither the reserved bit nor AD is set"


def test_rfc8906_8_1_3_recursion_is_wanted_in_vain(server: Server) -> None:
    answer = server.ask("c2.evil.example", "A", rd=True)  # RA and RD are looked at for all

    assert answer.answer


def test_rfc1035_4_1_1_the_question_is_cut_off(server: Server) -> None:
    for size in (13, 20, len(QUERY) - 4, len(QUERY) - 1):
        got = server.udp(QUERY[:size], 1)

        assert got is not None
        assert got[3] & 15 == dns.rcode.FORMERR
        assert len(got) <= size


@pytest.mark.parametrize(
    "question",
    [
        b"\xc0\x0c\0\1\0\1",
        b"\x02c2\xc0\x0c\0\1\0\1",
        b"\x40" + b"a" * 64 + b"\0\0\1\0\1",
        b"\x80abc\0\0\1\0\1",
        (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1",
    ],
    ids=["loop", "pointer", "long label", "reserved label", "long name"],
)
def test_rfc1035_2_3_4_and_4_1_4_names_that_are_none(server: Server, question: bytes) -> None:
    got = server.udp(message(question), 1)

    assert got is not None
    assert got[3] & 15 == dns.rcode.FORMERR


def test_rfc1035_the_longest_name_is_a_name(server: Server) -> None:
    longest = (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"b" * 61 + b"\0"
    assert len(longest) == 255

    assert rcode_of(server, message(longest + b"\0\1\0\1")) == dns.rcode.REFUSED


def test_rfc9619_two_questions(server: Server) -> None:
    got = server.udp(message(QUERY[12:] * 2, counts=(2, 0, 0, 0)), 1)

    assert got is not None
    assert got[3] & 15 == dns.rcode.FORMERR


def test_rfc1035_bytes_after_the_message(server: Server) -> None:
    assert rcode_of(server, QUERY + b"\0") == dns.rcode.FORMERR


@pytest.mark.parametrize("counts", [(1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1)])
def test_rfc1035_fewer_records_than_the_header_says(
    server: Server, counts: tuple[int, int, int, int]
) -> None:
    assert rcode_of(server, message(counts=counts)) == dns.rcode.FORMERR


def test_rfc1035_records_that_mean_nothing_are_passed_over(server: Server) -> None:
    record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1"

    assert rcode_of(server, message(rest=record, counts=(1, 0, 0, 1))) == dns.rcode.NOERROR


def test_rfc1995_5936_no_transfer(server: Server) -> None:
    for kind in ("AXFR", "IXFR"):
        soa = APEX + b"\0\6\0\1\0\0\0\0\0\x16\0\0" + struct.pack("!5I", 1, 1, 1, 1, 1)
        qtype = dns.rdatatype.from_text(kind).to_bytes(2, "big")
        query = message(APEX + qtype + b"\0\1", soa, counts=(1, 0, 1, 0))
        if kind == "AXFR":
            query = message(APEX + qtype + b"\0\1")
        got = server.tcp(query)

        answer = answer_to(query, got)
        assert not answer.answer
        assert answer.rcode() in {dns.rcode.REFUSED, dns.rcode.NOTAUTH}


def test_rfc5936_2_2_1_a_transfer_is_refused_by_policy(server: Server) -> None:
    assert server.ask("evil.example", "AXFR", tcp=True).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("qclass", [2, 3, 4, 254, 255])
def test_rfc8906_other_classes_are_refused(server: Server, qclass: int) -> None:
    query = message(NAME + b"\0\1" + qclass.to_bytes(2, "big"))

    assert rcode_of(server, query) == dns.rcode.REFUSED


TSIG = (
    b"\x03key\0\0\xfa\0\xff\0\0\0\0\0\x1d\x0bhmac-sha256\0"
    b"\0\0\x65\x53\xf1\0\x01\x2c\0\0\x12\x34\0\0\0\0"
)


def test_rfc8945_5_2_1_an_unknown_key(server: Server) -> None:
    query = message(rest=TSIG, counts=(1, 0, 0, 1))
    got = server.udp(query)

    assert got is not None
    assert got[3] & 15 == dns.rcode.NOTAUTH
    assert got[4:8] == b"\0\1\0\0"


@pytest.mark.parametrize("counts", [(1, 1, 0, 0), (1, 0, 1, 0)])
def test_rfc8945_5_1_tsig_is_an_additional_record(
    server: Server, counts: tuple[int, int, int, int]
) -> None:
    assert rcode_of(server, message(rest=TSIG, counts=counts)) == dns.rcode.FORMERR


def test_rfc8945_5_1_tsig_is_the_last_record(server: Server) -> None:
    query = message(rest=TSIG + OPT, counts=(1, 0, 0, 2))

    assert rcode_of(server, query) == dns.rcode.FORMERR


def test_rfc8945_5_1_there_is_one_tsig(server: Server) -> None:
    query = message(rest=TSIG + TSIG, counts=(1, 0, 0, 2))

    assert rcode_of(server, query) == dns.rcode.FORMERR


def test_rfc2931_sig0_is_passed_over(server: Server) -> None:
    sig = b"\0\0\x18\0\xff\0\0\0\0\0\x13\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

    assert rcode_of(server, message(rest=sig, counts=(1, 0, 0, 1))) == dns.rcode.NOERROR

"""What the standards say of EDNS.

RFC 5001 (NSID), RFC 6891 (EDNS), RFC 7871 (client subnet), RFC 7873 and 9018 (cookies), RFC 8906
(8.2 the tests of servers' answers).
"""

from __future__ import annotations

import struct
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from sinkhole.conformance.peers import Server, answer_to
from sinkhole.conformance.test_messages import APEX, NAME, OPT, message
from sinkhole.made_zones import NSID

CLIENT_COOKIE = bytes(range(8))


def opt(
    options: bytes = b"",
    *,
    payload: int = 1232,
    version: int = 0,
    flags: int = 0,
    owner: bytes = b"\0",
) -> bytes:
    return owner + struct.pack("!2H2BHH", 41, payload, 0, version, flags, len(options)) + options


def option(code: int, data: bytes) -> bytes:
    return struct.pack("!2H", code, len(data)) + data


def ask(server: Server, record: bytes, question: bytes = NAME + b"\0\1\0\1") -> dns.message.Message:
    """The answer to a question with one additional record."""
    query = message(question, record, counts=(1, 0, 0, 1))
    got = server.udp(query)
    assert got is not None
    return answer_to(query, got)


def subnet(family: int, bits: int, scope: int, address: bytes) -> bytes:
    return option(8, struct.pack("!H2B", family, bits, scope) + address)


def options_of(answer: dns.message.Message, code: int) -> list[Any]:
    return [o for o in answer.options if int(o.otype) == code]


def test_rfc6891_7_no_opt_record_is_sent_to_who_sends_none(server: Server) -> None:
    for name in ("c2.evil.example", "no.evil.example", "other.test"):
        assert server.ask(name, "A").edns == -1


@pytest.mark.parametrize("name", ["c2.evil.example", "no.evil.example", "other.test"])
def test_rfc6891_7_an_opt_record_is_answered_with_one(server: Server, name: str) -> None:
    answer = server.ask(name, "A", use_edns=0)

    assert answer.edns == 0
    assert answer.payload == 1232


def test_rfc6891_6_1_1_two_opt_records(server: Server) -> None:
    query = message(rest=OPT + OPT, counts=(1, 0, 0, 2))
    got = server.udp(query)

    assert got is not None
    assert answer_to(query, got).rcode() == dns.rcode.FORMERR


def test_rfc6891_6_1_2_the_owner_is_the_root(server: Server) -> None:
    assert ask(server, opt(owner=b"\1a\0")).rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize("counts", [(1, 1, 0, 0), (1, 0, 1, 0)])
def test_rfc6891_6_1_1_opt_is_an_additional_record(
    server: Server, counts: tuple[int, int, int, int]
) -> None:
    query = message(rest=OPT, counts=counts)
    got = server.udp(query)

    assert got is not None
    assert answer_to(query, got).rcode() == dns.rcode.FORMERR


def test_rfc6891_6_2_3_a_payload_under_512_is_512(server: Server) -> None:
    answer = ask(server, opt(payload=0))

    assert not answer.flags & dns.flags.TC
    assert len(answer.answer[0]) == 2


def test_rfc6891_6_1_2_an_option_that_does_not_fit(server: Server) -> None:
    for options in (b"\0", b"\0\x0a\0", b"\xff\x00\0\5abcd"):
        assert ask(server, opt(options)).rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize(
    ("options", "flags"),
    [(b"", 0), (option(100, b"x"), 0), (b"", 0x0080), (b"", 0x8000)],
    ids=["plain", "unknown option", "unknown flag", "DO"],
)
def test_rfc8906_8_2_3_6_7_a_later_version(server: Server, options: bytes, flags: int) -> None:
    answer = ask(server, opt(options, version=1, flags=flags), APEX + b"\0\6\0\1")

    assert answer.rcode() == dns.rcode.BADVERS
    assert answer.edns == 0
    assert not answer.answer
    assert not answer.options
    assert not answer.ednsflags & 0x7FFF


def test_rfc8906_8_2_4_an_unknown_option_is_not_repeated(server: Server) -> None:
    answer = ask(server, opt(option(100, b"x")))

    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.options


def test_rfc8906_8_2_5_unknown_flags_are_not_repeated(server: Server) -> None:
    answer = ask(server, opt(flags=0x0080))

    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.ednsflags & 0x7FFF


def test_rfc3225_do_is_repeated(server: Server) -> None:
    assert ask(server, opt(flags=0x8000)).ednsflags & 0x8000
    assert not ask(server, opt()).ednsflags & 0x8000


def test_rfc8906_8_2_10_edns_over_tcp(server: Server) -> None:
    answer = server.ask("evil.example", "SOA", tcp=True, use_edns=0)

    assert answer.edns == 0
    assert answer.answer


def test_rfc8906_8_2_9_several_defined_options(server: Server) -> None:
    options = option(3, b"") + subnet(1, 24, 0, b"\xc0\0\2") + option(10, CLIENT_COOKIE)
    answer = ask(server, opt(options), APEX + b"\0\6\0\1")

    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.answer
    assert len(answer.options) == 3


def test_rfc5001_the_server_says_its_name_when_asked(server: Server) -> None:
    assert options_of(ask(server, opt(option(3, b""))), 3)[0].nsid == NSID
    assert not options_of(ask(server, opt()), 3)


@pytest.mark.parametrize(
    ("family", "bits", "address"),
    [
        (1, 24, b"\xc0\0\2"),
        (1, 20, b"\xc0\0\x10"),
        (1, 32, b"\xc0\0\2\1"),
        (1, 0, b""),
        (2, 56, bytes.fromhex("20010db8000000")),
        (2, 128, bytes.fromhex("20010db8") + bytes(12)),
    ],
)
def test_rfc7871_7_2_1_a_network_is_repeated_with_scope_0(
    server: Server, family: int, bits: int, address: bytes
) -> None:
    answer = ask(server, opt(subnet(family, bits, 0, address)))

    assert answer.rcode() == dns.rcode.NOERROR
    (said,) = options_of(answer, 8)
    assert said.to_wire() == struct.pack("!H2B", family, bits, 0) + address


@pytest.mark.parametrize(
    "data",
    [
        subnet(1, 24, 0, b"\xc0\0"),
        subnet(1, 24, 0, b"\xc0\0\2\0"),
        subnet(1, 33, 0, b"\xc0\0\2\0\0"),
        subnet(1, 20, 0, b"\xc0\0\x1f"),
        subnet(2, 129, 0, bytes(17)),
        option(8, b"\0\1\x18"),
        subnet(1, 24, 24, b"\xc0\0\2"),
    ],
    ids=["short", "long", "33 bits", "bits beyond", "129 bits", "cut off", "scope"],
)
def test_rfc7871_6_a_network_that_is_none(server: Server, data: bytes) -> None:
    assert ask(server, opt(data)).rcode() == dns.rcode.FORMERR


def test_rfc7873_5_2_3_a_client_gets_a_cookie(server: Server) -> None:
    (cookie,) = options_of(ask(server, opt(option(10, CLIENT_COOKIE))), 10)

    assert cookie.client == CLIENT_COOKIE
    assert len(cookie.server) == 16
    assert cookie.server[:4] == b"\1\0\0\0"  # RFC 9018 section 4


def test_rfc7873_5_2_5_the_cookie_is_taken_back(server: Server) -> None:
    (cookie,) = options_of(ask(server, opt(option(10, CLIENT_COOKIE))), 10)
    answer = ask(server, opt(option(10, cookie.client + cookie.server)))

    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.answer
    assert options_of(answer, 10)


@pytest.mark.parametrize("size", [0, 7, 9, 15, 41])
def test_rfc7873_5_2_2_a_cookie_of_the_wrong_length(server: Server, size: int) -> None:
    assert ask(server, opt(option(10, bytes(size)))).rcode() == dns.rcode.FORMERR


def test_rfc7873_5_2_the_first_cookie_counts(server: Server) -> None:
    two = option(10, CLIENT_COOKIE) + option(10, bytes(8))

    assert options_of(ask(server, opt(two)), 10)[0].client == CLIENT_COOKIE


def test_rfc7873_5_2_4_another_servers_cookie_is_as_good_as_none(server: Server) -> None:
    answer = ask(server, opt(option(10, CLIENT_COOKIE + b"\1\0\0\0" + bytes(12))))

    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.answer
    assert len(options_of(answer, 10)[0].server) == 16


def test_rfc7873_5_4_a_cookie_without_a_question(server: Server) -> None:
    query = message(b"", opt(option(10, CLIENT_COOKIE)), counts=(0, 0, 0, 1))
    got = server.udp(query, 1)

    assert got is not None
    answer = answer_to(query, got)
    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.question
    assert len(options_of(answer, 10)[0].server) == 16


def test_rfc7873_5_4_no_question_and_no_cookie(server: Server) -> None:
    for query in (
        message(b""),
        message(b"", counts=(0, 0, 0, 0)),
        message(b"", OPT, counts=(0, 0, 0, 1)),
    ):
        got = server.udp(query, 1)

        assert got is not None
        assert got[3] & 15 == dns.rcode.FORMERR

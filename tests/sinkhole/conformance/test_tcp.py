"""What the standards say of DNS over TCP: RFC 7766, RFC 1035 section 4.2.2."""

from __future__ import annotations

import socket

import dns.message
import dns.rcode

from sinkhole.conformance.peers import Server, answer_to, framed, read_exactly, read_framed

NAMES = ("c2.evil.example", "no.evil.example", "evil.example", "other.test")


def queries() -> list[bytes]:
    return [dns.message.make_query(name, "A", id=i).to_wire() for i, name in enumerate(NAMES)]


def ids(asker: socket.socket, count: int) -> set[int]:
    return {int.from_bytes(read_framed(asker)[:2], "big") for _ in range(count)}


def test_rfc7766_6_2_1_several_queries_one_after_the_other(server: Server) -> None:
    with server.connect() as asker:
        for query in queries():
            asker.sendall(framed(query))
            answer_to(query, read_framed(asker))


def test_rfc7766_6_2_1_1_several_queries_in_one_segment(server: Server) -> None:
    with server.connect() as asker:
        asker.sendall(framed(*queries()))

        assert ids(asker, len(NAMES)) == set(range(len(NAMES)))


def test_rfc7766_8_the_length_and_the_query_in_pieces(server: Server) -> None:
    with server.connect() as asker:
        asker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in framed(queries()[0]):
            asker.sendall(bytes((byte,)))

        assert ids(asker, 1) == {0}


def test_rfc7766_6_2_3_queries_before_the_client_ends_are_answered(server: Server) -> None:
    with server.connect() as asker:
        asker.sendall(framed(*queries()))
        asker.shutdown(socket.SHUT_WR)

        assert ids(asker, len(NAMES)) == set(range(len(NAMES)))
        assert asker.recv(1) == b""


def test_rfc1035_4_2_2_the_longest_message(server: Server) -> None:
    query = dns.message.make_query(NAMES[0], "A", use_edns=0).to_wire()
    padding = 65_535 - len(query) - 4
    longest = query[:-2] + (padding + 4).to_bytes(2, "big") + b"\0\x0c" + padding.to_bytes(2, "big")
    longest += bytes(padding)
    assert len(longest) == 65_535

    answer = answer_to(longest, server.tcp(longest))

    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.answer


def test_rfc7766_a_response_gets_no_answer_and_the_next_query_does(server: Server) -> None:
    response = bytearray(queries()[0])
    response[2] |= 0x80
    with server.connect() as asker:
        asker.sendall(framed(bytes(response), queries()[1]))

        assert ids(asker, 1) == {1}


def test_rfc7766_8_bytes_that_are_no_query_end_the_connection(server: Server) -> None:
    with server.connect() as asker:
        asker.sendall(b"\0\0" + framed(queries()[0]))

        try:
            assert read_exactly(asker, 1) == b""
        except ConnectionError:
            return

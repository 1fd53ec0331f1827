"""Conversations in memory: every way of cutting what a client sends gives the same facts."""

from __future__ import annotations

import contextlib
import itertools
import ssl
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.cases.model import SinkholeConfig
from remnant.sinkhole.conversation import MAX_PAYLOAD, MAX_TLS, Conversation, Speaker
from remnant.sinkhole.http_reply import Reply, make
from sinkhole.hellos import message, of_library, records
from sinkhole.serving import CERTIFICATES, client_context

if TYPE_CHECKING:
    import pytest

HERE = bytes(16)
REPLY = make(SinkholeConfig(), "x")


def _reply_for(name: bytes, destination: bytes) -> Reply:
    return REPLY


SPEAKER = Speaker(CERTIFICATES, _reply_for)


def say(*pieces: bytes, ended: bool = True) -> tuple[Conversation, bytes]:
    conversation = Conversation(SPEAKER, HERE)
    answer = b"".join(conversation.receive(piece) for piece in pieces if piece)
    if ended:
        answer += conversation.end()
    return conversation, answer


REQUEST = b"POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbody"


@settings(deadline=None)
@given(st.lists(st.integers(1, len(REQUEST)), max_size=6))
def test_a_request_in_pieces_is_the_request(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(REQUEST)]
    pieces = [REQUEST[a:b] for a, b in itertools.pairwise(bounds)]
    conversation, answer = say(*pieces, ended=False)

    assert conversation.done
    assert answer == REPLY.whole
    assert conversation.proof == "http"
    assert conversation.detail() == say(REQUEST)[0].detail()


def test_single_bytes_do_not_make_it_read_a_request_over_and_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from remnant.sinkhole import http_request

    calls = 0
    parse = http_request.parse

    def counted(data: bytes) -> http_request.Request | None:
        nonlocal calls
        calls += 1
        return parse(data)

    monkeypatch.setattr(http_request, "parse", counted)
    data = b"POST / HTTP/1.1\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000
    conversation, answer = say(*(data[i : i + 1] for i in range(len(data))))

    assert answer == REPLY.whole
    assert conversation.detail()["body_bytes"] == 3000
    assert calls <= 4


def test_a_payload_is_read_up_to_its_bound() -> None:
    conversation, answer = say(b"\x00" * 3000, b"\x01" * 3000, ended=False)

    assert conversation.done
    assert answer == b""
    assert conversation.detail()["payload_bytes"] == MAX_PAYLOAD
    assert conversation.held <= MAX_PAYLOAD


def test_a_head_that_is_too_long_still_gets_the_reply() -> None:
    conversation, answer = say(b"GET /x HTTP/1.1\r\nCookie: " + b"c" * 5000, ended=False)

    assert answer == REPLY.whole
    assert conversation.detail()["incomplete"] is True


def test_after_the_end_nothing_is_taken_and_nothing_said() -> None:
    conversation, _ = say(REQUEST)

    assert conversation.receive(b"more") == b""
    assert conversation.end() == b""


def test_a_client_that_fails_its_handshake_gets_an_alert_and_is_described() -> None:
    hello = of_library("a.example", ciphers="PSK-AES128-CBC-SHA:@SECLEVEL=0", highest=None)
    conversation, answer = say(hello[:5] + hello[5:], b"\x15\x03\x03\x00\x02\x02\x28")

    detail = conversation.detail()
    assert conversation.proof == "tcp"
    assert conversation.name == b"\x01a\x07example\x00"
    assert detail["tls_handshake"] is False
    assert answer


def test_no_suite_in_common_is_a_failure_with_its_reason() -> None:
    conversation, answer = say(records(message(0x0303, [0x0005])), ended=False)

    assert conversation.done
    assert answer[:1] == b"\x15"
    assert conversation.detail()["tls_failure"] == "NO_SHARED_CIPHER"
    assert conversation.greeted
    assert not conversation.shaken


def test_a_hello_that_never_ends_is_bounded() -> None:
    huge = records(b"\x01\x00\x2f\x00" + b"x" * 12_032, 1000)
    conversation, _ = say(*[huge[i : i + 700] for i in range(0, len(huge), 700)])

    assert conversation.held <= MAX_TLS


class Client:
    """A TLS client in memory that talks to a conversation."""

    def __init__(self) -> None:
        self.conversation = Conversation(SPEAKER, HERE)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.secure = client_context().wrap_bio(
            self.incoming, self.outgoing, server_hostname="sni.example"
        )

    def pass_on(self) -> None:
        data = self.outgoing.read()
        if data:
            self.incoming.write(self.conversation.receive(data))

    def shake(self) -> None:
        for _ in range(3):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.secure.do_handshake()
            self.pass_on()


def test_a_long_payload_inside_tls_is_bounded_too() -> None:
    client = Client()
    client.shake()
    client.secure.write(b"z" * 20_000)
    client.pass_on()

    assert client.conversation.done
    assert client.conversation.proof == "tls"
    assert client.conversation.detail()["payload_bytes"] == MAX_PAYLOAD


def test_many_small_records_are_bounded() -> None:
    client = Client()
    client.shake()
    for _ in range(2000):
        client.secure.write(b"\x00")
    data = client.outgoing.read()
    for i in range(0, len(data), 1000):
        client.conversation.receive(data[i : i + 1000])

    assert len(data) > MAX_TLS
    assert client.conversation.done
    assert client.conversation._tls is not None
    assert client.conversation._tls.received == MAX_TLS


def test_the_host_of_a_request_counts_before_the_server_name() -> None:
    for host, name in (
        (b"Host.example", b"\x04Host\x07example\x00"),
        (b"1.2.3.4", b"\x03sni\x07example\x00"),
    ):
        client = Client()
        client.shake()
        client.secure.write(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        client.pass_on()
        assert client.conversation.name == name
        assert client.secure.read(100) == REPLY.whole


def test_a_client_that_says_goodbye_inside_tls_ends_it() -> None:
    client = Client()
    client.shake()
    client.secure.write(b"hi")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.secure.unwrap()
    client.pass_on()

    assert client.conversation.done
    assert client.conversation.detail()["payload_head"] == "hi"
    assert "tls_failure" not in client.conversation.detail()


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n", b"POST "]),
    st.lists(st.binary(min_size=1, max_size=200), max_size=5),
)
def test_any_bytes_end_in_facts(start: bytes, pieces: list[bytes]) -> None:
    conversation, answer = say(start, *pieces)

    assert conversation.done
    assert answer in {b"", REPLY.whole, REPLY.head} or conversation.greeted
    assert conversation.proof in {"tcp", "http"}
    assert isinstance(conversation.detail(), dict)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=5),
    st.integers(1, 600),
)
def test_damaged_hellos_end_in_facts(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(of_library("a.example", ["h2"]))
    for position, value in changes:
        data[position % len(data)] = value
    conversation, answer = say(bytes(data[:cut]), bytes(data[cut:]))

    assert conversation.done
    assert not conversation.shaken
    assert answer[:1] in {b"", b"\x16", b"\x15", b"\x14"}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=3))
def test_damaged_records_after_a_handshake_end_in_facts(changes: list[tuple[int, int]]) -> None:
    client = Client()
    client.shake()
    client.secure.write(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 300)
    data = bytearray(client.outgoing.read())
    for position, value in changes:
        data[position % len(data)] ^= value
    client.conversation.receive(bytes(data))
    client.conversation.end()

    assert client.conversation.proof in {"tls", "http"}

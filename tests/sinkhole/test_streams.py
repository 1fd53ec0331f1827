"""Connections over loopback: real clients, hostile ones, limits."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import time
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest

from remnant.cases.model import SinkholeConfig
from remnant.sinkhole.conversation import Conversation
from remnant.sinkhole.http_reply import Reply, make
from remnant.sinkhole.streams import Limits
from sinkhole.hellos import of_library
from sinkhole.serving import PATIENCE, Sinkhole, client_context, read_all, sinkhole, until

if TYPE_CHECKING:
    from typing_extensions import Buffer as ReadableBuffer

LOOPBACK = b"\0" * 10 + b"\xff\xff\x7f\x00\x00\x01"
QUIET = Limits(read_s=60.0, quiet_s=0.1)
"""Where a first payload that says nothing of its length is to be whole soon."""
QUICK = Limits(read_s=1.0, quiet_s=0.1, linger_s=0.3)
"""Where the server is to lose its patience soon; what a client says first it says before that."""


def test_an_http_request_gets_the_constant_reply_and_is_one_event() -> None:
    with sinkhole(reply=make(SinkholeConfig(http="404"), "x")) as sink:
        before = time.time_ns() // 1000
        answer = sink.ask(
            b"GET /gate.php?id=1 HTTP/1.1\r\nHost: NS1.TimeDate1.com:8080\r\n"
            b"User-Agent: Mozilla/4.0\r\nAccept: */*\r\n\r\n"
        )
        (event,) = sink.wait_for(1)

    assert answer == (
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nCache-Control: no-store\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert event.proof == "http"
    assert event.name == b"\x03NS1\x09TimeDate1\x03com\x00"
    assert event.address == event.destination == LOOPBACK
    assert event.service_port == sink.port
    assert event.client_port > 0
    assert before <= event.time <= time.time_ns() // 1000
    assert event.detail == {
        "method": "GET",
        "target": "/gate.php?id=1",
        "host": "NS1.TimeDate1.com:8080",
        "user_agent": "Mozilla/4.0",
        "http_version": "1.1",
        "header_order": "Host,User-Agent,Accept",
    }
    assert sink.asked == [(event.name, LOOPBACK)]


def test_what_is_neither_http_nor_tls_gets_nothing() -> None:
    with sinkhole(QUIET) as sink:
        answer = sink.ask(b"\x01\x02hello\xff")
        (event,) = sink.wait_for(1)

    assert answer == b""
    assert (event.proof, event.name) == ("tcp", b"")
    assert event.detail == {
        "payload_bytes": 8,
        "payload_sha256": hashlib.sha256(b"\x01\x02hello\xff").hexdigest(),
        "payload_head": "\\x01\\x02hello\\xff",
    }
    assert sink.streams.counters.raw == 1
    assert sink.asked == []


def test_a_client_that_says_nothing_is_an_event_when_its_time_is_up() -> None:
    started = time.monotonic()
    with sinkhole(Limits(read_s=0.4)) as sink, sink.connect() as peer:
        assert peer.recv(1) == b""
        waited = time.monotonic() - started
        (event,) = sink.wait_for(1)
        until(lambda: sink.streams.counters.open == 0)

    assert waited > 0.39
    assert (event.proof, event.detail) == ("tcp", None)
    assert sink.streams.counters.silent == 1
    assert sink.streams.counters.timed_out == 1


def test_a_client_that_leaves_at_once_is_an_event() -> None:
    with sinkhole() as sink:
        sink.connect().close()
        (event,) = sink.wait_for(1)

    assert (event.proof, event.detail) == ("tcp", None)
    assert sink.streams.counters.timed_out == 0


def test_a_client_that_resets_is_an_event() -> None:
    with sinkhole() as sink:
        peer = sink.connect()
        peer.sendall(b"abc")
        until(lambda: sink.streams.counters.bytes_read == 3)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        (event,) = sink.wait_for(1)

    assert event.detail is not None
    assert event.detail["payload_head"] == "abc"


# HTTP.


def test_curl_gets_the_notice_and_a_body_that_it_sends_is_described() -> None:
    if which("curl") is None:
        pytest.skip("curl is not installed")
    config = SinkholeConfig(
        http="notice", operator="CERT Example", help_url="https://help.example/"
    )
    with sinkhole(reply=make(config, "BeeBone")) as sink:
        url = f"http://c2.evil.example:{sink.port}/report"
        run = subprocess.run(
            [
                "curl",
                "-sS",
                "-i",
                "--resolve",
                f"c2.evil.example:{sink.port}:127.0.0.1",
                "--noproxy",
                "*",
                "--data-binary",
                "id=7&os=xp",
                "-A",
                "bot/1",
                url,
            ],
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        (event,) = sink.wait_for(1)

    assert run.stdout == make(config, "BeeBone").whole
    assert event.detail is not None
    assert event.detail["method"] == "POST"
    assert event.detail["content_length"] == 10
    assert event.detail["body_sha256"] == hashlib.sha256(b"id=7&os=xp").hexdigest()
    assert "incomplete" not in event.detail


def test_curl_asks_for_the_head_alone_and_gets_it() -> None:
    if which("curl") is None:
        pytest.skip("curl is not installed")
    reply = make(SinkholeConfig(http="notice"), "x")
    with sinkhole(reply=reply) as sink:
        run = subprocess.run(
            ["curl", "-sS", "-I", "--noproxy", "*", f"http://127.0.0.1:{sink.port}/"],
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )

    assert run.stdout == reply.head
    assert f"Content-Length: {len(reply.whole) - len(reply.head)}".encode() in reply.head


def test_a_body_is_read_up_to_four_kibibytes_and_the_client_still_gets_its_reply() -> None:
    body = bytes(range(256)) * 1024
    head = b"POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 262144\r\n\r\n"
    with sinkhole() as sink:
        with sink.connect() as peer:
            peer.sendall(head + body[:200_000])
            answer = b""
            # To its clean end: a reset would make other systems throw the reply away.
            while chunk := peer.recv(4096):
                answer += chunk
        (event,) = sink.wait_for(1)

    assert answer.startswith(b"HTTP/1.1 204 ")
    assert event.detail is not None
    read = body[: 4096 - len(head)]
    assert event.detail["body_bytes"] == len(read)
    assert event.detail["body_sha256"] == hashlib.sha256(read).hexdigest()
    assert event.detail["incomplete"] is True


def test_the_reply_is_the_same_whatever_is_asked() -> None:
    requests = [
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc",
        b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"CONNECT a.example:443 HTTP/1.1\nHost: a.example:443\n\n",
        b"OPTIONS * HTTP/1.1\r\nOrigin: https://a.example\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\nCookie: a=b\r\nRange: bytes=0-1\r\n\r\n",
    ]
    with sinkhole() as sink:
        answers = {sink.ask(request) for request in requests}

    assert len(answers) == 1


def test_two_requests_on_one_connection_are_one_event_and_one_reply() -> None:
    with sinkhole() as sink:
        answer = sink.ask(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
        (event,) = sink.wait_for(1)

    assert answer.count(b"HTTP/1.1") == 1
    assert event.detail is not None
    assert event.detail["target"] == "/1"


def test_http_that_is_none_is_raw() -> None:
    with sinkhole(QUIET) as sink:
        for bad in (b"GET /\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n", b"SSH-2.0-x\r\n", b"get\n\n"):
            assert sink.ask(bad) == b""
        events = sink.wait_for(4)

    assert {event.proof for event in events} == {"tcp"}
    assert sink.streams.counters.raw == 4


# TLS.


def test_https_by_curl_is_http_with_the_facts_of_tls() -> None:
    if which("curl") is None:
        pytest.skip("curl is not installed")
    with sinkhole() as sink:
        run = subprocess.run(
            [
                "curl",
                "-sS",
                "-k",
                "-i",
                "--resolve",
                f"C2.Evil.example:{sink.port}:127.0.0.1",
                "--noproxy",
                "*",
                f"https://C2.Evil.example:{sink.port}/gate",
            ],
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        (event,) = sink.wait_for(1)

    assert run.stdout == make(SinkholeConfig(), "x").whole
    assert event.proof == "http"
    assert event.name.lower() == b"\x02c2\x04evil\x07example\x00"
    assert event.detail is not None
    assert event.detail["target"] == "/gate"
    assert str(event.detail["sni"]).lower() == "c2.evil.example"
    assert event.detail["tls_version"] == "TLSv1.3"
    assert event.detail["alpn"] == ["h2", "http/1.1"]
    assert str(event.detail["ja4"]).startswith("t13d")
    assert len(str(event.detail["ja3"])) == 32
    assert sink.streams.counters.tls == sink.streams.counters.http == 1


@pytest.mark.parametrize("version", ["tls1", "tls1_1", "tls1_2", "tls1_3"])
@pytest.mark.parametrize("key", ["RSA", "ECDSA"])
def test_openssl_of_any_age_completes_its_handshake(version: str, key: str) -> None:
    if which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = ["openssl", "s_client", "-ign_eof", f"-{version}", "-servername", "bot.evil.example"]
    if version != "tls1_3":
        suites = "ECDHE-ECDSA-AES128-SHA" if key == "ECDSA" else "AES128-SHA"
        command += ["-cipher", f"{suites}:@SECLEVEL=0"]
    with sinkhole() as sink:
        run = subprocess.run(
            [*command, "-connect", f"127.0.0.1:{sink.port}"],
            input=b"GET / HTTP/1.0\r\n\r\n",
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
        (event,) = sink.wait_for(1)

    names = {"tls1": "1", "tls1_1": "1.1", "tls1_2": "1.2", "tls1_3": "1.3"}
    assert b"HTTP/1.1 204 No Content" in run.stdout
    assert b"CN = bot.evil.example" in run.stdout
    assert event.proof == "http"
    assert event.name == b"\x03bot\x04evil\x07example\x00"
    assert event.detail is not None
    assert event.detail["tls_version"] == f"TLSv{names[version]}"


def test_a_handshake_without_a_word_after_it_is_tls() -> None:
    with sinkhole(QUIET) as sink:
        with (
            sink.connect() as peer,
            client_context().wrap_socket(peer, server_hostname="a.evil.example") as secure,
        ):
            assert secure.selected_alpn_protocol() is None
            secure.sendall(b"\x00\x01bin")
            assert secure.recv(10) == b""
        (event,) = sink.wait_for(1)

    assert event.proof == "tls"
    assert event.name == b"\x01a\x04evil\x07example\x00"
    assert event.detail is not None
    assert event.detail["payload_head"] == "\\x00\\x01bin"
    assert event.detail["tls_handshake"] is True
    assert sink.asked == []


def test_http_1_is_picked_among_the_protocols_that_a_client_offers() -> None:
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        sinkhole() as sink,
        sink.connect() as peer,
        context.wrap_socket(peer, server_hostname="a.example") as secure,
    ):
        assert secure.selected_alpn_protocol() == "http/1.1"


def test_a_client_that_rejects_the_certificate_is_described_by_its_hello() -> None:
    strict = ssl.create_default_context()
    with sinkhole() as sink:
        with sink.connect() as peer, pytest.raises(ssl.SSLCertVerificationError):
            strict.wrap_socket(peer, server_hostname="bank.example")
        (event,) = sink.wait_for(1)

    # In TLS 1.3 the client sends its alert before it would have finished.
    assert event.proof == "tcp"
    assert event.name == b"\x04bank\x07example\x00"
    assert event.detail is not None
    assert event.detail["tls_handshake"] is False
    assert "UNKNOWN_CA" in str(event.detail["tls_failure"])
    assert "ja4" in event.detail
    assert sink.streams.counters.tls_failed == 1


def test_a_hello_in_many_small_packets_is_put_together() -> None:
    context = client_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="slow.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    with sinkhole() as sink, sink.connect() as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(hello), 37):
            peer.sendall(hello[i : i + 37])
        incoming.write(peer.recv(65536))
        client.do_handshake()
        client.write(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
        peer.sendall(outgoing.read())
        incoming.write(read_all(peer))
        answer = client.read()
        (event,) = sink.wait_for(1)

    assert answer.startswith(b"HTTP/1.1 204")
    assert event.name == b"\x05other\x07example\x00"


def test_something_that_begins_like_tls_is_raw() -> None:
    with sinkhole(QUIET) as sink:
        assert sink.ask(b"\x16\x03\x01\x00\x05\x02abcd") == b""
        (event,) = sink.wait_for(1)

    assert event.proof == "tcp"
    assert event.detail is not None
    assert event.detail["payload_bytes"] == 10
    assert sink.streams.counters.raw == 1


def test_without_certificates_a_hello_is_read_and_not_answered() -> None:
    with sinkhole(certificates=None) as sink:
        with sink.connect() as peer, pytest.raises((ssl.SSLError, ConnectionError)):
            client_context().wrap_socket(peer, server_hostname="a.example")
        (event,) = sink.wait_for(1)

    assert event.proof == "tcp"
    assert event.name == b"\x01a\x07example\x00"


# Limits.


def drip(peer: socket.socket, data: bytes) -> bool:
    """Send a little at a time; return whether the other side has enough of it after a while."""
    with contextlib.suppress(OSError):
        for _ in range(3000):
            peer.sendall(data)
            time.sleep(0.02)
        return False
    return True


def test_a_slow_client_cannot_hold_its_connection() -> None:
    with sinkhole(QUICK) as sink, sink.connect() as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(b"GET /slow HTTP/1.1\r\n")
        assert drip(peer, b"X-a: b\r\n")
        (event,) = sink.wait_for(1)

    assert event.proof == "http"
    assert event.detail is not None
    assert event.detail["target"] == "/slow"
    assert event.detail["incomplete"] is True
    assert sink.streams.counters.timed_out == 1
    assert sink.asked == []


def test_a_client_that_never_falls_quiet_cannot_hold_its_connection() -> None:
    with sinkhole(QUICK) as sink, sink.connect() as peer:
        assert drip(peer, b"\x00")
        (event,) = sink.wait_for(1)

    assert event.detail is not None
    assert str(event.detail["payload_head"]).startswith("\\x00\\x00\\x00")


def test_a_slow_client_inside_tls_cannot_hold_its_connection() -> None:
    with sinkhole(Limits(read_s=2.0, quiet_s=0.1)) as sink, sink.connect() as peer:
        with client_context().wrap_socket(peer) as secure:
            assert drip(secure, b"x")
        (event,) = sink.wait_for(1)

    assert event.proof == "tls"


def test_slow_clients_that_take_every_place_lose_it_again() -> None:
    with sinkhole(Limits(connections=20, read_s=PATIENCE, quiet_s=0.1)) as sink:
        slow = [sink.connect() for _ in range(20)]
        for peer in slow:
            peer.sendall(b"GET / HTTP/1.1\r\nX: ")
        until(lambda: sink.streams.counters.open == 20)
        assert sink.ask(b"") == b""
        sink.loop.later(PATIENCE)

        def given_up() -> bool:
            for peer in slow:
                with contextlib.suppress(OSError):
                    peer.sendall(b"x")
            return sink.streams.counters.timed_out == 20

        until(given_up)
        until(lambda: sink.streams.counters.open == 0)
        assert sink.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 204")
        for peer in slow:
            peer.close()

    assert sink.streams.counters.timed_out == 20
    assert sink.streams.counters.refused == 1


def test_a_client_that_does_not_read_its_reply_cannot_hold_its_connection() -> None:
    big = Reply(b"x" * 20_000_000, b"")
    with sinkhole(QUICK, big) as sink, sink.connect() as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sink.wait_for(1)
        until(lambda: sink.streams.counters.open == 0)


def test_a_long_reply_arrives_whole() -> None:
    big = Reply(bytes(range(256)) * 20_000, b"")
    with sinkhole(reply=big) as sink:
        assert sink.ask(b"GET / HTTP/1.1\r\n\r\n") == big.whole


def test_one_source_has_a_limit_and_others_are_still_served() -> None:
    with sinkhole(Limits(per_source=3)) as sink:
        peers = [sink.connect() for _ in range(3)]
        until(lambda: sink.streams.counters.open == 3)
        assert sink.ask(b"") == b""
        other = socket.create_connection(
            ("127.0.0.1", sink.port), timeout=PATIENCE, source_address=("127.0.0.2", 0)
        )
        with other:
            other.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert read_all(other).startswith(b"HTTP/1.1 204")
        for peer in peers:
            peer.close()
        until(lambda: sink.streams.counters.open == 0)
        assert sink.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 204")
        events = sink.wait_for(6)

    assert [event.limited for event in events].count(True) == 1
    assert sink.streams.counters.refused == 1
    assert sink.streams.counters.connections == 6


def test_connections_have_a_limit_and_what_is_refused_is_counted_and_told() -> None:
    with sinkhole(Limits(connections=2)) as sink:
        peers = [sink.connect() for _ in range(2)]
        until(lambda: sink.streams.counters.open == 2)
        for _ in range(5):
            with sink.connect() as refused:
                assert refused.recv(1) == b""
        events = list(sink.wait_for(5))
        for peer in peers:
            peer.close()

    assert all(event.limited and event.proof == "tcp" for event in events)
    assert sink.streams.counters.refused == 5


def test_memory_has_a_limit_and_comes_back() -> None:
    with sinkhole(Limits(memory_bytes=6000)) as sink:
        first = sink.connect()
        first.sendall(b"GET /" + b"x" * 3000)
        second = sink.connect()
        second.sendall(b"GET /" + b"x" * 3000)
        until(lambda: sink.streams.counters.bytes_read >= 6000)
        with sink.connect() as refused:
            assert refused.recv(1) == b""
        first.close()
        second.close()
        until(lambda: sink.streams.counters.open == 0)
        assert sink.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 204")
        until(lambda: sink.streams.counters.open == 0)
        assert sink.streams._load.memory == 0
        assert sink.streams._load.sources == {}


def test_without_memory_for_tls_a_hello_is_described_and_not_answered() -> None:
    with sinkhole(Limits(memory_bytes=20_000)) as sink:
        with sink.connect() as peer, pytest.raises((ssl.SSLError, ConnectionError)):
            client_context().wrap_socket(peer, server_hostname="a.example")
        (event,) = sink.wait_for(1)

    assert event.limited
    assert event.name == b"\x01a\x07example\x00"


def test_a_fault_in_one_conversation_ends_that_one_alone() -> None:
    asked = 0

    def reply_for(name: bytes, destination: bytes) -> Reply:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RuntimeError("no reply")
        return make(SinkholeConfig(), "x")

    with sinkhole(reply_for=reply_for) as sink:
        with sink.connect() as peer:
            peer.sendall(b"GET / HTTP/1.0\r\n")
            until(lambda: sink.streams._load.memory > 0)
            peer.sendall(b"\r\n")
            assert read_all(peer) == b""
        until(lambda: sink.streams._load.memory == 0)
        assert sink.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 204")
        sink.wait_for(2)

    assert sink.streams.counters.failed == 1


def test_facts_that_cannot_be_told_do_not_hide_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(conversation: Conversation) -> dict[str, object]:
        raise ValueError("broken")

    monkeypatch.setattr(Conversation, "detail", broken)
    with sinkhole() as sink:
        assert sink.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 204")
        (event,) = sink.wait_for(1)
        until(lambda: sink.streams.counters.open == 0)

    assert (event.proof, event.detail) == ("tcp", None)
    assert sink.streams.counters.failed == 1


class Broken(socket.socket):
    """A connection whose other side is gone when something is sent to it."""

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:  # noqa: ARG002 - the socket's
        raise ConnectionResetError


class Trickling(socket.socket):
    """A connection that takes little at once, and every other time nothing."""

    turn = 0

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        Trickling.turn += 1
        if Trickling.turn % 2:
            raise BlockingIOError
        return super().send(bytes(data)[:100], flags)


def accepting(sink: Sinkhole, kind: type[socket.socket]) -> None:
    """Let a sinkhole accept connections of a kind."""
    accepted = sink.streams._accepted

    def replaced(plain: socket.socket, peer: tuple[object, ...]) -> None:
        accepted(kind(fileno=plain.detach()), peer)

    vars(sink.streams)["_accepted"] = replaced


@pytest.mark.parametrize(("data", "proof"), [(b"GET / HTTP/1.0\r\n\r\n", "http"), (None, "tcp")])
def test_a_client_that_is_gone_when_it_is_answered_is_an_event(
    data: bytes | None, proof: str
) -> None:
    with sinkhole() as sink:
        accepting(sink, Broken)
        assert sink.ask(data or of_library("a.example")) == b""
        (event,) = sink.wait_for(1)
        until(lambda: sink.streams.counters.open == 0)

    assert event.proof == proof
    assert event.detail is not None


def test_a_connection_that_takes_little_at_once_gets_everything() -> None:
    reply = make(SinkholeConfig(http="notice"), "x")
    with sinkhole(reply=reply) as sink:
        accepting(sink, Trickling)
        with (
            sink.connect() as peer,
            client_context().wrap_socket(peer, server_hostname="a.example") as secure,
        ):
            secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert read_all(secure) == reply.whole
        assert sink.ask(b"GET / HTTP/1.0\r\n\r\n") == reply.whole


def test_whoever_takes_the_events_may_fail() -> None:
    def emit(event: object) -> None:
        raise OSError("disk full")

    with sinkhole(emit=emit) as sink:
        for _ in range(3):
            assert sink.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 204")
        until(lambda: sink.streams.counters.open == 0)

    assert sink.streams.counters.failed == 3


def test_when_no_file_can_be_opened_it_pauses_and_goes_on() -> None:
    class Exhausted(socket.socket):
        left = 3

        def accept(self) -> tuple[socket.socket, tuple[str, int]]:
            if Exhausted.left:
                Exhausted.left -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    with sinkhole() as sink:
        (ordinary,) = sink.streams._sockets
        listener = Exhausted(fileno=os.dup(ordinary.fileno()))
        sink.loop.call_soon_threadsafe(sink.loop.remove_reader, ordinary)
        sink.loop.call_soon_threadsafe(
            sink.loop.add_reader, listener, sink.streams._accept, listener
        )
        assert sink.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 204")
        sink.loop.call_soon_threadsafe(sink.loop.remove_reader, listener)
        sink.loop.call_soon_threadsafe(listener.close)

    assert sink.streams.counters.accept_errors == 3


def test_stopping_waits_for_those_who_are_about_to_finish_and_tells_of_the_rest() -> None:
    # An address that nobody else listens on, when this sinkhole has left its port.
    host = "127.31.7.1"
    with sinkhole(grace=0.3, hosts=(host,)) as sink:
        silent = sink.connect(host)
        talking = sink.connect(host)
        talking.sendall(b"GET /half HTTP/1.1\r\n")
        until(lambda: sink.streams.counters.bytes_read > 0)
    events = sink.wait_for(2)

    assert {event.proof for event in events} == {"tcp", "http"}
    assert sink.streams.counters.open == 0
    with pytest.raises(ConnectionRefusedError):
        sink.connect(host)
    silent.close()
    talking.close()


# Addresses.


def test_ipv6_is_served_beside_ipv4_on_the_same_port() -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with sinkhole(hosts=("127.0.0.1", "::1")) as sink:
        for host in ("127.0.0.1", "::1"):
            assert sink.ask(b"GET / HTTP/1.0\r\n\r\n", host).startswith(b"HTTP/1.1 204")
        events = sink.wait_for(2)

    six = ipaddress.IPv6Address("::1").packed
    assert [event.address for event in events] == [LOOPBACK, six]
    assert [event.destination for event in events] == [LOOPBACK, six]


def test_everything_that_is_told_fits_into_two_kibibytes_of_json() -> None:
    nasty = b'\\\x80"' * 90
    request = b"GET /%s HTTP/1.1\r\n" % nasty + b"".join(
        b"%s: %s\r\n" % (name, nasty)
        for name in (b"Host", b"User-Agent", b"Referer", b"X-Forwarded-For", b"Via")
    )
    context = client_context()
    context.set_alpn_protocols(["x" * 255, "http/1.1"])
    with sinkhole() as sink:
        with (
            sink.connect() as peer,
            context.wrap_socket(peer, server_hostname="a" * 60 + ".example") as secure,
        ):
            secure.sendall(request + b"\r\n")
            assert secure.recv(4) == b"HTTP"
        (event,) = sink.wait_for(1)

    text = json.dumps(event.detail)
    assert len(text) <= 2048
    assert text.isascii()
    assert event.detail is not None
    assert event.detail["cut"] is True
    assert "ja4" in event.detail

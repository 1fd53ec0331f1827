"""Connections over loopback: real clients, hostile ones, limits."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import socket
import ssl
import subprocess
import time
from pathlib import Path
from shutil import which

import pytest

from remnant.cases.model import SinkholeConfig
from remnant.sinkhole.http_reply import Reply, make
from remnant.sinkhole.streams import Limits
from sinkhole.serving import client_context, read_all, sinkhole, until

LOOPBACK = b"\0" * 10 + b"\xff\xff\x7f\x00\x00\x01"
QUICK = Limits(read_s=0.4, quiet_s=0.1, linger_s=0.3)


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
    with sinkhole(QUICK) as sink:
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
    with sinkhole(QUICK) as sink, sink.connect() as peer:
        started = time.monotonic()
        assert peer.recv(1) == b""
        waited = time.monotonic() - started
        (event,) = sink.wait_for(1)
        until(lambda: sink.streams.counters.open == 0)

    assert 0.3 < waited < 2
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

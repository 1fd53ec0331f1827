"""A small writer of PowerDNS protobuf streams, for tests and benchmarks."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from dnstap_writer import data, number

if TYPE_CHECKING:
    from collections.abc import Sequence

QUERY, RESPONSE, OUTGOING_QUERY, INCOMING_RESPONSE = range(1, 5)
UDP, TCP, DOT, DOH, DNSCRYPT_UDP, DNSCRYPT_TCP, DOQ = range(1, 8)
START_TIME = 1_428_451_200
"""2015-04-08T00:00:00Z"""


def record(name: bytes, kind: int, rdata: bytes | None, *, klass: int = 1, ttl: int = 60) -> bytes:
    return data(1, name) + number(2, kind) + number(3, klass) + number(4, ttl) + data(5, rdata)


def policy(
    name: bytes = b"my.rpz", *, kind: int = 3, type_: int = 2, trigger: bytes | None = b"evil.test."
) -> bytes:
    return data(3, name) + number(7, type_) + data(8, trigger) + number(10, kind)


def message(
    kind: int,
    name: bytes | None,
    *,
    qtype: int | None = 1,
    time: float | None = START_TIME,
    asked: float | None = None,
    client: str | None = "198.51.100.7",
    port: int | None = 40000,
    protocol: int | None = UDP,
    identity: bytes | None = b"rec1",
    ident: int | None = 7,
    rcode: int | None = 0,
    records: Sequence[bytes] = (),
    applied: bytes = b"",
    subnet: bytes | None = None,
    question: bool = True,
) -> bytes:
    """Return one PBDNSMessage, its fields in the order in which PowerDNS writes them."""
    address = None if client is None else ipaddress.ip_address(client).packed
    out = number(1, kind) + data(2, bytes(16)) + number(4, 1) + number(5, protocol)
    out += data(6, address) + data(7, b"\xc0\x00\x02\x35") + number(8, 60)
    out += _time(9, time) + number(11, ident)
    if question:
        out += data(12, data(1, name) + number(2, qtype) + number(3, 1))
    out += number(20, port) + number(21, 53) + data(3, identity) + data(14, subnet)
    if kind in {RESPONSE, INCOMING_RESPONSE}:
        inner = b"".join(data(2, one) for one in records) + number(1, rcode) + applied
        out += data(13, inner + _time(5, time if asked is None else asked))
    return out


def _time(field: int, time: float | None) -> bytes:
    if time is None:
        return b""
    micros = round(time * 1_000_000)
    return number(field, micros // 1_000_000) + number(field + 1, micros % 1_000_000)


def stream(*messages: bytes, width: int = 2) -> bytes:
    return b"".join(len(one).to_bytes(width, "big") + one for one in messages)

"""A small writer of dnstap and Frame Streams, for tests and benchmarks."""

from __future__ import annotations

import ipaddress

import dns.message

CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
AUTH_QUERY, AUTH_RESPONSE, RESOLVER_QUERY, RESOLVER_RESPONSE, CLIENT_QUERY, CLIENT_RESPONSE = range(
    1, 7
)
FORWARDER_RESPONSE, STUB_RESPONSE, TOOL_RESPONSE, UPDATE_RESPONSE = range(8, 15, 2)
UDP, TCP, DOT, DOH, DNSCRYPT_UDP, DNSCRYPT_TCP, DOQ = range(1, 8)
START_TIME = 1_428_451_200
"""2015-04-08T00:00:00Z"""


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int | None) -> bytes:
    return b"" if value is None else varint(field << 3) + varint(value)


def fixed32(field: int, value: int | None) -> bytes:
    return b"" if value is None else varint(field << 3 | 5) + value.to_bytes(4, "little")


def data(field: int, value: bytes | None) -> bytes:
    return b"" if value is None else varint(field << 3 | 2) + varint(len(value)) + value


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def control(kind: int, content_type: bytes | None = None) -> bytes:
    payload = kind.to_bytes(4, "big")
    if content_type is not None:
        payload += (1).to_bytes(4, "big") + frame(content_type)
    return bytes(4) + frame(payload)


START = control(2, CONTENT_TYPE)
STOP = control(3)


def message(
    kind: int,
    dns_message: bytes | None,
    *,
    time: float | None = START_TIME,
    response_time: float | None = None,
    client: str | None = "198.51.100.7",
    port: int | None = 40000,
    server_port: int | None = 53,
    protocol: int | None = UDP,
    identity: bytes | None = b"ns1",
    version: bytes | None = b"test",
    policy: bytes | None = None,
    extra: bytes | None = None,
) -> bytes:
    """Return one dnstap payload (without its frame)."""
    address = None if client is None else ipaddress.ip_address(client).packed
    response = kind % 2 == 0
    inner = number(1, kind)
    inner += number(2, 2 if address and len(address) == 16 else 1)
    inner += number(3, protocol)
    inner += data(4, address) + number(6, port) + number(7, server_port)
    inner += _time(8, time)
    if not response:
        inner += data(10, dns_message)
    else:
        inner += _time(12, time if response_time is None else response_time)
        inner += data(14, dns_message)
    inner += data(15, policy)
    outer = data(1, identity) + data(2, version) + data(3, extra)
    return outer + data(14, inner) + number(15, 1)


def rpz(
    rule: bytes | None, action: int | None = None, match: int | None = None, value: bytes = b""
) -> bytes:
    """Return a policy as a resolver with response policy zones writes it."""
    named = data(1, b"rpz") + data(2, rule) + number(3, action) + number(4, match)
    return named + data(5, value or None)


def _time(field: int, time: float | None) -> bytes:
    if time is None:
        return b""
    micros = round(time * 1_000_000)
    return number(field, micros // 1_000_000) + fixed32(field + 1, micros % 1_000_000 * 1000)


def query(name: str, qtype: str = "A", ident: int = 1) -> bytes:
    asked = dns.message.make_query(name, qtype)
    asked.id = ident
    return asked.to_wire()


def response(asked: bytes, rcode: int = 0) -> bytes:
    answer = bytearray(asked)
    answer[2] |= 0x80
    answer[3] = answer[3] & 0xF0 | rcode
    return bytes(answer)


def stream(*payloads: bytes, start: bytes = START, stop: bytes = STOP) -> bytes:
    return start + b"".join(map(frame, payloads)) + stop

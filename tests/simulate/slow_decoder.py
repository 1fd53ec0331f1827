"""A second, slow and plain reading of dnstap files: nothing here is shared with the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from struct import unpack_from
from typing import TYPE_CHECKING, Any

import dns.exception
import dns.message
import zstandard

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Frame:
    identity: str
    version: str
    type: int
    protocol: int
    client: str
    server: str
    port: int
    query_time_us: int
    response_time_us: int | None
    message: bytes
    parsed: Any  # dns.message.Message, or None where dnspython refuses it
    name: str  # folded; empty where dnspython refuses it

    @property
    def time_us(self) -> int:
        return self.query_time_us if self.response_time_us is None else self.response_time_us

    @property
    def unit(self) -> str:
        address = ip_address(self.client)
        if address.version == 4:
            return str(address)
        return str(ip_network(f"{address}/64", strict=False))


def frames_of(path: Path) -> list[Frame]:
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    control, payloads = _frame_streams(data)
    assert control == [
        b"\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x16protobuf:dnstap.Dnstap",
        b"\x00\x00\x00\x03",
    ]
    return [_frame(payload) for payload in payloads]


def _frame_streams(data: bytes) -> tuple[list[bytes], list[bytes]]:
    control, payloads, at = [], [], 0
    while at < len(data):
        (length,) = unpack_from(">I", data, at)
        at += 4
        if length == 0:
            (length,) = unpack_from(">I", data, at)
            at += 4
            control.append(data[at : at + length])
        else:
            payloads.append(data[at : at + length])
        assert at + length <= len(data)
        at += length
    return control, payloads


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            assert shift == 7 or data[at - 1], "a varint is longer than it needs to be"
            return value, at


def _fields(data: bytes) -> dict[int, Any]:
    found: dict[int, Any] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        assert tag >> 3 not in found
        value: Any
        if tag & 7 == 0:
            value, at = _varint(data, at)
        elif tag & 7 == 2:
            length, at = _varint(data, at)
            assert at + length <= len(data)
            value = data[at : at + length]
            at += length
        else:
            assert tag & 7 == 5
            value = unpack_from("<I", data, at)[0]
            at += 4
        found[tag >> 3] = value
    return found


def _frame(payload: bytes) -> Frame:
    outer = _fields(payload)
    assert set(outer) == {1, 2, 14, 15}
    assert outer[15] == 1
    inner = _fields(outer[14])
    message = inner[14] if 14 in inner else inner[10]
    assert (10 in inner) != (14 in inner)
    assert inner[2] == (1 if len(inner[4]) == 4 else 2)
    try:
        parsed = dns.message.from_wire(message)
    except (dns.exception.DNSException, ValueError):
        parsed = None
    response = 12 in inner
    return Frame(
        identity=outer[1].decode(),
        version=outer[2].decode(),
        type=inner[1],
        protocol=inner[3],
        client=str(ip_address(inner[4])),
        server=str(ip_address(inner[5])),
        port=inner[6],
        query_time_us=inner[8] * 1_000_000 + inner[9] // 1000,
        response_time_us=inner[12] * 1_000_000 + inner[13] // 1000 if response else None,
        message=message,
        parsed=parsed,
        name="" if parsed is None else str(parsed.question[0].name).rstrip(".").lower(),
    )

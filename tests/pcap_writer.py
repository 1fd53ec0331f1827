"""A small writer of pcap, pcapng and the packets in them, for tests."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

import dns.message

START_TIME = 1_428_451_200
"""2015-04-08T00:00:00Z"""
CLIENT = "192.0.2.17"
SERVER = "198.51.100.53"
CLIENT6 = "2001:db8::17"
SERVER6 = "2001:db8:53::53"
UDP, TCP = 17, 6
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ETHERNET = 1
RAW = 101


def query(name: str, qtype: str = "A", ident: int = 1) -> bytes:
    asked = dns.message.make_query(name, qtype)
    asked.id = ident
    return asked.to_wire()


def response(asked: bytes, rcode: int = 0) -> bytes:
    answer = bytearray(asked)
    answer[2] |= 0x80
    answer[3] = answer[3] & 0xF0 | rcode
    return bytes(answer)


def udp(payload: bytes, source: int = 40000, target: int = 53) -> bytes:
    return struct.pack("!4H", source, target, 8 + len(payload), 0) + payload


def tcp(
    payload: bytes,
    source: int = 40000,
    target: int = 53,
    *,
    seq: int = 0,
    ack: int = 0,
    flags: int = ACK,
    options: bytes = b"",
) -> bytes:
    offset = (20 + len(options)) // 4 << 4
    header = struct.pack(
        "!2H2I2B3H", source, target, seq % (1 << 32), ack % (1 << 32), offset, flags, 512, 0, 0
    )
    return header + options + payload


def ipv4(
    payload: bytes,
    source: str = CLIENT,
    target: str = SERVER,
    *,
    protocol: int = UDP,
    ident: int = 0,
    fragment: int = 0,
    more: bool = False,
    options: bytes = b"",
    total: int | None = None,
) -> bytes:
    """Return an IPv4 packet; ``fragment`` is its offset in bytes."""
    size = 20 + len(options)
    header = struct.pack(
        "!2B3H2BH",
        0x40 | size // 4,
        0,
        size + len(payload) if total is None else total,
        ident,
        fragment // 8 | (0x2000 if more else 0),
        64,
        protocol,
        0,
    )
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(target).packed
    return header + addresses + options + payload


def ipv6(
    payload: bytes,
    source: str = CLIENT6,
    target: str = SERVER6,
    *,
    protocol: int = UDP,
    size: int | None = None,
) -> bytes:
    header = struct.pack("!IHBB", 6 << 28, len(payload) if size is None else size, protocol, 64)
    addresses = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(target).packed
    return header + addresses + payload


def ethernet(packet: bytes, *tags: int, kind: int | None = None) -> bytes:
    """Return a frame; ``tags`` are the EtherTypes of VLAN tags, outermost first."""
    if kind is None:
        kind = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    kinds = [*tags, kind]
    frame = bytes.fromhex("020000000001020000000002") + struct.pack("!H", kinds[0])
    for following in kinds[1:]:
        frame += struct.pack("!2H", 11, following)
    return frame + packet


@dataclass(frozen=True)
class Packet:
    """One captured packet; ``kept``: how many bytes of it the capture holds."""

    data: bytes
    time: float = START_TIME
    kept: int | None = None

    @property
    def captured(self) -> bytes:
        return self.data[: self.kept]

    def stamp(self, unit: int) -> int:
        return round(self.time * 1_000_000) * unit // 1_000_000


def file_header(
    link: int = ETHERNET, *, order: str = "<", magic: int = 0xA1B2C3D4, snaplen: int = 262144
) -> bytes:
    return struct.pack(f"{order}I2HiI2I", magic, 2, 4, 0, 0, snaplen, link)


def record(packet: Packet, *, order: str = "<", unit: int = 1_000_000, extra: bytes = b"") -> bytes:
    seconds, part = divmod(packet.stamp(unit), unit)
    kept = packet.captured
    return struct.pack(f"{order}4I", seconds, part, len(kept), len(packet.data)) + extra + kept


def pcap(
    *packets: Packet | bytes,
    link: int = ETHERNET,
    order: str = "<",
    nanoseconds: bool = False,
    modified: bool = False,
) -> bytes:
    """Return a pcap file."""
    magic = 0xA1B2CD34 if modified else 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    unit = 1_000_000_000 if nanoseconds else 1_000_000
    out = file_header(link, order=order, magic=magic)
    for packet in packets:
        one = packet if isinstance(packet, Packet) else Packet(packet)
        out += record(one, order=order, unit=unit, extra=bytes(8) if modified else b"")
    return out


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}2H", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    total = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + total + body + total


def section(order: str = "<", options: bytes = b"") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}I2Hq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def interface(
    link: int = ETHERNET,
    *,
    order: str = "<",
    resolution: int | None = None,
    offset: int | None = None,
    snaplen: int = 0,
) -> bytes:
    options = b""
    if resolution is not None:
        options += option(9, bytes([resolution]), order)
    if offset is not None:
        options += option(14, struct.pack(f"{order}q", offset), order)
    if options:
        options += option(0, b"", order)
    return block(1, struct.pack(f"{order}2HI", link, 0, snaplen) + options, order)


def enhanced(
    packet: Packet, number: int = 0, *, order: str = "<", stamp: int | None = None
) -> bytes:
    kept = packet.captured
    ticks = packet.stamp(1_000_000) if stamp is None else stamp
    head = struct.pack(
        f"{order}5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(kept), len(packet.data)
    )
    return block(6, head + kept + bytes(-len(kept) % 4) + option(2, b"\0\0\0\1", order), order)


def old_packet(packet: Packet, number: int = 0, *, order: str = "<") -> bytes:
    kept = packet.captured
    ticks = packet.stamp(1_000_000)
    head = struct.pack(
        f"{order}2H4I", number, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(kept), len(packet.data)
    )
    return block(2, head + kept, order)


def simple(packet: Packet, *, order: str = "<") -> bytes:
    return block(3, struct.pack(f"{order}I", len(packet.data)) + packet.captured, order)


def pcapng(*packets: Packet | bytes, link: int = ETHERNET, order: str = "<") -> bytes:
    """Return a pcapng file of one section with one interface."""
    out = section(order) + interface(link, order=order)
    for packet in packets:
        out += enhanced(packet if isinstance(packet, Packet) else Packet(packet), order=order)
    return out


def prefixed(message: bytes) -> bytes:
    """Return a message as TCP carries it."""
    return len(message).to_bytes(2, "big") + message


def fragments(payload: bytes, step: int, ident: int = 7, **facts: str) -> list[bytes]:
    """Return the IPv4 fragments of a UDP datagram, ``step`` bytes of payload each."""
    return [
        ipv4(
            payload[at : at + step],
            ident=ident,
            fragment=at,
            more=at + step < len(payload),
            **facts,  # type: ignore[arg-type]
        )
        for at in range(0, len(payload), step)
    ]

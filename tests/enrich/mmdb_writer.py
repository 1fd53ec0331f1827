"""A small writer of MMDB files for tests, after MaxMind's DB file format specification 2.0."""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MARKER = b"\xab\xcd\xefMaxMind.com"


def encode(value: Any) -> bytes:
    """Encode a map, array, string, number or flag."""
    if isinstance(value, bool):
        return _control(14, int(value))
    if isinstance(value, str):
        data = value.encode()
        return _control(2, len(data)) + data
    if isinstance(value, int):
        return _number(6 if value < 1 << 32 else 9, value)
    if isinstance(value, dict):
        parts = [encode(key) + encode(part) for key, part in value.items()]
        return _control(7, len(value)) + b"".join(parts)
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(encode, value))
    raise TypeError(value)


def _number(kind: int, value: int) -> bytes:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _control(kind, len(data)) + data


def _control(kind: int, size: int) -> bytes:
    if size < 29:
        length, more = size, b""
    elif size < 285:
        length, more = 29, bytes([size - 29])
    else:
        length, more = 30, struct.pack(">H", size - 285)
    if kind < 8:
        return bytes([kind << 5 | length]) + more
    return bytes([length, kind - 7]) + more


def write(
    records: Mapping[str, Any],
    *,
    ip_version: int = 6,
    record_size: int = 24,
    build_epoch: int = 1_428_451_200,
    aliases: bool = True,
    **metadata: Any,
) -> bytes:
    """Return a database that maps disjoint networks, as text, to records.

    In an IPv6 database IPv4 lies at ``::/96``; with ``aliases`` the nodes of ``::ffff:0:0/96`` and
    of 6to4 lead there too.
    """
    nodes: list[list[Any]] = [[None, None]]
    for text, record in records.items():
        network = ipaddress.ip_network(text)
        bits = format(int(network.network_address), f"0{network.max_prefixlen}b")
        path = bits[: network.prefixlen]
        if ip_version == 6 and network.version == 4:
            path = "0" * 96 + path
        _insert(nodes, path, ("data", encode(record)))
    if ip_version == 6 and aliases:
        start = _descend(nodes, "0" * 96)
        if isinstance(start, int):
            for prefix in ("::ffff:0:0/96", "2002::/16"):
                network = ipaddress.ip_network(prefix)
                bits = format(int(network.network_address), "0128b")
                _insert(nodes, bits[: network.prefixlen], start)
    data = b""
    places: dict[bytes, int] = {}
    tree = b""
    for node in nodes:
        ends = []
        for child in node:
            if child is None:
                ends.append(len(nodes))
            elif isinstance(child, int):
                ends.append(child)
            else:
                if child[1] not in places:
                    places[child[1]] = len(data)
                    data += child[1]
                ends.append(len(nodes) + 16 + places[child[1]])
        tree += _pack(ends[0], ends[1], record_size)
    about = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": build_epoch,
        "database_type": "Test",
        "description": {"en": "made by a test"},
        "ip_version": ip_version,
        "languages": ["en"],
        "node_count": len(nodes),
        "record_size": record_size,
    }
    return tree + bytes(16) + data + MARKER + encode_metadata(about | metadata)


def encode_metadata(about: Mapping[str, Any]) -> bytes:
    """Encode the metadata, whose numbers have fixed kinds."""
    parts = [_control(7, len(about))]
    for key, value in about.items():
        kind = {"node_count": 6, "build_epoch": 9}.get(key, 5)
        parts += [encode(key), _number(kind, value) if isinstance(value, int) else encode(value)]
    return b"".join(parts)


def _insert(nodes: list[list[Any]], path: str, end: Any) -> None:
    at = 0
    for bit in path[:-1]:
        side = int(bit)
        if nodes[at][side] is None:
            nodes.append([None, None])
            nodes[at][side] = len(nodes) - 1
        at = nodes[at][side]
    nodes[at][int(path[-1])] = end


def _descend(nodes: list[list[Any]], path: str) -> Any:
    at: Any = 0
    for bit in path:
        if not isinstance(at, int):
            return None
        at = nodes[at][int(bit)]
    return at


def _pack(left: int, right: int, record_size: int) -> bytes:
    if record_size == 24:
        return left.to_bytes(3, "big") + right.to_bytes(3, "big")
    if record_size == 28:
        middle = (left >> 24) << 4 | right >> 24
        low = (left & 0xFFFFFF).to_bytes(3, "big"), (right & 0xFFFFFF).to_bytes(3, "big")
        return low[0] + bytes([middle]) + low[1]
    return struct.pack(">II", left, right)

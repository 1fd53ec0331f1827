"""A small writer of CBOR and C-DNS, for tests and benchmarks."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any

import dns.name
import dns.rdata
import dns.rdatatype

START_TIME = 1_428_451_200
"""2015-04-08T00:00:00Z"""
QUERY, RESPONSE = 1, 2
STUB, CLIENT, RESOLVER, AUTHORITY, FORWARDER, TOOL = range(6)


@dataclass(frozen=True)
class Open:
    """A list or dict that is written with a break at its end instead of a length."""

    value: list[Any] | dict[Any, Any]


def head(major: int, value: int) -> bytes:
    for kind, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 24:
            return bytes([major << 5 | value])
        if value < 1 << 8 * size:
            return bytes([major << 5 | kind]) + value.to_bytes(size, "big")
    raise ValueError(value)


def cbor(value: Any) -> bytes:
    """Return a value as CBOR; bytes stand for a byte string, ``Raw`` for themselves."""
    if isinstance(value, Raw):
        return value.data
    if isinstance(value, Open):
        kind = b"\xbf" if isinstance(value.value, dict) else b"\x9f"
        return kind + _body(value.value) + b"\xff"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    return head(5 if isinstance(value, dict) else 4, len(value)) + _body(value)


def _body(value: list[Any] | dict[Any, Any]) -> bytes:
    if isinstance(value, dict):
        return b"".join(cbor(k) + cbor(v) for k, v in value.items())
    return b"".join(map(cbor, value))


@dataclass(frozen=True)
class Raw:
    """Bytes that are written as they are."""

    data: bytes


def parameters(
    *,
    ticks: int = 1_000_000,
    hints: int = (1 << 18) - 1,
    flags: int | None = None,
    prefixes: tuple[int, int] | None = None,
    host: str | None = "ns1",
    **storage: Any,
) -> dict[int, Any]:
    stored: dict[int, Any] = {
        0: ticks, 1: 10_000, 2: {0: hints, 1: (1 << 17) - 1, 2: 3, 3: 3}, 3: [0], 4: [1, 28],
    }  # fmt: skip
    if flags is not None:
        stored[5] = flags
    if prefixes is not None:
        stored[6], stored[7] = prefixes
    stored |= {int(key.removeprefix("key")): value for key, value in storage.items()}
    collected = {} if host is None else {8: "writer", 9: host}
    return {0: stored, 1: collected}


def file(
    *blocks: Any,
    sets: list[dict[int, Any]] | None = None,
    version: tuple[int, int] = (1, 0),
    indefinite: bool = False,
) -> bytes:
    preamble = {0: version[0], 1: version[1], 3: [parameters()] if sets is None else sets}
    whole: Any = Open(list(blocks)) if indefinite else list(blocks)
    return cbor(["C-DNS", preamble, whole])


def wire(name: str) -> bytes:
    return bytes(dns.name.from_text(name).to_wire() or b"")


@dataclass
class Block:
    """A block whose tables grow as items are added."""

    time: int = START_TIME
    ticks: int = 0
    which: int | None = None
    addresses: list[bytes] = field(default_factory=list)
    class_types: list[dict[int, int]] = field(default_factory=list)
    names: list[bytes] = field(default_factory=list)
    signatures: list[dict[int, int]] = field(default_factory=list)
    lists: list[list[int]] = field(default_factory=list)
    records: list[dict[int, int]] = field(default_factory=list)
    data: list[dict[int, Any]] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    malformed: list[Any] = field(default_factory=list)
    statistics: dict[int, int] | None = None
    events: list[Any] = field(default_factory=list)

    def index(self, table: list[Any], value: Any) -> int:
        if value not in table:
            table.append(value)
        return table.index(value)

    def record(self, owner: str, kind: str, text: str, *, klass: int = 1) -> int:
        data = dns.rdata.from_text("IN", kind, text).to_wire()
        assert data is not None
        return self.index(
            self.records,
            {
                0: self.index(self.names, wire(owner)),
                1: self.index(self.class_types, {0: int(dns.rdatatype.from_text(kind)), 1: klass}),
                2: 60,
                3: self.index(self.names, data),
            },
        )

    def section(self, *records: int) -> int:
        return self.index(self.lists, list(records))

    def add(
        self,
        name: str | bytes | None,
        qtype: int = 1,
        *,
        halves: int | None = QUERY | RESPONSE,
        kind: int | None = None,
        rcode: int | None = 0,
        client: str | bytes | None = "198.51.100.7",
        offset: int | None = 0,
        delay: int | None = 1000,
        port: int | None = 40000,
        ident: int | None = 7,
        transport: int | None = 0,
        opcode: int | None = 0,
        option: bytes | None = None,
        sections: dict[int, int] | None = None,
        **extra: Any,
    ) -> None:
        """Add an item; ``extra`` are keys of the item, as ``key5=64``."""
        address = client if not isinstance(client, str) else ipaddress.ip_address(client).packed
        if isinstance(name, str):
            name = wire(name)
        signature = {
            0: self.index(self.addresses, ipaddress.ip_address("192.0.2.53").packed),
            1: 53,
            2: transport,
            3: kind,
            4: halves,
            5: opcode,
            8: self.index(self.class_types, {0: qtype, 1: 1}),
            15: None if option is None else self.index(self.names, option),
            16: rcode,
        }
        item: dict[int, Any] = {
            0: offset,
            1: None if address is None else self.index(self.addresses, address),
            2: port,
            3: ident,
            4: self.index(self.signatures, _given(signature)),
            6: delay,
            7: None if name is None else self.index(self.names, name),
            12: sections,
        }
        item |= {int(key.removeprefix("key")): value for key, value in extra.items()}
        self.items.append(_given(item))

    def add_malformed(self, payload: bytes, offset: int = 0) -> None:
        self.data.append({0: 0, 1: 53, 2: 0, 3: payload})
        self.malformed.append({0: offset, 1: 0, 2: 40000, 3: len(self.data) - 1})

    def value(self) -> dict[int, Any]:
        tables = {
            0: self.addresses,
            1: self.class_types,
            2: self.names,
            3: self.signatures,
            6: self.lists,
            7: self.records,
            8: self.data,
        }
        preamble: dict[int, Any] = {0: [self.time, self.ticks]}
        if self.which is not None:
            preamble[1] = self.which
        block: dict[int, Any] = {0: preamble}
        if self.statistics is not None:
            block[1] = self.statistics
        block[2] = {key: table for key, table in tables.items() if table}
        block |= {3: self.items} if self.items else {}
        block |= {4: self.events} if self.events else {}
        block |= {5: self.malformed} if self.malformed else {}
        return block


def _given(values: dict[int, Any]) -> dict[int, Any]:
    return {key: value for key, value in values.items() if value is not None}


def opened(value: Any) -> Any:
    """Return a value whose arrays and maps, all of them, end with a break."""
    if isinstance(value, dict):
        return Open({key: opened(inner) for key, inner in value.items()})
    if isinstance(value, list):
        return Open([opened(inner) for inner in value])
    return value

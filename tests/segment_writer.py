"""Frames of segments, and events in them, for tests: what a recorder writes, and what is wrong."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from remnant.capture.segment_frames import ALIVE, END, HEAD, ROWS, encode
from remnant.capture.segment_head import SegmentHead
from remnant.names import text_to_wire
from remnant.schema import EVENTS, PROOFS, TRANSPORTS

if TYPE_CHECKING:
    from collections.abc import Sequence

START = 1_428_494_400_000_000  # 2015-04-08T12:00:00Z
HOUR = 3_600_000_000
SINK = "198.51.100.53"


def packed(text: str) -> bytes:
    address = ipaddress.ip_address(text)
    return b"\0" * 10 + b"\xff\xff" + address.packed if address.version == 4 else address.packed


def wire(name: str) -> bytes:
    """A wire name with the case as written; what is not a plain name stays empty."""
    if not name:
        return b""
    folded = bytearray(text_to_wire(name))
    for at, letter in enumerate(f".{name}."[: len(folded) - 1]):
        if letter.isalpha() and chr(folded[at]) == letter.lower():
            folded[at] = ord(letter)
    return bytes(folded)


def row(
    name: str,
    *,
    time: int = START,
    address: str = "192.0.2.17",
    destination: str | None = None,
    proof: str = "dns_udp",
    rcode: int | None = 0,
    ttl: int | None = None,
    **others: Any,
) -> dict[str, Any]:
    dns = proof.startswith("dns")
    if destination is None and not dns:
        destination = SINK
    return {
        "time": time,
        "address": packed(address),
        "destination": None if destination is None else packed(destination),
        "client_port": 40_000,
        "service_port": 53 if dns else 80,
        "transport": TRANSPORTS.index("udp" if proof == "dns_udp" else "tcp"),
        "proof": PROOFS.index(proof),
        "name": wire(name),
        "qtype": 1 if dns else None,
        "rcode": rcode if dns else None,
        "ttl": ttl,
        "limited": False,
        "unlisted": False,
        "ecs": None,
        "detail": None,
    } | others


def events(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=EVENTS.arrow)


def facts(**others: Any) -> SegmentHead:
    given: dict[str, Any] = {
        "segment": "0123456789abcdef",
        "case": "demo",
        "sensor": "sink-1",
        "worker": "udp-0",
        "vantages": ("sinkhole_dns",),
        "watchlist": "0" * 32,
        "ttls": (60,),
        "zones": (),
        "created": START,
        "clock": {},
    }
    return SegmentHead(**(given | others))


def head(**others: Any) -> bytes:
    return frame(HEAD, 0, facts(**others).to_json())


def frame(kind: int, sequence: int, said: dict[str, Any], body: pa.Buffer | None = None) -> bytes:
    return b"".join(bytes(part) for part in encode(kind, sequence, said, body))


def frame_of(
    sequence: int,
    rows: pa.RecordBatch,
    *,
    at: int = START,
    since: int | None = None,
    counts: Sequence[int] = (0, 0, 0, 0),
    **others: Any,
) -> bytes:
    said = {"at": at, "since": since, "counts": list(counts), "rows": len(rows)} | others
    return frame(ROWS, sequence, said, rows.serialize())


def alive(
    sequence: int,
    *,
    at: int = START,
    since: int | None = None,
    counts: Sequence[int] = (0, 0, 0, 0),
    **others: Any,
) -> bytes:
    said = {"at": at, "since": since, "counts": list(counts)} | others
    return frame(ALIVE, sequence, said)


def end(sequence: int, *, at: int = START, since: int | None = None) -> bytes:
    return frame(END, sequence, {"at": at, "since": since, "clock": {}})

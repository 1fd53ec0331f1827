"""What happened at the sinkhole, as listeners report it and as segments keep it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

__all__ = ["Counts", "Event"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event that a listener reports.

    Attributes:
        time: when (UTC microseconds).
        address: 16 bytes, the source; an IPv4 address as ::ffff:a.b.c.d.
        client_port: source port.
        destination: 16 bytes, the sinkhole's own address, before any redirection in the kernel;
            empty if a datagram does not tell.
        service_port: destination port, before any redirection.
        proof: how sure the source is.
        name: wire name (uncompressed, case as received) of the HTTP host, the TLS server name or
            the question; empty if there is none.
        qtype: of a DNS query.
        rcode: of the DNS answer.
        ttl: of the address that was given.
        limited: the answer was held back.
        unlisted: the name is in a seized zone and not on the list.
        ecs: client subnet, 17 bytes as in table ``queries``.
        detail: facts, a bounded mapping that becomes JSON.
    """

    time: int
    address: bytes
    client_port: int
    destination: bytes
    service_port: int
    proof: Literal["dns_udp", "dns_tcp", "tcp", "tls", "http"]
    name: bytes = b""
    qtype: int | None = None
    rcode: int | None = None
    ttl: int | None = None
    limited: bool = False
    unlisted: bool = False
    ecs: bytes | None = None
    detail: Mapping[str, object] | None = None


if TYPE_CHECKING:
    Emit: TypeAlias = Callable[[Event], None]


@dataclass(slots=True)
class Counts:
    """What a listener counted since it last reported.

    Attributes:
        messages: queries and connections that arrived, whatever they asked for.
        malformed: of what arrived, what could not be read.
        skipped: what arrived and is no observation: other zones' names, answers, other operations.
        lost: what the operating system or a full disk dropped, as far as it was counted.
    """

    messages: int = 0
    malformed: int = 0
    skipped: int = 0
    lost: int = 0

"""From an answered DNS query to an event, or to a count."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final, Literal

from remnant.sinkhole.events import Event
from remnant.sinkhole.policy import Answer, Kind

if TYPE_CHECKING:
    from remnant.sinkhole.events import Counts, Emit

__all__ = ["Peer", "mapped", "observe", "source_of"]

_MAPPED: Final = bytes(10) + b"\xff\xff"
_UNREADABLE: Final = frozenset({Kind.SILENT_SHORT, Kind.MALFORMED})


class Peer:
    """The two ends of an exchange.

    Attributes:
        address: 16 bytes, the source; an IPv4 address as ::ffff:a.b.c.d.
        port: its port.
        destination: 16 bytes, the sinkhole's own address; empty if it is not known.
        service_port: the sinkhole's port.
    """

    __slots__ = ("address", "destination", "port", "service_port")

    def __init__(self, address: bytes, port: int, destination: bytes, service_port: int) -> None:
        self.address = address
        self.port = port
        self.destination = destination
        self.service_port = service_port


def mapped(host: str) -> bytes:
    """Return an address as 16 bytes, an IPv4 address as ::ffff:a.b.c.d.

    Args:
        host: as the socket module writes it, maybe with the scope of a link (``fe80::1%eth0``).
    """
    if ":" in host:
        return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return _MAPPED + socket.inet_pton(socket.AF_INET, host)


def source_of(address: bytes) -> bytes:
    """Return what one source is: an IPv4 address, or an IPv6 /64, which one host may fill."""
    return address if address.startswith(_MAPPED) else address[:8]


def observe(
    answer: Answer,
    peer: Peer,
    proof: Literal["dns_udp", "dns_tcp"],
    time: int,
    emit: Emit,
    counts: Counts,
) -> None:
    """Count a message and, if it is an observation, report it.

    Args:
        answer: what the policy made of it.
        peer: who sent it where.
        proof: how sure the source is.
        time: when it arrived (UTC microseconds).
        emit: takes the event.
        counts: of this listener.
    """
    counts.messages += 1
    if answer.kind is not Kind.OBSERVED:
        if answer.kind in _UNREADABLE:
            counts.malformed += 1
        else:
            counts.skipped += 1
        return
    emit(
        Event(
            time,
            peer.address,
            peer.port,
            peer.destination,
            peer.service_port,
            proof,
            answer.name,
            answer.qtype,
            answer.rcode,
            None if answer.ttl < 0 else answer.ttl,
            answer.limited,
            not answer.listed,
            answer.ecs,
        )
    )

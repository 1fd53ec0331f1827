"""From an answered DNS query to an event, or to a count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from remnant.sinkhole.events import Event
from remnant.sinkhole.policy import Answer, Kind

if TYPE_CHECKING:
    from remnant.sinkhole.events import Counts, Emit

__all__ = ["Peer", "observe"]

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

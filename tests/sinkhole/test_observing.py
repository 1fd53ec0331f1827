"""What is made of an answered query."""

from __future__ import annotations

import pytest

from remnant.sinkhole.addresses import mapped, unit_of
from remnant.sinkhole.events import Counts, Event
from remnant.sinkhole.observing import Peer, observe
from remnant.sinkhole.policy import Answer, Kind

PEER = Peer(mapped("192.0.2.1"), 1234, mapped("2001:db8::1"), 53)


def answer(kind: Kind, *, ttl: int = -1, listed: bool = False) -> Answer:
    return Answer(b"", kind, 0, 28, 3, ttl, b"\1a\0", None, False, False, listed)


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        (Kind.SILENT_SHORT, Counts(1, 1, 0)),
        (Kind.MALFORMED, Counts(1, 1, 0)),
        (Kind.SILENT_RESPONSE, Counts(1, 0, 1)),
        (Kind.NOT_A_QUERY, Counts(1, 0, 1)),
        (Kind.FOREIGN, Counts(1, 0, 1)),
        (Kind.OBSERVED, Counts(1, 0, 0)),
    ],
)
def test_every_message_is_counted_once(kind: Kind, counts: Counts) -> None:
    seen: list[Event] = []
    got = Counts()
    observe(answer(kind), PEER, "dns_udp", 5, seen.append, got)

    assert got == counts
    assert len(seen) == (kind is Kind.OBSERVED)


def test_what_is_not_there_is_none() -> None:
    seen: list[Event] = []
    observe(answer(Kind.OBSERVED), PEER, "dns_tcp", 5, seen.append, Counts())
    observe(answer(Kind.OBSERVED, ttl=0, listed=True), PEER, "dns_tcp", 6, seen.append, Counts())

    assert [(event.ttl, event.unlisted, event.qtype, event.rcode) for event in seen] == [
        (None, True, 28, 3),
        (0, False, 28, 3),
    ]


def test_addresses_and_sources() -> None:
    assert mapped("192.0.2.1") == bytes(10) + b"\xff\xff\xc0\0\2\1"
    assert mapped("fe80::1%eth0") == b"\xfe\x80" + bytes(13) + b"\1"
    assert unit_of(mapped("192.0.2.1")) == bytes([192, 0, 2, 1])
    assert unit_of(mapped("2001:db8::1")) == unit_of(mapped("2001:db8::2"))

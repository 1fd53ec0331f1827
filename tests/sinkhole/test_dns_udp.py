"""The UDP server for platforms without the fast path."""

from __future__ import annotations

import asyncio
import socket

import dns.flags
import dns.message
import pytest

from remnant.sinkhole.dns_udp import DnsUdp
from remnant.sinkhole.events import Counts, Event
from remnant.sinkhole.policy import Policy
from sinkhole.conformance.peers import LOOPBACK, PATIENCE
from sinkhole.made_zones import SECRET, three_zones

POLICY = Policy(three_zones(), secret=SECRET)
QUERY = dns.message.make_query("c2.evil.example", "A", id=1).to_wire()
MAPPED_LOOPBACK = bytes(10) + b"\xff\xff\x7f\0\0\1"


def talk(
    server: DnsUdp, queries: list[bytes], *, host: str = LOOPBACK, own: str = LOOPBACK
) -> tuple[list[bytes], int, int]:
    """Send queries; return the answers, the server's port and the client's."""

    async def exchange() -> tuple[list[bytes], int, int]:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_DGRAM)
        try:
            listener.bind((own, 0))
        except OSError:
            pytest.skip("no IPv6 here")
        port = listener.getsockname()[1]
        await server.listen(listener)
        got = []
        with socket.socket(family, socket.SOCK_DGRAM) as asker:
            asker.setblocking(False)
            asker.connect((host, port))
            for query in queries:
                await loop.sock_sendall(asker, query)
                # Silence shows itself soon, or takes as long as an answer may take.
                wait = 0.5 if len(query) < 12 else PATIENCE
                try:
                    got.append(await asyncio.wait_for(loop.sock_recv(asker, 4096), wait))
                except TimeoutError:
                    got.append(b"")
            client = asker.getsockname()[1]
        server.stop()
        await asyncio.sleep(0)
        return got, port, client

    return asyncio.run(exchange())


def test_an_observation_is_reported_and_the_rest_is_counted() -> None:
    seen: list[Event] = []
    counts = Counts()
    other = dns.message.make_query("other.test", "A").to_wire()
    got, port, client = talk(DnsUdp(POLICY, seen.append, counts), [QUERY, other, b"short"])

    assert [len(answer) > 0 for answer in got] == [True, True, False]
    (event,) = seen
    assert event.address == event.destination == MAPPED_LOOPBACK
    assert (event.client_port, event.service_port) == (client, port)
    assert (event.proof, event.rcode, event.ttl) == ("dns_udp", 0, 60)
    assert (counts.messages, counts.malformed, counts.skipped, counts.lost) == (3, 1, 1, 0)


def test_who_asks_too_much_is_told_to_use_tcp_and_is_reported_all_the_same() -> None:
    seen: list[Event] = []
    asked: list[tuple[bytes, int]] = []

    def is_limited(address: bytes, now: int) -> bool:
        asked.append((address, now))
        return True

    (got,), _, _ = talk(DnsUdp(POLICY, seen.append, Counts(), is_limited), [QUERY])

    assert dns.message.from_wire(got).flags & dns.flags.TC
    assert [event.limited for event in seen] == [True]
    # To the microsecond: in whole seconds, each turn of the clock would give a second of answers.
    assert asked[0] == (MAPPED_LOOPBACK, seen[0].time)


def test_a_socket_for_every_address_does_not_tell_which_was_asked() -> None:
    seen: list[Event] = []
    talk(DnsUdp(POLICY, seen.append, Counts()), [QUERY], own="0.0.0.0")

    assert seen[0].destination == b""


def test_ipv6() -> None:
    seen: list[Event] = []
    talk(DnsUdp(POLICY, seen.append, Counts()), [QUERY], host="::1", own="::1")

    assert seen[0].address == seen[0].destination == bytes(15) + b"\1"

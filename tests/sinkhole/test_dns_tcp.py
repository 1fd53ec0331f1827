"""The TCP server: what it reports, and what nobody may take."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from typing import TYPE_CHECKING

import dns.message
import pytest

from remnant.sinkhole.dns_tcp import DnsTcp, TcpLimits
from remnant.sinkhole.events import Counts, Event
from remnant.sinkhole.policy import Policy
from sinkhole.conformance.peers import (
    LOOPBACK,
    PATIENCE,
    framed,
    read_exactly,
    read_framed,
    running,
)
from sinkhole.made_zones import SECRET, answering, three_zones, zone
from sinkhole.serving import Ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLICY = Policy(three_zones(), secret=SECRET)
QUERY = dns.message.make_query("C2.evil.example", "A", id=1).to_wire()
OTHER = dns.message.make_query("other.test", "A", id=2).to_wire()


@contextlib.contextmanager
def serving(
    limits: TcpLimits | None = None,
    policy: Policy = POLICY,
    servers: list[DnsTcp] | None = None,
    loop: Ahead | None = None,
) -> Iterator[tuple[int, Counts, list[Event]]]:
    seen: list[Event] = []
    make = None if loop is None else lambda: loop
    with running(policy, seen.append, limits, servers=servers, loop=make) as (port, counts):
        yield port, counts, seen


def connect(port: int, host: str = LOOPBACK) -> socket.socket:
    return socket.create_connection((host, port), PATIENCE)


def until(what: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_closed(asker: socket.socket) -> bool:
    try:
        return asker.recv(1) == b""
    except ConnectionError:
        return True


def counted(counts: Counts) -> tuple[int, int, int, int]:
    return counts.messages, counts.malformed, counts.skipped, counts.lost


def test_an_observation_is_reported_and_the_rest_is_counted() -> None:
    with serving() as (port, counts, seen), connect(port) as asker:
        asker.sendall(framed(QUERY, OTHER, QUERY[:-1]))
        for _ in range(3):
            read_framed(asker)
        own = asker.getsockname()[1]

    (event,) = seen
    assert event.address == event.destination == bytes(10) + b"\xff\xff\x7f\0\0\1"
    assert (event.client_port, event.service_port) == (own, port)
    assert (event.proof, event.qtype, event.rcode, event.ttl) == ("dns_tcp", 1, 0, 60)
    assert event.name == b"\x02C2\x04evil\x07example\0"
    assert not event.unlisted
    assert not event.limited
    assert abs(event.time / 1e6 - time.time()) < 60
    assert counted(counts) == (3, 1, 1, 0)


def test_thousands_of_queries_in_one_go_are_answered_in_order() -> None:
    count = 5000
    queries = [i.to_bytes(2, "big") + QUERY[2:] for i in range(count)]
    limits = TcpLimits(queries=count)
    with serving(limits) as (port, counts, _), connect(port) as asker:
        sender = framed(*queries)
        got: list[int] = []
        sent = 0
        while len(got) < count:
            if sent < len(sender):
                sent += asker.send(sender[sent : sent + 50_000])
            got.append(int.from_bytes(read_framed(asker)[:2], "big"))

        assert got == list(range(count))
    assert counts.messages == count


def test_who_does_not_read_is_read_no_more_and_then_closed() -> None:
    limits = TcpLimits(idle=1, queries=10**9)
    with serving(limits) as (port, counts, _), connect(port) as asker:
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asker.settimeout(0.5)
        block = framed(QUERY) * 1000
        sent = 0
        with contextlib.suppress(OSError):
            for _ in range(2000):
                sent += asker.send(block)
        assert sent < 2000 * len(block), "the server read on although nobody took its answers"
        assert until(lambda: counts.lost > 0)
        assert counts.messages < 10**6


def test_a_quiet_connection_is_closed() -> None:
    started = time.monotonic()
    with serving(TcpLimits(idle=0.3)) as (port, counts, _), connect(port) as asker:
        assert is_closed(asker)
        assert time.monotonic() - started > 0.29
        assert until(lambda: counted(counts) == (1, 0, 1, 0))


def test_dripping_bytes_do_not_keep_a_connection() -> None:
    with serving(TcpLimits(idle=0.4)) as (port, counts, _), connect(port) as asker:
        with contextlib.suppress(OSError):
            for byte in framed(bytes(2000)):
                asker.sendall(bytes((byte,)))
                time.sleep(0.02)
                if counts.malformed:
                    break

        assert until(lambda: counted(counts) == (1, 1, 0, 0))


def test_a_connection_that_asks_stays() -> None:
    idle, loop = PATIENCE, Ahead()
    limits = TcpLimits(idle=idle)
    with serving(limits, loop=loop) as (port, counts, seen), connect(port) as asker:
        for _ in range(9):
            asker.sendall(framed(QUERY))
            read_framed(asker)
            loop.later(idle / 3)
        assert len(seen) == 9
        assert counts.lost == 0

        loop.later(idle)
        assert is_closed(asker)


def test_one_source_has_so_many_connections() -> None:
    servers: list[DnsTcp] = []
    with serving(TcpLimits(per_source=3), servers=servers) as (port, counts, _):
        kept = [connect(port) for _ in range(3)]
        for asker in kept:
            asker.sendall(framed(QUERY))
            read_framed(asker)
        with connect(port) as refused:
            assert is_closed(refused)
        assert counts.lost == 1
        kept.pop().close()
        assert until(lambda: len(servers[0]) == 2)
        with connect(port) as again:
            again.sendall(framed(QUERY))
            read_framed(again)
        for asker in kept:
            asker.close()


def test_with_too_many_connections_the_quietest_gives_way() -> None:
    limits = TcpLimits(connections=2)
    with serving(limits) as (port, counts, _), connect(port) as first, connect(port) as second:
        for asker in (first, second, first):
            asker.sendall(framed(QUERY))
            read_framed(asker)
        with connect(port) as third:
            third.sendall(framed(QUERY))
            read_framed(third)
            assert is_closed(second)
            first.sendall(framed(QUERY))
            read_framed(first)
        assert counts.lost == 0, "the one that gave way had asked and was answered"
    with (
        serving(limits) as (port, counts, _),
        connect(port) as silent,
        connect(port),
        connect(port),
    ):
        assert is_closed(silent)
        assert until(lambda: counts.lost == 1)


def test_a_connection_asks_so_often() -> None:
    with serving(TcpLimits(queries=3)) as (port, counts, _), connect(port) as asker:
        asker.sendall(framed(*[QUERY] * 5))
        for _ in range(3):
            read_framed(asker)

        assert is_closed(asker)
        assert until(lambda: counted(counts) == (3, 0, 0, 2))


def test_long_queries_have_little_room_together() -> None:
    limits = TcpLimits(idle=PATIENCE, long_queries=100_000)
    servers: list[DnsTcp] = []
    with (
        serving(limits, servers=servers) as (port, counts, _),
        connect(port) as first,
        connect(port) as second,
    ):
        first.sendall(b"\xff\xff" + bytes(5000))
        assert until(lambda: servers[0]._long > 0)
        second.sendall(b"\xff\xff" + bytes(5000))
        assert is_closed(second)
        assert counts.lost == 1
        first.close()
        assert until(lambda: servers[0]._long == 0)
        with connect(port) as third:
            third.sendall(b"\xff\xff" + bytes(65_535))
            assert read_framed(third)[3] & 15 == 1
            third.sendall(framed(QUERY))
            assert read_framed(third)[:2] == QUERY[:2]


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01", b"\0\1x"])
def test_other_protocols_are_unreadable_and_get_nothing(start: bytes) -> None:
    with serving(TcpLimits(idle=1.0)) as (port, counts, seen), connect(port) as asker:
        asker.sendall(start)

        assert is_closed(asker)
        assert until(lambda: counted(counts) == (1, 1, 0, 0))
        assert seen == []


def test_bytes_after_the_frames_broke_are_not_read() -> None:
    with serving() as (port, counts, _), connect(port) as asker:
        asker.sendall(framed(QUERY) + b"\0\0" * 500)
        read_framed(asker)

        assert is_closed(asker)
        assert until(lambda: counted(counts) == (2, 1, 0, 0))


def test_hostile_bytes_close_their_own_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    draw = random.Random(7)
    limits = TcpLimits(idle=PATIENCE, long_queries=200_000)
    with serving(limits) as (port, counts, _), connect(port) as good:
        for _ in range(60):
            with connect(port) as bad, contextlib.suppress(OSError):
                for _ in range(draw.randrange(1, 6)):
                    data = bytearray(framed(QUERY) * draw.randrange(1, 30))
                    for _ in range(draw.randrange(6)):
                        data[draw.randrange(len(data))] = draw.randrange(256)
                    bad.sendall(data[: draw.randrange(1, len(data) + 1)])
                if draw.random() < 0.3:
                    bad.shutdown(socket.SHUT_WR)
            good.sendall(framed(QUERY))
            assert read_framed(good)[:2] == QUERY[:2]
        assert counts.malformed > 10

    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_both_times_to_live_are_given() -> None:
    policy = Policy(
        [zone("evil.example", "c2.evil.example", "", answering(ttls=(30, 600)))], secret=SECRET
    )
    with serving(policy=policy) as (port, _, seen), connect(port) as asker:
        asker.sendall(framed(*[QUERY] * 64))
        for _ in range(64):
            read_framed(asker)

    assert {event.ttl for event in seen} == {30, 600}


def test_a_large_answer_is_whole() -> None:
    what = answering(ipv6=tuple(f"2001:db8::{i}" for i in range(1, 9)))
    policy = Policy([zone("evil.example", "c2.evil.example", "", what)], secret=SECRET)
    query = dns.message.make_query("c2.evil.example", "AAAA").to_wire()
    with serving(policy=policy) as (port, _, _seen), connect(port) as asker:
        asker.sendall(framed(query))

        assert len(dns.message.from_wire(read_framed(asker)).answer[0]) == 8


def test_ipv6_and_several_sockets() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    seen: list[Event] = []

    async def talk() -> None:
        server = DnsTcp(POLICY, seen.append, Counts())
        ports = []
        for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, LOOPBACK)):
            listener = socket.socket(family, socket.SOCK_STREAM)
            try:
                listener.bind((host, 0))
            except OSError:
                pytest.skip("no IPv6 here")
            ports.append((host, listener.getsockname()[1]))
            await server.listen(listener)
        for host, port in ports:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(framed(QUERY))
            size = int.from_bytes(await reader.readexactly(2), "big")
            await reader.readexactly(size)
            assert len(server) == 1
            writer.close()
            await writer.wait_closed()
            while len(server):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
        await server.stop()

    asyncio.run(talk())
    assert [event.address for event in seen] == [
        bytes(15) + b"\1",
        bytes(10) + b"\xff\xff\x7f\0\0\1",
    ]


def test_stopping_closes_everything() -> None:
    with contextlib.ExitStack() as stack:
        with serving() as (port, _, _seen):
            asker = stack.enter_context(connect(port))
            asker.sendall(framed(QUERY))
            read_framed(asker)
        with pytest.raises((ConnectionError, OSError)):
            read_exactly(asker, 1)
        with pytest.raises(OSError, match="refused"):
            connect(port)

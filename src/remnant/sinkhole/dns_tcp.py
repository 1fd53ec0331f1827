"""DNS over TCP: whoever asks here has shown that the address is genuine.

One object for each connection and no task. Queries may follow each other without waiting and are
answered in turn, but nobody may hold memory or time: what a connection has not read or not sent is
bounded, and whoever neither asks nor reads is closed. Where there are too many connections, the one
that was quiet the longest gives way to the new one.

References:
    RFC 7766 (DNS over TCP: sections 6.2.1 pipelining, 6.2.3 idle connections, 8 the length), RFC
    9210 (its operation).
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from remnant.sinkhole.addresses import mapped, unit_of
from remnant.sinkhole.observing import Peer, observe
from remnant.sinkhole.query import HEADER_BYTES

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from remnant.sinkhole.events import Counts, Emit
    from remnant.sinkhole.policy import Policy

__all__ = ["DnsTcp", "TcpLimits"]

_LENGTH_BYTES: Final = 2
_SHORTEST: Final = _LENGTH_BYTES + HEADER_BYTES
"""Bytes of the shortest query with its length."""
_ROOM: Final = 4096
"""Bytes of a connection's queries that are held; only a longer query gets more room."""
_TURN: Final = 64
"""Queries that one connection is answered before the others have their turn."""
_LOOK_S: Final = 0.02
_SWEEPS: Final = 10
"""How often connections are looked at in the time in which a quiet one is closed."""


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """What connections may take.

    Attributes:
        connections: open at a time, in all.
        per_source: of them, from one IPv4 address or one IPv6 /64.
        queries: that one connection is answered before it is closed.
        idle: seconds without a whole query, or with answers that nobody reads, after which a
            connection is closed. Parts of a query do not count.
        long_queries: bytes for queries of over 4 kB, of all connections together.
        unsent: bytes of answers that wait in one connection before it is answered no more.
    """

    connections: int = 1024
    per_source: int = 32
    queries: int = 1000
    idle: float = 10.0
    long_queries: int = 4 * 1024 * 1024
    unsent: int = 16 * 1024


_STRANGERS: Final = (
    b"\x16\x03", b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"DELE", b"PATC", b"TRAC",
)  # fmt: skip
"""How TLS and HTTP begin. As the length of a DNS message these are more than 5 kB: no query."""
_TOLD_BY: Final = 4


class DnsTcp:
    """A DNS server for TCP.

    Args:
        policy: says what is answered; may be replaced while the server runs.
        emit: takes each observation.
        counts: counts every message, and every connection without one. What was not answered
            because of the limits counts as lost.
        limits: of the connections.
        stranger: takes a connection whose first bytes are no DNS but HTTP or TLS, with these bytes;
            ``None``: it is treated as any other.
    """

    def __init__(
        self,
        policy: Policy,
        emit: Emit,
        counts: Counts,
        limits: TcpLimits | None = None,
        *,
        stranger: Callable[[socket.socket, bytes], None] | None = None,
    ) -> None:
        self.stranger = stranger
        self.policy = policy
        self.emit = emit
        self.counts = counts
        self.limits = limits or TcpLimits()
        self._long = 0
        # The connection that was quiet the longest comes first.
        self._connections: dict[_Connection, None] = {}
        self._sources: dict[bytes, int] = {}
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._connections)

    async def listen(self, listener: socket.socket) -> None:
        """Take connections from a socket that is bound; may be called for several."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), sock=listener, backlog=1024)
        self._servers.append(server)
        if self._sweeper is None:
            self._sweep()

    async def stop(self, grace: float = 0.0) -> None:
        """Close the sockets, and every connection.

        Args:
            grace: seconds that connections may go on meanwhile, for queries that are on their way.
        """
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for server in self._servers:
            server.close()
        for _ in range(round(grace / _LOOK_S)):
            if not self._connections:
                break
            await asyncio.sleep(_LOOK_S)
        for connection in list(self._connections):
            connection.drop()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    def opened(self, connection: _Connection) -> bool:
        """Take a connection up; return whether it may stay."""
        held = self._sources.get(connection.source, 0)
        if held >= self.limits.per_source:
            self.counts.lost += 1
            return False
        if len(self._connections) >= self.limits.connections:
            quiet = next(iter(self._connections))
            self.closed(quiet)
            quiet.give_way()
        self._sources[connection.source] = held + 1
        self._connections[connection] = None
        return True

    def asked(self, connection: _Connection) -> None:
        """Note that a connection is not quiet."""
        if connection in self._connections:
            del self._connections[connection]
            self._connections[connection] = None

    def closed(self, connection: _Connection) -> None:
        """Forget a connection; one that gave way is forgotten already."""
        if connection not in self._connections:
            return
        del self._connections[connection]
        held = self._sources.pop(connection.source) - 1
        if held:
            self._sources[connection.source] = held

    def room(self, size: int) -> bool:
        """Return whether there is room for a query of over 4 kB, and keep it."""
        if self._long + size > self.limits.long_queries:
            self.counts.lost += 1
            return False
        self._long += size
        return True

    def give_back(self, size: int) -> None:
        """Note that the room for a long query is free again."""
        self._long -= size

    def _sweep(self) -> None:
        """Close the connections that were quiet for too long."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self.limits.idle
        for connection in list(self._connections):
            if connection.since > oldest:
                break
            connection.drop()
        self._sweeper = loop.call_later(self.limits.idle / _SWEEPS, self._sweep)


class _Connection(asyncio.BufferedProtocol):
    """One connection: bytes in, whole queries, answers in the same order.

    It reads only while no whole query waits, so that its buffer always has room.

    Attributes:
        source: the IPv4 address or the IPv6 /64 that it counts for.
        since: when it last asked (the loop's clock, seconds).
    """

    def __init__(self, server: DnsTcp) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._peer = Peer(b"", 0, b"", 0)
        self._buffer = bytearray(_ROOM)
        self._filled = 0
        self._asked = 0
        self._full = False  # the client does not read what it asked for
        self._ended = False  # the client will not ask any more
        self._counted = False  # why it is closed is counted already
        self._turn: asyncio.Handle | None = None
        self.source = b""
        self.since = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection up, or drop it if there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        own = transport.get_extra_info("sockname")
        if not peer or not own:  # it is gone already
            self._counted = True
            self.drop()
            return
        self._peer = Peer(mapped(peer[0]), peer[1], mapped(own[0]), own[1])
        self.source = unit_of(self._peer.address)
        if not self._server.opened(self):
            self._counted = True
            self.drop()
            return
        self._transport.set_write_buffer_limits(self._server.limits.unsent)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return where the next bytes go."""
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Answer the queries that are whole now."""
        self._filled += nbytes
        if not self._asked and self._server.stranger is not None:
            head = bytes(self._buffer[: min(self._filled, _TOLD_BY)])
            if any(head.startswith(start) for start in _STRANGERS):
                self._hand_over(self._server.stranger)
                return
        self._go_on()

    def _hand_over(self, stranger: Callable[[socket.socket, bytes], None]) -> None:
        """Let another server have this connection; the transport here goes without a word."""
        transport = self._transport
        assert transport is not None
        try:
            taken = transport.get_extra_info("socket").dup()
        except OSError:  # no descriptor is free
            self.give_way()
            return
        self._counted = True
        data = bytes(self._buffer[: self._filled])
        self._filled = 0
        transport.abort()
        stranger(taken, data)

    def eof_received(self) -> bool:
        """Keep the connection only as long as queries wait for answers."""
        self._ended = True
        return self._turn is not None or self._full

    def pause_writing(self) -> None:
        """Answer no more: the client does not read what it asked for."""
        self._full = True

    def resume_writing(self) -> None:
        """Go on."""
        self._full = False
        if self._turn is None:
            self._turn = self._loop.call_soon(self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how does not matter
        """Count what was not answered, and forget the connection."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._discard()
        self._resize(_ROOM)
        self._server.closed(self)

    def drop(self) -> None:
        """Close the connection at once, whatever waits."""
        if self._transport is not None:
            self._transport.abort()

    def give_way(self) -> None:
        """Close the connection for another one's sake."""
        if not self._asked:
            self._server.counts.lost += 1
            self._counted = True
        self.drop()

    def _go_on(self) -> None:
        """Answer what is whole, up to one turn, and say what comes next: reading, or a turn."""
        self._turn = None
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._full:
            transport.pause_reading()
            return
        answers, readable = self._answers()
        if answers:
            transport.write(answers)
        if not readable:
            # Later answers would not be told apart, or there were enough.
            self._discard()
            transport.close()
        elif self._waiting():
            transport.pause_reading()
            self._turn = self._loop.call_soon(self._go_on)
        elif self._ended:
            transport.close()
        elif self._enough_room():
            transport.resume_reading()
        else:
            self._counted = True
            self.drop()

    def _answers(self) -> tuple[bytes, bool]:
        """Take the whole queries of one turn out of the buffer.

        Returns:
            The answers, each after its length, and whether more queries may follow.
        """
        server = self._server
        stamp = time.time_ns() // 1000
        view = memoryview(self._buffer)[: self._filled]
        answers = bytearray()
        position = 0
        readable = True
        for _ in range(_TURN):
            begin = position + _LENGTH_BYTES
            if begin > len(view) or len(answers) >= server.limits.unsent:
                break
            size = view[position] << 8 | view[position + 1]
            if self._asked >= server.limits.queries:
                readable = False
                break
            if size < HEADER_BYTES:
                server.counts.messages += 1
                server.counts.malformed += 1
                self._counted = True
                readable = False
                position = len(view)
                break
            if begin + size > len(view):
                break
            position = begin + size
            self._asked += 1
            answers += self._answer(bytes(view[begin:position]), stamp)
        self._filled -= position
        self._buffer[: self._filled] = view[position:]
        if position:
            self.since = self._loop.time()
            server.asked(self)
        return bytes(answers), readable

    def _answer(self, query: bytes, stamp: int) -> bytes:
        """Return the answer to one query after its length, and report the query."""
        server = self._server
        # Which time to live an answer gets is an experiment's draw, and no secret.
        arm = random.getrandbits(1)
        answer = server.policy.answer(
            query, self._peer.address, now=stamp // 1_000_000, tcp=True, arm=arm
        )
        observe(answer, self._peer, "dns_tcp", stamp, server.emit, server.counts)
        if answer.response is None:
            return b""
        return len(answer.response).to_bytes(_LENGTH_BYTES, "big") + answer.response

    def _size(self, position: int) -> int:
        """Return the bytes of the query at a position with its length; 0 if that is cut off."""
        if position + _LENGTH_BYTES > self._filled:
            return 0
        buffer = self._buffer
        return _LENGTH_BYTES + (buffer[position] << 8 | buffer[position + 1])

    def _waiting(self) -> bool:
        """Return whether a whole query waits, or bytes that are none."""
        size = self._size(0)
        return 0 < size <= max(self._filled, _SHORTEST - 1)

    def _enough_room(self) -> bool:
        """Make room for the query of which a part was read; return whether there is any."""
        return self._resize(max(_ROOM, self._size(0)))

    def _resize(self, size: int) -> bool:
        """Change the size of the buffer; return whether there is room."""
        had = len(self._buffer)
        if size != had:
            if size > _ROOM and not self._server.room(size):
                return False
            if had > _ROOM:
                self._server.give_back(had)
            buffer = bytearray(size)
            buffer[: self._filled] = self._buffer[: self._filled]
            self._buffer = buffer
        return True

    def _discard(self) -> None:
        """Count what will not be answered, and drop it."""
        counts = self._server.counts
        position = 0
        while _SHORTEST <= (size := self._size(position)) <= self._filled - position:
            position += size
            counts.lost += 1
        if not self._counted:
            self._counted = True
            if position < self._filled:
                counts.messages += 1
                counts.malformed += 1
            elif not self._asked:
                counts.messages += 1
                counts.skipped += 1
        self._filled = 0

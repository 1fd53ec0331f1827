"""Everything that arrives over TCP, DNS apart: many ports, many connections, one event for each.

A connection is a few hundred bytes until its first byte comes: no task, no buffer, no timer of its
own. What it says goes through a ``Conversation``; here are sockets, time and limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remnant.sinkhole.addresses import mapped, unit_of
from remnant.sinkhole.conversation import TLS_STATE, Conversation, Speaker
from remnant.sinkhole.events import Event
from remnant.sinkhole.listeners import destination_of
from remnant.sinkhole.timer_wheel import TimerWheel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remnant.sinkhole.certificates import Certificates
    from remnant.sinkhole.events import Emit
    from remnant.sinkhole.http_reply import Reply

__all__ = ["Counters", "Limits", "Streams"]

_ACCEPTS: Final = 64
"""Connections accepted at one port before others have their turn."""

_CHUNK: Final = 4096
"""Bytes read at once."""

_MAX_DRAINED: Final = 256 << 10
"""Bytes that are taken and thrown away after a reply."""

_NO_ROOM: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_ACCEPT_PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """What connections may cost.

    Attributes:
        connections: open at once.
        per_source: open at once from one IPv4 address or one IPv6 /64. Many infected machines may
            stand behind one address.
        memory_bytes: held for what was received, and for TLS.
        read_s: seconds from accepting a connection to closing it.
        quiet_s: seconds of silence after which a first payload counts as whole, where nothing in it
            says how long it is.
        linger_s: seconds that a client has to take its HTTP reply.
    """

    connections: int = 10_000
    per_source: int = 200
    memory_bytes: int = 512 << 20
    read_s: float = 10.0
    quiet_s: float = 3.0
    linger_s: float = 2.0


@dataclass(slots=True)
class Counters:
    """What was counted since the start.

    Attributes:
        connections: accepted, the refused ones too.
        open: now.
        refused: closed at once, because a limit was reached.
        timed_out: closed because their time was up, before anything that they sent was whole.
        http: HTTP requests read, inside TLS as well.
        tls: TLS handshakes completed.
        tls_failed: a ClientHello was read, the handshake was not completed.
        raw: sent something that is neither TLS nor HTTP.
        silent: sent nothing.
        bytes_read: received.
        accept_errors: the operating system could not give a connection to us.
        failed: conversations that a fault of ours ended, and events that nobody took.
    """

    connections: int = 0
    open: int = 0
    refused: int = 0
    timed_out: int = 0
    http: int = 0
    tls: int = 0
    tls_failed: int = 0
    raw: int = 0
    silent: int = 0
    bytes_read: int = 0
    accept_errors: int = 0
    failed: int = 0


@dataclass(slots=True, eq=False)
class _Connection:
    """One open connection.

    Attributes:
        socket: not blocking.
        source: what the limit of its source counts: 4 bytes, or the first 8 of an IPv6 address.
        started: when it was accepted (UTC microseconds).
        until: when its time is up (seconds of the loop's clock), whatever it sends.
        deadline: when something is to be done about it, at ``until`` at the latest.
        slot: of the timer wheel.
        conversation: from its first byte until it is over.
        held: bytes that it was counted with when they were last added up.
        pending: what the kernel did not take yet.
        reported: its event was emitted; what comes now is read and thrown away.
        drained: bytes thrown away.
    """

    socket: socket.socket
    source: bytes
    address: bytes
    port: int
    destination: bytes
    service_port: int
    started: int
    until: float
    deadline: float
    slot: int = 0
    conversation: Conversation | None = None
    held: int = 0
    pending: bytes = b""
    reported: bool = False
    drained: int = 0


@dataclass(slots=True)
class _Load:
    """What is in use of the limits."""

    sources: dict[bytes, int] = field(default_factory=dict)
    memory: int = 0


class Streams:
    """A server of TCP connections on sockets that listen already.

    Args:
        sockets: as ``listeners.open_listeners`` makes them; closed by ``stop``.
        emit: takes the event of each connection, at its end; must not block.
        reply_for: the HTTP reply for a wire name (empty if there is none) and the 16 bytes of the
            address that was connected to.
        limits: what connections may cost.
        certificates: what TLS is spoken with; ``None``: handshakes are read and not answered.
        clock: nanoseconds since 1970, UTC.

    Attributes:
        counters: read by whoever wants to know.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        emit: Emit,
        reply_for: Callable[[bytes, bytes], Reply],
        limits: Limits | None = None,
        certificates: Certificates | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.counters = Counters()
        self._sockets = list(sockets)
        self._emit = emit
        self._limits = limits or Limits()
        self._speaker = Speaker(certificates, reply_for)
        self._clock = clock
        self._load = _Load()
        self._open: set[_Connection] = set()
        self._empty = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wheel: TimerWheel[_Connection] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused: set[socket.socket] = set()

    async def start(self) -> None:
        """Begin to accept connections."""
        loop = self._loop = asyncio.get_running_loop()
        shortest = min(self._limits.read_s, self._limits.quiet_s, self._limits.linger_s)
        self._wheel = TimerWheel(loop.time(), tick_s=min(0.25, max(shortest / 8, 0.005)))
        self._empty.set()
        for listener in self._sockets:
            listener.setblocking(False)
            loop.add_reader(listener, self._accept, listener)
        self._timer = loop.call_later(self._wheel.tick_s, self._turn)

    async def stop(self, grace: float = 0.0) -> None:
        """Accept nothing more, wait for open connections, then end them; each has its event.

        Args:
            grace: seconds to wait at most.
        """
        assert self._loop is not None
        for listener in self._sockets:
            self._loop.remove_reader(listener)
            listener.close()
        self._sockets.clear()
        self._paused.clear()
        if grace > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), grace)
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._open):
            self._end(connection)
            self._close(connection)

    # Accepting.

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS):
            try:
                accepted, peer = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self.counters.accept_errors += 1
                if error.errno in _NO_ROOM:
                    self._pause(listener)
                    return
                # The client is gone again, or the network has an error for it alone.
                continue
            self._accepted(accepted, peer)

    def _pause(self, listener: socket.socket) -> None:
        assert self._loop is not None
        self._loop.remove_reader(listener)
        self._paused.add(listener)
        self._loop.call_later(_ACCEPT_PAUSE_S, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        assert self._loop is not None
        if listener in self._paused:
            self._paused.remove(listener)
            self._loop.add_reader(listener, self._accept, listener)

    def adopt(self, accepted: socket.socket, data: bytes) -> None:
        """Take over a connection that another server accepted, with what was read of it.

        Args:
            accepted: owned by this object from now on.
            data: the first bytes that came.
        """
        try:
            peer = accepted.getpeername()
        except OSError:
            self.counters.accept_errors += 1
            accepted.close()
            return
        connection = self._accepted(accepted, peer)
        if connection is not None:
            self.counters.bytes_read += len(data)
            self._said(connection, data)

    def _accepted(self, accepted: socket.socket, peer: tuple[object, ...]) -> _Connection | None:
        """Take up a connection, or refuse it; return it if it stays."""
        assert self._loop is not None
        assert self._wheel is not None
        counters = self.counters
        counters.connections += 1
        address = mapped(str(peer[0]))
        source = unit_of(address)
        try:
            accepted.setblocking(False)
            destination, service_port = destination_of(accepted)
        except OSError:
            counters.accept_errors += 1
            accepted.close()
            return None
        until = self._loop.time() + self._limits.read_s
        connection = _Connection(
            socket=accepted,
            source=source,
            address=address,
            port=int(str(peer[1])),
            destination=destination,
            service_port=service_port,
            started=self._clock() // 1000,
            until=until,
            deadline=until,
        )
        if self._full(source):
            counters.refused += 1
            accepted.close()
            self._report(connection, limited=True)
            return None
        self._load.sources[source] = self._load.sources.get(source, 0) + 1
        self._open.add(connection)
        self._empty.clear()
        counters.open += 1
        self._wheel.add(connection)
        self._loop.add_reader(accepted, self._readable, connection)
        return connection

    def _full(self, source: bytes) -> bool:
        limits = self._limits
        return (
            self.counters.open >= limits.connections
            or self._load.sources.get(source, 0) >= limits.per_source
            or self._load.memory >= limits.memory_bytes
        )

    # What connections say.

    def _readable(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        self.counters.bytes_read += len(data)
        if connection.reported:
            # The rest of a request is taken, so that the kernel does not reset the connection
            # before the client has read its reply; nothing of it is kept.
            connection.drained += len(data)
            if not data or connection.drained > _MAX_DRAINED:
                self._close(connection)
        elif data:
            self._said(connection, data)
        else:
            self._end(connection)

    def _said(self, connection: _Connection, data: bytes) -> None:
        conversation = connection.conversation
        if conversation is None:
            conversation = Conversation(self._speaker, connection.destination)
            connection.conversation = conversation
        room = self._load.memory + TLS_STATE <= self._limits.memory_bytes
        try:
            answer = conversation.receive(data, tls_room=room)
        except Exception:  # noqa: BLE001 - a fault of ours in one conversation ends that one
            self._fault(connection)
            return
        self._hold(connection, conversation.held)
        if conversation.done:
            self._finish(connection, answer)
            return
        if not conversation.undecided:
            assert self._loop is not None
            quiet = self._loop.time() + self._limits.quiet_s
            self._wait_until(connection, min(quiet, connection.until))
        if answer:
            self._send(connection, answer)

    def _end(self, connection: _Connection) -> None:
        """Nothing more is read of what a client says: it stopped, or its time is up."""
        if connection.reported:
            return
        answer = b""
        if connection.conversation is not None:
            try:
                answer = connection.conversation.end()
            except Exception:  # noqa: BLE001 - as above
                self._fault(connection)
                return
        self._finish(connection, answer)

    def _finish(self, connection: _Connection, answer: bytes) -> None:
        """Report a connection, send it the last that it gets, and close it."""
        assert self._loop is not None
        conversation = connection.conversation
        replied = conversation is not None and conversation.replied
        self._report(connection, limited=conversation is not None and conversation.limited)
        self._hold(connection, 0)
        connection.conversation = None
        if answer:
            self._send(connection, answer)
        if connection.socket.fileno() < 0:
            return
        if replied or connection.pending:
            if not connection.pending:
                self._shut(connection)
            self._wait_until(connection, self._loop.time() + self._limits.linger_s)
        else:
            self._close(connection)

    def _fault(self, connection: _Connection) -> None:
        self.counters.failed += 1
        connection.conversation = None
        self._report(connection)
        self._close(connection)

    def _report(self, connection: _Connection, *, limited: bool = False) -> None:
        """Emit the event of a connection, once, and count what it was."""
        connection.reported = True
        conversation = connection.conversation
        counters = self.counters
        if conversation is None:
            if not limited:
                counters.silent += 1
            self._tell(_event(connection, limited=limited))
            return
        counters.http += conversation.proof == "http"
        counters.tls += conversation.shaken
        counters.tls_failed += conversation.greeted and not conversation.shaken
        counters.raw += conversation.proof == "tcp" and not conversation.greeted
        try:
            event = _event(connection, conversation, limited=limited)
        except Exception:  # noqa: BLE001 - facts that cannot be told must not hide the connection
            counters.failed += 1
            event = _event(connection, limited=limited)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        try:
            self._emit(event)
        except Exception:  # noqa: BLE001 - whoever takes the events must not stop the service
            self.counters.failed += 1

    # What connections get.

    def _send(self, connection: _Connection, data: bytes) -> None:
        assert self._loop is not None
        if connection.pending:
            connection.pending += data
            return
        try:
            sent = connection.socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._gone(connection)
            return
        if sent < len(data):
            connection.pending = data[sent:]
            self._loop.add_writer(connection.socket, self._writable, connection)

    def _writable(self, connection: _Connection) -> None:
        assert self._loop is not None
        try:
            sent = connection.socket.send(connection.pending)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._gone(connection)
            return
        connection.pending = connection.pending[sent:]
        if not connection.pending:
            self._loop.remove_writer(connection.socket)
            if connection.reported:
                self._shut(connection)

    def _gone(self, connection: _Connection) -> None:
        """End a connection that takes nothing more; that it left in this way is no news."""
        connection.pending = b""
        if not connection.reported:
            self._end(connection)
        self._close(connection)

    def _shut(self, connection: _Connection) -> None:
        """Say that nothing follows, so that the client closes; it has until its deadline."""
        with contextlib.suppress(OSError):
            connection.socket.shutdown(socket.SHUT_WR)

    def _close(self, connection: _Connection) -> None:
        assert self._loop is not None
        assert self._wheel is not None
        if connection not in self._open:
            return
        self._open.discard(connection)
        self._wheel.remove(connection)
        self._hold(connection, 0)
        connection.conversation = None
        self._loop.remove_reader(connection.socket)
        self._loop.remove_writer(connection.socket)
        connection.socket.close()
        self.counters.open -= 1
        left = self._load.sources[connection.source] - 1
        if left:
            self._load.sources[connection.source] = left
        else:
            del self._load.sources[connection.source]
        if not self._open:
            self._empty.set()

    # Time and memory.

    def _turn(self) -> None:
        """Look once a tick for connections whose time is up."""
        assert self._loop is not None
        assert self._wheel is not None
        self._timer = self._loop.call_later(self._wheel.tick_s, self._turn)
        for connection in self._wheel.due(self._loop.time()):
            if connection.reported:
                self._close(connection)
                continue
            conversation = connection.conversation
            if conversation is None or conversation.undecided:
                self.counters.timed_out += 1
            # Anything that is done about it takes a deadline of its own.
            connection.deadline = connection.until
            self._wheel.add(connection)
            self._end(connection)

    def _wait_until(self, connection: _Connection, deadline: float) -> None:
        assert self._wheel is not None
        self._wheel.remove(connection)
        connection.deadline = deadline
        self._wheel.add(connection)

    def _hold(self, connection: _Connection, held: int) -> None:
        self._load.memory += held - connection.held
        connection.held = held


def _event(
    connection: _Connection, conversation: Conversation | None = None, *, limited: bool
) -> Event:
    return Event(
        time=connection.started,
        address=connection.address,
        client_port=connection.port,
        destination=connection.destination,
        service_port=connection.service_port,
        proof="tcp" if conversation is None else conversation.proof,
        name=b"" if conversation is None else conversation.name,
        limited=limited,
        detail=None if conversation is None else (conversation.detail() or None),
    )

"""A sinkhole for streams in this process, in a thread of its own, on a free port of loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remnant.cases.model import SinkholeConfig
from remnant.sinkhole.certificates import Certificates
from remnant.sinkhole.http_reply import Reply, make
from remnant.sinkhole.listeners import open_listeners
from remnant.sinkhole.streams import Limits, Streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remnant.sinkhole.events import Event

CERTIFICATES = Certificates()
"""Shared by tests: making an RSA key takes a tenth of a second."""

PATIENCE = 60.0
"""Seconds after which something hangs, on a machine that does many other things."""
PATIENT = Limits(read_s=PATIENCE, linger_s=PATIENCE)
"""What a client of a test is given: the system may let it wait in the middle of what it says."""


class Ahead(asyncio.SelectorEventLoop):
    """A loop whose clock a test puts forward: what takes long need not last, nor be too quick."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead

    def later(self, seconds: float) -> None:
        """Let so much time pass at once; from any thread."""

        def pass_by() -> None:
            self.ahead += seconds

        self.call_soon_threadsafe(pass_by)


@dataclass
class Sinkhole:
    """A running server and what it saw."""

    streams: Streams
    port: int
    loop: Ahead
    events: list[Event] = field(default_factory=list)
    asked: list[tuple[bytes, bytes]] = field(default_factory=list)

    def wait_for(self, count: int, seconds: float = PATIENCE) -> list[Event]:
        """Return the events when there are as many, or fail."""
        until(lambda: len(self.events) >= count, seconds)
        return self.events

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection((host, self.port), timeout=PATIENCE)

    def ask(self, data: bytes, host: str = "127.0.0.1") -> bytes:
        """Send bytes and return everything that comes back until the server closes."""
        with self.connect(host) as peer:
            peer.sendall(data)
            return read_all(peer)


def read_all(peer: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := peer.recv(65536):
            received += chunk
    return received


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for a condition, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@contextlib.contextmanager
def sinkhole(
    limits: Limits | None = None,
    reply: Reply | None = None,
    *,
    hosts: tuple[str, ...] = ("127.0.0.1",),
    certificates: Certificates | None = CERTIFICATES,
    grace: float = 0.0,
    **others: Any,
) -> Iterator[Sinkhole]:
    """Serve on a free port until the block ends."""
    answer = reply or make(SinkholeConfig(), "A botnet")
    listeners = open_listeners(hosts[:1], [0], connections=100)
    port = listeners[0].getsockname()[1]
    listeners += open_listeners(hosts[1:], [port], connections=100)
    events: list[Event] = []
    asked: list[tuple[bytes, bytes]] = []

    def reply_for(name: bytes, destination: bytes) -> Reply:
        asked.append((name, destination))
        return answer

    others = {"emit": events.append, "reply_for": reply_for, **others}
    streams = Streams(listeners, limits=limits or PATIENT, certificates=certificates, **others)
    loop = Ahead()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)

    run(streams.start())
    try:
        yield Sinkhole(streams, port, loop, events, asked)
    finally:
        run(streams.stop(grace))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


def client_context(**settings: Any) -> ssl.SSLContext:
    """Return a client that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in settings.items():
        setattr(context, name, value)
    return context

"""The server itself: where it listens, and how it ends while pages still listen."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from fastapi import FastAPI

__all__ = ["BODY_S", "HEAD_S", "Impatient", "Server", "bound"]

_PATIENCE_S: Final = 1
_NEXT: Final = 20
HEAD_S: Final = 20.0
"""Seconds from its first byte, or from the connection, in which the head of a request arrives."""
BODY_S: Final = 300.0
"""Seconds for the rest of it."""


def bound(host: str, port: int, *, or_next: bool = False) -> socket.socket:
    """Return a socket that is bound to an address.

    Args:
        host: address or name of this machine.
        port: 0 for any free one.
        or_next: take the next free port where this one is taken.

    Raises:
        OSError: it cannot be had.
    """
    last = port + _NEXT if or_next and port else port
    for number in range(port, last + 1):
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        try:
            # A server that was just ended must not keep the next one from its port.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            # Another one may be bound and listen: only then is it told.
            found.listen(256)
        except OSError:
            found.close()
            if number == last:
                raise
        else:
            found.set_inheritable(False)
            return found
    raise AssertionError


class Impatient(H11Protocol):
    """A connection that ends when a request does not arrive in time, however slowly it drips.

    Uvicorn waits for the rest of a request that was begun until its sender hangs up; so many of
    them leave no connection for others.
    """

    _timer: asyncio.TimerHandle | None = None
    _reads: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Read what came; what is still missing has its time."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._rest()

    def _watch(self) -> None:
        """Let time run for a part of a request from its beginning: further bytes give no more."""
        reads = self.conn.their_state
        if reads is self._reads and self._timer is not None:
            return
        self._rest()
        seconds = {h11.IDLE: HEAD_S, h11.SEND_BODY: BODY_S}.get(reads)
        if seconds is not None and not self.transport.is_closing():
            self._reads = reads
            self._timer = self.loop.call_later(seconds, self.transport.close)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """A server of the dashboard.

    Args:
        app: as ``web.app.create_app`` returns it.
        on_start: called when it answers.
        options: of ``uvicorn.Config``, such as the files of TLS.
    """

    def __init__(
        self, app: FastAPI, *, on_start: Callable[[], None] = lambda: None, **options: Any
    ) -> None:
        usual = {
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "proxy_headers": False,
            "timeout_graceful_shutdown": _PATIENCE_S,
            "timeout_keep_alive": 65,
            "http": Impatient,
        }
        super().__init__(uvicorn.Config(app, **(usual | options)))
        self._app = app
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: streams first, which would otherwise never end."""
        self._app.state.site.live.end()
        await super().shutdown(sockets)

    def answer_on(self, sockets: Sequence[socket.socket]) -> None:
        """Answer until it is told to end (Ctrl-C, SIGTERM, ``should_exit``)."""
        self.run(list(sockets))

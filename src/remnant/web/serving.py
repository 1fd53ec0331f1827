"""The server itself: where it listens, and how it ends while pages still listen."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastapi import FastAPI

__all__ = ["Server", "bound"]

_PATIENCE_S: Final = 1
_NEXT: Final = 20


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

"""What lies around the application: headers that every answer carries, and what a change does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders

from remnant.web.access.forms import SAFE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from remnant.web.answers import Answers

__all__ = ["Changes", "Headers"]

_REFUSED: Final = 400
_OWN: Final = ("/login", "/logout")
"""What changes nothing but who asks; strangers may send it as often as they like."""


class Headers:
    """Gives every answer some headers, and ``no-store`` where nothing else is said.

    Args:
        app: what is asked next.
        always: the headers.
    """

    def __init__(self, app: ASGIApp, *, always: Mapping[str, str]) -> None:
        self._app = app
        self._always = always

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def write(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._always.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                _keep_here(headers)
            await send(message)

        await self._app(scope, receive, write if scope["type"] == "http" else send)


def _keep_here(headers: MutableHeaders) -> None:
    """Take scheme and host from where an answer sends to: they are what the request claimed.

    All our addresses are of this site. A path that begins with two strokes would be a host.
    """
    place = headers.get("location")
    if place is not None and place.startswith(("http://", "https://")):
        parts = urlsplit(place)
        path = "/" + parts.path.lstrip("/")
        headers["location"] = f"{path}?{parts.query}" if parts.query else path


class Changes:
    """Forgets kept answers after each request that may have changed something.

    Args:
        app: what is asked next.
        answers: what is kept.
    """

    def __init__(self, app: ASGIApp, *, answers: Answers) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["method"] in SAFE or scope["path"] in _OWN:
            await self._app(scope, receive, send)
            return

        async def write(message: Message) -> None:
            # Before the browser hears that it is done, and asks for the page.
            if message["type"] == "http.response.start" and message["status"] < _REFUSED:
                self._answers.clear()
            await send(message)

        await self._app(scope, receive, write)

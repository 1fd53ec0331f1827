"""What is refused before any page is asked: foreign hosts, foreign sites, what is too large.

A browser on this machine can be made to ask us by any page it shows. Three things tell such a
request: the ``Host`` header names a stranger's domain (DNS rebinding), ``Sec-Fetch-Site`` or
``Origin`` names another site, and no form of ours was sent with it (``web.access.forms``).
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders

from remnant.web.access.cookies import VISIT, is_encrypted, set_cookie
from remnant.web.access.forms import SAFE
from remnant.web.access.networks import covers
from remnant.web.problem import Problem, answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from remnant.settings import WebSettings

__all__ = ["MOST_BYTES", "Frontier", "host_of", "is_loopback"]

MOST_BYTES: Final = 16 << 20
"""Of a request's body."""
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(?::\d{1,5})?")
_PROXIED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_BAD: Final = 400
_HSTS: Final = "max-age=31536000"


def is_loopback(host: str) -> bool:
    """Return whether a host, without a port, is this machine and nothing else.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def host_of(header: str) -> str | None:
    """Return the host of a ``Host`` header, folded, or ``None`` if it is none.

    >>> host_of("Example.org:8060"), host_of("[::1]:8060"), host_of("a b"), host_of("x@y")
    ('example.org', '::1', None, None)
    """
    found = _HOST.fullmatch(header)
    return found[1].strip("[]").rstrip(".").lower() if found else None


class Frontier:
    """The ASGI layer around the application.

    Args:
        app: what is asked next.
        settings: the section ``[web]``.
        guarded: the site demands accounts.
    """

    def __init__(self, app: ASGIApp, *, settings: WebSettings, guarded: bool) -> None:
        self._app = app
        self._guarded = guarded
        self._hosts = frozenset(name.strip("[]").rstrip(".").lower() for name in settings.hosts)
        self._proxies = settings.trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it here."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            else:
                # Nothing here speaks WebSocket, whose requests no rule of browsers keeps at home.
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        self._see_through_proxies(scope, headers)
        scope.setdefault("state", {})
        problem = self._problem(scope, headers)
        if problem is not None:
            # What follows such a head on the connection may be read as another request.
            ends = {"connection": "close"} if problem.status == _BAD else {}
            response = answer(Request(scope), problem, ends)
            await response(scope, receive, send)
            return
        await self._app(scope, _bounded(receive), _with_headers(scope, send))

    def _see_through_proxies(self, scope: Scope, headers: Headers) -> None:
        """Take the client's address and scheme from a proxy that is believed."""
        peer = scope["client"][0] if scope.get("client") else ""
        if not self._proxies or not covers(self._proxies, peer):
            return
        # The nearest proxy writes last; addresses that the client made up stand before.
        named = [part.strip() for part in ",".join(headers.getlist("x-forwarded-for")).split(",")]
        for address in reversed([part for part in named if part]):
            try:
                peer = str(ipaddress.ip_address(address.strip("[]")))
            except ValueError:
                break
            if not covers(self._proxies, peer):
                break
        scope["client"] = (peer, 0)
        scheme = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if scheme in {"http", "https"}:
            scope["scheme"] = scheme

    def _problem(self, scope: Scope, headers: Headers) -> Problem | None:
        if "transfer-encoding" in headers and "content-length" in headers:
            # A proxy may believe the one, and we the other (RFC 9112, section 6.1).
            return Problem(status=_BAD, what="the request has two lengths")
        host = host_of(headers.get("host", ""))
        if host is None or not self._is_ours(host):
            return Problem(
                status=421,
                what="this server does not go by that name",
                got=headers.get("host", "")[:200],
                hint="open it by the address that it was started with, or set web.hosts",
            )
        if not self._guarded and any(name in headers for name in _PROXIED):
            return Problem(
                status=403,
                what="a proxy stands before a server without accounts",
                hint="make an account: remnant account add NAME --role operator",
            )
        if scope["method"] in SAFE:
            return None
        if not _same_site(headers):
            return Problem(status=403, what="another site sent this request")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > MOST_BYTES:
            return Problem(
                status=413, what="the request is too large", expected=f"{MOST_BYTES >> 20} MiB"
            )
        return None

    def _is_ours(self, host: str) -> bool:
        if host in self._hosts or is_loopback(host):
            return True
        # Where everybody signs in, a stranger's name brings no cookie of ours with it.
        return self._guarded and not self._hosts


def _same_site(headers: Mapping[str, str]) -> bool:
    """Return whether a page of ours, or no page at all, sent a request."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    if origin is None:
        return True
    # The scheme is not compared: a proxy may have taken TLS off.
    return bool(origin) and urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def _bounded(receive: Receive) -> Receive:
    """Return a receiver that gives up on a body which tells no length and does not end."""
    seen = 0

    async def read() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BYTES:
            raise HTTPException(413, "the request is too large")
        return message

    return read


def _with_headers(scope: Scope, send: Send) -> Send:
    """Return a sender that adds the visit's cookie, and over TLS keeps browsers to it."""

    async def write(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            state: Any = scope["state"]
            visit = state.get("new_visit")
            if visit:
                headers.append("set-cookie", set_cookie(VISIT, visit, scope))
            if is_encrypted(scope):
                headers["strict-transport-security"] = _HSTS
        await send(message)

    return write

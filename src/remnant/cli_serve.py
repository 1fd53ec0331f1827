"""The command that serves the dashboard, and what other commands end with."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remnant.cli_audit import reads
from remnant.cli_shared import open_settings, say
from remnant.errors import RemnantError

if TYPE_CHECKING:
    import socket

    from remnant.settings import Settings

__all__ = ["has_watcher", "serve", "serve_here", "try_served"]

_HOST = "127.0.0.1"
_PORT = 8060
_SAID = 120


class ServeError(RemnantError):
    """The dashboard cannot be served as it was asked for."""


@reads
def serve(
    *,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help=f"Where to listen; default {_HOST}:{_PORT}, or the next free port. Anywhere but "
            "on this machine it demands accounts.",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate, with its chain, in PEM.", metavar="FILE")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="Key of the certificate, in PEM.", metavar="FILE")
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open it in the browser of this machine.")
    ] = False,
) -> None:
    """Serve the dashboard and its API until Ctrl-C."""
    serve_here(open_settings(), listen, cert=tls_cert, key=tls_key, open_browser=open_browser)


def serve_here(
    settings: Settings,
    listen: str | None = None,
    *,
    cert: Path | None = None,
    key: Path | None = None,
    open_browser: bool = False,
) -> None:
    """Serve the dashboard until it is told to end.

    Args:
        settings: of the home folder.
        listen: host and port; ``None``: this machine, the usual port or the next free one.
        cert: certificate of TLS, in PEM.
        key: its key.
        open_browser: show it to who sits here.

    Raises:
        ServeError: it cannot listen there.
        AccessError: nobody could sign in there.
    """
    from remnant.web.access.listening import decide
    from remnant.web.app import create_app
    from remnant.web.serving import Server

    host, port = (_HOST, _PORT) if listen is None else _place(listen)
    door = decide(host, settings, cert, key)
    if door.warning:
        say(f"Warning: {door.warning}")
    place = _bound(host, port, or_next=listen is None)
    taken = place.getsockname()[1]
    if listen is None and taken != port:
        say(f"Port {port} is taken; this is the next free one.")
    address = f"{door.scheme}://{f'[{host}]' if ':' in host else host}:{taken}"

    def started() -> None:
        typer.echo(f"The dashboard is at {address}   (Ctrl-C ends it)")
        sys.stdout.flush()
        if open_browser:
            import webbrowser

            webbrowser.open(address)

    with contextlib.suppress(KeyboardInterrupt, SystemExit):
        app = create_app(settings, guarded=door.guarded)
        Server(app, on_start=started, **door.options).answer_on([place])
    say("The dashboard has ended.")


def has_watcher() -> bool:
    """Return whether somebody sits before this command and can end a server with Ctrl-C."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()


def try_served(settings: Settings, case: str, expected: str) -> None:
    """Serve the dashboard on a free port, see that its pages answer, and end.

    Args:
        settings: of the home folder.
        case: name of a case.
        expected: what its page must say.

    Raises:
        ServeError: a page does not answer, or says something else.
    """
    import threading
    import time

    from remnant.web.app import create_app
    from remnant.web.serving import Server

    started = threading.Event()
    place = _bound(_HOST, 0)
    port = place.getsockname()[1]
    server = Server(create_app(settings), on_start=started.set)
    thread = threading.Thread(target=server.answer_on, args=([place],), daemon=True)
    begun = time.monotonic()
    thread.start()
    try:
        if not started.wait(30):
            raise ServeError("the dashboard did not start")
        for path in ("/cases", f"/cases/{case}", f"/cases/{case}.json", "/openapi.json"):
            text = _fetched(f"http://{_HOST}:{port}{path}")
            # A page may cut a long sentence.
            if path == f"/cases/{case}" and expected[:_SAID] not in text:
                raise ServeError("the case's page does not say the verdict", where=path)
    finally:
        server.should_exit = True
        thread.join(10)
    say(
        f"The dashboard answered on port {port}, and its page of {case} says the verdict "
        f"({time.monotonic() - begun:.1f} s). To look at it: remnant serve"
    )


def _fetched(address: str) -> str:
    """Return the text at an address of this machine, HTML without its escapes."""
    import html
    import urllib.error
    import urllib.request

    # Proxies that the environment names are for other machines.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(
            urllib.request.Request(address, headers={"accept": "text/html"}),  # noqa: S310 - http
            timeout=60,
        ) as answer:
            return html.unescape(answer.read().decode())
    except urllib.error.HTTPError as error:
        raise ServeError("a page does not answer", where=address, got=error.code) from None
    except OSError as error:
        raise ServeError("a page does not answer", where=address, got=error) from None


def _place(listen: str) -> tuple[str, int]:
    """Return host and port.

    Raises:
        ServeError: that is none.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or len(port) > 5 or int(port) > 65_535:
        raise ServeError(
            "this is no place to listen at",
            where="--listen",
            got=listen,
            expected=f"HOST:PORT, such as {_HOST}:{_PORT} or [::1]:{_PORT}",
        )
    return host.strip("[]"), int(port)


def _bound(host: str, port: int, *, or_next: bool = False) -> socket.socket:
    from remnant.web.serving import bound

    try:
        return bound(host, port, or_next=or_next)
    except OSError as error:
        raise ServeError(
            "the dashboard cannot listen there",
            where=f"{host}:{port}",
            got=error.strerror or error,
            hint="another program listens there, or the port needs more rights: "
            f"remnant serve --listen {_HOST}:{_PORT + 1}",
        ) from None

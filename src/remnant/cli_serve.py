"""The command that serves the dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remnant.cli_shared import open_settings, say

__all__ = ["serve"]


def serve(
    *,
    listen: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="Where to listen; anywhere but on this machine it demands accounts.",
        ),
    ] = "127.0.0.1:8060",
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate, with its chain, in PEM.", metavar="FILE")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="Key of the certificate, in PEM.", metavar="FILE")
    ] = None,
) -> None:
    """Serve the dashboard and its API."""
    import uvicorn

    from remnant.web.access.listening import decide
    from remnant.web.app import create_app

    host, _, port = listen.rpartition(":")
    settings = open_settings()
    door = decide(host, settings, tls_cert, tls_key)
    if door.warning:
        say(f"Warning: {door.warning}")
    say(f"Serving {door.scheme}://{listen}")
    uvicorn.run(
        create_app(settings, guarded=door.guarded),
        host=host.strip("[]"),
        port=int(port),
        log_level="warning",
        access_log=False,
        **door.options,
    )

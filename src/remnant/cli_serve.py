"""The command that serves the dashboard."""

from __future__ import annotations

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
) -> None:
    """Serve the dashboard and its API."""
    import uvicorn

    from remnant.web.app import create_app

    host, _, port = listen.rpartition(":")
    say(f"Serving http://{listen}")
    uvicorn.run(
        create_app(open_settings()),
        host=host,
        port=int(port),
        log_level="warning",
        access_log=False,
    )

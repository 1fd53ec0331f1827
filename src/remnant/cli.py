"""The command line: one verb per room. Only this file and its siblings run whole rooms.

Exit codes: 0 done, 1 refused or failed with a clear message, 2 usage, 130 interrupted (Ctrl-C),
143 terminated.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Final

import typer

from remnant import (
    __version__,
    cli_account,
    cli_case,
    cli_database,
    cli_demo,
    cli_export,
    cli_ingest,
    cli_keep,
    cli_map,
    cli_measure,
    cli_pdns,
    cli_read,
    cli_serve,
    cli_servers,
    cli_sink,
)
from remnant.cli_shared import HOME, open_settings
from remnant.errors import RemnantError, StoreError
from remnant.startup import spare_pandas

__all__ = ["INTERRUPTED", "TERMINATED", "app", "main"]

INTERRUPTED: Final = 130
TERMINATED: Final = 143

app = typer.Typer(
    name="remnant",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Measure what is left of a botnet after its takedown, and whether clean-up is working.",
    epilog="Start with: remnant demo beebone",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"remnant {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    home: Annotated[
        Path | None,
        typer.Option(help="Where data lives; else the environment's REMNANT_HOME says."),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Hold the options that every command has."""
    del version
    HOME.set(home)


# One verb per room, in the order in which a person needs them.
app.command("demo", short_help="Go the whole way on a simulated botnet.")(cli_demo.demo)
app.add_typer(cli_case.app, name="case", short_help="What is watched: one case per takedown.")
app.command("ingest", short_help="Read DNS traffic, keep what is watched.")(cli_ingest.ingest)
app.command("traffic", short_help="Queries and clients over time, or by name or place.")(
    cli_read.traffic
)
app.command("clients", short_help="The addresses that were seen.")(cli_read.clients)
app.command("measure", short_help="How much is left, with intervals.")(cli_measure.measure)
app.command("judge", short_help="Whether clean-up is working, with evidence.")(cli_read.judge)
app.command("report", short_help="Write the report as one HTML file.")(cli_read.report)
app.command("map", short_help="What the case's names and addresses are joined to.")(
    cli_map.map_case
)
app.add_typer(cli_export.app, name="export", short_help="Files for other people's servers.")
app.add_typer(cli_pdns.app, name="pdns")
app.command("servers", short_help="What still lives, and whom to ask to shut it down.")(
    cli_servers.servers
)
app.add_typer(cli_servers.rdap_app, name="rdap")
app.command("serve", short_help="The dashboard in a browser.")(cli_serve.serve)
app.add_typer(cli_account.app, name="account", short_help="Who may sign in to the dashboard.")
app.add_typer(cli_sink.app, name="sink", short_help="Run the sinkhole.")
app.command("enrich", short_help="Fill AS and country again.")(cli_keep.enrich)
app.command("simulate", short_help="Make up a botnet's traffic, and its truth.")(cli_demo.simulate)
app.add_typer(cli_keep.sensor_app, name="sensor")
app.add_typer(cli_keep.settings_app, name="settings")
app.add_typer(cli_database.app, name="database", short_help="Copy the small mutable state.")


def _home_first(arguments: list[str]) -> list[str]:
    """Let ``--home DIR`` stand anywhere on the line, as people write it."""
    moved: list[str] = []
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument == "--":
            rest += [argument, *left]
        elif argument == "--home":
            value = next(left, None)
            moved += [argument] if value is None else [argument, value]
        elif argument.startswith("--home="):
            moved.append(argument)
        else:
            rest.append(argument)
    return moved + rest


def _verb(arguments: list[str]) -> str | None:
    """Return the command of a line that ``_home_first`` has ordered; a case may be called so."""
    left = iter(arguments)
    for argument in left:
        if argument == "--home":
            next(left, None)
        elif not argument.startswith("-"):
            return argument
    return None


def _terminate(*_: object) -> None:
    """Leave as after Ctrl-C, so that temporary files go."""
    sys.exit(TERMINATED)


def _unreadable(error: Exception) -> RemnantError:
    """Return what a failure of the query engine means to a person."""
    first = str(error).partition("\n")[0]
    if type(error).__name__ == "OutOfMemoryException":
        return StoreError(
            "the question needs more memory than is allowed",
            got=first,
            hint="raise store.memory_limit, or narrow the window with --since and --until",
        )
    return StoreError(
        "stored files cannot be read",
        where=str(open_settings().home),
        got=first,
        hint="ingest the sources again after: remnant case delete CASE",
    )


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave the process with its exit code."""
    given = _home_first(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and _verb(given) in {"ingest", "pdns"}:
        spare_pandas()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        app(args=given, prog_name="remnant")
    except RemnantError as error:
        typer.echo(f"remnant: {error.text()}", err=True)
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"remnant: {where}{error.strerror or error}", err=True)
        sys.exit(1)
    except Exception as error:
        # The engine of queries reads stored files late, wherever a command first needs a row.
        if type(error).__module__.partition(".")[0] not in {"duckdb", "_duckdb"}:
            raise
        typer.echo(f"remnant: {_unreadable(error).text()}", err=True)
        sys.exit(1)
    except SystemExit as stop:
        for code, word in ((INTERRUPTED, "interrupted"), (TERMINATED, "terminated")):
            if stop.code == code:
                typer.echo(f"remnant: {word}; what was already stored is unchanged", err=True)
        raise

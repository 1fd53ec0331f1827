"""Commands about passive DNS: what names led where, and when."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from remnant.cli_audit import changes, reads
from remnant.cli_ingest import Ingest, read_options
from remnant.cli_shared import (
    Format,
    FormatOption,
    SinceOption,
    UntilOption,
    emit,
    open_settings,
    open_store,
    say,
)
from remnant.web.access.actions import Action

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Passive DNS: the records that sources brought.",
)


@app.command("import", short_help="Keep all records of files or folders.")
@changes(Action.RECORDS_READ, "paths")
def pdns_import(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Passive DNS files, or any traffic with responses; folders; - for standard input.",
            metavar="PATH...",
        ),
    ],
    *,
    sensor: Annotated[
        str | None, typer.Option(help="Name of the sensor, where the source does not state one.")
    ] = None,
    input_format: Annotated[str, typer.Option(help="auto, or the name of a format.")] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Threads that decode; default: one for each core."),
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Keep every resource record of some sources, whatever a case watches.

    They belong to no case: every lookup finds them. The same content never counts twice.
    """
    from remnant.infrastructure.passive_dns import UNASSIGNED

    started = time.monotonic()
    run = Ingest(
        open_settings(), [UNASSIGNED], sensor=sensor, input_format=input_format, watched=False
    )
    run.read(paths, read_options(answers="all", threads=threads))
    run.tell(output, time.monotonic() - started)
    if run.failed:
        raise typer.Exit(1)


TypeOption = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only records of this type, say A or TYPE65400; more than once."),
]
InsideOption = Annotated[
    bool,
    typer.Option(
        "--inside", help="Only records that were never seen outside of --since and --until."
    ),
]
ServerOption = Annotated[
    bool,
    typer.Option(
        "--server",
        help="Records that point to the name: as name server, mail exchanger or other target.",
    ),
]


@app.command("lookup", short_help="Find records by name, address or network.")
@reads
def pdns_lookup(
    what: Annotated[
        str,
        typer.Argument(
            help="A name, *.NAME for everything below it too, an address, or a network (CIDR).",
            metavar="NAME|ADDRESS|CIDR",
        ),
    ],
    *,
    server: ServerOption = False,
    kinds: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    inside: InsideOption = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most, latest first.")] = 1000,
    output: FormatOption = Format.TABLE,
) -> None:
    """Find the records whose owner, or whose address, is this, over all cases and imports.

    With --since and --until: records that were seen at some time between them. With --server: the
    records that point to the name.
    """
    from remnant.infrastructure.passive_dns import COLUMNS, lookup, type_number
    from remnant.windows import parse_time

    with open_store(open_settings()) as store:
        rows = lookup(
            store,
            what,
            since=None if since is None else parse_time(since),
            until=None if until is None else parse_time(until),
            inside=inside,
            server=server,
            types=[type_number(kind) for kind in kinds or ()],
            limit=limit,
        )
    # A table is for reading: what is left out of it stands in the other formats.
    wide = {"ttl_low", "ttl_high"} if output is Format.TABLE else set()
    emit(rows, output, [name for name in COLUMNS if name not in wide])


@app.command("export", short_help="Write records as COF, one JSON object a line.")
@reads
def pdns_export(
    what: Annotated[
        str | None,
        typer.Argument(
            help="As for lookup; without it, everything.", metavar="[NAME|ADDRESS|CIDR]"
        ),
    ] = None,
    *,
    case: Annotated[
        list[str] | None,
        typer.Option(help="Only what was ingested into this case; more than once."),
    ] = None,
    server: ServerOption = False,
    kinds: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    inside: InsideOption = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="The file, written whole or not at all; - for standard output.",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Write records in the common output format (COF), which pdns import reads back.

    Simulated records are left out, unless --case names a case that holds them.
    """
    from remnant.infrastructure.passive_dns import Fence, Question, records, type_number
    from remnant.infrastructure.passive_dns_export import write_cof
    from remnant.windows import parse_time

    with open_store(open_settings()) as store:
        found = records(
            store,
            None if what is None else Question.parse(what, server=server),
            fence=Fence(
                None if since is None else parse_time(since),
                None if until is None else parse_time(until),
                inside,
            ),
            types=[type_number(kind) for kind in kinds or ()],
            cases=case,
            simulated=case is not None,
        )
        count = write_cof(found, output)
    say(f"{count} records written")

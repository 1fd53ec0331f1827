"""Commands that write what other people's name servers need to answer as the sinkhole does."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from remnant.cli_audit import reads
from remnant.cli_shared import (
    CaseArgument,
    SinceOption,
    UntilOption,
    open_library,
    open_settings,
    say,
    split_names,
)

if TYPE_CHECKING:
    from remnant.cases.model import Case
    from remnant.sinkhole.exports import Export
    from remnant.sinkhole.servers import ServerName, Serving
    from remnant.sinkhole.zones import Zone
    from remnant.watchlist import Rule

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Files for other people's servers, which then answer as the sinkhole does.",
)

CasesArgument = Annotated[
    str, typer.Argument(help="Name of the case, or several with commas.", metavar="CASE")
]
FolderOption = Annotated[
    Path, typer.Option("--output", "-o", help="Folder for the files.", metavar="DIR")
]
AnswerOption = Annotated[
    list[str] | None,
    typer.Option(help="An address that names get, instead of the case's.", metavar="ADDR"),
]
SerialOption = Annotated[
    int | None,
    typer.Option(min=1, max=0xFFFFFFFF, help="Serial of all zones; default: the time."),
]
ListenOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Where the server answers; default: port 53 everywhere.", metavar="ADDR[@PORT]"
    ),
]
DnstapOption = Annotated[
    str | None,
    typer.Option(
        help="Where the server tells what it is asked: a file, unix:SOCKET, or none.",
        metavar="PATH",
    ),
]
RootOption = Annotated[
    str | None,
    typer.Option(help="Where the files will lie on the server; default: DIR.", metavar="PATH"),
]

NO_TAP: Final = "none"


class Action(StrEnum):
    """What a resolver does about a name or address that is listed."""

    NXDOMAIN = "nxdomain"
    NODATA = "nodata"
    WALLED_GARDEN = "walled-garden"
    LOG_ONLY = "log-only"


@app.command("zone", short_help="Zone files, and a catalog zone of them.")
@reads
def zone(
    case: CasesArgument,
    *,
    output: FolderOption,
    answer: AnswerOption = None,
    serial: SerialOption = None,
    catalog: Annotated[
        str | None,
        typer.Option(help="Name of the catalog zone; default: catalog.CASE.invalid."),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write a master file for each seized zone; zones that hold the same share one.

    zones.tsv lists them. Files whose content stays keep their serial and every byte.
    """
    from remnant.cases.indicators import name
    from remnant.sinkhole.catalog import catalog_text

    zones = _zones(case, answer, since, until)
    top = name(catalog) if catalog else f"catalog.{next(split_names(case))}.invalid"
    export = _export(output, serial)
    export.zones(zones)
    export.alone("catalog.zone", catalog_text(at.name for at in zones))
    export.finish()
    _tell(export)
    say(f"catalog zone {top}: {output / 'catalog.zone'}")


@app.command("knot", short_help="Zones and a configuration for Knot DNS.")
@reads
def knot(
    case: CasesArgument,
    *,
    output: FolderOption,
    answer: AnswerOption = None,
    serial: SerialOption = None,
    listen: ListenOption = None,
    dnstap: DnstapOption = None,
    root: RootOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write zone files and a configuration with which Knot answers as the sinkhole does."""
    zones = _zones(case, answer, since, until)
    _server("knot", zones, output, serial, _serving(output, listen, dnstap, root, "run/dnstap"))


@app.command("nsd", short_help="Zones and a configuration for NSD.")
@reads
def nsd(
    case: CasesArgument,
    *,
    output: FolderOption,
    answer: AnswerOption = None,
    serial: SerialOption = None,
    listen: ListenOption = None,
    dnstap: DnstapOption = None,
    root: RootOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write zone files and a configuration with which NSD answers as the sinkhole does."""
    zones = _zones(case, answer, since, until)
    _server("nsd", zones, output, serial, _serving(output, listen, dnstap, root, "run/sock"))


@app.command("bind", short_help="Zones and a configuration for BIND.")
@reads
def bind(
    case: CasesArgument,
    *,
    output: FolderOption,
    answer: AnswerOption = None,
    serial: SerialOption = None,
    listen: ListenOption = None,
    dnstap: DnstapOption = None,
    root: RootOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write zone files and a configuration with which BIND answers as the sinkhole does."""
    zones = _zones(case, answer, since, until)
    _server("bind", zones, output, serial, _serving(output, listen, dnstap, root, "run/dnstap"))


@app.command("unbound", short_help="Local data and a configuration for Unbound.")
@reads
def unbound(
    case: CasesArgument,
    *,
    output: FolderOption,
    answer: AnswerOption = None,
    serial: SerialOption = None,
    listen: ListenOption = None,
    dnstap: DnstapOption = None,
    root: RootOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write local data with which a resolver answers for the seized names by itself."""
    from remnant.sinkhole.unbound import unbound_files

    zones = _zones(case, answer, since, until)
    export = _export(output, serial)
    main = unbound_files(zones, export, _serving(output, listen, dnstap, root, "run/sock"))
    _tell(export, len(zones))
    say(f"configuration: {output / main}")


@app.command("rpz", short_help="A response policy zone for resolvers.")
@reads
def rpz(
    case: CaseArgument,
    *,
    output: FolderOption,
    action: Annotated[
        Action, typer.Option(help="What becomes of answers.", show_default=True)
    ] = Action.NXDOMAIN,
    garden: Annotated[
        list[str] | None,
        typer.Option(help="The walled garden: addresses, or one name.", metavar="ADDR|NAME"),
    ] = None,
    note: Annotated[str, typer.Option(help="A text for people, as TXT.")] = "",
    origin: Annotated[
        str | None, typer.Option(help="Name of the policy zone; default: rpz.CASE.invalid.")
    ] = None,
    ttl: Annotated[int, typer.Option(min=0, max=86_400, help="Seconds.", show_default=True)] = 60,
    answer: Annotated[
        list[str] | None,
        typer.Option(help="The sinkhole's own address, never listed.", metavar="ADDR"),
    ] = None,
    serial: SerialOption = None,
    root: RootOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write a response policy zone of a case's names, addresses and name servers.

    Generated names whose dates are past are left out, and so is what was lost.
    """
    from remnant.cases.indicators import address, looks_like_address, name
    from remnant.sinkhole.rpz import policy_of, rpz_files, rpz_text

    [(found, rules)] = _cases(case, since, until)
    top = name(origin) if origin else f"rpz.{found.name}.invalid"
    places = [address(at) if looks_like_address(at) else name(at) for at in garden or ()]
    own = [address(at) for at in answer or ()]
    own += [
        *(found.sinkhole.addresses if found.sinkhole else ()),
        *filter(looks_like_address, places),
    ]
    policy = policy_of(rules, top, now=time.time_ns() // 1000, own=own)
    text = rpz_text(policy, action=action.value, garden=places, note=note, ttl=ttl)
    export = _export(output, serial)
    number = rpz_files(export, text, top, _serving(output, None, NO_TAP, root, "").root)
    typer.echo(f"{policy.triggers:,} triggers in {top}, serial {number}: {output / 'rpz.zone'}")
    for names, why in (
        (policy.reserved, "a policy zone reads them as something else"),
        (policy.too_long, f"they do not fit before {top}"),
    ):
        if names:
            say(f"left out, because {why}: {len(names):,}, the first is {names[0]}")


def _cases(text: str, since: str | None, until: str | None) -> list[tuple[Case, list[Rule]]]:
    from remnant.cases.rules import compile_rules
    from remnant.windows import parse_time

    library = open_library(open_settings())
    start = parse_time(since) if since else None
    end = parse_time(until) if until else None
    found = [library.get(name) for name in dict.fromkeys(split_names(text))]
    return [(case, compile_rules(case, since=start, until=end)) for case in found]


def _zones(text: str, answer: list[str] | None, since: str | None, until: str | None) -> list[Zone]:
    from remnant.cases.indicators import address
    from remnant.sinkhole.zones import served_zones

    cases = _cases(text, since, until)
    return served_zones(
        cases,
        answer=[address(at) for at in answer or ()],
        now=time.time_ns() // 1000,
        serials={case.name: 0 for case, _ in cases},
    )


def _export(output: Path, serial: int | None) -> Export:
    from remnant.sinkhole.exports import Export

    return Export(output, now=int(time.time()), serial=serial)


def _serving(
    output: Path, listen: list[str] | None, dnstap: str | None, root: str | None, tap: str
) -> Serving:
    from remnant.sinkhole.servers import Listen, Serving

    where = root or str(output.resolve())
    path = f"{where}/{tap}" if dnstap is None else dnstap
    serving = Serving(where, dnstap="" if path == NO_TAP else path)
    if not listen:
        return serving
    return Serving(where, tuple(map(Listen.parse, listen)), serving.dnstap)


def _server(
    server: ServerName, zones: list[Zone], output: Path, serial: int | None, serving: Serving
) -> None:
    from remnant.sinkhole.servers import server_files

    export = _export(output, serial)
    main = server_files(server, zones, export, serving)
    _tell(export)
    say(f"configuration: {main}")


def _tell(export: Export, zones: int | None = None) -> None:
    count = len(export.placed) if zones is None else zones
    files = export.written + export.kept
    typer.echo(f"{count:,} zones, {files:,} files, {export.written:,} of them new or changed")

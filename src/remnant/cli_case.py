"""Commands about cases: what is watched."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remnant.cli_audit import changes, reads, recorded
from remnant.cli_shared import (
    CaseArgument,
    Format,
    FormatOption,
    emit,
    emit_json,
    open_library,
    open_settings,
    open_store,
    own_prefixes,
    say,
)
from remnant.web.access.actions import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.cases.model import Case
    from remnant.cases.preview import Preview

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="What is watched: one case per takedown."
)


class Role(StrEnum):
    """What an indicator is to the botnet."""

    C2 = "c2"
    DOWNLOAD = "download"
    DGA = "dga"
    FASTFLUX = "fastflux"
    NAMESERVER = "nameserver"


class State(StrEnum):
    """What the takedown made of an indicator."""

    SEIZED = "seized"
    SUSPENDED = "suspended"
    LIVE = "live"
    LOST = "lost"
    UNKNOWN = "unknown"


RoleOption = Annotated[
    Role | None, typer.Option(help="Role of indicators that do not say their own; else c2.")
]
StateOption = Annotated[
    State | None, typer.Option(help="State of indicators that do not say their own; else unknown.")
]


@app.command("new", short_help="Begin a case.")
@changes(Action.CASE_MADE, "case")
def new(
    case: CaseArgument,
    *,
    takedown: Annotated[
        str | None, typer.Option(help="When the names were taken: a date or a time with a zone.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    watch: Annotated[
        list[str] | None,
        typer.Option(help="A name, *.name, address or prefix to watch; may be repeated."),
    ] = None,
    role: RoleOption = None,
    state: StateOption = None,
) -> None:
    """Begin a case: from nothing, or as a copy of a built-in one that you can edit."""
    from remnant.cases.library import BUILT_IN
    from remnant.errors import CaseError

    library = open_library(open_settings())
    if takedown is None and not watch and case in BUILT_IN:
        ignored = [
            option
            for option, value in (("--title", title), ("--role", role), ("--state", state))
            if value is not None
        ]
        if ignored:
            raise CaseError(
                "a copy of a built-in case says these things itself",
                where=case,
                got=" ".join(ignored),
                hint="leave them out, and edit the copy; or begin another case with --takedown "
                "and --watch",
            )
        library.save(library.get(case), text=library.text(case))
    elif takedown is None:
        raise CaseError(
            "a new case needs the time of its takedown",
            got=case,
            expected="--takedown 2015-04-08",
            hint="built-in cases, which need none: " + ", ".join(BUILT_IN),
        )
    else:
        library.save(
            _from_options(
                case, takedown, title, watch or [], role or Role.C2, state or State.UNKNOWN
            )
        )
    say(f"Case {case} is stored; edit {library.path(case)}, then: remnant case check {case}")


def _from_options(
    name: str, takedown: str, title: str | None, watch: list[str], role: Role, state: State
) -> Case:
    """Return the case that options describe, read as a case file so that one set of rules holds."""
    import json
    import re

    from remnant.cases.casefile import loads
    from remnant.windows import iso, parse_time

    lines = [
        "[case]",
        f"name = {json.dumps(name)}",
        f"title = {json.dumps(title or name, ensure_ascii=True)}",
        f"takedown = {iso(parse_time(takedown))}",
    ]
    addresses = [text for text in watch if re.fullmatch(r"[0-9.]+(/\d+)?|[0-9A-Fa-f:.]*:.*", text)]
    names = [text for text in watch if text not in addresses]
    for key, values in (("names", names), ("addresses", addresses)):
        if values:
            lines += [
                "[[watch]]",
                f"{key} = {json.dumps(values)}",
                f'role = "{role.value}"',
                f'state = "{state.value}"',
            ]
    return loads("\n".join(lines) + "\n", f"remnant case new {name}")


@app.command("import", short_help="Make a case from a file.")
@changes(Action.CASE_MADE, "name", "path", also=(Action.CASE_EDITED,))
def import_case(
    path: Annotated[Path, typer.Argument(help="The file to read.", metavar="FILE")],
    *,
    name: Annotated[
        str | None, typer.Option(help="Name of the case; needed for all but a case file.")
    ] = None,
    takedown: Annotated[
        str | None, typer.Option(help="When the names were taken; needed as --name is.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    below: Annotated[
        bool, typer.Option("--below", help="Watch everything below each name as well.")
    ] = False,
    role: RoleOption = None,
    state: StateOption = None,
    source: Annotated[str | None, typer.Option(help="Where the indicators are from.")] = None,
    prefixes: Annotated[
        Path | None,
        typer.Option(help="A table of prefixes, AS and country for this case alone.", metavar="F"),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a stored case; its old version is kept.")
    ] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Make a case from a case file (TOML), a plain list, CSV, STIX 2.1 or MISP JSON.

    URLs, paths and address:port lines are listed and never watched as names.
    """
    from remnant.cases.importing import import_file
    from remnant.errors import CaseError, printable
    from remnant.windows import parse_time

    given = {"role": role, "state": state, "source": source}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    result = import_file(
        path,
        name=name,
        takedown=None if takedown is None else parse_time(takedown),
        title=title,
        below=below,
        **{key: str(value) for key, value in options.items()},
    )
    if options and result.format == "toml":
        raise CaseError(
            "a case file says itself what its indicators are and where they are from",
            where=str(path),
            got=" ".join(f"--{key}" for key in options),
            hint="leave these options out, and edit the file",
        )
    settings = open_settings()
    library = open_library(settings)
    table = None if prefixes is None else prefixes.read_bytes()
    was_there = library.origin(result.case.name) == "stored"
    recorded().about(
        f"{result.case.name} from {path}", Action.CASE_EDITED if was_there else Action.CASE_MADE
    )
    library.save(result.case, text=result.text, replace=replace)
    if table is not None:
        own_prefixes(settings, result.case.name).write_bytes(table)
    if output is Format.JSON:
        emit_json(result.to_json())
        return
    if output is Format.CSV:
        emit([e._asdict() for e in result.set_aside], output, ("place", "text", "reason"))
        return
    words = f", {result.families:,} family words" if result.families else ""
    typer.echo(
        f"{result.case.name}: {result.names:,} names and {result.addresses:,} addresses{words} "
        f"watched ({result.format}, {result.duplicates:,} duplicates merged)"
    )
    if result.set_aside_count:
        typer.echo(f"{result.set_aside_count:,} entries set aside, not watched:")
        for entry in result.set_aside[:20]:
            typer.echo(f"  {printable(entry.place)}: {printable(entry.text, 80)}  ({entry.reason})")
        if result.set_aside_count > 20:
            typer.echo("  … all of them: --format json")


@app.command("list", short_help="List the stored and built-in cases.")
@reads
def list_cases(*, output: FormatOption = Format.TABLE) -> None:
    """List the stored and the built-in cases."""
    from remnant.windows import iso

    settings = open_settings()
    entries = open_library(settings).list()
    rows = [
        {
            "name": entry.name,
            "title": entry.title,
            "takedown": None if entry.takedown is None else iso(entry.takedown),
            "origin": entry.origin,
            "problem": entry.problem,
        }
        for entry in entries
    ]
    broken = any(entry.problem for entry in entries)
    columns = ("name", "title", "takedown", "origin", *(("problem",) if broken else ()))
    emit(rows, output, columns)


@app.command("show", short_help="Show what a case watches.")
@reads
def show(case: CaseArgument, *, output: FormatOption = Format.TABLE) -> None:
    """Show what a case watches, and since when."""
    from remnant.cases.preview import preview
    from remnant.watchlist import FAMILY
    from remnant.windows import iso

    library = open_library(open_settings())
    found = preview(library.get(case))
    since = library.watched_since(case)
    if output is Format.JSON:
        emit_json(
            found.to_json()
            | {
                "origin": library.origin(case),
                "watched_since": {text: iso(time) for text, time in since.items()},
            }
        )
        return
    if output is Format.CSV:
        rows = [
            {
                "indicator": text,
                "role": watch.role,
                "state": watch.state,
                "watched_since": iso(since[text]) if text in since else None,
                "source": watch.source,
            }
            for watch in found.case.watches
            for text in (
                *watch.names,
                *watch.addresses,
                *(FAMILY + word for word in watch.families),
            )
        ]
        emit(rows, output, ("indicator", "role", "state", "watched_since", "source"))
        return
    _print_preview(found)
    if since:
        typer.echo(f"  watched     since {iso(min(since.values()))} (first version stored)")
    typer.echo(f"  origin      {library.origin(case)}")


@app.command("check", short_help="Check a case file or a stored case.")
@reads
def check(
    target: Annotated[
        str, typer.Argument(help="A case file, or the name of a case.", metavar="CASE|FILE")
    ],
    *,
    output: FormatOption = Format.TABLE,
) -> None:
    """Check a case file, or a stored case, and show what looks odd in it."""
    from remnant.cases.casefile import load
    from remnant.cases.preview import preview

    path = Path(target)
    is_file = path.suffix == ".toml" or "/" in target or path.is_file()
    found = preview(load(path) if is_file else open_library(open_settings()).get(target))
    if output is Format.JSON:
        emit_json(found.to_json())
    elif output is Format.CSV:
        rows = [{"path": w.path, "text": w.text, "message": w.message} for w in found.warnings]
        emit(rows, output, ("path", "text", "message"))
    else:
        _print_preview(found)


@app.command("dga", short_help="Print the names that a family generates.")
@reads
def generate(
    family: Annotated[
        str | None, typer.Argument(help="The family of generated names.", metavar="FAMILY")
    ] = None,
    *,
    since: Annotated[
        str | None, typer.Option("--from", help="First UTC day.", metavar="DATE")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Last UTC day, inclusive.", metavar="DATE")
    ] = None,
    families: Annotated[
        bool, typer.Option("--list", help="List the families that are known instead.")
    ] = False,
    output: Annotated[
        Format, typer.Option("--format", help="How to print; JSON is a contract.")
    ] = Format.CSV,
) -> None:
    """Print the names that hold on each day, a row of date and name for each.

    A list that holds for several days is printed for each of them.
    """
    if families:
        if family is not None or since is not None or until is not None:
            raise typer.BadParameter("it takes no family and no dates", param_hint="--list")
        _emit_families(output)
        return
    if family is None:
        raise typer.BadParameter("name a family, or --list them", param_hint="FAMILY")
    if since is None or until is None:
        raise typer.BadParameter("both are needed", param_hint="--from, --until")
    _emit_names(family, *_days(since, until), output)


def _days(since: str, until: str) -> tuple[int, int]:
    """Return two dates as ordinals, the second exclusive."""
    from datetime import date

    from remnant.windows import TimeSyntaxError

    try:
        first, last = date.fromisoformat(since), date.fromisoformat(until)
    except ValueError:
        raise TimeSyntaxError(
            "this is not a date", got=f"{since}, {until}", expected="2014-07-10"
        ) from None
    if last < first:
        raise TimeSyntaxError("the last day lies before the first", got=f"{since} to {until}")
    return first.toordinal(), last.toordinal() + 1


def _emit_families(output: Format) -> None:
    from remnant.cases.dga import FAMILIES

    columns = ("family", "title", "names", "epoch_days", "barrel", "lookups", "checked")
    rows = [
        {
            "family": found.name,
            "title": found.title,
            "names": found.per_day,
            "epoch_days": found.epoch_days,
            "barrel": found.barrel,
            "lookups": found.lookups,
            "checked": found.checked,
            "lookback_days": found.lookback_days,
            "barrel_source": found.barrel_source,
            "reference": found.reference,
        }
        for found in FAMILIES.values()
    ]
    emit(rows, output, columns)


def _emit_names(family: str, first: int, end: int, output: Format) -> None:
    """Print the names of each day from the first to the end (exclusive), a day at a time."""
    from datetime import date
    from itertools import islice

    from remnant.cases import dga

    found = dga.family(family)

    def lists() -> Iterator[tuple[str, list[str]]]:
        names: list[str] = []
        begun: date | int | None = first - 1
        for ordinal in range(first, end):
            day = date.fromordinal(ordinal)
            if begun != found.begins(day):
                begun = found.begins(day)
                names = found.generate(day)
            yield day.isoformat(), names

    if output is Format.CSV:
        # Letters, digits, dots and hyphens: nothing that a spreadsheet takes for more than text.
        typer.echo("date,name")
        for day, names in lists():
            typer.echo("\n".join([f"{day},{name}" for name in names]))
        return
    from remnant.report.text import MOST_ROWS, stream

    rows = ({"date": day, "name": name} for day, names in lists() for name in names)
    table = output is Format.TABLE
    for part in stream(islice(rows, MOST_ROWS) if table else rows, ("date", "name"), output.value):
        typer.echo(part, nl=False)
    if table and next(rows, None) is not None:
        say(f"These are the first {MOST_ROWS:,} rows; for all of them: --format csv")


@app.command("delete", short_help="Delete a case and all that was ingested for it.")
@changes(Action.CASE_DELETED, "case")
def delete(
    case: CaseArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a case with everything that is kept for it.

    That is what was ingested (sightings, clients, quarantine), its file with all versions, segments
    of the sinkhole, results of the dashboard and reports that it made. It says what that is, and
    asks.
    """
    from remnant.errors import CaseError
    from remnant.sinkhole.retention import count_segments, is_served, remove_case
    from remnant.web.traces import forget, traces

    settings = open_settings()
    library = open_library(settings)
    origin = library.origin(case)
    if is_served(settings, case):
        raise CaseError(
            "a sinkhole that runs serves this case",
            got=case,
            hint="stop it first, or start it with other cases",
        )
    with open_store(settings, write=True) as store:
        sources = len(store.view(case).sources)
        versions = len(library.versions(case)) if origin == "stored" else 0
        segments = count_segments(settings, case)
        dashboard = traces(settings, case)
        if origin != "stored" and not (sources or segments or dashboard):
            raise CaseError(
                "there is nothing stored for this case", got=case, hint="remnant case list"
            )
        if not yes:
            there = _listed(
                (sources, "source with all its rows", "sources with all their rows"),
                (versions, "version of its file", "versions of its file"),
                (segments, "segment of the sinkhole", "segments of the sinkhole"),
                *dashboard.counted,
            )
            typer.confirm(f"Delete case {case}: {there or 'nothing but its name'}?", abort=True)
        files = store.delete_case(case)
        segments = remove_case(settings, case)
    if origin == "stored":
        library.delete(case)
    gone = _listed(
        (files, "file of the store", "files of the store"),
        (versions, "version of its file", "versions of its file"),
        (segments, "segment of the sinkhole", "segments of the sinkhole"),
        *forget(settings, case).counted,
    )
    say(f"Case {case} is deleted ({gone or 'nothing else was kept'}).")


def _listed(*counted: tuple[int, str, str]) -> str:
    """Return what there is of things (their number, one, many) in words."""
    return ", ".join(f"{n:,} {one if n == 1 else many}" for n, one, many in counted if n)


def _print_preview(found: Preview) -> None:
    from remnant.errors import printable
    from remnant.windows import iso

    case = found.case
    typer.echo(f"{case.name}: {printable(case.title)}")
    typer.echo(f"  takedown    {iso(case.takedown)}")
    for title, counts in (
        ("watched", found.kinds),
        ("roles", found.roles),
        ("states", found.states),
    ):
        if counts:
            text = ", ".join(f"{count:,} {key}" for key, count in counts.items() if count)
            typer.echo(f"  {title:11} {text or 'nothing'}")
    zones = ", ".join(f"{printable(zone)} ({count})" for zone, count in found.top_zones[:5])
    typer.echo(f"  zones       {found.zones:,}" + (f": {zones}" if zones else ""))
    for family in found.generated:
        typer.echo(
            f"  generated   {family.family}: {family.names:,} names, "
            f"{family.first} to {family.last}"
        )
    for event in case.events:
        typer.echo(f"  event       {iso(event.time)} {event.kind}: {printable(event.note)}")
    if found.duplicates:
        typer.echo(f"  duplicates  {found.duplicates:,} merged")
    for warning in found.warnings[:20]:
        typer.echo(f"  warning     {warning.path}: {printable(warning.text)}: {warning.message}")
    if found.warning_count > 20:
        typer.echo(f"  … {found.warning_count:,} warnings in all: --format json")

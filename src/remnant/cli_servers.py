"""Commands about servers and names: what still lives, whom to ask, and registration data."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from remnant.cli_audit import changes, reads, recorded
from remnant.cli_shared import (
    CaseArgument,
    Format,
    FormatOption,
    Progress,
    SinceOption,
    UntilOption,
    emit,
    load_reference,
    open_library,
    open_settings,
    open_store,
    say,
)
from remnant.web.access.actions import Action

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from remnant.cases.model import Case
    from remnant.infrastructure.resolving import Answer, Resolver
    from remnant.infrastructure.server import Found, Server
    from remnant.settings import Settings
    from remnant.store import Store

__all__ = ["rdap_app", "servers"]

rdap_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Registration data (RDAP): who holds a name or a network, and whom to write to.",
    short_help="Registration data: who holds a name or network.",
)

_FILE_COLUMNS: Final = ("path", "objects", "new", "known", "refused", "dated_by")
_ASKED: Final = ("ask_kind", "ask_contact", "ask_name", "ask_registry", "ask_where")
_MOST_GROUPS: Final = 200
_MOST_BYTES: Final = 64 << 20
_MOST_CANDIDATES: Final = 5_000
_LONGEST: Final = 1024
_SHOWN: Final = (
    "observed",
    "kind",
    "key",
    "status",
    "registered",
    "expires",
    "registrar",
    "name_servers",
    "contact",
)


@rdap_app.command("import", short_help="Keep what RDAP responses say.")
@changes(Action.REGISTRATIONS_READ, "case", "paths")
def rdap_import(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="JSON files as RDAP servers give them, or folders of .json, .rdap, .jsonl.",
            metavar="PATH...",
        ),
    ],
    *,
    case: Annotated[
        str | None,
        typer.Option(help="Keep it for one case only; a simulated case sees nothing else."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="When the responses were given; else what they say, else the time of the file.",
            metavar="TIME",
        ),
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Keep what registries said of domains, networks and ASes, each with its time.

    Contacts of persons are not kept. The same file twice changes nothing; older data stay beside
    newer ones.
    """
    from remnant.errors import printable
    from remnant.infrastructure.registrations import import_files
    from remnant.store.observations import EVERYONE
    from remnant.windows import parse_time

    settings = open_settings()
    if case is not None:
        open_library(settings).get(case)
    time = None if at is None else parse_time(at)
    with open_store(settings, write=True) as store:
        results = list(import_files(store, paths, case=case or EVERYONE, at=time))
    emit([result.to_json() for result in results], output, _FILE_COLUMNS)
    for result in results:
        for why, count in sorted(result.refused.items()):
            say(f"{printable(result.path)}: {count:,} not read: {why}")
    named = {str(path) for path in paths}
    if any(result.path in named and not result.objects for result in results):
        raise typer.Exit(1)


@rdap_app.command("show", short_help="Show what was said of a name, an address or an AS.")
@reads
def rdap_show(
    what: Annotated[
        str, typer.Argument(help="A domain, an address, or ASN.", metavar="DOMAIN|ADDRESS|ASN")
    ],
    *,
    case: Annotated[
        str | None, typer.Option(help="Also what was imported for this case only.")
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show the registration data of a domain with their history, or of an address or an AS."""
    from remnant.infrastructure.registrations import Registrations
    from remnant.windows import iso

    settings = open_settings()
    with open_store(settings) as store:
        view = store.view(case or "")
        known = Registrations(store, case or "", simulated=view.simulated)
        found = _looked_up(known, what)
    rows = []
    for one in found:
        said = one.registration
        contact = said.contact("registrar" if said.kind == "domain" else "")
        row = said.to_json() | {"observed": iso(one.observed)}
        row["contact"] = None if contact is None else contact.email or contact.phone
        rows.append(row)
    emit(rows, output, _SHOWN)


def _looked_up(known: Any, what: str) -> list[Any]:
    import ipaddress

    from remnant.cases.zones import zone_of
    from remnant.names import fold

    number = what.upper().removeprefix("AS")
    if number.isascii() and number.isdecimal():
        one = known.system(int(number))
        return [] if one is None else [one]
    try:
        address = str(ipaddress.ip_address(what))
    except ValueError:
        name = fold(what)
        found = known.domains([name, zone_of(name)])
        return [*(found.get(name) or found.get(zone_of(name), []))]
    return [*known.networks([address]).values()]


@changes(Action.NAMES_RESOLVED, "case")
def servers(
    case: CaseArgument,
    *,
    alive: Annotated[
        bool, typer.Option("--alive", help="Only what was observed of late and needs action.")
    ] = False,
    days: Annotated[
        int, typer.Option(min=1, max=3650, help="Days before the end that count as of late.")
    ] = 14,
    since: SinceOption = None,
    until: UntilOption = None,
    resolve: Annotated[
        bool,
        typer.Option(
            "--resolve", help="First ask the resolver of the settings where the names lead now."
        ),
    ] = False,
    candidates: Annotated[
        Path | None,
        typer.Option(
            help="Also list what the map found: the JSON of remnant map CASE --candidates.",
            metavar="FILE",
        ),
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """List the servers behind a case, what became of them, and whom to ask to shut them down.

    From passive DNS and imported registration data; nothing is ever connected to a listed server.
    """
    from remnant.infrastructure.server import COLUMNS
    from remnant.windows import parse_time

    if not resolve:
        recorded().nothing()
    settings = open_settings()
    loaded = open_library(settings).get(case)
    start = None if since is None else parse_time(since)
    end = None if until is None else parse_time(until)
    more = [] if candidates is None else _candidates(candidates)
    if resolve:
        _resolve(settings, loaded, more)
    with open_store(settings) as store:
        found = _found(settings, store, loaded, start, end, days, more)
        simulated = store.view(case).simulated
    shown = [one for one in found.servers if one.alive or not alive]
    if output is Format.JSON:
        emit([one.to_json() for one in shown], output, ())
    elif output is Format.CSV:
        rows = [_flat(one) for one in shown]
        emit(rows, output, (*_ASKED, *COLUMNS, "prefix", "asn", "country", "note"))
    else:
        typer.echo(_text(shown, found, simulated=simulated), nl=False)
    for text in found.left_out:
        say(f"Left out: {text}.")


def _found(
    settings: Settings,
    store: Store,
    case: Case,
    since: datetime | None,
    until: datetime | None,
    days: int,
    candidates: Sequence[str],
) -> Found:
    from remnant.infrastructure.case_servers import case_servers

    view, reference = store.view(case.name), load_reference(settings, case.name)
    return case_servers(
        store,
        view,
        case,
        reference,
        since=since,
        until=until,
        alive_days=days,
        candidates=candidates,
    )


def _flat(server: Server) -> dict[str, Any]:
    """Return a server as one row without lists."""
    row = server.to_json()
    row |= {f"ask_{key}": value for key, value in row["ask"].items()}
    return row | {"evidence": "; ".join(row["evidence"])}


def _text(shown: Sequence[Server], found: Found, *, simulated: bool) -> str:
    """Return the list for reading: a table for each who is to be asked."""
    from itertools import groupby

    from remnant.infrastructure.server import COLUMNS
    from remnant.report.text import render

    living = sum(one.alive for one in found.servers)
    lines = [
        f"{'SIMULATED. ' if simulated else ''}{found.window}: {living:,} of {len(found.servers):,} "
        f"observed in the last {found.alive_days} days and not sunk, parked or gone.",
        "Observed means that a name was resolved to it; nothing was connected to.",
    ]
    for group, (_, members) in enumerate(groupby(shown, key=lambda one: one.ask.who)):
        if group == _MOST_GROUPS:
            lines += ["", "… and more; --format csv shows all"]
            break
        rows = list(members)
        lines += ["", _heading(rows)]
        flat = [_flat(one) | {"evidence": one.note or _flat(one)["evidence"]} for one in rows]
        lines.append(render(flat, [*COLUMNS], "table").rstrip("\n"))
    return "\n".join(lines) + "\n"


def _heading(rows: Sequence[Server]) -> str:
    from remnant.errors import printable

    ask, living = rows[0].ask, sum(one.alive for one in rows)
    if ask.kind == "nobody":
        return "Nobody need be asked" + (f": {printable(ask.name)}" if ask.name else "")
    names = f" ({printable(ask.name)})" if ask.name else ""
    if ask.contact:
        text = f"Ask {printable(ask.contact)}{names}"
    elif ask.name:
        text = f"Ask {printable(ask.name)}, no contact stated"
    else:
        text = f"Find out whom to ask: {printable(ask.registry or rows[0].ask.where)}"
    if ask.as_of:
        text += f", as registered {ask.as_of}"
    if ask.redacted:
        text += ", contact redacted"
    return f"{text}: {living:,} of {len(rows):,} live"


def _candidates(path: Path) -> list[str]:
    """Return names and addresses of a list of candidates, the best ones first."""
    import ipaddress
    import json

    from remnant.errors import FormatError
    from remnant.names import NameSyntaxError, fold

    try:
        with path.open("rb") as file:
            rows = json.loads(file.read(_MOST_BYTES))
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise FormatError(
            "this is no list of candidates",
            where=str(path),
            expected='[{"kind": "name", "value": "c2.example", ...}, ...]',
            hint="remnant map CASE --candidates --format json > FILE",
        )
    found = []
    for row in rows[:_MOST_CANDIDATES]:
        value = row.get("value") if isinstance(row, dict) else None
        if not isinstance(value, str) or len(value) > _LONGEST:
            continue
        try:
            found.append(str(ipaddress.ip_address(value)))
        except ValueError:
            with contextlib.suppress(NameSyntaxError):
                if row.get("kind") in {"name", "domain", "name_server", "mail_exchanger"}:
                    found.append(fold(value))
    return found


def _resolve(settings: Settings, case: Case, candidates: Sequence[str]) -> None:
    """Ask where the names of a case lead now, and keep the answers."""
    from remnant.errors import RemnantError
    from remnant.infrastructure.resolving import Resolver, ask

    resolver = Resolver.of(settings.resolve)
    with open_store(settings) as store:
        if store.view(case.name).simulated:
            raise RemnantError(
                "the names of a simulated case are not asked for",
                where=case.name,
                hint="its answers would be those of real names; leave out --resolve",
            )
        found = _found(settings, store, case, None, None, 1, candidates)
    if any(one.value == resolver.address for one in found.servers):
        raise RemnantError(
            "the resolver is one of the listed servers, which are never asked",
            where="resolve.server",
            got=resolver,
        )
    names = [one.value for one in found.servers if one.kind == "name"]
    zones = found.zones
    total = min(settings.resolve.most, 2 * len(names) + len(zones))
    answers: list[Answer] = []
    with Progress("asking", total, unit="questions") as bar:
        answers += ask(names, zones, resolver, settings.resolve, asked=bar.to)
    _keep(settings, answers, resolver)
    silent = sum(answer.rcode == "none" for answer in answers)
    say(
        f"Asked {resolver} for {len(answers):,} names: {len(answers) - silent:,} answers, "
        f"{sum(len(answer.records) for answer in answers):,} records."
    )
    if len(answers) < len(names) + len(zones):
        say(
            f"{len(names) + len(zones) - len(answers):,} names were not asked for: "
            + ("no answer came three times" if silent else "resolve.most is reached")
            + "."
        )


def _keep(settings: Settings, answers: Sequence[Answer], resolver: Resolver) -> None:
    """Keep answers as records of passive DNS that belong to no case, and as facts."""
    from datetime import UTC, datetime

    from remnant.capture import ReadOptions
    from remnant.capture.cof import CofReader
    from remnant.capture.stream import ByteStream
    from remnant.collate.ingest import ingest_source
    from remnant.infrastructure.passive_dns import UNASSIGNED
    from remnant.infrastructure.resolving import SENSOR, cof, facts
    from remnant.store.observations import Observations
    from remnant.watchlist import Watchlist

    data = cof(answers)
    with open_store(settings, write=True) as store:
        Observations(store.ledger).put(facts(answers, resolver))
        if not data:
            return
        path = f"answers of {resolver}"
        with ByteStream(io.BytesIO(data), path) as stream:
            ingest_source(
                stream,
                CofReader(),
                store,
                Watchlist.compile([]),
                ReadOptions(now=datetime.now(tz=UTC), answers="all"),
                cases=[UNASSIGNED],
                sensor=SENSOR,
                path=path,
            )

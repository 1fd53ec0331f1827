"""Commands that read the store and answer a question."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from remnant.cli_audit import changes, reads
from remnant.cli_shared import (
    CaseArgument,
    Format,
    FormatOption,
    SinceOption,
    UntilOption,
    VantageOption,
    emit,
    emit_json,
    load_reference,
    open_settings,
    open_store,
    open_view,
    say,
    window_of,
)
from remnant.web.access.actions import Action

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remnant.estimate.traffic import Key
    from remnant.store import View
    from remnant.windows import Step

__all__ = ["By", "clients", "judge", "report", "tell_watchlist_age", "traffic"]


LimitOption = Annotated[
    int | None,
    typer.Option(min=1, help="At most so many rows; a table has 2,000 unless told.", metavar="N"),
]


class By(StrEnum):
    """What ``traffic`` counts by."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    NAME = "name"
    NETWORK = "network"
    COUNTRY = "country"
    SENSOR = "sensor"


_KEYS = {
    By.NAME: ("name",),
    By.NETWORK: ("asn", "as_name", "country"),
    By.COUNTRY: ("country",),
    By.SENSOR: ("sensor",),
}


_UNLISTED_COLUMNS = (
    "name",
    "kind",
    "zone",
    "queries",
    "clients",
    "first",
    "last",
    "vantage",
    "unit",
)


_CLIENT_COLUMNS = (
    "address",
    "first",
    "last",
    "queries",
    "client_port",
    "proof",
    "role",
    "asn",
    "country",
    # A table leaves the rest out: it says little that is not seen, and lines get long.
    "as_name",
    "unit",
    "vantage",
)


_BYSTANDER_COLUMNS = (
    "address",
    "kind",
    "score",
    "excluded",
    "reason",
    "asn",
    "as_name",
    "country",
    "vantage",
)


@reads
def traffic(
    case: CaseArgument,
    *,
    by: Annotated[By, typer.Option(help="What to count by.")] = By.DAY,
    vantage: VantageOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    unlisted: Annotated[
        bool,
        typer.Option(
            "--unlisted",
            help="With --by name: what was asked for beside the list and nothing else counts: "
            "names in seized zones that the case does not list (kind unlisted), and generated "
            "names outside of their dates (kind outside).",
        ),
    ] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show queries and distinct clients, over time or by name, network, country or sensor.

    A gap (no sensor delivered) shows no number, never a zero.
    """
    from remnant.estimate.traffic import by_time, iter_key
    from remnant.estimate.traffic import unlisted as iter_unlisted

    if unlisted and by is not By.NAME:
        raise typer.BadParameter("it goes with --by name", param_hint="--unlisted")
    if unlisted and vantage is not None:
        raise typer.BadParameter("each row of --unlisted says its vantage", param_hint="--vantage")

    settings = open_settings()
    with open_store(settings) as store:
        loaded, view = open_view(settings, store, case)
        if unlisted:
            names = iter_unlisted(
                view,
                # All of it: names may be news when nothing else came yet.
                window_of(view, since, until) if since or until else None,
                limit=_asked_for(limit, output),
            )
            _emit_rows(names, output, _UNLISTED_COLUMNS, limit)
            return
        window = window_of(view, since, until)
        others = _others(view, vantage)
        if by in _KEYS:
            columns = (*_KEYS[by], "queries", "clients", "vantage", "unit")
            rows = iter_key(
                view,
                cast("Key", by.value),
                window=window,
                vantage=vantage,
                limit=_asked_for(limit, output),
            )
            _emit_rows(rows, output, columns, limit)
        else:
            if limit is not None:
                raise typer.BadParameter(
                    "it goes with --by name, network, country and sensor; "
                    "for a shorter time give --since and --until",
                    param_hint="--limit",
                )
            columns = ("start", "queries", "clients", "coverage", "vantage", "unit")
            emit(
                by_time(view, cast("Step", by.value), window=window, vantage=vantage),
                output,
                columns,
            )
        _tell_others(others)
        _tell_unlisted(case, view, window)
        tell_watchlist_age(settings, loaded, view)


def _others(view: View, asked: str | None) -> list[str]:
    """Return the other points of view there are, where nobody chose one.

    To be called before rows are read: the engine answers one question at a time.
    """
    from remnant.estimate.traffic import vantages

    return [] if asked is not None else vantages(view)[1:]


def _tell_others(found: Sequence[str]) -> None:
    if found:
        say(
            f"Seen from elsewhere too: {', '.join(found)} (--vantage chooses; they are never "
            "added together)."
        )


@reads
def clients(
    case: CaseArgument,
    *,
    network: Annotated[
        str | None, typer.Option(help="Only this AS (AS64500) or prefix (192.0.2.0/24).")
    ] = None,
    vantage: VantageOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    bystanders: Annotated[
        bool,
        typer.Option(
            "--bystanders",
            help="Those that show signs of being no victims instead: kind, score and reasons; from "
            "70 points on they are left out of the estimates of hosts.",
        ),
    ] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """List the addresses that were seen, with first and last time.

    A client is an address. It may stand for one infected host, several, or a resolver.
    """
    if bystanders and network is not None:
        raise typer.BadParameter("it does not go with --bystanders", param_hint="--network")
    from remnant.enrich.clients import iter_clients
    from remnant.estimate.coverage import choose_vantage, default_window

    settings = open_settings()
    with open_store(settings) as store:
        loaded, view = open_view(settings, store, case)
        others = _others(view, vantage)
        if bystanders:
            from remnant.estimate.basis import Basis
            from remnant.estimate.bystanders import table

            basis = Basis(
                view,
                loaded,
                settings,
                window_of(view, since, until) or default_window(view),
                choose_vantage(view, vantage),
            )
            found = table(basis, _asked_for(limit, output))
            signs = _BYSTANDER_COLUMNS if output is Format.CSV else _BYSTANDER_COLUMNS[:-3]
            _emit_rows(found, output, signs, limit)
            _tell_others(others)
            return
        rows = iter_clients(
            view,
            network=network,
            window=window_of(view, since, until),
            vantage=choose_vantage(view, vantage),
            limit=_asked_for(limit, output),
        )
        columns = _CLIENT_COLUMNS if output is Format.CSV else _CLIENT_COLUMNS[:-3]
        _emit_rows(rows, output, columns, limit)
        _tell_others(others)
        tell_watchlist_age(settings, loaded, view)


@reads
def judge(
    case: CaseArgument,
    *,
    vantage: VantageOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Say whether clean-up is working, with the evidence, or that it cannot be told yet."""
    from remnant.judge.verdict import judge as judge_case

    settings = open_settings()
    with open_store(settings) as store:
        loaded, view = open_view(settings, store, case)
        verdict: dict[str, Any] = judge_case(
            view, loaded, settings, window=window_of(view, since, until), vantage=vantage
        ).to_json()
        tell_watchlist_age(settings, loaded, view)
    if output is Format.JSON:
        emit_json(verdict)
    elif output is Format.CSV:
        flat: dict[str, Any] = {"state": verdict["state"], "sentence": verdict["sentence"]}
        for key in ("rate_per_day", "half_life_days"):
            flat |= {f"{key}_{part}": verdict[key][part] for part in ("value", "low", "high")}
        flat |= {"series": verdict["series"], "can_tell_by": verdict["can_tell_by"]}
        emit([flat], output, tuple(flat))
    else:
        from remnant.report.text import verdict_text

        typer.echo(verdict_text(verdict), nl=False)


@changes(Action.REPORT_MADE, "case", "path", "internal")
def report(
    case: CaseArgument,
    *,
    path: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")],
    figures: Annotated[
        Path | None, typer.Option(help="Also write each figure here as SVG, PNG and CSV.")
    ] = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Embed Vega, so that figures can be explored.")
    ] = False,
    internal: Annotated[
        bool, typer.Option("--internal", help="Show small counts; not for publication.")
    ] = False,
    vantage: VantageOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write the report: one self-contained HTML file."""
    settings = open_settings()
    with open_store(settings) as store:
        loaded, view = open_view(settings, store, case)
        write_report(
            settings,
            store,
            loaded,
            view,
            path,
            figures=figures,
            interactive=interactive,
            internal=internal,
            vantage=vantage,
            since=since,
            until=until,
        )


def write_report(
    settings: Any,
    store: Any,
    case: Any,
    view: Any,
    path: Path,
    *,
    figures: Path | None = None,
    interactive: bool = False,
    internal: bool = False,
    vantage: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> None:
    from datetime import UTC, datetime

    from remnant.report import atlas
    from remnant.report.content import gather
    from remnant.report.html import write

    now = datetime.now(tz=UTC)
    content = gather(
        view,
        case,
        settings,
        window=window_of(view, since, until),
        vantage=vantage,
        internal=internal,
        now=now,
    )
    drawn = atlas.gather(
        store,
        view,
        case,
        settings,
        load_reference(settings, case.name),
        window=content.window,
        vantage=content.vantage,
        internal=internal,
        now=now,
    )
    write(content, path, atlas=drawn, figures=figures, interactive=interactive)
    tell_watchlist_age(settings, case, view)
    say(f"Report: {path.resolve()}")
    if figures is not None:
        say(f"Figures: {figures.resolve()}")


def _asked_for(limit: int | None, output: Format) -> int | None:
    """Return how many rows to ask for: of a table one more than it shows, to know if it is all."""
    from remnant.report.text import MOST_ROWS

    return MOST_ROWS + 1 if limit is None and output is Format.TABLE else limit


def _emit_rows(
    rows: Iterator[dict[str, Any]], output: Format, columns: Sequence[str], limit: int | None
) -> None:
    """Print rows as they come; of a table without a limit only the first."""
    from itertools import islice

    from remnant.report.text import MOST_ROWS, stream

    short = limit is None and output is Format.TABLE
    for part in stream(islice(rows, MOST_ROWS) if short else rows, columns, output.value):
        typer.echo(part, nl=False)
    if short and next(rows, None) is not None:
        say(f"These are the first {MOST_ROWS:,} rows; for all of them: --format csv")


def _tell_unlisted(case: str, view: Any, window: Any) -> None:
    """Say that names were asked for which no number counts."""
    from remnant.estimate.traffic import count_unlisted

    queries, names = count_unlisted(view, window)
    if queries:
        say(
            f"{queries:,} {'query' if queries == 1 else 'queries'} for {names:,} unlisted "
            f"{'name' if names == 1 else 'names'} in seized zones: "
            f"remnant traffic {case} --by name --unlisted"
        )
    queries, names = count_unlisted(view, window, outside=True)
    if queries:
        say(
            f"{queries:,} {'query' if queries == 1 else 'queries'} for {names:,} generated "
            f"{'name' if names == 1 else 'names'} outside of {'its' if names == 1 else 'their'} "
            f"dates: remnant traffic {case} --by name --unlisted"
        )


def tell_watchlist_age(settings: Any, case: Any, view: Any) -> None:
    """Say how many sources were read with an older watchlist, and what is watched since when."""
    from remnant.judge.watched import watched

    found = watched(view, case, settings)
    if found.age:
        say(f"{found.age}; to read them again: remnant ingest {case.name} PATH...")
        if found.since:
            say(f"{found.since[0].upper()}{found.since[1:]}")

"""The command that draws a case's infrastructure: what its names and addresses are joined to."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from remnant.cli_audit import reads
from remnant.cli_shared import (
    CaseArgument,
    Format,
    SinceOption,
    UntilOption,
    emit,
    emit_json,
    load_reference,
    open_library,
    open_settings,
    open_store,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remnant.cases.model import Case
    from remnant.infrastructure.graph import Graph
    from remnant.infrastructure.rank import Candidate
    from remnant.settings import Settings
    from remnant.store import Store, View
    from remnant.windows import Window

__all__ = ["MapFormat", "map_case"]


class MapFormat(StrEnum):
    """How a map is printed, or written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    VIEWER = "viewer"
    GRAPHML = "graphml"
    GEXF = "gexf"
    STIX = "stix"
    MISP = "misp"
    SVG = "svg"
    PNG = "png"
    TRAFFIC_SVG = "traffic-svg"
    TRAFFIC_PNG = "traffic-png"


class CandidateKind(StrEnum):
    """Kinds of things that a ranking lists."""

    NAME = "name"
    DOMAIN = "domain"
    NAME_SERVER = "name_server"
    ADDRESS = "address"


class Over(StrEnum):
    """Steps in which traffic is told."""

    HOUR = "hour"
    DAY = "day"


_PRINTED: Final = {MapFormat.TABLE: Format.TABLE, MapFormat.JSON: Format.JSON}
_TRAFFIC: Final = frozenset({MapFormat.TRAFFIC_SVG, MapFormat.TRAFFIC_PNG})
_HUBS: Final = 20
_NAMED: Final = frozenset({"name", "domain", "name_server", "mail_exchanger"})
_CANDIDATE: Final = ("score", "kind", "value", "reasons")
_STEP: Final = ("start", "network", "name", "queries", "clients", "covered", "vantage", "unit")
_EDGE: Final = ("tail", "type", "head", "time_first", "time_last", "count", "clients", "sensors")
_NO_RECORDS: Final = (
    "No passive DNS holds the names or addresses of this case: import some with "
    "remnant pdns import PATH..., or keep answers with remnant ingest CASE PATH... --answers all"
)


@reads
def map_case(
    case: CaseArgument,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
    hops: Annotated[
        int | None,
        typer.Option(min=1, max=12, help="Rounds of pivoting; default: the settings'."),
    ] = None,
    candidates: Annotated[
        bool,
        typer.Option(
            "--candidates", help="List what most likely belongs to the botnet too, with reasons."
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Candidates at most.")] = 50,
    kind: Annotated[
        list[CandidateKind] | None,
        typer.Option(
            "--kind",
            help="Kinds of candidates; may be given more than once. Default: all but addresses, "
            "which remnant servers --candidates lists.",
        ),
    ] = None,
    layout: Annotated[
        bool, typer.Option("--layout", help="Print the map with positions, for a viewer (JSON).")
    ] = False,
    flux: Annotated[
        bool,
        typer.Option(
            "--flux",
            help="List how the addresses of each name on the map change: fast flux or not, and "
            "why; with --kind address what leads to each address.",
        ),
    ] = False,
    traffic: Annotated[
        bool,
        typer.Option("--traffic", help="Add the networks from which clients asked for the names."),
    ] = False,
    over: Annotated[
        Over | None,
        typer.Option(
            "--over",
            help="With --traffic: print how many queries and clients each network sent for each "
            "name, by hour or by day, instead of the map.",
        ),
    ] = None,
    output: Annotated[
        MapFormat,
        typer.Option(
            "--format", help="How to print, or what to write with -o; JSON is a contract."
        ),
    ] = MapFormat.TABLE,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a file instead.", metavar="FILE")
    ] = None,
) -> None:
    """Map what a case's names and addresses are joined to, in passive DNS and over time.

    From the records of the case and those of imports; nothing is ever connected to. Shared hosting,
    sinkholes and the like join nothing; what is left out is counted, with the reason.
    """
    settings = open_settings()
    loaded = open_library(settings).get(case)
    if layout:
        output = MapFormat.VIEWER
    traffic = traffic or output in _TRAFFIC
    if over is not None and not traffic:
        raise typer.BadParameter("it goes with --traffic", param_hint="--over")
    listed = "--candidates" * candidates or "--flux" * flux or "--over" * (over is not None)
    _check(output, file, listed=listed)
    with open_store(settings) as store:
        view = store.view(case)
        window = _window(since, until)
        graph = _graph(settings, store, view, loaded, window, hops)
        if over is not None:
            _print_steps(_steps(graph, view, window, over), output)
            return
        shown = _asked(graph, view, window) if traffic else graph
        simulated = view.simulated
        features = _flux(settings, store, loaded, graph, window, limit, kind) if flux else ([], ())
    if not graph.is_observed:
        say(_NO_RECORDS)
    if flux:
        _print_features(*features, output)
    elif candidates:
        _print_candidates(_ranked(graph, limit, kind), output)
    elif file is not None or output not in {*_PRINTED, MapFormat.CSV}:
        rows = [one.to_json() for one in _ranked(graph, limit, kind)]
        _write(settings, loaded, shown, rows, output, file, window=window, simulated=simulated)
        return
    elif output is MapFormat.JSON:
        emit_json(_json(loaded, shown, window, simulated=simulated))
    elif output is MapFormat.CSV:
        emit(_edges(shown), Format.CSV, _EDGE)
    else:
        typer.echo(_text(loaded, shown, window, simulated=simulated), nl=False)
    if traffic and not candidates and not flux:
        say(
            "Counts of clients are exact here, also small ones: not for publication. Files "
            f"written with -o hide those under {settings.report.minimum_count}."
        )


def _check(output: MapFormat, file: Path | None, *, listed: str) -> None:
    from remnant.errors import RemnantError

    printed = {*_PRINTED, MapFormat.CSV}
    if listed and (file is not None or output not in printed):
        raise RemnantError(
            f"{listed} prints a list",
            got=f"--format {output.value}" + ("" if file is None else " -o"),
            expected="--format table, json or csv, to standard output",
            hint=f"for a map leave out {listed}: one that is written marks the candidates as well",
        )
    if file is not None and output in _PRINTED:
        raise RemnantError(
            "the file needs a format",
            got=f"--format {output.value}",
            expected="viewer, graphml, gexf, stix, misp, csv, svg, png, traffic-svg or traffic-png",
        )
    if output in {MapFormat.PNG, MapFormat.TRAFFIC_PNG} and file is None:
        got = f"--format {output.value}"
        raise RemnantError("a picture is not printed", got=got, expected="-o FILE")


def _window(since: str | None, until: str | None) -> Window | None:
    """Return the window of the options; open ends reach as far as records can."""
    from datetime import UTC, datetime, timedelta

    from remnant.infrastructure.unusable import EARLIEST
    from remnant.windows import Window, parse_time

    if since is None and until is None:
        return None
    start = EARLIEST if since is None else parse_time(since)
    end = datetime.now(tz=UTC) + timedelta(days=1) if until is None else parse_time(until)
    return Window(start, end)


def _graph(
    settings: Settings,
    store: Store,
    view: View,
    case: Case,
    window: Window | None,
    hops: int | None,
) -> Graph:
    from remnant.infrastructure.case_map import case_map

    reference = load_reference(settings, case.name)
    return case_map(store, view, case, settings, reference, window=window, hops=hops)


def _flux(
    settings: Settings,
    store: Store,
    case: Case,
    graph: Graph,
    window: Window | None,
    limit: int,
    kinds: Sequence[CandidateKind] | None,
) -> tuple[list[dict[str, Any]], Sequence[str]]:
    """Return features of the names on a map, or of what leads to its addresses, and columns."""
    import pyarrow as pa

    from remnant.infrastructure import flux
    from remnant.infrastructure.pivots import StoredPivots

    reference = load_reference(settings, case.name)
    owners = [
        (str(row["kind"]), row["value"])
        for row in graph.nodes.select(["kind", "value"]).to_pylist()
        if row["kind"] in _NAMED
    ]
    asked = pa.array([value for _, value in owners], pa.string())
    answers = StoredPivots(store, case.name).rows(asked)
    names = [value for kind, value in owners if kind in {"name", "domain"}]
    if kinds == [CandidateKind.ADDRESS]:
        judged = flux.features(answers, reference, window=window, names=names)
        fluxed = [row["name"] for row in judged if row["state"] == "flux"]
        rows = flux.address_features(
            answers, reference, window=window, flux_names=fluxed, most=limit
        )
        return rows, flux.ADDRESS_COLUMNS
    return flux.features(answers, reference, window=window, names=names, most=limit), flux.SHOWN


def _print_features(rows: list[dict[str, Any]], columns: Sequence[str], output: MapFormat) -> None:
    if output is MapFormat.JSON:
        emit_json(rows)
        return
    flat = [row | {"sensors": " ".join(row["sensors"])} for row in rows]
    whole = list(rows[0]) if rows and output is MapFormat.CSV else columns
    emit(flat, Format(output.value), whole)


def _asked(graph: Graph, view: View, window: Window | None) -> Graph:
    """Return the map with the networks that asked for its names, where there is traffic."""
    from remnant.errors import NoData
    from remnant.infrastructure.traffic import with_traffic

    try:
        return with_traffic(graph, view, window)
    except NoData as none:
        say(f"No networks of clients: {none.what}")
        return graph


def _steps(graph: Graph, view: View, window: Window | None, step: Over) -> Iterator[dict[str, Any]]:
    """Yield what each network asked for each name, one interval after the other.

    Zeros are left out; an interval that no sensor covered is one row of nulls.
    """
    from remnant.infrastructure.traffic import slider

    kinds = graph.nodes.select(["kind", "value"]).to_pylist()
    names = [row["value"] for row in kinds if row["kind"] in _NAMED]
    found = slider(view, names, window, step=step.value)
    seen = {"vantage": found.vantage, "unit": found.unit}
    for place, start in enumerate(found.starts):
        if not found.covered[place]:
            nothing = dict.fromkeys(("network", "name", "queries", "clients"))
            yield {"start": start, **nothing, "covered": False, **seen}
            continue
        for edge in found.queries[:, place].nonzero()[0].tolist():
            yield {
                "start": start,
                "network": found.networks[edge],
                "name": found.names[edge],
                "queries": int(found.queries[edge, place]),
                "clients": int(found.clients[edge, place]),
                "covered": True,
                **seen,
            }


def _print_steps(rows: Iterator[dict[str, Any]], output: MapFormat) -> None:
    from remnant.report.text import stream

    for part in stream(rows, _STEP, output.value):
        typer.echo(part, nl=False)


def _ranked(
    graph: Graph, limit: int, kinds: Sequence[CandidateKind] | None = None
) -> list[Candidate]:
    from remnant.infrastructure.rank import LISTED, candidates

    chosen = LISTED if not kinds else [kind.value for kind in kinds]
    return candidates(graph, limit=limit, kinds=chosen)


def _print_candidates(found: Sequence[Candidate], output: MapFormat) -> None:
    rows = [one.to_json() for one in found]
    if output is MapFormat.JSON:
        emit_json(rows)
        return
    flat = [row | {"reasons": "; ".join(row["reasons"])} for row in rows]
    emit(flat, Format(output.value), _CANDIDATE)


def _write(
    settings: Settings,
    case: Case,
    graph: Graph,
    rows: list[dict[str, Any]],
    output: MapFormat,
    file: Path | None,
    *,
    window: Window | None,
    simulated: bool,
) -> None:
    from datetime import UTC, datetime

    from remnant.report.mapexport import map_bytes, write_map
    from remnant.report.mapfacts import MapFacts

    facts = MapFacts(
        case=case.name,
        title=case.title,
        window=window,
        source="passive DNS",
        made=datetime.now(tz=UTC).replace(microsecond=0),
        simulated=simulated,
        minimum=settings.report.minimum_count,
        takedown=case.takedown,
    )
    if file is None:
        typer.echo(map_bytes(graph, rows, output.value, facts=facts).decode(), nl=False)
        return
    for path in write_map(graph, rows, output.value, file, facts=facts):
        say(f"Wrote {path}")


def _edges(graph: Graph) -> list[dict[str, Any]]:
    """Return the relations as rows, their ends by value."""
    from remnant.windows import iso

    values = graph.nodes["value"].to_pylist()
    rows = []
    for row in graph.edges.to_pylist():
        for name in ("time_first", "time_last"):
            row[name] = None if row[name] is None else iso(row[name])
        sensors = " ".join(row["sensors"])
        rows.append(
            row | {"tail": values[row["tail"]], "head": values[row["head"]], "sensors": sensors}
        )
    return rows


def _json(case: Case, graph: Graph, window: Window | None, *, simulated: bool) -> dict[str, Any]:
    from remnant.windows import iso

    def rows(table: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = table.to_pylist()
        for row in found:
            for name in ("time_first", "time_last"):
                if row.get(name) is not None:
                    row[name] = iso(row[name])
        return found

    return {
        "case": case.name,
        "simulated": simulated,
        "window": None if window is None else [iso(window.since), iso(window.until)],
        "nodes": rows(graph.nodes),
        "edges": rows(graph.edges),
        "left_out": rows(graph.left_out),
    }


def _text(case: Case, graph: Graph, window: Window | None, *, simulated: bool) -> str:
    """Return a summary for reading: how many things and relations, hubs, and what is left out."""
    from remnant.report.text import render

    nodes = graph.nodes.to_pylist()
    edges = graph.edges.select(["type", "time_first", "time_last"]).to_pylist()
    hubs = [row for row in nodes if row["hub"] is not None]
    hubs.sort(key=lambda row: (-row["degree"], row["value"]))
    kinds = Counter(row["kind"] for row in nodes)
    seeds = Counter(row["kind"] for row in nodes if row["seed"])
    shut = Counter(row["kind"] for row in hubs)
    types = Counter(row["type"] for row in edges)
    over = "all records" if window is None else str(window)
    lines = [
        f"{'SIMULATED. ' if simulated else ''}Map of {case.name}: {len(nodes):,} things, "
        f"{len(edges):,} relations, from {sum(seeds.values()):,} seeds ({over}).",
        "A relation is what sensors of passive DNS saw; it is no proof of who runs a server.",
        "",
    ]
    table = [
        {"thing": kind, "number": kinds[kind], "seeds": seeds[kind], "hubs": shut[kind]}
        for kind in sorted(kinds)
    ]
    lines.append(render(table, ["thing", "number", "seeds", "hubs"], "table"))
    spans = [
        {"relation": kind, "number": types[kind], **_span(edges, kind)} for kind in sorted(types)
    ]
    lines.append(render(spans, ["relation", "number", "first", "last"], "table"))
    if hubs:
        shown = f" (the {_HUBS} largest)" if len(hubs) > _HUBS else ""
        lines.append(f"{len(hubs):,} hubs, which join nothing{shown}:")
        rows = [{"neighbours": row["degree"], **row} for row in hubs[:_HUBS]]
        lines.append(render(rows, ["kind", "value", "neighbours", "hub"], "table"))
    left = graph.left_out.to_pylist()
    if left:
        lines.append("Left out:")
        lines.append(render(left, ["what", "reason", "count", "example"], "table"))
    return "\n".join(lines).rstrip("\n") + "\n"


def _span(edges: Sequence[dict[str, Any]], kind: str) -> dict[str, str | None]:
    from remnant.windows import iso

    dated = [row for row in edges if row["type"] == kind and row["time_first"] is not None]
    if not dated:
        return {"first": None, "last": None}
    first, last = min(r["time_first"] for r in dated), max(r["time_last"] for r in dated)
    return {"first": iso(first)[:10], "last": iso(last)[:10]}

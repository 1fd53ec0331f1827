"""The map as a file: for the viewer, for graph programs, for exchange, for print.

Everything but internal files shows client networks only from a number of clients on
(``MapFacts.minimum``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from remnant.errors import RemnantError
from remnant.infrastructure.layout import arrange, layout
from remnant.report.export import write_whole
from remnant.report.mapfacts import candidate_ranks, published
from remnant.report.mapfigure import map_svg
from remnant.report.mapjson import viewer_json
from remnant.report.mapmisp import misp_event
from remnant.report.mapstix import TLP, stix_bundle
from remnant.report.mapxml import EDGE_FIELDS, NODE_FIELDS, gexf, graphml
from remnant.report.text import to_csv
from remnant.report.trafficfigure import traffic_svg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from remnant.infrastructure.graph import Graph
    from remnant.report.mapfacts import Candidate, MapFacts

__all__ = ["FORMATS", "csv_tables", "map_bytes", "png", "write_map"]

FORMATS: Final = {
    "viewer": "json",
    "graphml": "graphml",
    "gexf": "gexf",
    "stix": "json",
    "misp": "json",
    "csv": "csv",
    "svg": "svg",
    "png": "png",
    "traffic-svg": "svg",
    "traffic-png": "png",
}
"""What ``write_map`` writes -> the usual ending of the file."""


def write_map(
    graph: Graph,
    candidates: Sequence[Candidate],
    format_: str,
    path: Path,
    *,
    facts: MapFacts,
    threshold: int = 3,
    previous: Mapping[str, tuple[float, float]] | None = None,
    tlp: str = "amber",
) -> list[Path]:
    """Write the map as one file, or two where it is CSV; return the paths.

    Args:
        graph: the map, cut to the window (``Graph.during``).
        candidates: rows with kind, value, score and reasons, best first.
        format_: one of ``FORMATS``.
        path: the file; for CSV ``NAME-nodes.csv`` and ``NAME-edges.csv`` beside it.
        facts: what stands beside the map.
        threshold: fewest nodes that are folded into one in figures and for the viewer; 0: none.
        previous: where nodes lay in an earlier map (``Arrangement.positions``).
        tlp: who may see it, in STIX and MISP: clear, green, amber or red.

    Raises:
        RemnantError: an unknown format or traffic light, or the file cannot be written.
    """
    if format_ == "csv":
        nodes, edges = csv_tables(published(graph, facts.minimum))
        paths = [path.with_name(f"{path.stem}-{part}.csv") for part in ("nodes", "edges")]
        for where, text in zip(paths, (nodes, edges), strict=True):
            write_whole(where, text.encode())
        return paths
    data = map_bytes(
        *(graph, candidates, format_), facts=facts, threshold=threshold, previous=previous, tlp=tlp
    )
    write_whole(path, data)
    return [path]


def map_bytes(
    graph: Graph,
    candidates: Sequence[Candidate],
    format_: str,
    *,
    facts: MapFacts,
    threshold: int = 3,
    previous: Mapping[str, tuple[float, float]] | None = None,
    tlp: str = "amber",
) -> bytes:
    """Return the map in a format of one file; arguments as of ``write_map``.

    Raises:
        RemnantError: an unknown format or traffic light.
    """
    _check("format", format_, [name for name in FORMATS if name != "csv"])
    _check("traffic light", tlp, list(TLP))
    shown = published(graph, facts.minimum)
    if format_ == "graphml":
        return graphml(shown, facts).encode()
    if format_ == "gexf":
        return gexf(shown, facts, layout(shown, previous=previous)).encode()
    if format_ in {"stix", "misp"}:
        made: Any = (stix_bundle if format_ == "stix" else misp_event)(
            shown, candidates, facts, tlp=tlp
        )
        return (json.dumps(made, indent=1, allow_nan=False) + "\n").encode()
    if format_.startswith("traffic"):
        drawn = traffic_svg(shown, facts)
        return png(drawn) if format_.endswith("png") else drawn.encode()
    keep = list(candidate_ranks(shown, candidates))
    made = arrange(shown, threshold=threshold, keep=keep, previous=previous)
    if format_ == "viewer":
        return viewer_json(shown, made, candidates, facts)
    drawn = map_svg(made, candidates, facts)
    return png(drawn) if format_ == "png" else drawn.encode()


def csv_tables(graph: Graph) -> tuple[str, str]:
    """Return nodes and edges as CSV; an edge names its ends by number, kind and value."""
    rows = graph.nodes.to_pylist()
    nodes = to_csv(
        ["number", *NODE_FIELDS],
        ([n, *(row[name] for name in NODE_FIELDS)] for n, row in enumerate(rows)),
    )
    ends = ("tail", "head")
    columns = [f"{end}{part}" for end in ends for part in ("", "_kind", "_value")]
    edges = to_csv(
        [*columns, *EDGE_FIELDS],
        (
            [
                part
                for end in ends
                for part in (row[end], rows[row[end]]["kind"], rows[row[end]]["value"])
            ]
            + [row[name] for name in EDGE_FIELDS]
            for row in graph.edges.to_pylist()
        ),
    )
    return nodes, edges


def png(svg: str, scale: float = 2.0) -> bytes:
    """Return an SVG document as PNG, ``scale`` device pixels for each of its own."""
    import vl_convert  # noqa: PLC0415 - a JavaScript engine, loaded when a figure is drawn

    return bytes(vl_convert.svg_to_png(svg, scale=scale))


def _check(what: str, got: str, known: list[str]) -> None:
    if got not in known:
        raise RemnantError(f"unknown {what}", got=got, expected=", ".join(known))

"""The map of a case for its page: what the viewer draws, its candidates, and the whole map behind.

What is kept is plain data that JSON can hold; what is large in it (the viewer's JSON, the whole map
as tables, the picture) is packed, as text. ``unpacked`` and ``whole`` read it again.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from remnant.infrastructure.graph import Graph
    from remnant.infrastructure.layout import Arrangement
    from remnant.infrastructure.rank import Ranking
    from remnant.infrastructure.traffic import Slider
    from remnant.report.mapfacts import Candidate, MapFacts
    from remnant.settings import Settings

__all__ = ["MOST_CANDIDATES", "MOST_DRAWN", "facts_of", "mapped", "told", "unpacked", "whole"]

MOST_CANDIDATES: Final = 50
MOST_DRAWN: Final = 5_000
"""Things of a map that a picture of it can still show."""

_MOST_NETWORKS: Final = 5_000
_MOST_SLIDER: Final = 1_000
_SHARE: Final = 1000
_PLACES: Final = "map-places.json"


def mapped(settings: Settings, case: str, *, internal: bool) -> dict[str, Any]:
    """Return the map of a case: see ``told``.

    Where an earlier map of it was laid out its places are kept, so that new data move nothing.
    """
    from remnant.cases.library import Library
    from remnant.cli_shared import load_reference
    from remnant.errors import NoData
    from remnant.infrastructure.case_map import case_map
    from remnant.infrastructure.rank import ranking
    from remnant.infrastructure.traffic import named, slider, with_traffic
    from remnant.report.mapfacts import MapFacts, published
    from remnant.report.wording import VANTAGE_WORDS
    from remnant.web.results.kinds import opened

    library = Library(settings.home)
    loaded = library.get(case)
    minimum = 0 if internal else settings.report.minimum_count
    days: Slider | None = None
    with opened(settings, case) as (store, view):
        plain = case_map(store, view, loaded, settings, load_reference(settings, case))
        ranked = ranking(plain) if internal and plain.is_observed else None
        graph, source = plain, "passive DNS"
        try:
            graph = with_traffic(plain, view, most=_MOST_NETWORKS)
            if internal:
                days = slider(view, named(plain), most=_MOST_SLIDER)
                seen = VANTAGE_WORDS.get(days.vantage, (days.vantage, ""))[0]
                source = f"passive DNS; requests seen by: {seen}"
        except NoData:
            pass
        simulated = view.simulated
    facts = MapFacts(
        case=loaded.name,
        title=loaded.title,
        window=None,
        source=source,
        made=datetime.now(tz=UTC).replace(microsecond=0),
        simulated=simulated,
        minimum=minimum,
        takedown=loaded.takedown,
    )
    rows = [] if ranked is None else [one.to_json() for one in ranked.best(MOST_CANDIDATES)]
    path = library.path(case).with_name(_PLACES)
    value, arranged = told(
        *(published(graph, minimum), rows, facts),
        ranked=ranked,
        days=days,
        previous=_places(path) if internal else None,
        drawn=plain,
    )
    if internal:
        _keep_places(path, arranged.positions(graph))
    return value


def told(
    graph: Graph,
    candidates: Sequence[Candidate],
    facts: MapFacts,
    *,
    ranked: Ranking | None = None,
    days: Slider | None = None,
    previous: Mapping[str, tuple[float, float]] | None = None,
    drawn: Graph | None = None,
) -> tuple[dict[str, Any], Arrangement]:
    """Return what the page of a map needs, and how it was laid out.

    Args:
        graph: the whole map.
        candidates: rows of the ranking, best first.
        facts: what stands beside the map.
        ranked: the scores of its things; the map it was made of comes first in ``graph``.
        days: traffic of its edges, day by day.
        previous: places of an earlier map (``Arrangement.positions``).
        drawn: the map for the picture; null: ``graph``.
    """
    from remnant.infrastructure.layout import arrange
    from remnant.report.mapfacts import candidate_ranks

    ranks = candidate_ranks(graph, candidates)
    arranged = arrange(graph, keep=list(ranks), previous=previous)
    value = {
        "case": facts.case,
        "title": facts.title,
        "source": facts.source,
        "line": facts.line[:1].upper() + facts.line[1:],
        "simulated": facts.simulated,
        "minimum": facts.minimum,
        "takedown": facts.takedown and facts.takedown.isoformat(),
        "made": facts.made.isoformat(),
        "observed": graph.is_observed,
        "things": len(graph),
        "relations": graph.edges.num_rows,
        "seeds": int(graph.seeds.size),
        "hubs": int(graph.hubs.sum()),
        "kinds": Counter(graph.kinds).most_common(),
        "notes": list(ranked.notes) if ranked else [],
        "candidates": [{"rank": rank, **row} for rank, row in enumerate(candidates, 1)],
        "left_out": graph.left_out.to_pylist(),
        "viewer": _packed(_viewer(graph, arranged, candidates, facts, ranked)),
        "members": _packed(_members(graph, arranged)),
        "days": None if days is None else _packed(_days(graph, arranged, days)),
        "figure": _figure(graph if drawn is None else drawn, candidates, facts),
        "tables": [_table(graph.nodes), _table(graph.edges)],
    }
    return value, arranged


def unpacked(text: str) -> bytes:
    """Return what was packed, still compressed with gzip."""
    return base64.b64decode(text)


def whole(value: Mapping[str, Any]) -> Graph:
    """Return the whole map of a result; the last few are kept."""
    return _whole(*value["tables"])


@lru_cache(maxsize=4)
def _whole(*packed: str) -> Graph:
    from remnant.infrastructure.graph import Graph

    nodes, edges = (
        pa.ipc.open_stream(gzip.decompress(unpacked(text))).read_all() for text in packed
    )
    return Graph(nodes, edges)


def facts_of(value: Mapping[str, Any]) -> MapFacts:
    """Return what stands beside the map of a result."""
    from remnant.report.mapfacts import MapFacts

    takedown = value["takedown"]
    return MapFacts(
        case=value["case"],
        title=value["title"],
        window=None,
        source=value["source"],
        made=datetime.fromisoformat(value["made"]),
        simulated=value["simulated"],
        minimum=value["minimum"],
        takedown=takedown and datetime.fromisoformat(takedown),
    )


def _packed(data: object) -> str:
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii")
    return base64.b64encode(gzip.compress(text, 6, mtime=0)).decode("ascii")


def _table(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = gzip.compress(sink.getvalue().to_pybytes(), 1, mtime=0)
    return base64.b64encode(data).decode("ascii")


def _figure(graph: Graph, candidates: Sequence[Candidate], facts: MapFacts) -> str | None:
    """Return the picture of the infrastructure; null where there is too much for one."""
    if not len(graph) or len(graph) > MOST_DRAWN:
        return None
    from remnant.infrastructure.layout import arrange
    from remnant.report.mapfacts import candidate_ranks
    from remnant.report.mapfigure import map_svg

    shown = arrange(graph, keep=list(candidate_ranks(graph, candidates)))
    svg = map_svg(shown, candidates, facts).encode()
    return base64.b64encode(gzip.compress(svg, 6, mtime=0)).decode("ascii")


def _viewer(
    graph: Graph,
    arranged: Arrangement,
    candidates: Sequence[Candidate],
    facts: MapFacts,
    ranked: Ranking | None,
) -> dict[str, Any]:
    """Return the map for the viewer, and ``nodes.score``: thousandths, 0 where not scored."""
    from remnant.report.mapjson import to_viewer

    data = to_viewer(graph, arranged, candidates, facts)
    scores = np.zeros(len(graph), np.int64)
    if ranked is not None:
        holding = ranked.relations.holding
        scores[: holding.size] = np.rint(ranked.scores[holding] * _SHARE)
    best = np.zeros(len(arranged.folded.graph), np.int64)
    np.maximum.at(best, arranged.folded.of, scores)
    best[arranged.folded.graph.seeds] = _SHARE
    best[arranged.folded.graph.hubs] = 0
    data["nodes"]["score"] = best.tolist() if ranked is not None else []
    return data


def _members(graph: Graph, arranged: Arrangement) -> dict[str, Any]:
    """Return what folded nodes stand for, one by one, and the edges of these.

    Members are numbered on from the nodes of the folded map: those of its first folded node first.
    ``edges`` are in the form of the viewer's, between such numbers; the others it has already.
    """
    from remnant.report.mapjson import edge_columns, node_columns, origin_of

    folded = arranged.folded
    inside = np.flatnonzero(folded.sizes[folded.of[folded.order]] > 1)
    members = folded.order[inside]
    number = _numbers(arranged)
    taken = graph.nodes.take(pa.array(members, pa.int64()))
    origin = origin_of(folded.graph)
    touched = (number[graph.tails] >= len(folded.graph)) | (
        number[graph.heads] >= len(folded.graph)
    )
    return {
        "nodes": node_columns(taken, origin),
        "edges": edge_columns(
            graph.edges.filter(pa.array(touched)),
            *(number[graph.tails][touched], number[graph.heads][touched]),
            origin,
        ),
    }


def _numbers(arranged: Arrangement) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the viewer's number of each thing of the whole map."""
    folded = arranged.folded
    number = folded.of.copy()
    members = folded.order[folded.sizes[folded.of[folded.order]] > 1]
    number[members] = len(folded.graph) + np.arange(members.size)
    return number


def _days(graph: Graph, arranged: Arrangement, days: Slider) -> dict[str, Any]:
    """Return the traffic of edges day by day, their ends as the viewer's numbers.

    ``others`` is the row for all edges that have none by themselves, null where there are none.
    """
    known = {
        key: place
        for place, key in enumerate(zip(graph.kinds, graph.nodes["value"].to_pylist(), strict=True))
    }
    number = _numbers(arranged)
    named = {value: place for (kind, value), place in known.items() if kind != "client_network"}
    tails, heads, rows = [], [], []
    for row, (network, name) in enumerate(zip(days.networks, days.names, strict=True)):
        tail, head = known.get(("client_network", network)), named.get(name)
        if tail is not None and head is not None:
            tails.append(int(number[tail]))
            heads.append(int(number[head]))
            rows.append(row)
    rest = np.setdiff1d(np.arange(len(days.names)), rows)
    data = days.to_json()
    return {
        "step": days.step,
        "vantage": days.vantage,
        "unit": days.unit,
        "starts": data["starts"],
        "covered": days.covered.astype(int).tolist(),
        "tail": tails,
        "head": heads,
        "queries": [data["queries"][row] for row in rows],
        "clients": [data["clients"][row] for row in rows],
        "others": days.queries[rest].sum(axis=0).tolist() if rest.size else None,
        "other_edges": days.others,
    }


def _places(path: Path) -> dict[str, tuple[float, float]] | None:
    """Return where things of the last map lay; null where there was none, or it is broken."""
    try:
        data = json.loads(path.read_bytes())
        return {str(key): (float(x), float(y)) for key, (x, y) in data.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def _keep_places(path: Path, places: Mapping[str, tuple[float, float]]) -> None:
    """Keep where things lie for the next map, beside the case file: they go with the case."""
    from remnant.errors import RemnantError
    from remnant.report.export import write_whole

    rounded = {key: (round(x, 2), round(y, 2)) for key, (x, y) in places.items()}
    try:
        if path.parent.is_dir():
            write_whole(path, json.dumps(rounded).encode("ascii"))
    except RemnantError:
        # A folder that cannot be written: the next map is laid out afresh.
        return

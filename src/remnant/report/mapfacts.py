"""What stands beside a map wherever it goes: case, window, source, coverage, and who may see it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.report.wording import day, legible, percent, window_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import numpy.typing as npt

    from remnant.infrastructure.graph import Graph
    from remnant.windows import Window

    Candidate = Mapping[str, Any]

__all__ = ["KIND_WORDS", "MapFacts", "candidate_ranks", "published"]

KIND_WORDS: Final = {
    "name": ("name", "names"),
    "domain": ("registered domain", "registered domains"),
    "address": ("address", "addresses"),
    "prefix": ("prefix", "prefixes"),
    "asn": ("network (AS)", "networks (AS)"),
    "name_server": ("name server", "name servers"),
    "mail_exchanger": ("mail exchanger", "mail exchangers"),
    "sinkhole": ("sinkhole", "sinkholes"),
    "client_network": ("client network", "client networks"),
}
"""Kind of node -> its name, one and several."""

_HIDDEN: Final = "networks with few clients"


@dataclass(frozen=True, slots=True)
class MapFacts:
    """What is told beside a map.

    Attributes:
        case: name of the case.
        title: of the case, for people.
        window: of the edges; null where they are all that is known.
        source: what the map is made of, in a few words.
        made: when; also the time of modification in exchange formats.
        takedown: of the case: the creation time in exchange formats, where an object with the same
            id must keep it; null takes ``made``.
        coverage: share of the window's sensor hours that delivered; null where not known.
        simulated: whether the records are made up.
        minimum: client networks with fewer clients are not shown apart; 0 for internal use.
    """

    case: str
    title: str
    window: Window | None
    source: str
    made: datetime
    coverage: float | None = None
    simulated: bool = False
    minimum: int = 10
    takedown: datetime | None = None

    @property
    def heading(self) -> str:
        """The title of a figure."""
        head = "SIMULATED: " if self.simulated else ""
        return head + legible(self.title, 100)

    @property
    def line(self) -> str:
        """Window, source, coverage and age, in one line."""
        covered = (
            "coverage not known"
            if self.coverage is None
            else f"sensors delivered {percent(self.coverage)} of the time"
        )
        window = "all times on record" if self.window is None else window_words(self.window)
        return f"{window} · {legible(self.source, 120)} · {covered} · as of {day(self.made)}"


def candidate_ranks(graph: Graph, candidates: Sequence[Candidate]) -> dict[int, int]:
    """Return the rank (from 1) of the nodes that are candidates; others are not on the map.

    Args:
        graph: the map.
        candidates: rows with ``kind`` and ``value``, best first.
    """
    wanted = {(str(c["kind"]), str(c["value"])): k for k, c in enumerate(candidates, 1)}
    values = graph.nodes["value"].to_pylist()
    return {
        number: wanted[key]
        for number, key in enumerate(zip(graph.kinds, values, strict=True))
        if key in wanted
    }


def published(graph: Graph, minimum: int) -> Graph:
    """Return the map as it may be published: client networks with few clients are one node.

    The clients of a network are not known here, only those that asked for each name: their largest
    number is the least that the network can have. A network below ``minimum`` goes into one node
    for all of these, whose edges carry the queries but no clients. Where only one would be hidden
    the next smallest is hidden with it, for the rest of the total would tell its count. Where
    edges of a network that stays have fewer clients, those are left out too. Edges with fewer than
    ``minimum`` queries are left out, and where that would be one edge of a name the next smallest
    too.

    The first and the last query of a network are each of one client: whoever has the network's own
    logs finds it by the exact time. So of client networks only the days (UTC) are told, and no
    sources, which say the same by their file. All other times are whole seconds, as passive DNS is
    exchanged: a microsecond would name one message.

    Args:
        graph: the map.
        minimum: 0 or 1 hides nothing.
    """
    if minimum < 2:
        return graph
    networks = np.flatnonzero(np.array(graph.kinds) == "client_network")
    if not networks.size:
        return replace(graph, nodes=_rounded(graph.nodes), edges=_rounded(graph.edges))
    clients = np.zeros(len(graph), np.int64)
    asks: Any = graph.edges["clients"]
    asked = np.asarray(pc.fill_null(asks, 0).to_numpy(), np.int64)
    np.maximum.at(clients, graph.tails, asked)
    small = networks[clients[networks] < minimum]
    if small.size == 1 and networks.size > 1:
        rest = networks[clients[networks] >= minimum]
        small = np.append(small, rest[np.argmin(clients[rest])])
    nodes, edges = graph.nodes, _without_small(graph.edges, asked, minimum)
    if small.size:
        nodes, edges = _together(nodes, edges, small)
    edges = _without_few_queries(edges, minimum)
    return replace(
        graph,
        nodes=_rounded(nodes, _is(nodes["kind"], "client_network")),
        edges=_rounded(_without_sources(edges), _is(edges["type"], "asks")),
    )


def _is(column: pa.ChunkedArray[Any], word: str) -> Any:  # noqa: ANN401 - Arrow
    return pc.equal(column.cast(pa.string()), pa.scalar(word))


def _rounded(table: pa.Table, days: Any = None) -> pa.Table:  # noqa: ANN401 - Arrow
    """Return nodes or edges with times down to whole seconds, those of some rows to days."""
    for name in ("time_first", "time_last"):
        times: Any = pc.floor_temporal(table[name], unit="second")
        if days is not None:
            times = pc.if_else(days, pc.floor_temporal(table[name], unit="day"), times)
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(name), times)
    return table


def _without_sources(edges: pa.Table) -> pa.Table:
    """Return edges, those of client networks without sources."""
    index = edges.schema.get_field_index("sources")
    field = edges.schema.field(index)
    nothing: Any = pa.array([[]], field.type)[0]
    kept: Any = pc.if_else(_is(edges["type"], "asks"), nothing, edges["sources"])
    return edges.set_column(index, field, kept)


def _without_few_queries(edges: pa.Table, minimum: int) -> pa.Table:
    """Return the edges without those of few queries."""
    asks: Any = _is(edges["type"], "asks")
    asking = np.flatnonzero(asks.to_numpy(zero_copy_only=False))
    kept = np.ones(edges.num_rows, np.bool_)
    heads = np.asarray(edges["head"].to_numpy())[asking]
    counts = np.asarray(edges["count"].to_numpy(), np.int64)[asking]
    kept[asking[_few(heads, counts, minimum)]] = False
    return edges.filter(pa.array(kept))


def _few(
    heads: npt.NDArray[np.int32], counts: npt.NDArray[np.int64], minimum: int
) -> npt.NDArray[np.bool_]:
    """Return which edges are left out: those of few queries.

    Where that is one edge of a name, the next smallest of the name goes with it: the sum of the
    name's queries is published elsewhere, and the rest of it would tell the one.
    """
    few = counts < minimum
    order = np.lexsort((counts, heads))
    firsts = np.flatnonzero(np.diff(heads[order], prepend=-1))
    ends = np.append(firsts[1:], len(order))
    hidden = np.add.reduceat(few[order], firsts, dtype=np.int64) if firsts.size else firsts
    alone = (hidden == 1) & (ends - firsts > 1)
    few[order[firsts[alone] + 1]] = True
    return few


def _without_small(edges: pa.Table, clients: npt.NDArray[np.int64], minimum: int) -> pa.Table:
    """Return the edges without their number of clients where that is small."""
    index = edges.schema.get_field_index("clients")
    kept: Any = pc.if_else(
        pa.array(clients >= minimum), edges["clients"], pa.scalar(None, pa.int64())
    )
    return edges.set_column(index, edges.schema.field("clients"), kept)


def _together(
    nodes: pa.Table, edges: pa.Table, small: npt.NDArray[np.int64]
) -> tuple[pa.Table, pa.Table]:
    """Return the map with some client networks as one node, at the place of the first."""
    first = int(small[0])
    count = nodes.num_rows
    kept = np.ones(count, np.bool_)
    kept[small[1:]] = False
    place = np.cumsum(kept, dtype=np.int32) - 1
    hidden = np.zeros(count, np.bool_)
    hidden[small] = True
    place[small] = place[first]
    told: dict[str, Any] = {"value": _HIDDEN, "label": f"{small.size:,} {_HIDDEN}"}
    told |= {"asn": None, "country": None}
    rows = nodes.take(small)
    told |= {"time_first": pc.min(rows["time_first"]).as_py()}
    told |= {"time_last": pc.max(rows["time_last"]).as_py()}
    told["hop"] = pc.min(rows["hop"]).as_py()
    asked = np.asarray(edges["head"].to_numpy())[np.isin(edges["tail"].to_numpy(), small)]
    told["degree"] = int(np.unique(asked).size)
    lead = pa.Table.from_pylist([nodes.slice(first, 1).to_pylist()[0] | told], schema=nodes.schema)
    whole = pa.concat_tables([nodes.slice(0, first), lead, nodes.slice(first + 1)])
    tails, heads = (np.asarray(edges[end].to_numpy(), np.int32) for end in ("tail", "head"))
    for index, name, ends in ((0, "tail", tails), (1, "head", heads)):
        edges = edges.set_column(index, edges.schema.field(name), pa.array(place[ends]))
    theirs = pa.array(hidden[tails])
    merged = _added(edges.filter(theirs))
    return (
        whole.filter(pa.array(kept)),
        pa.concat_tables([edges.filter(pc.invert(theirs)), merged]),
    )


def _added(edges: pa.Table) -> pa.Table:
    """Return edges with the same ends and type as one, without clients, sensors and sources."""
    plain = edges.set_column(2, "type", edges["type"].cast(pa.string()))
    keys = ["tail", "head", "type"]
    sums = plain.group_by(keys, use_threads=False).aggregate(
        [("time_first", "min"), ("time_last", "max"), ("count", "sum")]
    )
    sums = sums.sort_by([(key, "ascending") for key in keys])
    nothing = pa.array([[]] * sums.num_rows, pa.list_(pa.string()))
    columns: dict[str, Any] = {
        **{key: sums[key] for key in keys},
        "time_first": sums["time_first_min"],
        "time_last": sums["time_last_max"],
        "count": sums["count_sum"],
        "clients": pa.nulls(sums.num_rows, pa.int64()),
        "sensors": nothing,
        "sources": nothing,
    }
    schema = edges.schema
    return pa.table([columns[n].cast(schema.field(n).type) for n in schema.names], schema=schema)

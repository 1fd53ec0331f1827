"""Traffic on the map: which networks ask for which names, how much, and when.

An edge goes from a network of clients to a name of the map. Counts are of one vantage: the same
lookup is seen at a resolver and again at the sinkhole, so vantages are never added up. A client is
an address, not a host; distinct clients of two edges do not add up.

Counts are exact and may be small: who publishes them hides those below the minimum
(``report.suppress``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.estimate.coverage import by_step, choose_vantage, default_window
from remnant.estimate.distinct import distinct_clients
from remnant.estimate.traffic import sightings, unit_of
from remnant.schema import CLIENTS, EDGES, NODES
from remnant.windows import STEPS, Step, Window, iso, to_us

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy.typing as npt

    from remnant.infrastructure.graph import Graph
    from remnant.store import View

__all__ = [
    "MOST_EDGES",
    "OTHER",
    "UNKNOWN",
    "Asks",
    "By",
    "Slider",
    "asks",
    "joined",
    "named",
    "slider",
    "with_traffic",
]

By = Literal["asn", "prefix", "country"]
"""What a network of clients is: an AS, a routed prefix, or a country."""

MOST_EDGES: Final = 20_000
"""Edges that are added to a map, those with most queries."""

UNKNOWN: Final = "unknown"
"""The network of clients that the reference data do not know."""

_NO_AS: Final = -1
_OFF: Final = -1
"""In place of a number: no AS is known, or the name is not on the map."""

OTHER: Final = "other"
"""Network and name of the row of a slider that stands for all other edges."""

_NAMED: Final = ("name", "domain", "name_server", "mail_exchanger", "sinkhole")


@dataclass(frozen=True, slots=True)
class Asks:
    """What networks of clients asked for, in a window at one vantage.

    Attributes:
        edges: columns network (text), name (a node's value), country (null where clients of the
            network are in several, or it is not known), queries, clients (distinct), time_first,
            time_last, sensors, sources (lists, sorted); those with most queries first.
        window: what is counted.
        vantage: where it was seen.
        unit: what one client is: ipv4, ipv6_64 or mixed.
        by: what a network is.
        left_out: queries of edges beyond the bound.
        not_on_map: queries for names of which neither they nor what watches them is on the map.
    """

    edges: pa.Table
    window: Window
    vantage: str
    unit: str
    by: By
    left_out: int
    not_on_map: int


@dataclass(frozen=True, slots=True)
class Slider:
    """Traffic of edges over time.

    Attributes:
        step: hour or day.
        starts: starts of the intervals (ISO 8601): n of them.
        networks: network of each edge: m of them; the last one is OTHER where there are others.
        names: name of each edge.
        queries: int64[m, n]: queries of an interval.
        clients: int64[m, n]: distinct clients of an interval; they do not add up.
        covered: bool[n]: whether any sensor delivered; where none did a zero means nothing.
        window: what is told.
        vantage: where it was seen.
        unit: what one client is.
        others: how many edges the last row stands for.
        exact: counts are not yet fit to be published: small ones must be hidden first.
    """

    step: Step
    starts: tuple[str, ...]
    networks: tuple[str, ...]
    names: tuple[str, ...]
    queries: npt.NDArray[np.int64]
    clients: npt.NDArray[np.int64]
    covered: npt.NDArray[np.bool_]
    window: Window
    vantage: str
    unit: str
    others: int
    exact: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return plain data in columns; null in intervals in which nobody looked."""
        known = self.covered.tolist()

        def columns(counts: npt.NDArray[np.int64]) -> list[list[int | None]]:
            return [
                [value if here else None for value, here in zip(row, known, strict=True)]
                for row in counts.tolist()
            ]

        return {
            "step": self.step,
            "since": iso(self.window.since),
            "until": iso(self.window.until),
            "vantage": self.vantage,
            "unit": self.unit,
            "exact": self.exact,
            "others": self.others,
            "starts": list(self.starts),
            "networks": list(self.networks),
            "names": list(self.names),
            "queries": columns(self.queries),
            "clients": columns(self.clients),
        }


def asks(
    view: View,
    names: Sequence[str],
    window: Window | None = None,
    vantage: str | None = None,
    *,
    by: By = "asn",
    most: int = MOST_EDGES,
) -> Asks:
    """Return what networks of clients asked for, for some names.

    A query counts for its name, or for the name of the watch rule that it hit where only that is
    among the names.

    Args:
        view: the case.
        names: folded names, as on a map.
        window: default: the first to the last covered hour.
        vantage: default: the first that the case has.
        by: what a network is.
        most: edges at most.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    import ibis  # noqa: PLC0415 - heavy

    vantage = choose_vantage(view, vantage)
    window = window or default_window(view)
    edges = _edges(view, names, window, vantage, by)
    table = _on_map(view, names, window, vantage, by)
    total = edges.aggregate(
        all=edges.queries.sum(), off=edges.queries.sum(where=edges.target == _OFF)
    )
    (sums,) = total.to_pyarrow().to_pylist()
    table = table.filter(table.target != _OFF)
    clients = distinct_clients(view, window, vantage, table, "place", "target")
    found = edges.join(clients, ["place", "target"])
    found = _told(found.select(*edges.columns, "clients"), names, by)
    order = [ibis.desc("queries"), ibis.desc("clients"), "network", "name"]
    chosen = view.kept(
        ("largest edges", _key(names, window, vantage, by), most),
        lambda: found.order_by(order).limit(most),
    )
    which = table.semi_join(chosen, ["place", "target"])
    which = which.select("place", "target", "sensor", "source").distinct()
    seen = which.group_by("place", "target").aggregate(
        sensors=which.sensor.collect(distinct=True), sources=which.source.collect(distinct=True)
    )
    rows = chosen.join(seen, ["place", "target"])
    rows = rows.select(*chosen.columns, "sensors", "sources").order_by(order).to_pyarrow()
    queries = int(pc.sum(rows["queries"]).as_py() or 0)
    every, off = int(sums["all"] or 0), int(sums["off"] or 0)
    same: Any = pc.equal(rows["country_low"], rows["country_high"])
    country: Any = pc.if_else(same, rows["country_low"], pa.scalar(None, pa.string()))
    columns = {name: rows[name] for name in ("network", "queries", "clients")}
    columns |= {"name": rows["name"], "country": country}
    columns |= {name: rows[name] for name in ("time_first", "time_last")}
    columns |= {name: _sorted_lists(rows[name]) for name in ("sensors", "sources")}
    return Asks(
        pa.table(columns), window, vantage, unit_of(view, vantage), by, every - off - queries, off
    )


def with_traffic(
    graph: Graph,
    view: View,
    window: Window | None = None,
    vantage: str | None = None,
    *,
    by: By = "asn",
    most: int = MOST_EDGES,
) -> Graph:
    """Return a map with networks of clients and what they asked for; see ``asks``.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    return joined(graph, asks(view, named(graph), window, vantage, by=by, most=most))


def joined(graph: Graph, found: Asks) -> Graph:
    """Return a map with networks of clients and what they asked for.

    Args:
        graph: the map; ``asks`` was asked about what ``named`` gives of it.
        found: what networks asked for. Names that are not on the map are passed over.
    """
    edges = found.edges
    numbers: Any = pc.index_in(edges["name"], value_set=_values(graph))
    edges = edges.filter(pc.is_valid(numbers))
    if not edges.num_rows:
        return graph
    heads = _numbers_of(graph)[pc.drop_null(numbers).to_numpy(zero_copy_only=False)]
    network: Any = edges["network"].combine_chunks().dictionary_encode()
    codes = network.indices.to_numpy()
    tails = codes + len(graph)
    hops = np.full(len(network.dictionary), np.iinfo(np.int32).max, np.int64)
    np.minimum.at(hops, codes, graph.nodes["hop"].to_numpy()[heads] + 1)
    nodes = pa.concat_tables([graph.nodes, _networks(edges, network, hops, found.by)])
    added = {
        "tail": pa.array(tails, pa.int32()),
        "head": pa.array(heads, pa.int32()),
        "type": pa.array(["asks"] * edges.num_rows),
        "time_first": edges["time_first"],
        "time_last": edges["time_last"],
        "count": edges["queries"],
        "clients": edges["clients"],
        "sensors": edges["sensors"],
        "sources": edges["sources"],
    }
    edges = pa.concat_tables([graph.edges, _conform(added, EDGES.arrow)])
    return replace(graph, nodes=nodes, edges=edges)


def named(graph: Graph) -> list[str]:
    """Return the names on a map, for ``asks``."""
    values: list[str] = _values(graph).to_pylist()
    return values


def slider(
    view: View,
    names: Sequence[str],
    window: Window | None = None,
    vantage: str | None = None,
    *,
    by: By = "asn",
    step: Step = "day",
    most: int = 200,
) -> Slider:
    """Return the traffic of the edges with most queries over time, and of all others together.

    Args:
        view: the case.
        names: folded names, as on a map.
        window: default: the first to the last covered hour.
        vantage: default: the first that the case has.
        by: what a network is.
        step: hour or day.
        most: edges by themselves at most.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    import ibis  # noqa: PLC0415 - heavy

    vantage = choose_vantage(view, vantage)
    window = window or default_window(view)
    edges = _edges(view, names, window, vantage, by)
    edges = edges.filter(edges.target != _OFF)
    order = [ibis.desc("queries"), "network", "name"]
    count = int(edges.count().to_pyarrow().as_py())
    top = _told(edges, names, by).order_by(order).limit(most).to_pyarrow()
    place = pa.array(np.arange(top.num_rows), pa.int64())
    chosen = ibis.memtable(top.select(["place", "target"]).append_column("edge", place))
    width = int(STEPS[step].total_seconds())
    table = _on_map(view, names, window, vantage, by)
    table = table.filter(table.target != _OFF).left_join(chosen, ["place", "target"])
    table = table.mutate(
        edge=table.edge.fill_null(top.num_rows), interval=table.time.epoch_seconds() // width
    )
    # One question after the other: together, an engine would put all rows of the table aside.
    sums = table.group_by("edge", "interval").aggregate(queries=table.weight.sum()).to_pyarrow()
    counts = distinct_clients(view, window, vantage, table, "edge", "interval").to_pyarrow()
    coverage = by_step(view, window, step, vantage)
    starts: list[Any] = coverage["start"].to_pylist()
    first = to_us(starts[0]) // 1_000_000 // width if starts else 0
    others = count - top.num_rows
    shape = (top.num_rows + (others > 0), len(starts))
    queries, clients = np.zeros((2, *shape), np.int64)
    for matrix, rows in ((queries, sums), (clients, counts)):
        cells = rows["edge"].to_numpy(), rows["interval"].to_numpy() - first
        matrix[cells] = rows[rows.column_names[-1]].to_numpy()
    last = [OTHER] * (others > 0)
    return Slider(
        step,
        tuple(iso(start) for start in starts),
        (*top["network"].to_pylist(), *last),
        (*top["name"].to_pylist(), *last),
        queries,
        clients,
        np.array([bool(share) for share in coverage["coverage"].to_pylist()], bool),
        window,
        vantage,
        unit_of(view, vantage),
        others,
    )


def _on_map(view: View, names: Sequence[str], window: Window, vantage: str, by: By) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the sightings of a window with the network they come from and the name they are for.

    Columns of sightings, ``place``, and ``target``: the number of a name among ``names``, or
    ``_OFF`` where it is not on the map. Numbers and places without a null can be joined.
    """
    import ibis  # noqa: PLC0415 - heavy

    table = sightings(view, window, vantage)
    known = pa.array(dict.fromkeys(names), pa.string())
    number = pa.array(np.arange(len(known)), pa.int64())
    own = ibis.memtable(pa.table({"known": known, "own": number}))
    # A rule "*.x" and a rule "x" stand for the name x; a name that begins so is its own rule's.
    plain = pc.invert(pc.starts_with(known, "*."))
    below: Any = pc.binary_join_element_wise(pa.scalar("*."), known, "")  # type: ignore[call-overload]
    texts = pa.concat_arrays([known.filter(plain), below])
    numbers = pa.concat_arrays([number.filter(plain), number])
    rule = ibis.memtable(pa.table({"base": texts, "rule": numbers}))
    table = table.left_join(own, table.name == own.known)
    table = table.left_join(rule, table.indicator == rule.base)
    table = table.mutate(target=ibis.coalesce(table.own, table.rule, _OFF))
    if by == "country":
        return table.mutate(place=table.country.fill_null(UNKNOWN))
    if by == "asn":
        return table.mutate(place=table.asn.fill_null(_NO_AS))
    clients = view.table(CLIENTS)
    places = clients.filter(clients.prefix.notnull()).group_by("client")
    prefixes = places.aggregate(prefix=clients.prefix.max()).rename(whose="client")
    table = table.left_join(prefixes, table.client == prefixes.whose)
    return table.mutate(place=table.prefix.fill_null(UNKNOWN))


def _edges(view: View, names: Sequence[str], window: Window, vantage: str, by: By) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return what each place asked for, without its clients, computed once."""

    def made() -> Any:  # noqa: ANN401 - ibis is untyped
        table = _on_map(view, names, window, vantage, by)
        return table.group_by("place", "target").aggregate(
            queries=table.weight.sum(),
            time_first=table.time.min(),
            time_last=table.time.max(),
            country_low=table.country.min(),
            country_high=table.country.max(),
        )

    return view.kept(("edges", _key(names, window, vantage, by)), made)


def _key(names: Sequence[str], window: Window, vantage: str, by: By) -> Hashable:
    return (tuple(names), window, vantage, by)


def _told(edges: Any, names: Sequence[str], by: By) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return edges with the texts of ``network`` and ``name``; those off the map are left out."""
    import ibis  # noqa: PLC0415 - heavy

    known = pa.array(dict.fromkeys(names), pa.string())
    number = pa.array(np.arange(len(known)), pa.int64())
    found = edges.join(ibis.memtable(pa.table({"name": known, "target": number})), "target")
    network = found.place
    if by == "asn":
        text = ibis.literal("AS") + network.cast("string")
        network = ibis.ifelse(network == _NO_AS, UNKNOWN, text)
    return found.select(*edges.columns, "name", network=network)


def _is_name(graph: Graph) -> Any:  # noqa: ANN401 - Arrow
    return pc.is_in(graph.nodes["kind"].cast(pa.string()), value_set=pa.array(_NAMED))


def _values(graph: Graph) -> Any:  # noqa: ANN401 - Arrow
    return graph.nodes["value"].filter(_is_name(graph)).combine_chunks()


def _numbers_of(graph: Graph) -> npt.NDArray[np.int64]:
    """Return the number of the node of each of ``_values``."""
    return np.flatnonzero(_is_name(graph).to_numpy())


def _networks(edges: pa.Table, network: Any, hops: npt.NDArray[np.int64], by: By) -> pa.Table:  # noqa: ANN401 - Arrow
    """Return the nodes of networks of clients, in the order of their codes."""
    count = len(network.dictionary)
    codes = pa.array(network.indices.to_numpy(), pa.int64())
    rows: Any = edges.select(["time_first", "time_last", "country"]).append_column("code", codes)
    grouped: Any = rows.group_by("code")
    found = grouped.aggregate(
        [("time_first", "min"), ("time_last", "max"), ("country", "min"), ("country", "max"),
         ("country", "count"), ("code", "count")]
    ).sort_by("code")  # fmt: skip
    one: Any = pc.and_(
        pc.equal(found["country_min"], found["country_max"]),
        pc.equal(found["country_count"], found["code_count"]),
    )
    text: Any = network.dictionary
    number: Any = pc.extract_regex(text, r"^AS(?P<asn>[0-9]+)$")
    columns = {
        "kind": pa.array(["client_network"] * count),
        "value": text,
        "seed": pa.array([False] * count),
        "hop": pa.array(hops, pa.int32()),
        "degree": found["code_count"],
        "time_first": found["time_first_min"],
        "time_last": found["time_last_max"],
        "asn": pc.struct_field(number, "asn").cast(pa.int64()) if by == "asn" else None,
        "country": pc.if_else(one, found["country_min"], pa.scalar(None, pa.string())),
    }
    return _conform(columns, NODES.arrow, count)


def _conform(columns: dict[str, Any], schema: pa.Schema, count: int | None = None) -> pa.Table:
    """Return columns as a table of a schema, what is missing as null."""
    rows = len(columns["head"]) if count is None else count
    arrays = []
    for field in schema:
        array = columns.get(field.name)
        if array is None:
            array = pa.nulls(rows, field.type)
        arrays.append(array)
    return pa.table(arrays, names=schema.names).cast(schema)


def _sorted_lists(column: Any) -> Any:  # noqa: ANN401 - Arrow
    """Return lists of text with their items in order; there are few different lists."""
    lists = [tuple(sorted(words)) for words in column.to_pylist()]
    return pa.array(map(list, lists), pa.list_(pa.string()))

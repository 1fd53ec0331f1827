"""From what pivoting found to the tables of a map: things, relations, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.enrich.addresses import parse, to_bytes
from remnant.infrastructure.domains import zones_of
from remnant.infrastructure.graph import EDGE_TYPES, KINDS, Graph
from remnant.infrastructure.joins import among, texts, times
from remnant.infrastructure.pivot import AAAA, CNAME, MX, NS, RECORDS, A
from remnant.schema import EDGES, LEFT_OUT, NODES, TIME

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.enrich.reference import Reference
    from remnant.infrastructure.growth import Grown
    from remnant.infrastructure.seeds import Seeds

    Integers = npt.NDArray[np.int64]

__all__ = ["assemble"]

_TYPE: Final = {word: code for code, word in enumerate(EDGE_TYPES)}
_KIND: Final = {word: code for code, word in enumerate(KINDS)}
_OF_RECORD: Final = {
    A: "resolves_to",
    AAAA: "resolves_to",
    CNAME: "alias_of",
    NS: "served_by",
    MX: "mail_by",
}
_BITS: Final = 128
_RECORD: Final = ["rrname", "rrtype", "rdata", "sensor", "source"]


def assemble(grown: Grown, seeds: Seeds, reference: Reference) -> Graph:
    """Return the map of what was found.

    Things that nothing joins to a seed but a hub, or but relations that were left out, are not on
    it. Networks and ASes come last: they say where an address is and join nothing.
    """
    values: pa.Array[Any] = pa.array(list(grown.values), pa.string())
    records, joins = _relations(grown, values)
    is_hub = among(values, grown.hubs)
    is_sinkhole = among(values, {value for value, hub in grown.hubs.items() if hub.sinkhole})
    tail, head, kind = (records[name].to_numpy() for name in ("tail", "head", "type"))
    below_tail, below_head = _below(values)
    is_seed = among(values, seeds.table["value"].combine_chunks())
    hops = _hops(
        is_seed, is_hub, np.concatenate([tail, below_tail]), np.concatenate([head, below_head])
    )
    places = _Places(values, hops, reference, seeds.networks)
    observed = _edges(records)
    kinds = _kinds(values, is_sinkhole, head, kind)
    structure = [(below_tail, below_head, "below"), *places.edges]
    edges = pa.concat_tables([observed, *(_undated(*part) for part in structure)])
    nodes = _nodes(grown, seeds, values, kinds, hops, is_seed, edges, places)
    lost = texts(values.filter(pa.array(hops < 0)))
    return _sorted(nodes, edges, _left_out(grown, seeds, set(lost), joins))


def _relations(grown: Grown, values: pa.Array[Any]) -> tuple[pa.Table, list[tuple[str, int, str]]]:
    """Return the records whose ends are both on the map, and counts of those left out.

    They have tail, head and type (int64) beside the columns of ``RECORDS``.
    """
    if grown.records:
        every: Any = pa.concat_tables(grown.records)
    else:
        every = RECORDS.empty_table().select(RECORDS.names[1:])
    # A record that was found from both of its ends stands twice.
    how: Any = [("time_first", "min"), ("time_last", "max"), ("count", "max")]
    grouped: Any = every.group_by(_RECORD).aggregate(how)
    grouped = grouped.sort_by([(name, "ascending") for name in _RECORD])
    ends: Any = [pc.index_in(grouped[name], value_set=values) for name in ("rrname", "rdata")]
    rows = pc.and_(ends[0].is_valid(), ends[1].is_valid())
    tail, head = (times(end.filter(rows)) for end in ends)
    grouped = grouped.filter(rows)
    first, last = times(grouped["time_first_min"]), times(grouped["time_last_max"])
    rrtype = grouped["rrtype"].to_numpy()
    sinkholes = {value for value, hub in grown.hubs.items() if hub.sinkhole}
    kind = np.zeros(tail.size, np.int64)
    for number, word in _OF_RECORD.items():
        kind[rrtype == number] = _TYPE[word]
    kind[among(grouped["rdata"], sinkholes)] = _TYPE["sinkholed_at"]
    left: list[tuple[str, int, str]] = []
    kept = tail != head
    owners = grouped["rrname"]
    for reason, dropped in (
        ("points to itself", ~kept),
        ("in a cycle of aliases", kept & _in_cycles(tail, head, rrtype == CNAME, len(values))),
        ("held while the server was a hub", kept & _in_crowd(grown, grouped["rdata"], first, last)),
    ):
        if dropped.any():
            pairs = np.unique(np.stack([tail[dropped], head[dropped]]), axis=1)
            example = min(texts(owners.filter(pa.array(dropped))))
            left.append((reason, pairs.shape[1], example))
        kept = kept & ~dropped
    table = pa.table(
        {
            "tail": pa.array(tail),
            "head": pa.array(head),
            "type": pa.array(kind),
            "time_first": grouped["time_first_min"],
            "time_last": grouped["time_last_max"],
            "count": grouped["count_max"],
            "sensor": grouped["sensor"],
            "source": grouped["source"],
        }
    )
    return table.filter(pa.array(kept)), left


def _in_cycles(
    tail: Integers, head: Integers, is_alias: npt.NDArray[np.bool_], count: int
) -> npt.NDArray[np.bool_]:
    """Return which relations are aliases that lead back to where they begin: bool[n]."""
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    if not is_alias.any():
        return np.zeros(tail.size, np.bool_)
    ones = np.ones(int(is_alias.sum()), np.int8)
    matrix = coo_array((ones, (tail[is_alias], head[is_alias])), (count, count)).tocsr()
    _, component = connected_components(matrix, directed=True, connection="strong")
    return np.asarray(is_alias & (component[tail] == component[head]) & (tail != head), np.bool_)


def _in_crowd(
    grown: Grown,
    data: Any,  # noqa: ANN401 - Arrow
    first: Integers,
    last: Integers,
) -> npt.NDArray[np.bool_]:
    """Return which records lie wholly in a time in which their server was a hub: bool[n]."""
    servers = sorted(grown.crowded)
    if not servers:
        return np.zeros(first.size, np.bool_)
    at: Any = pc.index_in(data, value_set=pa.array(servers, pa.string()))
    row = pc.fill_null(at, -1).to_numpy()
    spans = np.array([grown.crowded[server] for server in servers], np.int64)[row]
    return np.asarray((row >= 0) & (first >= spans[:, 0]) & (last <= spans[:, 1]), np.bool_)


def _below(values: pa.Array[Any]) -> tuple[Integers, Integers]:
    """Return the relations of names to their registered domains."""
    zones = zones_of(values)
    at: Any = pc.index_in(zones, value_set=values)
    head = pc.fill_null(at, -1).to_numpy().astype(np.int64)
    is_name = parse(values).length != _BITS
    tail = np.flatnonzero(is_name & (head >= 0) & (head != np.arange(len(values))))
    return tail, head[tail]


def _hops(
    is_seed: npt.NDArray[np.bool_],
    is_hub: npt.NDArray[np.bool_],
    tail: Integers,
    head: Integers,
) -> npt.NDArray[np.int32]:
    """Return steps from the nearest seed, never through a hub: int32[n]; -1: none leads there."""
    hops = np.where(is_seed, 0, -1).astype(np.int32)
    fresh = is_seed & ~is_hub
    step = 0
    while fresh.any():
        step += 1
        near = np.zeros_like(fresh)
        near[head[fresh[tail]]] = True
        near[tail[fresh[head]]] = True
        near &= hops < 0
        hops[near] = step
        fresh = near & ~is_hub
    return hops


def _kinds(
    values: pa.Array[Any], is_sinkhole: npt.NDArray[np.bool_], head: Integers, kind: Integers
) -> Integers:
    found = np.full(len(values), _KIND["name"], np.int64)
    same: Any = pc.equal(zones_of(values), values)
    found[same.to_numpy(zero_copy_only=False)] = _KIND["domain"]
    found[head[kind == _TYPE["mail_by"]]] = _KIND["mail_exchanger"]
    found[head[kind == _TYPE["served_by"]]] = _KIND["name_server"]
    found[parse(values).length == _BITS] = _KIND["address"]
    found[is_sinkhole] = _KIND["sinkhole"]
    return found


class _Places:
    """Networks and ASes of the addresses that stay on the map.

    Their numbers follow those of the values: first the prefixes, then the ASes.
    """

    def __init__(
        self,
        values: pa.Array[Any],
        hops: npt.NDArray[np.int32],
        reference: Reference,
        networks: tuple[str, ...],
    ) -> None:
        count = len(values)
        parsed = parse(values)
        rows = np.flatnonzero((parsed.length == _BITS) & (hops >= 0))
        looked: Any = reference.lookup(to_bytes(parsed.high[rows], parsed.low[rows]))
        looked = looked.append_column("row", pa.array(rows, pa.int64()))
        self.of_address = looked
        with_prefix = looked.filter(looked["prefix"].is_valid())
        how: Any = [("asn", "min"), ("as_name", "min"), ("country", "min")]
        plain = with_prefix.set_column(
            with_prefix.schema.get_field_index("country"),
            "country",
            with_prefix["country"].cast(pa.string()),
        )
        found: Any = plain.group_by("prefix").aggregate(how).sort_by("prefix")
        watched = [text for text in networks if text not in set(texts(found["prefix"]))]
        self.prefixes: list[str] = [*texts(found["prefix"]), *watched]
        self.seeds = set(networks)
        nothing: list[Any] = [None] * len(watched)
        self.prefix_asn: list[int | None] = found["asn_min"].to_pylist() + nothing
        self.prefix_name: list[str | None] = found["as_name_min"].to_pylist() + nothing
        self.prefix_country: list[str | None] = found["country_min"].to_pylist() + nothing
        numbers = {asn for asn in self.prefix_asn if asn is not None}
        self.asns = sorted(numbers)
        named = dict(zip(self.prefix_asn, self.prefix_name, strict=True))
        self.as_name = [named[asn] for asn in self.asns]
        prefixes: Any = pa.array(self.prefixes, pa.string())
        at: Any = pc.index_in(with_prefix["prefix"], value_set=prefixes)
        of_prefix = [(i, asn) for i, asn in enumerate(self.prefix_asn) if asn is not None]
        order = {asn: count + len(self.prefixes) + i for i, asn in enumerate(self.asns)}
        self.edges: list[tuple[Integers, Integers, str]] = [
            (times(with_prefix["row"]), times(at) + count, "in_prefix"),
            (
                np.array([count + i for i, _ in of_prefix], np.int64),
                np.array([order[asn] for _, asn in of_prefix], np.int64),
                "in_asn",
            ),
        ]


def _edges(records: pa.Table) -> pa.Table:
    """Add the records of one relation up; the ends stay numbers of values."""
    keys = ["tail", "head", "type"]
    how: Any = [("time_first", "min"), ("time_last", "max"), ("count", "sum")]
    grouped: Any = records.group_by(keys).aggregate(how)
    grouped = grouped.sort_by([(key, "ascending") for key in keys])
    columns: dict[str, Any] = {key: grouped[key].combine_chunks() for key in keys}
    columns["time_first"] = grouped["time_first_min"].combine_chunks()
    columns["time_last"] = grouped["time_last_max"].combine_chunks()
    columns["count"] = grouped["count_sum"].combine_chunks()
    for name in ("sensor", "source"):
        columns[name + "s"] = _lists(records, keys, name)
    return pa.table(columns)


def _lists(records: pa.Table, keys: list[str], name: str) -> Any:  # noqa: ANN401 - Arrow
    """Return the distinct words of each relation, sorted, in the order of the sorted relations."""
    words: Any = records.group_by([*keys, name]).aggregate([])
    words = words.sort_by([(key, "ascending") for key in (*keys, name)])
    ends = np.stack([words[key].to_numpy() for key in keys])
    new = np.ones(words.num_rows, np.bool_)
    new[1:] = (ends[:, 1:] != ends[:, :-1]).any(axis=0)
    offsets = np.append(np.flatnonzero(new), words.num_rows).astype(np.int32)
    starts: Any = pa.array(offsets)
    return pa.ListArray.from_arrays(starts, words[name].combine_chunks().cast(pa.string()))


def _undated(tail: Integers, head: Integers, kind: str) -> pa.Table:
    """Return relations that follow from what the things are; no sensor saw them."""
    count = tail.size
    empty: Any = pa.array([[]] * count, pa.list_(pa.string()))
    return pa.table(
        {
            "tail": pa.array(tail, pa.int64()),
            "head": pa.array(head, pa.int64()),
            "type": pa.array(np.full(count, _TYPE[kind]), pa.int64()),
            "time_first": pa.nulls(count, TIME),
            "time_last": pa.nulls(count, TIME),
            "count": pa.array(np.zeros(count, np.int64)),
            "sensors": empty,
            "sources": empty,
        }
    )


def _nodes(
    grown: Grown,
    seeds: Seeds,
    values: pa.Array[Any],
    kinds: Integers,
    hops: npt.NDArray[np.int32],
    is_seed: npt.NDArray[np.bool_],
    edges: pa.Table,
    places: _Places,
) -> pa.Table:
    """Return the things in the order of their numbers; hop -1: not on the map."""
    listed = texts(values)
    more = [*places.prefixes, *(f"AS{asn}" for asn in places.asns)]
    count = len(listed) + len(more)
    marks = {row["value"]: row for row in seeds.table.to_pylist()}
    hubs = [grown.hubs.get(value) for value in listed]
    labels = [None if hub is None else hub.label for hub in hubs]
    tail, head = times(edges["tail"]), times(edges["head"])
    hop = np.concatenate([hops, np.full(len(more), -1, np.int32)])
    here = (hop[tail] >= 0) & (hop[head] >= 0)
    degree = np.bincount(np.concatenate([tail, head]), minlength=count)
    known = [grown.degrees.get(value, 0) for value in listed]
    degree[: len(listed)] = np.maximum(degree[: len(listed)], np.array(known, np.int64))
    for ends in (places.edges[0], places.edges[1]):
        near = np.full(count, np.iinfo(np.int32).max, np.int32)
        np.minimum.at(near, ends[1], hop[ends[0]] + 1)
        reached = near < np.iinfo(np.int32).max
        hop[reached] = near[reached]
    watched = np.array([prefix in places.seeds for prefix in places.prefixes], np.bool_)
    hop[len(listed) : len(listed) + len(places.prefixes)][watched] = 0
    first, last = _spans(edges, here, count)
    asn, country = pa.nulls(len(listed), pa.int64()), pa.nulls(len(listed), pa.string())
    rows = places.of_address["row"].combine_chunks()
    place: Any = pc.index_in(pa.array(np.arange(len(listed))), value_set=rows)
    asn = places.of_address["asn"].combine_chunks().take(place)
    country = places.of_address["country"].cast(pa.string()).combine_chunks().take(place)
    nothing: list[Any] = [None] * len(more)
    words = [KINDS[code] for code in kinds.tolist()]
    words += ["prefix"] * len(places.prefixes) + ["asn"] * len(places.asns)
    return pa.table(
        {
            "kind": pa.array(words, pa.string()),
            "value": pa.array(listed + more, pa.string()),
            "label": pa.array(labels + places.prefix_name + places.as_name, pa.string()),
            "seed": pa.array(np.concatenate([is_seed, watched, np.zeros(len(places.asns), bool)])),
            "role": pa.array([_mark(marks, v, "role") for v in listed] + nothing, pa.string()),
            "state": pa.array([_mark(marks, v, "state") for v in listed] + nothing, pa.string()),
            "hub": pa.array([None if h is None else h.reason for h in hubs] + nothing, pa.string()),
            "hop": pa.array(hop, pa.int32()),
            "degree": pa.array(degree, pa.int64()),
            "time_first": first,
            "time_last": last,
            "asn": pa.array([*asn.to_pylist(), *places.prefix_asn, *places.asns], pa.int64()),
            "country": pa.array(
                [*country.to_pylist(), *places.prefix_country, *([None] * len(places.asns))],
                pa.string(),
            ),
        }
    )


def _mark(marks: dict[str, dict[str, str]], value: str, column: str) -> str | None:
    row = marks.get(value)
    return None if row is None else row[column]


def _spans(edges: pa.Table, here: npt.NDArray[np.bool_], count: int) -> tuple[Any, Any]:
    """Return when each thing was seen first and last, by the dated relations that stay."""
    dated = here & edges["time_first"].is_valid().to_numpy()
    part = edges.filter(pa.array(dated))
    ends = np.concatenate([times(part["tail"]), times(part["head"])])
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(first, ends, np.tile(times(part["time_first"]), 2))
    np.maximum.at(last, ends, np.tile(times(part["time_last"]), 2))
    none = first > last
    return tuple(
        pa.array(np.where(none, 0, bound), pa.int64(), mask=none).cast(TIME)
        for bound in (first, last)
    )  # type: ignore[return-value]  # of two


def _sorted(nodes: pa.Table, edges: pa.Table, left_out: pa.Table) -> Graph:
    """Return the map: seeds first, then by steps, kind and value; what is not on it goes."""
    hop = nodes["hop"].to_numpy()
    kept = np.flatnonzero(hop >= 0)
    rank = np.array([_KIND[word] for word in texts(nodes["kind"])], np.int64)
    place: Any = pc.rank(nodes["value"].combine_chunks(), sort_keys="ascending")
    order = kept[np.lexsort((place.to_numpy()[kept], rank[kept], hop[kept]))]
    number = np.full(nodes.num_rows, -1, np.int64)
    number[order] = np.arange(order.size)
    tail, head = number[times(edges["tail"])], number[times(edges["head"])]
    kind = times(edges["type"])
    rows = np.flatnonzero((tail >= 0) & (head >= 0))
    rows = rows[np.lexsort((kind[rows], head[rows], tail[rows]))]
    taken: Any = edges.take(pa.array(rows, pa.int64()))
    table = pa.table(
        {
            "tail": pa.array(tail[rows], pa.int32()),
            "head": pa.array(head[rows], pa.int32()),
            "type": pa.array(list(EDGE_TYPES), pa.string()).take(pa.array(kind[rows], pa.int64())),
            "time_first": taken["time_first"],
            "time_last": taken["time_last"],
            "count": taken["count"],
            "clients": pa.nulls(rows.size, pa.int64()),
            "sensors": taken["sensors"],
            "sources": taken["sources"],
        }
    )
    return Graph(
        _typed(nodes.take(pa.array(order, pa.int64())), NODES), _typed(table, EDGES), left_out
    )


def _typed(table: pa.Table, schema: Any) -> pa.Table:  # noqa: ANN401 - Arrow
    """Return a table with a schema's columns, words as dictionaries."""
    columns = []
    for column in schema.arrow:
        values: Any = table[column.name].combine_chunks()
        if pa.types.is_dictionary(column.type):
            values = values.dictionary_encode()
        columns.append(values.cast(column.type))
    return pa.Table.from_arrays(columns, schema=schema.arrow)


def _left_out(
    grown: Grown, seeds: Seeds, lost: set[str], joins: list[tuple[str, int, str]]
) -> pa.Table:
    """Return what is not on the map, by reason."""
    rows: list[dict[str, Any]] = []
    if grown.unusable:
        every: Any = pa.concat_tables(grown.unusable)
        bad = every.group_by(["reason", "rrname", "rrtype", "rdata"]).aggregate([])
        how: Any = [("rrname", "count"), ("rrname", "min")]
        for row in bad.group_by("reason").aggregate(how).to_pylist():
            rows.append(_row("records", row["reason"], row["rrname_count"], row["rrname_min"]))
    missed: dict[str, str] = dict.fromkeys(sorted(lost), "joined by nothing that is on the map")
    here = set(grown.values) - lost
    if grown.missed:
        every = pa.concat_tables(grown.missed)
        first = every.group_by("value").aggregate([("reason", "min")])
        for value, reason in zip(texts(first["value"]), texts(first["reason_min"]), strict=True):
            if value not in here:
                missed.setdefault(value, reason)
    for value in seeds.left_out:
        missed.setdefault(value, "more names of the case than the map may have")
    if missed:
        table: Any = pa.table(
            {"value": list(missed), "reason": pa.array(list(missed.values()), pa.string())}
        )
        how = [("value", "count"), ("value", "min")]
        for row in table.group_by("reason").aggregate(how).to_pylist():
            rows.append(_row("things", row["reason"], row["value_count"], row["value_min"]))
    rows += [_row("joins", reason, count, example) for reason, count, example in joins]
    if grown.unasked:
        most = max(grown.degrees, key=lambda value: (grown.degrees[value], value))
        rows.append(_row("joins", "more than a pivot returns of one key", grown.unasked, most))
    for network in seeds.networks:
        rows.append(
            _row("things", "watched network too large to ask for its addresses", 1, network)
        )
    rows.sort(key=lambda row: (row["what"], row["reason"], row["example"]))
    return pa.Table.from_pylist(rows, LEFT_OUT.arrow)


def _row(what: str, reason: str, count: int, example: str) -> dict[str, Any]:
    return {"what": what, "reason": reason, "count": count, "example": example}

"""Folding: nodes that nobody could tell apart on a picture become one, with a count.

A hundred seized names that all lead to the same sinkhole say one thing. Nodes are folded when they
are of the same kind, role and state, are joined to the same things by edges of the same types and
directions, and neither is a hub or one of those to be kept. What a folded node stands for stays
known: nothing is dropped, only drawn once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.schema import EDGES

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.infrastructure.graph import Graph

    Numbers = npt.NDArray[np.int64]

__all__ = ["Folded", "fold"]

_MIX: Final = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """A map with nodes folded, and what each of its nodes stands for.

    Attributes:
        graph: the smaller map. A folded node carries the row of its first member (by value) with
            the times of all of them; its edges the counts of all, added.
        sizes: int64[nodes of the smaller map]: members of each, 1 where nothing was folded.
        of: int64[nodes of the whole map]: the node of the smaller map that stands for each.
        order: int64[nodes of the whole map]: their numbers, members of one node side by side.
        starts: int64[nodes of the smaller map + 1]: where the members of each begin in ``order``.
    """

    graph: Graph
    sizes: Numbers
    of: Numbers
    order: Numbers
    starts: Numbers

    def members(self, node: int, limit: int | None = None) -> Numbers:
        """Return the numbers that a node stands for in the whole map, at most ``limit``."""
        first, last = int(self.starts[node]), int(self.starts[node + 1])
        return self.order[first : last if limit is None else min(last, first + limit)]


def fold(graph: Graph, *, threshold: int = 3, keep: npt.ArrayLike = ()) -> Folded:
    """Fold nodes that have the same neighbours.

    Args:
        graph: the map.
        threshold: fewest nodes that are folded into one; 0 or 1 folds nothing.
        keep: numbers of nodes that are never folded (candidates).

    Returns:
        The folded map. Nodes keep their order; one that stands for several has the place of the
        first of them. Distinct clients of folded names cannot be added: an ``asks`` edge to a
        folded name carries those of the member with most of them.
    """
    count = len(graph)
    order = np.argsort(np.array(graph.nodes["value"].to_pylist(), dtype=object), kind="stable")
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    group = np.arange(count) if threshold < 2 else _groups(graph, np.asarray(keep, np.int64), rank)
    sizes = np.bincount(group, minlength=count)
    few = sizes[group] < max(threshold, 2)
    group = np.where(few, np.arange(count), group)
    # A group is known by its first member by value.
    by_group = np.lexsort((rank, group))
    first = np.ones(count, np.bool_)
    first[1:] = group[by_group][1:] != group[by_group][:-1]
    leads = by_group[first]
    inside = np.cumsum(first) - 1
    place = np.argsort(leads, kind="stable")
    number = np.empty(leads.size, np.int64)
    number[place] = np.arange(leads.size)
    of = np.empty(count, np.int64)
    of[by_group] = number[inside]
    members = np.lexsort((rank, of))
    starts = np.zeros(leads.size + 1, np.int64)
    np.cumsum(np.bincount(of, minlength=leads.size), out=starts[1:])
    nodes = _spanned(graph.nodes, leads[place], members, starts)
    small = replace(graph, nodes=nodes, edges=_merged(graph, of))
    return Folded(small, np.diff(starts), of, members, starts)


def _groups(graph: Graph, keep: Numbers, rank: Numbers) -> Numbers:
    """Return for each node the number of the first that it cannot be told from."""
    count = len(graph)
    tails, heads = graph.tails.astype(np.int64), graph.heads.astype(np.int64)
    kinds = _codes(graph.edges["type"])
    ends = np.concatenate([tails, heads])
    others = np.concatenate([heads, tails])
    how = np.concatenate([2 * kinds, 2 * kinds + 1])
    order = np.lexsort((how, others, ends))
    ends, others, how = ends[order], others[order], how[order]
    degrees = np.bincount(ends, minlength=count)
    begin = np.cumsum(degrees) - degrees
    alike = [_codes(graph.nodes[c]) for c in ("kind", "seed", "role", "state")]
    sums = np.zeros(count, np.uint64)
    np.add.at(sums, ends, _mixed(others, how))
    keys = np.lexsort((rank, sums, degrees, *alike))
    same = np.ones(count, np.bool_)
    for column in (sums, degrees, *alike):
        same[1:] &= column[keys][1:] == column[keys][:-1]
    # Equal sums may be chance, or somebody's work: the neighbours themselves decide.
    same[1:] &= _equal(keys, begin, degrees, others, how)
    alone = graph.hubs | (degrees == 0)
    alone[keep] = True
    same &= ~alone[keys]
    same[1:] &= ~alone[keys][:-1]
    same[:1] = False
    run = np.cumsum(~same) - 1
    group = np.empty(count, np.int64)
    group[keys] = keys[~same][run]
    return group


def _equal(
    keys: Numbers, begin: Numbers, degrees: Numbers, others: Numbers, how: Numbers
) -> npt.NDArray[np.bool_]:
    """Return whether each node in key order has exactly the neighbours of the one before it."""
    one, two = keys[1:], keys[:-1]
    equal = degrees[one] == degrees[two]
    length = np.where(equal, degrees[one], 0)
    pair = np.repeat(np.arange(one.size), length)
    step = np.arange(pair.size) - np.repeat(np.cumsum(length) - length, length)
    a, b = begin[one][pair] + step, begin[two][pair] + step
    differ = (others[a] != others[b]) | (how[a] != how[b])
    equal[pair[differ]] = False
    return np.asarray(equal, np.bool_)


def _mixed(others: Numbers, how: Numbers) -> npt.NDArray[np.uint64]:
    """Return a well spread number for each neighbour and way of being joined to it."""
    x = (others.astype(np.uint64) << np.uint64(6)) + how.astype(np.uint64) + np.uint64(1)
    x *= np.uint64(_MIX[0])
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_MIX[1])
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_MIX[2])
    return np.asarray(x ^ (x >> np.uint64(31)), np.uint64)


def _codes(column: pa.ChunkedArray[Any]) -> Numbers:
    """Return small numbers for the values of a column, null being one of them."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    coded: Any = pc.dictionary_encode(column, null_encoding="encode").combine_chunks()
    indices = coded.indices if isinstance(coded, pa.DictionaryArray) else coded.chunk(0).indices
    return np.asarray(indices.to_numpy(zero_copy_only=False), np.int64)


def _spanned(nodes: pa.Table, leads: Numbers, order: Numbers, starts: Numbers) -> pa.Table:
    """Return the rows of the first members, with the times of all members."""
    table = nodes.take(leads)
    if leads.size == nodes.num_rows:
        return table
    group = pa.array(np.repeat(np.arange(leads.size), np.diff(starts)))
    times = nodes.select(["time_first", "time_last"]).take(order)
    spans = times.append_column("group", group).group_by("group", use_threads=False)
    span = spans.aggregate([("time_first", "min"), ("time_last", "max")]).sort_by("group")
    for name, how in (("time_first", "min"), ("time_last", "max")):
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(name), span[f"{name}_{how}"])
    return table


def _merged(graph: Graph, of: Numbers) -> pa.Table:
    """Return the edges between folded nodes, one for each tail, head and type."""
    if int(of.max(initial=-1)) + 1 == len(graph):
        return graph.edges
    whole = graph.edges.set_column(2, "type", graph.edges["type"].cast(pa.string()))
    for index, name, ends in ((0, "tail", graph.tails), (1, "head", graph.heads)):
        whole = whole.set_column(index, name, pa.array(of[ends].astype(np.int32)))
    keys = ["tail", "head", "type"]
    whole = whole.append_column("asked", pa.array(graph.heads))
    # Client networks do not overlap, the clients of two names do.
    by_name = whole.group_by([*keys, "asked"], use_threads=False).aggregate(
        [("clients", "sum"), ("count", "sum"), ("time_first", "min"), ("time_last", "max")]
    )
    edges = by_name.group_by(keys, use_threads=False).aggregate(
        [
            ("clients_sum", "max"),
            ("count_sum", "sum"),
            ("time_first_min", "min"),
            ("time_last_max", "max"),
        ]
    )
    lists = {name: _joined(whole, keys, name) for name in ("sensors", "sources")}
    edges = edges.sort_by([(key, "ascending") for key in keys])
    columns = {
        **{key: edges[key] for key in keys},
        "time_first": edges["time_first_min_min"],
        "time_last": edges["time_last_max_max"],
        "count": edges["count_sum_sum"],
        "clients": edges["clients_sum_max"],
        **lists,
    }
    schema = EDGES.arrow
    return pa.table([columns[n].cast(schema.field(n).type) for n in schema.names], schema=schema)


def _joined(whole: pa.Table, keys: list[str], name: str) -> pa.ChunkedArray[Any]:
    """Return the distinct members of a list column for each key, sorted; keys in order."""
    column: Any = whole[name].combine_chunks()
    rows = pc.list_parent_indices(column)
    columns: dict[str, Any] = {key: whole[key].take(rows) for key in keys}
    items = pa.table(columns | {name: pc.list_flatten(column)})
    every = whole.select(keys).append_column(name, pa.nulls(whole.num_rows, pa.string()))
    items = pa.concat_tables([items.cast(every.schema), every])
    distinct = items.group_by([*keys, name], use_threads=False).aggregate([])
    distinct = distinct.sort_by([(key, "ascending") for key in (*keys, name)])
    lists = distinct.group_by(keys, use_threads=False).aggregate([(name, "list")])
    lists = lists.sort_by([(key, "ascending") for key in keys])
    values: Any = lists[f"{name}_list"].combine_chunks()
    # The null that every key was given, so that none is lost, goes again.
    kept = pc.is_valid(values.values)
    sizes = np.zeros(len(values) + 1, np.int64)
    at = values.offsets.to_numpy()
    valid = np.concatenate([[0], np.cumsum(kept.to_numpy(zero_copy_only=False))])
    sizes[:] = valid[at]
    offsets: Any = pa.array(sizes.astype(np.int32))
    made: Any = pa.ListArray.from_arrays(offsets, values.values.filter(kept))
    return pa.chunked_array([made])

"""Maps for tests, written as lists of edges between values."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from remnant.infrastructure.graph import Graph
from remnant.schema import EDGES, NODES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

HEADS = {
    "resolves_to": "address",
    "alias_of": "name",
    "below": "domain",
    "served_by": "name_server",
    "mail_by": "mail_exchanger",
    "in_prefix": "prefix",
    "in_asn": "asn",
    "sinkholed_at": "sinkhole",
    "asks": "name",
}


def made_map(
    edges: Sequence[tuple[Any, ...]],
    seeds: Collection[str] = (),
    hubs: Mapping[str, str] | None = None,
    *,
    degrees: Mapping[str, int] | None = None,
    order: Sequence[str] = (),
    alone: Sequence[str] = (),
) -> Graph:
    """Return a map.

    Args:
        edges: (tail, type, head), or with a first and a last day (ISO dates; null: not dated), or
            with a count as well.
        seeds: values of the seeds.
        hubs: value -> why it joins nothing.
        degrees: value -> known neighbours, where there are more than on the map.
        order: values that come first, in this order.
        alone: more names, which nothing leads to.
    """
    kinds: dict[str, str] = dict.fromkeys(order, "name")
    for tail, kind, head, *_ in edges:
        kinds.setdefault(tail, "name")
        kinds.setdefault(head, "name")
        if kind == "in_prefix":
            kinds[tail] = "address"
        if kind == "asks":
            kinds[tail] = "client_network"
        if HEADS[kind] != "name":
            kinds[head] = HEADS[kind]
    kinds |= {name: "name" for name in alone if name not in kinds}
    number = {value: place for place, value in enumerate(kinds)}
    counted = dict.fromkeys(kinds, 0)
    for tail, _, head, *_ in edges:
        counted[tail] += 1
        counted[head] += 1
    nodes: dict[str, list[Any]] = {
        "kind": list(kinds.values()),
        "value": list(kinds),
        "seed": [value in seeds for value in kinds],
        "hub": [(hubs or {}).get(value) for value in kinds],
        "hop": [0] * len(kinds),
        "degree": [(degrees or {}).get(value, counted[value]) for value in kinds],
    }
    rows = {
        "tail": [number[edge[0]] for edge in edges],
        "head": [number[edge[2]] for edge in edges],
        "type": [edge[1] for edge in edges],
        "time_first": [_time(edge, 3) for edge in edges],
        "time_last": [_time(edge, 4) for edge in edges],
        "count": [edge[5] if len(edge) > 5 else 1000 for edge in edges],
    }
    return Graph(_table(NODES.empty().schema, nodes), _table(EDGES.empty().schema, rows))


def number_of(graph: Graph, value: str) -> int:
    """Return the number of a node."""
    return int(graph.nodes["value"].to_pylist().index(value))


def _time(edge: tuple[Any, ...], place: int) -> datetime | None:
    if len(edge) <= place or edge[place] is None:
        return None
    return datetime.fromisoformat(f"{edge[place]}T00:00:00+00:00")


def _table(schema: pa.Schema, columns: dict[str, list[Any]]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    arrays = []
    for field in schema:
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        array = pa.array(columns.get(field.name, [None] * rows), plain)
        arrays.append(array.dictionary_encode().cast(field.type) if plain != field.type else array)
    return pa.table(arrays, schema=schema)

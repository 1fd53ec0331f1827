"""A whole table of passive DNS as one map, without pivoting: what all rankings are tried on.

A hub is what simple counting can tell: an address, name server, mail exchanger or alias target
with very many neighbours, and the case's own sinkholes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.cases.zones import zone_of
from remnant.infrastructure.graph import Graph
from remnant.schema import EDGES, NODES

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["CROWD", "whole_map"]

CROWD: Final = 200
"""Neighbours from which on a thing joins nothing."""

_TYPES: Final = {
    1: ("resolves_to", "address"),
    2: ("served_by", "name_server"),
    5: ("alias_of", ""),
    15: ("mail_by", "mail_exchanger"),
    28: ("resolves_to", "address"),
}


def whole_map(answers: pa.Table, seeds: Collection[str], sinkholes: Collection[str] = ()) -> Graph:
    """Return the map of all names, addresses and servers of a table of passive DNS.

    Args:
        answers: columns of ``schema.ANSWERS``.
        seeds: names of the case, folded.
        sinkholes: addresses of the case's sinkhole.
    """
    number: Any = answers["rrtype"].cast(pa.int64())
    used = answers.filter(pc.is_in(number, pa.array(list(_TYPES))))
    rrtype: Any = used["rrtype"].cast(pa.int64())
    rdata: Any = used["rdata"].cast(pa.string())
    columns: dict[str, Any] = {
        "owner": used["rrname"].cast(pa.string()),
        "data": pc.if_else(
            pc.is_in(rrtype, pa.array([15])), pc.replace_substring_regex(rdata, r"^\d+ ", ""), rdata
        ),
        "type": rrtype,
        "first": used["time_first"],
        "last": used["time_last"],
        "count": used["count"].cast(pa.int64()),
    }
    records = pa.table(columns)
    records = records.group_by(["owner", "data", "type"]).aggregate(
        [("first", "min"), ("last", "max"), ("count", "sum")]
    )
    records = records.sort_by([(name, "ascending") for name in ("owner", "data", "type")])
    owners = _whole(records["owner"]).unique()
    domains = pa.array([zone_of(str(name)) for name in owners.to_pylist()], pa.string())
    values = pa.concat_arrays([owners, domains, _whole(records["data"])]).unique().sort()
    types = records["type"].to_numpy()
    kinds = np.full(len(values), "name", dtype=object)
    kinds[_places(domains, values)] = "domain"
    data = _places(_whole(records["data"]), values)
    for code, (_, kind) in _TYPES.items():
        if kind:
            kinds[data[types == code]] = kind
    below = pc.not_equal(owners, domains).to_numpy(zero_copy_only=False)
    added = int(below.sum())
    tails = np.concatenate(
        [_places(_whole(records["owner"]), values), _places(owners, values)[below]]
    )
    heads = np.concatenate([data, _places(domains, values)[below]])
    degree = np.bincount(tails, minlength=len(values)) + np.bincount(heads, minlength=len(values))
    crowd = np.bincount(heads, minlength=len(values)) >= CROWD
    known = pc.is_in(values, pa.array(list(sinkholes), pa.string())).to_numpy(zero_copy_only=False)
    hub = np.where(known, "sinkhole", np.where(crowd, "many neighbours", ""))
    edges = {
        "tail": tails,
        "head": heads,
        "type": [*(_TYPES[int(code)][0] for code in types), *["below"] * added],
        "time_first": _longer(records["first_min"], added),
        "time_last": _longer(records["last_max"], added),
        "count": _longer(records["count_sum"], added),
    }
    nodes = {
        "kind": kinds.tolist(),
        "value": values,
        "seed": pc.is_in(values, pa.array(list(seeds), pa.string())),
        "hub": pa.array(hub.tolist(), pa.string(), mask=~(known | crowd)),
        "degree": degree,
        "hop": np.zeros(len(values), np.int32),
    }
    return Graph(_table(NODES.empty().schema, nodes), _table(EDGES.empty().schema, edges))


def _whole(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _places(values: pa.Array[Any], among: pa.Array[Any]) -> Any:
    return pc.index_in(values, among).to_numpy(zero_copy_only=False).astype(np.int64)


def _longer(column: pa.ChunkedArray[Any], nulls: int) -> pa.Array[Any]:
    return pa.concat_arrays([_whole(column), pa.nulls(nulls, column.type)])


def _table(schema: pa.Schema, columns: dict[str, Any]) -> pa.Table:
    """Return a table of a schema; columns that are not given are null."""
    rows = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[field.name]).cast(field.type)
        if field.name in columns
        else pa.nulls(rows, pa.string()).cast(field.type)
        if pa.types.is_dictionary(field.type)
        else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)

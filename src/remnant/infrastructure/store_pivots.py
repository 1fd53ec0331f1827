"""Pivots over the store: the records that a case may be mapped from.

A case sees its own records and, unless it is simulated, all other real ones: those of other cases,
and those that belong to none. Made-up records and real ones never meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import ibis
import pyarrow as pa

from remnant.infrastructure.joins import texts
from remnant.infrastructure.pivot import (
    AAAA,
    ADDRESSES,
    DEGREES,
    MAPPED,
    MX,
    PER_KEY,
    POINTERS,
    RECORDS,
    TYPES,
    Pivoted,
    TablePivots,
    sorted_by_all,
)
from remnant.schema import ANSWERS

if TYPE_CHECKING:
    from remnant.infrastructure.pivot import Pivots
    from remnant.store import Store, View
    from remnant.windows import Window

__all__ = ["IN_MEMORY", "StorePivots", "pivots_of"]

IN_MEMORY: Final = 3_000_000
"""Records up to which a table in memory is faster than the query engine, question by question."""

_RECORD = ["key", "rrname", "rrtype", "rdata", "sensor", "source"]


def pivots_of(
    store: Store,
    view: View,
    *,
    window: Window | None = None,
    per_key: int = PER_KEY,
    in_memory: int = IN_MEMORY,
) -> Pivots:
    """Return the records that a case may be mapped from, to be walked.

    Args:
        store: opened for reading.
        view: of the case.
        window: leaves out records that were not seen in it.
        per_key: relations of a key and a type that are returned at most.
        in_memory: records up to which they are all read at once.
    """
    stored = StorePivots(store, view, window=window, per_key=per_key)
    if stored.count() > in_memory:
        return stored
    return TablePivots(stored.records(), per_key=per_key)


class StorePivots:
    """Pivots that ask the store's query engine.

    Args:
        store: opened for reading.
        view: of the case.
        window: leaves out records that were not seen in it.
        per_key: relations of a key and a type that are returned at most.
    """

    def __init__(
        self, store: Store, view: View, *, window: Window | None = None, per_key: int = PER_KEY
    ) -> None:
        self._per_key = per_key
        if view.simulated:
            table, sources = view.table(ANSWERS), view.sources
        else:
            everything = store.everything(ANSWERS)
            table, sources = everything.table, everything.sources
            sources = [source for source in sources if not source.simulated]
            real = [source.id for source in sources]
            table = table.filter(table.source.isin(real) if real else ibis.literal(False))
        if window is not None:
            table = table.filter(
                table.time_last >= ibis.literal(window.since),
                table.time_first < ibis.literal(window.until),
            )
        # What was ingested into several cases counts once, under the first of its ids.
        first: dict[str, str] = {}
        for source in sorted(sources, key=lambda source: source.id):
            first.setdefault(source.digest, source.id)
        self._content = {source.id: first[source.digest] for source in sources}
        self._table = _plain(table.filter(table.rrtype.isin(TYPES)))

    def count(self) -> int:
        """Return how many rows there are; a record may have several."""
        return int(self._table.count().to_pyarrow().as_py())

    def records(self) -> pa.Table:
        """Return all records: columns of ``RECORDS`` but the key."""
        table = self._merged(self._table.mutate(key=ibis.literal("")))
        found: pa.Table = table.to_pyarrow().select(RECORDS.names).cast(RECORDS)
        return found.drop_columns(["key"])

    def owned(self, names: pa.Array[Any]) -> Pivoted:
        """Return the records whose owner is one of these names."""
        return self._found(self._table.mutate(key=self._table.rrname), names, "rdata")

    def at(self, addresses: pa.Array[Any]) -> Pivoted:
        """Return the A and AAAA records that hold one of these addresses."""
        table = self._table.filter(self._table.rrtype.isin(ADDRESSES))
        return self._found(table.mutate(key=table.rdata), addresses, "rrname")

    def pointing(self, names: pa.Array[Any]) -> Pivoted:
        """Return the CNAME, NS and MX records whose data is one of these names."""
        table = self._table.filter(self._table.rrtype.isin(POINTERS))
        return self._found(table.mutate(key=table.rdata), names, "rrname")

    def below(self, zones: pa.Array[Any]) -> Pivoted:
        """Return the records of owners that are one of these zones or lie below it."""
        table = self._table
        groups: dict[int, list[str]] = {}
        for zone in texts(zones.unique()):
            odd = zone == "." or "\\" in zone
            groups.setdefault(0 if odd else zone.count(".") + 1, []).append(zone)
        # An escaped character is part of a label, whatever it is.
        plain = table.rrname.re_replace(r"\\.", "--")
        parts = []
        for labels, group in groups.items():
            if labels == 0:
                parts += [_inside(table, zone) for zone in group]
                continue
            pattern = rf"(?:^|\.)((?:[^.]+\.){{{labels - 1}}}[^.]+)$"
            keyed = table.mutate(key=plain.re_extract(pattern, 1))
            parts.append(keyed.semi_join(_keys(group), "key"))
        if not parts:
            return Pivoted(RECORDS.empty_table(), DEGREES.empty_table())
        return self._bounded(ibis.union(*parts) if len(parts) > 1 else parts[0], "rrname")

    def _found(self, table: Any, keys: pa.Array[Any], other: str) -> Pivoted:  # noqa: ANN401
        return self._bounded(table.semi_join(_keys(texts(keys)), "key"), other)

    def _bounded(self, table: Any, other: str) -> Pivoted:  # noqa: ANN401 - Ibis
        """Return what ``pivot.bounded`` returns, of an expression with a key."""
        table = self._merged(table)
        ends = table.group_by(["key", "rrtype", other]).agg(total=table["count"].sum())
        whole = ibis.window(group_by=["key", "rrtype"])
        order = ibis.window(
            group_by=["key", "rrtype"], order_by=[ibis.desc("total"), ibis.asc(other)]
        )
        ends = ends.mutate(place=ibis.row_number().over(order), degree=ibis._.count().over(whole))
        kept = ends.filter(ends.place < self._per_key).drop("total", "place")
        found: pa.Table = table.join(kept, ["key", "rrtype", other]).to_pyarrow()
        degrees = found.group_by(["key", "rrtype"]).aggregate([("degree", "max")])
        degrees = degrees.rename_columns(DEGREES.names).cast(DEGREES)
        records = found.select(RECORDS.names).cast(RECORDS)
        return Pivoted(sorted_by_all(records), sorted_by_all(degrees))

    def _merged(self, table: Any) -> Any:  # noqa: ANN401 - Ibis
        """Add up the rows of one record; of one content under several ids, once."""
        spans = {"time_first": "min", "time_last": "max", "count": "sum"}
        table = _grouped(table, _RECORD, spans)
        contents = ibis.memtable(
            pa.table(
                {
                    "source": pa.array(list(self._content), pa.string()),
                    "content": pa.array(list(self._content.values()), pa.string()),
                }
            )
        )
        table = table.join(contents, "source").drop("source").rename(source="content")
        return _grouped(table, _RECORD, spans | {"count": "max"})


def _keys(keys: list[str]) -> Any:  # noqa: ANN401 - Ibis
    return ibis.memtable(pa.table({"key": pa.array(keys, pa.string())}))


def _plain(table: Any) -> Any:  # noqa: ANN401 - Ibis
    """Return data as ``pivot.RECORDS`` says."""
    mapped = (table.rrtype == AAAA) & table.rdata.re_search(rf"^{MAPPED}[0-9.]+$")
    data = ibis.cases(
        (mapped, table.rdata.substr(len(MAPPED))),
        (table.rrtype == MX, table.rdata.re_replace("^[0-9]+ ", "")),
        else_=table.rdata,
    )
    return table.mutate(rdata=data).select(RECORDS.names[1:])


def _inside(table: Any, zone: str) -> Any:  # noqa: ANN401 - Ibis
    """Return the records of owners in one zone, whatever bytes its name has."""
    inside = ibis.literal(True)
    if zone != ".":
        odd = table.rrname.left(table.rrname.length() - len(zone) - 1)
        escaped = odd.re_search(r"(^|[^\\])(\\\\)*\\$")
        inside = (table.rrname == zone) | (table.rrname.endswith(f".{zone}") & ~escaped)
    return table.filter(inside).mutate(key=ibis.literal(zone))


def _grouped(table: Any, keys: list[str], how: dict[str, str]) -> Any:  # noqa: ANN401 - Ibis
    added = {column: getattr(table[column], word)() for column, word in how.items()}
    added["count"] = added["count"].cast("int64")
    return table.group_by(keys).agg(**added)

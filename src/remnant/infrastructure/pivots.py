"""Pivots over everything that was stored: only what is asked for is read.

A case's map rests on its own answers and, unless it is simulated, on those of all other sources
that are not.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from remnant.infrastructure.pivot import PER_KEY, Pivoted, TablePivots, bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remnant.store import Store
    from remnant.store.answer_keys import Range
    from remnant.windows import Window

__all__ = ["StoredPivots"]

_RECORD = ["rrname", "rrtype", "rdata", "sensor"]
_WAYS: dict[str, Any] = {"time_first": "min", "time_last": "max", "count": "sum"}


class StoredPivots:
    """Pivots over the store; see ``pivot.Pivots``.

    An answer is the same as that of ``TablePivots`` over all rows, but that of a content that
    stands in several cases each record counts once, under the first source of that content. What
    a busy address has is read in parts, so memory does not grow with it. (Where the records of one
    owner come in two parts, which takes some hundred thousand of them, ``below`` may count that
    owner twice in a degree.)

    Args:
        store: opened for reading; what is added later is not seen.
        case: whose map it is; ``None``: all sources that are not simulated.
        window: leaves out rows that were not seen in it.
        per_key: relations of a key and a type that are returned at most.
    """

    def __init__(
        self,
        store: Store,
        case: str | None = None,
        *,
        window: Window | None = None,
        per_key: int = PER_KEY,
    ) -> None:
        self._answers = store.answers()
        sources = self._answers.sources
        own = [source for source in sources if source.case == case]
        alone = any(source.simulated for source in own)
        used = own if alone else [s for s in sources if s.case == case or not s.simulated]
        # What was ingested into several cases counts once, under the first of its ids.
        first: dict[str, str] = {}
        for source in sorted(used, key=lambda source: source.id):
            first.setdefault(source.digest, source.id)
        self._ids = pa.array([source.id for source in used], pa.string())
        self._contents = pa.array([first[source.digest] for source in used], pa.string())
        self._shared = len(first) < len(used)
        self._window = window
        self._per_key = per_key

    def owned(self, names: pa.Array[Any]) -> Pivoted:
        """Return the A, AAAA, CNAME, NS and MX records whose owner is one of these names."""
        from remnant.store.answer_keys import of_name  # noqa: PLC0415 - loads Numba

        pieces = self._answers.by_owner(*_ranges(names, of_name))
        return self._found(pieces, lambda pivots: pivots.owned(names), "rdata")

    def at(self, addresses: pa.Array[Any]) -> Pivoted:
        """Return the A and AAAA records that hold one of these addresses (canonical text)."""
        pieces = self._answers.by_data(*_ranges(addresses, _of_address))
        return self._found(pieces, lambda pivots: pivots.at(addresses), "rrname")

    def pointing(self, names: pa.Array[Any]) -> Pivoted:
        """Return the CNAME, NS and MX records whose data is one of these names."""
        from remnant.store.answer_keys import to_name  # noqa: PLC0415 - loads Numba

        pieces = self._answers.by_data(*_ranges(names, to_name))
        return self._found(pieces, lambda pivots: pivots.pointing(names), "rrname")

    def below(self, zones: pa.Array[Any]) -> Pivoted:
        """Return the records of owners that are one of these zones or lie below it."""
        from remnant.store.answer_keys import below_name  # noqa: PLC0415 - loads Numba

        pieces = self._answers.by_owner(*_outermost(_ranges(zones, below_name)))
        return self._found(pieces, lambda pivots: pivots.below(zones), "rrname")

    def rows(self, names: pa.Array[Any]) -> pa.Table:
        """Return all records of these owners as they are stored, with their TTLs.

        Of a content that stands in several cases the rows of its first source count.

        Returns:
            Columns of ``schema.ANSWERS``; not cut to the window, and not bounded for each name.
        """
        from remnant.schema import ANSWERS  # noqa: PLC0415 - beside its use
        from remnant.store.answer_keys import of_name  # noqa: PLC0415 - loads Numba

        first = self._contents.unique()
        kept = [
            rows.filter(
                pc.and_(
                    pc.is_in(rows["source"].cast(pa.string()), value_set=first),
                    pc.is_in(rows["rrname"], value_set=names),
                )
            )
            for rows in self._answers.by_owner(*_ranges(names, of_name))
        ]
        columns = list(ANSWERS.names)
        if not kept:
            return ANSWERS.empty()
        words = {"sensor", "source"}
        plain = []
        for part in kept:
            texts: dict[str, Any] = {name: part[name].cast(pa.string()) for name in words}
            plain.append(pa.table({name: texts.get(name, part[name]) for name in columns}))
        return pa.concat_tables(plain).cast(ANSWERS.arrow)

    def _found(
        self,
        pieces: Iterator[pa.Table],
        ask: Callable[[TablePivots], Pivoted],
        other: str,
    ) -> Pivoted:
        """Put together what each piece gives; no relation is in two of them."""
        found: Pivoted | None = None
        for rows in pieces:
            pivots = TablePivots(self._once(rows), window=self._window, per_key=self._per_key)
            here = ask(pivots)
            found = here if found is None else self._joined(found, here, other)
        if found is None:
            from remnant.schema import ANSWERS  # noqa: PLC0415 - only for nothing

            return ask(TablePivots(ANSWERS.empty(), per_key=self._per_key))
        return found

    def _joined(self, one: Pivoted, two: Pivoted, other: str) -> Pivoted:
        records = pa.concat_tables([one.records, two.records])
        degrees = pa.concat_tables([one.degrees, two.degrees])
        added = degrees.group_by(["key", "rrtype"]).aggregate([("degree", "sum")])
        added = added.rename_columns(degrees.column_names).cast(degrees.schema)
        order: Any = [("key", "ascending"), ("rrtype", "ascending")]
        return Pivoted(bounded(records, other, self._per_key).records, added.sort_by(order))

    def _once(self, rows: pa.Table) -> pa.Table:
        """Return the rows of the sources that count, one a record, sensor and content.

        Of a record that several cases have of one content, the case that saw most of it counts.
        """
        plain = {name: rows[name].cast(pa.string()) for name in ("sensor", "source")}
        rows = rows.select(["rrname", "rrtype", "rdata", *_WAYS])
        for name, column in plain.items():
            rows = rows.append_column(name, column)
        rows = _added(rows, [*_RECORD, "source"], _WAYS)
        contents: Any = pc.index_in(rows["source"], value_set=self._ids)
        rows = rows.append_column("content", pc.take(self._contents, contents))
        rows = rows.filter(pc.is_valid(rows["content"])).drop_columns(["source"])
        if self._shared:
            rows = _added(rows, [*_RECORD, "content"], _WAYS | {"count": "max"})
        return rows.rename_columns(
            ["source" if name == "content" else name for name in rows.column_names]
        )


def _added(rows: pa.Table, keys: list[str], ways: dict[str, Any]) -> pa.Table:
    found = rows.group_by(keys, use_threads=False).aggregate(list(ways.items()))
    return found.rename_columns([*keys, *ways])


def _ranges(values: pa.Array[Any], of: Callable[[str], Range | None]) -> list[Range]:
    """Return the ranges of some keys, each once; what cannot be a key has none."""
    found = (of(value) for value in values.unique().to_pylist() if value)
    return [one for one in found if one is not None]


def _of_address(text: str) -> Range | None:
    from remnant.store.answer_keys import in_network  # noqa: PLC0415 - loads Numba

    try:
        return in_network(ipaddress.ip_network(text))
    except ValueError:
        return None


def _outermost(ranges: list[Range]) -> list[Range]:
    """Return the ranges that lie in no other; names below one another have nested ranges."""
    kept: list[Range] = []
    for one in sorted(ranges, key=lambda r: (r[0], -len(r[0]))):
        if not kept or one[0] >= kept[-1][1]:
            kept.append(one)
    return kept

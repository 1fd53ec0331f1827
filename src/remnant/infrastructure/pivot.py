"""Pivoting: from a name or an address to what passive DNS has joined to it.

Three questions are all that a map asks: what a name led to, what leads to an address, what leads to
a name. Answers are bounded: an address with a million names gives the most seen of them, and the
true number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.schema import TIME

if TYPE_CHECKING:
    from remnant.windows import Window

__all__ = [
    "AAAA",
    "ADDRESSES",
    "CNAME",
    "DEGREES",
    "MX",
    "NS",
    "PER_KEY",
    "POINTERS",
    "RECORDS",
    "TYPES",
    "A",
    "Pivoted",
    "Pivots",
    "TablePivots",
    "bounded",
    "within",
]

A: Final = 1
NS: Final = 2
CNAME: Final = 5
MX: Final = 15
AAAA: Final = 28
ADDRESSES: Final = (A, AAAA)
POINTERS: Final = (NS, CNAME, MX)
TYPES: Final = (A, NS, CNAME, MX, AAAA)
"""Types of the records that join things; others are never pivoted over."""

PER_KEY: Final = 1000
"""Relations of a key and a type that are returned at most, by default."""

MAPPED: Final = "::ffff:"


def _schema(columns: dict[str, pa.DataType]) -> pa.Schema:
    return pa.schema(columns)


RECORDS: Final = _schema(
    {
        "key": pa.string(),
        "rrname": pa.string(),
        "rrtype": pa.uint16(),
        "rdata": pa.string(),
        "time_first": TIME,
        "time_last": TIME,
        "count": pa.int64(),
        "sensor": pa.string(),
        "source": pa.string(),
    }
)
"""Records that a pivot found, one row for each record, sensor and source.

``key`` is which of the asked names or addresses they were found for. ``rdata`` is the address (an
IPv4 address that a AAAA record maps is that IPv4 address), or the name alone (of an MX without the
preference)."""

_RECORD: Final = _schema({field.name: field.type for field in RECORDS if field.name != "key"})

DEGREES: Final = _schema(
    {
        "key": pa.string(),
        "rrtype": pa.uint16(),
        "degree": pa.int64(),
    }
)
"""For each key and type of record: how many different things are at the other end, bounded or not.
"""


@dataclass(frozen=True, slots=True)
class Pivoted:
    """What a pivot found.

    Attributes:
        records: rows of RECORDS, sorted by all columns in their order.
        degrees: rows of DEGREES, sorted by key and type; keys without records have none.
    """

    records: pa.Table
    degrees: pa.Table


class Pivots(Protocol):
    """Passive DNS that can be walked; it knows its window, its sources and its bound.

    Of each key and type at most ``per_key`` relations (owner, type and data) are returned: those
    with the highest counts over all sensors and sources, of equal ones the first by text. So the
    answer does not depend on the order in which records came, nor on how sensors split them.
    """

    def owned(self, names: pa.Array[Any]) -> Pivoted:
        """Return the A, AAAA, CNAME, NS and MX records whose owner is one of these names."""

    def at(self, addresses: pa.Array[Any]) -> Pivoted:
        """Return the A and AAAA records that hold one of these addresses (canonical text)."""

    def pointing(self, names: pa.Array[Any]) -> Pivoted:
        """Return the CNAME, NS and MX records whose data is one of these names."""

    def below(self, zones: pa.Array[Any]) -> Pivoted:
        """Return the records (TYPES) of owners that are one of these zones or lie below it.

        Of each zone and type the ``per_key`` most seen owners are returned, with all their data.
        A name below two of the zones is found for both.
        """


class TablePivots:
    """Pivots over one table in memory.

    Args:
        answers: columns of ``schema.ANSWERS``, in any order of rows.
        window: leaves out records that were not seen in it.
        per_key: relations of a key and a type that are returned at most.
    """

    def __init__(
        self, answers: pa.Table, *, window: Window | None = None, per_key: int = PER_KEY
    ) -> None:
        self._per_key = per_key
        self._records = _merged(within(_plain(answers), window))
        self._ends: dict[int, Any] = {}

    def owned(self, names: pa.Array[Any]) -> Pivoted:
        """Return the records whose owner is one of these names."""
        return self._found("rrname", names, TYPES, "rdata")

    def at(self, addresses: pa.Array[Any]) -> Pivoted:
        """Return the A and AAAA records that hold one of these addresses."""
        return self._found("rdata", addresses, ADDRESSES, "rrname")

    def pointing(self, names: pa.Array[Any]) -> Pivoted:
        """Return the CNAME, NS and MX records whose data is one of these names."""
        return self._found("rdata", names, POINTERS, "rrname")

    def below(self, zones: pa.Array[Any]) -> Pivoted:
        """Return the records of owners that are one of these zones or lie below it."""
        by_labels: dict[int, list[str]] = {}
        odd = []
        for zone in filter(None, zones.unique().to_pylist()):
            if zone == "." or "\\" in zone:
                odd.append(zone)
            else:
                by_labels.setdefault(zone.count(".") + 1, []).append(zone)
        found = []
        for labels, group in by_labels.items():
            at = pc.index_in(self._ends_of(labels), value_set=pa.array(group, pa.string()))
            rows: Any = pc.take(at, self._owner_codes)
            records = self._records.filter(pc.is_valid(rows))
            keys: Any = pa.array(group, pa.string()).take(pc.drop_null(rows))
            found.append(records.add_column(0, "key", keys))
        for zone in odd:
            rows = pc.take(_is_below(self._owners, zone), self._owner_codes)
            records = self._records.filter(rows)
            keys = pa.repeat(pa.scalar(zone, pa.string()), records.num_rows)
            found.append(records.add_column(0, "key", keys))
        if not found:
            return _nothing()
        return bounded(pa.concat_tables(found), "rrname", self._per_key)

    @cached_property
    def _owners(self) -> Any:  # noqa: ANN401 - Arrow
        return self._records["rrname"].unique()

    @cached_property
    def _owner_codes(self) -> Any:  # noqa: ANN401 - Arrow
        codes: Any = pc.index_in(self._records["rrname"], value_set=self._owners)
        return codes.combine_chunks()

    def _ends_of(self, labels: int) -> Any:  # noqa: ANN401 - Arrow
        """Return the last labels of each distinct owner, null where it has not so many."""
        if labels not in self._ends:
            # An escaped character is part of a label, whatever it is.
            plain = pc.replace_substring_regex(self._owners, r"\\.", "--")
            pattern = rf"(?:^|\.)(?P<end>(?:[^.]+\.){{{labels - 1}}}[^.]+)$"
            self._ends[labels] = pc.struct_field(pc.extract_regex(plain, pattern), "end")
        return self._ends[labels]

    def _found(
        self, column: str, keys: pa.Array[Any], types: tuple[int, ...], other: str
    ) -> Pivoted:
        rows: Any = pc.and_(
            pc.is_in(self._records[column], value_set=keys),
            pc.is_in(self._records["rrtype"], value_set=pa.array(types, pa.uint16())),
        )
        records = self._records.filter(rows)
        return bounded(records.add_column(0, "key", records[column]), other, self._per_key)


def bounded(records: pa.Table, other: str, per_key: int) -> Pivoted:
    """Return records with at most a number of others for each key and type, and true degrees.

    Args:
        records: columns of RECORDS.
        other: the column that names the other end, ``rdata`` or ``rrname``.
        per_key: others of a key and a type at most; those with the highest counts, then by text.
    """
    records = records.select(RECORDS.names).cast(RECORDS)
    if not records.num_rows:
        return _nothing()
    ends: Any = records.group_by(["key", "rrtype", other]).aggregate([("count", "sum")])
    order = {"key": "ascending", "rrtype": "ascending", "count_sum": "descending"}
    ends = ends.sort_by([*order.items(), (other, "ascending")])
    starts = _starts(ends)
    sizes = np.diff(np.append(starts, ends.num_rows))
    degrees = ends.select(["key", "rrtype"]).take(pa.array(starts))
    degrees = degrees.append_column("degree", pa.array(sizes, pa.int64())).cast(DEGREES)
    if int(sizes.max()) > per_key:
        place = np.arange(ends.num_rows) - np.repeat(starts, sizes)
        kept = ends.filter(pa.array(place < per_key)).select(["key", "rrtype", other])
        records = records.join(kept, ["key", "rrtype", other], join_type="inner")
        records = records.select(RECORDS.names)
    return Pivoted(sorted_by_all(records), degrees)


def within(records: pa.Table, window: Window | None) -> pa.Table:
    """Return the records that were seen in a window, by their first and last time."""
    if window is None:
        return records
    return records.filter(
        pc.and_(
            pc.greater_equal(records["time_last"], pa.scalar(window.since, TIME)),
            pc.less(records["time_first"], pa.scalar(window.until, TIME)),
        )
    )


def sorted_by_all(records: pa.Table) -> pa.Table:
    """Return records sorted by all their columns."""
    return records.sort_by([(name, "ascending") for name in records.schema.names])


def _is_below(owners: Any, zone: str) -> Any:  # noqa: ANN401 - Arrow
    """Return which names are a zone or lie below it."""
    if zone == ".":
        return pc.is_valid(owners)
    hit: Any = pc.ends_with(owners, f".{zone}")
    # After an odd number of backslashes the dot is part of a label.
    head = pc.utf8_slice_codeunits(owners, 0, -len(zone) - 1)
    escaped = pc.match_substring_regex(head, r"(^|[^\\])(\\\\)*\\$")
    return pc.or_(pc.equal(owners, pa.scalar(zone)), pc.and_not(hit, escaped))


def _nothing() -> Pivoted:
    return Pivoted(RECORDS.empty_table(), DEGREES.empty_table())


def _starts(sorted_ends: pa.Table) -> Any:  # noqa: ANN401 - NumPy
    """Return where each key and type begins, of rows sorted by them."""
    key = sorted_ends["key"].combine_chunks().dictionary_encode().indices.to_numpy()
    rrtype = sorted_ends["rrtype"].to_numpy()
    new = (key[1:] != key[:-1]) | (rrtype[1:] != rrtype[:-1])
    return np.flatnonzero(np.append(True, new))


def _plain(answers: pa.Table) -> pa.Table:
    """Return the records of the types that join, words as text and data as RECORDS says."""
    answers = answers.select(RECORDS.names[1:])
    chosen: Any = pc.is_in(answers["rrtype"], value_set=pa.array(TYPES, answers["rrtype"].type))
    answers = answers.filter(chosen).cast(_RECORD)
    data: Any = answers["rdata"]
    kind: Any = answers["rrtype"]
    mapped: Any = pc.and_(
        pc.equal(kind, pa.scalar(AAAA, pa.uint16())),
        pc.match_substring_regex(data, r"^::ffff:[0-9.]+$"),
    )
    data = pc.if_else(mapped, pc.utf8_slice_codeunits(data, len(MAPPED)), data)
    exchanger = pc.replace_substring_regex(data, r"^[0-9]+ ", "")
    data = pc.if_else(pc.equal(kind, pa.scalar(MX, pa.uint16())), exchanger, data)
    return answers.set_column(answers.schema.get_field_index("rdata"), "rdata", data)


def _merged(records: pa.Table) -> pa.Table:
    """Add up the rows of one record, sensor and source."""
    keys = ["rrname", "rrtype", "rdata", "sensor", "source"]
    spans: Any = [("time_first", "min"), ("time_last", "max"), ("count", "sum")]
    merged: Any = records.group_by(keys).aggregate(spans)
    named = merged.rename_columns([name.removesuffix(f"_{how}") for name, how in _ends(merged)])
    added: pa.Table = named.select(RECORDS.names[1:]).cast(_RECORD)
    return added


def _ends(table: pa.Table) -> list[tuple[str, str]]:
    added = {"time_first_min": "min", "time_last_max": "max", "count_sum": "sum"}
    return [(name, added.get(name, "")) for name in table.schema.names]

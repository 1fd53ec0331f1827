"""Records of passive DNS, found by name, address or network over everything that was stored.

A source that serves several cases stands in the store once for each; a record of it counts once.
Merging is commutative: whatever the order in which sources came, and whether what they brought was
put in order yet, the answer is the same.

References:
    draft-dulaunoy-dnsop-passive-dns-cof (the columns); dnsdbq, options -A, -B and -c (the window).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.capture.text_types import TYPES
from remnant.errors import RemnantError
from remnant.names import NameSyntaxError, text_to_wire, wire_to_text
from remnant.schema import TIME
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from remnant.store import Store
    from remnant.store.ordered import OrderedAnswers
    from remnant.store.records import SourceRecord

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

__all__ = [
    "COLUMNS",
    "UNASSIGNED",
    "Fence",
    "Merger",
    "Question",
    "lookup",
    "records",
    "type_number",
    "type_word",
]

UNASSIGNED: Final = "_pdns"
"""Under this name the store keeps records that belong to no case; no case can have it."""

COLUMNS: Final = (
    "rrname",
    "rrtype",
    "rdata",
    "time_first",
    "time_last",
    "count",
    "sensor_id",
    "ttl_low",
    "ttl_high",
    "simulated",
)

_AAAA: Final = 28
_RECORD: Final = ["rrname", "rrtype", "rdata", "sensor", "simulated"]
_WAYS: Final[dict[str, Any]] = {
    "time_first": "min",
    "time_last": "max",
    "count": "sum",
    "ttl_low": "min",
    "ttl_high": "max",
}
_MOST_COUNT: Final = 1 << 62
"""What counts add up to at most: strangers write them."""
_MNEMONIC: Final = {number: word for word, number in reversed(TYPES.items())}


def type_word(number: int) -> str:
    """Return a type's mnemonic, or TYPE and its number."""
    return _MNEMONIC.get(number, f"TYPE{number}")


def type_number(word: str) -> int:
    """Return the number of a type: ``A``, ``ns``, ``TYPE65400``.

    Raises:
        RemnantError: there is no such type.
    """
    upper = word.upper()
    digits = upper.removeprefix("TYPE")
    if upper in TYPES:
        return TYPES[upper]
    if digits != upper and digits.isdecimal() and len(digits) <= 5 and int(digits) < 1 << 16:
        return int(digits)
    raise RemnantError("this is no type of record", got=word, expected="A, NS, MX or TYPE65400")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for; ``parse`` makes it of what a person wrote.

    Attributes:
        name: a folded name, or ``None`` where a network is asked for.
        below: also the names below it.
        network: the addresses asked for.
        server: not the records of the name, but those that point to it.
    """

    name: str | None
    below: bool = False
    network: Network | None = None
    server: bool = False

    @classmethod
    def parse(cls, what: str, *, server: bool = False) -> Question:
        """Return what is asked for.

        Args:
            what: a name; ``*.`` and a name for that name and everything below it; an address; a
                CIDR. An IPv4 address is found in A records, and in AAAA records that map it.
            server: the records that point to the name are asked for: NS, MX, CNAME, DNAME, PTR and
                SRV.

        Raises:
            RemnantError: this is neither a name nor an address.
        """
        network = None if server else _network(what)
        if network is not None:
            return cls(None, network=network)
        return cls(_name(what), below=what.startswith("*."), server=server)

    def pieces(self, answers: OrderedAnswers) -> Iterator[pa.Table]:
        """Yield the rows of ``schema.ANSWERS`` that are asked for, all of a record in one piece."""
        from remnant.store.answer_keys import (  # noqa: PLC0415 - loads Numba
            below_name,
            in_network,
            of_name,
            to_name,
        )

        if self.network is not None:
            for rows in answers.by_data(in_network(self.network)):
                if self.network.version == 6:
                    # An A record is no IPv6 address, though its key lies among them.
                    yield rows.filter(pc.equal(rows["rrtype"], pa.scalar(_AAAA, pa.uint16())))
                else:
                    yield rows
            return
        assert self.name is not None
        if self.server:
            yield from answers.by_data(to_name(self.name, below=self.below))
        else:
            yield from answers.by_owner((below_name if self.below else of_name)(self.name))


@dataclass(frozen=True, slots=True)
class Fence:
    """Which records are left out by when they were seen.

    Attributes:
        since: those last seen before it; with ``inside`` those first seen before it.
        until: those first seen at it or later; with ``inside`` those last seen then.
        inside: only records that were never seen outside of the window.
    """

    since: datetime | None = None
    until: datetime | None = None
    inside: bool = False

    def kept(self, rows: pa.Table) -> pa.Table:
        """Return the rows within the fence; each stands for all that is known of a record."""
        begins, ends = ("time_first", "time_last") if self.inside else ("time_last", "time_first")
        if self.since is not None:
            rows = rows.filter(pc.greater_equal(rows[begins], pa.scalar(self.since, TIME)))
        if self.until is not None:
            rows = rows.filter(pc.less(rows[ends], pa.scalar(self.until, TIME)))
        return rows


_OPEN: Final = Fence()


class Merger:
    """Adds rows up, those of one content that stands in several cases once.

    Args:
        sources: everything that was read.
        cases: rows of other cases' sources are left out; ``None``: none are.
    """

    def __init__(
        self, sources: Sequence[SourceRecord], cases: Collection[str] | None = None
    ) -> None:
        contents: dict[str, int] = {}
        self._known: dict[str, tuple[int, bool]] = {}
        for source in sources:
            if cases is None or source.case in cases:
                content = contents.setdefault(source.digest, len(contents))
                self._known[source.id] = (content, source.simulated)
        self._shared = len(self._known) > len(contents)

    def merged(self, rows: pa.Table) -> pa.Table:
        """Return one row for each record, sensor, and whether it is simulated.

        Args:
            rows: of ``schema.ANSWERS``, all those of a record.

        Returns:
            Columns rrname, rrtype, rdata, sensor, simulated, time_first, time_last, count, ttl_low
            and ttl_high; texts plain.
        """
        if not len(rows):
            return rows.select(_RECORD[:-1]).append_column("simulated", pa.array([], pa.bool_()))
        source = _whole(rows["source"])
        known = [self._known.get(word) for word in source.dictionary.to_pylist()]
        codes = source.indices.to_numpy()
        content = np.array([-1 if one is None else one[0] for one in known], np.int64)[codes]
        simulated = np.array([one is not None and one[1] for one in known], np.bool_)[codes]
        table = rows.select(["rrname", "rrtype", "rdata", *_WAYS])
        table = table.append_column("sensor", rows["sensor"].cast(pa.string()))
        table = table.append_column("simulated", pa.array(simulated))
        table = table.append_column("content", pa.array(content))
        table = table.append_column("reading", pa.array(codes.astype(np.int64)))
        if (content < 0).any():
            table = table.filter(pa.array(content >= 0))
        if self._shared:
            # A source may bring several rows of a record: they add up within each case.
            table = _grouped(table, [*_RECORD, "content", "reading"], _WAYS)
            table = _grouped(table, [*_RECORD, "content"], _WAYS | {"count": "max"})
        return _grouped(table, _RECORD, _WAYS)


def _whole(column: pa.ChunkedArray[Any]) -> Any:  # noqa: ANN401 - a dictionary array
    one: Any = column.unify_dictionaries()
    return one.chunk(0) if one.num_chunks == 1 else pa.concat_arrays(one.chunks)


def _grouped(table: pa.Table, keys: list[str], ways: dict[str, Any]) -> pa.Table:
    """Return one row for each combination of keys; a sum never turns negative."""
    if ways["count"] == "sum":
        table = table.append_column("whole", table["count"].cast(pa.float64(), safe=False))
        ways = ways | {"whole": "sum"}
    found = table.group_by(keys, use_threads=False).aggregate([(n, ways[n]) for n in ways])
    found = found.rename_columns([*keys, *ways])
    if "whole" in ways:
        much = pc.greater_equal(found["whole"], pa.scalar(float(_MOST_COUNT)))
        most = pa.scalar(_MOST_COUNT, pa.int64())
        at = found.schema.get_field_index("count")
        found = found.set_column(at, "count", pc.if_else(much, most, found["count"]))
        found = found.drop_columns(["whole"])
    return found


def records(
    store: Store,
    question: Question | None,
    *,
    fence: Fence = _OPEN,
    types: Collection[int] = (),
    cases: Collection[str] | None = None,
    simulated: bool = True,
) -> Iterator[pa.Table]:
    """Yield the records that are asked for, in pieces of bounded size.

    Args:
        store: opened for reading.
        question: what is asked for; ``None``: everything.
        fence: leaves out records by when they were seen.
        types: numbers of the types that are wanted; none: all.
        cases: counts only what the sources of these cases brought; ``None``: of all.
        simulated: also records of simulated sources.

    Yields:
        Tables as ``Merger.merged`` returns them; no record is in two of them.
    """
    answers = store.answers()
    merger = Merger(answers.sources, cases)
    for rows in (question or Question(".", below=True)).pieces(answers):
        wanted = rows
        if types:
            kinds = pa.array(sorted(types), pa.uint16())
            wanted = rows.filter(pc.is_in(rows["rrtype"], value_set=kinds))
        if len(wanted):
            merged = fence.kept(merger.merged(wanted))
            if not simulated:
                merged = merged.filter(pc.invert(merged["simulated"]))
            if len(merged):
                yield merged


def lookup(
    store: Store,
    what: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    inside: bool = False,
    server: bool = False,
    types: Collection[int] = (),
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """Return the records of a name, an address or a network, those seen last first.

    Args:
        store: opened for reading.
        what: a name; ``*.`` and a name for that name and everything below it; an address; a CIDR.
            An IPv4 address is found in A records, and in AAAA records that map it.
        since: leaves out records that were last seen before it.
        until: leaves out records that were first seen at it or later.
        inside: leaves out records, too, that were seen before ``since``, or at ``until`` or later.
        server: ``what`` is a name server, a mail exchanger or the target of an alias: returns the
            records that point to it.
        types: numbers of the types that are wanted; none: all.
        limit: rows at most.

    Returns:
        Rows with the columns COLUMNS; times in ISO 8601 (UTC), counts over all sources. Records
        of simulated sources are rows of their own.

    Raises:
        RemnantError: this is neither a name nor an address.
    """
    question = Question.parse(what, server=server)
    latest: pa.Table | None = None
    fence = Fence(since, until, inside)
    for found in records(store, question, fence=fence, types=types):
        both = found if latest is None else pa.concat_tables([latest, found])
        latest = _latest(both, limit)
    return [] if latest is None else [_row(row) for row in latest.to_pylist()]


def _latest(rows: pa.Table, limit: int) -> pa.Table:
    """Return the rows that were seen last, in order."""
    if len(rows) > 2 * limit:
        times = rows["time_last"].cast(pa.int64()).to_numpy()
        least = np.partition(times, len(rows) - limit)[len(rows) - limit]
        rows = rows.filter(pa.array(times >= least))
    order: Any = [
        ("time_last", "descending"),
        *((name, "ascending") for name in _RECORD),
    ]
    return rows.sort_by(order).slice(0, limit)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "rrname": row["rrname"],
        "rrtype": type_word(row["rrtype"]),
        "rdata": row["rdata"],
        "time_first": iso(row["time_first"]),
        "time_last": iso(row["time_last"]),
        "count": row["count"],
        "sensor_id": row["sensor"],
        "ttl_low": row["ttl_low"],
        "ttl_high": row["ttl_high"],
        "simulated": row["simulated"],
    }


def _network(what: str) -> Network | None:
    try:
        network = ipaddress.ip_network(what, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96), strict=False)
    return network


def _name(what: str) -> str:
    """Return the folded text of the name, without the ``*.`` before it."""
    address, slash, _ = what.partition("/")
    wrong: NameSyntaxError | None = None
    # An address with a length that is none is not meant as a name, though it could be one.
    if what and not (slash and _network(address) is not None):
        try:
            return wire_to_text(text_to_wire(what.removeprefix("*.") or "."))
        except NameSyntaxError as error:
            wrong = error
    raise RemnantError(
        "this is neither a name, an address nor a network",
        got=what,
        expected="evil.example, *.evil.example, 192.0.2.7 or 192.0.2.0/24",
    ) from wrong

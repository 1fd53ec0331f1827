"""Where the names of a case led, as evidence about each of them and about each server.

Passive DNS is walked from the names: their addresses, what their aliases lead to, the name servers
of their domains, and the addresses of those. Everything is bounded, and what is left out is said.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.cases.zones import zone_of
from remnant.infrastructure.listed import LISTS, listed
from remnant.infrastructure.pivot import AAAA, CNAME, NS, RECORDS, A
from remnant.infrastructure.states import Evidence, State
from remnant.infrastructure.unusable import SPECIAL
from remnant.schema import TIME
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from remnant.cases.model import Case
    from remnant.infrastructure.pivot import Pivots
    from remnant.watchlist import Rule

__all__ = ["MOST_NAMES", "MOST_OF_ONE", "Led", "Row", "Sinkhole", "walk"]

MOST_NAMES: Final = 20_000
"""Names that are listed: those written, of each server the one seen last, the others seen last."""

MOST_OF_ONE: Final = 400
"""Records of one owner that are looked at, those seen last."""

_MOST_EVIDENCE: Final = 2_000
"""Observations of one name that are judged: aliases of aliases multiply."""

_ALIASES: Final = 4
"""Aliases that are followed one after another."""

_LEADS: Final = (A, AAAA, CNAME)
_DATA: Final = [name for name in RECORDS.names if name != "key"]
_WORDS: Final = {A: "A", AAAA: "AAAA", CNAME: "CNAME", NS: "NS"}
_NOWHERE: Final = [
    ipaddress.ip_network(prefix)
    for prefix, use, _ in SPECIAL
    if use not in {"documentation", "benchmarks"}
]
"""Where no server of the internet is. Addresses for documentation and benchmarks are not in it:
examples and simulated botnets live there."""


class Row(NamedTuple):
    """One record, sensor and source."""

    rrname: str
    rrtype: int
    rdata: str
    first: datetime
    last: datetime
    sensor: str
    source: str


@dataclass(frozen=True, slots=True)
class Sinkhole:
    """The case's own sinkhole.

    Attributes:
        servers: its addresses and name servers.
        operator: who runs it, for people.
    """

    servers: frozenset[str]
    operator: str

    @classmethod
    def of(cls, case: Case) -> Sinkhole:
        """Return that of a case; one without has no servers."""
        if case.sinkhole is None:
            return cls(frozenset(), "")
        config = case.sinkhole
        servers = frozenset(config.addresses) | frozenset(config.nameservers)
        return cls(servers, config.operator or "this case")


@dataclass(slots=True)
class Led:
    """Where the names of a case led.

    Attributes:
        rules: the rule that lists each name.
        zones: the domain of each name.
        records: A, AAAA and CNAME records by owner: of the names, and of what their aliases name.
        delegations: NS records by domain.
        hosts: A and AAAA records of the name servers, by name server.
        whose: whose an address or name server is that is not the botnet's: its state and operator.
        degrees: names that passive DNS knows at an address, or domains at a name server.
        there: A and AAAA records of the listed addresses, by address, whoever's the names are.
        left_out: what was not looked at, for people.
    """

    rules: dict[str, Rule]
    zones: dict[str, str]
    records: dict[str, list[Row]]
    delegations: dict[str, list[Row]]
    hosts: dict[str, list[Row]]
    whose: dict[str, tuple[State, str]]
    degrees: dict[str, int]
    there: dict[str, list[Row]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def evidence(self, name: str) -> list[Evidence]:
        """Return what DNS says of a name, addresses of its aliases and name servers included."""
        found = list(islice(self._leads(name, _ALIASES, frozenset({name})), _MOST_EVIDENCE))
        for row in self.delegations.get(self.zones[name], []):
            taken = self._taken(row)
            if taken is not None:
                found.append(_evidence(row, *taken, by="delegation"))
        return found

    def serving(self, zone: str) -> Iterator[Evidence]:
        """Yield what DNS says of the name servers of a domain."""
        for row in self.delegations.get(zone, []):
            state, operator = self._taken(row) or ("resolving", "")
            yield _evidence(row, state, operator, by="delegation")

    def hosting(self, zone: str) -> Iterator[Evidence]:
        """Yield what DNS says of the addresses of the name servers of a domain."""
        for row in self.delegations.get(zone, []):
            for host in self.hosts.get(row.rdata, []):
                first, last = max(row.first, host.first), min(row.last, host.last)
                if first <= last:
                    within = host._replace(first=first, last=last)
                    state, operator = self.whose.get(host.rdata, ("resolving", ""))
                    yield _evidence(within, state, operator, by="address")

    def at(self, address: str) -> Iterator[Evidence]:
        """Yield what DNS says of a listed address by names that are not the case's."""
        state, operator = self.whose.get(address, ("resolving", ""))
        for row in self.there.get(address, []):
            if row.rrname not in self.rules:
                one = _evidence(row, state, operator, by="address")
                yield replace(one, what=f"{one.what} of {row.rrname}")

    def _leads(self, name: str, depth: int, seen: frozenset[str]) -> Iterator[Evidence]:
        for row in self.records.get(name, []):
            state, operator = self.whose.get(row.rdata, ("resolving", ""))
            if row.rrtype != CNAME:
                yield _evidence(row, state, operator, by="address")
                continue
            yield _evidence(row, state, operator, by="alias")
            if not depth or row.rdata in seen:
                continue
            for one in self._leads(row.rdata, depth - 1, seen | {row.rdata}):
                since, until = max(row.first, one.since), min(row.last, one.until)
                if since <= until:
                    yield Evidence(
                        since, until, one.state, f"{one.what} by {row.rdata}", one.whose,
                        one.sensors, one.sources, one.by, one.server,
                    )  # fmt: skip

    def _taken(self, row: Row) -> tuple[State, str] | None:
        """Return whose a name server is, by its name or by where it lay in that time."""
        if row.rdata in self.whose:
            return self.whose[row.rdata]
        for host in self.hosts.get(row.rdata, []):
            taken = self.whose.get(host.rdata)
            if taken is not None and taken[0] != "absent" and host.first <= row.last:
                return taken
        return None


def walk(
    pivots: Pivots,
    rules: Sequence[Rule],
    sinkhole: Sinkhole,
    listed: Sequence[str] = (),
    *,
    until: datetime | None = None,
) -> Led:
    """Return where the names of some rules led.

    Args:
        pivots: passive DNS.
        rules: of one case. Written names are always listed, generated ones if they led somewhere.
        sinkhole: the case's own.
        listed: addresses that are listed themselves, whatever names lead there.
        until: end of the window: what was seen later is no reason to list a name rather than
            another one; ``None``: there is none.
    """
    left_out: list[str] = []
    bases = [rule.text[2:] for rule in rules if rule.kind == "below"]
    exact = {rule.text: rule for rule in rules if rule.kind == "exact"}
    below = {rule.text[2:]: rule for rule in rules if rule.kind == "below"}
    own = _distinct([pivots.owned(_texts([*exact, *bases])).records])
    under = pivots.below(_texts(bases)).records if bases else RECORDS.empty_table()
    covered = _covered(under)
    table = _typed(_distinct([own, under]), _LEADS)
    written = [name for name, rule in {**exact, **below}.items() if rule.valid_from is None]
    names = _chosen(written, table, until, left_out)
    table = table.filter(pc.is_in(table["rrname"], value_set=_texts(names)))
    records = _by_owner(table, left_out)
    _follow(pivots, records, left_out)
    listing = {name: exact.get(name) or below.get(name) or below[covered[name]] for name in names}
    zones = {name: listing[name].zone or zone_of(name) for name in names}
    delegations = _by_owner(_owned(pivots, sorted(set(zones.values())), (NS,)), left_out)
    servers = sorted({row.rdata for rows in delegations.values() for row in rows})
    hosts = _by_owner(_owned(pivots, servers, (A, AAAA)), left_out)
    addresses = sorted(
        {row.rdata for part in (records, hosts) for rows in part.values() for row in rows
         if row.rrtype in {A, AAAA}}.union(listed)
    )  # fmt: skip
    there = _by_owner(_distinct([pivots.at(_texts(listed)).records]), left_out, "rdata")
    targets = {row.rdata for rows in records.values() for row in rows if row.rrtype == CNAME}
    degrees = dict(_degrees(pivots.at(_texts(addresses)).degrees))
    degrees |= _degrees(pivots.pointing(_texts(servers)).degrees)
    whose = _whose([*addresses, *servers, *sorted(targets)], sinkhole)
    return Led(listing, zones, records, delegations, hosts, whose, degrees, there, left_out)


def _chosen(
    written: Sequence[str], table: pa.Table, until: datetime | None, left_out: list[str]
) -> list[str]:
    """Return the names that are listed, at most ``MOST_NAMES``.

    The list is about servers that live, so what was seen longest ago is left out first. But anybody
    can ask for any number of names below a zone: so that those of one server do not crowd out
    another, of each address or alias the name that was seen there last comes before all others.

    Args:
        written: names that are listed whether they were seen or not, while there is room.
        table: records of the names.
        until: see ``walk``.
        left_out: takes what was left out, for people.
    """
    last: dict[str, int] = {}
    there: dict[str, tuple[int, str]] = {}
    for name, data, time in _seen(table, until):
        last[name] = max(time, last.get(name, time))
        there[data] = max((time, name), there.get(data, (time, name)))
    latest = {name for _, name in there.values()}
    few = len(set(written)) <= MOST_NAMES
    first = dict.fromkeys(written) if few else {name: None for name in written if name in last}

    def order(name: str) -> tuple[bool, bool, int, str]:
        return name in first, name in latest, last[name], name

    names = list(first) if few else []
    names += sorted((name for name in last if not few or name not in first), key=order)[::-1]
    names += [name for name in dict.fromkeys(written) if name not in last and name not in first]
    if len(names) > MOST_NAMES:
        never = sum(name not in last for name in names[MOST_NAMES:])
        words = [f"{len(names) - MOST_NAMES:,} names"]
        words += [f"{never:,} of them never seen"] if never else []
        left_out.append("; ".join([*words, "of those seen, the ones seen longest ago"]))
    return names[:MOST_NAMES]


def _seen(table: pa.Table, until: datetime | None) -> Iterator[tuple[str, str, int]]:
    """Yield owner, data, and when they were last seen (UTC microseconds) before a time, if ever."""
    if until is not None:
        table = table.filter(pc.less(table["time_first"], pa.scalar(until, TIME)))
    found: Any = table.group_by(["rrname", "rdata"]).aggregate([("time_last", "max")])
    times = found["time_last_max"].cast(pa.int64()).to_pylist()
    most = max(times, default=0) if until is None else to_us(until)
    for name, data, time in zip(
        found["rrname"].to_pylist(), found["rdata"].to_pylist(), times, strict=True
    ):
        yield name, data, min(time, most)


def _follow(pivots: Pivots, records: dict[str, list[Row]], left_out: list[str]) -> None:
    """Add what the aliases of names lead to."""
    targets = {row.rdata for rows in records.values() for row in rows if row.rrtype == CNAME}
    for _ in range(_ALIASES):
        new = sorted(targets - records.keys())
        if not new:
            return
        if len(new) > MOST_NAMES:
            left_out.append(f"{len(new) - MOST_NAMES:,} aliases")
        found = _by_owner(_owned(pivots, new[:MOST_NAMES], _LEADS), left_out)
        records.update(found)
        targets = {row.rdata for rows in found.values() for row in rows if row.rrtype == CNAME}


def _owned(pivots: Pivots, names: Sequence[str], types: Sequence[int]) -> pa.Table:
    if not names:
        return RECORDS.empty_table().select(_DATA)
    return _typed(_distinct([pivots.owned(_texts(names)).records]), types)


def _typed(records: pa.Table, types: Sequence[int]) -> pa.Table:
    return records.filter(pc.is_in(records["rrtype"], value_set=pa.array(types, pa.uint16())))


def _texts(values: Iterable[str]) -> pa.Array[Any]:
    return pa.array(list(values), pa.string())


def _distinct(tables: Sequence[pa.Table]) -> pa.Table:
    """Return rows without the key that they were found for, each once."""
    table = pa.concat_tables([table.select(_DATA) for table in tables])
    found: Any = table.group_by(_DATA).aggregate([])
    rows: pa.Table = found.select(_DATA)
    return rows


def _covered(under: pa.Table) -> dict[str, str]:
    """Return the longest zone that each owner was found for."""
    pairs: Any = under.select(["rrname", "key"]).group_by(["rrname", "key"]).aggregate([])
    zones: dict[str, str] = {}
    for name, key in zip(pairs["rrname"].to_pylist(), pairs["key"].to_pylist(), strict=True):
        zones[name] = max(zones.get(name, ""), key, key=lambda zone: (len(zone), zone))
    return zones


def _by_owner(
    table: pa.Table, left_out: list[str], owner_is: str = "rrname"
) -> dict[str, list[Row]]:
    """Return records by owner (or by what another column holds), of each those seen last."""
    names = ("rrname", "rrtype", "rdata", "time_first", "time_last", "sensor", "source")
    order: Any = [
        (owner_is, "ascending"),
        ("time_last", "descending"),
        ("time_first", "descending"),
    ]
    order += [(n, "ascending") for n in names if n != owner_is and not n.startswith("time")]
    table = table.sort_by(order)
    if table.num_rows > MOST_OF_ONE:
        owner = table[owner_is].combine_chunks().dictionary_encode().indices.to_numpy()
        starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
        sizes = np.diff(np.append(starts, table.num_rows))
        place = np.arange(table.num_rows) - np.repeat(starts, sizes)
        many = int((place >= MOST_OF_ONE).sum())
        if many:
            left_out.append(f"{many:,} records of names that have more than {MOST_OF_ONE}")
            table = table.filter(pa.array(place < MOST_OF_ONE))
    columns = [table[name].to_pylist() for name in names]
    found: dict[str, list[Row]] = defaultdict(list)
    keys: list[Any] = columns[names.index(owner_is)]
    for key, values in zip(keys, zip(*columns, strict=True), strict=True):
        found[key].append(Row(*values))
    return dict(found)


def _degrees(degrees: pa.Table) -> dict[str, int]:
    """Return how many others each key has, over types of records."""
    found: Any = degrees.group_by("key").aggregate([("degree", "sum")])
    return dict(zip(found["key"].to_pylist(), found["degree_sum"].to_pylist(), strict=True))


def _whose(servers: Sequence[str], sinkhole: Sinkhole) -> dict[str, tuple[State, str]]:
    """Return what some addresses and names are known to be."""
    known: dict[str, tuple[State, str]] = {}
    states: dict[str, State] = {"sinkhole": "sinkholed", "parking": "parked"}
    for which in reversed(LISTS):
        for server, line in listed(which, servers).items():
            known[server] = states[which], line.operator
    for server in servers:
        if server in sinkhole.servers:
            known[server] = "sinkholed", sinkhole.operator
        elif _leads_nowhere(server):
            known[server] = "absent", ""
    return known


@lru_cache(maxsize=1 << 16)
def _leads_nowhere(address: str) -> bool:
    """Return whether an address is one that no server of the internet has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in _NOWHERE)


def _evidence(row: Row, state: State, operator: str, *, by: str) -> Evidence:
    return Evidence(
        row.first,
        row.last,
        state,
        f"{_WORDS[row.rrtype]} {row.rdata}",
        operator,
        (row.sensor,) if row.sensor else (),
        (row.source,) if row.source else (),
        by,
        row.rdata,
    )

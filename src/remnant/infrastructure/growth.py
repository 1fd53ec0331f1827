"""Growing a map from its seeds, a round of pivoting at a time.

A round asks what the names and addresses of the round before are joined to. Hubs are recognised
before anything is joined through them; the last round adds nothing, it only closes what is between
things that are on the map already and recognises the hubs among them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.enrich.addresses import parse, to_bytes
from remnant.infrastructure.domains import are_suffixes, suffix_words, zones_of
from remnant.infrastructure.hubs import Crowd, Hub, crowds, listed_hubs, wildcards
from remnant.infrastructure.joins import among, chosen, codes_of, first_of, joins_of, texts, times
from remnant.infrastructure.pivot import ADDRESSES, CNAME, MX, NS, RECORDS, Pivoted, Pivots
from remnant.infrastructure.unusable import unusable

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from remnant.cases.model import Case
    from remnant.enrich.reference import Reference
    from remnant.infrastructure.seeds import Seeds
    from remnant.settings import InfrastructureSettings

__all__ = ["Grown", "grow"]

_MARGIN_US: Final = 7 * 86_400_000_000
"""A server that a map's names had for more than a week before or after it became a hub is one for
that time only; a sensor seldom sees all names of a hub from the first day."""

_SAMPLE: Final = 20
"""Names of a crowded address of which is asked how many addresses they have."""

_MANY_ADDRESSES: Final = 3

_POINTED: Final = {
    NS: "name server of many",
    MX: "mail exchanger of many",
    CNAME: "alias of many",
}
_BITS: Final = 128
_FOREVER: Final = (-(1 << 61), 1 << 61)


@dataclass
class Grown:
    """A map as it grows.

    Attributes:
        values: names and addresses that are on it, in the order in which they came.
        hubs: those that join nothing.
        crowded: addresses and servers that were hubs for a time (UTC us, both ends included) in
            which the case had nothing there: nothing is joined through them in that time.
        records: what was found, tables of ``pivot.RECORDS``; rows may occur several times.
        degrees: neighbours of each value that was asked for, also those that are left out.
        unusable: records that were not used, with a column ``reason``.
        missed: values that are not on the map, and why: columns value and reason.
        unasked: joins that a pivot did not return, because there were too many.
    """

    values: dict[str, None] = field(default_factory=dict)
    hubs: dict[str, Hub] = field(default_factory=dict)
    crowded: dict[str, tuple[int, int]] = field(default_factory=dict)
    records: list[pa.Table] = field(default_factory=list)
    degrees: dict[str, int] = field(default_factory=dict)
    unusable: list[pa.Table] = field(default_factory=list)
    missed: list[pa.Table] = field(default_factory=list)
    unasked: int = 0


def grow(
    case: Case,
    seeds: Seeds,
    pivots: Pivots,
    reference: Reference,
    limits: InfrastructureSettings,
    now: datetime,
) -> Grown:
    """Return what is joined to the seeds within the limits."""
    growth = _Growth(case, seeds, pivots, reference, limits, now)
    for hop in range(limits.hops + 1):
        if not growth.round(adding=hop < limits.hops):
            break
    return growth.grown


class _Growth:
    def __init__(
        self,
        case: Case,
        seeds: Seeds,
        pivots: Pivots,
        reference: Reference,
        limits: InfrastructureSettings,
        now: datetime,
    ) -> None:
        self._case = case
        self._pivots = pivots
        self._reference = reference
        self._limits = limits
        self._now = now
        self._seeds: pa.Array[Any] = seeds.table["value"].combine_chunks()
        sink = case.sinkhole
        extra = () if sink is None else (*sink.addresses, *sink.nameservers)
        self._own: pa.Array[Any] = pa.array([*texts(self._seeds), *extra], pa.string())
        self._own_zones: pa.Array[Any] = zones_of(self._seeds).unique()
        self._next: list[str] = []
        self._adding = True
        self._found: list[pa.Table] = []
        self._taken: set[str] = set()
        self._implied: set[str] = set()  # domains that came with a name below them
        self._networks: dict[str, bool] = {}
        self.grown = Grown()
        self._add(texts(self._seeds))

    def round(self, *, adding: bool) -> bool:
        """Ask for what was added in the round before; return whether anything was."""
        asked = [value for value in self._next if value not in self.grown.hubs]
        self._next, self._found, self._adding = [], [], adding
        if not asked:
            return False
        column: pa.Array[Any] = pa.array(asked, pa.string())
        is_address = parse(column).length == _BITS
        addresses: pa.Array[Any] = column.filter(pa.array(is_address))
        names: pa.Array[Any] = column.filter(pa.array(~is_address))
        names, domains = self._with_domains(names)
        self._siblings(domains)
        self._hosted(addresses)
        self._pointed(names)
        self._owned(names)
        self._follow()
        return True

    def _with_domains(self, names: pa.Array[Any]) -> tuple[pa.Array[Any], pa.Array[Any]]:
        """Put the domains of names on the map; return names and new domains, and the domains."""
        zones = zones_of(names).unique()
        new = [zone for zone in texts(zones) if zone not in self.grown.values]
        self._implied.update(new)
        self._add(new)
        self._next = [value for value in self._next if value not in set(new)]
        free = self._without_hubs(zones)
        both: Any = pa.chunked_array([names, self._without_hubs(pa.array(new, pa.string()))])
        fresh = [zone for zone in texts(free) if zone not in self._taken]
        self._taken.update(fresh)
        return both.unique(), pa.array(fresh, pa.string())

    def _siblings(self, domains: pa.Array[Any]) -> None:
        """Find names below domains."""
        if not len(domains):
            return
        found = self._usable(self._pivots.below(domains))
        wild = wildcards(found.select(["key", "rrname", "rdata"]))
        for zone, reason in wild.items():
            # A domain that a server or another name leads to is judged as the name it is.
            if zone in self._implied:
                self._mark(zone, reason)
        joins = joins_of(found, "rrname")
        rows = among(joins["key"], wild)
        self._miss(joins.filter(pa.array(rows))["other"], "below a zone with a wildcard")
        self._want(joins.filter(pa.array(~rows)), self._limits.names_per_domain, "a domain")

    def _hosted(self, addresses: pa.Array[Any]) -> None:
        """Find other names at addresses, in the time in which the map's names were there."""
        if not len(addresses):
            return
        found = self._usable(self._pivots.at(addresses))
        joins = joins_of(found, "rrname")
        reach = self._reach(addresses)
        self._keep(found)
        keys = joins["key"].combine_chunks()
        crowd, at = self._crowds(joins)
        words = self._of_hosts(joins, crowd, at)
        self._judge(keys, at, crowd, words, reach)
        slack = round(self._limits.apart_days * 86_400e6)
        place: Any = pc.index_in(keys, value_set=reach["key"])
        row = place.to_numpy(zero_copy_only=False)
        late = times(joins["first"]) > times(reach["last"])[row] + slack
        early = times(joins["last"]) < times(reach["first"])[row] - slack
        apart = late | early
        self._miss(joins.filter(pa.array(apart))["other"], "was there at another time")
        self._want(
            joins.filter(pa.array(~apart)), self._limits.names_per_address, "an address or server"
        )

    def _pointed(self, names: pa.Array[Any]) -> None:
        """Find what has names as alias target, name server or mail exchanger."""
        if not len(names):
            return
        found = self._usable(self._pivots.pointing(names))
        self._keep(found)
        kinds = found["rrtype"].to_numpy()
        for rrtype, word in _POINTED.items():
            part = found.filter(pa.array(kinds == rrtype))
            if not part.num_rows:
                continue
            joins = joins_of(part, "rrname")
            keys = joins["key"].combine_chunks()
            if rrtype == NS:
                self._suffix_servers(joins)
                self._sinkhole_servers(joins)
            crowd, at = self._crowds(joins)
            self._judge(keys, at, crowd, dict.fromkeys(range(crowd.peak.size), word), None)
            self._want(joins, self._limits.names_per_address, "an address or server")

    def _owned(self, names: pa.Array[Any]) -> None:
        """Find what names lead to."""
        if not len(names):
            return
        found = self._usable(self._pivots.owned(names))
        self._keep(found)
        most = self._limits.addresses_per_name
        self._want(joins_of(found, "rdata"), most, "a name", most)

    # What the questions have in common.

    def _usable(self, pivoted: Pivoted) -> pa.Table:
        """Return the records that may be used; count the others, and the neighbours of each key."""
        grouped: Any = pivoted.degrees.group_by("key").aggregate([("degree", "sum")])
        keys, sums = grouped["key"].to_pylist(), grouped["degree_sum"].to_pylist()
        for key, degree in zip(keys, sums, strict=True):
            self.grown.degrees[key] = self.grown.degrees.get(key, 0) + degree
        records = pivoted.records
        relations = records.group_by(["key", "rrname", "rrtype", "rdata"]).aggregate([]).num_rows
        self.grown.unasked += max(0, sum(sums) - relations)
        reasons = unusable(
            records, now=self._now, known=self._known(records["rdata"]), spared=self._own
        )
        bad = reasons.is_valid().to_numpy(zero_copy_only=False)
        if bad.any():
            rows = pa.array(bad)
            self.grown.unusable.append(
                records.filter(rows).append_column("reason", reasons.filter(rows))
            )
        return records.filter(pa.array(~bad))

    def _known(self, data: Any) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - Arrow
        """Return which addresses reference data give an AS to: bool[n]."""
        if self._reference.is_empty:
            return np.zeros(len(data), np.bool_)
        parsed = parse(data)
        bytes16 = to_bytes(parsed.high, parsed.low).view("V16").reshape(-1)
        distinct, code = np.unique(bytes16, return_inverse=True)
        looked = self._reference.lookup(distinct.view(np.uint8).reshape(-1, 16))
        has = np.asarray(looked["asn"].is_valid().to_numpy(), np.bool_)
        return np.asarray(has[code.reshape(-1)] & (parsed.length == _BITS), np.bool_)

    def _crowds(self, joins: pa.Table) -> tuple[Crowd, npt.NDArray[np.int64]]:
        """Return how crowded each key is, and the number of the key of each join."""
        key = codes_of(joins["key"])
        zones = zones_of(joins["other"])
        crowd = crowds(
            key,
            codes_of(zones),
            times(joins["first"]),
            times(joins["last"]),
            among(zones, self._own_zones),
            keys=int(key.max(initial=-1)) + 1,
            limit=self._limits.shared_domains,
        )
        return crowd, key

    def _of_hosts(self, joins: pa.Table, crowd: Crowd, at: npt.NDArray[np.int64]) -> dict[int, str]:
        """Return in words what each crowded address is.

        Content delivery where the names seen most there have several addresses each, else shared
        hosting.
        """
        part: Any = joins.filter(pa.array(crowd.is_crowded[at]))
        part = part.filter(pa.array(first_of(part, _SAMPLE, 1)))
        degrees: Any = self._pivots.owned(part["other"].combine_chunks().unique()).degrees
        kinds = pa.array(ADDRESSES, pa.uint16())
        degrees = degrees.filter(pc.is_in(degrees["rrtype"], value_set=kinds))
        place: Any = pc.index_in(part["other"], value_set=degrees["key"].combine_chunks())
        many: Any = degrees["degree"].combine_chunks().take(place.combine_chunks())
        number: Any = pc.index_in(part["key"], value_set=joins["key"].unique())
        numbers = times(number)
        several = times(pc.fill_null(many, 0)) >= _MANY_ADDRESSES
        share = np.bincount(numbers[several], minlength=crowd.peak.size)
        total = np.bincount(numbers, minlength=crowd.peak.size)
        return {
            at: "content delivery" if share[at] > 0.5 * total[at] else "shared hosting"
            for at in np.flatnonzero(total).tolist()
        }

    def _judge(
        self,
        keys: pa.Array[Any],
        at: npt.NDArray[np.int64],
        crowd: Crowd,
        words: dict[int, str],
        reach: pa.Table | None,
    ) -> None:
        """Mark crowded keys as hubs, or, if the map had nothing there then, for that time only."""
        _, row = np.unique(at, return_index=True)
        values = texts(keys.take(pa.array(row, pa.int64())))
        spans = {}
        if reach is not None:
            ends = (texts(reach["key"]), times(reach["first"]), times(reach["last"]))
            spans = {k: (int(a), int(b)) for k, a, b in zip(*ends, strict=True)}
        for number in np.flatnonzero(crowd.is_crowded).tolist():
            value = values[number]
            begin, end = int(crowd.begin[number]), int(crowd.end[number])
            first, last = spans.get(value, (begin, end))
            if first < begin - _MARGIN_US or last > end + _MARGIN_US:
                self.grown.crowded[value] = begin, end
                continue
            days = f"{_day(begin)} to {_day(end)}"
            own = int(crowd.own[number])
            self._mark(
                value,
                f"{words[number]}: {int(crowd.peak[number]):,} other registered domains at once, "
                f"{own:,} of this case ({days})",
            )

    def _suffix_servers(self, joins: pa.Table) -> None:
        """Mark name servers of zones below which anybody gets a name."""
        served = joins.filter(pa.array(are_suffixes(joins["other"])))
        for server, zone in zip(texts(served["key"]), texts(served["other"]), strict=True):
            self._mark(server, f"name server of {suffix_words(zone)}: {zone}")

    def _sinkhole_servers(self, joins: pa.Table) -> None:
        """Mark name servers that the map's domains had only since they led to a sinkhole."""
        sinkholes = {value for value, hub in self.grown.hubs.items() if hub.sinkhole}
        parts = [t.filter(pa.array(among(t["rdata"], sinkholes))) for t in self.grown.records]
        sunk: Any = pa.concat_tables(parts)
        plain: dict[str, Any] = {
            "zone": zones_of(sunk["rrname"]),
            "first": sunk["time_first"].cast(pa.int64()),
        }
        zones: Any = pa.table(plain)
        since = zones.group_by("zone").aggregate([("first", "min")])
        here: Any = joins.filter(pa.array(among(joins["other"], self._column())))
        place: Any = pc.index_in(here["other"], value_set=since["zone"].combine_chunks())
        start: Any = since["first_min"].combine_chunks().take(place.combine_chunks())
        after = times(here["first"]) >= times(pc.fill_null(start, _FOREVER[1])) - _MARGIN_US
        table: Any = pa.table({"key": here["key"], "after": pa.array(after)})
        only = table.group_by("key").aggregate([("after", "all"), ("after", "count")])
        for server, all_after, count in zip(*(c.to_pylist() for c in only.columns), strict=True):
            if all_after:
                words = f"sinkhole: serves {count:,} domains of the map, since they led to one"
                self.grown.hubs.setdefault(server, Hub(words, None, True))

    def _reach(self, addresses: pa.Array[Any]) -> pa.Table:
        """Return when names of the map were at addresses; of seeds always. Sorted by address."""
        kinds = pa.array(ADDRESSES, pa.uint16())
        found = [
            table.filter(
                pc.and_(
                    pc.is_in(table["rrtype"], value_set=kinds),
                    pc.is_in(table["rdata"], value_set=addresses),
                )
            )
            for table in self.grown.records
        ]
        parts: list[Any] = [_spans(t["rdata"], t["time_first"], t["time_last"]) for t in found]
        dated: Any = pa.concat_tables(parts)["key"] if parts else pa.array([], pa.string())
        undated = among(addresses, self._seeds) | ~among(addresses, dated.unique())
        always: Any = addresses.filter(pa.array(undated))
        bounds = (pa.repeat(pa.scalar(t, pa.int64()), len(always)) for t in _FOREVER)
        parts.append(_spans(pa.chunked_array([always]), *bounds))
        how: Any = [("first", "min"), ("last", "max")]
        grouped: Any = pa.concat_tables(parts).group_by("key").aggregate(how).sort_by("key")
        return pa.table(
            {
                "key": grouped["key"].combine_chunks(),
                "first": grouped["first_min"].combine_chunks(),
                "last": grouped["last_max"].combine_chunks(),
            }
        )

    def _want(
        self, joins: pa.Table, most: int, what: str, most_of_domain: int | None = None
    ) -> None:
        """Ask for the other ends of joins to be put on the map, as many as a key may bring."""
        joins = joins.filter(pa.array(~among(joins["other"], self._column())))
        hub = among(joins["key"], self.grown.hubs)
        self._miss(joins.filter(pa.array(hub))["other"], "behind a hub only")
        joins = joins.filter(pa.array(~hub))
        busy = self._in_crowd(joins)
        self._miss(joins.filter(pa.array(busy))["other"], "was there while it was a hub")
        joins = joins.filter(pa.array(~busy))
        limit = self._limits.names_per_domain if most_of_domain is None else most_of_domain
        followed = first_of(joins, most, limit)
        self._miss(joins.filter(pa.array(~followed))["other"], f"more than {what} may bring")
        self._found.append(joins.filter(pa.array(followed)))

    def _in_crowd(self, joins: pa.Table) -> npt.NDArray[np.bool_]:
        """Return which joins lie wholly in a time in which their key was a hub: bool[n]."""
        found = np.zeros(joins.num_rows, np.bool_)
        rows = np.flatnonzero(among(joins["key"], self.grown.crowded))
        if rows.size:
            keys = texts(joins["key"].take(pa.array(rows, pa.int64())))
            spans = np.array([self.grown.crowded[key] for key in keys], np.int64)
            first, last = times(joins["first"])[rows], times(joins["last"])[rows]
            found[rows] = (first >= spans[:, 0]) & (last <= spans[:, 1])
        return found

    def _follow(self) -> None:
        """Put on the map what the round found, as far as there is room."""
        if not self._found:
            return
        joins = pa.concat_tables(self._found)
        if not self._adding:
            self._miss(joins["other"], "beyond the last round")
            return
        room = min(self._limits.nodes_per_hop, self._limits.nodes - len(self.grown.values))
        values, rest = chosen(joins, max(0, room))
        self._miss(pa.array(rest, pa.string()), "more than a round, or the map, may have")
        self._add(values)

    def _keep(self, records: pa.Table) -> None:
        if records.num_rows:
            self.grown.records.append(records.select(RECORDS.names[1:]))

    def _add(self, values: Iterable[str]) -> None:
        new = [value for value in dict.fromkeys(values) if value not in self.grown.values]
        self.grown.values.update(dict.fromkeys(new))
        for value, hub in listed_hubs(new, self._case).items():
            self.grown.hubs.setdefault(value, hub)
        self._next += new

    def _mark(self, value: str, reason: str) -> None:
        self.grown.hubs.setdefault(value, Hub(reason))

    def _miss(self, values: Any, reason: str) -> None:  # noqa: ANN401 - Arrow
        if len(values):
            distinct = values.unique()
            word: Any = pa.repeat(pa.scalar(reason), len(distinct))
            self.grown.missed.append(pa.table({"value": distinct, "reason": word}))

    def _column(self) -> pa.Array[Any]:
        return pa.array(list(self.grown.values), pa.string())

    def _without_hubs(self, values: pa.Array[Any]) -> pa.Array[Any]:
        kept: pa.Array[Any] = values.filter(pa.array(~among(values, self.grown.hubs)))
        return kept


def _spans(key: Any, first: Any, last: Any) -> pa.Table:  # noqa: ANN401 - Arrow
    return pa.table({"key": key, "first": first.cast(pa.int64()), "last": last.cast(pa.int64())})


def _day(time: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).date().isoformat()

"""Hubs: what many unrelated names share, so that sharing it means nothing.

Two kinds. Some servers are listed: sinkholes, parking services, public resolvers, and zones below
which anybody gets a name. Others show themselves: an address, alias or server that many registered
domains had at once. That holds for the time in which it was so: an address that serves a thousand
customers today may have been the botnet's alone last year.

A hub stays on the map, with its reason; nothing is joined through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.enrich.addresses import parse
from remnant.enrich.roles import known
from remnant.infrastructure.domains import are_suffixes, suffix_words
from remnant.infrastructure.listed import entries, found

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.cases.model import Case

__all__ = ["OWN_TIMES", "WILDCARD_NAMES", "Crowd", "Hub", "crowds", "listed_hubs", "wildcards"]

OWN_TIMES: Final = 10
"""A server with more unrelated domains than this times the case's own there is a hub."""

WILDCARD_NAMES: Final = 30
"""Names below a zone from which on it may have a wildcard."""

_WILDCARD_SHARE: Final = 0.9


class Hub(NamedTuple):
    """Why something joins nothing.

    Attributes:
        reason: for people.
        label: who runs it, or ``None``.
        sinkhole: it is one.
    """

    reason: str
    label: str | None = None
    sinkhole: bool = False


def listed_hubs(values: list[str], case: Case) -> dict[str, Hub]:
    """Return those of some names and addresses that are known to be hubs.

    Args:
        values: folded names and canonical addresses.
        case: its own sinkhole counts as one.
    """
    column: pa.Array[Any] = pa.array(values, pa.string())
    hubs: dict[str, Hub] = {}
    is_name = parse(column).length < 0
    for row in np.flatnonzero(is_name & are_suffixes(column)).tolist():
        words = suffix_words(values[row])
        hubs[values[row]] = Hub(f"{words}: anybody gets names below it")
    resolvers = {entry.indicator: entry for entry in known("public_resolver")}
    for value in values:
        if value in resolvers:
            entry = resolvers[value]
            hubs[value] = Hub(f"public resolver: {entry.operator} ({entry.source})", entry.operator)
    parked = found("parking", column)
    for row in np.flatnonzero(parked >= 0).tolist():
        entry = entries("parking")[parked[row]]
        hubs[values[row]] = Hub(f"parking: {entry.operator} ({entry.source})", entry.operator)
    taken = found("sinkhole", column)
    for row in np.flatnonzero(taken >= 0).tolist():
        entry = entries("sinkhole")[taken[row]]
        hubs[values[row]] = Hub(
            f"sinkhole: {entry.operator} ({entry.source})", entry.operator, True
        )
    own = case.sinkhole
    if own is not None:
        for value in values:
            if value in own.addresses or value in own.nameservers:
                label = own.operator or "this case"
                hubs[value] = Hub(f"sinkhole: {label} (the case's own)", label, True)
    return hubs


class Crowd(NamedTuple):
    """How many unrelated domains were at each key at once; all arrays have one entry a key.

    Attributes:
        peak: int64[n]: most unrelated registered domains at one time.
        own: int64[n]: domains of the case there, at any time.
        begin, end: int64[n]: first and last time (UTC us) at which there were too many; of no
            meaning where there never were.
        is_crowded: bool[n]: there were.
    """

    peak: npt.NDArray[np.int64]
    own: npt.NDArray[np.int64]
    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    is_crowded: npt.NDArray[np.bool_]


def crowds(
    key: npt.NDArray[np.int64],
    zone: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    is_own: npt.NDArray[np.bool_],
    *,
    keys: int,
    limit: int,
) -> Crowd:
    """Return how crowded each key is.

    A domain counts from its first to its last record there, once, however many names it has. Too
    many are more than ``limit``, and more than OWN_TIMES the case's own: a server with 20 names of
    the botnet may have 200 others that nobody knows yet.

    Args:
        key: int64[m], of each record, 0 to ``keys`` - 1.
        zone: int64[m]: number of its registered domain.
        first: int64[m]: when it was seen first (UTC us).
        last: int64[m]: when it was seen last (UTC us).
        is_own: bool[m]: the domain is the case's.
        keys: n.
        limit: unrelated domains at once that are not too many.
    """
    order = np.lexsort((zone, key))
    key, zone, first, last = (a[order] for a in (key, zone, first, last))
    is_own = is_own[order]
    new = np.ones(key.size, np.bool_)
    new[1:] = (key[1:] != key[:-1]) | (zone[1:] != zone[:-1])
    start = np.flatnonzero(new)
    own = np.bincount(key[start][is_own[start]], minlength=keys).astype(np.int64)
    peak, begin, end = (np.zeros(keys, np.int64) for _ in range(3))
    too_many = np.zeros(keys, np.bool_)
    if start.size:
        first, last = np.minimum.reduceat(first, start), np.maximum.reduceat(last, start)
        others = ~is_own[start]
        key, first, last = key[start][others], first[others], last[others]
    if not key.size:
        return Crowd(peak, own, begin, end, too_many)
    # One step up where a domain comes, one down after it was seen last.
    at = np.concatenate([first, last + 1])
    step = np.repeat(np.array([1, -1]), key.size)
    key = np.concatenate([key, key])
    order = np.lexsort((step, at, key))
    key, at = key[order], at[order]
    count = np.cumsum(step[order])  # adds up to nothing within each key
    np.maximum.at(peak, key, count)
    crowded = np.flatnonzero(count > np.maximum(limit, OWN_TIMES * own)[key])
    too_many[key[crowded]] = True
    begin[key[crowded[::-1]]] = at[crowded[::-1]]  # the first of each key is written last
    end[key[crowded]] = at[crowded + 1] - 1
    return Crowd(peak, own, begin, end, too_many)


def wildcards(zones: pa.Table) -> dict[str, str]:
    """Return zones of which nearly every name has the same data, with the reason.

    Args:
        zones: columns key (the zone), rrname and rdata of names below it.
    """
    below = zones.filter(pc.not_equal(zones["key"], zones["rrname"]))
    shared: Any = below.group_by(["key", "rdata"]).aggregate([("rrname", "count_distinct")])
    most: Any = shared.group_by("key").aggregate([("rrname_count_distinct", "max")])
    names: Any = below.group_by("key").aggregate([("rrname", "count_distinct")])
    joined = names.join(most, "key").sort_by("key")
    total = joined["rrname_count_distinct"].to_numpy()
    same = joined["rrname_count_distinct_max"].to_numpy()
    rows = np.flatnonzero((total >= WILDCARD_NAMES) & (same >= _WILDCARD_SHARE * total))
    keys = joined["key"].to_pylist()
    return {
        keys[
            row
        ]: f"wildcard DNS: {same[row]:,} of {total[row]:,} names below it have the same data"
        for row in rows.tolist()
    }

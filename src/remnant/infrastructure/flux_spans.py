"""When each address was in use by a name, and what follows for the name: counts, turnover, life.

Of something that was seen *c* times at even chances, the first and the last time are (c - 1) /
(c + 1) of its true time apart; persistence and lifetime allow for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.enrich.addresses import is_ipv4, parse, to_bytes
from remnant.infrastructure.pivot import AAAA, A
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.enrich.reference import Reference
    from remnant.windows import Window

__all__ = [
    "HOUR_US",
    "SETTLED_COUNT",
    "Places",
    "Spans",
    "grouped",
    "measured",
    "spans_of",
    "windowed",
]

SETTLED_COUNT: Final = 3
"""An address must have been seen so often for its time in use to be told."""

HOUR_US: Final = 3_600_000_000
"""Microseconds of an hour."""

_DAY_US: Final = 24 * HOUR_US
_SLASH_24: Final = np.uint64(8)
_SLASH_48: Final = np.uint64(16)


class Spans(NamedTuple):
    """Address records of keys, one row for each key and address, sorted by key.

    Attributes:
        keys: the distinct keys, sorted.
        key: which of them a row is of.
        address: number of the row's address in ``addresses``.
        first, last: when it was seen (UTC microseconds), within the window.
        responses: how often.
        ttl_low, ttl_high: seconds; -1: not known.
    """

    keys: list[str]
    key: npt.NDArray[np.int64]
    address: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    responses: npt.NDArray[np.int64]
    ttl_low: npt.NDArray[np.int64]
    ttl_high: npt.NDArray[np.int64]


class Places(NamedTuple):
    """Where the distinct addresses are: numbers of network, AS and country; -1: not known."""

    texts: pa.Array[Any]
    network: npt.NDArray[np.int64]
    asn: npt.NDArray[np.int64]
    country: npt.NDArray[np.int64]
    facts: pa.Table


def windowed(answers: pa.Table, window: Window | None) -> tuple[pa.Table, int, int]:
    """Return the records that were seen in a window, and the window (UTC microseconds)."""
    if window is not None:
        begin, end = to_us(window.since), to_us(window.until)
        first, last = (_micro(answers[column]) for column in ("time_first", "time_last"))
        table = answers.filter(pa.array((first < end) & (last >= begin)))
        return table, begin, end
    if answers.num_rows == 0:
        return answers, 0, 0
    begin, end = int(_micro(answers["time_first"]).min()), int(_micro(answers["time_last"]).max())
    return answers, begin, end + 1


def spans_of(
    table: pa.Table, names: Sequence[str] | None, reference: Reference
) -> tuple[Spans, Places]:
    """Return the address records of names, and where their addresses are."""
    kinds = table["rrtype"].to_numpy()
    table = table.filter(pa.array((kinds == A) | (kinds == AAAA)))
    if names is not None:
        wanted = pa.array(sorted(set(names)), pa.string())
        table = table.filter(pc.is_in(table["rrname"], value_set=wanted))
    return grouped(table, table["rrname"], reference)


def grouped(
    table: pa.Table,
    keys: Any,  # noqa: ANN401 - Arrow
    reference: Reference,
) -> tuple[Spans, Places]:
    """Return the address records of a table by key; data that is no address is left out."""
    columns: dict[str, Any] = {
        "key": keys,
        "rdata": table["rdata"],
        "first": table["time_first"].cast(pa.int64()),
        "last": table["time_last"].cast(pa.int64()),
        **{name: table[name] for name in ("count", "ttl_low", "ttl_high")},
    }
    plain = pa.table(columns)
    sums = plain.group_by(["key", "rdata"]).aggregate(
        [("first", "min"), ("last", "max"), ("count", "sum"), ("ttl_low", "min"),
         ("ttl_high", "max")]
    )  # fmt: skip
    texts: Any = pc.unique(sums["rdata"])
    parsed = parse(texts)
    valid = pa.array(parsed.length >= 0)
    sums = sums.filter(pc.is_in(sums["rdata"], value_set=texts.filter(valid)))
    sums = sums.sort_by([("key", "ascending"), ("rdata", "ascending")]).combine_chunks()
    texts = texts.filter(valid)
    keep = np.flatnonzero(parsed.length >= 0)
    places = _placed(texts, parsed.high[keep], parsed.low[keep], reference)
    coded = sums["key"].combine_chunks().dictionary_encode()
    spans = Spans(
        keys=list(map(str, coded.dictionary.to_pylist())),
        key=coded.indices.to_numpy().astype(np.int64),
        address=pc.index_in(sums["rdata"], value_set=texts).to_numpy().astype(np.int64),
        first=sums["first_min"].to_numpy(),
        last=sums["last_max"].to_numpy(),
        responses=sums["count_sum"].to_numpy(),
        ttl_low=_filled(sums["ttl_low_min"]),
        ttl_high=_filled(sums["ttl_high_max"]),
    )
    return spans, places


def _placed(
    texts: Any,  # noqa: ANN401 - Arrow
    high: npt.NDArray[np.uint64],
    low: npt.NDArray[np.uint64],
    reference: Reference,
) -> Places:
    facts = reference.lookup(to_bytes(high, low))
    four = is_ipv4(high, low)
    # A /24 of IPv4 or a /48 of IPv6, told apart by the lowest bit.
    block = np.where(
        four, low >> _SLASH_24 << np.uint64(1), high >> _SLASH_48 << np.uint64(1) | np.uint64(1)
    )
    _, network = np.unique(block, return_inverse=True)
    asn = _filled(facts["asn"])
    country = facts["country"].combine_chunks().cast(pa.string()).dictionary_encode()
    codes = _filled(country.indices)
    return Places(texts, network.astype(np.int64), asn, codes, facts)


def measured(spans: Spans, places: Places) -> dict[str, npt.NDArray[Any]]:
    """Return the features of each key."""
    size = len(spans.keys)
    starts = np.searchsorted(spans.key, np.arange(size))
    first = np.minimum.reduceat(spans.first, starts)
    last = np.maximum.reduceat(spans.last, starts)
    addresses = np.bincount(spans.key, minlength=size)
    day_first, day_last = spans.first // _DAY_US, spans.last // _DAY_US
    begin = first[spans.key] // _DAY_US
    later = day_first > begin
    present = np.maximum(day_last - np.maximum(day_first, begin + 1) + 1, 0)
    seen = np.bincount(spans.key, present, minlength=size)
    new = np.bincount(spans.key[later], minlength=size)
    with np.errstate(divide="ignore", invalid="ignore"):
        new_a_day = np.where(seen > 0, new / seen, np.nan)
    days = last // _DAY_US - first // _DAY_US
    # Within one day nothing can be said but how many there are.
    gained = np.where(days > 0, new / np.maximum(days, 1), addresses)
    settled = np.flatnonzero(spans.responses >= SETTLED_COUNT)
    count = spans.responses[settled].astype(np.float64)
    # Of something seen c times evenly, first and last are (c - 1) / (c + 1) of its time apart.
    life = (spans.last - spans.first)[settled] * (count + 1) / (count - 1)
    key = spans.key[settled]
    total = np.maximum((last - first)[key], 1)
    ttl_low = np.where(spans.ttl_low < 0, np.iinfo(np.int64).max, spans.ttl_low)
    low = np.minimum.reduceat(ttl_low, starts)
    return {
        "addresses": addresses,
        "networks": _distinct(spans.key, places.network[spans.address], size),
        "ases": _distinct(spans.key, places.asn[spans.address], size),
        "countries": _distinct(spans.key, places.country[spans.address], size),
        "placed": np.bincount(spans.key, places.asn[spans.address] >= 0, minlength=size),
        "new_a_day": new_a_day,
        "gained_a_day": gained,
        "settled": np.bincount(key, minlength=size),
        "persistence": _medians(key, np.minimum(life / total, 1.0), size),
        "lifetime_h": _medians(key, np.minimum(life, total) / HOUR_US, size),
        "ttl_low": np.where(low == np.iinfo(np.int64).max, -1, low),
        "ttl_high": np.maximum.reduceat(spans.ttl_high, starts),
        "responses": np.bincount(spans.key, spans.responses, minlength=size).astype(np.int64),
        "first": first,
        "last": last,
    }


def _distinct(
    key: npt.NDArray[np.int64], value: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.int64]:
    """Return how many different values from 0 on each key has."""
    known = value >= 0
    pairs = np.unique(np.stack([key[known], value[known]]), axis=1)
    return np.bincount(pairs[0], minlength=size).astype(np.int64)


def _medians(
    key: npt.NDArray[np.int64], value: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.float64]:
    """Return the median of each key's values (of an even number the lower); NaN without any."""
    order = np.lexsort((value, key))
    counts = np.bincount(key, minlength=size)
    starts = np.cumsum(counts) - counts
    found = np.full(size, np.nan)
    some = np.flatnonzero(counts)
    found[some] = value[order[starts[some] + (counts[some] - 1) // 2]]
    return found


def _filled(column: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401 - Arrow
    """Return the numbers of a column, -1 for null."""
    filled: Any = pc.fill_null(column, -1)
    return np.asarray(filled.to_numpy(), np.int64)


def _micro(column: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401 - Arrow
    return np.asarray(column.cast(pa.int64()).to_numpy(), np.int64)

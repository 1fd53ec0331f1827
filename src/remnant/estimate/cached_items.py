"""What caches show in the stored sightings: misses and cached time of each cached item.

One cached item is one name and type at one cache: a client and its client subnet (a resolver keeps
answers apart by the scope of RFC 7871). Everything is grouped in the query engine; what comes out
is one row per item and hour of the day.

References:
    RFC 7871, Client Subnet in DNS Queries, section 7.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant.estimate.coverage import COMPLETE, hours
from remnant.windows import to_us

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate.basis import Basis

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = [
    "HIDDEN",
    "RETRY_S",
    "Items",
    "arm_sums",
    "busiest",
    "by_item",
    "covered_spans",
    "misses",
    "seconds",
    "stated_ttl",
    "ttl_counts",
]

HIDDEN: Final = ("sinkhole_dns", "authority")
"""Vantages behind caches: a client there is usually a resolver."""

RETRY_S: Final = 2.0
"""A question repeated within so many seconds is one lookup: the answer was lost or late."""

_HOUR_S: Final = 3600.0
_HOUR_US: Final = 3_600_000_000
_MAX_TTL: Final = 604_800
_KEY: Final = ("client", "scope", "name", "qtype")


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Sums of the cached items, one row per item and hour of the day.

    Attributes:
        item: index of the item; int64[rows].
        hour: of the day, UTC; int64[rows].
        misses: int64[rows].
        cached: seconds with an answer in the cache; float64[rows].
        pairs: of each item, misses within a TTL of an earlier one, all pairs; int64[items].
        kept: of each item, seconds of all TTLs together, overlaps and all; float64[items].
        observed: seconds observed, of each hour of the day; float64[24].
    """

    item: Ints
    hour: Ints
    misses: Ints
    cached: Floats
    pairs: Ints
    kept: Floats
    observed: Floats

    @property
    def per_item(self) -> Ints:
        """Misses of each item; int64[items]."""
        return np.bincount(self.item, self.misses, self.pairs.size).astype(np.int64)


def covered_spans(basis: Basis) -> Floats:
    """Return the spans of the window in which nearly every sensor delivered.

    Returns:
        [start, end) in seconds since 1970-01-01 UTC, ascending, apart; float64[spans, 2].
    """
    start, stop = to_us(basis.window.since), to_us(basis.window.until)
    known = hours(basis.view, basis.vantage)
    first = max(start // _HOUR_US, known.first)
    last = min(-(-stop // _HOUR_US), known.stop)
    expected, delivered = known.between(first, last)
    covered = (expected > 0) & (delivered >= COMPLETE * expected)
    edges = np.flatnonzero(np.diff(np.r_[False, covered, False].astype(np.int8)))
    spans = (edges.reshape(-1, 2) + first) * _HOUR_S
    return np.clip(spans, start / 1e6, stop / 1e6)


def seconds(table: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the time of each sighting in seconds since 1970-01-01 UTC (an Ibis column)."""
    # An engine may keep the fraction of a second here: it comes from the microseconds alone.
    return (table.time.epoch_seconds() // 1).cast("float64") + (
        table.time.microsecond().cast("float64") / 1e6
    )


def stated_ttl(table: Any, default: int | None) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the TTL of each answer: that in ``detail``, else the default (an Ibis column)."""
    import ibis  # noqa: PLC0415 - heavy

    written = table.detail.re_extract(r'"ttl": ?([0-9]{1,6})[,}]', 1).nullif("").cast("int64")
    if default is not None:
        written = ibis.coalesce(written, ibis.literal(default, "int64"))
    return written.clip(upper=_MAX_TTL)


def misses(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the visible misses: item (a number), at (seconds), ttl (null: not known).

    Answers that a rate limit held back fill no cache and are left out, and so are retries.
    """
    key = ("misses", basis.window, basis.vantage)
    return basis.view.kept(key, lambda: _misses(basis))


def _misses(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    import ibis  # noqa: PLC0415 - heavy

    config = basis.case.sinkhole
    default = None if config is None or config.ttl_arms else config.ttl
    seen = basis.accepted()
    seen = seen.filter(seen.qtype.notnull(), ~seen.limited)
    seen = seen.select(
        "client",
        "qtype",
        name=seen.name.fill_null(""),
        scope=seen.ecs.fill_null(0),
        at=seconds(seen),
        ttl=stated_ttl(seen, default),
    )
    key = list(_KEY)
    # Numbers are compared and sorted in less than half the time of four columns with a name.
    items = basis.view.kept(
        ("cached items", basis.window, basis.vantage), lambda: _numbered(seen.select(key))
    )
    seen = seen.inner_join(items, key).select("item", "at", "ttl")
    before = seen.at.lag().over(ibis.window(group_by="item", order_by=seen.at))
    seen = seen.mutate(before=before)
    again = (seen.at - seen.before < RETRY_S) & (seen.ttl > RETRY_S)
    return seen.filter(~again.fill_null(False)).drop("before")


def _numbered(keys: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return each key once, with its place in order."""
    import ibis  # noqa: PLC0415 - heavy

    keys = keys.distinct()
    place = ibis.row_number().over(ibis.window(order_by=list(_KEY)))
    return keys.mutate(item=place.cast("int64"))


def ttl_counts(found: Any) -> dict[int | None, int]:  # noqa: ANN401 - ibis is untyped
    """Return how many misses have each TTL, the most frequent 100; null: not known."""
    import ibis  # noqa: PLC0415 - heavy

    counted = found.group_by("ttl").aggregate(n=found.count())
    rows = counted.order_by(ibis.desc("n"), "ttl").limit(100)
    return {row["ttl"]: row["n"] for row in rows.to_pyarrow().to_pylist()}


def by_item(found: Any, spans: Floats, lead: float) -> Items:  # noqa: ANN401 - ibis is untyped
    """Return misses and cached time of every item, by hour of the day.

    Args:
        found: of ``misses``; rows without a TTL are left out.
        spans: of ``covered_spans``.
        lead: seconds at the start of each span that only say what is cached: the longest TTL.
    """
    import ibis  # noqa: PLC0415 - heavy

    rows = _in_spans(found, spans, lead)
    near = ibis.range_window(preceding=lead, following=0, group_by=["item", "span"], order_by="at")
    rows = rows.mutate(close=rows.at.count().over(near) - 1)
    counted = rows.at >= rows.begin
    low = ibis.greatest(rows.at, rows.begin)
    high = ibis.greatest(low, ibis.least(rows.at + rows.ttl, rows.following))
    rows = rows.mutate(
        counted=counted.cast("int64"),
        low=low,
        high=high,
        kept=ibis.greatest(ibis.least(rows.at + rows.ttl, rows.end) - low, 0.0),
        hour=(low / _HOUR_S).floor().cast("int64"),
        last=(high / _HOUR_S).floor().cast("int64"),
    )
    rows = rows.mutate(step=ibis.range(0, rows.last - rows.hour + 1).unnest())
    hour = rows.hour + rows.step
    start = ibis.greatest(rows.low, hour.cast("float64") * _HOUR_S)
    end = ibis.least(rows.high, (hour + 1).cast("float64") * _HOUR_S)
    first = rows.step == 0
    rows = rows.mutate(
        of_day=hour % 24,
        held=ibis.greatest(end - start, 0.0),
        counted=ibis.ifelse(first, rows.counted, 0),
        close=ibis.ifelse(first, rows.close * rows.counted, 0),
        kept=ibis.ifelse(first, rows.kept, 0.0),
    )
    sums = rows.group_by("item", "of_day").aggregate(
        n=rows.counted.sum(), held=rows.held.sum(), pairs=rows.close.sum(), kept=rows.kept.sum()
    )
    table = sums.to_pyarrow()
    got = {name: table[name].to_numpy() for name in table.column_names}
    known, item = np.unique(got["item"], return_inverse=True)
    item = item.reshape(-1).astype(np.int64)
    size = known.size
    return Items(
        item,
        got["of_day"].astype(np.int64),
        got["n"].astype(np.int64),
        got["held"].astype(np.float64),
        np.bincount(item, got["pairs"], size).astype(np.int64),
        np.bincount(item, got["kept"], size).astype(np.float64),
        _observed(spans, lead),
    )


def busiest(found: Any, number: int, each: int) -> list[Floats]:  # noqa: ANN401 - ibis is untyped
    """Return the times of the misses of the busiest items, the last ``each`` of every one."""
    import ibis  # noqa: PLC0415 - heavy

    many = found.group_by("item").aggregate(n=found.count())
    many = many.order_by([ibis.desc("n"), "item"]).limit(number)
    rows = found.semi_join(many, "item")
    place = ibis.row_number().over(ibis.window(group_by="item", order_by=ibis.desc("at")))
    rows = rows.mutate(place=place).filter(ibis._.place < each)
    table = rows.select("at", "item").order_by(["item", "at"]).to_pyarrow()
    item, at = table["item"].to_numpy(), table["at"].to_numpy()
    return np.split(at, np.flatnonzero(np.diff(item)) + 1) if at.size else []


def arm_sums(found: Any, spans: Floats, arms: tuple[int, int]) -> tuple[Ints, Floats]:  # noqa: ANN401
    """Return misses and uncached seconds after answers of either TTL, of every item.

    Returns:
        int64[items, 2] and float64[items, 2]: the short TTL, the long one.
    """
    rows = _in_spans(found, spans, 0.0)
    rows = rows.filter(rows.ttl.isin(arms))
    ended = (rows.following < rows.end).cast("int64")
    import ibis  # noqa: PLC0415 - heavy

    wait = ibis.greatest(rows.following - rows.at - rows.ttl, 0.0)
    sums = {}
    for place, ttl in enumerate(arms):
        sums[f"n{place}"] = ibis.ifelse(rows.ttl == ttl, ended, 0).sum()
        sums[f"x{place}"] = ibis.ifelse(rows.ttl == ttl, wait, 0.0).sum()
    table = rows.group_by("item").aggregate(**sums).drop("item").to_pyarrow()
    n, x = (
        np.column_stack([table[f"{word}{place}"].to_numpy() for place in (0, 1)]) for word in "nx"
    )
    return n.astype(np.int64), x.astype(np.float64)


def _in_spans(found: Any, spans: Floats, lead: float) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the misses with their span, where its counting begins, its end, and the next miss."""
    import ibis  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415 - heavy

    long = spans[spans[:, 1] - spans[:, 0] > lead]
    first = np.floor(long[:, 0] / _HOUR_S).astype(np.int64)
    last = np.ceil(long[:, 1] / _HOUR_S).astype(np.int64)
    number = np.repeat(np.arange(len(long)), last - first)
    # Spans are made of whole hours but for the ends of the window: no hour belongs to two.
    hour = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)] or [first])
    known = ibis.memtable(
        pa.table(
            {
                "clock": pa.array(hour, pa.int64()),
                "span": pa.array(number, pa.int64()),
                "begin": pa.array(long[number, 0] + lead, pa.float64()),
                "end": pa.array(long[number, 1], pa.float64()),
            }
        )
    )
    rows = found.filter(found.ttl.notnull())
    rows = rows.mutate(clock=(rows.at / _HOUR_S).floor().cast("int64")).inner_join(known, "clock")
    order = ibis.window(group_by=["item", "span"], order_by="at")
    return rows.mutate(following=ibis.coalesce(rows.at.lead().over(order), rows.end))


def _observed(spans: Floats, lead: float) -> Floats:
    """Return the seconds observed of each hour of the day; float64[24]."""
    total = np.zeros(24)
    for start, end in spans:
        begin = start + lead
        if begin >= end:
            continue
        edges = np.arange(np.floor(begin / _HOUR_S), np.ceil(end / _HOUR_S) + 1)
        parts = np.diff(np.clip(edges * _HOUR_S, begin, end))
        total += np.bincount(edges[:-1].astype(np.int64) % 24, parts, 24)
    return total

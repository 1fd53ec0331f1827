"""Which addresses come back: who was seen on which days and in which hours, counted per network.

Every estimate that has to look through changing addresses starts from these counts. Clients are
put into groups by their hash: an address with all its history is in one group, so leaving out one
group after the other (the jackknife) gives errors that respect how matches depend on each other.

References:
    Quenouille, Notes on Bias in Estimation, Biometrika 1956 (the jackknife).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant.estimate.coverage import COMPLETE, hours
from remnant.estimate.distinct import any_bit, bits, one
from remnant.estimate.online import day_start, series
from remnant.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from remnant.estimate.basis import Basis

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = [
    "GROUPS",
    "HOSTS",
    "MAXIMUM_DAYS",
    "NETWORKS",
    "Recaptures",
    "Span",
    "hosts_hidden",
    "read",
    "span_of",
    "together",
]

GROUPS: Final = 20
"""Groups of clients for the jackknife."""

MAXIMUM_DAYS: Final = 28
"""Days that are looked at: four whole weeks."""

NETWORKS: Final = 200
"""Networks looked at one by one; the rest are pooled as one for each unit."""

HOSTS: Final = frozenset({"resolver", "sinkhole_http", "sinkhole_tcp", "flow"})
"""Vantages at which a client is the address of an infected host."""

_SPREAD: Final = 7
"""Steps in days of the triples: one to a week, so that weekdays weigh alike."""

_LAGS: Final = 48
_DAY_S: Final = 86_400
_UNKNOWN: Final = -1
_WITHIN_GROUPS: Final = 0xFFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """The days looked at.

    Attributes:
        first: the first day, in days since 1970-01-01 UTC.
        covered: bool[days, 24], hours in which enough of the expected sensors delivered, on days
            that are complete.
    """

    first: int
    covered: Flags

    @property
    def window(self) -> Window:
        """From the start of the first to the end of the last day (UTC)."""
        return Window(day_start(self.first), day_start(self.first + len(self.covered)))


@dataclass(frozen=True, slots=True, eq=False)
class Recaptures:
    """The counts of one network; the first axis is the group of clients.

    Attributes:
        asn: the AS; null for the pooled rest.
        country: ISO 3166-1 alpha-2; null for the pooled rest.
        unit: what one client is.
        covered: bool[days, 24], as in ``Span``.
        clients: float64[groups], distinct clients.
        slots: float64[groups], ten-minute slots of a day with a sighting, over clients and days.
        hourly: float64[groups, days, 24], distinct clients an hour.
        daily: float64[groups, days], distinct clients a day.
        spans: float64[groups, days], sum over a day's clients of the time from their first to
            their last sighting of the day, in days.
        pairs: float64[groups, days], at k the clients seen on two days k apart, over all such
            pairs of days.
        triples: float64[groups, 8], at i the clients seen on three days, i apart each.
        lags: float64[groups, 48], at k the clients seen in two hours k apart, over all pairs of
            hours.
        between: float64[groups, 2], clients seen in the hours before and after a covered hour of
            the same day, over all such hours; and of them those seen in that hour too.
    """

    asn: int | None
    country: str | None
    unit: str
    covered: Flags
    clients: Floats
    slots: Floats
    hourly: Floats
    daily: Floats
    spans: Floats
    pairs: Floats
    triples: Floats
    lags: Floats
    between: Floats

    @property
    def complete(self) -> Flags:
        """bool[days], which of the days count."""
        return np.asarray(self.covered.any(axis=1))

    @property
    def beacons(self) -> float:
        """Ten-minute slots with a sighting in a client's hour, on average: 1 to 6."""
        return float(self.slots.sum() / max(1.0, self.hourly.sum()))

    def left_out(self, counts: Floats) -> Floats:
        """Return counts of all clients, then of all but each group: float64[1 + groups, ...]."""
        total = counts.sum(axis=0)
        return np.concatenate([total[None], total[None] - counts])

    def day_pairs(self) -> tuple[Floats, Floats, Floats]:
        """Return matches, clients on the later day, and pairs of days, for lags of 0 to days - 1.

        float64[1 + groups, days] twice, as in ``left_out``, and float64[days].
        """
        seen, daily = self.complete.astype(np.float64), self.left_out(self.daily)
        later, count = np.zeros_like(daily), np.zeros(len(seen))
        for k in range(1, len(seen)):
            both = seen[k:] * seen[:-k]
            count[k] = both.sum()
            later[:, k] = daily[:, k:] @ both
        return self.left_out(self.pairs), later, count

    def hour_pairs(self) -> tuple[Floats, Floats, Floats]:
        """Return matches, clients in the later hour, and pairs by chance, for lags of 0 to 47 h.

        float64[1 + groups, 48] each. By chance, in a pool of n addresses, the clients of two hours
        would share the third value / n addresses.
        """
        flat = self.covered.ravel().astype(np.float64)
        total = self.left_out(self.hourly).reshape(1 + len(self.hourly), -1) * flat
        # Any of the kept clients may meet any of all hosts' addresses.
        later, chance = (total @ _delayed(values) for values in (flat, total[0]))
        return self.left_out(self.lags), later, chance


def together(parts: list[Recaptures]) -> Recaptures:
    """Return the counts of several networks as if they were one; all of the same days."""
    summed = {
        name: np.sum([getattr(part, name) for part in parts], axis=0)
        for name in ("clients", "slots", "hourly", "daily", "spans", "pairs", "triples", "lags")
    }
    between = np.sum([part.between for part in parts], axis=0)
    first = parts[0]
    return Recaptures(None, None, first.unit, first.covered, **summed, between=between)


def _delayed(values: Floats) -> Floats:
    """Return values k steps earlier in column k; zero in column 0 and before the start."""
    padded = np.concatenate([np.zeros(_LAGS), values])
    delayed = np.lib.stride_tricks.sliding_window_view(padded, _LAGS)[1:, ::-1].copy()
    delayed[:, 0] = 0.0
    return delayed


def hosts_hidden(vantage: str) -> str | None:
    """Return why hosts cannot be counted at a vantage; null where a client is a host's address."""
    if vantage in HOSTS:
        return None
    if vantage == "report":
        return "reports of others hold hits only, and not when nobody looked"
    return f"at vantage {vantage} a client is usually a resolver, not an infected host"


def span_of(basis: Basis) -> Span | None:
    """Return the last (at most 28) days of the window up to its last complete day.

    Days in between that are not complete are gaps. Null where no day is complete.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    made = series(basis.view, basis.window, basis.vantage)
    if not made.complete.any():
        return None
    last = int(made.days[made.complete][-1])
    days = np.arange(max(int(made.days[0]), last - MAXIMUM_DAYS + 1), last + 1)
    complete = made.complete[days - made.days[0]]
    days, complete = days[np.argmax(complete) :], complete[np.argmax(complete) :]
    expected, delivered = hours(basis.view, basis.vantage).between(
        int(days[0]) * 24, (last + 1) * 24
    )
    covered = ((expected > 0) & (delivered >= COMPLETE * expected)).reshape(-1, 24)
    return Span(int(days[0]), covered & complete[:, None])


def read(basis: Basis, span: Span) -> list[Recaptures]:
    """Return the counts of the largest networks, and those of the rest pooled, largest first.

    A network is an AS, a country and a unit: IPv6 prefixes stay for months where IPv4 addresses
    change daily, so they are never mixed. Clients without a known AS are in the rest.
    """
    import ibis  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415 - heavy

    key = ("recaptures", basis.vantage, span.first, span.covered.tobytes())
    view = basis.view
    seen = view.kept((*key, "seen"), lambda: _client_days(basis, span))
    size = seen.group_by("asn", "country", "unit").aggregate(size=seen.bits.sum())
    size = size.order_by(ibis.desc("size"), "asn", "country", "unit").to_pyarrow().to_pylist()
    if not size:
        return []
    large = [row for row in size if row["asn"] != _UNKNOWN][:NETWORKS]
    units = sorted({row["unit"] for row in size})
    keys = [(row["asn"], row["country"], row["unit"]) for row in large]
    ranks = ibis.memtable(
        pa.table(
            {
                "asn": pa.array([asn for asn, _, _ in keys], pa.int64()),
                "country": pa.array([country for _, country, _ in keys], pa.string()),
                "unit": pa.array([unit for _, _, unit in keys], pa.string()),
                "rank": pa.array(range(len(keys)), pa.int64()),
            }
        )
    )
    found = seen.left_join(ranks, ["asn", "country", "unit"])
    rest = ibis.cases(
        *((found.unit == unit, len(keys) + index) for index, unit in enumerate(units)), else_=0
    )
    table = found.select(
        "client",
        "day",
        "mask",
        "bits",
        "slots",
        "span",
        "around",
        "inside",
        network=found.rank.fill_null(rest).cast("int64"),
    )
    table = table.mutate(part=(table.client & _WITHIN_GROUPS) % GROUPS)
    named = [(asn, country or None, unit) for asn, country, unit in keys]
    named += [(None, None, unit) for unit in units]
    return _networks(table, span, named, lambda name, make: view.kept((*key, name), make))


def _client_days(basis: Basis, span: Span) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return a row per client and day: its hours as bits, how many, and the seconds they span."""
    table = basis.within(span.window).accepted()
    # An engine may keep the fraction of a second here, and a cast would round it.
    seconds = (table.time.epoch_seconds() // 1).cast("int64")
    table = table.mutate(second=seconds - span.first * 86_400)
    table = table.mutate(
        day=(table.second // 86_400).cast("int64"),
        hour=((table.second // 3600) % 24).cast("int64"),
    )
    import ibis  # noqa: PLC0415 - heavy

    def open_hours(day: Any) -> Any:  # noqa: ANN401 - ibis is untyped
        masks = enumerate(_masks(span.covered))
        return ibis.cases(*((day == d, mask) for d, mask in masks if mask), else_=0).cast("int64")

    table = table.filter((open_hours(table.day) >> table.hour) & 1 == 1)
    grouped = table.group_by(
        "client",
        "day",
        unit=table.unit.cast("string"),
        asn=table.asn.fill_null(_UNKNOWN),
        country=table.country.cast("string").fill_null(""),
    ).aggregate(
        mask=any_bit()(one() << table.hour),
        span=table.second.max() - table.second.min(),
        # A day's 144 slots of ten minutes as three numbers.
        **{
            f"slots{third}": any_bit()(
                ((table.second % _DAY_S) // 28_800 == third).ifelse(
                    one() << (table.second // 600 % 48), 0
                )
            )
            for third in range(3)
        },
    )
    count = bits()
    around = grouped.mask & (grouped.mask >> 2) & (open_hours(grouped.day) >> 1)
    return grouped.mutate(
        bits=count(grouped.mask),
        slots=sum(count(grouped[f"slots{third}"]) for third in range(3)),
        around=count(around),
        inside=count(around & (grouped.mask >> 1)),
    ).drop("slots0", "slots1", "slots2")


def _networks(
    table: Any,  # noqa: ANN401 - ibis is untyped
    span: Span,
    named: list[tuple[int | None, str | None, str]],
    kept: Callable[[str, Callable[[], Any]], Any],
) -> list[Recaptures]:
    """Return the counts of every network that has any, from rows of client and day."""
    days = len(span.covered)
    shape = (len(named), GROUPS)
    hour_names = [f"h{hour}" for hour in range(24)]
    daily = _filled(
        kept(
            "daily",
            lambda: table.group_by("network", "part", "day").aggregate(
                clients=table.count(),
                span=table.span.sum(),
                slots=table.slots.sum(),
                around=table.around.sum(),
                inside=table.inside.sum(),
                **{name: ((table.mask >> hour) & 1).sum() for hour, name in enumerate(hour_names)},
            ),
        ),
        (*shape, days),
        ("network", "part", "day"),
    )
    count = bits()
    client = table.group_by("network", "part", "client").aggregate(on=any_bit()(one() << table.day))
    came_back = _filled(
        kept(
            "came_back",
            lambda: client.group_by("network", "part").aggregate(
                clients=client.count(),
                **{f"p{k}": count(client.on & (client.on >> k)).sum() for k in range(1, days)},
                **{
                    f"t{i}": count(client.on & (client.on >> i) & (client.on >> 2 * i)).sum()
                    for i in range(1, _SPREAD + 1)
                },
            ),
        ),
        shape,
        ("network", "part"),
    )
    hourly = np.stack([daily[name] for name in hour_names], axis=-1)
    pairs = np.zeros((*shape, days))
    for k in range(1, days):
        pairs[..., k] = came_back[f"p{k}"]
    triples = np.zeros((*shape, _SPREAD + 1))
    for i in range(1, _SPREAD + 1):
        triples[..., i] = came_back[f"t{i}"]
    lags = _hour_lags(table, shape, kept)
    return [
        Recaptures(
            asn,
            country,
            unit,
            span.covered,
            came_back["clients"][i],
            daily["slots"][i].sum(axis=-1),
            hourly[i],
            daily["clients"][i],
            daily["span"][i] / _DAY_S,
            pairs[i],
            triples[i],
            lags[i],
            np.stack([daily[name][i].sum(axis=-1) for name in ("around", "inside")], axis=-1),
        )
        for i, (asn, country, unit) in enumerate(named)
        if came_back["clients"][i].any()
    ]


def _hour_lags(
    table: Any,  # noqa: ANN401 - ibis is untyped
    shape: tuple[int, int],
    kept: Callable[[str, Callable[[], Any]], Any],
) -> Floats:
    """Return the clients seen in two hours k apart, float64[networks, groups, 48].

    Hour h of a day and hour h + d of the same day are d apart, of the next one 24 + d, and so on:
    shifted bits of two days meet.
    """
    count = bits()
    lags = np.zeros((*shape, _LAGS))
    for apart in (0, 1, 2):
        if apart:
            later = table.select(
                client_later="client", network_later="network", day_later=table.day - apart,
                mask_later="mask",
            )  # fmt: skip
            met = table.join(
                later,
                [
                    table.client == later.client_later,
                    table.network == later.network_later,
                    table.day == later.day_later,
                ],
            )
        else:
            met = table.mutate(mask_later=table.mask)
        shifts = [
            d for d in range(-23, 24) if 0 < 24 * apart + d < _LAGS and not (apart == 0 and d < 0)
        ]
        summed = met.group_by("network", "part").aggregate(
            **{
                f"s{i}": count(
                    met.mask & (met.mask_later >> d if d >= 0 else met.mask_later << -d)
                ).sum()
                for i, d in enumerate(shifts)
            }
        )
        rows = kept(f"lags{apart}", partial(_same, summed))
        found = _filled(rows, shape, ("network", "part"))
        for i, d in enumerate(shifts):
            lags[..., 24 * apart + d] += found[f"s{i}"]
    return lags


def _same(table: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    return table


def _filled(table: Any, shape: tuple[int, ...], axes: tuple[str, ...]) -> dict[str, Floats]:  # noqa: ANN401
    """Return the columns of an aggregated table as arrays over its keys, zero where no row is."""
    found = table.to_pyarrow()
    at = tuple(found[axis].to_numpy() for axis in axes)
    columns = {}
    for name in found.column_names:
        if name not in axes:
            filled = np.zeros(shape)
            filled[at] = found[name].to_numpy()
            columns[name] = filled
    return columns


def _masks(covered: Flags) -> list[int]:
    """Return the covered hours of each day as bits.

    >>> _masks(np.array([[True, False, True] + [False] * 21]))
    [5]
    """
    return [int(day @ (1 << np.arange(24))) for day in covered]

"""Two vantages side by side: which two, their clients on one scale, and who is seen at both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant import schema
from remnant.estimate.coverage import COMPLETE, default_window, hours, vantages
from remnant.estimate.online import day_start, series
from remnant.estimate.traffic import unit_of
from remnant.estimate.two_vantages import Cells, last, told
from remnant.windows import ceil, floor, to_us

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from remnant.cases.model import Case
    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis
    from remnant.settings import Settings
    from remnant.store import View
    from remnant.windows import Window

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Comparison", "Meeting", "Side", "compare", "meet", "pair"]

SCALE: Final = "distinct clients an hour, mean of the same hours"
"""The one scale on which two vantages stand side by side."""

_SINKHOLES: Final = ("sinkhole_http", "sinkhole_tcp", "sinkhole_dns")
_HOSTS: Final = frozenset({"sinkhole_http", "sinkhole_tcp", "flow"})
_LEAST_MATCHED: Final = 10
_MOST_NAMES: Final = 5000
_HOUR_US: Final = 3_600_000_000
_NO_NETWORK: Final = -1

_COUNTS: Final = {
    "resolver": "addresses that asked the resolver, in the networks that use it",
    "sinkhole_http": "addresses that sent the sinkhole a request, from anywhere, if nothing on the "
    "way stopped them",
    "sinkhole_tcp": "addresses that connected to the sinkhole, from anywhere; scanners among them",
    "sinkhole_dns": "resolvers that asked the sinkhole's name servers, each for many machines",
    "authority": "resolvers that asked the authoritative servers, each for many machines",
    "flow": "addresses with flows to watched addresses, in the networks that export them",
    "report": "addresses that others reported",
}


@dataclass(frozen=True, slots=True)
class Side:
    """One of two vantages.

    Attributes:
        vantage: which.
        counts: what it counts, in words.
        unit: what one client is.
        hourly: distinct clients an hour, mean of the shared hours.
        networks: networks in which it saw clients.
        share: of the networks that either saw, the share that it saw; null where none is known.
    """

    vantage: str
    counts: str
    unit: str
    hourly: float
    networks: int
    share: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two vantages on one scale.

    Attributes:
        window: what was compared.
        scale: what the numbers count.
        hours: hours that both covered.
        sides: the two.
        days: days since 1970-01-01 UTC, all of the window.
        values: float64[2, days]: mean of the day's shared hours; NaN where they are too few.
        networks: networks that either saw.
        matched: clients a day at the first, at the second and at both, of those that were
            matched, mean of the last seven shared days; null where none were.
        estimates: ``seen_at_both``, ``reach_ratio`` and ``two_vantage_hosts``; none where they do
            not apply.
    """

    window: Window
    scale: str
    hours: int
    sides: tuple[Side, Side]
    days: Ints
    values: Floats
    networks: int
    matched: tuple[float, float, float] | None
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Meeting:
    """Who was seen at both vantages, day by day.

    Attributes:
        sides: the vantages.
        third: a third list; null if there is none.
        match: what was matched: ``addresses`` or ``prefixes``.
        unit: what one of those counted is.
        cells: the counts, of all shared days.
        clusters: number of prefixes, client-days at the resolver, at both, and the sums of
            squares, as ``two_vantages.reach`` takes them.
        assumptions: what must hold for the match.
    """

    sides: tuple[str, str]
    third: str | None
    match: str
    unit: str
    cells: Cells
    clusters: tuple[int, float, float, tuple[float, float, float]]
    assumptions: tuple[str, ...]


def pair(view: View) -> tuple[str, str] | None:
    """Return the two vantages that are compared; null where fewer than two have sightings.

    The resolver and what of the sinkhole says most about hosts, else the first two.
    """
    activity = view.table(schema.ACTIVITY)
    seen = set(activity.select("vantage").distinct().to_pyarrow()["vantage"].to_pylist())
    present = [v for v in vantages(view) if v in seen]
    if len(present) < 2:
        return None
    right = next((v for v in _SINKHOLES if v in present), None)
    if "resolver" in present and right is not None:
        return "resolver", right
    return present[0], present[1]


def compare(
    view: View, case: Case, settings: Settings, window: Window | None = None
) -> Comparison | None:
    """Return two vantages of the case on one scale; null where it has fewer than two.

    Counts are what was seen, bystanders among them. Vantages are never added together.
    """
    from remnant.estimate.basis import Basis  # noqa: PLC0415 - only where it is asked

    sides = pair(view)
    if sides is None:
        return None
    window = window or default_window(view)
    start, stop, shared = _shared_hours(view, window, sides)
    clients = np.stack([_hourly(view, side, start, stop) for side in sides])
    counted = int(shared.sum())
    if not counted:
        return None
    by_day = shared.reshape(-1, 24)
    # Fewer than 18 hours are a part of the day, and not the same part every day.
    whole = by_day.sum(axis=1) >= 18
    sums = np.where(shared, clients, 0.0).reshape(2, -1, 24).sum(axis=2)
    values = np.where(whole, sums / np.maximum(by_day.sum(axis=1), 1), np.nan)
    networks = _networks(view, window, sides)
    either = len(networks[0] | networks[1])
    made = tuple(
        Side(
            vantage=side,
            counts=_COUNTS[side],
            unit=unit_of(view, side),
            hourly=float(clients[n][shared].mean()),
            networks=len(networks[n]),
            share=len(networks[n]) / either if either else None,
        )
        for n, side in enumerate(sides)
    )
    basis = Basis(view, case, settings, window, sides[0])
    found = meet(basis, *sides) if sides[0] == "resolver" else None
    return Comparison(
        window=window,
        scale=SCALE,
        hours=counted,
        sides=(made[0], made[1]),
        days=np.arange(start // 24, stop // 24, dtype=np.int64),
        values=values,
        networks=either,
        matched=None if found is None else _matched(last(found.cells)),
        estimates=tuple(told(basis, sides, found)) if sides[0] == "resolver" else (),
    )


def _matched(cells: Cells) -> tuple[float, float, float]:
    left, right, both = (
        float(part.sum()) / cells.days for part in (cells.left, cells.right, cells.both)
    )
    return left, right, both


def meet(basis: Basis, left: str, right: str) -> Meeting | None:
    """Return who was seen at both; null where no day is complete at both, or nobody asked."""
    key = ("met", basis.window, basis.scored, left, right)
    return basis.view.known(key, lambda: _meet(basis, left, right))


def _meet(basis: Basis, left: str, right: str) -> Meeting | None:
    view = basis.view
    third = "flow" if right in _HOSTS and "flow" in vantages(view) else None
    days = _complete(basis, (left, right))
    if third is not None:
        both = np.intersect1d(days, _complete(basis, (third,)))
        # A third list is worth nothing if it takes away most of the days.
        days, third = (both, third) if 2 * len(both) >= len(days) > 0 else (days, None)
    if not len(days):
        return None
    lists = (left, right, third)
    seen = basis.view.kept(
        ("meeting", basis.window, lists), lambda: _seen(basis, lists, days.tolist())
    )
    matched = 0
    if right in _HOSTS:
        matched = int(seen.filter(seen.left, seen.right).count().to_pyarrow().as_py())
    assumptions = [
        "names were answered with the sinkhole's address, so that whoever asked could come",
        "a host that speaks IPv6 to one and IPv4 to the other counts as two",
    ]
    if matched >= _LEAST_MATCHED:
        cells = _cells(seen, third)
        match, unit = "addresses", unit_of(view, left)
        assumptions.append("a host keeps its address during the day, and is not behind another")
    else:
        seen = _by_prefix(view, seen)
        cells = _cells(seen, None)
        match, unit, third = "prefixes", "prefixes", None
        assumptions.append("few addresses were seen at both, so routed prefixes stand for them")
    if not cells.days:
        return None
    return Meeting(
        (left, right), third, match, unit, cells, _clusters(view, seen, match), tuple(assumptions)
    )


def _complete(basis: Basis, chosen: tuple[str, ...]) -> Ints:
    """Return the days that are complete at all of some vantages."""
    days: Ints | None = None
    for vantage in chosen:
        made = series(basis.view, basis.window, vantage)
        own = made.days[made.complete]
        days = own if days is None else np.intersect1d(days, own)
    assert days is not None
    return days


def _seen(basis: Basis, lists: tuple[str, str, str | None], days: list[int]) -> Any:  # noqa: ANN401
    """Return client, day, network, unit, and where it was seen (an Ibis table).

    Only networks from which the resolver has a client: the other cannot be compared.
    """
    import ibis  # noqa: PLC0415 - heavy

    from remnant.estimate.bystanders import excluded  # noqa: PLC0415 - it needs a basis

    chosen = [name for name in lists if name is not None]
    table = basis.view.table(schema.SIGHTINGS)
    since, until = (
        ibis.literal(time, type="timestamp('UTC', 6)")
        for time in (day_start(min(days)), day_start(max(days) + 1))
    )
    rows = table.filter(table.vantage.isin(chosen), table.time >= since, table.time < until)
    rows = rows.mutate(day=rows.time.epoch_seconds() // 86_400, asn=rows.asn.fill_null(_NO_NETWORK))
    rows = rows.filter(rows.day.isin(days))
    # A seized name that some resolver denies is blocked there: who asks for it is infected still.
    at_resolver = rows.vantage == "resolver"
    served = rows.filter(at_resolver & (rows.rcode == 0)).select("name").distinct()
    rows = rows.left_join(served.mutate(served=ibis.literal(value=True)), "name")
    rows = rows.drop("name_right") if "name_right" in rows.columns else rows
    answered = (rows.vantage != "resolver") | rows.rcode.isnull() | rows.served.fill_null(False)
    names = _answered_elsewhere(basis)
    if names:
        answered &= (rows.vantage != "resolver") | rows.name.notin(names)
    rows = rows.filter(answered)
    for name in chosen:
        rows = rows.anti_join(excluded(basis.at(name)), "client")
    left, right, third = lists
    found = rows.group_by("client", "day", "asn", "unit").aggregate(
        asked=(rows.vantage == left).sum(),
        left=(rows.vantage == left).any(),
        right=(rows.vantage == right).any(),
        third=(rows.vantage == (third or "")).any(),
    )
    common = found.filter(found.left).select("asn").distinct()
    return found.semi_join(common, "asn")


def _answered_elsewhere(basis: Basis) -> list[str]:
    """Return the names that were answered with other addresses than the sinkhole's only.

    Nothing is left out where the case names no addresses of the sinkhole, or where there are more
    than 5,000 such names.
    """
    sinkhole = basis.case.sinkhole
    if sinkhole is None or not sinkhole.addresses:
        return []
    addresses = list(sinkhole.addresses)
    answers = basis.view.table(schema.ANSWERS)
    answers = answers.filter(answers.rrtype.isin([1, 28]))
    given = answers.group_by("rrname").aggregate(ours=answers.rdata.isin(addresses).any())
    names = given.filter(~given.ours).select("rrname").limit(_MOST_NAMES + 1).to_pyarrow()
    found: list[str] = names["rrname"].to_pylist()
    return found if len(found) <= _MOST_NAMES else []


def _by_prefix(view: View, seen: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the same with prefixes in place of clients."""
    known = view.table(schema.CLIENTS)
    known = (
        known.filter(known.prefix.notnull()).group_by("client").aggregate(prefix=known.prefix.max())
    )
    both = seen.join(known, "client")
    return both.group_by("prefix", "day", "asn", "unit").aggregate(
        asked=both.asked.sum(), left=both.left.any(), right=both.right.any(), third=both.third.any()
    )


def _cells(seen: Any, third: str | None) -> Cells:  # noqa: ANN401 - ibis is untyped
    """Return the counts of each day and stratum."""
    busy = seen.asked > 2
    counts = {
        "n1": seen.left.sum(),
        "n2": seen.right.sum(),
        "m": (seen.left & seen.right).sum(),
        "n1_busy": (seen.left & busy).sum(),
        "m_busy": (seen.left & seen.right & busy).sum(),
    }
    for code in range(1, 8 if third else 1):
        flags = [seen.left, seen.right, seen.third]
        wanted = [flag if code >> (2 - n) & 1 else ~flag for n, flag in enumerate(flags)]
        counts[f"h{code}"] = (wanted[0] & wanted[1] & wanted[2]).sum()
    rows = seen.group_by("day", "asn", "unit").aggregate(**counts).order_by("day", "asn", "unit")
    found = rows.to_pyarrow()
    names = np.array(found["unit"].to_pylist(), dtype=np.str_)
    keys = np.stack([found["asn"].to_numpy(), (names == schema.UNITS[0]).astype(np.int64)], axis=1)
    _, stratum = np.unique(keys, axis=0, return_inverse=True)
    n1, n2, m, n1_busy, m_busy = (
        found[name].to_numpy().astype(np.float64) for name in ("n1", "n2", "m", "n1_busy", "m_busy")
    )
    histories = None
    if third:
        columns = [np.zeros(len(n1))]
        columns += [found[f"h{code}"].to_numpy().astype(np.float64) for code in range(1, 8)]
        histories = np.stack(columns, axis=1).reshape(-1, 2, 2, 2)
    day = found["day"].to_numpy().astype(np.int64)
    return Cells(day, stratum.reshape(-1), n1, n2, m, n1_busy, m_busy, histories)


def _clusters(
    view: View,
    seen: Any,  # noqa: ANN401 - ibis is untyped
    match: str,
) -> tuple[int, float, float, tuple[float, float, float]]:
    """Return clusters, client-days at the resolver and at both, and their sums of squares."""
    rows = seen.filter(seen.left)
    if match == "prefixes":
        rows = rows.mutate(cluster=rows.prefix)
    else:
        known = view.table(schema.CLIENTS).group_by("client")
        prefixes = known.aggregate(prefix=lambda t: t.prefix.max())
        rows = rows.left_join(prefixes, "client")
        rows = rows.mutate(cluster=rows.prefix.fill_null(rows.client.cast("string")))
    each = rows.group_by("cluster").aggregate(n=rows.count(), m=rows.right.sum())
    row = each.aggregate(
        clusters=each.count(),
        n=each.n.sum(),
        m=each.m.sum(),
        nn=(each.n * each.n).sum(),
        nm=(each.n * each.m).sum(),
        mm=(each.m * each.m).sum(),
    ).to_pyarrow()
    sums = {name: value or 0 for name, value in row.to_pylist()[0].items()}
    squares = (float(sums["nn"]), float(sums["nm"]), float(sums["mm"]))
    return int(sums["clusters"]), float(sums["n"]), float(sums["m"]), squares


def _shared_hours(
    view: View, window: Window, sides: tuple[str, str]
) -> tuple[int, int, NDArray[np.bool_]]:
    """Return the first and last hour of the window's whole days, and which hours both covered."""
    known = [hours(view, side) for side in sides]
    first = min(hour.first for hour in known) // 24 * 24
    last = -(-max(hour.stop for hour in known) // 24) * 24
    start = max(to_us(floor(window.since, "day")) // _HOUR_US, first)
    stop = max(start, min(to_us(ceil(window.until, "day")) // _HOUR_US, last))
    shared = np.zeros(stop - start, dtype=np.bool_)
    since = -(-to_us(window.since) // _HOUR_US)
    shared[max(0, since - start) : max(0, to_us(window.until) // _HOUR_US - start)] = True
    for hour in known:
        expected, delivered = hour.between(start, stop)
        shared &= (expected > 0) & (delivered >= COMPLETE * expected)
    return start, stop, shared


def _hourly(view: View, vantage: str, start: int, stop: int) -> Floats:
    """Return distinct clients of each hour [start, stop), zero where none."""
    table = view.table(schema.ACTIVITY)
    rows = table.filter(
        table.grain == "hour",
        table.sensor.isnull(),
        table.vantage == vantage,
        table.start >= _at(day_start(start // 24)),
        table.start < _at(day_start(stop // 24)),
    ).select("start", "clients")
    found = rows.to_pyarrow()
    clients = np.zeros(stop - start)
    clients[found["start"].cast("int64").to_numpy() // _HOUR_US - start] = found[
        "clients"
    ].to_numpy()
    return clients


def _networks(view: View, window: Window, sides: tuple[str, str]) -> tuple[set[int], set[int]]:
    """Return the networks of the window's days that each saw."""
    table = view.table(schema.ACTIVITY)
    rows = table.filter(
        table.grain == "network",
        table.asn.notnull(),
        table.vantage.isin(list(sides)),
        table.start >= _at(floor(window.since, "day")),
        table.start < _at(window.until),
    )
    found = rows.select("vantage", "asn").distinct().to_pyarrow().to_pylist()
    left, right = ({row["asn"] for row in found if row["vantage"] == side} for side in sides)
    return left, right


def _at(time: datetime) -> Any:  # noqa: ANN401 - ibis is untyped
    import ibis  # noqa: PLC0415 - heavy

    return ibis.literal(time, type="timestamp('UTC', 6)")

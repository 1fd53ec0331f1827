"""How many clients each network and country has: exact, from the daily roll-ups, at once.

A roll-up knows the distinct clients of one day. A client lies in one network and one country on a
day, so the sums over networks are exact; sums over days are client-days, and shown as their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from remnant import schema
from remnant.errors import NoData
from remnant.report.facts import FULL_COVERAGE
from remnant.windows import Window, ceil, floor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from remnant.report.facts import Pulse
    from remnant.store import View

__all__ = ["By", "Place", "Scope", "curves", "daily", "places", "scope"]

By = Literal["network", "country"]
_DAY: Final = timedelta(days=1)
_WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class Scope:
    """Which traffic a page is about: whole UTC days at one vantage.

    Attributes:
        window: the days, half-open.
        whole: the days from the first to the last that any sensor covered.
        vantage: where it was seen; vantages are never added together.
        vantages: those there are, the default one first.
        days: midnight of every day of the window.
        covered: whether each is no gap.
        takedown: of the case; null where it has none.
    """

    window: Window
    whole: Window
    vantage: str
    vantages: tuple[str, ...]
    days: tuple[datetime, ...]
    covered: tuple[bool, ...]
    takedown: datetime | None

    @property
    def full_days(self) -> list[datetime]:
        """The days that are no gaps."""
        return [day for day, full in zip(self.days, self.covered, strict=True) if full]

    @property
    def weeks(self) -> tuple[list[datetime], list[datetime]]:
        """The first and last seven covered days after the takedown; none where they overlap."""
        since = self.window.since if self.takedown is None else self.takedown
        after = [day for day in self.full_days if day >= since]
        return (after[:_WEEK], after[-_WEEK:]) if len(after) >= 2 * _WEEK else ([], [])

    @property
    def gaps(self) -> list[tuple[datetime, datetime]]:
        """Runs of days that are gaps, half-open."""
        runs: list[tuple[datetime, datetime]] = []
        for day, full in zip(self.days, self.covered, strict=True):
            if full:
                continue
            if runs and runs[-1][1] == day:
                runs[-1] = (runs[-1][0], day + _DAY)
            else:
                runs.append((day, day + _DAY))
        return runs


@dataclass(frozen=True, slots=True)
class Place:
    """One network in one country, or one country.

    Attributes:
        asn: origin AS; null for a country, and where the reference data knows none.
        country: ISO code; null where the reference data knows none.
        queries: requests in the window, counted.
        client_days: distinct clients of each covered day, added.
        first: mean clients a day in the first week after the takedown; null where it is too short.
        last: the same in the last week.
    """

    asn: int | None
    country: str | None
    queries: int
    client_days: int
    first: float | None
    last: float | None

    @property
    def key(self) -> tuple[int, str]:
        """What tells it from the others of a table, in order."""
        return (self.asn or 0, self.country or "")


def scope(
    view: View,
    takedown: datetime | None,
    *,
    vantage: str | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Scope:
    """Return the traffic that was asked for.

    Args:
        view: the case.
        takedown: of the case.
        vantage: default: the first of ``coverage.vantages``.
        since: first day; default and earliest: the first covered one.
        until: the day after the last; default and latest: after the last covered one.

    Raises:
        NoData: the case has no traffic, none of that vantage, or none on those days.
    """
    from remnant.estimate.coverage import (
        by_step,
        choose_vantage,
        default_window,
        vantages,
    )

    vantage = choose_vantage(view, vantage)
    seen = default_window(view)
    whole = Window(floor(seen.since, "day"), ceil(seen.until, "day"))
    first = max(whole.since, _midnight(since)) if since else whole.since
    last = min(whole.until, _midnight(until)) if until else whole.until
    if first >= last:
        raise NoData(
            "there is no data of these days",
            where=f"case {view.case}",
            expected=f"days from {whole.since:%Y-%m-%d} to before {whole.until:%Y-%m-%d}",
            hint="leave out the days for all that there is",
        )
    window = Window(first, last)
    key = ("scope of places", window, vantage)
    rows = view.known(key, lambda: by_step(view, window, "day", vantage).to_pylist())
    days, covered = [], []
    for row in rows:
        start = row["start"].astimezone(UTC)
        share = row["coverage"]
        part = start < seen.since or start + _DAY > seen.until
        days.append(start)
        # Where the sources hold hits only, coverage is unknown and a day is a day.
        covered.append(not part and (share is None or share >= FULL_COVERAGE))
    return Scope(
        window, whole, vantage, tuple(vantages(view)), tuple(days), tuple(covered), takedown
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Rollup:
    """The daily roll-ups by network of one vantage, as arrays.

    Attributes:
        keys: networks as (asn, country), in any order.
        country: index into ``countries`` of each network.
        countries: codes; null where the reference data knows none.
        bounds: the rows of network i are those from ``bounds[i]`` to before ``bounds[i + 1]``.
        day: day of each row, since 1970-01-01.
        clients: distinct clients of each row.
        queries: requests of each row.
    """

    keys: list[tuple[int | None, str | None]]
    country: NDArray[np.int64]
    countries: list[str | None]
    bounds: NDArray[np.int64]
    day: NDArray[np.int64]
    clients: NDArray[np.int64]
    queries: NDArray[np.int64]


def places(view: View, of: Scope, by: By) -> list[Place]:
    """Return every network or country that was seen, in order of its key; nobody may change it."""
    key = ("places", by, of.window, of.vantage, of.takedown)
    return view.known(key, lambda: _places(_rollup(view, of.vantage), of, by))


def _places(found: _Rollup, of: Scope, by: By) -> list[Place]:
    first, last = of.weeks
    group = np.repeat(np.arange(len(found.keys)), np.diff(found.bounds))
    names: list[tuple[int | None, str | None]] = found.keys
    if by == "country":
        group = found.country[group]
        names = [(None, code) for code in found.countries]

    def total(values: NDArray[np.int64], days: Sequence[datetime]) -> NDArray[np.int64]:
        rows = np.isin(found.day, _numbers(days))
        sums: NDArray[np.int64] = np.zeros(len(names), np.int64)
        np.add.at(sums, group[rows], values[rows])
        return sums

    queries = total(found.queries, of.days)
    size = total(found.clients, of.full_days)
    begin, end = total(found.clients, first), total(found.clients, last)
    made = [
        Place(
            asn=names[i][0],
            country=names[i][1],
            queries=int(queries[i]),
            client_days=int(size[i]),
            first=int(begin[i]) / _WEEK if first else None,
            last=int(end[i]) / _WEEK if last else None,
        )
        for i in np.flatnonzero(queries).tolist()
    ]
    return sorted(made, key=lambda place: place.key)


def curves(view: View, of: Scope, chosen: Sequence[Place], by: By) -> list[Pulse]:
    """Return a small trend for each of a few places."""
    from remnant.report.places import pulses

    matrix = daily(view, of, chosen, by)
    return pulses(matrix, np.array(of.covered, np.bool_), 0, everything=True)


def daily(view: View, of: Scope, chosen: Sequence[Place], by: By) -> NDArray[np.float64]:
    """Return distinct clients of each day for a few places: float64[places, days]."""
    found = _rollup(view, of.vantage)
    matrix = np.zeros((len(chosen), len(of.days)))
    first = _numbers(of.days[:1])[0] if of.days else 0
    place_of = {key: i for i, key in enumerate(found.keys)}
    for row, place in enumerate(chosen):
        if by == "network":
            own = [place_of[place.asn, place.country]]
        else:
            code = found.countries.index(place.country)
            own = np.flatnonzero(found.country == code).tolist()
        for i in own:
            rows = slice(found.bounds[i], found.bounds[i + 1])
            day = found.day[rows] - first
            inside = (day >= 0) & (day < len(of.days))
            np.add.at(matrix[row], day[inside], found.clients[rows][inside])
    return matrix


def _rollup(view: View, vantage: str) -> _Rollup:
    return view.known(("rollup of networks", vantage), lambda: _read(view, vantage))


def _read(view: View, vantage: str) -> _Rollup:
    table = view.table(schema.ACTIVITY)
    table = table.filter(table.grain == "network", table.vantage == vantage)
    rows = table.select(
        day=table.start.epoch_seconds() // 86_400,
        asn=table.asn.fill_null(-1),
        country=table.country.fill_null(""),
        clients=table.clients,
        queries=table.queries,
    ).to_pyarrow()
    codes = rows["country"].combine_chunks().dictionary_encode()
    countries: list[str | None] = [code or None for code in codes.dictionary.to_pylist()]
    of_row = codes.indices.to_numpy().astype(np.int64)
    asn = rows["asn"].to_numpy().astype(np.int64)
    packed = (asn + 1) * max(len(countries), 1) + of_row
    values, group = np.unique(packed, return_inverse=True)
    order = np.argsort(group, kind="stable")
    country = values % max(len(countries), 1)
    asns = (values // max(len(countries), 1) - 1).tolist()
    return _Rollup(
        keys=[
            (None if number < 0 else number, countries[code])
            for number, code in zip(asns, country.tolist(), strict=True)
        ],
        country=country,
        countries=countries,
        bounds=np.searchsorted(group[order], np.arange(len(values) + 1)),
        day=rows["day"].to_numpy().astype(np.int64)[order],
        clients=rows["clients"].to_numpy().astype(np.int64)[order],
        queries=rows["queries"].to_numpy().astype(np.int64)[order],
    )


def _numbers(days: Sequence[datetime]) -> list[int]:
    """Return days since 1970-01-01."""
    return [round(day.timestamp()) // 86_400 for day in days]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)

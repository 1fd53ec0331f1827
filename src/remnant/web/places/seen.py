"""How many clients each network and country has: exact, from the daily roll-ups, at once.

A roll-up knows the distinct clients of one day. A client lies in one network and one country on a
day, so the sums over networks are exact; sums over days are client-days, and shown as their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from remnant import schema
from remnant.errors import NoData
from remnant.report.facts import FULL_COVERAGE
from remnant.windows import Window, ceil, floor

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    from remnant.estimate.coverage import (  # noqa: PLC0415 - rooms load when used
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


def places(view: View, of: Scope, by: By) -> list[Place]:
    """Return every network or country that was seen, in order of its key; nobody may change it."""
    key = ("places", by, of.window, of.vantage, of.takedown)
    return view.known(key, lambda: _places(view, of, by))


def _places(view: View, of: Scope, by: By) -> list[Place]:
    import ibis  # noqa: PLC0415 - heavy

    table = _rows(view, of)
    first, last = of.weeks
    columns = ["asn", "country"] if by == "network" else ["country"]

    def on(days: Sequence[datetime]) -> Any:  # noqa: ANN401 - ibis is untyped
        if not days:
            return ibis.null("int64")
        chosen = table.start.isin([_at(day) for day in days])
        return table.clients.sum(where=chosen).fill_null(0)

    found = table.group_by(columns).aggregate(
        queries=table.queries.sum(), size=on(of.full_days), first=on(first), last=on(last)
    )
    made = [
        Place(
            asn=row.get("asn"),
            country=row["country"],
            queries=row["queries"],
            client_days=row["size"] or 0,
            first=row["first"] / _WEEK if first else None,
            last=row["last"] / _WEEK if last else None,
        )
        for row in found.to_pyarrow().to_pylist()
    ]
    return sorted(made, key=lambda place: place.key)


def curves(view: View, of: Scope, chosen: Sequence[Place], by: By) -> list[Pulse]:
    """Return a small trend for each of a few places."""
    import numpy as np  # noqa: PLC0415 - heavy

    from remnant.report.places import pulses  # noqa: PLC0415 - rooms load when used

    matrix = daily(view, of, chosen, by)
    return pulses(matrix, np.array(of.covered, np.bool_), 0, everything=True)


def daily(view: View, of: Scope, chosen: Sequence[Place], by: By) -> Any:  # noqa: ANN401 - NumPy
    """Return distinct clients of each day for a few places: float64[places, days]."""
    from remnant.report.places import daily_clients  # noqa: PLC0415 - rooms load when used

    if by == "country":
        return daily_clients(view, of.vantage, of.days, [place.country for place in chosen])
    return daily_clients(
        view, of.vantage, of.days, [(place.asn, place.country) for place in chosen]
    )


def _rows(view: View, of: Scope) -> Any:  # noqa: ANN401 - ibis is untyped
    table = view.table(schema.ACTIVITY)
    return table.filter(
        table.grain == "network",
        table.vantage == of.vantage,
        table.start >= _at(of.window.since),
        table.start < _at(of.window.until),
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _at(moment: datetime) -> Any:  # noqa: ANN401 - ibis is untyped
    import ibis  # noqa: PLC0415 - heavy

    return ibis.literal(moment, type="timestamp('UTC', 6)")

"""Hosts online: the daily mean of hourly distinct clients, on complete days.

An hour is the longest window in which address churn hardly inflates a count: with rho address
changes per host and day the excess is near rho / 24, so 4 % at one change a day, where a day's
distinct count would be 1.6 and a week's 6 times too large. Hosts behind one address count once.

References:
    Rajab, Zarfoss, Monrose, Terzis, My Botnet is Bigger than Yours, HotBots 2007 (footprint and
    live population differ by more than ten times).
    Stone-Gross et al., Your Botnet is My Botnet, CCS 2009 (addresses against bot identifiers).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant import schema
from remnant.estimate.coverage import COMPLETE, choose_vantage, default_window, hours
from remnant.estimate.decay import fit
from remnant.estimate.traffic import unit_of
from remnant.windows import Window, ceil, floor, to_us

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate.decay import Trend
    from remnant.store import View

    Floats = NDArray[np.float64]
    Days = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["HEADLINE_DAYS", "Level", "Series", "day_start", "exposure_of", "headline", "series"]

HEADLINE_DAYS: Final = 7
"""The headline is a mean over a week, so that no weekday weighs more than another."""

_NOISE_DAYS: Final = 28
_MINIMUM_NOISE_DAYS: Final = 14
_MINIMUM_HOURS: Final = 18
_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 24 * _HOUR_US


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One value a day, every day of the data that overlaps the window.

    Attributes:
        vantage: where it was seen.
        unit: what one client is.
        window: the window it was made for.
        days: days since 1970-01-01 UTC, without holes.
        values: mean distinct clients per covered hour; NaN on days that are not complete.
        exposure: what share of an average hour's clients the covered hours have by their time of
            day; 1 where all 24 are covered.
        coverage: sensor-hours with traffic / expected; NaN where none was expected.
        complete: days with all 24 hours in the window, a sensor expected in each, and coverage of
            at least ``coverage.COMPLETE``.
    """

    vantage: str
    unit: str
    window: Window
    days: Days
    values: Floats
    exposure: Floats
    coverage: Floats
    complete: Flags

    def on(self, chosen: Flags) -> Series:
        """Return the series of some of its days."""
        return Series(
            self.vantage,
            self.unit,
            self.window,
            self.days[chosen],
            self.values[chosen],
            self.exposure[chosen],
            self.coverage[chosen],
            self.complete[chosen],
        )

    def since(self, time: datetime) -> Series:
        """Return the days that begin at or after a time."""
        return self.on(self.days * _DAY_US >= to_us(time))

    def trend(self, *, level: float = 0.95) -> Trend | None:
        """Return the log-linear trend of the complete days; null where none can be fitted."""
        kept = self.on(self.complete)
        return fit(kept.days, kept.values, kept.exposure, level=level)


@dataclass(frozen=True, slots=True)
class Level:
    """The mean of some days with its interval.

    Attributes:
        value: the mean.
        low: lower limit; null if the noise could not be estimated.
        high: upper limit; null if the noise could not be estimated.
        n: complete days in the mean.
        since: start of the first of them.
        until: end of the last of them.
        noise_days: complete days from which noise and memory were estimated.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    since: datetime
    until: datetime
    noise_days: int


def day_start(day: int) -> datetime:
    """Return midnight UTC of a day counted from 1970-01-01.

    >>> day_start(16533).isoformat()
    '2015-04-08T00:00:00+00:00'
    """
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=int(day))


def series(view: View, window: Window | None = None, vantage: str | None = None) -> Series:
    """Return the daily mean of hourly distinct clients.

    Hours of the window that are only in part inside it are left out. An hour counts as covered if
    at least 95 % of the sensors expected in it delivered; a covered hour without sightings is a
    zero.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    vantage = choose_vantage(view, vantage)
    window = window or default_window(view)
    return view.known(("series", window, vantage), lambda: _series(view, window, vantage))


def _series(view: View, window: Window, vantage: str) -> Series:
    known = hours(view, vantage)
    # Days outside the data are not gaps, and a window may be any length.
    first_day = max(to_us(floor(window.since, "day")) // _DAY_US, known.first // 24)
    stop_day = min(to_us(ceil(window.until, "day")) // _DAY_US, -(-known.stop // 24))
    stop_day = max(first_day, stop_day)
    start, stop = first_day * 24, stop_day * 24
    expected, delivered = known.between(start, stop)
    inside = np.zeros(stop - start, dtype=np.bool_)
    since = -(-to_us(window.since) // _HOUR_US)
    inside[max(0, since - start) : max(0, to_us(window.until) // _HOUR_US - start)] = True
    expected = np.where(inside, expected, 0).reshape(-1, 24)
    delivered = np.where(inside, delivered, 0).reshape(-1, 24)
    clients = _hourly(view, vantage, start, stop).reshape(-1, 24)
    covered = (expected > 0) & (delivered >= COMPLETE * expected)
    total = expected.sum(axis=1)
    coverage = np.where(total > 0, delivered.sum(axis=1) / np.maximum(total, 1), np.nan)
    complete = (
        (expected > 0).all(axis=1)
        & (np.nan_to_num(coverage) >= COMPLETE)
        & (covered.sum(axis=1) >= _MINIMUM_HOURS)
    )
    seen = np.where(covered, clients, 0.0)
    mean = seen.sum(axis=1) / np.maximum(covered.sum(axis=1), 1)
    return Series(
        vantage=vantage,
        unit=unit_of(view, vantage),
        window=window,
        days=np.arange(first_day, stop_day, dtype=np.int64),
        values=np.where(complete, mean, np.nan),
        exposure=exposure_of(seen, covered),
        coverage=coverage,
        complete=complete,
    )


def headline(made: Series, *, level: float = 0.95) -> Level | None:
    """Return the mean over the last seven complete days; null if no day is complete.

    The interval is for the level around which the days vary, not for what was seen, which is
    exact. Noise and its memory are those around the trend of the last 28 complete days. With fewer
    than 14 complete days they cannot be estimated and the interval has no limits.
    """
    kept = made.on(made.complete)
    if not len(kept.days):
        return None
    last = slice(-HEADLINE_DAYS, None)
    days = kept.days[last]
    value = float((kept.values[last] / kept.exposure[last]).mean())
    low = high = None
    recent = kept.on(np.arange(len(kept.days)) >= len(kept.days) - _NOISE_DAYS)
    trend = recent.trend(level=level) if len(recent.days) >= _MINIMUM_NOISE_DAYS else None
    if trend is not None:
        half = trend.quantile * trend.error_of_mean(days)
        low, high = value * math.exp(-half), value * math.exp(half)
    return Level(
        value=value,
        low=low,
        high=high,
        n=len(days),
        since=day_start(int(days[0])),
        until=day_start(int(days[-1]) + 1),
        noise_days=len(recent.days),
    )


def _hourly(view: View, vantage: str, start: int, stop: int) -> Floats:
    """Return distinct clients of each hour [start, stop) in hours since 1970; zero where none."""
    import ibis  # noqa: PLC0415 - heavy

    table = view.table(schema.ACTIVITY)
    low, high = (
        ibis.literal(day_start(hour // 24), type="timestamp('UTC', 6)") for hour in (start, stop)
    )
    rows = table.filter(
        table.grain == "hour",
        table.sensor.isnull(),
        table.vantage == vantage,
        table.start >= low,
        table.start < high,
    ).select("start", "clients")
    found = rows.to_pyarrow()
    clients = np.zeros(stop - start)
    clients[found["start"].cast("int64").to_numpy() // _HOUR_US - start] = found[
        "clients"
    ].to_numpy()
    return clients


def exposure_of(seen: Floats, covered: Flags) -> Floats:
    """Return how busy each day's covered hours are by their time of day, an average hour being 1.

    The shape of the day is that of the days with all 24 hours covered.
    """
    whole = seen[covered.all(axis=1)]
    if not len(whole) or not whole.any():
        return np.ones(len(seen))
    shape = whole.mean(axis=0)
    exposure = (covered * shape).sum(axis=1) / np.maximum(covered.sum(axis=1), 1) / shape.mean()
    return np.where(exposure > 0, exposure, 1.0)

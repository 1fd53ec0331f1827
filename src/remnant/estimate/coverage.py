"""How much of the time we were looking: sensor-hours with traffic / sensor-hours expected.

A sensor is expected from its first hour until it is retired, whether it delivers or not, so a
sensor that dies lowers the coverage and is never mistaken for a clean-up. Nothing is expected
after the last hour in which any sensor delivered: there the data end. Sources that hold hits only
(victim reports, policy hits) cover nothing by themselves: an hour without a hit may be an hour
without a look, and the coverage is null. Where a person states the period for which they are
complete, the hours of that period are covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant import schema
from remnant.errors import NoData, RemnantError
from remnant.windows import STEPS, Step, Window, ceil, floor, to_us

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.expr.types import Table
    from numpy.typing import NDArray

    from remnant.store import View

    Counts = NDArray[np.int64]

__all__ = [
    "COMPLETE",
    "MAXIMUM_INTERVALS",
    "Hours",
    "SensorSpan",
    "bases",
    "by_step",
    "choose_vantage",
    "covers_nothing",
    "default_window",
    "delivering",
    "hours",
    "of_window",
    "sensors",
    "vantages",
]

COMPLETE: Final = 0.95
"""A day with less coverage is a gap in fits and figures."""

MAXIMUM_INTERVALS: Final = 1_000_000
"""A window of more hours, days or weeks is a slip of the pen: 114 years of hours."""

_HOUR_US: Final = 3_600_000_000
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Hours:
    """Sensors expected and sensors that delivered, hour by hour, at one vantage.

    Attributes:
        first: the first hour, in hours since 1970-01-01 UTC.
        expected: sensors expected, one count an hour.
        delivered: of those, sensors with at least one message.
    """

    first: int
    expected: Counts
    delivered: Counts

    @property
    def stop(self) -> int:
        """The hour after the last one, in hours since 1970-01-01 UTC."""
        return self.first + len(self.expected)

    def between(self, start: int, stop: int) -> tuple[Counts, Counts]:
        """Return expected and delivered for hours [start, stop); zero outside the data."""
        expected = np.zeros(max(0, stop - start), dtype=np.int64)
        delivered = np.zeros_like(expected)
        low, high = max(start, self.first), min(stop, self.stop)
        if low < high:
            here, there = (
                slice(low - start, high - start),
                slice(low - self.first, high - self.first),
            )
            expected[here] = self.expected[there]
            delivered[here] = self.delivered[there]
        return expected, delivered


@dataclass(frozen=True, slots=True)
class SensorSpan:
    """When one sensor delivered at one vantage.

    Attributes:
        sensor: its name.
        first: start of its first hour with traffic, or stated to be complete (UTC).
        last: start of the last such hour (UTC).
        hours: how many such hours.
        messages: messages read.
        retired: when a person retired it; null if it is still expected.
    """

    sensor: str
    first: datetime
    last: datetime
    hours: int
    messages: int
    retired: datetime | None


def vantages(view: View) -> list[str]:
    """Return the vantages of a case in the order in which one is chosen by default.

    Those with sightings come first, then those that delivered traffic without any; both in the
    order of ``schema.VANTAGES``.
    """
    return list(view.known("vantages", lambda: _vantages(view)))


def _vantages(view: View) -> list[str]:
    activity = view.table(schema.ACTIVITY)
    seen = set(activity.select("vantage").distinct().to_pyarrow()["vantage"].to_pylist())
    coverage = view.table(schema.COVERAGE)
    looked = set(coverage.select("vantage").distinct().to_pyarrow()["vantage"].to_pylist())
    ordered = [v for v in schema.VANTAGES if v in seen]
    return ordered + [v for v in schema.VANTAGES if v in looked and v not in seen]


def choose_vantage(view: View, vantage: str | None = None) -> str:
    """Return the vantage asked for, else the default one.

    Raises:
        NoData: the case has no data, or none of that vantage.
    """
    present = vantages(view)
    if not present:
        raise _nothing(view)
    if vantage is None:
        return present[0]
    if vantage not in present:
        raise NoData(
            "the case has no data of this vantage",
            where=f"case {view.case}",
            got=vantage,
            expected=", ".join(present),
            hint="leave out --vantage for the default one",
        )
    return vantage


def default_window(view: View) -> Window:
    """Return the window from the first to the end of the last hour in which any sensor delivered.

    Raises:
        NoData: no sensor of the case ever delivered a message with a usable time.
    """
    return view.known("default window", lambda: _default_window(view))


def _default_window(view: View) -> Window:
    delivered = _present(view)
    span = delivered.aggregate(first=delivered.hour.min(), last=delivered.hour.max()).to_pyarrow()
    first, last = span["first"][0].as_py(), span["last"][0].as_py()
    if first is None or last is None:
        raise _nothing(view)
    return Window(floor(first.astimezone(UTC), "hour"), floor(last.astimezone(UTC), "hour") + _HOUR)


def bases(view: View, vantage: str) -> frozenset[str]:
    """Return what the coverage of a vantage rests on: traffic, hits, stated, or several."""
    rows = _present(view)
    rows = rows.filter(rows.vantage == vantage)
    found = rows.select(basis=rows.basis.fill_null("traffic")).distinct().to_pyarrow()
    return frozenset(found["basis"].to_pylist())


def covers_nothing(view: View, vantage: str) -> bool:
    """Return whether a vantage has sources of hits only, and no period is stated for any."""
    return bases(view, vantage) == {"hits"}


def delivering(table: Table) -> Table:
    """Return the rows of COVERAGE that cover their hour."""
    return table.filter(table.hour.notnull(), _covers(table))


def hours(view: View, vantage: str) -> Hours:
    """Return the sensors expected and delivering in each hour of the data, at one vantage.

    Raises:
        NoData: the case has no covered hour at all.
    """
    return view.known(("hours", vantage), lambda: _hours(view, vantage))


def _hours(view: View, vantage: str) -> Hours:
    import pyarrow.compute as pc  # noqa: PLC0415 - heavy

    rows = _present(view).select("vantage", "sensor", "hour", "covers").distinct().to_pyarrow()
    if not rows.num_rows:
        raise _nothing(view)
    hour = rows["hour"].cast("int64").to_numpy() // _HOUR_US
    first = int(hour.min())
    length = int(hour.max()) + 1 - first
    # One longer: a sensor that is expected to the end stops being so behind it.
    expected = np.zeros(length + 1, dtype=np.int64)
    delivered = np.zeros(length, dtype=np.int64)
    here = (rows["vantage"].to_numpy() == vantage) & rows["covers"].to_numpy()
    hour = hour[here] - first
    names = pc.dictionary_encode(pc.fill_null(rows["sensor"], "")).combine_chunks()
    sensor = names.indices.to_numpy(zero_copy_only=False).astype(np.int64)[here]
    # A sensor of another vantage starts, and ends, where nothing is expected any more.
    start = np.full(len(names.dictionary), length, dtype=np.int64)
    np.minimum.at(start, sensor, hour)
    ends = [_retirement(view, name, first, length) for name in names.dictionary.to_pylist()]
    end = np.maximum(np.array(ends, dtype=np.int64), start)
    np.add.at(expected, start, 1)
    np.add.at(expected, end, -1)
    # What a sensor sends after its retirement is not expected, so it covers nothing.
    np.add.at(delivered, hour[hour < end[sensor]], 1)
    return Hours(first, np.cumsum(expected[:-1]), delivered)


def by_step(view: View, window: Window, step: Step, vantage: str) -> pa.Table:
    """Return the coverage of every hour, day or week that overlaps the window.

    Returns:
        One row per interval, in order: ``start`` (UTC microseconds, of the whole interval),
        ``expected`` and ``delivered`` (sensor-hours inside the window), ``coverage`` (0 to 1, null
        where no sensor was expected).

    Raises:
        NoData: the case has no covered hour at all.
        RemnantError: the window holds more than ``MAXIMUM_INTERVALS`` intervals.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if window.seconds > MAXIMUM_INTERVALS * STEPS[step].total_seconds():
        raise RemnantError(
            f"the window holds too many {step}s",
            got=str(window),
            expected=f"at most {MAXIMUM_INTERVALS:,} intervals",
            hint="choose a shorter window, or longer intervals with --by",
        )
    known = hours(view, vantage)
    since, until = _hour(floor(window.since, "hour")), _hour(ceil(window.until, "hour"))
    starts = np.array([to_us(start) for start in window.starts(step)], dtype=np.int64)
    width = int(STEPS[step] / _HOUR)
    low = np.maximum(starts // _HOUR_US, since) - since
    high = np.minimum(starts // _HOUR_US + width, until) - since
    expected, delivered = (_sums(counts, low, high) for counts in known.between(since, until))
    share = delivered / np.maximum(expected, 1)
    return pa.table(
        {
            "start": pa.array(starts).cast(schema.TIME),
            "expected": pa.array(expected),
            "delivered": pa.array(delivered),
            "coverage": pa.array(share, mask=expected == 0),
        }
    )


def of_window(view: View, window: Window, vantage: str) -> float | None:
    """Return the coverage of the whole window; null where no sensor was expected."""
    known = hours(view, vantage)
    expected, delivered = known.between(
        max(known.first, _hour(floor(window.since, "hour"))),
        min(known.stop, _hour(ceil(window.until, "hour"))),
    )
    total = int(expected.sum())
    return int(delivered.sum()) / total if total else None


def sensors(view: View, vantage: str, window: Window | None = None) -> list[SensorSpan]:
    """Return when each sensor of a vantage covered hours, in the order of their first hours.

    With a window, only its hours count, and a sensor that delivered in none of them is left out.
    """
    import ibis  # noqa: PLC0415 - heavy

    rows = delivering(view.table(schema.COVERAGE))
    rows = rows.filter(rows.vantage == vantage)
    if window is not None:
        since, until = (
            ibis.literal(time, type="timestamp('UTC', 6)")
            for time in (floor(window.since, "hour"), window.until)
        )
        rows = rows.filter(rows.hour >= since, rows.hour < until)
    found = rows.group_by("sensor").aggregate(
        first=rows.hour.min(),
        last=rows.hour.max(),
        hours=rows.hour.nunique(),
        messages=rows.messages.sum(),
    )
    spans = [
        SensorSpan(
            sensor=row["sensor"] or "",
            first=row["first"].astimezone(UTC),
            last=row["last"].astimezone(UTC),
            hours=row["hours"],
            messages=row["messages"],
            retired=view.retired.get(row["sensor"] or ""),
        )
        for row in found.to_pyarrow().to_pylist()
    ]
    return sorted(spans, key=lambda span: (span.first, span.sensor))


def _sums(counts: Counts, low: Counts, high: Counts) -> Counts:
    """Return the sum of counts[low:high] for each pair."""
    total = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
    sums: Counts = total[high] - total[low]
    return sums


def _covers(table: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return whether each row of COVERAGE shows that its sensor delivered."""
    basis = table.basis.fill_null("traffic")
    return (basis == "stated") | ((basis == "traffic") & (table.messages > 0))


def _present(view: View) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the rows of COVERAGE that cover their hour or hold hits in it, and which of both."""
    table = view.table(schema.COVERAGE)
    found = table.mutate(covers=_covers(table))
    return found.filter(found.hour.notnull(), found.covers | (found.messages > 0))


def _retirement(view: View, sensor: str, first: int, stop: int) -> int:
    """Return the first hour (index from ``first``) in which a sensor is no longer expected."""
    at = view.retired.get(sensor)
    return (
        stop if at is None else min(stop, max(0, _hour(ceil(at.astimezone(UTC), "hour")) - first))
    )


def _hour(time: datetime) -> int:
    return (time - _EPOCH) // _HOUR


def _nothing(view: View) -> NoData:
    return NoData(
        "the case has no traffic yet",
        where=f"case {view.case}",
        hint=f"read some: remnant ingest {view.case} PATH",
    )

"""Which hours each sensor covered, of those in which it was expected to.

The same rule as ``coverage``, told for each sensor by itself: it is expected from its first hour
until it is retired, and nothing is expected behind the last hour in which any sensor delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant import schema
from remnant.estimate.coverage import default_window, delivering
from remnant.windows import ceil

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.store import View

__all__ = ["SensorHours", "sensor_hours"]

_HOUR_US: Final = 3_600_000_000
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class SensorHours:
    """The hours of one sensor at one vantage, counted since 1970-01-01 UTC.

    Attributes:
        sensor: its name.
        vantage: where it stood.
        first: its first hour.
        stop: the hour after the last one in which it is expected.
        hours: hours in [first, stop) that it covered, ascending.
    """

    sensor: str
    vantage: str
    first: int
    stop: int
    hours: NDArray[np.int64]

    @property
    def expected(self) -> int:
        """Hours in which it was expected."""
        return self.stop - self.first

    def between(self, start: int, stop: int) -> tuple[int, int]:
        """Return the hours expected and covered in [start, stop)."""
        expected = max(0, min(stop, self.stop) - max(start, self.first))
        low, high = np.searchsorted(self.hours, (start, stop))
        return expected, int(high - low)

    def gaps(self) -> list[tuple[datetime, datetime]]:
        """Return the spans in which it was expected and covered nothing, oldest first (UTC)."""
        edges = np.concatenate([[self.first - 1], self.hours, [self.stop]])
        wide = np.flatnonzero(np.diff(edges) > 1)
        return [(_time(int(edges[i]) + 1), _time(int(edges[i + 1]))) for i in wide.tolist()]


def sensor_hours(view: View) -> list[SensorHours]:
    """Return the hours of every sensor, in the order of vantages, then of names.

    Raises:
        NoData: no sensor of the case ever delivered a message with a usable time.
    """
    last = (default_window(view).until - _EPOCH) // _HOUR
    table = delivering(view.table(schema.COVERAGE))
    rows = table.select("sensor", "vantage", "hour").distinct().to_pyarrow()
    names, vantages = rows["sensor"].to_pylist(), rows["vantage"].to_pylist()
    hours = rows["hour"].cast("int64").to_numpy() // _HOUR_US
    found: dict[tuple[str, str], list[int]] = {}
    for name, vantage, hour in zip(names, vantages, hours.tolist(), strict=True):
        found.setdefault((vantage, name or ""), []).append(hour)
    order = {name: place for place, name in enumerate(schema.VANTAGES)}
    out = []
    for vantage, name in sorted(found, key=lambda key: (order.get(key[0], len(order)), key[1])):
        mine = np.unique(np.array(found[vantage, name], dtype=np.int64))
        first, stop = int(mine[0]), last
        retired = view.retired.get(name)
        if retired is not None:
            stop = min(last, (ceil(retired.astimezone(UTC), "hour") - _EPOCH) // _HOUR)
        stop = max(stop, first)
        out.append(SensorHours(name, vantage, first, stop, mine[mine < stop]))
    return out


def _time(hour: int) -> datetime:
    return _EPOCH + _HOUR * hour

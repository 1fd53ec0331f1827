"""Local times of a log as UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture.text_fields import BAD, DAY_US, SECOND_US

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["LocalClock"]

_SLOT_US: Final = 900 * SECOND_US
_EARLIEST: Final = datetime(1999, 12, 30, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - what a clock without a zone shows


class LocalClock:
    """Turns what a clock in one time zone showed into UTC.

    Offsets are asked for once per quarter of an hour, and once per second only in quarters in which
    the clock was put forward or back.

    Args:
        zone: the zone that the clock was in.
        now: later local times than this and two days are not looked up.
    """

    def __init__(self, zone: tzinfo, now: datetime) -> None:
        self._zone = zone
        self._first = _us(_EARLIEST)
        self._last = _us(now.astimezone(UTC)) + 2 * DAY_US
        self._offsets: dict[int, int | None] = {}

    def utc(self, shown: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return UTC microseconds of local ones.

        ``BAD`` where the clock showed the time twice (in autumn) or never (in spring), and for
        times that are clock faults in any zone.
        """
        out = np.full(shown.size, BAD, np.int64)
        plausible = np.flatnonzero((shown >= self._first) & (shown < self._last))
        if not plausible.size:
            return out
        times = shown[plausible]
        slots, inverse = np.unique(times // _SLOT_US, return_inverse=True)
        steady = [self._slot_offset(int(slot)) for slot in slots]
        offsets = np.array([BAD if offset is None else offset for offset in steady], np.int64)
        east = offsets[inverse]
        changing = np.flatnonzero(east == BAD)
        if changing.size:
            seconds, inverse = np.unique(times[changing] // SECOND_US, return_inverse=True)
            exact = [self._offset(int(second) * SECOND_US) for second in seconds]
            east[changing] = np.array([BAD if e is None else e for e in exact], np.int64)[inverse]
        known = east != BAD
        out[plausible[known]] = times[known] - east[known]
        return out

    def _slot_offset(self, slot: int) -> int | None:
        """Return the offset of a quarter of an hour, or ``None`` if it is not one alone."""
        if slot not in self._offsets:
            begin = self._offset(slot * _SLOT_US)
            end = self._offset((slot + 1) * _SLOT_US - SECOND_US)
            self._offsets[slot] = begin if begin == end else None
        return self._offsets[slot]

    def _offset(self, shown: int) -> int | None:
        """Return microseconds east of UTC, or ``None`` where the time was shown twice or never."""
        wall = _EPOCH + timedelta(microseconds=shown)
        first = self._zone.utcoffset(wall)
        second = self._zone.utcoffset(wall.replace(fold=1))
        if first is None or first != second:
            return None
        return first // timedelta(microseconds=1)


def _us(time: datetime) -> int:
    return (time.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)

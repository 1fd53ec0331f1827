"""The times of a text log: which year, which zone, and what a person is told about both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from remnant.capture.lines import Block
from remnant.capture.text_clock import LocalClock
from remnant.capture.text_fields import DAY_US, days_from_civil
from remnant.capture.text_stamp import NO_YEAR_TIME
from remnant.errors import FormatError

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture import ReadOptions

__all__ = ["FirstTime", "LogTimes", "first_day"]

_LEAP_YEAR: Final = 2000
_SHOWN: Final = 40


class FirstTime(Protocol):
    """Reads lines as a format's kernel does."""

    def __call__(self, block: Block, year: int) -> int | None:
        """Return the time of the first message, if the year is this one (0: not known).

        ``NO_YEAR_TIME`` if the line says no year and none is known, ``None`` without a message.
        """
        ...


class LogTimes:
    """What is known about the times of one source while it is read.

    Args:
        options: what a person says about the source.

    Attributes:
        year: int64[2], for ``text_stamp.take_stamp``: it moves on with the lines.
    """

    def __init__(self, options: ReadOptions) -> None:
        zone = options.timezone
        self.year = np.array([options.year or 0, 0], np.int64)
        self._said = options.year
        self._clock = None if zone is None else LocalClock(zone, options.now)
        self._assumed = False
        self._started = False

    def begin(self, time: int, block: Block, line: int, where: str) -> None:
        """Look at the time of the first message; later calls do nothing.

        Args:
            time: what the kernel read.
            block: the lines.
            line: position of the message's line in the block.
            where: the source's name.

        Raises:
            FormatError: the line says no year, and nobody else does.
        """
        if not self._started and time == NO_YEAR_TIME:
            raise FormatError(
                "the lines of this log do not say their year",
                where=where,
                got=block.data[line : line + _SHOWN].tobytes().decode("latin-1"),
                expected="the year of the first line",
                hint="say it with --year; syslog writes times without a year",
            )
        self._started = True

    def to_utc(self, times: npt.NDArray[np.int64], local: npt.NDArray[np.bool_]) -> None:
        """Make the times that have no zone UTC, in place."""
        index = np.flatnonzero(local)
        if index.size and self._clock is not None:
            times[index] = self._clock.utc(times[index])
        self._assumed |= bool(index.size)

    def notes(self) -> list[str]:
        """Return what a person should be told, at the end of the source."""
        notes = []
        if self._assumed and self._clock is None:
            notes.append("times read as UTC: the log does not say its time zone")
        if self.year[1]:
            notes.append(f"year {self._said} assumed for the first line")
        return notes


def first_day(head: bytes, first_time: FirstTime) -> int | None:
    """Return the day on which a log begins whose lines say no year.

    Args:
        head: the first bytes of the log.
        first_time: reads them.

    Returns:
        0 to 365, as in a leap year; None if the first message says its year, or has no time.
    """
    data = np.frombuffer(head, np.uint8).copy()
    ends = np.flatnonzero(data == ord("\n"))
    block = Block(data, ends if ends.size else np.array([data.size]), 0, data.size)
    if first_time(block, 0) != NO_YEAR_TIME:
        return None
    time = first_time(block, _LEAP_YEAR)
    return None if time is None else int(time // DAY_US - days_from_civil(_LEAP_YEAR, 1, 1))

"""Half-open windows of time, always UTC: a window holds its start and not its end.

Hours, days and weeks are aligned in UTC; weeks start on Monday 00:00.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from remnant.errors import RemnantError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "STEPS",
    "Step",
    "TimeSyntaxError",
    "Window",
    "ceil",
    "floor",
    "iso",
    "parse_period",
    "parse_time",
    "to_us",
]

Step = Literal["hour", "day", "week"]

STEPS: Final[dict[Step, timedelta]] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class TimeSyntaxError(RemnantError):
    """A text that is not a time with a zone, nor a date."""


def floor(time: datetime, step: Step) -> datetime:
    """Return the start of the hour, day or Monday week that holds a time.

    >>> floor(datetime(2015, 4, 8, 13, 5, tzinfo=UTC), "week").isoformat()
    '2015-04-06T00:00:00+00:00'
    """
    return time - (time - _MONDAY) % STEPS[step]


def ceil(time: datetime, step: Step) -> datetime:
    """Return the first start of an hour, day or week that is not before a time."""
    start = floor(time, step)
    return start if start == time else start + STEPS[step]


def iso(time: datetime) -> str:
    """Return a UTC time as ISO 8601 with ``Z``; fractions only where there are any.

    >>> iso(datetime(2015, 4, 8, tzinfo=UTC))
    '2015-04-08T00:00:00Z'
    """
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_us(time: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC, exactly."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def parse_time(text: str) -> datetime:
    """Return the UTC time that a person wrote.

    A date is midnight UTC. A date-time needs a zone (``Z`` or an offset).

    Raises:
        TimeSyntaxError: anything else.
    """
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        time = datetime.fromisoformat(text)
    except ValueError:
        raise TimeSyntaxError(
            "this is not a time", got=text, expected="2015-04-08 or 2015-04-08T12:00:00Z"
        ) from None
    if time.tzinfo is None:
        raise TimeSyntaxError(
            "the time has no zone",
            got=text,
            expected="a time with a zone",
            hint=f"write {text}Z for UTC",
        )
    return time.astimezone(UTC)


def parse_period(text: str) -> Window:
    """Return the window that ``FROM/UNTIL`` says.

    A date-time as the end is exclusive; of a plain date the whole day belongs to the window.

    Raises:
        TimeSyntaxError: anything else, or an end that is not after the start.

    >>> str(parse_period("2015-04-08/2015-04-09"))
    '2015-04-08T00:00:00Z to 2015-04-10T00:00:00Z'
    """
    since, slash, until = text.partition("/")
    if not slash:
        raise TimeSyntaxError(
            "this is not a period", got=text, expected="FROM/UNTIL, such as 2015-04-08/2015-06-30"
        )
    end = parse_time(until)
    return Window(parse_time(since), end + timedelta(days=1) if _DATE.fullmatch(until) else end)


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open interval [since, until), both UTC."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise TimeSyntaxError("a window needs times with a zone")
        if self.until <= self.since:
            raise TimeSyntaxError(
                "the window is empty",
                got=f"{iso(self.since)} to {iso(self.until)}",
                expected="an end after its start (the end is exclusive)",
            )

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.until - self.since).total_seconds()

    def starts(self, step: Step) -> Iterator[datetime]:
        """Yield the starts of all hours, days or weeks that overlap the window."""
        start = floor(self.since, step)
        while start < self.until:
            yield start
            start += STEPS[step]

    def __contains__(self, time: datetime) -> bool:
        return self.since <= time < self.until

    def __str__(self) -> str:
        return f"{iso(self.since)} to {iso(self.until)}"

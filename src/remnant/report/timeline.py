"""The time axis of a figure: round ticks, and labels of dated marks that never collide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from remnant.report.wording import mark_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.report.drawing import Frame
    from remnant.report.facts import Mark
    from remnant.windows import Window

__all__ = ["EM", "GUTTER", "LANE", "Label", "labels", "ticks", "written"]

LANE: Final = 16
"""Pixels between two rows of labels."""

EM: Final = 6.6
"""Mean width of a letter of the labels, in pixels."""

GUTTER: Final = 60
"""What the vertical axis takes from the width, in pixels."""

_LANES: Final = 4
_ROOMS: Final = (36, 16)
"""Letters of a label: as many as fit, else fewer."""

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Label:
    """A dated label on a curve: ``lane`` is its row from the top, ``left`` its side."""

    time: datetime
    text: str
    lane: int
    left: bool


def labels(marks: Sequence[Mark], window: Window, frame: Frame) -> list[Label]:
    """Return where the labels of the marks inside the window stand, none on another.

    A mark for which no row is free keeps its rule and its place in the key, without words.
    """
    width = frame.width - GUTTER
    placed: list[Label] = []
    spans: list[tuple[float, float, int]] = []
    numbered = [(n, mark) for n, mark in enumerate(marks, 1) if mark.time in window]
    for n, mark in sorted(numbered, key=lambda pair: pair[1].time):
        x = width * ((mark.time - window.since) / (window.until - window.since))
        wordings = () if frame.narrow else [f"{n} {mark_words(mark, room)}" for room in _ROOMS]
        for text in (*wordings, str(n)):
            length = len(text) * EM + 10
            left = x + length > width
            low, high = (x - length, x) if left else (x, x + length)
            lane = 1 + max(
                (lane for start, end, lane in spans if start < high and low < end), default=-1
            )
            if lane < _LANES:
                break
        else:
            text = ""
            lane = _LANES - 1
        if text:
            spans.append((low, high, lane))
        placed.append(Label(mark.time, text, lane, left))
    return placed


def ticks(window: Window, room: int) -> tuple[list[datetime], str]:
    """Return at most about ``room`` round times of a window, and how Vega writes them."""
    span = window.until - window.since
    for hours in (1, 3, 6, 12):
        step = timedelta(hours=hours)
        if span <= step * room and span <= 3 * _DAY:
            return _steps(window, step, datetime(1970, 1, 1, tzinfo=UTC)), _HOURS
    for days in (1, 2, 7, 14):
        if span <= _DAY * days * room:
            return _steps(window, _DAY * days, datetime(1970, 1, 5, tzinfo=UTC)), _DAYS
    months = next((n for n in (1, 2, 3, 6, 12) if span <= _DAY * 30 * n * room), 12)
    while span > _DAY * 30 * months * room:
        months *= 2
    return _months(window, months), _MONTHS


def written(times: Sequence[datetime], how: str) -> list[str]:
    """Return round times as ``ticks`` has Vega write them.

    >>> written([datetime(2015, 4, 8, tzinfo=UTC)], _DAYS)
    ['8 Apr 2015']
    """
    out = []
    for place, time in enumerate(times):
        if how == _HOURS:
            text = f"{time.day} {time:%b}" if time.hour == 0 else f"{time:%H:%M}"
        elif how == _DAYS:
            text = f"{time.day} {time:%b}" + (f" {time.year}" if place == 0 else "")
        else:
            text = f"{time:%b}" + (f" {time.year}" if place == 0 or time.month == 1 else "")
        out.append(text)
    return out


_HOURS: Final = "utcFormat(datum.value, utchours(datum.value) == 0 ? '%-d %b' : '%H:%M')"
_DAYS: Final = "utcFormat(datum.value, datum.index == 0 ? '%-d %b %Y' : '%-d %b')"
_MONTHS: Final = (
    "utcFormat(datum.value, datum.index == 0 || utcmonth(datum.value) == 0 ? '%b %Y' : '%b')"
)


def _steps(window: Window, step: timedelta, origin: datetime) -> list[datetime]:
    first = window.since + (origin - window.since) % step
    return [
        first + step * i
        for i in range(int((window.until - first) / step) + 1)
        if first + step * i <= window.until
    ]


def _months(window: Window, months: int) -> list[datetime]:
    first = window.since.year * 12 + window.since.month - 1
    last = window.until.year * 12 + window.until.month - 1
    starts = (
        datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        for month in range(first, last + 1)
        if month % months == 0
    )
    return [start for start in starts if window.since <= start <= window.until]
